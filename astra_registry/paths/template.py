"""A path template: the tree's notation for where a product lies, with `location` and `match`, inverse to each other.

In ``$APOGEE_REDUX/{apred}/visit/{telescope}/@apgprefix|Visit-{fiber:0>3}.fits`` there are a root, three fields (one
with a format) and a derived gap. A template is parsed once; then a location is one look-up, one format and one check.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property

import attrs

from astra_registry.errors import NotOnSas
from astra_registry.paths import matching
from astra_registry.paths.columns import Columns
from astra_registry.paths.compiled import Maker, maker
from astra_registry.paths.layout import Layout
from astra_registry.paths.roots import PRODUCT, SAS


@attrs.frozen(eq=False, repr=False, slots=False)
class PathTemplate(Layout):
    """Where one product of one release lies. Immutable; made by `Tree.path_template` and `Tree.compile`."""

    def __repr__(self) -> str:
        return f"<PathTemplate {self.name}: {self.text}>"

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

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A regular expression that every location matches; what else matches it, `match` sorts out."""
        return matching.pattern(self)

    def match(self, location: str, *, padded: bool = False) -> dict[str, str] | None:
        """Return the values, as text without padding, that give this location, or None when none do.

        *padded* leaves the zeros that a format added in front of numbers, as sdss_access's `extract` does.
        """
        return matching.match(self, self.pattern, self.below, location, padded=padded)
