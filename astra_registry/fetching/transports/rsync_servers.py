"""The rsync servers of one run, and whether they are worth asking."""

from __future__ import annotations

from collections.abc import Iterable

from astra_registry.errors import TransferFailed
from astra_registry.fetching.transports.breaker import Breaker
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.rsync_source import Source
from astra_registry.fetching.transports.setbacks import Setback


class RsyncServer:
    """One of them; several groups are brought from it at once."""

    def __init__(self, authority: str) -> None:
        self._breaker = Breaker(authority)
        self.refusal = self._breaker.refusal
        self.is_closed = False  # it took no connection: what has another way goes that way

    def gave_up(self, setbacks: Iterable[object]) -> None:
        """Note with which setbacks files were given up: those count for which the server is to blame."""
        reasons = [str(setback) for setback in setbacks if isinstance(setback, Setback) and setback.unreachable]
        if reasons:
            self._breaker.gave_up(reasons[-1], len(reasons))

    def answered(self) -> None:
        """Note that it works."""
        self._breaker.answered()
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
