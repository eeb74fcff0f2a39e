"""States change along the table, and each change is an event."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from astra_registry.errors import IllegalMove, InvalidParameter
from astra_registry.store import StateStore, Status
from astra_registry.store.schema import event, task
from store.records import Star, stars


def history(store: StateStore, star: Star) -> list[Status]:
    """The states that a task was told to have, in order."""
    asked = select(event.c.status_code).join(task, task.c.pk == event.c.task_pk)
    asked = asked.where(task.c.task_id == star.task_id).order_by(event.c.pk)
    with store.engine.connect() as connection:
        return [Status(code) for code in connection.scalars(asked)]


@pytest.mark.parametrize("old", Status)
@pytest.mark.parametrize("new", Status)
def test_a_move_is_made_when_the_table_has_it_and_refused_when_not(store: StateStore, old: Status, new: Status) -> None:
    star = Star("Vega")
    store.get_or_create(star, {"status_code": old})

    if old in (0, 10) or old is new or new is Status.RUNNING or (old >= 30 and new == 0):
        assert store.update(star, {"status_code": new}) == 1
        assert store.status(star) is new
    else:
        with pytest.raises(IllegalMove, match=rf"{star.task_id} is {old.name.lower()} and cannot become"):
            store.update(star, {"status_code": new})
        assert store.status(star) is old


def test_an_illegal_move_of_one_member_changes_none(store: StateStore) -> None:
    batch = stars(4)
    store.create(batch)
    store.finish(Star("s2"), Status.SUCCEEDED)

    with pytest.raises(IllegalMove, match=f"{Star('s2').task_id} is succeeded"):
        store.update(batch, {"status_code": Status.FAILED}, cascade=True)

    assert store.counts() == {Status.CREATED: 3, Status.SUCCEEDED: 1}


def test_a_start_counts_the_attempt_and_clears_what_was_wrong(store: StateStore) -> None:
    star = Star("Vega")

    store.start(star)
    store.finish(star, Status.FAILED, ValueError("no light"), duration=2.0)
    failed = store.query(star).one()
    store.start(star)
    row = store.query(star).one()

    assert (failed.error_type, failed.error_message, failed.duration) == ("ValueError", "no light", 2.0)
    assert (row.status, row.attempt, row.error_type, row.duration) == (Status.RUNNING, 2, None, None)
    assert history(store, star) == [Status.CREATED, Status.RUNNING, Status.FAILED, Status.RUNNING]


def test_a_failure_keeps_its_traceback(store: StateStore) -> None:
    star = Star("Vega")
    store.start(star)

    try:
        raise OSError("no such star")
    except OSError as error:
        store.finish(star, Status.FAILED, error)

    row = store.query(star).one()
    assert (row.error_type, row.error_message) == ("OSError", "no such star")
    assert "test_a_failure_keeps_its_traceback" in (row.traceback or "")


def test_starting_and_finishing_a_batch_moves_its_members(store: StateStore) -> None:
    batch = stars(3)

    store.start(batch)
    assert store.counts() == {Status.RUNNING: 3}
    store.finish(Star("s1"), Status.FAILED, "clouds")
    store.finish(batch, Status.SUCCEEDED)

    assert store.counts() == {Status.SUCCEEDED: 2, Status.FAILED: 1}
    assert store.status(batch) is Status.FAILED
    assert store.query(Star("s1")).one().error_message == "clouds"


def test_a_failing_batch_leaves_what_its_members_have_done(store: StateStore) -> None:
    batch = stars(3)
    store.start(batch)
    store.finish(Star("s0"), Status.SUCCEEDED)

    store.finish(batch, Status.FAILED, ValueError("x"))

    assert store.counts() == {Status.SUCCEEDED: 1, Status.FAILED: 2}
    assert store.status(batch) is Status.FAILED


def test_a_batch_follows_its_members_at_every_step(store: StateStore) -> None:
    batch, (one, two) = stars(2), stars(2).get_batch_tasks()
    store.create(batch)
    seen = [store.status(batch)]
    for star, code in [(one, 10), (one, 1), (two, 10), (two, 40)]:
        store.update(star, {"status_code": code})
        seen.append(store.status(batch))
        assert store.query(batch).one().status is seen[-1]

    assert seen == [Status.CREATED, Status.RUNNING, Status.CREATED, Status.RUNNING, Status.DIED]


def test_to_stay_is_no_event_and_a_new_value_is_one(store: StateStore) -> None:
    star = Star("Vega")
    store.start(star)
    store.finish(star, Status.SUCCEEDED)
    store.finish(star, Status.SUCCEEDED)
    store.update(star, {"status_code": 1})

    assert history(store, star) == [Status.CREATED, Status.RUNNING, Status.SUCCEEDED]

    store.update(star, {"duration": 1.7})
    assert history(store, star)[-2:] == [Status.SUCCEEDED, Status.SUCCEEDED]


def test_nothing_is_finished_by_running(store: StateStore) -> None:
    store.create(Star("Vega"))

    with pytest.raises(InvalidParameter, match="start or claim"):
        store.finish(Star("Vega"), Status.RUNNING)
    with pytest.raises(InvalidParameter, match="did you mean 'failed'"):
        store.finish(Star("Vega"), "faild")


def test_what_succeeded_cannot_fail_afterwards(store: StateStore) -> None:
    star = Star("Vega")
    store.create(star)
    store.finish(star, Status.SUCCEEDED)

    with pytest.raises(IllegalMove, match="only running"):
        store.finish(star, Status.FAILED)


def test_an_error_that_cannot_even_tell_its_message_is_kept(store: StateStore) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("…")

    store.start(Star("Vega"))
    store.finish(Star("Vega"), Status.FAILED, Mute())

    assert store.query(Star("Vega")).one().error_message == "(no message: RuntimeError in __str__)"
