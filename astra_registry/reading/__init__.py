"""From a file to what is in it: readers by name, what a file is, and how a spectrum looks."""

from __future__ import annotations

from astra_registry.reading.readers import Reader, load, read

__all__ = ["Reader", "load", "read"]
