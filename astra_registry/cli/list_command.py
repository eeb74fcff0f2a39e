"""``astra-registry list``: the installed products."""

from __future__ import annotations

import click

from astra_registry.cli.listed import PLUGIN, RELEASE, print_products
from astra_registry.cli.output import JSON
from astra_registry.registries import registry


@click.command("list")
@RELEASE
@click.option("--search", "text", default="", metavar="TEXT", help="Those that hold every word of a text.")
@PLUGIN
@JSON
def command(release: str | None, text: str, plugin: str | None, in_json: bool) -> None:
    """List the installed data products: name, summary, parameters, releases and plugin."""
    print_products(registry.search_names(text, release=release, plugin=plugin), in_json=in_json)
