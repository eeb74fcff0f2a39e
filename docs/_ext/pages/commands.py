"""Every command with its help, and what it really prints: the examples are run, one after the other, at each build."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import blocks
import click
import markdown
import program

from astra_registry.cli import command as root
from astra_registry.cli.products import ProductGroup

TOP = Path(__file__).parents[3]
STAR = "apStar --release dr17 --telescope apo25m \\\n    --field K04_083+13 --obj 2M19485057+5005279"
FILE = "dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits"

# What is run for each command, in this order and in one folder; where two lines are one example, the second shows what
# the first did.
EXAMPLES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("config",): ("config",),
    ("list",): ("list --plugin apvisit",),
    ("search",): ("search combined spectrum --release dr17",),
    ("show",): ("show apStar --release dr17", "show apStar --diff dr17 dr19"),
    ("resolve",): (f"resolve {STAR}",),
    ("explain",): (f"explain {STAR}",),
    ("translate",): (f"translate {STAR} \\\n    --to dr19",),
    ("identify",): (f"identify https://data.sdss.org/sas/{FILE}",),
    ("fetch",): ("fetch apVisit --release dr13 --from tables/visits.csv", f"fetch {STAR} --json"),
    ("verify",): ("verify",),
    ("info",): (f"info {STAR}",),
    ("plot",): (f"plot {STAR} \\\n    -o star.png",),
    ("plugins", "check"): ("plugins check",),
    ("plugins", "freeze"): ("plugins freeze",),
    ("plugins", "list"): ("plugins list",),
    ("plugins", "new"): ("plugins new mwmStar",),
    ("plugins", "install"): ("plugins install ./astra-registry-mwmstar",),
    ("plugins", "prefer"): ("plugins prefer mwmStar astra-registry-mwmstar",),
    ("plugins", "uninstall"): ("plugins uninstall mwmstar",),
    ("state", "summary"): ("state summary",),
    ("state", "list"): ("state list",),
    ("state", "show"): ("state show apVisit_94bd5",),
    ("state", "retry"): ("state retry --status failed",),
    ("state", "export"): ("state export | head -2",),
    ("state", "forget"): ("state forget --status created",),
    ("db", "current"): ("db current",),
    ("db", "check"): ("db check",),
    ("db", "upgrade"): ("db upgrade",),
    ("doctor",): ("doctor --offline",),
    ("catalogue",): ("catalogue catalogue",),
    ("stubs",): ("stubs",),
}

# Commands that only hold others, or whose output is for a program.
WITHOUT = {(), ("plugins",), ("state",), ("db",), ("completion",), ("plugins", "sync")}


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


def examples() -> dict[tuple[str, ...], str]:
    """Run every example in the folder of a new user beside the small archive; return what a terminal would show."""
    shown: dict[tuple[str, ...], str] = {}
    with tempfile.TemporaryDirectory() as folder, blocks.prepared(Path(folder).resolve() / "home") as session:
        server = session.environment["ASTRA_REGISTRY_REMOTE_BASE"].partition("//")[2]
        known = {str(session.folder): "/home/you", server: PLACE, str(TOP): "/home/you/astra-registry"}
        failed, printed = session.python(PREPARED)
        if failed:
            raise RuntimeError(printed)
        for words, lines in EXAMPLES.items():
            shown[words] = "\n".join(_ran(session, line, known) for line in lines)
    return shown


# A task of each state, for the commands that tell about them.
PREPARED = """
from astra_registry import registry
done, failed = registry["apVisit"].from_table("tables/visits.csv", release="dr13")[:2]
done.trigger_event_start(), done.trigger_event_succeeded()
failed.trigger_event_start(), failed.trigger_event_failed(OSError("no space left on the device"))
"""
PLACE = "127.0.0.1:8011"

OF_PIP = r"^(?:Processing|Requirement|Building|Stored|Successfully|Installing|Found|Uninstalling|  ).*\n"

# Who and when differ at each build, and would make each build differ; what pip says of its own is not ours to show.
OF_THE_DAY = [
    (r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "2026-11-22T09:30:00+00:00"),
    (r"(?m)^(user +).*\n(host +).*\n(pid +).*", r"\g<1>you\n\g<2>laptop\n\g<3>4711"),
    (r"\b\w+@\S+:\d+", "you@laptop:4711"),
    (r"\b\w+,[\w.-]+,\d+,(,|OSError)", r"you,laptop,4711,\g<1>"),
    (r'("seconds": )[\d.]+', r"\g<1>0.05"),
    (r"[\d.]+ GB free", "120 GB free"),
    (rf"(?m)({OF_PIP})+(?=.*\n*astra-)", "…\n"),
]


def _ran(session: blocks.Session, line: str, instead: dict[str, str]) -> str:
    code, printed = session.console(f"astra-registry {line}")
    if code:
        raise RuntimeError(f"astra-registry {line}: {printed.strip()}")
    for text, known in instead.items():
        printed = printed.replace(text, known)
    for pattern, known in OF_THE_DAY:
        printed = re.sub(pattern, known, printed)
    prompted = line.replace("\n", "\n> ")
    return f"$ astra-registry {prompted}\n{printed}".rstrip()


def page() -> str:
    """A section a command: its help as the terminal shows it, then what it really prints."""
    parts, shown = [], examples()
    for words, _ in every():
        said = " ".join(("astra-registry", *words))
        parts.append(f"{'##' if len(words) < 2 else '###'} `{said}`\n")
        parts.append(markdown.code(program.output(*words, "--help")))
        if words in shown:
            parts.append(markdown.code(shown[words], "console"))
    return "\n".join(parts)
