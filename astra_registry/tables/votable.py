"""Tables in VOTable: astropy's parser is given a document of a few rows again and again, and so reads a long one.

Rows in BINARY and BINARY2 are put into the table of a document that has none.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from astra_registry.errors import BadTable
from astra_registry.tables import binary, whole
from astra_registry.tables.binary import Event
from astra_registry.tables.columns import Columns, Wanted, choose, from_object
from astra_registry.tables.packed import opened

_BINARY = frozenset({"BINARY", "BINARY2"})


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of the one table of a VOTable; rows in FITS, in Parquet or elsewhere are read whole."""
    from astropy.utils.xml.iterparser import get_xml_iterator

    with whole.told(path), contextlib.ExitStack() as files:
        stream = files.enter_context(opened(path))
        events: Iterator[Event] = files.enter_context(get_xml_iterator(stream.read))
        head = _before_rows(events)
        if head is not None:
            if head[-1][1] == "STREAM":  # whose text astropy gives as a whole
                events = binary.events(files.enter_context(opened(path)).read)
            yield from _pieces(path, head, events, wanted, rows)
            if any(tag == "TABLE" for begins, tag, _, _ in events if begins):
                raise BadTable(f"{path!r} holds several tables; give a file of one")
            return
    yield from whole.read("votable", path, wanted, rows)


def _before_rows(events: Iterable[Event]) -> list[Event] | None:
    """Return what stands before the rows of the first table; None when the document has none that stream."""
    head: list[Event] = []
    for begins, tag, content, place in events:
        if begins and tag == "TABLE":
            if any(tag == "TABLE" for _, tag, _, _ in head):
                return None
            content = {name: value for name, value in content.items() if name != "nrows"}  # it is that of all rows
        head.append((begins, tag, content, place))
        if begins and tag == "TABLEDATA":
            return head
        if begins and tag == "STREAM":
            return head if head[-2][1] in _BINARY and "href" not in content else None
    return None


def _pieces(
    path: str, head: list[Event], events: Iterator[Event], wanted: Wanted | None, rows: int
) -> Iterator[Columns]:
    origin = repr(path)
    chosen = choose(_parsed(path, head, [], []).to_table().colnames, wanted, origin)
    columns = list(dict.fromkeys(chosen.values()))
    done = 0
    for table in _tables(path, head, events, columns, rows):
        if len(table) or not done:
            yield from_object(table, columns).renamed(chosen, origin)
        done += len(table)
        if len(table) < rows:
            return


def _tables(path: str, head: list[Event], events: Iterator[Event], columns: list[str], rows: int) -> Iterator[Any]:
    """Yield an astropy Table of the next rows, and one of the next; those after the last row are empty."""
    if head[-1][1] == "TABLEDATA":
        while True:
            yield _parsed(path, head, _rows(events, rows), columns).to_table()
    every = _parsed(path, head, [], []).fields
    empty = _parsed(path, head, [], columns)
    blocks = binary.content(path, events)
    cells = binary.rows(path, blocks, every, empty.fields, has_flags=head[-2][1] == "BINARY2")
    while True:
        yield binary.filled(empty, list(itertools.islice(cells, rows))).to_table()


def _rows(events: Iterator[Event], rows: int) -> Iterator[Event]:
    """Pass on as many rows, or as many as there are."""
    for event in events:
        begins, tag, _, _ = event
        if tag == "TABLEDATA":
            return
        yield event
        if tag == "TR" and not begins:
            rows -= 1
            if not rows:
                return


def _parsed(path: str, head: list[Event], rows: Iterable[Event], columns: list[str]) -> Any:
    """Return astropy's table of a document that has these rows, and of these columns, or of all."""
    from astropy.io import votable
    from astropy.io.votable.tree import VOTableFile

    open_elements: list[str] = []
    for begins, tag, _, _ in head:
        if begins:
            open_elements.append(tag)
        else:
            open_elements.pop()
    tail = [(False, tag, "", (0, 0)) for tag in reversed(open_elements)]
    # As astropy.io.votable.parse has them.
    config = {"columns": columns, "invalid": "exception", "verify": votable.conf.verify, "filename": path}
    document = VOTableFile(config=config, pos=(1, 1)).parse(itertools.chain(head, rows, tail), config)
    return document.get_first_table()
