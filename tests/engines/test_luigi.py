"""luigi runs our tasks, on this machine and with its server, and our store knows what happened."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from astra_registry import StateStore, Status
from astra_registry.engines.luigi import as_luigi, luigi
from engines.work import Asking, Confused, Failing, Heavy, Square, Sum


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


def test_several_processes_of_luigi_write_to_one_store(store: StateStore, folder: str) -> None:
    tasks = [as_luigi(Square(folder=folder, number=i), store=store) for i in range(8)]

    assert build(tasks, workers=3)

    assert store.counts() == {Status.SUCCEEDED: 8}
    processes = {Path(folder, f"Square-{i}").read_text().split()[1] for i in range(8)}
    assert len(processes) > 1


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[int]:
    """luigi's own server, on a port of its own."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "luigi.cmdline", "--port", str(port), "--address", "127.0.0.1"]
    program = "from luigi.cmdline import luigid; luigid()"
    command = [sys.executable, "-c", program, "--port", str(port), "--address", "127.0.0.1"]
    command += ["--state-path", str(tmp_path / "luigi-state.pickle")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield port
    process.terminate()
    process.wait()


def test_luigis_server_hands_our_tasks_out(store: StateStore, folder: str, luigid: int) -> None:
    task = Sum(folder=folder, upto=3)

    assert build(
        [as_luigi(task, store=store)],
        local_scheduler=False,
        scheduler_host="127.0.0.1",
        scheduler_port=luigid,
    )

    assert store.counts() == {Status.SUCCEEDED: 4}
