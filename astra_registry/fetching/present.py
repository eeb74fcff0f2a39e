"""What lies here already: whether it is whole, and what is wanted."""

from __future__ import annotations

import os
import stat

from astra_registry.errors import CorruptFile
from astra_registry.fetching.disk import whole
from astra_registry.fetching.disk.entries import Entry, entry_of
from astra_registry.fetching.disk.sums import sha1_of
from astra_registry.fetching.wanted import Wanted


def still_there(item: Wanted, entry: Entry) -> bool:
    """Whether a file is still the one that is remembered, and the one that is wanted; it is not read."""
    if item.sha1 is not None and entry.sha1 != item.sha1:
        return False
    try:
        return entry.is_about(os.stat(item.path))
    except (OSError, ValueError):
        return False


def seems_there(item: Wanted, entry: Entry | None) -> bool:
    """Whether a file lies there that a fetch would keep, as far as its size and what is remembered tell."""
    try:
        status = os.stat(item.path)
    except (OSError, ValueError):
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0 or item.size not in (None, status.st_size):
        return False
    return entry is None or (entry.size == status.st_size and item.sha1 in (None, entry.sha1))


def moment_of(path: str) -> tuple[int, ...]:
    """Return what changes with a file's bytes, as far as its folder tells; nothing where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def whole_entry(item: Wanted) -> Entry | None:
    """Return the entry of a file that lies there, and is whole and what is wanted; None else.

    One that was touched since it was fetched has to be what was fetched.
    """
    known = item.known if item.known is not None and item.known.sha1 is not None else None
    sizes = {size for size in (item.size, known.size if known else None) if size is not None}
    sums = {sha1 for sha1 in (item.sha1, known.sha1 if known else None) if sha1 is not None}
    try:
        status = os.stat(item.path)
        if status.st_size == 0 or not sizes <= {status.st_size}:
            return None
        whole.check(item.path)
        sha1 = sha1_of(item.path).hexdigest() if sums else None
        if not sums <= {sha1}:
            return None
        told = {"etag": known.etag, "url": known.url} if known else {}
        return entry_of(item.path, status, sha1=sha1, **told)
    except (FileNotFoundError, CorruptFile):
        return None


def present_entry(item: Wanted) -> Entry | None:
    """Return `whole_entry`, or None for a place that cannot even be looked at: the transfer will tell why."""
    try:
        return whole_entry(item)
    except OSError:
        return None
