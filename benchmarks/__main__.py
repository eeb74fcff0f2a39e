"""Runs every suite of this folder and writes what it printed into benchmarks/latest.md, which the documentation shows.

    python -m benchmarks [SUITE…] [-- OPTION…]

A suite is a script here that prints its table. Named suites replace their own part of the last table; options behind
``--`` are the suites' own.
"""

from __future__ import annotations

import ast
import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LATEST = HERE / "latest.md"
BESIDE = ("sdss-access", "sdss-tree", "astropy", "sqlalchemy", "luigi", "pooch", "parfive")


def machine() -> str:
    """This machine and the versions that matter, in a line each."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"model name\s*: (.*)", cpuinfo.read_text())
        model = found[1] if found else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for name in BESIDE:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    kernel = f"{platform.system()} {platform.release().split('-')[0]}"
    hardware = f"{os.cpu_count()} cores {model or platform.machine()}, {memory:.0f} GB"
    return f"{hardware}, {kernel}, Python {platform.python_version()}; {', '.join(versions)}"


def parts() -> dict[str, str]:
    """The suites of the last table, by name."""
    if not LATEST.exists():
        return {}
    found = re.split(r"^### (\w+)\n", LATEST.read_text(), flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def main() -> None:
    """Run the suites one after the other, since each wants the machine for itself."""
    known = {file.stem: file for file in sorted(HERE.glob("*.py")) if not file.stem.startswith("_")}
    table = {name: text for name, text in parts().items() if name in known}
    failed = []
    given = sys.argv[1:]
    behind = given.index("--") if "--" in given else len(given)
    named, options = given[:behind], given[behind + 1 :]
    for name in named or known:
        print(f"{name} …", flush=True)
        command = [sys.executable, known[name], *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        # A suite that misses an aim says so in its table and exits with 1; one that breaks prints none.
        if done.returncode:
            failed.append(name)
        if not done.stdout.strip():
            continue
        today = datetime.date.today()  # noqa: DTZ011 - the date on the wall of this machine
        says = (ast.get_docstring(ast.parse(known[name].read_text())) or name).splitlines()[0]
        table[name] = f"\n{says}\n\n```text\n{done.stdout.rstrip()}\n```\n\n*{today}, {machine()}*\n\n"
    LATEST.write_text("".join(f"### {name}\n{table[name]}" for name in sorted(table)))
    if failed:
        sys.exit(f"missed an aim, or failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
