"""The kinds of values that a setting may have: text or a TOML value in, a checked value out.

A kind raises ValueError with what it wants; *folder* is what a relative path is relative to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-fA-F:.]+\]|[^/:?#\[\]\s]+)(:[0-9]+)?(/[^?#\s]*)?", re.ASCII)
_LONGEST = 1e9  # seconds, 31 years: sockets and locks refuse to wait for some that are longer
_POWERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def text(value: object, folder: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text")
    return value.strip()


def path(value: object, folder: str) -> str:
    """An absolute path: `~` is the home folder, a relative path starts at *folder*."""
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise ValueError("a path")
    expanded = os.path.expanduser(given.strip())
    if expanded.startswith("~"):  # it would become a folder of that name
        raise ValueError("a path; there is no such home folder")
    return os.path.join(folder, expanded).rstrip("/") or "/"


def url(value: object, folder: str) -> str:
    """A URL with its scheme, without the slash at its end, and without a login: that would end up in messages.

    Paths are put after it, so that it has neither query nor fragment; all but ``file:`` need a host.
    """
    given = value.strip() if isinstance(value, str) else ""
    plain = re.sub(r"^([a-z0-9+.-]+://)[^/]*@", r"\1", given).rstrip("/")
    if not _URL.fullmatch(plain) and not re.fullmatch(r"file:/[^?#\s]*", given):
        raise ValueError("a URL such as https://data.example.org")
    return plain


def switch(value: object, folder: str) -> bool:
    """True or false, in one of their usual spellings."""
    try:
        return _SWITCHES[str(value).strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def count(value: object, folder: str) -> int:
    """A whole number, not negative."""
    return _whole(value, 0)


def workers(value: object, folder: str) -> int:
    """A whole number of at least one."""
    return _whole(value, 1)


def _whole(value: object, least: int) -> int:
    # int() alone would take "1_0", 2.5 and True.
    if isinstance(value, str) and re.fullmatch(r"[0-9]+", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"a whole number of at least {least}")
    return value


def seconds(value: object, folder: str) -> float:
    """A time in seconds, above 0 and such as a clock can count."""
    try:
        number = float("nan") if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number <= _LONGEST:
        raise ValueError("a number of seconds above 0" if not number > _LONGEST else "at most 1,000,000,000 seconds")
    return number


def rate(value: object, folder: str) -> int:
    """Bytes a second: 500000, '500k', '2.5M', '2.5 MB/s'."""
    found = re.fullmatch(r"([0-9]+\.?[0-9]*)\s*([kmg]?)(b?(/s)?)?", str(value).strip().lower())
    bytes_a_second = int(float(found[1]) * _POWERS[found[2]]) if found else 0
    if bytes_a_second < 1:
        raise ValueError("bytes a second, such as 500k or 2.5M")
    return bytes_a_second


def names(value: object, folder: str) -> tuple[str, ...]:
    """Several names: a TOML list, or text with commas; the empty text is no name at all."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("names separated by commas")
    return tuple(part.strip() for part in parts if part.strip())


def urls(value: object, folder: str) -> tuple[str, ...]:
    """Several URLs, like names."""
    return tuple(url(part, folder) for part in names(value, folder))


def paths(value: object, folder: str) -> tuple[str, ...]:
    """Several paths, like names."""
    return tuple(path(part, folder) for part in names(value, folder))


def pairs(value: object, folder: str) -> Mapping[str, str]:
    """Names for names: a TOML table, or text like 'spec=astra-registry-spec,apStar=mine'."""
    wanted = "pairs such as spec=astra-registry-spec"
    if isinstance(value, str):
        split = (part.partition("=") for part in value.split(",") if part.strip())
        value = {left.strip(): right.strip() for left, _, right in split}
    if not isinstance(value, Mapping):
        raise ValueError(wanted)
    if not all(isinstance(right, str) and left and right for left, right in value.items()):
        raise ValueError(wanted)
    return dict(value)


def one_of(*choices: str) -> Callable[[object, str], str]:
    """The kind of a text that is one of *choices*."""

    def choice(value: object, folder: str) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return choice
