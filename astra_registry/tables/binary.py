"""The rows of a VOTable in BINARY or BINARY2: base64 within XML, undone as it comes; astropy converts the cells."""

from __future__ import annotations

import binascii
import contextlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from xml.parsers import expat

from astra_registry.errors import BadTable

_TOGETHER = 1 << 16  # bytes of XML looked at once
_TEXT = frozenset({"char", "unicodeChar"})

#: What astropy makes of XML: whether an element begins, its name, its attributes or its text, and where it stands.
Event = tuple[bool, str, Any, Any]

#: The cells of a row, and which of them are masked, or which elements of an array are.
Row = tuple[tuple[Any, ...], tuple[Any, ...]]


def events(read: Callable[[int], bytes]) -> Iterator[Event]:
    """Yield what astropy makes of XML, but the text of a STREAM in pieces, as if it ended with each.

    Other text is left out.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = _TOGETHER
    queue: list[Event] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        tag = _without_namespace(name)
        queue.append((True, tag, attributes, None))
        if tag == "STREAM":
            parser.CharacterDataHandler = lambda text: queue.append((False, "STREAM", text, None))

    def end(name: str) -> None:
        parser.CharacterDataHandler = None
        queue.append((False, _without_namespace(name), "", None))

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    more = True
    while more:
        block = read(_TOGETHER)
        more = bool(block)
        try:
            parser.Parse(block, not more)
        except expat.ExpatError as error:  # in the words of astropy
            raise ValueError(f"{error.lineno}:{error.offset}: {expat.ErrorString(error.code)}") from None
        yield from queue
        queue.clear()


def _without_namespace(name: str) -> str:
    return name.partition(":")[2] or name


def content(path: str, events: Iterable[Event]) -> Iterator[bytes]:
    """Yield the bytes of the first STREAM, a piece at a time; BadTable when its text is no base64."""
    rest = bytearray()
    after_head = itertools.dropwhile(lambda event: event[1] != "STREAM", events)
    try:
        for begins, _, text, _ in itertools.takewhile(lambda event: event[1] == "STREAM", after_head):
            rest += b"" if begins else text.encode("ascii").translate(None, b" \t\r\n")
            if b"=" not in rest:  # it ends the whole
                size = len(rest) // 4 * 4
                yield binascii.a2b_base64(rest[:size], strict_mode=True)
                del rest[:size]
        yield binascii.a2b_base64(rest, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadTable(f"{path!r} is cut off or damaged: its rows are no base64: {error}") from None


def rows(
    path: str, blocks: Iterable[bytes], fields: Sequence[Any], wanted: Sequence[Any], *, has_flags: bool
) -> Iterator[Row]:
    """Yield the rows of the wanted columns; BadTable when the last is not whole.

    ``fields`` are astropy's of all columns, ``wanted`` those of some. With flags, as in BINARY2, bits before each row
    tell which of its cells are null.
    """
    names = {field.ID for field in wanted}
    width = (len(fields) + 7) // 8 if has_flags else 0
    columns = [
        # Of text astropy heeds no flag: what is null is empty, as in BINARY.
        (field.converter.binparse, 0 if field.datatype in _TEXT else (1 << 8 * width) >> place, field.ID in names)
        for place, field in enumerate(fields, start=1)
    ]
    rest = bytearray()
    needed = number = 0
    for block in itertools.chain(blocks, [b""]):
        rest += block
        if block and len(rest) < needed:
            continue
        buffer = io.BytesIO(rest)
        done = 0
        with contextlib.suppress(EOFError):
            while True:
                row = _row(buffer.read, width, columns)
                if buffer.tell() == done:
                    return  # of rows that take no bytes there is no end
                yield row
                done = buffer.tell()
                number += 1
        del rest[:done]
        needed = 2 * len(rest)  # so that a row of many blocks is not begun again with each of them
    if rest:
        raise BadTable(f"{path!r} is cut off or damaged: its row {number} is not whole")


def _row(read: Callable[[int], bytes], width: int, columns: list[tuple[Callable[..., Any], int, bool]]) -> Row:
    """Return the next row; EOFError when there are not bytes enough for it."""

    def exactly(length: int) -> bytes:
        taken = read(length)
        if len(taken) < length:
            raise EOFError
        return taken

    flags = int.from_bytes(exactly(width), "big")
    values, masks = [], []
    for parse, flag, is_wanted in columns:
        value, mask = parse(exactly)
        if is_wanted:
            values.append(value)
            masks.append(bool(flags & flag) or mask)
    return tuple(values), tuple(masks)


def filled(empty: Any, rows: Sequence[Row]) -> Any:
    """Return astropy's element of a table that is empty, with these rows."""
    import numpy as np

    kinds = empty.array.dtype
    cells = np.zeros(len(rows), kinds)
    mask = np.zeros(len(rows), np.ma.make_mask_descr(kinds))
    cells[:] = [values for values, _ in rows]
    mask[:] = [masks for _, masks in rows]
    empty.array = np.ma.MaskedArray(cells, mask)
    return empty
