"""What waits to be brought: a line for each server of rsync, and one for all files that go each by itself.

So that nobody waits for a server of others.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from astra_registry.fetching.wanted import Wanted

if TYPE_CHECKING:
    from astra_registry.fetching.convoy import Convoy
    from astra_registry.fetching.transports.rsync_servers import RsyncServer

_MOST_FILES = 500  # of a group


@attrs.define
class _Line:
    waiting: deque[Wanted] = attrs.field(factory=deque)
    under_way: int = 0  # groups


@attrs.define(eq=False)
class Group:
    """Files for one run of rsync."""

    items: list[Wanted]
    line: _Line
    left: int  # files of which nothing is known yet


class Lines:
    """The lines of one run: each server of rsync has so many groups under way, all together not more than ``most``."""

    def __init__(self, convoy: Convoy | None, *, groups: int, most: int | None) -> None:
        self._convoy = convoy
        self._groups = groups
        self._most = most
        self._singles: deque[Wanted] = deque()
        self._lines: dict[RsyncServer, _Line] = {}
        self.groups_under_way = 0
        self.grouped = 0  # files of these

    def __len__(self) -> int:
        return len(self._singles) + sum(len(line.waiting) for line in self._lines.values())

    def add(self, item: Wanted) -> None:
        """Have a file wait where it belongs."""
        server = None if self._convoy is None else self._convoy.server_of(item)
        if server is None:
            self._singles.append(item)
        else:
            self._lines.setdefault(server, _Line()).waiting.append(item)

    def next_single(self) -> Wanted | None:
        """Return the next file that goes by itself."""
        return self._singles.popleft() if self._singles else None

    def next_group(self) -> Group | None:
        """Return the next group; None where there is none, or as many are under way as may be."""
        for line in self._lines.values():
            if not line.waiting or line.under_way == self._groups or self.groups_under_way == self._most:
                continue
            size = min(_MOST_FILES, -(-len(line.waiting) // (self._groups - line.under_way)))
            group = Group([line.waiting.popleft() for _ in range(size)], line, size)
            line.under_way += 1
            self.groups_under_way += 1
            self.grouped += size
            return group
        return None

    def came(self, group: Group) -> None:
        """Note that one file of a group has come, or comes another way."""
        group.left -= 1
        self.grouped -= 1
        if not group.left:
            group.line.under_way -= 1
            self.groups_under_way -= 1
