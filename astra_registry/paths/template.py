"""A path template: the tree's notation for where a product lies, with `location` and `match`, inverse to each other.

In ``$APOGEE_REDUX/{apred}/visit/{telescope}/@apgprefix|Visit-{fiber:0>3}.fits`` there are a root, three fields (one
with a format) and a derived gap. A template is parsed once; then a location is one look-up, one format and one check.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from functools import cached_property

import attrs

from astra_registry.errors import (
    AstraRegistryError,
    InvalidParameter,
    MissingParameter,
    NotOnSas,
    UnknownParameter,
    UnresolvedRoot,
    did_you_mean,
)
from astra_registry.paths import matching
from astra_registry.paths import values as path_values
from astra_registry.paths.columns import Columns
from astra_registry.paths.compiled import Maker, maker
from astra_registry.paths.derived import DerivedGap
from astra_registry.paths.parts import Derived, Field, Part
from astra_registry.paths.roots import PRODUCT, SAS
from astra_registry.paths.values import PathValue

# Software lies in a folder of its version; in the repository that folder is one of `tags/`.
TAGS = re.compile(r"tags/(v?[0-9._]+)")
_SHORTENED = re.compile(r"\.\d+s?$")


@attrs.frozen(eq=False, repr=False, slots=False)
class PathTemplate:
    """Where one product of one release lies. Immutable; made by `Tree.path_template` and `Tree.compile`."""

    name: str
    """The product's name: some derived gaps depend on it."""
    text: str
    place: str
    """What the location is relative to: the SAS, the folder of software products, or nothing."""
    parts: tuple[Part, ...]
    subpaths: frozenset[str] = frozenset()
    """The parameters whose values may hold ``/``."""

    def __repr__(self) -> str:
        return f"<PathTemplate {self.name}: {self.text}>"

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
    def pattern(self) -> re.Pattern[str]:
        """A regular expression that every location matches; what else matches it, `match` sorts out."""
        return matching.pattern(self)

    @cached_property
    def _gaps(self) -> tuple[DerivedGap, ...]:
        return tuple(gap for part in self.parts if isinstance(part, Derived) for _, gap in part.gaps)

    # ------------------------------------------------------------ values → location

    def location(self, values: Mapping[str, object]) -> str:
        """Return the location, relative to the top of the SAS.

        Raises MissingParameter, UnknownParameter, InvalidParameter for the values; UnresolvedRoot when they choose a
        root that the release does not have; NotOnSas for a software product.
        """
        self._demand_sas()
        return self.below(values)

    def _demand_sas(self) -> None:
        if self.place != SAS:
            what = "is a software product, or lies beside the SAS" if self.place == PRODUCT else "lies where you put it"
            raise NotOnSas(f"{self.name or self.text} {what}: it has no location and no URL on the SAS")

    @cached_property
    def below(self) -> Maker:
        """The function from values to the path relative to its place (the SAS, or the folder of software products)."""
        # Once it knows the types that the values have, a faster one takes this place.
        return maker(self, lambda faster: self.__dict__.update(below=faster))

    def maker(self, before: str, became: Callable[[Maker], None]) -> Maker:
        """Return what `below` is, with *before* in front of each path; *became* is told the faster one in time."""
        return maker(self, became, before)

    @cached_property
    def is_tagged(self) -> bool:
        """Whether a value stands in the folder `tags/` that software has in its repository, and not on disk."""
        return self.place == PRODUCT and any("tags/" in part for part in self.parts if isinstance(part, str))

    @cached_property
    def may_shorten(self) -> bool:
        """Whether a format keeps but the beginning of a text (``{version:.3}``), which may then be a dot or two."""
        return any(isinstance(part, Field) and _SHORTENED.search(part.spec) for part in self.parts)

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

    # ------------------------------------------------------------ columns → locations

    def locations(
        self,
        columns: Mapping[str, object],
        size: int | None = None,
        *,
        before: str = "",
        escape: Callable[[str], str] | None = None,
    ) -> list[str]:
        """Return the locations of many products at once, from a column (or one value for all) of each parameter.

        *size* is their number; by default the columns tell it. *before* is put in front of each, *escape* changes
        those that hold what a URL may not. Raises as `location` does, naming the row, and UnequalLengths.
        """
        self._demand_sas()
        return Columns(self, columns, size).paths(before, escape)

    # ------------------------------------------------------------ location → values

    def match(self, location: str) -> dict[str, str] | None:
        """Return the values, as text without padding, that give this location, or None when none do."""
        return matching.match(self, location)
