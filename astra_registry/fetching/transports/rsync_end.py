"""What it means for the files how a run of rsync ended: by its exit code, and by what it complained of."""

from __future__ import annotations

import errno
import os
import re

import attrs

from astra_registry.errors import Unauthorized
from astra_registry.fetching.transports.setbacks import Setback

# With its code 10 rsync also ends when a line breaks over which files came; these are its words for one not made.
_NOT_CONNECTED = re.compile(r"failed to connect|getaddrinfo|unable to (?:create|bind) .*socket|(?:to|from) proxy")

# What it says of the disk here, with the system's number at the end: by its receiver, and by who makes folders for it.
_OF_THE_DISK = re.compile(r"^rsync: \[(?:receiver|generator)\] .* \((\d+)\)$", re.MULTILINE)
_NO_OTHER_TRY_MENDS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}

# Its words for one file, and which module that is in.
_LACKING = re.compile(r'link_stat "([^"]*)" (?:\(in [^)]*\) )?failed: No such file')
_UNREADABLE = re.compile(r'(?:link_stat|failed to open) "([^"]*)" ?(?:\(in [^)]*\))?(?: failed)?: Permission denied')


class NoRsync(Exception):
    """There is no rsync here, or it is not to be asked for this file: https has to do."""


class NoAnswer(Setback):
    """The server takes no connection by rsync: another try may find it up, where https is no way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, unreachable=True)


class BrokenOff(Setback):
    """It ended before its time; so many bytes that came over the line are kept, and the next try goes on with them."""

    def __init__(self, message: str, gained: int) -> None:
        super().__init__(message, unreachable=True)
        self.gained = gained


class Busy(Setback):
    """The server has as many connections as it takes: those of others, or our own."""


class UnknownModule(Exception):
    """The server has none of that name."""


@attrs.frozen
class End:
    """How a run of rsync ended: its exit code, its complaints, and the bytes of unfinished files that it brought."""

    authority: str
    code: int
    said: str
    gained: int

    @property
    def lacking(self) -> set[str]:
        """The names that the server has said it has not got; they may begin at the top of its file system."""
        return set(_LACKING.findall(self.said))

    @property
    def unreadable(self) -> set[str]:
        """The names that the server has said it may not read."""
        return set(_UNREADABLE.findall(self.said))

    @property
    def last_line(self) -> str:
        """The last of its complaints that says something."""
        lines = [line for line in self.said.splitlines() if line.strip() and not line.startswith("rsync error")]
        return lines[-1].strip()[:200] if lines else "it said nothing"

    @property
    def refusal(self) -> Exception | None:
        """Return what this means for all its files; None when each has its own fate."""
        authority, code, said = self.authority, self.code, self.said
        for number in map(int, _OF_THE_DISK.findall(said) if code else ()):
            if number in _NO_OTHER_TRY_MENDS:
                return OSError(number, os.strerror(number))
        if code in (0, 23, 24):
            return None
        if refused := re.search(r"server is configured to refuse (--\S+)", said):
            told = (
                f"{authority} refuses rsync's option {refused[1]}, which is needed: ask whoever runs it to allow that"
            )
            return NoRsync(told)
        if re.search(r"@ERROR: Unknown module", said, re.IGNORECASE):
            return UnknownModule(f"{authority} has no such module: {self.last_line}")
        if re.search(r"@ERROR: auth", said, re.IGNORECASE):
            return Unauthorized(f"{authority} wants a login by rsync, or refused the one it was given")
        if re.search(r"@ERROR: max connections", said, re.IGNORECASE):
            return Busy(f"{authority} has no room: {self.last_line}")
        if "@ERROR" in said:
            return Setback(f"{authority} answered by rsync: {self.last_line}", unreachable=True)
        if code == 35 or (code == 10 and _NOT_CONNECTED.search(said)):
            return NoAnswer(f"{authority} does not answer by rsync ({self.last_line})")
        return BrokenOff(f"rsync ended with code {code} ({self.last_line})", self.gained)
