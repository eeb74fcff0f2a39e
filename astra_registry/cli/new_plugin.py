"""``astra-registry plugins new``: asks what it needs, and writes a distribution that works at once."""

from __future__ import annotations

import sys

import attrs
import click

from astra_registry import skeleton
from astra_registry.declarations import Declaration
from astra_registry.errors import AstraRegistryError, BadValue, UnknownRelease
from astra_registry.installed import normal
from astra_registry.parameters import Parameter
from astra_registry.registries import registry
from astra_registry.release import canonical


@click.command("new")
@click.argument("product", required=False)
@click.option("--summary", metavar="TEXT", default="", help="What the product is, in one line.")
@click.option("--release", "releases", metavar="R", multiple=True, help="A release that has it; may be repeated.")
@click.option(
    "--template",
    "templates",
    metavar="T",
    multiple=True,
    help="Its path in that release, in the tree's notation: one for all releases, or one for each.",
)
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME:TYPE:DOC",
    multiple=True,
    help="A parameter of the templates: int, str, float or bool, and what it is; may be repeated.",
)
@click.option("--directory", metavar="DIR", default=".", help="Where the new folder goes; here by default.")
def command(
    product: str | None,
    summary: str,
    releases: tuple[str, ...],
    templates: tuple[str, ...],
    parameters: tuple[str, ...],
    directory: str,
) -> None:
    """Write a new plugin for PRODUCT: a distribution that installs, lists, resolves and passes its tests at once.

    Without --template the product is the path of that name in the tree. On a terminal, what is not given is asked.
    """
    asks = sys.stdin.isatty() and not (summary or releases or templates or parameters)
    if product is None:
        if not asks:
            raise click.UsageError("Missing argument 'PRODUCT'.")
        product = str(click.prompt("Name of the product", err=True))
    known = already_known(product)
    where = templates_given(product, releases, templates)
    declared = [skeleton.parameter_of(text) for text in parameters]
    if asks:
        where = where if where is not None else asked_templates(product)
        made = skeleton.declared(product, templates=where, known=known)
        summary = str(click.prompt("What it is, in one line", default=made.summary, err=True))
        declared = [asked_parameter(p) for p in made.parameters]
    made = skeleton.declared(product, summary=summary, templates=where, parameters=declared, known=known)
    new = skeleton.Skeleton(product=made)
    folder = new.write(directory)
    click.echo(folder)
    if any(normal(plugin.distribution) == new.distribution for plugin in registry.plugin_set.plugins):
        click.echo(
            f"warning: a distribution {new.distribution} is installed already: yours would take its place, unless its "
            "pyproject.toml gives it another name",
            err=True,
        )
    click.echo(f"next: astra-registry plugins install {folder} && pytest {folder}", err=True)


def already_known(product: str) -> Declaration | None:
    """Return what the installed plugins say of a product of that name."""
    try:
        return registry.declaration(product)
    except AstraRegistryError:
        return None


def templates_given(product: str, releases: tuple[str, ...], templates: tuple[str, ...]) -> dict[str, str] | None:
    """Return the options as release → template; None when the tree's own are meant."""
    if templates and not releases:
        raise BadValue("--template needs a --release")
    if not releases:
        return None
    texts = templates or (f"={product}",)
    if len(texts) == 1:
        texts *= len(releases)
    if len(texts) != len(releases):
        raise BadValue(f"{len(templates)} templates for {len(releases)} releases: give one for all, or one for each")
    return dict(zip(releases, texts, strict=True))


def asked_templates(product: str) -> dict[str, str] | None:
    """Ask where the product is, unless the tree knows."""
    try:
        skeleton.templates_of_tree(product)
    except BadValue:
        release = str(click.prompt("A release that has it", value_proc=known_release, err=True))
        return {
            release: str(click.prompt("Its path there, such as $MWM_ASTRA/{v_astra}/star-{sdss_id}.fits", err=True))
        }
    click.echo(f"the tree knows where {product} is", err=True)
    return None


def known_release(text: str) -> str:
    """Return a release as it is spelled, for a prompt, which asks again for one that there is not."""
    try:
        return canonical(text)
    except UnknownRelease as error:
        raise click.BadParameter(str(error)) from None


def asked_parameter(guessed: Parameter) -> Parameter:
    """Ask for the type and the meaning of a parameter."""
    choice = click.Choice(list(skeleton.TYPES))
    kind = click.prompt(f"Type of {guessed.name}", type=choice, default=guessed.type_name, err=True)
    doc = str(click.prompt(f"What {guessed.name} is", default=guessed.doc, err=True))
    return attrs.evolve(guessed, type=skeleton.TYPES[kind], doc=doc)
