"""Our tasks as luigi's: ``luigi.build`` and ``luigid`` run them, and what happens to them reaches our store."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import operator
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from astra_registry.errors import AstraRegistryError, BadValue, IllegalMove, MissingExtra, StoreError
from astra_registry.store import StateStore, Status
from astra_registry.store.failures import without_secrets
from astra_registry.store.record import find_class
from astra_registry.task.events import STATUS_AFTER, EventName
from astra_registry.task.life import LENT

try:
    with warnings.catch_warnings():
        # At its import luigi tells of an option of its own configuration, which is none of our users' business.
        warnings.simplefilter("ignore", DeprecationWarning)
        import luigi
    from luigi.parameter import ParameterVisibility
except ModuleNotFoundError:
    raise MissingExtra("to run tasks by luigi", "luigi") from None

_log = logging.getLogger(__name__)
_GIVEN: ContextVar[Any] = ContextVar("_GIVEN", default=None)
_STORES: dict[str, StateStore] = {}  # those that tasks of this process were given, by name

_IN_MEMORY = "memory-"

# Plain attributes of a task by which luigi's worker and scheduler go.
_SETTINGS = (
    "priority",
    "disabled",
    "worker_timeout",
    "retry_count",
    "disable_hard_timeout",
    "disable_window",
    "owner_email",
    "accepts_messages",
    "max_batch_size",
)


def _hidden(description: str) -> Any:
    return luigi.Parameter(
        default="", significant=False, visibility=ParameterVisibility.HIDDEN, description=description
    )


class AstraTask(luigi.Task):  # type: ignore[misc]
    """One of our tasks, as luigi sees it; made by `as_luigi`, or by luigi from its parameters, in any process."""

    task_namespace = "astra_registry"

    # What luigi's server is told of a task, and any process makes it again from: nothing that is private or a password.
    reference = luigi.Parameter(description="Where the class of the task is found.")
    parameters = luigi.Parameter(description="The parameters of the task, as JSON.")
    identity = _hidden("The identifier of the task.")
    database = _hidden("The database of states.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = _GIVEN.get()
        # Made by as_luigi, it is the very task that was given; made by luigi, in another process, it is found again.
        self.wrapped = given or find_class(self.reference).from_str_params(json.loads(self.parameters))
        # The scheduler, its pages and our store shall speak of the same task.
        self.task_id = self.wrapped.task_id
        if self.identity not in ("", self.task_id):
            raise BadValue(f"{self.identity} has private parameters, which luigi does not hand to another process")
        for name in _SETTINGS:
            setattr(self, f"_{name}", getattr(self.wrapped, name))

    def __reduce__(self) -> tuple[Any, ...]:
        # Where processes are not forked, luigi pickles what they are to do.
        return _again, (type(self) is AstraTask, self.wrapped, self._store)

    def __hash__(self) -> int:
        return hash(self.task_id)  # luigi's own is that of the identifier it had chosen

    @property
    def resources(self) -> dict[str, Any]:
        """What the task takes while it runs."""
        return dict(self.wrapped.resources)

    def process_resources(self) -> dict[str, Any]:
        """Return what the task takes while it runs."""
        return dict(self.wrapped.process_resources())

    def _owner_list(self) -> list[str]:
        return list(self.wrapped._owner_list())

    @property
    def batchable(self) -> bool:
        """False: an explicit batch is never merged with another."""
        return False

    @property
    def _parts(self) -> list[Any]:
        # A batch beyond its class's limit is done in parts, each a task of its own.
        task = self.wrapped
        if not task.is_batch_mode or task.get_batch_size() <= task.max_batch_size:
            return []
        return [as_luigi(part, store=self._store) for part in task.split()]

    @property
    def _store(self) -> StateStore | None:
        return _named(self.database) if self.database else None

    def requires(self) -> Any:
        """Return what the task requires, as luigi's; of a batch that is done in parts, these."""
        return self._parts or _as_luigi(self.wrapped.requires(), self._store)

    def _requires(self) -> Any:
        return self._parts or _as_luigi(self.wrapped._requires(), self._store)

    def output(self) -> Any:
        """Return the targets of the task."""
        return self.wrapped.output()

    def complete(self) -> bool:
        """Whether the task is done."""
        return bool(self.wrapped.complete())

    def run(self) -> Any:
        """Run the task; what it yields is required, as luigi has it."""
        if self._parts:
            return None
        with self._lending():
            running = self.wrapped.run()
        if not isinstance(running, Generator):
            return None
        return self._driven(running)

    def _driven(self, running: Generator[Any, Any, Any]) -> Generator[Any, Any, None]:
        answer: Any = None
        with self._lending():
            while True:
                try:
                    wanted = running.send(answer)
                except StopIteration:
                    return
                try:
                    answer = yield _as_luigi(wanted, self._store, general=True)
                except GeneratorExit:
                    self._wait()
                    raise

    def _wait(self) -> None:
        """Tell that the task does not run any more: luigi begins it anew once it has what it asked for, if ever."""
        store, task = self._store or StateStore.default(), self.wrapped
        try:
            # One that failed meanwhile has its end already.
            if store.status(task) is Status.RUNNING:
                store.settle(task, Status.CREATED)
        except AstraRegistryError:
            _log.exception("that %r waits could not be recorded", task)

    @contextlib.contextmanager
    def _lending(self) -> Iterator[None]:
        """Let the task have what luigi lends to one that runs."""
        lent = {name: getattr(self, name) for name in LENT if getattr(self, name, None) is not None}
        self.wrapped.__dict__.update(lent)
        try:
            yield
        finally:
            for name in lent:
                self.wrapped.__dict__.pop(name, None)

    def on_failure(self, exception: BaseException) -> Any:
        """Return the report of the failure, which the event has asked the task for already."""
        reports: dict[int, Any] = self.__dict__.get("_reports", {})
        return reports.pop(id(exception), None) or self.wrapped.on_failure(exception)

    def on_success(self) -> Any:
        """Return what the task's own hook says."""
        return self.wrapped.on_success()

    def trigger_event(self, event: str, *args: Any, **kwargs: Any) -> None:
        """Pass the event on to the task, and so to the store, handlers and plugins; then to luigi's handlers."""
        args = tuple(arg.wrapped if isinstance(arg, AstraTask) else arg for arg in args)
        if self._parts:
            self._tell_batch(event)
        else:
            self._tell(event, *args, **kwargs)
        super().trigger_event(event, *args, **kwargs)

    def _tell_batch(self, event: str) -> None:
        # The parts speak for the members; the batch itself only wants to be known.
        if event == EventName.START:
            (self._store or StateStore.default()).create(self.wrapped)

    def _tell(self, event: str, *args: Any, **kwargs: Any) -> None:
        store = self._store
        try:
            try:
                self.wrapped.trigger_event(event, *args, store=store, **kwargs)
            except IllegalMove:
                status = STATUS_AFTER.get(EventName(event))
                if status is None or status in (Status.RUNNING, Status.SUCCEEDED):
                    raise
                # It failed before it was begun, and had ended otherwise on an earlier day: that is another try.
                (store or StateStore.default()).start(self.wrapped)
                self.wrapped.trigger_event(event, *args, store=store, **kwargs)
        except StoreError:
            if event == EventName.START:
                raise  # what cannot be recorded is not begun
            _log.exception("the event %r of %r could not be recorded", event, self.wrapped)


for _name in _SETTINGS:
    # A property, for some of luigi's own are such, and cannot be set.
    setattr(AstraTask, _name, property(operator.attrgetter(f"_{_name}")))


def as_luigi(task: Any, *, store: StateStore | None = None) -> AstraTask:
    """Return a luigi task that does what ``task`` does, with its identifier, requirements and scheduler settings.

    A batch is one task; one larger than ``max_batch_size`` is done in parts. Its events are recorded in ``store``, by
    default that of the settings; luigi's server is told neither its password nor private parameters. Raises
    MissingExtra without luigi.
    """
    return _made(_kind(type(task).__name__, task.task_family, task.reference), task, store)


def _made(kind: type[AstraTask], task: Any, store: StateStore | None) -> AstraTask:
    database = "" if store is None else _name_of(store)
    if store is not None:
        _STORES[database] = store
    parameters = json.dumps(dict(task.to_str_params()), ensure_ascii=False, sort_keys=True)
    handed = _GIVEN.set(task)
    try:
        made = kind(reference=task.reference, parameters=parameters, identity=task.task_id, database=database)
    finally:
        _GIVEN.reset(handed)
    made.wrapped = task  # luigi may have kept one that differs in what is private
    return made


def _again(general: bool, task: Any, store: StateStore | None) -> AstraTask:
    return _made(AstraTask, task, store) if general else as_luigi(task, store=store)


@functools.cache
def _kind(name: str, family: str, reference: str) -> type[AstraTask]:
    """Return luigi's class for a class of ours, so that luigi's pages show its family."""
    namespace, _, short = family.rpartition(".")
    body = {"__module__": AstraTask.__module__, "task_namespace": namespace, "__doc__": f"{family}, as luigi's."}
    return type(short or name, (AstraTask,), body)


def _as_luigi(struct: Any, store: StateStore | None, *, general: bool = False) -> Any:
    """Return a structure of tasks with each as luigi's; ``general``: of the one class that any process knows."""
    if struct is None:
        return []
    if isinstance(struct, Mapping):
        return {key: _as_luigi(item, store, general=general) for key, item in struct.items()}
    if isinstance(struct, (list, tuple, set, frozenset, Generator)):
        return [_as_luigi(item, store, general=general) for item in struct]
    if isinstance(struct, luigi.Task):
        return struct
    return _made(AstraTask, struct, store) if general else as_luigi(struct, store=store)


def _name_of(store: StateStore) -> str:
    """Return what tells a store from others: its URL without what is secret."""
    if store.database.is_sqlite and store.database.path is None:
        return f"{_IN_MEMORY}{id(store)}"
    return without_secrets(store.database.url)


def _named(name: str) -> StateStore:
    """Return the store of that name: one that this process knows, else that of the settings, else without password."""
    if name not in _STORES:
        if name.startswith(_IN_MEMORY):
            raise StoreError("the store of the task is in the memory of another process; give a file or a server")
        default = StateStore.default()
        _STORES[name] = default if _name_of(default) == name else StateStore(name)
    return _STORES[name]
