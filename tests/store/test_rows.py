"""Tasks and batches get rows, keep them, and lose them."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, select, text

from astra_registry import Task, __version__, parameter
from astra_registry.errors import InvalidParameter, StoreError, UnknownParameter, UnknownTask
from astra_registry.store import StateStore, Status, changes
from astra_registry.store.model import TaskState
from astra_registry.store.schema import event, membership, task
from store.records import Planet, Star, Vanished, stars


@contextmanager
def statements(store: StateStore) -> Iterator[list[str]]:
    """Collect what the store says to its database."""
    said: list[str] = []

    def listen(connection: object, cursor: object, statement: str, *rest: object) -> None:
        said.append(statement)

    sqlalchemy_event.listen(store.engine, "before_cursor_execute", listen)
    yield said
    sqlalchemy_event.remove(store.engine, "before_cursor_execute", listen)


def number_of(store: StateStore, table: object) -> int:
    with store.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def test_a_task_has_a_row_with_who_made_it_and_which_versions(store: StateStore) -> None:
    star = Star("Vega")

    row = store.create(star)

    assert (row.task_id, row.family, row.release) == (star.task_id, "star", "dr17")
    assert json.loads(row.parameters or "") == {"release": "dr17", "name": "Vega"}
    assert (row.status, row.attempt, row.duration) == (Status.CREATED, 0, None)
    assert (row.astra_version, row.plugin_version) == (__version__, "2.1")
    assert row.user
    assert row.host
    assert row.pid
    assert datetime.now(UTC) - row.created < timedelta(minutes=1)
    assert row.created == row.modified


class Comparison(Task):
    """What a star looks like in one release and another."""

    release: str = parameter("The release.", batch=True)
    star: str = parameter("The star.", batch=True)


def test_a_batch_of_several_releases_has_members_of_each(store: StateStore) -> None:
    """An analysis task may have the release as a column: its row has none then, those of its members their own."""
    batch = Comparison(release=["dr16", "dr17", "dr17"], star="Vega")

    store.create(batch)
    store.create_all([Comparison(release=["dr17", "dr15"], star="Mizar")])

    rows = {row["task_id"]: row["release"] for row in store.tasks()}
    assert rows[batch.task_id] is None
    assert [rows[member.task_id] for member in batch.get_batch_tasks()] == ["dr16", "dr17", "dr17"]
    assert sorted(filter(None, rows.values())) == ["dr15", "dr16", "dr17", "dr17"]
    assert store.load(batch.task_id) == batch


class Overview(Task):
    """What stars look like in all releases that are told."""

    release: list[str] = parameter("The releases.")


def test_a_task_that_is_of_several_releases_is_of_none_alone(store: StateStore) -> None:
    overview = Overview(release=["dr16", "dr17"])

    assert store.create(overview).release is None
    store.create_all([overview, Overview(release=["dr17"])])
    assert store.load(overview.task_id) == overview


def test_creating_a_row_again_changes_nothing(store: StateStore) -> None:
    star = Star("Vega")
    store.create(star)
    store.finish(star, Status.SUCCEEDED)

    row, created = store.get_or_create(star, {"status_code": 30})

    assert not created
    assert row.status is Status.SUCCEEDED
    assert number_of(store, task) == 1
    assert number_of(store, event) == 2


def test_a_row_is_made_with_the_values_that_are_asked_for(store: StateStore) -> None:
    row, created = store.get_or_create(Star("Vega"), {"status_code": Status.SKIPPED, "duration": 1.5})

    assert created
    assert (row.status, row.duration) == (Status.SKIPPED, 1.5)


def test_a_batch_has_a_row_and_one_for_each_member(store: StateStore) -> None:
    batch = stars(5)

    row = store.create(batch)

    assert (row.is_batch, row.size, row.status) == (True, 5, Status.CREATED)
    assert store.counts() == {Status.CREATED: 5}
    assert number_of(store, task) == 6
    assert number_of(store, event) == 6
    assert [store.status(star) for star in batch.get_batch_tasks()] == [Status.CREATED] * 5


def test_order_and_doubles_survive_a_reload_from_the_database(store: StateStore, url: str) -> None:
    batch = Star(("Vega", "Deneb", "Vega", "Altair", "Deneb"))
    store.create(batch)

    with StateStore(url) as again:
        assert again.load(batch.task_id) == batch
        assert again.members(batch.task_id) == [task_id for task_id, _ in batch.identity_rows()]
    assert store.counts() == {Status.CREATED: 3}


def test_a_single_task_is_loaded_again(store: StateStore) -> None:
    store.create(Star("Végä\N{SNOWMAN}"))

    assert store.load(Star("Végä\N{SNOWMAN}").task_id) == Star("Végä\N{SNOWMAN}")


def test_an_empty_batch_is_recorded_and_has_nothing_left_to_do(store: StateStore) -> None:
    batch = Star((), "dr16")

    assert store.create(batch).status is Status.SUCCEEDED
    assert store.status(batch) is Status.SUCCEEDED
    assert store.load(batch.task_id) == batch
    assert store.claim(5, of=batch) == []
    assert store.delete(batch, cascade=True) == 1


def test_batches_share_their_members(store: StateStore) -> None:
    store.create(Star(("Vega", "Deneb")))
    store.create(Star(("Deneb", "Altair")))

    assert store.counts() == {Status.CREATED: 3}


def test_two_who_record_the_same_batch_at_once_record_it_once(url: str) -> None:
    batches = [stars(10_000), stars(10_000), Star(tuple(f"s{i}" for i in reversed(range(10_000))))]

    def write(batch: Star) -> None:
        with StateStore(url) as own:
            own.create(batch)

    with ThreadPoolExecutor(len(batches)) as pool:
        list(pool.map(write, batches))

    with StateStore(url) as store:
        assert store.counts() == {Status.CREATED: 10_000}
        assert number_of(store, task) == 10_002
        assert number_of(store, event) == 10_002
        assert number_of(store, membership) == 20_000
        for batch in batches:
            assert store.load(batch.task_id) == batch


def test_the_number_of_statements_does_not_grow_with_the_batch(store: StateStore) -> None:
    """At most one more for each thousand rows; two hundred stars cost 11,417 statements in 2021."""

    def costs(size: int, prefix: str) -> list[int]:
        batch = stars(size, prefix)
        actions: list[Callable[[], object]] = [
            lambda: store.create(batch),
            lambda: store.create(batch),
            lambda: store.update(batch, {"status_code": 10}, cascade=True),
            lambda: store.start(batch),
            lambda: store.finish(batch, Status.SUCCEEDED),
            lambda: store.status(batch),
            lambda: store.delete(batch, cascade=True),
        ]
        numbers = []
        for action in actions:
            with statements(store) as said:
                action()
            numbers.append(len(said))
        return numbers

    costs(10, "first")
    few, many = costs(100, "few"), costs(10_000, "many")

    assert max(few) <= 20
    assert all(large - small <= 10 for small, large in zip(few, many, strict=True))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_the_server_plans_for_as_many_rows_as_a_batch_has(store: StateStore) -> None:
    """Else it looks each member up by itself: PostgreSQL took half as long again to change a batch."""
    batch, plans = stars(20_000), []
    store.create(batch)

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: object) -> None:
        if statement.startswith(("INSERT INTO event", "UPDATE task")):
            with connection.connection.cursor() as other:
                plans.append("\n".join(row[0] for row in other.execute("EXPLAIN " + statement, parameters)))

    sqlalchemy_event.listen(store.engine, "before_cursor_execute", explain)
    store.update(batch, {"status_code": Status.RUNNING}, cascade=True)
    store.start(batch)
    sqlalchemy_event.remove(store.engine, "before_cursor_execute", explain)

    assert len(plans) >= 4
    assert [plan for plan in plans if "Nested Loop" in plan] == []


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("given", "used"), [("4MB", "64MB"), ("1GB", "1GB")])
def test_a_batch_is_sorted_in_memory_and_what_the_server_grants_besides_is_left(
    store: StateStore, given: str, used: str
) -> None:
    store.create(Star("Vega"))
    rooms = set()

    def ask(connection: Any, cursor: Any, statement: str, *rest: object) -> None:
        if statement.startswith(("INSERT INTO membership", "UPDATE task")):
            with connection.connection.cursor() as other:
                rooms.update(other.execute("SHOW work_mem").fetchone())

    with store.engine.begin() as connection:
        name = connection.engine.url.database
        connection.execute(text(f"ALTER DATABASE {name} SET work_mem = '{given}'"))
    store.close()
    sqlalchemy_event.listen(store.engine, "before_cursor_execute", ask)
    store.create(stars(3))
    store.update(stars(3), {"status_code": Status.RUNNING}, cascade=True)
    sqlalchemy_event.remove(store.engine, "before_cursor_execute", ask)

    assert rooms == {used}
    with store.engine.connect() as connection:
        assert connection.execute(text("SHOW work_mem")).scalar_one() == given


def test_many_tasks_of_several_families_are_recorded_at_once(store: StateStore) -> None:
    store.create_all([Star("Vega"), Planet("Mars"), Star("Deneb"), Star(("Altair", "Vega"))])

    assert store.counts() == {Status.CREATED: 4}
    assert store.load(Planet("Mars").task_id) == Planet("Mars")


def test_an_update_returns_the_number_of_rows_and_tells_when(store: StateStore) -> None:
    batch = stars(3)
    before = store.create(batch)

    assert store.update(batch, {"duration": 2}) == 1
    assert store.update(batch, {"status_code": "running", "duration": 3.0}, cascade=True) == 4

    row = store.query(Star("s1")).one()
    assert (row.status, row.duration) == (Status.RUNNING, 3.0)
    assert row.modified > before.modified
    assert row.created == before.created


def test_a_batch_with_doubles_is_updated_and_deleted(store: StateStore) -> None:
    batch = Star(("Vega", "Vega", "Deneb"))
    store.create(batch)

    assert store.update(batch, {"status_code": 10}, cascade=True) == 3
    assert store.delete(batch, cascade=True) == 3
    assert number_of(store, task) == number_of(store, event) == number_of(store, membership) == 0


@pytest.mark.parametrize(
    ("state", "error", "hint"),
    [
        ({"status": 1}, UnknownParameter, "status_code"),
        ({"task_id": "x"}, UnknownParameter, "no column"),
        ({"status_code": 2}, InvalidParameter, "0 .created."),
        ({"status_code": True}, InvalidParameter, "0 .created."),
        ({"status_code": None}, InvalidParameter, "no state"),
        ({"duration": -1.0}, InvalidParameter, "seconds"),
        ({"duration": float("nan")}, InvalidParameter, "seconds"),
        ({"duration": "3"}, InvalidParameter, "seconds"),
        ({"attempt": 1.5}, InvalidParameter, "tries"),
        ({"attempt": 2**31}, InvalidParameter, "tries"),
        ({"created": "today"}, InvalidParameter, "datetime"),
        ({"host": 7}, InvalidParameter, "text"),
    ],
)
def test_an_impossible_update_is_refused_and_changes_nothing(
    store: StateStore, state: dict[str, object], error: type[Exception], hint: str
) -> None:
    star = Star("Vega")
    before = store.create(star)

    with pytest.raises(error, match=hint):
        store.update(star, {"host": "elsewhere", **state})

    after = store.query(star).one()
    assert (after.host, after.modified) == (before.host, before.modified)


def test_every_column_of_a_state_can_be_set(store: StateStore) -> None:
    star, moment = Star("Vega"), datetime(2021, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
    store.create(star)
    state = {
        "status_code": 30,
        "duration": 0.25,
        "attempt": 7,
        "created": moment,
        "modified": moment,
        "user": "somebody",
        "host": "elsewhere",
        "pid": 12,
        "error_type": "ValueError",
        "error_message": "a\nb",
        "traceback": "…",
        "astra_version": "0.1",
        "plugin_version": "0.2",
    }

    assert store.update(star, state) == 1

    row = store.query(star).one()
    assert {name: getattr(row, name) for name in state} == state


def test_text_that_a_database_cannot_hold_is_made_fitting(store: StateStore) -> None:
    star = Star("Vega")
    store.create(star)

    store.update(star, {"error_message": "a\x00b\udc80" + "x" * 50_000})

    message = store.query(star).one().error_message
    assert message is not None
    assert message.startswith("a\N{REPLACEMENT CHARACTER}b?x")
    assert len(message) < 25_000


def test_there_is_no_state_without_a_row(store: StateStore) -> None:
    star = Star("Vega")
    for ask in (
        lambda: store.status(star),
        lambda: store.load(star.task_id),
        lambda: store.update(star, {"duration": 1}),
        lambda: store.finish(star, 1),
    ):
        with pytest.raises(UnknownTask, match=star.task_id):
            ask()
    assert store.query(star).one_or_none() is None
    assert store.delete(star) == 0


def test_a_query_reads_afresh_and_holds_no_lock(store: StateStore, url: str) -> None:
    star = Star("Vega")
    store.create(star)
    query = store.query(star)
    first = query.one()

    with StateStore(url, patience=2) as other:
        other.update(star, {"status_code": 10})
        second = query.one()
        other.delete(star)

    assert (first.status, second.status) == (Status.CREATED, Status.RUNNING)
    assert query.one_or_none() is None
    assert query.count() == 0


def test_a_query_comes_in_parts_that_fit_together(store: StateStore) -> None:
    star = Star("Vega")
    store.create(star)

    query, model, keywords = store.query_parts(star)

    assert model is TaskState
    assert keywords == {"task_id": star.task_id}
    assert query.one().pk == store.session_query().filter_by(**keywords).one().pk
    assert store.session_query().filter(model.status_code == 0).count() == 1


def test_queries_in_plenty_use_no_connections_up(store: StateStore) -> None:
    star = Star("Vega")
    store.create(star)

    queries = [store.query(star) for _ in range(50)]

    assert len({query.one().pk for query in queries}) == 1


def test_a_bound_query_finds_batches_by_the_status_of_their_members(store: StateStore) -> None:
    batch = stars(2)
    store.create(batch)
    store.finish(Star("s0"), Status.FAILED)
    store.finish(Star("s1"), Status.SUCCEEDED)

    found = store.session_query().filter(TaskState.status_code == Status.FAILED, TaskState.is_batch.is_(True)).all()

    assert [row.task_id for row in found] == [batch.task_id]


def test_deleting_a_batch_leaves_its_members_unless_told(store: StateStore) -> None:
    batch = stars(3)
    store.create(batch)

    assert store.delete(batch) == 1

    assert store.counts() == {Status.CREATED: 3}
    assert number_of(store, membership) == 0
    assert number_of(store, event) == 3


def test_deleting_with_cascade_leaves_what_another_batch_has(store: StateStore) -> None:
    one, other = Star(("Vega", "Deneb")), Star(("Deneb", "Altair"))
    store.create(one)
    store.create(other)

    assert store.delete(one, cascade=True) == 2

    assert store.counts() == {Status.CREATED: 2}
    assert store.load(other.task_id) == other
    store.create(one)
    assert store.load(one.task_id) == one


def test_what_is_deleted_while_others_record_leaves_no_link_to_nowhere(url: str) -> None:
    one, other = stars(200), Star((*stars(200).names, "Vega"))
    with StateStore(url) as store, StateStore(url) as second:
        store.create(one)
        failures: list[BaseException] = []

        def repeat(work: Callable[[], object]) -> None:
            try:
                for _ in range(25):
                    work()
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        threads = [
            threading.Thread(target=repeat, args=(lambda: (store.delete(one, cascade=True), store.create(one)),)),
            threading.Thread(target=repeat, args=(lambda: (second.create(other), second.start(other)),)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        assert store.load(one.task_id) == one
        assert store.load(other.task_id) == other


def begin_meanwhile(url: str, star: Star, work: Callable[[], object]) -> None:
    """Put a task into the running state by a transaction that ends only when ``work`` has come to wait for it."""
    locks = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    thread = threading.Thread(target=work)
    with StateStore(url) as store, store.engine.begin() as connection:
        changes.update_row(connection, star.task_id, {"status_code": 10}, cascade=False)
        thread.start()
        with store.database.reader.connect() as other:
            while not other.execute(text(locks)).scalar_one():
                assert thread.is_alive()
    thread.join()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_what_is_deleted_while_it_changes_leaves_no_event_behind(store: StateStore, url: str) -> None:
    batch = stars(3)
    store.create(batch)

    begin_meanwhile(url, Star("s1"), lambda: store.delete(batch, cascade=True))

    assert number_of(store, task) == number_of(store, event) == number_of(store, membership) == 0


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_what_begins_while_what_waits_is_forgotten_keeps_all_its_events(store: StateStore, url: str) -> None:
    store.create_all(stars(3).get_batch_tasks())

    begin_meanwhile(url, Star("s1"), lambda: store.forget(status="created"))

    assert store.counts() == {Status.RUNNING: 1}
    assert number_of(store, event) == 2


def test_a_batch_that_lost_a_member_says_so(store: StateStore) -> None:
    batch = stars(3)
    store.create(batch)
    store.delete(Star("s1"))

    with pytest.raises(StoreError, match="3 members, of which 2"):
        store.load(batch.task_id)
    store.create(batch)
    assert store.load(batch.task_id) == batch


def test_a_task_whose_plugin_is_gone_is_readable_and_says_what_is_missing(store: StateStore) -> None:
    gone = Vanished("Vulcan")

    assert store.create(gone).status is Status.CREATED
    with pytest.raises(StoreError, match=r"astra_registry_vanished:Vanished.*plugin installed"):
        store.load(gone.task_id)


def test_data_products_have_one_row_each(store: StateStore) -> None:
    batch = Star(("Vega", "Deneb", "Vega"))

    keys = store.data_products("star", "dr17", batch.identity_rows())

    assert len(keys) == 3
    assert keys[0] == keys[2] != keys[1]
    assert store.data_products("star", "dr17", Star("Deneb").identity_rows()) == (keys[1],)


def test_a_store_goes_to_other_processes_as_its_url(store: StateStore) -> None:
    store.create(Star("Vega"))

    with pickle.loads(pickle.dumps(store)) as copy:
        assert copy.counts() == {Status.CREATED: 1}
