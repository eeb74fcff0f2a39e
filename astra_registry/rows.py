"""From the rows of any table to products: batch by batch, each row that cannot be used told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from astra_registry.errors import AstraRegistryError, BadTable, BadValue, MissingParameter
from astra_registry.fetching import Rows
from astra_registry.product import DataProduct
from astra_registry.registries import Registry
from astra_registry.tables import Columns, is_blank, iter_columns, match_columns, name_in, which_table

_TOGETHER = 4096  # rows of a batch; more cost memory, and make nothing faster


class UnusableRow(BadTable):
    """A row of a table from which no product can be made; `row` counts from 0."""

    exit_code = 1

    def __init__(self, row: int, reason: object) -> None:
        super().__init__(f"row {row}: {reason}")
        self.row = row


def products_of(
    table: Any,
    registry: Registry,
    *,
    product: str | None = None,
    release: str | None = None,
    **constants: Any,
) -> Iterator[Rows]:
    """Yield batches of products with their rows, and an UnusableRow for each row that none can be made of.

    The table is read in parts, so that its length does not matter. Without `product` or `release` its columns of
    those names tell them, row by row; with `product`, a row that tells another one cannot be used. Raises BadTable
    when the table cannot be used at all.
    """
    told: dict[str, str] = {}

    def needed(names: Sequence[str]) -> Sequence[str]:
        told.update(match_columns(names, {"product": (), "release": ()}))
        if product is None and "product" not in told:
            raise BadTable(f"{_origin(table)} has no column 'product', and no product was named")
        if release is not None:
            told.pop("release", None)
        if product is None:
            repeated = {name for name, count in Counter(names).items() if count > 1}
            return [name for name in names if name not in repeated or name in told.values()]  # each row has its needs
        cls = registry[product]
        if any(parameter.name == "product" for parameter in cls.product_parameters().values()):
            told.pop("product", None)  # it is no product's name
        if "release" in told:
            spelled = {name.casefold() for name in cls.spellings_in_tables()}
            return [name for name in names if name.casefold() in spelled or name in told.values()]
        return list(dict.fromkeys([*_columns_of(cls, release, names, table, constants), *told.values()]))

    first = 0
    for part in iter_columns(table, columns=needed, rows=_TOGETHER, ragged=True):
        yield from (_unusable(first + row, f"it {fault}") for row, fault in part.ragged.items())
        for (name, its_release), rows in _groups(part, told, product, release).items():
            if product is None or _is_of(registry, name, product):
                yield from _batches(registry, product or name, its_release, part, rows, first, constants)
            else:
                yield from (_unusable(first + row, f"its product is {name!r}, not {product!r}") for row in rows)
        first += part.size


def _columns_of(
    cls: type[DataProduct], release: str | None, names: Sequence[str], table: Any, constants: Mapping[str, Any]
) -> list[str]:
    """Return the columns that the product takes; refuse a table that lacks one, before anything is brought."""
    given = constants if release is None else {"release": release, **constants}
    found = match_columns(names, cls.wanted_columns(given), origin=_origin(table))
    probe = {**given, **dict.fromkeys(found, ())}
    try:
        cls(**probe)
    except MissingParameter as error:
        raise cls.without_column(error, _origin(table), names, which_table(table)) from None
    return list(dict.fromkeys(found.values()))


def _groups(
    part: Columns, told: Mapping[str, str], product: str | None, release: str | None
) -> dict[tuple[Any, Any], Sequence[int]]:
    """Return the rows of each product and release, without those that have not a cell for each column."""
    usable = [row for row in range(part.size) if row not in part.ragged] if part.ragged else range(part.size)
    if not told:
        return {(product, release): usable}
    products = list(map(_product_in, part[told["product"]])) if "product" in told else [product] * part.size
    releases = part[told["release"]] if "release" in told else [release] * part.size
    groups: dict[tuple[Any, Any], list[int]] = {}
    for row in usable:
        groups.setdefault((products[row], releases[row]), []).append(row)
    return dict(groups)


def _product_in(cell: Any) -> Any:
    """Return the product that a cell names; None for a blank one, which in a column of floats is NaN."""
    return None if is_blank(cell) else name_in(cell)


def _is_of(registry: Registry, name: Any, product: str) -> bool:
    """Whether a cell, if it is not empty, names the product, maybe by another of its names."""
    if name is None or name == product:
        return True
    return name in registry and registry.declaration(name).name == registry.declaration(product).name


def _batches(
    registry: Registry,
    name: Any,
    release: Any,
    part: Columns,
    rows: Sequence[int],
    first: int,
    constants: Mapping[str, Any],
) -> Iterator[Rows]:
    given = dict(constants) if release is None else {"release": release, **constants}
    try:
        if name is None:
            raise BadValue("its product is masked or empty")
        cls = registry[name]
        wanted = match_columns(_filled(part, rows), cls.wanted_columns(given), origin=part.origin)
    except (AstraRegistryError, TypeError) as error:
        yield from (_unusable(first + row, error) for row in rows)
        return
    everything = len(rows) == part.size
    columns = {
        parameter: part[column] if everything else [part[column][row] for row in rows]
        for parameter, column in wanted.items()
    }
    yield from _usable(cls, cls.with_whole_numbers(columns, are_of_file=part.is_of_file), given, rows, first)


def _filled(part: Columns, rows: Sequence[int]) -> list[str]:
    """Return the columns that tell these rows something; all of them where that is no question.

    A table of several products has columns that only one of them fills.
    """
    if len(rows) == part.size:
        return list(part)
    return [name for name, column in part.items() if any(not is_blank(column[row]) for row in rows)]


def _usable(
    cls: type[DataProduct],
    columns: Mapping[str, Sequence[Any]],
    given: Mapping[str, Any],
    rows: Sequence[int],
    first: int,
) -> Iterator[Rows]:
    """Yield the rows as one batch; when one of them cannot be used, look for it by halves."""
    if not rows:
        return
    try:
        if len(rows) > 1:
            made = cls(**columns, **given)
        else:
            made = cls(**{name: column[0] for name, column in columns.items()}, **given)
            if made.is_batch_mode and len(made) != 1:
                raise BadValue(f"its {_of_several(columns)} has several values: a row names one file")
        _ = made.local_path  # a value may be fine by itself, and not in a path
    except AstraRegistryError as error:
        if len(rows) == 1 or not isinstance(error, BadValue):
            yield from (_unusable(first + row, error) for row in rows)
            return
    else:
        yield Rows(made, [first + row for row in rows])
        return
    half = len(rows) // 2
    for part in (slice(None, half), slice(half, None)):
        yield from _usable(cls, {name: column[part] for name, column in columns.items()}, given, rows[part], first)


def _of_several(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return the name of the column whose first cell is not one value."""
    cells = {name: column[0] for name, column in columns.items() if not isinstance(column[0], (str, bytes))}
    return next(name for name, cell in cells.items() if hasattr(cell, "__len__") and len(cell) != 1)


def _unusable(row: int, reason: object) -> Rows:
    return Rows(UnusableRow(row, reason), (row,))


def _origin(table: Any) -> str:
    return str(table) if isinstance(table, str) else "the table"
