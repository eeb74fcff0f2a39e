"""The private folders beside the targets that rsync writes to: one for each run of it.

Whoever uses one holds a lock on it, and so does rsync itself. What was cut off stays there, and a later run that wants
the file takes it over: from its own folder, or from one further up or down, for runs with other files have others.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from astra_registry.errors import TransferFailed
from astra_registry.fetching.disk.parts import STAGE
from astra_registry.fetching.disk.turns import is_current

PARTIAL = ".astra-partial"  # where rsync keeps what was cut off, in each folder
_WRITTEN = re.compile(r"\.(.+)\.[0-9A-Za-z]{6}$")  # .NAME.X1y2Z3: what rsync writes before it bears its name
_HANGS_AFTER = 60.0  # seconds in which who holds a folder writes nothing


class Stage:
    """The folder for one run of rsync."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._folder = folder
        self.lock: int | None = None  # to be handed to rsync, so that it holds it as long as it writes
        self.path = ""

    def __enter__(self) -> Stage:
        for number in range(1000):
            self.path = os.path.join(self._folder, f"{STAGE}{number}")
            try:
                os.mkdir(self.path)
                lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except (FileExistsError, FileNotFoundError):
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # who removes folders without files was quicker
                os.close(lock)
                continue
            except OSError:  # no locks: a folder that nobody takes over
                os.close(lock)
                os.rmdir(self.path)
                self.path = os.path.join(self._folder, f"{STAGE}{os.getpid()}-{os.urandom(4).hex()}")
                os.mkdir(self.path)
                return self
            if not is_current(self.path, lock):
                os.close(lock)
                continue
            self.lock = lock
            return self
        raise TransferFailed(f"{self._folder} is full of folders of rsync")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What was cut off waits for the next run, and after an error what had come too: it was not looked at. Without
        # any of that the folder has no reason to stay.
        waits = _has_files if kind is not None else _is_unfinished
        if self.lock is None or not any(waits(folders, names) for _, folders, names in os.walk(self.path)):
            shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)

    def place_of(self, path: str) -> str:
        """Return where rsync puts a file."""
        return os.path.join(self.path, path)

    def size(self) -> int:
        """Return the bytes of all that lies here now."""
        return sum(_size(Path(folder, name)) for folder, _, names in os.walk(self.path) for name in names)

    def take_over(self, targets: Mapping[str, str], wait: Callable[[], None]) -> None:
        """Move here what earlier runs left of these files: their paths in the folder, and where each is to lie.

        The rsync of a killed run may still be about to end: ``wait`` is called again and again until it has.
        """
        if self.lock is None:
            return
        for other in _stages(targets):
            if other == self.path:
                continue
            paths = list(_remains(other, targets))
            if not paths:
                clear(other)
                continue
            with _held(other, paths, wait) as is_held:
                if is_held:
                    for path, files in _remains(other, paths).items():
                        self._take(path, files)
                    if not any(names for _, _, names in os.walk(other)):
                        shutil.rmtree(other, ignore_errors=True)

    def _take(self, path: str, files: list[Path]) -> None:
        name = os.path.basename(path)
        for left in files:
            cut = left.name != name or left.parent.name == PARTIAL
            place = Path(self.path, os.path.dirname(path), PARTIAL if cut else "")
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                left.replace(place / name)


def forget(path: str, target: str) -> None:
    """Remove what runs have left of a file that has come another way, where nobody uses their folders now."""
    for stage in _stages({path: target}):
        if remains := _remains(stage, (path,)):
            clear(stage, remains[path])


def clear(stage: str, leftovers: Iterable[Path] = ()) -> None:
    """Remove these from the folder of a run, and the folder where no file is left in it; nothing while it is used.

    A run that was killed when its last file had its name leaves it without files.
    """
    with contextlib.suppress(OSError), contextlib.ExitStack() as ending:
        lock = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        ending.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_current(stage, lock):
            return
        for left in leftovers:
            left.unlink()
        if not any(names for _, _, names in os.walk(stage)):
            shutil.rmtree(stage, ignore_errors=True)


def _stages(targets: Mapping[str, str]) -> Iterator[str]:
    """Give the folders of runs, beside the targets and above them as far as the SAS goes."""
    looked_at = set()
    for path, target in targets.items():
        folder = os.path.dirname(os.path.abspath(target))
        for _ in range(path.count("/") + 3):  # to the folder of the module, and the one that it lies in
            if folder not in looked_at:
                looked_at.add(folder)
                with contextlib.suppress(OSError):
                    names = [name for name in os.listdir(folder) if name.startswith(STAGE)]
                    yield from (os.path.join(folder, name) for name in names)
            folder = os.path.dirname(folder)


def _remains(stage: str, paths: Iterable[str]) -> dict[str, list[Path]]:
    """Return what there is of files: as they came, and what was cut off, the largest last."""
    found: dict[str, list[Path]] = {}
    for folder, group in itertools.groupby(sorted(paths, key=os.path.dirname), os.path.dirname):
        place = Path(stage, folder)
        there: dict[str, list[Path]] = {}
        for inner in (place, place / PARTIAL):
            with contextlib.suppress(OSError):
                for name in os.listdir(inner):
                    there.setdefault(_file_of(name) or name, []).append(inner / name)
        for path in group:
            if files := sorted(filter(Path.is_file, there.get(os.path.basename(path), ())), key=_size):
                found[path] = files
    return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it has got its name at this moment
        return 0


def _file_of(name: str) -> str | None:
    """Return the name of the file that rsync writes to another name; None for a name that is none of those."""
    written = _WRITTEN.match(name)
    return written[1] if written else None


def _has_files(_: Iterable[str], names: Iterable[str]) -> bool:
    return any(names)


def _is_unfinished(folders: Iterable[str], names: Iterable[str]) -> bool:
    return PARTIAL in folders or any(map(_file_of, names))


@contextlib.contextmanager
def _held(stage: str, paths: list[str], wait: Callable[[], None]) -> Iterator[bool]:
    """Hold a folder once nobody else does; False where its holder hangs, or has placed the files itself."""
    try:
        lock = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        seen, since = _signs_of_life(stage, paths), time.monotonic()
        while seen:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
            except OSError:
                break
            else:
                yield is_current(stage, lock)
                return
            if (now := _signs_of_life(stage, paths)) != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > _HANGS_AFTER:
                break
        yield False
    finally:
        os.close(lock)


def _signs_of_life(stage: str, paths: list[str]) -> list[tuple[Path, int, int]]:
    signs = []
    for file in itertools.chain.from_iterable(_remains(stage, paths).values()):
        with contextlib.suppress(OSError):
            signs.append((file, (status := file.stat()).st_size, status.st_mtime_ns))
    return signs
