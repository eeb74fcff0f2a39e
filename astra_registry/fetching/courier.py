"""One file's way: take a turn, bring it to a private name, see that it is whole, move it into place."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from astra_registry.errors import AstraRegistryError, CorruptFile, FileFailed, FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching.advice import Advice
from astra_registry.fetching.disk import leftovers, parts, whole
from astra_registry.fetching.disk.entries import Entry, entry_of
from astra_registry.fetching.disk.folders import Folders
from astra_registry.fetching.disk.sums import sha1_of
from astra_registry.fetching.disk.trouble import disk_trouble, is_of_the_disk
from astra_registry.fetching.disk.turns import Turns
from astra_registry.fetching.listings import Listings, can_list
from astra_registry.fetching.places import at_mirror
from astra_registry.fetching.present import moment_of, whole_entry
from astra_registry.fetching.report import FetchResult
from astra_registry.fetching.transports.credentials import is_public
from astra_registry.fetching.transports.http.hosts import Host, Hosts
from astra_registry.fetching.transports.origin import split, without_password
from astra_registry.fetching.transports.patience import Patience
from astra_registry.fetching.transports.setbacks import Setback, Stopped
from astra_registry.fetching.transports.transport import Errand, Fetched, Transport
from astra_registry.fetching.wanted import Wanted

_FRESH_STARTS = 2  # of a file whose server puts other ones in its place
_LARGE = 8 << 20  # bytes: after such a file its name is made sure of at once …
_SETTLE_EVERY = 1.0  # … and after others when so many seconds have gone by


@attrs.frozen
class Delivery:
    """A result, and what the ledger is to remember."""

    result: FetchResult
    entry: Entry | None = None


class Courier:
    """Brings single files; its methods may be called from many threads."""

    def __init__(
        self,
        transport: Transport,
        hosts: Hosts,
        listings: Listings,
        *,
        compares: Callable[[Wanted], bool] = lambda _: False,
        insists: bool = False,  # that a server says what it lists, where files are compared
        checksums_fixed: bool = False,
        retries: int = 5,
        mirrors: tuple[str, ...] = (),
        brings: Callable[[str], bool] = lambda _: True,  # whether the transport is to be asked for a URL
        overwrite: bool = False,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.transport = transport
        self._hosts = hosts
        self._listings = listings
        self._compares = compares
        self._insists = insists
        self._checksums_fixed = checksums_fixed
        self._retries = retries
        self._mirrors = mirrors
        self._brings = brings
        self._overwrite = overwrite
        self._on_bytes = on_bytes
        self._leftovers = leftovers.Leftovers()
        self.folders = Folders()
        self._advice = Advice(listings)

    def bring(self, item: Wanted) -> Delivery:
        """Bring one file, and say what came of it; only Stopped is raised."""
        started = time.monotonic()
        errand = Errand(
            is_public=partial(is_public, item.urls[0], item.product),
            on_bytes=self._on_bytes,
            admit=partial(self._admit, item),
        )
        return self.delivered(item, errand, lambda turns: self._bring(item, errand, turns), started)

    def delivered(
        self, item: Wanted, errand: Errand, bring: Callable[[Turns], tuple[Entry, str | None]], started: float
    ) -> Delivery:
        """Return what comes of ``bring``, whatever it is."""

        def outcome(status: str, url: str | None = None, error: Exception | None = None, **known: Any) -> FetchResult:
            told = None
            if error is not None:
                told = _one_line(error)
                _forget_frames(error)
            return FetchResult(
                without_password(url or item.urls[0]),
                item.path,
                status,
                seconds=time.monotonic() - started,
                attempts=errand.requests,
                error=told,
                row=item.row,
                cause=error,
                source=item.product,
                **known,
            )

        try:
            with self.folders.made_for(item.path) as turns:
                entry, url = bring(turns)
        except FileMissing as error:
            return Delivery(outcome("missing", error=FileMissing(f"{error}{self._advice.on(item)}")))
        except Unauthorized as error:
            return Delivery(outcome("unauthorized", error=error))
        except FileFailed as error:
            return Delivery(outcome("failed", error=error))
        except OSError as error:
            return Delivery(outcome("failed", error=disk_trouble(error, item.path)))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 -- a transport that is not ours may fail in any way
            told = (
                error if isinstance(error, AstraRegistryError) else TransferFailed(f"{type(error).__name__}: {error}")
            )
            return Delivery(outcome("failed", error=told))
        status = "present" if url is None else "fetched"
        if url is None:
            errand.requests = 0
        else:
            self.folders.settle(every=0.0 if entry.size >= _LARGE else _SETTLE_EVERY)
        result = outcome(status, url or entry.url, bytes=entry.size, sha1=entry.sha1)
        return Delivery(result, entry)

    def _bring(self, item: Wanted, errand: Errand, turns: Turns) -> tuple[Entry, str | None]:
        entry = None if self._overwrite else whole_entry(item)
        if entry is not None:
            self._clear(item.path)
            return entry, None
        name = os.path.basename(item.path)
        before = moment_of(item.path)
        waited = turns.take(name, self._hosts.sleep)
        try:
            is_new = waited and moment_of(item.path) != before
            if is_new:  # by another process: what it was before is no measure
                item = attrs.evolve(item, known=None)
            if is_new and (entry := whole_entry(item)) is not None:
                self._clear(item.path, afresh=True)
                return entry, None
            left = self._leftovers.of(item.path, afresh=waited)
            part = leftovers.adopt(item.path, left) or parts.Part(item.path)
            errand.part = part
            try:
                _begin(part)
                fetched, url = self._transfer(item, part, errand)
                part.settle(fetched.mtime)
                _refuse_a_link_to_itself(part)
                part.place()
            except BaseException as error:
                part.leave(keep=not _has_lost(error), disk_failed=is_of_the_disk(error))
                raise
            return entry_of(item.path, sha1=fetched.sha1, etag=fetched.etag, url=without_password(url)), url
        finally:
            turns.give_up(name)

    def settled(self, url: str, item: Wanted, part: parts.Part, fetched: Fetched) -> Entry:
        """Verify what another way brought to a part, and move it into place."""
        try:
            fetched = self._verified(url, item, part, fetched)
            part.settle(fetched.mtime)
            part.place()
        except BaseException:
            part.leave()
            raise
        self._clear(item.path)
        return entry_of(item.path, sha1=fetched.sha1, etag=fetched.etag, url=without_password(url))

    def settle(self) -> None:
        """Wait until what was brought would outlive a power cut."""
        self.folders.settle()

    def _clear(self, path: str, *, afresh: bool = False) -> None:
        for leftover in self._leftovers.of(path, afresh=afresh):
            parts.remove(leftover)

    # From server to part

    def _transfer(self, item: Wanted, part: parts.Part, errand: Errand) -> tuple[Fetched, str]:
        patience = Patience(self._retries)
        routes = self._routes(item)
        at = next((n for n, urls in enumerate(routes) if not self._is_down(urls[0])), 0)
        tried_in_a_row = 1
        most = part.kept()  # bytes that a try could go on with, when last one was worth it
        fresh_starts = _FRESH_STARTS
        refused: set[tuple[int, bytes]] = set()  # what each server had, and was not right
        while True:
            errand.deadline, errand.budget = patience.deadline, patience.budget
            host = self._host(routes[at][0])
            was_worth_it = False
            try:
                return self._from_one_of(routes[at], item, part, errand)
            except CorruptFile as error:
                digest = sha1_of(part.path).digest()
                part.restart()
                if (at, digest) in refused:
                    raise  # the server has it so
                refused.add((at, digest))
                setback = Setback(str(error))
            except Setback as error:
                setback = error
                _forget_frames(setback)
                kept = part.kept()
                if kept < most and fresh_starts:  # the server has another version: what we had is no measure
                    fresh_starts -= 1
                    most = 0
                was_worth_it = patience.progress(kept - most)
                if was_worth_it:
                    most = kept
                if setback.unreachable and host is not None:
                    host.unreachable()
            except FileFailed as error:
                if routes[at] == item.urls:
                    raise
                # What a mirror says is not the last word: others are left, and the first server may come back.
                told = f"{routes[at][0]} is not there" if isinstance(error, FileMissing) else error
                setback = Setback(f"{told}, and the first server cannot be reached")
                if len(routes) == 1:  # which only rsync could
                    raise TransferFailed(str(setback)) from None
            patience.deadline = max(patience.deadline, errand.deadline)  # it has waited, or gained, meanwhile
            if tried_in_a_row < len(routes) and not was_worth_it:
                tried_in_a_row += 1
                at = (at + 1) % len(routes)
                continue
            wait = patience.wait_after(setback)
            if wait is None:
                if host is not None and setback.unreachable:
                    host.gave_up(str(setback))
                if refused and not setback.unreachable:
                    raise CorruptFile(f"{setback}; {patience.reason}")
                raise TransferFailed(f"{setback}; {patience.reason}")
            tried_in_a_row = 1
            if not was_worth_it:  # else another server would begin again
                at = (at + 1) % len(routes)
            if setback.pause_host and host is not None:
                host.pause(wait)
            self._hosts.sleep(wait)

    def _from_one_of(
        self, urls: tuple[str, ...], item: Wanted, part: parts.Part, errand: Errand
    ) -> tuple[Fetched, str]:
        """Bring the file from the first of the locations that has it; FileMissing when none does."""
        missing: FileMissing | None = None
        for url in urls:
            host = self._host(url)
            if host is not None:
                host.check()
            try:
                fetched = self._ask(url, part, errand)
            except FileMissing as error:
                if host is not None:
                    host.answered()
                missing = missing or error
                continue
            if host is not None:
                host.answered()
            return self._verified(url, item, part, fetched), url
        try:
            raise missing or FileMissing("there is no URL for it")
        finally:
            missing = None  # else the error and this frame hold each other, and with them a whole batch

    def _ask(self, url: str, part: parts.Part, errand: Errand) -> Fetched:
        if getattr(self.transport, "takes_errands", False):
            return self.transport.fetch(url, part.path, errand)  # type: ignore[call-arg, return-value]
        errand.requests += 1
        part.hand_over()
        fetched = self.transport.fetch(url, part.path) or Fetched()
        if os.path.isfile(part.path) and not os.path.islink(part.path):  # a link brings nothing
            self._on_bytes(os.stat(part.path).st_size)
        return fetched

    def _verified(self, url: str, item: Wanted, part: parts.Part, fetched: Fetched) -> Fetched:
        """Return what is known of a part that is whole; CorruptFile for one that is not."""
        name = os.path.basename(item.path)
        size = os.stat(part.path).st_size
        if item.size not in (None, size):
            part.restart()
        self._admit(item, size, proven=fetched.proven)
        # A link leads to a file that is not ours to write to.
        whole.check(part.path, name, file=None if os.path.islink(part.path) else part.file)
        if fetched.sha1 is None:
            fetched = attrs.evolve(fetched, sha1=sha1_of(part.path).hexdigest())
        listed = self._listed(url, item)
        if listed is not None and listed != fetched.sha1:
            remedy = self._checksums("never takes it as it is")
            raise CorruptFile(f"its sha1 is {fetched.sha1}, and the server lists {listed}{remedy}")
        if not fetched.proven and listed is None and item.sha1 is None and not whole.tells_its_end(name):
            raise CorruptFile("the server did not tell its length, and a file of this kind does not show where it ends")
        if item.sha1 is not None and fetched.sha1 != item.sha1:
            raise CorruptFile(f"the server's file has the sha1 {fetched.sha1}, the locked one {item.sha1}")
        if self._hosts.stop.is_set():
            raise Stopped  # the line may have been cut while the server said what it lists
        return fetched

    def _admit(self, item: Wanted, size: int, *, proven: bool = True) -> None:
        """Refuse a file of another length than the locked one."""
        if item.size in (None, size):
            return
        told = f"the server's file has {size} bytes, the locked one {item.size}"
        if self._mirrors or not proven:
            raise CorruptFile(told)
        raise TransferFailed(told)  # it told that length itself, and would do so again

    def _listed(self, url: str, item: Wanted) -> str | None:
        if not self._compares(item):
            return None
        insists = self._insists and can_list(url)
        try:
            return self._listings.sha1(url, surely=insists, named=not self._checksums_fixed)
        except TransferFailed as error:
            raise TransferFailed(f"{error}{self._checksums('auto does without')}") from None

    def _checksums(self, remedy: str) -> str:
        """Return what another choice of checksums would do, in brackets, for whoever has one."""
        return "" if self._checksums_fixed else f" (--checksums {remedy})"

    # Hosts

    def has_way_to(self, item: Wanted) -> bool:
        """Whether there is a URL of a file, or of a mirror that has it, for the transport to be asked for."""
        return any(map(self._brings, item.urls)) or bool(self._routes(item))

    def _routes(self, item: Wanted) -> list[tuple[str, ...]]:
        """Return the item's locations at its own server, then the same at each mirror."""
        at_mirrors = (at_mirror(mirror, item.urls) for mirror in self._mirrors)
        routes = [item.urls, *(there for there in at_mirrors if there != item.urls)]
        return list(filter(None, (tuple(filter(self._brings, urls)) for urls in routes)))

    def _host(self, url: str) -> Host | None:
        return self._hosts[split(url)[0]] if url.startswith(("http://", "https://")) else None

    def _is_down(self, url: str) -> bool:
        host = self._host(url)
        return host is not None and host.is_down


def _begin(part: parts.Part) -> None:
    """Make the part's file, so that a folder that cannot be written to is known before anything is asked for."""
    try:
        _ = part.file
    except FileNotFoundError:
        # Another process made the folder too, failed, and took it away while it was empty.
        os.makedirs(os.path.dirname(part.path), exist_ok=True)
        _ = part.file


def _refuse_a_link_to_itself(part: parts.Part) -> None:
    """Raise TransferFailed where a link would take the place of the very file that it leads to."""
    there = os.path.lexists(part.target) and not os.path.islink(part.target)
    if there and os.path.islink(part.path) and os.path.samefile(part.path, part.target):
        raise TransferFailed("the file there is the one that a link would lead to: the archive is this folder itself")


def _has_lost(error: BaseException) -> bool:
    """Whether a disk has lost what it took: it says so once, and what is read again may not be what was written."""
    return isinstance(error, OSError) and error.errno == errno.EIO


def _forget_frames(error: Exception) -> None:
    """Take from an error the frames that it came through: they hold the item, its whole batch and each other."""
    error.__traceback__ = error.__context__ = error.__cause__ = None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
