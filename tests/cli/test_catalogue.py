"""`catalogue` and `stubs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_catalogue_prints_the_page_that_it_wrote(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "new" / "catalogue" / "index.html"

    ran = cli("catalogue", page.parent, "--title", "Our <own> products")

    assert (ran.code, ran.lines, ran.err) == (0, [str(page)], "")
    assert "<title>Our &lt;own&gt; products</title>" in page.read_text()
    assert "apVisit" in page.read_text()


def test_catalogue_in_json_tells_how_many_products_it_holds(cli: Cli, tmp_path: Path) -> None:
    ran = cli("catalogue", tmp_path / "catalogue", "--json")

    assert ran.data == [
        {"page": str(tmp_path / "catalogue" / "index.html"), "products": len(cli("list", "--json").data)}
    ]


def test_catalogue_leaves_a_folder_of_other_things_alone_and_says_so_in_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")

    ran = cli("catalogue", tmp_path / "thesis")

    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert "name a new or empty folder" in ran.err
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


def test_catalogue_of_no_products_says_how_to_have_some(cli: Cli, tmp_path: Path) -> None:
    ran = cli("--no-plugins", "catalogue", tmp_path / "catalogue")

    assert ran.code == 0
    assert "no data product is installed" in ran.err


def test_stubs_prints_the_files_that_it_wrote(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    ran = cli("stubs")

    assert ran.code == 0
    assert [Path(line).exists() for line in ran.lines] == [True, True]
    assert cli("stubs", "typings", "--json").data == ran.lines


def test_stubs_leaves_files_of_others_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "astra_registry").mkdir()
    (tmp_path / "astra_registry" / "__init__.pyi").write_text("mine = 1\n")

    ran = cli("stubs", tmp_path)

    assert (ran.code, ran.out) == (2, "")
    assert "name another folder" in ran.err
