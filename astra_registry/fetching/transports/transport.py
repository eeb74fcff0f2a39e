"""The seam between the fetcher and the ways to a server: one method."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import attrs

from astra_registry.fetching.disk.parts import Part
from astra_registry.fetching.transports.patience import PROGRESS


@attrs.frozen
class Fetched:
    """What a transport tells of a file that it brought; what it does not know is None."""

    sha1: str | None = None
    mtime: float | None = None  # the server's modification time, seconds since 1970
    etag: str | None = None
    proven: bool = True  # False: nothing told where the file ends, so that its format has to


@runtime_checkable
class Transport(Protocol):
    """Brings one file, whole or with an error: FileMissing, Unauthorized, TransferFailed (Setback: try again)."""

    def fetch(self, url: str, destination: str) -> Fetched | None:
        """Write the file at ``url`` to the path ``destination``, a private name; the fetcher does the rest."""


@attrs.define
class Errand:
    """One file's way as its fetcher sees it; the transports of this package take it as a third argument."""

    part: Part | None = None
    is_public: Callable[[], bool] = lambda: True  # asked only where there is somebody to log in with
    ahead: bool = False  # others wait for it: it goes before them where there is a queue
    may_ask: bool = True  # a person, for a login
    deadline: float = math.inf  # of time.monotonic()
    budget: float = 0.0  # seconds that it has again after progress
    on_bytes: Callable[[int], None] = lambda _: None
    admit: Callable[[int], None] = lambda _: None  # raises for a length that is not the right one
    requests: int = 0
    waits: bool = True  # False: it goes over a connection that nobody else wants, or not at all
    ranges: bool = True  # False once the server has shown that it cannot be trusted with them
    ranges_refused: int = 0  # times in a row
    has_changed: bool = False  # the file, while it came
    is_given: bool = False  # the server has begun to give it
    _unrewarded: int = attrs.field(default=0, init=False)  # bytes

    @property
    def patience(self) -> float:
        """Seconds that are left."""
        return self.deadline - time.monotonic()

    def gained(self, count: int) -> None:
        """Note bytes that came; called from several threads."""
        self.on_bytes(count)
        self._unrewarded += count
        if self._unrewarded >= PROGRESS:
            self._unrewarded = 0
            self.deadline = max(self.deadline, time.monotonic() + self.budget)

    def wait(self, for_something: Callable[[], object]) -> None:
        """Wait for what is not the server's fault (others are served, our own limit): that costs no patience."""
        left = self.patience
        for_something()
        # Of several threads that wait for the same file, each has the same time to spare, and not the sum of all.
        self.deadline = max(self.deadline, time.monotonic() + left)


class Throttle:
    """So many bytes a second, of all transfers together."""

    def __init__(self, rate: float | None, sleep: Callable[[float], None]) -> None:
        self.rate = rate
        self._sleep = sleep
        self._free_at = 0.0
        self._lock = threading.Lock()

    @property
    def piece(self) -> int:
        """How many bytes to read at once, so that the rate is smooth."""
        return 1 << 19 if self.rate is None else max(1024, min(1 << 19, int(self.rate / 8)))

    def spend(self, count: int) -> None:
        """Wait as long as so many bytes take."""
        if self.rate is None:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + count / self.rate
        if start > now:
            self._sleep(start - now)
