"""Tables in VOTable: astropy's parser is given a document of a few rows again and again, and so reads a long one.

Rows in BINARY and BINARY2 are put into the table of a document that has none.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

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
        document = _Document.of(path, events)
        if document is not None:
            if document.form in _BINARY:  # of whose rows astropy's parser makes one text
                events = binary.events(files.enter_context(opened(path)).read)
            yield from document.pieces(events, wanted, rows)
            if any(tag == "TABLE" for begins, tag, _, _ in events if begins):
                raise BadTable(f"{path!r} holds several tables; give a file of one")
            return
    yield from whole.read("votable", path, wanted, rows)


@attrs.frozen
class _Document:
    """A VOTable without the rows of its table."""

    path: str
    head: list[Event]  # what stands before them
    form: str  # of the rows: TABLEDATA, BINARY or BINARY2

    @classmethod
    def of(cls, path: str, events: Iterable[Event]) -> _Document | None:
        """Return the document up to the rows of its first table; None when they do not stream."""
        head: list[Event] = []
        for begins, tag, content, place in events:
            if begins and tag == "TABLE":
                if any(tag == "TABLE" for _, tag, _, _ in head):
                    return None
                content = {name: value for name, value in content.items() if name != "nrows"}  # it is that of all rows
            if begins and tag == "TABLEDATA":
                return cls(path, head, tag)
            if begins and tag == "STREAM":
                _, form, _, _ = head.pop()
                return cls(path, head, form) if form in _BINARY and "href" not in content else None
            head.append((begins, tag, content, place))
        return None

    def pieces(self, events: Iterator[Event], wanted: Wanted | None, rows: int) -> Iterator[Columns]:
        """Yield the pieces of the table whose rows come with the events."""
        origin = repr(self.path)
        chosen = choose(self._table([], []).to_table().colnames, wanted, origin)
        columns = list(dict.fromkeys(chosen.values()))
        tables = self._of_binary if self.form in _BINARY else self._of_elements
        done = 0
        for table in tables(events, columns, rows):
            if len(table) or not done:
                yield from_object(table, columns).renamed(chosen, origin)
            done += len(table)
            if len(table) < rows:
                return

    def _of_elements(self, events: Iterator[Event], columns: list[str], rows: int) -> Iterator[Any]:
        while True:
            yield self._table(_elements(events, rows), columns).to_table()

    def _of_binary(self, events: Iterator[Event], columns: list[str], rows: int) -> Iterator[Any]:
        every = self._table([], []).fields
        table = self._table([], columns)
        blocks = binary.content(self.path, events)
        cells = binary.rows(self.path, blocks, every, table.fields, has_flags=self.form == "BINARY2")
        while True:
            yield binary.filled(table, list(itertools.islice(cells, rows))).to_table()

    def _table(self, rows: Iterable[Event], columns: list[str]) -> Any:
        """Return astropy's table of the document with these rows of TABLEDATA, and with these columns, or with all."""
        from astropy.io import votable
        from astropy.io.votable.tree import VOTableFile

        head = [*self.head, (True, "TABLEDATA", {}, (0, 0))]
        open_elements: list[str] = []
        for begins, tag, _, _ in head:
            if begins:
                open_elements.append(tag)
            else:
                open_elements.pop()
        tail = [(False, tag, "", (0, 0)) for tag in reversed(open_elements)]
        # As astropy.io.votable.parse has them.
        config = {"columns": columns, "invalid": "exception", "verify": votable.conf.verify, "filename": self.path}
        document = VOTableFile(config=config, pos=(1, 1)).parse(itertools.chain(head, rows, tail), config)
        return document.get_first_table()


def _elements(events: Iterator[Event], rows: int) -> Iterator[Event]:
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
