"""The rsync servers of one run: whether they are worth asking, and how many of our own are there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.transports.breaker import Breaker
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.rsync_end import Busy, NoAnswer
from astra_registry.fetching.transports.rsync_source import Source
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Fetched


class RsyncServer:
    """One of them; several groups are brought from it at once."""

    def __init__(self, authority: str) -> None:
        self._breaker = Breaker(authority)
        self.refusal = self._breaker.refusal
        self.is_closed = False  # it took no connection: what has another way goes that way
        self.is_bare = False  # its modules lie at the top, without a "sas" above them
        self._lock = threading.Lock()
        self._visits = 0  # of our own, at this moment …
        self._left = 0  # … and those that were let in, and are over

    def gave_up(self, setbacks: Iterable[object]) -> None:
        """Note with which setbacks files were given up: those count for which the server is to blame."""
        reasons = [str(setback) for setback in setbacks if isinstance(setback, Setback) and setback.unreachable]
        if reasons:
            self._breaker.gave_up(reasons[-1], len(reasons))

    def note(self, outcome: object) -> None:
        """Note what came of a file, as far as it tells whether the server works."""
        if isinstance(outcome, NoAnswer):
            self.is_closed = True
        elif isinstance(outcome, (Fetched, FileMissing, Unauthorized)):
            self._breaker.answered()
            self.is_closed = False

    @contextlib.contextmanager
    def visited(self) -> Iterator[None]:
        """Be there as long as the block lasts; one that ends with Busy was not let in."""
        with self._lock:
            self._visits += 1
        was_let_in = True
        try:
            yield
        except Busy:
            was_let_in = False
            raise
        finally:
            with self._lock:
                self._visits -= 1
                self._left += was_let_in

    def is_left_by_one_of_us(self, wait: Callable[[], None]) -> bool:
        """Wait until one of our own has left, who had been let in; False where others fill the server."""
        with self._lock:
            left, is_ours = self._left, self._visits > 0
        while self._visits and self._left == left:
            wait()
        if is_ours:
            wait()  # it notes a moment later that there is room
        return is_ours


class RsyncServers:
    """The servers of a run by their origins, and by the URLs of their files."""

    def __init__(self) -> None:
        self._servers: dict[Origin, RsyncServer] = {}

    def __getitem__(self, origin: Origin) -> RsyncServer:
        return self._servers.get(origin) or self._servers.setdefault(origin, RsyncServer(origin.authority))

    def of(self, url: str) -> RsyncServer:
        """Return a file's server; what has no place at one has a server without a name, which nobody asks."""
        try:
            return self[Source.of(url).origin]
        except TransferFailed:
            return self[Origin("rsync", "", 0)]
