"""Proxies as the environment names them, with a real one on loopback that tunnels (CONNECT) and asks for logins."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from astra_registry.fetching import FetchResult, Wanted

from .conftest import Archive
from .proxy import Proxy

CONNECT = "CONNECT archive.test:443 HTTP/1.1"
PLAIN = "GET http://archive.test/sas/dr17/a.fits HTTP/1.1"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return authority, file


@pytest.fixture
def secure(make_archive: Callable[..., Archive], bundle: tuple[trustme.CA, Path]) -> Archive:
    """An archive whose name nobody but the proxy can look up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    bundle[0].issue_cert("archive.test").configure_cert(context)
    return make_archive(tls=context)


@pytest.fixture
def proxy(archive: Archive, secure: Archive) -> Iterator[Proxy]:
    with Proxy({"archive.test:443": secure.sas.port, "archive.test": archive.sas.port}) as made:
        yield made


@pytest.fixture
def over_https(secure: Archive, bundle: tuple[trustme.CA, Path]) -> Callable[[], FetchResult]:
    real = secure.add("dr17/b.fits")

    def bring() -> FetchResult:
        item = Wanted(("https://archive.test/sas/dr17/b.fits",), real.path)
        [result] = secure.fetch([item], remote_base="https://archive.test", ca_bundle=bundle[1], retries=1)
        return result

    return bring


@pytest.fixture
def over_http(archive: Archive) -> Callable[[], FetchResult]:
    real = archive.add("dr17/a.fits")

    def bring() -> FetchResult:
        item = Wanted(("http://archive.test/sas/dr17/a.fits",), real.path)
        [result] = archive.fetch([item], remote_base="http://archive.test", retries=1)
        return result

    return bring


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_https_goes_through_a_tunnel(
    proxy: Proxy, over_https: Callable[[], FetchResult], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

    assert over_https().status == "fetched"
    assert [asked.line for asked in proxy.asked] == [CONNECT]
    assert "proxy-authorization" not in proxy.asked[0].headers


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_http_is_asked_of_the_proxy_by_its_whole_url(
    proxy: Proxy, over_http: Callable[[], FetchResult], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")

    assert over_http().status == "fetched"
    assert [asked.line for asked in proxy.asked] == [PLAIN]


def test_the_login_in_the_proxys_url_goes_to_the_proxy_alone(
    proxy: Proxy,
    archive: Archive,
    secure: Archive,
    over_http: Callable[[], FetchResult],
    over_https: Callable[[], FetchResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy.login = "me:s/cret"
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:s%2Fcret@127.0.0.1:{proxy.port}")

    assert (over_http().status, over_https().status) == ("fetched", "fetched")
    assert not any("authorization" in name for sas in (archive, secure) for r in sas.sas.requests for name in r.headers)


@pytest.mark.parametrize("login", ["", "me:wr0ng@"])
def test_a_proxy_that_wants_another_login_is_asked_once_and_named(
    proxy: Proxy,
    over_http: Callable[[], FetchResult],
    over_https: Callable[[], FetchResult],
    monkeypatch: pytest.MonkeyPatch,
    login: str,
) -> None:
    proxy.login = "me:secret"
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://{login}127.0.0.1:{proxy.port}")

    for result in (over_http(), over_https()):
        assert result.status == "failed"
        assert f"the proxy 127.0.0.1:{proxy.port}" in str(result.error)
        assert "407" in str(result.error)
        assert "wr0ng" not in repr(result)
    assert len(proxy.asked) == 2


@pytest.mark.parametrize(("answer", "tries"), [("403 Forbidden", 1), ("503 Unavailable", 2), ("nonsense", 2)])
def test_a_proxy_that_does_not_tunnel_is_named(
    proxy: Proxy,
    over_https: Callable[[], FetchResult],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    tries: int,
) -> None:
    proxy.answer = answer
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")

    result = over_https()

    assert result.status == "failed"
    assert f"the proxy 127.0.0.1:{proxy.port} answered {answer[:3]}" in str(result.error)
    assert len(proxy.asked) == tries


def test_a_proxy_that_is_not_there_is_named(
    over_https: Callable[[], FetchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    assert "through the proxy 127.0.0.1:9" in str(over_https().error)


@pytest.mark.parametrize(
    "url", ["socks5://127.0.0.1:9", "https://127.0.0.1:9", "http://127.0.0.1:99999", "http://[::1", "http://"]
)
def test_a_proxy_of_another_kind_is_one_line_an_item(
    over_https: Callable[[], FetchResult], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("https_proxy", url)

    result = over_https()

    assert result.status == "failed"
    assert "the proxy that the environment names for https" in str(result.error)


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(
    ("value", "through"),
    [
        ("127.0.0.1", False),
        ("other.test, 127.0.0.1", False),
        ("127.0.0.0/8", False),
        ("127.0.0.1:PORT", False),
        ("*", False),
        ("127.0.0.1:1", True),
        ("10.0.0.0/8", True),
        ("", True),
    ],
)
def test_no_proxy_names_what_is_asked_directly(
    proxy: Proxy, archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str, value: str, through: bool
) -> None:
    proxy.hosts[f"127.0.0.1:{archive.sas.port}"] = archive.sas.port
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv(name, value.replace("PORT", str(archive.sas.port)))

    assert archive.fetch([archive.add("dr17/a.fits")])[0].status == "fetched"
    assert bool(proxy.asked) is through


@pytest.mark.parametrize(
    ("value", "through"), [("archive.test", False), (".test", False), ("test", False), ("chive.test", True)]
)
def test_no_proxy_knows_a_name_and_all_below_it(
    proxy: Proxy, over_http: Callable[[], FetchResult], monkeypatch: pytest.MonkeyPatch, value: str, through: bool
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", value)

    result = over_http()

    assert bool(proxy.asked) is through
    assert through or "cannot connect to archive.test" in str(result.error)


def test_another_machines_proxy_is_not_asked_for_this_machine(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")

    assert archive.fetch([archive.add("dr17/a.fits")])[0].status == "fetched"


def test_many_files_go_through_a_few_tunnels(
    proxy: Proxy, secure: Archive, bundle: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    real = secure.add_some(40)
    items = [Wanted((item.urls[0].replace(secure.sas.url, "https://archive.test"),), item.path) for item in real]

    report = secure.fetch(items, remote_base="https://archive.test", ca_bundle=bundle[1], jobs=4)

    assert not report.failed
    assert all(map(secure.right, real))
    assert len(proxy.asked) <= 4
