"""A plugin-based registry of SDSS data models: find, resolve, fetch and read the files of the Science Archive Server."""

__version__ = "1.0.0"
