"""The tree's notation, read: from a template's text and the roots of a release to a `PathTemplate`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs

from astra_registry.errors import BadValue, UnresolvedRoot, UnsafePath
from astra_registry.paths.derived import DerivedGap
from astra_registry.paths.layout import TAGS
from astra_registry.paths.parts import Derived, Field, Part
from astra_registry.paths.roots import ELSEWHERE, PRODUCT, SAS, resolve
from astra_registry.paths.template import PathTemplate

_TOKEN = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}|@(\w+)\||([{}])")


def parse(
    text: str,
    roots: Mapping[str, str],
    derived_gap: Callable[[str], DerivedGap],
    *,
    name: str = "",
    subpaths: Sequence[str] = (),
) -> PathTemplate:
    """Return the template that *text* writes down, with the roots of a release.

    *derived_gap* gives the meaning of a derived gap's name. Raises UnresolvedRoot when the root is not defined, and
    BadValue for what is no template.
    """
    text = text.strip()
    if not text.startswith(("$", "@")):
        raise BadValue(f"{text!r} is no template: it does not begin with a root, like $APOGEE_REDUX/")
    lead = _TOKEN.match(text)
    if lead is not None and lead[3]:
        gap = derived_gap(lead[3])
        place, parts = SAS, _parsed(text[lead.end() :], derived_gap, text)
        parts.insert(0, Derived(((lead[3], gap),), False, _chosen_roots(gap, roots)))
    else:
        end = len(re.split(r"[/{@]", text, maxsplit=1)[0])
        place, root = resolve(text[:end], roots)
        parts = [root, *_parsed(text[end:], derived_gap, text)]
    return PathTemplate(name, text, place, _normal(parts, place), frozenset(subpaths))


def _chosen_roots(gap: DerivedGap, roots: Mapping[str, str]) -> Mapping[str, str | UnresolvedRoot]:
    chosen: dict[str, str | UnresolvedRoot] = {}
    for variable in gap.roots:
        try:
            place, folder = resolve(f"${variable}", roots)
        except UnresolvedRoot as error:
            chosen[f"${variable}"] = error
        else:
            if place == SAS:
                chosen[f"${variable}"] = folder
            else:
                chosen[f"${variable}"] = UnresolvedRoot(f"the root ${variable} does not lie on the SAS")
    return MappingProxyType(chosen)


def _parsed(text: str, derived_gap: Callable[[str], DerivedGap], whole: str) -> list[Part]:
    parts: list[Part] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        key, spec, function, stray = token.groups()
        if stray:
            raise BadValue(f"{whole!r} is no template: a brace stands alone")
        if function:
            parts.append(Derived(((function, derived_gap(function)),)))
            continue
        # The tree has one typo, {dib_model | None}: that key is dib_model.
        key = key.split("|")[0].strip()
        if not key.isidentifier():
            raise BadValue(f"{whole!r} is no template: {{{key}}} is no name of a parameter")
        parts.append(Field(key, spec or ""))
    parts.append(text[end:])
    return parts


def _normal(parts: Sequence[Part], place: str) -> tuple[Part, ...]:
    """Return the parts with neighbours joined, slashes single, and each derived folder marked with its slash."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        elif isinstance(part, Derived) and isinstance(last, Derived) and not last.roots:
            joined[-1] = Derived((*last.gaps, *part.gaps))
        elif part != "":
            joined.append(part)
    for i, part in enumerate(joined):
        if isinstance(part, str):
            joined[i] = re.sub("/+", "/", part)
    if joined and isinstance(joined[0], str) and place == PRODUCT:
        joined[0] = TAGS.sub(r"\1", joined[0], count=1)
    if joined and isinstance(joined[0], str) and place != ELSEWHERE:
        joined[0] = joined[0].lstrip("/")
    at_start = True  # of a folder's name
    for i, part in enumerate(joined):
        after = joined[i + 1] if i + 1 < len(joined) else ""
        if isinstance(part, str):
            at_start = part.endswith("/") or (at_start and not part)
            continue
        whole = at_start and isinstance(part, Derived) and not part.roots and part.may_be_empty
        at_start = False
        if whole and isinstance(part, Derived) and isinstance(after, str) and after.startswith("/"):
            joined[i] = attrs.evolve(part, whole=True)
            joined[i + 1] = after[1:]
            at_start = True
    literal = "".join(part if isinstance(part, str) else "x" for part in joined)
    if any(segment in (".", "..") for segment in literal.split("/")):
        raise UnsafePath(f"a template may not hold '.' or '..': {literal!r}")
    return tuple(part for part in joined if part != "")
