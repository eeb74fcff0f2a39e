"""The HEALPix pixel under which SDSS-V keeps a star, from its 2MASS name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from astra_registry_apstar import ApStarFile

from astra_registry import InvalidParameter

STAR = {"release": "dr19", "telescope": "apo25m"}


def test_the_pixel_follows_from_the_name_one_by_one_and_in_a_batch() -> None:
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    star = ApStarFile(obj="2M16544175-2148453", **STAR)
    batch = ApStarFile(obj=["2M16544175-2148453", "2M00000000+0000000"], **STAR)

    ra, dec = 15 * (16 + 54 / 60 + 41.75 / 3600), -(21 + 48 / 60 + 45.3 / 3600)
    assert star.healpix == lonlat_to_healpix(ra * units.deg, dec * units.deg, nside=128, order="ring")
    assert star.param_origins["healpix"] == "derived"
    assert star.location.endswith(f"/stars/apo25m/134/{star.healpix}/apStar-1.3-apo25m-2M16544175-2148453.fits")
    assert batch[0] == star


@pytest.mark.parametrize(
    "name",
    [
        "VESTA",
        "2M1654417-2148453",
        "2M99999999+9999999",
        "2M24000000+0000000",
        "2M16544175+9000001",
        "2M16604175-2148453",
    ],
)
def test_a_name_that_tells_no_place_wants_the_pixel_given(name: str) -> None:
    with pytest.raises(InvalidParameter, match="healpix must be given"):
        ApStarFile(obj=name, **STAR)
    assert ApStarFile(obj=name, healpix=7, **STAR).healpix == 7


def test_without_astropy_healpix_the_message_says_what_to_do() -> None:
    code = """
import sys
sys.modules["astropy_healpix"] = None  # as if it were not installed
from astra_registry.cli import main
main(sys.argv[1:])
"""
    words = ["resolve", "apStar", "--release", "dr19", "--telescope", "apo25m", "--obj", "2M16544175-2148453"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    given = subprocess.run([sys.executable, "-c", code, *words, "--healpix", "7"], check=True, capture_output=True)

    assert done.returncode == 1
    assert done.stderr.endswith("needs an optional package: pip install 'astra-registry[healpix]'\n")
    assert b"/stars/apo25m/0/7/" in given.stdout
