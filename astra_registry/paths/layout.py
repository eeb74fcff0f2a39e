"""What a template says: its parts, the parameters that it needs, and the path that follows from values, step by step.

A `Layout` knows every rule and makes every message. The quick ways to many paths, to one and back are built on it, and
`PathTemplate` has them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from functools import cached_property

import attrs

from astra_registry.errors import (
    AstraRegistryError,
    InvalidParameter,
    MissingParameter,
    UnknownParameter,
    UnresolvedRoot,
    did_you_mean,
)
from astra_registry.paths import values as path_values
from astra_registry.paths.derived import DerivedGap
from astra_registry.paths.parts import Derived, Field, Part
from astra_registry.paths.roots import PRODUCT, SAS
from astra_registry.paths.values import PathValue

# Software lies in a folder of its version; in the repository that folder is one of `tags/`.
TAGS = re.compile(r"tags/(v?[0-9._]+)")
_SHORTENED = re.compile(r"\.\d+s?$")


@attrs.frozen(eq=False, repr=False, slots=False)
class Layout:
    """How the places of one product of one release are put together. Immutable."""

    name: str
    """The product's name: some derived gaps depend on it."""
    text: str
    place: str
    """What the location is relative to: the SAS, the folder of software products, or nothing."""
    parts: tuple[Part, ...]
    subpaths: frozenset[str] = frozenset()
    """The parameters whose values may hold ``/``."""

    # ------------------------------------------------------------ what it says about itself

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The parameters that it needs, in the order of the template."""
        keys: list[str] = []
        for part in self.parts:
            if isinstance(part, Field):
                keys.append(part.key)
            elif isinstance(part, Derived):
                keys += [key for _, gap in part.gaps for key in gap.reads]
        return tuple(dict.fromkeys(keys))

    @cached_property
    def optional(self) -> tuple[str, ...]:
        """The parameters that it takes besides: read by derived gaps, and may be empty or left out."""
        listed = [key for gap in self._gaps for key in (*gap.optional, *gap.unlisted)]
        return tuple(key for key in dict.fromkeys(listed) if key not in self.keys)

    @cached_property
    def lookup_keys(self) -> tuple[str, ...]:
        """The parameters that sdss_access names for this path."""
        listed = [key for gap in self._gaps for key in gap.optional if key not in self.keys]
        return (*self.keys, *dict.fromkeys(listed))

    @property
    def on_sas(self) -> bool:
        """Whether the product lies on the SAS; software products do not."""
        return self.place == SAS

    @cached_property
    def prefix(self) -> str:
        """The literal text of every location up to the first gap."""
        first = self.parts[0] if self.parts else ""
        if isinstance(first, Derived) and first.roots:
            return os.path.commonprefix(  # noqa: RUF071 - as text, not as folders
                [root for root in first.roots.values() if isinstance(root, str)]
            )
        return first if isinstance(first, str) else ""

    @cached_property
    def _gaps(self) -> tuple[DerivedGap, ...]:
        return tuple(gap for part in self.parts if isinstance(part, Derived) for _, gap in part.gaps)

    @cached_property
    def is_tagged(self) -> bool:
        """Whether a value stands in the folder `tags/` that software has in its repository, and not on disk."""
        return self.place == PRODUCT and any("tags/" in part for part in self.parts if isinstance(part, str))

    @cached_property
    def may_shorten(self) -> bool:
        """Whether a format keeps but the beginning of a text (``{version:.3}``), which may then be a dot or two."""
        return any(isinstance(part, Field) and _SHORTENED.search(part.spec) for part in self.parts)

    # ------------------------------------------------------------ values → path

    def careful(self, values: Mapping[str, object]) -> str:
        """Return the path relative to its place, with every value looked at; it makes the error messages."""
        return self.assembled(self.checked(values))

    def assembled(self, values: Mapping[str, PathValue]) -> str:
        """Return the path relative to its place, of values that `checked` gave back."""
        pieces = []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
            elif isinstance(part, Field):
                pieces.append(part.text(values[part.key]))
            else:
                pieces.append(self._derived_text(part, values))
        text = "".join(pieces).rstrip("/")
        for dots in (".", ".."):
            if f"/{dots}/" in f"/{text}/":
                raise InvalidParameter(f"{self.name or self.text}: a folder of {text!r} would be '{dots}'")
        return TAGS.sub(r"\1", text, count=1) if self.is_tagged else text

    def _derived_text(self, part: Derived, values: Mapping[str, PathValue]) -> str:
        given = ", ".join(f"{key} = {values[key]!r}" for key in part.keys if key in values)
        what = f"{given}: " if given else ""
        try:
            return part.text(self.name, values)
        except UnresolvedRoot as error:
            raise UnresolvedRoot(f"{self.name or self.text}: {what}{error}") from None
        except AstraRegistryError as error:
            raise type(error)(f"{self.name or self.text}: {error}") from None
        except ValueError as error:
            raise InvalidParameter(f"{self.name or self.text}: {what}no {part.notation} can be made: {error}") from None

    def checked(self, values: Mapping[str, object]) -> dict[str, PathValue]:
        """Return the values as plain text and numbers, those left empty on purpose taken out, or say what is wrong."""
        self.check_names(values)
        plain = {key: self.checked_value(key, given) for key, given in values.items()}
        return {key: value for key, value in plain.items() if value is not None}

    def check_names(self, names: Collection[str]) -> None:
        """Raise UnknownParameter or MissingParameter unless these are the template's parameters."""
        keys, optional = self.keys, self.optional
        for key in names:
            if key not in keys and key not in optional:
                takes = ", ".join((*keys, *optional)) or "no parameters"
                hint = did_you_mean(key, (*keys, *optional)) or f"; it takes {takes}"
                raise UnknownParameter(f"{self.name or self.text} has no parameter {key!r}{hint}")
        if missing := [key for key in keys if key not in names]:
            raise MissingParameter(f"{self.name or self.text} needs {', '.join(missing)}")

    def checked_value(self, key: str, given: object) -> PathValue | None:
        """Return a value as plain text or a plain number; None for an optional one that is empty."""
        if key in self.optional and (given is None or (isinstance(given, (str, bytes)) and not given)):
            return None
        value = path_values.plain(key, given)
        if isinstance(value, str):
            path_values.check(key, value, subpath=key in self.subpaths)
        return value
