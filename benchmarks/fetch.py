"""How fast files are fetched, next to curl, aria2, rsync, parfive, pooch and sdss_access, in one interleaved run.

    python benchmarks/fetch.py [--rounds 5] [--quick] [--lab FILE] [--json]

With root, nginx, rsync and a script that lays a slow line between two network namespaces (``--lab lab.sh``: ``up
FOLDER STATE`` and ``down STATE``; the server is 10.77.0.1:8080 and :8873, the clients' namespace bench_cli, the
server's bench_srv) it measures on that line and on bare loopback; without, only on loopback, from the embedded SAS.
What is fetched is verified: FITS structure, and sha1 as the server lists it. A peer that would take minutes gets a part
of the files, and is compared by its rate.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve()
LAB = HERE.parents[2] / "shared" / "bench" / "net" / "lab.sh"
JOBS = 32
# Many files stay until the end: ext4 searches long for an inode that was not freed within the last minutes, so that
# what is removed after one client would be paid for by the next.
MOST_REMOVED = 3
_places = itertools.count()

# name → (folder, files fetched, bytes a file); the one large file is the first of the three
SETS = {
    "500 × 300 kB": ("mid", 500, 300_000),
    "3 × 200 MB": ("big", 3, 200_000_000),
    "1 × 200 MB": ("big", 1, 200_000_000),
    "20,000 × 3 kB": ("small", 20_000, 3_000),
}

OURS = """
import sys
from astra_registry.fetching import Wanted, fetch
base, folder, count, jobs, here = sys.argv[1:6]
names = (f"{folder}/f{n:05}.fits" for n in range(int(count)))
items = (Wanted((f"{base}/sas/dr17/{name}",), f"{here}/{name}") for name in names)
report = fetch(items, jobs=int(jobs), remote_base=base, checksums="always")
report.raise_for_failures()
"""
PRODUCT = """
[products.measured]
templates = {{ dr17 = "$SAS_BASE_DIR/dr17/{folder}/f{{number:0>5}}.fits" }}
[products.measured.parameters.number]
type = "int"
doc = "Its number."
batch = true
"""
PARFIVE = """
import sys
import parfive
base, folder, count, jobs, here = sys.argv[1:6]
loader = parfive.Downloader(max_conn=int(jobs), progress=False, overwrite=True)
for n in range(int(count)):
    loader.enqueue_file(f"{base}/sas/dr17/{folder}/f{n:05}.fits", path=here)
sys.exit(len(loader.download().errors))
"""
POOCH = """
import sys, logging
import pooch
pooch.get_logger().setLevel(logging.ERROR)
base, folder, count, jobs, here = sys.argv[1:6]
for n in range(int(count)):
    pooch.retrieve(f"{base}/sas/dr17/{folder}/f{n:05}.fits", None, path=here)
"""
SDSS_ACCESS = """
import sys
from sdss_access import HttpAccess
base, folder, count, jobs, here = sys.argv[1:6]
access = HttpAccess(verbose=False, public=True, release="DR17")
for n in range(int(count)):
    access.download_url_to_path(f"{base}/sas/dr17/{folder}/f{n:05}.fits", f"{here}/f{n:05}.fits")
"""


def python(code: str) -> Callable[..., list[str]]:
    return lambda base, folder, count, here: [sys.executable, "-c", code, base, folder, str(count), str(JOBS), here]


def command_line(base: str, folder: str, count: int, here: str) -> list[str]:
    """Return the command that people type: with a table, a plan, and a line a file."""
    product, table = Path(here, "products.toml"), Path(here, "numbers.csv")
    product.write_text(PRODUCT.format(folder=folder))
    table.write_text("number\n" + "".join(f"{n}\n" for n in range(count)))
    where = [
        "env",
        f"ASTRA_REGISTRY_PRODUCTS={product}",
        f"SAS_BASE_DIR={here}",
        sys.executable,
        "-m",
        "astra_registry",
    ]
    what = ["fetch", "measured", "--release", "dr17", "--from", str(table), "--remote-base", base]
    return [*where, *what, "--jobs", str(JOBS), "--checksums", "always"]


def curl(base: str, folder: str, count: int, here: str) -> list[str]:
    listing = Path(here, "list")
    listing.write_text(
        "".join(
            f'url = "{base}/sas/dr17/{folder}/f{n:05}.fits"\noutput = "{here}/f{n:05}.fits"\n' for n in range(count)
        )
    )
    return ["curl", "-s", "-Z", "--parallel-immediate", "--parallel-max", str(JOBS), "-K", str(listing)]


def aria2(base: str, folder: str, count: int, here: str) -> list[str]:
    listing = Path(here, "list")
    listing.write_text("".join(f"{base}/sas/dr17/{folder}/f{n:05}.fits\n" for n in range(count)))
    options = ["-q", "--no-conf", "--file-allocation=none", f"-j{JOBS}", "-d", here, "-i", str(listing)]
    return ["aria2c", *(["-x4", "-s4"] if folder == "big" else []), *options]


def rsync(base: str, folder: str, count: int, here: str) -> list[str]:
    listing = Path(here, "list")
    listing.write_text("".join(f"{folder}/f{n:05}.fits\n" for n in range(count)))
    server = base.removeprefix("http://").partition(":")[0]
    return ["rsync", "-a", f"--files-from={listing}", f"rsync://{server}:8873/dr17/", here]


# name → (command, program it needs, most files of small sets)
CLIENTS: dict[str, tuple[Callable[..., list[str]], str, int]] = {
    "astra-registry": (python(OURS), sys.executable, 20_000),
    "the command": (command_line, sys.executable, 20_000),
    "curl -Z": (curl, "curl", 20_000),
    "aria2": (aria2, "aria2c", 20_000),
    "rsync": (rsync, "rsync", 20_000),
    "parfive": (python(PARFIVE), sys.executable, 500),
    "pooch": (python(POOCH), sys.executable, 25),
    "HttpAccess": (python(SDSS_ACCESS), sys.executable, 25),
}


def make_archive(folder: Path, sets: dict[str, tuple[str, int, int]]) -> None:
    """Fill a folder with FITS files and the listings of their sha1."""
    for name, count, size in sets.values():
        place = folder / "dr17" / name
        place.mkdir(parents=True, exist_ok=True)
        lines = []
        for n in range(max(count, 3) if name == "big" else count):
            data = fits(n, size * (67 + n * 37 % 67) // 100 if name == "mid" else size)
            (place / f"f{n:05}.fits").write_bytes(data)
            lines.append(f"{hashlib.sha1(data).hexdigest()}  f{n:05}.fits\n")
        (place / f"{name}.sha1sum").write_text("".join(lines))


def fits(seed: int, size: int) -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    1"]
    cards += [f"NAXIS1  = {size:>20}", f"SEED    = {seed:>20}", "END"]
    header = "".join(card.ljust(80) for card in cards).encode().ljust(2880)
    noise = hashlib.shake_128(str(seed).encode()).digest(min(size, 1 << 16))
    data = (noise * (size // len(noise) + 1))[:size]
    return header + data + b"\0" * (-size % 2880)


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command; return its seconds, seconds of CPU, and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    peak = 0

    def watch() -> None:
        nonlocal peak
        # The peak of getrusage would be this script's own where that is larger.
        while not ended.wait(0.02):
            with suppress(OSError, TypeError):
                text = Path(f"/proc/{process.pid}/status").read_text()
                peak = max(peak, *(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")))

    ended = threading.Event()
    watching = threading.Thread(target=watch)
    watching.start()
    process.wait()
    seconds = time.perf_counter() - start
    ended.set()
    watching.join()
    return seconds, process.returncode, peak / 1000


class Line:
    """One way between clients and server."""

    def __init__(self, name: str, base: str, prefix: list[str], skip: tuple[str, ...] = ()) -> None:
        self.name, self.base, self.prefix, self.skip = name, base, prefix, skip


@contextmanager
def lines(folder: Path, lab: Path) -> Iterator[list[Line]]:
    """Give the lines that this machine has."""
    if os.geteuid() == 0 and lab.exists() and all(map(shutil.which, ("nginx", "rsync", "ip", "cc"))):
        state = tempfile.mkdtemp()
        subprocess.run(["sh", lab, "up", folder, state], check=True, stdout=subprocess.DEVNULL)
        try:
            yield [
                Line("slow line", "http://10.77.0.1:8080", ["ip", "netns", "exec", "bench_cli"]),
                Line("loopback", "http://127.0.0.1:8080", ["ip", "netns", "exec", "bench_srv"]),
            ]
        finally:
            subprocess.run(["sh", lab, "down", state], check=False)
            shutil.rmtree(state, ignore_errors=True)
        return
    command = [sys.executable, "-m", "astra_registry.testing.sas", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield [Line("loopback, embedded SAS", server.stdout.readline().strip(), [], skip=("rsync",))]
        finally:
            server.terminate()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true", help="the small sets only, and fewer of them")
    arguments.add_argument("--sets", nargs="*", help=f"some of: {', '.join(SETS)}")
    arguments.add_argument("--lab", type=Path, default=LAB)
    arguments.add_argument("--here", type=Path, help="where files are fetched to: a folder on the disk in question")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    sets = {kind: what for kind, what in SETS.items() if not chosen.sets or kind in chosen.sets}
    if chosen.quick:
        sets = {"200 × 300 kB": ("mid", 200, 300_000), "1,000 × 3 kB": ("small", 1000, 3000)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "served")
        make_archive(folder, sets)
        here = (chosen.here or Path(temporary)) / "here"
        environment = {**os.environ, "XDG_CACHE_HOME": f"{temporary}/cache", "PYTHONWARNINGS": "ignore"}
        results: dict[tuple[str, str, str], list[dict[str, float]]] = {}
        with lines(folder, chosen.lab) as available:
            for _ in range(chosen.rounds):
                for line in available:
                    for kind in sets:
                        one_round(line, kind, sets[kind], here, environment, results)
        told = again(folder, sets, here, environment)
    report(results, told, chosen.rounds, as_json=chosen.json)


def one_round(
    line: Line,
    kind: str,
    what: tuple[str, int, int],
    here: Path,
    environment: dict[str, str],
    results: dict[tuple[str, str, str], list[dict[str, float]]],
) -> None:
    folder, count, _ = what
    for client, (command, program, most) in CLIENTS.items():
        if not shutil.which(program) or client in line.skip or (client == "HttpAccess" and count == 1):
            continue
        few = min(count, most)
        place = here / str(next(_places))
        place.mkdir(parents=True)
        full = [*line.prefix, *command(line.base, folder, few, str(place))]
        before = os.times()
        seconds, code, peak = measured(full, environment)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        brought = list(place.rglob("*.fits"))
        total = sum(file.stat().st_size for file in brought)
        if few <= MOST_REMOVED:
            shutil.rmtree(place)
        if code or len(brought) != few:
            print(f"{client} on {line.name}, {kind}: {len(brought)} of {few}, exit {code}", file=sys.stderr)
            continue
        results.setdefault((line.name, kind, client), []).append(
            {"rate": total / 1e6 / seconds, "files": few / seconds, "cpu": 1000 * cpu / few, "memory": peak}
        )


def again(
    folder: Path, sets: dict[str, tuple[str, int, int]], here: Path, environment: dict[str, str]
) -> dict[str, float]:
    """Return how fast nothing is done, and how many bytes two runs carry when the first is killed."""
    from astra_registry.fetching import Wanted, iter_fetch
    from astra_registry.testing.sas import EmbeddedSas

    os.environ.update(environment)
    told = {}
    shutil.rmtree(here, ignore_errors=True)
    name, count, _ = list(sets.values())[-1]
    with EmbeddedSas(folder) as sas:
        items = [Wanted((sas.url_of(f"dr17/{name}/f{n:05}.fits"),), str(here / f"{n}.fits")) for n in range(count)]
        for _ in range(2):
            start = time.perf_counter()
            done = sum(1 for _ in iter_fetch(items, remote_base=sas.url, checksums="never"))
            told["files a second with nothing to do"] = done / (time.perf_counter() - start)
        sas.forget()
        name, count, _ = next(iter(sets.values()))
        whole = sum((folder / "dr17" / name / f"f{n:05}.fits").stat().st_size for n in range(count))
        command = [sys.executable, "-c", OURS, sas.url, name, str(count), str(JOBS), str(here)]
        first = subprocess.Popen(command)
        while sas.sent < whole / 2 and first.poll() is None:
            time.sleep(0.005)
        first.kill()
        first.wait()
        subprocess.run(command, check=True)
        told["bytes of two runs, the first killed, over those needed"] = sas.sent / whole
    return told


def report(
    results: dict[tuple[str, str, str], list[dict[str, float]]], told: dict[str, float], rounds: int, *, as_json: bool
) -> None:
    rows = {}
    for key, measured_rounds in results.items():
        rows[key] = {name: statistics.median(one[name] for one in measured_rounds) for name in measured_rounds[0]}
    if as_json:
        print(json.dumps({"rows": [{"line": a, "set": b, "client": c, **v} for (a, b, c), v in rows.items()], **told}))
        return
    print(f"medians of {rounds} interleaved rounds; each client fetches the same files from the same server")
    heads = ("line", "what", "client", "MB/s", "files/s", "ms CPU/file", "peak MB", "ours ÷ it")
    print(f"{heads[0]:24}{heads[1]:16}{heads[2]:16}" + "".join(f"{head:>13}" for head in heads[3:]))
    for (line, kind, client), row in rows.items():
        ours = rows.get((line, kind, "astra-registry"))
        ratio = f"{ours['rate'] / row['rate']:.2f}" if ours else "–"
        numbers = (f"{row['rate']:.1f}", f"{row['files']:,.0f}", f"{row['cpu']:.2f}", f"{row['memory']:.0f}", ratio)
        print(f"{line:24}{kind:16}{client:16}" + "".join(f"{number:>13}" for number in numbers))
    for name, value in told.items():
        print(f"{name}: {value:,.2f}")


if __name__ == "__main__":
    main()
