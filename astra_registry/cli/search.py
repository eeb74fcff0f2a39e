"""``astra-registry search``: products by words."""

from __future__ import annotations

import click

from astra_registry.cli.listed import PLUGIN, RELEASE, print_products
from astra_registry.cli.output import JSON
from astra_registry.registries import registry


@click.command("search")
@click.argument("words", nargs=-1)
@RELEASE
@PLUGIN
@JSON
def command(words: tuple[str, ...], release: str | None, plugin: str | None, in_json: bool) -> None:
    """Find the products whose name, summary or parameters hold every word, the closest first."""
    if not (words or release or plugin):
        raise click.UsageError("Missing argument 'WORDS...', --release or --plugin.", click.get_current_context())
    print_products(registry.search_names(" ".join(words), release=release, plugin=plugin), in_json=in_json)
