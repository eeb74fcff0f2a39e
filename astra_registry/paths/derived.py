"""Derived gaps: the parts of a path that follow from parameters, such as group folders, each with its inverse.

In a template they are written ``@healpixgrp|``. The functions give what sdss_access's special functions of those names
give; where sdss_access would raise, or give a part of a path that cannot exist, they raise ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import attrs

from astra_registry.errors import MissingParameter

Found = Mapping[str, str] | None


def tells_nothing(text: str, known: Mapping[str, str]) -> Found:
    """Return no values: the inverse of a gap whose text only repeats what is shown elsewhere."""
    return {}


@attrs.frozen(slots=False)
class DerivedGap:
    """One kind of derived gap.

    *function* takes the product's name and then the values of `arguments`, None for those left out, and returns the
    text of the gap. *inverse* takes that text and the values already known, and returns the values that the text tells
    besides, or None when it cannot be right.
    """

    function: Callable[..., str]
    reads: tuple[str, ...]
    """The parameters that it needs."""
    optional: tuple[str, ...] = ()
    """Those that may be empty or left out, and that sdss_access lists among the keys."""
    unlisted: tuple[str, ...] = ()
    """Those that may be left out, and that sdss_access does not list."""
    pattern: str = "[^/]+"
    """A regular expression for the text."""
    inverse: Callable[[str, Mapping[str, str]], Found] = tells_nothing
    wildcard: str = "*"
    """What stands for any text in a glob."""
    many: Callable[[str, list[tuple[Any, ...]]], list[str]] | None = None
    """The function for many rows of arguments at once, for a gap that is slow to make."""
    integers: tuple[str, ...] = ()
    """Those of the parameters that are numbers, whatever the template looks like."""
    shows: str = ""
    """The parameter whose value it is, when it is a folder that is not left out."""
    roots: tuple[str, ...] = ()
    """For a gap that chooses a root: the variables among which it does (its text is ``$`` and one of them)."""

    @cached_property
    def may_be_empty(self) -> bool:
        """Whether there may be nothing in the gap; a folder of nothing is left out of the path."""
        return re.fullmatch(self.pattern, "") is not None

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """All parameters that it reads, in the order in which the function takes them."""
        return self.reads + self.optional + self.unlisted


# ---------------------------------------------------------------- plates, designs, fields and other groups


def plateid6(name: str, plateid: Any) -> str:
    """``001234``; 10000 and above as they are."""
    plate = int(plateid)
    return f"{plate:0>6d}" if plate < 10000 else f"{plate:d}"


def platedir(name: str, plateid: Any) -> str:
    """``0012XX/001234``."""
    plate = int(plateid)
    return f"{plate // 100:0>4d}XX/{plate:0>6d}"


def plategrp(name: str, plate: Any, plateid: Any = None) -> str:
    """``0012XX``."""
    chosen = plateid if plate is None else plate
    return f"{int(chosen) // 100:0>4d}XX" if chosen else "XX"


def definitiondir(name: str, designid: Any) -> str:
    """``0012XX``."""
    return f"{int(designid) // 100:0>4d}XX"


def healpixgrp(name: str, healpix: Any) -> str:
    """The HEALPix number over 1000."""
    return str(int(healpix) // 1000)


def cat_id_groups(name: str, cat_id: Any, catid: Any = None) -> str:
    """``34/12`` for 123412: a hundred folders of a hundred."""
    number = int(cat_id)
    return f"{number // 100 % 100:02d}/{number % 100:02d}"


def sdss_id_groups(name: str, sdss_id: Any) -> str:
    """``34/12`` for 123412: a hundred folders of a hundred."""
    number = int(sdss_id)
    return f"{number // 100 % 100:02d}/{number % 100:02d}"


def configgrp(name: str, configid: Any) -> str:
    """``0012XX``."""
    return f"{int(configid) // 100:0>4d}XX"


def configsubmodule(name: str, configid: Any) -> str:
    """``012XXX``."""
    return f"{int(configid) // 1000:0>3d}XXX"


def tilegrp(name: str, tileid: Any) -> str:
    """``0011XX``."""
    if "*" in str(tileid):
        return f"{tileid}XX"
    return f"{int(tileid) // 1000:0>4d}XX"


# ---------------------------------------------------------------- APOGEE

_PREFIXES = {"apo25m": "ap", "apo1m": "ap", "lco25m": "as", "apogee-n": "ap", "apogee-s": "as"}
_INSTRUMENTS = {"apo25m": "apogee-n", "apo1m": "apogee-n", "lco25m": "apogee-s"}


def apgprefix(name: str, telescope: Any, instrument: Any) -> str:
    """``ap`` in the north, ``as`` in the south."""
    if telescope is not None:
        if telescope not in _INSTRUMENTS:
            raise ValueError(f"telescope is {telescope!r}; it takes apo25m, apo1m or lco25m")
        return _PREFIXES[telescope]
    if instrument is None:
        raise MissingParameter("telescope or instrument is needed")
    if instrument not in ("apogee-n", "apogee-s"):
        raise ValueError(f"instrument is {instrument!r}; it takes apogee-n or apogee-s")
    return _PREFIXES[instrument]


def apginst(name: str, telescope: Any) -> str:
    """The instrument at that telescope."""
    if telescope not in _INSTRUMENTS:
        raise ValueError(f"telescope is {telescope!r}; it takes apo25m, apo1m or lco25m")
    return _INSTRUMENTS[telescope]


def _prefix_inverse(text: str, known: Mapping[str, str]) -> Found:
    if "telescope" in known or "instrument" in known:
        return {}
    return {"instrument": "apogee-n" if text == "ap" else "apogee-s"}


# ---------------------------------------------------------------- the BOSS pipeline, whose layout changed with run2d

_LEGACY = ("26", "103", "104")
_WITH_P = ("v6_0_1", "v6_0_2", "v6_0_3", "v6_0_4")


@lru_cache(maxsize=256)
def _is_flat(run2d: str) -> bool:
    """Whether that run came before the folders were regrouped."""
    return "v5" in run2d or run2d in _LEGACY or "v6_0" in run2d or "v6_1" in run2d


def spectrodir(name: str, run2d: Any) -> str:
    """The root: that of SDSS-I/II for their runs."""
    return "$SPECTRO_REDUX" if str(run2d) in _LEGACY else "$BOSS_SPECTRO_REDUX"


def isplate(name: str, run2d: Any) -> str:
    """``p`` for the runs that named the folders of plates so."""
    return "p" if run2d in _WITH_P else ""


def pad_fieldid(name: str, fieldid: Any, run2d: Any) -> str:
    """The field, in six digits but for the first runs of SDSS-V."""
    text = str(fieldid)
    return text if run2d in _WITH_P or not text.isnumeric() else text.rjust(6, "0")


def fieldgrp(name: str, fieldid: Any, run2d: Any) -> str:
    """``015XXX``, from v6_2 on; nothing for the number 0, as upstream."""
    if not fieldid or _is_flat(str(run2d)):
        return ""
    text = str(fieldid)
    return f"{str(int(text) // 1000).rjust(3, '0')}XXX" if text.isnumeric() else text


_EPOCH_SPECTRA = ("speclite_epoch", "specfull_epoch", "spallfield_epoch", "spalllinefield_epoch")
_EPOCH_SUMMARIES = ("fieldlist_epoch", "spall_epoch", "spall-lite_epoch", "spallline_epoch")
_DAILY_SPECTRA = ("speclite", "specfull", "spallfield", "spalllinefield")
_DAILY_SUMMARIES = ("conflist", "fieldlist", "spall", "spall-lite", "spallline")


def sptypefolder(name: str, run2d: Any) -> str:
    """The folder for this kind of product, from v6_2 on (v6_0 and v6_1 had one for epochs)."""
    run, kind = str(run2d), name.lower()
    if "v5" in run or run in _LEGACY:
        return ""
    if "v6_0" in run or "v6_1" in run:
        if kind in _EPOCH_SPECTRA:
            return "epoch/spectra"
        return "epoch" if "epoch" in kind else ""
    if kind in _EPOCH_SUMMARIES:
        return "summary/epoch"
    if kind in _EPOCH_SPECTRA:
        return "spectra/epoch"
    if kind in _DAILY_SUMMARIES:
        return "summary/daily"
    return "daily" if kind in _DAILY_SPECTRA else "fields"


def epochflag(name: str, run2d: Any) -> str:
    """``-epoch``, from v6_2 on."""
    return "" if _is_flat(str(run2d)) else "-epoch"


def spcoaddfolder(name: str, run2d: Any, coadd: Any = None) -> str:
    """The folder for this kind of custom co-add, from v6_2 on."""
    if _is_flat(str(run2d)):
        return ""
    kind = name.lower()
    if kind in ("spall_coadd", "spall-lite_coadd", "spallline_coadd"):
        return "summary"
    if kind in ("speclite_coadd", "specfull_coadd", "spallfield_coadd", "spalllinefield_coadd"):
        if coadd is None:
            raise MissingParameter("coadd is needed")
        return str(coadd)
    return "fields"


def spcoaddgrp(name: str, run2d: Any, coadd: Any) -> str:
    """The folder of one custom co-add, from v6_2 on."""
    return "" if _is_flat(str(run2d)) else str(coadd)


def spcoaddobs(name: str, run2d: Any, obs: Any = None) -> str:
    """``_lco``; nothing for a merged co-add, and for APO in v6_0 and v6_1."""
    if not obs:
        return ""
    run, observatory = str(run2d), str(obs).lower()
    if "v5" not in run and run not in _LEGACY and ("v6_0" in run or "v6_1" in run) and observatory == "apo":
        return ""
    return "*" if observatory == "*" else f"_{observatory}"


# ---------------------------------------------------------------- MOS target files, split into numbered pieces


def _piece(ftype: Any, num: Any, digits: int, mark: str = "-") -> str:
    kind = "fits" if ftype is None else str(ftype).lower()
    if kind not in ("fits", "parquet"):
        raise ValueError(f"ftype is {ftype!r}; it takes fits or parquet")
    if kind == "parquet":
        return ""
    if num is None:
        raise MissingParameter("num is needed for FITS files (0 for one that is not split)")
    if str(num) == "*":
        return f"{mark}*"
    number = int(num)
    return f"{mark}{number:0>{digits}d}" if number > 0 else ""


def mos_target_num(name: str, ftype: Any = None, num: Any = None) -> str:
    """``-1``."""
    return _piece(ftype, num, 1)


def mos_target_num2(name: str, ftype: Any = None, num: Any = None) -> str:
    """``-01``."""
    return _piece(ftype, num, 2)


def mos_target_num3(name: str, ftype: Any = None, num: Any = None) -> str:
    """``-001``."""
    return _piece(ftype, num, 3)


def mos_target_num_underscore(name: str, num: Any = None, ftype: Any = None) -> str:
    """``_1``, also when no number is given."""
    return _piece(ftype, 1 if num is None else num, 1, "_")


def _piece_inverse(text: str, known: Mapping[str, str]) -> Found:
    if text:
        return {"num": str(int(text[1:]))}
    return {"num": "0"} if known.get("ftype", "fits").lower() == "fits" else {}


# ---------------------------------------------------------------- stars


def component_default(name: str, component: Any = None) -> str:
    """The component of a multiple star, if one is given."""
    return "" if component is None else str(component)


# ---------------------------------------------------------------- the table


def _is(key: str) -> Callable[[str, Mapping[str, str]], Found]:
    """Return an inverse for a gap whose text is the value of *key*."""

    def inverse(text: str, known: Mapping[str, str]) -> Found:
        return {} if key in known or not text else {key: text}

    return inverse


def _last_segment_is(key: str) -> Callable[[str, Mapping[str, str]], Found]:
    def inverse(text: str, known: Mapping[str, str]) -> Found:
        return {} if key in known else {key: text.rsplit("/", 1)[-1]}

    return inverse


def _observatory(text: str, known: Mapping[str, str]) -> Found:
    return {"obs": text.lstrip("_")} if text else {}


_TWO_FOLDERS = r"\d\d/\d\d"
_PIECE = DerivedGap(
    mos_target_num,
    (),
    unlisted=("ftype", "num"),
    pattern=r"(?:-(?:\d+|\*))?",
    inverse=_piece_inverse,
)

GAPS: Mapping[str, DerivedGap] = MappingProxyType(
    {
        "apginst": DerivedGap(apginst, ("telescope",), pattern="apogee-[ns]"),
        "apgprefix": DerivedGap(
            apgprefix, (), unlisted=("telescope", "instrument"), pattern="a[ps]", inverse=_prefix_inverse
        ),
        "cat_id_groups": DerivedGap(
            cat_id_groups, ("cat_id",), integers=("cat_id",), unlisted=("catid",), pattern=_TWO_FOLDERS, wildcard="*/*"
        ),
        "component_default": DerivedGap(
            component_default, (), optional=("component",), pattern=r"(?:[A-Za-z][^/]*?)?", inverse=_is("component")
        ),
        "configgrp": DerivedGap(configgrp, ("configid",), integers=("configid",), pattern=r"-?\d+XX"),
        "configsubmodule": DerivedGap(configsubmodule, ("configid",), integers=("configid",), pattern=r"-?\d+XXX"),
        "definitiondir": DerivedGap(definitiondir, ("designid",), integers=("designid",), pattern=r"\d+XX"),
        "epochflag": DerivedGap(epochflag, ("run2d",), pattern="(?:-epoch)?"),
        "fieldgrp": DerivedGap(fieldgrp, ("fieldid", "run2d"), pattern="[^/]*"),
        "healpixgrp": DerivedGap(healpixgrp, ("healpix",), integers=("healpix",), pattern=r"\d+"),
        "isplate": DerivedGap(isplate, ("run2d",), pattern="p?"),
        "mos_target_num": _PIECE,
        "mos_target_num2": attrs.evolve(_PIECE, function=mos_target_num2),
        "mos_target_num3": attrs.evolve(_PIECE, function=mos_target_num3),
        "mos_target_num_underscore": DerivedGap(
            mos_target_num_underscore,
            (),
            optional=("num",),
            unlisted=("ftype",),
            pattern=r"(?:_(?:\d+|\*))?",
            inverse=_piece_inverse,
        ),
        "pad_fieldid": DerivedGap(pad_fieldid, ("fieldid", "run2d"), pattern="[^/]+?", inverse=_is("fieldid")),
        "platedir": DerivedGap(
            platedir,
            ("plateid",),
            integers=("plateid",),
            pattern=r"\d+XX/\d+",
            inverse=_last_segment_is("plateid"),
            wildcard="*/*",
        ),
        "plategrp": DerivedGap(plategrp, ("plate",), integers=("plate",), unlisted=("plateid",), pattern=r"\d*XX"),
        "plateid6": DerivedGap(
            plateid6, ("plateid",), integers=("plateid",), pattern=r"\d{5,}", inverse=_is("plateid")
        ),
        "sdss_id_groups": DerivedGap(
            sdss_id_groups, ("sdss_id",), integers=("sdss_id",), pattern=_TWO_FOLDERS, wildcard="*/*"
        ),
        "spcoaddfolder": DerivedGap(spcoaddfolder, ("run2d",), optional=("coadd",), pattern="[^/]*"),
        "spcoaddgrp": DerivedGap(spcoaddgrp, ("run2d", "coadd"), pattern="[^/]*", shows="coadd"),
        "spcoaddobs": DerivedGap(
            spcoaddobs, ("run2d",), optional=("obs",), pattern=r"(?:_[a-z][a-z0-9]*|\*)?", inverse=_observatory
        ),
        "spectrodir": DerivedGap(spectrodir, ("run2d",), roots=("BOSS_SPECTRO_REDUX", "SPECTRO_REDUX")),
        "sptypefolder": DerivedGap(
            sptypefolder, ("run2d",), pattern="(?:(?:epoch|summary|spectra|daily|fields)(?:/[a-z]+)?)?"
        ),
        "tilegrp": DerivedGap(tilegrp, ("tileid",), pattern=r"\d+XX"),
    }
)

NOTATION = re.compile(r"@(\w+)\|")
