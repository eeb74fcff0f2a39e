"""Checking what lies on disk: by itself, against what is remembered, and against the server; and bringing it again."""

from __future__ import annotations

import functools
import os
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import attrs

from astra_registry.errors import NotIdentified
from astra_registry.fetching.check import Check, Finding, IsProduct, UrlsOf
from astra_registry.fetching.disk.ledger import Ledger
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.options import Options, as_configured
from astra_registry.fetching.places import location_of_path, url_of
from astra_registry.fetching.report import FetchResult
from astra_registry.fetching.transports.credentials import Login
from astra_registry.fetching.wanted import Wanted

# Of transfers, those of the exported script of rsync too.
_PRIVATE = re.compile(r"^\.(astra-rsync|astra-turns$|rsync-partial$|.*\.astra-(part|part-record|lock)$)")
_CHUNK = 200
_REPAIRED_TOGETHER = 200  # files, over the same connections and with one listing of a folder …
_HELD = 5000  # … and the most findings that wait until so many bad ones have come


def verify(
    paths: Iterable[str | os.PathLike[str]],
    *,
    remote: bool = False,
    repair: bool = False,
    sas_base_dir: str | os.PathLike[str] | None = None,
    remote_base: str | None = None,
    url_for: Callable[[str], str] | None = None,
    further_locations: Callable[[str], Iterable[str]] = lambda path: (),
    is_product: IsProduct = lambda path: True,
    jobs: int | None = None,
    timeout: float | None = None,
    ca_bundle: str | os.PathLike[str] | None = None,
    login: Login | None = None,
    ledger: str | None = None,
) -> Iterator[Finding]:
    """Give a finding for each file, and for each file below each folder (links to folders elsewhere are followed).

    By itself a file is checked for its FITS structure to the last block, its gzip trailer, its CHECKSUM and DATASUM
    cards, and the sha1 that was recorded when it was fetched. ``remote`` asks the server for size, ETag and
    ``.sha1sum``, or where it cannot be reached the mirrors of the settings (whose ETags are others). ``repair`` brings
    again what is bad; the bad file stays until a good one is here. What is whole is remembered, so that fetching knows
    it: that is how an existing archive is adopted.

    ``url_for`` tells the URL of a path, where that is not its location below the server's base; ``further_locations``
    where else on the server a path's file may be, asked only when it is not at the first. ``is_product`` tells
    whether a path is where a file of the survey lies: others, which were not fetched, may be empty, and be edited after
    they were found whole. ``login`` is that of `iter_fetch`.
    """
    from astra_registry.settings import setting

    if login is not None:
        login = functools.cache(login)  # who repairs does not ask again what was asked for the comparison
    options = as_configured(
        "verify",
        jobs=jobs,
        timeout=timeout,
        ca_bundle=ca_bundle,
        remote_base=remote_base,
        overwrite=True,
        checksums="always",
        checksums_fixed=True,
        login=login,
        ledger=ledger,
    )
    base_dir = os.fspath(sas_base_dir) if sas_base_dir is not None else setting("sas_base_dir")
    base = options.remote_base

    def default_url(path: str) -> str:
        return url_of(location_of_path(path, base_dir), base)

    def urls_of(path: str) -> Iterator[str]:
        yield (url_for or default_url)(path)
        for location in further_locations(path):
            yield url_of(location, base)

    found = _findings(paths, options, urls_of, is_product, remote=remote)
    return _with_repairs(found, options, urls_of) if repair else found


def _findings(
    paths: Iterable[str | os.PathLike[str]],
    options: Options,
    urls_of: UrlsOf,
    is_product: IsProduct,
    *,
    remote: bool,
) -> Generator[Finding]:
    ledger = Ledger(options.ledger)
    fetcher = Fetcher(options) if remote else None
    files = _files(paths)
    pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="astra-verify")
    waiting: deque[tuple[Check, Future[Finding]]] = deque()
    try:
        while True:
            chunk = list(islice(files, _CHUNK))
            known = ledger.known(os.path.abspath(path) for path in chunk)
            for path in chunk:
                check = Check(path, known.get(os.path.abspath(path)), urls_of, fetcher, is_product)
                waiting.append((check, pool.submit(check.run)))
            while waiting and (len(waiting) > 2 * _CHUNK or not chunk):
                check, future = waiting.popleft()
                finding = future.result() if fetcher is None else fetcher.waiting_for(future)
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


def _with_repairs(found: Generator[Finding], options: Options, urls_of: UrlsOf) -> Iterator[Finding]:
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


def _repaired(held: deque[Finding], fetcher: Fetcher, urls_of: UrlsOf) -> Iterator[Finding]:
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
