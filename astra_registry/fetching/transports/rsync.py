"""Bringing many files over one connection with the rsync program.

Values never become options: the list of files goes through a pipe, who logs in into its environment, and what stands
on its command line begins with ``rsync://`` or ``/``. It writes into a folder of ours beside the targets, where a later
run goes on with what was cut off.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import attrs

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.disk.staging import PARTIAL, Stage, forget
from astra_registry.fetching.transports.credentials import Keys
from astra_registry.fetching.transports.origin import Origin
from astra_registry.fetching.transports.rsync_end import Busy, End, NoAnswer, NoRsync, UnknownModule
from astra_registry.fetching.transports.rsync_program import RsyncRun
from astra_registry.fetching.transports.rsync_servers import RsyncServers
from astra_registry.fetching.transports.rsync_source import SDSS_RSYNC, Member, Source, below, grouped
from astra_registry.fetching.transports.setbacks import Setback, Stopped
from astra_registry.fetching.transports.transport import Fetched

_LOOK_EVERY = 0.05  # seconds
_GIVEN_EVERY = 2.0  # seconds: to write files through to the disk while others come takes it more than twice as long


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
        self.servers = RsyncServers()

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
        watch = _Watch(self._stop, meanwhile)
        members = []
        for index, url in enumerate(urls):
            try:
                members.append(Member(index, self._source(url), destinations[index]))
            except TransferFailed as error:  # it has no place at any rsync server; at another kind it may have one
                yield index, error if url.startswith("rsync:") else NoRsync(str(error))
        groups = deque(grouped(members))
        while groups:
            members = groups.popleft()
            server = self.servers[members[0].source.origin]
            told = set()
            try:
                for index, outcome in self._bring(members, on_bytes, watch, public=public):
                    told.add(index)
                    yield index, outcome
            except UnknownModule as error:
                if members[0].source.below_sas:
                    server.is_bare = True
                    groups += grouped(attrs.evolve(member, source=member.source.bare()) for member in members)
                    continue
                for member in members:
                    # What is at an https server need not be missing there because its rsync does not know it.
                    is_all = urls[member.index].startswith("rsync:")
                    yield member.index, FileMissing(str(error)) if is_all else NoRsync(str(error))
            except Busy as busy:
                if server.is_left_by_one_of_us(watch.wait):
                    groups.append(members)
                else:
                    yield from ((member.index, busy) for member in members)
            except _NoStage as refused:
                apart = below(refused.folder, members) if refused.is_of_the_folder else []
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
        return source.bare() if source.below_sas and self.servers[source.origin].is_bare else source

    def _bring(
        self, members: list[Member], on_bytes: Callable[[int], None], watch: _Watch, *, public: bool
    ) -> Iterator[Outcome]:
        if not self.is_here:
            raise NoRsync("there is no program rsync here")
        with contextlib.ExitStack() as ending:
            folders = {member.folder for member in members}
            folder = os.path.commonpath(folders)
            if len(_disks_of({folder, *folders})) > 1:
                raise _NoStage(folder, OSError(errno.EXDEV, os.strerror(errno.EXDEV)))
            try:
                stage = ending.enter_context(Stage(folder))
            except OSError as reason:
                raise _NoStage(folder, reason) from None
            stage.take_over({member.source.path: member.destination for member in members}, watch.wait)
            coming = {m.source.path: m for m in members if not os.path.exists(stage.place_of(m.source.path))}
            # What was taken over may be another version, until rsync has said that it is not.
            unsure = {member.source.path for member in members}.difference(coming)
            left = {member.index: member for member in members}
            before = stage.size()
            server = self.servers[members[0].source.origin]
            with server.visited(), self._begun(members, stage, public=public) as run:
                here: list[str] = []
                given = time.monotonic()
                for arrivals in run.arrivals():
                    watch.look()
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
                end = End(members[0].source.authority, code, said, stage.size() - before if code else 0)
                if left and isinstance(end.refusal, (Busy, NoAnswer, NoRsync, UnknownModule, Unauthorized)):
                    raise end.refusal
            yield from self._rest(left.values(), unsure, stage, end)

    def _rest(self, members: Collection[Member], unsure: Collection[str], stage: Stage, end: End) -> Iterator[Outcome]:
        """Give the outcomes of the files that rsync has not told of, once it has ended."""
        said, refusal = end.said, end.refusal
        missing, unreadable = end.lacking, end.unreadable
        for member in members:
            source, place = member.source, stage.place_of(member.source.path)
            is_unsure = source.path in unsure and (refusal is not None or source.path in said)
            if os.path.isfile(place) and not is_unsure:
                yield member.index, _moved(place, member.destination)
            elif source.is_one_of(missing):
                yield member.index, FileMissing(f"{source.authority} has no {source.module}/{source.path}")
            elif source.is_one_of(unreadable):
                yield member.index, Unauthorized(f"{source.authority} may not read it: whoever runs it can allow that")
            elif os.path.isdir(place):
                yield member.index, TransferFailed(f"{source.authority} has a folder of that name")
            else:
                yield member.index, refusal or Setback(f"rsync did not bring it ({end.last_line})")

    def _begun(self, members: list[Member], stage: Stage, *, public: bool) -> RsyncRun:
        source = members[0].source
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
            f"rsync://{source.authority}/{source.module}/",  # as it is: rsync decodes nothing
            stage.path + "/",
        ]
        names = [member.source.path for member in members]
        return RsyncRun(command, names, self._environment(source, public=public), stage.lock)

    def _environment(self, source: Source, *, public: bool) -> dict[str, str]:
        """Return the program's environment, which tells it who logs in: its URLs cannot say every name."""
        environment = {key: value for key, value in os.environ.items() if key != "RSYNC_PASSWORD"}
        if public:
            return environment
        found = self._keys.for_origin(Origin("https", source.web_host, 443)) if source.web_host in SDSS_RSYNC else None
        if found is None:
            found = self._keys.for_origin(source.origin)
        if found is None:
            if "RSYNC_PASSWORD" in os.environ:
                environment["RSYNC_PASSWORD"] = os.environ["RSYNC_PASSWORD"]
            return environment
        environment["RSYNC_PASSWORD"] = found.password
        environment["USER"] = found.username
        return environment


@attrs.frozen
class _Watch:
    """What is done again and again until all files have come."""

    stop: threading.Event
    meanwhile: Callable[[], None]

    def look(self) -> None:
        """Raise Stopped when the run is ended."""
        if self.stop.is_set():
            raise Stopped
        self.meanwhile()

    def wait(self) -> None:
        """Wait for a moment."""
        self.stop.wait(_LOOK_EVERY)
        self.look()


class _NoStage(Exception):
    """No folder of ours can be made in the one above all targets."""

    def __init__(self, folder: str, reason: OSError) -> None:
        super().__init__(str(reason))
        self.folder = folder
        self.reason = reason

    @property
    def is_of_the_folder(self) -> bool:
        """Whether the folder refuses it, or is on another disk than a target, where one further down may do."""
        return self.reason.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV)


def _disks_of(folders: Iterable[str]) -> set[int]:
    found = set()
    for folder in folders:
        with contextlib.suppress(OSError):  # it has vanished, as the outcome of its files will tell
            found.add(os.stat(folder).st_dev)
    return found


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
