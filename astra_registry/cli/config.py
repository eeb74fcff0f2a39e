"""``astra-registry config``: what is configured, and where it comes from."""

from __future__ import annotations

from typing import Any

import click

from astra_registry.cli.output import JSON, as_json, table
from astra_registry.errors import BadSetting
from astra_registry.settings import SETTINGS, config_file, explain
from astra_registry.settings.passwords import without_passwords


@click.command("config")
@click.option("--path", "only_path", is_flag=True, help="Only the path of the configuration file.")
@JSON
def command(only_path: bool, in_json: bool) -> None:
    """Show every setting: its value, and whether that comes from an option, a variable, the file, or the default."""
    if only_path:
        click.echo(config_file())
    elif in_json:
        as_json(
            {
                "name": name,
                "value": without_password(value),
                "origin": origin,
                "variable": SETTINGS[name].env,
                "doc": SETTINGS[name].doc,
            }
            for name, value, origin in explain()
        )
    else:
        table(
            [(name, origin, in_words(without_password(value))) for name, value, origin in explain()],
            ("setting", "from", "value"),
        )
        try:
            click.echo(f"\nThe file is {config_file()}.", err=True)
        except BadSetting as error:
            click.echo(f"\nThere is no file: {error}.", err=True)


def without_password(value: Any) -> Any:
    """A setting's value with the password in a URL left out."""
    if isinstance(value, tuple):
        return tuple(map(without_password, value))
    return without_passwords(value) if isinstance(value, str) else value


def in_words(value: object) -> str:
    """A setting's value as one would write it."""
    if value is None or value in ((), {}):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{left}={right}" for left, right in value.items())
    return str(value)
