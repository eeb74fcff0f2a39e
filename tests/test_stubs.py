"""Type stubs of the installed products, as a type checker sees them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from whole_tree import whole_registry

import astra_registry
from astra_registry import BadValue, Registry, SDSS5DataModelTask, hookimpl, parameter, registry
from astra_registry.stubs import package_stub, products_stub, write_stubs

RIGHT = """\
import numpy
from astra_registry import FetchReport, Registry, Tree, UnknownProduct, fetch, registry
from astra_registry.product import DataProduct

star = registry["apStar"](release="dr17", telescope="apo25m", field="000+14", obj="2M16544175-2148453")
same = registry.apStar(release="dr17", telescope="apo25m", field="000+14", obj=["2M16544175-2148453"], use_remote=True)
visit = registry.create("apVisit", release="DR17", telescope="apo25m", field="0", plate="5815", mjd=56396, fiber=[1, 2])
columns = registry["spec"](release="dr19", plate="15005", mjd=numpy.array([59193]), catalogid=[4399272889])
alias = registry.spec(release="dr19", fieldid="15005", mjd=59193, catalogid=4399272889)
release: str = "dr17"
any_release = registry["spec"](release=release, plate="1325", mjd=52762, fiberid=133, run2d="26")
for name in registry:
    product: type[DataProduct] = registry[name]
isolated: Registry = registry
path: str = star.obj
report: FetchReport = fetch(star)
where = Tree("dr17").full("apStar")
"""
WRONG = {
    'registry["apStar"](release="dr17", telescop="apo25m")': "telescop",
    'registry.apStar(release="dr17", obj=3.5)': "float",
    'registry["apVisit"](release="dr17", mjd="oops")': "str",
    'registry.create("apVisit", release="dr17", fibre=3)': "fibre",
    'registry["spec"](releas="dr17")': "releas",
    'number: int = registry["apStar"](release="dr17")': "ApStarFile",
    'registry["apVisit"](release="dr17", telescope="apo25m")': 'Missing named argument "mjd"',
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody's project, with stubs in ``typings`` made by the command."""
    folder = tmp_path_factory.mktemp("project")
    ran = subprocess.run(
        [sys.executable, "-m", "astra_registry", "stubs"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [
        "typings/astra_registry/__init__.pyi",
        "typings/astra_registry/_installed_products.pyi",
    ]
    return folder


def checked(folder: Path, text: str) -> dict[int, str]:
    """What mypy says of each line of a program, in strict mode, with the stubs."""
    (folder / "program.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", ".cache", "program.py"],
        cwd=folder, env={**os.environ, "MYPYPATH": "typings"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not ran.stderr
    errors: dict[int, str] = {}
    for line in ran.stdout.splitlines():
        if found := re.match(r"(\S+?):(\d+): error: (.*)", line):
            assert found[1] == "program.py", line
            errors[int(found[2])] = errors.get(int(found[2]), "") + found[3]
    return errors


def test_right_calls_pass_and_each_wrong_one_is_flagged(project: Path) -> None:
    first = len(RIGHT.splitlines()) + 1

    errors = checked(project, RIGHT + "\n".join(WRONG) + "\n")

    assert {line: told for line, told in errors.items() if line < first} == {}
    for line, (call, word) in enumerate(WRONG.items(), first):
        assert word in errors.get(line, "nothing"), call


def test_the_right_calls_are_right_when_they_run_too() -> None:
    program = RIGHT.replace("report: FetchReport = fetch(star)", "").replace('where = Tree("dr17").full("apStar")', "")

    exec(compile(program, "program.py", "exec"), {})


def test_the_stub_of_the_package_holds_every_public_name() -> None:
    text = package_stub()

    for name in astra_registry.__all__:
        assert re.search(rf"^from \S+ import {name} as {name}$", text, re.MULTILINE), name


def test_stubs_are_python_for_every_path_of_the_tree(tmp_path: Path) -> None:
    whole = whole_registry()

    paths = write_stubs(whole, tmp_path)

    for path in paths:
        compile(Path(path).read_text(), path, "exec")
    text = products_stub(whole)
    assert all(f'Literal["{name}"]' in text for name in whole)
    classes = re.findall(r"^class (\w+)", text, re.MULTILINE)
    assert len(classes) == len(set(classes))


def test_stubs_of_no_products_and_of_one_are_python_too() -> None:
    for plugins in ([], ["astra_registry_apvisit"]):
        compile(products_stub(Registry(plugins=plugins)), "stub", "exec")


class NightFile(SDSS5DataModelTask):
    """What a night brought."""

    sdss_data_model_name = "night"
    templates = {"DR19": "$MWM_ASTRA/night-{n}.fits"}  # noqa: RUF012

    n: int = parameter("Its number.")


class Nights:
    @hookimpl
    def astra_registry_products(self) -> list[type[SDSS5DataModelTask]]:
        return [NightFile]


def test_a_parameter_is_required_however_its_release_is_spelled() -> None:
    assert "    n: Required[_Integer]" in products_stub(Registry(plugins=[Nights()]))


def test_older_stubs_are_replaced_and_what_others_wrote_is_left_alone(tmp_path: Path) -> None:
    write_stubs(Registry(plugins=[]), tmp_path)
    first, products = write_stubs(registry, tmp_path)
    assert "apVisit" in Path(products).read_text()

    Path(first).write_text("mine = 1\n")

    with pytest.raises(BadValue, match="was not made by"):
        write_stubs(registry, tmp_path)
    assert Path(first).read_text() == "mine = 1\n"


def test_a_file_in_the_place_of_the_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "typings").write_text("")

    with pytest.raises(BadValue, match="is a file"):
        write_stubs(Registry(plugins=[]), tmp_path / "typings")


def test_stubs_do_not_go_where_the_package_itself_is(tmp_path: Path) -> None:
    """`astra-registry stubs .` in a checkout of ours would hide the package from type checkers."""
    (tmp_path / "astra_registry").mkdir()
    (tmp_path / "astra_registry" / "__init__.py").write_text('"""The package."""\n')

    with pytest.raises(BadValue, match="name another folder"):
        write_stubs(registry, tmp_path)
