"""A first tour: the real command, on real spectra, against a small archive that runs on this machine.

Everything it makes is in `.demo/`. It ends with exit code 1 when anything fails.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

HERE = Path(__file__).resolve().parents[1]
FOLDER = Path(".demo")

STAR = "apStar --release dr17 --telescope apo25m --field K04_083+13 --obj 2M19485057+5005279"
VISIT = "apVisit --release dr13 --telescope apo25m --plate 5094 --mjd 55874 --fiber 88"
SPEC = "spec --release dr16 --run2d 26 --plate 332 --mjd 52367 --fiberid 639"

READ = """
import numpy as np
from astra_registry import registry

star = registry.create("apStar", release="dr17", telescope="apo25m", field="K04_083+13", obj="2M19485057+5005279")
with star.read() as hdus:
    header, flux, error = hdus[1].header, hdus[1].data[0], hdus[2].data[0]

wavelength = 10 ** (header["CRVAL1"] + header["CDELT1"] * np.arange(flux.size))    # Å, in vacuum
print(f"{star.obj}: {flux.size} pixels from {wavelength[0]:.0f} to {wavelength[-1]:.0f} Å,")
print(f"half of them with a signal-to-noise ratio above {np.nanmedian(flux / error):.0f}")
"""


def say(text: str) -> None:
    """One paragraph for the reader."""
    click.echo()
    click.echo(textwrap.fill(" ".join(text.split()), 100))


def show(command: str, *, lines: int = 14, width: int = 200, expect: int = 0) -> str:
    """Run a command of astra-registry, showing it and the beginning of what it prints."""
    click.secho(f"\n$ astra-registry {command}", bold=True)
    return _run([sys.executable, "-m", "astra_registry", *shlex.split(command)], lines, width, expect)


def python(code: str) -> str:
    """Run some Python, showing it and what it prints."""
    click.echo()
    for line in code.strip().splitlines():
        click.secho(f"{'...' if line.startswith(' ') else '>>>'} {line}".rstrip(), bold=True)
    return _run([sys.executable, "-c", code], lines=20, width=200, expect=0)


def _run(command: list[str], lines: int, width: int, expect: int) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    printed = done.stdout.splitlines()
    for line in printed[:lines]:
        click.echo(f"  {line if len(line) <= width else line[: width - 1] + '…'}")
    if len(printed) > lines:
        click.secho(f"  … and {len(printed) - lines} lines more", dim=True)
    if done.returncode != expect:
        for line in printed[lines:]:
            click.echo(f"  {line}")
        raise SystemExit(f"the tour ends here: exit code {done.returncode}, expected {expect}")
    return done.stdout


@contextmanager
def small_sas() -> Iterator[str]:
    """Serve tests/data/sas on loopback, as a process of its own; gives its URL."""
    command = [sys.executable, "-m", "astra_registry.testing.sas", str(HERE / "tests/data/sas"), "--sha1sums"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = (server.stdout.readline() if server.stdout else "").split()
            if not url:
                raise SystemExit("the embedded SAS did not start")
            yield url[-1]
        finally:
            server.terminate()


def tour() -> None:
    """The stations, one after the other."""
    say("""SDSS keeps its spectra on the Science Archive Server, the SAS. This tour has a small one: eleven real files,
        served from this machine by `python -m astra_registry.testing.sas tests/data/sas`. Nothing leaves it.""")
    say("A kind of file is a data product. The installed plugins bring these (the tree of SDSS brings the most):")
    show('list --search "spectrum apogee" --release dr17', lines=8, width=110)
    show("plugins list")

    say("One of them, with its parameters and its path in a release:")
    show("show apStar --release dr17", lines=30)

    say("Where does a file belong? A path needs no network and no file; nor does its URL.")
    show(f"resolve {STAR}")
    show(f"resolve {STAR} --url")
    say("And back: what is the file at that address?")
    show("identify dr17/apogee/spectro/redux/dr17/stars/apo25m/K04_083+13/apStar-dr17-2M19485057+5005279.fits")

    say("Bring one file of each product. Each is checked to its last block before it gets its name.")
    show(f"fetch {VISIT}")
    show(f"fetch {STAR}")
    show(f"fetch {SPEC}")

    say("Bring a batch: a row of a table is a file, columns are parameters, constants are options.")
    table = os.path.relpath(HERE / "tests/data/tables/visits.csv")
    show(f"fetch apVisit --release dr13 --from {shlex.quote(table)}")
    say("The same again: what is here and whole is not asked for again.")
    show(f"fetch apVisit --release dr13 --from {shlex.quote(table)}")
    say("A file that the server does not have is a failure, and says so (exit code 1):")
    show(f"fetch {STAR.replace('5005279', '5005278')}", width=110, expect=1)

    say("Look into the star's file, then read it in Python:")
    show(f"info {STAR}", lines=30)
    python(READ)

    say("""That was the tour; its files are in .demo/. Now the real SAS. Make astra-registry yours with `source
        .venv/bin/activate`, and try:""")
    click.echo()
    click.secho(f"  astra-registry fetch {STAR}", bold=True)
    click.secho("  astra-registry list --search spectrum --release dr19", bold=True)
    click.secho(
        "  astra-registry fetch apStar --from tests/data/tables/stars-dr17.csv --release dr17 --dry-run", bold=True
    )
    click.echo()


def main() -> None:
    """Take the tour in a clean folder, with no setting of the user's in the way."""
    os.chdir(HERE if os.access(HERE, os.W_OK) else Path.cwd())
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name in [
        name for name in os.environ if name.startswith("ASTRA_REGISTRY_") or name in ("SAS_BASE_DIR", "PRODUCT_ROOT")
    ]:
        del os.environ[name]
    with small_sas() as url:
        os.environ["SAS_BASE_DIR"] = str(FOLDER.resolve() / "sas")
        os.environ["ASTRA_REGISTRY_REMOTE_BASE"] = url
        os.environ["ASTRA_REGISTRY_DATABASE"] = f"sqlite:///{FOLDER.resolve()}/states.sqlite"
        os.environ["ASTRA_REGISTRY_CONFIG"] = str(FOLDER.resolve() / "config.toml")
        os.environ["COLUMNS"] = "100"
        tour()


if __name__ == "__main__":
    main()
