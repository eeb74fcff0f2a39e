"""The workers of a Dask cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from astra_registry.engines.work import Done, perform_all
from astra_registry.errors import InvalidParameter, MissingExtra

#: Tasks that one future stands for, at most: a scheduler is calm with thousands of futures, not with many more.
MOST = 1000


class Cluster:
    """The workers that a ``distributed.Client`` is connected to.

    A worker that dies has its tasks done by others, by Dask itself; priority and resources are Dask's own.
    """

    def __init__(self, client: Any, number: int) -> None:
        try:
            import distributed
        except ModuleNotFoundError:
            raise MissingExtra("a Dask cluster", "dask") from None
        if not isinstance(client, distributed.Client):
            raise InvalidParameter(f"client is a distributed.Client, not {type(client).__name__}")
        if client.status in ("closing", "closed"):
            raise InvalidParameter("client is closed: it is connected to no cluster any more")
        self._client = client
        workers = max(sum(client.nthreads().values()), 1)
        # A few chunks for each worker, so that none is idle long while the last one ends.
        self.chunk = max(1, min(MOST, math.ceil(number / (8 * workers))))
        self.width = workers * self.chunk

    def submit(self, tasks: list[Any]) -> _Future:
        """Take tasks of one priority and with the same resources, to be run one after the other by one worker."""
        resources = dict(tasks[0].process_resources())
        future = self._client.submit(
            perform_all, tasks, pure=False, priority=tasks[0].priority, resources=resources or None
        )
        return _Future(future)


class _Future:
    """A future of Dask that stays referred to until its result was taken: else Dask forgets it."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def result(self) -> list[Done]:
        found: list[Done] = self._future.result()
        return found

    def add_done_callback(self, function: Callable[[Any], object], /) -> None:
        self._future.add_done_callback(lambda _: function(self))
