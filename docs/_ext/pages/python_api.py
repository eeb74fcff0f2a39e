"""Every public name of the package, with its members."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator

import markdown

import astra_registry
from astra_registry import testing
from astra_registry.errors import AstraRegistryError


def every() -> list[str]:
    """The public names besides the exceptions, which have a page of their own."""
    found = []
    for name in astra_registry.__all__:
        thing = getattr(astra_registry, name)
        if not (inspect.isclass(thing) and issubclass(thing, AstraRegistryError)) and not name.startswith("__"):
            found.append(name)
    return found


# What is public besides, by module: what it is for, and its names.
ELSEWHERE = {
    "astra_registry.settings": ("Configuration from Python.", ("setting", "override")),
    "astra_registry.reading.formats": (
        "For plugins that [bring readers](../how-to/write-a-reader.md).",
        ("register_formats",),
    ),
    "astra_registry.engines.luigi": ("The extra `luigi`.", ("as_luigi",)),
    "astra_registry.testing": ("For the tests of a plugin, or of a program that fetches.", tuple(testing.__all__)),
}


def elsewhere() -> Iterator[tuple[str, str, object]]:
    """The public objects of other modules: module, name, object."""
    for module, (_, names) in ELSEWHERE.items():
        for name in names:
            yield module, name, getattr(importlib.import_module(module), name)


def _signature(thing: object) -> str:
    try:
        signature = str(inspect.signature(thing))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    # Annotations are kept as text, which the signature shows in quotes.
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature)


def members(cls: type) -> list[tuple[str, object]]:
    """The public attributes that the package documents, its ancestors' of this package included, by name."""
    found: dict[str, object] = {}
    for ancestor in cls.__mro__:
        if not ancestor.__module__.startswith("astra_registry"):
            continue
        for name, member in vars(ancestor).items():
            if not name.startswith("_") and (
                callable(member) or isinstance(member, property | classmethod | staticmethod)
            ):
                found.setdefault(name, member)
    return sorted(found.items())


def _member(name: str, member: object) -> str:
    function = getattr(member, "__func__", member)
    function = function.fget if isinstance(function, property) else function
    signature = (
        ""
        if isinstance(member, property)
        else _signature(function).replace("(self, /, ", "(").replace("(self, ", "(").replace("(self)", "()")
    )
    return f"`.{name}{signature}`\n: {_indented(markdown.docstring(function)) or '(as its name says)'}\n"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ").strip()


def page() -> str:
    """A section a name, those at the top of the package first."""
    parts = []
    for name in every():
        thing = getattr(astra_registry, name)
        if inspect.isclass(thing) or callable(thing):
            parts += _section("##", name, thing)
        else:
            kind = type(thing).__name__
            parts.append(
                f"## `{name}`\n\nThis process's own [`{kind}`](#{kind.lower()}), filled from what is installed.\n"
            )
    parts.append(
        "## The errors\n\nAll are at the top of the package too; they have [a page of their own](errors.md).\n"
    )
    for module, (purpose, _) in ELSEWHERE.items():
        parts.append(f"## In `{module}`\n\n{purpose}\n")
        for home, name, thing in elsewhere():
            if home == module:
                parts += _section("###", name, thing)
    return "\n".join(parts)


def _section(level: str, name: str, thing: object) -> list[str]:
    """A heading, the signature of a function, what it says of itself, and its members."""
    said = markdown.docstring(thing)
    if inspect.isclass(thing):
        return [f"{level} `{name}`\n\n{said}\n", *(_member(*pair) for pair in members(thing))]
    return [f"{level} `{name}`\n\n{markdown.code(f'{name}{_signature(thing)}', 'python')}\n{said}\n"]
