"""The path names of all releases as declarations, made of their templates when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from astra_registry.declarations import Declaration, attribute_of
from astra_registry.errors import AstraRegistryError
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.paths.derived import GAPS as DERIVED_GAPS
from astra_registry.paths.derived import DerivedGap
from astra_registry.product import DataProduct
from astra_registry.release import WORK, releases
from astra_registry.tree import Tree
from astra_registry_sdsstree.meanings import (
    BY_LOCATION,
    CARDS,
    CHOICES,
    EMPTY,
    IDLE,
    IDLE_IN,
    IN_CAPITALS,
    INTEGERS,
    MEANINGS,
    NOTES,
    OF_FIELDS,
    TEXTS,
    Meaning,
)
from astra_registry_sdsstree.served import SERVED

_GAP = re.compile(r"\{\s*(\w+)[^{}:]*(?::([^{}]*))?\}|@(\w+)\|")
_PADDED = re.compile(r"0>\d+d?|d")


class TreePaths(Mapping[str, Declaration]):
    """Path name → declaration, of all path names of all releases in sdss-tree."""

    def __init__(self) -> None:
        self._made: dict[str, Declaration] = {}

    @cached_property
    def _templates(self) -> dict[str, dict[str, str]]:
        """Path name → release → template."""
        found: dict[str, dict[str, str]] = {}
        for release in releases():
            for name, text in Tree(release).templates.items():
                found.setdefault(name, {})[release] = text
        for templates in found.values():
            if WORK in templates:
                templates["sdss5"] = templates[WORK]
        return found

    def __getitem__(self, name: str) -> Declaration:
        try:
            return self._made[name]
        except KeyError:
            made = self._made[name] = _declaration(name, self._templates[name])
            return made

    def __contains__(self, name: object) -> bool:
        return name in self._templates

    def __iter__(self) -> Iterator[str]:
        return iter(self._templates)

    def __len__(self) -> int:
        return len(self._templates)


def _declaration(name: str, templates: Mapping[str, str]) -> Declaration:
    """Return the product of a path name, from its template in each release."""
    newest = list(templates.values())[-1].strip()
    served = SERVED.get(name, {})
    uses = [_Use(text, release) for text, release in {text: release for release, text in templates.items()}.items()]
    keys = list(dict.fromkeys(key for use in reversed(uses) for key in (*use.needed, *use.accepted)))
    summary = NOTES.get(name) or f"{newest.rpartition('/')[2]}, in {newest.rpartition('/')[0] or newest}"
    return Declaration(
        name=name,
        summary=summary,
        description=f"{summary}.\n\nThe path of that name in sdss-tree.",
        parameters=tuple(_parameter(name, key, uses, keys) for key in keys),
        templates={**dict.fromkeys(templates, f"={name}"), **served} if served else None,
        releases=tuple(release for release in (*releases(), "sdss5") if release in templates or release in served),
        cards=CARDS.get(name, {}),
    )


class _Use:
    """Which keys one template names, and how."""

    def __init__(self, text: str, release: str) -> None:
        formats: dict[str, list[str]] = {}
        gaps: list[DerivedGap] = []
        for key, spec, function in _GAP.findall(text):
            if function:
                gaps += _derived(function, release)
            else:
                formats.setdefault(key, []).append(spec)
        self.needed = list(dict.fromkeys([*formats, *(key for gap in gaps for key in gap.reads)]))
        self.accepted = [
            key for gap in gaps for key in (*gap.optional, *gap.unlisted) if key not in self.needed and key not in IDLE
        ]
        # What a format pads with zeros is a number, also where another place of the path shows it as it is.
        self.numbers = {key for key, specs in formats.items() if any(map(_PADDED.fullmatch, specs))}
        self.numbers |= {key for gap in gaps for key in gap.integers}
        self.read = {key for gap in gaps for key in gap.arguments}
        self.empty = {key for gap in gaps for key in gap.optional if key in EMPTY}


def _derived(function: str, release: str) -> list[DerivedGap]:
    known = DERIVED_GAPS.get(function)
    if known is not None:
        return [known]
    try:  # one of a newer sdss-tree than ours
        return [gap for part in Tree(release).compile(f"$SAS_BASE_DIR/@{function}|").parts for _, gap in part.gaps]  # type: ignore[union-attr]
    except (AstraRegistryError, AttributeError):
        return []


def _parameter(product: str, key: str, uses: Sequence[_Use], keys: Sequence[str]) -> Parameter:
    naming = [use for use in uses if key in use.needed]
    attribute = attribute_of(key)
    meaning = MEANINGS.get(key, Meaning(""))
    default: Any = REQUIRED if len(naming) == len(uses) else None
    if any(key in use.empty for use in uses):
        default = ""
    if key == "release":
        default = _the_products_own_in_capitals if product in IN_CAPITALS else _the_products_own
    elif (product, key) in IDLE_IN:
        default = IDLE_IN[product, key]
    # A piece's number, where only a special function reads it, is one too.
    padded = all(key in use.numbers for use in naming) if naming else key == "num"
    is_number = key in INTEGERS or (padded and key not in TEXTS)
    return Parameter(
        name=attribute if key in DataProduct._parameters else key,
        attribute=attribute,
        type=int if is_number else str,
        doc=meaning.doc or f"The {key.replace('_', ' ')}.",
        unit=meaning.unit,
        batch=True,
        choices=CHOICES.get(key) if any(key in use.read for use in uses) else None,
        default=default,
        aliases=tuple(alias for alias in meaning.aliases if alias not in keys),
        columns=dict.fromkeys(BY_LOCATION, "LOCATION_ID") if key == "field" and product in OF_FIELDS else {},
    )


def _the_products_own(release: str) -> str:
    """Return what a template's {release} is unless it is given: the release of the product."""
    return release


def _the_products_own_in_capitals(release: str) -> str:
    return release.upper()
