"""What `make bench` measured last: its tables as tables, and the machine once when all suites ran on one."""

from __future__ import annotations

import re
from pathlib import Path

import markdown

LATEST = Path(__file__).parents[3] / "benchmarks/latest.md"
_PRINTED = re.compile(r"^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_WHERE = re.compile(r"^\*(\d{4}-\d\d-\d\d, .*)\*\n\n?", re.MULTILINE)


def page() -> str:
    """The suites, each with what it printed."""
    if not LATEST.exists():
        return "Nothing has been measured on this copy yet: `make bench`.\n"
    text = LATEST.read_text()
    places = set(_WHERE.findall(text))
    if len(places) == 1:
        text = f"All of it on {places.pop()}.\n\n{_WHERE.sub('', text)}"
    return _PRINTED.sub(lambda printed: _shown(printed[1]), text)


def _shown(printed: str) -> str:
    """Tables that are Markdown already as such, to be read across; a suite without any as it was printed."""
    if "\n|" not in f"\n{printed}":
        return markdown.code(printed)
    parts = []
    for part in re.split(r"((?:^\|.*\n)+)", printed, flags=re.MULTILINE):
        parts.append(f"{{.grid}}\n{part}" if part.startswith("|") else part)
    return "\n".join(parts)
