"""What happens to a task reaches the store, the handlers of its class, and plugins."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry import IllegalMove, StateStore, Status, Task, parameter
from astra_registry.task.events import EventName


class Watched(Task):
    """A task whose events are looked at."""

    number: int = parameter("A number.", batch=True)


class Closely(Watched):
    """One that is looked at by others too."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with StateStore(f"sqlite:///{tmp_path / 'states.db'}") as opened:
        yield opened


@pytest.fixture
def handlers() -> Iterator[list[tuple[type[Task], str, object]]]:
    """Handlers to be taken away after the test."""
    added: list[tuple[type[Task], str, object]] = []
    yield added
    for cls, event, callback in added:
        cls.remove_event_handler(event, callback)  # type: ignore[arg-type]


def test_the_names_are_luigis() -> None:
    from astra_registry.engines.luigi import luigi

    ours = {name: str(event) for name, event in EventName.__members__.items()}
    theirs = {name: value for name, value in vars(luigi.Event).items() if not name.startswith("_")}
    assert ours == theirs


@pytest.mark.parametrize(
    ("event", "arguments", "code", "message"),
    [
        ("event.core.start", (), 10, None),
        ("event.core.success", (), 1, None),
        ("event.core.failure", (ValueError("no light"),), 30, "no light"),
        ("event.core.process_failure", ("died with exit code 9",), 40, "died with exit code 9"),
        ("event.core.timeout", ("timed out after 3 s",), 40, "timed out after 3 s"),
        ("event.core.task.broken", (KeyError("x"),), 50, "'x'"),
        ("event.core.dependency.missing", (), 60, None),
    ],
)
def test_every_event_of_luigi_has_its_state(
    store: StateStore, event: str, arguments: tuple[object, ...], code: int, message: str | None
) -> None:
    task = Watched(number=1)

    task.trigger_event(event, task, *arguments, store=store)

    row = task.query_state(store=store).one()
    assert (row.status_code, row.error_message) == (code, message)


@pytest.mark.parametrize("event", ["event.core.progress", "event.core.dependency.present", "my.own.event"])
def test_other_events_change_no_state(store: StateStore, event: str) -> None:
    task = Watched(number=1)

    task.trigger_event(event, task, {"fraction": 0.5}, store=store)

    assert task.query_state(store=store).one_or_none() is None


def test_the_life_of_a_task(store: StateStore) -> None:
    task = Watched(number=1)

    task.trigger_event_start(store=store)
    task.trigger_event_failed(ValueError("no light"), store=store)
    failed = task.query_state(store=store).one()
    task.trigger_event_start(store=store)
    task.trigger_event_processing_time(1.7, cascade=True, store=store)
    row = task.query_state(store=store).one()

    assert (failed.status, failed.error_type, failed.error_message) == (Status.FAILED, "ValueError", "no light")
    assert (row.status, row.attempt, row.duration, row.error_type) == (Status.SUCCEEDED, 2, 1.7, None)
    with pytest.raises(IllegalMove):
        task.trigger_event_failed(store=store)


def test_success_needs_no_start_and_failure_no_error(store: StateStore) -> None:
    Watched(number=1).trigger_event_succeeded(store=store)
    Watched(number=2).trigger_event_failed(store=store)
    Watched(number=3).trigger_event_processing_time(2, store=store)

    assert store.counts() == {Status.SUCCEEDED: 1, Status.FAILED: 1, Status.CREATED: 1}
    assert Watched(number=3).query_state(store=store).one().duration == 2.0


def test_the_events_of_a_batch_reach_its_members(store: StateStore) -> None:
    batch = Watched(number=[1, 2])

    batch.trigger_event_start(store=store)
    assert store.counts() == {Status.RUNNING: 2}
    batch[0].trigger_event_failed("clouds", store=store)
    batch.trigger_event_succeeded(store=store)

    assert store.counts() == {Status.SUCCEEDED: 1, Status.FAILED: 1}
    assert store.status(batch) is Status.FAILED


def test_the_report_of_on_failure_is_what_is_kept(store: StateStore) -> None:
    class Talks(Watched):
        def on_failure(self, exception: BaseException) -> str:
            return f"I, {self.number}, could not: {exception}"

    class Stumbles(Watched):
        def on_failure(self, exception: BaseException) -> str:
            raise RuntimeError

    Talks(number=1).trigger_event_failed(ValueError("no light"), store=store)
    Stumbles(number=2).trigger_event_failed(ValueError("no light"), store=store)

    assert Talks(number=1).query_state(store=store).one().traceback == "I, 1, could not: no light"
    assert Stumbles(number=2).query_state(store=store).one().status is Status.FAILED


def test_handlers_are_inherited_and_called_in_the_order_in_which_they_were_added(
    store: StateStore, handlers: list[tuple[type[Task], str, object]]
) -> None:
    seen: list[tuple[str, object]] = []
    for cls, name in ((Closely, "first"), (Watched, "second"), (Closely, "third")):

        @cls.event_handler(EventName.FAILURE)
        def tell(task: Task, error: BaseException, name: str = name) -> None:
            seen.append((name, str(error)))

        handlers.append((cls, EventName.FAILURE, tell))

    Closely(number=1).trigger_event_failed(ValueError("x"), store=store)
    Watched(number=1).trigger_event_failed(ValueError("y"), store=store)

    assert seen == [("first", "x"), ("second", "x"), ("third", "x"), ("second", "y")]


def test_a_failing_handler_is_reported_and_hides_nothing(
    store: StateStore, handlers: list[tuple[type[Task], str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    @Watched.event_handler("event.core.success")
    def fail(task: Watched) -> None:
        raise SystemExit(3)

    @Watched.event_handler("event.core.success")
    def note(task: Watched) -> None:
        seen.append(task.number)

    handlers += [(Watched, "event.core.success", fail), (Watched, "event.core.success", note)]

    with caplog.at_level(logging.ERROR):
        Watched(number=5).trigger_event_succeeded(store=store)

    assert seen == [5]
    assert "the handler" in caplog.text
    assert store.counts() == {Status.SUCCEEDED: 1}


def test_an_event_may_bring_an_equal_task(store: StateStore) -> None:
    """It has been through a pickle, and is taken neither for an error nor for a duration."""
    task = Watched(number=1)
    again: Task = pickle.loads(pickle.dumps(task))

    task.trigger_event(EventName.PROCESSING_TIME, again, 2.5, store=store)
    task.trigger_event(EventName.SUCCESS, again, store=store)

    row = store.query(task).one()
    assert (row.status, row.duration) == (Status.SUCCEEDED, 2.5)


def test_a_handler_can_be_taken_away(store: StateStore) -> None:
    seen: list[int] = []

    @Watched.event_handler("event.core.start")
    def note(task: Watched) -> None:
        seen.append(task.number)

    Watched.remove_event_handler("event.core.start", note)
    Watched(number=5).trigger_event_start(store=store)

    assert seen == []
    with pytest.raises(KeyError):
        Watched.remove_event_handler("event.core.start", note)
