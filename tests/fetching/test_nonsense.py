"""Servers that speak HTTP badly, on purpose or not: each file has its outcome, in one line, and the run goes on."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astra_registry.fetching import FetchReport, Wanted, fetch
from astra_registry.fetching.verify import verify

from .conftest import beside, fits_bytes
from .raw import RawServer

Answer = bytes | Callable[[socket.socket, bytes], None]


class Raw(RawServer):
    """A server that answers every request with the same bytes, or by a function of its head, and hangs up."""

    def __init__(self) -> None:
        self.answer: Answer = b""
        super().__init__(self.serve)

    def serve(self, line: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += line.recv(65536) or b"\r\n\r\n"
        if callable(self.answer):
            self.answer(line, head)
        else:
            line.sendall(self.answer)


@pytest.fixture
def raw() -> Iterator[Raw]:
    made = Raw()
    yield made
    made.close()


def brought(raw: Raw, here: Path, *, files: int = 1, **options: object) -> FetchReport:
    """Fetch from it, in a thread that is given up when it hangs."""
    reports: list[FetchReport] = []
    items = [Wanted((f"{raw.url}/sas/dr17/{n}.txt",), str(here / f"{n}.txt")) for n in range(files)]
    chosen = {"timeout": 10.0, "connect_timeout": 10.0, "retries": 1, "checksums": "never", **options}
    thread = threading.Thread(target=lambda: reports.append(fetch(items, remote_base=raw.url, **chosen)), daemon=True)
    thread.start()
    thread.join(60)
    assert reports, "it hangs"
    return reports[0]


def answer(status: str = "200 OK", *headers: bytes, body: bytes = b"x") -> bytes:
    lines = [f"HTTP/1.1 {status}".encode("latin-1"), *headers, b"Content-Length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)


NONSENSE = {
    "a length of ²": b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nxx",
    "a length of 5,000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nxx",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nxx",
    "a status of ²": b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a page without a head": b"<html>hello\n\n</html>",
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000,
    "Continue without an end": b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    "a wait of ²": answer("503 Busy", b"Retry-After: \xb2"),
    "a wait beyond all calendars": answer("503 Busy", b"Retry-After: 99999999999999999999"),
    "a wait of 400 digits": answer("503 Busy", b"Retry-After: " + b"9" * 400),
    "a wait until the year 99999": answer("503 Busy", b"Retry-After: Mon, 01 Jan 99999 00:00:00 GMT"),
    "a redirect to half an address": answer("302 Found", b"Location: http://[bad/x"),
    "a redirect to a port that is none": answer("302 Found", b"Location: http://a:999999/x"),
    "a redirect to nowhere": answer("302 Found", b"Location: "),
    "a chunk of a negative size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "a chunk that is cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
    "a damaged encoding": answer("200 OK", b"Content-Encoding: gzip"),
    "an unknown encoding": answer("200 OK", b"Content-Encoding: br"),
    "a coding of the transfer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "a part, unasked": answer("206 Partial Content", b"Content-Range: bytes 0-0/1"),
    "nothing new": b"HTTP/1.1 304 Not Modified\r\n\r\n",
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_a_failure_of_its_file_in_one_line(raw: Raw, tmp_path: Path, said: bytes) -> None:
    raw.answer = said

    report = brought(raw, tmp_path / "here", files=3)

    assert [result.status for result in report] == ["failed"] * 3
    assert all(result.error and "\n" not in result.error for result in report)
    assert not (tmp_path / "here").exists()


def test_a_body_that_was_compressed_in_several_members_is_opened_to_its_end(raw: Raw, tmp_path: Path) -> None:
    """Of a gzip stream in two members, as log rotation and pigz make them, all of it is the file."""
    raw.answer = answer("200 OK", b"Content-Encoding: gzip", body=gzip.compress(b"one ") + gzip.compress(b"two"))

    [result] = brought(raw, tmp_path)

    assert result.status == "fetched", result.error
    assert Path(str(result.path)).read_bytes() == b"one two"


def test_a_member_of_a_compressed_body_that_is_cut_is_a_failure(raw: Raw, tmp_path: Path) -> None:
    raw.answer = answer("200 OK", b"Content-Encoding: gzip", body=gzip.compress(b"one ") + gzip.compress(b"two")[:-5])

    [result] = brought(raw, tmp_path / "here")

    assert result.status == "failed"
    assert not (tmp_path / "here").exists()


def test_a_file_that_is_called_its_own_encoding_is_kept_however_little_comes_at_first(raw: Raw, tmp_path: Path) -> None:
    """Of the first bytes nothing can be opened yet: they belong to the file all the same."""
    packed = gzip.compress(bytes(range(256)) * 40)
    for first in (1, 10, 11, 12, 15):

        def in_two(line: socket.socket, head: bytes, first: int = first) -> None:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(answer("200 OK", b"Content-Encoding: x-gzip", body=packed)[: first - len(packed)])
            time.sleep(0.05)
            line.sendall(packed[first:])

        raw.answer = in_two
        here = tmp_path / f"{first}.txt.gz"

        [result] = fetch([Wanted((f"{raw.url}/sas/dr17/0.txt.gz",), str(here))], remote_base=raw.url, retries=0)

        assert result.status == "fetched", result.error
        assert here.read_bytes() == packed


def test_a_small_body_that_opens_into_a_large_file_takes_little_memory(raw: Raw, tmp_path: Path) -> None:
    opened = 200 << 20
    raw.answer = answer("200 OK", b"Content-Encoding: gzip", body=gzip.compress(bytes(opened), 1))
    fetching = f"""
import resource
from astra_registry.fetching import Wanted, fetch
item = Wanted(("{raw.url}/sas/dr17/0.txt",), "{tmp_path / "0.txt"}")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(fetch([item], checksums="never")[0].bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    with beside(fetching) as process:
        size, more = (int(word) for word in process.communicate()[0].split())

    assert size == opened
    assert more < 40_000  # kB


def test_a_chunk_that_is_longer_than_it_says_is_a_failure(raw: Raw, tmp_path: Path) -> None:
    raw.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloWORLD\r\n0\r\n\r\n"

    [result] = brought(raw, tmp_path, retries=0)

    assert "longer than it says" in str(result.error)
    assert not list(tmp_path.glob("*.*"))


def test_a_fits_file_of_no_known_length_is_not_taken_where_it_may_go_on(raw: Raw, tmp_path: Path) -> None:
    """Cut between two of its HDUs it looks whole: without a length, ranges or a listed sha1 nothing tells."""
    raw.answer = b"HTTP/1.0 200 OK\r\n\r\n" + fits_bytes(size=4)[:5760]
    item = Wanted((f"{raw.url}/sas/dr17/0.fits",), str(tmp_path / "0.fits"))

    [result] = fetch([item], remote_base=raw.url, retries=1, checksums="never")

    assert "did not tell its length" in str(result.error)
    assert not list(tmp_path.glob("*.*"))


def test_a_packed_body_of_no_known_length_is_not_taken_where_it_may_go_on(raw: Raw, tmp_path: Path) -> None:
    """It has several members, and ends between two of them."""
    raw.answer = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(fits_bytes(size=4)[:5760])
    item = Wanted((f"{raw.url}/sas/dr17/0.fits",), str(tmp_path / "0.fits"))

    [result] = fetch([item], remote_base=raw.url, retries=1, checksums="never")

    assert "did not tell its length" in str(result.error)


def test_zeros_behind_a_packed_file_belong_to_it(raw: Raw, tmp_path: Path) -> None:
    packed = gzip.compress(b"a star") + bytes(500)
    raw.answer = answer("200 OK", b"Content-Encoding: gzip", body=packed)
    here = tmp_path / "0.txt.gz"

    [result] = fetch([Wanted((f"{raw.url}/sas/dr17/0.txt.gz",), str(here))], remote_base=raw.url, retries=0)

    assert result.status == "fetched", result.error
    assert here.read_bytes() == packed


def test_a_busy_server_is_asked_again_where_a_file_of_no_known_length_ends(raw: Raw, tmp_path: Path) -> None:
    asked: list[bytes] = []

    def busy_twice(line: socket.socket, head: bytes) -> None:
        asked.append(head)
        if b"Range: bytes=" not in head:
            line.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        elif len(asked) in (2, 4):
            line.sendall(answer("503 Busy", b"Retry-After: 0"))
        else:
            line.sendall(answer("416 Range Not Satisfiable", b"Content-Range: bytes */5"))

    raw.answer = busy_twice

    [result] = brought(raw, tmp_path, retries=2)

    assert result.status == "fetched", result.error
    assert len(asked) == 6


def test_the_page_of_an_error_that_stalls_is_not_waited_for(raw: Raw, tmp_path: Path) -> None:
    """All that it is read for is the connection."""

    def stall(line: socket.socket, head: bytes) -> None:
        line.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nno")
        line.recv(1)

    raw.answer = stall

    [result] = brought(raw, tmp_path, timeout=50.0)

    assert result.status == "missing"
    assert result.seconds < 25.0


def test_a_head_that_comes_with_a_body_is_a_head(raw: Raw, tmp_path: Path) -> None:
    raw.answer = answer("200 OK", b'ETag: "a"', body=b'<a href="0.txt">')  # the file, and the index of its folder
    brought(raw, tmp_path)

    [finding] = verify(
        [tmp_path / "0.txt"], remote=True, remote_base=raw.url, sas_base_dir=tmp_path / "sas", timeout=10.0
    )

    assert (finding.status, finding.problem) == ("whole", None)
    assert "ETag" in finding.checks


def test_a_length_that_is_told_twice_is_a_length(raw: Raw, tmp_path: Path) -> None:
    raw.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nstar"

    [result] = brought(raw, tmp_path)

    assert result.status == "fetched", result.error


DATES = ["Thu, 01 Jan 2970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"]


@pytest.mark.parametrize("date", DATES)
def test_a_server_that_lives_in_another_millennium_does_not_end_the_run(raw: Raw, tmp_path: Path, date: str) -> None:
    """What is remembered of a file has no room for its time, and the others are remembered all the same."""
    raw.answer = answer("200 OK", b"Last-Modified: " + date.encode(), body=b"star")

    report = brought(raw, tmp_path, files=3)
    again = brought(raw, tmp_path, files=3)

    assert [result.status for result in report] == ["fetched"] * 3
    assert [result.status for result in again] == ["present"] * 3


def dripping(first: bytes, drop: bytes) -> Callable[[socket.socket, bytes], None]:
    def answer(client: socket.socket, head: bytes) -> None:
        client.sendall(first)
        for _ in range(400):
            client.sendall(drop)
            time.sleep(0.05)

    return answer


DRIPS = {
    "in its head": dripping(b"HTTP/1.1 200 OK\r\n", b"X"),
    "in its head's lines": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "in the size of a chunk": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "in its body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("limit_rate", [None, 100_000])
@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_server_that_trickles_for_ever_is_given_up(
    raw: Raw, tmp_path: Path, drip: Answer, limit_rate: float | None
) -> None:
    raw.answer = drip
    started = time.monotonic()

    [result] = brought(raw, tmp_path, limit_rate=limit_rate, retries=0, timeout=0.5)

    assert result.status == "failed"
    assert time.monotonic() - started < 15  # it would trickle for 20 seconds


def test_a_listing_that_trickles_for_ever_is_given_up(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astra_registry.fetching.transports.http.client._PAGE_SECONDS", 1.0)
    trickle = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")
    file = answer("200 OK", b"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")

    def one_and_the_other(client: socket.socket, head: bytes) -> None:
        client.sendall(file) if head.startswith(b"GET /sas/dr17/0.txt ") else trickle(client, head)

    raw.answer = one_and_the_other
    started = time.monotonic()

    [result] = brought(raw, tmp_path, checksums="auto", jobs=1, timeout=5.0, connect_timeout=5.0)

    assert result.status == "fetched", result.error
    assert time.monotonic() - started < 15  # it would trickle for 20 seconds


class Clumsy:
    """A transport that fails in a way that nobody has agreed on."""

    def fetch(self, url: str, destination: str) -> None:
        if "1" in url:
            raise RuntimeError(f"no idea\nwhat to do with {url}")
        Path(destination).write_text("here")


def test_a_transport_that_fails_in_its_own_way_fails_for_that_file_alone(tmp_path: Path) -> None:
    items = [Wanted((f"attic:{n}",), str(tmp_path / f"{n}.txt")) for n in range(3)]

    report = {str(result.url): result for result in fetch(items, transport=Clumsy())}

    assert {url: result.status for url, result in report.items()} == {
        "attic:0": "fetched",
        "attic:1": "failed",
        "attic:2": "fetched",
    }
    assert report["attic:1"].error == "RuntimeError: no idea what to do with attic:1"
