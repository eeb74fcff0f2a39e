"""``astra-registry search``: products by words."""

from __future__ import annotations

import click

from astra_registry.cli.list_command import known_plugin, print_products
from astra_registry.cli.products import ReleaseType, plugin_names
from astra_registry.registries import registry


@click.command("search")
@click.argument("words", nargs=-1)
@click.option("--release", type=ReleaseType(), metavar="R", help="Those that the release has.")
@click.option(
    "--plugin",
    metavar="NAME",
    callback=known_plugin,
    shell_complete=plugin_names,
    help="Those that a plugin or distribution brings.",
)
@click.option("--json", "in_json", is_flag=True, help="As a JSON array.")
def command(words: tuple[str, ...], release: str | None, plugin: str | None, in_json: bool) -> None:
    """Find the products whose name, summary or parameters hold every word, the closest first."""
    if not (words or release or plugin):
        raise click.UsageError("Missing argument 'WORDS...', --release or --plugin.", click.get_current_context())
    print_products(registry.search_names(" ".join(words), release=release, plugin=plugin), in_json=in_json)
