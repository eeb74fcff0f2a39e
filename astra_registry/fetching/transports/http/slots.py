"""So many at once: who asks first is served first, and whoever others wait for before them."""

from __future__ import annotations

import threading
from collections import deque


class Slots:
    """A number of places to be held for a while; its methods may be called from many threads."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._lock = threading.Lock()
        # Each who waits has a lock of its own, which is opened when a place is its: nobody else is woken.
        self._ahead: deque[threading.Lock] = deque()
        self._waiting: deque[threading.Lock] = deque()

    def acquire_free(self) -> bool:
        """Take a place if one is free; whether it was."""
        with self._lock:
            is_free = self._free > 0
            self._free -= is_free
            return is_free

    def acquire(self, *, ahead: bool = False) -> None:
        """Wait for a place; ``ahead`` of those who do not say so."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            queue = self._ahead if ahead else self._waiting
            queue.append(turn)
        try:
            turn.acquire()
        except BaseException:
            # A Ctrl-C while it waits: the place is another's, also where it came in this very moment.
            with self._lock:
                is_still_waiting = turn in queue
                if is_still_waiting:
                    queue.remove(turn)
            if not is_still_waiting:
                self.release()
            raise

    def release(self) -> None:
        """Give a place up, to the one who waits longest."""
        with self._lock:
            queue = self._ahead or self._waiting
            if queue:
                queue.popleft().release()
            else:
                self._free += 1

    @property
    def free(self) -> int:
        """How many places nobody holds."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._ahead) + len(self._waiting)
