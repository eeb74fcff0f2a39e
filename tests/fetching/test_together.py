"""Processes that fetch the same, that are killed, stopped, or run out of disk."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astra_registry.fetching import Progress, Wanted, iter_fetch
from astra_registry.fetching.transports.http.hosts import Hosts
from astra_registry.fetching.verify import verify
from astra_registry.fetching.wanted import Seen
from astra_registry.testing.sas import Fault

from .conftest import MAY_MOUNT, Archive, beside, fits_bytes, told_where_files_end_at

# Under a shell that runs things in the background, a process begins with SIGINT ignored.
FETCH = """
import signal, sys, json
signal.signal(signal.SIGINT, signal.default_int_handler)
from astra_registry.fetching import Wanted, fetch
base, jobs, timeout, *pairs = sys.argv[1:]
items = [Wanted((url,), path) for url, path in zip(pairs[::2], pairs[1::2])]
report = fetch(items, jobs=int(jobs), timeout=float(timeout), remote_base=base, checksums="never")
print(json.dumps([[r.status, r.attempts, r.error] for r in report]))
"""


def start(archive: Archive, items: list[Wanted], jobs: int = 4, timeout: float = 5.0) -> subprocess.Popen[str]:
    pairs = [text for item in items for text in (item.urls[0], item.path)]
    return beside(FETCH, archive.sas.url, str(jobs), str(timeout), *pairs)


def wait_for(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.01)


def finish(process: subprocess.Popen[str]) -> list[tuple[str, int, str | None]]:
    import json

    out, _ = process.communicate(timeout=60)
    return [tuple(row) for row in json.loads(out)] if out else []


def test_two_processes_transfer_each_file_once(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(drip=(20_000, 0.01)))
    items = archive.add_some(12, size=100_000)

    runs = [start(archive, items), start(archive, items)]
    rows = [row for run in runs for row in finish(run)]

    assert {row[0] for row in rows} <= {"fetched", "present"}
    assert len(archive.sas.asked(".fits")) == 12
    assert all(map(archive.right, items))
    assert len(archive.here_now()) == 12


def test_two_threads_transfer_each_file_once(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(drip=(20_000, 0.01)))
    items = archive.add_some(12, size=100_000)
    threads = [threading.Thread(target=archive.fetch, args=(items,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(archive.sas.asked(".fits")) == 12
    assert all(map(archive.right, items))


def test_a_killed_holder_does_not_block(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(stall_after=1000) if request.number == 1 else None)
    item = archive.add("dr17/a.fits")
    holder = start(archive, [item])
    while not archive.sas.requests:
        time.sleep(0.01)
    time.sleep(0.1)
    holder.kill()
    holder.communicate()

    started = time.monotonic()
    assert archive.fetch([item])[0].status == "fetched"
    assert time.monotonic() - started < 20
    assert archive.here_now() == ["dr17/a.fits"]


def test_whoever_waited_for_a_killed_holder_goes_on_with_what_it_left(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the folder was looked at before the other process began in it."""
    stalls = Fault(stall_after=3_000_000, stall_seconds=60)
    archive = make_archive(faults=lambda request: stalls if len(archive.sas.asked("large.fits")) == 1 else None)
    first, large = archive.add("dr17/first.fits"), archive.add("dr17/large.fits", fits_bytes(9, 4_000_000))
    holders: list[subprocess.Popen[str]] = []
    waits = threading.Event()
    sleep = Hosts.sleep
    monkeypatch.setattr(Hosts, "sleep", lambda self, seconds: (waits.set(), sleep(self, seconds))[1])

    def wanted() -> Iterator[Wanted]:
        yield first
        wait_for(lambda: os.path.exists(first.path))
        holders.append(start(archive, [large], timeout=60))
        wait_for(lambda: any(part.stat().st_size > 2_500_000 for part in archive.here.rglob(".large*.astra-part")))
        yield large

    def kill() -> None:
        assert waits.wait(30)
        holders[0].kill()
        holders[0].wait()

    killing = threading.Thread(target=kill)
    killing.start()
    report = archive.fetch(wanted())
    killing.join()

    assert not report.failed
    assert sum(request.sent for request in archive.sas.asked("large.fits")) < 5_500_000
    assert archive.right(large)
    assert archive.here_now() == ["dr17/first.fits", "dr17/large.fits"]


def test_a_file_that_another_process_has_brought_anew_is_not_brought_again(
    make_archive: Callable[..., Archive],
) -> None:
    archive = make_archive(faults=lambda request: Fault(drip=(10_000, 0.03)))
    item = archive.add("dr17/a.fits", fits_bytes(1))
    archive.fetch([item]).raise_for_failures()
    archive.add("dr17/a.fits", fits_bytes(2, 320_000))
    os.truncate(item.path, 1000)
    other = start(archive, [item])
    while len(archive.sas.asked("a.fits")) < 2:
        time.sleep(0.01)

    [result] = archive.fetch([item])

    assert [row[0] for row in finish(other)] == ["fetched"]
    assert (result.status, len(archive.sas.asked("a.fits"))) == ("present", 2)
    assert archive.right(item)


HOLD = """
import sys, time
from astra_registry.fetching.disk.turns import Turns
turns = Turns(sys.argv[1])
print(turns.take_at_once(sys.argv[2], time.sleep), flush=True)
sys.stdin.read()
turns.close()
"""


@pytest.mark.parametrize("how", ["fetch", "verify"])
def test_what_is_to_be_brought_anew_is_so_also_after_another_process_that_brought_nothing(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    archive = make_archive(sha1sums=True)
    item = archive.add("dr17/a.fits", fits_bytes(1))
    os.makedirs(os.path.dirname(item.path))
    Path(item.path).write_bytes(fits_bytes(2))
    code = [sys.executable, "-c", HOLD, os.path.dirname(item.path), "a.fits"]
    with subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        sleep = Hosts.sleep
        monkeypatch.setattr(Hosts, "sleep", lambda self, seconds: (holder.stdin.close(), sleep(self, seconds))[1])

        if how == "fetch":
            [result] = archive.fetch([item], overwrite=True)
        else:
            where = {"remote_base": archive.sas.url, "sas_base_dir": archive.here}
            [result] = verify([item.path], remote=True, repair=True, **where)

    assert result.status == ("fetched" if how == "fetch" else "repaired")
    assert archive.right(item)


def test_kill_minus_nine_at_any_moment_leaves_nothing_wrong(make_archive: Callable[..., Archive]) -> None:
    """Fifty times: killed at a random moment; what bears a real name is right, and one run more ends the work."""
    dice = random.Random(20)
    archive = make_archive(faults=lambda request: Fault(drip=(30_000, 0.004)))
    items = [*archive.add_some(6, size=150_000), archive.add("dr17/large.fits", fits_bytes(9, 2_000_000))]
    size = sum(os.path.getsize(p) for p in archive.folder.rglob("*.fits"))
    # Python itself takes most of a run's time; without it fifty runs take as long as ten.
    for number in range(50):
        process = os.fork()
        if process == 0:
            with contextlib.suppress(BaseException):
                list(iter_fetch(items, jobs=4, timeout=5, remote_base=archive.sas.url, checksums="never"))
            os._exit(0)
        time.sleep(dice.uniform(0.0, 0.12))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        for item in items:
            if os.path.exists(item.path):
                assert archive.right(item), f"after kill {number}"
        if number % 10 == 9:
            for item in items:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(item.path)

    report = archive.fetch(items)

    assert not report.failed
    assert all(map(archive.right, items))
    assert len(archive.here_now()) == len(items), archive.here_now()
    assert size


def test_after_kill_minus_nine_little_is_carried_twice(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(stall_after=6_000_000))
    item = archive.add("dr17/large.fits", fits_bytes(9, 12_000_000))
    process = start(archive, [item], timeout=120.0)
    while archive.sas.sent < 6_000_000:
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    archive.sas.faults = None

    assert archive.fetch([item])[0].status == "fetched"
    assert archive.right(item)
    assert archive.sas.sent < 1.1 * os.path.getsize(item.path)


def test_after_kill_minus_nine_the_ranges_of_a_large_file_are_gone_on_with(
    make_archive: Callable[..., Archive],
) -> None:
    archive = make_archive(faults=lambda request: Fault(stall_after=4_000_000))
    item = archive.add("dr17/large.fits", fits_bytes(9, 60_000_000))
    process = start(archive, [item], jobs=8, timeout=120.0)
    while archive.sas.sent < 16_000_000:
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    archive.sas.faults = None

    assert archive.fetch([item])[0].status == "fetched"
    assert archive.right(item)
    assert archive.sas.sent < 1.2 * os.path.getsize(item.path)
    assert archive.here_now() == ["dr17/large.fits"]


def test_an_interrupt_ends_a_run_promptly(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(stall_after=1000))
    process = start(archive, archive.add_some(20), timeout=120.0)
    while len(archive.sas.requests) < 4:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=60)  # half of the silence after which a transfer would have been given up
    finally:
        process.kill()

    assert process.returncode != 0
    assert archive.here_now() == []


def test_whoever_stops_taking_results_ends_the_run(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(drip=(1000, 0.25)))
    items = archive.add_some(200, size=2000)
    results = iter_fetch(items, jobs=4, remote_base=archive.sas.url, checksums="never")

    next(results)
    before = threading.active_count()
    results.close()  # type: ignore[attr-defined]

    assert len(archive.sas.requests) < 100
    assert threading.active_count() < before


def test_it_works_under_a_running_event_loop_and_tells_its_progress(archive: Archive) -> None:
    items = archive.add_some(30)
    seen: list[Progress] = []
    results: list[object] = []

    async def notebook() -> None:
        report = archive.fetch(items, on_progress=seen.append, on_result=results.append)
        assert not report.failed

    asyncio.run(notebook())

    assert (seen[-1].done, seen[-1].total, seen[-1].fetched) == (30, 30, 30)
    assert seen[-1].bytes == sum(os.path.getsize(item.path) for item in items)
    assert len(results) == 30


# ---------------------------------------------------------------- the disk


def test_a_folder_that_cannot_be_made_is_one_line(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    archive.here.write_text("a file where a folder should be")

    [result] = archive.fetch([item])

    assert result.status == "failed"
    assert str(archive.here) in str(result.error)
    assert archive.sas.requests == []


def test_a_name_that_is_too_long_is_one_line(archive: Archive) -> None:
    items = [archive.wanted("dr17/" + "x" * 300 + ".fits"), archive.add("dr17/" + "y" * 245 + ".fits")]

    first, second = sorted(archive.fetch(items), key=lambda result: str(result.path))

    assert (first.status, second.status) == ("failed", "fetched")
    assert "too long" in str(first.error)


def test_a_folder_that_vanishes_meanwhile_is_made_again_or_reported(make_archive: Callable[..., Archive]) -> None:
    import shutil

    archive = make_archive(
        faults=lambda r: (
            Fault(before=lambda: shutil.rmtree(archive.here, ignore_errors=True)) if r.number == 1 else None
        )
    )
    item = archive.add("dr17/stars/a.fits")

    [result] = archive.fetch([item])
    again = archive.fetch([item])[0]

    assert result.status in ("failed", "fetched")
    assert again.status in ("fetched", "present")
    assert archive.right(item)


@pytest.mark.parametrize("the_file_is_here", [True, False])
def test_the_record_that_a_killed_run_left_without_its_part_goes(archive: Archive, the_file_is_here: bool) -> None:
    """The run was killed after it moved the part to its place; somebody may have removed the file since."""
    item = archive.add("dr17/large.fits", fits_bytes(1, 3_000_000))
    archive.sas.faults = lambda request: Fault(cut_after=2_000_000)
    archive.fetch([item], retries=0)
    archive.sas.faults = None
    part, _ = archive.here_now()
    os.remove(archive.here / part)
    if the_file_is_here:
        Path(item.path).write_bytes((archive.folder / "dr17/large.fits").read_bytes())

    assert not archive.fetch([item]).failed
    assert archive.here_now() == ["dr17/large.fits"]


def test_a_full_disk_is_one_line_and_leaves_nothing(archive: Archive) -> None:
    """But for what is large enough to go on with."""
    items = archive.add_some(3, size=400_000)

    assert {status for status, *_ in told_where_files_end_at(50_000, archive, items)} == {"failed"}
    assert archive.here_now() == []

    assert not archive.fetch(items).failed
    assert all(map(archive.right, items))


@pytest.mark.parametrize("size", [3_000_000, 60_000_000], ids=["in one piece", "in several ranges"])
def test_what_came_until_the_disk_was_full_need_not_come_again(archive: Archive, size: int) -> None:
    item = archive.add("dr17/large.fits", fits_bytes(1, size))

    [(status, *_)] = told_where_files_end_at(size * 3 // 4, archive, [item])
    assert status == "failed"
    assert not Path(item.path).exists()
    archive.sas.forget()
    assert not archive.fetch([item]).failed

    assert archive.sas.sent < size // 2
    assert archive.right(item)
    assert archive.here_now() == ["dr17/large.fits"]


def test_a_run_that_does_not_reach_the_server_keeps_what_an_earlier_one_brought(
    make_archive: Callable[..., Archive],
) -> None:
    """Once a host is given up, files are not even asked for."""
    archive = make_archive(faults=lambda request: Fault(cut_after=500_000))
    items = archive.add_some(40, size=600_000)
    archive.fetch(items, retries=0)
    brought = archive.here_now()
    archive.sas.close()

    report = archive.fetch(items, retries=0, jobs=1)

    assert any("not tried" in str(result.error) for result in report)
    assert len(archive.here_now()) == len(brought) == 80


if MAY_MOUNT:

    def test_a_small_disk_takes_what_fits(archive: Archive, tiny_disk: Path) -> None:
        items = [Wanted(item.urls, str(tiny_disk / f"{n}.fits")) for n, item in enumerate(archive.add_some(5, 300_000))]

        report = archive.fetch(items, jobs=2)

        assert {result.status for result in report} == {"fetched", "failed"}
        assert all("no room" in str(result.error) for result in report.failed)
        for path in tiny_disk.glob("[!.]*"):  # parts may stay, for the next try
            assert path.read_bytes() == fits_bytes(int(path.stem), 300_000)


# ---------------------------------------------------------------- many


def test_what_is_here_is_not_asked_for(archive: Archive) -> None:
    items = archive.add_some(2000, size=3000)
    archive.fetch(items)
    archive.sas.forget()

    report = archive.fetch(items)

    assert {(result.status, result.attempts) for result in report} == {("present", 0)}
    assert archive.sas.requests == []


def test_a_file_that_somebody_cut_here_is_brought_again(archive: Archive) -> None:
    items = archive.add_some(2)
    archive.fetch(items)
    with open(items[0].path, "r+b") as stream:
        stream.truncate(1000)

    report = archive.fetch(items)

    assert sorted(result.status for result in report) == ["fetched", "present"]
    assert all(map(archive.right, items))


def test_a_file_of_another_tool_is_walked_before_it_counts(archive: Archive) -> None:
    good, bad = archive.add_some(2)
    for item, length in ((good, None), (bad, 5000)):
        os.makedirs(os.path.dirname(item.path), exist_ok=True)
        Path(item.path).write_bytes((archive.folder / Path(item.path).relative_to(archive.here)).read_bytes()[:length])

    report = {result.path: result.status for result in archive.fetch([good, bad])}

    assert report == {good.path: "present", bad.path: "fetched"}
    assert archive.right(bad)


def test_of_many_paths_each_is_new_once() -> None:
    seen = Seen()
    paths = [f"/sas/dr17/star-{n}.fits" for n in range(20_000)]

    assert all(map(seen.add, paths))
    assert not any(map(seen.add, paths))


def test_doubles_are_one_line(archive: Archive) -> None:
    items = archive.add_some(3)

    assert len(archive.fetch(items * 4)) == 3


def test_memory_does_not_grow_with_the_list(archive: Archive) -> None:
    code = """
import sys
from astra_registry.fetching import Wanted, iter_fetch
def items():
    for n in range(200_000):
        yield Wanted(("file:///nowhere/x",) if n % 50 == 0 else (), f"{sys.argv[1]}/{n // 100}/{n}.fits")
count = sum(1 for _ in iter_fetch(items(), transport="file"))
with open("/proc/self/status") as status:  # the getrusage of a child begins with what its parent had
    print(count, *(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")))
"""
    out = subprocess.run(
        [sys.executable, "-c", code, str(archive.here)], capture_output=True, text=True, check=True
    ).stdout.split()

    assert int(out[0]) == 200_000
    assert int(out[1]) < 120  # MB


def test_after_a_run_every_name_is_on_the_disk(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut takes files away that were reported; one fsync a folder does, and not one a file."""
    synced: list[tuple[str, set[str]]] = []
    fsync = os.fsync

    def noting(file: int) -> None:
        fsync(file)
        path = os.readlink(f"/proc/self/fd/{file}")
        if os.path.isdir(path):
            synced.append((path, set(os.listdir(path))))

    monkeypatch.setattr(os, "fsync", noting)
    items = [*archive.add_some(30), archive.add("dr17/deep/er/a.fits")]
    archive.here.mkdir()

    assert not archive.fetch(items).failed
    last = dict(synced)
    for folder in ("", "dr17", "dr17/stars", "dr17/deep", "dr17/deep/er"):
        there = archive.here / folder
        assert last[str(there)] == set(os.listdir(there))
    assert len(synced) < 20


def test_the_servers_time_is_the_files_time(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    os.utime(archive.folder / "dr17/a.fits", (1e9, 1e9))

    archive.fetch([item])

    assert os.stat(item.path).st_mtime == 1e9


def test_a_rate_is_kept(archive: Archive) -> None:
    items = archive.add_some(4, size=100_000)
    started = time.monotonic()

    assert not archive.fetch(items, limit_rate=400_000).failed
    assert 0.7 < time.monotonic() - started < 30


def test_results_come_while_a_slow_list_is_still_being_made(archive: Archive) -> None:
    items = archive.add_some(8, size=3000)
    made = []

    def slowly() -> Iterator[Wanted]:
        for item in items:
            made.append(item)
            yield item
            time.sleep(0.15)

    first, *others = ((result, len(made)) for result in iter_fetch(slowly(), remote_base=archive.sas.url))

    assert {result.status for result, _ in (first, *others)} == {"fetched"}
    assert first[1] < len(items)


def test_nothing_that_a_run_made_waits_for_the_garbage_collector(make_archive: Callable[..., Archive]) -> None:
    """A file's end would else keep its whole batch: a million rows took a fifth more memory."""
    archive = make_archive(faults=lambda request: Fault(status=500) if "broken" in request.path else None)
    items = [*archive.add_some(5), archive.wanted("dr17/none.fits"), archive.add("dr17/broken.fits")]
    gc.disable()
    try:
        report = archive.fetch(iter(items), retries=1)
        assert Counter(result.status for result in report) == {"fetched": 5, "missing": 1, "failed": 1}
        items.clear()
        del report
        left = [thing for thing in gc.get_objects() if isinstance(thing, Wanted)]
        assert [wanted for wanted in left if wanted.path.startswith(str(archive.here))] == []
    finally:
        gc.enable()
