"""Ctrl-C while a server keeps us waiting: the run ends at once, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry.fetching import Wanted, iter_fetch

from .conftest import Archive

PATIENT = {"ASTRA_REGISTRY_TIMEOUT": "120", "ASTRA_REGISTRY_CONNECT_TIMEOUT": "120"}
LOCATION = "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server that accepts no connection: its queue is full."""
    with contextlib.ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            caller = open_sockets.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(server.getsockname())
        yield server.getsockname()[1]


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def interrupted(words: list[str], base: str, here: Path) -> int:
    """Run the command, press Ctrl-C once it waits for the server, and return its code."""
    environment = {**os.environ, **PATIENT, "ASTRA_REGISTRY_REMOTE_BASE": base, "SAS_BASE_DIR": str(here)}
    process = subprocess.Popen(
        [sys.executable, "-m", "astra_registry", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Under a shell that runs things in the background, a process begins with it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        while not has_a_socket(process.pid):
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=60)  # half of the time after which it would have given up
    finally:
        process.kill()
        process.wait()


def has_a_socket(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError):  # one that was closed meanwhile
        folder = f"/proc/{process}/fd"
        return any(os.readlink(f"{folder}/{file}").startswith("socket:") for file in os.listdir(folder))
    return False


WAITS = {
    "in a plan": ["fetch", "--urls", "list.txt", "--dry-run"],
    "for a file": ["fetch", "--urls", "list.txt", "--json"],
    "for what the server has": ["verify", "--remote"],
    "for a repair": ["verify", "--repair", f"sas/{LOCATION}"],
}


@pytest.mark.parametrize("words", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("kind", ["deaf", "mute", "mute over TLS"])
def test_ctrl_c_ends_a_wait_for_the_server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], kind: str
) -> None:
    port = request.getfixturevalue(kind.partition(" ")[0])
    here = tmp_path / "sas"
    here.mkdir()
    (here / "notes.txt").write_text("whole")
    (tmp_path / "list.txt").write_text(f"https://data.sdss.org/sas/{LOCATION}\n")
    monkeypatch.chdir(tmp_path)

    code = interrupted(words, f"{'https' if 'TLS' in kind else 'http'}://127.0.0.1:{port}", here)

    assert code == 130
    assert [path.name for path in here.rglob("*")] == ["notes.txt"]


def test_who_waits_for_the_limited_rate_writes_nothing_twice_when_the_run_ends(archive: Archive) -> None:
    """Files of a kind that does not show where it ends: the next run goes on with the bytes that came."""
    items = [archive.add(f"dr17/{number}.dat", os.urandom(300_001)) for number in range(8)]

    results = iter_fetch(items, remote_base=archive.sas.url, checksums="never", limit_rate=500_000.0)
    next(results)
    results.close()  # type: ignore[attr-defined]

    assert {result.status for result in archive.fetch(items)} <= {"fetched", "present"}
    assert all(map(archive.right, items))


def test_ctrl_c_while_a_thread_starts_leaves_nothing(
    archive: Archive, mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts a thread waits until it runs: on a busy machine it may have begun to fetch by then."""
    start = threading.Thread.start

    def interrupted_start(thread: threading.Thread) -> None:
        start(thread)
        while not archive.here_now():
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr("threading.Thread.start", interrupted_start)
    item = Wanted((f"http://127.0.0.1:{mute}/sas/{LOCATION}",), str(archive.here / LOCATION))

    with pytest.raises(KeyboardInterrupt):
        archive.fetch([item], timeout=120)

    assert not archive.here.exists()
