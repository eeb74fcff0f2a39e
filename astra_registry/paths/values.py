"""Which values may stand in a path: text and numbers, never one that is empty or leaves its place."""

from __future__ import annotations

import math
import operator

from astra_registry.conversion import MASKED, cell
from astra_registry.errors import InvalidParameter
from astra_registry.parameters import check_path_value

PathValue = str | int | float


def plain(key: str, value: object) -> PathValue:
    """Return a value as plain text or a plain number: numpy's scalars, bytes (without padding), 0-d arrays.

    Raises InvalidParameter for None, truth values, NaN, masked cells and whatever is neither text nor a number.
    """
    kind = type(value)
    if kind is str or kind is int:
        return value  # type: ignore[return-value]
    if hasattr(value, "dtype"):
        value = cell(value)
        kind = type(value)
    if value is None:
        raise InvalidParameter(f"{key} has no value")
    if value is MASKED or getattr(value, "mask", False) is True or kind.__name__ in ("MaskedConstant", "NAType"):
        raise InvalidParameter(f"{key} is masked")
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode().rstrip("\0 ")
        except UnicodeDecodeError:
            raise InvalidParameter(f"{key} = {value!r} is not text") from None
    if isinstance(value, str):
        return str.__str__(value)  # numpy.str_ and text enumerations
    if isinstance(value, bool) or kind.__name__ in ("bool", "bool_"):
        raise InvalidParameter(f"{key} = {value} is a truth value; a path takes text or a number")
    if isinstance(value, float) or kind.__name__.startswith("float"):
        number = float(str(value))  # numpy.float32(0.1) is 0.1, as it prints
        if not math.isfinite(number):
            raise InvalidParameter(f"{key} = {value} is not a number that a path can hold")
        return number
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise InvalidParameter(f"{key} = {_shown(value)} is neither text nor a number")


def check(key: str, text: str, *, subpath: bool = False) -> None:
    """Raise InvalidParameter when a value's text cannot stand in a path; *subpath* allows it to hold ``/``."""
    try:
        check_path_value(text, subpath=subpath)
        text.encode()
    except ValueError as error:
        reason = "it is not text" if isinstance(error, UnicodeError) else error
        raise InvalidParameter(f"{key} = {_shown(text)}: {reason}") from None
    if text.isspace():
        raise InvalidParameter(f"{key} = {_shown(text)}: it is blank")
    if subpath and "." in text.split("/"):
        raise InvalidParameter(f"{key} = {_shown(text)}: it may not leave its folder ('.', '..')")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split("\n"))
    return text if len(text) <= 60 else text[:57] + "…"
