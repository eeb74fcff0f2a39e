"""Items that come one after the other, from whoever makes them: slowly, or until something goes wrong there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from astra_registry.fetching import Progress, Wanted, iter_fetch
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.options import Options

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


def test_the_seconds_of_a_run_begin_with_it_and_not_with_its_plan(archive: Archive) -> None:
    steps: list[Progress] = []
    with contextlib.closing(Fetcher(Options(remote_base=archive.sas.url, timeout=10))) as fetcher:
        time.sleep(0.3)
        begun = time.monotonic()
        list(fetcher.results(iter(archive.add_some(2)), on_progress=steps.append))
        seconds = time.monotonic() - begun

    assert steps
    assert all(step.seconds <= seconds for step in steps)
