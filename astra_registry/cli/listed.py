"""Products as ``list`` and ``search`` show them, and the options by which both leave some out."""

from __future__ import annotations

import click

from astra_registry.cli.output import as_json, table
from astra_registry.cli.products import ReleaseType, plugin_names
from astra_registry.errors import BadValue, did_you_mean
from astra_registry.registries import registry


def _known_plugin(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Return the name of a plugin or distribution that is installed. Raises BadValue."""
    if name is not None:
        known = {spelling for plugin in registry.plugin_set.plugins for spelling in (plugin.name, plugin.distribution)}
        if name not in known:
            raise BadValue(f"no plugin '{name}' is installed{did_you_mean(name, known)}")
    return name


RELEASE = click.option("--release", type=ReleaseType(), metavar="R", help="Those that the release has.")
PLUGIN = click.option(
    "--plugin",
    metavar="NAME",
    callback=_known_plugin,
    shell_complete=plugin_names,
    help="Those that a plugin or distribution brings.",
)


def print_products(names: list[str], *, in_json: bool) -> None:
    """Print products by name, as a table or as JSON."""
    declarations = [registry.declaration(name) for name in names]
    if in_json:
        as_json(
            {
                "name": d.name,
                "summary": d.summary,
                "parameters": d.parameter_names,
                "releases": list(d.releases),
                "plugin": registry.plugin_of(d.name).name,
            }
            for d in declarations
        )
    elif declarations:
        table(
            [
                (
                    d.name,
                    d.summary or "-",
                    ", ".join(d.parameter_names),
                    d.releases_in_words,
                    registry.plugin_of(d.name).name,
                )
                for d in declarations
            ],
            ("product", "what it is", "parameters", "releases", "plugin"),
            cut=((2, 3), (1,)),
        )
    elif not len(registry):
        click.echo(f"no data product is installed: {registry.why_empty()}", err=True)
    else:
        click.echo("no installed product is like that; `astra-registry list` shows all", err=True)
