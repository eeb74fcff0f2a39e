"""The command line, called as `main` is, and an archive on loopback for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from astra_registry.cli import main
from astra_registry.testing.sas import EmbeddedSas

DATA = Path(__file__).parents[1] / "data"


@attrs.frozen
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def sas_base_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for files, and nothing of the caller's settings."""
    folder = tmp_path / "sas"
    monkeypatch.setenv("SAS_BASE_DIR", str(folder))
    monkeypatch.setenv("ASTRA_REGISTRY_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ASTRA_REGISTRY_REMOTE_BASE", raising=False)
    return folder


@pytest.fixture
def cli(sas_base_dir: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line in this process, and return what it printed."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture
def sas(sas_base_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedSas]:
    """The archive that ships with the tests, on loopback, in the place of the SDSS one."""
    with EmbeddedSas(DATA / "sas", sha1sums=True) as server:
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", server.url)
        yield server
