"""How far a run is: the numbers, and a line for a terminal."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, TextIO

import attrs

if TYPE_CHECKING:
    from astra_registry.fetching.report import FetchResult


@attrs.frozen
class Progress:
    """How far a run is at one moment.

    ``total`` files and ``total_bytes`` are None while nobody knows; ``seconds`` count from the beginning.
    """

    done: int = 0
    total: int | None = None
    fetched: int = 0
    present: int = 0
    failed: int = 0
    bytes: int = 0  # received, those of unfinished files too
    seconds: float = 0.0
    asked: int = 0  # of those done, the ones that a server was asked for
    total_bytes: int | None = None  # to be received

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the bytes that are to come, or else the files that were asked for; None while none is."""
        if self.total_bytes is not None and 0 < self.bytes <= self.total_bytes:
            return (self.total_bytes - self.bytes) * self.seconds / self.bytes
        if self.total is None or self.asked < 1:
            return None
        return (self.total - self.done) * self.seconds / self.asked


class Tally:
    """The numbers of a run as they grow."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.total_bytes: int | None = None
        self._started = time.monotonic()
        self._received = 0
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._asked = 0

    def begin(self) -> None:
        """Count the seconds from now on."""
        self._started = time.monotonic()

    def receive(self, count: int) -> None:
        """Note that bytes came; called from many threads."""
        with self._lock:
            self._received += count

    def note(self, result: FetchResult) -> None:
        """Note what came of a file."""
        self._counts[result.status] += 1
        self._asked += result.attempts > 0
        if result.status in ("unauthorized", "failed") and result.attempts:
            self.total_bytes = None  # its own do not come, and how many these are is not known

    def progress(self) -> Progress:
        """Return how far the run is now."""
        counts = self._counts
        done = counts.total()
        fetched, present = counts["fetched"], counts["present"]
        return Progress(
            done=done,
            total=self.total,
            fetched=fetched,
            present=present,
            failed=done - fetched - present,
            bytes=self._received,
            seconds=time.monotonic() - self._started,
            asked=self._asked,
            total_bytes=self.total_bytes,
        )


class ProgressLine:
    """Shows progress on a terminal, in one line that is written again and again; nothing on anything else.

    ``latest`` is what it was told last, wherever it writes.
    """

    def __init__(self, stream: TextIO, *, every: float = 0.2) -> None:
        self.latest = Progress()
        self._stream = stream
        self._shows = stream.isatty()
        self._every = every
        self._next = 0.0
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show it, unless that was done a moment ago."""
        self.latest = progress
        now = time.monotonic()
        if not self._shows or now < self._next:
            return
        self._next = now + self._every
        self._write(line_of(progress))

    def _write(self, text: str) -> None:
        import shutil

        text = text[: max(20, shutil.get_terminal_size().columns - 1)]
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)

    def clear(self) -> None:
        """Take the line away, before something else is written."""
        if self._shows and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def line_of(progress: Progress) -> str:
    """Return ``12 of 300 files · 34.5 MB · 5.6 MB/s · 1:02 left · 3 failed``."""
    files = "file" if (progress.total or progress.done) == 1 else "files"
    words = [f"{progress.done:,} of {progress.total:,} {files}" if progress.total else f"{progress.done:,} {files}"]
    if progress.present:
        words.append(f"{progress.present:,} here already")
    words += [size_of(progress.bytes), f"{size_of(progress.rate)}/s"]
    left = progress.seconds_left
    if left is not None and progress.done != progress.total:
        minutes, seconds = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        words.append(f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left")
    if progress.failed:
        words.append(f"{progress.failed:,} failed")
    return " · ".join(words)


def size_of(count: float) -> str:
    """Return a number of bytes for people: ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
