"""How long one file is tried: what is nobody's fault costs no patience, and what comes renews it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from astra_registry.testing.sas import Fault, Request

from .conftest import Archive, fits_bytes

SLOW_TO_ANSWER = 0.4  # seconds: more than a run waits for that has no patience left


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is given up after three seconds without progress, and not after 85."""
    monkeypatch.setattr("astra_registry.fetching.transports.patience.BUDGET", 3.0)


def slowly(request: Request) -> Fault:
    return Fault(before=lambda: time.sleep(SLOW_TO_ANSWER), drip=(1000, 0.12))


def test_waiting_for_a_connection_costs_no_patience(make_archive: Callable[..., Archive]) -> None:
    """One of these files takes the connection longer than the other one would be tried."""
    archive = make_archive(faults=slowly)
    items = archive.add_some(2, size=20_000)

    report = archive.fetch(items, jobs=1)

    assert [(result.status, result.attempts) for result in report] == [("fetched", 1)] * 2, report[-1].error


def test_a_pause_that_a_server_asks_for_costs_the_other_files_no_patience(
    make_archive: Callable[..., Archive],
) -> None:
    def busy_at_first(request: Request) -> Fault:
        if "0000" in request.path and request.number == 1:
            return Fault(status=429, headers={"Retry-After": "4"})
        return Fault(before=lambda: time.sleep(SLOW_TO_ANSWER))

    archive = make_archive(faults=busy_at_first)
    items = archive.add_some(3, size=20_000)

    report = archive.fetch(items, jobs=1)

    assert sorted((result.status, result.attempts) for result in report) == [("fetched", 1)] * 2 + [("fetched", 2)]


def test_a_limited_rate_costs_no_patience(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(before=lambda: time.sleep(SLOW_TO_ANSWER)))
    items = archive.add_some(8, size=40_000)

    report = archive.fetch(items, jobs=4, limit_rate=75_000)

    assert not report.failed, report.failed[0].error


def test_a_cut_after_a_long_way_at_a_limited_rate_is_not_the_last(make_archive: Callable[..., Archive]) -> None:
    """The way takes longer than a file is tried without progress, and what comes of it in that time is little."""
    archive = make_archive(faults=lambda request: Fault(cut_after=118_000) if request.number == 1 else None)
    items = archive.add_some(3, size=120_000)

    report = archive.fetch(items, jobs=3, limit_rate=60_000)

    assert [(result.status, result.attempts) for result in report] == [("fetched", 2)] * 3, report[0].error
    assert min(result.seconds for result in report) > 4.0


@pytest.mark.parametrize("jobs", [1, 8])
def test_a_line_that_cuts_every_connection_after_a_while_brings_a_large_file_in_the_end(
    make_archive: Callable[..., Archive], jobs: int
) -> None:
    """Every try brings a part of it for good, over however many connections."""
    archive = make_archive(faults=lambda request: Fault(cut_after=3_000_000))
    item = archive.add("dr17/large.fits", fits_bytes(9, 40_000_000))

    [result] = archive.fetch([item], jobs=jobs, retries=2)

    assert result.status == "fetched", result.error
    assert archive.right(item)
    assert sum(request.sent for request in archive.sas.requests) < 1.25 * 40_000_000


def test_a_little_that_comes_again_and_again_is_progress_together(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(cut_after=104_096 if "range" in request.headers else 100_000))
    item = archive.add("dr17/a.fits", fits_bytes(9, 1_500_000))

    [result] = archive.fetch([item], retries=4)

    assert result.status == "fetched", result.error
    assert archive.right(item)


def test_what_came_of_an_older_version_is_no_measure_for_the_new_one(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(cut_after=20_000_000))
    item = archive.add("dr17/large.fits", fits_bytes(9, 30_000_000))
    [cut] = archive.fetch([item], jobs=1, retries=0)
    archive.add("dr17/large.fits", fits_bytes(8, 30_000_000))
    archive.sas.faults = lambda request: Fault(cut_after=2_000_000)

    [result] = archive.fetch([item], jobs=1, retries=3)

    assert cut.status == "failed"
    assert result.status == "fetched", result.error
    assert archive.right(item)


def test_a_server_that_cuts_here_and_there_what_cannot_be_resumed_is_given_up(
    make_archive: Callable[..., Archive],
) -> None:
    """What a try brings is progress where the next one goes on there, and nothing where it begins again."""

    def changing(request: Request) -> Fault:
        headers = {"ETag": f'"{request.number}"', "Last-Modified": ""}
        return Fault(headers=headers, cut_after=300_000 if request.number % 2 else 3_000_000)

    archive = make_archive(faults=changing)
    item = archive.add("dr17/large.fits", fits_bytes(9, 4_000_000))

    [result] = archive.fetch([item], jobs=1, retries=3)

    assert "given up after 4 tries" in str(result.error)
    assert len(archive.sas.requests) <= 12


def test_the_pieces_of_a_large_file_have_the_patience_that_its_progress_earned(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transfer makes no more requests than a short one."""
    archive = make_archive()
    item = archive.add("dr17/large.fits", fits_bytes(9, 40_000_000))
    [short] = archive.fetch([item], jobs=4)
    archive.sas.faults = lambda request: Fault(before=lambda: time.sleep(SLOW_TO_ANSWER), drip=(100_000, 0.03))

    [long] = archive.fetch([item], jobs=4, overwrite=True)

    assert long.status == "fetched", long.error
    assert long.seconds > 3.0
    assert long.attempts == short.attempts
    assert archive.right(item)


def test_a_server_that_never_gives_a_file_is_given_up_all_the_same(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(cut_after=1000))

    [result] = archive.fetch(archive.add("dr17/a.fits"), retries=1000)

    assert "given up after 3 s" in str(result.error)
