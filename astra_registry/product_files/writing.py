"""From a declaration to a ``products.toml``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from astra_registry.declarations import Declaration
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.product_files.reading import FromTable
from astra_registry.release import releases


def as_toml(declaration: Declaration) -> str:
    """Return a product as a ``products.toml``, which `read_product_file` reads back.

    What only Python can say (a default that is computed, a check) is named in a comment.
    """
    head = f"products.{_bare(declaration.name)}"
    lines = [f"[{head}]", f"summary = {_value(declaration.summary)}"]
    if declaration.description and declaration.description != declaration.summary:
        lines.append(f"description = {_value(declaration.description)}")
    if declaration.subpaths:
        lines.append(f"subpaths = {_value(list(declaration.subpaths))}")
    if declaration.cards:
        lines.append(f"cards = {_value(dict(declaration.cards))}")
    if declaration.readers:
        lines.append(f"readers = {_value(dict(declaration.readers))}")
    if declaration.templates is None:
        lines += ["", f"# its templates are the tree's own of that name: {declaration.releases_in_words}"]
    else:
        lines += ["", f"[{head}.templates]"]
        lines += [f"{_bare(release)} = {_value(text)}" for release, text in declaration.templates.items()]
    for declared in declaration.parameters:
        lines += ["", *_parameter_lines(head, declared, declaration.parameters)]
    for example in declaration.examples:
        release, values = example[0], example[1]
        lines += ["", f"[[{head}.examples]]", f"release = {_value(release)}", f"parameters = {_value(dict(values))}"]
    return "\n".join(lines) + "\n"


def _parameter_lines(head: str, declared: Parameter, others: Sequence[Parameter]) -> list[str]:
    name = declared.name.removesuffix("_") if declared.name == declared.attribute else declared.name
    lines = [f"[{head}.parameters.{_bare(name)}]", f"type = {_value(declared.type_name)}"]
    lines.append(f"doc = {_value(declared.doc)}")
    default = declared.default
    if default is None:
        lines.append("optional = true")
    elif callable(default):
        tabulated = _tabulated(default, declared, others)
        if tabulated is None:
            lines += [f"# its default is computed from {', '.join(declared.reads)}, which takes Python"]
            lines.append("optional = true")
        else:
            lines.append(f"default = {_value(tabulated)}")
    elif default is not REQUIRED:
        lines.append(f"default = {_value(dict(default) if isinstance(default, Mapping) else default)}")
    for key, value, usual in (
        ("batch", declared.batch, False),
        ("significant", declared.significant, True),
        ("visibility", declared.visibility, "public"),
        ("unit", declared.unit, None),
        ("choices", None if declared.choices is None else list(declared.choices), None),
        ("aliases", list(declared.aliases), []),
        ("columns", dict(declared.columns), {}),
    ):
        if value != usual:
            lines.append(f"{key} = {_value(value)}")
    if declared.check is not None or declared.refine:
        lines.append("# its values are checked or changed besides, which takes Python")
    return lines


def _tabulated(default: Any, declared: Parameter, others: Sequence[Parameter]) -> dict[str, Any] | None:
    """Return a computed default as a table, when it follows from one parameter that has choices."""
    if isinstance(default, FromTable):
        return {"from": default.parameter, **({} if default.values is None else {"values": dict(default.values)})}
    if len(declared.reads) != 1 or getattr(default, "columnwise", False):
        return None
    (read,) = declared.reads
    if read == "release":
        asked = {release: default(release=release) for release in releases()}
        return {"from": "release"} if all(release == value for release, value in asked.items()) else asked
    source = next((p for p in others if read in (p.name, p.attribute)), None)
    if source is None or not source.choices:
        return None
    return {"from": read, "values": {str(choice): default(**{read: choice}) for choice in source.choices}}


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: Any) -> str:
    """Return a value in TOML's notation; tables on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_bare(str(k))} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    # JSON's texts, numbers and truth values are TOML's too, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
