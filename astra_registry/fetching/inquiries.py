"""What a server, or a mounted SAS, is asked for besides files: small pages, what its folders hold, a file's headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from astra_registry.errors import FileFailed, TransferFailed
from astra_registry.fetching.listings import Listings, index_names
from astra_registry.fetching.transports import mounted
from astra_registry.fetching.transports.http import HttpTransport
from astra_registry.fetching.transports.http.hosts import Hosts
from astra_registry.fetching.transports.origin import split
from astra_registry.fetching.transports.patience import Patience
from astra_registry.fetching.transports.setbacks import Setback

_PAGE_RETRIES = 2
_Answer = TypeVar("_Answer")


class Inquiries:
    """Asks, and asks again where a server stumbles; what folders list is asked for once, for all (`listings`)."""

    def __init__(self, http: HttpTransport, hosts: Hosts, *, retries: int) -> None:
        self._http = http
        self._hosts = hosts
        self._retries = retries
        self.listings = Listings(self._page, self._index)

    def head(self, url: str, *, public: bool) -> dict[str, str]:
        """Return the headers with which the server would send a file, trying as often as for the file itself."""
        if mounted.is_mounted(url):
            return mounted.head(url)
        host = self._hosts[split(url)[0]]
        host.check()
        patience = Patience(self._retries)
        try:
            headers = self._patiently(lambda: self._http.head(url, public=public), patience)
        except Setback as setback:
            if setback.unreachable:
                host.gave_up(str(setback))
            raise TransferFailed(f"{setback}; {patience.reason}") from None
        except FileFailed:
            host.answered()
            raise
        host.answered()
        return headers

    def _page(self, url: str) -> bytes:
        """Return a small page, also from a server that stumbles once or twice: what it lists keeps bad files out."""
        if mounted.is_mounted(url):
            return mounted.read(url)
        return self._patiently(lambda: self._http.get(url), Patience(min(_PAGE_RETRIES, self._retries)))

    def _index(self, url: str) -> tuple[str, ...]:
        return mounted.names_in(url) if mounted.is_mounted(url) else index_names(self._page(url), url)

    def _patiently(self, ask: Callable[[], _Answer], patience: Patience) -> _Answer:
        while True:
            try:
                return ask()
            except Setback as setback:
                wait = patience.wait_after(setback)
                if wait is None:
                    raise
                self._hosts.sleep(wait)
