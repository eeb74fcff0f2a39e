"""How long to keep trying one file: growing, jittered waits, and an end."""

from __future__ import annotations

import time

from astra_registry.fetching.transports.setbacks import Setback

BUDGET = 85.0  # seconds without progress; with the last time-out's end an item is given up within 90
FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0
LONGEST_RETRY_AFTER = 120.0
WORTHWHILE = 1 << 18  # bytes: a try that brought as much for good was worth it, and the counting begins anew
PROGRESS = 1 << 16  # bytes: when as many came, the time without progress begins anew


class Patience:
    """The patience for one file; `wait_after` a setback tells how long to wait, or that it is enough."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self.budget = BUDGET
        self._left = retries
        self._number = 0
        self.deadline = time.monotonic() + self.budget
        self.reason = ""

    def progress(self, gained: int) -> bool:
        """Note that a try brought so many bytes for good: the next one goes on; return whether it was worth it."""
        if gained < WORTHWHILE:
            return False
        self._left, self._number = self._retries, 0
        self.deadline = time.monotonic() + self.budget
        return True

    def has_waited(self) -> None:
        """Note that the time was spent on a wait that is nobody's fault: only tries count."""
        self.deadline = time.monotonic() + self.budget

    def wait_after(self, setback: Setback) -> float | None:
        """Return the seconds to wait; None, with the ``reason``, when the file is to be given up."""
        asked = setback.retry_after
        if asked is not None and asked > LONGEST_RETRY_AFTER:
            self.reason = f"and asks to come back {_clock(asked)}"
            return None
        if self._left <= 0:
            self.reason = f"given up after {self._retries + 1} {'tries' if self._retries else 'try'}"
            return None
        self._left -= 1
        import random  # for which hashing is set up in all its kinds; most files meet no setback

        is_first = self._number == 0
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0**self._number) * random.uniform(0.5, 1.0)  # noqa: S311 -- to spread
        self._number += 1
        if asked is not None:
            wait = max(asked, wait if asked == 0 else asked * random.uniform(1.0, 1.05))  # noqa: S311
        end = time.monotonic() + wait
        if end >= self.deadline:
            if asked is None or not is_first:
                self.reason = f"given up after {self.budget:.0f} s"
                return None
            # The server's first wish is granted; the file has one more chance at the end of it.
            self._left = 0
            self.deadline = end + 5.0
        return wait


def _clock(seconds: float) -> str:
    try:
        return time.strftime("at %Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() + seconds))
    except (ValueError, OverflowError, OSError):  # the end of all calendars
        return "never"
