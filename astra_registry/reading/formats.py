"""Our readers in astropy's registry, where ``Spectrum.read(path, format="apStar")`` looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astra_registry.errors import MissingExtra
from astra_registry.reading.readers import load


def register_formats(readers: Mapping[tuple[str, str], str], writers: Mapping[str, str] | None = None) -> list[str]:
    """Make every reader of the kind ``"spectrum"`` a format of `specutils.Spectrum`, and return the formats' names.

    A format has the product's name: ``Spectrum.read(path, format="apStar")``; other kinds are formats of
    `specutils.SpectrumList`, ``"apStar visits"``. The modules of readers are imported when a format is first used.

    Modules of readers call this when they are imported, as specutils' own do; the bundled plugins import theirs when
    specutils is there already. specutils looks for no entry points, but imports each file in ``~/.specutils``: one
    that says ``import astra_registry_apstar.spectrum`` makes its formats known wherever specutils is used. A format
    must be named: it is not guessed from a file, for there specutils has its own formats of the same files.

    ``writers`` does the same for ``spectrum.write(path, format="apStar")``, by product. Calling it again changes
    nothing. Raises `MissingExtra` when specutils is not installed.
    """
    try:
        from specutils import Spectrum, SpectrumList
    except ImportError:
        raise MissingExtra("reading spectra", "spectra") from None
    from astropy.io import registry

    names = []
    for (product, kind), reference in readers.items():
        if kind == "arrays":
            continue
        one = kind == "spectrum"
        name = product if one else f"{product} {kind}"
        registry.register_reader(name, Spectrum if one else SpectrumList, _reader(reference), force=True)
        names.append(name)
    for product, reference in (writers or {}).items():
        registry.register_writer(product, Spectrum, _writer(reference), force=True)
    return names


def _reader(reference: str) -> Any:
    def read(source: Any, **options: Any) -> Any:
        return load(reference)(getattr(source, "name", source), **options)

    # What specutils asks of each format, for its list of formats by ending.
    read.extensions = ["fits"]  # type: ignore[attr-defined]
    return read


def _writer(reference: str) -> Any:
    def write(spectrum: Any, path: Any, **options: Any) -> None:
        load(reference)(spectrum, path, **options)

    return write
