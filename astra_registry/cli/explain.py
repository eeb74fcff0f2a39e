"""``astra-registry explain``: how a product's path comes about."""

from __future__ import annotations

import re
from typing import Any

import click

from astra_registry.cli.output import as_json, table
from astra_registry.cli.products import ProductGroup, made
from astra_registry.errors import NotOnSas
from astra_registry.product import DataProduct
from astra_registry.registries import registry
from astra_registry.release import configuration, is_public, release_date
from astra_registry.released import path_name
from astra_registry.tree import Tree


def explain(name: str, given: dict[str, Any], *, release: str | None, in_json: bool) -> None:
    """Print which template of which tree it is, what each parameter comes from, and who may read the file."""
    product = made(name, release, given)
    told = [explained(member) for member in product.get_batch_tasks()]
    if in_json:
        as_json(told)
        return
    for answer in told:
        click.secho(f"{answer['product']} in {answer['release']}", bold=True)
        rows = [("template", answer["template"]), ("of", answer["from"])]
        rows += [(f"${root}", folder) for root, folder in answer["roots"].items()]
        rows += [(f"@{gap}|", text) for gap, text in answer["derived"].items()]
        rows += [(n, f"{value}  ({answer['origins'][n]})") for n, value in answer["parameters"].items()]
        rows += [("location", answer["location"] or "none: a software product, which lies beside the SAS")]
        rows += [("path", answer["path"]), ("url", answer["url"] or "none")]
        rows += [("also at", url) for url in answer["further"]]
        rows += [("public" if answer["public"] else "not public", answer["why"])]
        table(rows)


def explained(product: DataProduct) -> dict[str, Any]:
    """Return how one product's path comes about."""
    plan = product.plan(product.release)
    template = plan.templates[0]
    tree = product.tree
    own = product.product_parameters()
    names = {p.name: p for p in own.values()}
    values = {n: getattr(product, p.attribute) for n, p in names.items()}
    origins = {
        n: f"derived from {', '.join(names[n].reads)}" if origin == "derived" else origin
        for n, origin in product.param_origins.items()
        if n in names
    }
    used = {attribute for _, attribute in plan.keys}
    shown = {n: v for n, v in values.items() if v not in (None, "") and names[n].attribute in used}
    try:
        location, url = product.location, product.remote_path
        further = list(product.further_remote_paths)
    except NotOnSas:
        location = url = None
        further = []
    return {
        "product": product._label(),
        "release": product.release,
        "template": template.text,
        "from": _origin(product),
        "roots": _roots(template.text, tree),
        "derived": _derived(product),
        "parameters": shown,
        "origins": {n: origins[n] for n in shown},
        "location": location,
        "path": product.local_path,
        "url": url,
        "further": further,
        "public": tree.public,
        "why": _why(product),
    }


def _origin(product: DataProduct) -> str:
    """Return whose template it is: the tree's, with its version, or a plugin's."""
    from importlib.metadata import version

    tree = f"sdss-tree {version('sdss-tree')}, {configuration(product.release)}.cfg"
    (text, *_) = product.template_texts(product.release)
    if product.templates is None:
        return tree
    plugin = registry.plugin_of(product._label()).title
    name = path_name(text)
    return plugin if name is None else f"{plugin}, which takes the path {name} of {tree}"


def _roots(text: str, tree: Tree) -> dict[str, str]:
    """Return the variable with which a template begins, and its folder on this machine."""
    variable = re.match(r"\s*\$(\w+)", text)
    return {variable[1]: tree.roots[variable[1]]} if variable and variable[1] in tree.roots else {}


def _derived(product: DataProduct) -> dict[str, str]:
    """Return what stands in each derived gap."""
    from astra_registry.paths.parts import Derived

    template = product.plan(product.release).templates[0]
    values = template.checked(product._template_values())
    texts: dict[str, str] = {}
    for part in template.parts:
        if isinstance(part, Derived):
            for function, gap in part.gaps:
                texts[function] = gap.function(template.name, *map(values.get, gap.arguments))
    return texts


def _why(product: DataProduct) -> str:
    """Return why anybody may read the file, or who may."""
    date = release_date(product.release)
    host = product.tree.netloc
    if is_public(product.release):
        return f"released on {date}: {host} gives it to anybody"
    if product.public and product.tree.public:
        return f"taken as public, as was asked for: {host}"
    if date is not None and product.release.startswith("dr"):
        return f"its release is on {date}; until then {host} wants credentials (~/.netrc)"
    what = "an internal release" if product.release.startswith("ipl") else "work in progress"
    return f"{what}: {host} wants credentials (~/.netrc)"


command = ProductGroup(
    "explain",
    run=explain,
    options=[click.Option(["--json", "in_json"], is_flag=True, help="As a JSON array.")],
    help="Tell which template a product's path is made of, where each value comes from, and who may read the file.",
)
