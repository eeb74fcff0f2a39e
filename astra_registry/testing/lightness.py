"""What a plugin does to a process that imports it and resolves a path: found out in a fresh one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

HEAVY = ("astropy", "numpy", "pandas", "scipy", "matplotlib", "specutils", "sqlalchemy", "requests", "urllib3")
ILL_MANNERED = ("sdss_access", "tree")

_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")

_CHILD = r"""
import json, os, sys, warnings
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
asked = json.loads(sys.argv[1])
sys.argv[1:] = []
import astra_registry.registries
def state():
    return dict(os.environ), sys.excepthook, warnings.showwarning, list(warnings.filters), os.getcwd()
before = state()
registry = astra_registry.registries.Registry(plugins=[asked["plugin"]])
for name in registry.names():
    for release, parameters in registry.declaration(name).examples:
        registry.create(name, release=release, **parameters).local_path
names = "the environment", "sys.excepthook", "warnings.showwarning", "warnings.filters", "the current folder"
changed = [name for name, old, new in zip(names, before, state()) if old != new]
print(json.dumps({"modules": [m for m in asked["modules"] if m in sys.modules], "changed": changed}), file=answers)
"""


def effects(plugin: str, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what importing a plugin and resolving its examples does: `modules`, `changed`, `printed`, `files`.

    `failed` says why it could not be done, or nothing. `folder` is an empty one, in which the process runs.
    """
    question = json.dumps({"plugin": plugin, "modules": [*HEAVY, *ILL_MANNERED]})
    # Not the whole environment of this process: the plugin may have changed it already.
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": str(folder), "SAS_BASE_DIR": "/sas"}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, question],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    if done.returncode:
        return {"failed": done.stderr.strip()}
    told: dict[str, Any] = json.loads(done.stdout)
    return {**told, "failed": "", "printed": done.stderr.strip(), "files": _names(folder)}


def _names(folder: str | os.PathLike[str]) -> Sequence[str]:
    return sorted(os.listdir(folder))
