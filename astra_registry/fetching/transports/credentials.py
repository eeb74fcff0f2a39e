"""Who may log in where: credentials are looked up late, sent to one host, and never shown."""

from __future__ import annotations

import base64
import functools
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs

from astra_registry.fetching.transports.origin import Origin, configured_origin

Login = Callable[[str], tuple[str, str] | None]
"""Asks a person: from a host's name to a user's name and password, or None where there is nobody to ask."""

_RELEASE_FOLDER = re.compile(r"/sas/(dr\d+)/")
SDSS_HOSTS = frozenset({Origin("https", "data.sdss5.org", 443), Origin("https", "data.sdss.org", 443)})


@attrs.frozen
class Credentials:
    """A user's name and password, and where they were found."""

    username: str
    password: str = attrs.field(repr=False)
    origin: str

    @property
    def header(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def is_public(url: str, product: Any = None) -> bool:
    """Whether a file is everybody's: its product says so, or the release in the first folder of its URL is out."""
    if getattr(product, "public", False):
        return True
    release = getattr(product, "release", None)
    if not isinstance(release, str):
        found = _RELEASE_FOLDER.search(url)
        if found is None:
            return False
        release = found[1]
    return _is_out(release, int(time.time() // 86400))


@functools.lru_cache(256)
def _is_out(release: str, day: int) -> bool:
    from astra_registry.release import is_public as release_is_public

    try:
        return bool(release_is_public(release))
    except LookupError:
        return False


def trusted_hosts(remote_base: str | None) -> frozenset[Origin]:
    """Return the hosts that may be sent credentials: the configured server, or where there is none the SDSS's own."""
    return frozenset({configured_origin(remote_base)}) if remote_base else SDSS_HOSTS


class Keys:
    """The credentials of one run: for the hosts that were configured, and for no other."""

    def __init__(self, hosts: frozenset[Origin], login: Login | None = None) -> None:
        self._hosts = hosts
        self._login = login
        self._has_asked = False
        self._found: dict[str, Credentials | None] = {}
        self._remarks: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def for_origin(self, origin: Origin, is_public: Callable[[], bool] = lambda: False) -> Credentials | None:
        """Return what to log in with, or None: unknown host, open line, a file that is everybody's, nothing found."""
        if self._refusal(origin) is not None or is_public():
            return None
        with self._lock:
            if origin.host not in self._found:
                self._found[origin.host] = self._look_up(origin.host)
            return self._found[origin.host]

    def ask(self, origin: Origin, refused: Credentials | None) -> Credentials | None:
        """Return credentials that a person types, when one may be asked; once a host."""
        if self._refusal(origin) is not None:
            return None
        with self._lock:
            known = self._found.get(origin.host)
            if known is not None and known != refused:
                return known  # another thread has asked meanwhile
            if self._login is None:
                return None
            login, self._login, self._has_asked = self._login, None, True
            typed = login(origin.host)
            if typed is not None:
                self._found[origin.host] = Credentials(*typed, "your answer")
            return self._found.get(origin.host)

    def advice(self, origin: Origin, used: Credentials | None, *, public: bool, status: int = 401) -> str:
        """Return what a person can do about a 401 or 403."""
        if status == 403 and used is not None:
            return f"{origin.host} does not let {used.username!r} have this file (403)"
        if status == 403 and public:
            return f"{origin.host} refuses this file (403), asked for without a login: the release is public"
        if public:
            return (
                f"{origin.host} wants a login, although the release is public and needs none; "
                "look at --remote-base, or tell the server's keepers"
            )
        if used is not None:
            return f"{origin.host} refused the credentials of {used.origin} (user {used.username!r})"
        refusal = self._refusal(origin)
        if refusal is not None:
            return f"{origin.host} wants a login, and {refusal}"
        remarks = [*self._remarks.get(origin.host, ()), *(["--login got no answer"] if self._has_asked else [])]
        because = f": {', '.join(remarks)}" if remarks else ""
        place = "the file that NETRC names" if os.environ.get("NETRC") else "~/.netrc"
        return (
            f"{origin.host} wants a login (the release is not public), and no credentials were found"
            f"{because}; put them into {place} (chmod 600), "
            "or ASTRA_REGISTRY_USERNAME and ASTRA_REGISTRY_PASSWORD (those in a URL are not used)"
            f"{'' if self._has_asked else ', or use --login'}"
        )

    def _refusal(self, origin: Origin) -> str | None:
        if origin not in self._hosts:
            return "it is not the configured server, so that no credentials were sent there"
        # rsync never sends the password itself, only an answer to the server's challenge.
        if origin.scheme not in ("https", "rsync") and not origin.is_loopback:
            return "credentials are only sent over https"
        return None

    def _look_up(self, host: str) -> Credentials | None:
        name, word = "ASTRA_REGISTRY_USERNAME", "ASTRA_REGISTRY_PASSWORD"
        username, password = os.environ.get(name), os.environ.get(word)
        if username and password:
            return Credentials(username, password, f"{name} and {word}")
        if username or password:
            given, lacking = (name, word) if username else (word, name)
            self._remark(host, f"{given} is set and {lacking} is not")
        return self._from_netrc(host) or _from_keyring(host, username)

    def _remark(self, host: str, why: str) -> None:
        self._remarks.setdefault(host, []).append(why)

    def _from_netrc(self, host: str) -> Credentials | None:
        import netrc

        named = os.environ.get("NETRC")
        file = named or os.path.expanduser("~/.netrc")
        try:
            mode = os.stat(file).st_mode
        except OSError as error:
            if named:  # in the place of ~/.netrc, which may well hold them
                self._remark(host, f"NETRC names {file}, which cannot be read ({error.strerror})")
            return None
        if stat.S_ISDIR(mode):
            self._remark(host, f"{file} is a folder")
            return None
        if stat.S_IMODE(mode) & 0o077:
            self._remark(host, f"{file} was not read, because others can (chmod 600 {file})")
            return None
        try:
            entry = netrc.netrc(file).authenticators(host)
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
            # The parser's message may quote a token, and that may be the password.
            line = getattr(error, "lineno", None)
            self._remark(host, f"{file} cannot be read{f' (line {line})' if line else ''}")
            return None
        if entry is None or not entry[2]:
            return None
        return Credentials(entry[0] or entry[1] or "", entry[2], file)


def _from_keyring(host: str, username: str | None) -> Credentials | None:
    try:
        import keyring

        found = keyring.get_credential(host, username)
    except Exception:  # noqa: BLE001 -- absent, locked, without a desktop: each back end fails in its own way
        return None
    if found is None or not found.password:
        return None
    return Credentials(found.username or "", found.password, "the keyring")
