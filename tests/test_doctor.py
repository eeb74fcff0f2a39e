"""The doctor: what each check sees, and that none of them harms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from astra_registry.doctor import Finding, examine
from astra_registry.settings import SETTINGS
from astra_registry.testing.sas import EmbeddedSas


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where all is well, in a home of its own."""
    for name in [*(entry.env for entry in SETTINGS.values()), "ASTRA_REGISTRY_USERNAME", "ASTRA_REGISTRY_PASSWORD"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("ASTRA_REGISTRY_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr("astra_registry.settings._CHECK_EVERY", 0.0)
    return tmp_path


def found(check: str, *, network: bool = False) -> list[Finding]:
    return [finding for finding in examine(network=network) if finding.check == check]


def test_a_healthy_machine_has_nothing_wrong_and_nothing_is_made(machine: Path) -> None:
    before = set(machine.rglob("*"))
    findings = list(examine(network=False))
    assert [finding for finding in findings if finding.status == "wrong"] == []
    assert set(machine.rglob("*")) == before


def test_each_thing_that_is_not_well_has_a_remedy(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", "http://127.0.0.1:9")
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", "nonsense")
    assert all(finding.remedy for finding in examine() if finding.status != "ok")


def test_a_folder_that_is_a_file_is_wrong(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "file").write_text("")
    monkeypatch.setenv("SAS_BASE_DIR", str(machine / "file" / "sas"))
    assert [(f.status, f.remedy) for f in found("sas")] == [("wrong", "set SAS_BASE_DIR to a folder")]


def test_a_folder_that_is_not_there_yet_is_fine(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAS_BASE_DIR", str(machine / "a/b/sas"))
    (finding,) = found("sas")
    assert finding.status == "ok"
    assert "made by the first fetch" in finding.message


def test_a_netrc_that_others_can_read_is_wrong_and_its_password_is_never_shown(machine: Path) -> None:
    netrc = machine / ".netrc"
    netrc.write_text("machine data.sdss5.org login me password s3cret\n")
    netrc.chmod(0o644)
    (finding,) = found("login")
    assert (finding.status, finding.remedy) == ("wrong", f"chmod 600 {netrc}")

    netrc.chmod(0o600)
    (finding,) = found("login")
    assert finding.status == "ok"

    netrc.write_text("machine data.sdss5.org login me passwort s3cret\n")
    (finding,) = found("login")
    assert (finding.status, finding.remedy) == ("wrong", "mend the file")
    assert not any("s3cret" in str(each) for each in examine(network=False))


def test_a_bad_setting_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_JOBS", "many")
    (finding,) = found("configuration")
    assert finding.status == "wrong"
    assert "ASTRA_REGISTRY_JOBS" in finding.message


def test_a_proxy_is_noted_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:s3cret@proxy.example:3128")
    assert any("proxy.example" in finding.message for finding in found("tls"))
    assert not any("s3cret" in finding.message for finding in found("tls"))


def test_a_file_that_holds_no_certificates_is_wrong(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "ca.pem").write_text("nothing")
    monkeypatch.setenv("ASTRA_REGISTRY_CA_BUNDLE", str(machine / "ca.pem"))
    assert [finding.status for finding in found("tls")] == ["wrong"]


def test_a_server_that_answers_is_well_and_one_that_does_not_is_wrong(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedSas(machine) as sas:
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", sas.url)
        assert [finding.status for finding in found("servers", network=True)] == ["ok"]
    assert [finding.status for finding in found("servers", network=True)] == ["wrong"]


def test_a_database_of_another_program_is_wrong_and_left_alone(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib
    import sqlite3

    file = machine / "other.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    before = file.read_bytes()
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", f"sqlite:///{file}")
    (finding,) = found("database")
    assert finding.status == "wrong"
    assert "another program" in finding.message
    assert file.read_bytes() == before


def test_the_command_prints_json_and_exits_with_1_when_something_is_wrong(machine: Path) -> None:
    (machine / "file").write_text("")
    environment = dict(os.environ, SAS_BASE_DIR=str(machine / "file"))
    command = [sys.executable, "-m", "astra_registry", "doctor", "--offline", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)
    assert [f["check"] for f in findings if f["status"] == "wrong"] == ["sas"]

    environment["SAS_BASE_DIR"] = str(machine / "sas")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
