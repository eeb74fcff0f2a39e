"""How a location is written in a URL, and read from one."""

from __future__ import annotations

import re

# What has a meaning of its own in a URL, or no place there. sdss_access quotes nothing.
UNSAFE = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/]")


def quoted(location: str) -> str:
    """Return a location as it stands in a URL; most are the same there."""
    if not UNSAFE.search(location):
        return location
    from urllib.parse import quote

    return quote(location, safe="/-._~!$&'()*+,;=:@")


def unquoted(text: str) -> str:
    """Return what a part of a URL says."""
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)
