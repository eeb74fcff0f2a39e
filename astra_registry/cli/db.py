"""``astra-registry db``: the schema of the database."""

from __future__ import annotations

import click

from astra_registry.cli.output import JSON, as_json
from astra_registry.cli.state import database_option
from astra_registry.store import StateStore


@click.group("db")
@database_option
def command() -> None:
    """The database's schema: its revision, whether all is there, and how it comes up to date."""


@command.command("upgrade")
@JSON
@database_option
def upgrade(in_json: bool) -> None:
    """Bring the schema up to date, or make it in an empty database."""
    store = StateStore.default()
    before = store.current()
    after = store.upgrade()
    if in_json:
        as_json([{"database": store.url, "before": before, "revision": after}])
    else:
        click.echo(f"{store.url}: {'unchanged at' if before == after else 'now at'} revision {after}", err=True)


@command.command("current")
@JSON
@database_option
def current(in_json: bool) -> None:
    """Print the revision of the schema; nothing for a database without tables."""
    store = StateStore.default()
    revision = store.current()
    if in_json:
        as_json([{"database": store.url, "revision": revision}])
    elif revision is None:
        click.echo(f"{store.url} has no tables yet", err=True)
    else:
        click.echo(revision)


@command.command("check")
@JSON
@database_option
@click.pass_context
def check(context: click.Context, in_json: bool) -> None:
    """Tell what is wrong with the schema; exit with 1 when something is."""
    store = StateStore.default()
    defects = store.check()
    if in_json:
        as_json([{"database": store.url, "revision": store.current(), "ok": not defects, "defects": defects}])
    elif defects:
        for defect in defects:
            click.echo(defect, err=True)
    else:
        click.echo(f"{store.url}: all is well", err=True)
    if defects:
        context.exit(1)
