"""The rsync servers of one run, and whether they are worth asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from astra_registry.errors import TransferFailed
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.rsync import Source
from astra_registry.fetching.transports.setbacks import Setback

# So many files in a row that were given up because of the server, and it is left alone for a while.
BREAKS_AFTER = 10
PROBE_EVERY = 30.0  # seconds


class RsyncServer:
    """One of them; several groups are brought from it at once."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._lock = threading.Lock()
        self._given_up = 0
        self._reason = ""
        self._next_probe = 0.0
        self.is_closed = False  # it took no connection: what has another way goes that way

    def refusal(self) -> str:
        """Return why it is left alone; empty where it may be asked, as by one group now and then that tries."""
        with self._lock:
            now = time.monotonic()
            if self._given_up < BREAKS_AFTER:
                return ""
            if now >= self._next_probe:
                self._next_probe = now + PROBE_EVERY
                return ""
            return (
                f"{self._given_up} files in a row failed at {self._authority} ({self._reason}); "
                "run it again when the server is back"
            )

    def gave_up(self, setbacks: Iterable[object]) -> None:
        """Note with which setbacks files were given up: those count for which the server is to blame."""
        reasons = [str(setback) for setback in setbacks if isinstance(setback, Setback) and setback.unreachable]
        with self._lock:
            self._given_up += len(reasons)
            self._reason = reasons[-1] if reasons else self._reason
            if self._given_up >= BREAKS_AFTER:
                self._next_probe = time.monotonic() + PROBE_EVERY

    def answered(self) -> None:
        """Note that it works."""
        with self._lock:
            self._given_up = 0
            self.is_closed = False


class RsyncServers:
    """The servers of a run by the URLs of their files."""

    def __init__(self) -> None:
        self._servers: dict[Origin, RsyncServer] = {}

    def of(self, url: str) -> RsyncServer:
        """Return a file's server; what has no place at one has a server without a name, which nobody asks."""
        try:
            origin = Source.of(url).origin
        except TransferFailed:
            origin = Origin("rsync", "", 0)
        return self._servers.setdefault(origin, RsyncServer(origin.authority))
