"""Asking a server over HTTP: redirects, logins, and what an answer's head means."""

from __future__ import annotations

import time
import urllib.parse
from functools import partial

from astra_registry.errors import FileFailed, FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.transports.credentials import Credentials, Keys, is_public
from astra_registry.fetching.transports.http.dates import retry_after
from astra_registry.fetching.transports.http.hosts import Host, Hosts
from astra_registry.fetching.transports.http.proxies import refused_login
from astra_registry.fetching.transports.http.wire import Answer, Connection, StaleConnection
from astra_registry.fetching.transports.origin import SAFE, split, without_password
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Errand, Throttle

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_REDIRECTS = 10
_SMALL = 1 << 16  # bytes of an error's page that are read, to keep the connection
_SMALL_SECONDS = 2.0
_PAGE_LIMIT = 64 << 20  # bytes of a folder's index: 20,000 files take 3 MB
_PAGE_SECONDS = 60.0


class Reply:
    """An answer, and the duty to give its connection back; a context manager."""

    def __init__(self, answer: Answer, host: Host, connection: Connection) -> None:
        self.answer = answer
        self.host = host
        self.trusted = True  # whether credentials might be sent: no redirect to another host came before it
        self._connection = connection
        self._held = True

    def done(self) -> None:
        """Give the connection back: for reuse when the body was read to its end."""
        if self._held:
            self._held = False
            try:
                reusable = self.answer.reusable()
            except Setback:
                self.host.give_back(self._connection, reusable=False)
                raise
            self.host.give_back(self._connection, reusable=reusable)

    def drop(self) -> None:
        """Give it back without more ado: closed."""
        if self._held:
            self._held = False
            self.host.give_back(self._connection, reusable=False)

    def skip_body(self) -> None:
        """Read the rest when that is less than a new connection costs, and give the connection back."""
        if not self._held:
            return
        try:
            if self.answer.promises and (self.answer.length or 0) <= _SMALL:
                self.answer.read(_SMALL, time.monotonic() + _SMALL_SECONDS)
            self.done()
        except Setback:
            self.drop()

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.done()
        else:
            self.drop()


class HttpClient:
    """Asks the hosts of one run."""

    def __init__(self, hosts: Hosts, keys: Keys, *, limit_rate: float | None = None, user_agent: str = "") -> None:
        self.hosts = hosts
        self.throttle = Throttle(limit_rate, hosts.sleep)
        self._keys = keys
        self._headers = [
            ("User-Agent", user_agent or _user_agent()),
            ("Accept-Encoding", "identity"),
            ("Accept", "*/*"),
        ]

    def get(self, url: str) -> bytes:
        """Return the body of a small page; FileFailed when there is none."""
        errand = Errand(is_public=lambda: is_public(url), ahead=True, deadline=time.monotonic() + _PAGE_SECONDS)
        with self.ask(url, errand) as reply:
            if reply.answer.status != 200:
                reply.skip_body()
                raise self.refusal(url, reply, errand)
            return reply.answer.read(_PAGE_LIMIT, errand.deadline)

    def head(self, url: str, *, public: bool, seconds: float = _PAGE_SECONDS, may_ask: bool = True) -> dict[str, str]:
        """Return the headers with which the server would send a file, in so many seconds; raises as `fetch` does.

        ``may_ask``: a person, for a login.
        """
        errand = Errand(is_public=lambda: public, deadline=time.monotonic() + seconds, may_ask=may_ask)
        with self.ask(url, errand, method="HEAD") as reply:
            if reply.answer.status != 200:
                reply.skip_body()
                raise self.refusal(url, reply, errand)
            return reply.answer.headers

    def ask(self, url: str, errand: Errand, headers: tuple[tuple[str, str], ...] = (), method: str = "GET") -> Reply:
        """Return the answer after redirects and a login; whatever its status else, it is the caller's."""
        trusted = True  # until the first redirect to another host; never again after it
        used: Credentials | None = None
        seen = {url}
        while True:
            origin, target = split(url)
            extra = list(headers)
            used = self._keys.for_origin(origin, errand.is_public) if trusted else None
            if used is not None:
                extra.append(("Authorization", used.header))
            reply = self._ask_once(url, method, target, extra, errand)
            reply.trusted = trusted
            status = reply.answer.status
            if status == 401 and trusted and errand.may_ask and not errand.is_public():
                reply.skip_body()  # at once: a person takes time to answer
                typed = self._keys.ask(origin, used)
                if typed is not None and typed != used:
                    continue
            if status not in _REDIRECTS or "location" not in reply.answer.headers:
                return reply
            reply.skip_body()
            following = _joined(url, reply.answer.headers["location"])
            shown = without_password(following)[:200]
            if not following.lower().startswith(("http://", "https://")):
                raise TransferFailed(f"{origin.authority} redirects to {shown}, which is not followed")
            there = split(following)[0]
            if origin.scheme == "https" and there.scheme == "http":
                raise TransferFailed(f"{origin.authority} redirects from https to {shown}, which is not followed")
            if following in seen or len(seen) > _MOST_REDIRECTS:
                raise TransferFailed(f"{origin.authority} redirects in a loop, by way of {shown}")
            seen.add(following)
            trusted = trusted and there == origin
            url = following

    def _ask_once(self, url: str, method: str, target: str, headers: list[tuple[str, str]], errand: Errand) -> Reply:
        host = self.hosts[split(url)[0]]
        if host.pause_left:
            errand.wait(lambda: self.hosts.sleep(host.pause_left))
        fresh = False
        while True:
            if errand.waits:
                errand.wait(partial(host.queue, ahead=errand.ahead))
            elif not host.take_place():
                raise Setback(f"no connection to {host.origin.authority} is free")
            connection = host.take(errand.patience, fresh=fresh)
            errand.requests += 1
            try:
                answer = connection.ask(method, target, self._headers + headers, errand.patience)
            except StaleConnection:
                answer = None
            except BaseException:
                host.give_back(connection, reusable=False)
                raise
            # A server may say 408 to one that rests, by way of farewell.
            if answer is not None and not (answer.status == 408 and connection.asked > 1):
                return Reply(answer, host, connection)
            # That says nothing about the file; those that rest beside it are hardly better.
            host.give_back(connection, reusable=False)
            host.close()
            fresh = True

    def refusal(self, url: str, reply: Reply, errand: Errand) -> FileFailed:
        """Return the error that an answer's status means."""
        origin = reply.host.origin
        status = reply.answer.status
        if status in (404, 410):
            return FileMissing(f"{origin.authority} has no {urllib.parse.unquote(split(url)[1])}")
        if status in (401, 403):
            asked_origin = split(url)[0]
            if asked_origin != origin:
                sent_on = f"{asked_origin.authority} redirects to {origin.authority}"
                return Unauthorized(f"{sent_on}, which refuses it ({status}); no credentials are sent there")
            if not reply.trusted:
                sent_on = f"{origin.authority} redirects to another host, and that one back"
                return Unauthorized(f"{sent_on}, where it is refused ({status}); no credentials are sent on such a way")
            used = self._keys.for_origin(asked_origin, errand.is_public)
            return Unauthorized(self._keys.advice(origin, used, public=errand.is_public(), status=status))
        if status == 407 and reply.host.proxy is not None:
            return TransferFailed(refused_login(reply.host.proxy))
        if status in _TRY_AGAIN or status >= 520:
            after = retry_after(reply.answer.headers.get("retry-after"))
            return Setback(
                f"{origin.authority} answered {status}",
                retry_after=after,
                unreachable=True,
                pause_host=status == 429 and after is not None,
            )
        return TransferFailed(f"{origin.authority} answered {status}")


def _joined(url: str, location: str) -> str:
    # Some servers write the bytes of a name as they are; a head's text has one character for each.
    location = urllib.parse.quote(location.encode("latin-1"), safe=SAFE)
    try:
        return urllib.parse.urljoin(url, location)
    except ValueError:  # a bracket that opens no IPv6 address
        return location


def _user_agent() -> str:
    from astra_registry import __version__

    return f"astra-registry/{__version__}"
