"""Checking what lies on disk: by itself, against what is remembered, and against the server; and bringing it again."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import attrs

from astra_registry.errors import CorruptFile, FileFailed, FileMissing, NotIdentified
from astra_registry.fetching.disk import fits_sums, whole
from astra_registry.fetching.disk.ledger import Entry, Ledger
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.options import Options
from astra_registry.fetching.places import location_of_path, url_of
from astra_registry.fetching.report import FetchResult
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.http.dates import modified
from astra_registry.fetching.transports.http.wire import number
from astra_registry.fetching.wanted import Wanted

_PRIVATE = re.compile(r"^\.(astra-rsync|astra-turns$|.*\.astra-(part|part-record|lock)$)")
_CHUNK = 200
_REPAIRED_TOGETHER = 200  # files, over the same connections and with one listing of a folder …
_HELD = 5000  # … and the most findings that wait until so many bad ones have come
_SAME_DATE = 2.0  # seconds: some file systems know no odd ones
_LOOKS = 3  # at a file that somebody writes to
_WRITTEN_SECONDS_AGO = 1.0  # who wrote so lately may still be at it, …
_WRITERS_PAUSE = 0.25  # … and writes again within these seconds

_UrlsOf = Callable[[str], Iterator[str]]
"""The URLs where a path's file may be, the first one first; the others only when it is wanted."""


@attrs.frozen
class Finding:
    """What was found of one file.

    ``status``: ``whole``, ``bad`` (``problem`` says why), ``missing`` (not here), ``unknown`` (it could not be
    compared), ``repaired``. ``checks`` names what was compared.
    """

    path: str
    status: str
    problem: str | None = None
    bytes: int | None = None
    sha1: str | None = None
    checks: tuple[str, ...] = ()
    url: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the file can be trusted."""
        return self.status in ("whole", "repaired")


def verify(
    paths: Iterable[str | os.PathLike[str]],
    *,
    remote: bool = False,
    repair: bool = False,
    sas_base_dir: str | os.PathLike[str] | None = None,
    remote_base: str | None = None,
    url_for: Callable[[str], str] | None = None,
    further_locations: Callable[[str], Iterable[str]] = lambda path: (),
    jobs: int | None = None,
    timeout: float | None = None,
    ledger: str | None = None,
) -> Iterator[Finding]:
    """Give a finding for each file, and for each file below each folder (links to folders elsewhere are followed).

    By itself a file is checked for its FITS structure to the last block, its gzip trailer, its CHECKSUM and DATASUM
    cards, and the sha1 that was recorded when it was fetched. ``remote`` asks the server for size, ETag and
    ``.sha1sum``. ``repair`` brings again what is bad; the bad file stays until a good one is here. What is whole is
    remembered, so that fetching knows it: that is how an existing archive is adopted.

    ``url_for`` tells the URL of a path, where that is not its location below the server's base; ``further_locations``
    where else on the server a path's file may be, asked only when it is not at the first.
    """
    from astra_registry.settings import override, setting

    given = {"jobs": jobs, "timeout": timeout, "remote_base": remote_base}
    with override("verify", **{name: value for name, value in given.items() if value is not None}):
        chosen = {
            name: setting(name)
            for name in ("jobs", "timeout", "connect_timeout", "retries", "ca_bundle", "limit_rate", "remote_base")
        }
    base_dir = os.fspath(sas_base_dir) if sas_base_dir is not None else setting("sas_base_dir")
    base = chosen["remote_base"]

    def default_url(path: str) -> str:
        return url_of(location_of_path(path, base_dir), base)

    def urls_of(path: str) -> Iterator[str]:
        yield (url_for or default_url)(path)
        for location in further_locations(path):
            yield url_of(location, base)

    options = Options(**chosen, overwrite=True, checksums="always", ledger=ledger)
    found = _findings(paths, options, urls_of, remote=remote)
    return _with_repairs(found, options, urls_of) if repair else found


def _findings(
    paths: Iterable[str | os.PathLike[str]],
    options: Options,
    urls_of: _UrlsOf,
    *,
    remote: bool,
) -> Generator[Finding]:
    ledger = Ledger(options.ledger)
    fetcher = Fetcher(options) if remote else None
    files = _files(paths)
    pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="astra-verify")
    waiting: deque[tuple[_Check, Future[Finding]]] = deque()
    try:
        while True:
            chunk = list(islice(files, _CHUNK))
            known = ledger.known(os.path.abspath(path) for path in chunk)
            for path in chunk:
                check = _Check(path, known.get(os.path.abspath(path)), urls_of, fetcher)
                waiting.append((check, pool.submit(check.run)))
            while waiting and (len(waiting) > 2 * _CHUNK or not chunk):
                check, future = waiting.popleft()
                finding = future.result()
                if finding.status == "whole" and (entry := check.entry) is not None:
                    ledger.remember(entry)
                yield finding
            if not chunk and not waiting:
                return
    finally:
        if fetcher is not None:
            fetcher.close()  # first, for the pool waits for those that wait for the server
        pool.shutdown(wait=True, cancel_futures=True)
        ledger.close()


def _with_repairs(found: Generator[Finding], options: Options, urls_of: _UrlsOf) -> Iterator[Finding]:
    """Give the findings in their order, those of bad files after these were brought again, many at once."""
    with closing(found), ExitStack() as ending:
        fetcher: Fetcher | None = None  # one for all: it keeps its connections, and knows which server is down
        for finding in found:
            if not _wants_repair(finding):
                yield finding
                continue
            held, bad = deque([finding]), 1
            while bad < _REPAIRED_TOGETHER and len(held) < _HELD and (following := next(found, None)) is not None:
                held.append(following)
                bad += _wants_repair(following)
            fetcher = fetcher or ending.enter_context(closing(Fetcher(options)))
            yield from _repaired(held, fetcher, urls_of)


def _wants_repair(finding: Finding) -> bool:
    return finding.status in ("bad", "missing")


def _repaired(held: deque[Finding], fetcher: Fetcher, urls_of: _UrlsOf) -> Iterator[Finding]:
    """Bring the bad ones, and give each finding as soon as what becomes of it is known."""
    became: dict[str, FetchResult | NotIdentified] = {}
    items = []
    for finding in filter(_wants_repair, held):
        try:
            known = (finding.url,) if finding.url else ()
            items.append(Wanted(tuple(dict.fromkeys((*known, *urls_of(finding.path)))), finding.path))
        except NotIdentified as error:
            became[finding.path] = error

    def settled() -> Iterator[Finding]:
        while held and (not _wants_repair(held[0]) or held[0].path in became):
            finding = held.popleft()
            yield _after_repair(finding, became[finding.path]) if _wants_repair(finding) else finding

    with closing(fetcher.results(iter(items), more_to_come=True)) as results:
        for result in results:
            became[str(result.path)] = result
            yield from settled()
    yield from settled()


def _after_repair(finding: Finding, outcome: FetchResult | NotIdentified) -> Finding:
    if isinstance(outcome, NotIdentified):
        return attrs.evolve(finding, problem=f"{finding.problem}; not repaired: {outcome}")
    if not outcome.ok:
        return attrs.evolve(finding, problem=f"{finding.problem}; not repaired: {outcome.error}", url=outcome.url)
    return attrs.evolve(finding, status="repaired", bytes=outcome.bytes, sha1=outcome.sha1, url=outcome.url)


def _files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """Give the files, and those below folders; not the private ones of transfers. A folder that cannot be read too."""
    for given in paths:
        path = os.fspath(given)
        if os.path.isdir(path):
            yield from _below(path)
        else:
            yield path


def _below(top: str) -> Iterator[str]:
    unread: list[str] = []
    real_top = Path(os.path.realpath(top))
    looked_into = {real_top}

    def is_for_us(path: str) -> bool:
        """Whether a folder is one to look into: parts of an archive are often links to another disk."""
        if not os.path.islink(path):
            return True
        real = Path(os.path.realpath(path))
        # What lies below one of these is seen there; what lies above the top would lead round in a circle.
        if real in real_top.parents or not looked_into.isdisjoint((real, *real.parents)):
            return False
        looked_into.add(real)
        return True

    for folder, folders, names in os.walk(
        top, followlinks=True, onerror=lambda error: unread.append(str(error.filename))
    ):
        folders[:] = sorted(
            name for name in folders if not _PRIVATE.match(name) and is_for_us(os.path.join(folder, name))
        )
        for name in sorted(names):
            if not _PRIVATE.match(name):
                yield os.path.join(folder, name)
    yield from unread


class _Check:
    """The check of one file, in a thread of its own."""

    def __init__(self, path: str, entry: Entry | None, urls_of: _UrlsOf, fetcher: Fetcher | None) -> None:
        self._path = path
        self._entry = entry
        self._urls_of = urls_of
        self._fetcher = fetcher
        self._checks: list[str] = []
        self._sha1: str | None = None
        self._url: str | None = None
        self._etag: str | None = None
        self._size: int | None = None
        self._status: os.stat_result | None = None

    def run(self) -> Finding:
        status, problem = "whole", None
        try:
            self._look()
        except (FileNotFoundError, FileMissing) as error:
            status = "missing" if not os.path.exists(self._path) else "unknown"
            problem = "it is not here" if status == "missing" else str(error)
        except CorruptFile as error:
            status, problem = "bad", str(error)
        except (FileFailed, NotIdentified) as error:
            status, problem = "unknown", str(error)
        except OSError as error:
            status, problem = "unknown", f"it cannot be read ({error.strerror or error})"
        return Finding(self._path, status, problem, self._size, self._sha1, tuple(self._checks), self._url)

    @property
    def entry(self) -> Entry | None:
        """What to remember of a file that is whole; of one that was fetched also its ETag and from where."""
        if (status := self._status) is None:
            return None
        before = self._entry if self._entry is not None and self._entry.sha1 == self._sha1 else None
        url = self._url or (before.url if before is not None else None)
        # Of the moment at which it was read: whoever writes to it later is seen by the times and the size.
        times = status.st_mtime_ns, status.st_ctime_ns
        return Entry(os.path.abspath(self._path), status.st_size, *times, self._sha1, self._etag, url)

    def _look(self) -> None:
        doubt = self._alone()
        try:
            if self._fetcher is not None and self._against_server(self._fetcher):
                return
        except (FileFailed, NotIdentified):
            if doubt is None:
                raise
        if doubt is not None:
            raise doubt

    def _alone(self) -> CorruptFile | None:
        """Look at the file by itself; return what only the server's list of sha1 can refute: it is another than before.

        The survey may have replaced its file, and another tool have brought the new one. A file that somebody writes to
        meanwhile, as a program that is about to bring it, is looked at again: half of a file is not bad yet.
        """
        for _ in range(_LOOKS):
            self._checks.clear()
            before = os.stat(self._path)
            try:
                doubt = self._look_once(before)
            except CorruptFile:
                if time.time() - before.st_mtime < _WRITTEN_SECONDS_AGO:
                    time.sleep(_WRITERS_PAUSE)
                if not _touched(before, os.stat(self._path)):
                    raise
            else:
                if not _touched(before, os.stat(self._path)):
                    self._status = before
                    return doubt
        raise FileFailed("it was written to while it was looked at")

    def _look_once(self, status: os.stat_result) -> CorruptFile | None:
        if stat.S_ISDIR(status.st_mode):
            os.scandir(self._path).close()  # only a folder that cannot be read comes here
        if not stat.S_ISREG(status.st_mode):
            raise FileFailed("it is no regular file")
        self._size = status.st_size
        with_sums: list[bool] = []
        whole.check(self._path, on_hdu=lambda read, hdu: with_sums.append(fits_sums.confirm(read, hdu)))
        self._checks.append("structure")
        if any(with_sums):
            self._checks.append("CHECKSUM")
        with open(self._path, "rb", buffering=0) as stream:
            self._sha1 = hashlib.file_digest(stream, "sha1").hexdigest()
        entry = self._entry
        if entry is not None and entry.sha1 is not None:
            if entry.sha1 != self._sha1:
                # Its time tells what happened, not whether it is right: files of an archive are not edited.
                how = "damaged" if entry.mtime == status.st_mtime_ns else "written to"
                return CorruptFile(
                    f"it was {how} since it was found whole: its sha1 is {self._sha1}, and was {entry.sha1}"
                )
            self._checks.append("recorded sha1")
            self._etag = entry.etag
        return None

    def _head(self, fetcher: Fetcher) -> tuple[str, dict[str, str]]:
        """Return the first URL at which the server has the file, and what it says of it."""
        known = (self._entry.url,) if self._entry is not None and self._entry.url else ()
        missing: FileMissing | None = None
        for url in dict.fromkeys(known) or self._urls_of(self._path):
            self._url = self._url or url
            try:
                return url, fetcher.head(url, public=is_public(url))
            except FileMissing as error:
                missing = missing or error
        raise missing or FileMissing("there is no URL for it")

    def _against_server(self, fetcher: Fetcher) -> bool:
        """Compare with what the server has; return whether it lists the very sha1: it outweighs what is remembered."""
        self._url, headers = self._head(fetcher)
        length = number(headers.get("content-length", ""))
        if length is not None and "content-encoding" not in headers:
            if length != self._size:
                raise CorruptFile(f"it has {self._size} bytes, and on the server {length}")
            self._checks.append("size")
        listed = fetcher.listings.sha1(self._url)
        if listed is not None:
            if listed != self._sha1:
                raise CorruptFile(f"its sha1 is {self._sha1}, and the server lists {listed}")
            self._checks.append("sha1sum")
        etag = headers.get("etag")
        if self._etag and etag:
            if etag == self._etag:
                self._checks.append("ETag")
            elif listed is None:  # a server that was moved gives the same files new ones
                raise CorruptFile(f"the server's file has changed since it was fetched ({etag}, was {self._etag})")
            elif not self._has_date(modified(headers)):
                told = f"{headers['last-modified']}, {etag}, was {self._etag}"
                raise FileFailed(
                    f"the server lists its sha1, but put a file there since it was fetched ({told}): its list may be "
                    "older than the file"
                )
        if listed is not None and etag:
            self._etag = etag
        return listed is not None

    def _has_date(self, date: float | None) -> bool:
        """Whether the file has the server's date, as it was given when it was fetched; True where there is none."""
        return date is None or self._status is None or abs(date - self._status.st_mtime) <= _SAME_DATE


def _touched(before: os.stat_result, after: os.stat_result) -> bool:
    def what_a_write_changes(status: os.stat_result) -> tuple[int, ...]:
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    return what_a_write_changes(before) != what_a_write_changes(after)
