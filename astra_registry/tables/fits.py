"""Tables in FITS: mapped into memory, a piece at a time."""

from __future__ import annotations

import contextlib
import mmap
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

from astra_registry.errors import BadTable
from astra_registry.tables.columns import Columns, Wanted, choose, plain
from astra_registry.tables.packed import unpacked

_TOGETHER = 1 << 24  # bytes of a table read at once: rows may be wide


def read(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of the first table of a FITS file."""
    with unpacked(path) as file:
        yield from _pieces(file, repr(path), wanted, rows)


def _pieces(file: str | BinaryIO, origin: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    from astropy.io import fits

    try:
        with contextlib.ExitStack() as closing:
            with warnings.catch_warnings(record=True) as told_by_astropy:
                warnings.simplefilter("always")
                hdus = closing.enter_context(fits.open(file, memmap=True))
                table = next((hdu for hdu in hdus if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))), None)
            if is_cut := _cut_as_astropy_says(told_by_astropy):
                raise BadTable(f"{origin} is cut or damaged: {is_cut}")  # noqa: TRY301
            if table is None:
                raise BadTable(f"{origin} holds no table, only images")  # noqa: TRY301
            choose(table.columns.names, None, origin)  # of one that has a column twice astropy reads nothing
            chosen = choose(table.columns.names, wanted, origin)
            units = {name: table.columns[column].unit for name, column in chosen.items() if table.columns[column].unit}
            told = {
                name: table.header.comments[f"TTYPE{1 + table.columns.names.index(column)}"]
                for name, column in chosen.items()
            }
            told = {name: text for name, text in told.items() if text}
            told |= _descriptions(table.header, chosen)
            size = int(table.header["NAXIS2"])
            rows = max(1, min(rows, _TOGETHER // max(1, int(table.header["NAXIS1"]))))
            try:
                for start in range(0, max(size, 1), rows):
                    values = {}
                    if size:
                        part = table.data[start : start + rows]
                        values = {name: _column(table, part, column) for name, column in chosen.items()}
                        _let_go(part)
                    yield Columns(
                        {name: values.get(name, []) for name in chosen}, min(rows, size - start), units, told, origin
                    )
            finally:
                # Else astropy copies every column of the file into memory when it closes it.
                for column in table.columns:
                    column.array = None
    except BadTable:
        raise
    except (OSError, EOFError, TypeError, ValueError, Warning) as error:
        raise BadTable(f"{origin} cannot be read as a FITS table: {error}") from error


def _cut_as_astropy_says(warned: list[warnings.WarningMessage]) -> str | None:
    """Return what it warns of a file that ends too early: its list of HDUs ends there, and is taken for all."""
    told = (str(warning.message).partition(" (note:")[0] for warning in warned)
    return next((text for text in told if text.startswith(("File may have been truncated", "Error validating"))), None)


def which_table(path: str) -> str:
    """Return which HDU of a file is the table that is read, where there are others; else an empty text."""
    from astropy.io import fits

    with contextlib.suppress(OSError, TypeError, ValueError), warnings.catch_warnings(), unpacked(path) as file:
        warnings.simplefilter("ignore")
        with fits.open(file, memmap=True) as hdus:
            places = [n for n, hdu in enumerate(hdus) if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))]
        if len(places) > 1:
            return f"HDU {places[0]} was read; HDU {', '.join(map(str, places[1:]))} hold tables, too"
    return ""


def _let_go(part: Any) -> None:
    """Give back the memory of a file's pages that were looked at; a long table would keep all of its own."""
    base = part
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None) if not isinstance(base, memoryview) else base.obj
    if base is not None and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def _descriptions(header: Any, chosen: dict[str, str]) -> dict[str, str]:
    """Return the descriptions that astropy writes: as the YAML of an ECSV header, in comments."""
    lines = [str(line) for line in header.get("COMMENT", ())]
    try:
        start, stop = (lines.index(f"--{word}-ASTROPY-SERIALIZED-COLUMNS--") for word in ("BEGIN", "END"))
    except ValueError:
        return {}
    from astropy.table import meta

    # A line that is too long for a card goes on in the next one.
    yaml = "\n".join(lines[start + 1 : stop]).replace("\\\n", "").split("\n")
    columns = {column["name"]: column for column in meta.get_header_from_yaml(yaml)["datatype"]}
    return {name: columns[c]["description"] for name, c in chosen.items() if columns.get(c, {}).get("description")}


def _column(table: Any, part: Any, name: str) -> list[Any]:
    import numpy as np

    raw = part.view(np.ndarray)[name] if name in (part.dtype.names or ()) else None
    if raw is not None and raw.dtype.kind == "S":
        return plain(raw)  # astropy's own view of text strips each cell in Python
    column = table.columns[name]
    # An integer that stands for "no value" is compared before astropy scales the numbers.
    if column.null is not None and raw is not None and raw.dtype.kind in "iu":
        return plain(np.ma.MaskedArray(np.asarray(part.field(name)), mask=raw == int(column.null)))
    return plain(np.asarray(part.field(name)))
