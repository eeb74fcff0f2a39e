"""What a task needs, makes and does, and what it tells a scheduler; the words are luigi's."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from astra_registry.errors import BadValue, LookupFailed
from astra_registry.task.batches import Batched


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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if isinstance(resources := cls.__dict__.get("resources"), dict):
            cls.resources = MappingProxyType(resources)
        super().__init_subclass__(**kwargs)

    @property
    def disable_window_seconds(self) -> int | None:
        """The old spelling of `disable_window`; reading it warns once."""
        warnings.warn("disable_window_seconds is now disable_window", DeprecationWarning, stacklevel=2)
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

    def _requires(self) -> Any:
        """Return what `requires` does; a subclass may add to it without a user's `requires` knowing."""
        return self.requires()

    def deps(self) -> list[Any]:
        """Return the requirements as a flat list."""
        return flatten(self._requires())

    def output(self) -> Any:
        """Return what the task makes: none, one, a sequence or a mapping of targets with ``exists()``."""
        return []

    def input(self) -> Any:
        """Return the outputs of the requirements, in the shape that `requires` has."""
        return _outputs(self.requires())

    def get_input(self, key: Any = None) -> Any:
        """Return the output of one requirement, by key or index; only that one is made.

        Without a key the task must have a single requirement.
        """
        required = self.requires()
        if key is None:
            if isinstance(required, (list, tuple, Mapping)):
                raise BadValue(f"{type(self).__name__} has several requirements; say which: get_input(key)")
            return _asked_for(required)
        try:
            return _asked_for(required[key])
        except (KeyError, IndexError, TypeError):
            keys = list(required) if isinstance(required, Mapping) else list(range(len(flatten(required))))
            raise LookupFailed(f"{type(self).__name__} requires nothing under {key!r}; it has {keys}") from None

    # -- life ----------------------------------------------------------------------------------------

    def complete(self) -> bool:
        """Whether every output exists; a task without outputs is never complete, as in luigi. A batch: all members."""
        if self.is_batch_mode:
            return all(member.complete() for member in self.get_batch_tasks())
        outputs = flatten(self.output())
        if not outputs:
            return False
        return all(target.exists() for target in outputs)

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[Any]) -> list[Any]:
        """Return those of the given tasks, or mappings of parameters, that are complete."""
        given = list(parameter_tuples)
        return [item for item in given if _as_task(cls, item).complete()]

    def run(self) -> Any:
        """Do the work. A task says what here; one that needs nothing done has nothing to say."""

    def on_failure(self, exception: BaseException) -> str:
        """Return the report that is stored when `run` raises: the traceback, unless a subclass writes a better one."""
        import traceback

        return "".join(traceback.format_exception(exception))

    def on_success(self) -> Any:
        """Return a report to store when `run` succeeds: none, unless a subclass writes one."""
        return None


def flatten(struct: Any) -> list[Any]:
    """Return the leaves of a structure of lists, tuples and mappings, in order; None has none."""
    if struct is None:
        return []
    if isinstance(struct, Mapping):
        return [leaf for item in struct.values() for leaf in flatten(item)]
    if isinstance(struct, (list, tuple, set, frozenset, Iterator)):
        return [leaf for item in struct for leaf in flatten(item)]
    return [struct]


def _outputs(struct: Any) -> Any:
    if isinstance(struct, Mapping):
        return {key: _outputs(item) for key, item in struct.items()}
    if isinstance(struct, (list, tuple)):
        return [_outputs(item) for item in struct]
    return None if struct is None else _asked_for(struct)


def _asked_for(task: Any) -> Any:
    """Return a requirement's output; a subclass of product hands out one that brings the file when it is opened."""
    return task.output()


def _as_task(cls: type[Living], item: Any) -> Any:
    return cls(**item) if isinstance(item, Mapping) else item
