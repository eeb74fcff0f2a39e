"""``astra-registry catalogue``: the installed products as a page for the browser."""

from __future__ import annotations

import click


@click.command("catalogue")
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--title", default="SDSS data products", show_default=True, help="The page's title.")
@click.option("--json", "in_json", is_flag=True, help="Tell what was written as a JSON array of one.")
def command(folder: str, title: str, in_json: bool) -> None:
    """Write the installed products as searchable HTML, and print the path of the page.

    One file, DIR/index.html, holds everything: it works from disk, without a server or a network. An older catalogue is
    replaced; a folder that holds anything else is left alone.
    """
    from astra_registry.catalogue import write_catalogue
    from astra_registry.cli.output import as_json
    from astra_registry.registries import registry

    page = write_catalogue(registry, folder, title=title)
    if in_json:
        as_json([{"page": page, "products": len(registry)}])
    else:
        click.echo(page)
    if not len(registry):
        click.echo(f"no data product is installed, and the catalogue is empty: {registry.why_empty()}", err=True)
