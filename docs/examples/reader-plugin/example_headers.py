"""The header of an APOGEE spectrum as a dictionary: `registry.create("apStar", …).read("header")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astra_registry import hookimpl

astra_registry_api = 1


def read_header(path: str) -> dict[str, Any]:
    """Return the cards of the first header, without comments."""
    from astropy.io import fits  # only those who read need it

    header = fits.getheader(path)
    return {keyword: header[keyword] for keyword in dict.fromkeys(header) if keyword not in ("COMMENT", "HISTORY", "")}


@hookimpl
def astra_registry_readers() -> Mapping[tuple[str, str], str]:
    """Bring the reader, for both products."""
    return {(product, "header"): "example_headers:read_header" for product in ("apStar", "apVisit")}
