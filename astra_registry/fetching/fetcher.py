"""Many files at once: a few threads, a stream of results, and memory that does not grow with the list."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import attrs

from astra_registry.fetching.comparing import Comparing
from astra_registry.fetching.courier import Courier, Delivery
from astra_registry.fetching.disk.entries import Entry
from astra_registry.fetching.inquiries import Inquiries
from astra_registry.fetching.lines import Group, Lines
from astra_registry.fetching.options import Options, transport_of
from astra_registry.fetching.places import is_by_rsync
from astra_registry.fetching.present import seems_there, still_there
from astra_registry.fetching.progress import Progress, Tally
from astra_registry.fetching.report import FetchResult
from astra_registry.fetching.transports.credentials import Keys, Login, trusted_hosts
from astra_registry.fetching.transports.http import HttpTransport
from astra_registry.fetching.transports.http.hosts import Hosts
from astra_registry.fetching.transports.http.line import Line
from astra_registry.fetching.transports.origin import without_password
from astra_registry.fetching.transports.setbacks import Stopped
from astra_registry.fetching.wanted import Seen, Wanted

if TYPE_CHECKING:
    from concurrent.futures import Future

    from astra_registry.fetching.convoy import Convoy
    from astra_registry.fetching.disk.ledger import Ledger

_T = TypeVar("_T")

_AHEAD = 1000  # items that are looked at before others are fetched, to know how many a folder holds
_AHEAD_SECONDS = 0.25
_CHUNK = 250
_GROUPS = 4  # runs of rsync at once at one server
_PROGRESS_EVERY = 0.2  # seconds
_END_WITHIN = 5.0  # seconds: whoever waits for a dead file system, or for a name server, cannot be woken


class Fetcher:
    """The machinery of one run: give it items, take results; `close` ends it at any moment."""

    def __init__(self, options: Options) -> None:
        self.options = options
        line = Line(connect_timeout=options.connect_timeout, timeout=options.timeout, ca_bundle=options.ca_bundle)
        keys = Keys(trusted_hosts(options.remote_base), None if options.login is None else self._ask_person)
        self._hosts = Hosts(line, options.jobs)
        self.http = HttpTransport(self._hosts, keys, limit_rate=options.limit_rate)
        self.inquiries = Inquiries(self.http, self._hosts, retries=options.retries)
        self._comparing = Comparing(options.checksums, self._list_early)
        self._tally = Tally()
        self._courier = Courier(
            transport_of(options, self.http),
            self._hosts,
            self.inquiries.listings,
            compares=self._comparing.compares,
            insists=options.checksums == "always",
            checksums_fixed=options.checksums_fixed,
            retries=options.retries,
            mirrors=options.mirrors,
            brings=(lambda url: not is_by_rsync(url)) if options.transport == "rsync" else (lambda _: True),
            overwrite=options.overwrite,
            on_bytes=self._tally.receive,
        )
        self._convoy = self._make_convoy(keys) if options.transport == "rsync" else None
        groups = min(_GROUPS, options.jobs)
        self._lines = Lines(self._convoy, groups=groups, most=groups if options.limit_rate else None)
        self._opened_ledger: Ledger | None = None
        self._todo: queue.SimpleQueue[Callable[[], Iterable[Delivery | _OfGroup]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Delivery | _OfGroup | _Question | Exception] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._outstanding = 0
        self._broken_off: Exception | None = None
        self._on_double: Callable[[Wanted], None] | None = None

    def _make_convoy(self, keys: Keys) -> Convoy:
        from astra_registry.fetching.convoy import Convoy
        from astra_registry.fetching.transports.rsync import RsyncTransport

        options = self.options
        rate = options.limit_rate
        rsync = RsyncTransport(
            keys,
            timeout=options.timeout,
            connect_timeout=options.connect_timeout,
            stop=self._hosts.stop,
            limit_rate=rate / min(_GROUPS, options.jobs) if rate else None,
        )
        return Convoy(
            self._courier,
            rsync,
            retries=options.retries,
            mirrors=options.mirrors,
            overwrite=options.overwrite,
            on_bytes=self._tally.receive,
            sleep=self._hosts.sleep,
        )

    def results(
        self,
        items: Iterator[Wanted],
        *,
        total: int | None = None,
        total_bytes: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_result: Callable[[FetchResult], None] | None = None,
        on_double: Callable[[Wanted], None] | None = None,
        more_to_come: bool = False,
    ) -> Generator[FetchResult]:
        """Give a result for each file, as they come; whoever stops taking them ends the run.

        With ``more_to_come`` it can be asked for others afterwards, and is to be closed at last.
        """
        self._tally.total, self._tally.total_bytes = total, total_bytes
        self._tally.begin()  # there may have been a plan before
        self._on_double = on_double
        try:
            for result in self._stream(items, on_progress):
                self._tally.note(result)
                if on_result is not None:
                    on_result(result)
                if on_progress is not None:
                    on_progress(self._tally.progress())
                yield result
        except BaseException:
            more_to_come = False
            raise
        finally:
            if not more_to_come:
                self.close()

    def _stream(self, items: Iterator[Wanted], on_progress: Callable[[Progress], None] | None) -> Iterator[FetchResult]:
        source = self._sorted_out(items)
        more = True
        while more or self._lines or self._outstanding:
            if more and self._done.empty():  # what has come goes first: the list may be made slowly
                more = yield from self._look_ahead(source)
            self._comparing.surveyed()
            self._dispatch_groups()
            self._dispatch_singles()
            if not self._outstanding:
                continue
            try:
                done = self._done.get(timeout=_PROGRESS_EVERY if on_progress is not None else None)
            except queue.Empty:
                if on_progress is not None:
                    on_progress(self._tally.progress())
                continue
            if isinstance(done, Exception):  # of the machinery: what a file meets is its result
                raise done
            if isinstance(done, _Question):
                done.put_to(self.options.login)
                continue
            self._outstanding -= 1
            outcome = self._outcome_of(done)
            if isinstance(outcome, Wanted):  # rsync did not get through: each by itself, over https
                self._send_courier(outcome)
                continue
            if outcome.entry is not None:
                self._ledger.remember(outcome.entry)
            yield outcome.result
        if self._broken_off is not None:  # only now: what it gave before has come
            raise self._broken_off

    def _outcome_of(self, done: Delivery | _OfGroup) -> Delivery | Wanted:
        if isinstance(done, Delivery):
            return done
        self._lines.came(done.group)
        return done.outcome

    def _look_ahead(self, source: Iterator[Wanted | FetchResult]) -> Generator[FetchResult, None, bool]:
        """Make some items ready, and hand out the first of them at once; return whether there may be more."""
        since = time.monotonic()
        while len(self._lines) < _AHEAD:
            # A list that is made slowly keeps no result waiting.
            if (self._lines or self._outstanding) and time.monotonic() - since >= _AHEAD_SECONDS:
                break
            outcome = next(source, None)
            if outcome is None:
                return False
            if isinstance(outcome, Wanted):
                self._lines.add(outcome)
                self._dispatch_singles()
            else:
                yield outcome
        return True

    def _sorted_out(self, items: Iterator[Wanted]) -> Iterator[Wanted | FetchResult]:
        """Give what has to be fetched, and results for what has not: doubles are in neither."""
        seen = Seen()
        size = 1  # growing chunks: the first item is not kept waiting for the others
        while chunk := self._taken(items, size):
            size = min(_CHUNK, 2 * size)
            fresh = []
            for item in chunk:
                if (refusal := item.refusal) is not None:
                    yield _unusable(item, refusal)
                elif seen.add(item.path):
                    fresh.append(item)
                elif self._on_double is not None:
                    self._on_double(item)
            known = {} if self.options.overwrite else self._known(fresh)
            for item in fresh:
                entry = known.get(os.path.abspath(item.path))
                if entry is not None and still_there(item, entry):
                    yield FetchResult(
                        entry.url or without_password(item.urls[0]),
                        item.path,
                        "present",
                        bytes=entry.size,
                        sha1=entry.sha1,
                        row=item.row,
                        source=item.product,
                    )
                    continue
                self._comparing.count(item)
                yield item if entry is None else attrs.evolve(item, known=entry)

    def _taken(self, items: Iterator[Wanted], most: int) -> list[Wanted]:
        """Return the next items, so many or as many as come soon; none at the end, or where the list breaks off."""
        taken: list[Wanted] = []
        until = time.monotonic() + _AHEAD_SECONDS
        try:
            while self._broken_off is None and len(taken) < most:
                taken.append(next(items))
                if time.monotonic() > until:
                    break
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001 -- whoever makes the list may fail in any way
            self._broken_off = error
        return taken

    def are_here(self, items: list[Wanted]) -> list[bool]:
        """Whether files lie here, as far as their sizes and what is remembered tell; none is read."""
        known = self._known(items)
        return [seems_there(item, known.get(os.path.abspath(item.path))) for item in items]

    @property
    def _ledger(self) -> Ledger:
        """What is known of this disk; opened when there is something to ask or to tell, for sqlite3 takes its time."""
        if self._opened_ledger is None:
            from astra_registry.fetching.disk.ledger import Ledger

            self._opened_ledger = Ledger(self.options.ledger)
        return self._opened_ledger

    def _known(self, items: list[Wanted]) -> Mapping[str, Entry]:
        here = [os.path.abspath(item.path) for item in items if _lies_there(item)]
        return self._ledger.known(here) if here else {}

    def _dispatch_singles(self) -> None:
        """Hand out what waits to go by itself, as far as there is somebody to take it soon."""
        while self._outstanding - self._lines.grouped < 2 * self.options.jobs:
            item = self._lines.next_single()
            if item is None:
                return
            self._send_courier(item)

    def _send_courier(self, item: Wanted) -> None:
        self._outstanding += 1
        self._todo.put(lambda: (self._courier.bring(item),))
        self._employ()
        self._comparing.begin(item)

    def _dispatch_groups(self) -> None:
        """Hand out what waits in groups, each for one run of rsync; what it cannot bring comes back."""
        while self._convoy is not None and (group := self._lines.next_group()) is not None:
            self._outstanding += len(group.items)
            self._todo.put(partial(_brought, group, self._convoy))
            self._employ()

    def _employ(self, others: int = 0) -> None:
        # More than there are connections: these are asked for the next files while those before are verified, for which
        # the first ones in a folder may have to wait until its listing is here. A group keeps one of them to itself.
        jobs, groups = self.options.jobs, self._lines.groups_under_way
        wanted = self._outstanding - self._lines.grouped + others
        if len(self._threads) < groups + min(jobs + max(1, jobs // 2), wanted):
            thread = threading.Thread(target=self._work, name=f"astra-fetch-{len(self._threads)}", daemon=True)
            self._threads.append(thread)  # first: a Ctrl-C may come while it starts
            try:
                thread.start()
            except RuntimeError:  # a machine that gives no more of them: those that there are do it
                self._threads.remove(thread)
                if not self._threads:
                    raise

    def _list_early(self, folder: str) -> None:
        def ask() -> tuple[()]:
            self.inquiries.listings.folder(folder, sums=True)
            return ()

        self._todo.put(ask)
        self._employ(1)

    def _work(self) -> None:
        while (job := self._todo.get()) is not None and not self._hosts.stop.is_set():
            try:
                for delivery in job():
                    self._done.put(delivery)
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 -- raised again by whoever takes the results
                self._done.put(error)
                return

    def _ask_person(self, host: str) -> tuple[str, str] | None:
        """Have the thread that takes the results ask for a login: only the main one gets its Ctrl-C at a prompt."""
        question = _Question(host)
        self._done.put(question)
        while not question.answered.wait(_PROGRESS_EVERY):
            if self._hosts.stop.is_set():
                raise Stopped
        return question.answer

    def waiting_for(self, asked: Future[_T]) -> _T:
        """Return what comes of work that asks servers in another thread; its questions to a person are put here."""
        login = self.options.login
        if login is not None:  # else nobody has questions
            from concurrent.futures import wait  # it loads logging, which a fetch does without

            while not wait([asked], timeout=_PROGRESS_EVERY).done:
                with contextlib.suppress(queue.Empty):
                    question = self._done.get_nowait()
                    if isinstance(question, _Question):
                        question.put_to(login)
        return asked.result()

    def close(self) -> None:
        """End the run: transfers that are under way are cut, and may be resumed by the next run."""
        self._hosts.end()  # also whoever still asks for a listing that nobody waits for
        self._comparing.surveyed()  # nobody waits for more
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + _END_WITHIN
        for thread in self._threads:
            with contextlib.suppress(RuntimeError):  # it has not begun, and will find that all is over
                thread.join(timeout=max(0.0, until - time.monotonic()))
        self._threads.clear()
        self._hosts.close()
        self._courier.settle()
        if self._opened_ledger is not None:
            self._opened_ledger.close()


@attrs.frozen
class _OfGroup:
    """What came of one file of a group."""

    outcome: Delivery | Wanted
    group: Group


def _brought(group: Group, convoy: Convoy) -> Iterator[_OfGroup]:
    for outcome in convoy.bring(group.items):
        yield _OfGroup(outcome, group)


class _Question:
    """What a worker wants to know of a person."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.answer: tuple[str, str] | None = None
        self.answered = threading.Event()

    def put_to(self, login: Login | None) -> None:
        """Ask, and let the worker go on with the answer."""
        self.answer = login(self.host) if login is not None else None
        self.answered.set()


def _lies_there(item: Wanted) -> bool:
    try:
        return os.stat(item.path).st_size > 0
    except (OSError, ValueError):
        return False


def _unusable(item: Wanted, error: Exception) -> FetchResult:
    told = " ".join(str(error).split())
    return FetchResult(None, item.path or None, "failed", error=told, row=item.row, cause=error, source=item.product)
