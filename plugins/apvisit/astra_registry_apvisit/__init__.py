"""The data product `apVisit`: one visit spectrum of a star, as APOGEE took it."""

from __future__ import annotations

from astra_registry import SDSS5DataModelTask, hookimpl, parameter
from astra_registry.release import versions_by_release

# The telescope tells the spectrograph: APOGEE-N at Apache Point (ap), APOGEE-S at Las Campanas (as).
PREFIXES = {"apo25m": "ap", "apo1m": "ap", "lco25m": "as"}


def prefix_of(telescope: str) -> str:
    """Return the prefix of file names of a telescope's spectrograph."""
    return PREFIXES[telescope]


class ApVisitFile(SDSS5DataModelTask):
    """One visit spectrum of a star, from one plate, night and fibre of APOGEE."""

    sdss_data_model_name = "apVisit"
    readers = {  # noqa: RUF012 - never changed
        "spectrum": "astra_registry_apvisit.spectrum:read_spectrum",
        "chips": "astra_registry_apvisit.spectrum:read_chips",
    }
    # The date of the middle of a visit is told by no other file; the table of the last HDU has the file's own name.
    cards = {  # noqa: RUF012 - never changed
        "OBJID": ".+",
        "JD-MID": ".+",
        "MJD5": r"\d+",
        "FIBERID": r"\d+",
        "FILE": r"(a[ps]Visit-(?P<apred>[^-]+)-.*)?",
    }
    examples = (
        ("dr17", {"telescope": "apo25m", "field": "000+02", "plate": "5815", "mjd": 56396, "fiber": 212}),
        ("dr12", {"telescope": "apo25m", "plate": "5213", "mjd": 55811, "fiber": 296}),
    )

    fiber: int = parameter("The number of the fibre, 1 to 300.", batch=True, aliases=("FIBERID", "fiberid"))
    plate: str = parameter("The plate, or in SDSS-V the field's design.", batch=True, aliases=("PLATE", "plateid"))
    field: str = parameter("The name of the field.", batch=True, aliases=("FIELD",))
    mjd: int = parameter("The date of the visit.", batch=True, unit="d", aliases=("MJD",))
    apred: str = parameter(
        "The version of the APOGEE reduction.", batch=True, default=versions_by_release("apred"), aliases=("APRED",)
    )
    telescope: str = parameter("The telescope.", batch=True, choices=tuple(PREFIXES), aliases=("TELESCOPE",))
    prefix: str = parameter(
        "The prefix of the file's name: ap in the north, as in the south.",
        batch=True,
        default=prefix_of,
        choices=("ap", "as"),
    )


@hookimpl
def astra_registry_products() -> list[type[SDSS5DataModelTask]]:
    """Bring `apVisit`."""
    return [ApVisitFile]
