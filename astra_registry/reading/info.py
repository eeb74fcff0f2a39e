"""What a file is: its HDUs, the cards that matter, its signal to noise, and whether it is whole; as plain data."""

from __future__ import annotations

import os
from typing import Any

from astra_registry.errors import CorruptFile, FileFailed
from astra_registry.reading import structure

# What people look for first, in the order in which it is told.
_CARDS = (
    "OBJID", "OBJTYPE", "TELESCOP", "INSTRUME", "SURVEY", "FIELD", "FIELDID", "LOCID", "PLATE", "PLATEID",
    "MJD5", "MJD", "FIBERID", "CATALOGID", "SDSS_ID", "RA", "DEC", "PLUG_RA", "PLUG_DEC", "DATE-OBS", "EXPTIME",
    "NEXP", "NVISITS", "SNR", "VHELIO", "VRAD", "BC", "H", "STARFLAG", "V_APRED", "APRED", "RUN2D", "VERS2D", "V_ASTRA",
)  # fmt: skip


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a FITS file is, as a mapping that JSON can hold.

    ``path``, ``bytes``, ``packed`` (with gzip), ``whole``, ``problem`` (None, or what is wrong), ``hdus`` (of each
    ``index``, ``name``, ``kind``, ``shape``, ``type``, ``unit``, ``columns``, ``bytes``), ``cards`` (of each keyword
    its ``value`` and ``comment``) and ``snr``, that of its header or table, or None. Of a cut file the HDUs that are
    there are told. Raises `FileMissing` when there is no file, `CorruptFile` when it is no FITS at all.
    """
    name = os.fspath(path)
    problem = None
    found = b""
    try:
        found = structure.contents(name)
        structure.places(found, name)
    except CorruptFile as error:
        if found and not found.startswith(b"SIMPLE  ="):
            raise
        problem = str(error)
    told: dict[str, Any] = {
        "path": name,
        "bytes": os.path.getsize(name),
        "packed": _is_packed(name),
        "whole": problem is None,
        "problem": problem,
        "hdus": [],
        "cards": {},
        "snr": None,
    }
    if problem is None:
        _look_inside(name, told)
    else:
        told["hdus"] = _those_there(found, name)
    return told


def _is_packed(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _look_inside(path: str, told: dict[str, Any]) -> None:
    from astra_registry.reading import fits

    with fits.opened(path) as hdus:
        told["hdus"] = [_hdu(index, hdu) for index, hdu in enumerate(hdus)]
        header = hdus[0].header
        for keyword in _CARDS:
            value = header.get(keyword)
            if isinstance(value, (str, int, float, bool)) and value != "":
                told["cards"][keyword] = {"value": value, "comment": header.comments[keyword].strip(" /")}
        told["snr"] = _signal_to_noise(hdus)


def _hdu(index: int, hdu: Any) -> dict[str, Any]:
    header = hdu.header
    shape = [header[f"NAXIS{axis}"] for axis in range(header["NAXIS"], 0, -1)]
    one = {"index": index, "name": hdu.name, "kind": type(hdu).__name__, "shape": shape, "bytes": int(hdu.size)}
    if hdu.is_image:
        names = {8: "uint8", 16: "int16", 32: "int32", 64: "int64", -32: "float32", -64: "float64"}
        return {**one, "type": names[header["BITPIX"]] if shape else None, "unit": header.get("BUNIT"), "columns": None}
    columns = [{"name": c.name, "format": c.format, "unit": c.unit} for c in hdu.columns]
    return {**one, "shape": [header["NAXIS2"], len(columns)], "type": "table", "unit": None, "columns": columns}


def _signal_to_noise(hdus: Any) -> float | None:
    from astra_registry.reading import fits

    card = hdus[0].header.get("SNR")
    if isinstance(card, (int, float)) and card > 0:
        return float(card)
    for hdu in hdus[2:4]:  # SPECOBJ or SPALL of an optical spectrum: one row of its object
        if not hdu.is_image and hdu.header["NAXIS2"] == 1:
            values = fits.column(hdu, "sn_median_all")
            if values is not None:
                return float(values[0])
    return None


def _those_there(found: bytes, name: str) -> list[dict[str, Any]]:
    """Return the HDUs of a cut file that are whole, without their names."""
    there: list[structure.Place] = []
    while True:
        try:
            there = structure.places(found, name, limit=len(there) + 1)
        except FileFailed:
            break
        if not there or there[-1].end >= len(found):
            break
    return [
        {
            "index": index, "name": "", "kind": "HDU", "shape": list(place.shape), "bytes": place.size,
            "type": None, "unit": None, "columns": None,
        }
        for index, place in enumerate(there)
    ]  # fmt: skip
