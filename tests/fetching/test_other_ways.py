"""A mounted SAS, transports of others, and https where rsync does not answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from astra_registry.errors import BadSetting, FileMissing
from astra_registry.fetching import Fetched, Progress, Wanted

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


def test_where_rsync_does_not_answer_https_does_it(archive: Archive) -> None:
    """Nothing listens on port 873 here, or there is no program; the same files come over HTTP."""
    items = archive.add_some(8)

    report = archive.fetch(items, transport="rsync")

    assert [result.status for result in report] == ["fetched"] * 8
    assert all(map(archive.right, items))
    assert len(archive.here_now()) == 8
