"""Who works at what: tasks are claimed for a lease, which its process renews while it lives, and which ends with it."""

from __future__ import annotations

import functools
import logging
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    delete,
    insert,
    literal,
    null,
    select,
    tuple_,
    update,
)

from astra_registry.errors import StoreError
from astra_registry.store.changes import CLEARED, change, hold
from astra_registry.store.database import Database
from astra_registry.store.process import lives, this_process
from astra_registry.store.schema import lease, membership, task
from astra_registry.store.selections import OF_PK, OURS, among, clock, ids_for, keys_for, named
from astra_registry.store.states import Status

#: How often, in seconds, one who claims looks for others who died; when nothing is left to claim, it looks at once.
LOOK_AROUND = 1.0
#: For how long, in seconds, one who lives on this machine may be late with a renewal.
GRACE = 600.0


_log = logging.getLogger(__name__)


class Claimed(NamedTuple):
    """A task that is ours now."""

    pk: int
    task_id: str
    reference: str
    parameters: str
    #: How often it had been begun before.
    attempt: int


class Among(NamedTuple):
    """Which tasks may be claimed: all, a family, a batch's members, or what a query finds."""

    name: object
    batch_pk: int | None = None
    family: str | None = None
    where: ColumnElement[bool] | None = None
    #: Named tasks, also those that ended, unless they were begun since they had so many attempts.
    attempts: Mapping[str, int] | None = None


_CLAIMED = (task.c.pk, task.c.task_id, task.c.reference, task.c.parameters, task.c.attempt)
_BY_NAME = select(lease.c.pk).where(lease.c.name == bindparam("of_name", type_=Text))


@functools.cache
def _other_leases(dialect: str) -> Select[Any]:
    overdue = (clock(dialect) - lease.c.until).label("overdue")
    return select(lease.c.pk, lease.c.process, overdue).where(~OURS)


@functools.lru_cache(maxsize=64)
def _candidates(of_batch: bool, of_family: bool, where: ColumnElement[bool] | None, stretch: str) -> Select[Any]:
    """Return the query for what may be claimed next: from the beginning, or before or beyond where one was last."""
    status = task.c.status_code
    found = select(*_CLAIMED).where(
        task.c.is_batch.is_(False),
        status != int(Status.RUNNING) if stretch == "again" else status == int(Status.CREATED),
        task.c.reference.not_in(bindparam("unknown", expanding=True)),
    )
    order: tuple[ColumnElement[Any], ...] = (task.c.family, task.c.pk)
    if where is not None:
        found = found.where(where)
    if of_family:
        found = found.where(task.c.family == bindparam("of_family", type_=Text))
    if of_batch:
        order = (membership.c.position,)
        found = found.join_from(membership, task, membership.c.member_pk == task.c.pk)
        found = found.where(membership.c.batch_pk == OF_PK)
    last = tuple_(*(bindparam(f"last_{i}", type_=column.type) for i, column in enumerate(order)))
    if stretch == "beyond":
        found = found.where(tuple_(*order) > last)
    elif stretch == "before":
        found = found.where(tuple_(*order) <= last)
    found = found.add_columns(status, *(column.label(f"order_{i}") for i, column in enumerate(order)))
    found = found.order_by(*order).limit(bindparam("n", type_=Integer))
    return found.with_for_update(of=task, skip_locked=True, key_share=True)


class Claims:
    """The claims of this process on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._leases: dict[str, float] = {}  # name: seconds
        self._keeper: _Keeper | None = None
        self._looked = float("-inf")
        # Where the last claim ended: what is before was claimed, and need not be looked through again.
        self._cursors: dict[object, tuple[Any, ...]] = {}

    def claim(
        self, n: int, of: Among, owner: str | None, seconds: float, can_load: Callable[[str], bool]
    ) -> list[Claimed]:
        """Return up to ``n`` tasks that are this process's now; ``can_load`` tells whether a class can be had here."""
        if time.monotonic() - self._looked > LOOK_AROUND:
            self.recover()
        taken = self._try(n, of, owner, seconds, can_load)
        if not taken and self.recover():
            taken = self._try(n, of, owner, seconds, can_load)
        return taken

    def _try(
        self, n: int, of: Among, owner: str | None, seconds: float, can_load: Callable[[str], bool]
    ) -> list[Claimed]:
        name = uuid.uuid4().hex

        def work(connection: Connection) -> list[Claimed]:
            key = connection.execute(_BY_NAME, {"of_name": name}).scalar()
            if key is not None:
                # The commit of an earlier try had succeeded; only its answer was lost.
                held = select(*_CLAIMED[:-1], task.c.attempt - 1)
                return [Claimed(*row) for row in connection.execute(held.where(task.c.lease_pk == key))]
            taken = self._pick(connection, n, of, can_load)
            if taken:
                _take(connection, taken, name, owner, seconds)
            return taken

        taken = self._database.write(work)
        if taken:
            self._keep(name, seconds)
        return taken

    def _pick(self, connection: Connection, n: int, of: Among, can_load: Callable[[str], bool]) -> list[Claimed]:
        unknown = set[str]()
        while True:
            rows = self._next(connection, n, of, unknown)
            strange = {row.reference for row in rows if not can_load(row.reference)}
            if not strange:
                # A member that a batch has twice is found twice.
                return list({row.pk: Claimed(*row[:5]) for row in rows}.values())
            # Their plugin is not installed here: they stay for those who have it.
            unknown |= strange

    def _next(self, connection: Connection, n: int, of: Among, unknown: Iterable[str]) -> list[Any]:
        given: dict[str, Any] = {"unknown": list(unknown), "of_pk": of.batch_pk, "of_family": of.family}
        last = self._cursors.get(of.name)
        given |= {f"last_{i}": value for i, value in enumerate(last or ())}
        rows: list[Any] = []
        if of.attempts is not None:
            dialect, created = connection.dialect.name, int(Status.CREATED)
            given |= {"of_ids": ids_for(dialect, list(of.attempts)), "n": n}
            found = connection.execute(_candidates(False, False, named(dialect), "again"), given)
            # What somebody else has done since it was last looked at is not to be done once more.
            return [row for row in found if row.status_code == created or row.attempt == of.attempts[row.task_id]]
        # Tasks that returned may be further up than the last claim.
        for stretch in ("from the beginning",) if last is None else ("beyond", "before"):
            if len(rows) < n:
                asked = _candidates(of.batch_pk is not None, of.family is not None, of.where, stretch)
                rows += connection.execute(asked, given | {"n": n - len(rows)})
        if rows and of.name is not None:
            self._cursors[of.name] = tuple(rows[-1][6:])
        return rows

    # -- leases ------------------------------------------------------------------------------------------------------

    def recover(self) -> int:
        """Return to the created state the tasks whose worker died or lost its lease otherwise; return how many."""
        self._looked = time.monotonic()

        def lost(connection: Connection) -> list[int]:
            found = connection.execute(_other_leases(connection.dialect.name)).all()
            alive = {process: lives(process) for process in {row.process for row in found}}
            # What is known is worth more than the clock: a busy database may keep one who lives from renewing in time.
            allowed = {True: GRACE, None: 0.0, False: float("-inf")}
            return [row.pk for row in found if row.overdue > allowed[alive[row.process]]]

        keys = self._database.read(lost)
        if not keys:
            return 0

        def work(connection: Connection) -> int:
            # Whoever else looks around at this moment has those that are locked.
            still, dialect = set(lost(connection)), connection.dialect.name
            held = select(lease.c.pk).where(among(dialect, lease.c.pk)).with_for_update(skip_locked=True)
            gone = [pk for pk in connection.scalars(held, {"of_keys": keys_for(dialect, keys)}) if pk in still]
            if not gone:
                return 0
            given = {"of_keys": keys_for(dialect, gone)}
            theirs = among(dialect, task.c.lease_pk)
            ended = select("the lease of " + lease.c.owner + " ended").where(lease.c.pk == task.c.lease_pk)
            hold(connection, theirs, given)
            back = change(
                connection,
                theirs & (task.c.status_code == int(Status.RUNNING)),
                {"status_code": int(Status.CREATED)},
                given,
                told=(("error_type", literal("LeaseLost", Text)), ("error_message", ended.scalar_subquery())),
            )
            connection.execute(update(task).where(theirs).values(lease_pk=null()), given)
            connection.execute(delete(lease).where(among(dialect, lease.c.pk)), given)
            return back

        return self._database.write(work)

    def _keep(self, name: str, seconds: float) -> None:
        with self._lock:
            self._leases[name] = seconds
            if self._keeper is None:
                self._keeper = _Keeper(self)
                self._keeper.start()
            self._keeper.hurry(seconds / 3)

    def renew(self) -> float | None:
        """Renew the leases whose tasks still run and return when, in seconds, to do it again; None when none do."""
        with self._lock:
            leases = dict(self._leases)

        def work(connection: Connection) -> set[str]:
            named = lease.c.name.in_(leases)
            runs = select(task.c.pk).where(task.c.lease_pk == lease.c.pk).exists()
            connection.execute(delete(lease).where(named, ~runs))
            for seconds in set(leases.values()):
                names = [name for name, own in leases.items() if own == seconds]
                connection.execute(
                    update(lease).where(lease.c.name.in_(names)).values(until=clock(connection.dialect.name) + seconds)
                )
            return set(connection.scalars(select(lease.c.name).where(named)))

        try:
            kept = self._database.write(work)
        except StoreError as error:
            _log.warning("the leases of running tasks could not be renewed: %s", error)
            kept = set(leases)
        with self._lock:
            for name in leases.keys() - kept:
                del self._leases[name]
            if not self._leases:
                self._keeper = None
                return None
            return min(self._leases.values()) / 3

    def give_up(self) -> None:
        """End all leases: tasks of theirs that still run return to those who claim next."""
        with self._lock:
            names, self._leases, keeper, self._keeper = list(self._leases), {}, self._keeper, None
        if keeper is not None:
            keeper.stop()
        if names:
            ended = update(lease).where(lease.c.name.in_(names)).values(until=0.0, process="")
            try:
                self._database.write(lambda connection: connection.execute(ended))
            except StoreError as error:
                _log.warning("what was claimed could not be given back: %s", error)

    def forget(self) -> None:
        """Know of no claims, as befits the child of a fork: they are its parent's."""
        self._lock, self._leases, self._keeper = threading.Lock(), {}, None


def _take(connection: Connection, taken: list[Claimed], name: str, owner: str | None, seconds: float) -> None:
    who = this_process()
    made = insert(lease).values(
        name=name,
        owner=owner or f"{who.user}@{who.host}:{who.pid}",
        process=who.token,
        host=who.host,
        pid=who.pid,
        until=clock(connection.dialect.name) + seconds,
    )
    key = connection.execute(made.returning(lease.c.pk)).scalar_one()
    dialect = connection.dialect.name
    keys = keys_for(dialect, [claimed.pk for claimed in taken])
    values = {"status_code": int(Status.RUNNING), "lease_pk": key} | CLEARED
    change(connection, among(dialect, task.c.pk), values, {"of_keys": keys}, expressions=_ONE_MORE)


_ONE_MORE = (("attempt", task.c.attempt + 1),)


class _Keeper(threading.Thread):
    """The thread that renews leases; it ends with the last of them, or with the store."""

    def __init__(self, claims: Claims) -> None:
        super().__init__(name="astra-registry-leases", daemon=True)
        self._claims = weakref.ref(claims, lambda _: self.stop())
        self._changed = threading.Condition()
        self._due = float("inf")
        self._stopped = False

    def hurry(self, seconds: float) -> None:
        """See to it that the next renewal comes within that time."""
        with self._changed:
            self._due = min(self._due, time.monotonic() + seconds)
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and (left := self._due - time.monotonic()) > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                if self._stopped:
                    return
                self._due = float("inf")
            claims = self._claims()
            pause = None if claims is None else claims.renew()
            del claims
            if pause is None:
                return
            self.hurry(pause)
