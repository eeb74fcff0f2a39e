"""What it costs to know every product: listing them all, and telling which one a path is.

    python benchmarks/registry.py [--rounds 5] [--json]

`list` of all products is timed against ``import sdss_access``, both as processes of their own, one after the other; the
medians are compared. Paths of every product are made first, and each must come back to itself before it is timed; a
path's cost is that of the best round, by the clock on the wall. Exits with 1 when an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from astra_registry import Registry, registry
from astra_registry.declarations import Declaration
from astra_registry.errors import AstraRegistryError
from astra_registry.hooks import hookimpl

LIST = [sys.executable, "-m", "astra_registry", "list"]
SDSS_ACCESS = [sys.executable, "-c", "import sdss_access"]
KNOWN = {"run2d": "v6_1_3", "telescope": "apo25m", "instrument": "apogee-n", "ftype": "fits", "filter": "u"}


class Some:
    """A plugin that brings part of the tree's products."""

    def __init__(self, declarations: Sequence[Declaration]) -> None:
        self._declarations = {declaration.name: declaration for declaration in declarations}

    @hookimpl
    def astra_registry_product_sources(self) -> list[dict[str, Declaration]]:
        return [self._declarations]


def seconds(command: list[str], folder: str) -> float:
    """How long a process takes, with a home of its own."""
    environment = {**os.environ, "HOME": folder}
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def paths_of(known: Registry, seed: int = 1) -> list[str]:
    """One path of each product in each release."""
    rng = random.Random(seed)
    paths = []
    for name in known:
        product = known[name]
        for release in product.releases():
            try:
                plan = product.plan(release)
                values: dict[str, Any] = {}
                for _, attribute in plan.keys:
                    declared = product._parameters[attribute]
                    if declared.name not in ("release_", "component", "obs"):
                        drawn = rng.randint(1000, 99999) if declared.type is int else f"b{rng.randint(1, 99)}"
                        values[declared.name] = (declared.choices or (KNOWN.get(declared.name, drawn),))[0]
                paths.append(product(release=release, **values).local_path)
            except AstraRegistryError:
                continue  # its root is nowhere
    return paths


def rate(known: Registry, paths: list[str], rounds: int) -> float:
    """How many paths are identified in a second, at best; every one is checked first."""
    for path in paths:
        found = known.identify(path)
        assert found.local_path == path, (path, found)
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        for path in paths:
            known.identify(path)
        best = max(best, len(paths) / (time.perf_counter() - start))
    return best


def aims(result: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return each aim: what, how much it took of what it may take, and how much it may at most."""
    costs = list(result["microseconds_by_products"].values())
    return [
        ("list to import sdss_access", result["list_seconds"] / result["import_sdss_access_seconds"], 1.0),
        ("identify, of 50 µs a path", 1e6 / result["paths_per_second"] / 50, 1.0),
        ("identify among all products to among 50", costs[-1] / costs[0], 2.0),
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        for command in (LIST, SDSS_ACCESS):
            seconds(command, folder)  # so that both are compiled, and on the way from the disk
        timed = [(seconds(LIST, folder), seconds(SDSS_ACCESS, folder)) for _ in range(given.rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*timed, strict=True))

    paths = paths_of(registry)
    everything = rate(registry, paths, given.rounds)
    declarations = [registry.declaration(name) for name in registry]
    random.Random(1).shuffle(declarations)
    by_size = {}
    for size in (50, 200, len(declarations)):
        known = Registry(plugins=[Some(declarations[:size])])
        by_size[size] = 1e6 / rate(known, paths_of(known), given.rounds)

    result = {
        "list_seconds": ours,
        "import_sdss_access_seconds": theirs,
        "paths_per_second": everything,
        "paths": len(paths),
        "microseconds_by_products": by_size,
    }
    missed = [what for what, ratio, most in aims(result) if ratio > most]
    if given.json:
        print(json.dumps(result))
        return 1 if missed else 0
    print("| what | took |\n|---|---|")
    print(f"| `astra-registry list` of all {len(registry)} products, a process | {ours:.2f} s |")
    print(f"| `import sdss_access`, a process | {theirs:.2f} s |")
    print(f"| `identify` of {len(paths)} paths, warm | {everything:,.0f} paths/s |")
    for size, cost in by_size.items():
        print(f"| `identify` of a path among {size} products | {cost:.0f} µs |")
    for what in missed:
        print(f"missed: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
