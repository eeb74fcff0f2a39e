"""Files over http and https: a client that trusts no answer, and the transport that brings files with it.

From the bottom: a `line` is a socket to a server, through a proxy where there is one; on it `wire` speaks HTTP; `hosts`
keeps what is open, and has `slots` for so many at once; the `client` asks, follows and logs in; a `download` brings one
file by it, in `pieces` where that is faster, `filling` a part file.
"""

from __future__ import annotations

from astra_registry.fetching.transports.http.client import HttpClient
from astra_registry.fetching.transports.http.download import Download
from astra_registry.fetching.transports.transport import Errand, Fetched


class HttpTransport(HttpClient):
    """Brings files over http and https; of a part file that it began earlier, what is missing."""

    takes_errands = True

    def fetch(self, url: str, destination: str, errand: Errand | None = None) -> Fetched:
        """Bring the file; see `Transport.fetch`."""
        return Download(self, url, destination, errand or Errand()).run()
