"""Whatever a server does: no file under its real name is wrong, and the next run ends with all of them right."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from astra_registry.errors import CorruptFile, FileMissing, TransferFailed, Unauthorized
from astra_registry.fetching import Wanted
from astra_registry.fetching.disk import leftovers
from astra_registry.testing.sas import Fault, Request

from .conftest import Archive, fits_bytes

FILE = "dr17/stars/apStar.fits"
SIZE = 300_000
WHOLE = fits_bytes(1, SIZE)


def first(fault: Fault, times: int = 1) -> Callable[[Request], Fault | None]:
    """The first request(s) for each file get the fault."""
    return lambda request: fault if request.number <= times and request.path.endswith((".fits", ".gz")) else None


MENDED = {
    "cut at the first byte": Fault(cut_after=0),
    "cut after a hundred bytes": Fault(cut_after=100),
    "cut in the middle": Fault(cut_after=SIZE // 2),
    "cut before the last byte": Fault(cut_after=len(WHOLE) - 1),
    "reset in the middle": Fault(reset_after=SIZE // 2),
    "reset at once": Fault(reset_after=0),
    "no answer": Fault(hang_up=True),
    "a stall": Fault(stall_after=SIZE // 3),
    "a longer length": Fault(promise=len(WHOLE) + 10),
    "a shorter length": Fault(promise=len(WHOLE) - 2880),
    "a shorter length by a little": Fault(promise=len(WHOLE) - 1),
    "surplus bytes": Fault(surplus=b"more"),
    "other bytes": Fault(other_bytes=True),
    "an HTML page with 200": Fault(
        body=b"<!DOCTYPE html><html>please log in</html>", headers={"Content-Type": "text/html"}
    ),
    "an error document with 200": Fault(body=b'{"error": "no"}'),
    "an empty body with 200": Fault(body=b""),
    "503": Fault(status=503),
    "503 with Retry-After": Fault(status=503, headers={"Retry-After": "1"}),
    "429": Fault(status=429),
    "408": Fault(status=408),
    "425": Fault(status=425),
    "500": Fault(status=500),
    "502": Fault(status=502),
    "504": Fault(status=504),
    "a length that is no number": Fault(headers={"Content-Length": "many"}),
}


@pytest.mark.parametrize("fault", MENDED.values(), ids=MENDED)
def test_a_fault_that_passes_is_mended_in_the_same_run(make_archive: Callable[..., Archive], fault: Fault) -> None:
    archive = make_archive(faults=first(fault))
    item = archive.add(FILE, WHOLE)

    [result] = archive.fetch([item], timeout=1.0 if fault.stall_after or fault.promise else 10.0)

    assert (result.status, result.error) == ("fetched", None)
    assert archive.right(item)
    assert result.attempts == len(archive.sas.asked(FILE)) >= 2
    assert archive.here_now() == [FILE]


@pytest.mark.parametrize("fault", MENDED.values(), ids=MENDED)
def test_a_fault_that_stays_is_a_failure_and_the_next_run_mends_it(
    make_archive: Callable[..., Archive], fault: Fault
) -> None:
    fault = attrs.evolve(fault, ignore_range=True)  # else going on from where it was cut brings it after all
    archive = make_archive(faults=lambda request: fault if request.path.endswith(".fits") else None)
    item = archive.add(FILE, WHOLE)
    report = archive.fetch([item], retries=1, timeout=0.3)

    assert report[0].status == "failed"
    assert "\n" not in str(report[0].error)
    assert not Path(item.path).exists()
    with pytest.raises((TransferFailed, CorruptFile)):
        report.raise_for_failures()

    archive.sas.faults = None
    assert archive.fetch([item])[0].status == "fetched"
    assert archive.right(item)
    assert archive.here_now() == [FILE]


HARMLESS = {
    "drips": Fault(drip=(30_000, 0.02)),
    "chunks": Fault(chunked=True),
    "compression on the fly": Fault(compress=True),
    "no length": Fault(no_length=True),
    "a connection that closes without a word": Fault(close_after=True),
}


@pytest.mark.parametrize("fault", HARMLESS.values(), ids=HARMLESS)
def test_what_is_only_odd_is_no_failure(make_archive: Callable[..., Archive], fault: Fault) -> None:
    archive = make_archive(faults=lambda request: fault)
    items = [archive.add(FILE, WHOLE), *archive.add_some(5)]

    assert [result.status for result in archive.fetch(items, jobs=2)] == ["fetched"] * 6
    assert all(map(archive.right, items))


def test_a_gzip_file_is_kept_as_it_is_whatever_the_server_calls_it(make_archive: Callable[..., Archive]) -> None:
    """Apache calls a .gz file an encoding of its content; a proxy may compress it once more."""
    import gzip

    packed = gzip.compress(WHOLE)
    for fault in (Fault(headers={"Content-Encoding": "gzip"}), Fault(compress=True), None):
        archive = make_archive(faults=lambda request, fault=fault: fault)
        item = archive.add("dr17/x.fits.gz", packed)
        assert archive.fetch([item], overwrite=True)[0].status == "fetched"
        assert Path(item.path).read_bytes() == packed


def test_a_cut_gzip_file_is_found_by_its_trailer(archive: Archive) -> None:
    import gzip

    item = archive.add("dr17/x.fits.gz", gzip.compress(WHOLE)[:-4])

    [result] = archive.fetch([item], retries=1)

    assert result.status == "failed"
    assert "compressed stream" in str(result.error)
    assert archive.here_now() == []


def test_a_file_that_is_cut_on_the_server_is_not_taken(archive: Archive) -> None:
    item = archive.add(FILE, WHOLE[:-4000])

    [result] = archive.fetch([item], retries=1)

    assert result.status == "failed"
    assert "cut" in str(result.error) or "HDU" in str(result.error)
    assert archive.here_now() == []


@pytest.mark.parametrize("status", [404, 410])
def test_what_the_server_has_not_is_missing_after_one_request(
    make_archive: Callable[..., Archive], status: int
) -> None:
    archive = make_archive(faults=lambda r: Fault(status=status) if r.path.endswith("none.fits") else None)
    archive.add("dr17/stars/nine.fits")

    report = archive.fetch([archive.wanted("dr17/stars/none.fits")])

    assert (report[0].status, report[0].attempts) == ("missing", 1)
    assert len(archive.sas.asked("none.fits")) == 1
    assert "nine.fits" in str(report[0].error)
    assert not archive.here.exists()
    with pytest.raises(FileMissing):
        report.raise_for_failures()


def test_the_other_compression_is_named_when_the_server_has_that(archive: Archive) -> None:
    archive.add("dr17/stars/a.fits.gz", b"\x1f\x8b")

    [result] = archive.fetch([archive.wanted("dr17/stars/a.fits")])

    assert "it has a.fits.gz" in str(result.error)


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_its_folder_lists_and_its_server_has_not_is_told_as_that(
    make_archive: Callable[..., Archive], status: int
) -> None:
    archive = make_archive(faults=lambda request: Fault(status=status) if request.path.endswith(FILE) else None)
    archive.add(f"{FILE}.gz")

    (result,) = archive.fetch(archive.add(FILE))

    assert result.status == "missing"
    assert str(result.error).endswith(f"{FILE}, although its folder lists it")


@pytest.mark.parametrize(("status", "is_told"), [(404, True), (403, False), (503, False)])
def test_that_a_folder_is_missing_too_is_said_only_when_the_server_says_so(
    make_archive: Callable[..., Archive], status: int, is_told: bool
) -> None:
    archive = make_archive(faults=lambda request: Fault(status=status) if request.path.endswith("/") else None)
    archive.add(f"{FILE}.gz")

    (result,) = archive.fetch(archive.wanted(FILE), retries=0)

    assert (result.status, "nor its folder" in str(result.error)) == ("missing", is_told)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_final(make_archive: Callable[..., Archive], status: int) -> None:
    archive = make_archive(faults=lambda request: Fault(status=status))

    report = archive.fetch([archive.wanted("sdsswork/a.fits")])

    assert (report[0].status, report[0].attempts) == ("unauthorized", 1)
    with pytest.raises(Unauthorized):
        report.raise_for_failures()


def test_a_second_location_is_tried_when_the_first_is_missing(archive: Archive) -> None:
    there = archive.add("dr17/full/a.fits", WHOLE)
    item = archive.wanted("dr17/lite/a.fits")
    item = type(item)((*item.urls, *there.urls), item.path)

    [result] = archive.fetch([item])

    assert (result.status, result.url, result.path) == ("fetched", there.urls[0], item.path)
    assert Path(item.path).read_bytes() == WHOLE


def test_a_retry_after_that_is_too_long_fails_at_once_and_names_the_time(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(status=503, headers={"Retry-After": "121"}))
    item = archive.add(FILE)
    started = time.monotonic()

    [result] = archive.fetch([item])

    assert time.monotonic() - started < 30
    assert (result.status, result.attempts) == ("failed", 1)
    assert time.strftime("%Y-%m-%d", time.gmtime()) in str(result.error)


def test_retry_after_is_honoured(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=first(Fault(status=429, headers={"Retry-After": "1"})))
    item = archive.add(FILE)
    started = time.monotonic()

    assert archive.fetch([item])[0].status == "fetched"
    assert 1 <= time.monotonic() - started < 20


# ---------------------------------------------------------------- resume


def test_a_cut_file_is_resumed_with_if_range(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=first(Fault(cut_after=SIZE // 2)))
    item = archive.add(FILE, WHOLE)

    archive.fetch([item])

    again = archive.sas.requests[1]
    assert again.headers["range"].startswith("bytes=")
    assert again.headers["if-range"].startswith('"')
    assert archive.sas.sent < 1.1 * len(WHOLE)
    assert archive.right(item)


def test_the_next_run_goes_on_where_this_one_ended(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=first(Fault(cut_after=SIZE // 2)))
    item = archive.add(FILE, WHOLE)

    assert archive.fetch([item], retries=0)[0].status == "failed"
    assert not Path(item.path).exists()
    assert archive.fetch([item])[0].status == "fetched"

    assert archive.sas.sent < 1.1 * len(WHOLE)
    assert archive.right(item)
    assert archive.here_now() == [FILE]


def test_after_a_power_cut_only_what_the_disk_was_sure_to_have_is_kept(make_archive: Callable[..., Archive]) -> None:
    """And all that a run brought afterwards, though it was killed before it made sure of more."""
    archive = make_archive(faults=first(Fault(cut_after=SIZE // 2)))
    item = archive.add(FILE, WHOLE)
    archive.fetch([item], retries=0)
    left, record = sorted(archive.here / name for name in archive.here_now())
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot": "another", "safe": [[0, 100_000]]}))
    left.write_bytes(WHOLE[:100_000] + bytes(left.stat().st_size - 100_000))

    for end in (100_000, 130_000):
        part = leftovers.adopt(item.path, [str(left)])
        assert part is not None
        origins = part.origins()
        assert origins is not None
        assert origins.have == [[0, end]]
        part.record(origins)
        part.write(WHOLE[end : end + 30_000], end)
        part.close()
        left = Path(part.path)

    assert archive.fetch([item])[0].status == "fetched"
    assert archive.right(item)


UNTRUSTWORTHY = {
    "another range": Fault(content_range="bytes 0-9/300000"),
    "no range at all": Fault(content_range="pieces"),
    "another total": Fault(content_range=f"bytes {SIZE // 2 - 4096}-{len(WHOLE) - 1}/999999"),
    "other bytes": Fault(other_bytes=True),
    "the whole file": Fault(ignore_range=True),
    "another validator": Fault(headers={"ETag": '"another"'}),
    "416": Fault(status=416),
}


@pytest.mark.parametrize("fault", UNTRUSTWORTHY.values(), ids=UNTRUSTWORTHY)
def test_a_range_that_does_not_fit_means_start_again(make_archive: Callable[..., Archive], fault: Fault) -> None:
    def faults(request: Request) -> Fault | None:
        return Fault(cut_after=SIZE // 2) if request.number == 1 else fault if "range" in request.headers else None

    archive = make_archive(faults=faults)
    item = archive.add(FILE, WHOLE)

    assert archive.fetch([item])[0].status == "fetched"
    assert archive.right(item)


def test_a_file_that_changed_between_two_runs_is_fetched_anew(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=first(Fault(cut_after=SIZE // 2)))
    item = archive.add(FILE, WHOLE)
    archive.fetch([item], retries=0)
    archive.add(FILE, fits_bytes(2, SIZE))

    assert archive.fetch([item])[0].status == "fetched"
    assert Path(item.path).read_bytes() == fits_bytes(2, SIZE)


def test_somebody_elses_part_file_is_left_alone(archive: Archive) -> None:
    item = archive.add(FILE, WHOLE)
    other = Path(item.path).with_name("apStar.fits.part")
    other.parent.mkdir(parents=True)
    other.write_bytes(b"not ours")

    archive.fetch([item])

    assert archive.right(item)
    assert other.read_bytes() == b"not ours"


# ---------------------------------------------------------------- large files

LARGE = fits_bytes(3, 40_000_000)


def test_a_large_file_comes_in_several_ranges(archive: Archive) -> None:
    item = archive.add(FILE, LARGE)

    [result] = archive.fetch([item], timeout=10)

    assert result.status == "fetched"
    assert archive.right(item)
    assert sum("range" in request.headers for request in archive.sas.requests) >= 2
    assert result.attempts == len(archive.sas.requests)


BETWEEN_RANGES = {
    "a range is cut": Fault(cut_after=1_000_000),
    "a range is of something else": Fault(other_bytes=True),
    "ranges are ignored": Fault(ignore_range=True),
    "a range has another validator": Fault(headers={"ETag": '"another"'}),
    "a range is refused": Fault(status=503),
    "a range stalls": Fault(stall_after=1_000_000),
}


@pytest.mark.parametrize("fault", BETWEEN_RANGES.values(), ids=BETWEEN_RANGES)
def test_a_large_file_is_right_although(make_archive: Callable[..., Archive], fault: Fault) -> None:
    ranges = []

    def faults(request: Request) -> Fault | None:
        if "range" not in request.headers:
            return None
        ranges.append(request)
        return fault if len(ranges) == 2 else None

    archive = make_archive(faults=faults)
    item = archive.add(FILE, LARGE)

    assert archive.fetch([item], timeout=1.0 if fault.stall_after else 10.0)[0].status == "fetched"
    assert archive.right(item)


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_a_server_that_gives_a_file_to_one_connection_at_a_time_gives_it(
    make_archive: Callable[..., Archive], status: int
) -> None:
    """Who asks beside the first is refused: that says nothing of the file, and costs it no try."""
    served = threading.Lock()
    refused = []

    def one_at_a_time(request: Request) -> Fault | None:
        if "range" in request.headers and archive.sas.requests[0].sent < 3_000_000:
            refused.append(request)
            return Fault(status=status)
        return Fault(drip=(200_000, 0.02)) if served.acquire(blocking=False) else None

    archive = make_archive(faults=one_at_a_time)
    item = archive.add(FILE, LARGE)

    [result] = archive.fetch([item], retries=0)

    assert result.status == "fetched", result.error
    assert refused
    assert archive.right(item)


def test_a_large_file_that_changes_between_two_ranges_is_one_or_the_other(make_archive: Callable[..., Archive]) -> None:
    other = fits_bytes(4, 40_000_000)

    def change() -> None:
        new = archive.folder / "new"
        new.write_bytes(other)
        os.replace(new, archive.folder / FILE)

    archive = make_archive(faults=lambda r: Fault(before=change) if r.number == 2 else None)
    item = archive.add(FILE, LARGE)

    assert archive.fetch([item])[0].status == "fetched"
    assert Path(item.path).read_bytes() == other


# ---------------------------------------------------------------- redirects


def test_a_redirect_is_followed(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(
        faults=lambda r: Fault(status=302, headers={"Location": "/sas/dr17/real.fits"}) if "old" in r.path else None
    )
    archive.add("dr17/real.fits", WHOLE)
    item = archive.wanted("dr17/old.fits")

    [result] = archive.fetch([item])

    assert (result.status, result.attempts) == ("fetched", 2)
    assert Path(item.path).read_bytes() == WHOLE


@pytest.mark.parametrize("to", ["/sas/dr17/old.fits", "file:///etc/passwd", "ftp://example.org/a.fits", "gopher:x"])
def test_a_loop_and_other_schemes_are_refused_at_once(make_archive: Callable[..., Archive], to: str) -> None:
    archive = make_archive(faults=lambda request: Fault(status=302, headers={"Location": to}))

    [result] = archive.fetch([archive.wanted("dr17/old.fits")])

    assert result.status == "failed"
    assert "redirects" in str(result.error)
    assert result.attempts <= 2


# ---------------------------------------------------------------- hosts


def test_kept_connections_that_the_server_closes_are_no_failure(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(
        faults=lambda request: Fault(hang_up=request.number == 1) if "0003" in request.path else None
    )
    items = archive.add_some(8)

    report = archive.fetch(items, jobs=1)

    assert not report.failed
    assert all(map(archive.right, items))


def test_there_are_never_more_connections_than_jobs(archive: Archive) -> None:
    items = [archive.add("dr17/large.fits", LARGE), *archive.add_some(60)]

    assert not archive.fetch(items, jobs=4, timeout=10).failed
    assert archive.sas.most_at_once <= 4


def test_a_server_that_is_not_there_is_one_line_an_item(archive: Archive) -> None:
    item = archive.add(FILE)
    archive.sas.close()
    started = time.monotonic()

    [result] = archive.fetch([item])

    assert result.status == "failed"
    assert "cannot connect" in str(result.error)
    assert time.monotonic() - started < 30


def test_a_host_that_is_down_is_left_alone_after_some_files(archive: Archive) -> None:
    items = archive.add_some(400, size=3000)
    archive.sas.close()

    report = archive.fetch(items, jobs=8, retries=1)

    assert {result.status for result in report} == {"failed"}
    assert sum("not tried" in str(result.error) for result in report) > 300


WAYS = ["é.fits", "%C3%A9.fits", "./../dr17/é.fits?download=1", "//HOST/sas/dr17/é.fits"]


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_may_be_relative_and_have_letters_of_any_alphabet(
    make_archive: Callable[..., Archive], way: str
) -> None:
    archive = make_archive()
    there = archive.add("dr17/é.fits")
    here = Wanted((archive.sas.url_of("dr17/e.fits"),), there.path)
    location = way.replace("HOST", f"127.0.0.1:{archive.sas.port}").encode().decode("latin-1")
    archive.sas.faults = lambda request: (
        Fault(status=302, headers={"Location": location}) if "/e." in request.path else None
    )

    [result] = archive.fetch([here])

    assert result.status == "fetched", result.error
    assert archive.right(there)


def test_a_mirror_serves_when_the_first_server_is_down(make_archive: Callable[..., Archive]) -> None:
    archive, mirror = make_archive(), make_archive()
    items = archive.add_some(20)
    for location in archive.folder.rglob("*.fits"):
        copy = mirror.folder / location.relative_to(archive.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(location.read_bytes())
    archive.sas.close()

    report = archive.fetch(items, mirrors=(mirror.sas.url,))

    assert not report.failed
    assert all(map(archive.right, items))
    assert all(str(result.url).startswith(mirror.sas.url) for result in report)


def test_what_two_servers_have_wrong_is_asked_for_twice_at_one_of_them(make_archive: Callable[..., Archive]) -> None:
    """Each has another wrong file, in turn."""
    archive, mirror = make_archive(), make_archive()
    item = archive.add("dr17/a.fits", fits_bytes(1)[:-5000])
    mirror.add("dr17/a.fits", fits_bytes(2)[:-5000])

    [result] = archive.fetch([item], mirrors=(mirror.sas.url,))

    assert result.status == "failed"
    assert (len(archive.sas.asked("a.fits")), len(mirror.sas.asked("a.fits"))) == (2, 1)


def test_a_mirror_that_has_what_the_first_server_has_wrong_is_not_the_last_one_asked(
    make_archive: Callable[..., Archive],
) -> None:
    first, alike, right = make_archive(), make_archive(), make_archive()
    item = first.add("dr17/a.fits", fits_bytes(1)[:-5000])
    alike.add("dr17/a.fits", fits_bytes(1)[:-5000])
    right.add("dr17/a.fits", fits_bytes(1))

    [result] = first.fetch([item], mirrors=(alike.sas.url, right.sas.url))

    assert result.status == "fetched", result.error
    assert right.right(item)


REFUSALS = [
    Fault(status=403),
    Fault(status=401),
    Fault(status=400),
    Fault(status=302, headers={"Location": "file:///etc/passwd"}),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["403", "401", "400", "a redirect to a file"])
def test_a_mirror_that_refuses_does_not_keep_a_file_from_the_next(
    make_archive: Callable[..., Archive], refusal: Fault
) -> None:
    archive, refusing, mirror = make_archive(), make_archive(faults=lambda request: refusal), make_archive()
    item = archive.add("dr17/a.fits")
    mirror.add("dr17/a.fits")
    archive.sas.close()

    [result] = archive.fetch([item], mirrors=(refusing.sas.url, mirror.sas.url))

    assert result.status == "fetched", result.error
    assert str(result.url).startswith(mirror.sas.url)


# ---------------------------------------------------------------- soak


def test_a_server_that_fails_one_request_in_ten_is_no_obstacle(make_archive: Callable[..., Archive]) -> None:
    kinds = [Fault(status=503), Fault(cut_after=1000), Fault(reset_after=10), Fault(hang_up=True), Fault(status=500)]
    count = iter(range(10**9))

    def faults(request: Request) -> Fault | None:
        number = next(count)
        return kinds[number // 10 % len(kinds)] if number % 10 == 9 else None

    archive = make_archive(faults=faults)
    items = archive.add_some(2000, size=3000)

    report = archive.fetch(items, jobs=8, timeout=5)

    assert [result.error for result in report.failed] == []
    assert all(map(archive.right, items))
    assert sum(result.attempts for result in report) == len(archive.sas.requests) > 2000
    assert len(archive.here_now()) == 2000
