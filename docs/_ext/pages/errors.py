"""Every error, with its cause and its remedy."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path

import markdown

from astra_registry import errors

REMEDIES: dict[str, str] = tomllib.loads(Path(__file__).parents[1].joinpath("remedies.toml").read_text())


def every() -> list[type[errors.AstraRegistryError]]:
    """The exceptions in the order of the file, without the root."""
    known = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.AstraRegistryError)]
    known.sort(key=lambda c: inspect.getsourcelines(c)[1])
    return [c for c in known if c is not errors.AstraRegistryError]


def page() -> str:
    """The tree of exceptions, then each one."""
    tree = inspect.cleandoc((errors.__doc__ or "").partition("::")[2].partition("``exit_code``")[0])
    parts = [markdown.code(tree)]
    for error in every():
        builtin = next((b.__name__ for b in error.__mro__ if b.__module__ == "builtins"), "Exception")
        also = "" if builtin == "Exception" else f" Also a `{builtin}`."
        parts.append(
            f"## {error.__name__}\n\n{markdown.docstring(error)}{also} The command exits with {error.exit_code}.\n\n"
            f"*Remedy:* {REMEDIES[error.__name__]}\n"
        )
    return "\n".join(parts)
