"""apStar files read as spectra, and written: each value is what the bytes of the file say."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from astra_registry_apstar.arrays import read_arrays
from astra_registry_apstar.spectrum import read_spectrum, read_visits
from astra_registry_apstar.writing import write_spectrum
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance, StdDevUncertainty
from specutils import Spectrum, SpectrumCollection

from astra_registry.errors import BadValue, CorruptFile, FileMissing, UnequalLengths, WrongLayout
from astra_registry.reading.spectra import as_table, signal_to_noise, together

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "tests" / "data" / "sas"
THREE_VISITS = SHIPPED / "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"
ONE_VISIT = SHIPPED / "dr13/apogee/spectro/redux/r6/stars/apo25m/4587/apStar-r6-2M03290406+3117075.fits"
DR17 = SHIPPED / "dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits"
VISIT = SHIPPED / "dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-296.fits"
FOLDERS = (ROOT.parent / "shared/data/sdss", SHIPPED)  # all real files where they are at hand, else those shipped
FILES = sorted(
    {path.relative_to(folder): path for folder in FOLDERS for path in folder.rglob("apStar-*.fits")}.values()
)


def starts(content: bytes) -> list[int]:
    """Return where the data of each HDU begin, found by the END cards of the headers alone."""
    found, position = [], 0
    while (end := content.find(b"END" + b" " * 77, position)) >= 0:
        if end % 80 == 0:
            found.append((end // 2880 + 1) * 2880)
        position = end + 80
    return found


def raw(path: Path, hdu: int, row: int, pixel: int) -> float:
    content = path.read_bytes()
    start = starts(content)[hdu]
    header = content[start - 2880 * 4 : start]
    bitpix = int(header[header.rfind(b"BITPIX  =") + 10 :][:20])
    form = {-32: ">f", -64: ">d", 16: ">h", 64: ">q"}[bitpix]
    return struct.unpack_from(form, content, start + (row * 8575 + pixel) * struct.calcsize(form))[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_combined_spectrum_is_the_first_row_on_the_survey_s_grid(path: Path) -> None:
    spectrum = read_spectrum(path)

    for pixel in (0, 1, 500, 4000, 7000, 8574):
        assert spectrum.spectral_axis.value[pixel] == pytest.approx(10 ** (4.179 + 6e-6 * pixel), rel=1e-14)
        assert spectrum.meta["bitmask"][pixel] == raw(path, 3, 0, pixel)
        for values, hdu in ((spectrum.flux.value, 1), (spectrum.uncertainty.array, 2)):
            expected = raw(path, hdu, 0, pixel)
            assert values[pixel] == expected or (math.isnan(expected) and math.isnan(values[pixel]))
    assert spectrum.flux.unit.to_string() == "1e-17 erg / (Angstrom s cm2)"
    assert spectrum.meta["frame"] == "rest"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_gaps_are_bad_whether_they_are_zero_or_not_a_number(path: Path) -> None:
    spectrum = read_spectrum(path)
    flux, error = spectrum.flux.value, spectrum.uncertainty.array

    nothing = np.isnan(flux) | (flux == 0)
    assert nothing.sum() > 700
    assert spectrum.mask[nothing].all()
    assert spectrum.mask[spectrum.meta["bitmask"] & 16639 != 0].all()
    good = ~spectrum.mask
    assert good.sum() > 7000
    assert (error[good] < 1e10).all()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_signal_to_noise_is_near_that_of_the_header(path: Path) -> None:
    spectrum = read_spectrum(path)

    assert signal_to_noise(spectrum) == pytest.approx(spectrum.meta["snr"], rel=0.05)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_there_is_a_visit_for_each_that_the_header_names(path: Path) -> None:
    header = fits.getheader(path)
    visits = read_visits(path)

    assert len(visits) == header["NVISITS"]
    for number, visit in enumerate(visits, 1):
        assert visit.meta["file"] == header[f"SFILE{number}"]
        assert visit.meta["visit"] == number
        row = number + 1 if len(visits) > 1 else 0
        expected = raw(path, 1, row, 5000)
        assert visit.flux.value[5000] == expected or visit.mask[5000]
    assert isinstance(together(visits), SpectrumCollection)


def test_the_only_visit_is_the_combined_spectrum() -> None:
    for path in (ONE_VISIT, DR17):
        (visit,) = read_visits(path)
        combined = read_spectrum(path)
        assert np.array_equal(visit.flux, combined.flux, equal_nan=True)
        assert visit.meta["snr"] == combined.meta["snr"]


def test_a_file_of_the_combination_alone_gives_it_for_no_visit(tmp_path: Path) -> None:
    write_spectrum(read_spectrum(THREE_VISITS), tmp_path / "star.fits")

    with pytest.raises(WrongLayout, match="combination of 3 visits, and not the visits"):
        read_visits(tmp_path / "star.fits")


def test_the_combination_with_one_weight_a_visit_is_the_second_row() -> None:
    spectrum = read_spectrum(THREE_VISITS, combination="global")

    assert spectrum.flux.value[5000] == raw(THREE_VISITS, 1, 1, 5000)
    assert spectrum.meta["combination"] == "global"
    for path in (ONE_VISIT, DR17):
        with pytest.raises(WrongLayout, match="only the combination 'pixel'"):
            read_spectrum(path, combination="global")
    with pytest.raises(BadValue, match="'pixel' or 'global'"):
        read_spectrum(ONE_VISIT, combination="both")  # type: ignore[arg-type]


def test_meta_tells_what_the_star_is() -> None:
    told = read_spectrum(THREE_VISITS).meta

    assert told["object"] == "2M00005143+5615568"
    assert told["field"] == "N7789"
    assert told["nvisits"] == 3
    assert told["heliocentric_velocity"] == -60.5202
    assert "COMMENT" in told["header"] or "HISTORY" in told["header"]


def test_what_is_no_apstar_file_is_told(tmp_path: Path) -> None:
    cut = tmp_path / "cut.fits"
    cut.write_bytes(THREE_VISITS.read_bytes()[:200_000])

    with pytest.raises(WrongLayout, match="no CRVAL1"):
        read_spectrum(VISIT)
    with pytest.raises(CorruptFile):
        read_visits(cut)


# -- many at once -------------------------------------------------------------------------------------------------


def test_many_files_are_read_as_arrays_with_the_values_of_the_single_spectra() -> None:
    arrays = read_arrays(FILES, dtype=np.float64)

    assert arrays.flux.shape == (len(FILES), 8575)
    for row, path in enumerate(FILES):
        spectrum = read_spectrum(path)
        assert np.array_equal(arrays.flux[row], spectrum.flux.value, equal_nan=True)
        assert np.array_equal(arrays.error[row], spectrum.uncertainty.array, equal_nan=True)
        assert np.array_equal(arrays.bitmask[row], spectrum.meta["bitmask"])
        assert np.array_equal(arrays.bad[row], spectrum.mask)
        assert np.array_equal(arrays.wavelength, spectrum.spectral_axis.value)


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.uint64])
def test_masks_that_are_stored_without_a_sign_are_read_as_arrays_too(kind: type, tmp_path: Path) -> None:
    """FITS stores them less half of their range, and says so in BZERO."""
    with fits.open(THREE_VISITS) as hdus:
        hdus[3].data = hdus[3].data.astype(kind)
        hdus.writeto(tmp_path / "star.fits")

    stars = read_arrays([tmp_path / "star.fits", THREE_VISITS])

    assert np.array_equal(stars.bitmask[0], stars.bitmask[1])
    assert stars.bitmask[1].any()


def test_flux_that_is_stored_scaled_is_read_as_arrays_too(tmp_path: Path) -> None:
    with fits.open(THREE_VISITS) as hdus:
        hdus[1].scale("int32", bscale=0.01, bzero=5.0)
        hdus.writeto(tmp_path / "star.fits")

    stars = read_arrays([tmp_path / "star.fits"])

    assert np.allclose(stars.flux[0], read_spectrum(THREE_VISITS).flux.value, atol=0.006)


def test_arrays_are_filled_where_they_are_given(tmp_path: Path) -> None:
    flux = np.memmap(tmp_path / "flux", np.float32, "w+", shape=(2, 8575))
    error, mask = np.zeros((2, 8575), np.float32), np.zeros((2, 8575), np.int16)

    arrays = read_arrays([THREE_VISITS, ONE_VISIT], out=(flux, error, mask))

    assert arrays.flux is flux
    assert flux[1, 5000] == raw(ONE_VISIT, 1, 0, 5000)


def test_a_packed_file_is_read_too(tmp_path: Path) -> None:
    packed = tmp_path / "star.fits.gz"
    with fits.open(ONE_VISIT) as hdus:
        hdus.writeto(packed)

    assert np.array_equal(read_arrays([packed]).flux, read_arrays([ONE_VISIT]).flux)


def test_a_file_that_cannot_be_read_is_an_error_or_a_row_without_a_good_pixel(tmp_path: Path) -> None:
    cut, empty = tmp_path / "cut.fits", tmp_path / "empty.fits"
    cut.write_bytes(THREE_VISITS.read_bytes()[:200_000])
    empty.touch()
    bad = [tmp_path / "none.fits", cut, VISIT, empty, tmp_path]

    for path, kind in zip(bad, (FileMissing, CorruptFile, WrongLayout, CorruptFile, FileMissing), strict=True):
        with pytest.raises(kind):
            read_arrays([path])
    arrays = read_arrays([*bad, ONE_VISIT], on_failure="mask")
    assert sorted(arrays.failed) == [0, 1, 2, 3, 4]
    assert arrays.bad[:5].all()
    assert not arrays.bad[5].all()


# -- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_written_reads_back_with_the_same_numbers(path: Path, tmp_path: Path) -> None:
    spectrum, visits = read_spectrum(path), read_visits(path)
    several = visits if len(visits) > 1 else ()

    write_spectrum(spectrum, tmp_path / "star.fits", visits=several)

    again, visits_again = read_spectrum(tmp_path / "star.fits"), read_visits(tmp_path / "star.fits")
    for one, other in [(spectrum, again), *zip(visits, visits_again, strict=True)]:
        assert other.flux.dtype == one.flux.dtype
        assert np.array_equal(other.flux, one.flux, equal_nan=True)
        assert np.array_equal(other.uncertainty.array, one.uncertainty.array, equal_nan=True)
        assert np.array_equal(other.spectral_axis, one.spectral_axis)
        assert np.array_equal(other.mask, one.mask)
        assert np.array_equal(other.meta["bitmask"], one.meta["bitmask"])
    told = {name: value for name, value in spectrum.meta.items() if name not in ("header", "bitmask")}
    assert {name: again.meta[name] for name in told} == told


def test_the_layout_is_that_of_an_apstar_file(tmp_path: Path) -> None:
    write_spectrum(read_spectrum(THREE_VISITS), tmp_path / "star.fits", visits=read_visits(THREE_VISITS))

    with fits.open(tmp_path / "star.fits", checksum=True) as hdus, fits.open(THREE_VISITS) as theirs:
        assert len(hdus) == len(theirs) == 10
        assert hdus[1].shape == theirs[1].shape == (5, 8575)
        assert [hdu.header.get("BUNIT") for hdu in hdus] == [hdu.header.get("BUNIT") for hdu in theirs]
        for name in ("CRVAL1", "CDELT1", "CRPIX1", "CTYPE1", "DC-FLAG"):
            assert hdus[1].header[name] == theirs[1].header[name]
        assert hdus[0].header["SFILE2"] == theirs[0].header["SFILE2"]
        assert list(hdus[9].data["FILE"]) == [theirs[0].header[f"SFILE{n}"] for n in (1, 2, 3)]


def test_a_spectrum_of_one_s_own_is_written(tmp_path: Path) -> None:
    """Another unit, an inverse variance, a mask without bits: what they say is kept."""
    wavelength = 10 ** (4.179 + 6e-6 * np.arange(8575)) * u.AA
    mask = np.zeros(8575, bool)
    mask[100] = True
    spectrum = Spectrum(
        flux=np.full(8575, 2.0) * u.Unit("1e-15 erg / (s cm2 Angstrom)"),
        spectral_axis=wavelength,
        uncertainty=InverseVariance(np.full(8575, 4.0)),
        mask=mask,
        meta={"object": "mine"},
    )

    write_spectrum(spectrum, tmp_path / "mine.fits")
    again = read_spectrum(tmp_path / "mine.fits")

    assert np.allclose(again.flux.value, 200.0)
    assert np.allclose(again.uncertainty.array, 50.0)
    assert list(np.flatnonzero(again.mask)) == [100]
    assert again.meta["object"] == "mine"


def test_an_error_in_another_unit_than_the_flux_is_written_in_the_flux_s(tmp_path: Path) -> None:
    """As it is when somebody converted the flux, and took the uncertainty along as it was."""
    spectrum = read_spectrum(THREE_VISITS)
    converted = Spectrum(
        flux=spectrum.flux.to("erg / (s cm2 Angstrom)"),
        spectral_axis=spectrum.spectral_axis,
        uncertainty=spectrum.uncertainty,
        mask=spectrum.mask,
    )

    write_spectrum(converted, tmp_path / "star.fits")

    again = read_spectrum(tmp_path / "star.fits")
    assert np.allclose(again.flux.value, spectrum.flux.value)
    assert np.allclose(again.uncertainty.array, spectrum.uncertainty.array)
    assert signal_to_noise(converted) == pytest.approx(signal_to_noise(spectrum))
    assert np.allclose(as_table([spectrum, converted])["error"][1], spectrum.uncertainty.array)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.uint32, np.uint64])
def test_a_bitmask_of_any_integers_is_written_with_a_sign(kind: type, tmp_path: Path) -> None:
    spectrum = read_spectrum(THREE_VISITS)
    bits = np.array(spectrum.meta["bitmask"] & (1 if kind in (bool, np.uint8) else -1)).astype(kind)
    spectrum.meta["bitmask"] = bits
    spectrum.mask = None

    write_spectrum(spectrum, tmp_path / "star.fits")

    with fits.open(tmp_path / "star.fits") as hdus:
        assert hdus[3].data.dtype.kind == "i"
        assert np.array_equal(hdus[3].data, bits)


def test_an_existing_file_is_kept_unless_told_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "star.fits"
    spectrum = read_spectrum(ONE_VISIT)
    write_spectrum(spectrum, path)
    before = path.read_bytes()

    with pytest.raises(FileExistsError):
        write_spectrum(spectrum, path)
    assert path.read_bytes() == before
    write_spectrum(read_spectrum(THREE_VISITS), path, overwrite=True)
    assert read_spectrum(path).meta["object"] == "2M00005143+5615568"
    assert list(tmp_path.iterdir()) == [path]


def test_a_spectrum_that_cannot_be_an_apstar_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    good = read_spectrum(ONE_VISIT)
    axis = good.spectral_axis
    linear = np.linspace(15100, 17000, 8575) * u.AA
    errors = StdDevUncertainty(np.ones((3, 8575)))
    cases = [
        (Spectrum(flux=good.flux, spectral_axis=linear, uncertainty=good.uncertainty), "uniform in the logarithm"),
        (Spectrum(flux=good.flux, spectral_axis=axis), "no uncertainty"),
        (Spectrum(flux=good.flux.value * u.K, spectral_axis=axis), "is in K"),
        (Spectrum(flux=np.ones((3, 8575)) * good.flux.unit, spectral_axis=axis, uncertainty=errors), "one dimension"),
        (
            Spectrum(
                flux=good.flux, spectral_axis=axis, uncertainty=good.uncertainty, meta={"bitmask": np.zeros(8575)}
            ),
            "holds integers, not float64",
        ),
    ]
    for spectrum, message in cases:
        with pytest.raises(BadValue, match=message):
            write_spectrum(spectrum, tmp_path / "star.fits")
    with pytest.raises(BadValue, match=r"of a specutils\.Spectrum, not of ndarray"):
        write_spectrum(np.ones(8575), tmp_path / "star.fits")  # type: ignore[arg-type]
    with pytest.raises(UnequalLengths, match="not on the wavelengths"):
        write_spectrum(good, tmp_path / "star.fits", visits=[good[:100]])
    assert list(tmp_path.iterdir()) == []


def test_stars_make_a_table_of_one_row_each() -> None:
    table = as_table([read_spectrum(path) for path in (THREE_VISITS, ONE_VISIT)])

    assert list(table["object"]) == ["2M00005143+5615568", "2M03290406+3117075"]
    assert table["flux"].shape == (2, 8575)
    assert str(table["wavelength"].unit) == "Angstrom"
