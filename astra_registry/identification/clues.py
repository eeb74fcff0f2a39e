"""Which product a file is when its folders do not tell: by its name, and by the FITS cards inside."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal, overload

import attrs

from astra_registry.errors import AstraRegistryError, MissingParameter, NotIdentified
from astra_registry.fetching.transports.origin import without_password
from astra_registry.identification.answer import Identification
from astra_registry.identification.cards import ALL_HEADERS, CARDS, HDUS, cards_of, may_fit, told
from astra_registry.identification.places import Place, Places
from astra_registry.parameters import Parameter
from astra_registry.paths import on_disk
from astra_registry.paths.matching import reader, typed_pattern
from astra_registry.paths.parts import Field, Part
from astra_registry.product import DataProduct
from astra_registry.release import configuration, default_version, is_public, releases
from astra_registry.task.parameterised import DEFAULT

_BY_LOCATION = frozenset(f"dr{number}" for number in range(10, 16))


@overload
def by_name(known: Places, text: str, *, every: Literal[False], header: bool = False) -> DataProduct: ...
@overload
def by_name(known: Places, text: str, *, every: bool, header: bool = False) -> DataProduct | list[Identification]: ...
def by_name(known: Places, text: str, *, every: bool, header: bool = False) -> DataProduct | list[Identification]:
    """Return the product that a file is by its name, and by its FITS cards when it is there; with *every* all.

    A file that was renamed is what its cards say, by the declarations (`cards`) of products.

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
    if cards and not (guesses and _agrees(known, guesses[0], path)):  # it was renamed: what it says itself counts
        guesses = [*_by_cards(known, path, cards, lacking), *guesses]
    if not guesses:
        raise NotIdentified(_unknown(text, known, lacking, bool(cards)))
    if not every:
        return guesses[0].product
    return [Identification(input=text, product=guess.product, reason=guess.reason) for guess in guesses]


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
    named: bool  # whether the file has the product's name

    @property
    def reason(self) -> str:
        clues = ["its name"] if self.named else []
        clues += [f"its cards ({', '.join(self.asked)})"] if self.asked else []
        assumed = f", {', '.join(self.assumed)} assumed" if self.assumed else ""
        return f"{' and '.join(clues)}{assumed}; {self.place.reason}"


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
    return sorted(guesses.values(), key=lambda guess: _rank(guess, name.casefold())), lacking


def _by_cards(known: Places, path: str, cards: Mapping[str, Any], lacking: list[_Lack]) -> list[_Guess]:
    """Return the products whose declared cards the file has, the best first; what lacks is added to *lacking*."""
    if not any(may_fit(declared, cards) for declared in known.cards.values()):
        return []
    cards = cards_of(path, headers=ALL_HEADERS)
    fitting = {name: told(declared, cards) for name, declared in known.cards.items()}
    guesses: dict[DataProduct, _Guess] = {}
    for place in known.all():
        stated = fitting.get(place.name)
        if stated is None or place.order:
            continue
        for chosen in _choices(place, known.cards[place.name], stated, cards):
            try:
                guess = _guess(place, {}, cards, None, known.cards[place.name], stated, chosen)
            except MissingParameter as error:
                lacking.append(_Lack(place, str(error), 0))
            except (AstraRegistryError, ValueError):
                continue
            else:
                if guess is not None:
                    guesses.setdefault(guess.product, guess)
    return sorted(guesses.values(), key=lambda guess: _rank(guess, ""))


def _agrees(known: Places, guess: _Guess, path: str) -> bool:
    """Whether what a file says itself goes with what it is by its name."""
    declared = known.cards.get(guess.place.name)
    return guess.against == 0 and (declared is None or told(declared, cards_of(path, headers=ALL_HEADERS)) is not None)


def _choices(
    place: Place, known_by: Collection[str], stated: Mapping[str, tuple[str, str]], cards: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return what to try where the cards do not tell a parameter that is needed and has few choices."""
    try:
        _guess(place, {}, cards, None, known_by, stated)
    except MissingParameter:
        for declared in place.product.product_parameters().values():
            if declared.choices and declared.name not in stated and _stated(place, declared, cards) is None:
                return [{declared.name: choice} for choice in declared.choices]
    except (AstraRegistryError, ValueError):
        pass
    return [{}]


def _rank(guess: _Guess, folded: str) -> tuple[Any, ...]:
    """Return what decides among several guesses: the smaller the better; *folded* is the file's name."""
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
        -_literal(place.name_parts),
        -releases().index(configuration(place.release)),
        place.name,
    )


def _literal(parts: tuple[Part, ...]) -> int:
    return sum(len(part) for part in parts if isinstance(part, str))


def _values_of_name(place: Place, name: str) -> dict[str, str] | None:
    """Return what a file's name says of the values, when it is a name that the template gives."""
    words = place.name_words
    if not words or not all(word in name for word in words):
        return None
    template = attrs.evolve(place.template, parts=place.name_parts)
    pattern = typed_pattern(template, ())
    found = pattern.fullmatch(name)
    if found is None:
        return None
    read = reader.__wrapped__(template, pattern)
    values = read(found)
    if values is None:
        return None
    shown = {part.key for part in place.name_parts if isinstance(part, Field) and part.spec}
    return {
        key: (text.lstrip("0") or "0") if key in shown and text.isdecimal() else text for key, text in values.items()
    }


def _guess(
    place: Place,
    values: Mapping[str, str],
    cards: Mapping[str, Any],
    name: str | None,
    known_by: Collection[str] = (),
    told_by: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    chosen: Mapping[str, Any] = MappingProxyType({}),
) -> _Guess | None:
    """Return the product of these values: of the file's *name*, of its cards, and *chosen* where neither tells.

    *known_by*: the cards by which the product was known, when not by its name; *told_by*: what they tell.
    None when it would have another name than *name*, or when what the cards tell does not go with what was chosen.
    """
    product_class = place.product
    given: dict[str, Any] = {}
    follows: dict[str, Any] = {}
    asked = [card for card in known_by if card != HDUS]
    against = 0
    for key, (attribute, convert) in place.fill.items():
        declared = product_class._parameters[attribute]
        stated = told_by.get(declared.name) or _stated(place, declared, cards)
        if key in values:
            given.setdefault(declared.name, convert(values[key]))
            if stated is not None and not _agree(declared, given[declared.name], stated[1]):
                against += 1
        elif declared.name in chosen:
            given[declared.name] = chosen[declared.name]
        elif stated is not None and declared.name not in given:
            if chosen and any(read in chosen for read in declared.reads):
                follows[declared.name] = stated[1]
            else:
                given[declared.name] = stated[1]
            asked.append(stated[0])
    product = product_class(release=place.release, **given)
    if name is not None and os.path.basename(str(product.local_path)) != name:
        return None
    if not all(_agree(product_class._parameters[a], getattr(product, a), v) for a, v in follows.items()):
        return None
    origins = product.param_origins
    used = {product_class._parameters[attribute].name for attribute, _ in place.fill.values()}
    assumed = (*chosen, *(name for name, origin in origins.items() if origin == DEFAULT and name in used))
    own = _own_versions(place, given)
    return _Guess(product, place, tuple(dict.fromkeys(asked)), assumed, against, own, name is not None)


def _stated(place: Place, declared: Parameter, cards: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the card that holds a parameter of a place's product, and its value."""
    return _card(cards, declared.name, declared.aliases, place.release)


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
        by = "name" if _values_of_name(first.place, os.path.basename(text)) is not None else "cards"
        return f"{text}: by its {by} it may be {first.place.name}, but {first.told} besides{help_}"
    folders = [folder for folder in text.split("/") if folder in known.folders]
    if folders:
        return f"{text}: no known product lives there, in the release of {folders[0]}/"
    names = f"{next(iter(releases()))}/ … sdsswork/"
    return f"{text}: no known product lives there; it has no folder of a release ({names}), nor a product's file name"
