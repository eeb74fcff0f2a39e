"""To do one task's work, in whatever thread or process; nothing here knows the store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator
from typing import Any

import attrs

from astra_registry.errors import FileMissing
from astra_registry.store.states import Status
from astra_registry.task.life import flatten

#: What the code of a task may raise where we ask it something; Ctrl-C is not its own.
FAULTS = (Exception, SystemExit)


@attrs.frozen
class Done:
    """How one attempt at a task ended; small, and always picklable."""

    task_id: str
    status: Status
    duration: float
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None
    #: Kept for the handlers of this process; one that cannot be pickled does not come back from another.
    exception: BaseException | None = None

    @property
    def error(self) -> str | None:
        """The error in one line."""
        if self.error_type is None:
            return None
        lines = (self.error_message or "").splitlines()
        return f"{self.error_type}: {lines[0]}" if lines else self.error_type

    def as_state(self) -> dict[str, object]:
        """Return the columns of the store."""
        names = ("duration", "error_type", "error_message", "traceback")
        return {"status_code": self.status, **{name: getattr(self, name) for name in names}}


def perform(task: Any) -> Done:
    """Run a task, and what it asks for while it runs, and return how that ended; never raises for its failure."""
    began = time.perf_counter()
    try:
        _drive(task)
        task.on_success()
    except BaseException as error:  # noqa: BLE001 - whatever the task raises is its result; Ctrl-C reaches the main thread
        return failed(task, error, time.perf_counter() - began)
    return Done(task.task_id, Status.SUCCEEDED, time.perf_counter() - began)


def perform_all(tasks: list[Any]) -> list[Done]:
    """Run tasks one after the other, elsewhere than where they came from."""
    return [attrs.evolve(perform(task), exception=None) for task in tasks]


def failed(task: Any, error: BaseException, duration: float, status: Status = Status.FAILED) -> Done:
    """Return how a task ended that raised an error, with the report that its ``on_failure`` makes."""
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001
        message = f"(no message: {type(second).__name__} in __str__)"
    try:
        report = task.on_failure(error)
    except FAULTS:  # a report that cannot be written must not hide the failure itself
        report = "".join(traceback.format_exception(error))
    return Done(
        task.task_id,
        status,
        duration,
        type(error).__qualname__,
        message,
        report if isinstance(report, str) else None,
        error,
    )


def _drive(task: Any, above: frozenset[str] = frozenset()) -> None:
    """Run a task; when it yields requirements, as in luigi, see to them and send it their outputs."""
    running = task.run()
    if not isinstance(running, Generator):
        return
    answer: Any = None
    while True:
        try:
            wanted = running.send(answer)
        except StopIteration:
            return
        for requirement in flatten(wanted):
            _see_to(requirement, above | {task.task_id})
        answer = _outputs(wanted)


def _see_to(requirement: Any, above: frozenset[str]) -> None:
    """Run a requirement that is not complete, after what it requires itself; ``above`` are the tasks it is for."""
    if requirement.complete():
        return
    if requirement.disabled:
        raise FileMissing(f"{requirement.task_id} is required, and neither complete nor to be run: it is disabled")
    if requirement.task_id in above:
        raise FileMissing(f"{requirement.task_id} requires itself, by way of what it requires")
    for needed in requirement.deps():
        _see_to(needed, above | {requirement.task_id})
    _drive(requirement, above)


def _outputs(wanted: Any) -> Any:
    if isinstance(wanted, dict):
        return {key: _outputs(item) for key, item in wanted.items()}
    if isinstance(wanted, (list, tuple)):
        return [_outputs(item) for item in wanted]
    return wanted.output()
