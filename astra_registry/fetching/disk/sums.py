"""Checksums as the survey lists them: sha1.

A server can be asked for files before hashlib is loaded, and OpenSSL with it; that is done while they are on their way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash


def new_sha1(data: bytes = b"") -> _Hash:
    """Return the sum of some bytes, to which more can be added."""
    import hashlib

    return hashlib.sha1(data, usedforsecurity=False)


def sha1_of(path: str) -> _Hash:
    """Return the sum of all that is in a file."""
    import hashlib

    with open(path, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, new_sha1)


class Sum:
    """The sum of a file's bytes from its beginning, as far as they came."""

    def __init__(self) -> None:
        self.size = 0
        self._sha1: _Hash | None = None

    def add(self, data: bytes | memoryview) -> None:
        """Take the bytes that come next."""
        if self._sha1 is None:
            self._sha1 = new_sha1()
        self._sha1.update(data)
        self.size += len(data)

    def hexdigest(self) -> str:
        """Return it as it is listed."""
        return (self._sha1 or new_sha1()).hexdigest()
