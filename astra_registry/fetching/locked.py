"""Lock files: what exactly was fetched, so that another machine can have exactly that, and a paper can cite it.

A first line says what the file is and how many files it names; each further line is one of them as JSON, in the order
of locations.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from astra_registry.atomic import written
from astra_registry.errors import BadTable, NotIdentified
from astra_registry.fetching.disk.sums import sha1_of
from astra_registry.fetching.kept import Spool
from astra_registry.fetching.places import location_of_path, location_of_url, url_of
from astra_registry.fetching.report import FetchResult
from astra_registry.fetching.wanted import Wanted

_HEAD = {"format": "astra-registry lock", "version": 1}


@attrs.frozen
class LockedFile:
    """One file of a data set: where it belongs, where on the server it is (when elsewhere), and what is in it."""

    location: str
    size: int
    sha1: str
    product: str | None = None
    release: str | None = None
    parameters: dict[str, Any] = attrs.field(factory=dict)
    source: str | None = None

    def wanted(self, *, sas_base_dir: str, remote_base: str | None = None) -> Wanted:
        """Return what to fetch: this very file, or an error that says what differs."""
        url = url_of(self.source or self.location, remote_base)
        return Wanted((url,), os.path.join(sas_base_dir, self.location), self, size=self.size, sha1=self.sha1)

    # What reports and lock files ask of a product; its plugin need not be installed here.

    @property
    def sdss_data_model_name(self) -> str | None:
        """The product's name."""
        return self.product

    @property
    def param_kwargs(self) -> dict[str, Any]:
        """The product's parameters."""
        return self.parameters


def write_lock(path: str | os.PathLike[str], results: Iterable[FetchResult], *, sas_base_dir: str) -> int:
    """Write the lock file of what a fetch brought or found, atomically; return the number of its files.

    A file whose sha1 is not known yet (it was here before) is read for it. Results without a file are left out.
    """
    with contextlib.closing(Locking(sas_base_dir)) as locking:
        for result in results:
            locking.add(result)
        return locking.write(path)


class Locking:
    """The lines of a lock file to be, kept on disk until all are there."""

    def __init__(self, sas_base_dir: str) -> None:
        self._sas_base_dir = sas_base_dir
        self._spool = Spool("location", "line")

    def add(self, result: FetchResult) -> None:
        """Add the file of a result that has one."""
        if result.ok and result.path:
            self._spool.add(_line(result, self._sas_base_dir))

    def write(self, path: str | os.PathLike[str]) -> int:
        """Write the lock file; return the number of its files."""
        with written(path, overwrite=True) as private, open(private, "w", encoding="utf-8") as stream:
            stream.write(json.dumps({**_HEAD, "files": self._spool.count}) + "\n")
            stream.writelines(f"{line}\n" for _, line in self._spool.rows("location"))
        return self._spool.count

    def close(self) -> None:
        """Forget them."""
        self._spool.close()


def _line(result: FetchResult, sas_base_dir: str) -> tuple[str, str]:
    path = str(result.path)
    sha1 = result.sha1
    if sha1 is None:
        sha1 = sha1_of(path).hexdigest()
    location = location_of_path(path, sas_base_dir)
    source = None
    try:
        source = location_of_url(result.url or "")
    except NotIdentified:
        pass  # it came from a place that is not laid out as the SAS
    product = result.product
    locked = LockedFile(
        location,
        os.stat(path).st_size,
        sha1,
        product=getattr(product, "sdss_data_model_name", None),
        release=getattr(product, "release", None),
        parameters=parameters_of(product),
        source=source if source != location else None,
    )
    told = {name: value for name, value in attrs.asdict(locked).items() if value not in (None, {})}
    return location, json.dumps(told, ensure_ascii=False)


def parameters_of(product: Any) -> dict[str, Any]:
    """Return the parameters of a product that JSON can hold: what tells it apart from others of its kind."""
    values = getattr(product, "param_kwargs", None) or {}
    names = getattr(product, "get_param_names", None)
    wanted = set(names()) if callable(names) else set(values)
    return {
        name: value
        for name, value in values.items()
        if name in wanted and name != "release" and isinstance(value, (str, int, float, bool))
    }


def _checked(locked: LockedFile) -> LockedFile:
    """Return it, unless it is not what a lock file holds: lock files come from others."""
    for place in (locked.location, locked.source or locked.location):
        if os.path.isabs(place) or {"", ".", ".."} & set(place.split("/")) or not place.isprintable():
            raise ValueError(f"{place!r} is no location below the top of the SAS")
    if type(locked.size) is not int or not re.fullmatch("[0-9a-f]{40}", locked.sha1):
        raise ValueError(f"{locked.location} has the size {locked.size!r} and the sha1 {locked.sha1!r}")
    return locked


def read_lock(path: str | os.PathLike[str]) -> Iterator[LockedFile]:
    """Give the files of a lock file; BadTable names the line that cannot be read, and tells when some are cut off."""
    no_lock = f"{os.fspath(path)} is not a lock file of astra-registry"
    number = promised = 0
    # Bytes that are no UTF-8 are then wrong in their line.
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        for number, line in enumerate(stream, 1):
            try:
                told = json.loads(line)
                locked = _checked(LockedFile(**told)) if number > 1 else None
            except (ValueError, TypeError, RecursionError) as error:
                if number == 1:
                    raise BadTable(no_lock) from None
                is_cut = isinstance(error, json.JSONDecodeError) and not line.endswith("\n")
                told = f"it is cut there; the file names {promised or 'more'} files" if is_cut else error
                raise BadTable(f"{os.fspath(path)}, line {number}: {told}") from None
            if locked is not None:
                yield locked
            elif not isinstance(told, dict) or told.get("format") != _HEAD["format"]:
                raise BadTable(no_lock)
            elif told.get("version") != _HEAD["version"]:
                raise BadTable(f"{os.fspath(path)} is a lock file of another version ({told.get('version')!r})")
            else:
                promised = told.get("files", 0)  # those of 1.0.0 do not tell it
    if number == 0:
        raise BadTable(f"{no_lock}: it is empty")
    if promised and number - 1 != promised:
        raise BadTable(f"{os.fspath(path)} is cut: it names {number - 1} of its {promised} files")
