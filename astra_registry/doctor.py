"""What is wrong with this machine: checks that each look at one thing, and say what to do about it.

A check that fails itself is a finding too: the doctor never dies of the patient's disease.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from astra_registry.errors import AstraRegistryError, BadSetting
from astra_registry.settings import config_file, explain, setting

OK, NOTE, WRONG = "ok", "note", "wrong"

SERVERS = ("https://data.sdss.org", "https://data.sdss5.org", "https://data.mirror.sdss.org")
_PATIENCE = 5.0  # seconds for one server; all are asked at once
_ROOM = 10**9  # bytes: less is little, when one spectrum has a megabyte
_CLOCK = datetime.timedelta(minutes=5)


@attrs.frozen
class Finding:
    """What one check saw: `ok`, a `note`, or `wrong`; and for what is not ok, the remedy."""

    check: str
    status: str
    message: str
    remedy: str = ""


def examine(*, network: bool = True) -> Iterator[Finding]:
    """Yield the findings of every check, in order; with ``network=False`` no server is asked."""
    told = set()
    for name, check in _CHECKS.items():
        if name == "servers" and not network:
            continue
        try:
            for status, message, *remedy in check():
                yield Finding(name, status, message, *remedy)
        except AstraRegistryError as error:
            # A bad line of the configuration hinders every check that reads a setting: it is told once.
            if str(error) not in told:
                told.add(str(error))
                yield Finding(name, WRONG, str(error), _REMEDIES.get(name, "mend it where the message says"))
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding
            yield Finding(name, WRONG, f"the check failed: {type(error).__name__}: {error}", "please report this")


Seen = Iterator[tuple[str, ...]]


def _python() -> Seen:
    yield OK, f"Python {'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"


def _packages() -> Seen:
    """Look at what the core requires: all there, none too old; and that no package of an extra is too old."""
    good = True
    for text in importlib.metadata.requires("astra-registry") or ():
        requirement, _, marker = text.partition(";")
        found = re.match(r"([\w.-]+)(?:\[\w+\])?\s*>=\s*([\d.]+)", requirement)
        extra = re.search(r"extra == .(\w+)", marker)
        if found is None or (extra is not None and extra[1] in ("dev", "docs", "bench")):
            continue
        name, least = found.groups()
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if extra is None:
                good = False
                yield WRONG, f"{name} is not installed", f"pip install '{requirement.strip()}'"
            continue
        if _numbers(version) < _numbers(least):
            good = False
            yield WRONG, f"{name} {version} is older than {least}", f"pip install --upgrade '{requirement.strip()}'"
    if good:
        tree, access = (importlib.metadata.version(name) for name in ("sdss-tree", "sdss-access"))
        yield (
            OK,
            f"astra-registry {importlib.metadata.version('astra-registry')}, sdss-tree {tree}, sdss-access {access}",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _tree() -> Seen:
    """Look for the other package named tree, without importing either."""
    from astra_registry.release import releases

    known = releases()
    try:
        other = importlib.metadata.version("dm-tree")
    except importlib.metadata.PackageNotFoundError:
        # dm-tree takes its files with it when it goes, and those had replaced sdss-tree's.
        files = importlib.metadata.files("sdss-tree") or ()
        folders = {os.path.dirname(str(file.locate())) for file in files if str(file) == "tree/tree.py"}
        if any(not os.path.exists(os.path.join(folder, "__init__.py")) for folder in folders):
            yield (
                NOTE,
                "tree/__init__.py of sdss-tree is gone, as when dm-tree was installed and removed; "
                "astra-registry does not need it, but sdss_access does",
                "pip install --force-reinstall --no-deps sdss-tree",
            )
        else:
            yield OK, f"sdss-tree has {len(known)} releases, {known[0]} to {known[-1]}"
        return
    yield (
        NOTE,
        f"dm-tree {other} is installed too, and shares the import name 'tree' with sdss-tree; "
        "astra-registry imports neither, but sdss_access would get the wrong one",
        "keep sdss_access and dm-tree in different environments",
    )


def _configuration() -> Seen:
    explain()
    file = config_file()
    yield OK, f"{file}{'' if os.path.exists(file) else ' (not there: the defaults hold)'}"


def _sas() -> Seen:
    """Look at the folder of the files, or where it would be made: there, writable, with room."""
    folder = setting("sas_base_dir")
    there = _nearest(folder)
    if not os.path.isdir(there):
        yield WRONG, f"{there} is no folder", "set SAS_BASE_DIR to a folder"
    elif (reason := _not_writable(there)) is not None:
        yield (
            WRONG,
            f"{there} cannot be written: {reason}",
            "set SAS_BASE_DIR to a folder of yours, or ask for write permission",
        )
    elif (free := shutil.disk_usage(there).free) < _ROOM:
        yield WRONG, f"{folder} has only {free / 1e6:.0f} MB left", "make room, or set SAS_BASE_DIR to another disk"
    else:
        missing = "" if there == folder else " (made by the first fetch)"
        yield OK, f"{folder}{missing}, {free / 1e9:.0f} GB free"


def _nearest(path: str) -> str:
    """Return the path, or the nearest folder above it that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _not_writable(folder: str) -> str | None:
    """Return why no file can be made in a folder, None when one can; it leaves none behind."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _login() -> Seen:
    """Look at the credentials for unreleased data: there, and nobody else's to read."""
    import netrc

    host = "data.sdss5.org"
    base = setting("remote_base")
    if base is not None:
        from astra_registry.fetching.fetcher import configured_origin

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


def _tls() -> Seen:
    """Look at the certificates that are trusted, and at proxies."""
    import ssl
    import urllib.request

    from astra_registry.fetching.line import bundle_in_force, tls_context

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


def _clock(today: datetime.date | None = None) -> Seen:
    """Look at today's date: what is public depends on it."""
    from astra_registry.release import is_public, release_date, releases

    today = today or datetime.date.today()  # noqa: DTZ011 - what the program itself compares release dates with
    built = datetime.date.fromtimestamp(os.stat(__file__).st_mtime)  # noqa: DTZ012
    public = [release for release in releases() if is_public(release)]
    if not public or today < built - datetime.timedelta(days=2):
        yield WRONG, f"the clock says {today}, which is before this program was installed ({built})", "set the clock"
        return
    newest = max(public, key=lambda release: release_date(release) or datetime.date.min)
    yield OK, f"{today}: {newest} is the newest public release"


def _servers() -> Seen:
    """Ask each server for its front page, all at once, and compare clocks."""
    from concurrent.futures import ThreadPoolExecutor

    from astra_registry.fetching.line import bundle_in_force

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

    from astra_registry.fetching.line import tls_context

    request = urllib.request.Request(url + "/", method="HEAD")  # noqa: S310 - only http and https come here
    try:
        context = tls_context(ca_bundle)
        with urllib.request.urlopen(request, timeout=_PATIENCE, context=context) as answer:  # noqa: S310
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

    from astra_registry.fetching.fetcher import configured_origin

    server = configured_origin(url)
    try:
        socket.create_connection((server.host, server.port), timeout=_PATIENCE).close()
    except OSError as error:
        return f"not reached: {error}"
    return None


def _database() -> Seen:
    """Look at the state database: it can be opened and written, and its schema is ours and whole."""
    from astra_registry.store import StateStore

    with StateStore(setting("database"), patience=_PATIENCE) as store:
        counted = sum(store.counts().values())
        defects = store.check() if store.current() is not None else []
        file = store.database.path
        reason = None
        if file is not None:
            # SQLite writes its journal beside the file, so that the folder has to be writable too.
            there = _nearest(file)
            reason = _not_writable(os.path.dirname(there) if os.path.isfile(there) else there)
            if reason is None and os.path.isfile(there) and not os.access(there, os.W_OK):
                reason = "no permission"
        for defect in defects:
            yield WRONG, f"{store.url}: {defect}", "restore it from a copy, or set ASTRA_REGISTRY_DATABASE to another"
        if reason is not None:
            yield (
                WRONG,
                f"{store.url} cannot be written: {reason}",
                "set ASTRA_REGISTRY_DATABASE to one of yours, such as sqlite:////home/me/states.sqlite",
            )
        elif not defects:
            yield OK, f"{store.url}: {counted:,} task{'' if counted == 1 else 's'}"


def _plugins() -> Seen:
    """Look at every plugin's health."""
    from astra_registry.registries import registry

    listed = registry.plugins
    for plugin in listed:
        if plugin.status in ("broken", "conflict"):
            title = f"{plugin.name} ({plugin.distribution} {plugin.version})"
            yield WRONG, f"{title} is {plugin.status}: {plugin.error}", "astra-registry plugins check"
    good = [plugin.name for plugin in listed if plugin.status == "ok"]
    if good:
        yield OK, f"{', '.join(good)}: {len(registry)} products"
    elif any(plugin.status == "disabled" for plugin in listed):
        yield (
            NOTE,
            "every plugin is turned off by the setting plugins, so there are no products",
            "unset ASTRA_REGISTRY_PLUGINS, or take plugins out of the configuration",
        )
    else:
        yield NOTE, "no plugin is loaded, so there are no products", "pip install astra-registry-sdsstree"


# For an error that a check passes on; what it says besides is in its message.
_REMEDIES = {
    "configuration": "mend it where the message says, or take it away",
    "tree": "pip install --force-reinstall sdss-tree",
    "database": "do what the message says, or set ASTRA_REGISTRY_DATABASE to another database",
}

_CHECKS: dict[str, Callable[[], Iterator[Any]]] = {
    "python": _python,
    "packages": _packages,
    "tree": _tree,
    "configuration": _configuration,
    "sas": _sas,
    "login": _login,
    "tls": _tls,
    "clock": _clock,
    "servers": _servers,
    "database": _database,
    "plugins": _plugins,
}
