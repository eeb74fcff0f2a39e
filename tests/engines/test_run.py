"""Tasks are run on this machine: each once, in order of need, and with a report that hides nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astra_registry import InvalidParameter, StateStore, Status, run
from astra_registry.errors import AstraRegistryError
from astra_registry.settings import override
from astra_registry.task.events import Event
from engines.work import (
    Asking,
    Circle,
    Confused,
    Demanding,
    Failing,
    Idle,
    Ouroboros,
    Patient,
    Silent,
    Square,
    Sum,
    Urgent,
)


def log(folder: str) -> list[str]:
    path = Path(folder, "log")
    return path.read_text().splitlines() if path.exists() else []


def statuses(report: object) -> list[Status]:
    return [outcome.status for outcome in report]  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 4])
def test_a_batch_is_run_member_by_member_and_reported_in_order(store: StateStore, folder: str, workers: int) -> None:
    batch = Square(folder=folder, number=[3, 1, 2, 1])

    report = run(batch, workers=workers, store=store)

    assert statuses(report) == [Status.SUCCEEDED] * 4
    assert [outcome.task.number for outcome in report] == [3, 1, 2, 1]
    assert sorted(log(folder)) == ["Square 1", "Square 2", "Square 3"]
    assert store.status(batch) is Status.SUCCEEDED
    row = store.query(batch[0]).one()
    assert row.attempt == 1
    assert row.duration is not None
    assert report.ok
    assert report.raise_for_failures() is report
    assert "4 succeeded" in repr(report)


def test_what_is_complete_is_skipped(store: StateStore, folder: str) -> None:
    Square(folder=folder, number=2).run()

    report = run(Square(folder=folder, number=[1, 2]), store=store)
    again = run(Square(folder=folder, number=[1, 2]), store=store)

    assert statuses(report) == [Status.SUCCEEDED, Status.SKIPPED]
    assert statuses(again) == [Status.SKIPPED, Status.SKIPPED]
    assert store.counts() == {Status.SUCCEEDED: 1, Status.SKIPPED: 1}
    assert log(folder) == ["Square 2", "Square 1"]


def test_a_file_that_vanished_is_made_again(store: StateStore, folder: str) -> None:
    task = Square(folder=folder, number=1)
    run(task, store=store)
    Path(task.output().path).unlink()

    assert statuses(run(task, store=store)) == [Status.SUCCEEDED]
    assert store.query(task).one().attempt == 2


def test_what_makes_no_file_is_done_once_all_the_same(store: StateStore, folder: str) -> None:
    for _ in range(2):
        assert run(Silent(folder=folder, number=[1, 2]), store=store).ok
    assert log(folder) == ["Silent 1", "Silent 2"]


def test_what_a_task_requires_is_run_before_it(store: StateStore, folder: str) -> None:
    report = run(Sum(folder=folder, upto=4), workers=3, store=store)

    assert statuses(report) == [Status.SUCCEEDED]
    assert Path(folder, "Sum-4").read_text() == "14"
    assert store.counts() == {Status.SUCCEEDED: 5}


def test_a_failure_is_reported_and_what_requires_it_is_missing(store: StateStore, folder: str) -> None:
    class Needs(Square):
        def requires(self) -> object:
            return Failing(folder=self.folder, number=1)

    Path(folder, "fail-1").write_text("9")
    report = run([Needs(folder=folder, number=1), Square(folder=folder, number=5)], store=store)

    assert statuses(report) == [Status.MISSING, Status.SUCCEEDED]
    assert "is failed: Failing_" in (report[0].error or "")
    assert store.counts() == {Status.MISSING: 1, Status.FAILED: 1, Status.SUCCEEDED: 1}
    row = store.query(Failing(folder=folder, number=1)).one()
    assert (row.error_type, row.error_message) == ("ValueError", "no light for 1")
    assert "Traceback" in (row.traceback or "")
    assert [outcome.task.number for outcome in report.failed] == [1]
    with pytest.raises(AstraRegistryError, match="is missing"):
        report.raise_for_failures()


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, SystemExit, BaseException])
def test_whatever_a_task_raises_is_its_own_failure(store: StateStore, folder: str, error: type[BaseException]) -> None:
    class Rude(Square):
        def run(self) -> object:
            raise error("enough")

    rude = Rude(folder=folder, number=1)
    report = run([rude, Square(folder=folder, number=2)], store=store)

    assert statuses(report) == [Status.FAILED, Status.SUCCEEDED]
    assert report[0].error == f"{error.__name__}: enough"
    assert store.status(rude) is Status.FAILED


def test_a_report_is_a_table_and_shows_in_a_notebook_what_is_not_done_first(store: StateStore, folder: str) -> None:
    Path(folder, "fail-1").write_text("99")
    report = run([*(Square(folder=folder, number=n) for n in range(12)), Failing(folder=folder, number=1)], store=store)

    table = report.to_table()
    shown = report._repr_html_()

    assert list(table["status"]) == [outcome.status.name.lower() for outcome in report]
    assert list(table["task_id"]) == [outcome.task.task_id for outcome in report]
    assert str(table["duration"].unit) == "s"
    assert all(table[name].description for name in table.colnames)
    assert "12 succeeded, 1 failed" in shown
    assert shown.index("<b style") < shown.index("Square_")
    assert "more: <code>report.to_table()</code>" in shown
    assert report.failed[0].task.task_id in report.failed[0]._repr_html_()


def test_a_failure_is_tried_again_as_often_as_the_task_allows(store: StateStore, folder: str) -> None:
    Path(folder, "fail-1").write_text("2")
    Path(folder, "fail-2").write_text("3")

    began = time.monotonic()
    with override(retry_wait=0.1):
        report = run(Patient(folder=folder, number=[1, 2]), workers=2, store=store)

    assert statuses(report) == [Status.SUCCEEDED, Status.FAILED]
    assert [outcome.attempts for outcome in report] == [3, 3]
    assert time.monotonic() - began >= 0.3
    assert store.query(Patient(folder=folder, number=1)).one().attempt == 3


def test_urgent_tasks_come_first_and_disabled_ones_do_not(store: StateStore, folder: str) -> None:
    tasks = [Square(folder=folder, number=1), Idle(folder=folder, number=2), Urgent(folder=folder, number=3)]

    report = run(tasks, store=store)

    assert statuses(report) == [Status.SUCCEEDED, Status.SKIPPED, Status.SUCCEEDED]
    assert log(folder) == ["Urgent 3", "Square 1"]
    assert store.status(tasks[1]) is Status.CREATED


def test_what_requires_a_disabled_task_is_not_begun(store: StateStore, folder: str) -> None:
    class Above(Square):
        def requires(self) -> object:
            return Idle(folder=self.folder, number=2)

    report = run(Above(folder=folder, number=1), store=store)

    assert statuses(report) == [Status.MISSING]
    assert "what it requires is disabled: Idle_" in (report[0].error or "")
    assert log(folder) == []

    Idle(folder=folder, number=2).run()
    assert run(Above(folder=folder, number=1), store=store).ok


@pytest.mark.parametrize(("name", "value"), [("priority", None), ("retry_count", "often"), ("resources", 3)])
def test_a_setting_that_is_none_breaks_its_task_only(store: StateStore, folder: str, name: str, value: object) -> None:
    odd = type("Odd", (Square,), {name: value})

    report = run([odd(folder=folder, number=1), Square(folder=folder, number=2)], store=store)

    assert statuses(report) == [Status.BROKEN, Status.SUCCEEDED]


@pytest.mark.parametrize("member", ["requires", "complete", "output", "priority"])
def test_a_task_that_would_exit_when_it_is_asked_something_breaks_itself_only(
    store: StateStore, folder: str, member: str
) -> None:
    def leave(task: object) -> object:
        sys.exit(3)

    rude = type("Rude", (Square,), {member: property(leave) if member == "priority" else leave})
    tasks = [rude(folder=folder, number=1), Square(folder=folder, number=2)]

    assert statuses(run(tasks, store=store)) == [Status.BROKEN, Status.SUCCEEDED]


def test_a_task_that_cannot_tell_its_outputs_the_second_time_is_broken(store: StateStore, folder: str) -> None:
    class Vague(Silent):
        def complete(self) -> bool:
            return False

        def output(self) -> object:
            raise RuntimeError("where?")

    class Needing(Square):
        def requires(self) -> object:
            return Vague(folder=self.folder, number=1)

    vague = Vague(folder=folder, number=1)
    assert statuses(run(vague, store=store)) == [Status.SUCCEEDED]

    report = run([vague, Needing(folder=folder, number=2), Square(folder=folder, number=3)], store=store)

    assert statuses(report) == [Status.BROKEN, Status.MISSING, Status.SUCCEEDED]
    assert report[0].error == "RuntimeError: where?"
    assert store.status(vague) is Status.BROKEN


def test_a_function_for_events_that_fails_stops_nothing(store: StateStore, folder: str) -> None:
    def refuse(event: Event) -> None:
        raise ZeroDivisionError

    assert run(Square(folder=folder, number=[1, 2]), store=store, on_event=refuse).ok


@pytest.mark.parametrize("tasks", [None, 1, [1], "Square", Square])
def test_what_is_no_task_is_refused(store: StateStore, tasks: object) -> None:
    with pytest.raises(InvalidParameter, match="what is run is a task"):
        run(tasks, store=store)


@pytest.mark.parametrize("given", [{"store": "sqlite://"}, {"client": object()}])
def test_what_is_no_store_or_client_is_refused(store: StateStore, folder: str, given: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter, match="is a StateStore|is a distributed.Client"):
        run(Square(folder=folder, number=1), **{"store": store, **given})  # type: ignore[arg-type]


def test_what_is_yielded_is_seen_to_and_sent_back(store: StateStore, folder: str) -> None:
    assert run(Asking(folder=folder, number=4), store=store).ok
    assert Path(folder, "Asking-4").read_text().startswith("25 ")


def test_what_is_yielded_has_what_it_requires_done_before_it(store: StateStore, folder: str) -> None:
    """As by luigi; nobody has to require beforehand what the yielded task needs."""
    assert run(Demanding(folder=folder, number=3, wanted="Double"), store=store).ok
    assert Path(folder, "Demanding-3").read_text() == "had Double-3"
    assert Path(folder, "Double-3").read_text() == "18"


def test_what_is_yielded_and_not_to_be_run_is_not(store: StateStore, folder: str) -> None:
    tasks = [Demanding(folder=folder, number=3, wanted="Idle"), Ouroboros(folder=folder, number=3)]

    report = run(tasks, store=store)

    assert statuses(report) == [Status.FAILED, Status.FAILED]
    assert "is disabled" in (report[0].error or "")
    assert "requires itself" in (report[1].error or "")
    assert log(folder) == []


def test_a_circle_and_a_task_that_cannot_tell_are_broken(store: StateStore, folder: str) -> None:
    report = run([Circle(number=0), Confused(folder=folder, number=1), Square(folder=folder, number=1)], store=store)

    assert statuses(report) == [Status.BROKEN, Status.BROKEN, Status.SUCCEEDED]
    assert "requires itself" in (report[0].error or "")
    assert "what?" in (report[1].error or "")
    assert store.status(Confused(folder=folder, number=1)) is Status.BROKEN


def test_what_somebody_else_is_at_is_left_to_them(store: StateStore, folder: str) -> None:
    batch = Square(folder=folder, number=[1, 2])
    with StateStore(store.database.url) as other:
        other.create(batch)
        assert other.claim(1, of=batch)

        report = run(batch, store=store)

        assert statuses(report) == [Status.RUNNING, Status.SUCCEEDED]
        assert log(folder) == ["Square 2"]


def test_what_another_run_does_meanwhile_is_not_done_twice(store: StateStore, folder: str) -> None:
    """The other run comes when this one has begun two tasks of six."""
    batch = Silent(folder=folder, number=range(6))
    others: list[object] = []

    def let_others_run(event: Event) -> None:
        if not others:
            with StateStore(store.database.url) as second:
                others.append(run(batch, store=second))

    report = run(batch, store=store, on_event=let_others_run)

    assert sorted(log(folder)) == [f"Silent {i}" for i in range(6)]
    assert sorted(statuses(report)) == [Status.SUCCEEDED] * 2 + [Status.SKIPPED] * 4
    assert sorted(statuses(others[0])) == [Status.SUCCEEDED] * 4 + [Status.RUNNING] * 2
    assert {row.attempt for row in store.session_query().filter_by(is_batch=False)} == {1}


def test_what_another_run_does_while_this_one_plans_is_not_done_twice(store: StateStore, folder: str) -> None:
    class Slow(Square):
        def requires(self) -> object:
            with StateStore(store.database.url) as second:
                run(Square(folder=folder, number=1), store=second)
            return []

    report = run([Square(folder=folder, number=1), Slow(folder=folder, number=2)], store=store)

    assert statuses(report) == [Status.SKIPPED, Status.SUCCEEDED]
    assert log(folder) == ["Square 1", "Slow 2"]


def test_every_event_is_told_once_and_in_order(store: StateStore, folder: str) -> None:
    seen: list[tuple[str, str, Status | None]] = []
    handled: list[object] = []

    class Watched(Failing):
        pass

    @Watched.event_handler("event.core.failure")
    def tell(task: Watched, error: BaseException) -> None:
        handled.append(error)

    Path(folder, "fail-2").write_text("1")

    def note(event: Event) -> None:
        seen.append((event.name.rpartition(".")[2], event.task_id, event.status))

    one, two = Watched(folder=folder, number=1), Watched(folder=folder, number=2)
    run([one, two], store=store, on_event=note)

    assert [name for name, task_id, _ in seen if task_id == one.task_id] == ["start", "processing_time", "success"]
    assert [name for name, task_id, _ in seen if task_id == two.task_id] == ["start", "failure"]
    assert seen[-1][2] in (Status.FAILED, Status.SUCCEEDED)
    assert [type(error) for error in handled] == [ValueError]


def test_ctrl_c_waits_for_no_task_and_gives_all_back(folder: str) -> None:
    url = f"sqlite:///{folder}/states.sqlite"
    code = (
        "import sys; from astra_registry import StateStore, run; from engines.work import Endless\n"
        "run(Endless(folder=sys.argv[1], number=[1, 2]), store=StateStore(sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, folder, url]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(
        words,
        env=environment,
        stderr=subprocess.PIPE,
        # Under a shell that runs things in the background, a process begins with it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        while not Path(folder, "begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == -signal.SIGINT
    assert told.endswith(b"KeyboardInterrupt\n")
    with StateStore(url) as store:
        assert [task.number for task in store.claim(5)] == [1, 2]


def test_no_task_makes_an_empty_report(store: StateStore) -> None:
    assert len(run([], store=store).to_table()) == 0
    assert "0 tasks" in run([], store=store)._repr_html_()
    report = run([], store=store)

    assert len(report) == 0
    assert report.ok


@pytest.mark.parametrize("workers", [0, True, 1.5])
def test_an_impossible_number_of_workers_is_refused(store: StateStore, workers: int) -> None:
    with pytest.raises(InvalidParameter, match="workers"):
        run([], workers=workers, store=store)
