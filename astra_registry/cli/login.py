"""Asking on the terminal for a name and a password, for commands that were told to (``--login``)."""

from __future__ import annotations

import click


def ask_for_login(host: str) -> tuple[str, str] | None:
    """Return the name and the password that a person types, which are kept nowhere; None when nobody is there."""
    try:
        user = click.prompt(f"user name for {host}", err=True)
        return user, click.prompt("password", hide_input=True, err=True)
    except click.Abort as aborted:
        if isinstance(aborted.__context__, EOFError):
            click.echo("", err=True)
            return None
        raise
