"""Where a location of the SAS is: below a folder here, below a base on a server."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterable

from astra_registry.errors import NotIdentified
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.origin import without_password
from astra_registry.paths.quoting import is_text, quoted

PUBLIC_BASE = "https://data.sdss.org"
INTERNAL_BASE = "https://data.sdss5.org"


def url_of(location: str, remote_base: str | None = None) -> str:
    """Return the URL of a location; without a base on the SDSS server that has the release of its first folder.

    NotIdentified for one that is no text: names on a disk may have any bytes, and templates make none like them.
    """
    if not is_text(location):
        raise NotIdentified(f"{os.fsencode(location)!r} is no text in UTF-8, and has no URL")
    path = f"/sas/{quoted(location)}"
    return (remote_base or (PUBLIC_BASE if is_public(path) else INTERNAL_BASE)).rstrip("/") + path


def is_by_rsync(url: str) -> bool:
    """Whether a URL, or the base of a server, is one of rsync."""
    return url.startswith("rsync:")


def at_mirror(mirror: str, urls: Iterable[str]) -> tuple[str, ...]:
    """Return the URLs of the same locations at another server; what is on no SAS has none."""
    return tuple(f"{mirror.rstrip('/')}/sas/{url.partition('/sas/')[2]}" for url in urls if "/sas/" in url)


def location_of_url(url: str) -> str:
    """Return the location that a URL names: what follows ``/sas/``; NotIdentified when it has none."""
    before, found, location = urllib.parse.urlsplit(url).path.partition("/sas/")
    if not found:
        where = "" if before else " after its host"
        raise NotIdentified(f"{without_password(url)} is not on a SAS: it has no /sas/{where}")
    return urllib.parse.unquote(location)


def location_of_path(path: str, sas_base_dir: str) -> str:
    """Return the location of a local file; NotIdentified when it is not below the folder of the SAS."""
    location = os.path.relpath(os.path.abspath(path), os.path.abspath(sas_base_dir))
    if location == os.curdir or location.split(os.sep, 1)[0] == os.pardir:
        raise NotIdentified(f"{path} is not below {sas_base_dir}")
    return location.replace(os.sep, "/")
