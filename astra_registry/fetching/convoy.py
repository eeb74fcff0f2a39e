"""A group of files on one connection: brought by one run of rsync, then each verified and placed like any other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from astra_registry.errors import FileMissing, TransferFailed
from astra_registry.fetching import parts
from astra_registry.fetching.courier import Courier, Delivery, present_entry
from astra_registry.fetching.credentials import is_public
from astra_registry.fetching.ledger import Entry
from astra_registry.fetching.patience import Patience
from astra_registry.fetching.rsync import NoRsync, RsyncTransport
from astra_registry.fetching.setbacks import Setback
from astra_registry.fetching.transport import Errand, Fetched
from astra_registry.fetching.turns import Turns
from astra_registry.fetching.wanted import Wanted


class Convoy:
    """Brings groups; what rsync cannot reach comes back as it was, to be brought over https."""

    def __init__(
        self,
        courier: Courier,
        rsync: RsyncTransport,
        *,
        retries: int,
        overwrite: bool,
        on_bytes: Callable[[int], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._courier = courier
        self._rsync = rsync
        self._retries = retries
        self._overwrite = overwrite
        self._on_bytes = on_bytes
        self._sleep = sleep

    @property
    def closed(self) -> bool:
        """Whether rsync has turned out to be no way at all."""
        return self._rsync.closed

    def bring(self, items: list[Wanted]) -> list[Delivery | Wanted]:
        """Bring the files of one group."""
        started = time.monotonic()
        done: list[Delivery | Wanted] = []
        pending: list[_Load] = []
        for item in items:
            entry = None if self._overwrite else present_entry(item)
            if entry is None:
                pending.append(_Load(item))
            else:
                done.append(self._told(_Load(item), entry, started))
        patience = Patience(self._retries)
        while pending:
            self._send(pending)
            again = []
            setback: Setback | None = None
            for load in pending:
                if isinstance(load.outcome, FileMissing) and load.location + 1 < len(load.item.urls):
                    load.location += 1
                    again.append(load)
                elif isinstance(load.outcome, Setback):
                    setback = load.outcome
                    again.append(load)
                elif isinstance(load.outcome, NoRsync) and load.url.startswith("rsync:"):
                    load.outcome = TransferFailed(str(load.outcome))  # https is no way to this one
                    done.append(self._told(load, None, started))
                elif isinstance(load.outcome, NoRsync):
                    parts.remove(load.part.path)
                    done.append(load.item)
                else:
                    done.append(self._told(load, None, started))
            pending = again
            if setback is not None:
                wait = patience.wait_after(setback)
                if wait is None:
                    for load in pending:
                        parts.remove(load.part.path)
                        done.append(load.item)  # https may do what rsync did not
                    break
                self._sleep(wait)
        return done

    def _send(self, loads: list[_Load]) -> None:
        for public in (True, False):
            group = [load for load in loads if is_public(load.url, load.item.product) is public]
            if not group:
                continue
            outcomes = self._rsync.fetch_many(
                [load.url for load in group], [load.part.path for load in group], self._on_bytes, public=public
            )
            for load, outcome in zip(group, outcomes, strict=True):
                load.outcome = outcome
                load.errand.requests += 1

    def _told(self, load: _Load, entry: Entry | None, started: float) -> Delivery:
        def bring(_: Turns) -> tuple[Entry, str | None]:
            if entry is not None:
                return entry, None
            if not isinstance(load.outcome, Fetched):
                raise load.outcome
            return self._courier.settled(load.url, load.item, load.part, load.outcome), load.url

        try:
            return self._courier.delivered(load.item, load.errand, bring, started)
        finally:
            with contextlib.suppress(OSError):
                load.part.close()


class _Load:
    """One file of a group."""

    def __init__(self, item: Wanted) -> None:
        self.item = item
        self.part = parts.Part(item.path)
        self.errand = Errand()
        self.location = 0
        self.outcome: Fetched | Exception = FileMissing("it was not asked for")

    @property
    def url(self) -> str:
        return self.item.urls[self.location]
