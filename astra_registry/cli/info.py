"""``astra-registry info``: what a file is and what it holds."""

from __future__ import annotations

import os
from typing import Any

import click

from astra_registry.cli.files import FilesOrProduct, product_of
from astra_registry.cli.output import as_json, table
from astra_registry.cli.products import made
from astra_registry.errors import FileFailed
from astra_registry.product import DataProduct
from astra_registry.reading import paths_of
from astra_registry.reading.info import describe


def info(name: str, given: dict[str, Any], *, release: str | None, in_json: bool) -> None:
    """Tell of the files of a product."""
    product = made(name, release, given)
    _tell(list(zip(paths_of(product), product.get_batch_tasks(), strict=True)), in_json)


def info_of_files(paths: list[str], *, in_json: bool) -> None:
    """Tell of files."""
    _tell([(path, product_of(path)) for path in paths], in_json)


def _tell(files: list[tuple[str, DataProduct | None]], in_json: bool) -> None:
    """Tell of each file; exit with 1 when one is missing or not whole."""
    described = []
    for path, product in files:
        try:
            told = describe(path)
        except FileFailed as error:
            told = {"path": path, "whole": False, "problem": str(error)}
        told["product"] = None if product is None else product.sdss_data_model_name
        told["release"] = None if product is None else product.release
        told["parameters"] = {} if product is None else product._own_values()
        described.append(told)
    if in_json:
        as_json(described)
    else:
        for number, told in enumerate(described):
            if number:
                click.echo()
            _print(told)
    if not all(told["whole"] for told in described):
        click.get_current_context().exit(1)


def _print(told: dict[str, Any]) -> None:
    click.echo(click.style(os.path.basename(told["path"]), bold=True))
    facts = []
    if told["product"]:
        facts.append(("product", f"{told['product']} in {told['release']}"))
        facts.append(("parameters", ", ".join(f"{name} {value}" for name, value in told["parameters"].items())))
    if told["problem"]:
        facts.append(("whole", click.style("no: ", fg="red") + told["problem"]))
    if "bytes" in told:
        if not told["problem"]:
            facts.append(("whole", "yes"))
        packed = ", packed with gzip" if told["packed"] else ""
        facts.append(("size", f"{told['bytes']:,} bytes{packed}"))
        if told["snr"] is not None:
            facts.append(("S/N", f"{told['snr']:.1f}"))
    table([(f"  {name}", value) for name, value in facts])
    if told.get("hdus"):
        click.echo()
        rows = [(f"  {hdu['index']}", hdu["name"] or "-", _shape(hdu), _content(hdu)) for hdu in told["hdus"]]
        table(rows, ("  HDU", "name", "shape", "content"))
    if told.get("cards"):
        click.echo()
        cards = [(f"  {name}", str(card["value"]), str(card["comment"])) for name, card in told["cards"].items()]
        table(cards, ("  card", "value", "comment"))


def _shape(hdu: dict[str, Any]) -> str:
    if hdu["type"] == "table":
        rows, columns = hdu["shape"]
        return f"{rows} row{'s' * (rows != 1)} × {columns}"
    return " × ".join(map(str, hdu["shape"])) or "-"


def _content(hdu: dict[str, Any]) -> str:
    if hdu["columns"]:
        names = [column["name"] for column in hdu["columns"]]
        return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return " ".join(filter(None, (hdu["type"], hdu["unit"]))) if hdu["type"] else "-"


command = FilesOrProduct(
    "info",
    run=info,
    files=info_of_files,
    options=[click.Option(["--json", "in_json"], is_flag=True, help="As a JSON array.")],
    help="Tell what files are: product, HDUs, key cards, signal to noise, and whether they are whole.",
)
