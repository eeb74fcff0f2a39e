"""The picture of the layers, drawn from the contract that import-linter checks: it cannot be out of date."""

from __future__ import annotations

import textwrap
import tomllib
from html import escape
from pathlib import Path

# What a layer is for, by its first module.
SAYS = {
    "cli": "commands know the library, the library never knows them",
    "testing": "what plugin authors test with",
    "engines": "schedulers, and what is written or found out about the products",
    "registries": "products by name; from tables to products",
    "claims": "who brings a product, what it is as data, and which one lives at a path",
    "product": "one file of the SAS, or a batch of them",
    "released": "what a release asks of a product",
    "task": "identity, batches, states, events, life",
    "store": "states and spectra; neither knows products",
    "tree": "one release; a file on this machine",
    "fetching": "files from servers; tables",
    "paths": "templates and values; pure",
    "introduction": "other people's code, loaded one by one",
    "settings": "what a user may configure; writing files whole",
    "errors": "one tree of exceptions",
}


def rows() -> list[list[str]]:
    """The layers from the highest to the lowest, each with its modules."""
    configured = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    contracts = configured["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[part.strip(" ()") for part in layer.replace("|", ":").split(":")] for layer in layers]


def picture() -> str:
    """The SVG, in a frame that scrolls on a phone: a box a layer, its modules inside, what it is for beside it."""
    width, gap, top = 760, 10, 0
    drawn = []
    for modules in rows():
        lines = textwrap.wrap(" · ".join(name.replace(" ", "") for name in modules), 72)
        says = SAYS[modules[0]]
        height = 14 + 21 * (len(lines) + 1)
        drawn.append(f'<rect x="0.5" y="{top + 0.5}" width="{width - 41}" height="{height}" rx="6"/>')
        for at, line in enumerate(lines):
            drawn.append(f'<text x="16" y="{top + 22 + 21 * at}">{escape(line)}</text>')
        drawn.append(f'<text class="says" x="16" y="{top + 22 + 21 * len(lines)}">{escape(says)}</text>')
        top += height + gap
    bottom = top - gap
    arrow = f'<path d="M{width - 16} 8 V{bottom - 8} m-7 -9 l7 9 l7 -9"/>'
    label = "The layers, each importing only from the ones below it."
    return (
        f'<div class="wide"><svg class="layers" viewBox="0 0 {width} {bottom + 1}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}{arrow}</svg></div>\n'
    )
