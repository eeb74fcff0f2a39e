"""Type stubs of the installed products, so that editors complete their names and type checkers check their parameters.

The stubs lie in a folder of the user's, as a package ``astra_registry`` of two files that type checkers read before the
installed one: the same names, but a `registry` that knows its products. What the folder lacks, they take from the
installed package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import astra_registry
from astra_registry.atomic import written
from astra_registry.declarations import Declaration, class_name
from astra_registry.errors import AstraRegistryError, BadValue
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.registries import Registry
from astra_registry.tree import Tree

MARK = "# Made by `astra-registry stubs`; make it again when plugins are installed, updated or removed."
PRODUCTS = "_installed_products"

# Checking that no two overloads of a thousand overlap would take mypy half a minute, and they cannot.
_HEADER = f"""{MARK}
# mypy: ignore-errors
from collections.abc import Sequence
from typing import Any, Literal, Protocol, Required, SupportsIndex, TypedDict, Unpack, overload

from astra_registry.product import DataProduct, SDSS5DataModelTask
from astra_registry.registries import Registry
"""
_VALUES = '''
class _Column(Protocol):
    """A column of a table, an array or a series: what gives its values as a list."""

    def __len__(self) -> int: ...
    def tolist(self) -> Any: ...

_Text = str | bytes
_Texts = str | bytes | Sequence[str] | _Column
_Integer = SupportsIndex
_Integers = SupportsIndex | Sequence[SupportsIndex] | _Column
_Number = float
_Numbers = float | Sequence[float] | _Column

class _Options(TypedDict, total=False):
    public: bool
    mirror: bool
    verbose: bool
    use_remote: bool
    remote_access_method: str
    strict_output_checking: bool
'''
_KINDS = {
    str: ("_Text", "_Texts"),
    int: ("_Integer", "_Integers"),
    float: ("_Number", "_Numbers"),
    bool: ("bool", "Any"),
}


def write_stubs(registry: Registry, folder: str | os.PathLike[str] = "typings") -> list[str]:
    """Write the stubs of a registry's products into ``FOLDER/astra_registry``, and return the paths of the files.

    Older stubs are replaced; each file appears whole. Raises BadValue when files lie there that are not ours.
    """
    package = os.path.join(os.path.expanduser(os.fspath(folder)), "astra_registry")
    texts = {f"{PRODUCTS}.pyi": products_stub(registry), "__init__.pyi": package_stub()}
    paths = {name: os.path.join(package, name) for name in texts}
    for path in (os.path.join(package, "__init__.py"), *paths.values()):
        if os.path.lexists(path) and not _is_ours(path):
            raise BadValue(f"{path} is there and was not made by `astra-registry stubs`; name another folder")
    try:
        os.makedirs(package, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BadValue(f"{folder} is a file; stubs are written into a folder") from None
    for name, text in texts.items():
        with written(paths[name], overwrite=True) as private, open(private, "w", encoding="utf-8") as file:
            file.write(text)
    return sorted(paths.values())


def package_stub() -> str:
    """Return the stub of the package itself: what it holds, and the registry that knows its products."""
    lines = [MARK]
    for name, home in astra_registry._HOMES.items():
        module = f"astra_registry.{home}" if name != "registry" else f"astra_registry.{PRODUCTS}"
        lines.append(f"from {module} import {name} as {name}")
    lines += [f"from astra_registry.errors import {name} as {name}" for name in astra_registry._ERRORS]
    return "\n".join([*lines, "", "__version__: str", f"__all__ = {list(astra_registry.__all__)!r}", ""])


def products_stub(registry: Registry) -> str:
    """Return the stub of the products: a class and its keywords for each, and the registry that holds them."""
    classes: dict[str, str] = {}  # product -> the name of its class, which no other bears
    bodies, imports = [], set()
    for declaration in registry.declarations():
        taken = class_name(declaration.name)
        while taken in classes.values():
            taken += "_"
        classes[declaration.name] = taken
        base = _typed_class(declaration)
        if base is not None:
            imports.add(base.rpartition(".")[0])
        bodies.append(_product(taken, declaration, base))
    return "\n".join(
        [_HEADER, *(f"import {module}" for module in sorted(imports)), _VALUES, *bodies, *_registry(classes), ""]
    )


def _product(name: str, declaration: Declaration, base: str | None) -> str:
    """Return the stub of one product: a dictionary of its keywords, and a class that takes them."""
    always = _always_used(declaration)
    releases = ", ".join(f'"{release}"' for release in declaration.releases)
    keywords = [f"    release: Literal[{releases}] | str" if releases else "    release: str"]
    attributes = []
    for p in declaration.parameters:
        # Upper-case names are those of columns in tables; a person writes the others.
        spelled = [p.attribute, *(alias for alias in p.aliases if alias.islower() and alias.isidentifier())]
        kind = _kind(p)
        needed = p.default is REQUIRED and p.name in always and len(spelled) == 1
        keywords += [f"    {keyword}: {f'Required[{kind}]' if needed else kind}" for keyword in spelled]
        attributes.append(f"    {p.attribute}: {p.type_name if p.type in _KINDS else 'Any'}")
    summary = " ".join(declaration.summary.replace("\\", "\\\\").replace('"""', "'''").split())
    lines = [
        f"class _{name}(_Options, total=False):",
        *keywords,
        "",
        f"class {name}({base or 'SDSS5DataModelTask'}):",
        *([f'    """{summary}"""', ""] if summary and not summary.endswith('"') else []),
        *([] if base else attributes),
        f"    def __init__(self, **parameters: Unpack[_{name}]) -> None: ...",
        "",
    ]
    return "\n".join(lines)


def _registry(classes: dict[str, str]) -> Iterator[str]:
    """Yield the lines of the registry's class: products by name, by attribute, and made with `create`."""
    taken = set(dir(Registry))
    yield "class InstalledProducts(Registry):"
    for product, name in classes.items():
        if product.isidentifier() and product not in taken:
            yield f"    {product}: type[{name}]"
    for product, name in classes.items():
        yield "    @overload"
        yield f'    def __getitem__(self, name: Literal["{product}"], /) -> type[{name}]: ...'
    if classes:
        yield "    @overload"
    yield "    def __getitem__(self, name: str, /) -> type[DataProduct]: ..."
    if len(classes) > 1:
        yield "    # For a name that is known only when the program runs: registry[name](...)."
        for product, name in classes.items():
            yield "    @overload"
            yield f'    def create(self, name: Literal["{product}"], /, **parameters: Unpack[_{name}]) -> {name}: ...'
    yield ""
    yield "registry: InstalledProducts"


def _kind(p: Parameter) -> str:
    """Return the type of what may be given for a parameter; choices are there to be completed."""
    kind = _KINDS.get(p.type, ("Any", "Any"))[p.batch]
    if p.choices and all(isinstance(choice, str) for choice in p.choices):
        return f"Literal[{', '.join(map(repr, p.choices))}] | {kind}"
    return kind


def _always_used(declaration: Declaration) -> set[str]:
    """Return the parameters that every release of a product uses: the others cannot be asked for always."""
    used: set[str] | None = None
    names = {name: p.name for p in declaration.parameters for name in (p.name, p.attribute, *p.aliases)}
    for release in declaration.releases:
        try:
            template = Tree(release).compile(declaration.template_texts(release)[0], name=declaration.name)
        except AstraRegistryError:
            continue
        here = {names[key] for key in (*template.keys, *template.optional) if key in names}
        used = here if used is None else used & here
    return used or set()


def _typed_class(declaration: Declaration) -> str | None:
    """Return where a product's own class is, when its package has types; else its parameters are told here."""
    module, _, qualified = (declaration.reference or "").partition(":")
    if not module or module.startswith("astra_registry.") or "." in qualified or module == "astra_registry":
        return None
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    has_types = any(os.path.exists(os.path.join(folder, "py.typed")) for folder in folders)
    return f"{module}.{qualified}" if has_types else None


def _is_ours(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip() == MARK
    except OSError:
        return False
