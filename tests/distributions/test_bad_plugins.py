"""A bad plugin is one line that names it, says why and what to do; everything else works as if it were not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .environments import Environment, good, module, wheel

RESOLVE = ("resolve", "goodStar", "--release", "dr19", "--sdss_id", "7", "--location")
LOCATION = "dr19/spectro/astra/0.6.0/goodStar/goodStar-7.fits\n"

HOOK = "from astra_registry import hookimpl\n\n\n@hookimpl\ndef {name}():\n    {body}\n"

# kind -> (source of the plugin, what the line says, what it says to do)
WAY_OUT = "update bad-plugin, or uninstall it"
BAD = {
    "does not import": ("import sys\nraise OSError('no disk')\n", "OSError: no disk", WAY_OUT),
    "leaves the program": ("raise SystemExit(3)\n", "SystemExit: 3", WAY_OUT),
    "is no Python": ("def (\n", "SyntaxError", WAY_OUT),
    "raises in a hook": (
        HOOK.format(name="astra_registry_products", body="raise KeyError('field')"),
        "astra_registry_products raised KeyError: 'field'",
        WAY_OUT,
    ),
    "misspells a hook": (
        HOOK.format(name="astra_registry_product", body="return []"),
        "there is no hook 'astra_registry_product'; did you mean 'astra_registry_products'",
        "did you mean",
    ),
    "forgets the mark": (
        "def astra_registry_products():\n    return []\n",
        "astra_registry_products lacks its mark",
        "write @hookimpl above it",
    ),
    "asks for what a hook does not give": (
        "from astra_registry import hookimpl\n\n\n@hookimpl\ndef astra_registry_event(evnt):\n    pass\n",
        "evnt",
        WAY_OUT,
    ),
    "returns text": (
        HOOK.format(name="astra_registry_products", body="return 'badStar'"),
        "astra_registry_products returned str, not a list",
        WAY_OUT,
    ),
    "returns a number": (
        HOOK.format(name="astra_registry_products", body="return 42"),
        "astra_registry_products",
        WAY_OUT,
    ),
    "returns no products": (
        HOOK.format(name="astra_registry_products", body="return [int]"),
        "which is no data product",
        WAY_OUT,
    ),
    "returns sources that are none": (
        HOOK.format(name="astra_registry_product_sources", body="return [3]"),
        "which is no mapping of names to declarations",
        WAY_OUT,
    ),
    "is made for a newer interface": (
        "astra_registry_api = 99\n",
        "it was made for version 99 of the plugin interface, and this is version 1",
        "pip install -U astra-registry",
    ),
    "lacks a package": ("import surely_not\n", "No module named 'surely_not'", "pip install surely_not"),
    "lacks an extra": (
        "from astra_registry import MissingExtra\n\nraise MissingExtra('the plugin', 'spectra')\n",
        "needs an optional package",
        "pip install 'astra-registry[spectra]'",
    ),
    "declares a product wrongly": (
        "from astra_registry import SDSS5DataModelTask, parameter\n\n\nclass Bad(SDSS5DataModelTask):\n"
        "    sdss_data_model_name = 'bad'\n    a: Nonsense = parameter('?')\n",
        "Nonsense",
        WAY_OUT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_plugin_that(kind: str, environment: Environment, tmp_path: Path) -> None:
    """… harms nobody but itself."""
    source, why, remedy = BAD[kind]
    environment.unpack(good(tmp_path / "wheels"))
    environment.unpack(
        wheel(tmp_path / "wheels", "bad-plugin", {"bad_plugin.py": source}, plugin={"bad": "bad_plugin"})
    )

    resolved = environment.registry(*RESOLVE)
    assert (resolved.returncode, resolved.stdout) == (0, LOCATION), resolved.stderr
    listed = environment.registry("list", "--json")
    assert listed.returncode == 0
    assert [product["name"] for product in json.loads(listed.stdout)] == ["goodStar"]
    (line,) = listed.stderr.splitlines()
    assert "plugin 'bad' of bad-plugin 1.0 is broken" in line
    assert why in line
    assert remedy in line
    plugins = environment.plugins()
    assert {name: plugin["status"] for name, plugin in plugins.items()} == {"good-plugin": "ok", "bad-plugin": "broken"}
    assert why in plugins["bad-plugin"]["error"]
    checked = environment.registry("plugins", "check")
    assert checked.returncode == 1
    (line,) = checked.stdout.splitlines()
    assert line.startswith("bad (bad-plugin 1.0): ")
    assert remedy in line
    for strict in (("--strict", "list"), ("list",)):
        environ = {} if "--strict" in strict else {"ASTRA_REGISTRY_STRICT": "1"}
        refused = environment.registry(*strict, **environ)
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert why in line


def test_a_product_of_a_broken_plugin_says_why_it_cannot_be_had(environment: Environment, tmp_path: Path) -> None:
    environment.unpack(
        wheel(
            tmp_path / "wheels",
            "bad-plugin",
            {"bad_plugin.py": "1 / 0\n"},
            plugin={"bad": "bad_plugin"},
            products={"badStar": "bad_plugin:Product"},
        )
    )

    done = environment.registry("resolve", "badStar", "--release", "dr19")

    assert done.returncode == 1
    assert "the plugin that brings 'badStar', bad-plugin 1.0, is broken: ZeroDivisionError" in done.stderr


def test_two_plugins_that_claim_one_product_are_both_named_until_one_is_preferred(
    environment: Environment, tmp_path: Path
) -> None:
    """Neither wins by accident; the other products work, and the choice is kept in the user's configuration."""
    environment.unpack(good(tmp_path / "wheels"))
    environment.unpack(wheel(tmp_path / "wheels", "rival", {"rival.py": module("goodStar")}, plugin={"rival": "rival"}))
    environment.unpack(good(tmp_path / "wheels", "otherStar", "other-plugin"))
    configuration = environment.folder / "home/.config/astra-registry/config.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("# my own\njobs = 4\n\n[prefer]\nspec = 'x'  # kept\n")

    refused = environment.registry(*RESOLVE)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "good-plugin 1.0" in line
    assert "rival 1.0" in line
    assert "plugins prefer goodStar good-plugin or rival" in line
    other = environment.registry("resolve", "otherStar", "--release", "dr19", "--sdss_id", "7")
    assert other.returncode == 0
    assert {p["status"] for n, p in environment.plugins().items() if n != "other-plugin"} == {"conflict"}
    assert environment.registry("plugins", "check").returncode == 1
    assert len(environment.registry("list").stderr.splitlines()) == 1
    assert environment.registry("--strict", "list").returncode == 2

    wrong = environment.registry("plugins", "prefer", "goodStar", "other-plugin")
    assert wrong.returncode == 2
    chosen = environment.registry("plugins", "prefer", "goodStar", "rival")
    assert chosen.returncode == 0, chosen.stderr
    assert configuration.read_text() == "# my own\njobs = 4\n\n[prefer]\ngoodStar = \"rival\"\nspec = 'x'  # kept\n"
    assert environment.registry(*RESOLVE).stdout == LOCATION
    shown = json.loads(environment.registry("list", "--json").stdout)
    assert {product["name"]: product["plugin"] for product in shown}["goodStar"] == "rival"
    assert {p["status"] for p in environment.plugins().values()} == {"ok"}


def test_two_distributions_with_one_plugin_name_are_both_named_and_neither_is_used(
    environment: Environment, tmp_path: Path
) -> None:
    environment.unpack(good(tmp_path / "wheels"))
    for number in ("first", "second"):
        environment.unpack(good(tmp_path / "wheels", f"{number}Star", f"{number}-twin", plugin="twin"))

    listed = environment.registry("list", "--json")
    (line,) = listed.stderr.splitlines()
    assert "first-twin 1.0 and second-twin 1.0 both call their plugin 'twin'; uninstall one of them" in line
    assert [product["name"] for product in json.loads(listed.stdout)] == ["goodStar"]
    statuses = {name: plugin["status"] for name, plugin in environment.plugins().items()}
    assert statuses == {"good-plugin": "ok", "first-twin": "conflict", "second-twin": "conflict"}
    asked = environment.registry("resolve", "firstStar", "--release", "dr19", "--sdss_id", "7")
    assert asked.returncode == 2
    assert "both call their plugin 'twin'" in asked.stderr

    # One of the two, by its distribution's name, is no conflict.
    one = environment.plugins(ASTRA_REGISTRY_PLUGINS="second-twin")
    assert {name: plugin["status"] for name, plugin in one.items()} == {
        "good-plugin": "disabled", "first-twin": "disabled", "second-twin": "ok",
    }  # fmt: skip


@pytest.mark.parametrize("named", ["good_plugin", "good-plugin", "Good_Plugin", "good-plugin,other"])
def test_a_variable_limits_which_plugins_load(named: str, environment: Environment, tmp_path: Path) -> None:
    """By the plugin's name or its distribution's; the others are listed as disabled, and not imported."""
    environment.unpack(good(tmp_path / "wheels"))
    other = {"other.py": "raise RuntimeError('imported')\n"}
    environment.unpack(
        wheel(tmp_path / "wheels", "some-other", other, plugin={"else": "other"}, products={"otherStar": "other:P"})
    )

    listed = environment.registry("list", "--json", ASTRA_REGISTRY_PLUGINS=named)
    assert [product["name"] for product in json.loads(listed.stdout)] == ["goodStar"]
    assert ("names 'other', which is not installed" in listed.stderr) == ("other" in named)
    assert environment.plugins(ASTRA_REGISTRY_PLUGINS=named)["some-other"]["status"] == "disabled"
    asked = environment.registry("resolve", "otherStar", "--release", "dr19", ASTRA_REGISTRY_PLUGINS=named)
    assert asked.returncode == 2
    assert "some-other 1.0, which is disabled" in asked.stderr


@pytest.mark.parametrize("how", ["variable", "option"])
def test_no_plugin_loads_when_none_is_wanted(how: str, environment: Environment, tmp_path: Path) -> None:
    environment.unpack(good(tmp_path / "wheels"))
    words, environ = (
        (("list",), {"ASTRA_REGISTRY_PLUGINS": ""}) if how == "variable" else (("--no-plugins", "list"), {})
    )

    done = environment.registry(*words, **environ)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_order_of_the_path_changes_nothing(environment: Environment, tmp_path: Path) -> None:
    """The same list, the same health, the same messages, whatever comes first."""
    places = [tmp_path / "a", tmp_path / "b"]
    saved = environment.packages
    for place, (name, distribution) in zip(places, [("goodStar", "zebra"), ("goodStar", "aardvark")], strict=True):
        place.mkdir()
        environment.packages = place
        environment.unpack(good(tmp_path / "wheels", name, distribution))
        environment.unpack(good(tmp_path / "wheels", f"{distribution}Star", f"{distribution}-too"))
    environment.packages = saved

    answers = [
        [
            (done.returncode, done.stdout, done.stderr)
            for done in (
                environment.registry(*command, PYTHONPATH=":".join(map(str, order)))
                for command in (("list", "--json"), ("plugins", "list", "--json"), RESOLVE)
            )
        ]
        for order in (places, places[::-1])
    ]

    assert answers[0] == answers[1]


def test_what_a_plugin_brings_and_does_not_name_in_its_metadata_cannot_take_a_name(
    environment: Environment, tmp_path: Path
) -> None:
    """Before and after a look at all products the same one is used."""
    environment.unpack(good(tmp_path / "wheels"))
    both = module("secondStar") + module("goodStar").replace("class Product", "class Other").replace(
        "[Product]", "[Product, Other]"
    )
    named = {"secondStar": "second:Product"}
    environment.unpack(
        wheel(tmp_path / "wheels", "second", {"second.py": both}, plugin={"second": "second"}, products=named)
    )
    script = """
from astra_registry import registry
first = registry["goodStar"]
registry.names()
assert registry["goodStar"] is first and registry.plugin_of("goodStar").distribution == "good-plugin"
"""
    assert environment.run("-c", script).returncode == 0
