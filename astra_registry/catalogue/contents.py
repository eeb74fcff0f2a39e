"""What a catalogue tells: the products of a registry as plain data, what they share written once."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from astra_registry import release as known_releases
from astra_registry.declarations import Declaration
from astra_registry.errors import UnresolvedRoot
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.paths import roots
from astra_registry.registries import Registry
from astra_registry.released import path_name
from astra_registry.settings import explain, setting
from astra_registry.tree import Tree

# Roots that a derived gap chooses (@spectrodir|), not named in the template itself.
_CHOSEN_ROOTS = ("BOSS_SPECTRO_REDUX", "SPECTRO_REDUX")
_MOST_COMBINATIONS = 200  # of choices, for a table of a derived default


class Shared:
    """A list in which each distinct item stands once, so that products refer to it by number."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, make: Callable[[], Any]) -> int:
        """Return the number of the item that `key` stands for; it is made when it is new."""
        if key not in self._numbers:
            self._numbers[key] = len(self.items)
            self.items.append(make())
        return self._numbers[key]


def contents(registry: Registry) -> dict[str, Any]:
    """Return everything that the page of a registry shows, ready for JSON.

    Products whose name two plugins claim, and releases that a template lacks, are left out: there is nothing to show.
    """
    plugins, parameters, templates = Shared(), Shared(), Shared()
    variables: dict[str, set[str]] = {}
    products = []
    for declaration in registry.declarations():
        plugin = registry.plugin_of(declaration.name)
        texts = template_texts(declaration)
        for release, written in texts.items():
            variables.setdefault(release, set()).update(v for _, text in written for v in _variables(text))
        products.append(
            {
                "name": declaration.name,
                "summary": declaration.summary,
                "about": "" if declaration.description == declaration.summary else _paragraphs(declaration.description),
                "plugin": plugins.number(
                    plugin.name,
                    lambda plugin=plugin: {  # type: ignore[misc]
                        "name": plugin.name,
                        "distribution": plugin.distribution,
                        "version": plugin.version,
                    },
                ),
                "parameters": [
                    parameters.number(_identity(p, declaration), lambda p=p, d=declaration: described(p, d))  # type: ignore[misc]
                    for p in declaration.parameters
                ],
                "templates": {
                    release: [
                        templates.number((known_as, text), lambda known_as=known_as, text=text: [text, known_as])  # type: ignore[misc]
                        for known_as, text in written
                    ]
                    for release, written in texts.items()
                },
                "examples": [[known_releases.canonical(r), _as_text(values)] for r, values in declaration.examples],
            }
        )
    return {
        "products": products,
        "parameters": parameters.items,
        "templates": templates.items,
        "plugins": plugins.items,
        "releases": [
            _release(release, variables[release])
            for release in (*known_releases.releases(), "sdss5")
            if release in variables
        ],
        "places": places(),
    }


def template_texts(declaration: Declaration) -> dict[str, list[tuple[str, str]]]:
    """Return the templates of each release of a product, the location first, each with the name it is known by.

    ``=specFull`` is followed to what it names; derived gaps depend on that name.
    """
    texts: dict[str, list[tuple[str, str]]] = {}
    for release in declaration.releases:
        found = []
        for text in declaration.template_texts(release):
            name = path_name(text)
            found.append((declaration.name, text) if name is None else (name, Tree(release).templates.get(name, "")))
        if complete := [(name, text.strip()) for name, text in found if text]:
            texts[release] = complete
    return texts


def described(p: Parameter, declaration: Declaration) -> dict[str, Any]:
    """Return a parameter as the page has it; what is empty is left out."""
    told = {
        "name": p.name,
        "attribute": p.attribute,
        "type": p.type_name,
        "doc": p.doc,
        "unit": p.unit,
        "choices": list(p.choices or ()),
        "aliases": list(p.aliases),
        "batch": p.batch,
        "subpath": p.subpath or p.name in declaration.subpaths,
        "refined": bool(p.refine),
    }
    return {**{key: value for key, value in told.items() if value}, **_default(p, declaration)}


def places() -> dict[str, Any]:
    """Return where files are on this machine; a SAS that nobody configured is the reader's own ``~/sas``."""
    origins = {name: origin for name, _, origin in explain()}
    top = str(setting("sas_base_dir"))
    if origins.get("sas_base_dir") == "default":
        top = "~/sas"
    software = setting("product_root")
    return {"sas": top.rstrip("/"), "software": str(software or os.path.dirname(top)).rstrip("/")}


def _default(p: Parameter, declaration: Declaration) -> dict[str, Any]:
    """Return what a parameter is when it is not given: a value, one a release, or how it follows from others."""
    default = p.default
    if default is REQUIRED:
        return {}
    if default is None:
        return {"optional": True}
    if p.differs_by_release:
        return {"defaults": {release: str(value) for release, value in default.items()}}
    if callable(default):
        return {"follows": list(p.reads), "table": _tabulated(p, declaration)}
    return {"default": str(default)}


def _tabulated(p: Parameter, declaration: Declaration) -> list[list[str]]:
    """Return a derived default for every choice of what it follows from; empty when those cannot be listed."""
    named = {name: other for other in declaration.parameters for name in (other.name, other.attribute, *other.aliases)}
    choices = [
        declaration.releases if name == "release" else (named[name].choices or () if name in named else ())
        for name in p.reads
    ]
    rows = list(itertools.islice(itertools.product(*choices), _MOST_COMBINATIONS + 1))
    if not rows or len(rows) > _MOST_COMBINATIONS:
        return []
    by_columns = getattr(p.default, "columnwise", False)
    table = []
    for row in rows:
        try:
            value = p.default(*([cell] for cell in row))[0] if by_columns else p.default(*row)
        except Exception:  # noqa: BLE001, S112 - a plugin's function that has no answer for these choices
            continue
        table.append([str(cell) for cell in (*row, value)])
    return table


def _identity(p: Parameter, declaration: Declaration) -> Hashable:
    """Return what makes two parameters the same on the page."""
    default = p.default
    if p.differs_by_release:
        default = tuple(default.items())
    elif callable(default):
        default = (declaration.name, p.name)
    else:
        default = repr(default)
    subpath = p.subpath or p.name in declaration.subpaths
    return (p.name, p.type_name, p.doc, p.unit, p.choices, p.aliases, p.batch, subpath, bool(p.refine), default)


def _release(release: str, variables: Iterable[str]) -> dict[str, Any]:
    """Return a release: whether it is public, where its files are served, and its roots, relative to their place."""
    definition = roots.definition(known_releases.configuration(release))
    resolved = {}
    for variable in sorted(variables):
        try:
            place, folder = roots.resolve(f"${variable}", definition.roots)
        except UnresolvedRoot:
            continue
        resolved[variable] = [place, folder]
    return {
        "name": release,
        "public": known_releases.is_public(release),
        "url": Tree(release).remote(""),
        "roots": resolved,
    }


def _variables(text: str) -> tuple[str, ...]:
    lead = re.match(r"\$(\w+)", text)
    return (lead[1],) if lead else _CHOSEN_ROOTS


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _paragraphs(text: str) -> str:
    """Return a description without its first line, which is the summary, and without the indentation of its source."""
    lines = [line.strip() for line in text.splitlines()[1:]]
    return "\n".join(lines).strip()
