"""Where a class is found again by another process: in its module, or in the registry under its name."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from astra_registry.errors import BrokenPlugin

REGISTERED = "astra_registry:registry."
"""The beginning of references to classes that are in no module, only in the registry."""


def found_again(reference: str) -> Any:
    """Return the class that a reference names, ``module:qualname``. Raises BrokenPlugin when it cannot be had."""
    module, _, qualified = reference.partition(":")
    try:
        if reference.startswith(REGISTERED):  # a product's name may hold a dot, or be that of a method
            return importlib.import_module(module).registry[reference.removeprefix(REGISTERED)]
        return functools.reduce(getattr, _attributes(qualified), importlib.import_module(module))
    except Exception as error:  # whatever a plugin's module raises is the answer
        told = str(error).partition("\n")[0] or type(error).__name__
        raise BrokenPlugin(f"the class '{reference}' cannot be found ({told}); is its plugin installed?") from error


def _attributes(qualified: str) -> list[str]:
    if "<locals>" in qualified:
        raise LookupError("a class defined inside a function cannot be imported")
    return qualified.split(".")
