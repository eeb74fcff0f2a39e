"""Every hook, from the module that specifies them."""

from __future__ import annotations

import inspect
import re

import markdown

from astra_registry import hooks


def every() -> list[tuple[str, object]]:
    """The hook specifications' names and functions, in the order of the file."""
    functions = inspect.getmembers(hooks, inspect.isfunction)
    named = [(name, function) for name, function in functions if name.startswith("astra_registry_")]
    return sorted(named, key=lambda pair: inspect.getsourcelines(pair[1])[1])  # type: ignore[arg-type]


def page() -> str:
    """A section a hook: its signature and its documentation."""
    parts = []
    for name, function in every():
        signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))  # type: ignore[arg-type]
        parts.append(
            f"## `{name}`\n\n{markdown.code(f'def {name}{signature}', 'python')}\n{markdown.docstring(function)}\n"
        )
    return "\n".join(parts)
