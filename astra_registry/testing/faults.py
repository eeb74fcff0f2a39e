"""What tests make the embedded SAS do wrong: cut, stall, drip, lie about lengths, answer something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import attrs


@attrs.define
class Request:
    """One request that was made: what was asked, and how many bytes of body went out for it so far."""

    method: str
    path: str  # decoded, without the query: "/sas/dr17/…"
    headers: Mapping[str, str]  # names in lower case
    number: int = 1  # the how-manieth for this path
    client: tuple[str, int] = ("", 0)
    status: int = 0
    sent: int = 0


@attrs.frozen(kw_only=True)
class Fault:
    """What goes wrong with one answer; each field alone, or several together. Positions count bytes of the body."""

    status: int | None = None  # answer this, with ``headers`` and ``body``, in place of the file
    headers: Mapping[str, str] = attrs.field(factory=dict)  # added to (or replacing) the proper ones
    body: bytes | None = None
    cut_after: int | None = None  # hang up there
    reset_after: int | None = None  # hang up there with a RST
    stall_after: int | None = None  # fall silent there
    stall_seconds: float = 3600.0
    drip: tuple[int, float] | None = None  # so many bytes at a time, so many seconds apart
    promise: int | None = None  # a Content-Length that is not true
    surplus: bytes = b""  # sent after the end of the body
    other_bytes: bool = False  # the right number of bytes, but not the file's
    ignore_range: bool = False  # 200 to a request for a range
    content_range: str | None = None  # in place of the true one
    compress: bool = False  # gzip on the fly
    chunked: bool = False
    no_length: bool = False  # neither Content-Length nor chunks: the end of the connection ends the body
    hang_up: bool = False  # close the connection without an answer
    close_after: bool = False  # close it after the answer, without saying so
    before: Callable[[], None] | None = None  # called before the file is looked at: change it, remove it, wait


Faults = Callable[[Request], Fault | None]


class Line(Protocol):
    """The way to the client, as far as a fault disturbs it."""

    def flush(self) -> None:
        """Send what is held back."""

    def pause(self, seconds: float) -> bool:
        """Wait, and return whether the server is being closed."""

    def hang_up(self, *, reset: bool) -> None:
        """End the connection in the middle of an answer."""


def disturbed(body: Iterator[bytes], fault: Fault, line: Line) -> Iterator[bytes]:
    """Give the body's pieces as the fault wants them: cut, in drips, with a pause."""
    marks = {at for at in (fault.cut_after, fault.reset_after, fault.stall_after) if at is not None}
    done = 0
    for whole in body:
        piece = memoryview(whole)
        while True:
            if done == fault.stall_after and done in marks:
                marks.discard(done)
                line.flush()
                line.pause(fault.stall_seconds)
            if done in (fault.cut_after, fault.reset_after):
                line.hang_up(reset=done == fault.reset_after)
                return
            if not piece:
                break
            step = min([len(piece), *(mark - done for mark in marks if mark > done)])
            if fault.drip is not None:
                step = min(step, fault.drip[0])
            yield bytes(piece[:step])
            done += step
            piece = piece[step:]
            if fault.drip is not None:
                line.flush()
                if line.pause(fault.drip[1]):
                    line.hang_up(reset=False)
                    return
