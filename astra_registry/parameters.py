"""What a parameter is: its declaration, and the strict conversion of what it is given."""

from __future__ import annotations

import functools
import inspect
import operator
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from astra_registry.errors import AstraRegistryError, InvalidParameter

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TYPE_NAMES = {int: "an integer", str: "text", float: "a number", bool: "true or false"}


class _Sentinel:
    """A value that means something no other value means."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MASKED = _Sentinel("masked")  # the content of a masked cell of a table
REQUIRED = _Sentinel("required")  # the default of a parameter that has none


@attrs.frozen(kw_only=True)
class Parameter:
    """The declaration of one parameter, as `parameter` made it and the class body named it."""

    name: str  # its spelling in templates, tables and mappings
    attribute: str  # its spelling in Python: ``run_`` for ``run``
    type: Any
    doc: str
    default: Any = REQUIRED
    batch: bool = False
    significant: bool = True
    visibility: str = "public"
    unit: str | None = None
    choices: tuple[Any, ...] | None = None
    check: Callable[[Any], object] | None = None
    aliases: tuple[str, ...] = ()
    refine: tuple[Callable[[Any], Any], ...] = ()  # the functions of an ``Annotated[type, function]``
    in_path: bool = False  # it takes part in a path: no separators, no control characters
    subpath: bool = False  # it may hold ``/``: the tree's template wants a path below a folder

    @property
    def type_name(self) -> str:
        """The type as `show` prints it: ``int``, ``str``, ``ApStarFile``."""
        return str(getattr(self.type, "__name__", self.type))

    @property
    def reads(self) -> tuple[str, ...]:
        """The parameters that a derived default is made from, else empty."""
        return _argument_names(self.default) if callable(self.default) else ()

    def convert(self, value: object) -> Any:
        """Return `value` as this parameter's type, or raise InvalidParameter saying what would do."""
        try:
            converted = _convert(value, self.type, keep_blanks=not self.in_path)
            for function in self.refine:
                converted = function(converted)
            self._validate(converted)
        except InvalidParameter:
            raise
        except (TypeError, ValueError) as error:
            raise InvalidParameter(f"{self.name} = {_shown(value)}: {error}") from None
        return converted

    def convert_column(self, values: Sequence[object]) -> tuple[Any, ...]:
        """Return a whole column converted; each distinct value is looked at once, and shared."""
        if self._is_clean(values):
            return tuple(values)
        if len(set(map(type, values))) == 1 and isinstance(values[0], (int, str, bytes)):
            # One type, so that 1, True and 1.0 cannot stand in for one another as keys.
            converted: dict[Any, Any] = dict.fromkeys(values)
            for value in converted:
                converted[value] = self._convert_in_column(value, values)
            return tuple(map(converted.__getitem__, values))
        return tuple([self._convert_in_column(value, values) for value in values])

    def _convert_in_column(self, value: object, values: Sequence[object]) -> Any:
        try:
            return self.convert(value)
        except AstraRegistryError as error:
            row = next(
                i for i, other in enumerate(values) if type(other) is type(value) and (other is value or other == value)
            )
            raise type(error)(f"row {row}: {error}") from None

    def _is_clean(self, values: Sequence[object]) -> bool:
        """Whether a column is already what conversion would make of it, found without a step an item."""
        if not values or self.choices or self.check or self.refine or set(map(type, values)) != {self.type}:
            return False
        if self.type is int:
            return True
        if self.type is not str or not self.in_path:
            return False
        text = "".join(typing.cast("Sequence[str]", values))
        return (
            text.isascii() and text.isprintable() and "/" not in text and " " not in text
            and ".." not in text and all(values) and "." not in values
        )  # fmt: skip

    def _validate(self, value: Any) -> None:
        if value == "" and self.default == "":
            return  # one that may be left empty
        if self.in_path and isinstance(value, str):
            check_path_value(value, subpath=self.subpath)
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"it takes {', '.join(map(str, self.choices))}")
        if self.check is not None:
            verdict = self.check(value)
            if verdict is False or isinstance(verdict, str):
                raise ValueError(verdict or "it does not pass the parameter's check")


def parameter(
    doc: str,
    *,
    default: Any = REQUIRED,
    batch: bool = False,
    significant: bool = True,
    visibility: str = "public",
    unit: str | None = None,
    choices: Iterable[Any] | None = None,
    check: Callable[[Any], object] | None = None,
    aliases: Iterable[str] = (),
) -> Any:
    """Declare a parameter of a task or data product; the annotation of the attribute is its type.

    Parameters
    ----------
    doc
        What it is, in one line, for `show` and for ``--help``.
    default
        A value; a mapping of releases to values; or a function whose arguments are names of other
        parameters (or ``release``). Without one the parameter is required, and with None it is needed
        exactly where the release's template names it.
    batch
        Whether it may be given a sequence, which makes a batch.
    significant
        Whether it is part of the task's identity.
    visibility
        ``public``, ``hidden`` (not in task lists) or ``private`` (not in the database either).
    unit
        The unit, as astropy spells it.
    choices
        The values it may have.
    check
        A function of the converted value: returns False or a text, or raises ValueError, when it is wrong.
    aliases
        Other names by which templates, callers and columns of tables know it.

    """
    return attrs.field(
        kw_only=True,
        default=attrs.NOTHING if default is REQUIRED else default,
        metadata={
            "declared": {
                "doc": doc,
                "default": types.MappingProxyType(dict(default)) if isinstance(default, Mapping) else default,
                "batch": batch,
                "significant": significant,
                "visibility": visibility,
                "unit": unit,
                "choices": None if choices is None else tuple(choices),
                "check": check,
                "aliases": tuple(aliases),
            }
        },
    )


def columnwise(function: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    """Mark a default's function as one that takes and returns whole columns, for speed in batches."""
    function.columnwise = True  # type: ignore[attr-defined]
    return function


def is_column(value: object) -> bool:
    """Whether a value given for a parameter is a sequence of values: a list, a tuple, an array, a table's column."""
    if isinstance(value, (str, bytes, Mapping, set, frozenset)) or not hasattr(value, "__len__"):
        return False
    return hasattr(value, "__getitem__") and getattr(value, "ndim", 1) != 0 and getattr(value, "is_column", True)


def plain_column(values: Any) -> Sequence[object]:
    """Return a column as a list or tuple of plain Python values; masked cells become `MASKED`."""
    mask = getattr(values, "mask", None)
    column = values.tolist() if hasattr(values, "tolist") else values
    if mask is not None and hasattr(mask, "tolist") and getattr(mask, "ndim", 0) == 1:
        column = [MASKED if masked else value for value, masked in zip(column, mask.tolist(), strict=True)]
    return column if isinstance(column, (list, tuple, range)) else list(column)


def check_path_value(text: str, *, subpath: bool = False) -> None:
    """Raise ValueError when a text cannot stand in one segment of a path."""
    if not text:
        raise ValueError("it is empty")
    if found := _CONTROL.search(text):
        raise ValueError(f"it holds the control character {found.group()!r}")
    if ".." in text or text == ".":
        raise ValueError("it may not leave its folder ('.', '..')")
    if "/" in text and (not subpath or text.startswith("/") or text.endswith("/") or "//" in text):
        raise ValueError("it may not hold '/'")


def _convert(value: object, wanted: Any, *, keep_blanks: bool) -> Any:
    if value is None:
        raise ValueError("it has no value")
    if _is_missing(value):
        raise ValueError("it is masked or not a number")
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="strict").rstrip("\0 ")
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
    if isinstance(value, bool) or _type_name(value) in ("bool", "bool_"):
        raise ValueError("it takes text, not a truth value")
    try:
        return str(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"it takes text, not {type(value).__name__}") from None


def _integer(value: object) -> int:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value.strip(" ")):
            raise ValueError("it takes an integer")
        return int(value)
    if isinstance(value, bool) or _type_name(value) in ("bool", "bool_"):
        raise ValueError("it takes an integer, not a truth value")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    # Tables with gaps hold integers as 59146.0; 59146.5 is no integer.
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError("it takes an integer") from None
    if not number.is_integer():
        raise ValueError("it takes an integer")
    return int(number)


def _number(value: object) -> float:
    if isinstance(value, bool) or _type_name(value) in ("bool", "bool_"):
        raise ValueError("it takes a number, not a truth value")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("it takes a number") from None
    if number != number:
        raise ValueError("it is not a number")
    return number


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if _type_name(value) in ("bool", "bool_"):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("it takes true or false")


def _other(value: object, wanted: Any) -> Any:
    """Convert to a type other than the four: a class (a product, say), a tuple, a mapping, anything."""
    origin = typing.get_origin(wanted) or wanted
    if origin in (Any, object):
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(value)
    if origin in (dict, Mapping, typing.get_origin(Mapping[str, str])) and isinstance(value, Mapping):
        return types.MappingProxyType(dict(value))
    if isinstance(origin, type) and isinstance(value, origin):
        return value
    raise ValueError(f"it takes {_TYPE_NAMES.get(wanted, getattr(wanted, '__name__', wanted))}")


def plain_type(annotation: Any) -> tuple[Any, tuple[Callable[[Any], Any], ...]]:
    """Return the type of an annotation without its ``| None``, and the functions that an ``Annotated`` adds."""
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *functions = typing.get_args(annotation)
        return plain_type(kind)[0], tuple(functions)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        return plain_type(members[0]) if len(members) == 1 else (object, ())
    return annotation, ()


def _is_missing(value: object) -> bool:
    if value is MASKED or _type_name(value) in ("MaskedConstant", "NAType", "NaTType"):
        return True
    if isinstance(value, float) or hasattr(value, "dtype"):
        try:
            return bool(value != value)
        except (TypeError, ValueError):
            return False
    return False


def _type_name(value: object) -> str:
    return type(value).__name__


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


@functools.cache
def _argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
