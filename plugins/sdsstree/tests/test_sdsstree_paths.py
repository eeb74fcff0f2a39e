"""Every path name of the tree is a product: its parameters, its releases, its paths, and the way back from them."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from typing import Any

import pytest
from astra_registry_sdsstree.paths import TreePaths
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra_registry import Registry, Tree, registry
from astra_registry.errors import (
    AstraRegistryError,
    InvalidParameter,
    MissingParameter,
    SuperfluousParameter,
    UnresolvedRoot,
)
from astra_registry.identification import identify
from astra_registry.release import releases
from astra_registry.testing.generated import path, products

PATHS = TreePaths()
PAIRS = [(name, release) for name in PATHS for release in PATHS[name].releases]


def types_of(name: str) -> dict[str, str]:
    return {p.name: p.type_name for p in PATHS[name].parameters}


def test_every_name_of_every_release_is_a_product() -> None:
    assert len(PATHS) == len({name for release in releases() for name in Tree(release).lookup_names()}) == 856
    assert sum(release != "sdss5" for _, release in PAIRS) == 4920 + 1  # spec-lite of DR18, which the tree lacks
    assert set(PATHS) <= set(registry)


def test_the_2021_name_of_the_work_release_comes_with_it() -> None:
    assert all(("sdss5" in PATHS[name].releases) == ("sdsswork" in PATHS[name].releases) for name in PATHS)


def test_a_file_that_the_server_names_otherwise_has_a_further_location() -> None:
    """Its local path stays that of sdss_access."""
    star = registry.create(
        "aspcapStar",
        release="dr13",
        apred="r6",
        apstar="stars",
        aspcap="l30e",
        results="l30e.2",
        location=4233,
        obj="2M1",
    )
    folder = "dr13/apogee/spectro/redux/r6/stars/l30e/l30e.2/4233"

    assert star.location == f"{folder}/aspcapStar-l30e.2-2M1.fits"
    assert star.further_locations == [f"{folder}/aspcapStar-r6-l30e.2-2M1.fits"]
    assert type(star).template_texts("dr17") == ("=aspcapStar",)


def test_numbers_are_integers_and_the_rest_is_text() -> None:
    assert types_of("frame") == {"rerun": "str", "run": "int", "camcol": "int", "filter": "str", "field": "int"}
    assert types_of("spec-lite") == {"run2d": "str", "plateid": "int", "mjd": "int", "fiberid": "int"}
    assert types_of("apPlan")["field"] == types_of("apPlan")["plate"] == "str"
    assert types_of("mwmStar")["sdss_id"] == types_of("mwmStar")["cat_id"] == "int"
    assert types_of("lvm_sframe")["expnum"] == types_of("lvm_sframe")["tileid"] == "int"


def test_what_a_template_shows_with_its_zeros_is_text() -> None:
    """An int would lose them: sdR files are named sdR-b1-00101200.fit."""
    frame = registry.create("sdR", release="dr17", mjd=55000, br="b", id="1", frame="00101200")

    assert frame.location.endswith("/55000/sdR-b1-00101200.fit")
    assert types_of("plateGuideAdjust")["lambda"] == "str"  # l16600


def test_a_date_has_its_unit_and_every_parameter_its_words() -> None:
    for name in PATHS:
        for declared in PATHS[name].parameters:
            assert declared.doc
            assert declared.batch
            assert (declared.unit == "d") == (declared.name == "mjd") or declared.unit == "s"


def test_a_parameter_that_only_some_releases_use_is_needed_there_and_refused_elsewhere() -> None:
    star = registry["mwmStar"]
    new = {"v_astra": "0.6.0", "sdss_id": 114870783}

    assert star(release="dr19", **new).location.endswith("/star/07/83/mwmStar-0.6.0-114870783.fits")
    with pytest.raises(MissingParameter, match="mwmStar in dr19 needs sdss_id"):
        star(release="dr19", v_astra="0.6.0")
    with pytest.raises(SuperfluousParameter, match="does not use cat_id"):
        star(release="dr19", cat_id=1, **new)


def test_names_that_are_taken_get_an_underscore_and_keep_their_spelling_in_mappings() -> None:
    frame = registry["frame"]
    given = {"release": "dr17", "rerun": "301", "camcol": 1, "field": 12}

    one = frame(**given, run_=94, filter_="u")
    other = frame(**given, run=94, filter="u")

    assert one == other
    assert (one.run_, one.filter_) == (94, "u")
    assert one.param_kwargs["run"] == 94
    assert frame.from_table({"run": [94, 95], "FILTER": ["u", "g"]}, **given).get_batch_size() == 2
    assert {p.attribute for p in PATHS["plateGuideAdjust"].parameters} >= {"lambda_"}


def test_the_release_in_a_path_is_the_products_own_unless_it_is_given() -> None:
    allspec = registry["allspec"]

    assert allspec(release="DR19", vers="1.0").location.endswith("/allspec-dr19-1.0.fits")
    spelled = allspec(release="dr19", vers="1.0", release_="DR19")
    assert spelled.location.endswith("/allspec-DR19-1.0.fits")
    assert spelled.release == "dr19"


@pytest.mark.parametrize(
    ("name", "given", "file"),
    [
        ("apogee_astronn", {}, "apogee_astroNN-DR17.fits"),
        ("apogee_starhorse", {"version": "v2"}, "APOGEE_DR17_EDR3_STARHORSE_v2.fits"),
        ("manga_morphology_dl", {"dlver": "1.1.1"}, "manga-morphology-dl-DR17.fits"),
        ("manga_pymorph", {"pymorphver": "1.1.1"}, "manga-pymorph-DR17.fits"),
        ("apogee_nc_abund", {"version": "v1_0"}, "dr17_nc_abund_v1_0.fits"),
    ],
)
def test_the_release_stands_in_a_path_as_the_server_spells_it(name: str, given: dict[str, str], file: str) -> None:
    """Programs ask for these names of files; in the other spelling there is nothing."""
    assert registry.create(name, release="dr17", **given).location.rpartition("/")[2] == file


def test_what_special_functions_read_besides_may_be_given_or_left_out() -> None:
    north = {"release": "dr19", "apred": "1.3", "telescope": "apo25m", "field": "100", "plate": "1", "mjd": 59146}
    assert "/apPlan-1-59146" in registry.create("apPlan", **north).location
    piece = {"release": "dr20", "v_targ": "1.0.1", "ftype": "fits", "num": "2"}
    assert registry.create("mos_target_allwise", **piece).location.endswith("-02.fits")
    coadd = registry["spAllField_coadd"]
    given = {"release": "dr20", "run2d": "v6_2_1", "coadd": "allepoch", "mjd": 60000}
    assert coadd(**given) == coadd(**given, obs="")
    assert "allepoch_lco" in coadd(**given, obs="lco").location
    assert len(set(coadd(**given, obs=["", "lco"]).locations)) == 2


def test_what_a_special_function_takes_are_choices() -> None:
    choices = {p.name: p.choices for p in PATHS["apPlan"].parameters}
    assert choices["telescope"] == ("apo25m", "apo1m", "lco25m")
    assert choices["instrument"] == ("apogee-n", "apogee-s")
    assert {p.name: p.choices for p in PATHS["allStar"].parameters}["telescope"] is None


def test_the_trees_typo_is_known_by_its_meaning() -> None:
    assert "dib_model" in types_of("apMADGICS_out_p5deltachi2_lv")


def test_a_path_whose_root_is_nowhere_is_listed_and_an_error_when_resolved() -> None:
    assert "plateDefault" in registry
    with pytest.raises(UnresolvedRoot, match="PLATEDESIGN_DIR"):
        registry.create("plateDefault", release="dr8")


@pytest.mark.parametrize("name", ["frames.list", "resolve.log", "galaxy-specObj"])
def test_a_product_whose_name_is_no_python_name_is_sent_and_kept_like_others(name: str) -> None:
    """It is found again by its name, whatever signs that holds."""
    values = {p.name: "1" for p in PATHS[name].parameters}
    made = registry.create(name, release="dr12", **values)

    assert pickle.loads(pickle.dumps(made)) == made
    assert type(made).from_str_params(made.to_str_params()) == made


def test_a_plugin_that_names_a_product_wins_over_the_tree() -> None:
    assert registry.plugin_of("apVisit").name == "apvisit"
    assert registry.plugin_of("apPlan").name == "sdsstree"
    assert Registry(plugins=["astra_registry_sdsstree"]).plugin_of("apVisit").name == "sdsstree"


def test_listing_reads_no_more_than_text() -> None:
    heavy = ("astropy", "numpy", "sqlalchemy", "requests", "tree", "sdss_access")
    code = (
        "import sys; from astra_registry import registry; assert len(registry) >= 856; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Values as they are on the SAS, and some that are hard to tell from what stands beside them.
REAL: dict[str, tuple[Any, ...]] = {
    "run2d": ("v5_13_2", "26", "103", "v6_0_4", "v6_1_3", "v6_2_1", "master"),
    "run1d": ("v5_13_2", "26", "v6_2_1"),
    "apred": ("dr17", "1.3", "r13", "daily"),
    "apstar": ("stars", "star"),
    "aspcap": ("l31c", "synspec_rev1"),
    "field": ("000+14", "354-1", "M67", "4424", "200+45_MGA", "0012"),
    "fieldid": ("15000", "112360", "007", "016000"),
    "obj": ("2M16544175-2148453", "VESTA", "AP00000200+7447000"),
    "plate": ("8485", "266", "15000", "00123"),
    "plateid": (266, 3606, 10000, 1),
    "mjd": (59146, 55210),
    "healpix": (7, 12345, 196607),
    "catalogid": (4375786564, 27021598150202075, 5),
    "sdss_id": (114870783, 7, 100),
    "configid": (123, 12345678),
    "tileid": (1, 1028492, 11111),
    "expnum": (6789, 39860002),
    "frame": ("00101200", "12345"),
    "br": ("b", "r"),
    "id": ("1", "2"),
    "filter": ("u", "g", "z"),
    "dr": ("DR12", "17"),
    "component": ("", "A"),
    "obs": ("", "apo", "lco", "APO"),
    "coadd": ("allepoch", "spiders_lite", "all_stars_lco"),
    "hemi": ("n", "x-y"),
    "num": (0, 1, 12, 345),
    "drpver": ("v3_1_1", "1.1.0"),
    "v_astra": ("0.6.0", "0.8.1"),
}


@pytest.mark.parametrize("seed", range(4))
def test_every_path_of_every_release_is_identified_again(seed: int) -> None:
    """All names in all releases, with several values each: the product that comes back lives at the very path."""
    rng = random.Random(seed)
    made, wrong = 0, []
    for name, release in PAIRS:
        product = registry[name]
        try:
            plan = product.plan(release)
        except UnresolvedRoot:
            continue
        values: dict[str, Any] = {}
        for _, attribute in plan.keys:
            declared = product._parameters[attribute]
            if attribute in plan.required or rng.random() < 0.7:
                values[declared.name] = rng.choice(declared.choices or _real(declared.name.rstrip("_"), declared.type))
        try:
            location = product(release=release, **values).local_path
        except (InvalidParameter, MissingParameter, UnresolvedRoot):  # such as: num is needed for FITS files
            continue
        made += 1
        if identify(registry.known_places, location).local_path != location:
            wrong.append(location)
    assert made > 4800
    assert wrong == []


def _real(name: str, kind: type) -> tuple[Any, ...]:
    known = tuple(value for value in REAL.get(name, ()) if isinstance(value, kind))
    return known or ((3, 1234, 100200) if kind is int else ("v1_0_1", "abc", "a_b", "x-y", "0.5"))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_identify_undoes_resolve_for_any_parameters(data: st.DataObject) -> None:
    name, release = data.draw(st.sampled_from(PAIRS))
    try:
        drawn = data.draw(products(registry[name], release))
    except AstraRegistryError:  # a root that is nowhere; a value that the template cannot take
        return
    where = path(drawn)
    if where is not None:
        assert identify(registry.known_places, where).local_path == where
