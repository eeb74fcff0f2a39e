"""How to fetch: what a run is told, and what follows for its transport and its credentials."""

from __future__ import annotations

import os
from typing import Any

import attrs

from astra_registry.errors import BadSetting
from astra_registry.fetching.places import PUBLIC_BASE
from astra_registry.fetching.transports.credentials import Login
from astra_registry.fetching.transports.http import HttpTransport
from astra_registry.fetching.transports.http.line import tls_context
from astra_registry.fetching.transports.origin import without_password
from astra_registry.fetching.transports.transport import Transport

# Of each of our own transports, the schemes of the servers that it asks; one that a plugin brings may ask any.
_SCHEMES = {"http": ("http", "https"), "file": ("file",), "rsync": ("rsync", "http", "https")}
TRANSPORTS = tuple(_SCHEMES)


@attrs.frozen(kw_only=True)
class Options:
    """How to fetch; the settings of the same names say more."""

    jobs: int = 16
    overwrite: bool = False
    transport: str | Transport = "http"
    timeout: float = 30.0
    connect_timeout: float = 10.0
    retries: int = 5
    checksums: str = "auto"
    checksums_fixed: bool = False  # whoever runs it has no choice of them, and no error tells to choose others
    ca_bundle: str | None = None
    limit_rate: float | None = None
    mirrors: tuple[str, ...] = ()
    remote_base: str | None = None
    link: bool = False
    login: Login | None = None
    ledger: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.checksums not in ("auto", "always", "never"):
            raise BadSetting(f"checksums is {self.checksums!r}, and must be auto, always or never")
        for name in ("jobs", "timeout", "connect_timeout"):
            if not getattr(self, name) > 0:
                raise BadSetting(f"{name} is {getattr(self, name)!r}, and must be more than 0")
        if self.link and isinstance(self.transport, str) and self.transport != "file":
            raise BadSetting("links can be made to files that are mounted here: link needs the transport file")
        if self.ca_bundle is not None and not os.path.exists(self.ca_bundle):
            raise BadSetting(f"ca_bundle is {str(self.ca_bundle)!r}, and there is no such file")
        if self.ca_bundle is not None:
            tls_context(self.ca_bundle)  # one that cannot be read is refused now, and not once for each file

    def check_servers(self) -> None:
        """Raise BadSetting for a base or a mirror that the transport cannot ask, for any file."""
        if not isinstance(self.transport, str) or self.transport not in _SCHEMES:
            return
        asked = _SCHEMES[self.transport]
        for name, servers in (("remote_base", (self.remote_base or PUBLIC_BASE,)), ("mirrors", self.mirrors)):
            for server in servers:
                scheme = server.partition(":")[0]
                if scheme not in asked:
                    wanted = " or ".join(f"{known}://…" for known in asked)
                    others = [transport for transport, schemes in _SCHEMES.items() if scheme in schemes]
                    way = f"; {scheme}://… is for the transport {others[0]}" if others else ""
                    shown = without_password(server)
                    raise BadSetting(f"{name} is {shown!r}, and the transport {self.transport} wants {wanted}{way}")


_SETTINGS = (
    "jobs",
    "overwrite",
    "transport",
    "timeout",
    "connect_timeout",
    "retries",
    "checksums",
    "ca_bundle",
    "limit_rate",
    "mirrors",
    "remote_base",
)


def as_configured(
    origin: str,
    *,
    transport: str | Transport | None = None,
    link: bool = False,
    login: Login | None = None,
    ledger: str | None = None,
    checksums_fixed: bool = False,
    **given: Any,
) -> Options:
    """Return the options that follow from what is given, and where that is None from the settings of the same names.

    ``origin`` is what messages call the place where it was given. Raises BadSetting.
    """
    from astra_registry.settings import override, setting

    brought = None if isinstance(transport, str) else transport
    told = {**given, "transport": None if brought is not None else transport}
    with override(origin, **{name: value for name, value in told.items() if value is not None}):
        chosen = {name: setting(name) for name in _SETTINGS}
    chosen["mirrors"] = tuple(chosen["mirrors"])
    if brought is not None:
        chosen["transport"] = brought
    return Options(**chosen, link=link, login=login, ledger=ledger, checksums_fixed=checksums_fixed)


def transport_of(options: Options, http: HttpTransport) -> Transport:
    """Return the way to the servers that the options name."""
    chosen = options.transport
    if not isinstance(chosen, str):
        return chosen
    if chosen == "file":
        from astra_registry.fetching.transports.mounted import FileTransport

        return FileTransport(link=options.link)
    if chosen not in TRANSPORTS:
        from astra_registry.fetching.transports.brought import brought_transport

        given = ("timeout", "connect_timeout", "retries", "ca_bundle", "limit_rate", "remote_base")
        return brought_transport(chosen, TRANSPORTS, **{name: getattr(options, name) for name in given})
    return http
