"""Asking on the terminal for a name and a password, for commands that were told to (``--login``)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click


def ask_for_login(host: str) -> tuple[str, str] | None:
    """Return the name and the password that a person types, which are kept nowhere; None when nobody is there."""
    try:
        with _at_the_terminal():
            user = click.prompt(f"user name for {host}", err=True)
            return user, click.prompt("password", hide_input=True, err=True)
    except click.Abort as aborted:
        if isinstance(aborted.__context__, EOFError):
            click.echo("", err=True)
            return None
        raise


@contextlib.contextmanager
def _at_the_terminal() -> Iterator[None]:
    """Have answers come from the terminal, where there is one, also when standard input is a table in a pipe."""
    with contextlib.ExitStack() as ending:
        if not sys.stdin.isatty():
            with contextlib.suppress(OSError):
                terminal = ending.enter_context(open("/dev/tty"))
                ending.callback(setattr, sys, "stdin", sys.stdin)
                sys.stdin = terminal
        yield
