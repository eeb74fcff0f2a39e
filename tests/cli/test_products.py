"""`list`, `search`, `show` and `resolve`."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astra_registry import SDSS5DataModelTask, parameter, registry
from astra_registry.cli.products import default_in_words
from astra_registry.cli.show import parameter_as_data

Cli = Callable[..., Any]
STAR = ("apStar", "--release", "dr17", "--telescope", "apo25m", "--field", "000+14", "--obj", "2M16544175-2148453")
LOCATION = "dr17/apogee/spectro/redux/dr17/stars/apo25m/000+14/apStar-dr17-2M16544175-2148453.fits"


def test_list_tells_names_summaries_parameters_releases_and_plugins(cli: Cli) -> None:
    ran = cli("list", "--plugin", "apvisit")

    assert ran.code == 0
    assert ran.lines[0].split()[0] == "product"
    assert ran.lines[1].startswith("apVisit  One visit spectrum")
    assert "  fiber, plate, field, mjd, apred, telescope, prefix  " in ran.lines[1]
    assert ran.lines[1].endswith("dr10 … dr17, dr19, dr20, ipl1 … ipl4, sdsswork, sdss5  apvisit")


def test_on_a_terminal_a_row_of_the_list_is_a_line_and_the_name_is_whole(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astra_registry.cli.output._width", lambda: 100)

    listed = cli("list", "--search", "visit").lines

    assert max(map(len, listed)) <= 100
    assert {line.split()[0] for line in listed[1:]} <= set(registry)


def test_list_in_json_has_the_promised_keys(cli: Cli) -> None:
    listed = {entry["name"]: entry for entry in cli("list", "--json").data}

    assert {"apVisit", "apStar", "spec"} <= set(listed)
    assert listed["spec"]["plugin"] == "spec"
    assert listed["spec"]["parameters"] == ["catalogid", "mjd", "plate", "run2d", "fiberid"]
    assert set(listed["spec"]) >= {"name", "summary", "parameters", "releases", "plugin"}


def test_list_can_be_narrowed(cli: Cli) -> None:
    dr18 = {entry["name"] for entry in cli("list", "--release", "DR18", "--json").data}
    assert "spec" in dr18
    assert "apVisit" not in dr18
    assert "apVisit" in {entry["name"] for entry in cli("list", "--search", "visit", "--json").data}
    assert cli("search", "visit", "star", "fibre", "--json").data[0]["name"] == "apVisit"
    assert [found["name"] for found in cli("search", "--plugin", "apstar", "--json").data] == ["apStar"]
    assert cli("search").code == 2
    nobody = cli("list", "--plugin", "apvist")
    assert (nobody.code, nobody.out) == (2, "")
    assert "did you mean 'apvisit'" in nobody.err


def test_a_core_without_plugins_lists_nothing_and_says_so(cli: Cli) -> None:
    ran = cli("--no-plugins", "list")

    assert (ran.code, ran.out) == (0, "")
    assert "no data product is installed" in ran.err
    assert cli("--no-plugins", "list", "--json").data == []


def test_show_tells_parameters_and_the_template_of_every_release(cli: Cli) -> None:
    (shown,) = cli("show", "apStar", "--json").data

    assert list(shown["templates"]) == list(registry["apStar"].releases())
    assert shown["templates"]["dr19"].startswith("$APOGEE_REDUX/{apred}/stars/{telescope}/@healpixgrp|/")
    parameters = {parameter["name"]: parameter for parameter in shown["parameters"]}
    assert parameters["telescope"]["choices"] == ["apo25m", "apo1m", "lco25m"]
    assert parameters["prefix"]["default"] == "from telescope"
    assert parameters["apred"]["default"]["dr17"] == "dr17"
    assert all(set(p) >= {"name", "type", "doc", "unit", "choices", "default", "batch"} for p in parameters.values())
    assert "dr12 … dr17" in cli("show", "apStar").out


def test_show_of_one_release_shows_what_it_uses(cli: Cli) -> None:
    (shown,) = cli("show", "apStar", "--release", "dr19", "--json").data

    assert [parameter["name"] for parameter in shown["parameters"]] == ["obj", "healpix", "apred", "telescope"]
    assert list(shown["templates"]) == ["dr19"]
    assert next(p for p in shown["parameters"] if p["name"] == "apred")["default"] == "1.3"


def test_show_follows_a_product_to_the_path_it_names(cli: Cli) -> None:
    (shown,) = cli("show", "spec", "--json").data

    assert "@pad_fieldid|" in shown["templates"]["dr19"]
    assert shown["templates"]["sdss5"].endswith("spSpec-{plate}-{mjd}-{catalogid:0>11}.fits")
    assert shown["further_templates"]["dr17"][0].startswith("@spectrodir|/{run2d}/spectra/{plateid:0>4}/")


def test_show_tells_the_difference_between_releases(cli: Cli) -> None:
    told = cli("show", "--diff", "dr17", "dr19", "apStar").out

    assert "only before: apstar, field, prefix" in told
    assert "only after: healpix" in told


def test_show_tells_the_difference_to_programs_too(cli: Cli) -> None:
    (told,) = cli("show", "--diff", "dr17", "dr19", "apStar", "--json").data

    assert list(told["templates"]) == ["dr17", "dr19"]
    assert told["only_before"] == ["apstar", "field", "prefix"]
    assert told["only_after"] == ["healpix"]


def test_resolve_prints_the_path_the_url_or_the_location(cli: Cli, sas_base_dir: Path) -> None:
    assert cli("resolve", *STAR).out == f"{sas_base_dir}/{LOCATION}\n"
    assert cli("resolve", *STAR, "--url").out == f"https://data.sdss.org/sas/{LOCATION}\n"
    assert cli("resolve", *STAR, "--location").out == f"{LOCATION}\n"
    assert cli("resolve", "--url", *STAR, "--remote-base", "http://x").out == f"http://x/sas/{LOCATION}\n"
    assert cli("--sas-base-dir", "/s", "resolve", *STAR).out == f"/s/{LOCATION}\n"


def test_resolve_in_json_tells_where_each_value_comes_from(cli: Cli) -> None:
    (resolved,) = cli("resolve", *STAR, "--json").data

    assert resolved["parameters"] == {
        "obj": "2M16544175-2148453", "apstar": "stars", "apred": "dr17", "telescope": "apo25m", "field": "000+14",
        "prefix": "ap",
    }  # fmt: skip
    assert resolved["origins"] == {
        "obj": "given", "apstar": "default", "apred": "default", "telescope": "given", "field": "given",
        "prefix": "derived",
    }  # fmt: skip
    assert (resolved["product"], resolved["release"], resolved["location"]) == ("apStar", "dr17", LOCATION)


def test_a_repeated_option_and_a_table_make_batches(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "stars.csv"
    table.write_text("APOGEE_ID,FIELD,snr\nA,f1,3\nB,f2,4\n")

    repeated = cli("resolve", *STAR, "--obj", "B")
    from_table = cli("resolve", "apStar", "--release", "dr17", "--telescope", "lco25m", "--from", table, "--location")

    assert len(repeated.lines) == 2
    assert from_table.lines == [
        "dr17/apogee/spectro/redux/dr17/stars/lco25m/f1/asStar-dr17-A.fits",
        "dr17/apogee/spectro/redux/dr17/stars/lco25m/f2/asStar-dr17-B.fits",
    ]


@pytest.mark.parametrize("command", ["resolve", "fetch"])
@pytest.mark.parametrize("option", ["--release", "--telescope"])
def test_of_an_option_that_stands_before_its_product_it_is_said_where_it_belongs(
    cli: Cli, command: str, option: str
) -> None:
    ran = cli(command, option, "dr17", "apStar")

    assert (ran.code, ran.out) == (2, "")
    assert f"No such option '{option}'" in ran.err
    assert "(a product's release and parameters come after its name)" in ran.err


def test_parameters_are_options_in_their_own_spelling_with_dashes_and_by_alias(cli: Cli) -> None:
    spectrum = ("resolve", "spec", "--release", "dr19", "--mjd", 59193, "--catalogid", 4399272889, "--location")

    assert cli(*spectrum, "--fieldid", "015005").out == cli(*spectrum, "--plate", "015005").out
    assert "--telescope" in cli("resolve", "apStar", "--help").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("resolve", "apStr", "--release", "dr17"), "did you mean 'apStar'"),
        (("resolve", "apStar", "--release", "dr99"), "no release 'dr99'"),
        (("resolve", "apStar", "--release", "dr18", "--obj", "x"), "apStar has no release 'dr18'; it has dr10 … dr17"),
        (("resolve", "apStar", "--release", "dr17", "--feild", "x"), "--feild"),
        (("resolve", "apStar", "--release", "dr17", "--obj", "x"), "needs telescope, field"),
        ((*("resolve", *STAR), "--healpix", "3"), "apStar in dr17 does not use healpix"),
        (("resolve", *STAR[:-1], "a/b"), "it may not hold '/'"),
        (("resolve", *STAR[:-1], ".."), "it may not leave its folder"),
        (("resolve", *STAR[:-1], "a\nb"), "control character"),
        (("resolve", "apVisit", "--release", "dr17", "--fiber", "oops"), "it takes an integer"),
        (("resolve", "apStar", "--release", "dr17", "--from", "nowhere.csv"), "there is no table 'nowhere.csv'"),
        (("resolve", *STAR, "--url", "--location"), "one of them at a time"),
        (("show", "apVist"), "did you mean 'apVisit'"),
        (("lst",), "did you mean 'list'"),
        (("resolve", "apSt\nar"), "no data product named 'apSt\\nar'"),
        (("show", "apStar", "more\n"), "unexpected extra argument (more\\n)"),
        (
            ("resolve", "spec", "--release", "dr8", "--plate", "1", "--mjd", "1", "--fiberid", "1"),
            "run2d = 'v5_10_4': the release defines no root $BOSS_SPECTRO_REDUX",
        ),
        (("list", "--release", "dr99"), "no release 'dr99'"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(cli: Cli, words: tuple[object, ...], told: str) -> None:
    ran = cli(*words)

    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1


def test_an_older_click_tells_it_in_one_line_too() -> None:
    code = """
import sys, click
vars(click.exceptions).pop("NoArgsIsHelpError", None)  # of click 8.2
from astra_registry.cli import main
main(sys.argv[1:])
"""
    for words in (["resolve", "apStr"], ["show", "apStar", "--nothing"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_table_without_a_needed_column_or_with_a_masked_cell_is_refused(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "stars.csv"
    table.write_text("obj,telescope\nA,apo25m\n")
    ran = cli("resolve", "apStar", "--release", "dr17", "--from", table)
    assert ran.code == 2
    assert "needs field; its columns are obj, telescope" in ran.err

    table.write_text("obj,telescope,field\nA,apo25m,f\nB,,f\n")
    ran = cli("resolve", "apStar", "--release", "dr17", "--from", table)
    assert ran.code == 2
    assert "row 1" in ran.err


def test_debug_shows_the_traceback(cli: Cli) -> None:
    assert "Traceback" in cli("--debug", "resolve", "apStr").err
    assert "Traceback" in cli("resolve", "apStr", "--debug").err
    assert cli("resolve", *STAR, "--location", "--debug").out == f"{LOCATION}\n"
    assert "Traceback" not in cli("resolve", "apStr").err


def test_a_command_leaves_the_process_as_it_was(cli: Cli) -> None:
    environment, hook, warn = dict(os.environ), sys.excepthook, warnings.showwarning

    cli("resolve", *STAR)
    cli("resolve", "apStr")

    assert (dict(os.environ), sys.excepthook, warnings.showwarning) == (environment, hook, warn)


def test_nothing_heavy_is_loaded_to_help_list_or_resolve(sas_base_dir: Path) -> None:
    code = """
import sys
from astra_registry.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"astropy", "numpy", "sqlalchemy", "requests", "urllib3", "sdss_access", "tree"}
print(heavy & set(sys.modules), file=sys.stderr)
"""
    for words in (["--help"], ["list"], ["resolve", *STAR]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert done.stderr == "set()\n", words
    assert not sas_base_dir.exists()


class FitFile(SDSS5DataModelTask):
    """A file made within limits."""

    limits: dict[str, int] = parameter("The limits.", default={"dr19": 1})
    version: str = parameter("The version.", default={"dr19": "0.6.0"})


def test_a_default_that_is_a_mapping_is_told_apart_from_one_for_each_release() -> None:
    limits, version = (FitFile._parameters[name] for name in ("limits", "version"))

    assert (default_in_words(limits), default_in_words(version)) == ("{'dr19': 1}", "the release's own")
    assert (parameter_as_data(limits, "dr19")["default"], parameter_as_data(version, "dr19")["default"]) == (
        {"dr19": 1},
        "0.6.0",
    )
