"""From a file to what is in it: readers by name, what a file is, and how a spectrum looks."""

from __future__ import annotations

from astra_registry.reading.products import paths_of, read, writer_of
from astra_registry.reading.readers import Reader, load, reads_many

__all__ = ["Reader", "load", "paths_of", "read", "reads_many", "writer_of"]
