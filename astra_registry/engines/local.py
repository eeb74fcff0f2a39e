"""Threads of this process as workers."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from astra_registry.engines.work import Done, perform


class Threads:
    """As many threads as one asks for: enough where the work waits for files and servers, or computes in numpy.

    After Ctrl-C nobody waits for them: a task may take hours, and a thread cannot be told to stop. Those of the
    standard library's pool keep a process from ending, so these are our own.
    """

    chunk = 1

    def __init__(self, workers: int) -> None:
        self.width = workers
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._given_up = threading.Event()

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._given_up.set()
        for _ in self._threads:
            self._waiting.put(None)
        if error is None:
            for thread in self._threads:
                thread.join()

    def submit(self, tasks: list[Any]) -> Future[list[Done]]:
        """Take tasks, to be run one after the other in one thread."""
        future: Future[list[Done]] = Future()
        # What is set for the caller (`settings.override`) holds for its work too.
        context = contextvars.copy_context()
        self._waiting.put(lambda: context.run(_work, tasks, future))
        if len(self._threads) < self.width:
            name = f"astra-registry-run-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._take, name=name, daemon=True))
            self._threads[-1].start()
        return future

    def _take(self) -> None:
        while (work := self._waiting.get()) is not None and not self._given_up.is_set():
            work()


def _work(tasks: list[Any], future: Future[list[Done]]) -> None:
    try:
        future.set_result([perform(task) for task in tasks])
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result is told
        future.set_exception(error)
