"""`info` tells what files are, `plot` draws them: by path, or by product."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

SAS = Path(__file__).parents[1] / "data" / "sas"
STAR = "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"
SPEC = "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits"
PRODUCT = ("apStar", "--release", "dr13", "--obj", "2M00005143+5615568", "--field", "4264", "--telescope", "apo25m")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("TERM", "KITTY", "LC_", "TMUX"))},
    "SAS_BASE_DIR": str(SAS),
}


def run(*words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "astra_registry", *map(str, words)],
        capture_output=True, text=True, check=False, cwd=folder, env=ENVIRONMENT,
    )  # fmt: skip


def test_info_tells_what_a_file_is_and_holds() -> None:
    done = run("info", SAS / SPEC)

    assert done.returncode == 0, done.stderr
    for words in ("spec in dr16", "plate 332", "whole", "604,800 bytes", "29.4", "COADD", "3810 rows × 8", "PLUG_RA"):
        assert words in done.stdout


def test_info_is_json_for_programs() -> None:
    done = run("info", "--json", SAS / STAR, SAS / SPEC)

    star, spec = json.loads(done.stdout)
    assert (star["product"], star["release"], star["parameters"]["field"]) == ("apStar", "dr13", "4264")
    assert star["whole"]
    assert star["hdus"][1]["shape"] == [5, 8575]
    assert star["cards"]["OBJID"]["value"] == "2M00005143+5615568"
    assert spec["hdus"][1]["columns"][0]["name"] == "flux"


def test_info_takes_a_product() -> None:
    done = run("info", *PRODUCT)

    assert done.returncode == 0, done.stderr
    assert "2M00005143+5615568" in done.stdout


def test_info_fails_when_a_file_is_not_whole_and_still_tells_of_the_others(tmp_path: Path) -> None:
    cut = tmp_path / "cut.fits"
    cut.write_bytes((SAS / SPEC).read_bytes()[:300_000])

    done = run("info", cut, tmp_path / "none.fits", SAS / STAR)

    assert done.returncode == 1
    assert "is cut off" in done.stdout
    assert "there is no file" in done.stdout
    assert "apStar in dr13" in done.stdout


def test_a_product_that_does_not_exist_is_told_with_its_neighbours() -> None:
    done = run("info", "apStarr")

    assert done.returncode == 2
    assert "did you mean 'apStar'" in done.stderr


def test_plot_draws_a_file_and_prints_where(tmp_path: Path) -> None:
    done = run("plot", SAS / STAR, "--lines", "-o", tmp_path / "star.png")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'star.png'}\n"
    assert (tmp_path / "star.png").read_bytes().startswith(b"\x89PNG")


def test_plot_draws_a_product_s_visits(tmp_path: Path) -> None:
    done = run("plot", *PRODUCT, "--kind", "visits", "--between", "15700", "15800", "-o", tmp_path / "visits.pdf")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "visits.pdf").read_bytes().startswith(b"%PDF")


def test_a_file_that_was_put_elsewhere_is_known_by_its_name_its_cards_or_by_word(tmp_path: Path) -> None:
    star = (SAS / STAR).read_bytes()
    anybody = star.replace(b"OBJID   =", b"WHOSE   =")
    (tmp_path / "asStar-mine.fits").write_bytes(anybody)
    (tmp_path / "renamed.fits").write_bytes(star)
    (tmp_path / "mine.fits").write_bytes(anybody)

    for known in (["asStar-mine.fits"], ["renamed.fits"], ["mine.fits", "--as", "apStar"]):
        assert run("plot", *known, "-o", "a.svg", folder=tmp_path).returncode == 0
        assert (tmp_path / "a.svg").exists()
        (tmp_path / "a.svg").unlink()
    unknown = run("plot", "mine.fits", "-o", "a.svg", folder=tmp_path)
    assert unknown.returncode == 2
    assert "--as PRODUCT" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["plot", "none.fits", "-o", "a.png"], 1, "there is no file"),
        (["plot", SAS / STAR], 2, "-o spectrum.png"),
        (["plot", SAS / STAR, "-o", "a.doc"], 2, "no picture format"),
        (["plot", SAS / STAR, "--kind", "exposures", "-o", "a.png"], 2, "it reads"),
        (["plot", SAS / STAR, "--as", "spec", "-o", "a.png"], 1, "is no spec file"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    words: list[str | Path], code: int, message: str, tmp_path: Path
) -> None:
    done = run(*words, folder=tmp_path)

    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_that_can_shows_the_picture(tmp_path: Path) -> None:
    """A pseudo-terminal of iTerm2 gets the picture in its escape sequence."""
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "TERM_PROGRAM": "iTerm.app"}
    process = subprocess.Popen(
        [sys.executable, "-m", "astra_registry", "plot", str(SAS / SPEC)],
        stdout=theirs, stderr=subprocess.PIPE, env=environment, cwd=tmp_path,
    )  # fmt: skip
    os.close(theirs)
    received = b""
    try:
        while piece := os.read(ours, 65536):
            received += piece
    except OSError:  # Linux's way to say that the other end has closed
        pass
    os.close(ours)
    _, said = process.communicate()

    assert process.returncode == 0, said
    assert received.startswith(b"\x1b]1337;File=inline=1;")
    assert b"iVBORw0KGgo" in received


def test_where_nothing_is_installed_that_reads_or_draws_plot_names_the_extra_that_brings_both() -> None:
    code = f"""
import sys
sys.modules["specutils"] = sys.modules["matplotlib"] = None  # what Python finds when packages are not there
from astra_registry.cli import main
main(["plot", {str(SAS / STAR)!r}, "-o", "star.png"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'astra-registry[plot]'" in done.stderr
