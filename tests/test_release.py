"""Releases: their names, dates and pipeline versions."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest

from astra_registry.errors import UnknownRelease
from astra_registry.paths import roots
from astra_registry.release import canonical, default_version, is_public, release_date, releases, versions


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("dr17", "dr17"), ("DR17", "dr17"), ("DR-17", "dr17"), ("dr-17", "dr17"), ("IPL-3", "ipl3"), ("ipl3", "ipl3"),
        ("WORK", "sdsswork"), ("work", "sdsswork"), ("sdsswork", "sdsswork"), ("sdss5", "sdss5"), ("SDSS5", "sdss5"),
    ],
)  # fmt: skip
def test_a_release_has_one_spelling(given: str, meant: str) -> None:
    assert canonical(given) == meant


@pytest.mark.parametrize(
    "wrong", ["dr99", "dr6", "", "sdss", "mpl11", "dr17.cfg", "../dr17", "dr17\n", "dr--17", None, 17, ["dr17"]]
)
def test_what_is_no_release_is_an_error_and_not_another_release(wrong: object) -> None:
    """sdss_access takes dr99 for the newest."""
    with pytest.raises(UnknownRelease):
        canonical(wrong)  # type: ignore[arg-type]


def test_the_message_names_close_releases_or_all() -> None:
    with pytest.raises(UnknownRelease, match="did you mean 'dr"):
        canonical("dr99")
    with pytest.raises(UnknownRelease, match="dr7 … dr20, ipl1 … ipl4, sdsswork"):
        canonical("gaia")


def test_releases_come_in_their_natural_order() -> None:
    known = releases()

    assert known[:3] == ("dr7", "dr8", "dr9")
    assert known[-5:] == ("ipl1", "ipl2", "ipl3", "ipl4", "sdsswork")
    assert len(known) >= 19


def test_a_data_release_is_public_from_its_date_on() -> None:
    date = release_date("dr19")
    assert date is not None

    assert not is_public("dr19", date - datetime.timedelta(days=1))
    assert is_public("dr19", date)
    assert is_public("dr7")


@pytest.mark.parametrize("release", ["ipl4", "sdsswork", "sdss5"])
def test_work_in_progress_is_never_public(release: str) -> None:
    assert not is_public(release, datetime.date(2999, 1, 1))


def test_a_release_knows_its_pipeline_versions() -> None:
    assert default_version("DR17", "apred") == "dr17"
    assert default_version("dr19", "v_astra") == "0.6.0"
    assert default_version("ipl1", "apred") == "1.0", "versions are text"
    assert default_version("dr17", "drpver", "manga") == "v3_1_1"
    assert default_version("dr17", "drpver") == "v3_1_1", "two surveys that agree"
    assert default_version("dr17", "nothing") is None
    assert default_version("dr17", "apred", "manga") is None
    assert default_version("sdss5", "apred") is None


def test_versions_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        versions("dr17")["apred"] = {}  # type: ignore[index]
    with pytest.raises(UnknownRelease):
        versions("dr99")


def test_all_releases_with_versions_or_roots_are_readable() -> None:
    for release in releases():
        definition = roots.definition(release)
        assert definition.templates
        assert all(name == name.upper() for name in definition.roots)
        assert not any("%(" in text for text in definition.roots.values())


def test_another_package_named_tree_does_not_hide_the_release_files(tmp_path: Path) -> None:
    """DeepMind's dm-tree has that name; nothing of that name is ever imported."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "__init__.py").write_text("raise SystemExit('imported')")
    asked = "from astra_registry.release import releases; print(len(releases()))"

    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == str(len(releases())), done.stderr
