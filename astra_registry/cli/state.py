"""``astra-registry state``: tasks and batches in the database, what is done, what failed and why."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from astra_registry.cli.output import JSON, as_json, table
from astra_registry.settings import override
from astra_registry.store import StateStore, Status

STATES = click.Choice([status.name.lower() for status in Status], case_sensitive=False)
STATUS = click.option("--status", type=STATES, metavar="STATE", help="Those in that state.")
FAMILY = click.option("--family", metavar="NAME", help="Those of that family, as `summary` lists them.")
Function = TypeVar("Function", bound=Callable[..., Any])


def database_option(function: Function) -> Function:
    """Add ``--database`` to a command, as the whole program has it."""

    def use(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.with_resource(override("--database", database=value))

    option = click.option(
        "--database",
        metavar="URL",
        callback=use,
        expose_value=False,
        is_eager=True,
        help="The database, as an SQLAlchemy URL.",
    )
    return option(function)


@click.group("state")
@database_option
def command() -> None:
    """Tasks and batches in the database: what is done, what failed and why, how long it took."""


@command.command("list")
@STATUS
@FAMILY
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@click.option("--after", metavar="ID", help="Those after that one: the next page.")
@JSON
@database_option
def list_command(status: str | None, family: str | None, limit: int, after: str | None, in_json: bool) -> None:
    """List tasks and batches."""
    rows = StateStore.default().tasks(status=status, family=family, after=after, limit=limit)
    if in_json:
        as_json(rows)
        return
    table([_line(row) for row in rows], ("task", "state", "attempt", "seconds", "error") if rows else ())
    if len(rows) == limit:
        click.echo(f"there may be more: --after {rows[-1]['task_id']}", err=True)


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    size = f" ({row['size']})" if row["is_batch"] else ""
    seconds = "-" if row["duration"] is None else f"{row['duration']:.3g}"
    error = ": ".join(part.splitlines()[0] for part in (row["error_type"], row["error_message"]) if part)
    return f"{row['task_id']}{size}", row["status"], str(row["attempt"]), seconds, error or "-"


@command.command("show")
@click.argument("task_id", metavar="ID")
@click.option("--json", "in_json", is_flag=True, help="As a JSON object.")
@database_option
def show(task_id: str, in_json: bool) -> None:
    """Show all about a task or a batch; its identifier may be cut short."""
    import json

    row = StateStore.default().show(task_id)
    if in_json:
        click.echo(json.dumps(row, ensure_ascii=False, indent=1))
        return
    hidden = ("events", "members", "traceback", "parameters")
    lines = [(name, str(value)) for name, value in row.items() if name not in hidden and value not in (None, [])]
    lines += [("parameters", ", ".join(f"{name}={value}" for name, value in (row["parameters"] or {}).items()))]
    table(lines)
    for told in row["events"]:
        details = [told["error_type"], told["error_message"], told["duration"] and f"{told['duration']:.3g} s"]
        who = f"{told['user']}@{told['host']}:{told['pid']}"
        click.echo(f"{told['at']}  {told['status']}  {who}  {': '.join(filter(None, details))}".rstrip())
    if row["traceback"]:
        click.echo(row["traceback"].rstrip())
    for member in row["members"]:
        click.echo(f"member  {member}")


@command.command("summary")
@JSON
@database_option
def summary(in_json: bool) -> None:
    """Count the tasks of each family in each state, and the errors of those that failed."""
    store = StateStore.default()
    families, errors = store.summary(), store.errors()
    if in_json:
        as_json({**row, "errors": [error for error in errors if error["family"] == row["family"]]} for row in families)
        return
    names = [status.name.lower() for status in Status if any(row[status.name.lower()] for row in families)]
    header = ("family", "batches", "tasks", *names)
    table([tuple(str(row[name]) for name in header) for row in families], header if families else ())
    if errors:
        click.echo()
        columns = ("family", "status", "tasks", "error_type", "error_message")
        table([tuple(str(row[name] or "-").splitlines()[0] for name in columns) for row in errors], columns)
    if not families:
        click.echo("no task is recorded", err=True)


def _check_chosen(ids: tuple[str, ...], status: str | None, family: str | None, *, everything: bool = False) -> None:
    """Raise UsageError when a command would take every task and nobody said so."""
    if not (ids or status or family or everything):
        raise click.UsageError("say which: identifiers, --status, --family or --all")


@command.command("retry")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@STATUS
@FAMILY
@click.option("--all", "everything", is_flag=True, help="All that failed.")
@JSON
@database_option
def retry(ids: tuple[str, ...], status: str | None, family: str | None, everything: bool, in_json: bool) -> None:
    """Put what failed back, to be done again; of a batch, its members that failed."""
    _check_chosen(ids, status, family, everything=everything)
    _told("retried", StateStore.default().retry(ids, status=status, family=family), in_json=in_json)


@command.command("forget")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@STATUS
@FAMILY
@click.option("--cascade", is_flag=True, help="Of batches, also the members that no other batch has.")
@JSON
@database_option
def forget(ids: tuple[str, ...], status: str | None, family: str | None, cascade: bool, in_json: bool) -> None:
    """Delete tasks and batches, with their events."""
    _check_chosen(ids, status, family)
    _told("forgotten", StateStore.default().forget(ids, status=status, family=family, cascade=cascade), in_json=in_json)


def _told(what: str, number: int, *, in_json: bool) -> None:
    if in_json:
        as_json([{what: number}])
    else:
        click.echo(f"{number} {what}", err=True)


@command.command("export")
@STATUS
@FAMILY
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json", "jsonl"]),
    default="csv",
    show_default=True,
    help="A table, a JSON array, or JSON lines.",
)
@click.option("-o", "--output", metavar="FILE", help="Write a table: .csv, .ecsv, .fits, .vot, .parquet and others.")
@JSON
@database_option
def export(status: str | None, family: str | None, form: str, output: str | None, in_json: bool) -> None:
    """Write every task and batch to stdout, or into a file in the format that its name says."""
    if output is not None:
        from astra_registry.tables import write_table

        write_table(StateStore.default().to_table(status=status, family=family), output, overwrite=True)
        click.echo(output)
        return
    rows = StateStore.default().export(status=status, family=family)
    if in_json or form == "json":
        as_json(rows)
    elif form == "jsonl":
        import json

        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        _as_csv(rows)


def _as_csv(rows: Iterator[dict[str, Any]]) -> None:
    import json

    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, row)
            writer.writeheader()
        writer.writerow({**row, "parameters": json.dumps(row["parameters"], ensure_ascii=False)})
