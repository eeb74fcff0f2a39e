"""Where output goes: closed streams, readers that leave, encodings that lack a character, names that are no text."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran

COMMAND = (sys.executable, "-m", "astra_registry")
BUFFERED = {"PYTHONUNBUFFERED": ""}  # as output is unless somebody asks for it otherwise
STAR = ("--release", "dr17", "--telescope", "apo25m", "--field", "000+14", "--obj", "2M16544175-2148453")


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of the shell, in which $REGISTRY is the command."""
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        check=False,
        env={**os.environ, **BUFFERED, "REGISTRY": " ".join(COMMAND), **environment},
    )


def unread(*words: str) -> tuple[int, str]:
    """Run a command of whose output nobody reads a word; its exit code, and what it said."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, **BUFFERED}
    with subprocess.Popen(
        [*COMMAND, *words], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        os.close(writing)
        _, told = process.communicate()
    return process.returncode, told


@pytest.mark.parametrize("words", [("list",), ("resolve", "apStar", *STAR, "--json")], ids=lambda words: words[0])
def test_a_reader_who_has_seen_enough_is_no_failure(sas_base_dir: Path, words: tuple[str, ...]) -> None:
    assert unread(*words) == (0, "")


def test_work_that_stops_since_nobody_reads_of_it_is_not_done(sas_base_dir: Path) -> None:
    sas_base_dir.mkdir()
    (sas_base_dir / "cut.fits").write_bytes(b"SIMPLE")

    assert unread("verify", "--json") == (1, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_failure(sas_base_dir: Path, closed: str) -> None:
    ran = shell(f"$REGISTRY resolve apStar {' '.join(STAR)} {closed}")

    assert (ran.returncode, ran.stderr) == (0, b"")
    assert bool(ran.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_a_disk_that_is_full_is_a_failure(sas_base_dir: Path) -> None:
    ran = shell("$REGISTRY list > /dev/full")

    assert (ran.returncode, ran.stderr) == (1, b"astra-registry: No space left on device\n")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "koi8-r"])
def test_a_character_that_the_terminal_lacks_stops_nothing(sas_base_dir: Path, encoding: str) -> None:
    ran = shell("$REGISTRY list --search apStar && $REGISTRY show apStar --json", PYTHONIOENCODING=encoding)

    assert (ran.returncode, ran.stderr) == (0, b"")
    listed, _, shown = ran.stdout.partition(b"\n[{")
    assert b"dr10 \\u2026 dr17" in listed or "dr10 … dr17".encode() in listed
    assert json.loads(b"[{" + shown)[0]["name"] == "apStar"


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_name_that_is_no_text_comes_out_as_it_is(sas_base_dir: Path, locale: str) -> None:
    """Names of files are bytes, and may be of another encoding than the terminal."""
    sas_base_dir.mkdir()
    name = os.fsencode(sas_base_dir) + b"/\xff\xc3\xa9.fits"
    with open(name, "wb"):
        pass

    plain = shell("$REGISTRY verify", LC_ALL=locale, PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")

    assert (plain.returncode, plain.stdout) == (1, b"bad: " + name + b": it is empty\n")
    in_json = shell("$REGISTRY verify --json", LC_ALL="C.UTF-8")
    assert os.fsencode(json.loads(in_json.stdout)[0]["path"]) == name


def test_streams_are_left_as_they_were(cli: Callable[..., object]) -> None:
    before = sys.stdout.errors, sys.stderr.errors

    cli("list", "--search", "apStar")

    assert (sys.stdout.errors, sys.stderr.errors) == before


def test_a_command_within_a_program_leaves_its_garbage_collector_as_it_was(cli: Callable[..., Ran]) -> None:
    before = gc.get_threshold()

    assert cli("--version").code == 0

    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
