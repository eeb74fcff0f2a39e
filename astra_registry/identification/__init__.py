"""Which product lives at a path or URL: the inverse of resolving, ranked when there are several."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any, Literal, overload

from astra_registry.errors import BadValue
from astra_registry.identification.answer import Identification as Identification
from astra_registry.identification.places import Place, Places, owns
from astra_registry.paths import on_disk
from astra_registry.paths.quoting import unquoted
from astra_registry.product import DataProduct
from astra_registry.tree import Tree

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_MESSY = re.compile(r"//|/\.\.?/|^\.\.?/|/\Z")


@overload
def identify(known: Places, path: str | os.PathLike[str], *, every: Literal[False] = False) -> DataProduct: ...
@overload
def identify(
    known: Places, path: str | os.PathLike[str], *, every: Literal[True], header: bool = False
) -> list[Identification]: ...
@overload
def identify(
    known: Places, path: str | os.PathLike[str], *, every: bool, header: bool = False
) -> DataProduct | list[Identification]: ...
def identify(
    known: Places, path: str | os.PathLike[str], *, every: bool = False, header: bool = False
) -> DataProduct | list[Identification]:
    """Return the product that lives at a path or URL; with *every* all candidates, the best first.

    The path may have any folders in front of the release's, be relative, be a URL of any server, and be compressed or
    not. When it tells too little, a file that is there is asked for its FITS cards; with *header* also one that lies
    in a release's folder, in the wrong place. Raises NotIdentified.
    """
    text = os.fspath(path)
    if not isinstance(text, str):
        raise BadValue(f"a path is text, not {text!r}")
    found = _at(known, text, every)
    if not found:
        from astra_registry.identification.clues import by_name

        return by_name(known, text, every=every, header=header)
    if not every:
        return found[0][0]
    return [Identification(input=text, product=product, reason=place.reason) for product, place in found]


def _at(known: Places, text: str, every: bool) -> list[tuple[DataProduct, Place]]:
    """Return the products that live at a path or URL, the best first, each with its place; all only when asked."""
    for path in _readings(text):
        segments = path.split("/")
        found: list[tuple[DataProduct, Place]] = []
        for start, folder in enumerate(segments):
            if folder in known.folders:
                segments = _without_link(segments, start, known.folders[folder])
                found += _on_sas(known, segments, start, known.folders[folder], every)
                if found and not every:
                    return found
        if not found and not _URL.match(text):
            found = _software(known, segments, every)
        if found:
            return found
    return []


def _without_link(segments: list[str], start: int, release: str) -> list[str]:
    """Return the segments without the server's link to a root: dr12/env/BOSS_PHOTOOBJ is dr12/boss/photoObj."""
    if segments[start + 1 : start + 2] != ["env"] or not release or len(segments) < start + 4:
        return segments
    tree = Tree(release)
    folder = tree.roots.get(segments[start + 2], "")
    top = f"{tree.sas_base_dir}/"
    if not folder.startswith(top):
        return segments
    return [*segments[:start], *folder.removeprefix(top).split("/"), *segments[start + 3 :]]


def _readings(text: str) -> Iterator[str]:
    """Yield the plain paths that a path or URL may mean, the likeliest first."""
    if ":/" in text and _URL.match(text):
        text = re.split("[?#]", text, maxsplit=1)[0].partition(":")[2]
        yield _tidy(unquoted(text))
        return
    yield _tidy(text)
    if "%" in text:
        yield _tidy(unquoted(text))
    here = os.path.abspath(text)
    if not text.startswith("/"):
        yield here
    with contextlib.suppress(OSError, ValueError):  # no path at all, such as one with a NUL, is no link either
        if (there := os.path.realpath(text)) != here:
            yield there


def _tidy(path: str) -> str:
    is_suspect = path[:1] == "." or path[-1:] == "/" or "/." in path or "//" in path
    return os.path.normpath(path) if is_suspect and _MESSY.search(path) else path


def _on_sas(known: Places, segments: list[str], start: int, owner: str, every: bool) -> list[tuple[DataProduct, Place]]:
    """Return the products at a location; also in another compression, when there are none."""
    found = _living(known.on_sas(segments, start, owner), segments, start, owner, every)
    if not found:
        for spelling in on_disk.spellings(segments[-1])[1:]:
            here = [*segments[:-1], spelling]
            found = _living(known.on_sas(here, start, owner), here, start, owner, every)
            if found:
                break
    return found


def _software(known: Places, segments: list[str], every: bool) -> list[tuple[DataProduct, Place]]:
    """Return the products at a path of software, which lies beside the SAS."""
    found = []
    for start, folder in enumerate(segments):
        if folder in known.software.tops:
            places = list(dict.fromkeys(known.software.find(segments, start)))
            found += _living(places, segments, start, "", every)
    return found


def _living(
    places: list[Place], segments: list[str], start: int, owner: str, every: bool
) -> list[tuple[DataProduct, Place]]:
    """Return the products that these places put at a location, ranked; the best one alone unless *every*."""
    if not places:
        return []
    if len(places) > 1:
        name = segments[-1].casefold()
        places = sorted(places, key=lambda place: rank(place, owner, name))
    location = "/".join(segments[start:])
    found = []
    for place in places:
        found += [(product, place) for product in place.products_at(location)]
        if found and not every:
            break
    return found


def rank(place: Place, owner: str, name: str) -> tuple[Any, ...]:
    """Return what decides among several places at one location: the smaller the better; *name* is the file's, folded.

    The release that owns the first folder; hand-written before the tree's own; a first location before a further one;
    more literal text; the product's name in the file's; fewer free parameters; the newest release; the name.
    """
    return (not owns(owner, place), *place.nature, place.name.casefold() not in name, *place.rest)
