"""Lists of what is to be fetched, for people's own tools."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Callable, Iterable, Iterator

from astra_registry.errors import BadValue, TransferFailed
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.origin import split, without_password
from astra_registry.fetching.transports.rsync_source import SDSS_RSYNC, Source
from astra_registry.fetching.wanted import Seen, Wanted

FORMATS = ("urls", "aria2", "curl", "rsync")

_LeftOut = Callable[[Wanted, object], None]


def export(items: Iterable[Wanted], style: str, on_left_out: _LeftOut = lambda item, reason: None) -> Iterator[str]:
    """Give the lines of a list of ``items`` in a style of `FORMATS`, each file once.

    ``on_left_out`` is called with an item that cannot be in the list, and the reason.

    ``urls``: one a line. ``aria2``: for ``aria2c -i FILE``; further locations as its alternatives. ``curl``: for
    ``curl -Z -K FILE``, of curl 7.83 at least. ``rsync``: a shell script, one command a folder of the server's top.
    For what is not public they find the password where they always do: in ``~/.netrc``, or in ``RSYNC_PASSWORD``; for
    what is, they send none.
    """
    if style not in FORMATS:
        raise BadValue(f"there is no export {style!r}; there are {', '.join(FORMATS)}")
    usable = _usable(items, on_left_out)
    if style == "rsync":
        return _rsync(usable, on_left_out)
    if style == "curl":
        return _curl(usable)
    write = {"urls": _urls, "aria2": _aria2}[style]
    return (line for item in usable for line in write(item))


def _usable(items: Iterable[Wanted], on_left_out: _LeftOut) -> Iterator[Wanted]:
    seen = Seen()  # two transfers to one path at once, as curl -Z would do them, make one bad file
    for item in items:
        if (refusal := item.refusal) is not None:
            on_left_out(item, refusal)
        elif seen.add(item.path):
            yield item


def _urls(item: Wanted) -> tuple[str, ...]:
    return (without_password(item.urls[0]),)


def _aria2(item: Wanted) -> tuple[str, ...]:
    folder, name = os.path.split(item.path)
    # Without these two, a second run brings each file again, as star.1.fits.
    once = ("  auto-file-renaming=false", "  continue=true")
    # Else aria2 sends what .netrc has for the host with files that are everybody's too, and to who may read along.
    no_login = () if _logs_in(item) else ("  no-netrc=true",)
    return (
        "\t".join(map(without_password, item.urls)),
        f"  dir={folder}",
        f"  out={name}",
        *once,
        *no_login,
    )


# Without the first two, curl keeps a page that says "moved" or "404" under the file's name; without the third, what
# came until a server hung up.
_ALWAYS = ("location", "fail", "remove-on-error", "create-dirs", "remote-time")
# It looks into .netrc for each place that it is led to: another port of the host, another host, for which there may be
# a default there. So with a password it is led nowhere.
_LOGIN = ("netrc-optional", "max-redirs = 0")


def _curl(items: Iterable[Wanted]) -> Iterator[str]:
    # curl takes an option for all transfers, before it and after it, up to the next `next`.
    for number, (logs_in, members) in enumerate(itertools.groupby(items, _logs_in)):
        yield from (*(("next",) if number else ()), *_ALWAYS, *(_LOGIN if logs_in else ()))
        for item in members:
            yield f"url = {_quoted(without_password(item.urls[0]))}"
            yield f"output = {_quoted(item.path)}"


def _logs_in(item: Wanted) -> bool:
    """Whether a file is not everybody's, and nobody on the way could read the password."""
    url = item.urls[0]
    try:
        origin, _ = split(url)
    except TransferFailed:
        return False
    return (origin.scheme == "https" or origin.is_loopback) and not is_public(url, item.product)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# Modes are what the umask says: a folder that nobody may write to on the server would take no later file here. Even
# without --perms rsync makes new folders as the server has them. What was cut off keeps out of the way of its name.
_RSYNC = "rsync --times --copy-links --chmod=ugo=rwX --partial-dir=.rsync-partial --files-from=-"


def _rsync(items: Iterable[Wanted], on_left_out: _LeftOut) -> Iterator[str]:
    yield "#!/bin/sh"
    yield "failed=0"
    for (server, base), members in itertools.groupby(_by_rsync(items, on_left_out), key=lambda member: member[0]):
        yield f"mkdir -p {shlex.quote(base)}"
        yield f"{_RSYNC} {shlex.quote(server)} {shlex.quote(base)} <<'END' || failed=$?"
        for _, path in members:
            # rsync takes lines that begin so for comments, and the shell that one for the end.
            yield f"./{path}" if path.startswith(("#", ";")) or path == "END" else path
        yield "END"
    yield "exit $failed"


def _by_rsync(items: Iterable[Wanted], on_left_out: _LeftOut) -> Iterator[tuple[tuple[str, str], str]]:
    """Give (URL of the server's module, folder here) and the path below both."""
    for item in items:
        try:
            source = Source.of(item.urls[0])
        except TransferFailed as error:
            on_left_out(item, error)
            continue
        user = "" if is_public(item.urls[0], item.product) else SDSS_RSYNC.get(source.web_host, ("", ""))[1]
        # The list's paths are the same on both sides; where a file belongs elsewhere, rsync cannot say so.
        base = item.path.removesuffix(source.path)
        if base != item.path and base.endswith("/"):
            yield (f"rsync://{user}{user and '@'}{source.authority}/{source.module}/", base), source.path
        else:
            on_left_out(item, f"rsync's lists have no way to bring it to {item.path}")
