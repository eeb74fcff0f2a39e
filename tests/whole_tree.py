"""A registry of every path of every release: what the catalogue and the stubs have to bear."""

from __future__ import annotations

from functools import cache

from astra_registry import Registry, Tree, hookimpl
from astra_registry.declarations import Declaration, attribute_of
from astra_registry.errors import UnresolvedRoot
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.paths.derived import GAPS
from astra_registry.release import releases

INTEGERS = {key for gap in GAPS.values() for key in gap.integers} | {"mjd", "fiberid", "fiber", "catalogid"}


@cache
def declarations() -> tuple[Declaration, ...]:
    """Return a product for each path name, with the parameters that its templates name."""
    names: dict[str, list[str]] = {}
    needed: dict[str, dict[str, set[str]]] = {}
    for release in releases():
        tree = Tree(release)
        for name in tree.lookup_names():
            names.setdefault(name, []).append(release)
            try:
                template = tree.path_template(name)
            except UnresolvedRoot:
                continue
            for key in (*template.keys, *template.optional):
                needed.setdefault(name, {}).setdefault(key, set())
                if key in template.keys:
                    needed[name][key].add(release)
    return tuple(
        Declaration(
            name=name,
            summary=f"The file {name}.",
            parameters=tuple(
                Parameter(
                    name=key,
                    attribute=attribute_of(key),
                    type=int if key in INTEGERS else str,
                    doc=f"The {key} of the file.",
                    batch=True,
                    default=REQUIRED if where == set(names[name]) else None,
                )
                for key, where in needed.get(name, {}).items()
            ),
            releases=tuple(having),
        )
        for name, having in names.items()
    )


class WholeTree:
    """A plugin that brings them."""

    @hookimpl
    def astra_registry_products(self) -> list[Declaration]:
        return [declared for declared in declarations() if declared.name not in ("apVisit", "apStar", "spec")]


def whole_registry() -> Registry:
    """Return the three bundled products, and every other path of the tree."""
    import astra_registry_apstar
    import astra_registry_apvisit
    import astra_registry_spec

    return Registry(plugins=[astra_registry_apvisit, astra_registry_apstar, astra_registry_spec, WholeTree()])
