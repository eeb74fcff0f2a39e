"""Tables in the formats of Arrow: Parquet, Feather (which is Arrow's own file) and ORC, a piece at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable, MissingExtra
from astra_registry.tables.columns import Columns, Wanted, choose, from_arrow
from astra_registry.tables.packed import unpacked


def parquet(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of a Parquet file."""
    arrow = _arrow("reading Parquet")
    from pyarrow import parquet as format_

    with unpacked(path) as file, _told_as_ours(arrow, path, "Parquet"), format_.ParquetFile(file) as opened:

        def pieces(needed: list[str]) -> Iterator[Any]:
            yield from opened.iter_batches(batch_size=rows, columns=needed)

        yield from _columns(opened.schema_arrow, pieces, wanted, rows, repr(path))


def feather(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of a Feather file, or of any other of Arrow's own format."""
    arrow = _arrow("reading Feather")
    with unpacked(path) as file, _told_as_ours(arrow, path, "Feather"), contextlib.ExitStack() as stack:
        mapped = stack.enter_context(arrow.memory_map(file)) if isinstance(file, str) else file
        opened = stack.enter_context(arrow.ipc.open_file(mapped))

        def pieces(needed: list[str]) -> Iterator[Any]:
            for number in range(opened.num_record_batches):
                yield opened.get_batch(number).select(needed)

        yield from _columns(opened.schema, pieces, wanted, rows, repr(path))


def orc(path: str, wanted: Wanted | None, rows: int) -> Iterator[Columns]:
    """Yield the pieces of an ORC file, which holds neither units nor descriptions."""
    arrow = _arrow("reading ORC")
    from pyarrow import orc as format_

    with unpacked(path) as file, _told_as_ours(arrow, path, "ORC"):
        opened = format_.ORCFile(file)

        def pieces(needed: list[str]) -> Iterator[Any]:
            for number in range(opened.nstripes):
                yield opened.read_stripe(number, columns=needed)

        yield from _columns(opened.schema, pieces, wanted, rows, repr(path))


def write(table: Any, path: str, kind: str) -> None:
    """Write an astropy Table as ``"feather"`` or ``"orc"``; units and descriptions go with Feather's columns."""
    arrow = _arrow("writing Feather and ORC")
    made = arrow.table([_array(arrow, table[name]) for name in table.colnames], schema=_schema(arrow, table))
    if kind == "orc":
        from pyarrow import orc as format_

        format_.write_table(made, path)
    else:
        with arrow.ipc.new_file(path, made.schema) as file:
            file.write_table(made)


def check_installed() -> None:
    """Raise MissingExtra when Parquet, Feather and ORC could not be written."""
    _arrow("writing Parquet, Feather and ORC")


def _arrow(what: str) -> Any:
    try:
        import pyarrow as arrow
    except ImportError:
        raise MissingExtra(what, "parquet") from None
    return arrow


class _told_as_ours:  # noqa: N801 - used as a statement
    """Turns what pyarrow raises into a BadTable that names the file."""

    def __init__(self, arrow: Any, path: str, kind: str) -> None:
        self._arrow, self._path, self._kind = arrow, path, kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (self._arrow.ArrowException, OSError)) and not isinstance(error, BadTable):
            raise BadTable(f"{self._path!r} cannot be read as {self._kind}: {error}") from error


def _columns(schema: Any, pieces: Any, wanted: Wanted | None, rows: int, origin: str) -> Iterator[Columns]:
    masks = _astropy_masks(schema)
    chosen = choose([name for name in schema.names if name not in masks.values()], wanted, origin)
    units, told = _meta(schema, chosen)
    needed = list(dict.fromkeys([*chosen.values(), *(masks[column] for column in chosen.values() if column in masks)]))
    size = 0
    for piece in pieces(needed):
        for start in range(0, piece.num_rows, rows):
            batch = piece.slice(start, rows)
            size += batch.num_rows
            values = {name: from_arrow(batch.column(column)) for name, column in chosen.items()}
            for name, column in chosen.items():
                if column in masks:
                    hidden = batch.column(masks[column]).to_pylist()
                    values[name] = [MASKED if gone else v for v, gone in zip(values[name], hidden, strict=True)]
            yield Columns(values, batch.num_rows, units, told, origin)
    if not size:
        yield Columns({name: [] for name in chosen}, 0, units, told, origin)


def _astropy_masks(schema: Any) -> dict[str, str]:
    """Return ``{column: column of its mask}``: astropy keeps a mask beside its column, not as nulls."""
    if not schema.metadata or b"table_meta_yaml" not in schema.metadata:
        return {}
    names = set(schema.names)
    return {name: f"{name}.mask" for name in schema.names if f"{name}.mask" in names}


def _meta(schema: Any, chosen: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return units and descriptions: astropy keeps them in the YAML of an ECSV header, others with the columns."""
    columns: dict[str, Any] = {}
    if schema.metadata and b"table_meta_yaml" in schema.metadata:
        from astropy.table import meta

        header = meta.get_header_from_yaml(schema.metadata[b"table_meta_yaml"].decode().split("\n"))
        columns = {column["name"]: column for column in header["datatype"]}
    for field in schema:
        if field.metadata and field.name not in columns:
            columns[field.name] = {key.decode(): value.decode() for key, value in field.metadata.items()}
    units = {name: str(columns[c]["unit"]) for name, c in chosen.items() if columns.get(c, {}).get("unit")}
    told = {name: columns[c]["description"] for name, c in chosen.items() if columns.get(c, {}).get("description")}
    return units, told


def _schema(arrow: Any, table: Any) -> Any:
    fields = []
    for name in table.colnames:
        column = table[name]
        told = {"unit": column.info.unit, "description": column.info.description}
        kind = _array(arrow, column).type
        fields.append(arrow.field(name, kind, metadata={key: str(text) for key, text in told.items() if text}))
    return arrow.schema(fields)


def _array(arrow: Any, column: Any) -> Any:
    """Return an arrow array of a column of astropy; masked cells become nulls, arrays in cells lists."""
    import numpy as np

    values = np.asarray(getattr(column, "value", column))
    mask = getattr(column, "mask", None)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim > 1 or values.dtype.kind == "O":
        return arrow.array([None if value is None else value for value in values.tolist()])
    return arrow.array(values, mask=None if mask is None else np.broadcast_to(mask, values.shape))
