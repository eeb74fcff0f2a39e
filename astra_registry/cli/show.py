"""``astra-registry show``: what a product is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from astra_registry.cli.output import as_json, table
from astra_registry.cli.products import ReleaseType, default_in_words, product_names
from astra_registry.errors import AstraRegistryError
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.registries import registry
from astra_registry.release import canonical
from astra_registry.released import path_name, releases_in_words
from astra_registry.tree import Tree


@click.command("show")
@click.argument("product", shell_complete=product_names)
@click.option("--release", type=ReleaseType(), metavar="R", help="Only what one release has.")
@click.option("--diff", nargs=2, type=ReleaseType(), metavar="R R", help="What differs between two releases.")
@click.option("--toml", "in_toml", is_flag=True, help="As a products.toml.")
@click.option("--json", "in_json", is_flag=True, help="As a JSON array of one.")
def command(product: str, release: str | None, diff: tuple[str, str] | None, in_toml: bool, in_json: bool) -> None:
    """Show a product's parameters (type, unit, choices, default), and its template in every release."""
    declaration = registry.declaration(product)
    if in_toml:
        from astra_registry.product_files.writing import as_toml

        click.echo(as_toml(declaration), nl=False)
        return
    if diff:
        print_difference(product, *diff, in_json)
        return
    cls = registry[product]
    releases = declaration.releases if release is None else (cls.plan(release).release,)
    used = None if release is None else set(cls.plan(release).used)
    parameters = [p for p in declaration.parameters if used is None or p.attribute in used]
    if in_json:
        as_json(
            [
                {
                    "name": declaration.name,
                    "summary": declaration.summary,
                    "plugin": registry.plugin_of(product).name,
                    "parameters": [parameter_as_data(p, release) for p in parameters],
                    "templates": {r: templates_of(cls, r)[0] for r in releases},
                    "further_templates": {r: t[1:] for r in releases if len(t := templates_of(cls, r)) > 1},
                    "examples": [{"release": r, "parameters": values} for r, values in declaration.examples],
                }
            ]
        )
        return
    plugin = registry.plugin_of(product)
    click.secho(declaration.name, bold=True, nl=False)
    click.echo(f": {declaration.summary}" if declaration.summary else "")
    click.echo(f"from {plugin.title}\n")
    table(
        [(p.name, p.type_name, in_words(p, release)) for p in parameters],
        ("parameter", "type", "what it is"),
    )
    click.echo()
    for text, sharing in grouped(cls, releases):
        click.secho(sharing, bold=True)
        for line in text:
            click.echo(f"  {line}")


def parameter_as_data(p: Parameter, release: str | None = None) -> dict[str, Any]:
    """Return a parameter as `show --json` has it."""
    default = p.default
    if release is not None and p.differs_by_release:
        default = default.get(canonical(release))
    return {
        "name": p.name,
        "type": p.type_name,
        "doc": p.doc,
        "unit": p.unit,
        "choices": None if p.choices is None else list(p.choices),
        "default": (
            None if default is REQUIRED
            else f"from {', '.join(p.reads)}" if callable(default)
            else dict(default) if isinstance(default, Mapping)
            else default
        ),
        "batch": p.batch,
        "aliases": list(p.aliases),
        "columns": dict(p.columns),
    }  # fmt: skip


def in_words(p: Parameter, release: str | None) -> str:
    """Return what a parameter is, in one line."""
    notes = [p.doc.rstrip(".")]
    if p.unit:
        notes.append(f"in {p.unit}")
    if p.choices:
        notes.append(f"one of {', '.join(map(str, p.choices))}")
    default = parameter_as_data(p, release)["default"] if release else default_in_words(p)
    if default not in (None, ""):
        notes.append(f"default {default}")
    if p.aliases:
        notes.append(f"also {', '.join(p.aliases)}")
    for column in sorted({*p.columns.values()} if release is None else {*filter(None, [p.columns.get(release)])}):
        there = tuple(r for r, other in p.columns.items() if other == column and release in (r, None))
        notes.append(f"in tables of {releases_in_words(there)} {column}")
    return "; ".join(notes)


def templates_of(cls: Any, release: str) -> list[str]:
    """Return the templates of a release as the tree writes them: ``=specFull`` is followed to what it names."""
    texts = []
    for text in cls.template_texts(release):
        name = path_name(text)
        try:
            texts.append(text if name is None else Tree(release).templates[name])
        except KeyError as error:
            raise AstraRegistryError(
                f"{cls._label()} in {release} names the path {error}, which the tree lacks"
            ) from None
    return texts


def grouped(cls: Any, releases: tuple[str, ...]) -> list[tuple[list[str], str]]:
    """Return the distinct templates, each with the releases that share it, in words."""
    sharing: dict[tuple[str, ...], list[str]] = {}
    for release in releases:
        sharing.setdefault(tuple(templates_of(cls, release)), []).append(release)
    return [(list(texts), releases_in_words(names)) for texts, names in sharing.items()]


def print_difference(product: str, old: str, new: str, in_json: bool) -> None:
    """Print what differs between two releases: the template, and which parameters it takes."""
    cls = registry[product]
    templates = {canonical(release): templates_of(cls, release)[0] for release in (old, new)}
    before, after = (set(cls.plan(r).used) & cls._in_paths for r in (old, new))
    only_before, only_after = (
        [p.name for a, p in cls._parameters.items() if a in names] for names in (before - after, after - before)
    )
    if in_json:
        as_json([{"name": product, "templates": templates, "only_before": only_before, "only_after": only_after}])
        return
    for release, template in templates.items():
        click.echo(f"{release:<9} {template}")
    for label, names in (("only before", only_before), ("only after", only_after)):
        if names:
            click.echo(f"{label}: {', '.join(names)}")
    if before == after:
        click.echo("the same parameters")
