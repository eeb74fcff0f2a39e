"""The seam of readers: a function of a file, named in text and imported when it is first used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, Protocol

from astra_registry.errors import BrokenPlugin, MissingExtra

# What people install to have a package that a reader may lack.
_EXTRAS = {"specutils": "spectra", "matplotlib": "plot", "pyarrow": "parquet"}


class Reader(Protocol):
    """Gives the content of one file: a path, or an open `astropy.io.fits.HDUList`, which it leaves open."""

    def __call__(self, source: Any, /, **options: Any) -> Any:
        """Return the content."""


def load(reference: str) -> Any:
    """Return the function that ``"module:name"`` names.

    Raises `MissingExtra` when the module needs a package that is not installed, `BrokenPlugin` when the reference
    leads nowhere.
    """
    module_name, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        if error.name in _EXTRAS:
            raise MissingExtra(f"{reference}", _EXTRAS[error.name]) from error
        raise BrokenPlugin(f"{reference} cannot be loaded: {error}") from error
    except AttributeError as error:
        raise BrokenPlugin(f"{reference} cannot be loaded: {error}") from error


def read(
    reader: str | Reader,
    source: str | os.PathLike[str] | Any,
    *,
    product: str | None = None,
    release: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Return what the reader makes of the file; a spectrum's ``meta`` also tells its product, release and parameters.

    ``reader`` is a function, or where it is found (``"module:name"``); ``options`` are its own. Raises `FileMissing`,
    `CorruptFile` or `WrongLayout` when the file cannot be read, `MissingExtra` when a package is not installed.
    """
    content = (load(reader) if isinstance(reader, str) else reader)(source, **options)
    told = {"product": product, "release": release, "parameters": dict(parameters) if parameters is not None else None}
    for part in content if isinstance(content, list) else [content]:
        meta = getattr(part, "meta", None)
        if isinstance(meta, dict):
            meta.update({name: value for name, value in told.items() if value is not None})
    return content
