"""``astra-registry stubs``: types of the installed products, for editors and type checkers."""

from __future__ import annotations

import click


@click.command("stubs")
@click.argument("folder", metavar="[DIR]", default="typings", type=click.Path())
@click.option("--json", "in_json", is_flag=True, help="Print the paths as a JSON array.")
def command(folder: str, in_json: bool) -> None:
    """Write type stubs of the installed products into DIR (typings), and print the paths of the files.

    With them `registry["apStar"](…)`, `registry.apStar(…)` and `registry.create("apStar", …)` have the parameters of
    the product. Pyright, and so VS Code, looks into the folder `typings` of a project by itself; mypy is told with
    `mypy_path = "typings"` or MYPYPATH.
    """
    from astra_registry.cli.output import as_json
    from astra_registry.registries import registry
    from astra_registry.stubs import write_stubs

    paths = write_stubs(registry, folder)
    if in_json:
        as_json(paths)
    else:
        click.echo("\n".join(paths))
