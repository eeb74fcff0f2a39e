"""Reading 1,000 apStar files into arrays, and a million rows of a table, beside what one would write by hand.

Run it with ``python benchmarks/reading.py [--files N] [--rows N] [--json]``; the files are copies of those that come
with the tests, in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SAS = Path(__file__).parents[1] / "tests" / "data" / "sas"


def by_hand(paths: list[str]) -> Any:
    """Read flux, error and mask with astropy, as an astronomer writes it."""
    from astropy.io import fits

    flux = np.empty((len(paths), 8575), np.float32)
    error = np.empty((len(paths), 8575), np.float32)
    mask = np.empty((len(paths), 8575), np.int16)
    for row, path in enumerate(paths):
        with fits.open(path, memmap=False) as hdus:
            for target, index in ((flux, 1), (error, 2), (mask, 3)):
                values = hdus[index].data
                target[row] = values if values.ndim == 1 else values[0]
    return flux


def mapped_by_hand(paths: list[str]) -> object:
    """The same, with the file mapped into memory: the better way for files of many rows."""
    from astropy.io import fits

    flux = np.empty((len(paths), 8575), np.float32)
    error = np.empty((len(paths), 8575), np.float32)
    mask = np.empty((len(paths), 8575), np.int16)
    for row, path in enumerate(paths):
        with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
            for target, index in ((flux, 1), (error, 2), (mask, 3)):
                values = hdus[index].data
                target[row] = values if values.ndim == 1 else values[0]
    return flux


def ours(paths: list[str]) -> Any:
    """Read them with `read_arrays`."""
    from astra_registry_apstar.arrays import read_arrays

    return read_arrays(paths).flux


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the median time of a call."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def peak_megabytes(count: int, folder: Path) -> float:
    """Return how much memory a fresh process needs, beside the result, to read ``count`` files into a mapped array."""
    code = f"""
import resource, sys
import numpy as np
from pathlib import Path
from astra_registry_apstar.arrays import read_arrays
paths = sorted(map(str, Path({str(folder)!r}).glob("*.fits")))
out = tuple(np.lib.format.open_memmap({str(folder)!r} + f"/{{n}}.npy", "w+", t, (1, 8575))
            for n, t in (("flux", "f4"), ("error", "f4"), ("mask", "i2")))
read_arrays(paths[:1], out=out)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in paths[:{count}]:
    read_arrays([path], out=out)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def table_seconds(rows: int, folder: Path) -> dict[str, float]:
    """Return the time to read a table with the columns that make a batch of apStar, by its format."""
    from astra_registry.tables import read_columns, write_table

    columns = {
        "APOGEE_ID": np.array([f"2M{n:08d}+{n % 9999999:07d}" for n in range(rows)]),
        "FIELD": np.array([f"{n % 360:03d}+{n % 90:02d}" for n in range(rows)]),
        "TELESCOPE": np.resize(np.array(["apo25m", "lco25m"]), rows),
        "LOCATION_ID": np.arange(rows),
        "SNR": np.random.default_rng(1).random(rows),
    }
    taken = {}
    for ending in ("fits", "csv", "parquet"):
        path = folder / f"allStar.{ending}"
        write_table(columns, path)
        wanted = {"obj": ("APOGEE_ID",), "field": (), "telescope": ()}
        taken[ending] = seconds(lambda path=path, wanted=wanted: read_columns(path, columns=wanted))  # type: ignore[misc]
    return taken


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    sources = sorted(SAS.rglob("apStar-*.fits"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(chosen.files):
            shutil.copyfile(sources[number % len(sources)], folder / f"apStar-{number:05d}.fits")
        paths = sorted(map(str, folder.glob("*.fits")))
        # Both have then imported what they need, the files are in the cache, and the answers are known to be the same.
        if not np.array_equal(ours(paths), by_hand(paths), equal_nan=True):
            raise SystemExit("the two ways disagree")
        measured = {
            f"{chosen.files} apStar files into arrays: read_arrays, s": seconds(lambda: ours(paths)),
            "the same with an astropy loop, s": seconds(lambda: by_hand(paths)),
            "the same with an astropy loop and memmap, s": seconds(lambda: mapped_by_hand(paths)),
            "memory besides the result, 100 files, MB": peak_megabytes(min(100, chosen.files), folder),
            f"memory besides the result, {chosen.files} files, MB": peak_megabytes(chosen.files, folder),
        }
        us, loop, mapped = list(measured.values())[:3]
        measured["times faster than the better loop"] = min(loop, mapped) / us
        for ending, taken in table_seconds(chosen.rows, folder).items():
            measured[f"three columns of {chosen.rows:,} rows, {ending}, s"] = taken
    if chosen.json:
        print(json.dumps(measured))
    else:
        print("\n".join(f"{what:56} {value:8.2f}" for what, value in measured.items()))
    if us > min(loop, mapped):
        sys.exit("missed: reading is slower than a loop written by hand")


if __name__ == "__main__":
    main()
