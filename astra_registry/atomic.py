"""A file that appears whole or not at all: written under a private name, then moved into place."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator


@contextlib.contextmanager
def written(path: str | os.PathLike[str], *, overwrite: bool = False, suffix: str = "") -> Iterator[str]:
    """Give a private name in the folder of ``path``; what was written there gets its real name when the block ends.

    After an exception nothing is left. ``suffix`` is for writers that look at a name's ending. Raises FileExistsError
    when the file is there, also when it came to be in the meantime, unless it may be overwritten, and
    FileNotFoundError when its folder is not there.
    """
    target = os.fspath(path)
    if not overwrite and os.path.lexists(target):
        raise _there_already(target)
    folder, name = os.path.split(target)
    if folder and not os.path.isdir(folder):
        # Before it is tried: an error would name the private file, which nobody asked for.
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", folder)
    private = os.path.join(folder, f".{name}.{secrets.token_hex(6)}{suffix}")
    try:
        yield private
        _reach_the_disk(private)
        if overwrite:
            os.replace(private, target)
        else:
            _place(private, target)
        with contextlib.suppress(OSError):  # the name, too; not every file system lets its folders be asked
            _reach_the_disk(folder or os.curdir)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(private)


def _place(private: str, target: str) -> None:
    # A hard link fails when the name is taken, so that two writers cannot both believe they made the file.
    try:
        os.link(private, target)
    except FileExistsError:
        raise _there_already(target) from None
    except OSError as error:  # no hard links on this file system
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        os.replace(private, target)


def _there_already(target: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "the file is there already, and may not be overwritten", target)


def _reach_the_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
