"""For those who write plugins: the conformance suite, the strategies behind it, and an SAS to test against."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astra_registry.testing.conformance import ProductSuite as ProductSuite
    from astra_registry.testing.generated import products as products
    from astra_registry.testing.sas import EmbeddedSas as EmbeddedSas

# Imported when they are first used: pytest loads this package in every project of the environment.
_HOMES = {"ProductSuite": "conformance", "products": "generated", "EmbeddedSas": "sas"}

__all__ = ["EmbeddedSas", "ProductSuite", "products"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
