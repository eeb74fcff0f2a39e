"""Plugins come and go by the command line, in environments of their own, and nothing else changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .environments import TOP, Environment, good, module, wheel

OFFLINE = ("--", "--no-index", "--no-build-isolation", "--quiet")


def test_a_plugin_is_installed_used_and_uninstalled_and_nothing_else_changed(
    environment: Environment, tmp_path: Path
) -> None:
    """Real pip, called by the command line, with a wheel that was built on the spot."""
    before = environment.contents()

    installed = environment.registry("plugins", "install", good(tmp_path / "wheels"), *OFFLINE)
    assert installed.returncode == 0, installed.stderr
    assert installed.stdout == "good-plugin 1.0 brings goodStar\n"
    assert environment.plugins()["good-plugin"] == {
        "name": "good_plugin",
        "distribution": "good-plugin",
        "version": "1.0",
        "status": "ok",
        "error": None,
        "products": ["goodStar"],
    }
    resolved = environment.registry(
        "--strict", "resolve", "goodStar", "--release", "dr19", "--sdss_id", "7", "--location"
    )
    assert resolved.stdout == "dr19/spectro/astra/0.6.0/goodStar/goodStar-7.fits\n", resolved.stderr

    gone = environment.registry("plugins", "uninstall", "good_plugin")
    assert gone.returncode == 0, gone.stderr
    assert gone.stdout == "good-plugin 1.0 is gone, and with it goodStar\n"
    assert environment.contents() == before
    assert environment.plugins() == {}


def test_a_bundled_plugin_comes_from_its_folder_and_goes_again(environment: Environment, tmp_path: Path) -> None:
    """The core alone has no product; `plugins install ./plugins/apvisit` brings apVisit."""
    source = shutil.copytree(TOP / "plugins/apvisit", tmp_path / "apvisit")
    bare = environment.registry("list")
    assert (bare.returncode, bare.stdout) == (0, "")
    assert "no data product is installed" in bare.stderr
    visit = ("resolve", "apVisit", "--release", "dr17", "--telescope", "apo25m", "--field", "000+02", "--plate", "5815")
    visit += ("--mjd", "56396", "--fiber", "212", "--location")
    assert environment.registry(*visit).returncode == 2

    installed = environment.registry("plugins", "install", source, *OFFLINE)
    assert installed.stdout == "astra-registry-apvisit 1.0.0 brings apVisit\n", installed.stderr
    assert environment.registry(*visit).stdout.endswith("/apVisit-dr17-5815-56396-212.fits\n")

    assert environment.registry("plugins", "uninstall", "apvisit").returncode == 0
    assert environment.registry(*visit).returncode == 2


def test_an_upgrade_says_what_is_new(environment: Environment, tmp_path: Path) -> None:
    environment.unpack(good(tmp_path / "wheels"))

    newer = environment.registry(
        "plugins", "install", "-U", good(tmp_path / "wheels", "betterStar", version="2.0"), *OFFLINE
    )

    assert newer.stdout == "good-plugin 2.0 (it was 1.0) brings betterStar\n", newer.stderr


def test_what_pip_refuses_is_an_error_in_one_line(environment: Environment) -> None:
    done = environment.registry("plugins", "install", "no-such-thing", *OFFLINE)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("astra-registry: pip did not do it (exit code 1)")


def test_a_plugin_that_does_not_work_is_reported_when_it_is_installed(environment: Environment, tmp_path: Path) -> None:
    broken = wheel(tmp_path / "wheels", "broken-plugin", {"broken.py": "1 / 0\n"}, plugin={"broken": "broken"})

    done = environment.registry("plugins", "install", broken, *OFFLINE)

    assert done.returncode == 1
    assert "broken-plugin 1.0: broken: ZeroDivisionError" in done.stderr


def test_uninstalling_what_is_not_there_names_what_is(environment: Environment, tmp_path: Path) -> None:
    environment.unpack(good(tmp_path / "wheels"))

    done = environment.registry("plugins", "uninstall", "good_plugn")
    core = environment.registry("plugins", "uninstall", "astra-registry")

    assert done.returncode == core.returncode == 2
    assert "did you mean 'good_plugin'" in done.stderr


def test_uv_installs_where_there_is_no_pip(tmp_path: Path) -> None:
    environment = Environment(tmp_path, with_pip=False)
    alone = ("--", "--no-index", "--no-deps", "--offline")

    installed = environment.registry("plugins", "install", good(tmp_path / "wheels"), *alone)
    assert installed.stdout == "good-plugin 1.0 brings goodStar\n", installed.stderr
    gone = environment.registry("plugins", "uninstall", "good-plugin")
    assert gone.stdout == "good-plugin 1.0 is gone, and with it goodStar\n", gone.stderr


def test_what_was_frozen_comes_back_by_sync_and_what_was_not_goes(environment: Environment, tmp_path: Path) -> None:
    """Also a wheel that came from a folder: the frozen file remembers where."""
    assert environment.registry("plugins", "install", good(tmp_path / "wheels"), *OFFLINE).returncode == 0
    frozen = environment.registry("plugins", "freeze").stdout
    assert "good-plugin==1.0" in frozen
    pins = tmp_path / "plugins.txt"
    pins.write_text(frozen)
    assert environment.registry("plugins", "uninstall", "good-plugin").returncode == 0
    other = good(tmp_path / "wheels", "otherStar", "other-plugin")
    assert environment.registry("plugins", "install", other, *OFFLINE).returncode == 0

    planned = environment.registry("plugins", "sync", pins, "--dry-run")
    synced = environment.registry("plugins", "sync", pins, *OFFLINE)

    assert planned.stdout == "install good-plugin==1.0\nuninstall other-plugin\n"
    assert synced.returncode == 0, synced.stderr
    assert set(environment.plugins()) == {"good-plugin"}
    assert "nothing changed" in environment.registry("plugins", "sync", pins).stderr


def test_a_line_that_is_no_pin_is_named(environment: Environment, tmp_path: Path) -> None:
    pins = tmp_path / "plugins.txt"
    pins.write_text("# mine\ngood-plugin>=1\n")

    done = environment.registry("plugins", "sync", pins)

    assert done.returncode == 2
    assert "line 2: 'good-plugin>=1' is no pin" in done.stderr


def test_a_running_process_sees_what_was_installed_since(environment: Environment, tmp_path: Path) -> None:
    """`registry.refresh()` in a notebook: new products come, gone ones go, and the others keep their classes."""
    environment.unpack(good(tmp_path / "wheels"))
    new = good(tmp_path / "wheels", "newStar", "new-plugin")
    script = f"""
import shutil, zipfile
from astra_registry import registry
kept = registry["goodStar"]
assert registry.names() == ["goodStar"]
zipfile.ZipFile({str(new)!r}).extractall({str(environment.packages)!r})
assert registry.names() == ["goodStar"]
registry.refresh()
assert registry.names() == ["goodStar", "newStar"], registry.names()
assert registry["goodStar"] is kept
assert registry.create("newStar", release="dr19", sdss_id=1).location.endswith("newStar-1.fits")
shutil.rmtree({str(environment.packages / "new_plugin-1.0.dist-info")!r})
registry.refresh()
assert registry.names() == ["goodStar"]
"""
    done = environment.run("-W", "error", "-c", script)
    assert done.returncode == 0, done.stderr


def test_asking_for_a_product_imports_its_plugin_alone(environment: Environment, tmp_path: Path) -> None:
    """Those that name their products in their metadata are known without being imported."""
    for name in ("one", "two", "three"):
        environment.unpack(good(tmp_path / "wheels", f"{name}Star", f"{name}-plugin"))
    script = """
import sys, json
from astra_registry import registry
registry.create("twoStar", release="dr19", sdss_id=1).local_path
print(json.dumps(sorted(m for m in sys.modules if m.endswith("_plugin"))))
"""
    done = environment.run("-c", script)
    assert json.loads(done.stdout) == ["two_plugin"], done.stderr


def test_a_distribution_that_only_names_its_products_is_a_plugin_too(environment: Environment, tmp_path: Path) -> None:
    named = {"onlyStar": "only_plugin:Product"}
    environment.unpack(
        wheel(tmp_path / "wheels", "only-plugin", {"only_plugin.py": module("onlyStar")}, products=named)
    )

    assert environment.plugins()["only-plugin"]["products"] == ["onlyStar"]
