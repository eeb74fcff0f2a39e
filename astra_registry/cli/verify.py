"""``astra-registry verify``: whether what lies on disk is whole."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator

import attrs
import click

from astra_registry.cli.files import product_of
from astra_registry.cli.login import ask_for_login
from astra_registry.cli.output import JSON, as_json
from astra_registry.cli.products import places
from astra_registry.errors import FileMissing
from astra_registry.fetching.check import Finding
from astra_registry.fetching.verify import verify
from astra_registry.settings import setting


@click.command("verify")
@click.argument("paths", nargs=-1, type=click.Path(readable=False))  # one that may not be read is told like those below
@click.option("--remote", is_flag=True, help="Compare with the server too: size, ETag, .sha1sum.")
@click.option("--repair", is_flag=True, help="Bring again what is bad.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="How many files at once (16).")
@click.option("--ca-bundle", metavar="FILE", help="The certificates to trust.")
@click.option("--login", is_flag=True, help="Ask for a name and password when none are found.")
@click.option("--sas-base-dir", metavar="DIR", help="Where files live; in the place of $SAS_BASE_DIR.")
@click.option("--remote-base", metavar="URL", help="A server in the place of the SDSS one.")
@JSON
def command(
    paths: tuple[str, ...],
    remote: bool,
    repair: bool,
    jobs: int | None,
    ca_bundle: str | None,
    login: bool,
    sas_base_dir: str | None,
    remote_base: str | None,
    in_json: bool,
) -> None:
    """Check files, or all below folders; without PATHS, everything below the SAS root.

    A FITS file is walked to its last block, a .gz to its trailer, CHECKSUM and DATASUM cards are compared where there
    are any, and so is the sha1 that was recorded when the file was fetched. What is whole is remembered: that is how
    an archive that other tools have brought is adopted. Files of your own may be edited, and empty. Links to folders
    elsewhere are followed. Exit code 1 when a file is bad, or could not be looked at.
    """
    with places({"sas_base_dir": sas_base_dir, "remote_base": remote_base}):
        wanted = paths or (setting("sas_base_dir"),)
        if not paths and not os.path.isdir(wanted[0]):
            raise FileMissing(f"there is nothing to verify: no folder {wanted[0]}")
        counts: Counter[str] = Counter()
        found = verify(
            wanted,
            remote=remote,
            repair=repair,
            jobs=jobs,
            ca_bundle=ca_bundle,
            login=ask_for_login if login else None,
            further_locations=_further_locations,
            is_product=lambda path: product_of(path) is not None,
        )
        counted = _counted(found, counts)
        if in_json:
            as_json({**attrs.asdict(finding), "checks": list(finding.checks)} for finding in counted)
        else:
            for finding in counted:
                if finding.status != "whole":
                    _tell(finding)
    if not in_json:
        listed = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items(), reverse=True))
        click.echo(listed or "no files", err=True)
    if any(status not in ("whole", "repaired") for status in counts):
        sys.exit(1)


def _counted(found: Iterable[Finding], counts: Counter[str]) -> Iterator[Finding]:
    for finding in found:
        counts[finding.status] += 1
        yield finding


def _further_locations(path: str) -> Iterable[str]:
    product = product_of(path)
    return () if product is None else product.further_locations


def _tell(finding: Finding) -> None:
    problem = f": {finding.problem}" if finding.problem else ""
    click.echo(f"{finding.status}: {finding.path}{problem}")
