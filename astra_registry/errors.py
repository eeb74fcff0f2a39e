"""Everything that can go wrong, as one tree of exceptions.

::

    AstraRegistryError
    ├── LookupFailed (KeyError)          nothing bears that name
    │   ├── UnknownProduct
    │   ├── UnknownRelease
    │   ├── UnknownPath                    a path name that a release's tree does not have
    │   ├── UnknownParameter
    │   ├── UnknownTask                    no row in the database
    │   └── NotIdentified                  no product lives at that path
    ├── BadValue (ValueError)            a request that cannot be right
    │   ├── MissingParameter
    │   ├── SuperfluousParameter           the release does not use it
    │   ├── InvalidParameter               wrong type, choice or characters
    │   ├── UnequalLengths                 columns of a batch that do not fit
    │   ├── UnsafePath                     it would leave the place it belongs to
    │   ├── UnresolvedRoot                 the template names a root that the release lacks
    │   ├── NotOnSas                       a software product: no location, no URL
    │   ├── BadTable
    │   ├── BadSetting
    │   └── IllegalMove                    a state that cannot follow the present one
    ├── PluginError                      a plugin's fault
    │   ├── BrokenPlugin
    │   └── PluginConflict                 two plugins claim one name
    ├── MissingExtra (ImportError)       an optional dependency is not installed
    ├── FileFailed (OSError)             a file could not be had
    │   ├── FileMissing                    it is not there, here or on the server
    │   ├── Unauthorized
    │   ├── TransferFailed                 cut off, time-out, server error, …
    │   ├── CorruptFile                    it is there, and it is not whole
    │   └── WrongLayout                    it is whole, and not of the kind it is read as
    └── StoreError                       the state database cannot be used
        └── SchemaMismatch

``exit_code`` is what the command line exits with: 2 when the request was wrong, 1 when it failed.
"""

from __future__ import annotations

from collections.abc import Iterable


class AstraRegistryError(Exception):
    """The root of this package's exceptions; ``str(error)`` is one line for a person."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError would print the repr of its argument.
        return str(self.args[0]) if self.args else type(self).__name__


class LookupFailed(AstraRegistryError, KeyError):
    """Nothing bears that name."""

    exit_code = 2


class UnknownProduct(LookupFailed):
    """No installed plugin brings a data product of that name."""


class UnknownRelease(LookupFailed):
    """There is no such release, or the product is not part of it."""


class UnknownPath(LookupFailed):
    """The tree of the release has no path of that name."""


class UnknownParameter(LookupFailed):
    """The product, task or template has no parameter of that name."""


class UnknownTask(LookupFailed):
    """The database has no row for that task."""


class NotIdentified(LookupFailed):
    """No known product lives at that path."""

    exit_code = 1


class BadValue(AstraRegistryError, ValueError):
    """A request that cannot be right."""

    exit_code = 2


class MissingParameter(BadValue):
    """A parameter that is needed was not given."""


class SuperfluousParameter(BadValue):
    """A parameter was given that the release does not use."""


class InvalidParameter(BadValue):
    """A value of the wrong type, outside its choices, or with characters that cannot be in a path."""


class UnequalLengths(BadValue):
    """The columns of a batch have different lengths."""


class UnsafePath(BadValue):
    """A value would move the path out of the place where it belongs."""


class UnresolvedRoot(BadValue):
    """The template names a variable that the release does not define."""


class NotOnSas(BadValue):
    """A software product: it has a place on disk, but no location or URL on the SAS."""


class BadTable(BadValue):
    """A table that cannot be read, or that lacks a needed column."""


class BadSetting(BadValue):
    """A setting with a value that cannot be used."""


class IllegalMove(BadValue):
    """A task's state cannot change that way."""


class PluginError(AstraRegistryError):
    """A plugin's fault."""


class BrokenPlugin(PluginError):
    """A plugin that does not import, raises in a hook, or returns what a hook may not return."""


class PluginConflict(PluginError):
    """Two plugins claim one name."""

    exit_code = 2


# Package → the extra of ours that brings it.
EXTRAS = {
    "astropy_healpix": "healpix", "pyarrow": "parquet", "keyring": "keyring", "distributed": "dask", "dask": "dask",
    "luigi": "luigi", "psycopg": "postgresql", "specutils": "spectra", "matplotlib": "plot",
}  # fmt: skip


class MissingExtra(AstraRegistryError, ImportError):
    """An optional dependency is not installed; the message gives the command that installs it."""

    def __init__(self, what: str, extra: str = "", *, package: str = "") -> None:
        wanted = package or f"'astra-registry[{extra}]'"
        super().__init__(f"{what} needs an optional package: pip install {wanted}")


class FileFailed(AstraRegistryError, OSError):
    """A file could not be had."""


class FileMissing(FileFailed):
    """The file is not there, on this disk or on the server."""


class Unauthorized(FileFailed):
    """The server wants credentials, or refused those it was given."""


class TransferFailed(FileFailed):
    """A transfer was cut off, timed out, or was answered with a server error."""


class CorruptFile(FileFailed):
    """The file is there, and it is not whole."""


class WrongLayout(FileFailed):
    """The file is whole, and it is not laid out as the kind of file that it is read as."""


class StoreError(AstraRegistryError):
    """The state database cannot be used."""


class SchemaMismatch(StoreError):
    """The database has another schema than this version of astra_registry."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'apVisit'?"`` for the closest known names, or an empty string."""
    import difflib  # only where there is something to suggest

    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)  # a name stands before its aliases
    close = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    if not close:
        return ""
    quoted = [f"'{by_folded[match]}'" for match in close]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return f"; did you mean {listed}?"
