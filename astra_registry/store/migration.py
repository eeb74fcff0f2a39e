"""The schema of a database: which revision it has, whether that is ours, and how it comes up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from astra_registry.errors import SchemaMismatch, StoreError
from astra_registry.store.migrations import HEAD, REVISIONS
from astra_registry.store.schema import VERSION_TABLE, metadata

# Any number does, as long as nobody else uses it: on one server, one upgrade at a time.
_ADVISORY_LOCK = 5_318_008_2026


def revision_of(connection: Connection, name: str) -> str | None:
    """Return the revision of the schema, None of an empty database; StoreError when its tables are not ours."""
    # All names by one question: between two of them another process may have made the tables.
    names = set(inspect(connection).get_table_names())
    if VERSION_TABLE in names:
        revision: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
        if revision is not None:
            return revision
    others = names - {VERSION_TABLE}
    if others:
        listed = ", ".join(sorted(others)[:3]) + (", …" if len(others) > 3 else "")
        raise StoreError(
            f"the database {name} belongs to another program (it has the tables {listed}); use one of its own"
        )
    return None


def inspect_revision(connection: Connection, name: str) -> str | None:
    """Return the revision when it is the one this program works with, None of an empty database.

    SchemaMismatch when it is another, StoreError when the database is another program's.
    """
    revision = revision_of(connection, name)
    if revision is not None and revision != HEAD:
        raise mismatch(revision, name)
    return revision


def mismatch(revision: str, name: str) -> SchemaMismatch:
    """Return the error for a database at that revision, with what to do about it."""
    if revision in REVISIONS:
        return SchemaMismatch(
            f"the schema of the database {name} is at revision {revision}, older than {HEAD}; "
            "'astra-registry db upgrade' brings it up to date"
        )
    return SchemaMismatch(
        f"the schema of the database {name} is at revision {revision}, newer than this version of astra_registry knows "
        f"(up to {HEAD}); install a newer one"
    )


def defects(connection: Connection) -> list[str]:
    """Return the tables, columns and indexes that lack, one line each."""
    found, lacking = inspect(connection), []
    for table in metadata.sorted_tables:
        if not found.has_table(table.name):
            lacking.append(f"the table {table.name} is missing")
            continue
        columns = {column["name"] for column in found.get_columns(table.name)}
        indexes = {index["name"] for index in found.get_indexes(table.name)}
        lacking += [f"the column {table.name}.{c.name} is missing" for c in table.columns if c.name not in columns]
        lacking += [f"the index {index.name} is missing" for index in table.indexes if index.name not in indexes]
    return lacking


def upgrade(connection: Connection, name: str) -> str:
    """Bring the schema up to date within the connection's transaction and return its revision."""
    # Alembic takes a tenth of a second to import, and is needed once in a database's life.
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
    revision = revision_of(connection, name)
    if revision is not None and revision not in REVISIONS:
        raise mismatch(revision, name)
    if revision != HEAD:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return HEAD
