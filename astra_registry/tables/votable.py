"""Tables in VOTable: astropy's parser is given a document of a few rows again and again, and so reads a long one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from astra_registry.errors import BadTable
from astra_registry.tables import whole
from astra_registry.tables.columns import Columns, Wanted, choose, from_object
from astra_registry.tables.packed import opened

#: What astropy makes of XML: whether an element begins, its name, its attributes or its text, and where it stands.
_Event = tuple[bool, str, Any, Any]


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of the one table of a VOTable; rows that are not elements of XML are read whole."""
    from astropy.utils.xml.iterparser import get_xml_iterator

    with whole.told(path), opened(path) as stream, get_xml_iterator(stream.read) as events:
        head = _through_tabledata(events)
        if head is not None:
            yield from _pieces(path, head, events, wanted, rows)
            if any(tag == "TABLE" for begins, tag, _, _ in events if begins):
                raise BadTable(f"{path!r} holds several tables; give a file of one")
            return
    yield from whole.read("votable", path, wanted, rows)


def _through_tabledata(events: Iterable[_Event]) -> list[_Event] | None:
    """Return what stands before the rows of the first table; None when there are no rows of XML."""
    head: list[_Event] = []
    for begins, tag, content, place in events:
        if begins and tag == "TABLE":
            if any(tag == "TABLE" for _, tag, _, _ in head):
                return None
            content = {name: value for name, value in content.items() if name != "nrows"}  # it is that of all rows
        head.append((begins, tag, content, place))
        if begins and tag == "TABLEDATA":
            return head
    return None


def _pieces(
    path: str, head: list[_Event], events: Iterator[_Event], wanted: Wanted | None, rows: int
) -> Iterator[Columns]:
    origin = repr(path)
    chosen = choose(_parsed(path, head, [], []).colnames, wanted, origin)
    columns = list(dict.fromkeys(chosen.values()))
    done = 0
    while True:
        table = _parsed(path, head, _rows(events, rows), columns)
        if len(table) or not done:
            yield from_object(table, columns).renamed(chosen, origin)
        done += len(table)
        if len(table) < rows:
            return


def _rows(events: Iterator[_Event], rows: int) -> Iterator[_Event]:
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


def _parsed(path: str, head: list[_Event], rows: Iterable[_Event], columns: list[str]) -> Any:
    """Return the astropy Table of a document that has these rows, and of these columns, or of all."""
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
    return document.get_first_table().to_table()
