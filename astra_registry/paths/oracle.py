"""sdss_access in a child process: it answers for the derived gaps of a release that we do not know ourselves.

So a new special function works on the day it is released. Importing sdss_access writes some ninety variables into the
environment and makes folders, and it holds one release at a time; hence a process of its own, one a release.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from functools import cache
from typing import Any

from astra_registry.errors import AstraRegistryError, BadValue
from astra_registry.paths import roots
from astra_registry.paths.derived import DerivedGap

# Runs in the child: one JSON question a line, one JSON answer a line.
_CHILD = r"""
import inspect, json, os, re, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever the imports print goes elsewhere
from sdss_access.path import Path
top, path = os.environ["SAS_BASE_DIR"], Path(release=sys.argv[1])

def sources(method, seen):
    # The source of a special function, and of the methods of its own that it calls.
    source = inspect.getsource(method)
    for name in re.findall(r"self\.(\w+)\(", source):
        if name not in seen and callable(getattr(path, name, None)):
            seen.add(name)
            source += sources(getattr(path, name), seen)
    return source

def describe(function):
    method = getattr(path, function)
    path.templates = {"asked": "@" + function + "|"}
    listed = path._check_special_kwargs("asked")
    read = re.findall(r"\w*kw\w*(?:\.get\(|\.pop\(|\[)\s*['\"](\w+)['\"]", sources(method, {function}))
    return {"listed": list(dict.fromkeys(listed)), "read": list(dict.fromkeys(read))}

def call(function, product, values):
    text = str(getattr(path, function)(product, **values))
    return text[len(top):].lstrip("/") if text.startswith(top) else text

for line in sys.stdin:
    asked = json.loads(line)
    try:
        if "rows" in asked:
            answer = [call(asked["function"], asked["product"], values) for values in asked["rows"]]
        else:
            answer = describe(asked["function"])
        told = {"answer": answer}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(told), file=answers, flush=True)
"""


class _Child:
    """A process in which sdss_access holds one release."""

    def __init__(self, release: str) -> None:
        self._lock = threading.Lock()
        environment = {name: value for name, value in os.environ.items() if name not in ("TREE_VER", "TREE_DIR")}
        # The import makes this folder when it is not there; the one of the release files is.
        environment["SAS_BASE_DIR"] = roots.folder()
        environment["PYTHONPATH"] = os.pathsep.join(place or os.getcwd() for place in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", _CHILD, release],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer to one question; ValueError with what sdss_access raised."""
        with self._lock:
            process = self._process
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = ""
        if not line:
            raise AstraRegistryError(
                f"sdss_access, asked for @{question['function']}|, does not answer: does it work? "
                f"{sys.executable} -c 'import sdss_access'"
            )
        told = json.loads(line)
        if "error" in told:
            raise ValueError(told["error"])
        return told["answer"]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._process.stdin and self._process.stdin.close()
            self._process.stdout and self._process.stdout.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


_children: dict[tuple[int, str], _Child] = {}
_starting = threading.Lock()


def _child(release: str) -> _Child:
    key = os.getpid(), release  # a fork must not share its parent's pipes
    with _starting:
        if key not in _children:
            _children[key] = _Child(release)
        return _children[key]


@atexit.register
def close() -> None:
    """End the processes that were started; the next question starts a new one."""
    with _starting:
        for pid, release in list(_children):
            child = _children.pop((pid, release))
            if pid == os.getpid():
                child.close()
    gap.cache_clear()


@cache
def gap(release: str, function: str) -> DerivedGap:
    """Return a derived gap that sdss_access makes; BadValue when it does not know that function either."""
    child = _child(release)
    try:
        told = child.ask({"function": function})
    except ValueError as error:
        raise BadValue(f"@{function}| is no special function of sdss_access: {error}") from None
    reads = tuple(told["listed"])
    unlisted = tuple(key for key in told["read"] if key not in reads)
    arguments = reads + unlisted

    def many(product: str, rows: list[tuple[Any, ...]]) -> list[str]:
        values = [{key: value for key, value in zip(arguments, row, strict=True) if value is not None} for row in rows]
        # Rows that are alike are asked once.
        asked = {json.dumps(row): row for row in values}
        answers = _child(release).ask({"function": function, "product": product, "rows": list(asked.values())})
        texts = dict(zip(asked, answers, strict=True))
        return [texts[json.dumps(row)] for row in values]

    @cache
    def one(product: str, *values: Any) -> str:
        return many(product, [values])[0]

    return DerivedGap(one, reads, unlisted=unlisted, pattern=".*?", many=many)
