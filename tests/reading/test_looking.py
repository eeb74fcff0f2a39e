"""Structure, masks, wavelengths, lines, pictures and descriptions of real files."""

from __future__ import annotations

import base64
import io
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astra_registry_apstar.spectrum import read_spectrum as read_star
from astra_registry_apstar.spectrum import read_visits
from astra_registry_apvisit.spectrum import read_spectrum as read_visit
from astra_registry_spec.spectrum import read_exposures
from astra_registry_spec.spectrum import read_spectrum as read_optical
from astropy.io import fits
from matplotlib.image import imread
from specutils import Spectrum, SpectrumList

from astra_registry.errors import BadValue, BrokenPlugin, CorruptFile, FileMissing, UnequalLengths
from astra_registry.reading import load, structure
from astra_registry.reading.bitmasks import APOGEE_BAD, APOGEE_PIXMASK, SPPIXMASK, bits_of, counts, names_of
from astra_registry.reading.formats import register_formats
from astra_registry.reading.info import describe
from astra_registry.reading.lines import INFRARED, OPTICAL, between
from astra_registry.reading.plot import plot, save
from astra_registry.reading.spectra import as_table, together
from astra_registry.reading.terminal import escape_sequences, protocol
from astra_registry.reading.wavelengths import air_to_vacuum, log_linear, shifted, vacuum_to_air

ROOT = Path(__file__).parents[2]
SAS = ROOT / "tests" / "data" / "sas"
FOLDERS = (ROOT.parent / "shared/data/sdss", SAS)  # all real files where they are at hand, else those shipped
FILES = sorted({path.relative_to(folder): path for folder in FOLDERS for path in folder.rglob("*.fits")}.values())
STAR = SAS / "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"
DR17 = SAS / "dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits"
VISIT = SAS / "dr13/apogee/spectro/redux/r6/apo25m/5094/56643/apVisit-r6-5094-56643-088.fits"
FULL = SAS / "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits"
QUASAR = SAS / "dr16/eboss/spectro/redux/v5_13_0/spectra/lite/10656/spec-10656-58163-0366.fits"


# -- structure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_hdus_lie_where_astropy_finds_them(path: Path) -> None:
    places = structure.places(structure.contents(path), str(path))

    with fits.open(path) as hdus:
        assert len(places) == len(hdus)
        for place, hdu in zip(places, hdus, strict=True):
            told = hdu.fileinfo()
            assert place.start == told["datLoc"]
            assert place.end == told["datLoc"] + told["datSpan"]
            if hdu.is_image and hdu.data is not None:
                assert place.shape == hdu.shape


def test_a_file_that_is_cut_anywhere_is_not_whole(tmp_path: Path) -> None:
    content = FULL.read_bytes()
    for length in (0, 10, 100, 2880, 5000, 20_000, 300_000, len(content) - 2880 * 2):
        with pytest.raises(CorruptFile):
            structure.places(content[:length], "file")


def test_headers_with_nonsense_are_damaged_and_what_follows_the_last_hdu_is_ignored() -> None:
    content = STAR.read_bytes()

    with pytest.raises(CorruptFile, match="is damaged"):
        structure.places(
            content.replace(b"NAXIS1  =                 8575", b"NAXIS1  =            none    ", 1), "file"
        )
    with pytest.raises(CorruptFile, match="HDU 0 has no card 'BITPIX'"):
        structure.places(content.replace(b"BITPIX", b"BITPAX", 1), "file")
    with pytest.raises(CorruptFile, match="its header has b'none'"):
        structure.places(
            content.replace(b"EXTEND  =                    T", b"BZERO   =                 none", 1), "file"
        )
    assert len(structure.places(content + b"\0" * 2880, "file")) == 10


def test_random_groups_and_tables_without_columns_have_their_sizes() -> None:
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([]), fits.ImageHDU(np.zeros((2, 3)))])
    stream = io.BytesIO()
    hdus.writeto(stream)
    cards = {"SIMPLE": "T", "BITPIX": -32, "NAXIS": 3, "NAXIS1": 0, "NAXIS2": 3, "NAXIS3": 2, "PCOUNT": 1, "GCOUNT": 5}
    header = "".join(f"{key:8}= {value:>20}".ljust(80) for key, value in cards.items())
    groups, none = (
        "".join((header, f"GROUPS  = {said:>20}".ljust(80), "END")).ljust(2880).encode() + bytes(2880) for said in "TF"
    )

    for content, sizes in ((stream.getvalue(), [0, 0, 48]), (groups, [5 * (1 + 3 * 2) * 4]), (none, [5 * 4])):
        with fits.open(io.BytesIO(content)) as opened:
            assert [hdu.size for hdu in opened] == sizes
        assert [place.size for place in structure.places(content, "file")] == sizes


# -- numbers ------------------------------------------------------------------------------------------------------


def test_bits_have_names_and_names_have_bits() -> None:
    assert bits_of(APOGEE_BAD, APOGEE_PIXMASK) == 16639
    assert names_of(16639, APOGEE_PIXMASK) == list(APOGEE_BAD)
    assert bits_of(["BRIGHTSKY"], SPPIXMASK) == 8388608
    assert counts(np.array([1, 3, 4096]), APOGEE_PIXMASK) == {"BADPIX": 2, "CRPIX": 1, "SIG_SKYLINE": 1}


def test_vacuum_and_air_are_inverse_and_right() -> None:
    """Sodium's D2 line: 5889.950 Å in air, 5891.583 Å in vacuum (NIST)."""
    assert air_to_vacuum(5889.950) == pytest.approx(5891.583, abs=2e-3)
    wavelengths = np.linspace(3500, 17000, 50)
    assert np.allclose(vacuum_to_air(air_to_vacuum(wavelengths)), wavelengths, rtol=1e-10)


def test_light_is_shifted_by_velocity_or_redshift() -> None:
    assert shifted(5000.0, redshift=1.0) == 10000.0
    assert shifted(5000.0, 299.792458) == pytest.approx(5005.0, abs=0.003)
    assert log_linear(4.179, 6e-6, 3)[2] == pytest.approx(10**4.179012)


def test_hydrogen_lines_follow_rydberg_s_formula_to_those_measured() -> None:
    """Brackett 11 and 14 in vacuum: 16811.1 and 15884.9 Å."""
    found = {line.name: line.wavelength for line in INFRARED}

    assert found["Br11"] == pytest.approx(16811.1, abs=0.2)
    assert found["Br14"] == pytest.approx(15884.9, abs=0.2)


def test_optical_lines_are_those_of_the_pipeline_s_own_table() -> None:
    """HDU 3 of an optical file has the vacuum wavelengths with which the survey measured its lines."""
    with fits.open(FULL) as hdus:
        theirs = list(hdus[3].data["LINEWAVE"])

    for name in ("Lyα", "C IV", "Hδ", "Hβ", "[O III]", "Hα", "[N II]", "[S II]", "[Ar III]"):
        for line in (line for line in OPTICAL if line.name == name):
            assert min(abs(line.wavelength - wavelength) for wavelength in theirs) < 0.05, line


def test_metal_lines_are_seen_in_a_star_where_the_table_has_them() -> None:
    """The deepest pixel near each is less than two pixels (0.4 Å) away, and a line."""
    star = read_star(DR17)
    wavelength = star.spectral_axis.value
    flux = np.where(star.mask, np.nan, star.flux.value)

    for line in (line for line in INFRARED if not line.name.startswith("Br")):
        near = abs(wavelength - line.wavelength) < 0.7
        around = abs(wavelength - line.wavelength) < 20
        deepest = wavelength[near][np.nanargmin(flux[near])]
        assert abs(deepest - line.wavelength) < 0.45, line
        assert np.nanmin(flux[near]) < 0.92 * np.nanpercentile(flux[around], 90), line


def test_lines_are_found_between_two_wavelengths_at_a_redshift() -> None:
    assert [line.name for line in between(4860, 5010)] == ["Hβ", "[O III]", "[O III]"]
    (line,) = between(9700, 9750, 2.0)
    assert (line.name, line.wavelength) == ("Hβ", pytest.approx(9725.36))


# -- seams --------------------------------------------------------------------------------------------------------


def test_a_reader_that_leads_nowhere_says_so() -> None:
    assert load("math:sqrt") is math.sqrt
    for reference in ("math:nothing", "no_such_module:f", "math"):
        with pytest.raises(BrokenPlugin, match="cannot be loaded"):
            load(reference)


def test_specutils_reads_and_writes_our_formats(tmp_path: Path) -> None:
    from specutils.io import get_loaders_by_extension

    readers = {
        ("apStar", "spectrum"): "astra_registry_apstar.spectrum:read_spectrum",
        ("apStar", "visits"): "astra_registry_apstar.spectrum:read_visits",
    }
    for _ in range(2):
        names = register_formats(readers, {"apStar": "astra_registry_apstar.writing:write_spectrum"})

    assert names == ["apStar", "apStar visits"]
    spectrum = Spectrum.read(STAR, format="apStar")
    assert np.array_equal(spectrum.flux, read_star(STAR).flux)
    assert len(SpectrumList.read(str(STAR), format="apStar visits")) == 3
    spectrum.write(tmp_path / "star.fits", format="apStar")
    assert np.array_equal(read_star(tmp_path / "star.fits").flux, spectrum.flux)
    assert "apStar" in get_loaders_by_extension("fits")


def test_without_specutils_a_reader_names_what_to_install() -> None:
    code = """
import sys
sys.modules["specutils"] = None  # what Python finds when a package is not there
from astra_registry.errors import MissingExtra
from astra_registry.reading import load
try:
    load("astra_registry_apstar.spectrum:read_spectrum")
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install 'astra-registry[spectra]'" in done.stdout


def test_a_reader_is_only_imported_when_its_format_is_used() -> None:
    assert register_formats({("farStar", "spectrum"): "not_there_yet:read"}) == ["farStar"]
    with pytest.raises(BrokenPlugin, match="not_there_yet:read cannot be loaded"):
        Spectrum.read(STAR, format="farStar")


def test_spectra_on_different_wavelengths_make_a_list_and_no_table() -> None:
    visits = [read_visit(VISIT), read_star(STAR)]

    assert isinstance(together(visits), list)
    assert len(together([])) == 0
    with pytest.raises(UnequalLengths, match="8575 to 12288 pixels"):
        as_table(visits)


# -- what a file is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_file_is_described_in_plain_data(path: Path) -> None:
    told = describe(path)

    assert json.loads(json.dumps(told)) == told
    assert told["whole"]
    with fits.open(path) as hdus:
        assert [hdu["name"] for hdu in told["hdus"]] == [hdu.name for hdu in hdus]
    if not path.name.startswith("aspcap"):
        assert told["snr"] > 0


def test_a_cut_file_is_described_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "cut.fits"
    path.write_bytes(FULL.read_bytes()[:300_000])

    told = describe(path)

    assert not told["whole"]
    assert "is cut off: HDU 5 ends at byte 316,800, the file at 300,000" in told["problem"]
    assert len(told["hdus"]) == 5


def test_a_packed_file_is_described_and_a_cut_one_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "star.fits.gz"
    with fits.open(DR17) as hdus:
        hdus.writeto(path)

    assert describe(path)["packed"]
    assert describe(path)["whole"]
    path.write_bytes(path.read_bytes()[:-1000])
    assert "does not unpack" in describe(path)["problem"]


def test_what_is_no_fits_file_is_not_described(tmp_path: Path) -> None:
    page = tmp_path / "page.fits"
    page.write_text("<html>")

    with pytest.raises(CorruptFile, match="is not a FITS file"):
        describe(page)
    with pytest.raises(FileMissing):
        describe(tmp_path / "none.fits")


# -- pictures -----------------------------------------------------------------------------------------------------


def gids(figure: object) -> set[str]:
    return {gid for axes in figure.axes for artist in axes.get_children() if (gid := artist.get_gid())}  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [VISIT, STAR, DR17])
def test_an_apogee_spectrum_has_a_panel_for_each_chip(path: Path) -> None:
    figure = plot(read_visit(path) if path is VISIT else read_star(path), lines=True)

    assert len(figure.axes) == 3
    assert gids(figure) == {"bad pixels", "line name"}
    assert "Vacuum wavelength (Å)" in figure.get_supxlabel()
    assert "erg" in figure.get_supylabel()
    lower = [axes.get_xlim()[0] for axes in figure.axes]
    assert lower == sorted(lower)


def test_bad_pixels_and_error_are_drawn_only_when_asked_for() -> None:
    star = read_star(STAR)

    assert gids(plot(star, bad=False)) == set()
    assert len(plot(star, error=False).axes[0].collections) < len(plot(star).axes[0].collections)


def test_the_flux_axis_follows_the_star_and_not_sky_lines_or_bad_pixels() -> None:
    for axes in plot(read_visit(VISIT)).axes:
        low, high = axes.get_ylim()
        assert 100 < low < high < 800


def test_lines_are_named_where_the_redshift_puts_them() -> None:
    figure = plot(read_optical(QUASAR), lines=True, model=True)
    (axes,) = figure.axes

    names = {text.get_text(): text.get_position()[0] for text in axes.texts}

    assert names["C IV"] == pytest.approx(1549.48 * 3.29237, abs=1)
    assert "z = 2.2924" in figure.get_suptitle()
    assert axes.get_legend().get_texts()[-1].get_text() == "the pipeline's fit"


def test_forbidden_lines_are_not_named_in_a_star() -> None:
    star = read_optical(QUASAR)
    star.meta.update({"class": "STAR", "redshift": 0.0})

    names = {text.get_text() for text in plot(star, lines=True).axes[0].texts}

    assert "Na D" in names
    assert not any("[" in name for name in names)


def test_a_visit_that_was_left_out_keeps_its_place_and_says_so() -> None:
    visits = read_visits(STAR)
    visits[1].mask[:] = True

    labels = [text.get_text() for text in plot(visits).axes[0].texts]

    assert [label.endswith("left out") for label in labels] == [False, True, False]


@pytest.mark.parametrize(("arrangement", "panels"), [("overlay", 1), ("offset", 1), ("stacked", 3)])
def test_visits_are_laid_over_each_other_apart_or_in_panels(arrangement: str, panels: int) -> None:
    figure = plot(read_visits(STAR), arrangement=arrangement, lines=True)  # type: ignore[arg-type]

    assert len(figure.axes) == panels
    assert "3 visits" in figure.get_suptitle()
    assert plot(together(read_visits(STAR)), arrangement="stacked").get_suptitle() == figure.get_suptitle()


def test_a_picture_says_what_is_drawn_beside_the_flux() -> None:
    legends = [axes.get_legend() for axes in plot(read_visit(VISIT)).axes]

    assert [text.get_text() for text in legends[0].get_texts()] == ["±1σ", "bright sky line", "bad pixel"]
    assert legends[1:] == [None, None]


def test_a_stacked_visit_is_named_above_its_panel_and_one_that_was_left_out_has_no_scale() -> None:
    visits = read_visits(STAR)
    visits[1].mask[:] = True

    panels = plot(visits, arrangement="stacked").axes

    assert [axes.get_title("left")[:4] for axes in panels] == [str(visit.meta["date"])[:4] for visit in visits]
    assert [len(axes.get_yticks()) > 0 for axes in panels] == [True, False, True]


def test_sky_lines_do_not_cross_the_spectra_of_other_visits() -> None:
    def sky(arrangement: str) -> list[float]:
        (axes,) = plot(read_visits(STAR), arrangement=arrangement).axes  # type: ignore[arg-type]
        lines = [line for line in axes.lines if line.get_label() == "bright sky line"]
        return [float(np.nanmax(line.get_ydata()) - np.nanmin(line.get_ydata())) for line in lines]

    step = np.diff([text.xy[1] for text in plot(read_visits(STAR)).axes[0].texts])
    assert sky("overlay") == []
    assert len(sky("offset")) == 3
    assert max(sky("offset")) < 1.5 * step.max()


def test_an_optical_spectrum_is_titled_as_its_file_is_named() -> None:
    assert plot(read_optical(FULL)).get_suptitle().startswith("-".join(FULL.stem.split("-")[1:]))


def test_several_objects_are_titled_by_what_they_share() -> None:
    title = plot([read_optical(FULL), read_optical(QUASAR)]).get_suptitle()

    assert title == "spec  ·  2 spectra"


def test_a_visit_is_titled_with_its_night_also_of_a_star_in_the_south() -> None:
    visit = read_visit(VISIT)
    visit.meta["object"] = "2M16544175-2148453"

    assert "2M16544175-2148453  ·  apVisit  ·  MJD 56643" in plot(visit).get_suptitle()


def test_a_velocity_that_was_not_measured_is_none(tmp_path: Path) -> None:
    """The pipeline writes 999999 for it, and lines shifted by as much would lie nowhere."""
    changed = tmp_path / VISIT.name
    shutil.copyfile(VISIT, changed)
    fits.setval(changed, "VRAD", value=999999.0)

    visit = read_visit(changed)

    assert "radial_velocity" not in visit.meta
    assert gids(plot(visit, lines=True)) == {"bad pixels", "line name"}


def test_the_deepest_pixel_of_a_line_is_within_the_picture_and_a_lone_spike_is_not() -> None:
    quasar = read_optical(FULL)
    (axes,) = plot(quasar, between=(7000, 7400)).axes
    inside = (quasar.spectral_axis.value >= 7000) & (quasar.spectral_axis.value <= 7400)
    assert axes.get_ylim()[1] > quasar.flux.value[inside].max()

    star = read_star(STAR)
    start, stop = 15740, 15760  # a line of magnesium
    here = np.flatnonzero((star.spectral_axis.value > start) & (star.spectral_axis.value < stop) & ~star.mask)
    assert plot(star, between=(start, stop)).axes[0].get_ylim()[0] < star.flux.value[here].min()

    spike = here[np.argmax(star.flux.value[here])]
    star.flux.value[spike] = 1e5
    assert plot(star, between=(start, stop)).axes[0].get_ylim()[1] < 1e4


def test_chips_are_told_apart_by_their_names_alone() -> None:
    (axes,) = plot(read_visit(VISIT, chips="list")).axes
    assert [text.get_text() for text in axes.texts] == ["blue", "green", "red"]


def test_a_part_of_a_spectrum_is_drawn() -> None:
    figure = plot(read_star(STAR), between=(15720, 15800), flux_between=(0, 900), title="magnesium")

    assert figure.axes[0].get_ylim() == (0, 900)
    assert figure.axes[0].get_xlim() == pytest.approx((15720, 15800), abs=1)
    assert figure.get_suptitle() == "magnesium"
    assert len(plot(read_star(STAR)[1000:2000]).axes) == 1


def test_exposures_are_drawn_although_their_wavelengths_differ(tmp_path: Path) -> None:
    path = save(plot(read_exposures(FULL)), tmp_path / "exposures.png")

    pixels = imread(path)
    assert pixels.shape[1] >= 1600
    assert pixels[..., :3].min() < 0.5  # something is drawn


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_picture_is_written_in_the_format_of_its_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"star.{ending}"

    save(plot(read_optical(QUASAR)), path)

    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    star = read_star(STAR)
    for call, message in (
        (lambda: plot([]), "no spectrum"),
        (lambda: plot(7), "not a spectrum"),
        (lambda: plot(star, between=(1, 2)), "no pixel lies between 1 and 2"),
        (lambda: plot([star, star], arrangement="pile"), "'overlay', 'offset' or 'stacked'"),
        (lambda: save(plot(star), tmp_path / "star.doc"), "no picture format"),
    ):
        with pytest.raises(BadValue, match=message):
            call()
    with pytest.raises(FileNotFoundError, match=f"no such folder: '{tmp_path / 'none'}'"):
        save(plot(star), tmp_path / "none" / "star.png")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "xterm-256color"}, None),
    ],
)
def test_a_terminal_that_can_show_pictures_is_known(environment: dict[str, str], expected: str | None) -> None:
    assert protocol(Screen(), environment) == expected
    assert protocol(io.StringIO(), environment) is None


def test_a_picture_passes_through_the_terminal_s_escape_sequences_unchanged() -> None:
    png = bytes(range(256)) * 40

    iterm = escape_sequences(png, "iterm2")
    kitty = escape_sequences(png, "kitty")

    assert base64.b64decode(iterm.partition(":")[2].rstrip("\n\a")) == png
    pieces = [piece.partition(";")[2] for piece in kitty.strip().split("\x1b\\") if piece]
    assert base64.b64decode("".join(pieces)) == png
    assert all(len(piece) <= 4096 for piece in pieces)
    assert kitty.count("m=1") == len(pieces) - 1
    assert kitty.count("m=0") == 1
