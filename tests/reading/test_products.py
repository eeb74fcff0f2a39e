"""Products and batches read their files, where they lie, with the reader of a kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from specutils import Spectrum, SpectrumCollection, SpectrumList

from astra_registry import registry
from astra_registry.errors import EXTRAS, BadValue, CorruptFile, FileMissing, MissingExtra
from astra_registry.reading import load, paths_of, writer_of
from astra_registry.settings import override

DATA = Path(__file__).parents[1] / "data"
SAS = DATA / "sas"
STAR = {"release": "dr13", "obj": "2M00005143+5615568", "field": "4264", "telescope": "apo25m"}
STARS = {"release": "dr13", "obj": ["2M00005143+5615568", "2M03290406+3117075"], "field": ["4264", "4587"]}


@pytest.fixture(autouse=True)
def shipped_files() -> Iterator[None]:
    with override(sas_base_dir=str(SAS)):
        yield


def test_a_product_reads_as_hdus_without_a_kind() -> None:
    with registry["apStar"](**STAR).read() as hdus:
        assert isinstance(hdus, fits.HDUList)
        assert len(hdus) == 10


def test_a_product_reads_as_a_spectrum_that_knows_where_it_is_from() -> None:
    spectrum = registry["apStar"](**STAR).read("spectrum")

    assert isinstance(spectrum, Spectrum)
    assert spectrum.meta["product"] == "apStar"
    assert spectrum.meta["release"] == "dr13"
    assert spectrum.meta["parameters"]["obj"] == "2M00005143+5615568"
    assert spectrum.meta["parameters"]["apred"] == "r6"
    assert "use_remote" not in spectrum.meta["parameters"]


def test_visits_know_where_they_are_from_too() -> None:
    visits = registry["apStar"](**STAR).read("visits")

    assert [visit.meta["release"] for visit in visits] == ["dr13"] * 3


def test_a_batch_reads_as_a_collection_when_the_wavelengths_are_shared_and_else_as_a_list() -> None:
    stars = registry["apStar"](telescope="apo25m", **STARS).read("spectrum")
    visits = registry["apVisit"].from_table(str(DATA / "tables" / "visits.csv"), release="dr13").read("spectrum")

    assert isinstance(stars, SpectrumCollection)
    assert [told["object"] for told in stars.meta] == STARS["obj"]
    assert isinstance(visits, SpectrumList)
    assert [visit.meta["parameters"]["mjd"] for visit in visits] == [55874, 56643, 56651]


def test_a_batch_reads_as_what_is_asked_for() -> None:
    stars = registry["apStar"](telescope="apo25m", **STARS)
    visits = registry["apVisit"].from_table(str(DATA / "tables" / "visits.csv"), release="dr13")

    table = stars.read("spectrum", into="table")
    assert table["flux"].shape == (2, 8575)
    assert list(table["obj"]) == STARS["obj"]
    assert str(table["ra"].unit) == "deg"
    assert all(table[name].description for name in ("object", "ra", "snr", "wavelength", "flux", "error", "mask"))
    assert isinstance(stars.read("spectrum", into="list"), SpectrumList)
    with pytest.raises(BadValue, match="not 'tabel'"):
        stars.read("spectrum", into="tabel")
    with pytest.raises(BadValue, match="do not share their wavelengths"):
        visits.read("spectrum", into="collection")
    for into in ("table", "collection"):
        with pytest.raises(BadValue, match=f"a {into} has one spectrum of each file"):
            stars.read("visits", into=into)
    assert [len(one) for one in stars.read("visits")] == [3, 1]
    hdus = stars.read()
    assert [len(one) for one in hdus] == [10, 10]
    for one in hdus:
        one.close()


def test_a_reader_of_many_gets_the_whole_batch() -> None:
    stars = registry["apStar"](telescope="apo25m", **STARS)

    arrays = stars.read("arrays")

    assert arrays.flux.shape == (2, 8575)
    assert np.array_equal(arrays.flux[1], stars[1].read("spectrum").flux.value)
    assert stars[0].read("arrays").flux.shape == (1, 8575)


def test_options_go_to_the_reader() -> None:
    spectrum = registry["apStar"](**STAR).read("spectrum", combination="global")

    assert spectrum.meta["combination"] == "global"


def test_a_file_is_found_at_its_further_location() -> None:
    """The tree says spectra/full/0332, the server and our copy keep it in spectra/0332."""
    spec = registry["spec"](release="dr16", plate="332", mjd=52367, fiberid=639, run2d="26")

    assert "/full/" in spec.local_path
    assert paths_of(spec) == [str(SAS / "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits")]
    assert len(spec.read("exposures")) == 6


def test_a_packed_file_is_found(tmp_path: Path) -> None:
    star = registry["apStar"](**STAR)
    with override(sas_base_dir=str(tmp_path)):
        packed = Path(star.local_path + ".gz")
        packed.parent.mkdir(parents=True)
        with fits.open(SAS / star.location) as hdus:
            hdus.writeto(packed)

        assert paths_of(star) == [str(packed)]
        assert len(star.read("visits")) == 3


def test_another_plugin_s_reader_is_used_for_the_kin_of_spec() -> None:
    """plugins/spec reads spec-lite by hook, a product of the tree."""
    spectra = registry["spec-lite"].from_table(str(DATA / "tables" / "spectra.csv"), release="dr16").read("spectrum")

    assert [one.meta["product"] for one in spectra] == ["spec-lite", "spec-lite"]
    assert [one.meta["fiber"] for one in spectra] == [639, 366]


def test_what_is_not_here_says_what_to_do(tmp_path: Path) -> None:
    with (
        override(sas_base_dir=str(tmp_path)),
        pytest.raises(FileMissing, match="fetch it, or ask with use_remote=True"),
    ):
        registry["apStar"](**STAR).read("spectrum")


def test_a_file_that_is_no_fits_is_told_as_an_error_of_ours(tmp_path: Path) -> None:
    with override(sas_base_dir=str(tmp_path)):
        star = registry["apStar"](**STAR)
        Path(star.local_path).parent.mkdir(parents=True)
        Path(star.local_path).write_text("<html>Please log in</html>")

        for kind in (None, "spectrum"):
            with pytest.raises(CorruptFile, match="is not a whole FITS file"):
                star.read(kind)


def test_a_kind_that_the_product_does_not_have_is_told() -> None:
    with pytest.raises(BadValue, match="no reader of the kind 'visit'; did you mean 'visits'"):
        registry["apStar"](**STAR).read("visit")


def test_a_product_writes_and_reads_back(tmp_path: Path) -> None:
    star = registry["apStar"](**STAR)
    spectrum = star.read("spectrum")
    path = tmp_path / "star.fits"

    registry["apStar"].writer(spectrum, str(path))

    with override(sas_base_dir=str(tmp_path / "sas")):
        Path(star.local_path).parent.mkdir(parents=True)
        shutil.copyfile(path, star.local_path)
        again = star.read("spectrum")
    assert np.array_equal(again.flux, spectrum.flux)
    with pytest.raises(FileExistsError):
        registry["apStar"].writer(spectrum, str(path))
    with pytest.raises(BadValue, match="apVisit has no writer of the kind 'spectrum'; it has none"):
        writer_of(registry["apVisit"])


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items())
def test_a_reader_that_lacks_a_package_says_which_extra_brings_it(
    package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = tmp_path / f"reader_with_{package}.py"
    reader.write_text(f"raise ModuleNotFoundError(name='{package}.part')\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(MissingExtra, match=rf"pip install 'astra-registry\[{extra}\]'"):
        load(f"{reader.stem}:read")
