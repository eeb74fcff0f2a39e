"""The dates in the heads of answers: when a file was last changed, and how long to wait.

Servers write them in one form (RFC 9110, 5.6.7), which is read here at once; what reads the older forms too is part of
the standard library's mail package, and loading that takes as long as a small file over a slow line.
"""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USUAL = re.compile(rf"[A-Z][a-z]{{2}}, (\d\d) ({'|'.join(_MONTHS)}) (\d{{4}}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)


def modified(headers: dict[str, str]) -> float | None:
    """Return the time of a Last-Modified header in seconds since 1970, or None."""
    seconds = _seconds(headers.get("last-modified", ""))
    return seconds if seconds is not None and 0 < seconds < math.inf else None


def retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, or None."""
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    seconds = _seconds(text)
    return None if seconds is None else max(0.0, seconds - time.time())


def _seconds(text: str) -> float | None:
    """Return the time that a header's text tells in seconds since 1970, or None."""
    usual = _USUAL.fullmatch(text)
    try:
        if usual:
            day, month, *rest = usual.groups()
            year, hour, minute, second = map(int, rest)
            return datetime(year, 1 + _MONTHS.index(month), int(day), hour, minute, second, tzinfo=UTC).timestamp()
        if not text:
            return None
        from email.utils import mktime_tz, parsedate_tz

        told = parsedate_tz(text)
        return None if told is None else float(mktime_tz(told))
    except (TypeError, ValueError, OverflowError):
        return None
