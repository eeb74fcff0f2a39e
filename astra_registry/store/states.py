"""The states of a task and the moves between them, as one table."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from astra_registry.errors import IllegalMove, InvalidParameter, did_you_mean


class Status(IntEnum):
    """What became of a task; the value is the ``status_code`` of its row."""

    CREATED = 0
    SUCCEEDED = 1
    RUNNING = 10
    SKIPPED = 20
    FAILED = 30
    DIED = 40
    BROKEN = 50
    MISSING = 60

    @property
    def is_failure(self) -> bool:
        """Whether the task ended without its result, and may be tried again."""
        return self >= Status.FAILED


_ANY = frozenset(Status)
_AGAIN = frozenset({Status.CREATED, Status.RUNNING})

#: From each state, those that may follow. To stay where one is is no move, and always allowed.
NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.CREATED: _ANY,
        Status.RUNNING: _ANY,  # back to CREATED when a lease is lost
        Status.FAILED: _AGAIN,
        Status.DIED: _AGAIN,
        Status.BROKEN: _AGAIN,
        Status.MISSING: _AGAIN,
        Status.SUCCEEDED: frozenset({Status.RUNNING}),  # only a new start leads away
        Status.SKIPPED: frozenset({Status.RUNNING}),
    }
)


def as_status(value: object) -> Status:
    """Return the status that a code or a name (``30``, ``"failed"``) means; InvalidParameter for any other value."""
    if isinstance(value, str):
        found = Status.__members__.get(value.strip().upper())
        if found is None:
            names = [name.lower() for name in Status.__members__]
            hint = did_you_mean(value, names) or f"; there are {', '.join(names)}"
            raise InvalidParameter(f"no state is named {value!r}{hint}")
        return found
    try:
        if isinstance(value, bool):
            raise TypeError  # noqa: TRY301 - True is 1, and nobody means that
        return Status(operator.index(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        codes = ", ".join(f"{status:d} ({status.name.lower()})" for status in Status)
        raise InvalidParameter(f"{value!r} is no state of a task; the codes are {codes}") from None


def may_follow(old: Status, new: Status) -> bool:
    """Return whether a task in state ``old`` may be put into state ``new``."""
    return old is new or new in NEXT[old]


def refuse(task_id: str, old: Status, new: Status, others: int = 0) -> IllegalMove:
    """Return the error for a move that the table does not have; ``others`` more tasks have the same trouble."""
    allowed = " or ".join(status.name.lower() for status in sorted(NEXT[old]))
    more = f" (and {others} more)" if others else ""
    return IllegalMove(f"{task_id}{more} is {old.name.lower()} and cannot become {new.name.lower()}, only {allowed}")
