"""Plugins are found from metadata, loaded one by one, and cannot harm each other."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from astra_registry import BrokenPlugin, PluginConflict, hookimpl, hooks
from astra_registry.installed import BrokenPluginWarning, Point, distributions, normal
from astra_registry.plugins import PluginSet, installed_plugins
from astra_registry.settings import override
from astra_registry.settings.preferences import with_preference

HEAVY = ("astropy", "numpy", "sqlalchemy", "requests", "urllib3", "sdss_access", "tree", "luigi", "distributed")
STAR = ["--release", "dr17", "--telescope", "apo25m", "--field", "000+14", "--obj", "2M16544175-2148453"]


def plugin(**members: Any) -> types.ModuleType:
    """A module with hooks, as a plugin is."""
    module = types.ModuleType("mine")
    for name, member in members.items():
        setattr(module, name, member)
    return module


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command of ours loads, in a fresh process."""
    script = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from astra_registry.cli import main\n"
        f"main({list(arguments)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


# ---------------------------------------------------------------- what is loaded when


def test_help_imports_click_and_none_of_the_commands() -> None:
    loaded = loaded_by("--help")

    assert "click" in loaded
    assert {name for name in loaded if name.startswith("astra_registry")} <= {
        "astra_registry",
        "astra_registry.cli",
        "astra_registry.introduction",
    }
    assert not loaded & {*HEAVY, "attr", "pluggy", "hypothesis", "pytest", "importlib.metadata"}


@pytest.mark.parametrize(
    "arguments", [("list",), ("resolve", "apStar", *STAR), ("show", "apStar"), ("plugins", "list")], ids=lambda a: a[0]
)
def test_listing_and_resolving_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not loaded_by(*arguments) & {*HEAVY, "hypothesis", "pytest"}


def test_asking_for_a_product_imports_no_other_plugin() -> None:
    """The tree's own products, which are nobody's by name, are not looked for either."""
    loaded = loaded_by("resolve", "apStar", *STAR)

    assert {name for name in loaded if name.startswith("astra_registry_") and "." not in name} == {
        "astra_registry_apstar"
    }


def test_pytest_of_other_projects_loads_our_plugin_and_nothing_else(tmp_path: Path) -> None:
    """pytest imports the entry point everywhere; it costs the package and that module."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n    print(*(n for n in sys.modules if n.startswith('astra_registry')))\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert set(done.stdout.splitlines()[0].rstrip(".").split()) == {
        "astra_registry",
        "astra_registry.introduction",
        "astra_registry.testing",
        "astra_registry.testing.pytest_plugin",
    }


# ---------------------------------------------------------------- metadata


def test_the_bundled_plugins_are_found_in_the_order_of_their_names() -> None:
    found = [plugin.name for plugin in PluginSet().plugins if plugin.installed is not None]

    assert found == sorted(found)
    assert {"apstar", "apvisit", "sdsstree", "spec"} <= set(found)


def test_what_we_read_of_metadata_is_what_importlib_reads() -> None:
    from importlib import metadata

    theirs = {
        (point.group, point.name, point.value)
        for group in ("astra_registry", "astra_registry.products", "astra_registry.formats")
        for point in metadata.entry_points(group=group)
    }
    ours = {
        (group, point.name, point.value)
        for distribution in distributions()
        for group, points in distribution.points.items()
        for point in points
    }
    assert ours == theirs
    for distribution in distributions():
        assert distribution.version == metadata.version(distribution.name)


def test_an_entry_point_that_names_nothing_says_so() -> None:
    with pytest.raises(ImportError, match="json has no nothing"):
        Point("x", "json", "nothing").load()


@pytest.mark.parametrize("name", ["Astra_Registry.spec", "astra-registry-spec", "astra_registry_spec"])
def test_names_of_distributions_are_compared_as_indexes_do(name: str) -> None:
    assert normal(name) == "astra-registry-spec"


# ---------------------------------------------------------------- loading


def test_a_hook_that_raises_is_one_warning_and_the_others_are_called() -> None:
    @hookimpl
    def astra_registry_transports() -> dict[str, str]:
        raise KeyError("port")

    working = plugin()
    working.__name__ = "working"
    working.astra_registry_transports = hookimpl(lambda: {"tape": "tape:Tape"})
    both = PluginSet([plugin(astra_registry_transports=astra_registry_transports), working])

    with pytest.warns(BrokenPluginWarning, match="astra_registry_transports raised KeyError: 'port'") as told:
        results = [result for _, result in both.call("astra_registry_transports")]
    assert results == [{"tape": "tape:Tape"}]
    assert len(told) == 1
    assert [result for _, result in both.call("astra_registry_transports")] == [{"tape": "tape:Tape"}]


def test_strict_makes_a_broken_plugin_an_error_each_time() -> None:
    broken = PluginSet([plugin(astra_registry_api=99)])

    with override(strict=True):
        for _ in range(2):
            with pytest.raises(BrokenPlugin, match="made for version 99"):
                list(broken.call("astra_registry_products"))


def test_an_older_interface_needs_an_update_of_the_plugin() -> None:
    with pytest.warns(BrokenPluginWarning, match="it needs an update"):
        list(PluginSet([plugin(astra_registry_api=0)]).call("astra_registry_products"))


def test_a_plugin_says_which_interface_it_is_made_for() -> None:
    assert list(PluginSet([plugin(astra_registry_api=hooks.API_VERSION)]).call("astra_registry_products")) == []


def test_two_plugins_of_one_name_are_a_warning_or_an_error() -> None:
    with pytest.warns(BrokenPluginWarning, match="both call their plugin 'mine'"):
        assert list(PluginSet([plugin(), plugin()])) == []
    with override(strict=True), pytest.raises(PluginConflict):
        list(PluginSet([plugin(), plugin()]))


def test_a_limit_of_the_plugins_is_seen_at_once() -> None:
    with override(plugins=["apstar"]):
        assert [plugin.name for plugin in installed_plugins()] == ["apstar"]
    with override(plugins=[]):
        assert list(installed_plugins()) == []
    assert len(list(installed_plugins())) >= 4


# ---------------------------------------------------------------- preferences


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[prefer]\nspec = "mine"\n'),
        ("jobs = 3\n", 'jobs = 3\n\n[prefer]\nspec = "mine"\n'),
        ("[prefer] # a\nx = 'y'\n", "[prefer] # a\nspec = \"mine\"\nx = 'y'\n"),
        ("[prefer]\nspec = 'old' # why\n\n[other]\nspec = 1\n", '[prefer]\nspec = "mine"\n\n[other]\nspec = 1\n'),
        ("[prefer]\n'spec' = 'old'\n", '[prefer]\nspec = "mine"\n'),
        ("[prefer]", '[prefer]\nspec = "mine"\n'),
    ],
)
def test_a_preference_changes_its_line_and_no_other(before: str, after: str) -> None:
    assert with_preference(before, "spec", "mine") == after


def test_a_name_that_toml_has_to_quote_is_quoted() -> None:
    assert with_preference("", "frames.list", "mine") == '[prefer]\n"frames.list" = "mine"\n'


@pytest.mark.parametrize("text", ["prefer = { spec = 'old' }\n", "prefer.spec = 'old'\n", "jobs = \n"])
def test_a_file_that_is_written_otherwise_is_left_alone(text: str) -> None:
    from astra_registry import BadSetting

    with pytest.raises(BadSetting):
        with_preference(text, "spec", "mine")
