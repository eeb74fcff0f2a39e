"""Checks of the way to the servers: credentials, certificates, proxies, and whether they answer."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import stat

from astra_registry.doctor.findings import NOTE, OK, PATIENCE, WRONG, Seen
from astra_registry.errors import BadSetting
from astra_registry.settings import setting

SERVERS = ("https://data.sdss.org", "https://data.sdss5.org", "https://data.mirror.sdss.org")
_CLOCK = datetime.timedelta(minutes=5)


def login() -> Seen:
    """Look at the credentials for unreleased data: there, and nobody else's to read."""
    import netrc

    host = "data.sdss5.org"
    base = setting("remote_base")
    if base is not None:
        from astra_registry.fetching.transports.origin import configured_origin

        server = configured_origin(base)
        if server.scheme not in ("https", "rsync") and not server.is_loopback:
            yield OK, f"none are needed: over {server.scheme}, {base} is never sent any"
            return
        host = server.host
    variables = ("ASTRA_REGISTRY_USERNAME", "ASTRA_REGISTRY_PASSWORD")
    given = [name for name in variables if os.environ.get(name)]
    if len(given) == 2:
        yield OK, f"from {variables[0]} and {variables[1]}"
        return
    if given:
        (lacking,) = set(variables) - set(given)
        yield NOTE, f"{given[0]} is set and {lacking} is not, so that neither is used", f"set {lacking} too"
    file = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    try:
        mode = stat.S_IMODE(os.stat(file).st_mode)
    except OSError:
        yield (
            NOTE,
            f"{file} is not there: public releases only",
            f"for unreleased data: machine {host} login … password …",
        )
        return
    if not os.path.isfile(file):
        yield WRONG, f"{file} is no file, and holds no credentials", "set NETRC to a file, or unset it"
        return
    if mode & 0o077:
        yield WRONG, f"{file} can be read by others, and so is not used", f"chmod 600 {file}"
        return
    try:
        entry = netrc.netrc(file).authenticators(host)
    except (netrc.NetrcParseError, UnicodeDecodeError, OSError) as error:
        # The parser's own message may quote the password.
        line = getattr(error, "lineno", None)
        yield WRONG, f"{file} cannot be read{f' (line {line})' if line else ''}", "mend the file"
        return
    if entry is None or not entry[2]:
        what = "nothing" if entry is None else "no password"
        yield NOTE, f"{file} has {what} for {host}: public releases only", f"add: machine {host} login … password …"
    else:
        yield OK, f"{file} has an entry for {host}"


def tls() -> Seen:
    """Look at the certificates that are trusted, and at proxies."""
    import ssl
    import urllib.request

    from astra_registry.fetching.transports.http.line import bundle_in_force, tls_context

    bundle = bundle_in_force(setting("ca_bundle"))
    system = ssl.get_default_verify_paths()
    try:
        tls_context(bundle)
    except BadSetting as error:
        yield WRONG, str(error), "set ca_bundle to a file of PEM certificates"
    else:
        if bundle is None and system.cafile is None and not (system.capath and os.listdir(system.capath)):
            yield (
                WRONG,
                f"no certificates are at {system.openssl_cafile} or in {system.openssl_capath}, so that no server "
                "is trusted",
                "install the system's package ca-certificates, or set ca_bundle to a file of PEM certificates",
            )
        else:
            yield OK, f"{ssl.OPENSSL_VERSION}, certificates of {bundle or 'the system'}"
    for scheme, proxy in sorted(urllib.request.getproxies().items()):
        if scheme in ("http", "https", "all"):
            yield NOTE, f"{scheme} goes through {re.sub(r'//[^/@]*@', '//…@', proxy)}", "unset it if that is not wanted"


def servers() -> Seen:
    """Ask each server for its front page, all at once, and compare clocks."""
    from concurrent.futures import ThreadPoolExecutor

    from astra_registry.fetching.transports.http.line import bundle_in_force

    base = setting("remote_base")
    urls = (base,) if base else (*SERVERS, *(url for url in setting("mirrors") if url not in SERVERS))
    for url in urls:
        if url.startswith("file:"):
            folder = url.removeprefix("file://")
            if os.path.isdir(folder):
                yield OK, f"{folder} is there"
            else:
                yield WRONG, f"{folder} is no folder", "mount it, or set remote_base to where the SAS is mounted"
    asked = [url for url in urls if url.startswith(("http://", "https://", "rsync://"))]
    bundle = bundle_in_force(setting("ca_bundle"))
    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        for url, answer in zip(asked, pool.map(lambda url: _ask(url, bundle), asked), strict=True):
            if isinstance(answer, str):
                yield (
                    WRONG,
                    f"{url}: {answer}",
                    "look at the network, the proxy and the settings remote_base and ca_bundle",
                )
            elif answer is not None and abs(datetime.datetime.now(datetime.UTC) - answer) > _CLOCK:
                yield (
                    WRONG,
                    f"{url} answers, but its clock says {answer:%Y-%m-%d %H:%M} UTC",
                    "set this machine's clock",
                )
            else:
                yield OK, f"{url} answers"
    if "rsync" in (setting("transport"), *(url.split(":")[0] for url in urls)) and not shutil.which("rsync"):
        yield WRONG, "the transport is rsync, and there is no program rsync", "install rsync, or use the transport http"


def _ask(url: str, ca_bundle: str | None) -> datetime.datetime | str | None:
    """Return the server's own time (None when it does not tell), or why it could not be asked."""
    if url.startswith("rsync://"):
        return _call(url)
    import email.utils
    import urllib.error
    import urllib.request

    from astra_registry.fetching.transports.http.line import tls_context

    request = urllib.request.Request(url + "/", method="HEAD")  # noqa: S310 - only http and https come here
    try:
        context = tls_context(ca_bundle)
        with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:  # noqa: S310
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date")
        error.close()
    except (OSError, ValueError, BadSetting) as error:
        return f"not reached: {getattr(error, 'reason', error)}"
    try:
        return email.utils.parsedate_to_datetime(date) if date else None
    except ValueError:
        return None


def _call(url: str) -> str | None:
    """Return why a server of rsync does not take a connection, None when it does."""
    import socket

    from astra_registry.fetching.transports.origin import configured_origin

    server = configured_origin(url)
    try:
        socket.create_connection((server.host, server.port), timeout=PATIENCE).close()
    except OSError as error:
        return f"not reached: {error}"
    return None
