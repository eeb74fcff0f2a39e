"""A plugin-based registry of SDSS data models: find, resolve, fetch and read the files of the Science Archive Server.

>>> from astra_registry import registry
>>> star = registry.create("apStar", release="dr17", telescope="apo25m", field="000+14", obj="2M16544175-2148453")
>>> star.local_path  # doctest: +SKIP
'~/sas/dr17/apogee/spectro/redux/dr17/stars/apo25m/000+14/apStar-dr17-2M16544175-2148453.fits'

Importing it costs nothing, and makes ``Spectrum.read(path, format="apStar")`` of specutils work, whenever that comes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from astra_registry.introduction import introduce

__version__ = "1.0.0"

# Where each public object lives: it is imported when it is first used, so that importing the package costs nothing.
_HOMES = {
    "registry": "registries",
    "Registry": "registries",
    "Tree": "tree",
    "DataProduct": "product",
    "SDSS5DataModelTask": "product",
    "Task": "task",
    "parameter": "parameters",
    "columnwise": "parameters",
    "hookimpl": "hooks",
    "fetch": "fetching",
    "iter_fetch": "fetching",
    "FetchReport": "fetching",
    "StateStore": "store",
    "Status": "store",
    "run": "engines",
}
_ERRORS = (
    "AstraRegistryError", "LookupFailed", "UnknownProduct", "UnknownRelease", "UnknownPath", "UnknownParameter",
    "UnknownTask", "NotIdentified", "BadValue", "MissingParameter", "SuperfluousParameter", "InvalidParameter",
    "UnequalLengths", "UnsafePath", "UnresolvedRoot", "NotOnSas", "BadTable", "BadSetting", "IllegalMove",
    "PluginError", "BrokenPlugin", "PluginConflict", "MissingExtra", "FileFailed", "FileMissing", "Unauthorized",
    "TransferFailed", "CorruptFile", "WrongLayout", "StoreError", "SchemaMismatch",
)  # fmt: skip

__all__ = [*_HOMES, *_ERRORS]

if TYPE_CHECKING:
    from astra_registry.engines import run as run
    from astra_registry.errors import *  # noqa: F403
    from astra_registry.fetching import FetchReport as FetchReport
    from astra_registry.fetching import fetch as fetch
    from astra_registry.fetching import iter_fetch as iter_fetch
    from astra_registry.hooks import hookimpl as hookimpl
    from astra_registry.parameters import columnwise as columnwise
    from astra_registry.parameters import parameter as parameter
    from astra_registry.product import DataProduct as DataProduct
    from astra_registry.product import SDSS5DataModelTask as SDSS5DataModelTask
    from astra_registry.registries import Registry as Registry
    from astra_registry.registries import registry as registry
    from astra_registry.store import StateStore as StateStore
    from astra_registry.store import Status as Status
    from astra_registry.task import Task as Task
    from astra_registry.tree import Tree as Tree


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name) or ("errors" if name in _ERRORS else None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# ``Spectrum.read(path, format="apStar")`` is to work wherever both packages are.
introduce()
