"""What is to be fetched: products, batches and URLs as a stream of items, each with its URLs and its path."""

from __future__ import annotations

import contextvars
import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from astra_registry.errors import AstraRegistryError, BadValue, TransferFailed
from astra_registry.fetching.disk.entries import Entry
from astra_registry.fetching.report import Member


@attrs.frozen
class Wanted:
    """One file: the URLs where it may be, in order, and the path where it shall be.

    ``error`` stands for a row that cannot be used; it becomes a result of its own. ``size`` and ``sha1`` are what a
    lock file demands, ``known`` what was recorded of the file that lies there, where it was touched since.
    """

    urls: tuple[str, ...]
    path: str
    product: Any = None  # a product, or the Member of a batch
    error: Exception | None = None
    size: int | None = None
    sha1: str | None = None
    known: Entry | None = None
    row: int | None = None  # that asked for it

    @property
    def refusal(self) -> Exception | None:
        """Why it cannot even be tried; None for what can."""
        return self.error or (None if self.urls else TransferFailed("there is no URL for it"))


@attrs.frozen
class Rows:
    """A product, a batch, or why there is none, with the numbers of the rows or lines that asked for it."""

    product: Any
    numbers: Sequence[int]


def wanted_items(products: Any, *, sas_base_dir: str | None = None, remote_base: str | None = None) -> Iterator[Wanted]:
    """Give the items of a product, a batch, an item, or an iterable of them; one at a time, nothing is gathered.

    They are numbered as they come, unless `Rows` tell their numbers. Paths and URLs follow from the settings in force
    now, whenever the items are taken; ``sas_base_dir`` and ``remote_base`` override those of their names.
    """
    from astra_registry.settings import override

    is_class = isinstance(products, type)
    if isinstance(products, Wanted) or (
        not is_class and (hasattr(products, "is_batch_mode") or hasattr(products, "local_path"))
    ):
        products = (products,)
    elif isinstance(products, (str, bytes)) or not isinstance(products, Iterable):
        raise BadValue(f"products, batches of them or Wanted items can be fetched, not {products!r}")
    with override(sas_base_dir=sas_base_dir, remote_base=remote_base):
        settings = contextvars.copy_context()
    return _items(products, settings)


def _items(products: Iterable[Any], settings: contextvars.Context) -> Iterator[Wanted]:
    # Not all of it runs in the context of those settings: whoever makes the products has settings of their own.
    count = itertools.count()
    for given in products:
        product, numbers = (given.product, iter(given.numbers)) if isinstance(given, Rows) else (given, count)
        if isinstance(product, Wanted):
            yield attrs.evolve(product, row=next(numbers))
        elif isinstance(product, Exception):
            yield Wanted((), "", error=product, row=next(numbers))
        elif isinstance(product, type):
            raise BadValue(f"{product.__name__} is a class of products: give it the parameters of one, or of a batch")
        elif getattr(product, "is_batch_mode", False):
            yield from _of_batch(product, settings, numbers)
        elif hasattr(product, "remote_path"):
            yield _of_product(product, settings, next(numbers))
        else:
            raise BadValue(f"products, batches of them or Wanted items can be fetched, not {product!r}")


def _of_product(product: Any, settings: contextvars.Context, row: int) -> Wanted:
    try:
        path, urls = settings.run(_places, product)
    except AstraRegistryError as error:
        return Wanted((), "", product, error, row=row)
    return Wanted(urls, path, product, row=row)


def _places(product: Any) -> tuple[str, tuple[str, ...]]:
    return product.local_path, (product.remote_path, *getattr(product, "further_remote_paths", ()))


def _of_batch(batch: Any, settings: contextvars.Context, numbers: Iterator[int]) -> Iterator[Wanted]:
    try:
        paths, urls, further = settings.run(_columns, batch)
    except AstraRegistryError as error:
        for index in range(len(batch)):
            yield Wanted((), "", Member(batch, index), error, row=next(numbers))
        return
    for index, path in enumerate(paths):
        more = further[index] if further else ()
        yield Wanted((urls[index], *more), path, Member(batch, index), row=next(numbers))


def _columns(batch: Any) -> tuple[list[str], list[str], list[Any]]:
    return batch.local_paths, batch.remote_paths, getattr(batch, "further_remote_paths", None) or []


def count_of(products: Any) -> int | None:
    """Return how many files there will be at most, when that can be told without making them."""
    if isinstance(products, Wanted):
        return 1
    if getattr(products, "is_batch_mode", False):
        return len(products)
    if hasattr(products, "local_path"):
        return 1
    if not isinstance(products, (list, tuple)):
        return None
    return sum(len(one) if getattr(one, "is_batch_mode", False) is True else 1 for one in products)


class Seen:
    """Which paths have come already: 8 to 32 bytes each, for lists that are too long for a set of strings.

    It keeps hashes of 64 bits. Among a million different paths two share one with a chance of 3 in 100 million.
    """

    def __init__(self) -> None:
        # Many small tables: growing one takes the room of two, and it is not the whole that grows.
        self._tables = [_Hashes() for _ in range(64)]

    def add(self, path: str) -> bool:
        """Note a path; False when it was here before."""
        value = hash(path) & 0xFFFFFFFFFFFFFFFF or 1  # 0 is an empty place
        return self._tables[value >> 58].add(value)


class _Hashes:
    """An open table of numbers."""

    def __init__(self) -> None:
        self._table = array("Q", [0]) * 16
        self._count = 0

    def add(self, value: int) -> bool:
        if 2 * self._count >= len(self._table):
            self._grow()
        if not self._place(self._table, value):
            return False
        self._count += 1
        return True

    @staticmethod
    def _place(table: array[int], value: int) -> bool:
        mask = len(table) - 1
        at = value & mask
        while (there := table[at]) != 0:
            if there == value:
                return False
            at = (at + 1) & mask
        table[at] = value
        return True

    def _grow(self) -> None:
        larger = array("Q", [0]) * (2 * len(self._table))
        for value in self._table:
            if value:
                self._place(larger, value)
        self._table = larger
