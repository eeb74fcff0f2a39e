"""What this disk has against a file, in words that say where."""

from __future__ import annotations

import errno
import os

from astra_registry.errors import AstraRegistryError, TransferFailed

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_of_the_disk(error: object) -> bool:
    """Whether something is an error of this disk as the system tells it."""
    return isinstance(error, OSError) and not isinstance(error, AstraRegistryError)


def disk_trouble(error: OSError, path: str) -> TransferFailed:
    """Return an error of this disk in the words of this package."""
    folder = os.path.dirname(path)
    if error.errno in _NO_ROOM:
        reason = f"no room on the disk for {path}"
    elif error.errno == errno.EACCES and error.filename == path:  # what is written has other names until the end
        reason = f"may not read {path}, which is here already ({error.strerror})"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = f"may not write to {folder} ({error.strerror})"
    elif error.errno == errno.ENAMETOOLONG:
        reason = f"the name is too long for this file system: {os.path.basename(path)}"
    elif error.errno == errno.ENOENT:
        reason = f"the folder vanished: {folder}"
    else:
        reason = f"{path}: {error.strerror or error}"
    trouble = TransferFailed(reason)
    trouble.errno = error.errno
    return trouble
