"""``astra-registry plot``: a picture of spectra, written to a file or shown in the terminal."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from typing import Any

import click

from astra_registry.cli.files import FilesOrProduct, kind_of_file
from astra_registry.cli.products import made
from astra_registry.errors import BadValue, MissingExtra
from astra_registry.plugins import installed_plugins
from astra_registry.reading.products import read_file
from astra_registry.reading.terminal import escape_sequences, protocol
from astra_registry.registries import registry


def plot(name: str, given: dict[str, Any], *, release: str | None, kind: str, as_: str | None, **options: Any) -> None:
    """Draw the spectra of a product, or of the members of a batch."""
    if as_ is not None:
        raise BadValue("--as says what a file is; a product is what it is")
    _somewhere_to_draw(options["output"])
    _draw(made(name, release, given).read(kind), **options)


def plot_files(paths: list[str], *, kind: str, as_: str | None, **options: Any) -> None:
    """Draw the spectra of files."""
    _somewhere_to_draw(options["output"])
    readers = installed_plugins().named("astra_registry_readers")
    products = [registry[as_] if as_ is not None else kind_of_file(path) for path in paths]
    _draw(
        [read_file(product, path, kind, readers=readers) for product, path in zip(products, paths, strict=True)],
        **options,
    )


def _somewhere_to_draw(output: str | None) -> None:
    """Refuse before anything is read."""
    if output is None and protocol(sys.stdout) is None:
        raise BadValue("this terminal shows no pictures: say where to write one, -o spectrum.png")
    if find_spec("matplotlib") is None:  # the extra that brings what reads spectra too
        raise MissingExtra("plotting", "plot")


def _draw(
    spectra: Any,
    *,
    output: str | None,
    arrangement: str,
    lines: bool,
    model: bool,
    error: bool,
    bad: bool,
    between: tuple[float, float] | None,
    flux_between: tuple[float, float] | None,
    title: str | None,
) -> None:
    from astra_registry.reading import plot as pictures

    figure = pictures.plot(
        spectra,
        arrangement=arrangement,  # type: ignore[arg-type]
        lines=lines,
        model=model,
        error=error,
        bad=bad,
        between=between,
        flux_between=flux_between,
        title=title,
    )
    if output is not None:
        click.echo(pictures.save(figure, output))
    else:
        png = io.BytesIO()
        figure.savefig(png, format="png")
        click.echo(escape_sequences(png.getvalue(), protocol(sys.stdout) or "iterm2"), nl=False)


command = FilesOrProduct(
    "plot",
    run=plot,
    files=plot_files,
    options=[
        click.Option(
            ["-o", "--output"], metavar="FILE", help="Where to write: png, pdf or svg. Else it is shown here."
        ),
        click.Option(
            ["--kind"], default="spectrum", show_default=True, help="spectrum, visits, exposures … of the product."
        ),
        click.Option(
            ["--arrangement"],
            type=click.Choice(["overlay", "offset", "stacked"]),
            default="offset",
            show_default=True,
            help="Of several spectra.",
        ),
        click.Option(["--lines"], is_flag=True, help="Name spectral lines, at the object's velocity or redshift."),
        click.Option(["--model"], is_flag=True, help="Draw the pipeline's fit too."),
        click.Option(["--error/--no-error"], default=True, help="Shade the error."),
        click.Option(["--bad/--no-bad"], default=True, help="Mark bad pixels."),
        click.Option(["--between"], type=float, nargs=2, metavar="FROM TO", help="Wavelengths to show, in Å (vacuum)."),
        click.Option(["--flux-between"], type=float, nargs=2, metavar="FROM TO", help="Flux to show."),
        click.Option(["--title"], help="In the place of the object's name."),
        click.Option(["--as", "as_"], metavar="PRODUCT", help="What the files are, when neither place nor name tells."),
    ],
    help="Draw spectra: of files, or of a product and its parameters.",
)
