"""`verify` from the command line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astra_registry.testing.sas import EmbeddedSas

from .conftest import DATA

Cli = Callable[..., Any]


@pytest.fixture
def fetched(cli: Cli, sas: EmbeddedSas) -> list[Path]:
    return [Path(p) for p in cli("fetch", "apStar", "--from", DATA / "tables" / "stars.csv", "--release", "dr13").lines]


def test_whole_files_are_silent_and_counted(cli: Cli, fetched: list[Path]) -> None:
    ran = cli("verify")

    assert (ran.code, ran.out) == (0, "")
    assert "2 whole" in ran.err
    assert [line["status"] for line in cli("verify", *fetched, "--json", "--remote").data] == ["whole", "whole"]


def test_a_cut_file_is_named_and_repaired(cli: Cli, fetched: list[Path]) -> None:
    size = fetched[0].stat().st_size
    os.truncate(fetched[0], size - 2880)

    bad = cli("verify")
    assert bad.code == 1
    assert bad.out.startswith(f"bad: {fetched[0]}: ")

    repaired = cli("verify", "--repair")
    assert repaired.code == 0
    assert repaired.out.startswith(f"repaired: {fetched[0]}")
    assert fetched[0].stat().st_size == size


def test_a_changed_byte_is_found_by_the_recorded_checksum(cli: Cli, fetched: list[Path]) -> None:
    with open(fetched[0], "r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"x")

    (found,) = [line for line in cli("verify", "--json").data if line["status"] != "whole"]

    assert (found["status"], found["path"]) == ("bad", str(fetched[0]))
    assert "sha1" in found["problem"]


def test_a_file_at_a_second_location_is_compared_and_repaired_from_there(cli: Cli, sas: EmbeddedSas) -> None:
    legacy = ("spec", "--release", "dr16", "--run2d", "26", "--plate", "332", "--mjd", "52367", "--fiberid", "639")
    [path] = cli("fetch", *legacy).lines
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]))  # as if another tool had brought it

    [line] = cli("verify", "--remote", "--json").data
    assert (line["status"], "/spectra/0332/" in line["url"]) == ("whole", True)

    os.truncate(path, 100_000)
    assert cli("verify", "--repair").out.startswith(f"repaired: {path}")


def test_what_an_error_advises_is_an_option(cli: Cli, fetched: list[Path], sas: EmbeddedSas) -> None:
    """Of certificates, and of a login, as fetch has them."""
    assert cli("verify", "--remote", "--ca-bundle", DATA / "sas", "--login").code == 0
    assert "there is no such file" in cli("verify", "--remote", "--ca-bundle", "/nope").err


def test_what_is_no_regular_file_is_told_and_not_waited_for(cli: Cli, sas_base_dir: Path) -> None:
    sas_base_dir.mkdir()
    os.mkfifo(sas_base_dir / "pipe.fits")

    ran = cli("verify")

    assert ran.code == 1
    assert ran.out.endswith("it is no regular file\n")


def test_a_file_that_is_not_there_and_an_archive_that_is_not_are_failures(cli: Cli, tmp_path: Path) -> None:
    ran = cli("verify", tmp_path / "nothing.fits")
    assert ran.code == 1
    assert ran.out.startswith("missing: ")
    assert "there is nothing to verify" in cli("verify").err
