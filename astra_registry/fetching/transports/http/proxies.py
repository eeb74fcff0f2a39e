"""Proxies, as people who use requests or curl have named them in their environment."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import sys
import time
import urllib.parse

import attrs

from astra_registry.errors import TransferFailed
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.setbacks import Setback

_HEAD_LIMIT = 1 << 16
_BUSY = frozenset({408, 429})


@attrs.frozen
class Proxy:
    """A proxy server and how to log in to it."""

    host: str
    port: int
    authorization: str = attrs.field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def proxy_for(origin: Origin) -> Proxy | None:
    """Return the proxy that the environment names for a host, in either case (http_proxy, https_proxy, all_proxy).

    ``no_proxy`` has the meaning that requests gives it: names with all below them, ``name:port``, addresses, networks
    (``10.0.0.0/8``), ``*``. Raises TransferFailed for a proxy that cannot be used.
    """
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request  # it takes as long to load as the rest of this package

    proxies = urllib.request.getproxies()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or urllib.request.proxy_bypass(f"{origin.host}:{origin.port}") or _in_a_network_without(origin.host):
        return None
    proxy = _parsed(url, origin.scheme)
    # Another machine's proxy would look for the server on itself.
    if origin.is_loopback and not Origin("http", proxy.host, proxy.port).is_loopback:
        return None
    return proxy


def _parsed(url: str, scheme: str) -> Proxy:
    named = f"the proxy that the environment names for {scheme}"
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise TransferFailed(f"{named} has no proper host and port") from None
    if parts.scheme != "http" or not host:
        raise TransferFailed(f"{named} is of a kind that is not supported ({parts.scheme}): use http://")
    if parts.username is None:
        return Proxy(host, port)
    login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return Proxy(host, port, "Basic " + base64.b64encode(login.encode()).decode())


def _in_a_network_without(host: str) -> bool:
    """Whether ``no_proxy`` names a network that holds this address; the standard library knows names only."""
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(","):
        with contextlib.suppress(ValueError):
            if "/" in entry and address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
    return False


def tunnel(plain: socket.socket, origin: Origin, proxy: Proxy, timeout: float) -> None:
    """Have the proxy connect this socket to the host; a Setback when it cannot now, TransferFailed when it will not."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    login = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    until = time.monotonic() + timeout
    head = b""
    try:
        plain.sendall(f"CONNECT {host}:{origin.port} HTTP/1.1\r\nHost: {host}:{origin.port}\r\n{login}\r\n".encode())
        while not head.endswith(b"\r\n\r\n") and len(head) < _HEAD_LIMIT:
            plain.settimeout(max(0.01, until - time.monotonic()))
            more = plain.recv(1)  # one at a time: what follows belongs to TLS
            if not more:
                raise Setback(f"the proxy {proxy} hung up", unreachable=True)
            head += more
    except TimeoutError:
        raise Setback(
            f"the proxy {proxy} did not connect to {origin.authority} within {timeout:g} s", unreachable=True
        ) from None
    except OSError as error:
        if isinstance(error, Setback):
            raise
        raise Setback(f"the proxy {proxy} hung up: {error.strerror or error}", unreachable=True) from None
    told = head.split(b" ", 2)[1:2]
    code = told[0][:3].decode("latin-1") if told else "nothing"
    if code.startswith("2"):
        return
    if code == "407":
        raise TransferFailed(refused_login(proxy))
    final = code.startswith("4") and code.isdecimal() and int(code) not in _BUSY
    kind = TransferFailed if final else Setback
    raise kind(f"the proxy {proxy} answered {code} for {origin.authority}")


def refused_login(proxy: Proxy) -> str:
    """Return what to say when a proxy answers 407."""
    if proxy.authorization:
        return f"the proxy {proxy} refused the name and password of its URL (407)"
    return f"the proxy {proxy} wants a login (407): put it into its URL, as in https_proxy=http://NAME:PASSWORD@{proxy}"
