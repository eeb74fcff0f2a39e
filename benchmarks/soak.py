"""Whether the fetcher lasts: 20,000 files from a server that fails one request in ten, and a table of a million rows.

    python benchmarks/soak.py [--files 20000] [--rows 1000000] [--json]

The server is the embedded SAS in a process of its own; it answers 503 and 500, cuts, resets and hangs up in turn. What
came is compared byte by byte. The million rows are planned (``--dry-run``), found present the first time (each file is
walked) and again (the ledger knows it): hard links to few files stand for a million, since it is the list that is long.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SERVER = """
import itertools, sys, time
from astra_registry.testing.sas import EmbeddedSas, Fault
KINDS = [Fault(status=503), Fault(cut_after=1000), Fault(reset_after=10), Fault(hang_up=True), Fault(status=500)]
asked = itertools.count(1)
def faults(request):
    number = next(asked)
    return KINDS[number // 10 % len(KINDS)] if number % 10 == 0 else None
with EmbeddedSas(sys.argv[1], faults=faults) as sas:
    print(sas.url, flush=True)
    sys.stdin.readline()
    print(len(sas.requests), flush=True)
"""
CLIENT = """
import sys
from astra_registry.fetching import Wanted, iter_fetch
base, count, here = sys.argv[1:]
names = (f"dr17/{n // 200}/f{n:05}.fits" for n in range(int(count)))
items = (Wanted((f"{base}/sas/{name}",), f"{here}/{name}") for name in names)
for result in iter_fetch(items, jobs=16, remote_base=base, checksums="never"):
    print(result.status, result.attempts, result.error or "")
"""
A_LINK_FOR = 50_000  # names of one file: ext4 allows 65,000


def fits(seed: int, size: int) -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    1"]
    cards += [f"NAXIS1  = {size:>20}", f"SEED    = {seed:>20}", "END"]
    header = "".join(card.ljust(80) for card in cards).encode().ljust(2880)
    return header + hashlib.shake_128(str(seed).encode()).digest(size) + b"\0" * (-size % 2880)


def run(command: list[str], environment: dict[str, str]) -> tuple[str, float, float]:
    """Run a command; return what it printed (its last lines when long), its seconds, and its peak memory in MB."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        peak = 0
        while process.poll() is None:
            try:
                text = Path(f"/proc/{process.pid}/status").read_text()
                peak = max(peak, int((re.search(r"VmHWM:\s*(\d+)", text) or ["", "0"])[1]))
            except OSError:
                pass
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        out.seek(0)
        return out.read(), seconds, peak / 1000


def soak(folder: Path, count: int, environment: dict[str, str]) -> dict[str, object]:
    served, here = folder / "served", folder / "here"
    for n in range(count):
        file = served / f"dr17/{n // 200}/f{n:05}.fits"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(fits(n, 3000))
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(served)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdin is not None
    base = server.stdout.readline().strip()
    out, seconds, peak = run([sys.executable, "-c", CLIENT, base, str(count), str(here)], environment)
    server.stdin.write("\n")
    server.stdin.flush()
    requests = int(server.stdout.readline())
    server.wait()
    rows = [line.split(" ", 2) for line in out.splitlines()]
    names = {file.relative_to(served) for file in served.rglob("*.fits")}
    lying = {file.relative_to(here) for file in here.rglob("*") if file.is_file()}
    right = sum((served / name).read_bytes() == (here / name).read_bytes() for name in names & lying)
    return {
        "what": f"{count:,} files of 3 kB, one request in ten fails",
        "outcome": f"{dict(Counter(row[0] for row in rows))}, {right:,} right, {len(lying - names)} left over; "
        f"{sum(int(row[1]) for row in rows):,} attempts told, {requests:,} requests made",
        "seconds": seconds,
        "peak MB": peak,
        "good": right == count and lying == names and sum(int(row[1]) for row in rows) == requests,
    }


def million(folder: Path, count: int, environment: dict[str, str]) -> list[dict[str, object]]:
    import numpy as np
    from astropy.table import Table

    stars = np.arange(count)
    fields = np.char.add("F", (stars // 500).astype(str))
    table = folder / "stars.fits"
    objects = np.char.add("2M", np.char.zfill(stars.astype(str), 8))
    Table({"APOGEE_ID": objects, "FIELD": fields, "TELESCOPE": np.full(count, "apo25m")}).write(table)
    environment = {
        **environment,
        "SAS_BASE_DIR": str(folder / "here"),
        "ASTRA_REGISTRY_REMOTE_BASE": "http://127.0.0.1:9",
    }
    fetch = [sys.executable, "-m", "astra_registry", "fetch", "apStar", "--release", "dr17", "--from", str(table)]
    rows = []

    def told(what: str, command: list[str], wanted: str) -> None:
        out, seconds, peak = run(command, environment)
        last = out.rstrip().rpartition("\n")[2]
        rows.append({"what": what, "outcome": last, "seconds": seconds, "peak MB": peak, "good": wanted in out})

    told(f"plan {count:,} rows, no file here", [*fetch, "--dry-run"], f"{count:,} to fetch")
    link_all(folder, count, environment)
    told(f"fetch {count:,} rows, all here, each walked", fetch, f"{count:,} present")
    told(f"fetch {count:,} rows, all here and known", fetch, f"{count:,} present")
    told(f"plan {count:,} rows, all here and known", [*fetch, "--dry-run"], "0 to fetch")
    told("the same with --report out.csv", [*fetch, "--report", str(folder / "out.csv")], f"{count:,} present")
    told("the same with --report out.fits", [*fetch, "--report", str(folder / "out.fits")], f"{count:,} present")
    told("the same with --lock data.lock", [*fetch, "--lock", str(folder / "data.lock")], f"{count:,} present")
    return rows


def link_all(folder: Path, count: int, environment: dict[str, str]) -> None:
    """Put a file at every path of the table."""
    command = [sys.executable, "-m", "astra_registry", "resolve", "apStar", "--release", "dr17"]
    command += ["--from", str(folder / "stars.fits")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        made = ""
        for number, line in enumerate(process.stdout):
            path = line.rstrip("\n")
            if number % A_LINK_FOR == 0:
                source = folder / f"file{number}.fits"
                source.write_bytes(fits(number, 100))
            if os.path.dirname(path) != made:
                made = os.path.dirname(path)
                os.makedirs(made, exist_ok=True)
            os.link(source, path)
    assert number + 1 == count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ASTRA_REGISTRY_")}
        environment = {**kept, "HOME": name, "XDG_CACHE_HOME": name, "XDG_CONFIG_HOME": name}
        rows = [soak(folder, chosen.files, environment)] if chosen.files else []
        rows += million(folder, chosen.rows, environment) if chosen.rows else []
    if chosen.json:
        print(json.dumps(rows))
    else:
        print("| what | outcome | seconds | peak MB |\n|---|---|---|---|")
        for row in rows:
            print(f"| {row['what']} | {row['outcome']} | {row['seconds']:.1f} | {row['peak MB']:.0f} |")
    sys.exit(not all(row["good"] for row in rows))


if __name__ == "__main__":
    main()
