"""How tasks and batches get their rows: by sets, whatever their number, and once, however many write them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from astra_registry import __version__
from astra_registry.conversion import Column as Values
from astra_registry.errors import StoreError
from astra_registry.store.process import this_process
from astra_registry.store.record import Record
from astra_registry.store.schema import data_product, event, membership, task
from astra_registry.store.selections import give_room
from astra_registry.store.states import Status

Staged = TypeVar("Staged", bound=tuple[str | None, ...])

#: Members that go to SQLite with one statement; PostgreSQL takes any number with one COPY.
CHUNK = 5000
#: New rows that make it worth while to tell the server's planner of them.
MANY = 1000

_staging = Table(
    "astra_registry_staging",
    MetaData(),
    Column("position", Integer),  # no key: nobody looks a row up by it, and PostgreSQL would keep an index
    Column("task_id", Text),
    Column("parameters", Text),
    Column("release", Text),  # where it is not that of the whole batch
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)

# What a task's first event takes over from its row.
TOLD = ("status_code", "user", "host", "pid", "duration", "error_type", "error_message")


def insert_new(connection: Connection, table: Table, *known_by: Column[Any]) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that passes over the rows which are there already; the caller gives it its values.

    ``known_by`` are the columns of the unique index that tells; without them PostgreSQL asks every one for each row.
    """
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return make(table).on_conflict_do_nothing(index_elements=known_by)


def record(connection: Connection, item: Record, defaults: dict[str, Any], *, members: bool = True) -> tuple[int, bool]:
    """Record a task, or a batch with its members (unless told not to), and return its key and whether it is new.

    ``defaults`` are values of columns for rows that are new.
    """
    values = _values_for_all(item) | defaults
    if item.is_batch_mode:
        hold_links(connection)
        size = item.get_batch_size()
        # The members have the parameters; a batch of none has to keep them itself.
        parameters = None if size else json.dumps(dict(item.to_str_params()))
        own = {"task_id": item.task_id, "parameters": parameters, "is_batch": True, "size": size}
    else:
        ((task_id, parameters),) = item.identity_rows()
        own = {"task_id": task_id, "parameters": parameters, "is_batch": False, "size": 1}
    key: int | None = connection.execute(
        insert_new(connection, task, task.c.task_id).returning(task.c.pk), values | own
    ).scalar()
    created = key is not None
    if key is not None:
        told = {name: values.get(name) for name in TOLD}
        connection.execute(insert(event), {"task_pk": key, "at": values["created"], **told})
    else:
        key = connection.execute(select(task.c.pk).where(task.c.task_id == item.task_id)).scalar_one()
    if item.is_batch_mode and members:
        _record_members(connection, item, values, key, is_new=created)
    return key, created


def hold_links(connection: Connection) -> None:
    """Keep others from deleting until the transaction ends (see deletions.exclude_links): links must lead somewhere."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {membership.name} IN ROW EXCLUSIVE MODE"))


def record_many(connection: Connection, items: Iterable[Record]) -> None:
    """Record single tasks of any families; batches among them with their members."""
    groups: dict[tuple[str, str, str | None, str], list[Record]] = {}
    for item in items:
        if item.is_batch_mode:
            record(connection, item, {})
        else:
            kind = (item.task_family, item.reference, _release(item), item.plugin_version)
            groups.setdefault(kind, []).append(item)
    for alike in groups.values():
        rows = itertools.chain.from_iterable(item.identity_rows() for item in alike)
        _stage(connection, rows)
        _insert_staged(connection, _values_for_all(alike[0]))
        _unstage(connection)


def _release(item: Record) -> str | None:
    """Return the release of a task, of a batch that of all its members; None when there is none, or are several."""
    return _as_text(getattr(item, "release", None))


def _as_text(release: object) -> str | None:
    return str(release) if isinstance(release, str | int | float) else None


def _values_for_all(item: Record) -> dict[str, Any]:
    who, now = this_process(), datetime.now(UTC)
    return {
        "family": item.task_family,
        "reference": item.reference,
        "release": _release(item),
        "status_code": int(Status.CREATED),
        "attempt": 0,
        "created": now,
        "modified": now,
        "user": who.user,
        "host": who.host,
        "pid": who.pid,
        "astra_version": __version__,
        "plugin_version": item.plugin_version,
    }


def _record_members(
    connection: Connection, batch: Record, values: dict[str, Any], batch_pk: int, *, is_new: bool
) -> None:
    size = batch.get_batch_size()
    links = select(func.count()).select_from(membership).where(membership.c.batch_pk == batch_pk)
    if connection.execute(links).scalar_one() == size:
        return
    rows: Iterable[tuple[str | None, ...]] = batch.identity_rows()
    releases: Any = getattr(batch, "release", None)
    have_their_own = isinstance(releases, Values)
    if have_their_own:
        rows = ((*row, _as_text(release)) for row, release in zip(rows, releases, strict=True))
    _stage(connection, rows, with_release=have_their_own)
    _insert_staged(connection, values, with_release=have_their_own)
    linked = select(literal(batch_pk), _staging.c.position, task.c.pk).join_from(
        _staging, task, task.c.task_id == _staging.c.task_id
    )
    # Nobody else has seen the key of a new batch, so nobody has linked anything to it.
    known_by = membership.c.batch_pk, membership.c.position
    link = insert(membership) if is_new else insert_new(connection, membership, *known_by)
    connection.execute(link.from_select(["batch_pk", "position", "member_pk"], linked))
    _unstage(connection)
    if connection.execute(links).scalar_one() != size:
        raise StoreError(f"{batch.task_id} says that it has {size} members, but it has others than those it names")


def _stage(connection: Connection, rows: Iterable[tuple[str | None, ...]], *, with_release: bool = False) -> None:
    """Bring identifiers, parameters and maybe releases to the database, into a table of this connection's own."""
    columns = ["task_id", "parameters", *(["release"] if with_release else [])]
    if connection.dialect.name == "postgresql":
        give_room(connection)
        _staging.create(connection)
        _copy(connection, rows, ["position", *columns])
        # Without figures the planner expects a few rows, and looks each of a million up by itself.
        _analyze(connection, _staging)
        return
    connection.execute(CreateTable(_staging, if_not_exists=True))
    each = func.json_each(bindparam("rows", type_=Text)).table_valued("key", "value")
    fill = insert(_staging).from_select(
        ["position", *columns],
        select(
            each.c.key + bindparam("first", type_=Integer),
            *(func.json_extract(each.c.value, f"$[{i}]") for i in range(len(columns))),
        ),
    )
    for first, chunk in _chunks(rows):
        connection.execute(fill, {"first": first, "rows": json.dumps(chunk)})


def _copy(connection: Connection, rows: Iterable[tuple[str | None, ...]], columns: Iterable[str]) -> None:
    statement = f"COPY {_staging.name} ({', '.join(columns)}) FROM STDIN"
    driver: Any = connection.dialect.loaded_dbapi
    try:
        with connection.connection.cursor().copy(statement) as copy:
            for position, row in enumerate(rows):
                copy.write_row((position, *row))
    except driver.Error as error:
        # SQLAlchemy has no COPY and hears nothing of its errors; whoever waits or explains knows them as SQLAlchemy's.
        raise DBAPIError.instance(statement, None, error, driver.Error, dialect=connection.dialect) from error


def _chunks(rows: Iterable[Staged]) -> Iterator[tuple[int, list[Staged]]]:
    rows, first = iter(rows), 0
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield first, chunk
        first += len(chunk)


def _unstage(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        _staging.drop(connection)
    else:
        connection.execute(_staging.delete())


def _insert_staged(connection: Connection, values: dict[str, Any], *, with_release: bool = False) -> None:
    """Insert a task for each staged row that is not known yet, and its first event."""
    values = values | {"is_batch": False, "size": 1}
    constants: dict[str, ColumnElement[Any]] = {n: literal(value, task.c[n].type) for n, value in values.items()}
    if with_release:
        constants["release"] = func.min(_staging.c.release)
    # Two that write the same rows in the same order wait for each other; in different orders they would block for good.
    new = select(_staging.c.task_id, func.min(_staging.c.parameters), *constants.values()).group_by(_staging.c.task_id)
    add = insert_new(connection, task, task.c.task_id)
    if connection.dialect.name == "postgresql":
        fresh = (
            add.from_select(["task_id", "parameters", *values], new.order_by(_staging.c.task_id))
            .returning(task.c.pk, task.c.created, *(task.c[name] for name in TOLD))
            .cte("fresh")
        )
        told: Select[Any] = select(fresh.c.pk, fresh.c.created, *(fresh.c[name] for name in TOLD))
        connection.execute(insert(event).from_select(["task_pk", "at", *TOLD], told).add_cte(fresh))
        return
    # SQLite has one writer, so what is new has a greater key than anything before.
    newest = connection.execute(select(func.coalesce(func.max(task.c.pk), 0))).scalar_one()
    # ON CONFLICT after a SELECT is ambiguous to SQLite's parser unless there is a WHERE; GROUP BY does as well.
    in_order = new.order_by(func.min(_staging.c.position))
    connection.execute(add.from_select(["task_id", "parameters", *values], in_order))
    told = select(task.c.pk, task.c.created, *(task.c[name] for name in TOLD)).where(task.c.pk > newest)
    connection.execute(insert(event).from_select(["task_pk", "at", *TOLD], told))


def take_stock(connection: Connection) -> None:
    """Have the server count its rows, lest it plans for the few that it had before a large batch came."""
    if connection.dialect.name == "postgresql":
        _analyze(connection, task, membership)


def _analyze(connection: Connection, *tables: Table) -> None:
    # How many rows there are is all that matters; a tenth of the usual sample tells.
    connection.execute(text("SET LOCAL default_statistics_target = 10"))
    connection.execute(text(f"ANALYZE {', '.join(table.name for table in tables)}"))


def data_product_keys(
    connection: Connection, product: str, release: str, rows: Iterable[tuple[str, str]]
) -> tuple[int, ...]:
    """Return the keys of data products, made if need be, for rows of (identity, parameters), in their order."""
    rows = list(rows)
    wanted = sorted(dict(rows).items())  # in one order for all who write at once
    same = {"product": product, "release": release}
    keys: dict[str, int] = {}
    for _, chunk in _chunks(wanted):
        values = [same | {"identity": identity, "parameters": parameters} for identity, parameters in chunk]
        connection.execute(insert_new(connection, data_product, data_product.c.identity), values)
        found = select(data_product.c.identity, data_product.c.pk)
        found = found.where(data_product.c.identity.in_([identity for identity, _ in chunk]))
        keys.update((identity, key) for identity, key in connection.execute(found))
    return tuple(keys[identity] for identity, _ in rows)
