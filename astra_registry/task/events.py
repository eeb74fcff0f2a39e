"""What happens to a task: each event is recorded in the store, and told to the handlers of its class and to plugins."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import attrs

from astra_registry.plugins import installed_plugins
from astra_registry.store.states import Status
from astra_registry.task.states import Stateful, opened

if TYPE_CHECKING:
    from astra_registry.store import StateStore

Callback = TypeVar("Callback", bound=Callable[..., Any])
_serial = itertools.count()


class EventName(StrEnum):
    """The events of luigi, under its own texts."""

    START = "event.core.start"
    SUCCESS = "event.core.success"
    PROCESSING_TIME = "event.core.processing_time"
    FAILURE = "event.core.failure"
    PROCESS_FAILURE = "event.core.process_failure"
    BROKEN_TASK = "event.core.task.broken"
    DEPENDENCY_MISSING = "event.core.dependency.missing"
    TIMEOUT = "event.core.timeout"
    PROGRESS = "event.core.progress"
    DEPENDENCY_DISCOVERED = "event.core.dependency.discovered"
    DEPENDENCY_PRESENT = "event.core.dependency.present"


_KNOWN = {event.value: event for event in EventName}

#: The state that an event puts a task into; what is not here changes none.
STATUS_AFTER = MappingProxyType(
    {
        EventName.START: Status.RUNNING,
        EventName.SUCCESS: Status.SUCCEEDED,
        EventName.FAILURE: Status.FAILED,
        EventName.PROCESS_FAILURE: Status.DIED,
        EventName.TIMEOUT: Status.DIED,
        EventName.BROKEN_TASK: Status.BROKEN,
        EventName.DEPENDENCY_MISSING: Status.MISSING,
    }
)


@attrs.frozen
class Event:
    """Something happened to a task; what plugins are told."""

    task: Any
    name: str
    status: Status | None
    detail: str = ""
    at: datetime = attrs.field(factory=lambda: datetime.now(UTC))

    @property
    def task_id(self) -> str:
        """The identifier of the task."""
        return str(self.task.task_id)


class Eventful(Stateful):
    """A task that tells what happens to it."""

    #: By class and event: the callbacks, each with its place in the order of registration.
    _event_callbacks: ClassVar[dict[type, dict[str, dict[Callable[..., Any], int]]]] = {}

    @classmethod
    def event_handler(cls, event: str) -> Callable[[Callback], Callback]:
        """Return a decorator that has its function called when `event` happens to a task of this class or a subclass.

        The function gets what luigi gives it: the task, and an exception, a duration or a message.
        """

        def wrapped(callback: Callback) -> Callback:
            cls._event_callbacks.setdefault(cls, {}).setdefault(str(event), {}).setdefault(callback, next(_serial))
            return callback

        return wrapped

    @classmethod
    def remove_event_handler(cls, event: str, callback: Callable[..., Any]) -> None:
        """Take away a function that was added to this very class. KeyError when it was not."""
        del cls._event_callbacks[cls][str(event)][callback]

    def trigger_event(self, event: str, *args: Any, store: StateStore | None = None, **kwargs: Any) -> None:
        """Record the event's state, then call the handlers in the order in which they were added, then the plugins.

        A handler that fails is reported in the log, and hides nothing. Events that are not luigi's change no state.
        """
        # Luigi gives the task itself; it may have gone through a pickle on its way, and be no longer the same object.
        detail = self._record(str(event), args[1:] if args and isinstance(args[0], Eventful) else args, store)
        self._announce(str(event), detail, *args, **kwargs)

    def _announce(self, name: str, detail: str, *args: Any, **kwargs: Any) -> Event:
        """Call the handlers and the plugins for what is recorded, and return what they were told."""
        for callback in self._callbacks(name):
            try:
                callback(*args, **kwargs)
            except (Exception, SystemExit):  # noqa: BLE001 - it is somebody else's code, and not our result
                _logged("the handler %r of %r failed for %r", callback, name, self)
        status = STATUS_AFTER.get(_KNOWN[name]) if name in _KNOWN else None
        told = Event(self, name, status, detail)
        for _ in installed_plugins().call("astra_registry_event", event=told):
            pass
        return told

    def _callbacks(self, name: str) -> list[Callable[..., Any]]:
        found = [
            (place, callback)
            for cls, by_event in self._event_callbacks.items()
            if isinstance(self, cls)
            for callback, place in by_event.get(name, {}).items()
        ]
        return [callback for _, callback in sorted(found, key=lambda item: item[0])]

    def _record(self, name: str, rest: tuple[Any, ...], store: StateStore | None) -> str:
        """Bring the event's state to the store and return what there is to tell about it."""
        event = _KNOWN.get(name)
        if event is None:
            return ""
        if event is EventName.PROCESSING_TIME:
            opened(store).took(self, *rest)
            return f"{rest[0]} s"
        status = STATUS_AFTER.get(event)
        if status is None:
            return ""
        if status is Status.RUNNING:
            opened(store).start(self)
            return ""
        error = rest[0] if rest else None
        opened(store).settle(self, status, error, report=self._report(error))
        return "" if error is None else str(error) or type(error).__name__

    def _report(self, error: object) -> str | None:
        if not isinstance(error, BaseException):
            return None
        try:
            return self.on_failure(error)
        except Exception:  # noqa: BLE001 - a report that cannot be written must not hide the failure itself
            _logged("on_failure of %r failed", self)
            return None

    def trigger_event_start(self, *, store: StateStore | None = None) -> None:
        """Tell that the task runs: its row is made if need be, and the attempt counted."""
        self.trigger_event(EventName.START, self, store=store)

    def trigger_event_succeeded(self, *, store: StateStore | None = None) -> None:
        """Tell that the task succeeded; a batch: its members too, but for those that failed by themselves."""
        self.trigger_event(EventName.SUCCESS, self, store=store)

    def trigger_event_failed(
        self, exception: BaseException | str | None = None, *, store: StateStore | None = None
    ) -> None:
        """Tell that the task failed, and with which error; what `on_failure` returns is kept as its traceback."""
        self.trigger_event(EventName.FAILURE, self, exception, store=store)

    def trigger_event_processing_time(
        self, duration: float, cascade: bool = False, *, store: StateStore | None = None
    ) -> None:
        """Tell how many seconds the task took; with `cascade`, also that it succeeded."""
        self.trigger_event(EventName.PROCESSING_TIME, self, duration, store=store)
        if cascade:
            self.trigger_event_succeeded(store=store)


def _logged(message: str, *arguments: object) -> None:
    """Write the present exception to the log."""
    import logging  # only where something failed

    logging.getLogger(__name__).exception(message, *arguments)
