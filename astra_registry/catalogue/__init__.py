"""The installed products as a page for the browser: searchable, without a server."""

from __future__ import annotations

from astra_registry.catalogue.writing import write_catalogue

__all__ = ["write_catalogue"]
