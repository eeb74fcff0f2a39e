"""Every public name of the package, with its members."""

from __future__ import annotations

import inspect
import re

import markdown

import astra_registry
from astra_registry.errors import AstraRegistryError


def every() -> list[str]:
    """The public names besides the exceptions, which have a page of their own."""
    found = []
    for name in astra_registry.__all__:
        thing = getattr(astra_registry, name)
        if not (inspect.isclass(thing) and issubclass(thing, AstraRegistryError)) and not name.startswith("__"):
            found.append(name)
    return found


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
    """A section a name."""
    parts = []
    for name in every():
        thing = getattr(astra_registry, name)
        if inspect.isclass(thing):
            parts.append(f"## `{name}`\n\n{markdown.docstring(thing)}\n")
            parts += [_member(*pair) for pair in members(thing)]
        elif callable(thing):
            parts.append(
                f"## `{name}`\n\n{markdown.code(f'{name}{_signature(thing)}', 'python')}\n{markdown.docstring(thing)}\n"
            )
        else:
            parts.append(
                f"## `{name}`\n\nThe process's own {type(thing).__name__}.\n\n{markdown.docstring(type(thing))}\n"
            )
    return "\n".join(parts)
