"""How fast a body has to come: one that trickles is as good as silent."""

from __future__ import annotations

import time

from astra_registry.fetching.transports.setbacks import Setback

_SLOWEST = 256  # bytes a second


class Pace:
    """Sees that a body does not trickle for ever: over each window it has to be faster than `_SLOWEST`."""

    def __init__(self, server: str, window: float) -> None:
        self._server = server
        self._window = window
        self._since = time.monotonic()
        self._gained = 0

    def note(self, count: int) -> float:
        """Note that so many bytes came, and return the time; a Setback when they are too few."""
        self._gained += count
        now = time.monotonic()
        seconds = now - self._since
        if seconds > self._window:
            if self._gained < _SLOWEST * seconds:
                raise Setback(f"{self._server} sent {self._gained} bytes in {seconds:.0f} s", unreachable=True)
            self._since, self._gained = now, 0
        return now

    def rested(self, seconds: float) -> None:
        """Leave out the time in which we did not want more, because of our own limit."""
        self._since += seconds
