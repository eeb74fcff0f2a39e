"""What a server has in place of a missing file: another compression, close names, the same in other releases."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from astra_registry.errors import AstraRegistryError
from astra_registry.fetching.listings import Listings, can_list, spellings
from astra_registry.fetching.places import url_of
from astra_registry.fetching.report import Member
from astra_registry.fetching.transports.credentials import SDSS_HOSTS, is_public
from astra_registry.fetching.transports.origin import split, without_password
from astra_registry.fetching.wanted import Wanted

_FOLDERS_FOR = 100  # missing files a run whose folder on the server is looked at …
_RELEASES_FOR = 10  # … and those whose folders in other releases are
_SECONDS = 5.0  # that the other releases may take
_NAMES_COMPARED = 5000


class Advice:
    """Looks at the folders of a server for the first missing files of a run; may be asked from many threads."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings
        self._given = 0
        self._lock = threading.Lock()

    def on(self, item: Wanted) -> str:
        """Return what to say after "has no …": text that begins with its own comma or bracket, or nothing."""
        if not can_list(item.urls[0]):
            return ""
        with self._lock:
            self._given += 1
            number = self._given
        told = ""
        # A plugin's default may fail in any way; that the file is missing stays true.
        with contextlib.suppress(Exception):
            told += self._in_its_folders(item.urls) if number <= _FOLDERS_FOR else ""
        with contextlib.suppress(Exception):
            told += self._in_other_releases(item) if number <= _RELEASES_FOR else ""
        return told

    def _in_its_folders(self, urls: tuple[str, ...]) -> str:
        is_told = True
        for url in urls:
            folder, _, coded = url.rpartition("/")
            name = urllib.parse.unquote(coded)
            there = self._listings.folder(folder + "/")
            if there.there:
                break
            is_told &= there.there is not None
        else:
            return f" (nor its folder){self._on_the_base(urls[0])}" if is_told else ""
        if name in there.names:
            return ", although its folder lists it"
        for spelling in spellings(name)[1:]:
            if spelling in there.names:
                return f"; it has {spelling}"
        from difflib import get_close_matches

        close = get_close_matches(name, there.names[:_NAMES_COMPARED], n=3, cutoff=0.6)
        files = sum(not n.endswith("/") for n in there.names)
        among = f", among them {', '.join(close)}" if close else ""
        return f"; its folder holds {files:,} file{'' if files == 1 else 's'}{among}"

    def _on_the_base(self, url: str) -> str:
        """Return what to say of a base that is the folder sas itself, in the place of what holds it."""
        base, twice, _ = url.partition("/sas/sas/")
        if not twice or self._listings.folder(f"{base}{twice}").there is not False:
            return ""
        return f"; there is no folder sas in {without_password(base)}/sas, and remote_base is what holds one"

    def _in_other_releases(self, item: Wanted) -> str:
        product = item.product.product() if isinstance(item.product, Member) else item.product
        until = time.monotonic() + _SECONDS
        having: list[str] = []
        for release, locations in _elsewhere(product, public=is_public(item.urls[0], product)):
            if time.monotonic() > until:
                break
            if any(self._has(_at_the_same_server(item.urls[0], location)) for location in locations):
                having.append(release)
        if not having:
            return ""
        listed = having[0] if len(having) == 1 else f"{', '.join(having[:-1])} and {having[-1]}"
        return f"; {listed} {'has' if len(having) == 1 else 'have'} it"

    def _has(self, url: str) -> bool:
        folder, _, coded = url.rpartition("/")
        return self._listings.folder(folder + "/").has(urllib.parse.unquote(coded))


def _elsewhere(product: Any, *, public: bool) -> Iterator[tuple[str, list[str]]]:
    """Give the other releases, newest first, with the locations that the product has there.

    A version that was given (``apred``) is tried as that release has it, and as it is. For a public product only
    public releases are looked at, so that no credentials take part.
    """
    if not hasattr(product, "product_parameters"):
        return
    from astra_registry.release import is_public as is_out

    for release in reversed(product.releases()):
        if release == product.release or (public and not is_out(release)):
            continue
        locations: dict[str, None] = {}
        for versions in (_own_versions(product, release), {}):
            try:
                there = product.clone(release=release, **versions)
                locations |= dict.fromkeys((there.location, *there.further_locations))
            except AstraRegistryError:
                continue
        locations.pop(product.location, None)
        if locations:
            yield release, list(locations)


def _own_versions(product: Any, release: str) -> dict[str, Any]:
    """Return the parameters that were given, and of which another release has a version of its own."""
    return {
        p.name: p.default[release]
        for p in product.product_parameters().values()
        if p.differs_by_release and release in p.default and product.param_origins.get(p.name) == "given"
    }


def _at_the_same_server(url: str, location: str) -> str:
    """Return the URL of another location at the server of this one; of the SDSS's two, the one that has it."""
    base = url.partition("/sas/")[0]
    return url_of(location, None if base.startswith("http") and split(base)[0] in SDSS_HOSTS else base)
