"""Every error: what it says, its cause and its remedy. What it says is what really came when its example was run."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import blocks
import markdown

from astra_registry import errors

REMEDIES: dict[str, str] = tomllib.loads(Path(__file__).parents[1].joinpath("remedies.toml").read_text())

# How to come by each error that has none below it, after the first part of `failing.py`, whose names are known.
EXAMPLES: dict[str, str] = {
    "UnknownProduct": 'registry["apVist"]',
    "UnknownRelease": 'registry.create("apStar", release="dr99")',
    "UnknownPath": 'Tree("dr17").full("mwmStar", sdss_id=1)',
    "UnknownParameter": 'registry.create("apVisit", release="dr17", plait=5094)',
    "UnknownTask": 'store.load("apVisit_0123")',
    "NotIdentified": 'registry.identify("/data/notes.txt")',
    "MissingParameter": 'registry.create("apVisit", release="dr19", mjd=59146).local_path',
    "SuperfluousParameter": 'registry.create("apStar", release="dr19", telescope="apo25m", field="000+14")',
    "InvalidParameter": 'registry.create("apVisit", release="dr17", mjd="yesterday")',
    "UnequalLengths": 'registry.create("apVisit", release="dr17", mjd=[55874, 56643, 56651], fiber=[88, 82])',
    "UnsafePath": 'Tree("dr17").compile("$APOGEE_REDUX/../{obj}.fits")',
    "UnresolvedRoot": 'Tree("dr17").location("boss_survey")',
    "NotOnSas": 'registry.create("guidermon", release="dr17", mjd=55874).remote_path',
    "BadTable": 'registry["apVisit"].from_table(table("star,\\n2M19485057+5005279,\\n"), release="dr13")',
    "BadSetting": "override(jobs=-1).__enter__()",
    "IllegalMove": 'star.trigger_event_succeeded(store=store); star.update_state({"status_code": 30}, store=store)',
    "BrokenPlugin": 'with override(strict=True): Registry(plugins=["astra_registry_mwmstr"]).names()',
    "PluginConflict": 'Registry(plugins=[Mine(), Yours()])["mwmStar"]',
    "MissingExtra": 'sys.modules["specutils"] = None; star.get_remote(); star.read("spectrum")',
    "FileMissing": 'registry.create("apStar", **{**STAR, "obj": "2M00000000+0000000"}).get_remote()',
    "Unauthorized": "faults['now'] = Fault(status=401); star.get_remote()",
    "TransferFailed": "faults['now'] = Fault(status=503); star.get_remote()",
    "CorruptFile": "faults['now'] = Fault(other_bytes=True); star.get_remote()",
    "WrongLayout": "mistaken().read('spectrum')",
    "StoreError": 'star.create_state(store=StateStore("sqlite:////proc/states.sqlite"))',
    "SchemaMismatch": "star.create_state(store=store); star.create_state(store=of_the_future(store))",
}


def every() -> list[type[errors.AstraRegistryError]]:
    """The exceptions in the order of the file, without the root."""
    known = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.AstraRegistryError)]
    known.sort(key=lambda c: inspect.getsourcelines(c)[1])
    return [c for c in known if c is not errors.AstraRegistryError]


def messages() -> dict[str, list[str]]:
    """Run every example; return for each error the class that came and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("failing.py"))],
            input=json.dumps(EXAMPLES),
            capture_output=True,
            text=True,
            cwd=home,
            env=blocks.clean_environment(home, "http://127.0.0.1:9"),
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answers: dict[str, list[str]] = json.loads(done.stdout)
    return answers


def page() -> str:
    """The tree of exceptions, then each one."""
    tree = inspect.cleandoc((errors.__doc__ or "").partition("::")[2].partition("``exit_code``")[0])
    parts = [markdown.code(tree)]
    said = messages()
    for error in every():
        builtin = next((b.__name__ for b in error.__mro__ if b.__module__ == "builtins"), "Exception")
        also = "" if builtin == "Exception" else f"also a `{builtin}`; "
        parts.append(f"## {error.__name__}\n")
        if error.__name__ in said:
            parts.append(f"{{.message}}\n{markdown.code(said[error.__name__][1])}")
        parts.append(
            f"Cause\n: {markdown.docstring(error)}\n\nRemedy\n: {REMEDIES[error.__name__]}\n\n"
            f"*{also}exit code {error.exit_code}*\n".replace("*also", "*Also").replace("*exit", "*Exit")
        )
    return "\n".join(parts)
