"""What came of a fetch: one result an item, and the report that holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import attrs

from astra_registry import notebook
from astra_registry.errors import BadTable, FileFailed, FileMissing, TransferFailed, Unauthorized

if TYPE_CHECKING:
    from astropy.table import Table

STATUSES = ("fetched", "present", "missing", "unauthorized", "failed")


@attrs.frozen
class Member:
    """The product of one row of a batch, made only when somebody wants it."""

    batch: Any
    index: int

    def product(self) -> Any:
        """Return it."""
        return self.batch[self.index]

    # What is asked of each of them the batch tells, so that none is made for it.

    @property
    def sdss_data_model_name(self) -> str | None:
        """The product's name."""
        return getattr(self.batch, "sdss_data_model_name", None)

    @property
    def public(self) -> bool:
        """Whether it is to be treated as public."""
        return getattr(self.batch, "public", False)

    @property
    def release(self) -> str | None:
        """The product's release."""
        return getattr(self.batch, "release", None)


@attrs.frozen
class FetchResult:
    """What came of one file.

    ``row`` is the row of the table, the line of the list, or the place among the products that asked for it first.
    ``status`` is one of `STATUSES`; ``bytes`` the size on disk (None when it is not here); ``attempts`` the number of
    requests made for it; ``error`` one line, or None.
    """

    url: str | None
    path: str | None
    status: str
    bytes: int | None = None
    sha1: str | None = None
    seconds: float = 0.0
    attempts: int = 0
    error: str | None = None
    row: int | None = None
    cause: Exception | None = attrs.field(default=None, repr=False, eq=False)
    source: Any = attrs.field(default=None, repr=False, eq=False)  # a product, a Member, or None

    @property
    def product(self) -> Any:
        """The product whose file it is; None for a plain URL."""
        return self.source.product() if isinstance(self.source, Member) else self.source

    @property
    def ok(self) -> bool:
        """Whether the file is here, and whole."""
        return self.status in ("fetched", "present")

    def _repr_html_(self) -> str:
        return notebook.of_result(self)

    def raise_for_failure(self) -> None:
        """Raise the reason when the file is not here: FileMissing, Unauthorized, TransferFailed, CorruptFile, ..."""
        if self.ok:
            return
        if self.cause is not None:
            raise self.cause
        kind = {"missing": FileMissing, "unauthorized": Unauthorized}.get(self.status, TransferFailed)
        raise kind(self.error or "the file is not here")


class FetchReport(Sequence[FetchResult]):
    """The results of a fetch, in the order in which they came."""

    def __init__(self, results: Iterable[FetchResult] = ()) -> None:
        self._results = tuple(results)

    @overload
    def __getitem__(self, index: int) -> FetchResult: ...
    @overload
    def __getitem__(self, index: slice) -> FetchReport: ...
    def __getitem__(self, index: int | slice) -> FetchResult | FetchReport:
        if isinstance(index, slice):
            return FetchReport(self._results[index])
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[FetchResult]:
        return iter(self._results)

    def __repr__(self) -> str:
        return f"<FetchReport: {self.summary()}>"

    def _repr_html_(self) -> str:
        return notebook.of_report(self)

    def summary(self) -> str:
        """Return one line: ``3 fetched, 1 missing; 1,234 bytes``."""
        counts = Counter(result.status for result in self._results)
        told = ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status]) or "nothing to fetch"
        return f"{told}; {self.bytes:,} bytes"

    @property
    def failed(self) -> FetchReport:
        """The results whose file is not here."""
        return FetchReport(result for result in self._results if not result.ok)

    @property
    def bytes(self) -> int:
        """The size of the files that were fetched (not of those present), with what earlier runs brought of them."""
        return sum(result.bytes or 0 for result in self._results if result.status == "fetched")

    def to_table(self) -> Table:
        """Return the results as an astropy Table, one row a file; what is unknown is masked."""
        from astropy.table import MaskedColumn, Table

        values = {
            "product": [getattr(result.source, "sdss_data_model_name", None) for result in self._results],
            "release": [getattr(result.source, "release", None) for result in self._results],
        }
        table = Table()
        for name, (kind, unit, description) in COLUMNS.items():
            column, mask = _column(values.get(name) or [getattr(r, name) for r in self._results], kind)
            table[name] = MaskedColumn(column, mask=mask, unit=unit, description=description)
        for name in ("row", "bytes", "attempts"):
            table[name].fill_value = -1  # astropy's own, 999999, is a size that a file may have
        return table

    @classmethod
    def from_table(cls, table: Any) -> FetchReport:
        """Return the report that `to_table` made into a table, or into a file of one; its results have no `product`.

        Of a file that `fetch --report` wrote the lines of doubles are left out, as each file has one result. Raises
        BadTable when it is no such table.
        """
        from astra_registry.conversion import MASKED
        from astra_registry.tables import read_columns

        fields = [field.name for field in attrs.fields(FetchResult) if field.name in COLUMNS]

        def needed(there: Sequence[str]) -> list[str]:  # the reports of 1.0.0 tell no rows
            return [name for name in [*fields, SAME_AS] if name not in ("row", SAME_AS) or name in there]

        columns = read_columns(table, columns=needed)
        names = [name for name in fields if name in columns]
        doubles = columns.get(SAME_AS, [MASKED] * columns.size)
        results = []
        for number, (same_as, *line) in enumerate(zip(doubles, *(columns[name] for name in names), strict=True)):
            if _is_told(same_as):
                continue
            given = {name: value for name, value in zip(names, line, strict=True) if _is_told(value)}
            try:
                told: dict[str, Any] = {name: COLUMNS[name][0](value) for name, value in given.items()}
            except ValueError as error:
                raise BadTable(f"row {number} of {columns.origin} is no result of a fetch: {error}") from None
            if told.get("status") not in STATUSES:
                known = ", ".join(STATUSES)
                raise BadTable(f"row {number} of {columns.origin} has the status {told.get('status')!r}, not {known}")
            places: dict[str, Any] = {"url": None, "path": None}
            results.append(FetchResult(**places | told))
        return cls(results)

    def raise_for_failures(self) -> None:
        """Raise when a file is not here: the reason of the first, with the number of all."""
        failed = self.failed
        if not failed:
            return
        if len(failed) == 1:
            failed[0].raise_for_failure()
        kinds = {type(result.cause) for result in failed}
        # One reason for all has its own name; different ones have only this in common, that the files are not here.
        same = next((kind for kind in (FileMissing, Unauthorized) if kinds == {kind}), FileFailed)
        raise same(self._told(failed))

    def _told(self, failed: FetchReport) -> str:
        where = failed[0].path or failed[0].url
        first = f"{where}: {failed[0].error}" if where else failed[0].error
        return f"{len(failed):,} of {len(self):,} files are not here; the first: {first}"


#: Of each column of the table: its type, unit and description.
COLUMNS: dict[str, tuple[type, str | None, str]] = {
    "row": (int, None, "The row of the table that asked for the file, from 0; the line of a list."),
    "product": (str, None, "The name of the data product."),
    "release": (str, None, "The data release."),
    "url": (str, None, "Where the file comes from."),
    "path": (str, None, "Where the file is kept."),
    "status": (str, None, f"What came of it: {', '.join(STATUSES)}."),
    "bytes": (int, "byte", "The size of the file on disk."),
    "sha1": (str, None, "The SHA-1 checksum of the file."),
    "seconds": (float, "s", "How long it took."),
    "attempts": (int, None, "How many requests were made for it."),
    "error": (str, None, "Why the file is not here."),
}


#: The column of a report on disk that tells doubles: they have lines there, and no results.
SAME_AS = "same_as"


def _is_told(value: Any) -> bool:
    """Whether a cell has a value: it is not masked, empty, or pandas' NaN."""
    from astra_registry.conversion import MASKED

    return value is not MASKED and value != "" and value == value


def _column(values: list[Any], kind: type) -> tuple[Any, list[bool]]:
    import numpy as np

    filled = [kind() if value is None else value for value in values]
    return np.array(filled, dtype=kind), [value is None for value in values]
