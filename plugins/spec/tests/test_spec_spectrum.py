"""Optical files read as spectra: each value is what the bytes of the file say, in every layout since DR8."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from astra_registry_spec.spectrum import read_exposures, read_spectrum
from astropy.io import fits
from astropy.nddata import InverseVariance

from astra_registry.errors import BadValue, CorruptFile, FileMissing, WrongLayout
from astra_registry.reading.spectra import signal_to_noise

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "tests" / "data" / "sas"
FULL = SHIPPED / "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits"
LITE = SHIPPED / "dr16/sdss/spectro/redux/26/spectra/lite/0332/spec-0332-52367-0639.fits"
UPPER_CASE = SHIPPED / "dr16/eboss/spectro/redux/v5_13_0/spectra/lite/10656/spec-10656-58163-0366.fits"
STAR = SHIPPED / "dr13/apogee/spectro/redux/r6/stars/apo25m/4587/apStar-r6-2M03290406+3117075.fits"
FOLDERS = (ROOT.parent / "shared/data/sdss", SHIPPED)  # all real files where they are at hand, else those shipped
FILES = sorted({path.relative_to(folder): path for folder in FOLDERS for path in folder.rglob("spec-*.fits")}.values())


def coadd(path: Path) -> tuple[bytes, int, int, list[str]]:
    """Return the bytes, where the rows of HDU 1 begin, their width, and the columns, read from the header's cards."""
    content = path.read_bytes()
    start = content.find(b"XTENSION")
    cards = {}
    position = start
    while not content.startswith(b"END ", position):
        card = content[position : position + 80].decode()
        cards[card[:8].strip()] = card[10:].split("/")[0].strip().strip("'").strip()
        position += 80
    names = [cards[f"TTYPE{n}"].lower() for n in range(1, int(cards["TFIELDS"]) + 1)]
    assert all(cards[f"TFORM{n}"] in ("E", "1E", "J", "1J") for n in range(1, len(names) + 1))  # four bytes each
    return content, start + ((position - start) // 2880 + 1) * 2880, int(cards["NAXIS1"]), names


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_the_combined_spectrum_is_the_table_of_the_first_hdu(path: Path) -> None:
    spectrum = read_spectrum(path)
    content, start, width, names = coadd(path)

    def raw(name: str, row: int) -> float:
        form = ">i" if name == "and_mask" else ">f"
        return struct.unpack_from(form, content, start + row * width + 4 * names.index(name))[0]

    for row in (0, 1, 100, 2000, len(spectrum.flux) - 1):
        assert spectrum.flux.value[row] == np.float32(raw("flux", row))
        assert spectrum.uncertainty.array[row] == np.float32(raw("ivar", row))
        assert spectrum.meta["bitmask"][row] == raw("and_mask", row)
        assert spectrum.meta["model"].value[row] == np.float32(raw("model", row))
        assert spectrum.spectral_axis.value[row] == pytest.approx(10 ** raw("loglam", row), rel=1e-12)
    assert isinstance(spectrum.uncertainty, InverseVariance)
    assert spectrum.flux.unit.to_string() == "1e-17 erg / (Angstrom s cm2)"


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_the_grid_is_that_of_the_header_to_whole_pixels(path: Path) -> None:
    """COEFF0 and COEFF1 tell the same grid, but in legacy files (run2d 26) it begins some pixels early.

    Such files are trimmed and their headers are not: loglam is right.
    """
    spectrum = read_spectrum(path)
    header = fits.getheader(path)

    pixels = (np.log10(spectrum.spectral_axis.value) - header["COEFF0"]) / header["COEFF1"]

    first = round(pixels[0])
    assert np.allclose(pixels, np.arange(len(pixels)) + first, atol=0.01)
    assert first in range(50) if spectrum.meta["run2d"] == "26" else first == 0
    assert header["VACUUM"]


def test_emission_lines_are_where_the_redshift_puts_them() -> None:
    """Oxygen's line at 5008.240 Å (vacuum) in a starburst galaxy, to less than half a pixel."""
    spectrum = read_spectrum(SHIPPED / "dr18/spectro/sdss/redux/26/spectra/lite/0358/spec-0358-51818-0504.fits")
    wavelength, flux = spectrum.spectral_axis.value, spectrum.flux.value
    expected = 5008.240 * (1 + spectrum.meta["redshift"])

    near = abs(wavelength - expected) < 8

    centre = np.average(wavelength[near], weights=flux[near] - flux[near].min())
    assert centre == pytest.approx(expected, abs=0.6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_the_signal_to_noise_is_that_of_the_pipeline(path: Path) -> None:
    """SN_MEDIAN_ALL is the median over the pixels with an inverse variance: our mask is the pipeline's."""
    spectrum = read_spectrum(path)

    assert signal_to_noise(spectrum) == pytest.approx(spectrum.meta["snr"], rel=0.02)


def test_a_pixel_is_bad_where_the_survey_gave_it_no_weight() -> None:
    spectrum = read_spectrum(UPPER_CASE)
    careful = read_spectrum(UPPER_CASE, bad=["BRIGHTSKY"])

    assert (spectrum.mask == (spectrum.uncertainty.array == 0)).all()
    assert spectrum.mask.sum() == 3
    assert careful.mask.sum() == 280
    with pytest.raises(BadValue, match="did you mean 'BRIGHTSKY'"):
        read_spectrum(UPPER_CASE, bad=["BRIGHTSKIES"])


def test_meta_tells_what_the_object_is_also_what_legacy_headers_leave_out() -> None:
    told = read_spectrum(FULL).meta

    assert (told["plate"], told["mjd"], told["fiber"]) == (332, 52367, 639)
    assert "RUN2D" not in told["header"]
    assert told["run2d"] == "26"
    assert told["class"] == "QSO"
    assert told["redshift"] == pytest.approx(0.10060976)
    assert told["object"] == "373974455765985280"


def test_a_full_file_has_its_exposures_and_a_lite_file_says_it_has_none() -> None:
    exposures = read_exposures(FULL)

    assert [one.meta["exposure"][:2] for one in exposures] == ["B2"] * 3 + ["R2"] * 3
    with fits.open(FULL) as hdus:
        for one, hdu in zip(exposures, hdus[4:], strict=True):
            order = np.argsort(hdu.data["loglam"])
            assert (one.flux.value == hdu.data["flux"][order]).all()
            assert (one.uncertainty.array == hdu.data["ivar"][order]).all()
            assert (np.diff(one.spectral_axis.value) > 0).all()
    with pytest.raises(WrongLayout, match="no single exposures"):
        read_exposures(LITE)


def test_full_and_lite_files_hold_the_same_spectrum() -> None:
    full, lite = read_spectrum(FULL), read_spectrum(LITE)

    assert (full.flux == lite.flux).all()
    assert (full.spectral_axis == lite.spectral_axis).all()


@pytest.fixture
def sdss_v(tmp_path: Path) -> Path:
    """A specFull file of SDSS-V, made after the cards of a real one (spec-015005-59193-4399272889.fits of DR19)."""
    rows = 4648
    random = np.random.default_rng(5)
    loglam = (3.5523 + 1e-4 * np.arange(rows)).astype(np.float32)
    forms = {"FLUX": "E", "LOGLAM": "E", "IVAR": "E", "AND_MASK": "J", "OR_MASK": "J", "WDISP": "E", "SKY": "E"}
    forms |= {"MODEL": "E", "WRESL": "E"}
    units = {"FLUX": "10^-17 ergs/s/cm^2/Angs", "LOGLAM": "log10(Angs)", "WDISP": "Pixels", "WRESL": "Angs"}
    values = {name: np.zeros(rows, np.int32 if form == "J" else np.float32) for name, form in forms.items()}
    values |= {"LOGLAM": loglam, "FLUX": random.normal(5, 1, rows).astype(np.float32)}
    values["IVAR"][:] = 1.0
    values["IVAR"][:7] = 0.0
    values["AND_MASK"][10] = 1 << 23
    columns = [fits.Column(name=n, format=f, array=values[n], unit=units.get(n)) for n, f in forms.items()]
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"TELESCOP": "SDSS 2.5-M", "OBSERVAT": "APO", "NEXP": 5, "EXPTIME": 4500.36, "PLATEID": 15005,
         "FIELDID": "015005", "MJD": 59193, "RUN2D": "v6_1_3", "VERS2D": "v6_1_3", "VACUUM": True, "COEFF0": 3.5523,
         "COEFF1": 1e-4, "PLUG_RA": 7.9090579, "PLUG_DEC": 0.55923831, "HELIO_RV": 28.46}
    )  # fmt: skip
    spall = fits.BinTableHDU.from_columns(
        [
            fits.Column(name="CATALOGID", format="K", array=[4399272889]),
            fits.Column(name="Z", format="E", array=[1.5]),
            fits.Column(name="SN_MEDIAN_ALL", format="E", array=[5.0]),
        ],
        name="SPALL",
    )
    exposure = fits.BinTableHDU.from_columns(
        [fits.Column(name=n, format="E", array=values[n][2000:]) for n in ("FLUX", "LOGLAM", "IVAR")]
        + [fits.Column(name="MASK", format="J", array=values["AND_MASK"][2000:])],
        name="MJD_EXP_59193-00-r1-00320570",
    )
    hdus = fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name="COADD"), spall, exposure])
    path = tmp_path / "spec-015005-59193-4399272889.fits"
    hdus.writeto(path, checksum=True)
    return path


def test_a_full_file_of_sdss_v_is_read(sdss_v: Path) -> None:
    """Upper-case columns with units that FITS does not know, a field that is text, a catalogue identifier."""
    spectrum = read_spectrum(sdss_v)

    assert spectrum.flux.shape == (4648,)
    assert spectrum.spectral_axis.value[0] == pytest.approx(10**3.5523, rel=1e-6)
    assert spectrum.mask.sum() == 7
    assert spectrum.meta["plate"] == "015005"
    assert spectrum.meta["catalogid"] == 4399272889
    assert spectrum.meta["redshift"] == 1.5
    assert read_spectrum(sdss_v, bad=["BRIGHTSKY"]).mask.sum() == 8
    (exposure,) = read_exposures(sdss_v)
    assert exposure.meta["exposure"] == "MJD_EXP_59193-00-R1-00320570"
    assert len(exposure.flux) == 2648


def test_a_file_of_sdss_v_without_the_table_of_its_object_is_read(sdss_v: Path, tmp_path: Path) -> None:
    with fits.open(sdss_v) as hdus:
        fits.HDUList([hdus[0].copy(), hdus[1].copy()]).writeto(tmp_path / "coadd.fits")

    assert "redshift" not in read_spectrum(tmp_path / "coadd.fits").meta


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    cut = tmp_path / "cut.fits"
    cut.write_bytes(LITE.read_bytes()[:60_000])

    with pytest.raises(FileMissing):
        read_spectrum(tmp_path / "none.fits")
    with pytest.raises(CorruptFile):
        read_spectrum(cut)
    with pytest.raises(WrongLayout, match="no table of flux, loglam and ivar"):
        read_spectrum(STAR)
