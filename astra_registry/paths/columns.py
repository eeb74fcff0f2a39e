"""Many paths at once: whole columns are checked and formatted, and no object, dict or check is made for one item."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, repeat
from typing import Any

from astra_registry.errors import AstraRegistryError, UnequalLengths
from astra_registry.parameters import is_column, plain_column
from astra_registry.paths import values as path_values
from astra_registry.paths.layout import Layout
from astra_registry.paths.parts import Derived, Field, Part
from astra_registry.paths.quoting import UNSAFE

# Rows that are worked on together: few enough for what is made on the way to stay small and in the cache.
CHUNK = 32_768

# A column of few distinct numbers is better written out once for each; of many, finding the text again in a table that
# is larger than the cache costs more than making it.
FEW, SAMPLE, SHARED = 4096, 4096, 16_384

Values = list[Any]


class Columns:
    """The columns and constants that give a template's paths."""

    def __init__(self, layout: Layout, columns: Mapping[str, object], size: int | None = None) -> None:
        """Take the columns apart; raises UnequalLengths, and for constants as `PathTemplate.location` does."""
        layout.check_names(columns)
        self.layout = layout
        # Gaps side by side can be made one by one, and so each only once, unless they make a folder that may be empty.
        self._parts: list[Part] = [
            piece
            for part in layout.parts
            for piece in (
                [Derived((gap,), roots=part.roots) for gap in part.gaps]
                if isinstance(part, Derived) and not part.whole
                else [part]
            )
        ]
        self.fixed: dict[str, Any] = {}
        self.varying: dict[str, Sequence[object]] = {}
        for key, given in columns.items():
            if is_column(given):
                column = plain_column(given)
                if getattr(getattr(given, "dtype", None), "kind", "") == "S":
                    # Text of a fixed width: astropy's tables decode it, and leave the padding.
                    column = [text.rstrip(" \0") if isinstance(text, str) else text for text in column]
                self.varying[key] = column
            else:
                self.fixed[key] = layout.checked_value(key, given)
        lengths = {key: len(column) for key, column in self.varying.items()}
        if size is not None:
            lengths["the number of items"] = size
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key}: {length}" for key, length in lengths.items())
            raise UnequalLengths(f"the columns of {layout.name or layout.text} have different lengths ({told})")
        self.size = next(iter(lengths.values()), 1)
        self._estimates: dict[str, float] = {}
        self._texts: dict[Part, dict[Any, str]] = {}

    def paths(self, before: str = "", escape: Callable[[str], str] | None = None) -> list[str]:
        """Return the paths, each with *before* in front, and changed by *escape* where it holds what a URL may not."""
        if not self.size:
            return []
        if not self.varying:
            path = self.layout.careful({key: value for key, value in self.fixed.items() if value is not None})
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
                path = self.layout.careful({**self.fixed, **dict(zip(chunk, values, strict=True))})
            except AstraRegistryError as error:
                raise type(error)(f"row {row}: {error}") from None
            made.append(before + (escape(path) if escape else path))
        return made

    def _quick(
        self, chunk: Mapping[str, Sequence[object]], before: str, escape: Callable[[str], str] | None
    ) -> list[str]:
        layout, fixed = self.layout, self.fixed
        if layout.subpaths or layout.is_tagged or layout.may_shorten:
            raise ValueError("one by one")
        unsafe = escape is not None and any(UNSAFE.search(str(value)) for value in fixed.values())
        columns: dict[str, Values] = {}
        for key, given in chunk.items():
            columns[key], text = self._checked(key, given)
            unsafe = unsafe or (escape is not None and UNSAFE.search(text) is not None)
        size = len(next(iter(columns.values())))
        literal = "" if unsafe else before
        side_by_side: list[Iterable[str]] = []
        made: dict[Part, str | Values] = {}
        for part in self._parts:
            if not isinstance(part, str) and part not in made:
                made[part] = self._field(part, columns) if isinstance(part, Field) else self._derived(part, columns)
            texts = part if isinstance(part, str) else made[part]
            if isinstance(texts, str):
                literal += texts
            else:
                side_by_side += [repeat(literal, size), texts]
                literal = ""
        side_by_side.append(repeat(literal, size))
        # All in C: a list comprehension with an f-string takes a quarter longer, `map` with ``%`` twice as long.
        paths = list(map("".join, zip(*side_by_side, strict=True)))
        if unsafe and escape is not None:
            return [before + escape(path) for path in paths]
        return paths

    def _checked(self, key: str, given: Sequence[object]) -> tuple[Values, str]:
        """Return a column as plain values, and all its text in one; raises as one value does."""
        values: Values = given if isinstance(given, list) else list(given)
        kinds = _kinds(values)
        if not kinds <= {str, int}:
            values = [self.layout.checked_value(key, value) for value in values]
            kinds = _kinds(values)
            if float in kinds:
                raise ValueError("one by one: 1.0 equals 1, and looks otherwise")
        if str not in kinds:
            return values, ""
        texts = values if len(kinds) == 1 else [text for text in values if type(text) is str]
        together = "".join(texts)
        if (
            "/" in together
            or " " in together
            or ("." in together and (".." in together or "." in texts))
            or not all(texts)
            or not together.isprintable()
        ):
            for text in set(texts):
                path_values.check(key, text)
        return values, together

    def _field(self, field: Field, columns: Mapping[str, Values]) -> str | Values:
        """Return what a field shows: one text when it is constant, else one a row."""
        if field.key in self.fixed:
            return field.text(self.fixed[field.key])
        values = columns[field.key]
        if not field.spec:
            if isinstance(values[0], str):
                return values
            if self._distinct(field.key) > FEW:
                return list(map(str, values))
        if self._is_shared(field.key):
            return self._shared(field, values, field.texts)
        return field.texts(values)

    def _derived(self, part: Derived, columns: Mapping[str, Values]) -> str | Values:
        """Return the text of a derived gap when it follows from constants, else one a row."""
        varying = [key for key in part.keys if key in columns]
        if not varying:
            return part.text(self.layout.name, self.fixed)
        key = varying[0]
        if len(varying) == 1 and self._is_shared(key):
            return self._shared(part, columns[key], lambda some: self._derived_texts(part, {key: some}))
        return self._derived_texts(part, columns)

    def _is_shared(self, key: str) -> bool:
        """Whether to make the text of a column's values once for all rows that have it."""
        return self._distinct(key) <= min(SHARED, self.size / 3)

    def _distinct(self, key: str) -> float:
        """Return about how many distinct values a column has, from how often a sample of it meets one again."""
        if key not in self._estimates:
            column = self.varying[key]
            sample = column[:: max(1, len(column) // SAMPLE)]
            again = len(sample) - len(set(sample))
            # Of n values drawn from m, n²/2m meet an earlier one, as long as these are few.
            estimate = len(sample) ** 2 / (2 * again) if again else math.inf
            self._estimates[key] = max(estimate, len(sample) - again)
        return self._estimates[key]

    def _shared(self, part: Part, values: Values, texts_of: Callable[[Values], Values]) -> Values:
        """Return the text of each value, made once for all rows that have it."""
        texts = self._texts.setdefault(part, {})
        try:
            return list(map(texts.__getitem__, values))
        except KeyError:  # after some thousand rows, hardly any value is new
            new = list(set(values).difference(texts))
            texts.update(zip(new, texts_of(new), strict=True))
            return list(map(texts.__getitem__, values))

    def _derived_texts(self, part: Derived, columns: Mapping[str, Values]) -> Values:
        product = self.layout.name
        size = len(next(iter(columns.values())))
        gaps: list[Values] = []
        for _, gap in part.gaps:
            arguments = [columns[key] if key in columns else repeat(self.fixed.get(key)) for key in gap.arguments]
            if gap.many is not None:
                gaps.append(gap.many(product, [row[1:] for row in zip(range(size), *arguments, strict=False)]))
            else:
                gaps.append(list(map(gap.function, repeat(product, size), *arguments)))
        texts = gaps[0] if len(gaps) == 1 else list(map("".join, zip(*gaps, strict=True)))
        if part.roots:
            return list(map(part.placed, texts))
        return [text and text + "/" for text in texts] if part.whole else texts


def _kinds(values: Values) -> set[type]:
    """Return the types of a column's values; one after the other of the same type costs least."""
    return {kind for kind, _ in groupby(map(type, values))}
