"""``astra-registry completion``: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = {
    "bash": 'eval "$(astra-registry completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(astra-registry completion zsh)" in ~/.zshrc',
    "fish": "astra-registry completion fish > ~/.config/fish/completions/astra-registry.fish",
}


@click.command("completion", epilog="\b\n" + "\n".join(f"{shell}: {how}" for shell, how in SHELLS.items()))
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> None:
    """Print the script that completes commands, products, parameters, choices and releases."""
    from astra_registry.cli import command as everything

    made = get_completion_class(shell)
    if made is None:  # a click of the future
        raise click.UsageError(f"click does not know how to complete in {shell}")
    click.echo(made(everything, {}, "astra-registry", "_ASTRA_REGISTRY_COMPLETE").source())
