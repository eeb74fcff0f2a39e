"""How long a path takes: one a call and in bulk, next to sdss_access and to an f-string loop written by hand.

    python benchmarks/paths.py [--rows 1000000] [--json]

Medians of five rounds, in each of which everything is measured once, so that a busy machine is busy for all.
sdss_access answers in a process of its own, one a release, as it holds one at a time. Every answer is compared with the
others' before it is timed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from astra_registry import registry
from astra_registry.errors import AstraRegistryError
from astra_registry.release import releases
from astra_registry.settings import override
from astra_registry.tree import Tree

Values = dict[str, Any]

CHILD = r"""
import json, os, sys, time
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from sdss_access.path import Path
release, name, calls = sys.argv[1], sys.argv[2], json.loads(sys.stdin.readline())
path = Path(release=release)
print(json.dumps(path.full(name, **calls[0])), file=answers, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    for values in calls:
        path.full(name, **values)
    print((time.perf_counter() - start) / len(calls), file=answers, flush=True)
"""


def once(function: Callable[[], object]) -> float:
    """Return the time of one call, in seconds."""
    gc.collect()
    start = time.perf_counter()
    made = function()
    seconds = time.perf_counter() - start
    del made
    return seconds


# ---------------------------------------------------------------- what is asked: columns, and the loop by hand


def ap_visit(n: int, draw: random.Random) -> Values:
    """Columns as a table of visits has them."""
    return {
        "apred": "dr17",
        "telescope": [draw.choice(("apo25m", "lco25m")) for _ in range(n)],
        "field": [f"{draw.randrange(360):03d}+{draw.randrange(90):02d}" for _ in range(n)],
        "plate": [draw.randrange(4000, 12000) for _ in range(n)],
        "mjd": [draw.randrange(55000, 59000) for _ in range(n)],
        "prefix": "ap",
        "fiber": [draw.randrange(1, 301) for _ in range(n)],
    }


def star_name(draw: random.Random) -> str:
    """A 2MASS name."""
    return f"2M{draw.randrange(24 * 10**6):08d}{draw.choice('+-')}{draw.randrange(9 * 10**6):07d}"


def ap_star_17(n: int, draw: random.Random) -> Values:
    """Columns as a table of stars has them, in DR17."""
    return {
        "apred": "dr17",
        "apstar": "stars",
        "telescope": [draw.choice(("apo25m", "lco25m")) for _ in range(n)],
        "field": [f"{draw.randrange(360):03d}+{draw.randrange(90):02d}" for _ in range(n)],
        "prefix": "ap",
        "obj": [star_name(draw) for _ in range(n)],
    }


def ap_star_19(n: int, draw: random.Random) -> Values:
    """Columns as a table of stars has them, in DR19: most HEALPix numbers occur once in a while."""
    return {
        "apred": "1.3",
        "telescope": [draw.choice(("apo25m", "lco25m")) for _ in range(n)],
        "healpix": [draw.randrange(196608) for _ in range(n)],
        "obj": [star_name(draw) for _ in range(n)],
    }


def spec(n: int, draw: random.Random) -> Values:
    """Columns as a table of BOSS spectra has them, from three pipeline runs with two roots."""
    return {
        "run2d": [draw.choice(("v5_13_2", "26", "103")) for _ in range(n)],
        "plateid": [draw.randrange(266, 12000) for _ in range(n)],
        "mjd": [draw.randrange(51600, 59000) for _ in range(n)],
        "fiberid": [draw.randrange(1, 1001) for _ in range(n)],
    }


def spec_lite(n: int, draw: random.Random, run2d: str) -> Values:
    """Columns as a table of SDSS-V spectra has them."""
    return {
        "run2d": run2d,
        "fieldid": [draw.randrange(15000, 115000) for _ in range(n)],
        "mjd": [draw.randrange(59000, 60500) for _ in range(n)],
        "catalogid": [draw.randrange(27021597842, 27021597842 + 10**10) for _ in range(n)],
    }


def loop_ap_visit(top: str, c: Values) -> list[str]:
    base, apred, prefix = f"{top}/dr17/apogee/spectro/redux", c["apred"], c["prefix"]
    return [
        f"{base}/{apred}/visit/{telescope}/{field}/{plate}/{mjd}/{prefix}Visit-{apred}-{plate}-{mjd}-{fiber:0>3}.fits"
        for telescope, field, plate, mjd, fiber in zip(
            c["telescope"], c["field"], c["plate"], c["mjd"], c["fiber"], strict=True
        )
    ]


def loop_ap_star_17(top: str, c: Values) -> list[str]:
    base, apred, apstar, prefix = f"{top}/dr17/apogee/spectro/redux", c["apred"], c["apstar"], c["prefix"]
    return [
        f"{base}/{apred}/{apstar}/{telescope}/{field}/{prefix}Star-{apred}-{obj}.fits"
        for telescope, field, obj in zip(c["telescope"], c["field"], c["obj"], strict=True)
    ]


def loop_ap_star_19(top: str, c: Values) -> list[str]:
    base, apred = f"{top}/dr19/spectro/apogee/redux", c["apred"]
    return [
        f"{base}/{apred}/stars/{telescope}/{healpix // 1000}/{healpix}/apStar-{apred}-{telescope}-{obj}.fits"
        for telescope, healpix, obj in zip(c["telescope"], c["healpix"], c["obj"], strict=True)
    ]


def loop_spec(top: str, c: Values) -> list[str]:
    legacy, boss = f"{top}/dr17/sdss/spectro/redux", f"{top}/dr17/eboss/spectro/redux"
    return [
        f"{legacy if run2d in ('26', '103', '104') else boss}/{run2d}/spectra/full/{plateid:0>4}"
        f"/spec-{plateid:0>4}-{mjd}-{fiberid:0>4}.fits"
        for run2d, plateid, mjd, fiberid in zip(c["run2d"], c["plateid"], c["mjd"], c["fiberid"], strict=True)
    ]


def loop_spec_lite_19(top: str, c: Values) -> list[str]:
    base, run2d = f"{top}/dr19/spectro/boss/redux", c["run2d"]
    return [
        f"{base}/{run2d}/spectra/lite/{fieldid:0>6}/{mjd}/spec-{fieldid:0>6}-{mjd}-{catalogid}.fits"
        for fieldid, mjd, catalogid in zip(c["fieldid"], c["mjd"], c["catalogid"], strict=True)
    ]


def loop_spec_lite_20(top: str, c: Values) -> list[str]:
    base, run2d = f"{top}/dr20/spectro/boss/redux", c["run2d"]
    return [
        f"{base}/{run2d}/spectra/daily/lite/{fieldid // 1000:0>3}XXX/{fieldid:0>6}/{mjd}"
        f"/spec-{fieldid:0>6}-{mjd}-{catalogid}.fits"
        for fieldid, mjd, catalogid in zip(c["fieldid"], c["mjd"], c["catalogid"], strict=True)
    ]


CASES: list[tuple[str, str, Callable[[int, random.Random], Values], Callable[[str, Values], list[str]]]] = [
    ("apVisit", "dr17", ap_visit, loop_ap_visit),
    ("apStar", "dr17", ap_star_17, loop_ap_star_17),
    ("apStar", "dr19", ap_star_19, loop_ap_star_19),
    ("spec", "dr17", spec, loop_spec),
    ("specLite", "dr19", lambda n, draw: spec_lite(n, draw, "v6_1_3"), loop_spec_lite_19),
    ("specLite", "dr20", lambda n, draw: spec_lite(n, draw, "v6_2_1"), loop_spec_lite_20),
]


# ---------------------------------------------------------------- the measurements


def row(columns: Values, i: int) -> Values:
    """Return one product's parameters."""
    return {key: value[i] if isinstance(value, list) else value for key, value in columns.items()}


class SdssAccess:
    """sdss_access in a process of its own, asked again and again for the same paths."""

    def __init__(self, top: str, release: str, name: str, calls: list[Values]) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in ("TREE_VER", "TREE_DIR")}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", CHILD, release, name],
            env={**environment, "SAS_BASE_DIR": top},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.first = self.ask(json.dumps(calls))

    def ask(self, line: str = "") -> Any:
        """Return the answer to a line: the first path, then the seconds a path."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def extra_memory(make: Callable[[], list[str]]) -> float:
    """Return the bytes a path that making them takes at its peak, beyond the paths themselves."""
    gc.collect()
    tracemalloc.start()
    paths = make()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (peak - sum(map(sys.getsizeof, paths))) / len(paths)


def one_case(
    top: str,
    name: str,
    release: str,
    columns: Values,
    by_hand: Callable[[str, Values], list[str]],
    rows: int,
) -> dict[str, Any]:
    """Measure one product of one release: everything once in each of five rounds, so that all see the same machine."""
    tree = Tree(release, sas_base_dir=top)
    full = tree.full
    calls = [row(columns, i) for i in range(1000)]
    theirs = SdssAccess(top, release, name, calls[:200])
    with override(sas_base_dir=top):
        model = registry[name]
        products = [model(release=release, **values) for values in calls]
        batch = model(release=release, **columns)
        singles = [product.local_path for product in products]
        paths, loop = tree.fulls(name, **columns), by_hand(top, columns)
        if not (paths == loop == batch.local_paths and theirs.first == paths[0] and singles == paths[: len(singles)]):
            raise SystemExit(f"{name} in {release}: not all agree")
        del paths, loop

        def one_a_call() -> None:
            for _ in range(5):
                for values in calls:
                    full(name, **values)

        rounds: dict[str, list[float]] = {
            "sdss_access": [], "full": [], "local_path": [], "fulls": [], "local_paths": [], "by_hand": [],
        }  # fmt: skip
        for _ in range(5):
            rounds["sdss_access"].append(theirs.ask())
            rounds["full"].append(once(one_a_call) / (5 * len(calls)))
            rounds["local_path"].append(once(lambda: [p.local_path for p in products]) / len(calls))
            rounds["by_hand"].append(once(lambda: by_hand(top, columns)) / rows)
            rounds["fulls"].append(once(lambda: tree.fulls(name, **columns)) / rows)
            rounds["local_paths"].append(once(lambda: batch.local_paths) / rows)
    theirs.close()

    def ratio(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(rounds[one], rounds[other], strict=True))

    return {
        "product": name,
        "release": release,
        **{f"{what}_us": statistics.median(seconds) * 1e6 for what, seconds in rounds.items()},
        **{f"{what}_times_faster": ratio("sdss_access", what) for what in rounds if what != "sdss_access"},
        **{f"{what}_to_by_hand": ratio(what, "by_hand") for what in ("fulls", "local_paths")},
        "extra_bytes": extra_memory(lambda: tree.fulls(name, **columns)),
    }


def plain_paths(tree: Tree) -> Iterator[tuple[str, Values]]:
    """Give the paths of a release that take text, or a number, for every parameter, with values."""
    for name in tree.lookup_names():
        keys = tree.lookup_keys(name)
        for values in ({key: f"v{i}" for i, key in enumerate(keys)}, {key: i + 1 for i, key in enumerate(keys)}):
            try:
                tree.full(name, **values)
            except AstraRegistryError:
                continue
            if keys:
                yield name, values
            break


def interleaved(top: str) -> dict[str, float]:
    """Return what it costs to ask all releases in turn, to as many products of one release in turn.

    Python is slower whenever the next call is for another product than the last, be it of the same release or not. So
    both are taken to what they cost one by one, and the first to the second.
    """
    trees = [Tree(release, sas_base_dir=top) for release in releases()]
    one = Tree("dr17", sas_base_dir=top)
    calls = {
        "releases": [(tree, *next(plain_paths(tree))) for tree in trees],
        "products": [(one, *path) for path in islice(plain_paths(one), len(trees))],
    }
    rounds = 500

    def walk(calls: list[tuple[Tree, str, Values]]) -> None:
        for tree, name, values in calls:
            tree.full(name, **values)

    told: dict[str, float] = {"releases": len(trees)}
    for what, some in calls.items():
        grouped, mixed = [call for call in some for _ in range(rounds)], some * rounds
        pairs = [(once(lambda: walk(grouped)), once(lambda: walk(mixed))) for _ in range(15)]  # noqa: B023
        told[f"interleaved_{what}_to_one_by_one"] = statistics.median(mix / group for group, mix in pairs)
    told["interleaved_releases_to_one"] = (
        told["interleaved_releases_to_one_by_one"] / told["interleaved_products_to_one_by_one"]
    )
    return told


def main() -> int:
    """Print the table; exit with 1 when an aim is missed."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--json", action="store_true", help="print the numbers as JSON")
    given = arguments.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as top:
        for name, release, make, by_hand in CASES:
            columns = make(given.rows, random.Random(17))
            results.append(one_case(top, name, release, columns, by_hand, given.rows))
        mixed = interleaved(top)
    if given.json:
        print(json.dumps({"rows": given.rows, "cases": results, "releases": mixed}, indent=1))
    else:
        print(f"{given.rows:,} rows in bulk; times are µs a path, × is how many times as fast as sdss_access,")
        print("÷ how many times as long as an f-string loop by hand, B the bytes a path beyond the paths at the peak")
        print(
            f"{'':15} sdss_access     Tree.full      product    Tree.fulls              batch              by hand   B"
        )
        for r in results:
            print(
                f"{r['product']:9}{r['release']:6}{r['sdss_access_us']:10.1f} "
                f"{r['full_us']:8.2f} {r['full_times_faster']:5.0f}× "
                f"{r['local_path_us']:6.2f} {r['local_path_times_faster']:4.0f}× "
                f"{r['fulls_us']:6.2f} {r['fulls_times_faster']:5.0f}× {r['fulls_to_by_hand']:5.2f}÷ "
                f"{r['local_paths_us']:6.2f} {r['local_paths_times_faster']:5.0f}× {r['local_paths_to_by_hand']:5.2f}÷ "
                f"{r['by_hand_us']:7.2f} {r['extra_bytes']:3.0f}"
            )
        print(
            f"{mixed['releases']} releases interleaved: {mixed['interleaved_releases_to_one']:.2f} of one "
            f"({mixed['interleaved_releases_to_one_by_one']:.2f} of one by one; as many products of one release "
            f"interleaved: {mixed['interleaved_products_to_one_by_one']:.2f} of one by one)"
        )
    aims = [
        *(r["full_times_faster"] >= 20 for r in results),
        *(r["fulls_times_faster"] >= 50 for r in results),
        *(r["fulls_to_by_hand"] <= 2 for r in results),
        *(r["local_paths_times_faster"] >= 50 for r in results),
        *(r["local_paths_to_by_hand"] <= 2 for r in results),
        *(r["extra_bytes"] < 300 for r in results),
        mixed["interleaved_releases_to_one"] <= 1.1,
    ]
    if not all(aims) and not given.json:
        print(f"{aims.count(False)} of {len(aims)} aims are missed")
    return 0 if all(aims) else 1


if __name__ == "__main__":
    sys.exit(main())
