"""From a location back to the values of its template: the inverse of `PathTemplate.location`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

from astra_registry.errors import AstraRegistryError, UnresolvedRoot
from astra_registry.paths.compiled import Maker
from astra_registry.paths.derived import tells_nothing
from astra_registry.paths.layout import Layout
from astra_registry.paths.parts import Derived, Field

_ZEROS = re.compile(r"0>(\d+)d?")
# Values that stand next to others, and how they look.
_FORMS = {"dr": "DR[0-9]{1,2}"}
_CUT = re.compile(r"0?\.(\d+)")


def pattern(layout: Layout) -> re.Pattern[str]:
    """Return a regular expression that every location of the template matches.

    A parameter's group bears its name when the path shows it as it is; formatted fields and derived gaps have groups
    of their own, since their text is not the value.
    """
    return _pattern(layout, {})


def typed_pattern(layout: Layout, integers: Collection[str]) -> re.Pattern[str]:
    """Return the pattern when it is known which parameters are integers."""
    return _pattern(layout, {}, integers)


def _certain(layout: Layout, found: re.Match[str]) -> re.Pattern[str]:
    """Return the pattern with what follows from parameters that are folders of their own, as found, in its place."""
    known = {}
    for before, part, after in zip(("/", *layout.parts), layout.parts, (*layout.parts[1:], ""), strict=False):
        if (
            isinstance(part, Field)
            and not part.spec
            and (isinstance(before, str) and before.endswith("/"))
            and (isinstance(after, str) and after.startswith("/"))
        ):
            known[part.key] = found[part.key]
    return _pattern(layout, known)


def _pattern(layout: Layout, known: Mapping[str, str], integers: Collection[str] = ()) -> re.Pattern[str]:
    integers = {
        key for part in layout.parts if isinstance(part, Derived) for _, gap in part.gaps for key in gap.integers
    }.union(integers)
    # A group must come before what refers to it, and a value is best known from where it is shown as it is.
    seen: set[str] = set()
    folders: dict[str, str] = {}
    pieces = []
    for i, part in enumerate(layout.parts):
        if isinstance(part, str):
            pieces.append(re.escape(part))
        elif isinstance(part, Field):
            if part.spec and part.key in known:
                same = f"_{_group(f'{part.key}:{part.spec}')}"
                pieces.append(
                    f"(?P={same})" if same in seen else f"(?P<{same}>{re.escape(part.text(known[part.key]))})"
                )
                seen.add(same)
                continue
            text = ".+?" if part.key in layout.subpaths else folders.get(part.key)
            pieces.append(_field(part, seen, part.key in integers, text))
        else:
            pieces.append(_derived(part, i, seen))
            if part.whole and len(part.gaps) == 1 and (key := part.gaps[0][1].shows):
                folders[key] = f"(?(_gap{i}_0)(?P=_gap{i}_0)|[^/]+?)"  # the folder's text, unless it was left out
    return re.compile("".join(pieces))


def _field(field: Field, seen: set[str], integer: bool, text: str | None) -> str:
    if not field.spec:
        if field.key in seen:
            return f"(?P={field.key})"
        seen.add(field.key)
        if text is None:
            text = "-?[1-9][0-9]*|0" if integer else "|".join(filter(None, (_FORMS.get(field.key), "[^/]+?")))
        return f"(?P<{field.key}>{text})"
    same = f"{field.key}:{field.spec}"
    if same in seen:
        return f"(?P=_{_group(same)})"
    seen.add(same)
    if zeros := _ZEROS.fullmatch(field.spec):
        digits = integer or field.spec.endswith("d")
        longer = f"{{{zeros[1]},}}?"  # than its format makes it, with zeros in front of its sign
        return f"(?P<_{_group(same)}>{f'[0-9]{longer}|0*-[0-9]+?' if digits else f'[^/]{longer}'})"
    if cut := _CUT.fullmatch(field.spec):
        return f"(?P<_{_group(same)}>[^/]{{1,{cut[1]}}}?)"
    if field.spec == "d":
        return f"(?P<_{_group(same)}>-?[0-9]+)"
    return f"(?P<_{_group(same)}>[^/]+?)"


def _group(same: str) -> str:
    """Return a name for the group of a formatted field."""
    return re.sub(r"\W", lambda found: f"_{ord(found[0])}_", same)


def _derived(part: Derived, i: int, seen: set[str]) -> str:
    if part.roots:
        folders = [re.escape(root) for root in part.roots.values() if isinstance(root, str)]
        return f"(?P<_gap{i}_0>{'|'.join(folders)})"
    pieces = []
    for j, (function, gap) in enumerate(part.gaps):
        same = f"@{function}"
        if same in seen:
            pieces.append(f"(?P=_{function})")
        elif part.whole:
            # Not to be referred to: where a folder is left out, its group has no text.
            pieces.append(f"(?P<_gap{i}_{j}>{gap.pattern})")
        else:
            seen.add(same)
            pieces.append(f"(?P<_{function}>{gap.pattern})")
    return f"(?:{''.join(pieces)}/)?" if part.whole else "".join(pieces)


def match(
    layout: Layout, pattern: re.Pattern[str], make: Maker, location: str, *, padded: bool
) -> dict[str, str] | None:
    """Return the values, as text, that give this location, or None when none do; see `PathTemplate.match`.

    *pattern* and *make*, from values to locations, are those of the layout.
    """
    found = pattern.fullmatch(location)
    if found is None:
        return None

    def gives(values: dict[str, str]) -> bool:
        try:
            return make(values) == location
        except (AstraRegistryError, UnresolvedRoot):
            return False

    values = _values(layout, found)
    if values is None or not gives(values):
        # The text can be divided in several ways. What a whole folder shows is certain; with it, once more.
        found = _certain(layout, found).fullmatch(location)
        values = _values(layout, found) if found else None
        if values is None or not gives(values):
            return None
    if not padded:
        for key, value in values.items():
            if value.startswith("0") and value.isdecimal() and len(value) > 1:
                bare = {**values, key: value.lstrip("0") or "0"}
                if gives(bare):
                    values = bare
    return values


Reader = Callable[["re.Match[str]"], "dict[str, str] | None"]


@lru_cache(maxsize=8192)
def reader(layout: Layout, pattern: re.Pattern[str]) -> Reader:
    """Return the function from a match of the template's pattern to values, not yet proven.

    It returns None when the text contradicts itself.
    """
    groups = pattern.groupindex
    shown = {key: groups[key] for key in layout.keys if key in groups}
    formatted = [
        (part.key, groups[f"_{_group(f'{part.key}:{part.spec}')}"])
        for part in layout.parts
        if isinstance(part, Field) and part.spec and part.key not in shown
    ]
    several = len({key for key, _ in formatted}) < len(set(formatted))
    if not several:
        shown.update(formatted)
    told = [
        (gap.inverse, [groups[name] for name in (f"_gap{i}_{j}", f"_{function}") if name in groups])
        for i, part in enumerate(layout.parts)
        if isinstance(part, Derived)
        for j, (function, gap) in enumerate(part.gaps)
        if gap.inverse is not tells_nothing
    ]
    keys, numbers = tuple(shown), tuple(shown.values())

    def read(found: re.Match[str]) -> dict[str, str] | None:
        texts = found.groups()
        values = {key: texts[number - 1] for key, number in zip(keys, numbers, strict=True)}
        if several:
            for key, number in formatted:
                text = texts[number - 1]
                if len(text) > len(values.get(key, "")):  # of a value cut to several lengths, the longest
                    values[key] = text
        for inverse, places in told:
            text = next((texts[number - 1] for number in places if texts[number - 1]), "")
            more = inverse(text, values)
            if more is None:
                return None
            values.update(more)
        return values

    return read


def _values(layout: Layout, found: re.Match[str]) -> dict[str, str] | None:
    values = reader(layout, found.re)(found)
    return values and {key: values[key] for key in (*layout.keys, *layout.optional) if key in values}
