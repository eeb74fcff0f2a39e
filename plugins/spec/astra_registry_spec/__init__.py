"""The data product `spec`: one optical spectrum, of SDSS, BOSS, eBOSS or SDSS-V."""

from __future__ import annotations

from collections.abc import Mapping

from astra_registry import SDSS5DataModelTask, hookimpl, parameter
from astra_registry.release import releases, versions_by_release

# The 2021 system's own template, for its work release.
SDSS5 = "$BOSS_SPECTRO_REDUX/{run2d}/{plate}p/coadd/{mjd}/spSpec-{plate}-{mjd}-{catalogid:0>11}.fits"

# The tree has the full files in …/spectra/full/PLATE/, and the SAS keeps those of SDSS-I/II (run2d 26, 103, 104), and
# every one up to DR15, in …/spectra/PLATE/: seen in the URLs of the science archive server.
LEGACY = (
    "=spec",
    "@spectrodir|/{run2d}/spectra/{plateid:0>4}/spec-{plateid:0>4}-{mjd}-{fiberid:0>4}.fits",
)


def _templates() -> dict[str, str | tuple[str, ...]]:
    """`spec` is the path of that name up to DR17, and `specFull` from DR18 and IPL-1 on."""
    legacy = {f"dr{number}" for number in range(8, 18)}
    full = [release for release in releases() if release not in legacy and release != "dr7"]
    return {**dict.fromkeys(sorted(legacy), LEGACY), **dict.fromkeys(full, "=specFull"), "sdss5": SDSS5}


class SpecFile(SDSS5DataModelTask):
    """One optical spectrum, with its exposures, of SDSS, BOSS, eBOSS or SDSS-V."""

    sdss_data_model_name = "spec"
    templates = _templates()
    readers = {  # noqa: RUF012 - never changed
        "spectrum": "astra_registry_spec.spectrum:read_spectrum",
        "exposures": "astra_registry_spec.spectrum:read_exposures",
    }
    # One object's spectrum, and more HDUs than the four of a lite file.
    cards = {  # noqa: RUF012 - never changed
        "TTYPE1": "(?i:flux)",
        "SPECOBJID": ".+",
        "RUN2D": ".+",
        "MJD": r"\d+",
        "HDUS": r"(?!4$)\d+",
    }
    examples = (
        ("dr17", {"run2d": "26", "plate": "1325", "mjd": 52762, "fiberid": 133}),
        ("dr19", {"plate": "15005", "mjd": 59193, "catalogid": 4399272889}),
    )

    catalogid: int = parameter(
        "The identifier of the target in SDSS-V's catalogue.", batch=True, default=None, aliases=("CATALOGID",)
    )
    mjd: int = parameter("The date of the observation.", batch=True, unit="d", aliases=("MJD",))
    plate: str = parameter(
        "The plate, or the field from DR18 on.", batch=True, aliases=("plateid", "fieldid", "PLATE", "PLATEID", "FIELD")
    )
    run2d: str = parameter(
        "The version of the two-dimensional reduction.",
        batch=True,
        default=versions_by_release("run2d"),
        aliases=("RUN2D",),
    )
    fiberid: int = parameter(
        "The number of the fibre, up to DR17.", batch=True, default=None, aliases=("FIBERID", "fiber")
    )


@hookimpl
def astra_registry_products() -> list[type[SDSS5DataModelTask]]:
    """Bring `spec`."""
    return [SpecFile]


@hookimpl
def astra_registry_readers() -> Mapping[tuple[str, str], str]:
    """Read the kin of `spec` as well: the same layout under other names."""
    kin = ("spec-lite", "specLite", "specFull")
    return {(name, kind): target for name in kin for kind, target in SpecFile.readers.items()}
