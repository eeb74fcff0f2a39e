"""One task or many: columns instead of objects, and members made when they are asked for."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

from astra_registry.conversion import Column
from astra_registry.errors import BadTable, BadValue, MissingParameter
from astra_registry.parameters import REQUIRED, is_column, plain_column
from astra_registry.task.identity import SCALARS, Identified, as_text, told_by_class

if TYPE_CHECKING:
    from astra_registry.tables import Columns

INFINITY = float("inf")
# Text by their type, for some releases have names in their place (fields, v5_13_0), and in many tables numbers. Other
# versions, as apred, are not among them: 1.0 is one of these.
_NUMBERS_IN_TABLES = frozenset({"plate", "field", "fieldid", "location", "rerun", "run1d", "run2d"})


class Batched(Identified):
    """A task that is scalar, or holds columns: a batch, like an array-valued SkyCoord."""

    max_batch_size: ClassVar[float] = INFINITY

    def _fill(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        """Take values that are converted already; what was not given is None."""
        self.__dict__.update(dict.fromkeys(self._parameters), **values)
        size = next((len(v) for a, v in values.items() if v is not None and self._is_column(a, v)), None)
        self.__dict__.update(_origins=origins, _size=size)

    @property
    def is_batch_mode(self) -> bool:
        """Whether any batch parameter holds a sequence."""
        return self._size is not None

    @told_by_class
    def batchable(cls) -> bool:  # noqa: N805 - the class is asked
        """Whether the class has batch parameters."""
        return bool(cls.batch_param_names())

    @classmethod
    def batch_param_names(cls) -> list[str]:
        """Return the names of the parameters that may hold a sequence."""
        return [p.name for p in cls._parameters.values() if p.batch]

    def get_batch_size(self) -> int:
        """Return the number of members; 1 for a single task."""
        return 1 if self._size is None else self._size

    def get_batch_task_kwds(self, include_non_batch_keywords: bool = True) -> Iterator[dict[str, Any]]:
        """Yield the keywords of each member, as many as `get_batch_size` says; scalars are repeated."""
        shared: dict[str, Any] = {}
        columns: dict[str, Sequence[Any]] = {}
        for attribute, declaration in self._parameters.items():
            value = self.__dict__[attribute]
            if value is not None and self._is_column(attribute, value):
                columns[declaration.name] = value
            elif declaration.batch or include_non_batch_keywords:
                shared[declaration.name] = value
        order = [p.name for p in self._parameters.values() if p.name in columns or p.name in shared]
        if not columns:
            yield {name: shared[name] for name in order}
            return
        for row in zip(*columns.values(), strict=True):
            values = {**shared, **dict(zip(columns, row, strict=True))}
            yield {name: values[name] for name in order}

    def get_batch_tasks(self) -> Iterator[Self]:
        """Yield the members in order, doubles kept; a single task is its own only member."""
        if self._size is None:
            yield self
            return
        for i in range(self._size):
            yield self[i]

    def __len__(self) -> int:
        return self.get_batch_size()

    def __bool__(self) -> bool:
        return True  # a task is not a container first: an empty batch is still a task

    def __iter__(self) -> Iterator[Self]:
        return self.get_batch_tasks()

    @overload
    def __getitem__(self, index: int) -> Self: ...
    @overload
    def __getitem__(self, index: slice | Sequence[Any]) -> Self: ...
    def __getitem__(self, index: int | slice | Sequence[Any]) -> Self:
        """Return a member, or the batch of several: of a slice, of a mask of truth values, of a sequence of places."""
        if self._size is None:
            raise TypeError(f"{self!r} is no batch: it has no members to index")
        values = dict(self.__dict__)
        for name in [name for name in values if name not in self._parameters]:
            del values[name]  # what is cached belongs to the batch
        rows = _places(index, self._size)
        for attribute in self._columns():
            column = values[attribute]
            if isinstance(rows, list):
                part = column[rows] if type(column) is not Column else [column[row] for row in rows]
            else:
                part = column[rows]
            values[attribute] = Column(part) if type(column) is Column and not isinstance(rows, int) else part
        member = type(self).__new__(type(self))
        size = None if isinstance(rows, int) else len(range(self._size)[rows] if isinstance(rows, slice) else rows)
        member.__dict__.update(values, _origins=self._origins, _size=size)
        return member

    def _columns(self) -> list[str]:
        return [a for a in self._parameters if self.__dict__[a] is not None and self._is_column(a, self.__dict__[a])]

    def split(self, size: float | None = None) -> Iterator[Self]:
        """Yield this batch in parts of at most `size` (by default `max_batch_size`) members."""
        limit = self.max_batch_size if size is None else size
        if limit < 1:
            raise BadValue(f"a part of a batch has at least one member, not {limit}")
        if self._size is None or self._size <= limit:
            yield self
            return
        step = int(limit)
        for start in range(0, self._size, step):
            yield self[start : start + step]

    @classmethod
    def from_members(cls, members: Iterable[Mapping[str, str] | str]) -> Self:
        """Return the batch of members given in their text form (mappings, or the same as JSON), in order.

        BadValue when they differ in what is no batch parameter; but what does not tell one task from another is left
        out then, for each may have been written by somebody else.
        """
        parsed = [json.loads(member) if isinstance(member, str) else member for member in members]
        if not parsed:
            empty: dict[str, Any] = dict.fromkeys(cls._needed_columns({}) or cls.batch_param_names()[:1], ())
            return cls(**empty)
        constants: dict[str, Any] = {}
        columns: dict[str, list[str | None]] = {}
        batch_names, significant = set(cls.batch_param_names()), set(cls.get_param_names())
        for name in parsed[0]:
            column = [member.get(name) for member in parsed]
            if name in batch_names and None not in column:
                columns[name] = column
            elif len(set(column)) == 1:
                constants[name] = column[0]
            elif name in significant:
                raise BadValue(f"members of one batch share their {name}, which is no batch parameter")
        return cls.from_str_params(
            {
                **constants,
                **{name: json.dumps(column, ensure_ascii=False) for name, column in columns.items()},
                "__columns__": ",".join(columns),
            }
        )

    @classmethod
    def from_table(cls, table: Any, **constants: Any) -> Self:
        """Return the batch of a table's rows.

        Parameters
        ----------
        table
            An astropy Table, a mapping of columns, or the path of a CSV, ECSV, FITS, VOTable, Parquet, Feather or ORC
            file, or of another table of text that astropy reads.
            Columns are matched to parameters by name, then without case, then by alias (``APOGEE_ID`` is ``obj``).
            A list without rows is a batch of none.
        constants
            Values for all rows, the release among them; they win over columns. Without a release, a column of that
            name tells it, when it is the same in all rows.

        Raises BadTable when a needed column lacks, or when the rows are of several releases, or by a column ``product``
        of another one; InvalidParameter (naming the row) for a cell that cannot be used.

        """
        from astra_registry.tables import column_names, which_table

        columns, constants = cls._read(table, constants)
        fixed = cls._by_attribute(constants)
        cells = cls.with_whole_numbers(columns, are_of_file=columns.is_of_file)
        given = {**{name: cells[name] for name in cells if cls._spellings[name] not in fixed}, **constants}
        # Of the rows of a query that found none, nobody knows the columns.
        needed = cls._needed_columns(constants) if isinstance(table, (list, tuple)) and not table else []
        given |= dict.fromkeys(needed, ())
        if not columns and not needed:  # constants alone: as many equal rows as the table has
            for attribute in fixed:
                if cls._parameters[attribute].batch:
                    name = next(name for name in given if cls._spellings[name] == attribute)
                    given[name] = [given[name]] * columns.size
        try:
            return cls(**given)
        except MissingParameter as error:
            raise cls.without_column(error, columns.origin, column_names(table), which_table(table)) from None

    @classmethod
    def _read(cls, table: Any, constants: dict[str, Any]) -> tuple[Columns, dict[str, Any]]:
        """Return the columns that a table gives besides these constants, and the constants."""
        from astra_registry.tables import read_columns

        return read_columns(table, columns=cls.wanted_columns(constants)), constants

    @classmethod
    def _needed_columns(cls, constants: Mapping[str, Any]) -> list[str]:
        """Return the parameters without which there is no batch, whatever the table."""
        values = cls._converted(cls._by_attribute(constants))
        defaults = {name: cls._default(cls._spellings[name], values) for name in cls.wanted_columns(constants)}
        return [
            name
            for name, default in defaults.items()
            if default is REQUIRED or (default is None and cls._lacks(cls._spellings[name], values))
        ]

    @classmethod
    def wanted_columns(cls, constants: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Return the parameters that a table may give besides these constants, with the names a column may have."""
        fixed = cls._by_attribute(constants)
        values = cls._converted(fixed)
        used = cls._used_parameters(values)
        return {
            p.name: (*([first] if (first := p.columns.get(values.get("release", ""))) else []), p.name, a, *p.aliases)
            for a, p in cls._parameters.items()
            if p.batch and a in used and a not in fixed
        }

    @classmethod
    def spellings_in_tables(cls) -> list[str]:
        """Return every name that a column which this product takes may have, in whatever release."""
        return [name for a, p in cls._parameters.items() for name in (p.name, a, *p.aliases, *p.columns.values())]

    @classmethod
    def without_column(cls, error: MissingParameter, origin: str, names: Sequence[str], which: str) -> BadTable:
        """Return the refusal of a table that lacks a column; it may have one for what all rows share.

        ``which`` tells which table of the file was read, where there are several.
        """
        from astra_registry.tables import match_columns

        alike = match_columns(names, {p.name: (a, *p.aliases) for a, p in cls._parameters.items() if not p.batch})
        hint = f" (not with batch=True declared, and so the same for all rows: {', '.join(alike)})" if alike else ""
        return BadTable(f"{origin}: {error}; its columns are {', '.join(names)}{hint}{f'; {which}' if which else ''}")

    @classmethod
    def with_whole_numbers(cls, columns: Mapping[str, Sequence[Any]], *, are_of_file: bool) -> dict[str, Sequence[Any]]:
        """Return the columns of a table, by parameters, with integers as they are meant: ``212.0`` is 212.

        Of a file the text is read so. A plate, a field or a reduction (``run2d``) is text, because some releases have
        names in their places, and in the tables of others a number.
        """
        from astra_registry.tables import digits, whole_numbers

        types = {p.name: p.type for p in cls._parameters.values()}
        read = dict(columns)
        for name, column in columns.items():
            if types.get(name) is int and are_of_file:
                read[name] = whole_numbers(column)
            elif types.get(name) is str and name in _NUMBERS_IN_TABLES:
                read[name] = digits(column)
        return read

    def to_table(self) -> Any:
        """Return an astropy Table with one row a member and a column for each parameter that has values.

        Values of other types than text, numbers and truth are there as text.
        """
        from astropy.table import Table

        table = Table()
        for attribute, declaration in self._parameters.items():
            value = self.__dict__[attribute]
            if value is None or not (declaration.significant and declaration.visibility == "public"):
                continue
            values = list(value) if self._is_column(attribute, value) else [value] * self.get_batch_size()
            plain = declaration.type in SCALARS
            table[declaration.name] = values if plain else [as_text(declaration, item) for item in values]
            table[declaration.name].description = declaration.doc
            if declaration.unit:
                table[declaration.name].unit = declaration.unit
        return table


def _places(index: Any, size: int) -> int | slice | list[int]:
    """Return which members of a batch are meant. Raises IndexError when there are none such, TypeError for junk."""
    if isinstance(index, slice) or (type(index) is int and 0 <= index < size):
        return index
    if not is_column(index):
        return _place(index, size)
    given = plain_column(index)
    if given and all(isinstance(item, bool) for item in given):
        if len(given) != size:
            raise IndexError(f"the mask has {len(given)} values, and the batch {size} members")
        return [row for row, wanted in enumerate(given) if wanted]
    return [_place(item, size) for item in given]


def _place(index: Any, size: int) -> int:
    if isinstance(index, bool) or type(index).__name__ in ("bool", "bool_"):
        raise TypeError(
            "a member of a batch is told by its place, a slice, a mask or several places, not by one truth value"
        )
    place = operator.index(index)
    if not -size <= place < size:
        raise IndexError(f"the batch has {size} members, and none at {place}")
    return place
