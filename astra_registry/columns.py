"""Many paths at once: whole columns are checked and formatted, and no object, dict or check is made for one item."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from astra_registry import path_values
from astra_registry.errors import AstraRegistryError, UnequalLengths
from astra_registry.parameters import is_column, plain_column
from astra_registry.parts import Derived, Field

if TYPE_CHECKING:
    from astra_registry.template import PathTemplate

# Rows that are worked on together: few enough for what is made on the way to stay small and in the cache.
CHUNK = 32_768

# What has a meaning of its own in a URL, or no place there. sdss_access quotes nothing.
UNSAFE = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/]")

Values = list[Any]


class Columns:
    """The columns and constants that give a template's paths."""

    def __init__(self, template: PathTemplate, columns: Mapping[str, object], size: int | None = None) -> None:
        """Take the columns apart; raises UnequalLengths, and for constants as `PathTemplate.location` does."""
        template.check_names(columns)
        self.template = template
        self.fixed: dict[str, Any] = {}
        self.varying: dict[str, Sequence[object]] = {}
        for key, given in columns.items():
            if is_column(given):
                self.varying[key] = plain_column(given)
            else:
                self.fixed[key] = template.checked_value(key, given)
        lengths = {key: len(column) for key, column in self.varying.items()}
        if size is not None:
            lengths["the number of items"] = size
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key}: {length}" for key, length in lengths.items())
            raise UnequalLengths(f"the columns of {template.name or template.text} have different lengths ({told})")
        self.size = next(iter(lengths.values()), 1)

    def paths(self, before: str = "", escape: Callable[[str], str] | None = None) -> list[str]:
        """Return the paths, each with *before* in front, and changed by *escape* where it holds what a URL may not."""
        if not self.varying or not self.size:
            path = self.template.below({key: value for key, value in self.fixed.items() if value is not None})
            return [before + (escape(path) if escape else path)] * self.size
        made: list[str] = []
        for start in range(0, self.size, CHUNK):
            chunk = {key: column[start : start + CHUNK] for key, column in self.varying.items()}
            try:
                made += self._quick(chunk, before, escape)
            except (AstraRegistryError, ValueError, TypeError, KeyError):
                # Something does not fit; row by row it turns out what, and where.
                made += self._by_row(chunk, start, before, escape)
        return made

    def _by_row(
        self, chunk: Mapping[str, Sequence[object]], start: int, before: str, escape: Callable[[str], str] | None
    ) -> list[str]:
        made = []
        for row, values in enumerate(zip(*chunk.values(), strict=True), start):
            try:
                path = self.template.below({**self.fixed, **dict(zip(chunk, values, strict=True))})
            except AstraRegistryError as error:
                raise type(error)(f"row {row}: {error}") from None
            made.append(before + (escape(path) if escape else path))
        return made

    def _quick(
        self, chunk: Mapping[str, Sequence[object]], before: str, escape: Callable[[str], str] | None
    ) -> list[str]:
        template, fixed = self.template, self.fixed
        if template.subpaths or template.is_tagged:
            raise ValueError("one by one")
        columns: dict[str, Values] = {}
        sets: dict[str, set[Any]] = {}
        unsafe = escape is not None and any(UNSAFE.search(str(value)) for value in fixed.values())
        for key, given in chunk.items():
            columns[key], sets[key], text = self._checked(key, given)
            unsafe = unsafe or (escape is not None and UNSAFE.search(text) is not None)
        pieces: list[str] = []
        slots: list[Values] = []
        made: dict[object, Values] = {}
        for part in template.parts:
            if isinstance(part, str):
                pieces.append(part.replace("%", "%%"))
                continue
            if part not in made:
                if isinstance(part, Field):
                    made[part] = [part.text(fixed[part.key])] if part.key in fixed else _shown(part, columns, sets)
                else:
                    made[part] = self._derived(part, columns, sets)
            column = made[part]
            if len(column) == 1:
                pieces.append(str(column[0]).replace("%", "%%"))
            else:
                pieces.append("%s")
                slots.append(column)
        prefix = "" if unsafe else before.replace("%", "%%")
        if not slots:  # one row, or only parameters that the path does not show
            paths = [(prefix + "".join(pieces)) % ()] * len(next(iter(columns.values())))
        else:
            paths = list(map((prefix + "".join(pieces)).__mod__, zip(*slots, strict=True)))
        if unsafe and escape is not None:
            return [before + escape(path) for path in paths]
        return paths

    def _checked(self, key: str, given: Sequence[object]) -> tuple[Values, set[Any], str]:
        """Return a column as plain values, its distinct ones, and all distinct text in one."""
        values: Values = list(given)
        kinds = set(map(type, values))
        if not kinds <= {str, int}:
            values = [self.template.checked_value(key, value) for value in values]
            kinds = set(map(type, values))
            if float in kinds and len(kinds) > 1:
                raise ValueError("1.0 equals 1 and looks otherwise")
        distinct = set(values)
        if str not in kinds:
            return values, distinct, ""
        texts = [text for text in distinct if type(text) is str] if len(kinds) > 1 else distinct
        together = "".join(texts)
        if (
            "/" in together
            or ".." in together
            or " " in together
            or "." in distinct
            or "" in distinct
            or not together.isprintable()
        ):
            for text in texts:
                path_values.check(key, text)
        return values, distinct, together

    def _derived(self, part: Derived, columns: Mapping[str, Values], sets: Mapping[str, set[Any]]) -> Values:
        """Return the texts of a derived gap: one when it follows from constants, else one a row."""
        varying = [key for key in part.keys if key in columns]
        if not varying:
            return [part.text(self.template.name, self.fixed)]
        key = varying[0]
        if len(varying) == 1 and 2 * len(sets[key]) <= len(columns[key]):
            distinct = list(sets[key])
            texts = dict(zip(distinct, self._derived_texts(part, {key: distinct}), strict=True))
            return list(map(texts.__getitem__, columns[key]))
        return self._derived_texts(part, columns)

    def _derived_texts(self, part: Derived, columns: Mapping[str, Values]) -> Values:
        product = self.template.name
        size = len(next(iter(columns.values())))
        gaps: list[Values] = []
        for _, gap in part.gaps:
            arguments = [columns[key] if key in columns else repeat(self.fixed.get(key)) for key in gap.arguments]
            if gap.many is not None:
                gaps.append(gap.many(product, [row[1:] for row in zip(range(size), *arguments, strict=False)]))
            else:
                gaps.append(list(map(gap.function, repeat(product, size), *arguments)))
        texts = gaps[0] if len(gaps) == 1 else list(map("".join, zip(*gaps, strict=True)))
        if part.roots or part.whole:
            return list(map(part.placed, texts))
        return texts


def _shown(field: Field, columns: Mapping[str, Values], sets: Mapping[str, set[Any]]) -> Values:
    """Return a column as the path shows it; the values themselves where that is how they look."""
    values, distinct = columns[field.key], sets[field.key]
    if field.spec or 4 * len(distinct) <= len(values):
        texts = {value: field.text(value) for value in distinct}
        return list(map(texts.__getitem__, values))
    return values
