"""Which tasks there are to do, what each waits for, and which may begin."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from astra_registry.engines.report import Outcome
from astra_registry.engines.work import FAULTS, failed
from astra_registry.store.states import Status
from astra_registry.task.life import flatten


@attrs.define(eq=False)
class Node:
    """A task of the plan."""

    task: Any
    waits_for: set[str] = attrs.field(factory=set)
    frees: list[Node] = attrs.field(factory=list)
    failures: int = 0
    attempts: int = 0
    #: How often it had been begun, by whomever, when it was last looked at; -1 while somebody is at it.
    begun: int = 0
    outcome: Outcome | None = None
    priority: float = 0.0
    retries: int = 0
    resources: tuple[tuple[str, float], ...] = ()
    is_disabled: bool = False

    def note_settings(self) -> None:
        """Ask the task for its settings for a scheduler; raises whatever one of them raises, or is."""
        self.priority = float(self.task.priority)
        self.retries = int(self.task.retry_count or 0)
        self.resources = tuple(sorted(self.task.process_resources().items()))
        self.is_disabled = bool(self.task.disabled)


class Plan:
    """The tasks of a run with all that they require, each once, and in which order they may begin."""

    def __init__(self, tasks: Iterable[Any]) -> None:
        self.order: list[Node] = []  # as they were given, doubles kept
        self.nodes: dict[str, Node] = {}
        self._ready: list[tuple[float, int, Node]] = []
        self._serial = itertools.count()
        self._look_through([self._node(task) for task in tasks])

    def _node(self, task: Any) -> Node:
        node = self.nodes.get(task.task_id)
        if node is None:
            node = self.nodes[task.task_id] = Node(task)
        self.order.append(node)
        return node

    def _look_through(self, level: list[Node]) -> None:
        """Find out what is complete, and what the rest requires, level by level."""
        level = list(dict.fromkeys(level))
        seen = {node.task.task_id for node in level}
        while level:
            self.skip_complete(level)
            below: dict[str, Node] = {}
            for node in level:
                if node.outcome is not None:
                    continue
                try:
                    node.note_settings()
                    required = list(_members(node.task.deps()))
                except FAULTS as error:  # a task whose requirements or settings cannot be told is broken
                    self.refuse(node, error)
                    continue
                for task in required:
                    lower = self.nodes.setdefault(task.task_id, Node(task))
                    if task.task_id not in node.waits_for:
                        node.waits_for.add(task.task_id)
                        lower.frees.append(node)
                    if task.task_id not in seen:
                        seen.add(task.task_id)
                        below[task.task_id] = lower
            level = list(below.values())
        for node in self.nodes.values():
            node.waits_for = {task_id for task_id in node.waits_for if not self._is_done(self.nodes[task_id])}
        self._refuse_cycles()

    def skip_complete(self, level: list[Node]) -> None:
        """Find out which of the tasks are complete: those have their outcome then."""
        by_class: dict[type, list[Node]] = {}
        for node in level:
            by_class.setdefault(type(node.task), []).append(node)
        for cls, nodes in by_class.items():
            try:
                complete = {task.task_id for task in cls.bulk_complete([n.task for n in nodes])}  # type: ignore[attr-defined]
            except FAULTS:  # one that cannot tell must not keep the others from telling
                complete = set()
                for node in nodes:
                    try:
                        complete |= {node.task.task_id} if node.task.complete() else set()
                    except FAULTS as error:
                        self.refuse(node, error)
            for node in nodes:
                if node.outcome is None and node.task.task_id in complete:
                    node.outcome = Outcome(node.task, Status.SKIPPED)

    def makes_something(self, node: Node) -> bool:
        """Whether a task has outputs; one that cannot tell is broken."""
        try:
            return bool(flatten(node.task.output()))
        except FAULTS as error:
            self.refuse(node, error)
            return False

    def refuse(self, node: Node, error: BaseException) -> None:
        """Note that a task is broken."""
        done = failed(node.task, error, 0.0, Status.BROKEN)
        node.outcome = Outcome(node.task, done.status, done.error, traceback=done.traceback)

    def _is_done(self, node: Node) -> bool:
        # One that is skipped for it is disabled was not done before.
        return node.outcome is not None and node.outcome.ok and not node.is_disabled

    def _refuse_cycles(self) -> None:
        left = {task_id: len(node.waits_for) for task_id, node in self.nodes.items()}
        free = [self.nodes[task_id] for task_id, number in left.items() if not number]
        while free:
            for node in free.pop().frees:
                left[node.task.task_id] -= 1
                if left[node.task.task_id] == 0:
                    free.append(node)
        for task_id, number in left.items():
            node = self.nodes[task_id]
            if number > 0 and node.outcome is None and self._reaches_itself(node):
                node.outcome = Outcome(node.task, Status.BROKEN, "it requires itself, by way of what it requires")

    def _reaches_itself(self, node: Node) -> bool:
        seen: set[str] = set()
        ahead = list(node.waits_for)
        while ahead:
            task_id = ahead.pop()
            if task_id == node.task.task_id:
                return True
            if task_id not in seen:
                seen.add(task_id)
                ahead += self.nodes[task_id].waits_for
        return False

    # -- while it runs -----------------------------------------------------------------------------------------------

    def waiting(self) -> list[Node]:
        """Return the tasks without an outcome."""
        return [node for node in self.nodes.values() if node.outcome is None]

    def begin(self) -> None:
        """Make ready what waits for nothing, and let fail what waits for what has failed already."""
        for node in list(self.nodes.values()):
            if node.outcome is not None and not self._is_done(node):
                self._spread(node)
        for node in self.nodes.values():
            if node.outcome is None and not node.waits_for:
                self.make_ready(node)

    def make_ready(self, node: Node) -> None:
        """Let a task begin: one of higher priority before others, else in the order in which they came."""
        heapq.heappush(self._ready, (-node.priority, next(self._serial), node))

    def take(self, number: int) -> Iterator[Node]:
        """Yield up to so many tasks that may begin."""
        for _ in range(min(number, len(self._ready))):
            yield heapq.heappop(self._ready)[2]

    def __len__(self) -> int:
        return len(self._ready)

    def end(self, node: Node, outcome: Outcome) -> list[Node]:
        """Note a task's outcome, make ready what waited for it alone; return those that cannot be done without it."""
        node.outcome = outcome
        if not outcome.ok:
            return self._spread(node)
        for above in node.frees:
            above.waits_for.discard(node.task.task_id)
            if above.outcome is None and not above.waits_for:
                self.make_ready(above)
        return []

    def _spread(self, node: Node) -> list[Node]:
        missing: list[Node] = []
        ahead = [(above, node) for above in node.frees]
        while ahead:
            above, below = ahead.pop()
            if above.outcome is None:
                became = "disabled" if below.is_disabled else below.outcome.status.name.lower() if below.outcome else ""
                reason = f"what it requires is {became or 'missing'}"
                above.outcome = Outcome(above.task, Status.MISSING, f"{reason}: {below.task.task_id}")
                missing.append(above)
                ahead += [(further, above) for further in above.frees]
        return missing


def _members(tasks: Iterable[Any]) -> Iterator[Any]:
    for task in tasks:
        if task.is_batch_mode:
            yield from task.get_batch_tasks()
        else:
            yield task
