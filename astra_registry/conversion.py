"""The types of parameters, and the strict conversion of what is given to one; what comes out cannot be changed."""

from __future__ import annotations

import contextlib
import functools
import operator
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from astra_registry.errors import BadValue

_EXACT = 2**53  # from here on a double stands for several integers
_DIGITS = 640  # the least to which Python may be told to limit the writing of integers
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_TYPE_NAMES = {
    int: "an integer", str: "text", float: "a number", bool: "true or false", type(None): "nothing"
}  # fmt: skip
_SEQUENCES = (tuple, list, Sequence, MutableSequence)  # all are kept as tuples
_MAPPINGS = (dict, Mapping, MutableMapping)
_ANYTHING = (Any, object)
KNOWN = "int, str, float, bool, a tuple or mapping of these, a task's class, or a union of them"


class Sentinel:
    """A value that means something no other value means."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MASKED = Sentinel("masked")  # the content of a masked cell of a table


class Column(tuple[Any, ...]):
    """The values of a parameter for all members of a batch; a tuple is one value."""

    __slots__ = ()


class FrozenMapping(Mapping[Any, Any]):
    """A mapping that nobody can change, and that can be hashed and pickled."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[Any, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMapping, (self._items,)


def plain_type(annotation: Any) -> tuple[Any, tuple[Callable[[Any], Any], ...]]:
    """Return the type of an annotation without its ``| None``, and the functions that an ``Annotated`` adds.

    Raises BadValue for a type whose values could be neither written as text nor kept from change.
    """
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *functions = typing.get_args(annotation)
        return plain_type(kind)[0], tuple(functions)
    if _is_union(annotation):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return plain_type(members[0])
    _check_type(annotation)
    return annotation, ()


def _check_type(wanted: Any) -> None:
    origin = _origin(wanted)
    if wanted in (*_TYPE_NAMES, *_ANYTHING, Ellipsis) or _is_task(origin):
        return
    if not (_is_union(wanted) or origin in _SEQUENCES or origin in _MAPPINGS):
        hint = "; give the values as choices=(…) of the type they have" if origin is typing.Literal else ""
        raise BadValue(f"no parameter has the type {getattr(wanted, '__name__', wanted)}, only {KNOWN}{hint}")
    parts = typing.get_args(wanted)
    if origin in _MAPPINGS and parts and parts[0] not in (str, int):
        raise BadValue(f"the keys of a mapping are text or integers, not {_named(parts[0])}")
    for part in parts:
        _check_type(part)


@functools.cache
def holds_sequences(wanted: Any) -> bool:
    """Whether one value of a type may itself be a sequence, so that of a batch's column only a list can be meant."""
    if wanted in _ANYTHING:
        return True
    return any(map(holds_sequences, typing.get_args(wanted))) if _is_union(wanted) else _origin(wanted) in _SEQUENCES


@functools.cache
def holds_mappings(wanted: Any) -> bool:
    """Whether a value of a type is a mapping."""
    return _origin(wanted) in _MAPPINGS


def cell(value: Any) -> Any:
    """Return what an array without dimensions holds, `MASKED` when that is masked; any other value as it is."""
    if getattr(value, "ndim", None) != 0 or not _type_name(value).endswith(("ndarray", "MaskedArray")):
        return value
    return MASKED if bool(getattr(value, "mask", False)) else value.item()


def is_time(value: Any) -> bool:
    """Whether a value or column is of numpy's dates or durations."""
    return getattr(value.dtype, "kind", None) in ("M", "m")


def convert(value: object, wanted: Any, *, keep_blanks: bool = True) -> Any:
    """Return a value as the wanted type; ValueError says what would do."""
    if hasattr(value, "dtype"):
        if is_time(value):  # as a number it would count nanoseconds, or days, or anything
            raise ValueError("it takes no date and no duration")
        if getattr(value.dtype, "kind", None) == "c":  # int() and float() would drop its imaginary part
            raise ValueError("it takes no complex number")
        value = cell(value)
    if value is None:
        raise ValueError("it has no value")
    if _is_missing(value):
        raise ValueError("it is masked or not a number")
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode("utf-8", errors="strict").rstrip("\0 ")
    if isinstance(value, str) and not keep_blanks:
        value = value.strip(" ")
    if wanted is str:
        return _text(value)
    if wanted is bool:
        return _truth(value)
    if wanted is int:
        return _integer(value)
    if wanted is float:
        return _number(value)
    return _other(value, wanted)


def _text(value: object) -> str:
    if isinstance(value, str):
        return str(value)  # numpy.str_ too
    if is_truth(value):
        raise ValueError("it takes text, not a truth value")
    try:
        return str(_writable(operator.index(value)))  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"it takes text, not {type(value).__name__}") from None


def _integer(value: object) -> int:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value.strip(" ")):
            raise ValueError("it takes an integer")
        return _writable(int(value) if len(value) <= _DIGITS else 10**_DIGITS)
    if is_truth(value):
        raise ValueError("it takes an integer, not a truth value")
    try:
        return _writable(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        pass
    # Tables with gaps hold integers as 59146.0; 59146.5 is no integer.
    try:
        whole, number = int(value), float(value)  # type: ignore[call-overload,arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("it takes an integer") from None
    if whole != value or not number.is_integer():
        raise ValueError("it takes an integer")
    if abs(whole) >= _EXACT and _type_name(value) not in ("Decimal", "Fraction"):
        raise ValueError("a float of that size has lost digits; give it as an integer or as text")
    return int(whole)


def _writable(number: int) -> int:
    if abs(number) >= 10**_DIGITS:
        raise ValueError(f"it takes an integer of fewer than {_DIGITS} digits")
    return number


def _number(value: object) -> float:
    if is_truth(value):
        raise ValueError("it takes a number, not a truth value")
    if isinstance(value, str) and ("_" in value or not value.isascii()):  # Python would read 1_0 as 10
        raise ValueError("it takes a number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("it takes a number") from None
    if number != number:
        raise ValueError("it is not a number")
    return number + 0.0  # -0.0 equals 0.0, and would be shown otherwise in a path


def _truth(value: object) -> bool:
    if is_truth(value):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("it takes true or false")


def _other(value: object, wanted: Any) -> Any:
    """Convert to a type other than the four: a sequence, a mapping, a task, a union, or whatever can be written."""
    if wanted in _ANYTHING:
        return _frozen(value)
    if _is_union(wanted):
        return _one_of(_frozen(value), typing.get_args(wanted))
    origin, parts = _origin(wanted), typing.get_args(wanted)
    if origin in _SEQUENCES:
        return _sequence(value, origin, parts)
    if origin in _MAPPINGS:
        if not isinstance(value, Mapping):
            raise ValueError("it takes a mapping")
        keys, values = parts or (str, Any)
        return FrozenMapping({convert(key, keys): _part(item, values) for key, item in value.items()})
    if isinstance(value, origin):
        return value
    raise ValueError(f"it takes {_named(wanted)}")


def _sequence(value: Any, origin: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, (list, tuple, range)):
        raise ValueError("it takes a sequence")
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        if len(items) != len(parts):
            raise ValueError(f"it takes {len(parts)} values, not {len(items)}")
        return tuple([_part(item, part) for item, part in zip(items, parts, strict=True)])
    part = parts[0] if parts else Any
    return tuple([_part(item, part) for item in items])


def _part(value: object, wanted: Any) -> Any:
    if value is None and (wanted in _ANYTHING or type(None) in typing.get_args(wanted)):
        return None
    return convert(value, wanted)


def _one_of(value: Any, members: tuple[Any, ...]) -> Any:
    """Return a value as the member of a union whose type it has; an integer is a number if no integer is asked for."""
    if type(value) in members:
        return value
    for member in members:
        if member not in _TYPE_NAMES or (member is float and type(value) is int):
            with contextlib.suppress(ValueError):
                return convert(value, member)
    raise ValueError(f"it takes {' or '.join(map(_named, members))}")


def _frozen(value: Any) -> Any:
    """Return a value of which no part can be changed, of types that can be written as text."""
    if value is None:
        return None
    for kind, wanted in ((bool, bool), (str, str), (bytes, str), (int, int), (float, float)):
        if isinstance(value, kind):
            return convert(value, wanted)
    if hasattr(value, "tolist"):
        return _frozen(value.tolist())
    if isinstance(value, (list, tuple, range)):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, Mapping):
        return FrozenMapping({convert(key, str): _frozen(item) for key, item in value.items()})
    if _is_task(type(value)):
        return value
    raise ValueError(f"it takes {KNOWN}, not {type(value).__name__}")


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)


def _is_task(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "from_str_params")


def _origin(wanted: Any) -> Any:
    return typing.get_origin(wanted) or wanted


def _named(wanted: Any) -> str:
    return _TYPE_NAMES.get(wanted) or str(getattr(wanted, "__name__", wanted))


def _is_missing(value: object) -> bool:
    if value is MASKED or _type_name(value) in ("MaskedConstant", "NAType", "NaTType"):
        return True
    if isinstance(value, float) or hasattr(value, "dtype"):
        try:
            return bool(value != value)
        except (TypeError, ValueError):
            return False
    return False


def is_truth(value: object) -> bool:
    """Whether a value is a truth value, and no number."""
    return _type_name(value) in ("bool", "bool_")  # Python's, and numpy's, whatever its version calls it


def _type_name(value: object) -> str:
    return type(value).__name__
