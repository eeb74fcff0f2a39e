"""Plugins that are wrong in ways that only show when they are asked: each is told, and harms nobody else.

They lie on the path as installed distributions do; the command line runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from astra_registry import Registry, SDSS5DataModelTask, hookimpl, parameter
from astra_registry.declarations import Declaration
from astra_registry.errors import BadValue

PRODUCT = """
from astra_registry import SDSS5DataModelTask, hookimpl, parameter

class Mine(SDSS5DataModelTask):
    "A product."
    sdss_data_model_name = "mine"
    templates = {"dr17": "$SAS_BASE_DIR/dr17/mine/{number}.fits"}
    number: int = parameter("The number.")

@hookimpl
def astra_registry_products():
    return [Mine]
"""
GOOD = PRODUCT.replace("Mine", "Good").replace('"mine"', '"good"').replace("/mine/", "/good/")


def bring(folder: Path, name: str, code: str, *, points: str | None = None, metadata: bytes = b"") -> None:
    """Put an installed distribution of one module on the path."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode() + metadata)
    (info / "entry_points.txt").write_text(points or f"[astra_registry]\n{name} = {name}\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "site"
    path.mkdir()
    bring(path, "good", GOOD)
    return path


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with the plugins of a folder, and no others."""
    names = ",".join(sorted(path.stem for path in folder.glob("*.py")))
    env = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "ASTRA_REGISTRY_PLUGINS": names,
        "ASTRA_REGISTRY_CONFIG": str(folder / "none.toml"),
        "SAS_BASE_DIR": "/sas",
    }
    command = [sys.executable, "-m", "astra_registry", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


HARMFUL = {
    "an unknown release": ('{"dr17":', '{"dr99":', "that the installed sdss-tree does not know (no release 'dr99')"),
    "templates that are none": (
        '{"dr17": "$SAS_BASE_DIR/dr17/mine/{number}.fits"}',
        "17",
        "templates maps releases to path templates",
    ),
    "a template that is none": ('"$SAS_BASE_DIR/dr17/mine/{number}.fits"', "17", "a release's template is text"),
    "a name of two lines": ('"mine"', '"mi\\nne"', "cannot be the name of a product"),
    "a name that is a path": ('"mine"', '"../mine"', "cannot be the name of a product"),
    "a parameter self": ("number: int", "self: int", "no parameter can be called 'self'"),
    "a parameter that a member hides": ("number: int", "location: int", "write 'location_'"),
    "a source of junk": (
        "def astra_registry_products():\n    return [Mine]",
        "def astra_registry_product_sources():\n    return [{'mine': 3}]",
        "has 3 for 'mine', which is no declaration",
    ),
    "a source that raises": (
        "def astra_registry_products():\n    return [Mine]",
        "def astra_registry_product_sources():\n    class Source(dict):\n        def __getitem__(self, name): 1 / 0\n"
        "    return [Source(mine=3)]",
        "its source of products raised ZeroDivisionError of 'mine'",
    ),
    "a source that cannot tell its names": (
        "def astra_registry_products():\n    return [Mine]",
        "def astra_registry_product_sources():\n    class Source(dict):\n        def __iter__(self): 1 / 0\n"
        "        def __contains__(self, name): 1 / 0\n    return [Source(mine=3)]",
        "its source of products raised ZeroDivisionError",
    ),
    "a source of numbers": (
        "def astra_registry_products():\n    return [Mine]",
        "def astra_registry_product_sources():\n    return [{3: Mine}]",
        "its source of products has the name 3, which is no text",
    ),
    "a version of the interface in words": (
        "\nclass Mine",
        "\nastra_registry_api = '1'\nclass Mine",
        "astra_registry_api is '1', and must be a whole number",
    ),
}


@pytest.mark.parametrize(("before", "after", "told"), HARMFUL.values(), ids=HARMFUL)
def test_a_wrong_product_is_told_and_harms_no_other(folder: Path, before: str, after: str, told: str) -> None:
    assert before in PRODUCT
    bring(folder, "wrong", PRODUCT.replace(before, after, 1))

    listed = asked(folder, "list")
    assert listed.returncode == 0, listed.stderr
    assert "good" in [line.split()[0] for line in listed.stdout.splitlines()]
    assert asked(folder, "identify", "/sas/dr17/good/7.fits").stdout == "good dr17 number=7\n"
    checked = asked(folder, "plugins", "check")
    assert checked.returncode == 1
    assert [line.partition(" ")[0] for line in checked.stdout.splitlines()] == ["wrong"]
    assert told in checked.stdout


MISSHAPEN = {
    "astra_registry_readers": [
        ("{'good': 'wrong:read'}", "'good', which is no pair of a product and a kind"),
        ("{('good', 'spectrum'): 3}", "3 for ('good', 'spectrum'), which is no text"),
    ],
    "astra_registry_writers": [("{('good', 2): 'wrong:write'}", "('good', 2), which is no pair")],
    "astra_registry_transports": [("{'post': 3}", "3 for 'post', which is no text"), ("{3: 'a:b'}", "3, which is no")],
    "astra_registry_commands": [("{'greet': print}", "<built-in function print> for 'greet', which is no text")],
}


@pytest.mark.parametrize(
    ("hook", "returned", "told"), [(hook, *case) for hook, cases in MISSHAPEN.items() for case in cases]
)
def test_what_a_hook_returns_in_a_wrong_form_is_told_and_harms_no_other(
    folder: Path, hook: str, returned: str, told: str
) -> None:
    """Readers, writers, transports and commands of all plugins are looked through for each one that is wanted."""
    bring(folder, "wrong", f"from astra_registry import hookimpl\n@hookimpl\ndef {hook}(): return {returned}\n")
    reads = (
        "from astra_registry import hookimpl\n"
        "@hookimpl\n"
        "def astra_registry_readers(): return {('good', 'length'): 'reads:length'}\n"
        "@hookimpl\n"
        "def astra_registry_commands(): return {'count': 'reads:count'}\n"
        "def length(path): return len(path)\n"
        "import click\n"
        "count = click.Command('count', callback=lambda: click.echo('one'))\n"
    )
    bring(folder, "reads", reads)
    read = (
        "from astra_registry import registry\n"
        "from astra_registry.reading.products import read\n"
        "from astra_registry.plugins import installed_plugins\n"
        "readers = installed_plugins().named('astra_registry_readers')\n"
        "print(read(registry.create('good', release='dr17', number=7), 'length', readers=readers))\n"
    )
    there = folder / "dr17" / "good" / "7.fits"
    there.parent.mkdir(parents=True)
    there.write_text("SIMPLE")
    env = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "SAS_BASE_DIR": str(folder),
        "ASTRA_REGISTRY_PLUGINS": "good,reads,wrong",
    }

    done = subprocess.run([sys.executable, "-c", read], env=env, capture_output=True, text=True, check=False)

    assert done.stdout == f"{len(str(there))}\n", done.stderr
    assert asked(folder, "count").stdout == "one\n"
    checked = asked(folder, "plugins", "check")
    assert [line.partition(" ")[0] for line in checked.stdout.splitlines()] == ["wrong"]
    assert f"{hook} returned {told}" in checked.stdout


def test_a_command_that_is_none_is_told(folder: Path) -> None:
    hook = "@hookimpl\ndef astra_registry_commands(): return {'greet': 'wrong:greet'}\n"
    bring(folder, "wrong", f"from astra_registry import hookimpl\n{hook}greet = 'hello'\n")

    called = asked(folder, "greet")

    assert called.returncode == 2
    assert (
        "plugin 'wrong' of wrong 1.0 is broken: its command 'greet' is 'hello', and no click.Command" in called.stderr
    )
    assert "wrong:greet is no Command" in asked(folder, "plugins", "check").stdout


def test_a_setting_that_a_plugin_gets_wrong_stops_nobody(folder: Path) -> None:
    """The value is left out, and the next plugin's holds; with --strict it is an error."""
    for name, value in (("aaa", "{'jobs': 'many', 'jbos': 3, 'retries': 2}"), ("bbb", "{'jobs': 7}")):
        code = f"from astra_registry import hookimpl\n@hookimpl\ndef astra_registry_settings(): return {value}\n"
        points = f"[astra_registry]\n{name} = {name}\n[astra_registry.settings]\n{name} = {name}\n"
        bring(folder, name, code, points=points)

    shown = asked(folder, "config")

    rows = {line.split()[0]: line.split()[-1] for line in shown.stdout.splitlines() if line}
    assert (shown.returncode, rows["jobs"], rows["retries"]) == (0, "7", "2")
    assert "plugin 'aaa' of aaa 1.0: jobs is 'many', and must be a whole number" in shown.stderr
    strict = asked(folder, "--strict", "config")
    assert (strict.returncode, strict.stdout) == (2, "")
    checked = asked(folder, "plugins", "check").stdout
    assert "jobs is 'many', and must be a whole number" in checked
    assert "there is no setting 'jbos'; did you mean 'jobs'?" in checked
    assert "bbb" not in checked


def test_a_module_of_products_that_exits_ends_nobody_elses_work(folder: Path) -> None:
    """The plugin's own module is innocent; the product is named in the metadata, and lies in another one."""
    points = "[astra_registry]\nquits = quits\n[astra_registry.products]\nmine = quits_products:Mine\n"
    bring(folder, "quits", "", points=points)
    (folder / "quits_products").mkdir()
    (folder / "quits_products" / "__init__.py").write_text("raise SystemExit('bye')")

    listed, shown = asked(folder, "list"), asked(folder, "show", "mine")

    assert listed.returncode == 0
    assert "good " in listed.stdout
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "its product 'mine' cannot be imported: SystemExit: bye" in shown.stderr


def test_what_plugins_print_is_no_data(folder: Path) -> None:
    """A script takes what stands on stdout for a path."""
    bring(folder, "loud", "print('hello')\n" + PRODUCT.replace("return [", "print('again'); return ["))

    ran = asked(folder, "resolve", "good", "--release", "dr17", "--number", "7")

    assert ran.stdout == "/sas/dr17/good/7.fits\n"
    assert {"hello", "again"} <= set(asked(folder, "list").stderr.split())


def test_metadata_that_is_no_utf8_is_read_all_the_same(folder: Path) -> None:
    """Names of authors were once written in Latin-1."""
    bring(folder, "old", PRODUCT, metadata=b"Author: Andr\xe9\n")

    ran = asked(folder, "plugins")

    told = [line.split()[:4] for line in ran.stdout.splitlines()[1:] if not line.startswith("astra")]
    assert [line for line in told if line[-1] != "disabled"] == [
        ["good", "good", "1.0", "ok"],
        ["old", "old", "1.0", "ok"],
    ]


def test_an_entry_point_that_cannot_be_read_is_told(folder: Path) -> None:
    bring(folder, "garbled", PRODUCT, points="[astra_registry]\ngarbled = this is : no : module !\n")

    ran = asked(folder, "plugins", "check")

    assert ran.returncode == 1
    assert "its entry point 'garbled = this is : no : module !' names no module" in ran.stdout


def test_a_template_that_begins_with_a_parameter_blinds_nobody_to_names(tmp_path: Path) -> None:
    """No first folder leads to it, and an absolute path has none of its folders for that."""

    class Whole(SDSS5DataModelTask):
        """Whole."""

        sdss_data_model_name = "whole"
        templates = {"dr17": "$SAS_BASE_DIR/{top}/whole-{number}.fits"}  # noqa: RUF012

        top: str = parameter("The first folder.")
        number: int = parameter("The number.")

    class Plate(SDSS5DataModelTask):
        """Plate."""

        sdss_data_model_name = "plate"
        templates = {"dr17": "$SAS_BASE_DIR/dr17/plates/plate-{number}.fits"}  # noqa: RUF012

        number: int = parameter("The number.")

    class Plugin:
        @hookimpl
        def astra_registry_products(self) -> list[type[SDSS5DataModelTask]]:
            return [Whole, Plate]

    mine = Registry(plugins=[Plugin()])

    assert mine.identify(str(tmp_path / "plate-7.fits")) == Plate(release="dr17", number=7)
    assert mine.identify("/sas/dr17/whole-7.fits") == Whole(release="dr17", top="dr17", number=7)


def test_a_declaration_with_self_has_it_under_another_name() -> None:
    """`self` is Python's: as an attribute it is `self_`, in templates and tables it keeps its spelling."""
    from astra_registry.declarations import attribute_of
    from astra_registry.parameters import Parameter

    made = Parameter(name="self", attribute=attribute_of("self"), type=str, doc="Itself.", batch=True)
    templates = {"dr17": "$SAS_BASE_DIR/dr17/{self}.fits"}
    product = Declaration(name="selfish", summary="S.", parameters=(made,), templates=templates).build()

    assert product(release="dr17", self_="x").location == "dr17/x.fits"
    assert product.from_table({"self": ["x", "y"]}, release="dr17").locations == ["dr17/x.fits", "dr17/y.fits"]
    with pytest.raises(BadValue, match="write 'self_'"):
        type("Odd", (SDSS5DataModelTask,), {"__annotations__": {"self": str}, "self": parameter("Itself.")})


def test_refresh_takes_the_new_version_of_a_plugin_that_was_imported(folder: Path) -> None:
    """What pip brought is what its version says, in the same session; the old module is no longer the plugin."""
    bring(
        folder, "mine", PRODUCT, points="[astra_registry]\nmine = mine\n[astra_registry.products]\nmine = mine:Mine\n"
    )
    newer = PRODUCT.replace("/mine/{number}", "/mine/v2/{number}")
    session = f"""
import pathlib
from astra_registry import registry

site = pathlib.Path({str(folder)!r})
good, old = registry["good"], registry["mine"]
(site / "mine.py").write_text({newer!r})
info = site / "mine-1.0.dist-info"
(info / "METADATA").write_text("Metadata-Version: 2.1\\nName: mine\\nVersion: 2.0\\n")
info.rename(site / "mine-2.0.dist-info")
registry.refresh()
print(registry["good"] is good)
print(registry.create("mine", release="dr17", number=1).location, old(release="dr17", number=1).location)
print([(p.version, p.status) for p in registry.plugins if p.name == "mine"])
"""
    env = {**os.environ, "PYTHONPATH": str(folder), "ASTRA_REGISTRY_PLUGINS": "good,mine", "SAS_BASE_DIR": "/sas"}

    ran = subprocess.run([sys.executable, "-c", session], env=env, capture_output=True, text=True, check=False)

    assert ran.stdout.splitlines() == [
        "True",
        "dr17/mine/v2/1.fits dr17/mine/1.fits",
        "[('2.0', 'ok')]",
    ], ran.stderr
