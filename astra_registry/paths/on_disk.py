"""What lies on disk: the file at a path in either compression, and the files that wildcards stand for."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Mapping, Sequence

from astra_registry.errors import AstraRegistryError, BadValue
from astra_registry.paths.parts import Field
from astra_registry.paths.template import PathTemplate

COMPRESSIONS = (".gz", ".bz2", ".zip", ".fz")


def spellings(path: str) -> list[str]:
    """Return the names under which the file of that path may lie: as it is, uncompressed, compressed."""
    stem, suffix = os.path.splitext(path)
    if suffix not in COMPRESSIONS:
        stem = path
    return list(dict.fromkeys([path, stem, *(stem + compression for compression in COMPRESSIONS)]))


def find(path: str) -> str | None:
    """Return the path of the file that lies there, in whatever compression, or None."""
    return next((spelling for spelling in spellings(path) if os.path.isfile(spelling)), None)


def wild(template: PathTemplate, values: Mapping[str, object]) -> str:
    """Return the path relative to its place with wildcards as they are: unpadded, and also in derived gaps."""
    plain = template.checked(values)
    pieces = []
    for part in template.parts:
        if isinstance(part, str):
            pieces.append(glob.escape(part))
        elif isinstance(part, Field):
            value = plain[part.key]
            pieces.append(str(value) if _is_wild(value) else part.text(value))
        else:
            try:
                pieces.append(part.text(template.name, plain))
            except (AstraRegistryError, ValueError, KeyError):
                if not any(_is_wild(plain.get(key)) for key in part.keys):
                    return template.assembled(plain)  # it says what is wrong
                pieces.append("".join(gap.wildcard for _, gap in part.gaps) + ("/" if part.whole else ""))
    return "".join(pieces)


def _is_wild(value: object) -> bool:
    return isinstance(value, str) and glob.has_magic(value)


def expand(pattern: str) -> list[str]:
    """Return the files that a path with wildcards stands for, sorted, in whatever compression."""
    accepted = spellings(pattern)
    stem = min(accepted, key=len)
    return sorted(
        path
        for path in glob.glob(stem + "*")
        if any(fnmatch.fnmatchcase(path, spelling) for spelling in accepted) and os.path.isfile(path)
    )


def refine(files: Sequence[str], regex: str, filterdir: str = "out") -> list[str]:
    """Return the files in which *regex* is found; with *filterdir* ``in`` those in which it is not."""
    if filterdir not in ("in", "out"):
        raise BadValue(f"filterdir is {filterdir!r}; it takes 'out' (keep what matches) or 'in' (leave it away)")
    try:
        search = re.compile(regex).search
    except re.error as error:
        raise BadValue(f"{regex!r} is no regular expression: {error}") from None
    return [file for file in files if bool(search(file)) is (filterdir == "out")]
