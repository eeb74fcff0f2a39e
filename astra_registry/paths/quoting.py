"""How a location is written in a URL, and read from one; and whether a name is text at all."""

from __future__ import annotations

import re

# What has a meaning of its own in a URL, or no place there. sdss_access quotes nothing.
UNSAFE = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/]")


def is_text(name: str) -> bool:
    """Whether a name is text: a file system takes any bytes, and Python has those that are none as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(location: str) -> str:
    """Return a location as it stands in a URL; most are the same there."""
    if not UNSAFE.search(location):
        return location
    from urllib.parse import quote

    return quote(location, safe="/-._~!$&'()*+,;=:@")


def unquoted(text: str) -> str:
    """Return what a part of a URL says; bytes that are no text stay what they are, as in names of files."""
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text, errors="surrogateescape")
