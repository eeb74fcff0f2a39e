"""``astra-registry plugins``: what it prints; what it installs is tested in tests/distributions."""

from __future__ import annotations

import ast
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "astra_registry", *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("ASTRA_")} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=own)


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    return {plugin["name"]: plugin for plugin in json.loads(run("plugins", "list", "--json").stdout)}


def test_the_list_has_every_plugin_with_its_health_and_products(listed: dict[str, Any]) -> None:
    assert {"apstar", "apvisit", "sdsstree", "spec"} <= set(listed)
    assert listed["apvisit"] == {
        "name": "apvisit",
        "distribution": "astra-registry-apvisit",
        "version": "1.0.0",
        "status": "ok",
        "error": None,
        "products": ["apVisit"],
    }
    assert len(listed["sdsstree"]["products"]) > 800


def test_without_a_word_it_lists_and_json_goes_with_either(listed: dict[str, Any]) -> None:
    assert json.loads(run("plugins", "--json").stdout) == list(listed.values())
    lines = run("plugins").stdout.splitlines()
    assert lines[0].split() == ["plugin", "distribution", "health", "products"]
    assert any(line.split()[:4] == ["apvisit", "astra-registry-apvisit", "1.0.0", "ok"] for line in lines)
    assert all(len(line) < 200 for line in lines)


def test_a_disabled_plugin_is_listed_as_disabled() -> None:
    told = json.loads(run("plugins", "list", "--json", ASTRA_REGISTRY_PLUGINS="apvisit").stdout)

    assert {plugin["name"]: plugin["status"] for plugin in told if plugin["name"] in ("apvisit", "apstar")} == {
        "apvisit": "ok",
        "apstar": "disabled",
    }


def test_check_finds_nothing_wrong_with_the_bundled_plugins() -> None:
    done = run("plugins", "check")

    assert (done.returncode, done.stdout) == (0, "")
    assert "all well" in done.stderr


def test_check_finds_a_template_that_cannot_be_used(tmp_path: Path) -> None:
    """What shows only when the product is asked for: in one line, with the release's fault and what to do."""
    file = tmp_path / "products.toml"
    template = '{ dr19 = "$NO_SUCH_ROOT/{a}.fits" }'
    file.write_text(f'[products.lost]\ntemplates = {template}\nparameters.a.doc = "What it is."\n')

    done = run("--products", str(file), "plugins", "check", "--json")

    assert done.returncode == 1
    (wrong,) = json.loads(done.stdout)
    assert "NO_SUCH_ROOT" in wrong["error"]
    assert wrong["status"] == "broken"


def test_freeze_pins_every_distribution_once() -> None:
    lines = [line for line in run("plugins", "freeze").stdout.splitlines() if not line.startswith("#")]

    assert [line.partition("==")[0] for line in lines] == sorted({line.partition("==")[0] for line in lines})
    assert any(line.startswith("astra-registry-spec==1.0.0") for line in lines)


def test_a_plugin_whose_products_another_takes_over_is_told_by_the_difference() -> None:
    """The tree's plugin brings 853 products, and all but the one are no news."""
    from astra_registry.cli.plugins import changes

    def state(*products: str) -> dict[str, Any]:
        return {"distribution": "tree", "version": "1.0", "error": None, "status": "ok", "products": products}

    def told(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [line for line, _ in changes({"tree": before}, {"tree": after})]

    assert told(state("a", "b", "c"), state("a", "c")) == ["tree 1.0 no longer brings b"]
    assert told(state("a", "c"), state("a", "b", "c")) == ["tree 1.0 now brings b"]
    assert told(state("a", "b"), state("a", "c")) == ["tree 1.0 now brings c and no longer brings b"]
    assert told({**state("a"), "error": "it fell"}, state("a")) == ["tree 1.0 now brings a"]


def test_a_preference_for_who_does_not_bring_it_names_who_does() -> None:
    done = run("plugins", "prefer", "apStar", "astra-registry-spec")

    assert done.returncode == 2
    assert "astra-registry-spec brings no product 'apStar'; astra-registry-apstar" in done.stderr


def test_new_asks_on_a_terminal(tmp_path: Path) -> None:
    """A real pseudo-terminal: name, release, template, summary, and each parameter's type and meaning."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "astra_registry", "plugins", "new", "--directory", str(tmp_path)]
    answers = [
        "askedStar",
        "dr99",  # there is none, and it is asked again
        "DR19",
        "$MWM_ASTRA/{v}/asked-{sdss_id}.fits",
        "What was asked",
        "str",
        "The version.",
        "",
        "",
    ]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 0, err
    source = (Path(out.strip()) / "astra_registry_askedstar.py").read_text()
    assert '"""What was asked."""' in source
    assert 'v: str = parameter("The version.", batch=True)' in source
    assert 'sdss_id: int = parameter("The SDSS-V identifier of the star.", batch=True)' in source


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("summary", ['A "star"', "C:\\new \\x", 'Three """ of them', "Two\nlines  of it", "{braces} é"])
def test_new_writes_whatever_the_summary_is(summary: str, tmp_path: Path) -> None:
    """Quotes and backslashes are no syntax of the module."""
    template = ("--release", "dr19", "--template", "$MWM_ASTRA/star-{sdss_id}.fits")
    done = run("plugins", "new", "oddStar", "--summary", summary, *template, "--directory", str(tmp_path))

    assert done.returncode == 0, done.stderr
    module = ast.parse((Path(done.stdout.strip()) / "astra_registry_oddstar.py").read_text())
    product = next(node for node in module.body if isinstance(node, ast.ClassDef))
    assert ast.get_docstring(product) == " ".join(summary.split()) + "."


def test_new_says_when_it_would_take_the_place_of_what_is_installed(tmp_path: Path) -> None:
    """Installing it would uninstall the other: both distributions have the name."""
    taken = run("plugins", "new", "apVisit", "--summary", "S.", "--directory", str(tmp_path))
    free = run("plugins", "new", "mwmStar", "--summary", "S.", "--directory", str(tmp_path))

    assert taken.returncode == free.returncode == 0
    assert "a distribution astra-registry-apvisit is installed already" in taken.stderr
    assert "installed already" not in free.stderr


def test_new_without_a_name_or_a_terminal_is_wrong_usage() -> None:
    done = run("plugins", "new")

    assert done.returncode == 2
    assert "Missing argument 'PRODUCT'" in done.stderr
