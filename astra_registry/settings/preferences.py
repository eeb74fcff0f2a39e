"""Which of two plugins brings a product, written into the user's configuration; the rest of the file stays as it is."""

from __future__ import annotations

import json
import os
import re
import tomllib

from astra_registry.atomic import written
from astra_registry.errors import BadSetting
from astra_registry.settings import config_file

_HEADER = re.compile(r"^[ \t]*\[[ \t]*prefer[ \t]*\][ \t]*(#.*)?$", re.MULTILINE)
_NEXT_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


def prefer(product: str, distribution: str) -> str:
    """Write that a distribution's product is the one to use, and return the path of the configuration file.

    Raises BadSetting when the file is no TOML, or is written in a way that cannot be changed line by line.
    """
    path = config_file()
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} cannot be read: {error}") from None
    after = with_preference(before, product, distribution, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with written(path, overwrite=True) as private, open(private, "w", encoding="utf-8") as file:
        file.write(after)
    return path


def with_preference(text: str, product: str, distribution: str, path: str = "the configuration") -> str:
    """Return a configuration's text with one entry of its table ``[prefer]`` added or changed."""
    key = product if re.fullmatch(r"[A-Za-z0-9_-]+", product) else json.dumps(product)
    line = f"{key} = {json.dumps(distribution)}"
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path} cannot be read: {error}") from None
    header = _HEADER.search(text)
    if header is None:
        before = text.rstrip("\n") + "\n\n" if text.strip() else ""
        changed = f"{before}[prefer]\n{line}\n"
    else:
        following = _NEXT_HEADER.search(text, header.end())
        end = following.start() if following else len(text)
        section = text[header.end() : end]
        spellings = "|".join(map(re.escape, (product, f'"{product}"', f"'{product}'")))
        entry = re.compile(rf"^[ \t]*(?:{spellings})[ \t]*=.*$", re.MULTILINE)
        if entry.search(section):
            section = entry.sub(lambda _: line, section, count=1)
        else:
            section = f"\n{line}{section or chr(10)}"
        changed = text[: header.end()] + section + text[end:]
    entries = wanted.setdefault("prefer", {})
    if isinstance(entries, dict):
        entries[product] = distribution
    try:
        if tomllib.loads(changed) == wanted:
            return changed
    except tomllib.TOMLDecodeError:
        pass
    raise BadSetting(f"{path} writes `prefer` in its own way; add there: [prefer] {line}")
