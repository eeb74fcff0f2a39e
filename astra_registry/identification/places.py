"""Where products may live: every template of every release, found by location, and the product that it puts there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import attrs

from astra_registry.declarations import Declaration
from astra_registry.errors import AstraRegistryError
from astra_registry.parameters import Parameter
from astra_registry.paths.index import PathIndex
from astra_registry.paths.matching import reader, typed_pattern
from astra_registry.paths.parts import Derived, Part
from astra_registry.paths.roots import SAS
from astra_registry.paths.template import PathTemplate
from astra_registry.product import DataProduct
from astra_registry.release import configuration, releases
from astra_registry.task.parameterised import DERIVED
from astra_registry.tree import Tree


@attrs.define(eq=False, slots=False)
class Place:
    """One template of one product in one release."""

    products: Mapping[str, type[DataProduct]]
    name: str
    release: str
    template: PathTemplate
    by_hand: bool
    order: int  # 0: the location; more: where servers keep the file too
    _alike: dict[tuple[str, ...], tuple[dict[str, Any], dict[str, Any]]] = attrs.field(factory=dict)

    @cached_property
    def product(self) -> type[DataProduct]:
        """The product's class."""
        return self.products[self.name]

    @cached_property
    def literal(self) -> int:
        """How many characters of a location are the template's own."""
        length = 0
        for part in self.template.parts:
            if isinstance(part, str):
                length += len(part)
            elif roots := getattr(part, "roots", None):
                length += min((len(root) for root in roots.values() if isinstance(root, str)), default=0)
        return length

    @cached_property
    def name_parts(self) -> tuple[Part, ...]:
        """The parts of the template's file name; none when it may hold a folder."""
        parts: list[Part] = []
        for part in reversed(self.template.parts):
            if isinstance(part, str) and "/" in part:
                return (part.rpartition("/")[2], *reversed(parts))
            if isinstance(part, Derived) and part.whole:
                return tuple(reversed(parts))
            parts.append(part)
        return tuple(reversed(parts))

    @cached_property
    def name_words(self) -> tuple[str, ...]:
        """What stands in every file name of the template; nothing when it is no more than a suffix, as any file has."""
        words = tuple(part for part in self.name_parts if isinstance(part, str) and part)
        return words if re.search("[A-Za-z]{2}", re.sub(r"(\.[A-Za-z0-9]+)+$", "", "-".join(words))) else ()

    @cached_property
    def nature(self) -> tuple[Any, ...]:
        """What ranks it, before the file's name does."""
        return not self.by_hand, self.order, -self.literal

    @cached_property
    def rest(self) -> tuple[Any, ...]:
        """What ranks it, after the file's name has."""
        age = releases().index(configuration(self.release))
        return len(self.template.keys), -age, self.name

    @property
    def reason(self) -> str:
        """Why a location is this product's."""
        where = "the template" if self.order == 0 else "a further place"
        return f"{where} of {self.name} in {self.release}: {self.template.text}"

    @cached_property
    def fill(self) -> dict[str, tuple[str, Callable[[Any], Any]]]:
        """Key of the template → attribute of the product, and what makes its value of the text in a path."""
        parameters = self.product._parameters
        keys = self.product.plan(self.release).keys
        takes = {*self.template.keys, *self.template.optional}  # a further place may take fewer than the location
        return {key: (attribute, _converter(parameters[attribute])) for key, attribute in keys if key in takes}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parameters = self.product._parameters
        keys = self.product.plan(self.release).keys
        return typed_pattern(self.template, {key for key, attribute in keys if parameters[attribute].type is int})

    @cached_property
    def _read(self) -> Callable[[re.Match[str]], dict[str, str] | None]:
        return reader(self.template, self._pattern)

    def products_at(self, location: str) -> list[DataProduct]:
        """Return the product that the template puts at a location.

        Several when a parameter is needed that the location does not tell: one for each choice; none when no values
        of the parameters give the location.
        """
        found = self._pattern.fullmatch(location)
        if found is None:
            return []
        values = self._read(found)
        product = None if values is None else self._product(values, location)
        if product is None:
            told = self.template.match(location)
            for exact in (told, values):
                if product is None and exact is not None:
                    product = self._product(exact, location, exact=True)
        if product is not None:
            return [product]
        return [] if values is None else self._choices(values, location)

    def _choices(self, values: Mapping[str, str], location: str) -> list[DataProduct]:
        """Return a product for each choice of a parameter that the location does not tell, where it fits."""
        parameters = self.product._parameters
        told = {self.fill[key][0] for key in values if key in self.fill}
        products = []
        for attribute in self.product.plan(self.release).used:
            declared = parameters[attribute]
            if attribute in told or not declared.choices:
                continue
            # What follows from it has to follow from the choice, not to be taken from the location.
            kept = {key: text for key, text in values.items() if not self._follows(key, declared)}
            for choice in declared.choices:
                product = self._product(kept, location, {attribute: choice})
                if product is not None:
                    products.append(product)
        return products

    def _follows(self, key: str, declared: Parameter) -> bool:
        if key not in self.fill:
            return False
        reads = self.product._parameters[self.fill[key][0]].reads
        return declared.name in reads or declared.attribute in reads

    def _product(
        self,
        values: Mapping[str, str],
        location: str,
        chosen: Mapping[str, Any] = MappingProxyType({}),
        *,
        exact: bool = False,
    ) -> DataProduct | None:
        """Return the product of these values of the template's keys when it is at the location.

        Zeros in front of a number are taken for a format's, unless the values are *exact*.
        """
        given: dict[str, Any] = dict(chosen)
        keyed: dict[str, Any] = {}
        try:
            for key, text in values.items():
                if key in self.fill:
                    attribute, convert = self.fill[key]
                    keyed[key] = given[attribute] = text if exact and convert is _text else convert(text)
            for key, (attribute, _) in self.fill.items() if chosen else ():
                if attribute in chosen:
                    keyed[key] = chosen[attribute]
            return self._bound(given, keyed, location)
        except (AstraRegistryError, ValueError):
            return None

    def _bound(self, given: dict[str, Any], keyed: dict[str, Any], location: str) -> DataProduct | None:
        told = tuple(given)
        if told in self._alike:
            others, defaults = self._alike[told]
            if self.template.below({**keyed, **defaults} if defaults else keyed) != location:
                return None
            product = object.__new__(self.product)
            product.__dict__.update(others)
            product.__dict__.update(given)
            return product
        names = self.product._parameters
        product = self.product(release=self.release, **{names[attribute].name: v for attribute, v in given.items()})
        state = product.__dict__
        values = {key: state[attribute] for key, (attribute, _) in self.fill.items() if state[attribute] is not None}
        if self.template.below(values) != location:
            return None
        if DERIVED not in product.param_origins.values():
            # What the path does not tell is the same for the next one: to bind it again would take ten times as long.
            others = {name: value for name, value in state.items() if name not in given}
            self._alike[told] = others, {key: value for key, value in values.items() if key not in keyed}
        return product


class Places:
    """The places of all products of a registry, each release's put together when it is first asked about."""

    def __init__(
        self,
        products: Mapping[str, type[DataProduct]],
        declarations: Iterable[Declaration],
        *,
        by_hand: Collection[str],  # the products that a plugin brings itself, and not among all that a source has
        why_empty: str | None = None,  # why there is no product at all
    ) -> None:
        self.why_empty = why_empty
        self._products = products
        self._by_hand = by_hand
        self._own: list[Declaration] = []  # products with templates of their own
        self._trees: list[Declaration] = []  # products that are where the tree has the path of their name
        for declaration in declarations:
            (self._trees if declaration.templates is None else self._own).append(declaration)
        self._by_release: dict[str, list[Place]] = {}
        self._indices: dict[str, PathIndex[Place]] = {}

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """First folder on the SAS → the release that owns it; empty for those of products only."""
        owned = {release: release for release in releases()}
        owned.update({release.replace("ipl", "ipl-"): release for release in releases() if release.startswith("ipl")})
        declared = (p.template.prefix.partition("/")[0] for p in self._declared_places if p.template.place == SAS)
        return {**dict.fromkeys(filter(None, declared), ""), **owned}

    @cached_property
    def cards(self) -> Mapping[str, Mapping[str, re.Pattern[str]]]:
        """Product → card → pattern of its text, of the products that say by which cards their files are known."""
        return {
            declaration.name: {card: re.compile(pattern) for card, pattern in declaration.cards.items()}
            for declaration in (*self._own, *self._trees)
            if declaration.cards
        }

    @cached_property
    def _declared_places(self) -> list[Place]:
        places = []
        for declaration in self._own:
            by_hand = declaration.name in self._by_hand
            for release in declaration.releases:
                try:
                    templates = self._products[declaration.name].plan(release).templates
                except AstraRegistryError:
                    continue  # `plugins check` tells what is wrong
                places += [
                    Place(self._products, declaration.name, release, template, by_hand, order)
                    for order, template in enumerate(templates)
                ]
        return places

    def of_release(self, release: str) -> list[Place]:
        """Return the places of the products that are where a release's tree has them."""
        if release not in self._by_release:
            tree, places = Tree(release), []
            for declaration in self._trees:
                if release not in declaration.releases:
                    continue
                try:
                    template = tree.path_template(declaration.name, subpaths=declaration.subpaths)
                except AstraRegistryError:
                    continue  # its root is not defined: it is nowhere
                by_hand = declaration.name in self._by_hand
                places.append(Place(self._products, declaration.name, release, template, by_hand, 0))
            self._by_release[release] = places
        return self._by_release[release]

    def all(self) -> Iterator[Place]:
        """Yield every place, those of the newest releases first."""
        yield from self._declared_places
        for release in reversed(releases()):
            yield from self.of_release(release)

    @cached_property
    def software(self) -> PathIndex[Place]:
        """The places of software products, which lie beside the SAS."""
        return _index(place for place in self.all() if place.template.place != SAS)

    def on_sas(self, segments: Sequence[str], start: int, release: str) -> list[Place]:
        """Return the places that a location may belong to: its folders and the file's name, from *start* on."""
        top = segments[start]
        index = self._indices.get(top)
        if index is None:
            index = self._indices[top] = _index(self._below(top, release))
        found = index.find(segments, start)
        return list(dict.fromkeys(found)) if len(found) > 1 else found

    def _below(self, top: str, release: str) -> Iterator[Place]:
        """Yield the places that may lie in a first folder of the SAS: its release's, and those declared by products."""
        for place in (*self._declared_places, *(self.of_release(release) if release else ())):
            first, slash, _ = place.template.prefix.partition("/")
            if place.template.place == SAS and (not slash or first == top):
                yield place


def _index(places: Iterator[Place]) -> PathIndex[Place]:
    index: PathIndex[Place] = PathIndex()
    for place in places:
        index.add(place.template, place)
    return index


def owns(owner: str, place: Place) -> bool:
    """Whether a place's release is the owner of a folder; the 2021 name of the work release is as good."""
    return bool(owner) and configuration(place.release) == owner


def _converter(declared: Parameter) -> Callable[[Any], Any]:
    """Return what makes a parameter's value of the text in a path; a plain one where nothing needs a check."""
    if declared.choices or declared.check or declared.refine or declared.type not in (int, str):
        return declared.convert
    return _integer if declared.type is int else _text


def _integer(text: str) -> int:
    if not text.isascii() or not text.lstrip("-").isdigit():
        raise ValueError(text)
    return int(text)


def _text(text: str) -> str:
    # A format has added zeros, unless it has not: then the location does not come out, and is looked at closely.
    return text.lstrip("0") or "0" if text[0] == "0" and text.isdecimal() else text
