"""A mounted SAS, rsync against a real daemon, and transports of others."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry.errors import BadSetting, FileMissing
from astra_registry.fetching import Fetched, Wanted
from astra_registry.fetching.export import export

from .conftest import RSYNC, Archive, fits_bytes


def test_a_mounted_sas_is_copied_with_its_times(archive: Archive) -> None:
    archive.add("dr17/a.fits")
    item = Wanted((f"file://{archive.folder}/dr17/a.fits",), str(archive.here / "dr17/a.fits"))
    none = Wanted((f"file://{archive.folder}/dr17/none.fits",), str(archive.here / "dr17/none.fits"))

    report = archive.fetch([item, none], transport="file")

    assert sorted(result.status for result in report) == ["fetched", "missing"]
    assert archive.right(item)
    assert os.stat(item.path).st_mtime == os.stat(archive.folder / "dr17/a.fits").st_mtime


def test_a_mounted_sas_can_be_linked_to(archive: Archive) -> None:
    archive.add("dr17/a.fits")
    item = Wanted((f"file://{archive.folder}/dr17/a.fits",), str(archive.here / "dr17/a.fits"))

    assert archive.fetch([item], transport="file", link=True)[0].status == "fetched"
    assert os.readlink(item.path) == str(archive.folder / "dr17/a.fits")
    assert archive.fetch([item], transport="file", link=True)[0].status == "present"


class Attic:
    """A transport as a plugin may bring one: one method."""

    def fetch(self, url: str, destination: str) -> Fetched | None:
        if "none" in url:
            raise FileMissing(f"the attic has no {url}")
        Path(destination).write_bytes(fits_bytes(1, 5000) if "cut" not in url else fits_bytes(1, 5000)[:-5000])
        return None


def test_links_over_http_are_refused(archive: Archive) -> None:
    """Copies in their place would be a surprise for the disk."""
    with pytest.raises(BadSetting, match="needs the transport file"):
        archive.fetch(archive.wanted("dr17/a.fits"), link=True)


def test_a_transport_is_one_method(archive: Archive) -> None:
    items = [Wanted((f"attic:{n}",), str(archive.here / f"{n}.fits")) for n in ("a", "none", "cut")]

    report = {result.url: result for result in archive.fetch(items, transport=Attic(), retries=1)}

    assert {url: result.status for url, result in report.items()} == {
        "attic:a": "fetched",
        "attic:none": "missing",
        "attic:cut": "failed",
    }
    assert archive.here_now() == ["a.fits"]


def test_an_unknown_transport_is_refused_at_once(archive: Archive) -> None:
    with pytest.raises(BadSetting, match="http, file, rsync"):
        archive.fetch([], transport="carrier pigeon")


def test_a_folder_without_a_name_is_refused_at_once(archive: Archive) -> None:
    with pytest.raises(BadSetting, match="sas_base_dir is ''"):
        archive.fetch([archive.add("dr17/a.fits")], sas_base_dir="")


# ---------------------------------------------------------------- rsync

if RSYNC:

    @pytest.fixture
    def daemon(archive: Archive, tmp_path: Path) -> Iterator[str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        for folder in ("dr17", "sdsswork"):
            (archive.folder / folder).mkdir()
        secrets = tmp_path / "rsync.secrets"
        secrets.write_text("sdss5:pa55\n")
        secrets.chmod(0o600)
        modules = f"[dr17]\npath = {archive.folder}/dr17\n[sdsswork]\npath = {archive.folder}/sdsswork\n"
        modules += f"auth users = sdss5\nsecrets file = {secrets}\n"
        owner = "uid = root\ngid = root\n" if os.geteuid() == 0 else ""
        file = tmp_path / "rsyncd.conf"
        file.write_text(f"use chroot = no\nport = {port}\nlog file = {tmp_path}/rsyncd.log\n{owner}{modules}")
        command = [RSYNC, "--daemon", "--no-detach", f"--config={file}", "--address=127.0.0.1"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield f"rsync://127.0.0.1:{port}"
            process.terminate()

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

    def test_the_password_goes_by_the_environment(
        archive: Archive, daemon: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive.add("sdsswork/a.fits")
        item = by_rsync(archive, daemon, "sdsswork/a.fits")

        [refused] = archive.fetch([item], transport="rsync", timeout=10, remote_base=daemon)
        monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", "sdss5")
        monkeypatch.setenv("ASTRA_REGISTRY_PASSWORD", "pa55")
        [result] = archive.fetch([item], transport="rsync", timeout=10, remote_base=daemon)

        assert (refused.status, result.status) == ("unauthorized", "fetched")

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


def test_where_rsync_does_not_answer_https_does_it(archive: Archive) -> None:
    """Nothing listens on port 873 here, or there is no program; the same files come over HTTP."""
    items = archive.add_some(8)

    report = archive.fetch(items, transport="rsync")

    assert [result.status for result in report] == ["fetched"] * 8
    assert all(map(archive.right, items))
    assert len(archive.here_now()) == 8
