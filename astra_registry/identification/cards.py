"""What the headers of a FITS file say: its cards, and by which of them products say that their files are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from astra_registry.errors import CorruptFile, FileMissing
from astra_registry.paths import on_disk

# Parameter → the cards that may hold it, the likeliest first; a product's own aliases come besides.
CARDS: Mapping[str, tuple[str, ...]] = {
    "apred": ("APRED",),  # V_APRED is the version of the software
    "camcol": ("CAMCOL",),
    "catalogid": ("CATALOGID", "CATALOGI", "CATID"),
    "cat_id": ("CATALOGID", "CATALOGI", "CATID", "CAT_ID"),
    "drpver": ("VERSDRP3", "DRPVER"),
    "dapver": ("VERSDAP", "DAPVER"),
    "fiber": ("FIBERID", "FIBER"),
    "fiberid": ("FIBERID", "FIBER"),
    "fieldid": ("FIELDID", "FIELD", "PLATEID"),
    "filter": ("FILTER",),
    "healpix": ("HEALPIX",),
    "ifu": ("IFUDSGN",),
    "ifudesign": ("IFUDSGN",),
    "location": ("LOCID",),
    "mjd": ("MJD5", "MJD"),
    "obj": ("OBJID", "APOGEEID", "APOGEE_ID"),
    "obs": ("OBS", "OBSERVAT"),
    "observatory": ("OBSERVAT", "OBS"),
    "plate": ("PLATE", "PLATEID", "FIELDID"),
    "plateid": ("PLATEID", "PLATE"),
    "rerun": ("RERUN",),
    "run": ("RUN",),
    "run1d": ("RUN1D",),
    "run2d": ("RUN2D",),
    "sdss_id": ("SDSS_ID",),
    "telescope": ("TELESCOP", "TELESCOPE"),
    "v_astra": ("V_ASTRA",),
}
HDUS = "HDUS"  # in declarations: how many HDUs the file has
FIRST_HEADERS = 4  # RUN2D is in HDU 2 of legacy spectra
ALL_HEADERS = 16  # the table of an apVisit, which tells the file's own name, is HDU 11


def cards_of(path: str, *, needed: bool = False, headers: int = FIRST_HEADERS) -> dict[str, Any]:
    """Return the cards of a FITS file's first headers, the first of a name winning; none when it is no FITS file.

    A table of one row is as good as a header. With more headers than the first, ``HDUS`` is how many there are, at
    most *headers*. *needed*: raises FileMissing or CorruptFile instead.
    """
    where = on_disk.find(path)
    if where is None:
        if needed:
            raise FileMissing(f"{path} is not there, and its header was asked for")
        return {}
    with open(where, "rb") as file:
        start = file.read(6)
    if not needed and not (start.startswith((b"SIMPLE", b"\x1f\x8b", b"BZh"))):
        return {}
    import warnings

    cards: dict[str, Any] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for header in _headers(where, headers):
                for key, value in header.items():
                    cards.setdefault(key, value)
    except (OSError, ValueError, TypeError) as error:
        if needed:
            raise CorruptFile(f"{path} has no FITS header that can be read: {error}") from None
    return cards


def _headers(path: str, most: int) -> Iterator[Mapping[str, Any]]:
    """Yield the first headers of a file, and its tables of one row."""
    from astropy.io import fits

    if path.endswith(".hdr"):
        yield _readable(fits.Header.fromtextfile(path))
        return
    with fits.open(path) as hdus:
        number = 0
        while number < most:
            try:
                hdu = hdus[number]
            except IndexError:
                break
            yield _readable(hdu.header)
            if isinstance(hdu, fits.BinTableHDU) and hdu.header["NAXIS2"] == 1:
                row = {name.upper(): hdu.data[name][0] for name in hdu.columns.names}
                yield {name: value.item() if hasattr(value, "item") else value for name, value in row.items()
                       if getattr(value, "ndim", 0) == 0}  # fmt: skip
            number += 1
        if most > FIRST_HEADERS:
            yield {HDUS: number}


def _readable(header: Any) -> dict[str, Any]:
    """Return the cards of a header that hold a value; APOGEE's pipelines have written `AKTARG = NAN`, which is none."""
    from astropy.io import fits

    cards: dict[str, Any] = {}
    for card in header.cards:
        try:
            if card.keyword and card.keyword not in ("COMMENT", "HISTORY"):
                cards.setdefault(card.keyword, card.value)
        except fits.VerifyError:
            continue
    return cards


def text_of(value: Any) -> str:
    """Return a card's value as a declaration matches it: without blanks around it, numbers as they are written."""
    return "" if value is None else str(value).strip()


def told(declared: Mapping[str, re.Pattern[str]], cards: Mapping[str, Any]) -> dict[str, tuple[str, str]] | None:
    """Return what a product's declaration reads from a file's cards, parameter → (card, text); None when it misfits.

    A card that is not there is empty text, so that a pattern that matches nothing is one of a card that may lack.
    """
    values: dict[str, tuple[str, str]] = {}
    for card, pattern in declared.items():
        found = pattern.fullmatch(text_of(cards.get(card)))
        if found is None:
            return None
        values.update({name: (card, text) for name, text in found.groupdict().items() if text is not None})
    return values


def may_fit(declared: Mapping[str, re.Pattern[str]], cards: Mapping[str, Any]) -> bool:
    """Whether the first headers agree with a declaration, so that the others are worth reading."""
    present = [card for card in declared if text_of(cards.get(card))]
    return bool(present) and all(declared[card].fullmatch(text_of(cards[card])) for card in present)
