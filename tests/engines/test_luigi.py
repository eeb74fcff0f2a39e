"""luigi runs our tasks, on this machine and with its server, and our store knows what happened."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry import StateStore, Status, Task, registry, run
from astra_registry.engines.luigi import AstraTask, as_luigi, luigi
from astra_registry.errors import BadValue
from astra_registry.settings import override
from astra_registry.task.events import EventName
from engines.work import (
    Asking,
    Confused,
    Demanding,
    Failing,
    Heavy,
    Idle,
    Mortal,
    Parted,
    Secretive,
    Slow,
    Square,
    Sum,
    Telling,
    Templated,
    Unsure,
    Urgent,
)


def build(tasks: list[luigi.Task], **options: object) -> bool:
    settings: dict[str, object] = {"local_scheduler": True, "log_level": "CRITICAL", "workers": 1, **options}
    return bool(luigi.build(tasks, **settings))


def test_a_task_is_luigis_with_its_identifier_and_family(store: StateStore, folder: str) -> None:
    task = Square(folder=folder, number=3)

    made = as_luigi(task, store=store)

    assert isinstance(made, luigi.Task)
    assert made.task_id == task.task_id
    assert made.task_family == "Square"
    assert as_luigi(task, store=store) is made
    assert made.output() == task.output()
    assert made.complete() is False


def test_every_setting_for_a_scheduler_is_carried_over(folder: str) -> None:
    task = Heavy(folder=folder, number=1)

    made = as_luigi(task)

    for name in (
        "priority",
        "disabled",
        "worker_timeout",
        "retry_count",
        "disable_hard_timeout",
        "disable_window",
        "owner_email",
        "accepts_messages",
        "max_batch_size",
    ):
        assert getattr(made, name) == getattr(task, name), name
    assert made.resources == made.process_resources() == {"memory": 2}
    assert made.batchable is False


def test_luigi_runs_a_task_after_what_it_requires(store: StateStore, folder: str) -> None:
    assert build([as_luigi(Sum(folder=folder, upto=4), store=store)])

    assert Path(folder, "Sum-4").read_text() == "14"
    assert store.counts() == {Status.SUCCEEDED: 5}
    row = store.query(Sum(folder=folder, upto=4)).one()
    assert (row.attempt, row.status) == (1, Status.SUCCEEDED)
    assert row.duration is not None


def test_what_a_template_needs_is_done_too_and_is_no_input(store: StateStore, folder: str) -> None:
    task = Templated(folder=folder, number=3)

    made = as_luigi(task, store=store)
    assert [needed.wrapped.number for needed in made.deps()] == [1, 2]
    assert made.input() == task.input() == Square(folder=folder, number=2).output()

    assert build([made])
    assert store.counts() == {Status.SUCCEEDED: 3}


def test_luigi_runs_a_batch_as_one_task(store: StateStore, folder: str) -> None:
    batch = Square(folder=folder, number=[1, 2, 3])

    assert build([as_luigi(batch, store=store)])

    assert store.status(batch) is Status.SUCCEEDED
    assert store.counts() == {Status.SUCCEEDED: 3}


def test_a_batch_beyond_its_limit_is_done_in_parts(store: StateStore, folder: str) -> None:
    batch = Heavy(folder=folder, number=range(10))

    made = as_luigi(batch.clone(), store=store)
    assert [part.wrapped.get_batch_size() for part in made.requires()] == [4, 4, 2]

    tasks = [as_luigi(Square(folder=folder, number=list(range(3))), store=store)]
    assert build(tasks)


def test_the_parts_of_a_batch_are_done_and_the_batch_follows(store: StateStore, folder: str) -> None:
    batch = Parted(folder=folder, number=range(5))

    assert build([as_luigi(batch, store=store)])

    assert store.status(batch) is Status.SUCCEEDED
    assert store.counts() == {Status.SUCCEEDED: 5}
    assert [store.status(part) for part in batch.split()] == [Status.SUCCEEDED] * 3


def test_a_task_of_luigis_is_pickled_for_processes_that_are_not_forked(store: StateStore, folder: str) -> None:
    task = as_luigi(Secretive(folder=folder, number=5, token="s3cret"), store=store)
    program = (
        "import pickle, sys, luigi; sys.exit(not luigi.build([pickle.load(sys.stdin.buffer)], local_scheduler=True))"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], input=pickle.dumps(task), capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr.decode()
    assert Path(folder, "Secretive-5").read_text().startswith("s3cret ")
    assert store.counts() == {Status.SUCCEEDED: 2}


def test_another_process_makes_a_task_of_what_the_server_knows_or_says_why_not(store: StateStore, folder: str) -> None:
    told = as_luigi(Square(folder=folder, number=5), store=store).to_str_params()

    assert build([AstraTask.from_str_params(json.loads(json.dumps(told)))])
    assert store.counts() == {Status.SUCCEEDED: 1}
    with pytest.raises(BadValue, match="has private parameters"):
        AstraTask.from_str_params({**told, "identity": "Square_of_somebody"})


def test_a_failure_reaches_the_store_and_the_handlers(store: StateStore, folder: str) -> None:
    seen: list[str] = []

    class Told(Failing):
        pass

    @Told.event_handler("event.core.failure")
    def tell(task: Told, error: BaseException) -> None:
        seen.append(f"{type(task).__name__} {error}")

    Path(folder, "fail-1").write_text("5")
    task = Told(folder=folder, number=1)

    assert not build([as_luigi(task, store=store)])

    row = store.query(task).one()
    assert (row.status, row.error_type, row.error_message) == (Status.FAILED, "ValueError", "no light for 1")
    assert "Traceback" in (row.traceback or "")
    assert set(seen) == {"Told no light for 1"}


def test_a_task_that_cannot_tell_what_it_requires_is_broken(store: StateStore, folder: str) -> None:
    task = Confused(folder=folder, number=1)

    build([as_luigi(task, store=store)])
    build([as_luigi(task, store=store)])

    row = store.query(task).one()
    assert (row.status, row.error_message) == (Status.BROKEN, "what?")


def test_what_a_task_yields_is_run_by_luigi(store: StateStore, folder: str) -> None:
    assert build([as_luigi(Asking(folder=folder, number=4), store=store)])

    assert Path(folder, "Asking-4").read_text().startswith("25 ")
    assert store.counts() == {Status.SUCCEEDED: 2}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_whose_yielded_requirement_failed_is_there_to_be_done(
    store: StateStore, folder: str, workers: int
) -> None:
    """It does not run any more, and nobody else is at it: whoever comes next may have it."""
    Path(folder, "fail-4").write_text("1")
    task = Demanding(folder=folder, number=4, wanted="Failing")

    assert not build([as_luigi(task, store=store)], workers=workers)

    assert store.counts() == {Status.CREATED: 1, Status.FAILED: 1}
    assert run(task, store=store).ok
    assert Path(folder, "Demanding-4").read_text() == "had Failing-4"


def test_a_task_that_fails_where_it_yields_has_failed(store: StateStore, folder: str) -> None:
    task = Demanding(folder=folder, number=4, wanted="Unsure")

    build([as_luigi(task, store=store)])

    row = store.query(task).one()
    assert (row.status, row.error_message) == (Status.FAILED, "who knows?")


def test_several_processes_of_luigi_write_to_one_store(store: StateStore, folder: str) -> None:
    tasks = [as_luigi(Square(folder=folder, number=i), store=store) for i in range(8)]

    assert build(tasks, workers=3)

    assert store.counts() == {Status.SUCCEEDED: 8}
    processes = {Path(folder, f"Square-{i}").read_text().split()[1] for i in range(8)}
    assert len(processes) > 1


class Server:
    """luigi's own server, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "luigi-state.pickle"
        # Another program may be quicker to take the port.
        assert any(self._starts() for _ in range(5)), "luigi's server does not start"

    def _starts(self) -> bool:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        program = "from luigi.cmdline import luigid; luigid()"
        command = [sys.executable, "-c", program, "--port", str(self.port), "--address", "127.0.0.1"]
        self._process = subprocess.Popen(
            [*command, "--state-path", str(self.state)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        while self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.1)
        return False

    def build(self, tasks: list[luigi.Task], **options: object) -> bool:
        return build(tasks, local_scheduler=False, scheduler_host="127.0.0.1", scheduler_port=self.port, **options)

    def knows(self) -> bytes:
        """Stop, and return all that the server has been told."""
        self.stop()
        return self.state.read_bytes()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


def test_luigis_server_hands_our_tasks_out(store: StateStore, folder: str, luigid: Server) -> None:
    assert luigid.build([as_luigi(Sum(folder=folder, upto=3), store=store)])

    assert store.counts() == {Status.SUCCEEDED: 4}


@pytest.mark.parametrize("workers", [1, 2])
def test_luigis_server_is_told_no_secret(folder: str, luigid: Server, workers: int) -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/states?password=s3cret"

    with StateStore(url, patience=0.1) as unreachable:
        task = as_luigi(Secretive(folder=folder, number=4, token="s3cret"), store=unreachable)
        assert not luigid.build([task], workers=workers)
    assert luigid.build([as_luigi(Secretive(folder=folder, number=5, token="s3cret"))], workers=workers)

    assert Path(folder, "Secretive-5").read_text().startswith("s3cret 26 ")
    told = luigid.knows()
    assert task.task_id.encode() in told
    assert task.database == "postgresql+psycopg://me@127.0.0.1:1/states", "where another process finds it"
    assert b"cannot" in told, "why it failed"
    assert b"s3cret" not in told


def test_what_differs_in_private_only_is_run_as_it_was_given(store: StateStore, folder: str) -> None:
    for token in ("first", "second"):
        assert build([as_luigi(Secretive(folder=folder, number=5, token=token), store=store)])
        assert Path(folder, "Secretive-5").read_text().startswith(f"{token} ")
        Path(folder, "Secretive-5").unlink()


def test_a_database_in_memory_is_the_one_that_was_given(folder: str) -> None:
    with StateStore("sqlite://") as one, StateStore("sqlite://") as other:
        assert build([as_luigi(Square(folder=folder, number=1), store=one)])
        assert build([as_luigi(Square(folder=folder, number=2), store=other)])

        assert one.counts() == other.counts() == {Status.SUCCEEDED: 1}
        assert other.query(Square(folder=folder, number=2)).one().status is Status.SUCCEEDED


@pytest.fixture
def heard() -> Iterator[list[tuple[object, ...]]]:
    """All events of Square and what is made of it, as handlers are told them."""
    told: list[tuple[object, ...]] = []
    handlers = {event: lambda *args, event=event: told.append((event.name, *args)) for event in EventName}
    for event, handler in handlers.items():
        Task.event_handler(event)(handler)
    yield told
    for event, handler in handlers.items():
        Task.remove_event_handler(event, handler)


def test_handlers_get_the_arguments_that_luigi_sends_and_our_own_tasks(
    store: StateStore, folder: str, heard: list[tuple[object, ...]]
) -> None:
    total = Sum(folder=folder, upto=2)
    needed = [Square(folder=folder, number=n) for n in range(2)]
    needed[0].run()

    assert build([as_luigi(total, store=store)])

    assert [event for event in heard if event[0] != "PROCESSING_TIME"] == [
        ("DEPENDENCY_DISCOVERED", total, needed[0]), ("DEPENDENCY_DISCOVERED", total, needed[1]),
        ("DEPENDENCY_PRESENT", needed[0]), ("START", needed[1]), ("SUCCESS", needed[1]), ("START", total),
        ("SUCCESS", total),
    ]  # fmt: skip
    assert [(event[1], type(event[2])) for event in heard if event[0] == "PROCESSING_TIME"] == [
        (needed[1], float), (total, float),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "event", "status", "message"),
    [
        (Slow, "TIMEOUT", Status.DIED, "timed out after 1 seconds"),
        (Mortal, "PROCESS_FAILURE", Status.DIED, "died unexpectedly with exit code -9"),
        (Confused, "BROKEN_TASK", Status.BROKEN, "what?"),
        (Unsure, "DEPENDENCY_MISSING", Status.MISSING, None),
    ],
)
def test_what_ends_otherwise_has_luigis_event_and_its_state(
    store: StateStore, folder: str, heard: list[tuple[object, ...]], kind: type[Square], event: str, status: Status,
    message: str | None,
) -> None:  # fmt: skip
    task = kind(folder=folder, number=1)

    assert not build([as_luigi(task, store=store)], workers=2)

    ends = [told for told in heard if told[0] == event]
    assert [told[1] for told in ends] == [task]
    row = store.query(task).one()
    assert row.status is status
    assert (message or "") in (row.error_message or "")
    assert len(ends[0]) == (2 if message is None else 3)


def test_luigi_goes_by_the_settings_of_a_task(store: StateStore, folder: str) -> None:
    tasks = [kind(folder=folder, number=1) for kind in (Square, Idle, Urgent)]

    build([as_luigi(task, store=store) for task in tasks])

    assert Path(folder, "log").read_text().split("\n")[:2] == ["Urgent 1", "Square 1"]
    assert not tasks[1].complete()
    assert as_luigi(Heavy(folder=folder, number=1))._owner_list() == ["one@example.org", "two@example.org"]


def test_a_running_task_can_tell_luigi_how_far_it_is(store: StateStore, folder: str, luigid: Server) -> None:
    task = Telling(folder=folder, number=1)
    assert luigid.build([as_luigi(task, store=store)])

    assert b"half of 1 done" in luigid.knows()
    assert task.set_status_message is None, "nothing is lent when luigi does not run it"


def test_tasks_that_differ_in_how_they_are_done_only_are_one_for_luigi(folder: str) -> None:
    one, other = (as_luigi(Secretive(folder=folder, number=1, aside=aside)) for aside in ("x", "y"))

    assert one is not other
    assert one == other
    assert len({one, other}) == 1


def test_a_missing_file_never_becomes_a_success(store: StateStore, tmp_path: Path) -> None:
    with override(sas_base_dir=str(tmp_path)):
        star = registry.create("apStar", release="dr17", telescope="apo25m", field="000+02", obj="2M17335483-2753043")
        for task in (star, star.clone(obj=["2M17335483-2753043", "2M17335483-2753044"])):
            assert not build([as_luigi(task, store=store)])
            assert store.status(task) is Status.FAILED
    assert store.counts() == {Status.FAILED: 2}
