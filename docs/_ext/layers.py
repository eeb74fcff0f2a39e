"""The picture of the layers, drawn from the contract that import-linter checks: it cannot be out of date."""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path

SAYS = {
    "cli": "commands know the library, the library never knows them",
    "testing": "what plugin authors test with",
    "engines": "Luigi, Dask, this machine",
    "registries": "products by name; plugins, hooks, identify",
    "product": "one file of the SAS, or a batch of them",
    "task": "identity, batches, states, events, life",
    "fetching": "files, states, spectra and tables; none knows products",
    "tree": "one release",
    "template": "paths and values, pure",
    "errors": "one tree of exceptions",
}


def rows() -> list[list[str]]:
    """The layers from the highest to the lowest, each with its modules."""
    configured = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    contracts = configured["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[part.strip(" ()") for part in layer.replace("|", ":").split(":")] for layer in layers]


def picture() -> str:
    """The SVG: a box a layer, its modules inside, what it is for beside it."""
    width, height, gap = 760, 52, 10
    drawn = []
    for at, modules in enumerate(rows()):
        top = at * (height + gap)
        says = next((SAYS[module] for module in modules if module in SAYS), "")
        names = " · ".join(modules)
        middle = 21 if says else 31
        drawn.append(f'<rect x="0.5" y="{top + 0.5}" width="{width - 41}" height="{height}" rx="6"/>')
        drawn.append(f'<text x="16" y="{top + middle}">{escape(names)}</text>')
        if says:
            drawn.append(f'<text class="says" x="16" y="{top + 42}">{escape(says)}</text>')
    bottom = len(rows()) * (height + gap) - gap
    arrow = f'<path d="M{width - 16} 8 V{bottom - 8} m-7 -9 l7 9 l7 -9"/>'
    label = "The layers, each importing only from the ones below it."
    return (
        f'<svg class="layers" viewBox="0 0 {width} {bottom + 1}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}{arrow}</svg>\n'
    )
