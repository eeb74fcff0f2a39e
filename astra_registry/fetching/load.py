"""One file of a group that rsync brings, and how far it has come with the places where it may be."""

from __future__ import annotations

import contextlib
import os

import attrs

from astra_registry.errors import FileMissing, TransferFailed
from astra_registry.fetching.disk.parts import Part
from astra_registry.fetching.disk.turns import Turns
from astra_registry.fetching.transports.rsync_end import NoAnswer, NoRsync
from astra_registry.fetching.transports.transport import Errand, Fetched
from astra_registry.fetching.wanted import Wanted


class Load:
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
        """Where it is asked for now."""
        return self.places[self._at]

    @property
    def is_at_last(self) -> bool:
        """Whether that is the last of its places."""
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
        """Turn to the first of the places that may have it, where the last one takes no connection."""
        if isinstance(self.outcome, NoAnswer):
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
