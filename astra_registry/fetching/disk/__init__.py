"""Fetching on this disk: the private names in which files grow, whose turn it is, and which files are known as whole.

`folders` makes the folder of a file and has its `turns`; the file grows in one of its `parts`, maybe in one of the
`leftovers` of earlier runs, until it is `whole`, and the `ledger` remembers it. The program rsync has a folder of its
own, for `staging`. What goes wrong is the disk's `trouble`. Nothing here knows of servers.
"""
