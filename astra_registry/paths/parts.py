"""The parts of a path template: literal text, fields that show a value, and derived gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from types import MappingProxyType
from typing import Any

import attrs

from astra_registry.errors import InvalidParameter, UnresolvedRoot
from astra_registry.paths.derived import DerivedGap
from astra_registry.paths.values import PathValue

NO_ROOTS: Mapping[str, str | UnresolvedRoot] = MappingProxyType({})


@attrs.frozen
class Field:
    """A gap that shows a parameter's value, formatted."""

    key: str
    spec: str = ""

    def text(self, value: PathValue) -> str:
        """Return the value as the path shows it, or raise InvalidParameter."""
        try:
            return format(value, self.spec)
        except ValueError:
            pass
        try:  # a number may come as text
            return format(int(value), self.spec)
        except ValueError:
            kind = "an integer" if self.spec.endswith("d") else "text"
            raise InvalidParameter(f"{self.key} = {value!r}: it takes {kind}") from None

    def texts(self, values: Sequence[PathValue]) -> list[str]:
        """Return many values as paths show them, or raise InvalidParameter."""
        try:
            return list(map(format, values, repeat(self.spec)))
        except ValueError:
            return list(map(self.text, values))


@attrs.frozen(slots=False)
class Derived:
    """One or more derived gaps, side by side; *whole* when they alone make a folder, which may be none at all."""

    gaps: tuple[tuple[str, DerivedGap], ...]
    whole: bool = False
    roots: Mapping[str, str | UnresolvedRoot] = attrs.field(default=NO_ROOTS, eq=False)
    """For a gap that chooses a root: its variables' folders."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All parameters that the gaps read."""
        return tuple(dict.fromkeys(key for _, gap in self.gaps for key in gap.arguments))

    @property
    def may_be_empty(self) -> bool:
        """Whether there may be nothing in all gaps together."""
        return all(gap.may_be_empty for _, gap in self.gaps)

    @property
    def notation(self) -> str:
        """The gaps as a template writes them."""
        return "".join(f"@{function}|" for function, _ in self.gaps)

    def text(self, product: str, values: Mapping[str, Any]) -> str:
        """Return what stands in the gap, with the slash after it when it is a folder; ValueError when it cannot be."""
        text = "".join([gap.function(product, *map(values.get, gap.arguments)) for _, gap in self.gaps])
        return self.placed(text)

    def placed(self, text: str) -> str:
        """Return the gap's text with its root in the place of a variable, and the slash of a folder."""
        if self.roots:
            folder = self.roots[text]
            if isinstance(folder, UnresolvedRoot):
                raise folder
            return folder
        return text + "/" if self.whole and text else text


Part = str | Field | Derived


def distinct(parts: Iterable[Part]) -> list[Derived]:
    """Return the derived gaps, each once."""
    return list(dict.fromkeys(part for part in parts if isinstance(part, Derived)))
