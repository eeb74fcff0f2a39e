"""The hand-written products: parameters, templates of each release, and what changed between those."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

import markdown
import program


def _meaning(parameter: dict[str, object], releases: Iterable[str]) -> str:
    """What a parameter is, its choices and its default; of one that each release sets, the releases by value."""
    said = [str(parameter["doc"])]
    if parameter["choices"]:
        said.append("One of " + ", ".join(f"`{choice}`" for choice in parameter["choices"]) + ".")  # type: ignore[attr-defined]
    default = parameter["default"]
    if isinstance(default, dict):
        values: dict[str, list[str]] = {}
        for release in releases:
            if release in default:
                values.setdefault(str(default[release]), []).append(release)
        said.append("Default: " + "; ".join(f"`{value}` in {', '.join(of)}" for value, of in values.items()) + ".")
    elif default is not None:
        said.append(f"Default: {default if str(default).startswith('from ') else f'`{default}`'}.")
    return " ".join(said)


def page() -> str:
    """One section a product, from `astra-registry show --json`, and how many the tree brings besides."""
    every = json.loads(program.output("list", "--json"))
    own = [product for product in every if product["plugin"] != "sdsstree"]
    parts = []
    for entry in own:
        product = json.loads(program.output("show", entry["name"], "--json"))
        if isinstance(product, list):
            product = product[0]
        rows = [
            (f"`{p['name']}`", f"{p['type']}{', batch' if p['batch'] else ''}", _meaning(p, product["templates"]))
            for p in product["parameters"]
        ]
        parts += [
            f"## {product['name']}\n\n{product['summary']}\n\nBrought by the plugin `{entry['plugin']}`.\n",
            markdown.table(("parameter", "type", "meaning"), rows),
            "Where each release keeps it:\n",
            *(f"{releases}\n: {texts}\n" for releases, texts in _templates(product["templates"])),
            "What changed:\n",
            *_differences(product["name"], product["templates"]),
        ]
    if len(every) > len(own):
        parts.append(
            f"## The products of the tree\n\nThe plugin `sdsstree` brings {len(every) - len(own)} more: every other "
            "path name of every release. `astra-registry list --plugin sdsstree` lists them.\n"
        )
    return "\n".join(parts)


def _templates(templates: dict[str, object]) -> list[tuple[str, str]]:
    """The rows of the table: releases with the same templates share one."""
    shared: dict[str, list[str]] = {}
    for release, template in templates.items():
        texts = template if isinstance(template, list) else [template]
        shared.setdefault(", then ".join(f"`{text}`" for text in texts), []).append(release)
    return [(", ".join(releases), text) for text, releases in shared.items()]


def _differences(name: str, templates: dict[str, object]) -> list[str]:
    """One line for each release whose template is not that of the release before it, as `show --diff` tells it."""
    lines = []
    for before, after in itertools.pairwise(templates):
        if templates[before] != templates[after]:
            (told,) = json.loads(program.output("show", name, "--diff", before, after, "--json"))
            said = [f"{verb} {_code(told[when])}" for when, verb in VERBS.items() if told[when]]
            lines.append(f"- `{before}` to `{after}`: {'; '.join(said) or 'the same parameters, in another place'}.")
    return [*lines, ""]


VERBS = {"only_after": "takes", "only_before": "no longer takes"}


def _code(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
