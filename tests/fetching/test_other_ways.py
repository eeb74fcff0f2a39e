"""A mounted SAS, transports of others, and https where rsync does not answer."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from astra_registry.errors import BadSetting, FileMissing
from astra_registry.fetching import Fetched, Progress, Wanted, fetch
from astra_registry.fetching.verify import verify
from astra_registry.testing.sas import Fault

from .conftest import Archive, fits_bytes


def test_a_mounted_sas_is_copied_with_its_times(archive: Archive) -> None:
    archive.add("dr17/a.fits")
    item = Wanted((f"file://{archive.folder}/dr17/a.fits",), str(archive.here / "dr17/a.fits"))
    none = Wanted((f"file://{archive.folder}/dr17/none.fits",), str(archive.here / "dr17/none.fits"))

    steps: list[Progress] = []
    report = archive.fetch([item, none], transport="file", on_progress=steps.append)

    assert sorted(result.status for result in report) == ["fetched", "missing"]
    assert steps[-1].bytes == os.path.getsize(item.path)
    assert archive.right(item)
    assert os.stat(item.path).st_mtime == os.stat(archive.folder / "dr17/a.fits").st_mtime


def test_a_file_of_a_mounted_sas_that_is_written_to_meanwhile_is_copied_again(archive: Archive) -> None:
    """No copy has its beginning from one version and its end from another."""
    size = 150_000_000
    archive.add("dr17/a.bin", b"")
    source = archive.folder / "dr17/a.bin"
    os.truncate(source, size)
    item = Wanted((f"file://{source}",), str(archive.here / "dr17/a.bin"))

    def write_anew() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and not any(
            os.path.getsize(part) for part in archive.here.rglob("*.astra-part") if part.exists()
        ):
            time.sleep(0.0005)
        with open(source, "r+b") as file:
            for at in (0, size - 1):
                file.seek(at)
                file.write(b"B")
                file.flush()

    writing = threading.Thread(target=write_anew)
    writing.start()
    report = archive.fetch([item], transport="file")
    writing.join()

    assert [result.status for result in report] == ["fetched"]
    with open(item.path, "rb") as file:
        first = file.read(1)
        file.seek(size - 1)
        assert first + file.read(1) in (b"BB", b"\0\0")


def test_what_cannot_be_read_of_a_mounted_sas_is_told_as_that(archive: Archive) -> None:
    (archive.folder / "dr17/a.bin").mkdir(parents=True)
    (archive.folder / "dr17/b.bin").symlink_to("b.bin")
    items = [Wanted((f"file://{archive.folder}/dr17/{n}",), str(archive.here / n)) for n in ("a.bin", "b.bin")]

    told = sorted(str(result.error) for result in archive.fetch(items, transport="file"))

    assert told == [
        f"{archive.folder}/dr17/a.bin cannot be read (Is a directory)",
        f"{archive.folder}/dr17/b.bin cannot be read (Too many levels of symbolic links)",
    ]


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


def test_a_server_that_the_transport_cannot_ask_is_refused_at_once(archive: Archive) -> None:
    """Another transport may."""
    with pytest.raises(BadSetting, match="remote_base is 'attic://house', and the transport http wants http"):
        archive.fetch([], remote_base="attic://house")

    assert archive.fetch([archive.wanted("a.fits")], remote_base="attic://house", transport=Attic())[0].ok


def test_a_folder_without_a_name_is_refused_at_once(archive: Archive) -> None:
    with pytest.raises(BadSetting, match="sas_base_dir is ''"):
        archive.fetch([archive.add("dr17/a.fits")], sas_base_dir="")


def test_what_has_no_place_by_rsync_comes_over_the_url_that_it_has(archive: Archive) -> None:
    """The servers of rsync mirror what is below the sas of the others."""
    item = archive.add("dr17/a.fits")
    elsewhere = Wanted((item.urls[0].replace("/sas/", "/"),), item.path)
    archive.sas.faults = lambda request: Fault(body=(archive.folder / "dr17/a.fits").read_bytes())

    [result] = archive.fetch([elsewhere], transport="rsync")

    assert result.status == "fetched", result.error
    assert archive.right(item)


def test_where_rsync_does_not_answer_https_does_it(archive: Archive) -> None:
    """Nothing listens on port 873 here, or there is no program; the same files come over HTTP."""
    items = archive.add_some(8)

    report = archive.fetch(items, transport="rsync")

    assert [result.status for result in report] == ["fetched"] * 8
    assert all(map(archive.right, items))
    assert len(archive.here_now()) == 8


@pytest.fixture
def mounted(tmp_path: Path) -> Callable[..., tuple[str, list[Wanted]]]:
    """An archive whose server is a folder of this machine: its files by name, some with the sha1 of others listed."""

    def make(*names: str, wrongly_listed: tuple[str, ...] = ()) -> tuple[str, list[Wanted]]:
        folder, here = tmp_path / "mount/sas/dr17/a folder", tmp_path / "here"
        folder.mkdir(parents=True)
        base = (tmp_path / "mount").as_uri()
        listing = []
        for seed, name in enumerate(names):
            data = fits_bytes(seed, 20_000)
            (folder / name).write_bytes(data)
            sha1 = hashlib.sha1(data if name not in wrongly_listed else b"").hexdigest()
            listing.append(f"{sha1}  {name}\n")
        (folder / "all.sha1sum").write_text("".join(listing))
        return base, [Wanted((f"{base}/sas/dr17/a%20folder/{n}",), str(here / f"dr17/a folder/{n}")) for n in names]

    return make


def test_copies_of_a_mounted_sas_are_compared_with_the_sha1_that_it_lists(
    mounted: Callable[..., tuple[str, list[Wanted]]],
) -> None:
    _, items = mounted("a.fits", "b.fits", wrongly_listed=("b.fits",))

    good, bad = sorted(fetch(items, transport="file", retries=0), key=lambda result: str(result.path))

    assert (good.status, bad.status) == ("fetched", "failed")
    assert "and the server lists da39a3ee" in str(bad.error)
    assert not os.path.exists(items[1].path)


def test_verify_compares_with_a_mounted_sas(mounted: Callable[..., tuple[str, list[Wanted]]], tmp_path: Path) -> None:
    base, items = mounted("a.fits", "b.fits", "c.fits", "d.fits", wrongly_listed=("b.fits",))
    fetch(items, transport="file", checksums="never").raise_for_failures()
    there = tmp_path / "mount/sas/dr17/a folder"
    (there / "c.fits").write_bytes(fits_bytes(3, 30_000))
    (there / "d.fits").unlink()

    found = verify([tmp_path / "here"], remote=True, remote_base=base, sas_base_dir=tmp_path / "here")

    whole, listed, size, none = found
    assert (whole.status, whole.checks[-2:]) == ("whole", ("size", "sha1sum"))
    assert (listed.status, "the server lists da39a3ee" in str(listed.problem)) == ("bad", True)
    assert (size.status, f"on the server {len(fits_bytes(3, 30_000))}" in str(size.problem)) == ("bad", True)
    assert (none.status, "there is no" in str(none.problem)) == ("unknown", True)


def test_of_a_mounted_sas_too_it_is_told_what_its_folder_holds(
    mounted: Callable[..., tuple[str, list[Wanted]]],
) -> None:
    base, [item] = mounted("star-1.fits")
    packed, far = attrs.evolve(item, path=f"{item.path}.gz"), attrs.evolve(item, path=f"{item.path}.far")
    packed = attrs.evolve(packed, urls=(f"{item.urls[0]}.gz",))
    far = attrs.evolve(far, urls=(f"{base}/sas/dr18/none/star.fits",))

    told = {str(result.url)[-4:]: str(result.error) for result in fetch([packed, far], transport="file")}

    assert "; it has star-1.fits" in told["s.gz"]
    assert "(nor its folder)" in told["fits"]


@pytest.mark.parametrize("transport", ["http", "file"])
def test_a_base_that_is_the_folder_sas_itself_is_told_of(archive: Archive, tmp_path: Path, transport: str) -> None:
    """It has to be what holds that; and there may be a server that has two of them, one in the other."""
    (tmp_path / "sas").symlink_to(archive.folder)
    base = {"http": archive.sas.url, "file": tmp_path.as_uri()}[transport]
    item = Wanted((f"{base}/sas/sas/dr17/a.fits",), str(tmp_path / "here" / "a.fits"))

    [wrong] = archive.fetch([item], transport=transport, remote_base=f"{base}/sas")
    (archive.folder / "sas").mkdir()
    [right] = archive.fetch([item], transport=transport, remote_base=f"{base}/sas")

    assert str(wrong.error).endswith(f"; there is no folder sas in {base}/sas, and remote_base is what holds one")
    assert str(right.error).endswith("(nor its folder)")
