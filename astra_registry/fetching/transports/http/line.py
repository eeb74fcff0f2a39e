"""A line to a server: sockets and TLS, through a proxy where there is one."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from astra_registry.errors import BadSetting, TransferFailed
from astra_registry.fetching.transports.http.proxies import Proxy, tunnel
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.setbacks import Setback, Stopped

if TYPE_CHECKING:
    import ssl

# Where people who use requests or curl have named their certificates.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# What is wrong with a certificate for which the authority is not to blame, by OpenSSL's number of it.
_NO_AUTHORITYS_FAULT = {
    9: "look at this machine's clock",
    10: "look at this machine's clock, or tell the server's keepers",
    62: "look at the name of the server: it is another's certificate",
    64: "look at the name of the server: it is another's certificate",
}
_WINDOW = 1 << 20  # bytes that may be on their way to us, before the kernel has measured how many that ought to be


class Line:
    """Opens sockets to servers, with the time-outs and certificates of one run; `cut` ends them all at once."""

    def __init__(self, *, connect_timeout: float, timeout: float, ca_bundle: str | None = None) -> None:
        self.connect_timeout = connect_timeout
        self.timeout = timeout
        self._ca_bundle = ca_bundle
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        self._open: set[socket.socket] = set()
        self._cut = False

    def open(self, origin: Origin, proxy: Proxy | None, patience: float) -> socket.socket:
        """Return a connected socket; a Setback tells why not, a TransferFailed that it never will (certificates)."""
        host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
        timeout = max(0.1, min(self.connect_timeout, patience))
        through = f" (through the proxy {proxy})" if proxy else ""
        try:
            plain = self._connected(host, port, timeout)
        except TimeoutError:
            raise Setback(
                f"{origin.authority} did not accept a connection within {timeout:g} s{through}", unreachable=True
            ) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise Setback(f"cannot connect to {origin.authority}: {reason}{through}", unreachable=True) from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                if proxy is not None:
                    tunnel(plain, origin, proxy, timeout)
                    plain.settimeout(timeout)
                return self._secured(plain, origin)
            plain.settimeout(self.timeout)
        except BaseException:
            self.close(plain)
            raise
        return plain

    def _connected(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a socket on the first of the host's addresses that accepts it; the last error when none does."""
        # A name as bytes is asked for as it is; for one as text Python loads the tables of other alphabets first.
        name: Any = host.encode() if host.isascii() else host
        trouble: list[OSError] = []
        for family, kind, protocol, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
            plain = socket.socket(family, kind, protocol)
            self._admit(plain)
            try:
                plain.settimeout(timeout)
                _widen(plain)
                plain.connect(address)
            except OSError as error:
                self.close(plain)
                trouble = [error]
            else:
                return plain
        raise trouble.pop() if trouble else OSError("it has no address")  # popped: no cycle of error and frame

    def _admit(self, connection: socket.socket) -> None:
        """Have a socket among those that `cut` ends, from before its first wait; Stopped when that was called."""
        with self._lock:
            self._open.add(connection)
            cut = self._cut
        if cut:
            self.close(connection)
            raise Stopped

    def close(self, connection: socket.socket) -> None:
        """Close a socket that `open` gave."""
        with self._lock:
            self._open.discard(connection)
        with contextlib.suppress(OSError):
            connection.close()

    def cut(self) -> None:
        """End every open connection now: whoever waits in one is woken."""
        with self._lock:
            self._cut = True
            sockets = list(self._open)
        for connection in sockets:
            with contextlib.suppress(OSError):
                # Of a TLS socket only the line below it: its own shutdown would want to talk first.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = tls_context(bundle_in_force(self._ca_bundle))
            return self._tls

    def _secured(self, plain: socket.socket, origin: Origin) -> socket.socket:
        import ssl  # a server without TLS does without it

        context = self._context()
        with contextlib.ExitStack() as undoing:
            try:
                secured = context.wrap_socket(plain, server_hostname=origin.host, do_handshake_on_connect=False)
                self.close(plain)  # what it held is the other's now
                undoing.callback(self.close, secured)
                self._admit(secured)
                secured.do_handshake()
                secured.settimeout(self.timeout)
            except ssl.SSLCertVerificationError as error:
                advice = _NO_AUTHORITYS_FAULT.get(
                    error.verify_code, "name your authority's with --ca-bundle if you expect this"
                )
                raise TransferFailed(
                    f"the certificate of {origin.authority} is not trusted ({error.verify_message}); {advice}"
                ) from None
            except (ssl.SSLError, OSError) as error:
                raise Setback(f"no TLS with {origin.authority}: {error}", unreachable=True) from None
            undoing.pop_all()
        return secured


def _widen(connection: socket.socket) -> None:
    """Let a server send more at first than the 64 kB of Linux, which a line with some delay waits for.

    SO_RCVBUF would do that too, and end the kernel's own measuring, which long files need. To want so much at once
    (SO_RCVLOWAT) makes room for it and leaves the measuring alone, also when it is taken back at once.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _WINDOW)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def bundle_in_force(ca_bundle: str | None) -> str | None:
    """Return the file or folder of certificates that is used; None for the system's own."""
    return ca_bundle or next((os.environ[name] for name in _BUNDLES if os.environ.get(name)), None)


def tls_context(bundle: str | None) -> ssl.SSLContext:
    """Return a context that trusts these certificates. Raises BadSetting when they cannot be read."""
    import ssl

    try:
        if bundle and os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise BadSetting(f"the certificates in {bundle} cannot be read: {error}") from None
