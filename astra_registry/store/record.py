"""What the store asks of a task: the few members from which it makes its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from astra_registry.errors import BrokenPlugin, StoreError
from astra_registry.references import found_again


@runtime_checkable
class Record(Protocol):
    """A task or a batch of tasks; anything with these members can be kept."""

    @property
    def task_id(self) -> str:
        """What no other task has."""
        ...

    @property
    def task_family(self) -> str:
        """The kind of task."""
        ...

    @property
    def reference(self) -> str:
        """``module:qualname``, where the class is found again."""
        ...

    @property
    def is_batch_mode(self) -> bool:
        """Whether it has members."""
        ...

    @property
    def plugin_version(self) -> str:
        """The version of the distribution that brings the class."""
        ...

    def get_batch_size(self) -> int:
        """Return the number of members."""
        ...

    def to_str_params(self) -> Mapping[str, str]:
        """Return the parameters as text."""
        ...

    def identity_rows(self) -> Iterator[tuple[str, str]]:
        """Yield ``(task_id, parameters as JSON)`` of each member, in order, doubles kept; of a single task, its own."""
        ...


class Loadable(Protocol):
    """What a class offers to be made again from its row."""

    def from_str_params(self, params_str: Mapping[str, str], /) -> Any:
        """Return the task whose parameters were written as that text."""
        ...

    def from_members(self, members: Iterable[str], /) -> Any:
        """Return the batch of members whose parameters are given as JSON, in order, doubles kept."""
        ...


def find_class(reference: str) -> Loadable:
    """Return the class at ``module:qualname``; StoreError says what is missing when its plugin is gone."""
    try:
        found: Loadable = found_again(reference)
    except BrokenPlugin as error:
        raise StoreError(str(error)) from error
    return found
