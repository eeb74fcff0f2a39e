"""What is known of a file that was found whole, and how it looked then."""

from __future__ import annotations

import os
from typing import NamedTuple


class Entry(NamedTuple):
    """One file that was found whole. Times are in nanoseconds, as the file system gives them."""

    path: str
    size: int
    mtime: int
    ctime: int
    sha1: str | None = None
    etag: str | None = None
    url: str | None = None

    def is_about(self, status: os.stat_result) -> bool:
        """Whether the file has not been touched since."""
        return (self.size, self.mtime, self.ctime) == (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def entry_of(
    path: str,
    status: os.stat_result | None = None,
    *,
    sha1: str | None = None,
    etag: str | None = None,
    url: str | None = None,
) -> Entry:
    """Return the entry for a file that was found whole; ``status`` is of before it was read, so that what is written
    to it meanwhile shows.
    """
    status = status or os.stat(path)
    return Entry(os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, sha1, etag, url)
