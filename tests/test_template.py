"""Path templates: values to locations and back, one at a time and in columns."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from astra_registry.errors import (
    AstraRegistryError,
    BadValue,
    InvalidParameter,
    MissingParameter,
    NotOnSas,
    UnequalLengths,
    UnknownParameter,
    UnresolvedRoot,
    UnsafePath,
)
from astra_registry.paths.columns import CHUNK
from astra_registry.paths.template import PathTemplate
from astra_registry.release import releases
from astra_registry.tree import Tree

DR17, DR19, DR20 = Tree("dr17"), Tree("dr19"), Tree("dr20")
VISIT = {
    "apred": "dr17", "telescope": "apo25m", "field": "000+14", "plate": 7545, "mjd": 56933, "prefix": "ap", "fiber": 7,
}  # fmt: skip


def every_template() -> list[PathTemplate]:
    """Return all templates of all releases whose roots are defined."""
    templates = {}
    for release in releases():
        tree = Tree(release)
        for name in tree.lookup_names():
            try:
                template = tree.path_template(name)
            except UnresolvedRoot:
                continue
            templates[name, template.text, template.place] = template
    return list(templates.values())


TEMPLATES = every_template()

# ---------------------------------------------------------------- what a template says about itself


def test_keys_come_in_the_order_of_the_template() -> None:
    template = DR17.path_template("apVisit")

    assert template.keys == ("apred", "telescope", "field", "plate", "mjd", "prefix", "fiber")
    assert template.optional == ()
    assert template.on_sas
    assert template.prefix == "dr17/apogee/spectro/redux/"


def test_what_derived_gaps_read_is_needed_or_optional() -> None:
    assert DR19.path_template("specLite").keys == ("run2d", "fieldid", "mjd", "catalogid")
    assert set(Tree("ipl1").path_template("mwmStar").optional) == {"component", "catid"}
    assert set(DR20.path_template("apField").optional) == {"instrument"}


def test_the_prefix_of_a_template_with_two_roots_is_what_they_share() -> None:
    assert DR17.path_template("spec").prefix == "dr17/"


def test_one_name_can_stand_for_another() -> None:
    assert DR19.compile("=specFull") is DR19.path_template("specFull")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", BadValue), ("/etc/passwd", BadValue), ("relative/{x}.fits", BadValue), ("$NOPE/{x}.fits", UnresolvedRoot),
        ("$APOGEE_REDUX/../{x}", UnsafePath), ("$APOGEE_REDUX/./{x}", UnsafePath), ("$APOGEE_REDUX/{x", BadValue),
        ("$APOGEE_REDUX/x}", BadValue), ("$APOGEE_REDUX/{}", BadValue), ("$APOGEE_REDUX/{0}", BadValue),
        ("$APOGEE_REDUX/{a.b}", BadValue), ("$APOGEE_REDUX/{a!r}", BadValue), ("$APOGEE_REDUX/{a[0]}", BadValue),
    ],
)  # fmt: skip
def test_what_is_no_template_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        DR17.compile(text)


def test_a_derived_folder_of_nothing_leaves_no_trace() -> None:
    template = DR20.compile("$BOSS_SPECTRO_REDUX/{run2d}/@sptypefolder|/@fieldgrp|/{fieldid}@epochflag|.fits")

    assert template.location({"run2d": "v6_1_3", "fieldid": 1}) == "dr20/spectro/boss/redux/v6_1_3/1.fits"
    assert template.location({"run2d": "v6_2_1", "fieldid": 1}).endswith("/v6_2_1/fields/000XXX/1-epoch.fits")


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    "wrong",
    [
        "", " ", "\t", None, True, False, float("nan"), float("inf"), "a/b", "/a", "..", ".", "a..b", "../x", "a\0b",
        "a\nb", "a\x7f", "\x85", "\u2028", b"\xff", "\ud800", b"", [1], {}, object(), 1j,
    ],
)  # fmt: skip
@pytest.mark.parametrize("warm", [False, True])
def test_a_value_that_cannot_be_in_a_path_is_refused(wrong: object, warm: bool) -> None:
    """Also once the template has become a function written for text and integers."""
    template = Tree("dr17", sas_base_dir="/elsewhere").compile(DR17.templates["apVisit"])
    if warm:
        for field in ("000+14", 5):
            template.location({**VISIT, "field": field})

    with pytest.raises(InvalidParameter, match="field"):
        template.location({**VISIT, "field": wrong})
    with pytest.raises(InvalidParameter, match=r"row 1: field|field"):
        template.locations({**VISIT, "field": ["000+14", wrong]})


@pytest.mark.parametrize(
    ("text", "good", "wrong"),
    [
        ("$APOGEE_REDUX/{a:.1}/x.fits", {"a": "xy"}, {"a": ".x"}),
        ("$APOGEE_REDUX/{a:.1s}{b:.1}/x.fits", {"a": "xy", "b": "z"}, {"a": ".x", "b": ".y"}),
    ],
)
def test_what_a_format_leaves_of_a_value_may_not_leave_its_folder_either(
    text: str, good: dict[str, str], wrong: dict[str, str]
) -> None:
    template = DR17.compile(text)
    before = template.location(good)

    with pytest.raises(InvalidParameter, match="a folder of"):
        template.location(wrong)
    with pytest.raises(InvalidParameter, match="row 1: .* a folder of"):
        template.locations({key: [good[key], wrong[key]] for key in good})
    assert template.locations({key: [good[key]] * 2 for key in good}) == [before] * 2


def test_numpy_values_are_taken_for_what_they_are() -> None:
    import numpy as np

    template = DR17.path_template("apVisit")
    plain = template.location(VISIT)

    for values in (
        {"plate": np.int64(7545), "mjd": np.uint16(56933), "fiber": np.array(7)},
        {"field": np.str_("000+14"), "telescope": b"apo25m  "},
        {"field": np.bytes_(b"000+14")},
        {"fiber": "7"},
    ):
        assert template.location({**VISIT, **values}) == plain
    for wrong in (np.bool_(True), np.float64("nan"), np.ma.masked, np.array([7]), np.datetime64("2020-01-01")):
        with pytest.raises(InvalidParameter, match="fiber"):
            template.location({**VISIT, "fiber": wrong})


def test_numbers_are_shown_as_sdss_access_shows_them() -> None:
    template = DR17.path_template("apVisit")

    assert template.location({**VISIT, "fiber": -5}).endswith("-0-5.fits")
    assert template.location({**VISIT, "fiber": 12345}).endswith("-12345.fits")
    assert template.location({**VISIT, "field": 1.5}).split("/")[7] == "1.5"


def test_a_missing_or_unknown_parameter_is_named() -> None:
    template = DR17.path_template("apVisit")

    with pytest.raises(MissingParameter, match="apVisit needs fiber"):
        template.location({key: value for key, value in VISIT.items() if key != "fiber"})
    with pytest.raises(UnknownParameter, match="did you mean 'fiber'"):
        template.location({**VISIT, "fibre": 1})
    with pytest.raises(MissingParameter, match="mos_target_catalog: num"):
        DR20.path_template("mos_target_catalog").location({"v_targ": "1.0.3", "ftype": "fits"})


def test_an_optional_parameter_may_be_empty_or_left_out() -> None:
    template = Tree("ipl1").path_template("mwmStar")
    values = {"v_astra": "0.2.6", "run2d": "v6_0_9", "apred": "1.0", "cat_id": 27021597842}

    merged = template.location(values)

    assert merged.endswith("/mwmStar-0.2.6-27021597842.fits")
    assert {template.location({**values, "component": empty}) for empty in ("", None, b"")} == {merged}
    assert template.location({**values, "component": "A"}).endswith("-27021597842A.fits")
    with pytest.raises(InvalidParameter):
        template.location({**values, "component": "../A"})


def test_a_sub_path_must_be_declared() -> None:
    template = DR17.compile("$APOGEE_REDUX/{where}/x.fits", subpaths=["where"])

    assert template.location({"where": "a/b"}) == "dr17/apogee/spectro/redux/a/b/x.fits"
    assert template.match("dr17/apogee/spectro/redux/a/b/x.fits") == {"where": "a/b"}
    for wrong in ("/a", "a/", "a//b", "a/../b", "..", ".", "a/./b", "a\n/b"):
        with pytest.raises(InvalidParameter):
            template.location({"where": wrong})
    with pytest.raises(InvalidParameter):
        DR17.compile("$APOGEE_REDUX/{where}/x.fits").location({"where": "a/b"})


def test_software_has_no_location() -> None:
    template = DR17.path_template("mangaslitmap")

    assert not template.on_sas
    with pytest.raises(NotOnSas):
        template.location({"plate": 7443, "mjd": 56741, "plugging": 1})
    with pytest.raises(NotOnSas):
        template.locations({"plate": [7443], "mjd": 56741, "plugging": 1})


# ---------------------------------------------------------------- laws

good_text = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/."), min_size=1, max_size=8
) | st.sampled_from(["000+14", "2M16544175-2148453", "v6_1_3", "1.10", "007", "a.b"])
values_for: dict[str, st.SearchStrategy[Any]] = {
    "telescope": st.sampled_from(["apo25m", "apo1m", "lco25m"]),
    "instrument": st.sampled_from(["apogee-n", "apogee-s"]),
    "run2d": st.sampled_from(["26", "v5_13_2", "v6_0_4", "v6_0_9", "v6_1_3", "v6_2_1", "master"]),
    "ftype": st.sampled_from(["fits", "parquet"]),
    "num": st.integers(0, 2000),
    "obs": st.sampled_from(["apo", "lco"]),
    "component": st.sampled_from(["A", "Ab"]),
}
INTEGERS = {"plateid", "plate", "designid", "healpix", "cat_id", "sdss_id", "configid", "tileid", "camnum", "plugging"}


def values_of(template: PathTemplate) -> st.SearchStrategy[dict[str, Any]]:
    """Draw parameters that the template takes."""
    number = st.integers(1, 10**11)
    strategies = {}
    for key in (*template.keys, *(key for key in template.optional if key in ("num", "ftype", "obs", "component"))):
        cut = re.search(rf"{{{key}:0?\.", template.text)
        strategies[key] = number if key in INTEGERS else good_text if cut else number | good_text
        strategies[key] = values_for.get(key, strategies[key])
    return st.fixed_dictionaries(strategies)


template_and_values = st.sampled_from(TEMPLATES).flatmap(
    lambda template: st.tuples(st.just(template), values_of(template))
)
LAW = settings(max_examples=300)


@LAW
@given(template_and_values)
def test_match_is_the_inverse_of_location(drawn: tuple[PathTemplate, dict[str, Any]]) -> None:
    """What `match` finds gives the location it was given, whatever is in the values."""
    template, values = drawn
    location = template.below(values)

    assert template.pattern.fullmatch(location)
    found = template.match(location)

    assert found is not None
    assert set(found) >= set(template.keys)
    assert all(type(value) is str for value in found.values())
    assert template.below(found) == location


@LAW
@given(template_and_values)
def test_a_location_stays_where_its_template_puts_it(drawn: tuple[PathTemplate, dict[str, Any]]) -> None:
    template, values = drawn
    location = template.below(values)

    assert location.startswith(template.prefix)
    assert not {"", ".", ".."} & set(location.split("/"))


@LAW
@given(
    st.sampled_from([template for template in TEMPLATES if template.keys]),
    st.data(),
)
def test_the_quick_way_refuses_what_the_careful_one_refuses(template: PathTemplate, data: st.DataObject) -> None:
    """Any values at all: the same path, or an error of the same kind."""
    anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(max_size=4)
    template.below(data.draw(values_of(template)))  # so that it knows some types
    values = {key: data.draw(values_for.get(key, anything) | anything) for key in template.keys}

    def outcome(make: Any) -> Any:
        try:
            return make(values)
        except AstraRegistryError as error:
            return type(error), str(error)

    assert outcome(template.below) == outcome(template.careful)


@LAW
@given(st.sampled_from([template for template in TEMPLATES if template.on_sas]), st.data())
def test_columns_give_what_single_values_give(template: PathTemplate, data: st.DataObject) -> None:
    rows = data.draw(st.lists(values_of(template), max_size=5))
    assume(rows)
    constant = data.draw(st.sets(st.sampled_from(sorted(rows[0])))) if rows[0] else set()
    rows = [{**row, **{key: rows[0][key] for key in constant}} for row in rows]
    columns = {key: rows[0][key] if key in constant else [row[key] for row in rows] for key in rows[0]}

    def outcome(make: Any) -> Any:
        try:
            return make()
        except AstraRegistryError as error:
            return type(error)

    assert outcome(lambda: template.locations(columns, len(rows))) == outcome(
        lambda: [template.location(row) for row in rows]
    )


@LAW
@given(st.text(max_size=40))
@example("dr17/apogee/spectro/redux/dr17/visit/apo25m/../7545/56933/apVisit-dr17-7545-56933-007.fits")
@example("dr17/apogee/spectro/redux/dr17/visit//000+14/7545/56933/apVisit-dr17-7545-56933-007.fits")
@example("dr17/apogee/spectro/redux/dr17/visit/apo25m/000+14/7545/56933/apVisit-dr17-7546-56933-007.fits")
@example("dr17/apogee/spectro/redux/dr17/visit/apo25m/000+14/7545/56933/apVisit-dr17-7545-56933-7.fits")
def test_what_is_no_location_does_not_match(text: str) -> None:
    assert DR17.path_template("apVisit").match(text) is None


def test_padding_is_not_part_of_a_value() -> None:
    location = DR17.location("spec", run2d="26", plateid=266, mjd=51602, fiberid=3)

    assert DR17.path_template("spec").match(location) == {
        "run2d": "26", "plateid": "266", "mjd": "51602", "fiberid": "3",
    }  # fmt: skip


# ---------------------------------------------------------------- columns


def test_scalars_go_with_every_row() -> None:
    made = DR17.path_template("apVisit").locations({**VISIT, "fiber": [1, 2, 2]})

    assert [location[-8:-5] for location in made] == ["001", "002", "002"]


def test_an_empty_column_gives_nothing() -> None:
    assert DR17.path_template("apVisit").locations({**VISIT, "fiber": []}) == []


def test_without_a_column_the_size_tells_how_many() -> None:
    template = DR17.path_template("apVisit")

    assert template.locations(VISIT) == [template.location(VISIT)]
    assert template.locations(VISIT, 3) == [template.location(VISIT)] * 3
    assert template.locations(VISIT, 0) == []


def test_columns_of_different_lengths_are_an_error_that_names_them() -> None:
    with pytest.raises(UnequalLengths, match=r"mjd: 3.*fiber: 2"):
        DR17.path_template("apVisit").locations({**VISIT, "fiber": [1, 2], "mjd": [1, 2, 3]})
    with pytest.raises(UnequalLengths):
        DR17.path_template("apVisit").locations({**VISIT, "fiber": [1, 2]}, 3)


def test_a_bad_row_is_named_wherever_it_is() -> None:
    rows = CHUNK + 10
    fibers: list[Any] = [7] * rows
    fibers[CHUNK + 3] = "a/b"

    with pytest.raises(InvalidParameter, match=f"row {CHUNK + 3}: fiber"):
        DR17.path_template("apVisit").locations({**VISIT, "fiber": fibers})


def test_columns_of_arrays_and_tables_do() -> None:
    import numpy as np
    from astropy.table import MaskedColumn, Table

    template = DR17.path_template("apVisit")
    expected = [template.location({**VISIT, "field": field, "fiber": fiber}) for field, fiber in (("a", 1), ("b", 2))]
    table = Table({"field": np.array([b"a ", b"b"]), "fiber": np.array([1, 2], dtype=np.int16)})

    assert template.locations({**VISIT, "field": table["field"], "fiber": table["fiber"]}) == expected
    assert template.locations({**VISIT, "field": ("a", "b"), "fiber": range(1, 3)}) == expected
    with pytest.raises(InvalidParameter, match=r"row 1: fiber.* masked"):
        template.locations({**VISIT, "fiber": MaskedColumn([1, 2], mask=[False, True])})


def test_truth_values_and_floats_do_not_hide_among_integers() -> None:
    """1, True and 1.0 are equal, and look different."""
    template = DR17.path_template("apVisit")

    with pytest.raises(InvalidParameter, match="row 2"):
        template.locations({**VISIT, "field": [1, 1, True]})
    assert [text.split("/")[7] for text in template.locations({**VISIT, "field": [1, 1.0, 1]})] == ["1", "1.0", "1"]


def test_derived_gaps_follow_their_columns() -> None:
    template = DR17.path_template("spec")
    runs = ["26", "v5_13_2", "103"] * 700
    made = template.locations({"run2d": runs, "plateid": range(2100), "mjd": 5, "fiberid": 1})

    assert made == [template.location({"run2d": r, "plateid": i, "mjd": 5, "fiberid": 1}) for i, r in enumerate(runs)]
