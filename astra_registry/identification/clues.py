"""Which product a file is when its folders do not tell: by its name, and by the FITS cards inside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, overload

import attrs

from astra_registry.errors import AstraRegistryError, CorruptFile, FileMissing, MissingParameter, NotIdentified
from astra_registry.fetching.origin import without_password
from astra_registry.identification.answer import Identification
from astra_registry.identification.places import Place, Places
from astra_registry.paths import on_disk
from astra_registry.paths.matching import reader, typed_pattern
from astra_registry.paths.parts import Derived, Field, Part
from astra_registry.product import DataProduct
from astra_registry.release import configuration, default_version, is_public, releases
from astra_registry.task.parameterised import DEFAULT

# Parameter → the cards that may hold it, the likeliest first; a product's own aliases come besides.
CARDS: Mapping[str, tuple[str, ...]] = {
    "apred": ("APRED", "V_APRED"),
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
_BY_LOCATION = frozenset(f"dr{number}" for number in range(10, 16))
_HEADERS = 4  # how many HDUs are asked: RUN2D is in HDU 2 of legacy spectra


@overload
def by_name(known: Places, text: str, *, every: Literal[False], header: bool = False) -> DataProduct: ...
@overload
def by_name(known: Places, text: str, *, every: bool, header: bool = False) -> DataProduct | list[Identification]: ...
def by_name(known: Places, text: str, *, every: bool, header: bool = False) -> DataProduct | list[Identification]:
    """Return the product that a file is by its name, and by its FITS cards when it is there; with *every* all.

    *header*: the file has to be there; its cards then count more than its folders. Raises NotIdentified, which names
    what the best guess still needs; FileMissing and CorruptFile when the header is asked for.
    """
    path = re.sub("^file:(//[^/]*)?(?=/)", "", text)
    if not header and any(folder in known.folders for folder in path.split("/")[:-1]):
        raise NotIdentified(_unknown(text, known, [], asked=False))  # its folders say where it is: not at our products'
    cards = cards_of(path, needed=header)
    guesses, lacking = _guesses(known, os.path.basename(path), cards)
    # A version of a release that needs more than the name tells: no other release has a file of that version.
    sure = max((lack.own_versions for lack in lacking), default=0)
    guesses = [guess for guess in guesses if guess.own_versions >= sure]
    if not guesses:
        raise NotIdentified(_unknown(text, known, lacking, bool(cards)))
    if not every:
        return guesses[0].product
    return [
        Identification(input=text, product=guess.product, reason=f"its name{guess.besides}; {guess.place.reason}")
        for guess in guesses
    ]


def cards_of(path: str, *, needed: bool = False) -> dict[str, Any]:
    """Return the cards of a FITS file's first headers, the first of a name winning; none when it is no FITS file.

    *needed*: raises FileMissing or CorruptFile instead.
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
            for header in _headers(where):
                for key, value in header.items():
                    if key and key not in ("COMMENT", "HISTORY"):
                        cards.setdefault(key, value)
    except (OSError, ValueError, TypeError) as error:
        if needed:
            raise CorruptFile(f"{path} has no FITS header that can be read: {error}") from None
    return cards


def _headers(path: str) -> Iterator[Mapping[str, Any]]:
    """Yield the first headers of a file, and its table of one row, which is as good as a header."""
    from astropy.io import fits

    if path.endswith(".hdr"):
        yield fits.Header.fromtextfile(path)
        return
    with fits.open(path) as hdus:
        for number in range(_HEADERS):
            try:
                hdu = hdus[number]
            except IndexError:
                return
            yield hdu.header
            if isinstance(hdu, fits.BinTableHDU) and hdu.header["NAXIS2"] == 1:
                row = {name.upper(): hdu.data[name][0] for name in hdu.columns.names}
                yield {name: value.item() if hasattr(value, "item") else value for name, value in row.items()
                       if getattr(value, "ndim", 0) == 0}  # fmt: skip


@attrs.frozen
class _Lack:
    place: Place
    told: str  # what its product still needs
    own_versions: int


@attrs.frozen(eq=False)
class _Guess:
    product: DataProduct
    place: Place
    asked: tuple[str, ...]  # what the cards told
    assumed: tuple[str, ...]  # what neither told: the release's own versions
    against: int  # how many cards say another thing
    own_versions: int  # how many versions are the release's own

    @property
    def besides(self) -> str:
        cards = f" and its cards ({', '.join(self.asked)})" if self.asked else ""
        return cards + (f", {', '.join(self.assumed)} assumed" if self.assumed else "")


def _guesses(known: Places, name: str, cards: Mapping[str, Any]) -> tuple[list[_Guess], list[_Lack]]:
    """Return the products that the file may be, the best first, and those for which something lacks."""
    guesses: dict[DataProduct, _Guess] = {}
    lacking: list[_Lack] = []
    for spelling in on_disk.spellings(name):
        for place in known.all():
            values = _values_of_name(place, spelling)
            if values is None:
                continue
            try:
                guess = _guess(place, values, cards, spelling)
            except MissingParameter as error:
                lacking.append(_Lack(place, str(error), _own_versions(place, _told_by_name(place, values))))
                continue
            except (AstraRegistryError, ValueError):
                continue
            if guess is not None:
                guesses.setdefault(guess.product, guess)
        if guesses:
            break
    folded = name.casefold()

    def rank(guess: _Guess) -> tuple[Any, ...]:
        place = guess.place
        return (
            guess.against,
            -guess.own_versions,
            # A version that several releases have: the one from which everybody can have the file.
            not (guess.own_versions and is_public(place.release)),
            len(guess.assumed),
            not place.by_hand,
            place.order,
            place.name.casefold() not in folded,
            -_literal(_last(place)),
            -releases().index(configuration(place.release)),
            place.name,
        )

    return sorted(guesses.values(), key=rank), lacking


def _last(place: Place) -> tuple[Part, ...]:
    """Return the parts of a template's file name; none when it may hold a folder."""
    parts: list[Part] = []
    for part in reversed(place.template.parts):
        if isinstance(part, str) and "/" in part:
            return (part.rpartition("/")[2], *reversed(parts))
        if isinstance(part, Derived) and part.whole:
            return tuple(reversed(parts))
        parts.append(part)
    return tuple(reversed(parts))


def _literal(parts: tuple[Part, ...]) -> int:
    return sum(len(part) for part in parts if isinstance(part, str))


def _values_of_name(place: Place, name: str) -> dict[str, str] | None:
    """Return what a file's name says of the values, when it is a name that the template gives."""
    parts = _last(place)
    literal = [part for part in parts if isinstance(part, str) and part]
    if not literal or not all(part in name for part in literal):
        return None
    if not re.search("[A-Za-z]{2}", re.sub(r"(\.[A-Za-z0-9]+)+$", "", "-".join(literal))):
        return None  # no more than a suffix: any file would do
    template = attrs.evolve(place.template, parts=parts)
    pattern = typed_pattern(template, ())
    found = pattern.fullmatch(name)
    if found is None:
        return None
    read = reader.__wrapped__(template, pattern)
    values = read(found)
    if values is None:
        return None
    shown = {part.key for part in parts if isinstance(part, Field) and part.spec}
    return {
        key: (text.lstrip("0") or "0") if key in shown and text.isdecimal() else text for key, text in values.items()
    }


def _guess(place: Place, values: Mapping[str, str], cards: Mapping[str, Any], name: str) -> _Guess | None:
    product_class = place.product
    given: dict[str, Any] = {}
    told: list[str] = []
    against = 0
    for key, (attribute, convert) in place.fill.items():
        declared = product_class._parameters[attribute]
        stated = _card(cards, declared.name, declared.aliases, place.release)
        if key in values:
            given.setdefault(declared.name, convert(values[key]))
            if stated is not None and not _agree(declared, given[declared.name], stated[1]):
                against += 1
        elif stated is not None and declared.name not in given:
            given[declared.name] = stated[1]
            told.append(stated[0])
    product = product_class(release=place.release, **given)
    if os.path.basename(str(product.local_path)) != name:
        return None
    origins = product.param_origins
    used = {product_class._parameters[attribute].name for attribute, _ in place.fill.values()}
    assumed = tuple(name for name, origin in origins.items() if origin == DEFAULT and name in used)
    return _Guess(product, place, tuple(told), assumed, against, _own_versions(place, given))


def _told_by_name(place: Place, values: Mapping[str, str]) -> dict[str, Any]:
    parameters = place.product._parameters
    return {parameters[place.fill[key][0]].name: text for key, text in values.items() if key in place.fill}


def _own_versions(place: Place, given: Mapping[str, Any]) -> int:
    """Return how many of the values are the versions that belong to the place's release."""
    return sum(default_version(place.release, n) == v for n, v in given.items() if isinstance(v, str))


def _card(cards: Mapping[str, Any], name: str, aliases: tuple[str, ...], release: str) -> tuple[str, Any] | None:
    """Return the card that holds a parameter, and its value."""
    likely = CARDS.get(name, ())
    if name == "field":
        # Up to DR15 a field of APOGEE is its location identifier, although the card FIELD holds its name.
        likely = ("LOCID",) if release in _BY_LOCATION else ("FIELD",)
        aliases = ()
    for card in (*likely, *(alias.upper()[:8] for alias in aliases), name.upper()[:8]):
        value = cards.get(card)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip():
            return card, value.strip() if isinstance(value, str) else value
    return None


def _agree(declared: Any, value: Any, stated: Any) -> bool:
    try:
        return bool(declared.convert(stated) == value)
    except AstraRegistryError:
        return False


def _unknown(text: str, known: Places, lacking: list[_Lack], asked: bool) -> str:
    """Return why nothing was found, and what would help."""
    text = without_password(text)
    if known.why_empty is not None:
        return f"{text}: no known product lives there: {known.why_empty}"
    if lacking:
        first = min(
            lacking,
            key=lambda lack: (
                -lack.own_versions,
                not (lack.own_versions and is_public(lack.place.release)),
                not lack.place.by_hand,
                -releases().index(configuration(lack.place.release)),
            ),
        )
        help_ = "" if asked else "; `identify --header FILE` asks the file itself"
        return f"{text}: by its name it may be {first.place.name}, but {first.told} besides{help_}"
    folders = [folder for folder in text.split("/") if folder in known.folders]
    if folders:
        return f"{text}: no known product lives there, in the release of {folders[0]}/"
    names = f"{next(iter(releases()))}/ … sdsswork/"
    return f"{text}: no known product lives there; it has no folder of a release ({names}), nor a product's file name"
