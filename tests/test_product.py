"""Data products: what a release asks of them, and where they are."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astra_registry import DataProduct, SDSS5DataModelTask, Task, parameter, registry
from astra_registry.errors import (
    BadTable,
    BadValue,
    FileMissing,
    InvalidParameter,
    MissingParameter,
    SuperfluousParameter,
    UnknownParameter,
    UnknownRelease,
)
from astra_registry.paths import on_disk
from astra_registry.released import releases_in_words
from astra_registry.rows import products_of
from astra_registry.settings import override
from astra_registry.target import Target, present


def group_of(sdss_id: int) -> str:
    return f"g{sdss_id % 10}"


class StarFile(SDSS5DataModelTask):
    """The co-added spectrum of one star.

    More is said here.
    """

    sdss_data_model_name = "mwmStar"
    templates = {  # noqa: RUF012
        "DR17": "$APOGEE_REDUX/{version}/{sdss_id}.fits",
        "dr19": ("$MWM_ASTRA/{v_astra}/spectra/star/@sdss_id_groups|/mwmStar-{v_astra}-{sdss_id}.fits", "=mwmStar"),
        "dr20": "$MWM_ASTRA/{v_astra}/{group}/{sdss_id:0>8}-{release}.fits",
    }

    sdss_id: int = parameter("The SDSS-V identifier of the star.", batch=True, aliases=("SDSS_ID", "id_of_star"))
    v_astra: str = parameter("The version of Astra.", default={"dr19": "0.6.0", "dr20": "0.8.1"})
    version: str = parameter("The old version.", default=None)
    group: str = parameter("The folder.", batch=True, default=group_of)


class Required(SDSS5DataModelTask):
    """A product that needs several columns, and one that only some releases use."""

    sdss_data_model_name = "required"
    templates = {"sdss5": "$MWM_ASTRA/{plate}/{field}/{mjd}.fits"}  # noqa: RUF012

    mjd: int = parameter("The date.", batch=True)
    plate: str = parameter("The plate.", batch=True)
    field: str = parameter("The field.", batch=True, default=None)


STAR = {"release": "dr19", "sdss_id": 23326}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    monkeypatch.delenv("ASTRA_REGISTRY_REMOTE_BASE", raising=False)


def test_a_product_knows_its_path_url_and_location(tmp_path: Path) -> None:
    star = StarFile(**STAR)

    location = "dr19/spectro/astra/0.6.0/spectra/star/33/26/mwmStar-0.6.0-23326.fits"
    assert star.location == location
    assert star.local_path == f"{tmp_path}/{location}"
    assert star.remote_path == f"https://data.sdss.org/sas/{location}"
    assert StarFile(**STAR, mirror=True).remote_path == f"https://data.mirror.sdss.org/sas/{location}"
    assert star.further_locations == ["dr19/spectro/astra/0.6.0/spectra/star/33/26/mwmStar-0.6.0-23326.fits"]


def test_the_class_and_the_instance_agree_on_a_path() -> None:
    star = StarFile(**STAR)

    assert StarFile.get_local_path(**STAR) == star.local_path
    assert StarFile.get_local_path("DR19", sdss_id="23326") == star.local_path
    assert StarFile.get_local_path("dr19", sdss_id=[1, 2]) == StarFile(release="dr19", sdss_id=[1, 2]).local_paths


def test_a_path_does_not_depend_on_earlier_calls_or_on_what_lies_on_disk(tmp_path: Path) -> None:
    star = StarFile(**STAR)
    before = star.local_path
    StarFile(release="dr20", sdss_id=1).local_path  # noqa: B018
    Path(before).parent.mkdir(parents=True)
    Path(before + ".gz").write_bytes(b"x")

    assert star.local_path == before
    assert star.output().find() == before + ".gz"


def test_another_server_and_another_folder_can_be_put_in_the_place_of_the_usual_ones() -> None:
    with override(remote_base="http://127.0.0.1:9", sas_base_dir="/data/sas"):
        star = StarFile(**STAR)
        assert star.remote_path.startswith("http://127.0.0.1:9/sas/dr19/")
        assert star.local_path.startswith("/data/sas/dr19/")


def test_a_parameter_that_the_release_needs_is_asked_for_by_name() -> None:
    with pytest.raises(MissingParameter, match="mwmStar in dr19 needs sdss_id"):
        StarFile(release="dr19")
    with pytest.raises(MissingParameter, match="mwmStar in dr17 needs version"):
        StarFile(release="dr17", sdss_id=1)


def test_a_parameter_that_the_release_does_not_use_is_refused() -> None:
    with pytest.raises(SuperfluousParameter, match="mwmStar in dr19 does not use version; it uses sdss_id, v_astra"):
        StarFile(**STAR, version="1")
    with pytest.raises(UnknownParameter, match="no parameter 'sdssid'; did you mean"):
        StarFile(release="dr19", sdssid=1)


def test_releases_have_many_spellings_and_one_name() -> None:
    assert StarFile(release="DR19", sdss_id=1) == StarFile(release="dr-19", sdss_id=1)
    assert StarFile.releases() == ("dr17", "dr19", "dr20")
    with pytest.raises(UnknownRelease, match="mwmStar has no release 'dr16'; it has dr17, dr19, dr20"):
        StarFile(release="dr16", sdss_id=1)
    with pytest.raises(UnknownRelease, match="dr99"):
        StarFile(release="dr99", sdss_id=1)
    with pytest.raises(UnknownRelease, match="no release 'sdss5'"):
        StarFile(sdss_id=1)


class PlainFile(SDSS5DataModelTask):
    """A file of two releases, whose class spells them as people do, and says something beside its path."""

    sdss_data_model_name = "plain"
    templates = {"DR17": "$APOGEE_REDUX/{apred}/{n}.fits", "WORK": "$APOGEE_REDUX/{apred}/{n}.fits"}  # noqa: RUF012

    release: str = parameter("The data release.", default="DR17")
    verbose: bool = parameter("Whether to tell what is done.", default=False, significant=False)
    n: int = parameter("Its number.", batch=True)
    apred: str = parameter("The reduction.", default={"DR-17": "dr17", "work": "1.3"})
    layout: str = parameter("How a reader arranges it.", default="wide", choices=("wide", "long"), significant=False)
    reader: str = parameter("Who reads it.", default=None, significant=False)


def test_the_default_of_a_release_is_known_by_every_spelling_of_the_release() -> None:
    assert PlainFile(release="dr17", n=1).location == "dr17/apogee/spectro/redux/dr17/1.fits"
    assert [PlainFile(release=work, n=1).apred for work in ("sdsswork", "WORK")] == ["1.3", "1.3"]


def test_a_product_may_give_what_all_products_have_another_default() -> None:
    file = PlainFile(n=1)

    assert (file.release, file.verbose) == ("dr17", False)
    assert file == PlainFile(n=1, release="DR17", verbose=True)
    assert (file.clone(release="work").release, file.clone(verbose=True).verbose) == ("sdsswork", True)


def test_what_makes_no_difference_to_which_product_it_is_needs_no_place_in_the_path() -> None:
    wide, long = PlainFile(n=[1, 2]), PlainFile(n=[1, 2], layout=b"long")

    assert [wide.layout, long.layout, long[0].layout, pickle.loads(pickle.dumps(long)).layout] == [
        "wide", "long", "long", "long"
    ]  # fmt: skip
    assert wide == long
    assert wide.task_id == long.task_id
    assert wide.local_paths == long.local_paths
    with pytest.raises(InvalidParameter, match="it takes wide, long"):
        PlainFile(n=1, layout="tall")
    with pytest.raises(SuperfluousParameter, match="does not use reader"):
        PlainFile(n=1, reader="me")


class NestedFile(SDSS5DataModelTask):
    """A file in a folder that follows from a prefix, which follows from the telescope."""

    sdss_data_model_name = "nested"
    templates = {"dr17": "$APOGEE_REDUX/{folder}/{n}.fits"}  # noqa: RUF012

    n: int = parameter("Its number.", batch=True)
    folder: str = parameter("The folder.", default=lambda prefix: f"{prefix}-files")
    prefix: str = parameter("The prefix.", default=lambda telescope: {"apo25m": "ap", "lco25m": "as"}[telescope])
    telescope: str = parameter("The telescope.", default="apo25m")


class MeasuredFile(SDSS5DataModelTask):
    """A file with what is to be measured in it, of which one release has a folder of its own."""

    sdss_data_model_name = "measured"
    templates = {"dr17": "$APOGEE_REDUX/{n}.fits", "dr19": "$APOGEE_REDUX/{chip}/{n}.fits"}  # noqa: RUF012

    n: int = parameter("Its number.", batch=True)
    width: float = parameter("The width of the window.", default=1.5, batch=True)
    masked: bool = parameter("Whether to leave bad pixels out.", default=False)
    chip: str = parameter("The chip.", default="a")


def test_what_no_release_shows_in_a_path_is_the_products_all_the_same() -> None:
    plain, other = MeasuredFile(release="dr17", n=1), MeasuredFile(release="dr17", n=b"1", width="2", masked="true")

    assert (plain.width, plain.masked, other.width, other.masked) == (1.5, False, 2.0, True)
    assert plain.local_path == other.local_path
    assert plain != other
    assert plain == MeasuredFile(release="dr17", n=1, width=1.5, masked=False)
    assert [member.width for member in MeasuredFile(release="dr19", n=1, width=[1, 2])] == [1.0, 2.0]
    with pytest.raises(InvalidParameter, match="masked"):
        MeasuredFile(release="dr17", n=1, masked="maybe")
    with pytest.raises(SuperfluousParameter, match="measured in dr17 does not use chip"):
        MeasuredFile(release="dr17", n=1, chip="b")


def test_what_a_default_follows_from_at_second_hand_may_be_given() -> None:
    assert NestedFile(release="dr17", n=1).location.endswith("/ap-files/1.fits")
    assert NestedFile(release="dr17", n=1, telescope="lco25m").location.endswith("/as-files/1.fits")
    assert NestedFile(release="dr17", n=1, prefix="as").location.endswith("/as-files/1.fits")


def test_defaults_of_releases_and_derived_ones_are_told_apart() -> None:
    star = StarFile(release="dr20", sdss_id=17)

    assert star.location == "dr20/spectro/astra/0.8.1/g7/00000017-dr20.fits"
    assert {n: o for n, o in star.param_origins.items() if n in ("sdss_id", "v_astra", "group")} == {
        "sdss_id": "given", "v_astra": "default", "group": "derived",
    }  # fmt: skip
    assert StarFile(release="dr20", sdss_id=17, group="x").location.split("/")[-2] == "x"


def test_values_are_the_same_product_in_every_spelling() -> None:
    assert (
        StarFile(release="DR19", SDSS_ID="23326 ") == StarFile(**STAR) == StarFile(id_of_star=b"23326", release="dr19")
    )
    assert len({StarFile(**STAR), StarFile(release="DR19", sdss_id="23326")}) == 1
    assert StarFile(**STAR) != StarFile(release="dr19", sdss_id=23327)
    assert StarFile(**STAR, use_remote=True, verbose=False) == StarFile(**STAR)


@pytest.mark.parametrize("value", ["..", "a/b", "/x", "a\0", "a\n", "", "../../etc/passwd"])
def test_no_value_can_leave_its_place(value: str) -> None:
    with pytest.raises(InvalidParameter):
        StarFile(**STAR, v_astra=value)


def test_a_batch_makes_its_paths_from_columns(tmp_path: Path) -> None:
    batch = StarFile(release="dr20", sdss_id=[3, 1, 3])

    assert batch.local_paths == [member.local_path for member in batch] == batch.local_path
    assert batch.remote_paths == [member.remote_path for member in batch]
    assert batch.locations == [member.location for member in batch]
    assert [target.path for target in batch.output()] == batch.local_paths
    assert StarFile(release="dr20", sdss_id=[]).local_paths == []
    assert StarFile(release="dr19", sdss_id=[1, 2]).further_locations == [
        [where] for where in StarFile(release="dr19", sdss_id=[1, 2]).locations
    ]


def test_a_column_of_a_table_tells_the_release_when_nobody_else_does() -> None:
    rows = {"Release": ["DR19", "dr19"], "sdss_id": [1, 2], "version": ["no", "no"]}

    assert StarFile.from_table(rows) == StarFile(release="dr19", sdss_id=[1, 2])
    assert StarFile.from_table(rows, release="dr20") == StarFile(release="dr20", sdss_id=[1, 2])
    assert StarFile.from_table(io.StringIO("release,sdss_id\ndr20,1\n")) == StarFile(release="dr20", sdss_id=[1])


@pytest.mark.parametrize("product", ["apStar", "apField"])
def test_where_a_release_files_by_location_the_location_of_a_table_is_taken_and_not_the_name(product: str) -> None:
    """Both stand in the survey's tables; FIELD is taken from DR16 on, and where the table has nothing else."""
    kind = registry[product]
    star = (
        {"obj": ["2M19241352+3858278"]}
        if product == "apStar"
        else {"apred": ["r5"], "apstar": ["stars"], "prefix": ["ap"]}
    )
    rows = {**star, "TELESCOPE": ["apo25m"], "FIELD": ["N6791"], "location_id": [4262.0]}
    by_name = {name: column for name, column in rows.items() if name != "location_id"}

    assert list(kind.from_table(rows, release="DR12").field) == ["4262"]
    assert list(kind.from_table({**rows, "release": ["dr12"]}).field) == ["4262"]
    assert [made.product.field for made in products_of(rows, registry, product=product, release="dr12")] == ["4262"]
    assert list(kind.from_table(rows, release="dr17").field) == ["N6791"]
    assert list(kind.from_table({**rows, "release": ["dr17"]}).field) == ["N6791"]
    assert list(kind.from_table(by_name, release="dr12").field) == ["N6791"]


@pytest.mark.parametrize(
    ("releases", "told"),
    [
        (["dr19", "dr20"], r"has rows of several releases \(dr19, dr20\)"),
        (["dr19", ""], "row 1: no release ''"),
        (["dr19", None], "row 1: a release is text"),
        (["dr19", "dr99"], "row 1: no release 'dr99'"),
    ],
)
def test_a_table_whose_rows_do_not_tell_one_release_is_refused(releases: list[Any], told: str) -> None:
    with pytest.raises(BadTable, match=told):
        StarFile.from_table({"release": releases, "sdss_id": [1, 2]})


@pytest.mark.parametrize("release", [{}, {"release": "dr19"}])
def test_a_table_with_a_row_of_another_product_is_refused(release: dict[str, str]) -> None:
    rows: dict[str, Any] = {"sdss_id": [1, 2, 3], "release": ["dr19"] * 3}

    own = StarFile.from_table({**rows, "product": [f"{StarFile.sdss_data_model_name} ", "", None]}, **release)

    assert own == StarFile(release="dr19", sdss_id=[1, 2, 3])
    with pytest.raises(BadTable, match=r"row 1: its product is 'apVisit', and a batch is of one"):
        StarFile.from_table({**rows, "product": [b"", "apVisit", "apStar"]}, **release)


def test_a_query_that_finds_nothing_is_a_batch_of_none() -> None:
    for release in ("dr19", "dr20"):
        nothing = StarFile.from_table([], release=release)
        assert (len(nothing), nothing.local_paths, nothing.release) == (0, [], release)
    assert len(Required.from_table([])) == len(Required.from_members([])) == 0
    assert Required.from_table([], plate="7").plate == "7"
    with pytest.raises(UnknownParameter):
        StarFile.from_table([], release="dr19", sdssid=1)


def test_two_releases_in_one_process_do_not_disturb_each_other() -> None:
    old, new = StarFile(release="dr19", sdss_id=1), StarFile(release="dr20", sdss_id=1)

    for _ in range(3):
        assert old.location.startswith("dr19/")
        assert new.location.startswith("dr20/")


def test_an_output_exists_when_it_holds_something_in_either_compression() -> None:
    star = StarFile(**STAR)
    target = star.output()
    assert not target.exists()
    assert not star.complete()

    Path(target.path).parent.mkdir(parents=True)
    Path(target.path).touch()
    assert not target.exists()

    Path(target.path + ".gz").write_bytes(b"x")
    assert target.exists()
    assert star.complete()
    with target.open() as file:
        assert file.read() == b"x"
    assert os.fspath(target) == star.local_path


@pytest.mark.parametrize("named", ["a.fits", "a.fits.gz"])
@pytest.mark.parametrize("lies", ["a.fits", "a.fits.gz", "a.fits.bz2", "a.fits.fz", "a.fits.zip"])
def test_a_target_is_found_in_every_compression_that_the_tree_looks_for(named: str, lies: str, tmp_path: Path) -> None:
    (tmp_path / lies).write_bytes(b"x")
    here = f"{tmp_path}/{named}"

    assert Target(here).find() == on_disk.find(here) == str(tmp_path / lies)
    assert list(present([[here]])) == [str(tmp_path / lies)]


class MovedFile(SDSS5DataModelTask):
    """A file that copies of the archive keep at a second place, or at a third that wants another parameter."""

    sdss_data_model_name = "moved"
    templates = {"dr19": ("$MWM_ASTRA/new/{n}.fits", "$MWM_ASTRA/by/{owner}/{n}.fits", "$MWM_ASTRA/old/{n}.fits")}  # noqa: RUF012

    n: int = parameter("Its number.", batch=True)
    owner: str = parameter("Whose it is.", default=None)


def test_a_file_at_a_further_location_is_there(tmp_path: Path) -> None:
    old = tmp_path / "dr19/spectro/astra/old"
    old.mkdir(parents=True)
    (old / "2.fits.gz").write_bytes(b"x")
    one, other = MovedFile(release="dr19", n=2), MovedFile(release="dr19", n=3)
    both = MovedFile(release="dr19", n=[2, 3])

    assert one.local_path == f"{tmp_path}/dr19/spectro/astra/new/2.fits", "its path does not depend on what is there"
    assert one.output().find() == str(old / "2.fits.gz")
    assert (one.output().exists(), one.complete()) == (True, True)
    assert (other.output().exists(), other.complete(), both.complete()) == (False, False, False)
    assert [target.exists() for target in both.output()] == [True, False]
    assert MovedFile.bulk_complete(both.get_batch_task_kwds()) == [next(both.get_batch_task_kwds())]
    assert MovedFile.bulk_complete([other, one]) == [one]
    with one.output().open() as file:
        assert file.read() == b"x"


class CopiedFile(SDSS5DataModelTask):
    """A file whose further places name fewer parameters than its location, or the same one by another name."""

    sdss_data_model_name = "copied"
    templates = {  # noqa: RUF012
        "dr19": (
            "$MWM_ASTRA/new/{v_astra}/{plateid}.fits",
            "$MWM_ASTRA/flat/{fieldid}.fits",
            "$MWM_ASTRA/by/{owner}/{plateid}.fits",
        )
    }

    plate: str = parameter("The plate.", batch=True, aliases=("plateid", "fieldid"))
    v_astra: str = parameter("The version of Astra.", default="0.6.0")
    owner: str = parameter("Whose it is.", default=None)


def test_a_further_location_may_name_fewer_parameters_or_name_them_otherwise(tmp_path: Path) -> None:
    flat = "dr19/spectro/astra/flat/7.fits"
    (tmp_path / flat).parent.mkdir(parents=True)
    (tmp_path / flat).write_bytes(b"x")
    one, both = CopiedFile(release="dr19", plate="7"), CopiedFile(release="dr19", plate=["7", "8"])

    assert one.further_locations == [flat], "the third wants an owner, whom nobody named"
    assert one.further_remote_paths == [f"https://data.sdss.org/sas/{flat}"]
    assert one.clone(owner="me").further_locations == [flat, "dr19/spectro/astra/by/me/7.fits"]
    assert both.further_locations == [[flat], ["dr19/spectro/astra/flat/8.fits"]]
    assert one.output().find() == str(tmp_path / flat)
    assert [target.exists() for target in both.output()] == [True, False]


def test_a_folder_of_the_files_name_is_not_the_file(tmp_path: Path) -> None:
    star = StarFile(**STAR)
    Path(star.local_path, "inside").mkdir(parents=True)

    assert (star.output().exists(), star.output().find(), star.complete()) == (False, None, False)
    assert StarFile.bulk_complete([star]) == []
    assert not StarFile(release="dr19", sdss_id=[star.sdss_id]).complete()
    with pytest.raises(FileMissing):
        star.run()


def test_what_is_written_goes_to_the_path(tmp_path: Path) -> None:
    target = Target(f"{tmp_path}/a.fits")
    Path(f"{tmp_path}/a.fits.gz").write_bytes(b"old")

    with target.open("wb") as file:
        file.write(b"new")

    assert (Path(target.path).read_bytes(), Path(f"{target.path}.gz").read_bytes()) == (b"new", b"old")


def test_complete_lists_each_folder_once(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = StarFile(release="dr20", sdss_id=list(range(40)))
    for path in batch.local_paths[::2]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"x")
    Path(batch.local_paths[1]).parent.mkdir(parents=True, exist_ok=True)
    Path(batch.local_paths[1]).touch()
    listed: list[Any] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
    for name in ("stat", "access", "lstat"):
        monkeypatch.setattr(os, name, None)

    complete = StarFile.bulk_complete(batch.get_batch_task_kwds())

    assert [StarFile(**kwds) for kwds in complete] == [batch[i] for i in range(0, 40, 2)]
    assert len(listed) == 10
    assert not batch.complete()
    assert StarFile(release="dr20", sdss_id=[]).complete()


def test_strict_checking_asks_for_whole_files(tmp_path: Path) -> None:
    from astropy.io import fits

    star = StarFile(**STAR, strict_output_checking=True)
    Path(star.local_path).parent.mkdir(parents=True)
    fits.PrimaryHDU(data=[[1.0] * 100] * 100).writeto(star.local_path)
    assert star.complete()
    assert StarFile.bulk_complete([star]) == [star]

    os.truncate(star.local_path, 2880 * 2)

    assert not star.complete()
    assert StarFile.bulk_complete([star]) == []
    assert StarFile(**STAR).complete()


def test_running_a_product_that_is_not_here_is_a_failure() -> None:
    with pytest.raises(FileMissing, match="use_remote=True brings it"):
        StarFile(**STAR).run()


def test_an_unknown_transport_is_refused_at_once() -> None:
    with pytest.raises(InvalidParameter, match="there are http, rsync, file"):
        StarFile(**STAR, remote_access_method="pigeon")


def test_an_abstract_product_cannot_be_made() -> None:
    for abstract in (DataProduct, SDSS5DataModelTask):
        with pytest.raises(BadValue, match="no concrete product"):
            abstract(release="dr19")


def test_products_pickle_small_and_copy() -> None:
    star = StarFile(**STAR)

    assert pickle.loads(pickle.dumps(star)) == star
    assert len(pickle.dumps(star)) < 500
    assert copy.deepcopy(star) == star


def test_a_clone_in_another_release_leaves_out_what_it_does_not_use() -> None:
    star = StarFile(release="dr20", sdss_id=17, group="x")

    assert star.clone(release="dr19") == StarFile(release="dr19", sdss_id=17)
    assert star.clone(release="dr19").v_astra == "0.6.0"
    with pytest.raises(SuperfluousParameter):
        star.clone(release="dr19", group="y")


def test_an_analysis_task_mixes_a_product_in_and_keeps_its_own_parameters() -> None:
    class Analysis(Task):
        order: int = parameter("The order.", default=3)

    class Measure(Analysis, StarFile):
        mood: str = parameter("The mood.", default="a/b", batch=True)

        def requires(self) -> dict[str, Any]:
            return {"observation": StarFile(**self.get_common_param_kwargs(StarFile))}

    task = Measure(**STAR, order=5)

    assert task.task_family == "Measure"
    assert (task.order, task.mood, task.v_astra, task.version) == (5, "a/b", "0.6.0", None)
    assert task.get_input("observation").path == StarFile(**STAR).local_path
    assert list(task.get_common_param_kwargs(StarFile))[:1] == ["release"]
    assert [m.get_input("observation").path for m in Measure(release="dr19", sdss_id=[1, 2])] == StarFile(
        release="dr19", sdss_id=[1, 2]
    ).local_paths


def test_what_is_made_of_a_file_depends_on_the_version_of_the_core_wherever_the_product_is_mixed_in() -> None:
    class Analysis(Task):
        order: int = parameter("The order.", default=3)

    for bases in ((Analysis, StarFile), (StarFile, Analysis), (StarFile,)):
        task = type("Measure", bases, {"__module__": __name__})(**STAR)
        assert task.clone(astra_version_minor=99).task_id != task.task_id
        assert task.clone(astra_version_micro=99).task_id == task.task_id
        assert task.clone(StarFile, astra_version_minor=99) == task.clone(StarFile) == StarFile(**STAR)


def test_a_clone_in_another_class_and_release_has_the_defaults_of_that_release() -> None:
    class Measure(StarFile):
        """Measure a star."""

    assert StarFile(**STAR).clone(Measure, release="dr20").v_astra == "0.8.1"
    assert StarFile(**STAR, v_astra="0.5").clone(Measure, release="dr20").v_astra == "0.5"
    assert StarFile(**STAR).clone(Measure) == Measure(**STAR)


def test_a_mapping_may_be_the_default_of_an_analysis_tasks_parameter() -> None:
    class Measure(StarFile):
        limits: dict[str, int] = parameter("The limits.", default={"dr19": 1})

    assert Measure(**STAR).limits == Measure(release="dr20", sdss_id=1).limits == {"dr19": 1}


def test_an_analysis_task_with_outputs_of_its_own_is_complete_when_they_exist(tmp_path: Path) -> None:
    class Fit(StarFile):
        def output(self) -> Target:
            return Target(f"{tmp_path}/fit-{self.sdss_id}")

    (tmp_path / "fit-1").write_text("1")

    assert Fit(release="dr19", sdss_id=1).complete()
    assert not Fit(release="dr19", sdss_id=[1, 2]).complete()
    assert [f.sdss_id for f in Fit.bulk_complete(Fit(release="dr19", sdss_id=[1, 2]))] == [1]


def test_mappings_of_different_releases_are_looked_up_together() -> None:
    given = [{"release": "dr19", "sdss_id": 1}, {"release": "dr20", "sdss_id": 1}, StarFile(release="dr20", sdss_id=2)]
    for item in given[1:]:
        path = Path((item if isinstance(item, StarFile) else StarFile(**item)).local_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")

    assert StarFile.bulk_complete(given) == given[1:]


def test_batches_and_other_tasks_are_looked_up_too_and_junk_is_refused(tmp_path: Path) -> None:
    class Whole(StarFile):
        sdss_data_model_name = "mwmStar"

        def complete(self) -> bool:
            return bool(self.sdss_id == 2)

    batches = [StarFile(release="dr20", sdss_id=ids) for ids in ([1, 2], [2, 3], [])]
    for path in batches[0].local_paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"x")

    assert StarFile.bulk_complete(batches) == [batches[0], batches[2]]
    assert StarFile.bulk_complete(iter([batches[0][0], Whole(release="dr20", sdss_id=1)])) == [batches[0][0]]
    assert Whole.bulk_complete([{"release": "dr20", "sdss_id": n} for n in (1, 2)]) == [
        {"release": "dr20", "sdss_id": 2}
    ]
    with pytest.raises(BadValue, match="mappings of parameters or tasks, not 3"):
        StarFile.bulk_complete([3])


def test_what_a_release_does_not_use_may_be_given_as_it_would_be() -> None:
    star = registry.create("apStar", obj="2M17335483-2753043", telescope="apo25m", apred="daily", apstar="star")

    assert star == star.clone(apstar=None)
    assert star.param_kwargs["apstar"] is None
    with pytest.raises(SuperfluousParameter, match="apStar in sdss5 does not use apstar"):
        star.clone(apstar="rv")


def test_a_product_does_not_depend_on_the_version_of_the_core() -> None:
    star = StarFile(**STAR)

    assert star.clone(astra_version_major=99, astra_version_minor=99).task_id == star.task_id
    assert "astra_version_major" not in star.to_str_params()


def test_outputs_of_analysis_go_below_the_work_release_unless_configured(tmp_path: Path) -> None:
    star = StarFile(**STAR)
    assert star.output_base_dir == f"{tmp_path}/sdsswork/mwm/astra/1.0.0/mwmStar"
    with override(output_base_dir="/elsewhere"):
        assert star.output_base_dir == "/elsewhere"


def test_a_product_without_a_writer_says_so() -> None:
    with pytest.raises(BadValue, match="mwmStar"):
        StarFile.writer(None, "x.fits")


def test_runs_of_releases_are_drawn_together() -> None:
    assert releases_in_words(["dr8", "dr9", "dr10", "dr12", "ipl1", "sdsswork"]) == "dr8 … dr10, dr12, ipl1, sdsswork"
    assert releases_in_words([]) == ""


def test_resolving_changes_nothing_in_the_process_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = """
import os, sys, warnings
before = dict(os.environ), sys.excepthook, warnings.showwarning
from astra_registry import registry
path = registry["apVisit"](release="dr17", fiber=1, plate=2, field=3, mjd=4, telescope="apo25m").local_path
assert (dict(os.environ), sys.excepthook, warnings.showwarning) == before
heavy = {"astropy", "numpy", "sqlalchemy", "requests", "urllib3", "sdss_access", "tree"} & set(sys.modules)
assert not heavy, heavy
assert not os.path.exists(os.environ["SAS_BASE_DIR"] + "/dr17")
print(path)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.startswith(str(tmp_path))
