"""Connections that rest between two files: what became of them meanwhile is nobody's failure."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from astra_registry.fetching import FetchResult, Wanted, iter_fetch

from .raw import RawServer

FILES = 7  # a list is read in growing chunks, of which these are the first three: the last file is in another
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Sleepy(RawServer):
    """A server whose connections can be put to an end, each in a manner of its own."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.surplus = b""  # sent a moment after each answer
        self.forgets = False  # those that rest now are silent from now on
        self.connections: list[socket.socket] = []
        self.resting: list[socket.socket] = []
        self.all_at_once = threading.Barrier(FILES)
        super().__init__(self.serve, tls)

    def serve(self, line: socket.socket) -> None:
        self.connections.append(line)
        while line.recv(65536):
            if self.forgets and line in self.resting:
                continue
            if not self.forgets:
                with contextlib.suppress(threading.BrokenBarrierError):
                    self.all_at_once.wait(3)
            line.sendall(ANSWER)
            if self.surplus:
                line.sendall(self.surplus)


@pytest.fixture
def sleepy() -> Iterator[Sleepy]:
    made = Sleepy()
    yield made
    made.close()


def results(server: Sleepy, here: Path, meanwhile: Callable[[], None], **options: object) -> dict[str, FetchResult]:
    """Fetch some files at once, and one more when what ``meanwhile`` does has happened."""

    def wanted(name: str) -> Wanted:
        return Wanted((f"{server.url}/sas/dr17/{name}.txt",), str(here / f"{name}.txt"))

    def items() -> Iterator[Wanted]:
        for number in range(FILES):
            yield wanted(str(number))
        until = time.monotonic() + 60
        while len(list(here.glob("*.txt"))) < FILES and time.monotonic() < until and not server.surplus:
            time.sleep(0.02)
        time.sleep(1.1)  # for a while they are used as they are
        server.resting = list(server.connections)
        server.forgets = True
        meanwhile()
        yield wanted("late")

    chosen = {"jobs": FILES, "checksums": "never", "retries": 0, "connect_timeout": 10.0, "timeout": 10.0, **options}
    found = iter_fetch(items(), remote_base=server.url, **chosen)  # type: ignore[arg-type]
    return {Path(result.path).name: result for result in found}


def test_connections_that_are_forgotten_without_a_word_cost_no_try(sleepy: Sleepy, tmp_path: Path) -> None:
    """As by a gateway, or while a laptop sleeps: the first silence is enough to give them all up."""
    late = results(sleepy, tmp_path, lambda: None, timeout=0.5)["late.txt"]

    assert late.status == "fetched", late.error
    assert late.attempts == 2
    assert len(sleepy.connections) == FILES + 1


def test_a_farewell_to_connections_that_rest_is_no_answer(sleepy: Sleepy, tmp_path: Path) -> None:
    def say_farewell() -> None:
        for line in sleepy.resting:
            line.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    late = results(sleepy, tmp_path, say_farewell)["late.txt"]

    assert late.status == "fetched", late.error


def test_what_comes_over_tls_behind_the_end_of_a_file_is_seen(tmp_path: Path) -> None:
    """In a record of its own, too, and before the connection is used again."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = Sleepy(context)
    try:
        server.surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nWRONG"

        found = results(server, tmp_path / "sas", lambda: None, ca_bundle=str(tmp_path / "ca.pem"))
    finally:
        server.close()

    assert len(found) == FILES + 1
    for result in found.values():
        if result.status == "fetched":
            assert Path(result.path).read_bytes() == b"hello"
        else:
            assert "more than the 5 bytes it promised" in str(result.error)
