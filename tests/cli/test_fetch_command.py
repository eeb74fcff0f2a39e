"""`fetch` from the command line, against the archive on loopback."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.table import MaskedColumn, Table

from astra_registry.conversion import MASKED
from astra_registry.fetching import FetchReport
from astra_registry.fetching.kept import COLUMNS
from astra_registry.tables import read_columns
from astra_registry.testing.sas import EmbeddedSas, Fault

from .conftest import DATA

Cli = Callable[..., Any]
STARS = ("apStar", "--from", DATA / "tables" / "stars.csv", "--release", "dr13")
LEGACY = ("spec", "--release", "dr16", "--run2d", "26", "--plate", "332", "--mjd", "52367", "--fiberid", "639")
KEYS = {"product", "release", "parameters", "url", "path", "status", "bytes", "sha1", "seconds", "attempts", "error"}


def test_a_table_of_stars_is_brought_whole_and_only_once(cli: Cli, sas: EmbeddedSas) -> None:
    first = cli("fetch", *STARS)
    second = cli("fetch", *STARS, "--json")

    assert first.code == second.code == 0
    assert len(first.lines) == 2
    for path in first.lines:
        original = DATA / "sas" / path.partition("/sas/")[2]
        assert Path(path).read_bytes() == original.read_bytes()
    assert "2 fetched" in first.err
    assert [(line["status"], line["attempts"]) for line in second.json_lines] == [("present", 0)] * 2
    assert all(set(line) >= KEYS for line in second.json_lines)


def test_the_bytes_that_are_told_in_the_end_are_those_of_this_run(cli: Cli, sas: EmbeddedSas) -> None:
    """Not the sizes of the files: of this one an earlier run has brought a part."""
    star = ("apStar", "--release", "dr13", "--field", "4264", "--telescope", "apo25m", "--obj", "2M00005143+5615568")
    (where,) = cli("resolve", *star, "--location").lines
    size = (DATA / "sas" / where).stat().st_size
    sas.faults = lambda request: Fault(cut_after=200_000) if request.path.endswith(".fits") else None

    failed = cli("fetch", *star, "--retries", "0")
    sas.faults = None
    fetched = cli("fetch", *star)

    assert "1 failed; 200.0 kB came over the line" in failed.err
    assert f"1 fetched; {(size - 200_000) / 1000:.1f} kB came over the line" in fetched.err


def test_a_file_at_its_second_location_is_kept_at_its_local_path(cli: Cli, sas: EmbeddedSas) -> None:
    (line,) = cli("fetch", *LEGACY, "--json").json_lines

    assert line["status"] == "fetched"
    assert "/spectra/0332/" in line["url"]
    assert "/spectra/full/0332/" in line["path"]
    assert line["sha1"] == hashlib.sha1(Path(line["path"]).read_bytes()).hexdigest()


def test_a_missing_file_is_a_failure_with_a_reason_and_leaves_nothing(
    cli: Cli, sas: EmbeddedSas, sas_base_dir: Path
) -> None:
    ran = cli("fetch", *LEGACY[:-1], "638", "--json")

    assert ran.code == 1
    assert ran.json_lines[0]["status"] == "missing"
    assert "; its folder holds 2 files, among them spec-0332-52367-0639.fits" in ran.json_lines[0]["error"]
    assert list(sas_base_dir.rglob("*.fits*")) == []


def test_rows_that_cannot_be_used_are_reported_and_the_others_brought(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path
) -> None:
    table = tmp_path / "stars.csv"
    rows = (DATA / "tables" / "stars.csv").read_text().splitlines()
    good = [row for row in rows if ",4264," in row or ",4587," in row]
    table.write_text("\n".join([rows[0], good[0], good[1].replace("2M", "a/b"), good[1], good[0]]))

    ran = cli("fetch", "apStar", "--from", table, "--release", "dr13", "--json")

    assert ran.code == 1
    by_status = sorted(line["status"] for line in ran.json_lines)
    assert by_status == ["failed", "fetched", "fetched"], "doubles come once"
    failed = next(line for line in ran.json_lines if line["status"] == "failed")
    assert (failed["url"], failed["path"]) == (None, None)
    assert "row 1" in failed["error"]
    told = cli("fetch", "apStar", "--from", table, "--release", "dr13").err
    assert told.startswith("failed: row 1: apStar: obj = 'a/b")


def test_each_row_of_a_product_that_is_on_no_server_has_its_outcome(cli: Cli, tmp_path: Path) -> None:
    """They are a batch that fails as a whole."""
    table, report = tmp_path / "nights.csv", tmp_path / "out.csv"
    table.write_text("mjd\n58000\n58001\n58002\n")
    nights = ("fetch", "guidermon", "--release", "dr17", "--from", table)

    ran = cli(*nights, "--json", "--report", report)

    assert ran.code == 1
    assert [line["parameters"]["mjd"] for line in ran.json_lines] == [58000, 58001, 58002]
    assert read_columns(str(report))["status"] == ["failed"] * 3
    planned = cli(*nights, "--dry-run")
    assert "3 rows cannot be used" in planned.out
    assert planned.err.count("cannot be used: ") == 3


def test_rows_may_tell_their_release_and_product(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    table = tmp_path / "mixed.csv"
    table.write_text(
        "product,release,plate,mjd,fiberid,run2d,telescope,field,obj\n"
        "spec,DR16,332,52367,639,26,,,\n"
        "apStar,dr13,,,,,apo25m,4587,2M03290406+3117075\n"
        "nothing,dr13,,,,,apo25m,4587,2M03290406+3117075\n"
    )

    ran = cli("fetch", "--from", table, "--json")

    told = {line["product"]: line["status"] for line in ran.json_lines if line["status"] != "failed"}
    assert told == {"spec": "fetched", "apStar": "fetched"}
    assert ["nothing" in str(line["error"]) for line in ran.json_lines if line["status"] == "failed"] == [True]


def test_rows_that_tell_their_products_may_have_one_release_from_the_command_line(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path
) -> None:
    table = tmp_path / "mixed.csv"
    table.write_text("product,telescope,field,obj\napStar,apo25m,4587,2M03290406+3117075\n")

    ran = cli("fetch", "--release", "dr13", "--from", table, "--json")

    assert [(line["status"], line["release"]) for line in ran.json_lines] == [("fetched", "dr13")]


@pytest.mark.parametrize("source", ["--locked", "--urls", "--paths"])
def test_a_release_beside_a_list_that_tells_the_releases_is_refused(cli: Cli, tmp_path: Path, source: str) -> None:
    (tmp_path / "list").write_text("")

    ran = cli("fetch", "--release", "dr13", source, tmp_path / "list")

    assert (ran.code, "leave the release out" in ran.err) == (2, True)


def test_a_masked_product_or_release_is_its_rows_failure(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    masked = {"product": [0, 1, 0], "release": [0, 0, 1]}
    columns = {"product": ["apStar"] * 3, "release": ["dr13"] * 3}
    table = Table({name: MaskedColumn(column, mask=masked[name]) for name, column in columns.items()})
    table["telescope"], table["field"], table["obj"] = "apo25m", "4587", "2M03290406+3117075"
    table.write(tmp_path / "mixed.ecsv")

    lines = cli("fetch", "--from", tmp_path / "mixed.ecsv", "--json").json_lines

    assert sorted(str(line["error"])[:20] for line in lines) == ["None", "row 1: its product i", "row 2: apStar: relea"]


def test_a_dry_run_plans_and_brings_nothing(cli: Cli, sas: EmbeddedSas, sas_base_dir: Path) -> None:
    ran = cli("fetch", *STARS, "--dry-run")

    assert "2 files, 0 here already, 2 to fetch, 1.5 MB" in ran.out
    assert cli("fetch", *STARS, "--dry-run", "--json").data["known_bytes"] == 1_465_920
    assert not list(sas_base_dir.rglob("*.fits"))


def test_before_a_fetch_each_connection_asks_for_one_size_and_a_dry_run_for_more(cli: Cli, sas: EmbeddedSas) -> None:
    for further, asked in ((("--dry-run", "--jobs", 1), 2), (("--jobs", 1), 1)):
        sas.forget()
        sas.connections = 0
        ran = cli("fetch", *STARS, *further)

        assert [request.method for request in sas.requests].count("HEAD") == asked
        assert sas.connections == 1, "what asked for the size fetches the file"
        assert "2 files, 0 here already, 2 to fetch" in ran.out + ran.err


@pytest.mark.parametrize("option", ["--report", "--lock"])
@pytest.mark.parametrize("only_tells", [("--dry-run",), ("--export", "curl")])
def test_what_fetches_nothing_is_not_asked_for_a_file_of_what_was_fetched(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, option: str, only_tells: tuple[str, ...]
) -> None:
    ran = cli("fetch", *STARS, *only_tells, option, tmp_path / "out.ecsv")

    assert (ran.code, ran.out, sas.requests) == (2, "", [])
    assert f"{only_tells[0]} fetches nothing to tell of: leave --report and --lock out" in ran.err


def test_an_export_is_no_dry_run(cli: Cli, sas: EmbeddedSas) -> None:
    ran = cli("fetch", *STARS, "--export", "urls", "--dry-run")

    assert (ran.code, ran.out) == (2, "")
    assert "one of them at a time" in ran.err


def test_a_report_tells_what_came_of_each_file(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    for _ in range(2):
        cli("fetch", *STARS, "--report", tmp_path / "out.ecsv")

    table = Table.read(tmp_path / "out.ecsv")
    assert list(table["status"]) == ["present", "present"]
    assert set(table["release"]) == {"dr13"}


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "parquet", "feather"])
def test_a_report_has_a_line_for_every_row_in_their_order(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, ending: str
) -> None:
    """Doubles too, with what came of the file that they share; in Python a file has one result."""
    header, one, other = STARS[2].read_text().splitlines()
    table, report = tmp_path / "stars.csv", tmp_path / f"out.{ending}"
    table.write_text("\n".join([header, one, "of no use", other, one, one, other]) + "\n")

    for status in ("fetched", "present"):
        ran = cli("fetch", "apStar", "--from", table, "--release", "dr13", "--report", report, "--json")

        assert [line["status"] for line in ran.json_lines if line["row"] != 1] == [status] * 2
        told = read_columns(str(report))
        assert list(map(int, told["row"])) == [0, 1, 2, 3, 4, 5]
        assert told["status"] == [status, "failed", *[status] * 4]
        assert [told["sha1"][row] == told["sha1"][0] for row in range(6)] == [True, False, False, True, True, False]
        assert [int(row) for row in told["same_as"] if row not in (MASKED, "")] == [0, 0, 2]
        assert sorted(result.row for result in FetchReport.from_table(report)) == [0, 1, 2]


def test_a_report_in_fits_loses_no_letter_of_a_path(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    """FITS holds ASCII alone."""
    folder, report = tmp_path / "sás – \\x41", tmp_path / "out.fits"

    ran = cli("fetch", *STARS, "--sas-base-dir", folder, "--report", report)

    paths = [path.encode("ascii").decode("unicode_escape") for path in read_columns(str(report))["path"]]
    assert sorted(paths) == sorted(ran.lines)
    assert all(map(os.path.isfile, paths))


def test_a_report_of_a_list_names_its_lines(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    listing, report = tmp_path / "list.txt", tmp_path / "out.csv"
    one, other = cli("resolve", *STARS, "--url").lines
    listing.write_text(f"# stars\n{one}\n\n{other}\n{one}\n")

    cli("fetch", "--urls", listing, "--report", report)

    told = read_columns(str(report))
    assert [*zip(told["row"], told["same_as"], strict=True)] == [("2", ""), ("4", ""), ("5", "2")]


@pytest.mark.parametrize("ending", ["csv", "tsv", "ecsv", "fits", "fits.gz", "vot", "xml", "parquet"])
def test_a_report_can_have_any_format_of_tables(cli: Cli, sas: EmbeddedSas, tmp_path: Path, ending: str) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("# an address, and what is none: é & <b>\nhttps://data.sdss.org/nothing/é & <b>\n")
    report = tmp_path / f"out.{ending}"

    ran = cli("fetch", "--urls", listing, "--report", report, "--retries", "0")

    assert ran.code == 1
    told = read_columns(str(report))
    assert list(told) == list(COLUMNS)
    assert told["status"] == ["failed"]
    assert told["bytes"][0] in (MASKED, "")
    assert told["error"][0].startswith("line 2: ")
    assert "& <b>" in told["error"][0]

    cli("fetch", *STARS, "--report", report)
    back = read_columns(str(report))
    assert sorted(map(int, back["bytes"])) == sorted(Path(path).stat().st_size for path in back["path"])


@pytest.mark.parametrize("option", ["--report", "--lock"])
def test_a_report_that_could_not_be_written_is_refused_before_anything_is_asked(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, option: str
) -> None:
    ran = cli("fetch", *STARS, option, tmp_path / "no" / "out.csv")

    assert (ran.code, sas.requests) == (2, [])
    assert "there is no folder" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("apStar --release dr13 --from stars.csv --report ./stars.csv", "--report and --from are the same file: './st"),
        ("apStar --release dr13 --from stars.csv --report o.ecsv --lock o.ecsv", "--lock and --report are the same"),
        ("--urls stars.csv --lock a.link", "--lock and --urls are the same file: 'a.link'"),
        ("--paths stars.csv --report stars.csv", "--report and --paths are the same file: 'stars.csv'"),
        ("--locked stars.csv --lock stars.csv", "--lock and --locked are the same file: 'stars.csv'"),
    ],
)
def test_nothing_is_written_over_what_is_read_or_written_besides(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table = (DATA / "tables" / "stars.csv").read_text()
    Path("stars.csv").write_text(table)
    os.symlink("stars.csv", "a.link")

    ran = cli("fetch", *words.split())

    assert (ran.code, sas.requests) == (2, [])
    assert told in ran.err
    assert Path("stars.csv").read_text() == table
    assert not os.path.exists("o.ecsv")


@pytest.mark.parametrize(
    ("ending", "package", "told"),
    [
        *((ending, "pyarrow", "pip install 'astra-registry[parquet]'") for ending in ("parquet", "feather", "orc")),
        ("h5", "h5py", "pip install h5py"),
    ],
)
def test_a_report_that_nothing_here_could_write_is_refused_before_anything_is_asked(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, package: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python finds when a package is not there

    ran = cli("fetch", *STARS, "--report", tmp_path / f"out.{ending}")

    assert (ran.code, sas.requests) == (1, [])
    assert told in ran.err


@pytest.mark.parametrize(("beginning", "package"), [(b"PAR1", "pyarrow"), (b"\x89HDF\r\n\x1a\n", "h5py")])
def test_a_table_that_nothing_here_can_read_is_a_failure_that_says_what_to_install(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beginning: bytes, package: str
) -> None:
    table = tmp_path / "stars"
    table.write_bytes(beginning.ljust(2048))
    monkeypatch.setitem(sys.modules, package, None)

    ran = cli("resolve", "apStar", "--release", "dr13", "--from", table)

    assert ran.code == 1
    assert "needs an optional package: pip install " in ran.err


@pytest.mark.parametrize("place", ["a folder", "a pipe", "/proc/data.lock"])
def test_a_lock_file_that_cannot_be_written_is_refused_before_anything_is_fetched(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("a folder")
    os.mkfifo("a pipe")

    ran = cli("fetch", *STARS, "--lock", place)

    assert (ran.code, sas.requests) == (2, [])
    assert f"'{place}' cannot be written: " in ran.err
    assert stat.S_ISFIFO(os.stat("a pipe").st_mode)


def test_a_report_that_cannot_be_written_in_the_end_is_named_and_costs_no_lock_file(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path
) -> None:
    report, lock = tmp_path / "out.csv", tmp_path / "data.lock"
    sas.faults = lambda request: Fault(before=lambda: report.mkdir(exist_ok=True))

    ran = cli("fetch", *STARS, "--report", report, "--lock", lock)

    assert ran.code == 1
    assert ran.err.endswith(f"astra-registry: '{report}' cannot be written: Is a directory\n")
    assert "2 fetched" in ran.err
    assert len(lock.read_text().splitlines()) == 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_lock_file_of_a_part_of_the_files_is_said_to_be_that(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    sas.faults = lambda request: Fault(status=404) if "4264" in request.path else None

    ran = cli("fetch", *STARS, "--lock", tmp_path / "data.lock")

    assert ran.code == 1
    assert f"{tmp_path / 'data.lock'} holds 1 of 2 files" in ran.err


def test_a_lock_file_brings_the_same_data_elsewhere_or_says_what_differs(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path
) -> None:
    cli("fetch", *STARS, "--lock", tmp_path / "data.lock")

    other = ("--sas-base-dir", tmp_path / "other", "fetch", "--locked", tmp_path / "data.lock")
    again = cli(*other, "--lock", tmp_path / "again.lock", "--json")
    assert again.code == 0
    assert [(line["product"], line["parameters"]["telescope"]) for line in again.json_lines] == [
        ("apStar", "apo25m")
    ] * 2
    assert (tmp_path / "again.lock").read_text() == (tmp_path / "data.lock").read_text()

    text = (tmp_path / "data.lock").read_text()
    (tmp_path / "data.lock").write_text(text.replace('"size": 276480', '"size": 276481'))
    differs = cli("--sas-base-dir", tmp_path / "third", "fetch", "--locked", tmp_path / "data.lock", "--json")
    assert differs.code == 1
    assert "276" in next(line["error"] for line in differs.json_lines if line["status"] == "failed")


@pytest.mark.parametrize("source", ["--locked", "--urls", "--paths"])
def test_a_product_beside_a_list_that_tells_the_products_is_refused(cli: Cli, tmp_path: Path, source: str) -> None:
    (tmp_path / "list").write_text("")

    ran = cli("fetch", "apStar", source, tmp_path / "list")

    assert (ran.code, "leave the product out" in ran.err) == (2, True)


@pytest.mark.parametrize("style", ["urls", "aria2", "curl", "rsync"])
def test_what_would_be_fetched_can_be_given_to_another_program(cli: Cli, sas: EmbeddedSas, style: str) -> None:
    ran = cli("fetch", *STARS, "--export", style)

    assert ran.code == 0
    assert "apStar-r6-2M03290406+3117075.fits" in ran.out
    assert sas.requests == []


def test_the_help_says_what_may_be_left_out(cli: Cli) -> None:
    told = " ".join(cli("fetch", "--help").out.split())

    assert "fetch [OPTIONS] [PRODUCT [OPTIONS]]" in told
    assert "(auto: where that costs little)" in told


def test_mirrors_may_be_named(cli: Cli, sas: EmbeddedSas) -> None:
    ran = cli("--remote-base", "http://127.0.0.1:1", "fetch", *STARS, "--mirrors", f"http://127.0.0.1:2,{sas.url}")

    assert ran.code == 0
    assert len(ran.lines) == 2


def test_an_export_without_some_rows_says_so(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "stars.csv"
    table.write_text("obj,field,telescope,apred\n2M03290406+3117075,4587,apo25m,r6\n,4587,apo25m,r6\n")

    ran = cli("fetch", "apStar", "--from", table, "--release", "dr13", "--export", "urls")

    assert ran.code == 1
    assert len(ran.lines) == 1
    assert ran.err.startswith("left out: row 1: ")


@pytest.mark.parametrize("name", ["stars.csv", "stars.fits", "stars.parquet", "stars.ecsv"])
def test_a_table_in_the_place_of_a_list_is_refused(cli: Cli, name: str, tmp_path: Path) -> None:
    Table({"obj": ["2M03290406+3117075"], "field": ["4587"]}).write(tmp_path / name)

    ran = cli("fetch", "--urls", tmp_path / name)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(f"{name}' is a table, and no list with a URL or path a line: give it with --from\n")


def test_an_export_tells_of_locations_that_it_has_no_way_to_name(cli: Cli) -> None:
    spectrum = ("--run2d", "26", "--plate", "332", "--mjd", "52367", "--fiberid", "639")

    assert (
        "1 of these may be at another location"
        in cli("fetch", "spec", "--release", "dr16", *spectrum, "--export", "curl").err
    )
    assert cli("fetch", "spec", "--release", "dr16", *spectrum, "--export", "aria2").err == ""


def test_a_list_of_urls_and_paths_is_identified(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    location = "dr13/apogee/spectro/redux/r6/stars/apo25m/4587/apStar-r6-2M03290406+3117075.fits"
    listing.write_text(f"# stars\nhttps://data.sdss.org/sas/{location}\n\nhttps://data.sdss.org/sas/dr13/nothing\n")

    ran = cli("fetch", "--urls", listing, "--json")

    assert ran.code == 1
    assert sorted(line["status"] for line in ran.json_lines) == ["failed", "fetched"]
    assert "line 4" in next(line["error"] for line in ran.json_lines if line["status"] == "failed")


@pytest.mark.parametrize("in_json", [(), ("--json",)])
@pytest.mark.parametrize("source", ["--from", "--urls", "--paths"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_a_table_or_list_in_another_encoding_is_refused_with_its_name(
    cli: Cli, sas: EmbeddedSas, tmp_path: Path, source: str, encoding: str, in_json: tuple[str, ...]
) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffproduct,release\napStar,dr13\n".encode(encoding))

    ran = cli("fetch", source, tmp_path / "list.txt", *in_json)

    assert (ran.code, ran.out, sas.requests) == (2, "", [])
    assert f"list.txt' is text in {encoding[:6].upper()}; save it as UTF-8" in ran.err


def test_a_list_may_begin_with_the_mark_of_utf_8(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    """As the editors of Windows write it."""
    (tmp_path / "list.txt").write_text("\n".join(cli("resolve", *STARS, "--url").lines), encoding="utf-8-sig")

    assert len(cli("fetch", "--urls", tmp_path / "list.txt").lines) == 2


def on_a_terminal(
    words: list[str], environment: dict[str, str], interrupt: Callable[[], bool], by: int = signal.SIGINT
) -> tuple[int, str]:
    """Run the command with a terminal of its own, and press Ctrl-C when it is time; return its code and the screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "astra_registry", *map(str, words)]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    os.close(theirs)
    seen, pressed = b"", False
    with contextlib.suppress(OSError):  # the end of a terminal
        while True:
            if select.select([ours], [], [], 0.05)[0]:
                seen += os.read(ours, 65536)
            if not pressed and interrupt():
                pressed = True
                process.send_signal(by)
    os.close(ours)
    return process.wait(), seen.decode()


def test_progress_is_for_a_terminal_and_ctrl_c_leaves_nothing_half_written(
    cli: Cli, sas: EmbeddedSas, sas_base_dir: Path, tmp_path: Path
) -> None:
    report, lock = tmp_path / "out.csv", tmp_path / "data.lock"
    lock.write_text("an earlier one")
    sas.faults = lambda request: Fault(drip=(20_000, 0.05)) if "4264" in request.path else None

    def one_is_here() -> bool:
        return len(list(sas_base_dir.rglob("apStar*.fits"))) == 1 and sas.sent > 600_000

    words = ["fetch", *STARS, "--report", report, "--lock", lock]
    code, screen = on_a_terminal(words, dict(os.environ), one_is_here)

    assert code == 130
    assert re.search(r"1 of 2 files · [0-9.]+ [kM]B · [0-9.]+ [kM]B/s · [0-9:]+ left", screen), screen
    assert re.search(r"\r1 fetched, 1 to come; run it again to go on\s+interrupted\s*$", screen), screen
    assert "Traceback" not in screen
    assert len(list(sas_base_dir.rglob("apStar*.fits"))) == 1
    assert list(read_columns(str(report))["status"]) == ["fetched"]
    assert lock.read_text() == "an earlier one"

    sas.faults = None
    again = cli("fetch", *STARS, "--json")
    assert sorted(line["status"] for line in again.json_lines) == ["fetched", "present"]
    assert not list(sas_base_dir.rglob(".*")), "what was left of the first try is gone"


def test_who_gives_a_table_through_a_pipe_is_asked_for_a_login_on_the_terminal(
    sas_base_dir: Path, tmp_path: Path
) -> None:
    table = tmp_path / "visit.csv"
    table.write_text("product,release,apred,telescope,healpix,obj\napStar,sdsswork,1.3,apo25m,1234,2M01\n")
    ours, theirs = pty.openpty()
    with EmbeddedSas(tmp_path, users={"me": "s3cret"}) as sas, open(table) as stdin:
        process = subprocess.Popen(
            [sys.executable, "-m", "astra_registry", "fetch", "--from", "-", "--login", "--remote-base", sas.url],
            stdin=stdin, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            for question, answer in ((b"user name for 127.0.0.1:", b"me\n"), (b"password:", b"s3cret\n"), (b"\0", b"")):
                while question not in seen:
                    seen += os.read(ours, 65536)
                os.write(ours, answer)
        os.close(ours)
        process.wait()

    assert b"1 missing" in seen, seen.decode()


def test_the_time_left_is_told_before_the_first_file_is_here(sas: EmbeddedSas, sas_base_dir: Path) -> None:
    """The plan before has told how many bytes there are; not how many of them an earlier run has brought."""
    sas.faults = lambda request: Fault(drip=(20_000, 0.05))
    left = re.compile(r"0 of 2 files · [0-9.]+ [kM]B · [0-9.]+ [kM]B/s · [0-9:]+ left")

    def some_is_here() -> bool:
        return sas.sent > 400_000

    _, first = on_a_terminal(["fetch", *STARS], dict(os.environ), some_is_here)
    sas.forget()
    _, second = on_a_terminal(["fetch", *STARS], dict(os.environ), some_is_here)

    assert left.search(first), first
    assert not left.search(second), second


def test_the_end_of_a_batch_job_leaves_a_report_too(sas: EmbeddedSas, sas_base_dir: Path, tmp_path: Path) -> None:
    """Slurm sends SIGTERM before it kills."""
    report = tmp_path / "out.csv"
    sas.faults = lambda request: Fault(drip=(20_000, 0.05)) if "4264" in request.path else None

    def one_is_here() -> bool:
        return len(list(sas_base_dir.rglob("apStar*.fits"))) == 1 and sas.sent > 600_000

    words = ["fetch", *STARS, "--report", report]
    code, screen = on_a_terminal(words, dict(os.environ), one_is_here, by=signal.SIGTERM)

    assert code == 143
    assert screen.rstrip().endswith("terminated")
    assert list(read_columns(str(report))["status"]) == ["fetched"]


def test_a_password_in_an_address_is_told_nowhere(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    secret = sas.url.replace("//", "//me:s3cret@")
    listing = tmp_path / "list.txt"
    stars = cli("resolve", *STARS, "--url", "--remote-base", secret).lines
    listing.write_text(f"{secret}/sas/nothing/here.fits\n" + "\n".join(url.replace(sas.url, secret) for url in stars))
    report, lock = tmp_path / "out.csv", tmp_path / "data.lock"

    ran = cli("fetch", "--urls", listing, "--remote-base", secret, "--report", report, "--lock", lock)

    assert (ran.code, len(ran.lines)) == (1, 2)
    told = [ran.out, ran.err, "".join(stars), report.read_text(), lock.read_text(), cli("config").out]
    assert not [text for text in told if "s3cret" in text]


def test_tables_and_lists_may_come_through_a_pipe(cli: Cli, sas: EmbeddedSas, tmp_path: Path) -> None:
    """A plan reads them once, and the fetch again."""
    listing = "\n".join(cli("resolve", *STARS, "--url").lines)
    for options, text in ((STARS[:1] + STARS[3:] + ("--from",), STARS[2].read_text()), (("--urls",), listing)):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=(text,))
        writer.start()

        ran = cli("fetch", *options, pipe, "--overwrite")

        writer.join()
        pipe.unlink()
        assert (ran.code, len(ran.lines)) == (0, 2)
        assert "2 to fetch" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say what to fetch"),
        (("--urls", "/nope"), "there is no list '/nope'"),
        (("--paths", "/tmp"), "is a folder"),
        (("--locked", "/nope"), "there is no lock file '/nope'"),
        (("apStar", "--from", "/nope"), "there is no table '/nope'"),
        (("apStar", "--release", "dr13", "--limit-rate", "junk"), "--limit-rate: limit_rate is 'junk'"),
        ((*LEGACY, "--ca-bundle", "/nope"), "there is no such file"),
        ((*LEGACY, "--ca-bundle", DATA / "tables" / "stars.csv"), "stars.csv cannot be read"),
        ((*LEGACY, "--remote-base", "http://x:99999"), "no proper host and port"),
        ((*LEGACY, "--remote-base", "ftp://x"), "'ftp://x', and the transport http wants http://… or https://…"),
        ((*LEGACY, "--mirrors", "ftp://x"), "mirrors is 'ftp://x', and the transport http wants"),
        ((*LEGACY, "--transport", "rsync", "--mirrors", "ftp://x"), "the transport rsync wants rsync://… or http://…"),
        ((*LEGACY, "--remote-base", "file:///tmp"), "file://… is for the transport file"),
        ((*LEGACY, "--transport", "file"), "the transport file wants file://…"),
        (("--urls", "/dev/null", "--locked", "/dev/null"), "one of them at a time"),
        (("apStar", "--release", "dr13", "--jobs", "0"), "0 is not in the range"),
        (("apStar", "--urls", "/dev/null"), "leave the product out"),
        ((*LEGACY, "--lock", "-"), "--lock writes a file"),
        ((*LEGACY, "--export", "urls", "--json"), "leave --json out"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_asked(
    cli: Cli, sas: EmbeddedSas, words: tuple[str, ...], told: str
) -> None:
    ran = cli("fetch", *words)

    assert ran.code == 2
    assert told in ran.err
    assert sas.requests == []


def test_no_server_is_a_failure_in_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", "http://127.0.0.1:9")

    ran = cli("fetch", *LEGACY, "--retries", "0")

    assert ran.code == 1
    assert "cannot connect to 127.0.0.1:9" in ran.err
    assert "Traceback" not in ran.err
