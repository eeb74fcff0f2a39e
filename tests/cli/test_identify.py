"""`identify`: product, release and parameters of any path or URL."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
LOCATION = "dr17/apogee/spectro/redux/dr17/stars/apo25m/000+14/apStar-dr17-2M16544175-2148453.fits"
VISIT = "dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-296.fits"


def test_a_line_tells_product_release_and_parameters(cli: Cli) -> None:
    ran = cli("identify", f"/archive/{LOCATION}", f"https://data.sdss.org/sas/{VISIT}")

    assert ran.code == 0
    assert ran.lines[0].startswith("apStar dr17 obj=2M16544175-2148453 ")
    assert ran.lines[1] == "apVisit dr12 fiber=296 plate=5213 mjd=55811 apred=r5 telescope=apo25m"


def test_json_has_the_promised_keys_and_all_addresses(cli: Cli, sas_base_dir: Path) -> None:
    (answer,) = cli("identify", f"rsync://dtn.sdss.org/{VISIT}.gz", "--json").data

    assert answer["input"] == f"rsync://dtn.sdss.org/{VISIT}.gz"
    assert (answer["product"], answer["release"]) == ("apVisit", "dr12")
    assert answer["parameters"] == {
        "fiber": 296, "plate": "5213", "mjd": 55811, "apred": "r5", "telescope": "apo25m"
    }  # fmt: skip
    assert answer["path"] == str(sas_base_dir / VISIT)
    assert answer["url"] == f"https://data.sdss.org/sas/{VISIT}"
    assert f"https://data.mirror.sdss.org/sas/{VISIT}" in answer["addresses"]


def test_what_is_unknown_is_null_and_the_rest_is_told(cli: Cli) -> None:
    ran = cli("identify", "/x/y.fits", VISIT, "--json")

    assert ran.code == 1
    unknown, known = ran.data
    assert unknown["input"] == "/x/y.fits"
    assert (unknown["product"], unknown["release"], unknown["path"], unknown["url"]) == (None, None, None, None)
    assert known["product"] == "apVisit"
    assert "no known product lives there" in ran.err
    plain = cli("identify", "/x/y.fits")
    assert (plain.code, plain.out) == (1, "")


def test_all_candidates_have_their_reason(cli: Cli) -> None:
    ran = cli("identify", "--all", LOCATION)

    assert [line.split()[0] for line in ran.lines] == ["apStar", "apStar-1m"]
    assert all("(the template of apStar" in line for line in ran.lines)
    assert [answer["product"] for answer in cli("identify", "--all", "--json", LOCATION).data] == [
        "apStar",
        "apStar-1m",
    ]


def test_paths_may_come_from_the_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{LOCATION}\n\n{VISIT}\n"))

    assert [line.split()[0] for line in cli("identify", "-").lines] == ["apStar", "apVisit"]


def test_the_header_tells_of_a_file_in_another_place(cli: Cli, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[1] / "data" / "sas" / VISIT
    shutil.copy(shipped, tmp_path / shipped.name)

    (answer,) = cli("identify", "--header", tmp_path / shipped.name, "--json").data

    assert (answer["product"], answer["release"]) == ("apVisit", "dr12")
    assert answer["location"] == VISIT


def test_a_path_is_needed(cli: Cli) -> None:
    assert cli("identify").code == 2
