"""Lists of what is to be fetched, for people's own tools."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator

from astra_registry.errors import BadValue, TransferFailed
from astra_registry.fetching.origin import without_password
from astra_registry.fetching.rsync import Source
from astra_registry.fetching.wanted import Wanted

FORMATS = ("urls", "aria2", "curl", "rsync")


def export(items: Iterable[Wanted], style: str) -> Iterator[str]:
    """Give the lines of a list of ``items`` in a style of `FORMATS`; items that cannot be used are left out.

    ``urls``: one a line. ``aria2``: for ``aria2c -i FILE``; further locations as its alternatives. ``curl``: for
    ``curl -Z --create-dirs -K FILE``. ``rsync``: a shell script, one command a folder of the server's top.
    """
    if style not in FORMATS:
        raise BadValue(f"there is no export {style!r}; there are {', '.join(FORMATS)}")
    usable = (item for item in items if item.error is None and item.urls)
    if style == "rsync":
        return _rsync(usable)
    write = {"urls": _urls, "aria2": _aria2, "curl": _curl}[style]
    return (line for item in usable for line in write(item))


def _urls(item: Wanted) -> tuple[str, ...]:
    return (without_password(item.urls[0]),)


def _aria2(item: Wanted) -> tuple[str, ...]:
    folder, name = os.path.split(item.path)
    return "\t".join(map(without_password, item.urls)), f"  dir={folder}", f"  out={name}"


def _curl(item: Wanted) -> tuple[str, ...]:
    return f"url = {_quoted(without_password(item.urls[0]))}", f"output = {_quoted(item.path)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _rsync(items: Iterable[Wanted]) -> Iterator[str]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for item in items:
        try:
            source = Source.of(item.urls[0])
        except TransferFailed:
            continue
        # The list's paths are the same on both sides; where a file belongs elsewhere, rsync cannot say so.
        base = item.path.removesuffix(source.path)
        if base != item.path:
            groups.setdefault((source.authority, source.module, base), []).append(source.path)
    yield "#!/bin/sh"
    for (authority, module, base), paths in groups.items():
        yield f"mkdir -p {shlex.quote(base)}"
        yield f"rsync -a --files-from=- {shlex.quote(f'rsync://{authority}/{module}/')} {shlex.quote(base)} <<'END'"
        yield from paths
        yield "END"
