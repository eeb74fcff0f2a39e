"""Bringing many files over one connection with the rsync program.

Values never become options: the list of files goes through a pipe, the password into its environment, and what stands
on its command line begins with ``rsync://`` or ``/``. It writes into a folder of ours beside the targets, where a later
run goes on with what was cut off.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Sequence

import attrs

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.transports.credentials import Keys
from astra_registry.fetching.transports.origin import PORTS, Origin, without_password
from astra_registry.fetching.transports.setbacks import Setback, Stopped
from astra_registry.fetching.transports.staging import PARTIAL, Stage
from astra_registry.fetching.transports.transport import Fetched

# Where the SDSS serves by rsync what it serves over https, and as whom (its own documentation).
SDSS_RSYNC = {"data.sdss.org": ("dtn.sdss.org", "sdss"), "data.sdss5.org": ("dtn.sdss.org", "sdss5")}
_LOOK_EVERY = 0.05  # seconds
# Ends the program when the pipe from us closes, so that it does not outlive us, however we end.
_ENDING_WITH_US = '"$@" & exec >&- 2>&-; read _; kill $!; wait $!'


class NoRsync(Exception):
    """There is no rsync here, or the server does not answer on its port: https has to do."""


@attrs.frozen
class Source:
    """A module of an rsync server, and a path in it."""

    origin: Origin
    module: str
    path: str
    web_host: str = ""  # the host of the https URL that stands for it: its credentials serve here too

    @property
    def authority(self) -> str:
        """The server as an rsync URL writes it."""
        return self.origin.authority

    @classmethod
    def of(cls, url: str) -> Source:
        """Return where a URL's file is by rsync: an rsync URL is taken as it is, others by their location."""
        shown = without_password(url)
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise TransferFailed(f"{shown} has no proper host and port") from None
        path = urllib.parse.unquote(parts.path).lstrip("/")
        if parts.scheme == "rsync":
            origin = Origin("rsync", host, port or PORTS["rsync"])
        elif parts.scheme in ("http", "https") and "sas/" in path:
            origin = Origin("rsync", SDSS_RSYNC.get(host, (host, ""))[0], PORTS["rsync"])
            path = path.partition("sas/")[2]
        else:
            raise TransferFailed(f"{shown} has no counterpart by rsync")
        module, _, rest = path.partition("/")
        # What rsync brings is looked for below a folder of ours, which ".." would leave.
        if not host or not module or not rest or ".." in path.split("/") or any(c in path for c in "\0\n\r"):
            raise TransferFailed(f"{shown} names no file that rsync could bring")
        return cls(origin, module, rest, host)


class RsyncTransport:
    """Brings groups of files with rsync; `fetch_many` may run in several threads."""

    def __init__(
        self,
        keys: Keys,
        *,
        timeout: float,
        connect_timeout: float,
        stop: threading.Event,
        limit_rate: float | None = None,  # bytes a second, of one run of rsync
    ) -> None:
        self._keys = keys
        self._limit_rate = limit_rate
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._stop = stop
        self._program = shutil.which("rsync")
        self._bare: set[Origin] = set()  # servers whose modules lie at the top, without a "sas" above them
        self.closed = self._program is None

    def fetch_many(
        self,
        urls: Sequence[str],
        destinations: Sequence[str],
        on_bytes: Callable[[int], None],
        *,
        public: bool,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> list[Fetched | Exception]:
        """Bring the files to their destinations; one outcome a file, in order. NoRsync: try another way.

        ``on_bytes`` is called with the size of each file that comes, ``meanwhile`` again and again until all have.
        """
        outcomes: list[Fetched | Exception] = [TransferFailed("it was not asked for")] * len(urls)
        groups: dict[tuple[Origin, str, str], list[tuple[int, Source]]] = {}
        for index, url in enumerate(urls):
            try:
                source = self._source(url)
            except TransferFailed as error:
                outcomes[index] = error
            else:
                groups.setdefault((source.origin, source.module, source.web_host), []).append((index, source))
        for members in groups.values():
            try:
                self._bring(members, destinations, outcomes, on_bytes, meanwhile, public=public)
            except _UnknownModule as error:
                again = [(index, source) for index, source in members if source.module == "sas"]
                if again:
                    self._bare.add(again[0][1].origin)
                    indices = [index for index, _ in again]
                    redone = self.fetch_many(
                        [urls[i] for i in indices],
                        [destinations[i] for i in indices],
                        on_bytes,
                        public=public,
                        meanwhile=meanwhile,
                    )
                    for index, outcome in zip(indices, redone, strict=True):
                        outcomes[index] = outcome
                else:
                    for index, _ in members:
                        outcomes[index] = FileMissing(str(error))
            except (NoRsync, Setback, TransferFailed, Unauthorized, OSError) as error:
                for index, _ in members:
                    if not isinstance(outcomes[index], Fetched):
                        outcomes[index] = error
        return outcomes

    def _source(self, url: str) -> Source:
        source = Source.of(url)
        if source.origin in self._bare and source.module == "sas":
            module, _, path = source.path.partition("/")
            return attrs.evolve(source, module=module, path=path)
        return source

    def _bring(
        self,
        members: list[tuple[int, Source]],
        destinations: Sequence[str],
        outcomes: list[Fetched | Exception],
        on_bytes: Callable[[int], None],
        meanwhile: Callable[[], None],
        *,
        public: bool,
    ) -> None:
        if self.closed or self._program is None:
            raise NoRsync("there is no program rsync here" if self._program is None else "its port is closed")
        folder = os.path.commonpath([os.path.dirname(os.path.abspath(destinations[index])) for index, _ in members])

        def wait() -> None:
            if self._stop.wait(_LOOK_EVERY):
                raise Stopped
            meanwhile()

        with Stage(folder) as stage:
            stage.take_over({source.path: destinations[index] for index, source in members}, wait)
            code, said = self._run(members, stage, on_bytes, meanwhile, public=public)
            refusal = _refusal(code, said, members[0][1].authority)
            if isinstance(refusal, NoRsync):
                self.closed = True
                raise refusal
            if isinstance(refusal, (_UnknownModule, Unauthorized)):
                raise refusal
            missing = set(re.findall(r'link_stat "([^"]*)" (?:\(in \S+\) )?failed: No such file', said))
            for index, source in members:
                staged = os.path.join(stage.path, source.path)
                if os.path.isfile(staged):
                    try:
                        outcomes[index] = _moved(staged, destinations[index])
                    except OSError as error:  # of this file; the others are not to blame
                        outcomes[index] = error
                elif any(f"/{name}".endswith(f"/{source.path}") for name in missing):
                    outcomes[index] = FileMissing(f"{source.authority} has no {source.module}/{source.path}")
                else:
                    outcomes[index] = refusal or Setback(f"rsync did not bring it ({_last_line(said)})")

    def _run(
        self,
        members: list[tuple[int, Source]],
        stage: Stage,
        on_bytes: Callable[[int], None],
        meanwhile: Callable[[], None],
        *,
        public: bool,
    ) -> tuple[int, str]:
        first = members[0][1]
        user, environment = self._login(first, public=public)
        listed, names = os.pipe()
        command = [
            "/bin/sh",
            "-c",
            _ENDING_WITH_US,
            "sh",
            str(self._program),
            f"--files-from=/dev/fd/{listed}",
            "--from0",
            "--times",
            "--copy-links",
            "--chmod=F+rw",  # else a file that nobody may write to at the server cannot be given its date here
            "--no-motd",
            f"--partial-dir={PARTIAL}",
            f"--timeout={max(1, round(self._timeout))}",
            f"--contimeout={max(1, round(self._connect_timeout))}",
            *([f"--bwlimit={max(1.0, self._limit_rate / 1024):.3f}"] if self._limit_rate else []),
            "--outbuf=L",
            "--out-format=%l",
            "--",
            f"rsync://{user}{first.authority}/{urllib.parse.quote(first.module)}/",
            stage.path + "/",
        ]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=[listed] if stage.lock is None else [listed, stage.lock],
                start_new_session=True,  # it has no terminal on which it could ask for a password
            )
        except BaseException:
            os.close(names)
            raise
        finally:
            os.close(listed)
        text = b"".join(os.fsencode(source.path) + b"\0" for _, source in members)
        with process:
            said: list[bytes] = []
            counting = threading.Thread(target=_count, args=(process.stdout, on_bytes), daemon=True)
            others = [
                threading.Thread(
                    target=lambda: said.append(process.stderr.read() if process.stderr else b""), daemon=True
                ),
                threading.Thread(target=_feed, args=(names, text), daemon=True),
            ]
            for reader in (counting, *others):
                reader.start()
            try:
                while counting.is_alive() and not self._stop.is_set():
                    meanwhile()
                    counting.join(_LOOK_EVERY)
            finally:
                if process.stdin is not None:
                    process.stdin.close()  # where it has not ended by itself, it does now
                process.wait()
                for reader in (counting, *others):
                    reader.join()
        if self._stop.is_set():
            raise Stopped
        return process.returncode, b"".join(said).decode("utf-8", "replace")

    def _login(self, source: Source, *, public: bool) -> tuple[str, dict[str, str]]:
        environment = {key: value for key, value in os.environ.items() if key != "RSYNC_PASSWORD"}
        if public:
            return "", environment
        found = self._keys.for_origin(Origin("https", source.web_host, 443)) if source.web_host in SDSS_RSYNC else None
        if found is None:
            found = self._keys.for_origin(source.origin)
        if found is None:
            if "RSYNC_PASSWORD" in os.environ:
                environment["RSYNC_PASSWORD"] = os.environ["RSYNC_PASSWORD"]
            return "", environment
        environment["RSYNC_PASSWORD"] = found.password
        return f"{urllib.parse.quote(found.username, safe='')}@", environment


class _UnknownModule(Exception):
    pass


def _refusal(code: int, said: str, authority: str) -> Exception | None:
    """Return what rsync's exit code and messages mean for all its files; None when each has its own fate."""
    if code in (0, 23, 24):
        return None
    if re.search(r"@ERROR: Unknown module", said, re.IGNORECASE):
        return _UnknownModule(f"{authority} has no such module: {_last_line(said)}")
    if re.search(r"@ERROR: auth", said, re.IGNORECASE):
        return Unauthorized(f"{authority} wants a login by rsync, or refused the one it was given")
    if "@ERROR" in said:
        return Setback(f"{authority} answered by rsync: {_last_line(said)}", unreachable=True)
    if code in (10, 35) or "getaddrinfo" in said:
        return NoRsync(f"{authority} does not answer by rsync ({_last_line(said)})")
    return Setback(f"rsync ended with code {code} ({_last_line(said)})", unreachable=True)


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("rsync error")]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def _count(stream: object, on_bytes: Callable[[int], None]) -> None:
    for line in stream:  # type: ignore[attr-defined]
        if line.strip().isdigit():
            on_bytes(int(line))


def _feed(pipe: int, text: bytes) -> None:
    with contextlib.suppress(OSError), open(pipe, "wb") as stream:
        stream.write(text)


def _moved(staged: str, destination: str) -> Fetched:
    mtime = os.stat(staged).st_mtime
    os.makedirs(os.path.dirname(destination), exist_ok=True)
    try:
        os.replace(staged, destination)
    except OSError:  # another file system
        shutil.copyfile(staged, destination)
        os.remove(staged)
    return Fetched(mtime=mtime)
