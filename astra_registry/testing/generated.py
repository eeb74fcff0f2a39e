"""Hypothesis strategies for a product's parameters, made from what the product declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from astra_registry.errors import InvalidParameter, MissingParameter, UnresolvedRoot
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.paths.parts import Derived, Field
from astra_registry.product import DataProduct
from astra_registry.release import releases, versions
from astra_registry.released import ReleasePlan

# Text without what separates values in file names, so that a path tells which value is which.
_TEXT = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,7}", fullmatch=True)
_NUMBERS = st.one_of(st.integers(1, 99_999), st.integers(100_000, 10**10))


def products(product: type[DataProduct], release: str, *, size: int | None = None) -> st.SearchStrategy[DataProduct]:
    """Return a strategy for products of a release (or batches of `size`), with parameters drawn from declarations.

    Choices, the values of declared `examples`, numbers and plain text. What has a default is given or left out.
    Parameters that hypothesis cannot know are its own, and a path may still refuse them: `path` tells.
    """
    plan = product.plan(release)
    numbers, words, choosing = _numbers(plan), _words(plan), _choosing_roots(plan)
    strategies = {
        attribute: values(
            product._parameters[attribute],
            _seen(product, attribute, release),
            is_number=attribute in numbers,
            is_word=attribute in words,
        )
        if attribute not in choosing
        else choosing[attribute]
        for attribute in plan.used
        if attribute in product._in_paths
    }
    if size is None:
        return _one(product, release, plan, strategies)
    columns = {
        attribute: st.lists(strategy, min_size=size, max_size=size)
        if product._parameters[attribute].batch
        else strategy
        for attribute, strategy in strategies.items()
    }
    return _one(product, release, plan, columns)


@st.composite
def _one(
    draw: st.DrawFn,
    product: type[DataProduct],
    release: str,
    plan: ReleasePlan,
    strategies: Mapping[str, st.SearchStrategy[Any]],
) -> DataProduct:
    given: dict[str, Any] = {"release": release}
    derived: list[str] = []
    left_out: list[str] = []
    for attribute, strategy in strategies.items():
        declared = product._parameters[attribute]
        if callable(declared.default):
            derived.append(attribute)
        elif _is_needed(product, declared, release, plan) or draw(st.booleans()):
            given[declared.name] = draw(strategy)
        else:
            left_out.append(attribute)
    try:
        made = product(**given)
        path(made)
    except (InvalidParameter, MissingParameter):
        # Not every value tells what follows from it (a star's position, from its name), and some values ask for
        # another (a FITS file of targets, for its number): then all is given.
        given.update((product._parameters[a].name, draw(strategies[a])) for a in (*derived, *left_out))
        return product(**given)
    return made


def values(
    declared: Parameter,
    seen: Iterable[Any] = (),
    *,
    is_number: bool = False,
    is_word: bool = False,
) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of one parameter; `seen` are values that are known to be real.

    A text may have to be a number, or to begin with a letter, for the path to tell it again.
    """
    real = list(dict.fromkeys(seen))
    if declared.choices is not None:
        return st.sampled_from(declared.choices)
    made: list[st.SearchStrategy[Any]] = [st.sampled_from(real)] if real else []
    if declared.type is int:
        made.append(_NUMBERS)
    elif declared.type is float:
        made.append(st.integers(1, 9999).map(float))
    elif declared.type is bool:
        made.append(st.booleans())
    elif declared.type is str:
        if is_number or not is_word:
            made.append(_NUMBERS.map(str))
        if not is_number:
            made.append(_TEXT)
    elif not made:
        made.append(st.from_type(declared.type))
    return st.one_of(made).filter(lambda value: _is_taken(declared, value))


def path(product: DataProduct) -> Any:
    """Return the local path (of a batch: the paths), or None when the template cannot be filled with these values."""
    try:
        return product.local_path
    except (InvalidParameter, UnresolvedRoot):  # a value may choose a root that the release does not have
        return None


def _is_taken(declared: Parameter, value: Any) -> bool:
    try:
        declared.convert(value)
    except InvalidParameter:
        return False
    return True


def _is_needed(product: type[DataProduct], declared: Parameter, release: str, plan: ReleasePlan) -> bool:
    default = product._default(declared.attribute, {"release": release})
    return default is REQUIRED or (default is None and declared.attribute in plan.required)


def _numbers(plan: ReleasePlan) -> set[str]:
    """Return the attributes that the template takes as numbers, whatever their type."""
    keys: set[str] = set()
    for template in plan.templates:
        for part in template.parts:
            # What is padded with zeros: of a text such as 00K nobody could say how many of them are its own.
            if isinstance(part, Field) and part.spec:
                keys.add(part.key)
            elif isinstance(part, Derived):
                keys.update(key for _, gap in part.gaps for key in gap.integers)
    return {attribute for key, attribute in plan.keys if key in keys}


# Versions of SDSS-I/II, which have a root of their own.
_LEGACY = frozenset(("26", "103", "104"))


def _choosing_roots(plan: ReleasePlan) -> dict[str, st.SearchStrategy[Any]]:
    """Return strategies for the attributes that choose the template's root: real versions whose root is there."""
    found = {}
    attributes = dict(plan.keys)
    for part in plan.templates[0].parts:
        if not isinstance(part, Derived) or not part.roots:
            continue
        for key in set(part.keys) & set(attributes):
            real = sorted(
                _LEGACY | {value for release in releases() for value in versions(release).get(key, {}).values()}
            )
            working = [value for value in real if _has_root(part, key, value)]
            if working:
                found[attributes[key]] = st.sampled_from(working)
    return found


def _has_root(part: Derived, key: str, value: str) -> bool:
    try:
        part.text("", {key: value})
    except (UnresolvedRoot, ValueError, KeyError, TypeError):
        return False
    return True


def _words(plan: ReleasePlan) -> set[str]:
    """Return the attributes that only a derived gap shows, and only when they are given: a letter after a number."""
    optional = {key for template in plan.templates for key in template.optional}
    return {attribute for key, attribute in plan.keys if key in optional}


def _seen(product: type[DataProduct], attribute: str, release: str) -> list[Any]:
    """Return real values: those of the examples, and the release's own versions of its pipelines."""
    own = versions(release).get(product._parameters[attribute].name, {})
    return [*own.values()] + [
        value
        for _, parameters in product.examples
        for name, value in parameters.items()
        if product._spellings.get(name) == attribute
    ]
