"""A path template as a small Python function, written for the types of the values that it is given.

Making a path is then a few look-ups, one check of all text together, and one f-string: 1 µs, where `str.format` and
checks in a loop take 3. Whatever such a function does not like, it passes on to `Layout.careful`, which knows
every rule and makes the messages; so it may refuse too much, and must never accept what `careful` would not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from astra_registry.errors import UnresolvedRoot
from astra_registry.paths.layout import Layout
from astra_registry.paths.parts import Derived, Field, distinct

Maker = Callable[[Mapping[str, object]], str]
Kinds = tuple[type, ...]

_ZEROS = re.compile(r"0>(\d+)")


def maker(layout: Layout, became: Callable[[Maker], None], before: str = "") -> Maker:
    """Return the function that makes the template's paths, with *before* in front of each.

    *became* is told the faster one once the types of the values are known.
    """
    keys = layout.keys
    careful = (lambda values: before + layout.careful(values)) if before else layout.careful
    if not keys or layout.subpaths or layout.is_tagged or layout.may_shorten:
        return careful
    pick: Callable[[Any], Kinds] = itemgetter(*keys) if len(keys) > 1 else lambda values: (values[keys[0]],)
    makers: dict[Kinds, Maker] = {}

    def by_types(values: Mapping[str, object]) -> str:
        try:
            kinds = tuple(map(type, pick(values)))
        except KeyError:
            return careful(values)
        known = makers.get(kinds)
        if known is not None:
            return known(values)
        path = careful(values)
        if set(kinds) <= {str, int}:
            makers[kinds] = _written(layout, kinds, careful, before)
            if len(makers) == 1:
                became(_written(layout, kinds, by_types, before))
        return path

    return by_types


def _written(layout: Layout, kinds: Kinds, otherwise: Maker, before: str) -> Maker:
    """Return the function for values of these types, text and integers; it asks *otherwise* for all others."""
    keys = layout.keys
    name = {key: f"v{i}" for i, key in enumerate(keys)}
    texts = [name[key] for key, kind in zip(keys, kinds, strict=True) if kind is str]
    numbers = [name[key] for key, kind in zip(keys, kinds, strict=True) if kind is int]
    derived = distinct(layout.parts)
    scope: dict[str, Any] = {"otherwise": otherwise, "UnresolvedRoot": UnresolvedRoot}
    lines = [f"{name[key]} = values[{key!r}]" for key in keys]
    conditions = [f"len(values) == {len(keys)}"]
    conditions += [" is ".join(f"type({value})" for value in group) + f" is {kind}"
                   for group, kind in ((texts, "str"), (numbers, "int")) if group]  # fmt: skip
    if texts:
        lines.append(f"text = f'{''.join(f'{{{text}}}' for text in texts)}'")
        conditions += texts
        conditions += ["'/' not in text", "' ' not in text", "text.isprintable()"]
        conditions.append(f"('.' not in text or ('..' not in text and '.' not in ({', '.join(texts)},)))")
    made = []
    for i, gaps in enumerate(derived):
        scope[f"derived{i}"] = _of_arguments(gaps, layout.name)
        made.append(f"d{i} = derived{i}({', '.join(name.get(key, 'None') for key in gaps.keys)})")
    shown: dict[Field, str] = {}
    body = []
    for part in (before, *layout.parts):
        if isinstance(part, str):
            body.append(part.replace("{", "{{").replace("}", "}}"))
        elif isinstance(part, Derived):
            body.append(f"{{d{derived.index(part)}}}")
        else:
            if part not in shown:
                expression = _expression(part, name[part.key], name[part.key] in texts)
                is_value = expression == name[part.key]
                shown[part] = expression if is_value else f"t{len(shown)}"
                if not is_value:
                    made.append(f"{shown[part]} = {expression}")
            body.append(f"{{{shown[part]}}}")
    source = "\n".join(
        [
            "def make(values):",
            "    try:",
            *(f"        {line}" for line in lines[: len(keys)]),
            f"        if {' and '.join(conditions[: 1 + bool(texts) + bool(numbers)])}:",
            *(f"            {line}" for line in lines[len(keys) :]),
            f"            if {' and '.join(conditions[1 + bool(texts) + bool(numbers) :]) or True}:",
            *(f"                {line}" for line in made),
            f"                return f{''.join(body)!r}",
            "    except (KeyError, TypeError, ValueError, UnresolvedRoot):",
            "        pass",
            "    return otherwise(values)",
        ]
    )
    exec(source, scope)  # noqa: S102 - of our own writing; keys are identifiers, and text stands in it as its repr
    made_function: Maker = scope["make"]
    return made_function


def _expression(field: Field, value: str, is_text: bool) -> str:
    """Return the code that shows a value as the field does."""
    text = value if is_text else f"str({value})"
    if not field.spec:
        return text
    if zeros := _ZEROS.fullmatch(field.spec):
        return f"{text}.rjust({zeros[1]}, '0')"
    return f"format({value}, {field.spec!r})"


def _of_arguments(part: Derived, product: str) -> Callable[..., str]:
    """Return the function that makes derived gaps from the values of `Derived.keys`, in that order."""
    if len(part.gaps) == 1 and part.gaps[0][1].arguments == part.keys and not part.roots and not part.whole:
        function = part.gaps[0][1].function
        return lambda *values: function(product, *values)
    keys = part.keys
    return lambda *values: part.text(product, dict(zip(keys, values, strict=True)))
