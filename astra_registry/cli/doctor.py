"""``astra-registry doctor``: what is wrong with this machine."""

from __future__ import annotations

import attrs
import click

from astra_registry.cli.output import JSON, as_json
from astra_registry.doctor import NOTE, OK, WRONG, examine

_MARKS = {OK: ("ok   ", "green"), NOTE: ("note ", "yellow"), WRONG: ("WRONG", "red")}


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Ask no server.")
@JSON
@click.pass_context
def command(ctx: click.Context, offline: bool, in_json: bool) -> None:
    """Look for what is wrong with this machine, and say what to do about it; exits with 1 when something is."""
    findings = list(examine(network=not offline))
    if in_json:
        as_json(attrs.asdict(finding) for finding in findings)
    else:
        for finding in findings:
            mark, colour = _MARKS[finding.status]
            click.echo(f"{click.style(mark, fg=colour)}  {finding.check}: {finding.message}")
            if finding.remedy:
                click.echo(f"       {finding.remedy}")
    ctx.exit(1 if any(finding.status == WRONG for finding in findings) else 0)
