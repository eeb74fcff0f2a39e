"""Verifying what is here, locking what was fetched, planning, exporting."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pandas
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from astra_registry import registry
from astra_registry.errors import BadTable, BadValue
from astra_registry.fetching import Wanted
from astra_registry.fetching.export import export
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.kept import Kept
from astra_registry.fetching.locked import LockedFile, read_lock, write_lock
from astra_registry.fetching.options import Options
from astra_registry.fetching.plan import Plan, plan
from astra_registry.fetching.report import FetchReport, FetchResult, Member
from astra_registry.fetching.verify import verify
from astra_registry.tables import read_columns, write_table
from astra_registry.testing.sas import Fault, Request

from .conftest import Archive, fits_bytes


def look(archive: Archive, **options: object) -> dict[str, str]:
    options = {"remote_base": archive.sas.url, "timeout": 10, **options}
    findings = verify([archive.here], sas_base_dir=archive.here, **options)
    return {os.path.basename(finding.path): finding.status for finding in findings}


def damage(item: Wanted, at: int = 5000) -> None:
    """Change one byte, and nothing that a directory shows."""
    status = os.stat(item.path)
    with open(item.path, "r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(item.path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_whole_files_are_found_whole_and_damaged_ones_bad(archive: Archive) -> None:
    items = archive.add_some(4)
    archive.fetch(items)
    os.truncate(items[1].path, 10_000)
    damage(items[2])

    assert look(archive) == {
        "star-0000.fits": "whole",
        "star-0001.fits": "bad",
        "star-0002.fits": "bad",
        "star-0003.fits": "whole",
    }


def test_what_the_exported_script_of_rsync_has_in_hand_is_no_file_of_the_archive(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    cut = Path(item.path).parent / ".rsync-partial/b.fits"
    cut.parent.mkdir()
    cut.write_bytes(fits_bytes()[:5000])

    assert look(archive) == {"a.fits": "whole"}


def test_check_sums_within_a_file_are_compared(archive: Archive, tmp_path: Path) -> None:
    archive.here.mkdir()
    file = archive.here / "sums.fits"
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.arange(5000, dtype="f4"))])
    hdus.writeto(file, checksum=True)
    [finding] = verify([file])
    assert (finding.status, "CHECKSUM" in finding.checks) == ("whole", True)

    damage(Wanted((), str(file)), at=9000)
    [finding] = verify([file])
    assert (finding.status, "DATASUM" in str(finding.problem)) == ("bad", True)


def test_check_sums_are_compared_within_packed_files(archive: Archive) -> None:
    archive.here.mkdir(parents=True)
    file = archive.here / "sums.fits"
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.arange(5000, dtype="f4")), fits.ImageHDU(np.arange(9))])
    hdus.writeto(file, checksum=True)
    data = file.read_bytes()
    file.unlink()
    (archive.here / "whole.fits.gz").write_bytes(gzip.compress(data))
    (archive.here / "cut.fits.gz").write_bytes(gzip.compress(data[:-2881]))
    (archive.here / "bad.fits.bz2").write_bytes(bz2.compress(data[:9000] + b"x" + data[9001:]))

    bad, cut, good = verify([archive.here])

    assert (good.status, "CHECKSUM" in good.checks) == ("whole", True)
    assert (bad.status, "DATASUM" in str(bad.problem)) == ("bad", True)
    assert (cut.status, "it is cut" in str(cut.problem)) == ("bad", True)


def test_a_header_that_does_not_end_is_not_read_to_the_end_of_the_file(archive: Archive, tmp_path: Path) -> None:
    file = tmp_path / "endless.fits"
    file.write_bytes((b"SIMPLE  =                    T".ljust(80) + b"COMMENT".ljust(80) * 35) * 6000)

    [finding] = verify([file])

    assert (finding.status, finding.problem) == ("bad", "the header of HDU 0 has no END in its first 180000 cards")


def test_the_server_is_asked_when_wanted(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(sha1sums=True)
    items = archive.add_some(4)
    for item in items:  # brought by another tool: nothing is recorded
        os.makedirs(os.path.dirname(item.path), exist_ok=True)
        Path(item.path).write_bytes((archive.folder / Path(item.path).relative_to(archive.here)).read_bytes())
    damage(items[0])
    os.remove(archive.folder / "dr17/stars/star-0001.fits")

    assert set(look(archive).values()) == {"whole"}
    assert look(archive, remote=True) == {
        "star-0000.fits": "bad",
        "star-0001.fits": "unknown",
        "star-0002.fits": "whole",
        "star-0003.fits": "whole",
    }


def test_what_is_known_of_a_fetched_file_outlives_its_check(archive: Archive) -> None:
    """A file that the server has changed since then is told by its ETag alone, and at its further location."""
    item = archive.add("dr17/a.fits")
    archive.fetch([Wanted((archive.sas.url_of("dr17/none.fits"), *item.urls), item.path)])
    assert look(archive) == {"a.fits": "whole"}
    changed = bytearray((archive.folder / "dr17/a.fits").read_bytes())
    changed[5000] ^= 1
    archive.add("dr17/a.fits", bytes(changed))

    [finding] = verify([item.path], remote=True, sas_base_dir=archive.here, remote_base=archive.sas.url, timeout=10)

    assert (finding.status, finding.url) == ("bad", item.urls[0])
    assert "has changed since it was fetched" in str(finding.problem)


def test_a_file_whose_sha1_the_server_lists_is_whole_whatever_was_remembered(
    make_archive: Callable[..., Archive],
) -> None:
    """The survey has replaced its file, and another tool has brought the new one."""
    archive = make_archive(sha1sums=True)
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    archive.add("dr17/a.fits", (archive.folder / "dr17/a.fits").read_bytes().replace(b"SEED", b"SAAT"))
    assert look(archive, remote=True) == {"a.fits": "bad"}
    shutil.copy(archive.folder / "dr17/a.fits", item.path)

    assert look(archive) == {"a.fits": "bad"}  # by what is remembered alone
    assert look(archive, remote=True) == {"a.fits": "whole"}
    assert look(archive) == {"a.fits": "whole"}  # and that is remembered


def test_a_listing_that_may_be_older_than_the_file_is_not_believed(archive: Archive) -> None:
    """The survey has replaced its file by one of the same size, and forgotten its listing."""
    item = archive.add("dr17/a.fits")
    there = archive.folder / "dr17/a.fits"
    os.utime(there, (1e9, 1e9))
    sha1 = hashlib.sha1(there.read_bytes()).hexdigest()
    (archive.folder / "dr17/anything.sha1sum").write_text(f"{sha1}  a.fits\n")
    archive.fetch([item])
    assert look(archive, remote=True) == {"a.fits": "whole"}
    archive.add("dr17/a.fits", there.read_bytes().replace(b"SEED", b"SAAT"))

    for _ in range(2):  # it is not forgotten when it was told once
        [finding] = verify([item.path], remote=True, sas_base_dir=archive.here, remote_base=archive.sas.url)
        assert finding.status == "unknown"
        assert "its list may be older than the file" in str(finding.problem)


def test_a_server_that_was_moved_has_the_same_files(make_archive: Callable[..., Archive]) -> None:
    """With other ETags, for these are of that machine, and the same dates."""
    archive = make_archive(sha1sums=True)
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    archive.sas.faults = lambda request: Fault(headers={"ETag": '"moved"'})

    assert look(archive, remote=True) == {"a.fits": "whole"}


def test_a_file_that_is_another_than_remembered_is_bad_when_the_server_cannot_say_otherwise(
    make_archive: Callable[..., Archive],
) -> None:
    archive = make_archive(sha1sums=False)
    items = archive.add_some(2)
    archive.fetch(items)
    damage(items[0])
    damage(items[1])
    os.remove(archive.folder / "dr17/stars/star-0001.fits")

    found = list(
        verify([archive.here], remote=True, sas_base_dir=archive.here, remote_base=archive.sas.url, timeout=10)
    )

    assert {finding.status for finding in found} == {"bad"}
    assert all("since it was found whole" in str(finding.problem) for finding in found)


def test_what_is_bad_is_brought_again(archive: Archive) -> None:
    items = archive.add_some(3)
    archive.fetch(items)
    os.truncate(items[1].path, 10_000)

    assert look(archive, repair=True)["star-0001.fits"] == "repaired"
    assert all(map(archive.right, items))


def test_many_bad_files_are_brought_together_and_told_in_their_order(make_archive: Callable[..., Archive]) -> None:
    """As a fetch brings them: over a few connections, and with one listing of the folder."""
    archive = make_archive(sha1sums=True)
    items = archive.add_some(30)
    archive.fetch(items)
    for item in items[1:29]:
        os.truncate(item.path, 5000)
    archive.sas.forget()
    connections = archive.sas.connections

    found = list(
        verify(
            [*(item.path for item in items), items[5].path],  # one of them twice
            repair=True,
            sas_base_dir=archive.here,
            remote_base=archive.sas.url,
            jobs=4,
            timeout=10,
        )
    )

    assert [finding.path for finding in found] == [*(item.path for item in items), items[5].path]
    assert [finding.status for finding in found] == ["whole", *["repaired"] * 28, "whole", "repaired"]
    assert all(map(archive.right, items))
    assert len(archive.sas.asked("sha1sum")) == 1
    assert archive.sas.connections - connections <= 6


def test_one_fetcher_brings_all_that_is_bad(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many: it keeps its connections, and the listing of a folder."""
    monkeypatch.setattr("astra_registry.fetching.verify._REPAIRED_TOGETHER", 3)
    archive = make_archive(sha1sums=True)
    items = archive.add_some(20)
    archive.fetch(items)
    for item in items:
        os.truncate(item.path, 5000)
    archive.sas.forget()
    connections = archive.sas.connections

    assert set(look(archive, repair=True, jobs=2).values()) == {"repaired"}
    assert all(map(archive.right, items))
    assert len(archive.sas.asked("sha1sum")) == 1
    assert archive.sas.connections - connections <= 3


def test_a_server_that_is_gone_is_not_asked_for_each_repair(archive: Archive) -> None:
    items = archive.add_some(40, size=3000)
    archive.fetch(items)
    for item in items:
        os.truncate(item.path, 1000)
    archive.sas.close()

    findings = list(
        verify([archive.here], sas_base_dir=archive.here, remote_base=archive.sas.url, repair=True, jobs=16, timeout=1)
    )

    assert {finding.status for finding in findings} == {"bad"}
    assert sum("not tried" in str(finding.problem) for finding in findings) >= 10


def test_an_archive_is_adopted(archive: Archive) -> None:
    """After verify nothing is walked or asked for again."""
    items = archive.add_some(3)
    for item in items:
        os.makedirs(os.path.dirname(item.path), exist_ok=True)
        Path(item.path).write_bytes((archive.folder / Path(item.path).relative_to(archive.here)).read_bytes())
    look(archive)

    report = archive.fetch(items)

    assert {result.status for result in report} == {"present"}
    assert all(result.sha1 for result in report)


def test_what_is_written_after_it_was_looked_at_is_not_remembered_as_whole(archive: Archive) -> None:
    """The server is asked once the file was read: the other program writes at that moment."""
    item = archive.add("dr17/a.fits")
    archive.fetch([item])

    def cut_meanwhile(request: Request) -> None:
        os.truncate(item.path, 5000)

    archive.sas.faults = cut_meanwhile
    look(archive, remote=True)
    archive.sas.faults = None

    [result] = archive.fetch([item])
    assert (result.status, archive.right(item)) == ("fetched", True)


def test_what_is_written_while_it_is_looked_at_is_neither_whole_nor_remembered(archive: Archive) -> None:
    item = archive.add("dr17/a.txt", bytes(30_000_000))
    archive.fetch([item])
    looked, begun = threading.Event(), threading.Event()

    def write_on() -> None:
        for moment in itertools.count(1_700_000_000_000_000_000):
            os.utime(item.path, ns=(moment, moment))
            begun.set()
            if looked.is_set():
                return

    writer = threading.Thread(target=write_on)
    writer.start()
    begun.wait()
    [finding] = verify([item.path])
    looked.set()
    writer.join()

    assert (finding.status, finding.problem) == ("unknown", "it was written to while it was looked at")


def test_a_file_that_is_just_being_brought_is_not_bad(archive: Archive) -> None:
    """Half of it is here: another program writes on, slower than we look."""
    item = archive.add("dr17/a.fits", fits_bytes(1, 300_000))
    file = Path(item.path)
    file.parent.mkdir(parents=True)
    looked, begun = threading.Event(), threading.Event()

    def write_on() -> None:
        with open(file, "wb", buffering=0) as stream:
            for at in itertools.count(0, 100):
                stream.write(fits_bytes(1, 300_000)[at : at + 100] or b"more")
                begun.set()
                if looked.wait(0.02):
                    return

    writer = threading.Thread(target=write_on)
    writer.start()
    begun.wait()
    [finding] = verify([file])
    looked.set()
    writer.join()

    assert (finding.status, finding.problem) == ("unknown", "it was written to while it was looked at")


def test_a_server_that_fails_now_and_then_is_asked_again_by_verify(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(sha1sums=True)
    items = archive.add_some(12)
    archive.fetch(items)
    archive.sas.forget()
    archive.sas.faults = lambda request: Fault(status=503) if request.number == 1 else None

    findings = list(verify([archive.here], sas_base_dir=archive.here, remote_base=archive.sas.url, remote=True))

    assert {finding.status for finding in findings} == {"whole"}
    assert all("size" in finding.checks for finding in findings)


def test_a_server_that_is_gone_is_not_asked_for_each_file(archive: Archive) -> None:
    items = archive.add_some(300, size=3000)
    archive.fetch(items)
    archive.sas.close()

    findings = list(
        verify([archive.here], sas_base_dir=archive.here, remote_base=archive.sas.url, remote=True, jobs=4, timeout=1)
    )

    assert {finding.status for finding in findings} == {"unknown"}
    assert sum("not tried" in str(finding.problem) for finding in findings) > 250


def test_a_lock_file_brings_exactly_that_elsewhere(archive: Archive, tmp_path: Path) -> None:
    report = archive.fetch(archive.add_some(3))
    lock = tmp_path / "data.lock"
    assert write_lock(lock, report, sas_base_dir=str(archive.here)) == 3
    archive.add("dr17/stars/star-0001.fits")  # it is another file now

    elsewhere = str(tmp_path / "elsewhere")
    items = [locked.wanted(sas_base_dir=elsewhere, remote_base=archive.sas.url) for locked in read_lock(lock)]
    again = {os.path.basename(str(result.path)): result for result in archive.fetch(items, retries=1)}

    assert {name: result.status for name, result in again.items()} == {
        "star-0000.fits": "fetched",
        "star-0001.fits": "failed",
        "star-0002.fits": "fetched",
    }
    assert "locked" in str(again["star-0001.fits"].error)
    assert [json.loads(line).get("location") for line in lock.read_text().splitlines()[1:]] == [
        f"dr17/stars/star-{n:04}.fits" for n in range(3)
    ]


def test_a_locked_file_of_another_length_is_not_brought_to_see_that(archive: Archive) -> None:
    item = archive.add("dr17/star.fits", fits_bytes(1, 20_000_000))
    demanded = attrs.evolve(item, size=os.path.getsize(archive.folder / "dr17/star.fits") + 1, sha1="0" * 40)

    (result,) = archive.fetch(demanded)

    assert (result.status, result.attempts, len(archive.sas.requests)) == ("failed", 1, 1)
    assert re.fullmatch(r"the server's file has \d+ bytes, the locked one \d+", str(result.error))
    assert archive.sas.requests[0].sent < 10_000_000
    assert archive.here_now() == []


def test_a_mirror_may_have_a_locked_file_that_the_first_server_has_no_longer(
    make_archive: Callable[..., Archive],
) -> None:
    first, mirror = make_archive(), make_archive()
    right = attrs.evolve(mirror.add("dr17/star.fits"), urls=first.add("dr17/star.fits", fits_bytes(2, 9000)).urls)
    demanded = attrs.evolve(right, size=os.path.getsize(mirror.folder / "dr17/star.fits"))

    assert first.fetch(demanded, mirrors=(mirror.sas.url,))[0].status == "fetched"


def test_a_locked_file_is_asked_for_at_the_url_of_its_product() -> None:
    star = registry.create("apStar", release="dr17", telescope="apo25m", field="000+14", obj="a b,é@(1)%#")

    wanted = LockedFile(star.location, 1, "0" * 40).wanted(sas_base_dir="/sas")

    assert wanted.urls == (star.remote_path,)


def test_a_report_keeps_a_size_of_999999_in_a_fits_table(archive: Archive, tmp_path: Path) -> None:
    """It is the number by which astropy means none, unless told otherwise."""
    item = archive.add("dr17/stars/a.bin", b"x" * 999_999)
    report = archive.fetch([item, archive.wanted("dr17/stars/none.bin")])

    report.to_table().write(tmp_path / "out.fits")

    read = Table.read(tmp_path / "out.fits")
    assert {row["status"]: row["bytes"] for row in read} == {"fetched": 999_999, "missing": np.ma.masked}


@pytest.mark.parametrize("key", ["location", "source"])
@pytest.mark.parametrize("place", ["../a.fits", "/etc/passwd", "dr17/../../a.fits", "dr17//a.fits", "dr17/a\n.fits", 7])
def test_a_lock_file_cannot_name_a_place_outside_the_sas(tmp_path: Path, key: str, place: object) -> None:
    """Lock files come from others."""
    file = tmp_path / "data.lock"
    line = {"location": "dr17/a.fits", "size": 1, "sha1": "0" * 40, key: place}
    file.write_text('{"format": "astra-registry lock", "version": 1}\n' + json.dumps(line) + "\n")

    with pytest.raises(BadTable, match="line 2"):
        list(read_lock(file))


@pytest.mark.parametrize("told", [{"size": "1"}, {"size": 1.5}, {"sha1": "0"}, {"sha1": None}, {"more": 1}])
def test_a_lock_file_with_other_contents_is_refused_with_its_line(tmp_path: Path, told: dict[str, object]) -> None:
    file = tmp_path / "data.lock"
    line = {"location": "dr17/a.fits", "size": 1, "sha1": "0" * 40, **told}
    file.write_text('{"format": "astra-registry lock", "version": 1}\n' + json.dumps(line) + "\n")

    with pytest.raises(BadTable, match="line 2"):
        list(read_lock(file))


@pytest.mark.parametrize(
    "data",
    [b"", b"not json\n", b'{"format": "else"}\n', b'["a"]\n', b"\x1f\x8b\x08\x00\xff\n", b"[" * 100_000],
    ids=["nothing", "text", "other JSON", "a list", "bytes", "brackets"],
)
def test_what_is_no_lock_file_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "data.lock"
    file.write_bytes(data)

    with pytest.raises(BadTable, match=r"data\.lock is not a lock file of astra-registry"):
        list(read_lock(file))


def test_a_lock_file_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data.lock"
    file.write_text('{"format": "astra-registry lock", "version": 2}\n')

    with pytest.raises(BadTable, match="another version"):
        list(read_lock(file))


def test_a_lock_file_that_lacks_its_end_is_told(archive: Archive, tmp_path: Path) -> None:
    lock = tmp_path / "data.lock"
    write_lock(lock, archive.fetch(archive.add_some(3)), sas_base_dir=str(archive.here))
    lock.write_text("".join(lock.read_text().splitlines(keepends=True)[:-1]))

    with pytest.raises(BadTable, match="it names 2 of its 3 files"):
        list(read_lock(lock))


def test_a_lock_file_that_is_cut_within_a_line_is_told_with_it(archive: Archive, tmp_path: Path) -> None:
    lock = tmp_path / "data.lock"
    write_lock(lock, archive.fetch(archive.add_some(3)), sas_base_dir=str(archive.here))
    os.truncate(lock, lock.stat().st_size - 20)

    with pytest.raises(BadTable, match=r"data\.lock, line 4: it is cut there; the file names 3 files"):
        list(read_lock(lock))


def test_a_lock_file_may_come_through_a_pipe(archive: Archive, tmp_path: Path) -> None:
    lock, pipe = tmp_path / "data.lock", tmp_path / "pipe"
    write_lock(lock, archive.fetch(archive.add_some(3)), sas_base_dir=str(archive.here))
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", 'cat "$0" > "$1"', str(lock), str(pipe)]):
        assert len(list(read_lock(pipe))) == 3


def planned(items: list[Wanted], *, ask: int, **options: Any) -> Plan:
    with contextlib.closing(Fetcher(Options(timeout=10, **options))) as fetcher:
        return plan(iter(items), fetcher, ask=ask)


def test_a_plan_counts_files_bytes_and_room(archive: Archive) -> None:
    items = archive.add_some(5)
    archive.fetch(items[:2])

    made = planned([*items, archive.wanted("dr17/stars/none.fits")], ask=9, remote_base=archive.sas.url)

    assert (made.files, made.present, made.to_fetch, made.missing) == (6, 2, 4, 1)
    assert made.bytes == sum(os.path.getsize(archive.folder / f"dr17/stars/star-{n:04}.fits") for n in (2, 3, 4))
    assert made.has_room
    assert "4 to fetch" in made.summary()

    mounted = [Wanted((f"file://{archive.folder}/{Path(i.path).relative_to(archive.here)}",), i.path) for i in items]
    assert planned(mounted, ask=9).bytes == made.bytes


def test_a_plan_counts_a_file_that_was_touched_and_no_folder_in_its_place(archive: Archive) -> None:
    items = archive.add_some(4)
    archive.fetch(items[:2])
    os.utime(items[0].path, (1e9, 1e9))
    Path(items[1].path).write_bytes(b"another")
    os.makedirs(items[2].path)

    made = planned(items, ask=9, remote_base=archive.sas.url)

    assert (made.present, made.to_fetch) == (1, 3)
    [status] = {result.status for result in archive.fetch(items[:1])}
    assert status == "present"


def test_what_an_earlier_run_left_needs_no_room(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(cut_after=1_500_000) if request.method == "GET" else None)
    item = archive.add("dr17/star.fits", fits_bytes(1, 2_000_000))
    archive.fetch([item], retries=0)

    made = planned([item], ask=9, remote_base=archive.sas.url)

    assert made.bytes == os.path.getsize(archive.folder / "dr17/star.fits")
    assert attrs.evolve(made, free=600_000).has_room
    assert not attrs.evolve(made, free=400_000).has_room


def test_a_plan_supposes_as_many_files_missing_as_among_those_asked_for(archive: Archive) -> None:
    items = [
        archive.add(f"dr17/{n:03}.bin", b"x" * 1000) if n % 10 == 0 else archive.wanted(f"dr17/{n:03}.bin")
        for n in range(100)
    ]

    made = planned(items, ask=20, remote_base=archive.sas.url)

    assert (made.asked, made.known, made.missing) == (20, 2, 18)
    assert made.bytes == 10_000


def test_exports_are_what_the_tools_read(archive: Archive, tmp_path: Path) -> None:
    item = archive.add('dr17/a "b".fits')
    further = Wanted((*item.urls, "http://mirror/sas/dr17/x.fits"), item.path)

    assert list(export([item], "urls")) == [item.urls[0]]
    assert list(export([further], "aria2")) == [
        "\t".join(further.urls),
        f"  dir={os.path.dirname(item.path)}",
        f"  out={os.path.basename(item.path)}",
        "  auto-file-renaming=false",
        "  continue=true",
        "  no-netrc=true",
    ]
    with pytest.raises(BadValue, match="urls, aria2, curl, rsync"):
        export([item], "wget")

    config = tmp_path / "curl.txt"
    none = archive.wanted("dr17/none.fits")
    config.write_text("\n".join(export([none, item], "curl")) + "\n")
    subprocess.run(["curl", "-s", "-Z", "-K", str(config)], check=False)
    assert archive.right(item)
    assert not os.path.exists(none.path)


def test_curl_logs_in_for_what_is_not_public_and_keeps_only_what_is_whole(archive: Archive, tmp_path: Path) -> None:
    files = ("dr17/a.fits", "sdsswork/b.fits", "dr17/c.fits", "dr17/cut.fits")
    items = [archive.add(location) for location in files]
    os.utime(archive.folder / files[0], (1e9, 1e9))
    archive.sas.faults = lambda request: Fault(cut_after=3000) if "cut" in request.path else None
    netrc, config = tmp_path / ".netrc", tmp_path / "curl.txt"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    config.write_text("\n".join(export(items, "curl")) + "\n")

    subprocess.run(["curl", "-s", "-Z", "-K", str(config)], check=False, env={**os.environ, "HOME": str(tmp_path)})

    asked = {(request.path, "authorization" in request.headers) for request in archive.sas.requests}
    assert asked == {(f"/sas/{location}", location == "sdsswork/b.fits") for location in files}
    assert all(map(archive.right, items[:-1]))
    assert not os.path.exists(items[-1].path)
    assert os.path.getmtime(items[0].path) == 1e9


def test_curl_follows_a_server_that_sends_it_on_but_never_with_a_password(
    make_archive: Callable[..., Archive], tmp_path: Path
) -> None:
    """In .netrc it would find one for another port of the host, and a default for all hosts."""
    elsewhere = make_archive()
    another_host = elsewhere.sas.url.replace("127.0.0.1", "localhost")

    def sent_on(request: Request) -> Fault:
        return Fault(status=302, headers={"Location": another_host + request.path}, body=b"<html>302 Found</html>")

    archive = make_archive(faults=sent_on)
    items = [archive.wanted(location) for location in ("dr17/a.fits", "sdsswork/b.fits")]
    for location in ("dr17/a.fits", "sdsswork/b.fits"):
        elsewhere.add(location)
    netrc, config = tmp_path / ".netrc", tmp_path / "curl.txt"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\ndefault login me password s3cret\n")
    config.write_text("\n".join(export(items, "curl")) + "\n")

    ran = subprocess.run(["curl", "-s", "-Z", "-K", config], check=False, env={**os.environ, "HOME": str(tmp_path)})

    assert ran.returncode == 47  # too many redirects
    assert elsewhere.right(items[0])
    assert not os.path.exists(items[1].path)
    asked = {request.path: "authorization" in request.headers for request in archive.sas.requests}
    assert asked == {"/sas/dr17/a.fits": False, "/sas/sdsswork/b.fits": True}
    assert [request for request in elsewhere.sas.requests if "authorization" in request.headers] == []


def test_an_export_has_each_file_once_and_tells_what_it_leaves_out() -> None:
    item = Wanted(("https://data.sdss.org/sas/dr17/a.fits",), "/sas/dr17/a.fits")
    renamed = Wanted(item.urls, "/sas/mine.fits")
    no_row = Wanted((), "", error=BadValue("row 3: its plate is masked"))
    told: dict[str, list[str]] = {}
    for style in ("urls", "rsync"):
        told[style] = []
        listed = list(
            export([item, no_row, item, renamed], style, lambda item, reason, to=told[style]: to.append(str(reason)))
        )
        assert len([line for line in listed if line.endswith("a.fits")]) == {"urls": 2, "rsync": 1}[style]

    assert told["urls"] == ["row 3: its plate is masked"]
    assert told["rsync"] == ["row 3: its plate is masked", "rsync's lists have no way to bring it to /sas/mine.fits"]


if shutil.which("aria2c"):

    def test_aria2_brings_what_was_exported_for_it(archive: Archive, tmp_path: Path) -> None:
        items = [*archive.add_some(5), archive.add('dr17/a "b" c.fits')]
        elsewhere = archive.wanted("dr17/none.fits")
        items.append(Wanted((*elsewhere.urls, items[0].urls[0]), elsewhere.path))
        listing = tmp_path / "aria2.txt"
        listing.write_text("\n".join(export(items, "aria2")) + "\n")

        subprocess.run(["aria2c", "-q", "-i", str(listing)], check=True, env={**os.environ, "HOME": str(tmp_path)})

        assert all(map(archive.right, items[:-1]))
        assert Path(elsewhere.path).read_bytes() == Path(items[0].path).read_bytes()

    def test_aria2_logs_in_for_what_is_not_public_only(archive: Archive, tmp_path: Path) -> None:
        items = [archive.add("dr17/a.fits"), archive.add("sdsswork/b.fits")]
        netrc, listing = tmp_path / ".netrc", tmp_path / "aria2.txt"
        netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
        netrc.chmod(0o600)
        listing.write_text("\n".join(export(items, "aria2")) + "\n")

        subprocess.run(["aria2c", "-q", "-i", str(listing)], check=True, env={**os.environ, "HOME": str(tmp_path)})

        asked = {(request.path, "authorization" in request.headers) for request in archive.sas.requests}
        assert asked == {("/sas/dr17/a.fits", False), ("/sas/sdsswork/b.fits", True)}

    def test_aria2_brings_what_lacks_of_an_earlier_run_and_nothing_twice(archive: Archive, tmp_path: Path) -> None:
        items = archive.add_some(3)
        listing = tmp_path / "aria2.txt"
        listing.write_text("\n".join(export(items, "aria2")) + "\n")
        command = ["aria2c", "-q", "-i", str(listing)]
        subprocess.run(command, check=True, env={**os.environ, "HOME": str(tmp_path)})
        there, whole = archive.here_now(), os.stat(items[0].path)
        os.truncate(items[1].path, 5000)

        subprocess.run(command, check=True, env={**os.environ, "HOME": str(tmp_path)})

        assert archive.here_now() == there
        assert all(map(archive.right, items))
        assert os.stat(items[0].path).st_mtime_ns == whole.st_mtime_ns


def test_an_export_for_rsync_leaves_out_what_it_cannot_name(tmp_path: Path) -> None:
    """Here and on the server the path has to be the same, from a folder on."""
    items = [
        Wanted(("https://data.sdss.org/sas/dr17/a.fits",), f"{tmp_path}/a.fits"),
        Wanted(("https://data.sdss.org/sas/dr17/b.fits",), f"{tmp_path}/ab.fits"),
        Wanted(("https://data.sdss.org/sas/dr17/x/../c.fits",), f"{tmp_path}/x/../c.fits"),
        Wanted(("https://[data.sdss.org/sas/dr17/d.fits",), f"{tmp_path}/d.fits"),
    ]

    assert [line for line in export(items, "rsync") if line.endswith(".fits")] == ["a.fits"]


def test_exports_of_what_is_not_public_leave_the_password_to_the_tools(tmp_path: Path) -> None:
    private = Wanted(("https://data.sdss5.org/sas/sdsswork/a.fits",), f"{tmp_path}/sdsswork/a.fits")
    public = Wanted(("https://data.sdss.org/sas/dr17/a.fits",), f"{tmp_path}/dr17/a.fits")

    assert [line.partition(" --files-from=- ")[2] for line in export([private, public], "rsync") if " --" in line] == [
        f"rsync://sdss5@dtn.sdss.org/sdsswork/ {tmp_path}/sdsswork/ <<'END' || failed=$?",
        f"rsync://dtn.sdss.org/dr17/ {tmp_path}/dr17/ <<'END' || failed=$?",
    ]
    open_line = Wanted(("http://data.sdss5.org/sas/sdsswork/a.fits",), f"{tmp_path}/sdsswork/b.fits")
    told = [list(export([item], "curl")) for item in (private, public, open_line)]
    assert [("netrc-optional" in lines) for lines in told] == [True, False, False]
    assert [("max-redirs = 0" in lines) for lines in told] == [True, False, False]
    told = [list(export([item], "aria2")) for item in (private, public, open_line)]
    assert [("  no-netrc=true" in lines) for lines in told] == [False, True, True]


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot", "parquet", "feather"])
def test_a_report_is_a_table_and_a_table_a_report(ending: str, tmp_path: Path) -> None:
    """What is unknown stays so; units and descriptions go with the table."""
    report = FetchReport(
        [
            FetchResult("https://x/a", "/sas/a", "fetched", 2880, "0a" * 20, 0.25, 2),
            FetchResult("https://x/b", "/sas/b", "missing", attempts=1, error="the server has no such file"),
            FetchResult(None, None, "failed", error="row 3: mjd = 'oops'"),
        ]
    )
    table = report.to_table()
    assert (str(table["bytes"].unit), str(table["seconds"].unit)) == ("byte", "s")
    assert all(table[name].description for name in table.colnames)

    write_table(table, tmp_path / f"report.{ending}")

    assert list(FetchReport.from_table(tmp_path / f"report.{ending}")) == list(report)
    assert list(FetchReport.from_table(table)) == list(report)


def test_a_report_that_went_through_pandas_is_the_report(tmp_path: Path) -> None:
    """There what is unknown is not a number."""
    results = [FetchResult("https://x/a", "/sas/a", "fetched", 2880, row=0), FetchResult(None, None, "failed", row=2)]
    lines = FetchReport(results).to_table()
    lines["same_as"] = MaskedColumn([0, 0], mask=[True, True])
    write_table(lines, tmp_path / "report.csv")

    report = FetchReport.from_table(pandas.read_csv(tmp_path / "report.csv"))

    assert list(report) == results


def test_a_table_that_is_no_report_is_told(tmp_path: Path) -> None:
    table = FetchReport([FetchResult("https://x/a", "/sas/a", "fetched", 2880)]).to_table()
    table["status"] = ["lost"]
    with pytest.raises(BadTable, match="row 0 .* has the status 'lost'"):
        FetchReport.from_table(table)
    with pytest.raises(BadTable, match="no column"):
        FetchReport.from_table({"path": ["a"]})
    assert list(FetchReport.from_table(FetchReport().to_table())) == []


def test_the_table_of_a_batch_s_report_makes_no_product_a_row() -> None:
    class Unopened(registry["apStar"]):  # type: ignore[misc]
        def __getitem__(self, index: object) -> None:
            raise AssertionError(index)

    batch = Unopened(release="dr17", telescope="apo25m", field="0", obj=["a", "b"])
    report = FetchReport(FetchResult(None, None, "failed", source=Member(batch, row)) for row in range(2))

    assert list(report.to_table()["product"]) == ["apStar", "apStar"]


@pytest.mark.parametrize("ending", ["ecsv", "fits", "vot", "parquet", "feather", "orc", "csv", "txt"])
def test_a_report_that_is_kept_on_disk_has_units_and_descriptions_too(ending: str, tmp_path: Path) -> None:
    result = FetchResult("https://x/a", "/sas/a", "missing", attempts=1, error="the server has no such file")
    kept = Kept()
    kept.add({"product": "apStar", "release": "dr17", **attrs.asdict(result, recurse=False)})
    kept.write(tmp_path / f"report.{ending}")
    kept.close()

    columns = read_columns(tmp_path / f"report.{ending}")

    assert list(FetchReport.from_table(tmp_path / f"report.{ending}")) == [result]
    if ending not in ("csv", "txt"):
        assert columns.units == {"bytes": "byte", "seconds": "s"}
        assert columns.descriptions["status"].startswith("What came of it")


def test_a_double_whose_file_did_not_come_before_an_interrupt_has_no_line(tmp_path: Path) -> None:
    kept = Kept()
    kept.add_double(1, "apStar", "dr17", "/sas/a")
    kept.add_double(2, "apStar", "dr17", "/sas/b")
    kept.add({"product": None, "release": None, **attrs.asdict(FetchResult(None, "/sas/a", "fetched", row=0))})
    kept.write(tmp_path / "report.fits")
    kept.close()

    assert read_columns(tmp_path / "report.fits", columns=["row", "path"])["row"] == [0, 1]


@pytest.mark.parametrize("ending", ["fits", "feather"])
def test_a_report_of_nothing_is_a_table_too(ending: str, tmp_path: Path) -> None:
    kept = Kept()
    kept.write(tmp_path / f"report.{ending}")
    kept.close()

    assert list(FetchReport.from_table(tmp_path / f"report.{ending}")) == []
