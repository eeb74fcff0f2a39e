"""Every path name of every release in sdss-tree as a data product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from astra_registry import hookimpl

if TYPE_CHECKING:
    from astra_registry.declarations import Declaration


@hookimpl
def astra_registry_product_sources() -> Sequence[Mapping[str, Declaration]]:
    """Bring all path names; a declaration is made when it is asked for."""
    from astra_registry_sdsstree.paths import TreePaths

    return [TreePaths()]
