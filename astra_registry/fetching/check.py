"""One file that lies on disk, looked at by itself, against what is remembered, and against the server."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import attrs

from astra_registry.errors import CorruptFile, FileFailed, FileMissing, NotIdentified, TransferFailed
from astra_registry.fetching.disk import fits_sums, whole
from astra_registry.fetching.disk.entries import Entry
from astra_registry.fetching.disk.sums import sha1_of
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.listings import can_list
from astra_registry.fetching.places import location_of_url, url_of
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.http.dates import modified
from astra_registry.fetching.transports.http.wire import number

_SAME_DATE = 2.0  # seconds: some file systems know no odd ones
_LOOKS = 3  # at a file that somebody writes to
_WRITTEN_SECONDS_AGO = 1.0  # who wrote so lately may still be at it, …
_WRITERS_PAUSE = 0.25  # … and writes again within these seconds
_ASK_THE_SERVER = "; if another tool brought the survey's new file, `verify --remote` finds it right"

UrlsOf = Callable[[str], Iterator[str]]
"""The URLs where a path's file may be, the first one first; the others only when it is wanted."""

IsProduct = Callable[[str], bool]
"""Whether a path is where a file of the survey lies."""


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


class Check:
    """The check of one file, in a thread of its own."""

    def __init__(
        self, path: str, entry: Entry | None, urls_of: UrlsOf, fetcher: Fetcher | None, is_product: IsProduct
    ) -> None:
        self._path = path
        self._entry = entry
        self._urls_of = urls_of
        self._fetcher = fetcher
        self._is_product = is_product
        self._checks: list[str] = []
        self._sha1: str | None = None
        self._url: str | None = None
        self._etag: str | None = None
        self._is_at_mirror = False
        self._size: int | None = None
        self._status: os.stat_result | None = None

    def run(self) -> Finding:
        """Return what is found; what is wrong with the file, or keeps it from being compared, is part of that."""
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
        known = before.url if before is not None else None
        url = known if self._is_at_mirror else self._url or known
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
        checked = whole.what_is_checked(os.path.basename(self._path))
        if status.st_size or checked is not None or not self._is_the_users:  # theirs may be empty: a log, __init__.py
            whole.check(self._path, on_hdu=lambda read, hdu: with_sums.append(fits_sums.confirm(read, hdu)))
        if checked is not None:
            self._checks.append(checked)
        if any(with_sums):
            self._checks.append("CHECKSUM")
        self._sha1 = sha1_of(self._path).hexdigest()
        entry = self._entry
        if entry is not None and entry.sha1 is not None:
            if entry.sha1 != self._sha1:
                # Its time tells what happened, not whether it is right: files of an archive are not edited.
                how = "damaged" if entry.mtime == status.st_mtime_ns else "written to"
                if how == "written to" and self._is_the_users:
                    return None
                hint = "" if self._fetcher is not None or self._is_the_users else _ASK_THE_SERVER
                return CorruptFile(
                    f"it was {how} since it was found whole: its sha1 is {self._sha1}, and was {entry.sha1}{hint}"
                )
            self._checks.append("recorded sha1")
            self._etag = entry.etag
        return None

    @cached_property
    def _is_the_users(self) -> bool:
        """Whether it is neither the survey's nor was fetched: who keeps a file of theirs in an archive may edit it."""
        return (self._entry is None or self._entry.url is None) and not self._is_product(self._path)

    def _head(self, fetcher: Fetcher) -> tuple[str, dict[str, str]]:
        """Return the first URL at which the server has the file, and what it says of it.

        Where it cannot be reached, a mirror that has the file says it. That one has it not, or gives it to nobody, is
        not the server's word.
        """
        try:
            return self._first_head(fetcher, self._known_url() or self._urls_of(self._path))
        except TransferFailed:
            self._is_at_mirror = True
            for mirror in fetcher.options.mirrors:
                there = (url_of(location_of_url(url), mirror) for url in self._known_url() or self._urls_of(self._path))
                with contextlib.suppress(FileFailed, NotIdentified):
                    return self._first_head(fetcher, there)
            raise

    def _first_head(self, fetcher: Fetcher, urls: Iterable[str]) -> tuple[str, dict[str, str]]:
        missing: FileMissing | None = None
        for url in urls:
            self._url = self._url or url
            try:
                return url, fetcher.inquiries.head(url, public=is_public(url))
            except FileMissing as error:
                missing = missing or error
        raise missing or FileMissing("there is no URL for it")

    def _known_url(self) -> tuple[str, ...]:
        """Return the URL from which the file came, where that is on the server which is asked now."""
        url = self._entry.url if self._entry is not None else None
        if url is None:
            return ()
        try:
            now = next(self._urls_of(self._path), url)
        except NotIdentified:  # it is kept elsewhere: there is but the one to ask
            now = url
        if _server_of(url) == _server_of(now):
            return (url,)
        self._etag = None  # another server has others for the same files
        return ()

    def _against_server(self, fetcher: Fetcher) -> bool:
        """Compare with what the server has; return whether it lists the very sha1: it outweighs what is remembered."""
        self._url, headers = self._head(fetcher)
        try:
            return self._compared(fetcher, self._url, headers)
        except CorruptFile as error:
            if not self._is_at_mirror or "recorded sha1" not in self._checks:
                raise
            raise FileFailed(f"it is what was fetched, and a mirror has another: {error}") from None

    def _compared(self, fetcher: Fetcher, url: str, headers: dict[str, str]) -> bool:
        length = number(headers.get("content-length", ""))
        if length is not None and "content-encoding" not in headers:
            if length != self._size:
                raise CorruptFile(f"it has {self._size} bytes, and on the server {length}")
            self._checks.append("size")
        # A page in the place of a folder's index says nothing of the file, neither good nor bad.
        listed = fetcher.inquiries.listings.sha1(url, surely=can_list(url), named=False)
        etag = None if self._is_at_mirror else headers.get("etag")  # a mirror has others for the same files
        if listed is not None:
            if listed != self._sha1:
                if self._etag and etag == self._etag:
                    raise FileFailed(
                        f"it is the file that the server has ({etag}), and the server lists another sha1 for it: its "
                        "list may be older than the file"
                    )
                raise CorruptFile(f"its sha1 is {self._sha1}, and the server lists {listed}")
            self._checks.append("sha1sum")
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


def _server_of(url: str) -> str:
    return url.partition("/sas/")[0]


def _touched(before: os.stat_result, after: os.stat_result) -> bool:
    def what_a_write_changes(status: os.stat_result) -> tuple[int, ...]:
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    return what_a_write_changes(before) != what_a_write_changes(after)
