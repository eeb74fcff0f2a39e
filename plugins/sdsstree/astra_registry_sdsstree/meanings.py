"""What the parameters of the tree's templates are: their documentation, units, types and other names.

The tree says none of it. What is not listed here is text, unless all templates of a path show it as a padded number.
"""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """What is known of a parameter by its name."""

    doc: str
    unit: str | None = None
    aliases: tuple[str, ...] = ()


# Numbers wherever they stand: the files' names show them without zeros, or with those of a format.
INTEGERS = frozenset(
    (
        "camcol", "camnum", "cat_id", "catalogid", "configid", "designid", "expnum", "healpix", "mjd", "plateid", "run",
        "sdss_id", "specframe", "tileid",
    )
)  # fmt: skip
# Padded, and no numbers: a wavelength is l16600, a stripe may have a letter.
TEXTS = frozenset(("lambda", "muStart", "stripe"))

MEANINGS = {
    "apogeeid": Meaning("The name of the star, from 2MASS.", aliases=("APOGEE_ID", "apogee_id")),
    "apred": Meaning("The version of the APOGEE reduction."),
    "apstar": Meaning("The version of the combination of APOGEE's visits."),
    "aspcap": Meaning("The version of ASPCAP's analysis."),
    "band": Meaning("The band."),
    "br": Meaning("The arm of the BOSS spectrograph: b or r."),
    "camcol": Meaning("The column of the imaging camera, 1 to 6.", aliases=("CAMCOL",)),
    "camera": Meaning("The camera."),
    "camnum": Meaning("The number of the camera."),
    "cannon": Meaning("The version of the Cannon's analysis."),
    "cat_id": Meaning(
        "The identifier of the target in SDSS-V's catalogue.", aliases=("catid", "CATALOGID", "catalogid")
    ),
    "catalogid": Meaning("The identifier of the target in SDSS-V's catalogue.", aliases=("CATALOGID",)),
    "chip": Meaning("The detector of the APOGEE spectrograph: a, b or c."),
    "coadd": Meaning("The kind of co-addition."),
    "component": Meaning("The component of a multiple star; empty when there is one."),
    "configid": Meaning("The number of the configuration of the focal plane."),
    "daptype": Meaning("The kind of analysis: how the spectra are binned, and with which templates."),
    "dapver": Meaning("The version of the data analysis pipeline."),
    "designid": Meaning("The number of the design of a plate."),
    "dr": Meaning("The data release, as it stands in the file's name."),
    "drillrun": Meaning("The run of drilling of a plate."),
    "drpver": Meaning("The version of the data reduction pipeline.", aliases=("VERSDRP3",)),
    "expnum": Meaning("The number of the exposure."),
    "exptime": Meaning("The time of exposure.", unit="s"),
    "ext": Meaning("The suffix of the file's name."),
    "fiber": Meaning("The number of the fibre.", aliases=("FIBERID", "fiberid")),
    "fiberid": Meaning("The number of the fibre.", aliases=("FIBERID", "fiber")),
    "field": Meaning("The field.", aliases=("FIELD",)),
    "fieldid": Meaning("The field.", aliases=("FIELD", "field")),
    "filter": Meaning("The filter of the imaging camera: u, g, r, i or z."),
    "format": Meaning("The format of the file: its suffix."),
    "frame": Meaning("The number of the exposure, with its zeros."),
    "ftype": Meaning("The type of the file: fits or parquet."),
    "healpix": Meaning("The HEALPix pixel.", aliases=("HEALPIX",)),
    "id": Meaning("The number of the spectrograph: 1 or 2."),
    "ifu": Meaning("The integral-field unit.", aliases=("IFUDSGN", "ifudsgn")),
    "ifudesign": Meaning("The integral-field unit.", aliases=("IFUDSGN", "ifudsgn")),
    "instrument": Meaning("The spectrograph: apogee-n or apogee-s."),
    "lambda": Meaning("The wavelength, as it stands in the file's name."),
    "location": Meaning("The location identifier of the field.", aliases=("LOCATION_ID", "location_id")),
    "mangaid": Meaning("The MaNGA identifier of the target.", aliases=("MANGAID",)),
    "mjd": Meaning("The date of the observation.", unit="d", aliases=("MJD",)),
    "num": Meaning("The number of the exposure, or of the piece of a file that is split."),
    "obj": Meaning("The name of the star, from 2MASS.", aliases=("APOGEE_ID", "apogee_id")),
    "obs": Meaning("The observatory; empty for both."),
    "observatory": Meaning("The observatory: apo or lco."),
    "plan": Meaning("The plan of robostrategy."),
    "plate": Meaning("The plate.", aliases=("PLATE", "plateid", "PLATEID")),
    "plateid": Meaning("The plate.", aliases=("PLATE", "plate", "PLATEID")),
    "plateifu": Meaning("The plate and the integral-field unit.", aliases=("PLATEIFU",)),
    "prefix": Meaning("The prefix of the file's name: ap in the north, as in the south."),
    "reduction": Meaning("The name of the star, of the 1-metre telescope."),
    "release": Meaning("The data release, as it stands in the path; the product's own unless it is given."),
    "rerun": Meaning("The version of the processing of the imaging.", aliases=("RERUN",)),
    "resolve": Meaning("The version of the resolution of overlapping images."),
    "run": Meaning("The number of the imaging run.", aliases=("RUN",)),
    "run1d": Meaning("The version of the one-dimensional reduction.", aliases=("RUN1D",)),
    "run2d": Meaning("The version of the two-dimensional reduction.", aliases=("RUN2D",)),
    "sdss_id": Meaning("The SDSS identifier of the star.", aliases=("SDSS_ID",)),
    "specframe": Meaning("The number of the spectrograph's exposure."),
    "survey": Meaning("The survey.", aliases=("SURVEY",)),
    "task_id": Meaning("The identifier of the analysis, as it stands in the file's name."),
    "tel": Meaning("The telescope: sci, spec, skye or skyw."),
    "telescope": Meaning("The telescope: apo25m, apo1m or lco25m.", aliases=("TELESCOPE",)),
    "tileid": Meaning("The tile."),
    "type": Meaning("The kind of file, as it stands in its name."),
    "v_astra": Meaning("The version of Astra."),
    "v_sspp": Meaning("The version of the SEGUE stellar parameter pipeline."),
    "v_targ": Meaning("The version of the target files."),
    "v_vac": Meaning("The version of the value-added catalogue."),
    "ver": Meaning("The version."),
    "vers": Meaning("The version."),
    "version": Meaning("The version."),
    "wave": Meaning("The sampling in wavelength: LIN or LOG."),
}

# Summaries of well-known products; the others are told by their file's name.
NOTES = {
    "allStar": "APOGEE's summary of all stars",
    "allVisit": "APOGEE's summary of all visits",
    "aspcapStar": "The best-fitting model of a star's APOGEE spectrum, by ASPCAP",
    "dapall": "MaNGA's summary of all analyses",
    "drpall": "MaNGA's summary of all reductions",
    "frame": "A corrected frame of the imaging survey",
    "mangacube": "A data cube of MaNGA",
    "mangarss": "Row-stacked spectra of MaNGA",
    "mwmAllStar": "Milky Way Mapper's summary of all stars",
    "mwmAllVisit": "Milky Way Mapper's summary of all visits",
    "mwmStar": "The co-added spectra of one star, by Milky Way Mapper",
    "mwmVisit": "The visit spectra of one star, by Milky Way Mapper",
    "spAll": "The summary of all optical spectra",
    "spec-lite": "One co-added optical spectrum",
    "specFull": "One optical spectrum of SDSS-V, with its exposures",
    "specLite": "One co-added optical spectrum of SDSS-V",
    "specObj": "The summary of all optical spectra, as the catalogue server has it",
}

# By what cards their files are known: one object's spectrum, in four HDUs.
_LITE = {"TTYPE1": "(?i:flux)", "SPECOBJID": ".+", "RUN2D": ".+", "MJD": r"\d+", "HDUS": "4"}
CARDS: dict[str, dict[str, str]] = {"spec-lite": _LITE, "specLite": _LITE}

# What a special function takes, and nothing else.
CHOICES = {
    "ftype": ("fits", "parquet"),
    "instrument": ("apogee-n", "apogee-s"),
    "telescope": ("apo25m", "apo1m", "lco25m"),
}

# Read by a special function, and of no consequence for what it gives.
IDLE = frozenset(("catid", "plateid"))
# Read by special functions only, and may be empty.
EMPTY = frozenset(("component", "obs"))

# The `field` of their paths is the field's location identifier in these releases, whose tables have its name as FIELD.
OF_FIELDS = frozenset(("apField", "apFieldVisits"))
BY_LOCATION = ("dr10", "dr11", "dr12", "dr13", "dr14", "dr15")

# What a path name's template asks for, although no path of that name depends on it.
IDLE_IN = {("spCOADDS", "coadd"): "any"}

# Their files have the release in capitals, apogee_astroNN-DR17.fits; those of others as the tree spells it.
IN_CAPITALS = frozenset(("apogee_astronn", "apogee_starhorse", "manga_morphology_dl", "manga_pymorph"))
