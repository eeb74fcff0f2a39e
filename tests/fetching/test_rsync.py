"""Groups of files by rsync, from a real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from astra_registry.fetching import Wanted, iter_fetch
from astra_registry.fetching.disk.folders import Folders
from astra_registry.fetching.disk.staging import Stage, forget
from astra_registry.fetching.export import export

from .conftest import MAY_MOUNT, RSYNC, Archive, beside, fits_bytes, somebody, told_where_files_end_at
from .raw import RawServer

DAEMON = [str(RSYNC), "--daemon", "--no-detach", "--address=127.0.0.1"]


@pytest.fixture
def configuration(archive: Archive, tmp_path: Path) -> Path:
    """What a daemon of the archive is told: a module that is public, and one that wants a login."""
    for folder in ("dr17", "sdsswork"):
        (archive.folder / folder).mkdir()
    secrets = tmp_path / "rsync.secrets"
    secrets.write_text("sdss5:pa55\n")
    secrets.chmod(0o600)
    modules = f"[dr17]\npath = {archive.folder}/dr17\n[sdsswork]\npath = {archive.folder}/sdsswork\n"
    modules += f"auth users = sdss5\nsecrets file = {secrets}\n"
    owner = "uid = root\ngid = root\n" if os.geteuid() == 0 else ""
    file = tmp_path / "rsyncd.conf"
    log = f"log file = {tmp_path}/rsyncd.log\ntransfer logging = yes\nlog format = %o %b %f\n"
    file.write_text(f"use chroot = no\n{log}{owner}{modules}")
    return file


def add_module(configuration: Path, name: str, folder: Path, *more: str) -> None:
    """Tell the daemon, which reads its configuration for each connection, of one more."""
    lines = configuration.read_text(), f"[{name}]", f"path = {folder}", *more
    configuration.write_text("\n".join(lines) + "\n")


@pytest.fixture
def daemon(configuration: Path) -> Iterator[str]:
    port, process = listening([*DAEMON, f"--config={configuration}"])
    yield f"rsync://127.0.0.1:{port}"
    process.kill()
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(command: list[str], port: int | None = None) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a daemon that wants to be told its port, again when another program was quicker to take it."""
    for _ in range(5):
        port = port or free_port()
        process = subprocess.Popen(
            [*command, f"--port={port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port, process
            time.sleep(0.02)
        port = None
    raise RuntimeError(f"{command[0]} does not start")


def by_rsync(archive: Archive, daemon: str, location: str) -> Wanted:
    return Wanted((f"{daemon}/sas/{location}",), str(archive.here / location))


def test_rsync_brings_many_files_verified(archive: Archive, daemon: str) -> None:
    archive.add_some(30)
    archive.add("dr17/stars/cut.fits", fits_bytes(1)[:-4000])
    names = [f"star-{n:04}.fits" for n in range(30)] + ["cut.fits", "none.fits"]
    items = [by_rsync(archive, daemon, f"dr17/stars/{name}") for name in names]

    report = archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon)
    status = {os.path.basename(str(result.path)): result.status for result in report}

    assert (status.pop("cut.fits"), status.pop("none.fits")) == ("failed", "missing")
    assert set(status.values()) == {"fetched"}
    assert len(archive.here_now()) == 30, archive.here_now()
    assert all(map(archive.right, items[:30]))
    assert {r.status for r in archive.fetch(items[:30], transport="rsync")} == {"present"}


def test_each_file_comes_to_a_folder_of_its_own(archive: Archive, daemon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also more folders than turns are taken in at one time, and with one that cannot be made."""
    monkeypatch.setattr("astra_registry.fetching.convoy._MOST_FOLDERS", 3)
    items = []
    for n in range(60):
        archive.add(f"dr17/{n}/a.fits")
        items.append(by_rsync(archive, daemon, f"dr17/{n}/a.fits"))
    archive.here.joinpath("dr17").mkdir(parents=True)
    archive.here.joinpath("dr17/7").write_text("a file")

    report = archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon)

    assert [(result.path, str(result.error)) for result in report.failed] == [
        (items[7].path, f"{items[7].path}: File exists")
    ]
    assert all(archive.right(item) for item in items if item is not items[7])
    assert len(archive.here_now()) == 60


def test_each_file_of_a_group_is_given_as_it_comes(archive: Archive, daemon: str) -> None:
    """And not at the end of its group, whose last file takes minutes at this rate."""
    names = ["a.fits", "z.fits", "b 'c' \\#123 d.fits", "e\u00e9\u2013f.fits", "g\x07.fits"]  # two and two
    for name in names:
        archive.add(f"dr17/{name}", fits_bytes(1, 40_000_000 if name == "z.fits" else 3000))
    items = [
        Wanted((f"{daemon}/dr17/{urllib.request.quote(name)}",), str(archive.here / "dr17" / name)) for name in names
    ]

    with contextlib.closing(iter_fetch(items, transport="rsync", timeout=10, limit_rate=1_000_000)) as results:
        first = [next(results) for _ in range(4)]

    assert {result.status for result in first} == {"fetched"}
    assert {result.path for result in first} == {item.path for item in items} - {items[1].path}
    assert all(archive.right(item) for item in items if item is not items[1])


def test_a_folder_that_may_not_be_written_to_fails_its_own_files_alone(
    archive: Archive, daemon: str, open_folder: Path
) -> None:
    """Neither those in the folders of it that may be, nor those beside it."""
    archive.here = open_folder / "sas"
    places = [f"dr17/{folder}/{n}.fits" for n in range(4) for folder in ("a", "b", "shut/c", "shut")]
    for place in places:
        archive.add(place)
    items = [by_rsync(archive, daemon, place) for place in places]
    for name in ("a", "b", "shut/c"):
        (archive.here / "dr17" / name).mkdir(parents=True)
        (archive.here / "dr17" / name).chmod(0o777)
    for name in ("shut", "."):
        (archive.here / "dr17" / name).chmod(0o555)
    archive.fetch(Wanted(items[0].urls, str(open_folder / "first.fits")), transport="rsync")  # loads what is needed

    with somebody():
        report = archive.fetch(items, transport="rsync", remote_base=daemon)

    for name in ("shut", "."):
        (archive.here / "dr17" / name).chmod(0o755)
    shut = str(archive.here / "dr17/shut")
    told = {str(result.path): result.error for result in report}
    refused = [item for item in items if os.path.dirname(item.path) == shut]
    assert {told.pop(item.path) for item in refused} == {f"may not write to {shut} (Permission denied)"}
    assert set(told.values()) == {None}
    assert all(archive.right(item) for item in items if item not in refused)
    assert len(archive.here_now()) == len(told)


if MAY_MOUNT:

    def test_each_disk_has_the_files_that_belong_on_it_alone(
        archive: Archive, daemon: str, tiny_disk: Path, tmp_path: Path
    ) -> None:
        """One folder leads from a small disk to another one."""
        archive.here = tiny_disk
        archive.add_some(16, size=200_000, folder="dr17/large")
        archive.add_some(2, size=3000, folder="dr17/small")
        (tiny_disk / "dr17").mkdir()
        (tmp_path / "large").mkdir()
        (tiny_disk / "dr17/large").symlink_to(tmp_path / "large")
        items = [by_rsync(archive, daemon, f"dr17/small/star-{n:04}.fits") for n in range(2)]
        items += [by_rsync(archive, daemon, f"dr17/large/star-{n:04}.fits") for n in range(16)]

        report = archive.fetch(items, transport="rsync", remote_base=daemon, jobs=1)

        assert [result.error for result in report] == [None] * 18
        assert all(map(archive.right, items))


def test_values_never_become_options(archive: Archive, daemon: str) -> None:
    names = ["-e sh -c x.fits", "--delete.fits", "a 'b' \"c\".fits", "#comment.fits", "$(touch x).fits"]
    items = []
    for name in names:
        archive.add(f"dr17/{name}")
        items.append(Wanted((f"{daemon}/dr17/{urllib.request.quote(name)}",), str(archive.here / "dr17" / name)))

    assert [r.error for r in archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon)] == [None] * 5
    assert all(map(archive.right, items))


def test_a_rate_is_kept_by_rsync_too(archive: Archive, daemon: str) -> None:
    archive.add_some(4, size=200_000)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(4)]
    started = time.monotonic()

    report = archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon, limit_rate=400_000, jobs=1)

    assert not report.failed
    assert 1.0 < time.monotonic() - started < 30


def test_the_password_goes_by_the_environment(archive: Archive, daemon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.add("sdsswork/a.fits")
    item = by_rsync(archive, daemon, "sdsswork/a.fits")

    [refused] = archive.fetch([item], transport="rsync", timeout=10, remote_base=daemon)
    monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", "sdss5")
    monkeypatch.setenv("ASTRA_REGISTRY_PASSWORD", "pa55")
    [result] = archive.fetch([item], transport="rsync", timeout=10, remote_base=daemon)

    assert (refused.status, result.status) == ("unauthorized", "fetched")


@pytest.mark.parametrize("user", ["me@home", "a/b", "%40"])
def test_a_user_may_have_any_name(
    archive: Archive, configuration: Path, daemon: str, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """Also one that rsync's URLs cannot say."""
    secrets = configuration.with_name("more.secrets")
    secrets.write_text(f"{user}:pa55\n")
    secrets.chmod(0o600)
    add_module(configuration, "ours", archive.folder / "ours", f"auth users = {user}", f"secrets file = {secrets}")
    archive.add("ours/a.fits")
    monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", user)
    monkeypatch.setenv("ASTRA_REGISTRY_PASSWORD", "pa55")

    [result] = archive.fetch([by_rsync(archive, daemon, "ours/a.fits")], transport="rsync", remote_base=daemon)

    assert result.status == "fetched", result.error


def test_rsync_decodes_no_url_and_so_gets_names_as_they_are(archive: Archive, configuration: Path, daemon: str) -> None:
    """Of modules as of files."""
    names = {"my data/a.fits": "my%20data/a.fits", "50%/b c.fits": "50%25/b%20c.fits", "x/d?e#f.fits": "x/d?e#f.fits"}
    names["x/./g.fits"] = "x/./g.fits"
    items = []
    for name, coded in names.items():
        archive.add(name)
        items.append(Wanted((f"{daemon}/{coded}",), str(archive.here / name)))
    for module in ("my data", "50%", "x"):
        add_module(configuration, module, archive.folder / module)

    report = archive.fetch(items, transport="rsync", remote_base=daemon, retries=0)

    assert [result.error for result in report] == [None] * len(items)
    assert all(map(archive.right, items))


def test_a_folder_is_no_file_and_is_asked_for_once(archive: Archive, daemon: str) -> None:
    archive.add("dr17/stars/a.fits")
    urls = [f"{daemon}/dr17/stars/", f"{daemon}/dr17/stars", f"{daemon}/dr17/all/."]
    items = [Wanted((url,), str(archive.here / f"{n}.fits")) for n, url in enumerate(urls)]

    report = archive.fetch(items, transport="rsync", remote_base=daemon)

    told = {result.url: (result.status, result.attempts, result.error) for result in report}
    by_name = "names a folder: files are brought one by one, by their own URLs"
    there = f"{daemon.removeprefix('rsync://')} has a folder of that name"
    assert told == {
        urls[0]: ("failed", 1, f"{urls[0]} {by_name}"),
        urls[1]: ("failed", 1, there),
        urls[2]: ("failed", 1, f"{urls[2]} {by_name}"),
    }


def test_what_a_server_has_not_or_may_not_read_is_asked_for_once(
    open_folder: Path, archive: Archive, configuration: Path, daemon: str
) -> None:
    """In a module with a blank in its name, too."""
    others = ("uid = 65534", "gid = 65534") if os.geteuid() == 0 else ()
    add_module(configuration, "my data", open_folder, *others)
    for name in ("a.fits", "secret.fits", "shut/b.fits"):
        (open_folder / name).parent.mkdir(exist_ok=True)
        (open_folder / name).write_bytes(fits_bytes(1, 3000))
    (open_folder / "secret.fits").chmod(0)
    (open_folder / "shut").chmod(0)
    names = ["a.fits", "none.fits", "secret.fits", "shut/b.fits"]
    items = [Wanted((f"{daemon}/my%20data/{name}",), str(archive.here / name)) for name in names]

    report = archive.fetch(items, transport="rsync", remote_base=daemon, jobs=1)

    (open_folder / "shut").chmod(0o700)
    told = {str(result.path): (result.status, result.attempts) for result in report}
    expected = ["fetched", "missing", "unauthorized", "unauthorized"]
    assert [told[item.path] for item in items] == [(status, 1) for status in expected]


def test_one_file_may_be_wanted_in_two_places(archive: Archive, daemon: str) -> None:
    archive.add_some(8)
    urls = [f"{daemon}/dr17/stars/star-{n:04}.fits" for n in range(8)]
    items = [Wanted((url,), str(archive.here / str(n) / "a.fits")) for url in urls for n in (1, 2)]
    items = [attrs.evolve(item, path=f"{item.path}-{n}") for n, item in enumerate(items)]

    report = archive.fetch(items, transport="rsync", remote_base=daemon, retries=0)

    assert [result.error for result in report] == [None] * 16


def test_a_server_that_refuses_an_option_is_asked_once(
    archive: Archive, configuration: Path, daemon: str, make_archive: Callable[..., Archive]
) -> None:
    """And what https has besides comes that way."""
    mirror = make_archive()
    archive.add_some(8)
    copied_to(mirror, archive)
    add_module(configuration, "strict", archive.folder / "dr17", "refuse options = copy-links")
    urls = [f"{daemon}/strict/stars/star-{n:04}.fits" for n in range(8)]
    items = [Wanted((url,), str(archive.here / url[-9:])) for url in urls]

    refused = archive.fetch(items, transport="rsync", remote_base=daemon)
    both = [Wanted((*item.urls, mirror.sas.url_of(f"dr17/stars/star-{item.path[-9:]}")), item.path) for item in items]
    report = archive.fetch(both, transport="rsync", remote_base=daemon)

    authority = daemon.removeprefix("rsync://")
    told = f"{authority} refuses rsync's option --copy-links, which is needed: ask whoever runs it to allow that"
    assert {result.error for result in refused} == {told}
    assert [result.error for result in report] == [None] * 8


def test_the_exported_script_brings_the_files(archive: Archive, daemon: str, tmp_path: Path) -> None:
    names = ["a.fits", "#b.fits", ";c.fits", "END", "d 'e' $(f).fits"]
    items = []
    for name in names:
        archive.add(f"dr17/{name}")
        items.append(Wanted((f"{daemon}/dr17/{urllib.request.quote(name)}",), str(archive.here / "dr17" / name)))
    script = tmp_path / "bring.sh"
    script.write_text("\n".join(export(items, "rsync")) + "\n")

    subprocess.run(["sh", str(script)], check=True)

    assert all(map(archive.right, items))


def test_what_the_exported_script_brings_can_be_added_to_though_the_server_s_folders_cannot(
    archive: Archive, daemon: str, tmp_path: Path
) -> None:
    original = archive.folder / archive.add("dr17/stars/a.fits").path.partition("/sas/")[2]
    original.chmod(0o400)
    os.utime(original, (1e9, 1e9))
    original.parent.chmod(0o555)
    item = Wanted((f"{daemon}/dr17/stars/a.fits",), str(archive.here / "dr17/stars/a.fits"))
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual/file").touch()
    script = tmp_path / "bring.sh"
    script.write_text("\n".join(export([item], "rsync")) + "\n")

    subprocess.run(["sh", str(script)], check=True)
    original.parent.chmod(0o755)

    brought = Path(item.path)
    assert archive.right(item)
    assert brought.stat().st_mtime == 1e9
    assert brought.parent.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert brought.stat().st_mode == (tmp_path / "usual/file").stat().st_mode


def test_what_rsync_cannot_be_asked_for_is_told_without_a_password(archive: Archive) -> None:
    urls = [
        "rsync://me:pa55@[host/dr17/a.fits",
        "rsync://me:pa55@host/dr17",
        "rsync://me:pa55@host/dr17/x/../../a.fits",
        "https://me:pa55@host/elsewhere/a.fits",
        "rsync://me:pa55@[::1]:1/dr17/a.fits",
    ]
    items = [Wanted((url,), str(archive.here / f"{n}.fits")) for n, url in enumerate(urls)]

    report = archive.fetch(items, transport="rsync", timeout=2, retries=0)

    assert [result.status for result in report] == ["failed"] * 5
    assert all(result.error and "pa55" not in f"{result.error}{result.url}" for result in report)
    assert archive.here_now() == []


def test_what_cannot_be_brought_is_not_missing_because_a_longer_name_is(archive: Archive, daemon: str) -> None:
    """rsync leaves out the folder a.fits; it is there all the same."""
    (archive.folder / "dr17/a.fits").mkdir()
    archive.add_some(6, folder="dr17")
    names = ["a.fits", "aa.fits", *(f"star-{n:04}.fits" for n in range(6))]  # enough that these two are of one group
    items = [by_rsync(archive, daemon, f"dr17/{name}") for name in names]

    report = archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon, retries=0)
    status = {os.path.basename(str(result.path)): result.status for result in report}

    assert (status.pop("a.fits"), status.pop("aa.fits")) == ("failed", "missing")
    assert set(status.values()) == {"fetched"}


def test_the_exported_script_fails_when_a_file_of_it_does(archive: Archive, daemon: str, tmp_path: Path) -> None:
    """Also one before its last command."""
    archive.add("dr17/a.fits")
    items = [
        Wanted((f"{daemon}/dr17/none.fits",), f"{tmp_path}/sas/dr17/none.fits"),
        Wanted((f"{daemon}/dr17/a.fits",), f"{tmp_path}/elsewhere/a.fits"),
    ]
    script = tmp_path / "bring.sh"
    script.write_text("\n".join(export(items, "rsync")) + "\n")

    ran = subprocess.run(["sh", str(script)], check=False)

    assert ran.returncode != 0
    assert (tmp_path / "elsewhere" / "a.fits").exists()


def test_a_second_location_is_tried_by_rsync_too(archive: Archive, daemon: str) -> None:
    archive.add("dr17/full/a.fits")
    item = by_rsync(archive, daemon, "dr17/lite/a.fits")
    item = Wanted((*item.urls, f"{daemon}/sas/dr17/full/a.fits"), item.path)

    [result] = archive.fetch([item], transport="rsync", timeout=10, remote_base=daemon)

    assert (result.status, result.url) == ("fetched", item.urls[1])


# ---------------------------------------------------------------- several at once

FETCH = """
import sys, json
from astra_registry.fetching import Wanted, fetch
base, transport, *pairs = sys.argv[1:]
items = [Wanted((url,), path) for url, path in zip(pairs[::2], pairs[1::2])]
report = fetch(items, transport=transport, timeout=10, remote_base=base, checksums="never")
print(json.dumps([[r.status, r.error] for r in report]))
"""


def start(base: str, items: list[Wanted], transport: str = "rsync") -> subprocess.Popen[str]:
    pairs = [text for item in items for text in (item.urls[0], item.path)]
    return beside(FETCH, base, transport, *pairs)


def finish(process: subprocess.Popen[str]) -> list[tuple[str, str | None]]:
    return [tuple(row) for row in json.loads(process.communicate(timeout=120)[0])]


def sent(tmp_path: Path) -> Counter[str]:
    """How often the daemon sent each file."""
    return Counter(name for name, _ in sendings(tmp_path))


def sendings(tmp_path: Path) -> list[tuple[str, int]]:
    """The files that the daemon sent to their ends, each with the bytes that this took."""
    lines = (tmp_path / "rsyncd.log").read_text().splitlines()
    rows = [line.partition("] send ")[2].split(" ", 1) for line in lines if "] send " in line]
    return [(name, int(number)) for number, name in rows]


def test_groups_that_come_and_go_at_once_each_have_a_folder(tmp_path: Path) -> None:
    """Whoever has done takes away the folder that the next one is about to take; so does who finds it empty."""
    targets = {"a.fits": str(tmp_path / "dr17/a.fits")}

    def come_and_go(_: int) -> set[str]:
        seen = set()
        for _ in range(300):
            with Stage(str(tmp_path / "dr17")) as stage:
                seen.add(os.path.basename(stage.path))
                stage.take_over(targets, lambda: None)
                Path(stage.path, "mine").touch(exist_ok=False)
        return seen

    with ThreadPoolExecutor(8) as pool:
        seen = set().union(*pool.map(come_and_go, range(8)))

    assert all(re.fullmatch(r"\.astra-rsync-\d+", name) for name in seen)
    assert os.listdir(tmp_path / "dr17") == []


def test_two_processes_bring_each_file_of_a_group_once(archive: Archive, daemon: str, tmp_path: Path) -> None:
    """In opposite orders: neither waits for the other while it holds a turn."""
    archive.add_some(200)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(200)]

    runs = [start(daemon, items), start(daemon, items[::-1])]
    rows = [row for run in runs for row in finish(run)]

    assert Counter(rows) == {("fetched", None): 200, ("present", None): 200}
    assert all(map(archive.right, items))
    assert len(archive.here_now()) == 200
    assert set(sent(tmp_path).values()) == {1}
    assert len(sent(tmp_path)) == 200


def test_a_group_waits_for_who_brings_one_of_its_files(archive: Archive, daemon: str, tmp_path: Path) -> None:
    archive.add_some(20)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(20)]
    with Folders().held(str(archive.here / "dr17/stars")) as turns:
        turns.take("star-0007.fits", time.sleep)
        run = start(daemon, items)
        while len(archive.here_now()) < 20:  # 19 files, and that of the turns
            time.sleep(0.02)
        assert not Path(items[7].path).exists()
        assert run.poll() is None
        Path(items[7].path).write_bytes((archive.folder / "dr17/stars/star-0007.fits").read_bytes())

    assert Counter(status for status, _ in finish(run)) == {"fetched": 19, "present": 1}
    assert len(sent(tmp_path)) == 19


def test_a_group_goes_ahead_beside_who_hangs(archive: Archive, daemon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astra_registry.fetching.disk.turns._GIVEN_UP_AFTER", 0.3)
    archive.add_some(20)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(20)]
    with Folders().held(str(archive.here / "dr17/stars")) as turns:
        for n in range(5, 15):
            turns.take(f"star-{n:04}.fits", time.sleep)

        report = archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon)

    assert Counter(result.status for result in report) == {"fetched": 20}
    assert all(map(archive.right, items))


def test_the_turns_of_a_killed_group_are_free(archive: Archive, daemon: str) -> None:
    archive.add_some(20, size=2_000_000)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(20)]
    killed = start(daemon, items)
    while not any(".astra-rsync-" in folder for folder, *_ in os.walk(archive.here)):
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    assert not archive.fetch(items, transport="rsync", timeout=10, remote_base=daemon).failed
    assert all(map(archive.right, items))


KILLED_WHEN_PLACED = """
import os, signal, sys
from astra_registry.fetching import Wanted, fetch
from astra_registry.fetching.disk.parts import Part
place = Part.place
Part.place = lambda part: (place(part), os.kill(os.getpid(), signal.SIGKILL))
fetch([Wanted((sys.argv[1],), sys.argv[2])], transport="rsync", checksums="never")
"""


def test_the_folder_of_a_run_that_was_killed_when_its_file_had_its_name_goes(archive: Archive, daemon: str) -> None:
    for name in ("a", "b"):
        archive.add(f"dr17/stars/{name}.fits")
    first, second = (by_rsync(archive, daemon, f"dr17/stars/{name}.fits") for name in ("a", "b"))
    beside(KILLED_WHEN_PLACED, first.urls[0], first.path).communicate()
    assert archive.right(first)
    stage = archive.here / "dr17/stars/.astra-rsync-0"
    assert stage.is_dir()
    while programs(archive):  # it is about to end, too
        time.sleep(0.01)

    report = archive.fetch([first, second], transport="rsync", timeout=10, remote_base=daemon)

    assert {result.status for result in report} == {"present", "fetched"}
    assert not stage.exists()
    assert sorted(os.listdir(archive.here / "dr17/stars"))[-2:] == ["a.fits", "b.fits"]


def test_the_empty_folders_of_a_killed_run_go_with_a_fetch_over_https_too(archive: Archive) -> None:
    """But not one that somebody uses, nor one with files, which a run by rsync may want."""
    item = archive.add("dr17/stars/a.fits")
    stars = archive.here / "dr17/stars"
    left, kept = stars / ".astra-rsync-3", stars / ".astra-rsync-4"
    for stage in (left, kept):
        (stage / "stars/.astra-partial").mkdir(parents=True)
    (kept / "stars/.astra-partial/b.fits").write_bytes(b"half of it")

    with Stage(str(stars)) as used:
        assert archive.fetch([item])[0].status == "fetched"
        assert sorted(name for name in os.listdir(stars) if "rsync" in name) == [".astra-rsync-0", ".astra-rsync-4"]
        assert os.path.isdir(used.path)


def programs(archive: Archive) -> list[int]:
    """The processes of rsync that write here."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if os.fsencode(archive.here) in Path("/proc", process, "cmdline").read_bytes().partition(b"rsync://")[2]:
                found.append(int(process))
    return found


@pytest.mark.parametrize("all_at_once", [False, True], ids=["alone", "with rsync"])
def test_what_rsync_was_bringing_for_a_killed_run_need_not_come_again(
    archive: Archive, daemon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_at_once: bool
) -> None:
    """Also where the next run wants some of its files only, so that its folder is another; and rsync ends by itself."""
    large = by_rsync(archive, daemon, "dr17/y/large.fits")
    archive.add("dr17/y/large.fits", fits_bytes(1, 4_000_000))
    small = [by_rsync(archive, daemon, f"dr17/x/star-{n:04}.fits") for n in range(7)]
    archive.add_some(7, folder="dr17/x")
    monkeypatch.setenv("ASTRA_REGISTRY_LIMIT_RATE", "4000000")  # of four at once
    run = start(daemon, [small[0], large, *small[1:]])
    while come_of_the_large_one(archive) < 1_500_000:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    for process in programs(archive) if all_at_once else ():
        os.kill(process, signal.SIGKILL)
    run.communicate()
    monkeypatch.delenv("ASTRA_REGISTRY_LIMIT_RATE")

    report = archive.fetch([large], transport="rsync", timeout=10, remote_base=daemon)

    assert [result.error for result in report] == [None]
    assert programs(archive) == []
    assert dict(sendings(tmp_path))["y/large.fits"] < 2_600_000
    assert not archive.fetch([large, *small], transport="rsync", timeout=10, remote_base=daemon).failed
    assert set(sent(tmp_path).values()) == {1}
    assert all(map(archive.right, [large, *small]))
    assert len(archive.here_now()) == 8


def come_of_the_large_one(archive: Archive) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError):  # there is none, or it has another name by now
        return max((archive.here / name).stat().st_size for name in archive.here_now() if "large" in name)
    return 0


def test_what_came_by_rsync_until_the_disk_was_full_need_not_come_again(
    archive: Archive, daemon: str, tmp_path: Path
) -> None:
    """It is told as with any transport, at once, and the server is not to blame: all groups are tried."""
    names = [f"{folder}/{n}.dat" for n in range(12) for folder in "abcd"]
    for name in names:
        archive.add(f"dr17/{name}", random.Random(name).randbytes(400_000))
    items = [by_rsync(archive, daemon, f"dr17/{name}") for name in names]

    told = told_where_files_end_at(300_000, archive, items, transport="rsync", remote_base=daemon)
    kept = sum((archive.here / name).stat().st_size for name in archive.here_now())
    (tmp_path / "rsyncd.log").write_text("")
    report = archive.fetch(items, transport="rsync", remote_base=daemon)

    assert told == {("failed", f"no room on the disk for {item.path}", 1) for item in items}
    assert [result.error for result in report] == [None] * len(items)
    assert kept > 0
    assert sum(number for _, number in sendings(tmp_path)) < 400_000 * len(items) - kept // 2
    assert len(archive.here_now()) == len(items)


def test_a_server_that_never_has_room_is_given_up(archive: Archive, daemon: str, tmp_path: Path) -> None:
    archive.add("dr17/a.fits")
    with_room_for(-1, tmp_path)

    [result] = archive.fetch([by_rsync(archive, daemon, "dr17/a.fits")], transport="rsync", retries=2, timeout=10)

    assert (result.status, result.attempts) == ("failed", 3)
    assert "max connections" in str(result.error)
    assert archive.here_now() == []


def test_groups_wait_where_a_server_has_room_for_one_of_them(archive: Archive, daemon: str, tmp_path: Path) -> None:
    """Which is no fault of it, and costs no tries: also longer than they would last."""
    with_room_for(1, tmp_path)
    archive.add_some(8, size=500_000)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(8)]

    report = archive.fetch(items, transport="rsync", remote_base=daemon, retries=1, limit_rate=8_000_000)

    assert [result.error for result in report] == [None] * 8
    assert all(map(archive.right, items))
    assert set(sent(tmp_path).values()) == {1}


def test_a_server_that_others_fill_is_tried_again_and_not_blamed(archive: Archive, daemon: str, tmp_path: Path) -> None:
    """All its files are tried, until there is room."""
    with_room_for(1, tmp_path)
    archive.add_some(40)
    archive.add("dr17/large.dat", random.Random(1).randbytes(3_000_000))
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(40)]
    other = [str(RSYNC), "--bwlimit=1000", f"{daemon}/dr17/large.dat", str(tmp_path / "elsewhere")]
    with subprocess.Popen(other) as process:
        while not list(tmp_path.glob(".elsewhere.*")):
            time.sleep(0.01)

        given_up = archive.fetch(items, transport="rsync", remote_base=daemon, retries=0)
        report = archive.fetch(items, transport="rsync", remote_base=daemon, retries=20)

    assert process.returncode == 0
    assert {result.attempts for result in given_up} == {1}
    assert all("has no room: @ERROR: max connections (1) reached" in str(result.error) for result in given_up)
    assert [result.error for result in report] == [None] * 40


def with_room_for(connections: int, tmp_path: Path) -> None:
    """Tell the daemon how many its public module takes at once."""
    configuration = tmp_path / "rsyncd.conf"
    told = f"[dr17]\nmax connections = {connections}\nlock file = {tmp_path}/rsyncd.lock\n"
    configuration.write_text(configuration.read_text().replace("[dr17]\n", told))


def test_what_a_killed_run_had_brought_is_taken_only_where_the_server_has_the_same(
    archive: Archive, daemon: str
) -> None:
    """Of one file it has another version now, and the other one it has no more."""
    changed, gone = (by_rsync(archive, daemon, f"dr17/stars/{name}.fits") for name in ("changed", "gone"))
    archive.add("dr17/stars/changed.fits", fits_bytes(2))
    stage = archive.here / "dr17/stars/.astra-rsync-7/stars"
    stage.mkdir(parents=True)
    for name in ("changed.fits", "gone.fits"):
        (stage / name).write_bytes(fits_bytes(1))
        os.utime(stage / name, (1e9, 1e9))

    report = archive.fetch([changed, gone], transport="rsync", timeout=10, remote_base=daemon)

    status = {os.path.basename(str(result.path)): result.status for result in report}
    assert status == {"changed.fits": "fetched", "gone.fits": "missing"}
    assert archive.right(changed)
    assert archive.here_now() == ["dr17/stars/changed.fits"]


INTERRUPTED = """
import signal, sys
from astra_registry.fetching import Wanted, iter_fetch
signal.signal(signal.SIGINT, signal.default_int_handler)  # also under a shell that runs things in the background
items = [Wanted((url,), path) for url, path in zip(sys.argv[1::2], sys.argv[2::2])]
for result in iter_fetch(items, transport="rsync", checksums="never"):
    print(result.status, flush=True)
"""


def test_what_rsync_had_brought_before_an_interrupt_need_not_come_again(
    archive: Archive, daemon: str, tmp_path: Path
) -> None:
    """Nor where the run after that does not get through to the server; but for what was on the line."""
    archive.add_some(1000)
    items = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(1000)]
    run = beside(INTERRUPTED, *(text for item in items for text in (item.urls[0], item.path)))
    while len(sent(tmp_path)) < 500:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    run.communicate()
    once = len(sent(tmp_path))
    usual = (tmp_path / "rsyncd.conf").read_text()

    with_room_for(-1, tmp_path)
    refused = archive.fetch(items, transport="rsync", remote_base=daemon, retries=0)
    (tmp_path / "rsyncd.conf").write_text(usual)
    report = archive.fetch(items, transport="rsync", remote_base=daemon)

    assert refused.failed
    assert [result.error for result in report] == [None] * 1000
    assert sum(sent(tmp_path).values()) - 1000 < once / 3
    assert len(archive.here_now()) == 1000


def test_what_is_left_of_a_file_that_comes_another_way_is_removed(tmp_path: Path) -> None:
    """With its folder, where nothing else is left there."""
    target = tmp_path / "dr17/stars/a.fits"
    parts = [tmp_path / f"dr17/.astra-rsync-{number}/stars/.astra-partial" for number in range(2)]
    for folder in parts:
        folder.mkdir(parents=True)
        (folder / "a.fits").write_bytes(b"half of it")
    (parts[1] / "b.fits").write_bytes(b"of another one")

    forget("stars/a.fits", str(target))

    assert [path.name for path in tmp_path.rglob("*.fits")] == ["b.fits"]
    assert not (tmp_path / "dr17/.astra-rsync-0").exists()


def test_a_sas_in_a_path_is_the_folder_above_the_modules_once(archive: Archive, daemon: str) -> None:
    """And not again in what is left: that is a module, which this server has not; other groups come."""
    archive.add("dr17/a.fits")
    places = ["sas/dr17/a.fits", "sas/sas/dr17/a.fits", "sas/a.fits", "sas/sas/a.fits"]
    items = [Wanted((f"{daemon}/{place}",), str(archive.here / place)) for place in places]

    report = archive.fetch(items, transport="rsync", remote_base=daemon, jobs=1)

    told = {str(result.url).removeprefix(f"{daemon}/"): (result.status, str(result.error)) for result in report}
    assert [told[place][0] for place in places] == ["fetched", "missing", "missing", "missing"]
    assert all("has no such module: @ERROR: Unknown module 'sas'" in told[place][1] for place in places[1:3])


# ---------------------------------------------------------------- servers that fail


@pytest.fixture
def nobody() -> str:
    """A server that is down."""
    return f"rsync://127.0.0.1:{free_port()}"


def test_a_server_that_is_down_speaks_for_no_other(archive: Archive, daemon: str, nobody: str) -> None:
    """Though it is asked first."""
    archive.add_some(6)
    good = [by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(6)]
    bad = by_rsync(archive, nobody, "dr17/stars/bad.fits")

    report = archive.fetch([bad, *good], transport="rsync", remote_base=daemon, retries=2, jobs=1)

    [failed] = report.failed
    assert (failed.path, failed.attempts) == (bad.path, 3)
    assert "does not answer by rsync" in str(failed.error)
    assert str(failed.error).endswith("given up after 3 tries")
    assert all(map(archive.right, good))


def test_nobody_waits_for_a_server_of_others(archive: Archive, daemon: str) -> None:
    """However many files there are before, of one that says nothing; neither by rsync nor over https."""

    def listen(line: socket.socket) -> None:
        while line.recv(1 << 16):
            pass

    silent = RawServer(listen)
    base = f"rsync://127.0.0.1:{silent.url.rpartition(':')[2]}"
    items = [by_rsync(archive, base, f"dr17/stars/none-{n:04}.fits") for n in range(600)]
    by_https = archive.add_some(20)
    items += [*by_https[:10], *(by_rsync(archive, daemon, f"dr17/stars/star-{n:04}.fits") for n in range(10, 20))]

    with contextlib.closing(iter_fetch(items, transport="rsync", timeout=10, retries=0, jobs=2)) as results:
        first = [next(results) for _ in range(20)]
    silent.close()

    assert [result.error for result in first] == [None] * 20
    assert all(map(archive.right, by_https))


# ---------------------------------------------------------------- other servers, and of the other kind


def copied_to(mirror: Archive, archive: Archive) -> None:
    shutil.copytree(archive.folder, mirror.folder, dirs_exist_ok=True)


def test_a_mirror_serves_when_the_server_of_rsync_is_down(
    archive: Archive, nobody: str, make_archive: Callable[..., Archive]
) -> None:
    mirror = make_archive()
    archive.add_some(12)
    copied_to(mirror, archive)
    items = [by_rsync(archive, nobody, f"dr17/stars/star-{n:04}.fits") for n in range(12)]

    report = archive.fetch(items, transport="rsync", remote_base=nobody, mirrors=(mirror.sas.url,))

    assert [result.error for result in report] == [None] * 12
    assert all(str(result.url).startswith(mirror.sas.url) for result in report)
    assert all(map(archive.right, items))


@pytest.mark.parametrize("kind", ["rsync", "https"])
def test_a_mirror_may_be_one_of_rsync(archive: Archive, daemon: str, nobody: str, kind: str) -> None:
    """For files of both kinds of servers; the second mirror has what the first one has not."""
    archive.add_some(12)
    items = [by_rsync(archive, nobody, f"dr17/stars/star-{n:04}.fits") for n in range(12)]
    if kind == "https":
        items = [archive.wanted(f"dr17/stars/star-{n:04}.fits") for n in range(12)]
        archive.sas.close()

    report = archive.fetch(items, transport="rsync", remote_base=nobody, mirrors=(f"{daemon}/dr17/none", daemon))

    assert [result.error for result in report] == [None] * 12
    assert all(str(result.url).startswith(f"{daemon}/sas") for result in report)
    assert all(map(archive.right, items))


def test_a_file_of_servers_that_are_all_down_is_given_up(archive: Archive, nobody: str) -> None:
    mirror = f"rsync://127.0.0.1:{free_port()}"

    [result] = archive.fetch(
        [by_rsync(archive, nobody, "dr17/a.fits")],
        transport="rsync",
        remote_base=nobody,
        mirrors=(mirror,),
        retries=2,
    )

    assert (result.status, result.attempts) == ("failed", 6)
    assert f"{mirror.removeprefix('rsync://')} does not answer" in str(result.error)


def test_what_no_mirror_has_is_not_missing_while_the_first_server_is_down(
    archive: Archive, daemon: str, nobody: str
) -> None:
    """And it is missing where that server says so, though a mirror has it."""
    archive.add("dr17/a.fits")
    down, told = by_rsync(archive, nobody, "dr17/none.fits"), by_rsync(archive, daemon, "dr17/none.fits")

    [unknown] = archive.fetch([down], transport="rsync", remote_base=daemon, mirrors=(daemon,), retries=1)
    [missing] = archive.fetch([told], transport="rsync", remote_base=daemon, mirrors=(nobody,), retries=1)

    assert (unknown.status, missing.status) == ("failed", "missing")
    assert "has no dr17/none.fits" in str(unknown.error)
    assert "does not answer by rsync" in str(unknown.error)


def test_a_file_comes_from_whichever_kind_of_its_servers_has_it(
    archive: Archive, daemon: str, nobody: str, make_archive: Callable[..., Archive]
) -> None:
    """Whether the others have it not or are down, in either order."""
    other = make_archive()
    archive.add("dr17/rsync.fits")
    other.add("dr17/https.fits")
    by_https = other.sas.url_of("dr17/https.fits")
    urls = [
        (f"{daemon}/sas/dr17/none.fits", by_https),
        (f"{nobody}/sas/dr17/none.fits", by_https),
        (by_https, f"{daemon}/sas/dr17/none.fits"),
        (other.sas.url_of("dr17/none.fits"), f"{daemon}/sas/dr17/rsync.fits"),
        (f"{nobody}/sas/dr17/none.fits", f"{daemon}/sas/dr17/rsync.fits"),
    ]
    items = [Wanted(both, str(archive.here / f"{n}.fits")) for n, both in enumerate(urls)]

    for tried in (items, items[::-1]):  # servers that are known to be down, and that are not
        report = archive.fetch(tried, transport="rsync", remote_base=daemon, overwrite=True)

        assert [result.error for result in report] == [None] * 5
    assert archive.here_now() == [f"{n}.fits" for n in range(5)]


def test_what_one_kind_of_servers_has_not_is_missing_where_the_other_says_so_too(
    archive: Archive, daemon: str, nobody: str
) -> None:
    absent = archive.sas.url_of("dr17/none.fits")
    items = [
        Wanted((f"{base}/sas/dr17/none.fits", absent), str(archive.here / f"{n}.fits"))
        for n, base in enumerate((daemon, nobody))
    ]

    report = archive.fetch(items, transport="rsync", remote_base=daemon, retries=1)

    told = {result.path: result for result in report}
    assert told[items[0].path].status == "missing"
    assert told[items[1].path].status == "failed"
    assert "cannot be reached" in str(told[items[1].path].error)


def test_thousands_of_files_of_a_server_that_is_down_are_each_told_so(archive: Archive, nobody: str) -> None:
    """And only the first groups of them are tried."""
    items = [by_rsync(archive, nobody, f"dr17/{n}.fits") for n in range(3000)]

    report = archive.fetch(items, transport="rsync", remote_base=nobody, retries=2, jobs=4)

    authority = nobody.removeprefix("rsync://")
    told = Counter(re.sub(r"\d+ files in a row", "N files in a row", str(result.error)) for result in report)
    refused = f"{authority} does not answer by rsync"
    beginnings = {"given up", "not tried", "tried"}
    for error in told:
        beginning = error.partition(": N files in a row failed at")[0] if " in a row " in error else "tried"
        assert beginning in beginnings, error
        assert refused in error, error
    assert sum(told.values()) == 3000
    assert sum(count for error, count in told.items() if error.startswith("not tried")) >= 500
    assert {result.attempts for result in report if str(result.error).startswith("not tried")} == {0}
    assert archive.here_now() == []


def test_a_server_that_comes_up_is_asked_again(
    archive: Archive, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with an rsync URL has no other way."""
    archive.add("dr17/a.fits")
    port, refused = free_port(), tmp_path / "refused"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "rsync").write_text(f'#!/bin/sh\n{RSYNC} "$@"\ncode=$?\ntouch {refused}\nexit $code\n')
    (programs / "rsync").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    item = by_rsync(archive, f"rsync://127.0.0.1:{port}", "dr17/a.fits")

    def started() -> subprocess.Popen[bytes]:
        while not refused.exists():
            time.sleep(0.01)
        return listening([*DAEMON, f"--config={configuration}"], port)[1]

    with ThreadPoolExecutor(1) as pool:
        daemon = pool.submit(started)
        [result] = archive.fetch([item], transport="rsync", retries=10)
    daemon.result().kill()
    daemon.result().wait()

    assert result.status == "fetched", result.error
    assert result.attempts > 1
    assert archive.right(item)


def test_a_line_that_is_reset_is_no_server_that_does_not_answer(archive: Archive, daemon: str) -> None:
    """Though rsync ends with the same code, where the line breaks while it says what it wants; it is asked again."""
    folder = f"dr17/{'s' * 150}"
    archive.add_some(100, size=3000, folder=folder)
    resets: list[int] = []  # after how many bytes

    def reset_once(line: socket.socket) -> None:
        with connected(daemon) as server:
            for said, _ in passed_on(line, server):
                if said > 2000 and not resets:
                    resets.append(said)
                    reset(line)
                    return

    relay = RawServer(reset_once)
    base = f"rsync://127.0.0.1:{relay.url.rpartition(':')[2]}"
    items = [by_rsync(archive, base, f"{folder}/star-{n:04}.fits") for n in range(100)]
    try:
        report = archive.fetch(items, transport="rsync", remote_base=base, jobs=2)
    finally:
        relay.close()

    assert [result.error for result in report] == [None] * 100
    assert len(resets) == 1
    assert {result.attempts for result in report} == {1, 2}  # one group of two
    assert all(map(archive.right, items))


def test_a_file_that_is_broken_off_again_and_again_comes_in_the_end(archive: Archive, daemon: str) -> None:
    """Over a line that brings something each time, though not as often as it is tried without that."""
    archive.add("dr17/large.dat", random.Random(1).randbytes(4_000_000))
    cuts: list[int] = []

    def cut(line: socket.socket) -> None:
        with connected(daemon) as server:
            for _, came in passed_on(line, server):
                if came > 1_000_000:
                    cuts.append(came)
                    line.shutdown(socket.SHUT_WR)  # a reset would take along what is under way
                    while line.recv(1 << 16):
                        pass
                    return

    relay = RawServer(cut)
    base = f"rsync://127.0.0.1:{relay.url.rpartition(':')[2]}"
    try:
        item = Wanted((f"{base}/dr17/large.dat",), str(archive.here / "dr17/large.dat"))
        [result] = archive.fetch([item], transport="rsync", remote_base=base, retries=1)
    finally:
        relay.close()

    assert result.error is None
    assert len(cuts) > 1
    assert result.attempts > 2
    assert archive.right(item)


def connected(daemon: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(daemon.rpartition(":")[2])))


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def passed_on(line: socket.socket, server: socket.socket) -> Iterator[tuple[int, int]]:
    """Pass on what a client and a server say until one of them ends; give how many bytes each has said."""
    said = came = 0
    with selectors.DefaultSelector() as ready:
        ready.register(line, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, line)
        while True:
            for key, _ in ready.select():
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)
                said += len(data) if key.fileobj is line else 0
                came += len(data) if key.fileobj is server else 0
                yield said, came


def test_without_the_program_what_only_rsync_has_is_told_so(
    archive: Archive, daemon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the others come over https."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    items = [*archive.add_some(4), by_rsync(archive, daemon, "dr17/stars/star-0005.fits")]

    report = archive.fetch(items, transport="rsync")

    [failed] = report.failed
    assert (failed.path, failed.error, failed.attempts) == (items[4].path, "there is no program rsync here", 0)
    assert all(map(archive.right, items[:4]))
