"""``astra-registry resolve``: the paths, URLs or locations of products."""

from __future__ import annotations

from typing import Any

import click

from astra_registry.cli.output import as_json
from astra_registry.cli.products import ProductGroup, described, made
from astra_registry.errors import BadValue


def resolve(
    name: str,
    given: dict[str, Any],
    *,
    release: str | None,
    table: str | None,
    url: bool,
    location: bool,
    in_json: bool,
) -> None:
    """Print where the product, or each member of the batch, is."""
    if url and location:
        raise BadValue("--url and --location: one of them at a time")
    product = made(name, release, given, table)
    if in_json:
        as_json(described(product))
        return
    lines = product.remote_paths if url else product.locations if location else product.local_paths
    if lines:
        click.echo("\n".join(lines))


command = ProductGroup(
    "resolve",
    run=resolve,
    options=[
        click.Option(["--from", "table"], metavar="TABLE", help="A table with a row for each file."),
        click.Option(["--url"], is_flag=True, help="URLs in the place of local paths."),
        click.Option(["--location"], is_flag=True, help="Paths relative to the top of the SAS."),
        click.Option(["--json", "in_json"], is_flag=True, help="As a JSON array, with parameters and their origins."),
    ],
    help="Print the local path of a product (or its URL, or its location); a repeated option makes a batch.",
)
