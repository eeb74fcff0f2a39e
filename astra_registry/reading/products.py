"""Reading the file of a product, or the files of a batch, with the reader of a kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from astra_registry.errors import BadValue, FileMissing, did_you_mean
from astra_registry.reading.readers import load


def read(
    product: Any,
    kind: str | None = None,
    *,
    readers: Mapping[tuple[str, str], str] | None = None,
    into: Literal["list", "collection", "table"] | None = None,
    **options: Any,
) -> Any:
    """Return the content of a product's file, which is brought first when the product's `use_remote` is true.

    Without a kind it is an open HDUList (of a batch, a list of them) for the caller to close; with one, what the
    reader of the kind makes. ``readers`` are those of other plugins, by product and kind. The spectra of a batch come
    as a SpectrumCollection when they share their wavelengths and else as a SpectrumList; ``into`` chooses a
    ``"list"``, a ``"collection"`` or a ``"table"`` of one row a member. ``options`` go to the reader.

    A spectrum's ``meta`` tells product, release and parameters. Raises `FileMissing`, `CorruptFile` or `WrongLayout`
    when a file cannot be read, `BadValue` for a kind that the product has no reader of.
    """
    if kind is None:
        from astra_registry.reading.fits import left_open

        opened = [left_open(path) for path in paths_of(product)]
        return opened if product.is_batch_mode else opened[0]
    if into not in (None, "list", "collection", "table"):
        raise BadValue(f"spectra are read into a 'list', a 'collection' or a 'table', not {into!r}")
    name = product.sdss_data_model_name
    reader = load(_reader_of(product, kind, readers or {}))
    if getattr(reader, "reads_many", False):
        return reader(paths_of(product), **options)
    contents = []
    for member, path in zip(product.get_batch_tasks(), paths_of(product), strict=True):
        content = reader(path, **options)
        significant = set(member.get_param_names()) - {"release"}
        values = {key: value for key, value in member.param_kwargs.items() if key in significant and value is not None}
        _tell(content, product=name, release=member.release, parameters=values)
        contents.append(content)
    if not product.is_batch_mode:
        return contents[0]
    return _gathered(contents, into)


def read_file(
    product: Any, path: str, kind: str, *, readers: Mapping[tuple[str, str], str] | None = None, **options: Any
) -> Any:
    """Return what the reader of a kind makes of a file that is of a product (a class), wherever it lies."""
    content = load(_reader_of(product, kind, readers or {}))(path, **options)
    _tell(content, product=product.sdss_data_model_name)
    return content


def paths_of(product: Any) -> list[str]:
    """Return where the file of each member lies on this disk, at its location or a further one, brought if need be.

    Raises `FileMissing` when one is not here and the product does not ask for it to be brought.
    """
    found = [member.output().find() for member in product.get_batch_tasks()]
    if None in found and product.use_remote:
        product.get_remote()
        found = [member.output().find() for member in product.get_batch_tasks()]
    for path, member in zip(found, product.get_batch_tasks(), strict=True):
        if path is None:
            raise FileMissing(f"{member.local_path!r} is not here; fetch it, or ask with use_remote=True")
    return [path for path in found if path is not None]


def writer_of(product: Any, kind: str = "spectrum", *, writers: Mapping[tuple[str, str], str] | None = None) -> Any:
    """Return the function that writes contents of a kind in the layout of the product (a class, or an instance).

    ``writers`` are those of others, by ``(product, kind)``; the product's own go first. Raises `BadValue` when there
    is none of that kind.
    """
    name = product.sdss_data_model_name
    known = {kind: reference for (owner, kind), reference in (writers or {}).items() if owner == name}
    known.update(product.writers)
    if kind not in known:
        has = f"it writes {_listed(known)}" if known else "it has none"
        raise BadValue(f"{name} has no writer of the kind {kind!r}; {has}")
    return load(known[kind])


def _reader_of(product: Any, kind: str, readers: Mapping[tuple[str, str], str]) -> str:
    name = product.sdss_data_model_name
    known = {kind: reference for (owner, kind), reference in readers.items() if owner == name}
    known.update(product.readers)
    if kind not in known:
        has = f"it reads {_listed(known)}" if known else "it has none, and reads as HDUs without a kind"
        raise BadValue(f"{name} has no reader of the kind {kind!r}{did_you_mean(kind, known)}; {has}")
    return known[kind]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def _tell(content: Any, **facts: Any) -> None:
    """Write facts into the meta of each spectrum."""
    for part in content if isinstance(content, list) else [content]:
        meta = getattr(part, "meta", None)
        if isinstance(meta, dict):
            meta.update(facts)


def _gathered(contents: list[Any], into: str | None) -> Any:
    # Whoever has read a spectrum has specutils; other contents, and no content at all, do not need it.
    one_each = all(hasattr(content, "spectral_axis") for content in contents)
    if into is None and not one_each:
        return contents
    if into in ("table", "collection") and not one_each:
        raise BadValue(f"a {into} has one spectrum of each file, which readers of this kind do not give")
    from astra_registry.reading import spectra

    if into == "table":
        return spectra.as_table(contents)
    if into == "list":
        return spectra.as_list(contents)
    gathered = spectra.together(contents)
    if into == "collection" and isinstance(gathered, list):
        raise BadValue("these spectra do not share their wavelengths, as a collection must: read them into 'list'")
    return gathered
