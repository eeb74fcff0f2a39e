"""What became of tasks that were run: one outcome a task, in the order in which they were given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import attrs

from astra_registry import notebook
from astra_registry.errors import AstraRegistryError
from astra_registry.store.states import Status

if TYPE_CHECKING:
    from astropy.table import Table


@attrs.frozen
class Outcome:
    """What became of one task.

    ``status`` is SKIPPED for one that was complete already, MISSING when what it requires could not be had, RUNNING
    when somebody else is at it. ``duration`` is in seconds, of the last attempt; ``attempts`` counts those of this run.
    """

    task: Any
    status: Status
    error: str | None = None
    duration: float | None = None
    attempts: int = 0
    traceback: str | None = attrs.field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the task is done: now, or before."""
        return self.status in (Status.SUCCEEDED, Status.SKIPPED)

    def _repr_html_(self) -> str:
        return notebook.of_outcome(self)


@attrs.frozen(eq=False)
class Report(Sequence[Outcome]):
    """The outcomes of a run."""

    outcomes: tuple[Outcome, ...]

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Outcome]: ...
    def __getitem__(self, index: int | slice) -> Outcome | Sequence[Outcome]:
        return self.outcomes[index]

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __repr__(self) -> str:
        counted = ", ".join(f"{number} {status.name.lower()}" for status, number in sorted(self.counts().items()))
        return f"<Report of {len(self)} tasks: {counted}>" if self.outcomes else "<Report of no task>"

    def _repr_html_(self) -> str:
        return notebook.of_run(self)

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes of tasks that are not done."""
        return [outcome for outcome in self.outcomes if not outcome.ok]

    @property
    def ok(self) -> bool:
        """Whether every task is done."""
        return not self.failed

    def counts(self) -> Counter[Status]:
        """Return how many tasks ended in each state."""
        return Counter(outcome.status for outcome in self.outcomes)

    def to_table(self) -> Table:
        """Return the outcomes as an astropy Table, one row a task."""
        from astra_registry.tables import as_table

        columns = {
            "task_id": [outcome.task.task_id for outcome in self.outcomes],
            "family": [outcome.task.task_family for outcome in self.outcomes],
            "status": [outcome.status.name.lower() for outcome in self.outcomes],
            "duration": [outcome.duration for outcome in self.outcomes],
            "attempts": [outcome.attempts for outcome in self.outcomes],
            "error": [outcome.error for outcome in self.outcomes],
        }
        descriptions = {
            "task_id": "The identifier of the task.",
            "family": "The name of its class.",
            "status": "The state that it is in.",
            "duration": "How long its last attempt took.",
            "attempts": "How many times this run started it.",
            "error": "Why it is not done.",
        }
        return as_table(columns, units={"duration": "s"}, descriptions=descriptions)

    def raise_for_failures(self) -> Report:
        """Return the report when every task is done; else raise an AstraRegistryError that names the first failure."""
        if failed := self.failed:
            first = failed[0]
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            reason = f": {first.error}" if first.error else ""
            raise AstraRegistryError(f"{first.task.task_id}{more} is {first.status.name.lower()}{reason}")
        return self
