"""Which product lives at a path: any base, any address, candidates ranked, and files that tell for themselves."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astra_registry import Registry, SDSS5DataModelTask, Tree, hookimpl, parameter, registry
from astra_registry.declarations import Declaration
from astra_registry.errors import BadValue, FileMissing, NotIdentified, UnresolvedRoot
from astra_registry.identification import identify
from astra_registry.paths import on_disk
from astra_registry.product_files.reading import read_product_file
from astra_registry.product_files.writing import as_toml
from astra_registry.settings import override

HERE = Path(__file__).parent
SHIPPED = HERE / "data" / "sas"
SHARED = HERE.parents[1] / "shared" / "data" / "sdss"
STAR = "dr17/apogee/spectro/redux/dr17/stars/apo25m/000+02/apStar-dr17-2M17335483-2753043.fits"
LEGACY = "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path) -> Iterator[None]:
    with override(sas_base_dir=str(tmp_path / "sas")):
        yield


@pytest.mark.parametrize(
    "spelled",
    [
        "{0}",
        "./{0}",
        "/data/somewhere/{0}",
        "/data//somewhere/./x/../{0}",
        "/data/somewhere/{0}/",
        "/data/dr17/mirror/{0}",
        "file:///mnt/sas/{0}",
        "https://data.sdss.org/sas/{0}",
        "https://data.mirror.sdss.org/sas/{0}?download=1#top",
        "https://mirror.example.org/astro/sdss/{0}",
        "http://127.0.0.1:8000/sas/{0}",
        "rsync://dtn.sdss.org/{0}",
        "rsync://sdss5@dtn.sdss.org//{0}",
        "data.sdss.org/sas/{0}",
        "{0}.gz",
        "https://data.sdss.org/sas/{0}.gz",
    ],
)
def test_a_path_is_known_by_any_address(spelled: str) -> None:
    product = registry.identify(spelled.format(STAR))

    assert (product._label(), product.release, product.location) == ("apStar", "dr17", STAR)
    assert product.obj == "2M17335483-2753043"


def test_what_a_url_quotes_is_read(tmp_path: Path) -> None:
    quoted = STAR.replace("+", "%2B").replace("apStar", "%61pStar")
    assert registry.identify(f"https://data.sdss.org/sas/{quoted}").location == STAR


def test_a_relative_path_may_start_inside_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "copy" / os.path.dirname(os.path.dirname(STAR))
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert registry.identify(os.path.join("000+02", os.path.basename(STAR))).location == STAR


def test_a_link_is_what_it_points_to(tmp_path: Path) -> None:
    """As in a folder of one's own with links to the files of a sample; a folder may be one, too."""
    file = tmp_path / "sas" / STAR
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / "mine.fits").symlink_to(file)
    (tmp_path / "sample").symlink_to(file.parent)

    assert registry.identify(str(tmp_path / "mine.fits")).location == STAR
    assert registry.identify(str(tmp_path / "sample" / file.name)).location == STAR


def test_parameters_come_back_with_their_types_and_without_zeros() -> None:
    found = registry.identify("/x/dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-006.fits")

    assert found == registry.create(
        "apVisit", release="dr12", apred="r5", telescope="apo25m", plate="5213", mjd=55811, fiber=6
    )
    assert type(found.fiber) is int
    assert type(found.plate) is str


def test_a_file_at_its_second_location_is_the_same_product() -> None:
    spec = registry.identify(f"https://data.sdss.org/sas/{LEGACY}")

    assert spec == registry.create("spec", release="dr16", run2d="26", plate=332, mjd=52367, fiberid=639)
    assert "/spectra/full/0332/" in spec.local_path
    (answer,) = registry.identify(LEGACY, all=True)
    assert "a further place of spec in dr16" in answer.reason
    assert f"https://data.sdss.org/sas/{LEGACY}" in answer.addresses
    assert len([address for address in answer.addresses if "mirror" in address]) == 1


def test_the_2021_path_of_spec_is_that_of_its_release() -> None:
    spec = registry.create("spec", run2d="v6_0_4", plate="15000", mjd=59146, catalogid=4375786564)

    assert registry.identify(spec.local_path) == spec


def test_software_products_are_known_beside_the_sas() -> None:
    plan = registry.create("platePlans", release="dr17")

    assert registry.identify(plan.local_path).local_path == plan.local_path
    assert (
        registry.identify("/elsewhere" + plan.local_path[plan.local_path.index("/data/sdss") :])._label()
        == "platePlans"
    )


def test_all_candidates_come_ranked_with_their_reasons() -> None:
    answers = registry.identify(STAR, all=True)

    assert [answer.name for answer in answers] == ["apStar", "apStar-1m"]
    assert all(answer.product.location == STAR for answer in answers)
    assert answers[0].reason.startswith("the template of apStar in dr17: $APOGEE_REDUX/")
    assert answers[0].parameters["telescope"] == "apo25m"
    assert answers[0].input == STAR
    assert answers[0] == registry.identify(STAR) == answers[0].product
    assert len({answers[0], registry.identify(STAR), answers[1]}) == 2
    assert answers[0].obj == "2M17335483-2753043"  # what a product has, an answer has
    assert not hasattr(answers[0], "nothing")
    assert pickle.loads(pickle.dumps(answers[0])) == answers[0]


@pytest.mark.parametrize(
    "path", ["/x/y.fits", "dr17/apogee/nothing.fits", "", "/", "dr17", "https://data.sdss.org/sas/", "%", "a\0b"]
)
def test_what_is_no_products_path_is_said_to_be_none(path: str) -> None:
    with pytest.raises(NotIdentified) as raised:
        registry.identify(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(NotIdentified):
        registry.identify(path, all=True)


def test_a_path_is_text() -> None:
    assert identify(registry.known_places, Path("/x") / STAR).location == STAR
    with pytest.raises(BadValue, match="a path is text"):
        identify(registry.known_places, b"/x")  # type: ignore[call-overload]


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@settings(max_examples=50)  # each is compared with every template four times
def test_no_text_breaks_it(text: str) -> None:
    for path in (
        text,
        f"/x/dr17/{text}",
        f"https://data.sdss.org/sas/dr19/spectro/{text}",
        STAR.replace("000+02", text or "x"),
    ):
        try:
            found = registry.identify(path)
        except NotIdentified:
            continue
        assert os.path.basename(found.local_path)


# ---------------------------------------------------------------- ranking


class Mine(SDSS5DataModelTask):
    """A product of a plugin's own, where the tree has one as well."""

    sdss_data_model_name = "mine"
    templates = {  # noqa: RUF012
        "dr17": ("$SAS_BASE_DIR/dr17/mine/{kind}/mine-{name}.fits", "$SAS_BASE_DIR/dr17/old/{kind}/{name}.fits"),
        "dr16": "$SAS_BASE_DIR/dr17/mine/{kind}/mine-{name}.fits",
        "dr19": "$SAS_BASE_DIR/mylab/{kind}-{name}.fits",
    }
    kind: str = parameter("The kind.", default=None)
    name: str = parameter("The name.")


class Other(SDSS5DataModelTask):
    """Another one, with less literal text."""

    sdss_data_model_name = "other"
    templates = {"dr17": "$SAS_BASE_DIR/dr17/mine/{kind}/{name}.fits"}  # noqa: RUF012
    kind: str = parameter("The kind.")
    name: str = parameter("The name.")


class Night(SDSS5DataModelTask):
    """A product whose path does not tell the telescope, only its hemisphere."""

    sdss_data_model_name = "night"
    templates = {"dr17": "$SAS_BASE_DIR/dr17/night/@apgprefix|Night-{mjd}.fits"}  # noqa: RUF012
    telescope: str = parameter("The telescope.", choices=("apo25m", "apo1m", "lco25m"))
    mjd: int = parameter("The night.")


class Plugin:
    @hookimpl
    def astra_registry_products(self) -> list[Any]:
        return [Mine, Other, Night]

    @hookimpl
    def astra_registry_product_sources(self) -> list[dict[str, Declaration]]:
        tree = Declaration(name="apStar", releases=("dr17",), parameters=registry.declaration("apStar").parameters)
        copy = {"dr17": "$SAS_BASE_DIR/dr17/mine/{kind}/mine-{name}.fits"}
        return [{"apStar": tree, "amine": Declaration(name="amine", templates=copy, releases=("dr17",),
                                                      parameters=Declaration.of(Mine).parameters)}]  # fmt: skip


def test_the_owner_of_the_folder_then_the_hand_written_then_the_more_literal_come_first() -> None:
    own = Registry(plugins=[Plugin()])

    answers = own.identify("/x/dr17/mine/a/mine-b.fits", all=True)

    assert [(a.name, a.release) for a in answers] == [
        ("mine", "dr17"), ("other", "dr17"), ("amine", "dr17"), ("mine", "dr16")
    ]  # fmt: skip
    assert own.identify("/x/dr17/old/a/b.fits").param_kwargs["name"] == "b"


def test_a_folder_that_no_release_owns_is_known_when_a_product_has_it() -> None:
    found = Registry(plugins=[Plugin()]).identify("/anywhere/mylab/a-b.fits")

    assert (found.release, found.param_kwargs["kind"], found.param_kwargs["name"]) == ("dr19", "a", "b")


def test_an_address_whose_bytes_are_no_text_is_no_products() -> None:
    """As a product's value the byte would be another letter, and the product at another address."""
    address = f"https://data.sdss.org/sas/{STAR}".replace("000+02", "000%E9")

    with pytest.raises(NotIdentified):
        registry.identify(address)
    assert registry.identify(address.replace("%E9", "%C3%A9")).field == "000\u00e9"


class Copied(SDSS5DataModelTask):
    """A product of which some servers keep copies in a folder without versions."""

    sdss_data_model_name = "copied"
    templates = {"dr17": ("$SAS_BASE_DIR/dr17/copied/{version}/{plateid}.fits", "$SAS_BASE_DIR/dr17/flat/{fieldid}.f")}  # noqa: RUF012
    plate: str = parameter("The plate.", aliases=("plateid", "fieldid"))
    version: str = parameter("The version.", default="1.0")


def test_a_further_place_with_other_keys_than_the_location_is_known() -> None:
    own = Registry(plugins=[types.SimpleNamespace(astra_registry_products=hookimpl(lambda: [Copied]))])

    found = own.identify("/x/dr17/flat/7.f")

    assert found == Copied(release="dr17", plate="7")
    assert found.location == "dr17/copied/1.0/7.fits"


def test_what_a_path_does_not_tell_and_is_needed_is_listed_as_choices() -> None:
    own = Registry(plugins=[Plugin()])

    answers = own.identify("/x/dr17/night/apNight-59146.fits", all=True)

    assert [a.parameters["telescope"] for a in answers] == ["apo25m", "apo1m"]
    assert own.identify("/x/dr17/night/asNight-59146.fits").param_kwargs["telescope"] == "lco25m"


def test_refresh_forgets_what_was_known() -> None:
    own = Registry(plugins=[Plugin()])
    own.identify("dr17/mine/a/mine-b.fits")
    before = own.known_places

    own.refresh()

    assert own.known_places is not before


def test_a_path_is_identified_among_the_plugins_of_now() -> None:
    assert registry.identify(STAR).sdss_data_model_name == "apStar"

    with override(plugins=["apvisit"]), pytest.raises(NotIdentified):
        registry.identify(STAR)


# ---------------------------------------------------------------- files that tell for themselves


def every_file(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.fits")) if folder.is_dir() else []


@pytest.mark.parametrize("location", every_file(SHIPPED))
def test_every_shipped_file_is_identified_where_it_lies(location: str) -> None:
    found = registry.identify(str(SHIPPED / location))

    product = found.plan(found.release)
    assert location in [template.location(found._template_values()) for template in product.templates]


def rows_of(name: str) -> list[list[str]]:
    lines = [line for line in (HERE / "data" / name).read_text().splitlines() if not line.startswith("#")]
    return [line.split(",") for line in lines[1:]]


def examples() -> list[list[str]]:
    return rows_of("datamodel_examples.csv")


EXPRESSED = [row[:4] for row in examples() if not row[4]]
NOT_EXPRESSED = [row for row in examples() if row[4]]


@pytest.mark.parametrize(("release", "root", "path", "product"), EXPRESSED)
def test_the_data_models_examples_come_back_to_their_paths(release: str, root: str, path: str, product: str) -> None:
    """No product is named: the path alone tells it; a compressed file is the same product."""
    file = f"{Tree(release).roots[root]}/{path}"

    found = registry.identify(file)

    assert (found._label(), found.release) == (product, release)
    assert file in on_disk.spellings(found.local_path)


@pytest.mark.parametrize(("release", "root", "path", "product", "why"), NOT_EXPRESSED)
def test_an_example_that_is_left_out_is_one_that_the_tree_cannot_express(
    release: str, root: str, path: str, product: str, why: str
) -> None:
    tree = Tree(release)
    folder = tree.roots.get(root)

    if folder is None:
        assert why == "the release defines no such root"
        return
    location = os.path.relpath(f"{folder}/{path}", tree.sas_base_dir)
    for name in tree.lookup_names():
        with contextlib.suppress(UnresolvedRoot):
            assert tree.path_template(name).match(location) is None, name
    with pytest.raises(NotIdentified):
        registry.identify(f"{folder}/{path}")


def test_the_examples_are_many_and_of_all_kinds() -> None:
    assert len(EXPRESSED) + len(NOT_EXPRESSED) >= 250
    assert len({release for release, *_ in EXPRESSED}) >= 15
    assert len({root for _, root, *_ in EXPRESSED}) >= 25
    assert len({product for *_, product in EXPRESSED}) >= 120


SEEN = rows_of("seen_addresses.csv")


@pytest.mark.parametrize(("url", "release", "product", "why"), SEEN)
def test_an_address_that_programs_ask_for_is_what_a_reader_says(url: str, release: str, product: str, why: str) -> None:
    """What is found is at that very address, one of its further places, or where the server's link leads."""
    if why:
        with pytest.raises(NotIdentified):
            registry.identify(url)
        return
    found = registry.identify(url)

    assert (found._label(), found.release) == (product, release)
    folders = url.partition("/sas/")[2].split("/")
    if folders[1] == "env":
        root = Tree(release).roots[folders[2]]
        folders[:3] = os.path.relpath(root, Tree(release).sas_base_dir).split("/")
    at = [template.location(found._template_values()) for template in found.plan(release).templates]
    assert "/".join(folders) in [spelling for location in at for spelling in on_disk.spellings(location)]


def test_a_link_to_a_root_that_the_release_lacks_is_nowhere() -> None:
    for url in ("dr12/env/NO_SUCH_ROOT/a/frame-i-003804-2-0204.fits", "dr12/env/BOSS_PHOTOOBJ", "dr12/env"):
        with pytest.raises(NotIdentified):
            registry.identify(url)


def manifest() -> list[tuple[str, str, str, dict[str, Any]]]:
    if not (SHARED / "MANIFEST.ecsv").exists():
        return []
    from astropy.table import Table

    rows = Table.read(SHARED / "MANIFEST.ecsv", format="ascii.ecsv")
    return [
        (row["sas_path"], row["product"], row["release"], json.loads(row["params"])) for row in rows if row["release"]
    ]


# With more real files at hand, more of them are tried.
if MANIFEST := manifest():

    @pytest.mark.parametrize(("location", "product", "release", "values"), MANIFEST)
    def test_every_real_file_is_what_its_manifest_says(
        location: str, product: str, release: str, values: dict[str, Any]
    ) -> None:
        found = registry.identify(f"/archive/{location}")

        assert (found._label(), found.release) == (product, release)
        told = {name: value for name, value in values.items() if name in type(found)._spellings}
        for name, value in told.items():
            mine = getattr(found, type(found)._spellings[name])
            assert mine is None or str(mine) == str(value)


def test_a_renamed_folder_is_no_matter_when_the_file_has_its_cards(tmp_path: Path) -> None:
    """A bare file: plate, date and fibre are in its name, telescope and the rest in its cards."""
    source = SHIPPED / "dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-296.fits"
    shutil.copy(source, tmp_path / source.name)

    found = registry.identify(str(tmp_path / source.name))

    assert (found._label(), found.release, found.telescope) == ("apVisit", "dr12", "apo25m")
    (answer, *_) = registry.identify(str(tmp_path / source.name), all=True)
    assert answer.reason.startswith("its name and its cards (TELESCOP)")


def test_a_bare_star_is_found_by_its_cards(tmp_path: Path) -> None:
    """In DR13 its field is the location identifier, although the card FIELD holds a name."""
    source = SHIPPED / "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"
    shutil.copy(source, tmp_path / source.name)

    assert registry.identify(str(tmp_path / source.name)).location == str(source.relative_to(SHIPPED))


def test_a_bare_spectrum_is_found_by_its_only_row(tmp_path: Path) -> None:
    """RUN2D of a legacy spectrum is a column of the table in HDU 2."""
    source = SHIPPED / "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits"
    shutil.copy(source, tmp_path / source.name)

    found = registry.identify(str(tmp_path / source.name))

    assert (found._label(), found.run2d, found.plate, found.fiberid) == ("spec", "26", "332", 639)


def test_the_name_of_a_template_is_taken_apart_once() -> None:
    """However many names are asked about: a list of files has thousands that are nobody's."""
    first = {id(place.name_words) for place in registry.known_places.all() if place.name_words}

    with pytest.raises(NotIdentified):
        registry.identify("nobodys.fits")

    assert first == {id(place.name_words) for place in registry.known_places.all() if place.name_words}


def test_a_bare_name_says_what_it_still_needs() -> None:
    with pytest.raises(NotIdentified, match=r"may be apStar, but apStar in \w+ needs telescope.*--header FILE"):
        registry.identify("apStar-r5-2M19241352+3858278.fits")


def test_a_version_that_two_releases_have_is_taken_for_the_public_ones() -> None:
    """0.6.0 of Astra is that of IPL-3, and of DR19."""
    answers = registry.identify("mwmStar-0.6.0-114870783.fits", all=True)

    assert [answer.release for answer in answers[:2]] == ["dr19", "ipl3"]


def test_a_header_that_is_asked_for_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="its header was asked for"):
        identify(registry.known_places, str(tmp_path / "apStar-r5-2M19241352+3858278.fits"), header=True, every=True)


def test_a_file_in_the_wrong_place_is_told_by_its_header(tmp_path: Path) -> None:
    source = SHIPPED / "dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-296.fits"
    wrong = tmp_path / "dr12" / "misplaced" / source.name
    wrong.parent.mkdir(parents=True)
    shutil.copy(source, wrong)

    with pytest.raises(NotIdentified, match="in the release of dr12/"):
        registry.identify(str(wrong))
    assert identify(registry.known_places, str(wrong), header=True, every=True)[0].release == "dr12"


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("apVisit-dr17-5815-56396-212.fits", "apVisit in dr17 needs field, telescope"),
        ("apVisit-r12-5095-55844-128.fits", "apVisit in dr16 needs field, telescope"),
        ("apVisit-r6-5094-56643-088.fits", "apVisit in dr13 needs telescope"),
        ("apVisit-1.3-apo25m-5094-56643-088.fits", "apVisit in dr20 needs field"),
    ],
)
def test_a_name_with_the_version_of_a_release_is_of_no_other_release(name: str, needs: str) -> None:
    """DR10 and DR11 have no version in their folders' names but one, and would take any."""
    for every in (False, True):
        with pytest.raises(NotIdentified, match=needs):
            registry.identify(name, all=every)
    with pytest.raises(NotIdentified, match=needs):
        registry.identify(f"/home/me/{name}.gz")


def test_a_name_with_the_version_of_a_release_that_needs_no_more_is_identified() -> None:
    visit = registry.identify("apVisit-r4-5815-56396-212.fits")

    assert (visit.release, visit.apred, visit.fiber) == ("dr11", "r4", 212)


RENAMED = {
    "dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-296.fits": ("apVisit", "dr12"),
    "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits": ("apStar", "dr13"),
    "dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits": ("apStar", "dr17"),
    "dr16/eboss/spectro/redux/v5_13_0/spectra/lite/10656/spec-10656-58163-0366.fits": ("spec-lite", "dr16"),
}


@pytest.mark.parametrize("location", RENAMED)
def test_a_file_that_was_renamed_is_known_by_its_cards(location: str, tmp_path: Path) -> None:
    """Its product says which cards its files have, and which of them tell a parameter."""
    shutil.copy(SHIPPED / location, tmp_path / "mine.fits")

    best = registry.identify(str(tmp_path / "mine.fits"), all=True)[0]

    assert ((best.name, best.release), best.location) == (RENAMED[location], location)
    assert best.reason.startswith("its cards (")
    assert ("telescope" in best.reason.partition(";")[0]) == ("K04" in location)  # DR17's stars do not tell: assumed


@pytest.mark.parametrize(("folder", "name"), [("spectra", "spec"), ("spectra/lite", "spec-lite")])
def test_a_renamed_spectrum_is_full_or_lite_by_its_hdus(folder: str, name: str, tmp_path: Path) -> None:
    """The two have the same cards; 26 is the version of many releases, and no card tells which."""
    shutil.copy(SHIPPED / f"dr16/sdss/spectro/redux/26/{folder}/0332/spec-0332-52367-0639.fits", tmp_path / "mine.fits")

    answers = registry.identify(str(tmp_path / "mine.fits"), all=True)

    assert {answer.name for answer in answers} == {name}
    assert {"dr16", "dr17"} <= {answer.release for answer in answers}
    assert all(answer.location.endswith("0332/spec-0332-52367-0639.fits") for answer in answers)


def test_a_file_that_bears_the_name_of_another_is_known_by_its_cards(tmp_path: Path) -> None:
    location = "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"
    wrong = tmp_path / "apVisit-r5-5213-55811-296.fits"
    shutil.copy(SHIPPED / location, wrong)

    assert registry.identify(str(wrong)).location == location


def fits_file(path: Path, *cards: str) -> Path:
    """Write a FITS file of one header, whose cards are written as they are."""
    lines = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"]
    path.write_bytes("".join(line.ljust(80) for line in [*lines, *cards, "END"]).ljust(2880).encode())
    return path


def test_a_card_that_cannot_be_read_is_no_matter(tmp_path: Path) -> None:
    """APOGEE's files of DR13 have `AKTARG  = NAN`, which is no value in FITS."""
    file = fits_file(
        tmp_path / "apStar-r6-2M00005143+5615568.fits",
        "AKTARG  =                  NAN",
        "TELESCOP= 'apo25m  '",
        "LOCID   =                 4264",
    )

    assert registry.identify(str(file)).field == "4264"


STAMP = """
[products.stamp]
summary = "A picture of a star."
cards = { STAMPED = '(?P<star>\\d+) by stamp \\S+' }
templates.dr17 = "$SAS_BASE_DIR/stamps/{star:0>6}.jpg.fits"
parameters.star = { type = "int", doc = "The number of the star." }
"""


def test_a_product_without_python_says_by_which_cards_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "products.toml").write_text(STAMP)
    (declaration,) = read_product_file(tmp_path / "products.toml")
    (tmp_path / "again.toml").write_text(as_toml(declaration))
    (again,) = read_product_file(tmp_path / "again.toml")
    assert again.cards == declaration.cards
    mine = Registry(plugins=[str(tmp_path / "again.toml")])
    file = fits_file(tmp_path / "x.fits", "STAMPED = '17 by stamp v2'")

    assert mine.identify(str(file)).star == 17
    with pytest.raises(NotIdentified):
        mine.identify(str(fits_file(tmp_path / "y.fits", "STAMPED = 'by hand'")))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [("(", "no regular expression"), ("(?P<sun>.*)", "tells 'sun', which is no parameter of it"), (7, "no regular")],
)
def test_cards_that_cannot_be_matched_are_refused_where_they_are_declared(pattern: str, why: str) -> None:
    def declare() -> None:
        class Stamp(SDSS5DataModelTask):
            sdss_data_model_name = "stamp"
            templates = {"dr17": "$SAS_BASE_DIR/stamps/{star}.fits"}  # noqa: RUF012
            cards = {"STAMPED": pattern}  # noqa: RUF012

            star: int = parameter("The number of the star.")

    with pytest.raises(BadValue, match=why):
        declare()
