"""A group of files on one connection: brought by one run of rsync, then each verified and placed like any other.

Each file is brought when it is its turn, like a single one. But two groups with the same files in another order would
wait for each other for ever. So a group takes the turns that it gets at once, brings these files, and gives all turns
back before it waits for others; their files may be here then.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator

import attrs

from astra_registry.errors import FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.courier import Courier, Delivery
from astra_registry.fetching.disk.folders import Folders
from astra_registry.fetching.disk.ledger import Entry
from astra_registry.fetching.disk.parts import Part
from astra_registry.fetching.disk.trouble import is_of_the_disk
from astra_registry.fetching.disk.turns import FIRST_PAUSE, LONGEST_PAUSE, Turns
from astra_registry.fetching.places import at_mirror, is_by_rsync
from astra_registry.fetching.present import present_entry
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.patience import Patience
from astra_registry.fetching.transports.rsync import RsyncTransport
from astra_registry.fetching.transports.rsync_end import BrokenOff, Busy, NoAnswer, NoRsync
from astra_registry.fetching.transports.rsync_servers import RsyncServer
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Errand, Fetched
from astra_registry.fetching.wanted import Wanted

_MOST_FOLDERS = 500  # as many as a group has files
_LIFE_EVERY = 5.0  # seconds


class Convoy:
    """Brings groups; what rsync cannot reach comes back with the URLs where it may still be, to be brought over https.

    What only rsync may have is tried again as any file is, where its servers fail.
    """

    def __init__(
        self,
        courier: Courier,
        rsync: RsyncTransport,
        *,
        retries: int,
        mirrors: tuple[str, ...],
        overwrite: bool,
        on_bytes: Callable[[int], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._courier = courier
        self._rsync = rsync
        self._servers = rsync.servers
        self._retries = retries
        self._mirrors = tuple(filter(is_by_rsync, mirrors))
        self._overwrite = overwrite
        self._on_bytes = on_bytes
        self._sleep = sleep
        folders = _folders_at_once()
        self._room = threading.Semaphore(folders)
        self._folders_a_group = min(_MOST_FOLDERS, folders // 4)

    def server_of(self, item: Wanted) -> RsyncServer | None:
        """Return whom to ask for a file; None where https may have it, and rsync has turned out to be no way."""
        places = self._places(item)
        first = self._first_of(places)
        if first is None:
            return None if self._courier.has_way_to(item) else self._servers.of(places[0])
        return self._servers.of(places[first])

    def _first_of(self, places: list[str]) -> int | None:
        return next((n for n, url in enumerate(places) if self._may_answer(url)), None)

    def _may_answer(self, url: str) -> bool:
        return self._rsync.is_here and not self._servers.of(url).is_closed

    def _places(self, item: Wanted) -> list[str]:
        """Return where rsync is asked for a file: at its own servers, those of https too, then at mirrors."""
        return [*item.urls, *(url for mirror in self._mirrors for url in at_mirror(mirror, item.urls))]

    def bring(self, items: list[Wanted]) -> Iterator[Delivery | Wanted]:
        """Bring the files of one group, and give each as it comes."""
        started = time.monotonic()
        waiting = []
        for item in items:
            places = self._places(item)
            first = self._first_of(places)
            if first is None and self._courier.has_way_to(item):
                yield item
            else:
                waiting.append(_Load(item, places, first or 0, started))
        since, pause = started, FIRST_PAUSE
        while waiting:
            with _Stay(self._courier.folders, self._room, self._folders_a_group, self._sleep) as stay:
                loads = [load for load in waiting if stay.is_turn_of(load, since)]
                yield from self._bring(loads, stay)
            if loads:
                waiting = [load for load in waiting if load not in loads]
                since, pause = time.monotonic(), FIRST_PAUSE
            else:
                self._sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 1.5)

    def _bring(self, loads: list[_Load], stay: _Stay) -> Iterator[Delivery | Wanted]:
        pending: list[_Load] = []
        for load in loads:
            entry = None if self._overwrite else present_entry(load.item)
            if entry is None and load.outcome is None:
                pending.append(load)
            else:
                yield self._told(load, entry)
        patience: dict[RsyncServer, Patience] = {}
        while pending:
            for load in pending:
                patience.setdefault(self._servers.of(load.url), Patience(self._retries))
            again: list[_Load] = []
            setbacks: dict[RsyncServer, list[_Load]] = {}
            for load in self._sent(pending, stay):
                stay.show_life()
                server, outcome = self._servers.of(load.url), load.outcome
                if isinstance(outcome, NoAnswer):
                    server.is_closed = True
                elif isinstance(outcome, (Fetched, FileMissing, Unauthorized)):
                    server.answered()
                if isinstance(outcome, Fetched):  # what is tried again of the others goes on from there
                    patience[server] = Patience(self._retries)
                if isinstance(outcome, Fetched) or is_of_the_disk(outcome):
                    yield self._told(load)
                elif isinstance(outcome, Setback) and not (isinstance(outcome, NoAnswer) and self._has_other_way(load)):
                    setbacks.setdefault(server, []).append(load)
                elif load.goes_on():
                    again.append(load)
                else:
                    yield self._by_another_way(load)
            longest = 0.0
            for server, theirs in setbacks.items():
                setback = theirs[-1].outcome
                if isinstance(setback, BrokenOff):
                    patience[server].progress(setback.gained)
                elif isinstance(setback, Busy):
                    patience[server].has_waited()
                wait = patience[server].wait_after(setback)  # type: ignore[arg-type]
                if wait is not None:
                    longest = max(longest, wait)
                    again += theirs
                    if isinstance(setback, NoAnswer):
                        for load in theirs:
                            load.begins_again()
                    continue
                server.gave_up([load.outcome for load in theirs])
                for load in theirs:
                    load.outcome = TransferFailed(f"{load.outcome}; {patience[server].reason}")
                    if load.goes_on():
                        again.append(load)
                    else:
                        yield self._by_another_way(load)
            if again:
                self._sleep(longest)
            pending = again

    def _has_other_way(self, load: _Load) -> bool:
        return not load.is_at_last or self._courier.has_way_to(load.rest)

    def _by_another_way(self, load: _Load) -> Delivery | Wanted:
        """Return a file that rsync could not bring: https may do it, unless only rsync knows where the file is."""
        if load.is_missing or not self._courier.has_way_to(load.rest):
            return self._told(load)
        for url in load.places:
            self._rsync.give_up(url, load.part.path)
        return load.rest

    def _sent(self, loads: list[_Load], stay: _Stay) -> Iterator[_Load]:
        """Send for files, and give each once its outcome is known."""
        refusals: dict[RsyncServer, str] = {}
        asked = []
        for load in loads:
            server = self._servers.of(load.url)
            if server not in refusals:
                refusals[server] = server.refusal()
            if refusals[server]:
                begun = "given up" if load.errand.requests else "not tried"
                load.outcome = NoRsync(f"{begun}: {refusals[server]}")
                yield load
            else:
                asked.append(load)
        for public in (True, False):
            group = [load for load in asked if is_public(load.url, load.item.product) is public]
            if not group:
                continue
            outcomes = self._rsync.fetch_many(
                [load.url for load in group],
                [load.part.path for load in group],
                self._on_bytes,
                public=public,
                meanwhile=stay.show_life,
            )
            for index, outcome in outcomes:
                load = group[index]
                load.outcome = outcome
                if not isinstance(outcome, NoRsync):
                    load.errand.requests += 1
                yield load

    def _told(self, load: _Load, entry: Entry | None = None) -> Delivery:
        def bring(_: Turns) -> tuple[Entry, str | None]:
            if entry is not None:
                return entry, None
            if not isinstance(load.outcome, Fetched):
                load.part.leave(keep=False)
                raise load.why_not()
            return self._courier.settled(load.url, load.item, load.part, load.outcome), load.url

        try:
            return self._courier.delivered(load.item, load.errand, bring, load.started)
        finally:
            load.leave()


def _folders_at_once() -> int:
    """Return in how many folders all groups together may have turns: each takes a descriptor."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4 * _MOST_FOLDERS if limit == resource.RLIM_INFINITY else max(4, min(4 * _MOST_FOLDERS, limit // 4))


class _Load:
    """One file of a group, and the places where it may be, of which rsync is asked for one after the other."""

    def __init__(self, item: Wanted, places: list[str], first: int, started: float) -> None:
        self.item = item
        self.places = places
        self.started = started
        self.part = Part(item.path)
        self.errand = Errand()
        self.outcome: Fetched | Exception | None = None
        self.turns: Turns | None = None
        self._at = first
        self._lacking: set[str] = set()  # its own places that have been asked, and have not got it
        self._failure: Exception | None = None  # of the last place that did not even tell whether it has the file

    @property
    def url(self) -> str:
        return self.places[self._at]

    @property
    def is_at_last(self) -> bool:
        return self._at + 1 == len(self.places)

    @property
    def is_missing(self) -> bool:
        """Whether all its own places have not got it: what mirrors say does not count then."""
        return self._lacking.issuperset(self.item.urls)

    @property
    def rest(self) -> Wanted:
        """The file with the URLs of its own that may have it."""
        return attrs.evolve(self.item, urls=tuple(url for url in self.item.urls if url not in self._lacking))

    def goes_on(self) -> bool:
        """Turn to the next place, after what this one has said; False where there is none to ask."""
        if not isinstance(self.outcome, FileMissing):
            self._failure = self.why_not()
        elif self._at < len(self.item.urls):
            self._lacking.add(self.url)
        if self.is_missing or self.is_at_last:
            return False
        self._at += 1
        return True

    def begins_again(self) -> None:
        """Turn to the first of the places that may have it."""
        self._at = next((n for n, url in enumerate(self.places) if url not in self._lacking), self._at)

    def why_not(self) -> Exception:
        """Return why it has not come."""
        reason = self.outcome
        if isinstance(reason, FileMissing) and not self.is_missing:
            return TransferFailed(f"{reason}; {self._failure or 'its first server cannot be reached'}")
        if isinstance(reason, Exception) and not isinstance(reason, NoRsync):
            return reason
        return TransferFailed(str(reason))

    def leave(self) -> None:
        """Let the next one have the turn."""
        with contextlib.suppress(OSError):
            self.part.close()
        if self.turns is not None:
            self.turns.give_up(os.path.basename(self.item.path))


class _Stay:
    """The folders and the turns that a group has at one time; at its end all are given up."""

    def __init__(self, folders: Folders, room: threading.Semaphore, most: int, sleep: Callable[[float], None]) -> None:
        self._folders = folders
        self._room = room
        self._most = most
        self._sleep = sleep
        self._turns: dict[str, Turns] = {}
        self._ends = contextlib.ExitStack()
        self._shown = time.monotonic()

    def is_turn_of(self, load: _Load, since: float) -> bool:
        """Take the turn of a file; False when somebody else has it and is not abandoned by all life since then."""
        folder, name = os.path.split(load.item.path)
        if folder not in self._turns:
            if len(self._turns) == self._most or not self._room.acquire(blocking=False):
                return False
            self._ends.callback(self._room.release)
            try:
                self._turns[folder] = self._ends.enter_context(self._folders.held(folder))
            except OSError as error:  # it cannot be made, as the file's result will tell
                load.outcome = error
                return True
        turns = self._turns[folder]
        if not turns.take_at_once(name, self._sleep) and not turns.is_abandoned(name, since=since):
            return False
        load.turns = turns
        self._ends.callback(load.leave)
        return True

    def show_life(self) -> None:
        """Tell those who wait for one of the turns that we are at work."""
        if time.monotonic() - self._shown > _LIFE_EVERY:
            self._shown = time.monotonic()
            for turns in self._turns.values():
                turns.show_life()

    def __enter__(self) -> _Stay:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()
