"""A database gets its tables when it is first written to, once, and keeps them through upgrades."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, make_url, text

from astra_registry.errors import SchemaMismatch, StoreError
from astra_registry.store import StateStore, Status
from astra_registry.store.migrations import HEAD, REVISIONS
from astra_registry.store.schema import VERSION_TABLE, metadata
from store.records import Star

ROOT = Path(__file__).parent.parent


def tables(store: StateStore) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def make_old(store: StateStore, revision: str) -> None:
    """Make the tables as an earlier version of the program made them, with a batch of one star."""
    from alembic import command
    from alembic.config import Config

    import astra_registry.store.migrations as package

    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__).parent))
    config.set_main_option("path_separator", "os")
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        columns = "task_id, family, reference, is_batch, size, status_code, attempt, created, modified"
        for name, is_batch in (("star_vega", "false"), ("star_batch", "true")):
            values = f"'{name}', 'star', 'store.records:Star', {is_batch}, 1, 0, 0, '2026-01-01', '2026-01-01', '', ''"
            connection.execute(text(f"INSERT INTO task ({columns}, astra_version, plugin_version) VALUES ({values})"))
        connection.execute(text("INSERT INTO membership VALUES (2, 0, 1)"))


def set_revision(store: StateStore, revision: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))


def test_reading_creates_nothing(store: StateStore, tmp_path: Path) -> None:
    assert store.counts() == {}
    assert store.query(Star("Vega")).all() == []
    assert store.members("x") == []
    assert store.current() is None
    assert store.claim(0) == []

    assert os.listdir(tmp_path) == []
    if store.engine.name == "postgresql":
        assert tables(store) == set()


def test_the_first_write_makes_the_tables(store: StateStore) -> None:
    store.create(Star("Vega"))

    assert tables(store) == {*metadata.tables, VERSION_TABLE}
    assert store.current() == HEAD


def test_many_who_write_first_make_the_tables_once(url: str) -> None:
    def write(name: str) -> None:
        with StateStore(url) as own:
            own.create(Star(name))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [f"s{i}" for i in range(8)]))

    with StateStore(url) as store:
        assert store.counts() == {Status.CREATED: 8}


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_tables_that_come_while_they_are_looked_for_are_ours(url: str) -> None:
    with StateStore(url) as ours, StateStore(url) as theirs:
        upgrades = iter([theirs.upgrade])

        def come(connection: Any, cursor: Any, statement: str, *rest: object) -> None:
            if "pg_class" in statement:
                for upgrade in upgrades:
                    upgrade()

        event.listen(ours.engine, "after_cursor_execute", come)
        ours.create(Star("Vega"))

        assert ours.counts() == {Status.CREATED: 1}
        assert list(upgrades) == []


def test_the_migrations_make_the_tables_that_the_code_knows(store: StateStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    store.upgrade()
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_the_revisions_are_those_of_the_folder() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import astra_registry.store.migrations as package

    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__).parent))
    config.set_main_option("path_separator", "os")
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS


@pytest.mark.parametrize("old", REVISIONS[:-1])
def test_an_older_schema_is_upgraded_when_asked_and_keeps_its_rows(store: StateStore, old: str) -> None:
    make_old(store, old)

    with pytest.raises(SchemaMismatch, match="astra-registry db upgrade"):
        store.counts()
    with pytest.raises(SchemaMismatch, match="older than"):
        store.create(Star("Deneb"))
    assert store.current() == old

    assert store.upgrade() == HEAD
    assert store.counts() == {Status.CREATED: 1}
    assert store.members("star_batch") == ["star_vega"]
    assert store.check() == []


@pytest.mark.parametrize("statement", ["CREATE TABLE data_product", f"UPDATE {VERSION_TABLE} SET version_num='{HEAD}'"])
def test_an_upgrade_that_is_killed_leaves_the_old_schema_whole(url: str, statement: str) -> None:
    with StateStore(url) as store:
        make_old(store, "0001")

    assert upgrade_until(url, statement) == -9

    with StateStore(url) as store:
        assert store.current() == "0001"
        assert store.upgrade() == HEAD
        assert store.members("star_batch") == ["star_vega"]
        assert store.check() == []


def test_a_newer_schema_is_refused(store: StateStore) -> None:
    store.create(Star("Vega"))
    set_revision(store, "0999")
    store.close()

    for ask in (store.counts, lambda: store.create(Star("Deneb")), store.upgrade, store.check):
        with pytest.raises(SchemaMismatch, match=r"0999, newer than .* install a newer one"):
            ask()


def test_the_database_of_another_program_is_left_alone(store: StateStore) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE visits (pk INTEGER)"))

    for ask in (store.counts, lambda: store.create(Star("Vega")), store.upgrade):
        with pytest.raises(StoreError, match=r"belongs to another program .*visits"):
            ask()
    assert tables(store) == {"visits"}


def upgrade_until(url: str, statement: str) -> int:
    """Upgrade the database in a process that is killed before that statement, and return how it ended."""
    program = """
import os, signal, sys
from sqlalchemy import event
from astra_registry.store import StateStore

store = StateStore(sys.argv[1])

@event.listens_for(store.engine, "before_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if sys.argv[2] in " ".join(statement.split()):
        os.kill(os.getpid(), signal.SIGKILL)

store.upgrade()
"""
    return subprocess.run([sys.executable, "-c", program, url, statement], check=False).returncode


def test_an_interrupted_upgrade_leaves_a_usable_database(url: str) -> None:
    """The process is killed when some of the tables are made."""
    assert upgrade_until(url, "CREATE TABLE event") == -9

    with StateStore(url) as store:
        assert store.current() is None
        store.create(Star("Vega"))
        assert store.check() == []


def test_the_check_tells_what_lacks(store: StateStore) -> None:
    store.create(Star("Vega"))
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE data_product"))
        connection.execute(text("DROP INDEX ix_event_task"))

    said = "\n".join(store.check())

    assert "data_product" in said
    assert "ix_event_task" in said


def test_an_unrelated_engine_reads_what_we_wrote(store: StateStore) -> None:
    """The rows are plain SQL: any tool may look at them."""
    store.create(Star("Vega"))

    url = make_url(store.database.url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT status_code FROM task")).scalar_one() == 0
    engine.dispose()
