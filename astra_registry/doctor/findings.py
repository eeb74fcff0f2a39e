"""What a check says: that all is well, something to know, or what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

OK, NOTE, WRONG = "ok", "note", "wrong"

Seen = Iterator[tuple[str, ...]]
"""What one check yields: a status, a message, and for what is not ok the remedy."""

PATIENCE = 5.0  # seconds for one server; all are asked at once


@attrs.frozen
class Finding:
    """What one check saw: `ok`, a `note`, or `wrong`; and for what is not ok, the remedy."""

    check: str
    status: str
    message: str
    remedy: str = ""
