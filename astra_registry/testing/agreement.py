"""What sdss_access says about the same path: asked in a process of its own, for it changes the process it is in."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from astra_registry.errors import AstraRegistryError
from astra_registry.paths import roots
from astra_registry.product import DataProduct
from astra_registry.released import path_name
from astra_registry.tree import Tree

# One JSON question a line, one JSON answer a line. It holds one release at a time, so each question has its own fork.
_CHILD = r"""
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from sdss_access.path import Path
for line in sys.stdin:
    release, name, rows = json.loads(line)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    told = []
    try:
        path = Path(release=release)
        for values in rows:
            try:
                told.append(path.location(name, **values))
            except Exception as error:
                told.append(None)
    finally:
        print(json.dumps(told), file=answers, flush=True)
        os._exit(0)
"""


class SdssAccess:
    """sdss_access, which answers where a path of the tree is."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SDSS", "TREE"))}
        environment["SAS_BASE_DIR"] = roots.folder()  # the import makes this folder when it is not there
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        atexit.register(self.close)

    def locations(self, release: str, name: str, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """Return the locations that it gives, None where it refuses; raises AstraRegistryError when it is broken."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([release, name, [dict(row) for row in rows]]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise AstraRegistryError(
                f"sdss_access does not answer; does it work? {sys.executable} -c 'import sdss_access'"
            )
        told: list[str | None] = json.loads(line)
        return told

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()


@cache
def sdss_access() -> SdssAccess:
    """Return this process's one."""
    return SdssAccess()


def tree_name(product: type[DataProduct], release: str) -> str | None:
    """Return the tree's name of a product's path in a release, or None when the tree has none of that name."""
    if release == "sdss5":  # the tree's own word for it is sdsswork
        return None
    name = path_name(product.template_texts(release)[0]) or product._label()
    return name if name in Tree(release).templates else None
