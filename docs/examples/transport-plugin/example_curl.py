"""Files by curl, with what ~/.curlrc says of proxies and Kerberos; and a command that writes a list for `curl -K`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

import click

from astra_registry import FileMissing, TransferFailed, Unauthorized, hookimpl, registry

astra_registry_api = 1


class Curl:
    """A transport: its one method brings one file, or raises with the reason."""

    def __init__(self, *, timeout: float = 30.0, connect_timeout: float = 10.0, **_: object) -> None:
        self._options = [
            "--fail", "--silent", "--show-error", "--location",
            "--connect-timeout", str(connect_timeout), "--speed-limit", "1", "--speed-time", str(int(timeout) or 1),
        ]  # fmt: skip

    def fetch(self, url: str, destination: str) -> None:
        """Write the file at a URL to a path that the fetcher gives; it verifies the file and puts it in its place."""
        command = ["curl", *self._options, "--output", destination, "--write-out", "%{http_code}", "--url", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        told = f"{url}: {done.stderr.strip() or f'curl ended with {done.returncode}'}"
        kind = {"404": FileMissing, "401": Unauthorized, "403": Unauthorized}.get(done.stdout[-3:], TransferFailed)
        raise kind(told)


@click.command("curl-list")
@click.argument("product")
@click.option("--release", required=True, metavar="R", help="The data release.")
@click.option("--from", "table", required=True, metavar="TABLE", help="A table with a row for each file.")
def curl_list(product: str, release: str, table: str) -> None:
    """Print the files of a table as a list for `curl --create-dirs -K`."""
    batch = registry[product].from_table(table, release=release)
    for url, path in zip(batch.remote_paths, batch.local_paths, strict=True):
        click.echo(f'url = "{url}"\noutput = "{os.path.abspath(path)}"')


@hookimpl
def astra_registry_transports() -> Mapping[str, str]:
    """Bring the transport: `astra-registry fetch … --transport curl`."""
    return {"curl": "example_curl:Curl"}


@hookimpl
def astra_registry_commands() -> Mapping[str, str]:
    """Bring the command: `astra-registry curl-list …`."""
    return {"curl-list": "example_curl:curl_list"}
