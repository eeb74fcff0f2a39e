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


def test_only_checks_that_were_made_are_told(cli: Cli, sas_base_dir: Path) -> None:
    sas_base_dir.mkdir()
    for name, content in {"a.dat": b"garbage", "a.png": b"\x89PNG", "a.parquet": b"PAR1" + bytes(8) + b"PAR1"}.items():
        (sas_base_dir / name).write_bytes(content)
    for name, content in {"cut.parquet": b"PAR1" + bytes(9), "junk.parquet": bytes(99)}.items():
        (sas_base_dir / name).write_bytes(content)

    found = {Path(line["path"]).name: line for line in cli("verify", "--json").data}

    whole = {name: line["checks"] for name, line in found.items() if line["status"] == "whole"}
    assert whole == {"a.dat": [], "a.png": ["beginning"], "a.parquet": ["structure"]}
    assert "cut" in found["cut.parquet"]["problem"]
    assert "not a parquet file" in found["junk.parquet"]["problem"]


def test_a_file_that_is_no_product_may_be_empty_and_edited(cli: Cli, sas_base_dir: Path, fetched: list[Path]) -> None:
    """One of the survey's is held to what is known of it, and told how to settle that."""
    notes, log = sas_base_dir / "notes.txt", sas_base_dir / "dr13" / "run.log"
    notes.write_text("first")
    log.touch()
    assert cli("verify").code == 0

    notes.write_text("second")
    ran = cli("verify")
    assert (ran.code, ran.out) == (0, "")

    os.utime(notes, (1, 1))
    cli("verify")
    notes.write_text("third!")
    os.utime(notes, (1, 1))
    rotten = cli("verify")
    assert (rotten.code, "damaged since it was found whole" in rotten.out) == (1, True)
    assert "--remote" not in rotten.out

    notes.unlink()
    shutil.copyfile(fetched[1], fetched[0])
    replaced = cli("verify")
    assert replaced.code == 1
    assert "`verify --remote` finds it right" in replaced.out
