"""`translate`: what a product of one release is in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Cli = Callable[..., Any]
STAR = ("--telescope", "apo25m", "--field", "000+14", "--obj", "2M16544175-2148453")


def test_a_star_of_dr17_is_found_in_dr19(cli: Cli) -> None:
    (told,) = cli("translate", "apStar", "--from", "dr17", "--to", "dr19", *STAR, "--json").data

    assert told["missing"] == []
    assert told["to"]["parameters"] == {
        "obj": "2M16544175-2148453", "healpix": 134761, "apred": "1.3", "telescope": "apo25m"
    }  # fmt: skip
    assert told["to"]["path"].endswith("/134/134761/apStar-1.3-apo25m-2M16544175-2148453.fits")
    assert set(told["dropped"]) == {"field", "prefix", "apstar"}
    assert told["changed"]["apred"] == {"from": "dr17", "to": "1.3"}
    assert told["kept"] == ["obj", "telescope"]


def test_a_version_that_is_the_old_releases_own_becomes_the_new_ones(cli: Cli) -> None:
    (told,) = cli("translate", "apStar", "--from", "dr17", "--to", "dr19", "--apred", "dr17", *STAR, "--json").data

    assert told["to"]["parameters"]["apred"] == "1.3"


def test_the_path_goes_to_stdout_and_what_became_of_the_rest_to_stderr(cli: Cli) -> None:
    ran = cli("translate", "apStar", "--from", "dr17", "--to", "dr19", *STAR)

    assert ran.code == 0
    assert len(ran.lines) == 1
    assert ran.lines[0].endswith("2M16544175-2148453.fits")
    assert "field: 000+14 has no place in dr19" in ran.err


def test_what_is_missing_is_named(cli: Cli) -> None:
    given = ("--plate", "7338", "--mjd", "57789", "--fiberid", "739")
    ran = cli("translate", "spec", "--from", "dr17", "--to", "dr19", *given)

    assert (ran.code, ran.out) == (1, "")
    assert "spec in dr19 needs catalogid besides" in ran.err
    (told,) = cli("translate", "spec", "--from", "dr17", "--to", "dr19", *given, "--json").data
    assert told["missing"] == ["catalogid"]
    assert told["to"]["path"] is None


def test_a_batch_is_translated_member_by_member(cli: Cli) -> None:
    told = cli(
        "translate", "apStar", "--from", "dr17", "--to", "dr16", *STAR, "--obj", "2M00000002+7417074", "--json"
    ).data

    assert [answer["to"]["parameters"]["obj"] for answer in told] == ["2M16544175-2148453", "2M00000002+7417074"]


def test_a_release_without_the_product_names_its_kin(cli: Cli) -> None:
    given = ("--run2d", "26", "--plateid", "332", "--mjd", "52367", "--fiberid", "639")
    ran = cli("translate", "spec-lite", "--from", "dr17", "--to", "dr19", *given)

    assert ran.code == 2
    assert "did you mean 'specLite'" in ran.err


def test_both_releases_are_needed(cli: Cli) -> None:
    assert cli("translate", "apStar", "--from", "dr17", *STAR).code == 2
    assert cli("translate", "apStar", "--release", "dr17", "--to", "dr19", *STAR).code == 0
    assert cli("translate", "apStar", "--from", "dr17", "--release", "dr16", "--to", "dr19", *STAR).code == 2


def test_without_values_it_says_what_becomes_of_each_parameter(cli: Cli) -> None:
    ran = cli("translate", "apStar", "--from", "dr17", "--to", "dr19")

    assert ran.code == 0
    assert set(ran.lines) == {
        "obj: stays",
        "telescope: stays",
        "apred: dr17 → 1.3, where it is the release's own",
        "healpix: follows from obj",
        "field: has no place in dr19",
        "prefix: has no place in dr19",
        "apstar: has no place in dr19",
    }
    spec = cli("translate", "spec", "--from", "dr17", "--to", "dr19", "--json")
    assert spec.code == 1
    assert spec.data[0]["missing"] == ["catalogid"]
    assert "fiberid" in spec.data[0]["dropped"]
    assert cli("translate", "spec-lite", "--from", "dr17", "--to", "dr19").code == 2
    assert cli("translate", "apStar", "--from", "dr18", "--to", "dr19").code == 2
