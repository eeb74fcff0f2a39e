"""The embedded SAS answers as a real server does, and misbehaves when told to."""

from __future__ import annotations

import hashlib
import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry.testing.sas import EmbeddedSas, Fault, Request

BODY = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "served" / "dr17" / "stars"
    place.mkdir(parents=True)
    (place / "a star.fits").write_bytes(BODY)
    return tmp_path / "served"


@pytest.fixture
def sas(folder: Path) -> Iterator[EmbeddedSas]:
    with EmbeddedSas(folder, sha1sums=True) as server:
        yield server


def ask(sas: EmbeddedSas, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", sas.port, timeout=5)
    try:
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


FILE = "/sas/dr17/stars/a%20star.fits"


def test_a_file_is_served_whole_with_its_validators(sas: EmbeddedSas) -> None:
    answer, body = ask(sas, FILE)

    assert (answer.status, body) == (200, BODY)
    assert answer.headers["ETag"]
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert sas.requests[0].sent == len(BODY)


def test_head_tells_the_length_and_sends_nothing(sas: EmbeddedSas) -> None:
    answer, body = ask(sas, FILE, "HEAD")

    assert (answer.headers["Content-Length"], body, sas.sent) == (str(len(BODY)), b"", 0)


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-", 0, len(BODY)), ("bytes=100-199", 100, 200), ("bytes=-7", len(BODY) - 7, len(BODY))],
)
def test_a_range_is_answered_with_that_range(sas: EmbeddedSas, wanted: str, first: int, last: int) -> None:
    answer, body = ask(sas, FILE, Range=wanted)

    assert (answer.status, body) == (206, BODY[first:last])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(BODY)}"


def test_a_range_beyond_the_end_is_416(sas: EmbeddedSas) -> None:
    answer, _ = ask(sas, FILE, Range=f"bytes={len(BODY)}-")

    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(BODY)}")


def test_if_range_with_another_validator_gives_the_whole_file(sas: EmbeddedSas) -> None:
    etag = ask(sas, FILE, "HEAD")[0].headers["ETag"]

    assert ask(sas, FILE, Range="bytes=5-", If_Range=etag)[0].status == 206
    assert ask(sas, FILE, Range="bytes=5-", If_Range='"older"')[0].status == 200


def test_a_folder_has_an_index_and_a_listing(sas: EmbeddedSas) -> None:
    _, page = ask(sas, "/sas/dr17/stars/")
    _, listing = ask(sas, "/sas/dr17/stars/stars.sha1sum")

    assert b'<a href="a%20star.fits">a star.fits</a>' in page
    assert b'href="stars.sha1sum"' in page
    assert listing.decode() == f"{hashlib.sha1(BODY).hexdigest()}  a star.fits\n"


@pytest.mark.parametrize("path", ["/sas/dr17/none.fits", "/elsewhere", "/sas/../../etc/passwd", "/sas/%2e%2e/served2"])
def test_what_is_not_there_is_404(sas: EmbeddedSas, path: str) -> None:
    assert ask(sas, path)[0].status == 404


def test_a_password_is_asked_for(folder: Path) -> None:
    with EmbeddedSas(folder, users={"sdss5": "panoptic"}) as sas:
        assert ask(sas, FILE)[0].status == 401
        assert ask(sas, FILE, Authorization="Basic c2RzczU6cGFub3B0aWM=")[0].status == 200


def test_a_body_is_cut_where_it_was_told(folder: Path) -> None:
    with EmbeddedSas(folder, faults=lambda request: Fault(cut_after=100)) as sas:
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(sas, FILE)

        assert caught.value.partial == BODY[:100]


def test_faults_see_the_request_and_its_number(folder: Path) -> None:
    def first_time_only(request: Request) -> Fault | None:
        return Fault(status=503, headers={"Retry-After": "1"}) if request.number == 1 else None

    with EmbeddedSas(folder, faults=first_time_only) as sas:
        assert [ask(sas, FILE)[0].status for _ in range(2)] == [503, 200]


def test_it_runs_as_a_command(folder: Path) -> None:
    command = [sys.executable, "-m", "astra_registry.testing.sas", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        connection.request("GET", FILE)
        body = connection.getresponse().read()
        connection.close()
        process.terminate()

        assert body == BODY
        assert process.wait(10) == 0
