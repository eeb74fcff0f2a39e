"""What a fetch keeps of its results until its end: a report, and a lock file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import click

from astra_registry.errors import BadValue
from astra_registry.fetching import FetchResult, Wanted
from astra_registry.fetching.kept import Kept
from astra_registry.fetching.locked import Locking
from astra_registry.settings import setting
from astra_registry.tables.writing import check_writable


class Keeping:
    """What came of the files so far. BadValue when what is asked for could not be written in the end."""

    def __init__(self, report: str | None, lock: str | None, sources: Mapping[str, str | None]) -> None:
        """``sources`` are the files that the run reads, by the option that names each."""
        _refuse_one_file_twice({"--report": report, "--lock": lock}, sources)
        if report:
            check_writable(report)
        if lock == "-":
            raise BadValue("--lock writes a file, which --locked reads: give it a name, and not -")
        for file in filter(None, (report, lock)):
            if (obstacle := _obstacle_to(file)) is not None:
                raise BadValue(f"'{file}' cannot be written: {obstacle}")
        self._report, self._lock = report, lock
        self._kept = Kept() if report else None
        self._locking = Locking(setting("sas_base_dir")) if lock else None
        self._count = 0

    def add(self, result: FetchResult, told: dict[str, Any]) -> None:
        """Keep a result; ``told`` is its line of JSON."""
        self._count += 1
        if self._kept is not None:
            self._kept.add(told)
        if self._locking is not None:
            self._locking.add(result)

    def add_double(self, item: Wanted) -> None:
        """Keep for the report that a row asks for a file that another one has asked for."""
        if self._kept is not None:
            product = item.product
            names = (getattr(product, "sdss_data_model_name", None), getattr(product, "release", None))
            self._kept.add_double(item.row, *names, item.path)

    def write(self, *, ended: bool = True) -> None:
        """Write both; of a run that was interrupted no lock file, for it would stand for a part of the data set."""
        try:
            self._write_report()
        finally:  # a report that finds no room does not take the lock file with it
            self._write_lock(ended=ended)

    def _write_report(self) -> None:
        if self._kept is None or self._report is None:
            return
        with contextlib.closing(self._kept), _naming(self._report):
            self._kept.write(self._report)

    def _write_lock(self, *, ended: bool) -> None:
        if self._locking is None or self._lock is None:
            return
        with contextlib.closing(self._locking), _naming(self._lock):
            locked = self._locking.write(self._lock) if ended else self._count
        if locked < self._count:
            click.echo(f"{self._lock} holds {locked:,} of {self._count:,} files: those that are here", err=True)


def _refuse_one_file_twice(written: Mapping[str, str | None], read: Mapping[str, str | None]) -> None:
    """Raise BadValue when a file would be written over what the run reads, or over another that it writes."""
    taken = {os.path.realpath(file): option for option, file in read.items() if file and file != "-"}
    for option, file in written.items():
        if not file:
            continue
        other = taken.setdefault(os.path.realpath(file), option)
        if other != option:
            raise BadValue(f"{option} and {other} are the same file: '{file}'")


def _obstacle_to(file: str) -> str | None:
    """Return why a file could not be written, or None."""
    folder = os.path.dirname(file)
    if not os.path.isdir(folder or os.curdir):
        return f"there is no folder '{folder}'"
    if os.path.isdir(file):
        return "it is a folder"
    if os.path.exists(file) and not os.path.isfile(file):
        return "it is a device or a pipe, and a file would take its place"
    try:
        tempfile.TemporaryFile(dir=folder or os.curdir).close()
    except OSError as error:
        return f"nothing can be written to '{folder or os.curdir}' ({error.strerror})"
    return None


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Have an error of the disk name the file, and not the private one that was to become it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"'{file}' cannot be written: {error.strerror or error}") from error
