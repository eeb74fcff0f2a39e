"""A file that comes in ranges: what servers do with these, and what becomes of it when tries end in between."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astra_registry.fetching import FetchResult, Wanted, iter_fetch
from astra_registry.fetching.transports.http.pieces import Pieces
from astra_registry.testing.sas import Fault, Request

from .conftest import Archive, beside, fits_bytes

FILE = "dr17/large.fits"
LARGE = fits_bytes(3, 40_000_000)


def first_byte(request: Request) -> int | None:
    """Return where the range that is asked for begins; None for the whole file."""
    asked = request.headers.get("range", "").removeprefix("bytes=")
    return int(asked.partition("-")[0]) if asked else None


def one_wrong_range(then: Fault | None) -> Callable[[Request], Fault | None]:
    """One range far from the beginning has other bytes; the first answer, for the whole file, ends as ``then``."""
    wrong: list[Request] = []
    lock = threading.Lock()

    def faults(request: Request) -> Fault | None:
        first = first_byte(request)
        if first is None:
            return then if request.number == 1 else None
        with lock:
            if first > 7_000_000 and not wrong:
                wrong.append(request)
                return Fault(other_bytes=True)
        return None

    return faults


def test_one_wrong_range_is_found_also_when_another_one_is_cut(make_archive: Callable[..., Archive]) -> None:
    """What is recorded for the next try fits together."""
    archive = make_archive(faults=one_wrong_range(Fault(drip=(100_000, 0.02), cut_after=3_000_000)))
    item = archive.add(FILE, LARGE)

    [result] = archive.fetch([item])

    assert result.status == "fetched", result.error
    assert archive.right(item)


def test_one_wrong_range_is_found_also_by_the_next_run_after_kill_9(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=one_wrong_range(Fault(drip=(10_000, 0.1))))
    item = archive.add(FILE, LARGE)
    fetching = f"""
from astra_registry.fetching import Wanted, fetch
fetch([Wanted({item.urls!r}, {item.path!r})], remote_base={archive.sas.url!r}, checksums="never")
"""
    with beside(fetching) as process:
        until = time.monotonic() + 60
        while archive.sas.sent < 34_000_000 and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()

    [result] = archive.fetch([item])

    assert result.status == "fetched", result.error
    assert archive.right(item)


@pytest.mark.parametrize("missing", [4096, 3000], ids=["before the seam", "in the seam"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "cut"])
def test_a_wrong_range_is_found_also_when_the_one_before_it_is_cut_where_they_meet(
    make_archive: Callable[..., Archive], missing: int, reset: bool
) -> None:
    """The last bytes of a range count as here when it is known what follows them. Nothing follows the last range."""
    data = LARGE[:-2880]  # without the last HDU, whose header shows what is wrong
    *_, (before, _), (last, _) = iter(Pieces(0, len(data), 4).take, None)
    met: dict[int | None, Fault] = {}

    def faults(request: Request) -> Fault | None:
        first = first_byte(request)
        if first in met or first not in (None, before, last):
            return None
        if first is None:
            met[first] = Fault(drip=(200_000, 0.02))
        elif first == last:
            met[first] = Fault(other_bytes=True)
        else:
            length = int(request.headers["range"].partition("-")[2]) + 1 - first
            met[first] = Fault(reset_after=length - missing) if reset else Fault(cut_after=length - missing)
        return met[first]

    archive = make_archive(faults=faults)
    item = archive.add(FILE, data)

    [result] = archive.fetch([item])

    assert set(met) == {None, before, last}
    assert result.status == "fetched", result.error
    assert archive.right(item)


def test_a_server_that_is_busy_for_a_while_costs_nothing_of_what_came(make_archive: Callable[..., Archive]) -> None:
    def faults(request: Request) -> Fault | None:
        if request.number == 1:
            return Fault(cut_after=30_000_000)
        return Fault(status=503) if request.number < 6 else None

    archive = make_archive(faults=faults)
    item = archive.add(FILE, LARGE)

    [result] = archive.fetch([item], jobs=1)

    assert result.status == "fetched", result.error
    assert archive.right(item)
    assert archive.sas.sent < 1.05 * len(LARGE)


@pytest.mark.parametrize("status", [400, 403, 405, 503])
def test_a_server_that_gives_no_ranges_of_what_was_cut_gives_the_whole_file(
    make_archive: Callable[..., Archive], status: int
) -> None:
    """In the same run, and in the next one."""

    def faults(request: Request) -> Fault | None:
        if first_byte(request) is not None:
            return Fault(status=status)
        return Fault(cut_after=5_000_000) if request.number == 1 else None

    archive = make_archive(faults=faults)
    items = [archive.add(FILE, LARGE), archive.add("dr17/later.fits", LARGE)]

    [result] = archive.fetch(items[:1])
    [cut] = archive.fetch(items[1:], retries=0)
    [later] = archive.fetch(items[1:])

    assert result.status == "fetched", result.error
    assert cut.status == "failed"
    assert later.status == "fetched", later.error
    assert all(map(archive.right, items))


def test_a_refusal_of_what_the_server_had_begun_to_give_is_not_the_last_word(
    make_archive: Callable[..., Archive],
) -> None:
    """Some count a connection that was cut for a while, and give no other one meanwhile."""

    def faults(request: Request) -> Fault | None:
        if request.number == 1:
            return Fault(cut_after=100_000)
        return Fault(status=403) if request.number < 5 else None

    archive = make_archive(faults=faults)
    item = archive.add("dr17/a.fits")

    [result] = archive.fetch([item])

    assert (result.status, result.attempts) == ("fetched", 5), result.error
    assert archive.right(item)


def test_a_file_that_changes_once_under_its_ranges_still_comes_in_ranges(make_archive: Callable[..., Archive]) -> None:
    """Every connection is cut after a while, so that without them it would never come."""
    other = fits_bytes(4, 40_000_000)
    ranges: list[Request] = []

    def change() -> None:
        new = archive.folder / "new"
        new.write_bytes(other)
        os.replace(new, archive.folder / FILE)

    def faults(request: Request) -> Fault:
        if first_byte(request) is not None:
            ranges.append(request)
        return Fault(cut_after=6_000_000, before=change if len(ranges) == 2 and request is ranges[-1] else None)

    archive = make_archive(faults=faults)
    item = archive.add(FILE, LARGE)

    [result] = archive.fetch([item], jobs=4)

    assert result.status == "fetched", result.error
    assert Path(item.path).read_bytes() == other


def test_who_helps_with_a_large_file_keeps_no_place_from_others(make_archive: Callable[..., Archive]) -> None:
    """Two connections: one serves a slow file, and over the other one all the rest comes meanwhile."""
    the_rest_is_here = threading.Event()
    helps = threading.Event()

    def faults(request: Request) -> Fault | None:
        if "slow" in request.path:
            return Fault(before=lambda: the_rest_is_here.wait(60))
        if first_byte(request) is not None and not helps.is_set():
            helps.set()
            return Fault(drip=(100_000, 0.01))
        if "large" in request.path and request.number == 1:
            return Fault(drip=(100_000, 0.015), cut_after=9_000_000)
        return None

    archive = make_archive(faults=faults)
    items = [archive.add(FILE, LARGE), archive.add("dr17/slow.fits"), *archive.add_some(6)]
    order: list[FetchResult] = []

    def given() -> Iterator[Wanted]:
        yield items[0]
        helps.wait(60)
        yield from items[1:]

    for result in iter_fetch(given(), jobs=2, remote_base=archive.sas.url, checksums="never", timeout=90.0):
        order.append(result)
        if len(order) == len(items) - 1:
            the_rest_is_here.set()

    assert [result.status for result in order] == ["fetched"] * len(items), order
    assert str(order[-1].path) == items[1].path
    assert all(map(archive.right, items))


def test_a_machine_that_gives_no_more_threads_fetches_with_those_that_it_gave(
    make_archive: Callable[..., Archive],
) -> None:
    archive = make_archive()
    items = [archive.add("dr17/first.fits"), archive.add(FILE, LARGE), *archive.add_some(5)]
    fetching = f"""
import threading, time
from pathlib import Path
from astra_registry.fetching import Wanted, iter_fetch

def items():
    for number, (urls, path) in enumerate({[(item.urls, item.path) for item in items]!r}):
        yield Wanted(urls, path)
        while number == 0 and not Path(path).exists():
            time.sleep(0.01)
        threading.stack_size(1 << 47)  # more than there is room for: no thread can start

for result in iter_fetch(items(), remote_base={archive.sas.url!r}, checksums="never"):
    print(result.status)
print(threading.active_count())
"""
    with beside(fetching) as process:
        told = process.communicate(timeout=100)[0].split()

    assert told == ["fetched"] * len(items) + ["1"]
    assert all(map(archive.right, items))


def sealed(text: bytes) -> int:
    """Return a file, by its number, that keeps what it has: whoever would write to it gets an error."""
    file = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.write(file, text)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def test_no_hole_counts_as_brought_where_the_disk_did_not_take_that_there_would_be_some(
    make_archive: Callable[..., Archive],
) -> None:
    """Some file systems need room to write to a file anew; what the record said before stays then."""
    kept: dict[Path, tuple[bytes, int]] = {}

    def takes_no_record(request: Request) -> None:
        for record in archive.here.rglob("*.astra-part-record"):
            text = record.read_bytes()
            kept[record] = text, sealed(text)
            record.unlink()
            record.symlink_to(f"/proc/self/fd/{kept[record][1]}")

    def faults(request: Request) -> Fault | None:
        if run == 1:
            return Fault(cut_after=3_000_000)
        if run == 2:
            first = not kept and first_byte(request) is not None
            return Fault(before=lambda: takes_no_record(request) if first else None, cut_after=2_000_000)
        return None

    archive = make_archive(faults=faults)
    item = archive.add(FILE, LARGE)
    for run in (1, 2):  # the server looks at it
        assert archive.fetch([item], jobs=4 if run == 2 else 1, retries=0).failed
    for record, (text, file) in kept.items():
        os.close(file)
        record.unlink(missing_ok=True)
        record.write_bytes(text)
    run = 3

    [result] = archive.fetch([item])

    assert len(kept) == 1
    assert result.status == "fetched", result.error
    assert archive.right(item)
