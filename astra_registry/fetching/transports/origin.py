"""A host as credentials and redirects see it: scheme, name and port."""

from __future__ import annotations

import functools
import urllib.parse
from typing import NamedTuple

from astra_registry.errors import BadSetting, TransferFailed

PORTS = {"http": 80, "https": 443, "rsync": 873}

# What may stand in a request's target as it is; anything else is escaped (an existing %41 is left alone).
SAFE = "!#$%&'()*+,/:;=?@[]~"


class Origin(NamedTuple):
    """Scheme, name and port."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The host as a Host header writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine."""
        if self.host == "localhost":
            return True
        import ipaddress

        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@functools.lru_cache(256)
def _origin(scheme: str, netloc: str) -> Origin:
    try:
        parts = urllib.parse.urlsplit(f"{scheme}://{netloc}")
        port = parts.port
    except ValueError:
        raise TransferFailed(f"{scheme}://{netloc} has no proper host and port") from None
    if not parts.hostname:
        raise TransferFailed(f"{scheme}://{netloc} names no host")
    return Origin(scheme, parts.hostname, port or PORTS.get(scheme, 0))


@functools.lru_cache(1024)
def split(url: str) -> tuple[Origin, str]:
    """Return the origin of an http or https URL, and the target to ask it for; anything else is refused."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("http", "https"):
        way = f"--transport {scheme}" if scheme in ("file", "rsync") else "a transport of its own"
        raise TransferFailed(f"{without_password(url)} is not an http or https URL: it needs {way}")
    # A user and password in the URL would end up in messages and reports; they belong in .netrc. They go first, as a
    # password may hold a # that begins no fragment.
    netloc, slash, path = rest.partition("/")
    netloc, slash, path = f"{netloc.rpartition('@')[2]}{slash}{path}".partition("#")[0].partition("/")
    target = urllib.parse.quote(slash + path, safe=SAFE) if slash else "/"
    return _origin(scheme, netloc), target


def without_password(url: str) -> str:
    """Return the URL with what stands before an ``@`` of its host left out."""
    scheme, separator, rest = url.partition("://")
    netloc, slash, path = rest.partition("/")
    return f"{scheme}{separator}{netloc.rpartition('@')[2]}{slash}{path}" if "@" in netloc else url


def configured_origin(base: str) -> Origin:
    """Return the host that a remote base names, for credentials."""
    if base.startswith(("http://", "https://")):
        try:
            return split(base)[0]
        except TransferFailed as error:
            raise BadSetting(f"remote_base is {without_password(base)!r}: {error}") from None
    parts = urllib.parse.urlsplit(base)
    return Origin(parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0))
