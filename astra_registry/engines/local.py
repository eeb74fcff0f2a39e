"""Threads of this process as workers."""

from __future__ import annotations

import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from astra_registry.engines.work import Done, perform


class Threads:
    """As many threads as one asks for: enough where the work waits for files and servers, or computes in numpy."""

    chunk = 1

    def __init__(self, workers: int) -> None:
        self.width = workers
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="astra-registry-run")

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=error is not None)

    def submit(self, tasks: list[Any]) -> Future[list[Done]]:
        """Take tasks, to be run one after the other in one thread."""
        # What is set for the caller (`settings.override`) holds for its work too.
        context = contextvars.copy_context()
        return self._executor.submit(context.run, lambda: [perform(task) for task in tasks])
