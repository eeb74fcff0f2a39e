"""One large file over several connections: its pieces, taken front to back, and the crew that brings them."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Protocol

from astra_registry.errors import FileFailed

_AT_LEAST = 1 << 20  # bytes: with smaller ones more is lost in waiting for answers than is won by ending together


class Pieces:
    """The ranges of a file that nobody has taken yet.

    Each is a share of what is left, so that the first ones cost few requests and the last ones let all connections end
    together; front to back, so that the sha1 can follow.
    """

    def __init__(self, first: int, end: int, takers: int) -> None:
        self.end = end
        self.stopped = False
        self._next = first
        self._takers = takers
        self._lock = threading.Lock()

    def take(self) -> tuple[int, int] | None:
        """Return the next piece, from its first byte to the one behind its last; None when there is no more."""
        with self._lock:
            left = self.end - self._next
            if self.stopped or left <= 0:
                return None
            first = self._next
            length = max(_AT_LEAST, left // (2 * self._takers))
            self._next = self.end if left - length < _AT_LEAST else first + length
            return first, self._next


class Bring(Protocol):
    """Brings a piece."""

    def __call__(self, first: int, end: int, /, *, is_spare: bool) -> None:
        """Bring it from its first byte to the one before ``end``; who is spare, only if that is in nobody's way."""


class Crew:
    """Threads that bring pieces while the context lasts; leaving it waits for them.

    One whom the server refuses or hangs up on ends, and leaves a hole, as does one for whom no connection is free:
    whoever waits for the file goes on, and fills it. What else one of them met is raised.
    """

    def __init__(self, pieces: Pieces, bring: Bring, size: int) -> None:
        self._pieces = pieces
        self._bring = bring
        self._size = size
        self._errors: list[Exception] = []
        self._threads: list[threading.Thread] = []

    def _work(self) -> None:
        try:
            self._help(is_spare=True)
        except FileFailed:
            # Many servers give a file to one connection at a time, or to two.
            return
        except Exception as error:  # noqa: BLE001 -- it is raised again where the file is waited for
            self._errors.append(error)
            self._pieces.stopped = True  # there is no use in the others

    def _help(self, *, is_spare: bool) -> None:
        while (piece := self._pieces.take()) is not None:
            self._bring(*piece, is_spare=is_spare)

    def bring_too(self) -> None:
        """Bring pieces in this thread, as long as there are any."""
        self._help(is_spare=False)

    def __enter__(self) -> Crew:
        with contextlib.suppress(RuntimeError):  # a machine that gives no more threads: those that there are do it
            for _ in range(self._size):
                thread = threading.Thread(target=self._work, name="astra-range", daemon=True)
                thread.start()
                self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._pieces.stopped = True
        for thread in self._threads:
            thread.join()
        if error is None and self._errors:
            raise self._errors[0]
