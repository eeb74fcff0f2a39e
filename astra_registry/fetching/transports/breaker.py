"""A server that fails file after file is left alone, but for a try now and then."""

from __future__ import annotations

import threading
import time

# So many files in a row that were given up because of the server, and it is left alone for a while.
BREAKS_AFTER = 10
PROBE_EVERY = 30.0  # seconds


class Breaker:
    """The files in a row that one server failed; may be used from many threads."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._lock = threading.Lock()
        self._failed = 0
        self._reason = ""
        self._next_probe = 0.0

    def refusal(self) -> str:
        """Return why the server is left alone; empty where it may be asked, as by one file now and then that tries."""
        if self._failed < BREAKS_AFTER:
            return ""
        with self._lock:
            now = time.monotonic()
            if self._failed < BREAKS_AFTER or now >= self._next_probe:
                self._next_probe = now + PROBE_EVERY
                return ""
            return (
                f"{self._failed} files in a row failed at {self._authority} ({self._reason}); "
                "run it again when the server is back"
            )

    def gave_up(self, reason: str, files: int = 1) -> None:
        """Note that files were given up, and the server is to blame."""
        with self._lock:
            self._failed += files
            self._reason = reason
            if self._failed >= BREAKS_AFTER:
                self._next_probe = time.monotonic() + PROBE_EVERY

    def answered(self) -> None:
        """Note that the server works."""
        if self._failed:
            with self._lock:
                self._failed = 0
