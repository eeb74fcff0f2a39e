"""`astra-registry config`: the same truth as `setting`, without anybody's password."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from astra_registry.cli import command
from astra_registry.settings import SETTINGS


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("astra_registry.settings._CHECK_EVERY", 0.0)
    monkeypatch.setenv("ASTRA_REGISTRY_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def test_every_setting_is_told_with_its_origin(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("retries = 2\n")
    monkeypatch.setenv("ASTRA_REGISTRY_JOBS", "3")
    done = CliRunner().invoke(command, ["--remote-base", "http://127.0.0.1:8000", "config", "--json"])
    assert done.exit_code == 0, done.output
    told = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert set(told) == set(SETTINGS)
    assert (told["retries"]["value"], told["retries"]["origin"]) == (2, str(config))
    assert (told["jobs"]["value"], told["jobs"]["origin"]) == (3, "environment variable ASTRA_REGISTRY_JOBS")
    assert told["remote_base"]["value"] == "http://127.0.0.1:8000"


def test_the_table_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", "postgresql+psycopg://me:s3cret@db.example/astra")
    for arguments in (["config"], ["config", "--json"]):
        done = CliRunner().invoke(command, arguments)
        assert "s3cret" not in done.output
        assert "postgresql+psycopg://me:***@db.example/astra" in done.output


def test_the_path_of_the_file_is_told_alone(config: Path) -> None:
    assert CliRunner().invoke(command, ["config", "--path"]).stdout.strip() == str(config)


def test_a_wrong_value_is_one_line_that_names_where_it_came_from(config: Path) -> None:
    from subprocess import run
    from sys import executable

    config.write_text("jobs = 'many'\n")
    done = run([executable, "-m", "astra_registry", "config"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"astra-registry: {config}: jobs is 'many'")
    assert len(done.stderr.splitlines()) == 1
