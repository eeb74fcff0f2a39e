"""Which templates may have made a location: a tree of folders, walked name by name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from astra_registry.paths.derived import DerivedGap
from astra_registry.paths.parts import Derived, Field
from astra_registry.paths.template import PathTemplate

T = TypeVar("T")

_GAP = "\0"  # stands for text that is not known, within one folder's name
_DEEP = "\1"  # stands for any number of folders
# Gaps with few texts are as good as literal: with them a name is told from others by its first letters.
_FEW = {
    "apgprefix": ("ap", "as"),
    "apginst": ("apogee-n", "apogee-s"),
    "epochflag": ("", "-epoch"),
    "isplate": ("", "p"),
}


class PathIndex(Generic[T]):
    """Things by the path templates at which they lie.

    A look-up costs a few dictionary look-ups for each folder of a location, however many templates there are: at every
    folder its name is looked up as it is, and by the literal text with which templates begin it there.
    """

    __slots__ = ("_any", "_deep", "_exact", "_here", "_shaped")

    def __init__(self) -> None:
        self._here: list[T] = []
        self._deep: list[T] = []
        self._any: PathIndex[T] | None = None  # below a folder whose whole name is a gap
        self._exact: dict[str, PathIndex[T]] = {}
        # length of a name's literal beginning → beginning → (ending, what stands between gaps, what lies below)
        self._shaped: dict[int, dict[str, list[tuple[str, str, PathIndex[T]]]]] = {}

    def add(self, template: PathTemplate, thing: T) -> None:
        """Put a thing where its template may lie."""
        for text in _shapes(template):
            node = self
            for segment in text.split("/"):
                if _DEEP in segment:
                    node._deep.append(thing)
                    break
                node = node._below(segment)
            else:
                node._here.append(thing)

    def _below(self, segment: str) -> PathIndex[T]:
        if _GAP not in segment:
            return self._exact.setdefault(segment, PathIndex())
        if segment == _GAP:
            if self._any is None:
                self._any = PathIndex()
            return self._any
        head, *between, tail = segment.split(_GAP)
        inside = max(between, key=len, default="")
        siblings = self._shaped.setdefault(len(head), {}).setdefault(head, [])
        for known_tail, known_inside, node in siblings:
            if (known_tail, known_inside) == (tail, inside):
                return node
        siblings.append((tail, inside, PathIndex()))
        return siblings[-1][2]

    @property
    def tops(self) -> frozenset[str]:
        """The names of first folders that are literal."""
        return frozenset(self._exact)

    def find(self, segments: Sequence[str], start: int = 0) -> list[T]:
        """Return the things that may lie at a location, given as its folders and the file's name, from `start` on."""
        found: list[T] = []
        end = len(segments)
        waiting: list[tuple[PathIndex[T], int]] = [(self, start)]
        while waiting:
            node, i = waiting.pop()
            while True:
                if node._deep:
                    found += node._deep
                if i == end:
                    found += node._here
                    break
                name = segments[i]
                i += 1
                if node._any is not None:
                    waiting.append((node._any, i))
                if node._shaped:
                    for length, beginnings in node._shaped.items():
                        for tail, inside, below in beginnings.get(name[:length], ()):
                            if name.endswith(tail) and inside in name:
                                waiting.append((below, i))
                exact = node._exact.get(name)
                if exact is None:
                    break
                node = exact
        return found


def _shapes(template: PathTemplate) -> Iterator[str]:
    """Yield the location with gaps marked, in each number of folders that it may have."""
    pieces: list[Sequence[str]] = []
    for part in template.parts:
        if isinstance(part, str):
            pieces.append((part,))
        elif isinstance(part, Field):
            pieces.append((_DEEP if part.key in template.subpaths else _GAP,))
        elif part.roots:
            pieces.append([root for root in part.roots.values() if isinstance(root, str)])
        else:
            pieces.append(_derived_shapes(part))
    return (re.sub(f"{_GAP}+", _GAP, "".join(shape)) for shape in itertools.product(*pieces))


def _derived_shapes(part: Derived) -> list[str]:
    shapes = {"".join(texts) for texts in itertools.product(*(_gap_shapes(*gap) for gap in part.gaps))}
    if not part.whole:
        return sorted(shapes)
    may_be_none = all(re.fullmatch(gap.pattern, "") for _, gap in part.gaps)
    return [*(f"{shape}/" for shape in sorted(shapes) if shape), *([""] if may_be_none else [])]


def _gap_shapes(function: str, gap: DerivedGap) -> Sequence[str]:
    if function in _FEW:
        return _FEW[function]
    if "/" in gap.wildcard:
        return ("/".join(_GAP for _ in gap.wildcard.split("/")),)
    if gap.pattern == ".*?":  # of a newer sdss_access than ours: who knows
        return (_DEEP,)
    folders = gap.pattern.replace("[^/]", "").count("/")
    return ["/".join([_GAP] * (n + 1)) for n in range(folders + 1)]
