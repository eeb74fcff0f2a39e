"""The documentation tells the truth: its code runs, its output is real, and nothing public is left out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import astra_registry
from astra_registry.testing.sas import EmbeddedSas

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP / "docs/_ext"))

import blocks  # noqa: E402
from pages import commands, errors, hooks, python_api  # noqa: E402

PAGES = [TOP / "README.md", *sorted(TOP.glob("docs/tutorial/*.md")), *sorted(TOP.glob("docs/how-to/*.md"))]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[blocks.Session]:
    """A new user's folder, on a machine where the embedded SAS is the server."""
    with EmbeddedSas(TOP / "tests/data/sas", sha1sums=True) as sas:
        blocks.prepare(tmp_path, TOP)
        with blocks.Session(tmp_path, blocks.clean_environment(tmp_path, sas.url)) as session:
            yield session


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_block_of_a_page_runs_and_prints_what_is_shown(page: Path, session: blocks.Session) -> None:
    wrong = [
        f"line {block.line}: {ran}\nshown:\n{shown}\ncame:\n{came}"
        for block, ran, shown, came in blocks.run(page, session)
    ]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_block_has_a_language_that_says_how_to_run_it(page: Path) -> None:
    known = {"console", "python", "output", "toml", "text", "csv"}
    assert {block.language for block in blocks.blocks(page) if block.file is None and block.skipped is None} <= known


def test_every_error_has_a_remedy_and_no_remedy_is_left_over() -> None:
    assert {error.__name__ for error in errors.every()} == set(errors.REMEDIES)


def test_every_command_and_option_has_a_help() -> None:
    for words, command in commands.every():
        said = " ".join(words) or "astra-registry"
        assert command.help or command.short_help, f"{said} has no help"
        for option in command.params:
            if option.param_type_name == "option" and not getattr(option, "hidden", False):
                assert getattr(option, "help", ""), f"{said} {option.opts[0]} has no help"


def test_every_command_is_on_the_page_of_commands() -> None:
    page = commands.page()
    assert [words for words, _ in commands.every() if f"`{' '.join(('astra-registry', *words))}`" not in page] == []


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


def test_every_table_of_layers_in_the_picture_is_the_contract(tmp_path: Path) -> None:
    import layers

    drawn = layers.picture()
    assert all(module in drawn for row in layers.rows() for module in row)
