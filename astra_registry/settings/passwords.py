"""Text without the passwords that URLs may hold, for whatever is shown to people."""

from __future__ import annotations

import re

# Generous: what stands between a name and the last @ may hold any character, also where it should be quoted.
_AFTER_NAME = re.compile(r"((?:^|//|\s|')[^/@:\s]*:)(?!//)\S*@")
_IN_QUERY = re.compile(r"(?i)([?&](?:ssl)?password=)[^&#\s']*")


def without_passwords(text: str) -> str:
    """Return the text with ``***`` in place of the passwords of URLs, well written or not."""
    return _IN_QUERY.sub(r"\1***", _AFTER_NAME.sub(r"\1***@", text))
