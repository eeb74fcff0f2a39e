"""The hosts of one run: their kept-alive connections, and whether they are worth asking."""

from __future__ import annotations

import threading
import time

from astra_registry.errors import TransferFailed
from astra_registry.fetching.transports.breaker import Breaker
from astra_registry.fetching.transports.http.line import Line
from astra_registry.fetching.transports.http.proxies import proxy_for
from astra_registry.fetching.transports.http.slots import Slots
from astra_registry.fetching.transports.http.wire import Connection
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.setbacks import Stopped

_RESTS = 1.0  # seconds after which a connection at rest is looked at before it is used
DOWN_FOR = 60.0  # seconds that a host with a substitute (a mirror) is passed over after it could not be reached


class Host:
    """One origin: at most so many connections, those at rest ready to be asked again."""

    def __init__(self, origin: Origin, line: Line, connections: int) -> None:
        self.origin = origin
        self._line = line
        self.proxy = proxy_for(origin)
        self._slots = Slots(connections)
        self._idle: list[tuple[Connection, float]] = []  # each with the time since when it rests
        self._lock = threading.Lock()
        self._breaker = Breaker(origin.authority)
        self._pause_until = 0.0
        self._down_until = 0.0

    def queue(self, *, ahead: bool = False) -> None:
        """Wait for a free place, ahead of others where they wait for what comes; `take` has to follow."""
        self._slots.acquire(ahead=ahead)

    def take_place(self) -> bool:
        """Take a place that nobody wants, if there is one; whether there is. `take` has to follow."""
        return self._slots.acquire_free()

    def take(self, patience: float, *, fresh: bool = False) -> Connection:
        """Return a connection in one's place: one at rest (unless it must be ``fresh``), else a new one."""
        try:
            return (None if fresh else self._rested()) or Connection(self.origin, self._line, self.proxy, patience)
        except BaseException:
            self._slots.release()
            raise

    def _rested(self) -> Connection | None:
        """Return a connection at rest that the server has not ended meanwhile, as far as that is known here."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if time.monotonic() - since < _RESTS or connection.surplus() is False:
                return connection
            connection.close()

    def give_back(self, connection: Connection, *, reusable: bool) -> None:
        """Return a connection that `take` gave."""
        if reusable:
            with self._lock:
                self._idle.append((connection, time.monotonic()))
        else:
            connection.close()
        self._slots.release()

    def spare(self, most: int) -> int:
        """Return how many connections (of ``most``) nobody uses now; they are not kept for the caller."""
        return min(most, self._slots.free)

    def close(self) -> None:
        """Close what is at rest."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    # Is it worth asking?

    def check(self) -> None:
        """Raise TransferFailed while the host is left alone, except for one file now and then that tries."""
        if refusal := self._breaker.refusal():
            raise TransferFailed(f"not tried: {refusal}")

    def gave_up(self, reason: str) -> None:
        """Note that a file was given up, and the host is to blame."""
        self._breaker.gave_up(reason)

    def answered(self) -> None:
        """Note that the host works."""
        self._breaker.answered()
        self._down_until = 0.0

    def unreachable(self) -> None:
        """Note that it could not be reached."""
        self._down_until = time.monotonic() + DOWN_FOR

    @property
    def is_down(self) -> bool:
        """Whether it could not be reached just now."""
        return time.monotonic() < self._down_until

    def pause(self, seconds: float) -> None:
        """Ask nothing of it for so long, because it wants that."""
        with self._lock:
            self._pause_until = max(self._pause_until, time.monotonic() + seconds)

    @property
    def pause_left(self) -> float:
        """Seconds until it may be asked again; 0 now."""
        until = self._pause_until
        return max(0.0, until - time.monotonic()) if until else 0.0


class Hosts:
    """The hosts by origin; `end` wakes everybody who waits for one."""

    def __init__(self, line: Line, connections: int) -> None:
        self.line = line
        self._connections = connections
        self._hosts: dict[Origin, Host] = {}
        self._lock = threading.Lock()
        self.stop = threading.Event()

    def __getitem__(self, origin: Origin) -> Host:
        host = self._hosts.get(origin)
        if host is None:
            with self._lock:
                host = self._hosts.setdefault(origin, Host(origin, self.line, self._connections))
        return host

    def end(self) -> None:
        """Stop: whoever sleeps or waits in a transfer is woken."""
        self.stop.set()
        self.line.cut()

    def close(self) -> None:
        """Close every connection at rest."""
        for host in list(self._hosts.values()):
            host.close()

    def sleep(self, seconds: float) -> None:
        """Wait; Stopped when the run ends meanwhile."""
        if self.stop.wait(seconds):
            raise Stopped
