"""Commands that take files on this disk, or a product whose files they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from astra_registry.cli.products import PLACES, ProductGroup, places, with_those_before
from astra_registry.errors import AstraRegistryError, BadValue, FileMissing
from astra_registry.product import DataProduct
from astra_registry.registries import registry


class FilesOrProduct(ProductGroup):
    """A command whose arguments are files, or a product with its parameters."""

    def __init__(
        self, name: str, *, files: Callable[..., Any], options: Sequence[click.Option], **attributes: Any
    ) -> None:
        super().__init__(name, options=options, **attributes)
        self.subcommand_metavar = "FILE… | PRODUCT [OPTIONS]"
        self._files = files
        self._file_options = options

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command for files when the first argument is one, else that of the product."""
        if args and _is_path(args[0]):
            return "FILE…", self._command_of_files(), args
        return super().resolve_command(ctx, args)

    def _command_of_files(self) -> click.Command:
        def callback(paths: tuple[str, ...], **values: Any) -> Any:
            merged = with_those_before(values)
            with places(merged):
                return self._files(list(paths), **merged)

        argument = click.Argument(["paths"], nargs=-1, required=True, type=click.Path())
        return click.Command("FILE…", callback=callback, params=[argument, *self._file_options, *PLACES])


def _is_path(word: str) -> bool:
    return os.sep in word or "." in word or os.path.exists(word)


def product_of(path: str) -> DataProduct | None:
    """Return the product that lives at a path; None when none does, for a file that was put elsewhere."""
    try:
        found: DataProduct = registry.identify(os.path.abspath(path))
    except AstraRegistryError:
        return None
    return found


def kind_of_file(path: str) -> type[DataProduct]:
    """Return the class of product that a file is, from where it lies or else from the first word of its name.

    Raises `FileMissing` when there is no file, `BadValue` when neither tells.
    """
    if not os.path.exists(path):
        raise FileMissing(f"there is no file {path!r}")
    found = product_of(path)
    if found is not None:
        return type(found)
    first = os.path.basename(path).partition("-")[0]
    # Files from Las Campanas begin with "as" in the place of "ap", and are the same products.
    for name in (first, "ap" + first[2:] if first.startswith("as") else first):
        if name in registry:
            named: type[DataProduct] = registry[name]
            return named
    raise BadValue(f"{path!r} does not lie where a product does, and its name tells none: say which with --as PRODUCT")
