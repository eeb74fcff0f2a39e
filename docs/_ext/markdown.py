"""Small pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; a cell's line breaks become blanks, its bars are escaped."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def code(text: str, language: str = "text") -> str:
    """A fenced block."""
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def docstring(thing: object) -> str:
    """A docstring as Markdown: two backticks become one, `::` and `>>>` blocks become fenced ones."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"``([^`\n]+)``", r"`\1`", text)
    text = re.sub(r":(?:class|func|meth|mod|attr|data|exc|obj):`~?\.?([^`]+)`", r"`\1`", text)
    out: list[str] = []
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith(">>>"):
            end = next((i for i in range(at, len(lines)) if not lines[i].strip()), len(lines))
            out += ["```pycon", *lines[at:end], "```"]
            at = end
        elif line.rstrip().endswith("::"):
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip() and lines[i][0] != " "), len(lines))
            block = inspect.cleandoc("\n".join(lines[at + 1 : end]))
            said = line.rstrip()[:-1].rstrip(":")
            out += [said + ":" if said else "", "", "```text", block, "```", ""]
            at = end
        else:
            out.append(_plain(line))
            at += 1
    return "\n".join(out)


def _plain(line: str) -> str:
    # Outside `code`, a name like __init__ or a <tag> would be taken for Markdown or HTML.
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(
        p if p.startswith("`") else re.sub(r"([<>]|__)", lambda m: "".join("\\" + c for c in m[0]), p) for p in parts
    )
