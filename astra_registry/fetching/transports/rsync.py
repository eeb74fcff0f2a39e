"""Bringing many files over one connection with the rsync program.

Values never become options: the list of files goes through a pipe, the password into its environment, and what stands
on its command line begins with ``rsync://`` or ``/``. It writes into a folder of ours beside the targets, where a later
run goes on with what was cut off.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import attrs

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.transports.credentials import Keys
from astra_registry.fetching.transports.origin import PORTS, Origin, without_password
from astra_registry.fetching.transports.rsync_program import RsyncRun
from astra_registry.fetching.transports.setbacks import Setback, Stopped
from astra_registry.fetching.transports.staging import PARTIAL, Stage, forget
from astra_registry.fetching.transports.transport import Fetched

# Where the SDSS serves by rsync what it serves over https, and as whom (its own documentation).
SDSS_RSYNC = {"data.sdss.org": ("dtn.sdss.org", "sdss"), "data.sdss5.org": ("dtn.sdss.org", "sdss5")}
_LOOK_EVERY = 0.05  # seconds
_GIVEN_EVERY = 2.0  # seconds: to write files through to the disk while others come takes it more than twice as long
# With its code 10 rsync also ends when a line breaks over which files came; these are its words for one not made.
_NOT_CONNECTED = re.compile(r"failed to connect|getaddrinfo|unable to (?:create|bind) .*socket|(?:to|from) proxy")


class NoRsync(Exception):
    """There is no rsync here, or it is not to be asked for this file: https has to do."""


class NoAnswer(Setback):
    """The server takes no connection by rsync: another try may find it up, where https is no way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, unreachable=True)


class BrokenOff(Setback):
    """It ended before its time; so many bytes that came over the line are kept, and the next try goes on with them."""

    def __init__(self, message: str, gained: int) -> None:
        super().__init__(message, unreachable=True)
        self.gained = gained


@attrs.frozen
class Source:
    """A module of an rsync server, and a path in it."""

    origin: Origin
    module: str
    path: str
    web_host: str = ""  # the host of the https URL that stands for it: its credentials serve here too
    below_sas: bool = False  # its module is the "sas" of an rsync URL, which some servers have and others have not

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
        return cls(origin, module, rest, host, below_sas=parts.scheme == "rsync" and module == "sas" and "/" in rest)

    def bare(self) -> Source:
        """Return where it is at a server whose modules lie at the top, without a "sas" above them."""
        module, _, path = self.path.partition("/")
        return attrs.evolve(self, module=module, path=path, below_sas=False)


@attrs.frozen
class Member:
    """One file of a group."""

    index: int
    source: Source
    destination: str


Outcome = tuple[int, Fetched | Exception]
"""Which file of a group, and what came of it."""


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

    def fetch_many(
        self,
        urls: Sequence[str],
        destinations: Sequence[str],
        on_bytes: Callable[[int], None],
        *,
        public: bool,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Iterator[Outcome]:
        """Bring the files to their destinations, and give the outcome of each as it comes.

        NoRsync means that only another way can bring it.
        ``on_bytes`` is called with what came of each file, ``meanwhile`` again and again until all have.
        """
        members = []
        for index, url in enumerate(urls):
            try:
                members.append(Member(index, self._source(url), destinations[index]))
            except TransferFailed as error:  # it has no place at any rsync server; at another kind it may have one
                yield index, error if url.startswith("rsync:") else NoRsync(str(error))
        groups = _grouped(members)
        while groups:
            members = groups.popleft()
            told = set()
            try:
                for index, outcome in self._bring(members, on_bytes, meanwhile, public=public):
                    told.add(index)
                    yield index, outcome
            except _UnknownModule as error:
                if members[0].source.below_sas:
                    self._bare.add(members[0].source.origin)
                    groups += _grouped(attrs.evolve(member, source=member.source.bare()) for member in members)
                    continue
                for member in members:
                    # What is at an https server need not be missing there because its rsync does not know it.
                    is_all = urls[member.index].startswith("rsync:")
                    yield member.index, FileMissing(str(error)) if is_all else NoRsync(str(error))
            except _NoStage as refused:
                apart = _below(refused.folder, members) if refused.is_of_the_folder else []
                groups += apart
                if not apart:
                    yield from ((member.index, refused.reason) for member in members)
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 -- whatever one group meets, the others come
                yield from ((member.index, error) for member in members if member.index not in told)

    @property
    def is_here(self) -> bool:
        """Whether this machine has the program."""
        return self._program is not None

    def give_up(self, url: str, destination: str) -> None:
        """Remove what runs have left of a file that comes another way now."""
        with contextlib.suppress(TransferFailed):  # what has no place by rsync has left nothing
            forget(self._source(url).path, destination)

    def _source(self, url: str) -> Source:
        source = Source.of(url)
        return source.bare() if source.below_sas and source.origin in self._bare else source

    def _bring(
        self, members: list[Member], on_bytes: Callable[[int], None], meanwhile: Callable[[], None], *, public: bool
    ) -> Iterator[Outcome]:
        if not self.is_here:
            raise NoRsync("there is no program rsync here")

        def wait() -> None:
            if self._stop.wait(_LOOK_EVERY):
                raise Stopped
            meanwhile()

        with contextlib.ExitStack() as ending:
            folder = os.path.commonpath(list(map(_folder_of, members)))
            try:
                stage = ending.enter_context(Stage(folder))
            except OSError as reason:
                raise _NoStage(folder, reason) from None
            stage.take_over({member.source.path: member.destination for member in members}, wait)
            coming = {m.source.path: m for m in members if not os.path.exists(stage.place_of(m.source.path))}
            # What was taken over may be another version, until rsync has said that it is not.
            unsure = {member.source.path for member in members}.difference(coming)
            left = {member.index: member for member in members}
            before = stage.size()
            with self._begun(members, stage, public=public) as run:
                here: list[str] = []
                given = time.monotonic()
                for arrivals in run.arrivals():
                    meanwhile()
                    if self._stop.is_set():
                        raise Stopped
                    on_bytes(sum(count for _, count in arrivals))
                    here += [name for name, _ in arrivals if name in coming]
                    unsure.difference_update(name for name, _ in arrivals)
                    if time.monotonic() - given < _GIVEN_EVERY:
                        continue
                    for name in [name for name in here if os.path.isfile(stage.place_of(name))]:
                        member = left.pop(coming.pop(name).index)
                        yield member.index, _moved(stage.place_of(name), member.destination)
                    here = [name for name in here if name in coming]
                    given = time.monotonic()
                code, said = run.end()
            gained = 0 if code == 0 else stage.size() - before
            yield from self._rest(left.values(), unsure, stage, _End(code, said, gained))

    def _rest(self, members: Collection[Member], unsure: Collection[str], stage: Stage, end: _End) -> Iterator[Outcome]:
        """Give the outcomes of the files that rsync has not told of, once it has ended."""
        if not members:
            return
        said = end.said
        refusal = end.refusal(next(iter(members)).source.authority)
        if isinstance(refusal, (NoAnswer, _UnknownModule, Unauthorized)):
            raise refusal
        missing = set(re.findall(r'link_stat "([^"]*)" (?:\(in \S+\) )?failed: No such file', said))
        for member in members:
            source, place = member.source, stage.place_of(member.source.path)
            is_unsure = source.path in unsure and (refusal is not None or source.path in said)
            if os.path.isfile(place) and not is_unsure:
                yield member.index, _moved(place, member.destination)
            elif any(f"/{name}".endswith(f"/{source.path}") for name in missing):
                yield member.index, FileMissing(f"{source.authority} has no {source.module}/{source.path}")
            else:
                yield member.index, refusal or Setback(f"rsync did not bring it ({_last_line(said)})")

    def _begun(self, members: list[Member], stage: Stage, *, public: bool) -> RsyncRun:
        first = members[0].source
        user, environment = self._login(first, public=public)
        command = [
            str(self._program),
            "--times",
            "--copy-links",
            "--chmod=F+rw",  # else a file that nobody may write to at the server cannot be given its date here
            "--no-motd",
            f"--partial-dir={PARTIAL}",
            f"--timeout={max(1, round(self._timeout))}",
            f"--contimeout={max(1, round(self._connect_timeout))}",
            *([f"--bwlimit={max(1.0, self._limit_rate / 1024):.3f}"] if self._limit_rate else []),
            "--",
            f"rsync://{user}{first.authority}/{urllib.parse.quote(first.module)}/",
            stage.path + "/",
        ]
        return RsyncRun(command, [member.source.path for member in members], environment, stage.lock)

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


class _NoStage(Exception):
    """No folder of ours can be made in the one above all targets."""

    def __init__(self, folder: str, reason: OSError) -> None:
        super().__init__(str(reason))
        self.folder = folder
        self.reason = reason

    @property
    def is_of_the_folder(self) -> bool:
        """Whether the folder refuses it, where one further down may not."""
        return self.reason.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def _folder_of(member: Member) -> str:
    return os.path.dirname(os.path.abspath(member.destination))


def _below(folder: str, members: list[Member]) -> list[list[Member]]:
    """Return the groups by the folders in this one that they lie in; none where all lie in the folder itself."""
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(os.path.relpath(_folder_of(member), folder).partition(os.sep)[0], []).append(member)
    return [] if groups.keys() == {os.curdir} else list(groups.values())


def _grouped(members: Iterable[Member]) -> deque[list[Member]]:
    """Return what one run of rsync can bring each: files of one module, for one login."""
    groups: dict[tuple[Origin, str, str, bool], list[Member]] = {}
    for member in members:
        source = member.source
        groups.setdefault((source.origin, source.module, source.web_host, source.below_sas), []).append(member)
    return deque(groups.values())


@attrs.frozen
class _End:
    """How a run of rsync ended: its exit code, its complaints, and the bytes of unfinished files that it brought."""

    code: int
    said: str
    gained: int

    def refusal(self, authority: str) -> Exception | None:
        """Return what this means for all its files; None when each has its own fate."""
        code, said = self.code, self.said
        if code in (0, 23, 24):
            return None
        if re.search(r"@ERROR: Unknown module", said, re.IGNORECASE):
            return _UnknownModule(f"{authority} has no such module: {_last_line(said)}")
        if re.search(r"@ERROR: auth", said, re.IGNORECASE):
            return Unauthorized(f"{authority} wants a login by rsync, or refused the one it was given")
        if "@ERROR" in said:
            return Setback(f"{authority} answered by rsync: {_last_line(said)}", unreachable=True)
        if code == 35 or (code == 10 and _NOT_CONNECTED.search(said)):
            return NoAnswer(f"{authority} does not answer by rsync ({_last_line(said)})")
        return BrokenOff(f"rsync ended with code {code} ({_last_line(said)})", self.gained)


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("rsync error")]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def _moved(staged: str, destination: str) -> Fetched | OSError:
    """Move a file to its destination; what keeps it from there is this file's trouble alone."""
    try:
        mtime = os.stat(staged).st_mtime
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        try:
            os.replace(staged, destination)
        except OSError:  # another file system
            shutil.copyfile(staged, destination)
            os.remove(staged)
    except OSError as error:
        return error
    return Fetched(mtime=mtime)
