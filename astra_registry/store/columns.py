"""The columns of a task's row that its owner may set, and what may stand in each."""

from __future__ import annotations

import math
import operator
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from astra_registry.errors import InvalidParameter, UnknownParameter, did_you_mean
from astra_registry.store.states import as_status

#: A longer text says no more, and thousands of them fill a disk.
LONGEST = 20_000


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return fitting(value)


def _count(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError
    number = operator.index(value)  # type: ignore[arg-type]
    if not 0 <= number < 2**31:
        raise ValueError
    return number


def _seconds(value: Any) -> float:
    if isinstance(value, bool | str):
        raise TypeError
    seconds = float(value)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError
    return seconds


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


_COLUMNS = {
    "status_code": (None, "a state"),
    "duration": (_seconds, "a number of seconds, not negative"),
    "attempt": (_count, "a number of tries"),
    "created": (_moment, "a datetime"),
    "modified": (_moment, "a datetime"),
    "user": (_text, "text"),
    "host": (_text, "text"),
    "pid": (_count, "the number of a process"),
    "error_type": (_text, "text"),
    "error_message": (_text, "text"),
    "traceback": (_text, "text"),
    "astra_version": (_text, "text"),
    "plugin_version": (_text, "text"),
}
_REQUIRED = {"status_code", "attempt", "created", "modified", "astra_version", "plugin_version"}


def checked(state: Mapping[str, object]) -> dict[str, Any]:
    """Return the values as they are stored; UnknownParameter for another column, InvalidParameter for another value."""
    values: dict[str, Any] = {}
    for name, value in state.items():
        if name not in _COLUMNS:
            hint = did_you_mean(str(name), _COLUMNS) or f"; it has {', '.join(_COLUMNS)}"
            raise UnknownParameter(f"a task's state has no column {name!r}{hint}")
        convert, meaning = _COLUMNS[name]
        if value is None and name not in _REQUIRED:
            values[name] = None
        elif convert is None:
            values[name] = int(as_status(value))
        else:
            try:
                values[name] = convert(value)
            except (TypeError, ValueError, OverflowError):
                raise InvalidParameter(f"{name} of a task's state is {meaning}, not {value!r}") from None
    return values


def of_error(error: BaseException | str | None) -> dict[str, str | None]:
    """Return the columns that tell an error: its type, its message and where it was raised."""
    if error is None or isinstance(error, str):
        message = None if error is None else fitting(error)
        return {"error_type": None, "error_message": message, "traceback": None}
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001 - an exception of a plugin may fail even at that
        message = f"(no message: {type(second).__name__} in __str__)"
    where = "".join(traceback.format_exception(error)) if error.__traceback__ is not None else None
    return {
        "error_type": type(error).__qualname__,
        "error_message": fitting(message),
        "traceback": None if where is None else fitting(where),
    }


def fitting(text: str) -> str:
    """Return the text as a database can hold it: no NUL, no half characters of undecodable names, not endless."""
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if len(text) <= LONGEST:
        return text
    # The end of a traceback tells more than its middle.
    return f"{text[: LONGEST // 2]}\n…\n{text[-LONGEST // 2 :]}"
