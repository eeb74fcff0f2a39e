"""The catalogue as one file: a page that holds its data, its style and its scripts, and asks nobody for anything."""

from __future__ import annotations

import datetime
import html
import json
import os
from collections.abc import Mapping
from importlib import resources
from typing import Any

from astra_registry import __version__
from astra_registry.atomic import written
from astra_registry.catalogue.contents import contents
from astra_registry.errors import BadValue
from astra_registry.registries import Registry

# What tells a page of ours from anybody else's; page.html has it.
MARK = '<meta name="generator" content="astra-registry catalogue">'
SCRIPTS = ("template.js", "find.js", "page.js")


def write_catalogue(registry: Registry, folder: str | os.PathLike[str], *, title: str = "SDSS data products") -> str:
    """Write the products of a registry as ``index.html`` in a folder, and return its path.

    The page appears whole or not at all, and takes the place of an older catalogue. Raises BadValue when the folder
    is a file, or holds other things and no catalogue.
    """
    where = os.path.expanduser(os.fspath(folder))
    page = os.path.join(where, "index.html")
    _check_place(where, page)
    text = rendered(contents(registry), title=title)
    os.makedirs(where, exist_ok=True)
    with written(page, overwrite=True) as private, open(private, "w", encoding="utf-8") as file:
        file.write(text)
    return page


def rendered(data: Mapping[str, Any], *, title: str = "SDSS data products") -> str:
    """Return the page of a catalogue's contents."""
    products, releases, plugins = data["products"], data["releases"], data["plugins"]
    today = datetime.datetime.now(datetime.UTC).date()
    pieces = {
        "title": html.escape(title),
        "tally": " · ".join(
            [_counted(products, "product"), _counted(releases, "release"), _counted(plugins, "plugin")]
        ),
        "made": f"made with astra-registry {__version__} on {today}",
        "style": _part("style.css"),
        "script": "\n".join(_part(name) for name in SCRIPTS),
        "plain": "\n".join(
            f"<dt>{html.escape(product['name'])}</dt><dd>{html.escape(product['summary'])}</dd>" for product in products
        ),
        # In a script element only "</" and "<!--" could end the data before its end.
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    page = _part("page.html").split("@")
    # Between two marks stands a name; everything else is text.
    return "".join(pieces[piece] if i % 2 else piece for i, piece in enumerate(page))


def _check_place(folder: str, page: str) -> None:
    """Raise BadValue unless a catalogue may be written there."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise BadValue(f"{folder} is a file; a catalogue is written into a folder")
    if not os.path.isdir(folder) or not os.listdir(folder):
        return
    if not _is_ours(page):
        raise BadValue(f"{folder} holds other things and no catalogue; name a new or empty folder")


def _is_ours(page: str) -> bool:
    try:
        with open(page, encoding="utf-8", errors="replace") as file:
            return MARK in file.read(2000)
    except OSError:
        return False


def _part(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


def _counted(items: Any, what: str) -> str:
    return f"{len(items):,} {what}{'' if len(items) == 1 else 's'}"
