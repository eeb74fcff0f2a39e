"""Links to a mounted archive: what they lead to is never written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from astra_registry.fetching import FetchResult, Wanted, fetch

from .conftest import fits_bytes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of an archive that is mounted here."""
    path = tmp_path / "mounted/sas/dr17/a.fits"
    path.parent.mkdir(parents=True)
    path.write_bytes(fits_bytes(1, 100_000))
    return path


def linked(source: Path, target: Path, **demands: object) -> FetchResult:
    item = Wanted((source.as_uri(),), str(target), **demands)  # type: ignore[arg-type]
    [result] = fetch([item], transport="file", link=True, overwrite=True)
    return result


def test_a_damaged_file_of_the_archive_is_told_and_left_as_it_is(source: Path, tmp_path: Path) -> None:
    cut = source.read_bytes()[:50_000]
    source.write_bytes(cut)

    result = linked(source, tmp_path / "here/a.fits")

    assert result.status == "failed"
    assert "it is cut" in str(result.error)
    assert source.read_bytes() == cut
    assert not (tmp_path / "here").exists()


def test_a_file_of_the_archive_that_is_not_the_locked_one_is_left_as_it_is(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()

    result = linked(source, tmp_path / "here/a.fits", sha1="0" * 40)

    assert (result.status, source.read_bytes()) == ("failed", before)


def test_a_read_only_archive_is_linked(source: Path, tmp_path: Path) -> None:
    source.chmod(0o444)

    result = linked(source, tmp_path / "here/a.fits")

    assert result.status == "fetched", result.error
    assert os.readlink(tmp_path / "here/a.fits") == str(source)


def test_an_archive_is_not_linked_to_itself(source: Path) -> None:
    before = source.read_bytes()

    result = linked(source, source)

    assert (result.status, source.is_symlink()) == ("failed", False)
    assert source.read_bytes() == before
    assert "the archive is this folder itself" in str(result.error)


def test_a_link_is_made_anew(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "here/a.fits"

    assert [linked(source, target).status for _ in range(2)] == ["fetched"] * 2
    assert os.readlink(target) == str(source)
