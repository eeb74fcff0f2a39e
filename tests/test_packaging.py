"""What is published: wheels and sdists that build, install without a network, and take the tour."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import astra_registry

TOP = Path(__file__).parents[1]
PROJECTS = [TOP, *sorted(file.parent for file in TOP.glob("plugins/*/pyproject.toml"))]
NAMES = [tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] for project in PROJECTS]


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """What a command prints; its complaint when it fails."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("ASTRA_REGISTRY", "PIP_", "PYTHON"))
    }
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=own | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels and sdists of the core and the plugins, built with the tools that are here."""
    folder = tmp_path_factory.mktemp("dist")
    for project in PROJECTS:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, project, folder=folder)
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A fresh environment's Python: the dependencies are there, nothing of this project is."""
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    seen = tmp_path / "seen"
    seen.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.search(r"astra_registry|editable|\.pth$", entry.name):
            (seen / entry.name).symlink_to(entry)
    place = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")})
    Path(place, "dependencies.pth").write_text(f"{seen}\n")
    return tmp_path / "env/bin/python"


def install(python: Path, dist: Path, *names: str) -> None:
    run(python, "-m", "pip", "install", "-qq", "--no-index", "--find-links", dist, *names, folder=dist)


def test_there_is_a_wheel_and_an_sdist_of_each_and_twine_has_no_complaint(dist: Path) -> None:
    files = sorted(dist.iterdir())
    assert len([file for file in files if file.suffix == ".whl"]) == len(PROJECTS)
    assert len([file for file in files if file.suffix == ".gz"]) == len(PROJECTS)
    run(sys.executable, "-m", "twine", "check", "--strict", *files, folder=dist)


def test_a_wheel_has_its_types_its_data_and_nothing_else(dist: Path) -> None:
    for wheel in dist.glob("*.whl"):
        names = zipfile.ZipFile(wheel).namelist()
        package = next(name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info"))
        assert f"{package}/py.typed" in names
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), wheel.name
        assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {package}
    core = zipfile.ZipFile(next(dist.glob("astra_registry-*.whl"))).namelist()
    assert "astra_registry/data/release_versions.csv" in core
    assert any(name.startswith("astra_registry/store/migrations/") for name in core)


def test_the_sdist_of_the_core_holds_its_tests_and_its_documentation(dist: Path) -> None:
    with tarfile.open(next(dist.glob("astra_registry-*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/test_packaging.py", "docs/conf.py", "demo/tour.py", "Makefile", "CHANGELOG.md"} <= names


def test_a_plugin_comes_and_goes_and_nothing_else_changes(dist: Path, python: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}

    def listed() -> list[str]:
        done = run(python, "-m", "astra_registry", "list", "--json", folder=tmp_path, **home)
        return [product["name"] for product in json.loads(done)]

    install(python, dist, "astra-registry")
    assert listed() == []
    install(python, dist, "astra-registry-apvisit")
    assert listed() == ["apVisit"]
    install(python, dist, "astra-registry-apstar")
    assert listed() == ["apStar", "apVisit"]
    run(python, "-m", "pip", "uninstall", "-qq", "--yes", "astra-registry-apvisit", folder=tmp_path)
    assert listed() == ["apStar"]


def test_the_tour_succeeds_from_wheels_alone(dist: Path, python: Path, tmp_path: Path) -> None:
    install(python, dist, *NAMES)
    (tmp_path / "demo").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "demo/tour.py").write_text((TOP / "demo/tour.py").read_text())
    (tmp_path / "tests/data").symlink_to(TOP / "tests/data")
    told = run(python, tmp_path / "demo/tour.py", folder=tmp_path, HOME=str(tmp_path))
    assert "signal-to-noise" in told
    assert "the real SAS" in told
    assert len(list((tmp_path / ".demo/sas").rglob("*.fits"))) == 5


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    citation = (TOP / "CITATION.cff").read_text()
    assert f"\nversion: {astra_registry.__version__}\n" in citation
    assert f"## [{astra_registry.__version__}]" in (TOP / "CHANGELOG.md").read_text()


def test_every_distribution_has_the_same_licence() -> None:
    assert {file.read_text() for file in TOP.glob("plugins/*/LICENSE")} == {(TOP / "LICENSE").read_text()}


def test_the_readme_names_every_plugin() -> None:
    readme = (TOP / "README.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in readme and name != "astra-registry"] == []
