"""What a task needs, makes and does, and what it tells a scheduler; the words are luigi's."""

from __future__ import annotations

import functools
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, ClassVar

from astra_registry.errors import BadValue, LookupFailed
from astra_registry.settings import setting
from astra_registry.target import Target, present
from astra_registry.task.batches import Batched

_TOGETHER = 100_000  # members looked up at once: few listings of a folder, and not all members in memory

#: What luigi lends a task that it runs.
LENT = (
    "scheduler_messages", "set_tracking_url", "set_status_message", "set_progress_percentage",
    "decrease_running_resources",
)  # fmt: skip


class Living(Batched):
    """A task with requirements, outputs and a `run`, and plain attributes for the engine that runs it."""

    # Settings for an engine: reading one has no effect.
    priority: ClassVar[int] = 0
    disabled: ClassVar[bool] = False
    resources: ClassVar[Mapping[str, float]] = MappingProxyType({})
    worker_timeout: ClassVar[int | None] = None
    retry_count: ClassVar[int | None] = None
    disable_hard_timeout: ClassVar[int | None] = None
    disable_window: ClassVar[int | None] = None
    owner_email: ClassVar[str | Sequence[str] | None] = None
    accepts_messages: ClassVar[bool] = False

    # What luigi lends a task that it runs; None elsewhere.
    scheduler_messages: ClassVar[Any] = None
    set_tracking_url: ClassVar[Callable[[str], None] | None] = None
    set_status_message: ClassVar[Callable[[str], None] | None] = None
    set_progress_percentage: ClassVar[Callable[[float], None] | None] = None
    decrease_running_resources: ClassVar[Callable[[Mapping[str, float]], None] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if isinstance(resources := cls.__dict__.get("resources"), dict):
            cls.resources = MappingProxyType(resources)
        super().__init_subclass__(**kwargs)

    @functools.cached_property
    def disable_window_seconds(self) -> int | None:
        """The old spelling of `disable_window`; reading it warns once."""
        warnings.warn("disable_window_seconds is now disable_window", DeprecationWarning, stacklevel=3)
        return self.disable_window

    def process_resources(self) -> Mapping[str, float]:
        """Return the resources the task takes while it runs; a subclass may compute them."""
        return self.resources

    def _owner_list(self) -> list[str]:
        """Return the addresses of `owner_email` as a list, trimmed."""
        if self.owner_email is None:
            return []
        owners = self.owner_email.split(",") if isinstance(self.owner_email, str) else self.owner_email
        return [owner.strip() for owner in owners if owner.strip()]

    # -- requirements and outputs --------------------------------------------------------------------

    def requires(self) -> Any:
        """Return the tasks that must be complete first: none, one, a sequence or a mapping of them."""
        return []

    def _requires(self) -> list[Any]:
        """Return what `requires` does, as a flat list; a subclass may add to it without a user's `requires` knowing."""
        return flatten(self.requires())

    def deps(self) -> list[Any]:
        """Return the requirements as a flat list."""
        return flatten(self._requires())

    def output(self) -> Any:
        """Return what the task makes: none, one, a sequence or a mapping of targets with ``exists()``."""
        return []

    @property
    def output_base_dir(self) -> str:
        """Where analysis tasks put outputs: ``$SAS_BASE_DIR/sdsswork/mwm/astra/VERSION/FAMILY`` unless configured."""
        if configured := setting("output_base_dir"):
            return str(configured)
        version = f"{self.astra_version_major}.{self.astra_version_minor}.{self.astra_version_micro}"
        return os.path.join(setting("sas_base_dir"), "sdsswork", "mwm", "astra", version, self.get_task_family())

    def input(self) -> Any:
        """Return the outputs of the requirements, in the shape that `requires` has."""
        return _outputs(self.requires(), lambda task: task.output())

    def get_input(self, key: Any = None) -> Any:
        """Return the output of one requirement, by key or index; only that one is made, and brought if it asks for it.

        Of a requirement that is a batch an index means a member. Without a key the task must have a single
        requirement.
        """
        return _outputs(self._required_under(key), lambda task: getattr(task, "_handed_over", task.output)())

    def _required_under(self, key: Any) -> Any:
        """Return one requirement; of those that are made one by one, no later one is made."""
        required = self.requires()
        is_task = hasattr(required, "output")
        if key is None:
            if is_task:
                return required
            keys = _told(required)
            if keys == "nothing":
                raise LookupFailed(f"{type(self).__name__} requires nothing")
            raise BadValue(f"{type(self).__name__} requires {keys}; say which: get_input(key)")
        if is_task and not getattr(required, "is_batch_mode", False):
            required = [required]
        try:
            if isinstance(required, Iterator) and isinstance(key, int) and key >= 0:
                return next(itertools.islice(required, key, None))
            return (list(required) if isinstance(required, (Iterator, Set)) else required)[key]
        except (LookupError, TypeError, StopIteration):
            keys = _told(self.requires())
            raise LookupFailed(f"{type(self).__name__} requires nothing under {key!r}; it has {keys}") from None

    def _handed_over(self) -> Any:
        """Return the output for a task that requires this one; a product brings it first when it is told to."""
        return self.output()

    # -- life ----------------------------------------------------------------------------------------

    def complete(self) -> bool:
        """Whether every output exists; a task without outputs is never complete, as in luigi. A batch: all members."""
        if self.is_batch_mode:
            parts = self.split(_TOGETHER)
            return all(len(type(self).bulk_complete(part)) == part.get_batch_size() for part in parts)
        return _have_outputs([self])[0]

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[Any]) -> list[Any]:
        """Return those of the given tasks, or mappings of parameters, that are complete.

        Each folder is listed once, unless a class has a `complete` of its own.
        """
        given = list(parameter_tuples)
        tasks = [as_task(cls, item) for item in given]
        by_outputs = all(task._is_complete_by_outputs() and not task.is_batch_mode for task in tasks)
        complete = _have_outputs(tasks) if by_outputs else [bool(task.complete()) for task in tasks]
        return [item for item, is_complete in zip(given, complete, strict=True) if is_complete]

    @classmethod
    def _is_complete_by_outputs(cls) -> bool:
        """Whether a single task of the class is complete when its outputs exist, and for no other reason."""
        return cls.complete is Living.complete

    def run(self) -> Any:
        """Do the work. A task says what here; one that needs nothing done has nothing to say."""

    def on_failure(self, exception: BaseException) -> str:
        """Return the report that is stored when `run` raises: the traceback, unless a subclass writes a better one."""
        import traceback

        return "".join(traceback.format_exception(exception))

    def on_success(self) -> Any:
        """Return a report to store when `run` succeeds: none, unless a subclass writes one."""
        return None


def as_task(cls: type[Living], item: Any) -> Any:
    """Return a task, or that of a mapping of parameters. Raises BadValue for anything else."""
    if isinstance(item, Mapping):
        return cls(**item)
    if isinstance(item, Living):
        return item
    raise BadValue(f"bulk_complete takes mappings of parameters or tasks, not {item!r}")


def flatten(struct: Any) -> list[Any]:
    """Return the leaves of a structure of lists, tuples and mappings, in order; None has none."""
    if struct is None:
        return []
    if isinstance(struct, Mapping):
        return [leaf for item in struct.values() for leaf in flatten(item)]
    if isinstance(struct, (list, tuple, set, frozenset, Iterator)):
        return [leaf for item in struct for leaf in flatten(item)]
    return [struct]


def _outputs(struct: Any, output: Callable[[Any], Any]) -> Any:
    """Return the outputs of a structure of tasks: a dict for a mapping, a tuple for a tuple, else a list."""
    if struct is None or hasattr(struct, "output"):
        return None if struct is None else output(struct)
    if isinstance(struct, Mapping):
        return {key: _outputs(item, output) for key, item in struct.items()}
    outputs = [_outputs(item, output) for item in struct]
    return tuple(outputs) if isinstance(struct, tuple) else outputs


def _told(required: Any) -> str:
    """Return under which keys there are requirements."""
    if isinstance(required, Mapping):
        return f"{list(required)}"
    keys = range(1 if hasattr(required, "output") else sum(1 for _ in required or ()))
    return f"{list(keys)}" if keys else "nothing"


def _have_outputs(tasks: Sequence[Living]) -> list[bool]:
    """Return for each task whether it has outputs, and all are there; of our own targets each folder is listed once."""
    outputs = [flatten(task.output()) for task in tasks]
    targets = [target for each in outputs for target in each]
    if len(targets) > 1 and all(type(target) is Target for target in targets):
        answers = iter([path is not None for path in present((target.path, *target.further) for target in targets)])
    else:
        answers = iter([bool(target.exists()) for target in targets])
    return [bool(each) and all(list(itertools.islice(answers, len(each)))) for each in outputs]
