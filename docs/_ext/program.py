"""The command `astra-registry`, run in a clean environment, so that the pages show what a new user would see."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache


@cache
def output(*arguments: str) -> str:
    """What the command prints; an exception with its complaint when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ASTRA_REGISTRY", "SAS_"))}
    environment |= {"HOME": "/home/you", "COLUMNS": "86", "ASTRA_REGISTRY_CONFIG": os.devnull, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "astra_registry", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"astra-registry {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
