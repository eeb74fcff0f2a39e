"""The schema's revisions, in the order in which they were made."""

#: Oldest first; a database at any other revision was made by a newer program.
REVISIONS = ("0001", "0002", "0003")
HEAD = REVISIONS[-1]
