"""The loop of all our engines: what may begin is claimed, handed out, and its end recorded; few write, many work."""

from __future__ import annotations

import functools
import logging
import queue
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from astra_registry.engines.plan import Node, Plan
from astra_registry.engines.report import Outcome, Report
from astra_registry.engines.work import Done
from astra_registry.errors import InvalidParameter
from astra_registry.settings import setting
from astra_registry.store import StateStore, Status
from astra_registry.task import Task
from astra_registry.task.events import Event, EventName

_log = logging.getLogger(__name__)

#: For how many seconds of work tasks are claimed ahead: the store is asked seldom, and others find something to do too.
AHEAD = 1.0
#: How many tasks one claims at once, at most, unless they go out in larger chunks.
MOST = 500


class Future(Protocol):
    """What a pool gives for work that it has taken."""

    def result(self) -> list[Done]:
        """Return how the tasks ended, in order; raise when nobody can tell."""
        ...

    def add_done_callback(self, function: Callable[[Any], object], /) -> object:
        """Have the function called when the work is done."""
        ...


class Pool(Protocol):
    """Where the work is done."""

    #: How many tasks run at once.
    width: int
    #: Tasks handed out together, at most.
    chunk: int

    def submit(self, tasks: list[Any]) -> Future:
        """Take tasks that are alike in priority and resources, and begin them when there is room."""
        ...


def run_plan(
    tasks: Iterable[Any], pool: Callable[[int], Pool], store: StateStore, on_event: Callable[[Event], object] | None
) -> Report:
    """Run tasks, with what they require, in a pool that is made for their number, and report how each ended."""
    plan = Plan(_recorded(tasks, store))
    run = _Run(plan, store, on_event)
    run.prepare()
    if len(plan):
        run.work(pool(len(plan.waiting())))
    return Report(tuple(node.outcome or _lost(node) for node in plan.order))


def _recorded(tasks: Iterable[Any], store: StateStore) -> list[Any]:
    """Return the single tasks of what was given, members of batches among them; batches get their rows."""
    try:
        given: list[Any] = [tasks] if isinstance(tasks, Task) else list(tasks)
    except TypeError:
        raise InvalidParameter(f"what is run is a task, a batch or any number of them, not {tasks!r}") from None
    members: list[Any] = []
    for item in given:
        if not isinstance(item, Task):
            raise InvalidParameter(f"what is run is a task, a batch or any number of them, and {item!r} is none")
        if item.is_batch_mode:
            store.create(item)
            members += item.get_batch_tasks()
        else:
            members.append(item)
    return members


def _lost(node: Node) -> Outcome:
    return Outcome(node.task, Status.CREATED, "it was not begun", attempts=node.attempts)


class _Run:
    def __init__(self, plan: Plan, store: StateStore, on_event: Callable[[Event], object] | None) -> None:
        self._plan = plan
        self._store = store
        self._on_event = on_event
        self._ended: queue.SimpleQueue[tuple[list[Node], Any]] = queue.SimpleQueue()
        self._again: list[tuple[float, Node]] = []
        self._pace: float | None = None  # seconds that a task takes, as far as one knows

    def prepare(self) -> None:
        """Record the tasks, tell those that were complete, and find out which are done as far as the store knows."""
        plan, store = self._plan, self._store
        waiting = plan.waiting()
        broken = [node for node in plan.nodes.values() if node.outcome and node.outcome.status is Status.BROKEN]
        recorded = list(dict.fromkeys([*waiting, *broken, *plan.order]))
        store.create_all([node.task for node in recorded])
        if len(waiting) < len(recorded):
            store.skip([node.task for node in plan.order if node.outcome and node.outcome.status is Status.SKIPPED])
        known = store.standing([node.task for node in recorded])
        for node in recorded:
            status, attempts = known.get(node.task.task_id, (Status.CREATED, 0))
            node.begun = -1 if status is Status.RUNNING else attempts
        done: list[Node] = []
        for node in waiting:
            status, _ = known.get(node.task.task_id, (Status.CREATED, 0))
            if node.is_disabled:
                node.outcome = Outcome(node.task, Status.SKIPPED, "it is disabled")
            elif status is not Status.SUCCEEDED:
                continue
            elif plan.makes_something(node):
                done.append(node)
            elif node.outcome is None:
                # What makes no file tells by its state alone that it is done.
                node.outcome = Outcome(node.task, Status.SKIPPED)
        # Another run may have made the files since they were looked for.
        plan.skip_complete(done)
        for node in waiting:
            if node.outcome is not None and not node.is_disabled:
                for above in node.frees:
                    above.waits_for.discard(node.task.task_id)
        plan.begin()
        for node in plan.nodes.values():
            if node.outcome is not None and node.outcome.status in (Status.BROKEN, Status.MISSING):
                self._settle(node, node.outcome)

    def work(self, pool: Pool) -> None:
        """Hand tasks out until none is left."""
        busy = 0
        try:
            while busy or len(self._plan) or self._again:
                self._wake()
                busy += self._hand_out(pool, busy)
                if busy or self._again:
                    busy -= self._collect()
        except BaseException:
            # Interrupted: what was claimed and has not ended returns to those who come next.
            self._store.give_back()
            raise

    def _wake(self) -> None:
        now = time.monotonic()
        for due, node in [item for item in self._again if item[0] <= now]:
            self._again.remove((due, node))
            self._plan.make_ready(node)

    def _hand_out(self, pool: Pool, busy: int) -> int:
        enough = 2 * pool.width
        if self._pace is not None:
            enough = max(enough, min(MOST, int(pool.width * AHEAD / max(self._pace, 1e-6))))
        if busy > enough // 2:
            return 0
        nodes = list(self._plan.take(enough - busy))
        if not nodes:
            return 0
        got = self._store.claim_these({node.task.task_id: node.begun for node in nodes})
        mine = [node for node in nodes if node.task.task_id in got]
        self._leave([node for node in nodes if node.task.task_id not in got])
        for node in mine:
            node.attempts += 1
            node.begun = got[node.task.task_id]
            self._tell(node, EventName.START, "", node.task)
        for chunk in _alike(mine, pool.chunk):
            future = pool.submit([node.task for node in chunk])
            future.add_done_callback(functools.partial(self._note, chunk))
        return len(mine)

    def _leave(self, nodes: list[Node]) -> None:
        """Leave tasks to those who are at them, or have been since one looked; what they did is done."""
        if not nodes:
            return
        standing = self._store.standing([node.task for node in nodes])
        for node in nodes:
            status, _ = standing.get(node.task.task_id, (Status.RUNNING, 0))
            if status in (Status.SUCCEEDED, Status.SKIPPED):
                self._end(node, Outcome(node.task, Status.SKIPPED))
            elif status.is_failure:
                self._end(node, Outcome(node.task, status, f"it is {status.name.lower()} since another run tried it"))
            else:
                self._end(node, Outcome(node.task, Status.RUNNING, "somebody else is at it"))

    def _note(self, chunk: list[Node], future: Any) -> None:
        self._ended.put((chunk, future))

    def _collect(self) -> int:
        """Wait for work to end, record it, and return how many tasks that were."""
        wait = min((due for due, _ in self._again), default=float("inf")) - time.monotonic()
        ended: list[tuple[Node, Done]] = []
        try:
            chunk, future = self._ended.get(timeout=None if wait == float("inf") else max(wait, 0.0))
            ended += _results(chunk, future)
            while True:
                ended += _results(*self._ended.get_nowait())
        except queue.Empty:
            pass
        self._store.finish_claimed([(done.task_id, done.as_state()) for _, done in ended])
        for node, done in ended:
            self._pace = done.duration if self._pace is None else 0.9 * self._pace + 0.1 * done.duration
            self._ended_with(node, done)
        return len(ended)

    def _ended_with(self, node: Node, done: Done) -> None:
        outcome = Outcome(node.task, done.status, done.error, done.duration, node.attempts, done.traceback)
        if done.status is Status.SUCCEEDED:
            self._tell(node, EventName.PROCESSING_TIME, f"{done.duration} s", node.task, done.duration)
            self._tell(node, EventName.SUCCESS, "", node.task)
            self._end(node, outcome)
            return
        event = EventName.PROCESS_FAILURE if done.status is Status.DIED else EventName.FAILURE
        self._tell(node, event, done.error or "", node.task, done.exception or done.error)
        node.failures += 1
        if node.failures <= node.retries:
            wait = float(setting("retry_wait")) * 2 ** (node.failures - 1)
            self._again.append((time.monotonic() + wait, node))
        else:
            self._end(node, outcome)

    def _end(self, node: Node, outcome: Outcome) -> None:
        for missing in self._plan.end(node, outcome):
            if missing.outcome is not None:
                self._settle(missing, missing.outcome)

    def _settle(self, node: Node, outcome: Outcome) -> None:
        """Record a task that was never begun, broken or without what it requires, unless somebody else is at it."""
        if self._store.claim_these({node.task.task_id: node.begun}):
            state = {"status_code": outcome.status, "error_message": outcome.error, "traceback": outcome.traceback}
            self._store.finish_claimed([(node.task.task_id, state)])
        if outcome.status is Status.BROKEN:
            self._tell(node, EventName.BROKEN_TASK, outcome.error or "", node.task, outcome.error)
        else:
            self._tell(node, EventName.DEPENDENCY_MISSING, outcome.error or "", node.task)

    def _tell(self, node: Node, name: EventName, detail: str, *arguments: Any) -> None:
        event = node.task._announce(str(name), detail, *arguments)
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:  # noqa: BLE001 - as of any handler: the tasks go on
                _log.exception("the function for events failed for %r", node.task)


def _alike(nodes: list[Node], size: int) -> Iterable[list[Node]]:
    """Yield the nodes in parts of at most that size, each of one priority and with the same resources."""
    groups: dict[tuple[float, tuple[tuple[str, float], ...]], list[Node]] = {}
    for node in nodes:
        groups.setdefault((node.priority, node.resources), []).append(node)
    for group in groups.values():
        for first in range(0, len(group), size):
            yield group[first : first + size]


def _results(chunk: list[Node], future: Any) -> list[tuple[Node, Done]]:
    try:
        return list(zip(chunk, future.result(), strict=True))
    except Exception as error:  # noqa: BLE001 - the pool lost them, whatever it says
        kind, message = type(error).__qualname__, str(error)
        return [(node, Done(node.task.task_id, Status.DIED, 0.0, kind, message)) for node in chunk]
