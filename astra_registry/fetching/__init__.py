"""Fetching: files come whole or not at all, as fast as the line, with one result a file.

The `fetcher` hands items to a `courier` each, or in groups to a `convoy`; these take a way to the server (`transports`)
and know what is on this `disk`. What comes of it is a `report`; around it are the `plan` before, `locked` data sets,
what others may `export`, and `verify` afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.options import Options, as_configured
from astra_registry.fetching.progress import Progress, ProgressLine
from astra_registry.fetching.report import FetchReport, FetchResult
from astra_registry.fetching.transports.credentials import Login
from astra_registry.fetching.transports.transport import Fetched, Transport
from astra_registry.fetching.wanted import Rows, Wanted, count_of, wanted_items

__all__ = [
    "FetchReport",
    "FetchResult",
    "Fetched",
    "Progress",
    "ProgressLine",
    "Rows",
    "Transport",
    "Wanted",
    "fetch",
    "iter_fetch",
    "wanted_items",
]


def fetch(
    products: Any,
    *,
    jobs: int | None = None,
    overwrite: bool | None = None,
    transport: str | Transport | None = None,
    sas_base_dir: str | os.PathLike[str] | None = None,
    remote_base: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_result: Callable[[FetchResult], None] | None = None,
    **further: Any,
) -> FetchReport:
    """Bring the files of products, and return one result a file; see `iter_fetch` for these options and further ones.

    Nothing is raised for a file that could not be had: look at ``report.failed``, or call
    ``report.raise_for_failures()``.
    """
    results = iter_fetch(
        products,
        jobs=jobs,
        overwrite=overwrite,
        transport=transport,
        sas_base_dir=sas_base_dir,
        remote_base=remote_base,
        on_progress=on_progress,
        on_result=on_result,
        **further,
    )
    return FetchReport(results)


def iter_fetch(
    products: Any,
    *,
    jobs: int | None = None,
    overwrite: bool | None = None,
    transport: str | Transport | None = None,
    sas_base_dir: str | os.PathLike[str] | None = None,
    remote_base: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_result: Callable[[FetchResult], None] | None = None,
    timeout: float | None = None,
    connect_timeout: float | None = None,
    retries: int | None = None,
    checksums: str | None = None,
    ca_bundle: str | os.PathLike[str] | None = None,
    limit_rate: float | str | None = None,
    mirrors: tuple[str, ...] | None = None,
    link: bool = False,
    login: Login | None = None,
    total: int | None = None,
    total_bytes: int | None = None,
    on_double: Callable[[Wanted], None] | None = None,
) -> Iterator[FetchResult]:
    """Bring the files of products, and give one result a file as they come: for lists too large for memory.

    ``products`` is a product, a batch, a `Wanted` item, or an iterable of them, or of `Rows`. What is not given follows
    from the settings of the same name; ``limit_rate`` is in bytes a second, or text (``"2M"``). ``link`` makes links
    instead of copies (transport ``file``); ``login`` is a function from a host's name to a user's name and password,
    called when a server asks for them and none are found; ``total`` is the number of files and ``total_bytes`` what of
    them has to come, for progress, where they are known. ``on_progress`` and ``on_result`` are called in the thread
    that takes the results, as is ``on_double``, with each item whose file another one before it has asked for: it has
    no result of its own.
    """
    base_dir = None if sas_base_dir is None else os.fspath(sas_base_dir)
    options = as_configured(
        "fetch",
        jobs=jobs,
        overwrite=overwrite,
        transport=transport,
        timeout=timeout,
        connect_timeout=connect_timeout,
        retries=retries,
        checksums=checksums,
        ca_bundle=ca_bundle,
        limit_rate=limit_rate,
        mirrors=mirrors,
        sas_base_dir=base_dir,
        remote_base=remote_base,
        link=link,
        login=login,
    )
    if remote_base is not None:  # else the items may have URLs of their own
        options.check_servers()
    items = wanted_items(products, sas_base_dir=base_dir, remote_base=remote_base)
    if total is None:
        total = count_of(products)
    calls = {"on_progress": on_progress, "on_result": on_result, "on_double": on_double}
    return _stream(options, items, {"total": total, "total_bytes": total_bytes, **calls})


def _stream(
    options: Options,
    items: Iterator[Wanted],
    told: dict[str, Any],
) -> Iterator[FetchResult]:
    # Nothing is opened before somebody takes the first result: an iterator that is dropped unused leaves nothing open.
    yield from Fetcher(options).results(items, **told)
