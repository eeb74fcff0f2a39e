"""Engines that exist: threads of this machine, Dask and luigi; the same run, the same events, the same claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from astra_registry.errors import InvalidParameter

if TYPE_CHECKING:
    from astra_registry.engines.report import Outcome, Report
    from astra_registry.store import StateStore
    from astra_registry.task.events import Event

__all__ = ["Outcome", "Report", "run"]


def run(
    tasks: Any | Iterable[Any],
    *,
    workers: int = 1,
    client: Any = None,
    store: StateStore | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Report:
    """Run tasks with all that they require and return one outcome a task, in order; a batch stands for its members.

    What is complete is skipped, what somebody else is at is left to them, what fails is reported and never raised;
    what requires it is MISSING then. Tasks of higher ``priority`` come first, ``disabled`` ones do not, and a
    ``retry_count`` of n allows n failures, with waits of 1 s, doubling (the setting ``retry_wait``). Ctrl-C ends the
    run at once: what is under way is for those who come next, and in a process that lives on, what runs already runs to
    its end all the same. What a task yields while it runs is done in its place, with what that requires, and
    recorded as a part of the task.

    Parameters
    ----------
    tasks
        A task, a batch, or any number of both.
    workers
        How many threads of this process work.
    client
        A ``distributed.Client``, whose workers work instead.
    store
        Where states are kept; by default the store of the settings.
    on_event
        Called with each :class:`~astra_registry.task.events.Event`, after the handlers.

    """
    from astra_registry.engines.loop import run_plan
    from astra_registry.task.states import opened

    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InvalidParameter(f"the number of workers is a whole number from 1 on, not {workers!r}")
    if client is not None:
        from astra_registry.engines.dask import Cluster

        return run_plan(tasks, lambda number: Cluster(client, number), opened(store), on_event)
    from astra_registry.engines.local import Threads

    with Threads(workers) as pool:
        return run_plan(tasks, lambda number: pool, opened(store), on_event)


def __getattr__(name: str) -> Any:
    if name in ("Outcome", "Report"):
        from astra_registry.engines import report

        return getattr(report, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
