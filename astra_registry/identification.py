"""Which product lives at a path or URL: the inverse of resolving, ranked when there are several."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import attrs

from astra_registry import on_disk
from astra_registry.errors import BadValue, NotOnSas
from astra_registry.places import Place, Places, owns
from astra_registry.product import DataProduct
from astra_registry.release import configuration, releases

if TYPE_CHECKING:
    from astra_registry.registries import Registry

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_MESSY = re.compile(r"//|/\.\.?/|^\.\.?/")


@attrs.frozen(kw_only=True)
class Identification:
    """One answer to what lives at a path: a product, and why this one."""

    input: str
    """The path or URL that was asked about."""
    product: DataProduct
    reason: str
    """Why it is this one, in a few words."""

    @property
    def name(self) -> str:
        """The product's name."""
        return self.product._label()

    @property
    def release(self) -> str:
        """The release whose template it is."""
        return self.product.release

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The product's own parameters by name, typed; without those that are left out."""
        own = type(self.product).product_parameters()
        values = {p.name: getattr(self.product, attribute) for attribute, p in own.items()}
        return {name: value for name, value in values.items() if value not in (None, "")}

    @property
    def path(self) -> str:
        """Where the file lives on this machine."""
        return str(self.product.local_path)

    @property
    def url(self) -> str | None:
        """Its URL; None for a software product."""
        try:
            return str(self.product.remote_path)
        except NotOnSas:
            return None

    @property
    def location(self) -> str | None:
        """Its path relative to the top of the SAS; None for a software product."""
        try:
            return str(self.product.location)
        except NotOnSas:
            return None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of the same file: here, on the server, on the mirror, and at its further places."""
        url = self.url
        if url is None:
            return (self.path,)
        mirror = self.product.clone(mirror=True).remote_path
        further = [urls[0] for urls in self.product.further_remote_paths]
        return tuple(dict.fromkeys((self.path, url, mirror, *further)))


@overload
def identify(registry: Registry, path: str | os.PathLike[str], *, every: Literal[False] = False) -> DataProduct: ...
@overload
def identify(registry: Registry, path: str | os.PathLike[str], *, every: Literal[True]) -> list[Identification]: ...
@overload
def identify(
    registry: Registry, path: str | os.PathLike[str], *, every: bool
) -> DataProduct | list[Identification]: ...
def identify(
    registry: Registry, path: str | os.PathLike[str], *, every: bool = False
) -> DataProduct | list[Identification]:
    """Return the product that lives at a path or URL; with *every* all candidates, the best first.

    The path may have any folders in front of the release's, be relative, be a URL of any server, and be compressed or
    not. When it tells too little, a file that is there is asked for its FITS cards. Raises NotIdentified.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise BadValue(f"a path is text, not {text!r}")
    known = places_of(registry)
    found = _at(known, text)
    if not found:
        from astra_registry.clues import by_name

        return by_name(registry, known, text, every=every)
    if not every:
        return found[0][0]
    return [Identification(input=text, product=product, reason=place.reason) for product, place in found]


def places_of(registry: Registry) -> Places:
    """Return where the registry's products may live; put together once, and again after `refresh`."""
    known = registry.known_places
    if known is None:
        known = registry.known_places = Places(registry)
    return known


def _at(known: Places, text: str) -> list[tuple[DataProduct, Place]]:
    """Return the products that live at a path or URL, the best first, each with its place."""
    for path in _readings(text):
        segments = path.split("/")
        found = [
            answer
            for start, folder in enumerate(segments)
            if folder in known.folders
            for answer in _on_sas(known, segments[start:], known.folders[folder])
        ]
        if found:
            return found
        if not _URL.match(text):
            found = _software(known, segments)
            if found:
                return found
    return []


def _readings(text: str) -> Iterator[str]:
    """Yield the plain paths that a path or URL may mean, the likeliest first."""
    if _URL.match(text):
        text = re.split("[?#]", text, maxsplit=1)[0].partition(":")[2]
        yield _tidy(_unquoted(text))
        return
    yield _tidy(text)
    if "%" in text:
        yield _tidy(_unquoted(text))
    if not text.startswith("/"):
        yield os.path.abspath(text)


def _tidy(path: str) -> str:
    return os.path.normpath(path) if _MESSY.search(path) else path


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text) if "%" in text else text


def _on_sas(known: Places, segments: list[str], owner: str) -> list[tuple[DataProduct, Place]]:
    """Return the products at a location, ranked; also in another compression, when there are none."""
    folders, name = segments[:-1], segments[-1]
    for spelling in on_disk.spellings(name):
        here = [*folders, spelling]
        location = "/".join(here)
        found = [
            (product, place)
            for place in known.on_sas(here, owner)
            for product in place.products_at(location)
        ]  # fmt: skip
        if found:
            return _ranked(found, owner, name)
    return []


def _software(known: Places, segments: list[str]) -> list[tuple[DataProduct, Place]]:
    """Return the products at a path of software, which lies beside the SAS."""
    found = []
    for start, folder in enumerate(segments):
        if folder in known.software.tops:
            location = "/".join(segments[start:])
            for place in dict.fromkeys(known.software.find(segments, start)):
                found += [(product, place) for product in place.products_at(location)]
    return _ranked(found, "", segments[-1])


def _ranked(found: list[tuple[DataProduct, Place]], owner: str, name: str) -> list[tuple[DataProduct, Place]]:
    if len(found) < 2:
        return found
    folded = name.casefold()
    age = {release: i for i, release in enumerate(releases())}

    def rank(answer: tuple[DataProduct, Place]) -> tuple[Any, ...]:
        place = answer[1]
        return (
            not owns(owner, place),
            not place.by_hand,
            place.order,
            -place.literal,
            place.name.casefold() not in folded,
            len(place.template.keys),
            -age[configuration(place.release)],
            place.name,
        )

    return sorted(found, key=rank)
