"""Items that come one after the other, from whoever makes them: slowly, or until something goes wrong there."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from astra_registry.fetching import Wanted, iter_fetch

from .conftest import Archive


def test_what_came_before_a_list_broke_off_is_fetched_and_told(archive: Archive) -> None:
    items = archive.add_some(30, size=3000)

    def broken() -> Iterator[Wanted]:
        yield from items
        raise RuntimeError("the table ends here")

    told: list[str] = []
    with pytest.raises(RuntimeError, match="the table ends here"):
        told.extend(result.status for result in iter_fetch(broken(), remote_base=archive.sas.url))

    assert told == ["fetched"] * 30
    assert all(map(archive.right, items))


def test_a_slow_list_keeps_no_result_waiting_until_many_items_are_there(archive: Archive) -> None:
    """The results of the first ones are here while the list is still made."""
    items = archive.add_some(20, size=3000)
    given: list[Wanted] = []

    def slow() -> Iterator[Wanted]:
        for item in items:
            time.sleep(0.15)
            given.append(item)
            yield item

    behind = [len(given) - number for number, _ in enumerate(iter_fetch(slow(), remote_base=archive.sas.url), 1)]

    assert len(behind) == 20
    assert max(behind) <= 8
