"""What a fetch would do: how many files, how many are here already, how many bytes, and whether the disk has room."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import islice

import attrs

from astra_registry.errors import FileFailed, FileMissing
from astra_registry.fetching.disk.leftovers import Leftovers
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.listings import can_list
from astra_registry.fetching.progress import size_of
from astra_registry.fetching.transports import mounted
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.http.wire import number
from astra_registry.fetching.wanted import Seen, Wanted

_CHUNK = 250
_SECONDS = 10.0  # that the server is asked for sizes


@attrs.frozen
class Plan:
    """The numbers of a fetch before it begins."""

    files: int = 0
    present: int = 0
    unusable: int = 0
    asked: int = 0  # files whose size was asked for
    known: int = 0  # … and told
    known_bytes: int = 0
    missing: int = 0  # of those asked for, not on the server
    begun_bytes: int = 0  # … what earlier runs left of them, as it takes room on the disk
    free: int | None = None  # bytes on the disk of the first file

    @property
    def to_fetch(self) -> int:
        """How many files would be fetched."""
        return self.files - self.present

    @property
    def bytes(self) -> int | None:
        """How many bytes would be fetched: exact when all sizes are known, else an estimate; None when none is."""
        if self.to_fetch == 0:
            return 0
        if not self.known:
            return None
        if not self.is_estimate:
            return self.known_bytes
        # What was not asked for lacks on the server as often as what was.
        return round(self.known_bytes * self.to_fetch / (self.known + self.missing))

    @property
    def bytes_to_come(self) -> int | None:
        """How many bytes will come over the line; None where that is not known exactly."""
        return None if self.is_estimate or self.begun_bytes else self.bytes

    @property
    def is_estimate(self) -> bool:
        """Whether ``bytes`` follows from a part of the files only."""
        return self.known + self.missing < self.to_fetch

    @property
    def has_room(self) -> bool | None:
        """Whether the disk has room; None when nobody knows."""
        return None if self.bytes is None or self.free is None else self.bytes - self.begun_bytes < self.free

    def summary(self) -> str:
        """Return one line for a person."""
        told = [
            f"{self.files:,} file{'' if self.files == 1 else 's'}",
            f"{self.present:,} here already",
            f"{self.to_fetch:,} to fetch",
        ]
        if self.bytes is not None and self.to_fetch:
            told.append(f"{'about ' if self.is_estimate else ''}{size_of(self.bytes)}")
        if self.missing:
            told.append(f"{self.missing:,} of {self.asked:,} asked for are not on the server")
        if self.unusable:
            told.append(f"{self.unusable:,} row{'' if self.unusable == 1 else 's'} cannot be used")
        if self.free is not None:
            room = {True: "", False: ": NOT ENOUGH", None: ""}[self.has_room]
            told.append(f"{size_of(self.free)} free on the disk{room}")
        return ", ".join(told)


def plan(
    items: Iterator[Wanted],
    fetcher: Fetcher,
    *,
    ask: int,
    on_unusable: Callable[[Wanted, object], None] = lambda item, reason: None,
) -> Plan:
    """Return the plan of a fetch. Nothing is fetched; the server is asked for the sizes of at most ``ask`` files.

    The connections for that are the fetcher's, and ready when it begins. Nobody is asked for a login. ``on_unusable``
    is called with an item that cannot be fetched, and the reason.
    """
    counts = {"files": 0, "present": 0, "unusable": 0}
    sample: list[Wanted] = []
    free: int | None = None
    seen = Seen()
    while chunk := list(islice(items, _CHUNK)):
        fresh = []
        for item in chunk:
            if (refusal := item.refusal) is not None:
                counts["unusable"] += 1
                on_unusable(item, refusal)
            elif seen.add(item.path):
                fresh.append(item)
        counts["files"] += len(fresh)
        if fresh and free is None:
            free = _free(fresh[0].path)
        here = [False] * len(fresh) if fetcher.options.overwrite else fetcher.are_here(fresh)
        counts["present"] += sum(here)
        absent = (item for item, is_here in zip(fresh, here, strict=True) if not is_here)
        sample.extend(islice(absent, ask - len(sample)))
    sizes = _sizes(fetcher, sample)
    leftovers = Leftovers()
    told = [size for size in sizes if size is not None and size >= 0]
    return Plan(
        **counts,
        asked=len(sizes),
        known=len(told),
        known_bytes=sum(told),
        missing=sum(size == -1 for size in sizes),
        begun_bytes=sum(_taken_by(part) for item in sample for part in leftovers.of(item.path)),
        free=free,
    )


def _sizes(fetcher: Fetcher, sample: list[Wanted]) -> list[int | None]:
    """Return the sizes as far as the server tells them in a few seconds; -1 for what it has not."""
    until = time.monotonic() + _SECONDS

    def size(item: Wanted) -> int | None:
        for url in item.urls:
            left = until - time.monotonic()
            if left <= 0 or not can_list(url):
                return None
            try:
                if mounted.is_mounted(url):
                    head = mounted.head(url)
                else:
                    public = is_public(url, item.product)
                    head = fetcher.http.head(url, public=public, seconds=left, may_ask=False)
            except FileMissing:
                continue
            except FileFailed:
                return None
            return number(head.get("content-length", ""))
        return -1

    if not sample:
        return []
    from concurrent.futures import ThreadPoolExecutor  # it loads logging

    with ThreadPoolExecutor(min(fetcher.options.jobs, len(sample))) as pool:
        try:
            return list(pool.map(size, sample))
        except BaseException:
            fetcher.close()  # else the pool waits for those that wait for the server
            raise


def _taken_by(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_blocks * 512
    return 0


def _free(path: str) -> int | None:
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return None
