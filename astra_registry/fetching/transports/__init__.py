"""The ways to a server: http, rsync, a mounted archive, or what a plugin brings; each a `transport`, one method.

What they share: the `origin` of a URL, the `credentials` that may be sent there, the `setbacks` that another try may
mend, and the `patience` for these.
"""
