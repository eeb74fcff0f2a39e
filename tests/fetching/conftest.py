"""A served archive of small real-looking files, and a way to fetch from it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from astra_registry.fetching import FetchReport, Wanted, fetch
from astra_registry.testing.sas import EmbeddedSas

RSYNC = shutil.which("rsync")
collect_ignore = [] if RSYNC else ["test_rsync.py"]


def pytest_report_header() -> list[str]:
    return [f"fetching: rsync {'is ' + RSYNC if RSYNC else 'is not here: its tests are not collected'}"]


def fits_bytes(seed: int = 0, size: int = 300_000) -> bytes:
    """Return a small FITS file: a primary HDU with an image of about ``size`` bytes, and an extension without data."""
    pixels = max(1, size // 4)
    cards = ["SIMPLE  =                    T", "BITPIX  =                   32", "NAXIS   =                    1"]
    cards += [f"NAXIS1  = {pixels:>20}", f"SEED    = {seed:>20}", "END"]
    header = "".join(card.ljust(80) for card in cards).encode()
    data = bytes((seed * 7 + i) % 251 for i in range(997)) * (4 * pixels // 997 + 1)
    extension = ["XTENSION= 'IMAGE   '", "BITPIX  =                    8", "NAXIS   =                    0"]
    extension += ["PCOUNT  =                    0", "GCOUNT  =                    1", "END"]
    tail = "".join(card.ljust(80) for card in extension).encode()
    return _block(header, b" ") + _block(data[: 4 * pixels], b"\0") + _block(tail, b" ")


def _block(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % 2880)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's owner takes part: caches, configuration, passwords, proxies."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in [n for n in os.environ if n.startswith("ASTRA_REGISTRY_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("NETRC", "RSYNC_PASSWORD", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


_beside: list[subprocess.Popen[str]] = []


def beside(code: str, *words: str) -> subprocess.Popen[str]:
    """Run Python code in a process beside the test; it does not outlive it."""
    _beside.append(subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True))
    return _beside[-1]


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    while _beside:
        with _beside.pop() as process:
            process.kill()


class Archive:
    """A folder laid out as the SAS, its server, and the place where its files are brought."""

    def __init__(self, sas: EmbeddedSas, folder: Path, here: Path) -> None:
        self.sas = sas
        self.folder = folder
        self.here = here

    def add(self, location: str, data: bytes | None = None) -> Wanted:
        """Put a file on the server, and return what to ask for."""
        file = self.folder / location
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(fits_bytes(len(location) + sum(map(ord, location))) if data is None else data)
        return self.wanted(location)

    def wanted(self, location: str) -> Wanted:
        return Wanted((self.sas.url_of(location),), str(self.here / location))

    def add_some(self, number: int, size: int = 20_000, folder: str = "dr17/stars") -> list[Wanted]:
        return [self.add(f"{folder}/star-{n:04}.fits", fits_bytes(n, size)) for n in range(number)]

    def fetch(self, items: object, **options: object) -> FetchReport:
        """Fetch from it, with time-outs that a busy machine keeps; who waits for one asks for a shorter one."""
        chosen = {"timeout": 10.0, "connect_timeout": 10.0, "checksums": "never", "remote_base": self.sas.url}
        if options.get("transport") == "file":
            chosen["remote_base"] = self.folder.as_uri()
        chosen.update(options)
        return fetch(items, **chosen)

    def right(self, item: Wanted) -> bool:
        """Whether the file is here as the server has it."""
        return Path(item.path).read_bytes() == (self.folder / Path(item.path).relative_to(self.here)).read_bytes()

    def here_now(self) -> list[str]:
        """Every file that lies here, private names too; a folder that goes meanwhile has none."""
        found = ((folder, name) for folder, _, names in os.walk(self.here) for name in names)
        return sorted(os.path.relpath(os.path.join(*where), self.here) for where in found)


@pytest.fixture
def make_archive(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    made: list[EmbeddedSas] = []

    def make(**options: object) -> Archive:
        folder = tmp_path / f"served{len(made)}"
        folder.mkdir()
        sas = EmbeddedSas(folder, **options)  # type: ignore[arg-type]
        made.append(sas)
        return Archive(sas, folder, tmp_path / "sas")

    yield make
    for sas in made:
        sas.close()


@pytest.fixture
def archive(make_archive: Callable[..., Archive]) -> Archive:
    return make_archive()


@pytest.fixture(autouse=True)
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between tries are a tenth of what users have."""
    monkeypatch.setattr("astra_registry.fetching.transports.patience.FIRST_WAIT", 0.05)


def told_where_files_end_at(
    size: int, archive: Archive, items: list[Wanted], **options: object
) -> set[tuple[Any, ...]]:
    """Fetch in another process, where a limit on the size of files stands for the quota: the write fails in a body.

    Return the status of each result, its error, and how many tries there were.
    """
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        with contextlib.suppress(BaseException), open(write, "w") as stream:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            json.dump([(r.status, r.error, r.attempts) for r in archive.fetch(items, **options)], stream)
        os._exit(0)
    os.close(write)
    with open(read) as stream:
        told = set(map(tuple, json.load(stream)))
    os.waitpid(process, 0)
    return told


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Root may read and write everything: be somebody else meanwhile, as are the programs that are started."""
    us = os.geteuid()
    if us == 0:
        os.setresuid(65534, 65534, us)
    try:
        yield
    finally:
        os.setresuid(us, us, us)


def _may_mount() -> bool:
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


MAY_MOUNT = os.geteuid() == 0 and _may_mount()
