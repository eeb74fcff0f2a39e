"""Every command with its help, and real output of some."""

from __future__ import annotations

from collections.abc import Iterator

import click
import markdown
import program

from astra_registry.cli import command as root
from astra_registry.cli.products import ProductGroup

STAR = ["--release", "dr17", "--telescope", "apo25m", "--field", "K04_083+13", "--obj", "2M19485057+5005279"]

# Commands whose output is worth seeing, with arguments that work on any machine.
EXAMPLES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("list",): ("list", "--plugin", "apvisit"),
    ("show",): ("show", "apStar", "--release", "dr17"),
    ("resolve",): ("resolve", "apStar", *STAR),
    ("identify",): (
        "identify",
        "https://data.sdss.org/sas/dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits",
    ),
    ("config",): ("config",),
    ("plugins", "list"): ("plugins", "list"),
}


def every() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command's words and the command, groups before what they hold."""
    yield from _below((), root)


def _below(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    # What takes a product has one command for each of them, made when it is called.
    if isinstance(command, click.Group) and not isinstance(command, ProductGroup):
        context = click.Context(command, info_name=words[-1] if words else "astra-registry")
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _below((*words, name), found)


def page() -> str:
    """A section a command: its help as the terminal shows it, then an example."""
    parts = []
    for words, _ in every():
        said = " ".join(("astra-registry", *words))
        parts.append(f"{'##' if len(words) < 2 else '###'} `{said}`\n")
        parts.append(markdown.code(program.output(*words, "--help")))
        if words in EXAMPLES:
            arguments = EXAMPLES[words]
            shown = f"$ astra-registry {' '.join(arguments)}\n{program.output(*arguments)}"
            parts.append(markdown.code(shown, "console"))
    return "\n".join(parts)
