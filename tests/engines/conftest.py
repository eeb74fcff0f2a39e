"""A store and a folder for each test of the engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry import StateStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with StateStore(f"sqlite:///{tmp_path / 'states.db'}") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "work").mkdir()
    return str(tmp_path / "work")
