"""`explain`: how a product's path comes about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]
STAR = ("--telescope", "apo25m", "--obj", "2M16544175-2148453")


def test_it_tells_template_root_and_where_each_value_comes_from(cli: Cli, sas_base_dir: Path) -> None:
    (told,) = cli("explain", "apStar", "--release", "DR19", *STAR, "--json").data

    assert (told["product"], told["release"]) == ("apStar", "dr19")
    assert told["template"].startswith("$APOGEE_REDUX/{apred}/stars/")
    assert told["from"].startswith("sdss-tree ")
    assert told["from"].endswith("dr19.cfg")
    assert told["roots"] == {"APOGEE_REDUX": str(sas_base_dir / "dr19/spectro/apogee/redux")}
    assert told["origins"] == {
        "obj": "given", "telescope": "given", "apred": "default", "healpix": "derived from obj"
    }  # fmt: skip
    assert told["derived"] == {"healpixgrp": "134"}
    assert told["url"] == f"https://data.sdss.org/sas/{told['location']}"


def test_it_says_who_may_read_the_file_and_why(cli: Cli) -> None:
    public = cli("explain", "apStar", "--release", "dr17", *STAR, "--field", "000+14")
    assert "released on 2021-12-06: data.sdss.org gives it to anybody" in public.out
    work = cli("explain", "apStar", "--release", "sdsswork", "--apred", "1.3", *STAR)
    assert "not public" in work.out
    assert "work in progress: data.sdss5.org wants credentials" in work.out


def test_it_names_the_plugin_and_the_further_places(cli: Cli) -> None:
    given = ("--run2d", "26", "--plate", "332", "--mjd", "52367", "--fiberid", "639")
    (told,) = cli("explain", "spec", "--release", "dr16", *given, "--json").data

    assert told["from"].startswith("astra-registry-spec ")
    assert "takes the path spec of sdss-tree" in told["from"]
    assert len(told["further"]) == 1
    assert "/26/spectra/0332/" in told["further"][0]


def test_a_software_product_has_no_address_on_the_sas(cli: Cli) -> None:
    (told,) = cli("explain", "platePlans", "--release", "dr17", "--json").data

    assert (told["location"], told["url"]) == (None, None)
    assert told["path"].endswith("platePlans.par")


def test_what_cannot_be_resolved_cannot_be_explained(cli: Cli) -> None:
    ran = cli("explain", "apStar", "--release", "dr17", "--telescope", "apo25m")

    assert ran.code == 2
    assert "apStar in dr17 needs obj, field" in ran.err
