"""Credentials go to the configured host, over a safe line, and nowhere else; certificates are checked."""

from __future__ import annotations

import base64
import datetime
import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest
import trustme
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential
from keyring.errors import PasswordSetError

from astra_registry import registry
from astra_registry.errors import Unauthorized
from astra_registry.fetching import Wanted
from astra_registry.fetching.existence import is_on_server
from astra_registry.fetching.locked import write_lock
from astra_registry.fetching.verify import verify
from astra_registry.testing.sas import Fault, Request
from astra_registry.tree import Tree

from .conftest import Archive

SECRET = "pa55-w0rd"


@pytest.fixture
def private(make_archive: Callable[..., Archive]) -> Archive:
    return make_archive(users={"sdss5": SECRET})


def netrc(tmp_path: Path, host: str = "127.0.0.1", mode: int = 0o600, password: str = SECRET) -> Path:
    file = tmp_path / "netrc"
    file.write_text(f"machine {host} login sdss5 password {password}\n")
    file.chmod(mode)
    return file


def authorized(archive: Archive) -> list[Request]:
    return [request for request in archive.sas.requests if "authorization" in request.headers]


def test_the_environment_is_asked_first(private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", "sdss5")
    monkeypatch.setenv("ASTRA_REGISTRY_PASSWORD", SECRET)
    monkeypatch.setenv("NETRC", str(netrc(tmp_path, password="another")))

    [result] = private.fetch([private.add("sdsswork/a.fits")])

    assert (result.status, result.attempts) == ("fetched", 1)


def test_the_netrc_file_of_the_environment_is_read(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))

    assert private.fetch([private.add("sdsswork/a.fits")])[0].status == "fetched"


def test_the_netrc_file_at_home_is_read(private: Archive, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    os.rename(netrc(tmp_path), tmp_path / "home" / ".netrc")

    assert private.fetch([private.add("sdsswork/a.fits")])[0].status == "fetched"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_netrc_file_that_others_can_read_is_refused_and_named(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    file = netrc(tmp_path, mode=mode)
    monkeypatch.setenv("NETRC", str(file))

    [result] = private.fetch([private.add("sdsswork/a.fits")])

    assert (result.status, authorized(private)) == ("unauthorized", [])
    assert f"chmod 600 {file}" in str(result.error)


def test_wrong_and_missing_credentials_are_told_apart(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    item = private.add("sdsswork/a.fits")
    none = private.fetch([item])[0]
    monkeypatch.setenv("NETRC", str(netrc(tmp_path, password="wr0ng")))
    wrong = private.fetch([item])[0]

    assert "no credentials were found" in str(none.error)
    assert "refused the credentials" in str(wrong.error)
    assert "wr0ng" not in repr(wrong) + str(wrong.error)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"NETRC": "/nothere"}, "NETRC names /nothere, which cannot be read (No such file or directory); put"),
        ({"NETRC": "/tmp"}, "no credentials were found: /tmp is a folder; put them into the file that NETRC names"),
        ({"ASTRA_REGISTRY_USERNAME": "me"}, "ASTRA_REGISTRY_USERNAME is set and ASTRA_REGISTRY_PASSWORD is not"),
        ({"ASTRA_REGISTRY_PASSWORD": "me"}, "ASTRA_REGISTRY_PASSWORD is set and ASTRA_REGISTRY_USERNAME is not"),
        ({}, "put them into ~/.netrc (chmod 600), or"),
        ({}, "(those in a URL are not used), or use --login"),
    ],
)
def test_what_keeps_credentials_from_being_found_is_told(
    private: Archive, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], told: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    [result] = private.fetch([private.add("sdsswork/a.fits")])

    assert told in str(result.error)
    assert "chmod 600 /" not in str(result.error)


def test_a_server_that_forbids_a_public_file_is_said_to_do_just_that(archive: Archive) -> None:
    """It may let somebody have it: nobody has logged in."""
    archive.sas.faults = lambda request: Fault(status=403)

    [result] = archive.fetch([archive.add("dr17/a.fits")])

    assert (result.status, result.error) == (
        "unauthorized",
        "127.0.0.1 refuses this file (403), asked for without a login: the release is public",
    )


def test_a_person_is_asked_once_and_only_when_told(private: Archive) -> None:
    asked: list[str] = []

    def login(host: str) -> tuple[str, str]:
        asked.append(host)
        return "sdss5", SECRET

    report = private.fetch([private.add(f"sdsswork/{n}.fits") for n in range(10)], login=login)

    assert not report.failed
    assert asked == ["127.0.0.1"]


def test_a_person_is_asked_by_the_thread_that_takes_the_results(private: Archive) -> None:
    """Only the main thread gets the Ctrl-C of a prompt; and what the question raises ends the run."""
    threads: list[threading.Thread] = []

    def login(host: str) -> tuple[str, str]:
        threads.append(threading.current_thread())
        raise KeyboardInterrupt

    items = [private.add(f"sdsswork/{n}.fits") for n in range(10)]
    with pytest.raises(KeyboardInterrupt):
        private.fetch(items, login=login)

    assert threads == [threading.current_thread()]
    assert private.here_now() == []


def test_a_person_is_asked_once_by_who_compares_and_repairs_too(private: Archive) -> None:
    items = [private.add(f"sdsswork/{n}.fits") for n in range(5)]
    private.fetch(items, login=lambda host: ("sdss5", SECRET))
    os.truncate(items[0].path, 2880)
    asked: list[threading.Thread] = []

    def login(host: str) -> tuple[str, str]:
        asked.append(threading.current_thread())
        return "sdss5", SECRET

    where = {"sas_base_dir": private.here, "remote_base": private.sas.url}
    found = verify([private.here], remote=True, repair=True, login=login, **where)

    assert [finding.status for finding in found] == ["repaired", "whole", "whole", "whole", "whole"]
    assert asked == [threading.current_thread()]


def test_where_nobody_is_to_ask_the_file_is_unauthorized(private: Archive) -> None:
    report = private.fetch([private.add(f"sdsswork/{n}.fits") for n in range(10)], login=lambda host: None)

    assert {result.status for result in report} == {"unauthorized"}
    assert "no credentials were found: --login got no answer" in str(report[0].error)
    assert "or use --login" not in str(report[0].error)


def test_a_public_release_never_touches_credentials(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", "sdss5")
    monkeypatch.setenv("ASTRA_REGISTRY_PASSWORD", SECRET)

    [result] = private.fetch([private.add("dr17/a.fits")])

    assert (result.status, authorized(private)) == ("unauthorized", [])
    assert "public" in str(result.error)


def test_the_members_of_a_batch_that_is_said_to_be_public_never_touch_credentials(
    private: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where their URLs do not tell their release."""
    monkeypatch.setenv("ASTRA_REGISTRY_USERNAME", "sdss5")
    monkeypatch.setenv("ASTRA_REGISTRY_PASSWORD", SECRET)
    spectra = {"release": "sdsswork", "run2d": "v6", "fieldid": 1, "mjd": 59000, "catalogid": [4, 5]}

    public, other = (private.fetch(registry["spec"](public=public, **spectra)) for public in (True, False))

    assert [result.status for result in public] == ["unauthorized"] * 2
    assert [result.status for result in other] == ["missing"] * 2


def test_another_host_than_the_configured_one_gets_none(
    private: Archive, make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The port is part of a host."""
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))
    configured = make_archive()

    [result] = private.fetch([private.add("sdsswork/a.fits")], remote_base=configured.sas.url)

    assert (result.status, authorized(private)) == ("unauthorized", [])
    assert "not the configured server" in str(result.error)


def test_after_a_redirect_to_another_host_credentials_are_not_sent(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))
    other = make_archive()
    there = other.add("sdsswork/a.fits")
    first = make_archive(faults=lambda request: Fault(status=302, headers={"Location": there.urls[0]}))
    item = Wanted((first.sas.url_of("sdsswork/a.fits"),), there.path)

    [result] = first.fetch([item])

    assert result.status == "fetched"
    assert len(authorized(first)) == 1
    assert authorized(other) == []


@pytest.mark.parametrize("password", ["pa#55", "#", "pa?55", "p@#55", "#%23"])
def test_a_password_in_an_address_may_hold_anything_but_a_slash(archive: Archive, password: str) -> None:
    """Nothing of it is taken for the host, which messages show."""
    item = archive.add("dr17/a.fits")
    url = item.urls[0].replace("//", f"//me:{password}@")

    (result,) = archive.fetch(Wanted((url,), item.path))

    assert (result.status, result.url) == ("fetched", item.urls[0])


def test_what_the_host_after_a_redirect_refuses_is_not_said_of_the_credentials(
    make_archive: Callable[..., Archive], private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))
    there = private.add("sdsswork/a.fits")
    first = make_archive(faults=lambda request: Fault(status=302, headers={"Location": there.urls[0]}))

    [result] = first.fetch([Wanted((first.sas.url_of("sdsswork/a.fits"),), there.path)])

    ports = [archive.sas.url.removeprefix("http://") for archive in (first, private)]
    assert result.status == "unauthorized"
    assert result.error == f"{ports[0]} redirects to {ports[1]}, which refuses it (401); no credentials are sent there"


def test_what_is_refused_after_a_redirect_away_and_back_is_not_said_of_the_credentials(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))
    away = make_archive()
    home = make_archive(users={"sdss5": SECRET})
    item, there = home.add("sdsswork/a.fits"), home.add("sdsswork/b.fits")
    to_away = Fault(status=302, headers={"Location": away.sas.url_of("sdsswork/a.fits")})
    home.sas.faults = lambda request: to_away if request.path.endswith("a.fits") else None
    away.sas.faults = lambda request: Fault(status=302, headers={"Location": there.urls[0]})

    [result] = home.fetch([item])

    host = home.sas.url.removeprefix("http://")
    assert result.status == "unauthorized"
    assert str(result.error).startswith(
        f"{host} redirects to another host, and that one back, where it is refused (401)"
    )


def test_nothing_of_a_password_is_told(private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = private.sas.url.replace("http://", f"http://sdss5:{SECRET}@")
    item = private.add("sdsswork/a.fits")

    report = private.fetch([Wanted((f"{url}/sas/sdsswork/a.fits",), item.path)])

    assert SECRET not in repr(report[0]) + str(report[0].error) + str(report.to_table()) + repr(report)


class Desktop(KeyringBackend):  # type: ignore[misc]  # it has no types
    """A keyring as a desktop has one."""

    viable = False  # it is set by hand: keyring would else choose it for every test that runs in this process

    def get_password(self, service: str, username: str) -> str | None:
        return SECRET if (service, username) == ("127.0.0.1", "sdss5") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("nobody writes to it")

    def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
        return SimpleCredential("sdss5", SECRET) if service == "127.0.0.1" else None


# ---------------------------------------------------------------- whether the server has a file

STAR = {"apred": "1.3", "telescope": "apo25m", "healpix": 1234}


def test_existence_on_the_server_is_asked_with_the_same_credentials(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tree = Tree("sdsswork", remote_base=private.sas.url)
    private.add(tree.location("apStar", **STAR, obj="2M01"))

    with pytest.raises(Unauthorized, match="no credentials were found"):
        tree.exists("apStar", remote=True, **STAR, obj="2M01")
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))

    assert tree.exists("apStar", remote=True, **STAR, obj="2M01")
    assert not tree.exists("apStar", remote=True, **STAR, obj="2M02")


def test_existence_of_what_is_public_needs_no_credentials(
    make_archive: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))
    archive = make_archive(users={"sdss5": SECRET}, private=lambda location: False)
    tree = Tree("dr17", remote_base=archive.sas.url)
    archive.add("dr17/a.fits")

    assert tree.exists("apStar", remote=True, full=tree.local("dr17/a.fits"))
    assert authorized(archive) == []


def test_existence_elsewhere_than_on_the_configured_server_is_asked_without(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(netrc(tmp_path)))
    item = private.add("sdsswork/a.fits")

    for base in (None, "https://sas.example.org"):
        with pytest.raises(Unauthorized, match="not the configured server"):
            is_on_server(item.urls[0], public=False, remote_base=base)
    assert authorized(private) == []


def test_existence_in_a_mounted_sas_is_looked_up(tmp_path: Path) -> None:
    tree = Tree("dr17", remote_base=f"file://{tmp_path}")
    (tmp_path / "sas/dr17").mkdir(parents=True)
    (tmp_path / "sas/dr17/a.fits").touch()

    assert tree.exists("apStar", remote=True, full=tree.local("dr17/a.fits"))
    assert not tree.exists("apStar", remote=True, full=tree.local("dr17/b.fits"))


def test_the_keyring_is_asked_last(private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Desktop())
    try:
        items = [private.add(f"sdsswork/{name}.fits") for name in "ab"]
        assert private.fetch(items[:1])[0].status == "fetched"
        monkeypatch.setenv("NETRC", str(netrc(tmp_path, password="another")))
        assert private.fetch(items[1:])[0].status == "unauthorized"
    finally:
        keyring.set_keyring(before)


def test_no_file_that_is_written_holds_the_password(
    private: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = netrc(tmp_path)
    monkeypatch.setenv("NETRC", str(secrets))
    report = private.fetch([private.add("sdsswork/a.fits"), private.wanted("sdsswork/none.fits")])
    write_lock(tmp_path / "data.lock", report, sas_base_dir=str(private.here))
    report.to_table().write(tmp_path / "report.ecsv")

    written = [file for file in tmp_path.rglob("*") if file.is_file() and file != secrets]

    assert len(written) > 4
    coded = base64.b64encode(f"sdss5:{SECRET}".encode())
    assert not [file for file in written if SECRET.encode() in file.read_bytes() or coded in file.read_bytes()]


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(make_archive: Callable[..., Archive], authority: trustme.CA) -> Archive:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return make_archive(tls=context)


def test_a_certificate_of_a_known_authority_is_accepted(
    secure: Archive, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    items = secure.add_some(10)

    assert not secure.fetch(items, ca_bundle=bundle, jobs=4).failed
    assert all(map(secure.right, items))

    where = {"sas_base_dir": secure.here, "remote_base": secure.sas.url}
    assert {finding.status for finding in verify([secure.here], remote=True, **where)} == {"unknown"}
    assert {finding.status for finding in verify([secure.here], remote=True, ca_bundle=bundle, **where)} == {"whole"}

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert not secure.fetch(items, overwrite=True).failed


def test_a_certificate_of_nobody_known_is_refused_at_once(secure: Archive) -> None:
    [result] = secure.fetch([secure.add("dr17/a.fits")])

    assert result.status == "failed"
    assert "--ca-bundle" in str(result.error)
    assert secure.sas.requests == []


def test_a_certificate_of_another_name_or_time_is_no_matter_of_authorities(
    make_archive: Callable[..., Archive], authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    told = []
    for host, until in (("data.example.org", None), ("localhost", day)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host, not_after=until).configure_cert(context)
        archive = make_archive(tls=context)
        told += [str(result.error) for result in archive.fetch([archive.add("dr17/a.fits")], ca_bundle=bundle)]

    assert ["the name of the server" in told[0], "clock" in told[1]] == [True, True], told
    assert "--ca-bundle" not in " ".join(told)


def test_a_redirect_from_https_to_http_is_refused(
    make_archive: Callable[..., Archive], authority: trustme.CA, tmp_path: Path
) -> None:
    plain = make_archive()
    there = plain.add("dr17/a.fits")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    secure = make_archive(tls=context, faults=lambda r: Fault(status=302, headers={"Location": there.urls[0]}))

    [result] = secure.fetch([secure.wanted("dr17/a.fits")], ca_bundle=bundle)

    assert result.status == "failed"
    assert plain.sas.requests == []
