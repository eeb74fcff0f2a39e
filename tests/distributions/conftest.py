from __future__ import annotations

from pathlib import Path

import pytest

from .environments import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A fresh environment with the core alone."""
    return Environment(tmp_path)
