"""How long the command line takes to begin, next to a click hello-world and to `import sdss_access`.

    python benchmarks/startup.py [--rounds 15] [--json]

Each round runs every command once, in turn, so that what else the machine does hits all alike; the numbers are medians
of the rounds. The 200 plugins are installed as real distributions, of 10 products each, in a folder on the path.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

HELLO = """
import click


@click.group()
@click.option("--name", help="Whom to greet.")
def main(name):
    "Greet."


@main.command()
def hello():
    "Say hello."


main()
"""

PLUGIN = """
from astra_registry import SDSS5DataModelTask, hookimpl, parameter


def product(n):
    class Product(SDSS5DataModelTask):
        "One of ten products."
        sdss_data_model_name = f"{name}Star{n}"
        templates = {"dr19": "$MWM_ASTRA/{v_astra}/%s/{sdss_id}-%d.fits" % (sdss_data_model_name, n)}
        v_astra: str = parameter("The version of Astra.", default="0.6.0")
        sdss_id: int = parameter("The star.", batch=True)
    return Product


for n in range(10):
    globals()[f"Product{n}"] = product(n)


@hookimpl
def astra_registry_products():
    return [globals()[f"Product{n}"] for n in range(10)]
"""


def many_plugins(folder: Path, count: int = 200) -> None:
    """Install distributions as an installer does: modules, metadata and entry points."""
    for i in range(count):
        name = f"bench{i:03d}"
        (folder / f"{name}.py").write_text(PLUGIN.replace("{name}", name))
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        products = "".join(f"{name}Star{n} = {name}:Product{n}\n" for n in range(10))
        (info / "entry_points.txt").write_text(
            f"[astra_registry]\n{name} = {name}\n\n[astra_registry.products]\n{products}"
        )


def medians(commands: Mapping[str, tuple[list[str], dict[str, str]]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each command; the first round, which warms the disk, is not counted."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, (command, environment) in commands.items():
            start = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def measured(rounds: int) -> dict[str, float]:
    """Return the median seconds of each command."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        (folder / "plugins").mkdir()
        many_plugins(folder / "plugins")
        hello = folder / "hello.py"
        hello.write_text(HELLO)
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("ASTRA_", "PYTHON"))}
        plain |= {"HOME": top, "SAS_BASE_DIR": str(folder / "sas")}
        many = plain | {"PYTHONPATH": str(folder / "plugins")}
        ours = [sys.executable, "-c", "from astra_registry.cli import main; main()"]
        star = ["--release", "dr17", "--telescope", "apo25m", "--field", "000+14", "--obj", "2M16544175-2148453"]
        resolve = [*ours, "resolve", "apStar", *star]
        bench = [*ours, "resolve", "bench117Star4", "--release", "dr19", "--sdss_id", "7"]
        # Compiled before, as an installer does.
        subprocess.run(bench, env=many, stdout=subprocess.DEVNULL, check=True)
        return medians(
            {
                "click hello-world --help": ([sys.executable, str(hello), "--help"], plain),
                "--help": ([*ours, "--help"], plain),
                "--help, 200 plugins": ([*ours, "--help"], many),
                "import sdss_access": ([sys.executable, "-W", "ignore", "-c", "import sdss_access"], plain),
                "resolve": (resolve, plain),
                "resolve, 200 plugins": (bench, many),
                "list of all products": ([*ours, "list"], plain),
            },
            rounds,
        )


def aims(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return each aim: what, the ratio, and what it may be at most."""
    return [
        ("--help to a click hello-world", seconds["--help"] / seconds["click hello-world --help"], 1.5),
        ("--help with 200 plugins to without", seconds["--help, 200 plugins"] / seconds["--help"], 1.1),
        ("resolve to import sdss_access", seconds["resolve"] / seconds["import sdss_access"], 0.5),
        ("resolve with 200 plugins to without", seconds["resolve, 200 plugins"] / seconds["resolve"], 2.0),
        (
            "list of all products to import sdss_access",
            seconds["list of all products"] / seconds["import sdss_access"],
            1.0,
        ),
    ]


def main() -> int:
    """Print the table; exit with 1 when an aim is missed."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--json", action="store_true", help="print the numbers as JSON")
    given = arguments.parse_args()
    seconds = measured(given.rounds)
    listed = aims(seconds)
    if given.json:
        print(json.dumps({"seconds": seconds, "ratios": {what: ratio for what, ratio, _ in listed}}, indent=1))
    else:
        for name, taken in seconds.items():
            print(f"{name:28} {taken * 1000:7.1f} ms")
        print()
        for what, ratio, most in listed:
            print(f"{what:44} {ratio:5.2f}  (at most {most}){'' if ratio <= most else '  MISSED'}")
    missed = sum(ratio > most for _, ratio, most in listed)
    if missed:
        print(f"{missed} of {len(listed)} aims are missed", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
