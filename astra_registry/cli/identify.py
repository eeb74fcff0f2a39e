"""``astra-registry identify``: which product lives at a path or URL."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from astra_registry.cli.output import JSON, as_json, in_one_line
from astra_registry.errors import AstraRegistryError
from astra_registry.identification import Identification, identify
from astra_registry.registries import registry


@click.command("identify")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--all", "every", is_flag=True, help="Every candidate, the best first, with the reason.")
@click.option("--header", is_flag=True, help="Ask the files' FITS cards, wherever they lie.")
@JSON
@click.pass_context
def command(ctx: click.Context, *, paths: tuple[str, ...], every: bool, header: bool, in_json: bool) -> None:
    """Tell product, release and parameters of any path or URL; - reads them from the standard input.

    The path may have any folders in front of the release's, and may be compressed or not. A bare file name, or a file
    in another place, is told by its name and by its FITS cards.
    """
    failed = False

    def answers() -> Iterator[dict[str, Any]]:
        nonlocal failed
        for path in _asked(paths):
            try:
                found = identify(registry.known_places, path, every=True, header=header)
            except AstraRegistryError as error:
                failed = True
                click.echo(f"astra-registry: {in_one_line(error)}", err=True)
                yield {"input": path, **dict.fromkeys(("product", "release", "path", "url")), "parameters": {}}
                continue
            for answer in found if every else found[:1]:
                yield described(answer)

    if in_json:
        as_json(answers())
    else:
        for answer in answers():
            if answer["product"] is not None:
                click.echo(_in_words(answer, with_reason=every))
    ctx.exit(1 if failed else 0)


def _asked(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path == "-":
            yield from filter(None, map(str.strip, sys.stdin))
        else:
            yield path


def described(answer: Identification) -> dict[str, Any]:
    """Return what ``--json`` says of one answer."""
    return {
        "input": answer.input,
        "product": answer.name,
        "release": answer.release,
        "parameters": dict(answer.parameters),
        "path": answer.path,
        "url": answer.url,
        "location": answer.location,
        "addresses": list(answer.addresses),
        "reason": answer.reason,
    }


def _in_words(answer: dict[str, Any], *, with_reason: bool) -> str:
    words = [answer["product"], answer["release"], *(f"{name}={value}" for name, value in answer["parameters"].items())]
    return " ".join(words) + (f"  ({answer['reason']})" if with_reason else "")
