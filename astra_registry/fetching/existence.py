"""Whether a server has a file: one question, asked with the credentials that a fetch would use."""

from __future__ import annotations

import os

from astra_registry.errors import FileMissing
from astra_registry.fetching.transports.credentials import Keys, trusted_hosts
from astra_registry.fetching.transports.http import HttpTransport
from astra_registry.fetching.transports.http.hosts import Hosts
from astra_registry.fetching.transports.http.line import Line
from astra_registry.fetching.transports.mounted import is_mounted, path_of
from astra_registry.settings import setting


def is_on_server(url: str, *, public: bool, remote_base: str | None = None) -> bool:
    """Return whether the server, or the mounted SAS, has the file.

    For what is not ``public`` the host of ``remote_base`` is sent credentials; without one, the SDSS's own hosts are.
    Raises Unauthorized, or TransferFailed when the server does not tell.
    """
    if is_mounted(url):
        return os.path.isfile(path_of(url))
    line = Line(connect_timeout=setting("connect_timeout"), timeout=setting("timeout"), ca_bundle=setting("ca_bundle"))
    hosts = Hosts(line, connections=1)
    try:
        HttpTransport(hosts, Keys(trusted_hosts(remote_base))).head(url, public=public)
    except FileMissing:
        return False
    finally:
        hosts.close()
    return True
