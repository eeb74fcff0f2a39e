"""`completion`: what the shells ask for, and what they get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def completed(*words: str) -> list[str]:
    """Ask as bash does, in a process of its own; the last word is the one that is typed."""
    environment = {
        **os.environ,
        "_ASTRA_REGISTRY_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("astra-registry", *words)),
        "COMP_CWORD": str(len(words)),
    }
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "astra_registry"], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & {"astropy", "numpy", "sqlalchemy", "requests", "urllib3", "sdss_access", "tree"}
    return [line.partition(",")[2] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete"), ("zsh", "#compdef"), ("fish", "complete --no-files")]
)
def test_each_shell_gets_its_script(cli: Cli, shell: str, sign: str) -> None:
    ran = cli("completion", shell)

    assert ran.code == 0
    assert sign in ran.out
    assert "_ASTRA_REGISTRY_COMPLETE" in ran.out
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=ran.out, text=True, check=True)


def test_an_unknown_shell_is_a_wrong_request(cli: Cli) -> None:
    assert cli("completion", "tcsh").code == 2


def test_commands_are_completed() -> None:
    assert completed("res") == ["resolve"]
    assert {"show", "search", "state", "stubs"} <= set(completed("s"))


def test_products_are_completed() -> None:
    assert {"apVisit", "apVisitSum"} <= set(completed("resolve", "apV"))
    assert "apStar" in completed("show", "apS")


def test_parameters_choices_and_releases_are_completed() -> None:
    assert "--telescope" in completed("resolve", "apVisit", "--tel")
    assert completed("resolve", "apVisit", "--telescope", "apo") == ["apo25m", "apo1m"]
    assert completed("resolve", "apVisit", "--release", "dr1") == [f"dr1{n}" for n in (0, 1, 2, 3, 4, 5, 6, 7, 9)]
    assert "dr18" in completed("list", "--release", "dr1")
    assert "dr17" in completed("show", "apStar", "--diff", "dr1")
    assert "dr17" in completed("show", "apStar", "--diff", "dr16", "dr1")


def test_plugins_are_completed() -> None:
    assert completed("plugins", "uninstall", "apv") == ["apvisit"]
    assert completed("list", "--plugin", "astra-registry-sd") == ["astra-registry-sdsstree"]
    assert completed("search", "--plugin", "spe") == ["spec"]
    assert completed("plugins", "prefer", "apVis") == ["apVisit", "apVisit-1m", "apVisitSum", "apVisitSum-1m"]
    assert completed("plugins", "prefer", "apVisit", "apvi") == ["apvisit"]


def test_transports_are_completed() -> None:
    assert completed("fetch", "apVisit", "--transport", "r") == ["rsync"]
    assert completed("fetch", "apVisit", "--transport", "") == ["http", "rsync", "file"]


def test_bash_itself_completes(cli: Cli, tmp_path: Path) -> None:
    """The script as bash runs it, with the words as bash has them."""
    script = tmp_path / "completion.bash"
    script.write_text(cli("completion", "bash").out)
    asked = (
        f"source {script}; COMP_WORDS=(astra-registry resolve apVisit --telescope apo); COMP_CWORD=4; "
        'COMPREPLY=(); _astra_registry_completion astra-registry; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    ran = subprocess.run(["bash", "-c", asked], env=environment, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["apo25m", "apo1m"]
