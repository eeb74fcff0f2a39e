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

from astra_registry.errors import TransferFailed
from astra_registry.fetching.courier import Courier, Delivery
from astra_registry.fetching.disk.entries import Entry
from astra_registry.fetching.disk.folders import Folders
from astra_registry.fetching.disk.trouble import is_of_the_disk
from astra_registry.fetching.disk.turns import FIRST_PAUSE, LONGEST_PAUSE, Turns
from astra_registry.fetching.load import Load
from astra_registry.fetching.places import at_mirror, is_by_rsync
from astra_registry.fetching.present import present_entry
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.patience import Patience
from astra_registry.fetching.transports.rsync import RsyncTransport
from astra_registry.fetching.transports.rsync_end import BrokenOff, Busy, NoAnswer, NoRsync
from astra_registry.fetching.transports.rsync_servers import RsyncServer
from astra_registry.fetching.transports.setbacks import Setback
from astra_registry.fetching.transports.transport import Fetched
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
                waiting.append(Load(item, places, first or 0, started))
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

    def _bring(self, loads: list[Load], stay: _Stay) -> Iterator[Delivery | Wanted]:
        pending: list[Load] = []
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
            again: list[Load] = []
            setbacks: dict[RsyncServer, list[Load]] = {}
            for load in self._sent(pending, stay):
                stay.show_life()
                server = self._servers.of(load.url)
                server.note(load.outcome)
                if isinstance(load.outcome, Fetched):
                    patience[server] = Patience(self._retries)  # what is tried again of the others goes on from there
                    yield self._told(load)
                elif is_of_the_disk(load.outcome):
                    yield self._told(load)
                elif self._is_worth_another_try(load):
                    setbacks.setdefault(server, []).append(load)
                else:
                    yield from self._elsewhere(load, again)
            longest = 0.0
            for server, theirs in setbacks.items():
                wait = _wait_after(theirs, patience[server])
                if wait is not None:
                    longest = max(longest, wait)
                    again += theirs
                    for load in theirs:
                        load.begins_again()
                    continue
                server.gave_up([load.outcome for load in theirs])
                for load in theirs:
                    load.outcome = TransferFailed(f"{load.outcome}; {patience[server].reason}")
                    yield from self._elsewhere(load, again)
            if again:
                self._sleep(longest)
            pending = again

    def _is_worth_another_try(self, load: Load) -> bool:
        """Whether to ask the same server again: not one that takes no connection, where there is another way."""
        if not isinstance(load.outcome, NoAnswer):
            return isinstance(load.outcome, Setback)
        return load.is_at_last and not self._courier.has_way_to(load.rest)

    def _elsewhere(self, load: Load, again: list[Load]) -> Iterator[Delivery | Wanted]:
        """Have a file asked for at its next place; after the last one give it to https, or what came of it."""
        if load.goes_on():
            again.append(load)
        elif load.is_missing or not self._courier.has_way_to(load.rest):
            yield self._told(load)
        else:
            for url in load.places:
                self._rsync.give_up(url, load.part.path)
            yield load.rest

    def _sent(self, loads: list[Load], stay: _Stay) -> Iterator[Load]:
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

    def _told(self, load: Load, entry: Entry | None = None) -> Delivery:
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


def _wait_after(loads: list[Load], patience: Patience) -> float | None:
    """Return the seconds to wait before a server is asked for files again that it has failed; None for no more."""
    setback = loads[-1].outcome
    if isinstance(setback, BrokenOff):
        patience.progress(setback.gained)
    elif isinstance(setback, Busy):
        patience.has_waited()
    return patience.wait_after(setback)  # type: ignore[arg-type]


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

    def is_turn_of(self, load: Load, since: float) -> bool:
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
