"""Where tasks, batches and their states are kept: the only package that knows SQL, and knows nothing of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astra_registry.store.states import Status

if TYPE_CHECKING:
    from astra_registry.store.model import TaskState
    from astra_registry.store.store import StateStore

__all__ = ["StateStore", "Status", "TaskState"]


def __getattr__(name: str) -> Any:
    # SQLAlchemy takes a fifth of a second to import, and most who resolve a path never ask for a state.
    if name == "StateStore":
        from astra_registry.store.store import StateStore

        return StateStore
    if name == "TaskState":
        from astra_registry.store.model import TaskState

        return TaskState
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
