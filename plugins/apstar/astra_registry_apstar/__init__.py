"""The data product `apStar`: the combined spectrum of a star, from all its visits by APOGEE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from astra_registry import SDSS5DataModelTask, columnwise, hookimpl, parameter
from astra_registry.release import versions_by_release

# Their folders of stars bear the field's location identifier, while FIELD of their tables is its name.
BY_LOCATION = ("dr10", "dr11", "dr12", "dr13", "dr14", "dr15")
PREFIXES = {"apo25m": "ap", "apo1m": "ap", "lco25m": "as"}


def prefix_of(telescope: str) -> str:
    """Return the prefix of file names of a telescope's spectrograph."""
    return PREFIXES[telescope]


def as_stars(apstar: str) -> str:
    """Return the folder's name: the 2021 system said ``star``, and the SAS says ``stars``."""
    return "stars" if apstar == "star" else apstar


@columnwise
def healpix_of(obj: Sequence[str]) -> Sequence[int]:
    """Return the HEALPix pixels (nside 128, ring order) of stars, from the positions in their 2MASS names."""
    from astra_registry_apstar.healpix import pixels

    return pixels(obj)


class ApStarFile(SDSS5DataModelTask):
    """The combined spectrum of a star, from all its visits by APOGEE."""

    sdss_data_model_name = "apStar"
    readers = {  # noqa: RUF012 - never changed
        "spectrum": "astra_registry_apstar.spectrum:read_spectrum",
        "visits": "astra_registry_apstar.spectrum:read_visits",
        "arrays": "astra_registry_apstar.arrays:read_arrays",
    }
    writers = {"spectrum": "astra_registry_apstar.writing:write_spectrum"}  # noqa: RUF012
    # Of the combined files only these name their first visit's; its name has the version of the reduction.
    cards = {  # noqa: RUF012 - never changed
        "OBJID": ".+",
        "NVISITS": r"\d+",
        "SFILE1": r"(?P<prefix>a[ps])Visit-(?P<apred>[^-]+)-.*",
    }
    examples = (
        ("dr17", {"telescope": "apo25m", "field": "000+02", "obj": "2M17335483-2753043"}),
        ("dr12", {"telescope": "apo25m", "field": "4262", "obj": "2M19241352+3858278"}),
    )

    obj: str = parameter("The name of the star, from 2MASS.", batch=True, aliases=("APOGEE_ID", "apogee_id"))
    healpix: int = parameter(
        "The HEALPix pixel of the star (nside 128, ring order); follows from a 2MASS name.",
        batch=True,
        default=healpix_of,
        aliases=("HEALPIX",),
    )
    apstar: Annotated[str, as_stars] = parameter(
        "The version of the combination.", batch=True, default=versions_by_release("apstar", otherwise="stars")
    )
    apred: str = parameter(
        "The version of the APOGEE reduction.", batch=True, default=versions_by_release("apred"), aliases=("APRED",)
    )
    telescope: str = parameter("The telescope.", batch=True, choices=tuple(PREFIXES), aliases=("TELESCOPE",))
    field: str = parameter(
        "The name of the field; its location identifier up to DR15.",
        batch=True,
        aliases=("FIELD",),
        columns=dict.fromkeys(BY_LOCATION, "LOCATION_ID"),
    )
    prefix: str = parameter(
        "The prefix of the file's name: ap in the north, as in the south.",
        batch=True,
        default=prefix_of,
        choices=("ap", "as"),
    )


@hookimpl
def astra_registry_products() -> list[type[SDSS5DataModelTask]]:
    """Bring `apStar`."""
    return [ApStarFile]


# The stars that the 1-metre telescope saw have files of the same layout under another name.
SAME_LAYOUT = "apStar-1m"


@hookimpl
def astra_registry_readers() -> Mapping[tuple[str, str], str]:
    """Read `apStar-1m` as well."""
    return {(SAME_LAYOUT, kind): target for kind, target in ApStarFile.readers.items()}


@hookimpl
def astra_registry_writers() -> Mapping[tuple[str, str], str]:
    """Write `apStar-1m` as well."""
    return {(SAME_LAYOUT, kind): target for kind, target in ApStarFile.writers.items()}
