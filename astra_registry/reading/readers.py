"""The seam of readers and writers: functions named in text, imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from astra_registry.errors import EXTRAS, BrokenPlugin, MissingExtra

F = TypeVar("F", bound=Callable[..., Any])


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
        package = (error.name or "").partition(".")[0]
        if package in EXTRAS:
            raise MissingExtra(reference, EXTRAS[package]) from error
        raise BrokenPlugin(f"{reference} cannot be loaded: {error}") from error
    except (AttributeError, ValueError) as error:
        raise BrokenPlugin(f"{reference} cannot be loaded: {error}") from error


def reads_many(reader: F) -> F:
    """Mark a reader that takes the paths of a whole batch at once, in the place of one path."""
    reader.reads_many = True  # type: ignore[attr-defined]
    return reader
