"""apVisit files read as spectra: each value is what the bytes of the file say."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from astra_registry_apvisit.spectrum import read_chips, read_spectrum
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum, SpectrumList

from astra_registry.errors import BadValue, CorruptFile, FileMissing, WrongLayout

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "tests" / "data" / "sas"
VISIT = SHIPPED / "dr12/apogee/spectro/redux/r5/apo25m/5213/55811/apVisit-r5-5213-55811-296.fits"
STAR = SHIPPED / "dr13/apogee/spectro/redux/r6/stars/apo25m/4587/apStar-r6-2M03290406+3117075.fits"
FOLDERS = (ROOT.parent / "shared/data/sdss", SHIPPED)  # all real files where they are at hand, else those shipped
FILES = sorted(
    {path.relative_to(folder): path for folder in FOLDERS for path in folder.rglob("apVisit-*.fits")}.values()
)


def starts(content: bytes) -> list[int]:
    """Return where the data of each HDU begin, found by the END cards of the headers alone."""
    found, position = [], 0
    while (end := content.find(b"END" + b" " * 77, position)) >= 0:
        if end % 80 == 0:
            found.append((end // 2880 + 1) * 2880)
        position = end + 80
    return found


def raw(content: bytes, hdu: int, form: str, chip: int, pixel: int) -> float:
    size = struct.calcsize(form)
    return struct.unpack_from(form, content, starts(content)[hdu] + (chip * 4096 + pixel) * size)[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_chips_are_joined_in_increasing_wavelength(path: Path) -> None:
    """The file has the red chip first, and each chip from red to blue: the whole is read backwards."""
    spectrum = read_spectrum(path)
    content = path.read_bytes()

    assert isinstance(spectrum, Spectrum)
    assert spectrum.flux.shape == (3 * 4096,)
    assert (np.diff(spectrum.spectral_axis.value) > 0).all()
    assert str(spectrum.spectral_axis.unit) == "Angstrom"
    for index in (0, 1, 4095, 4096, 7000, 8191, 8192, 12287):
        chip, pixel = divmod(12287 - index, 4096)
        assert spectrum.spectral_axis.value[index] == raw(content, 4, ">d", chip, pixel)
        assert spectrum.flux.value[index] == np.float32(raw(content, 1, ">f", chip, pixel))
        assert spectrum.uncertainty.array[index] == np.float32(raw(content, 2, ">f", chip, pixel))
        assert spectrum.meta["bitmask"][index] == raw(content, 3, ">h", chip, pixel)
    assert isinstance(spectrum.uncertainty, StdDevUncertainty)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_signal_to_noise_is_that_of_the_header(path: Path) -> None:
    """The card is the median of the middle chip."""
    spectrum = read_chips(path)[1]

    good = ~spectrum.mask
    median = np.median(spectrum.flux.value[good] / spectrum.uncertainty.array[good])

    assert median == pytest.approx(spectrum.meta["snr"], rel=0.05)


def test_flux_has_its_unit_and_meta_tells_what_it_is() -> None:
    spectrum = read_spectrum(VISIT)

    assert spectrum.flux.unit.to_string() == "1e-17 erg / (Angstrom s cm2)"
    told = spectrum.meta
    assert (told["object"], told["plate"], told["mjd"], told["fiber"]) == ("2M19241352+3858278", "5213", 55811, 296)
    assert told["medium"] == "vacuum"
    assert told["frame"] == "observatory"
    assert told["header"]["NCOMBINE"] == 8
    assert told["bits"]["SIG_SKYLINE"] == 12


def test_a_pixel_is_bad_by_its_bits_and_others_may_be_chosen() -> None:
    """The pipeline's bad-pixel mask is 16639: bits 0 to 7 and 14. A sky line is a warning."""
    spectrum = read_spectrum(VISIT)
    mask = spectrum.meta["bitmask"]

    assert (spectrum.mask == (mask & 16639 != 0)).all()
    assert spectrum.mask.sum() == 239
    sky = read_spectrum(VISIT, bad=["SIG_SKYLINE"])
    assert (sky.mask >= (mask & 1 << 12 != 0)).all()
    assert sky.mask.sum() != spectrum.mask.sum()
    with pytest.raises(BadValue, match="did you mean 'SIG_SKYLINE'"):
        read_spectrum(VISIT, bad=["SIG_SKYLINES"])


def test_the_chips_come_apart_on_request() -> None:
    chips = read_spectrum(VISIT, chips="list")

    assert isinstance(chips, SpectrumList)
    assert [chip.meta["chip"] for chip in chips] == ["blue", "green", "red"]
    joined = read_spectrum(VISIT)
    assert (np.concatenate([chip.flux.value for chip in chips]) == joined.flux.value).all()
    with pytest.raises(BadValue, match="'join' or 'list'"):
        read_spectrum(VISIT, chips="apart")  # type: ignore[arg-type]


def test_an_open_file_is_read_and_stays_open() -> None:
    with fits.open(VISIT) as hdus:
        first = read_spectrum(hdus)
        second = read_spectrum(hdus)
    assert (first.flux == second.flux).all()


def test_a_packed_file_reads_the_same(tmp_path: Path) -> None:
    with fits.open(VISIT) as hdus:
        hdus.writeto(tmp_path / "visit.fits.gz")

    assert (read_spectrum(tmp_path / "visit.fits.gz").flux == read_spectrum(VISIT).flux).all()


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    cut = tmp_path / "cut.fits"
    cut.write_bytes(VISIT.read_bytes()[:100_000])
    junk = tmp_path / "junk.fits"
    junk.write_text("<html>404</html>")

    with pytest.raises(FileMissing, match="there is no file"):
        read_spectrum(tmp_path / "none.fits")
    with pytest.raises(CorruptFile):
        read_spectrum(cut)
    with pytest.raises(CorruptFile, match="not a whole FITS file"):
        read_spectrum(junk)
    with pytest.raises(WrongLayout, match=r"apStar-r6.*HDU 1"):
        read_spectrum(STAR)
