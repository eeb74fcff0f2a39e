"""Our readers in astropy's registry, where ``Spectrum.read(path, format="apStar")`` looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astra_registry.errors import MissingExtra
from astra_registry.reading.readers import load


def register_formats(readers: Mapping[tuple[str, str], str], writers: Mapping[str, str] | None = None) -> list[str]:
    """Make every reader of the kind ``"spectrum"`` a format of `specutils.Spectrum`, and return the formats' names.

    A format has the product's name: ``Spectrum.read(path, format="apStar")``, which `specutils.SpectrumList` reads as
    a list of one; other kinds are formats of the list, ``"apStar visits"``. The modules of readers are imported when a
    format is first used. Sources are paths, open files, or an `HDUList`.

    Modules of readers call this when they are imported, as specutils' own do. Those that a plugin names in its
    metadata, in the group ``astra_registry.formats``, are imported together with specutils where `astra_registry` is
    imported too. specutils looks for no entry points, but imports each file in ``~/.specutils``: one that says
    ``import astra_registry`` makes all formats known wherever specutils is used. A format must be named: it is not
    guessed from a file, for there specutils has its own formats of the same files.

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
        reader = _reader(reference)
        if one:
            registry.register_reader(name, Spectrum, reader, force=True)
        registry.register_reader(name, SpectrumList, _listing(reader, SpectrumList) if one else reader, force=True)
        names.append(name)
    for product, reference in (writers or {}).items():
        registry.register_writer(product, Spectrum, _writer(reference), force=True)
    return names


def _reader(reference: str) -> Any:
    def read(source: Any, **options: Any) -> Any:
        source = getattr(source, "name", source)
        if hasattr(source, "read"):  # an open file without a name, in memory
            from astropy.io import fits

            source = fits.open(source)
        return load(reference)(source, **options)

    # What specutils asks of each format, for its list of formats by ending.
    read.extensions = ["fits"]  # type: ignore[attr-defined]
    return read


def _listing(reader: Any, kind: Any) -> Any:
    def read(source: Any, **options: Any) -> Any:
        return kind([reader(source, **options)])

    read.extensions = reader.extensions  # type: ignore[attr-defined]
    return read


def _writer(reference: str) -> Any:
    def write(spectrum: Any, path: Any, **options: Any) -> None:
        load(reference)(spectrum, path, **options)

    return write
