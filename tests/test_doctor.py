"""The doctor: what each check sees, and that none of them harms."""

from __future__ import annotations

import datetime
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from astra_registry.doctor import Finding, examine
from astra_registry.doctor.machine import clock
from astra_registry.settings import SETTINGS
from astra_registry.testing.sas import EmbeddedSas

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where all is well, in a home of its own."""
    for name in [*(entry.env for entry in SETTINGS.values()), "ASTRA_REGISTRY_USERNAME", "ASTRA_REGISTRY_PASSWORD"]:
        monkeypatch.delenv(name, raising=False)
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NETRC",
        *_CERTIFICATES,
    ):
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


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no folder that even root cannot write")
def test_a_folder_is_writable_when_a_file_can_be_made_in_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The permissions alone do not tell: of a folder of the kernel's they say yes."""
    monkeypatch.setenv("SAS_BASE_DIR", "/proc")
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", "sqlite:////proc/states.sqlite")
    for check, variable in (("sas", "SAS_BASE_DIR"), ("database", "ASTRA_REGISTRY_DATABASE")):
        (finding,) = found(check)
        assert finding.status == "wrong"
        assert "cannot be written" in finding.message
        assert variable in finding.remedy


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


def test_a_name_without_its_password_is_noted(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", "me")
    assert found("login")[0].remedy == "set ASTRA_REGISTRY_PASSWORD too"


def test_credentials_are_looked_for_under_the_name_of_the_configured_server(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = machine / ".netrc"
    netrc.write_text("machine sas.example.org login me password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", "https://sas.example.org")
    assert [finding.status for finding in found("login")] == ["ok"]

    monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", "http://sas.example.org")
    assert "never sent any" in found("login")[0].message


def test_a_configuration_that_cannot_be_read_is_told_once(machine: Path) -> None:
    (machine / "config.toml").write_text('jobs = "many')
    ailing = [finding for finding in examine(network=False) if finding.status == "wrong"]
    assert [finding.check for finding in ailing] == ["configuration"]
    assert str(machine / "config.toml") in ailing[0].message


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


def test_certificates_are_those_that_a_fetch_would_trust(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = ssl.get_default_verify_paths()
    folder = machine / "certificates"
    folder.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    assert str(folder) in found("tls")[0].message

    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(system.openssl_cafile_env, str(machine / "none.pem"))
    monkeypatch.setenv(system.openssl_capath_env, str(folder))
    (finding,) = found("tls")
    assert finding.status == "wrong"
    assert "no server is trusted" in finding.message


@pytest.mark.parametrize("today", [datetime.date(1970, 1, 1), datetime.date(2020, 1, 1)])
def test_a_clock_that_is_behind_is_wrong(today: datetime.date) -> None:
    """Which releases are public depends on the date."""
    ((status, message, remedy),) = clock(today)
    assert (status, remedy) == ("wrong", "set the clock")
    assert str(today) in message


def test_a_mounted_sas_is_well_when_it_is_there(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, status in ((machine, "ok"), (machine / "nowhere", "wrong")):
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", f"file://{folder}")
        assert [finding.status for finding in found("servers", network=True)] == [status]


def test_a_server_that_answers_is_well_and_one_that_does_not_is_wrong(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedSas(machine) as sas:
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", sas.url)
        assert [finding.status for finding in found("servers", network=True)] == ["ok"]
    assert [finding.status for finding in found("servers", network=True)] == ["wrong"]


def test_a_server_whose_clock_differs_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    class Behind(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return "Thu, 01 Jan 2015 00:00:00 GMT"

        def log_message(self, *about: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Behind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", f"http://127.0.0.1:{server.server_port}")
        (finding,) = found("servers", network=True)
        server.shutdown()
        thread.join()
    assert (finding.status, finding.remedy) == ("wrong", "set this machine's clock")
    assert "2015-01-01" in finding.message


def test_a_server_of_rsync_is_called_too(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "rsync").write_text("#!/bin/sh\n")
    (machine / "rsync").chmod(0o755)
    monkeypatch.setenv("PATH", str(machine), prepend=os.pathsep)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", f"rsync://127.0.0.1:{server.getsockname()[1]}")
        assert [finding.status for finding in found("servers", network=True)] == ["ok"]
    (finding,) = found("servers", network=True)
    assert finding.status == "wrong"
    assert "Connection refused" in finding.message


def test_a_folder_in_the_place_of_the_netrc_file_is_left_as_it_is(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(machine))
    (finding,) = found("login")
    assert (finding.status, finding.remedy) == ("wrong", "set NETRC to a file, or unset it")


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


def test_a_database_that_lacks_something_or_is_older_says_what_to_do(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import contextlib
    import sqlite3

    from astra_registry import StateStore

    file = machine / "states.sqlite"
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", f"sqlite:///{file}")
    with StateStore(f"sqlite:///{file}") as store:
        store.upgrade()
    assert [finding.status for finding in found("database")] == ["ok"]

    for change, word in (
        ("DROP TABLE event", "event is missing"),
        ("UPDATE alembic_version SET version_num = '0001'", "db upgrade"),
        ("UPDATE alembic_version SET version_num = '9999'", "install a newer one"),
    ):
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            version = next(name for name in tables if "version" in name)
            connection.execute(change.replace("alembic_version", version))
        ailing = [finding for finding in found("database") if finding.status == "wrong"]
        assert word in " ".join(finding.message for finding in ailing), change
        assert all(finding.remedy for finding in ailing)


def test_plugins_that_are_turned_off_are_not_said_to_be_missing() -> None:
    environment = dict(os.environ, ASTRA_REGISTRY_PLUGINS="")
    command = [sys.executable, "-m", "astra_registry", "doctor", "--offline", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    (finding,) = [f for f in json.loads(done.stdout) if f["check"] == "plugins"]
    assert finding["status"] == "note"
    assert "ASTRA_REGISTRY_PLUGINS" in finding["remedy"]


@pytest.mark.parametrize(
    ("name", "version", "word"),
    [("click", "7.0", "click 7.0 is older than 8.1.7"), ("specutils", "1.9.0", "specutils 1.9.0 is older than 2.0")],
)
def test_a_package_that_is_too_old_is_named(
    name: str, version: str, word: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of extras too: specutils 1 reads no spectrum here."""
    folder = machine / "older"
    shutil.rmtree(folder, ignore_errors=True)
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(folder))
    ailing = [finding for finding in found("packages") if finding.status == "wrong"]
    assert [finding.message for finding in ailing] == [word]
    assert ailing[0].remedy.startswith("pip install --upgrade")


def test_another_package_named_tree_is_noted(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = machine / "dm_tree-0.1.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dm-tree\nVersion: 0.1.9\n")
    monkeypatch.syspath_prepend(str(machine))
    (finding,) = found("tree")
    assert finding.status == "note"
    assert "different environments" in finding.remedy


def test_what_that_package_took_with_it_is_noted(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have a file tree/__init__.py, and uninstalling the one removes it from the other."""
    metadata = machine / "sdss_tree-4.1.4.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sdss-tree\nVersion: 4.1.4\n")
    (metadata / "RECORD").write_text("tree/__init__.py,,\ntree/tree.py,,\n")
    (machine / "tree").mkdir()
    (machine / "tree/tree.py").write_text("")
    monkeypatch.syspath_prepend(str(machine))
    (finding,) = found("tree")
    assert finding.status == "note"
    assert finding.remedy == "pip install --force-reinstall --no-deps sdss-tree"


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
