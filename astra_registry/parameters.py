"""What a parameter is: its declaration, and what it makes of a value or of a column of them."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from astra_registry.conversion import MASKED, Column, Sentinel, convert, holds_mappings, is_time, is_truth
from astra_registry.errors import AstraRegistryError, BadValue, InvalidParameter

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
VISIBILITIES = ("public", "hidden", "private")

REQUIRED = Sentinel("required")  # the default of a parameter that has none


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
    # release -> the column that holds it in that release's tables, before one of its own name
    columns: Mapping[str, str] = attrs.field(default=MappingProxyType({}), hash=False)
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

    @property
    def differs_by_release(self) -> bool:
        """Whether it has a default for each release, and not a mapping for its default."""
        return isinstance(self.default, Mapping) and not holds_mappings(self.type)

    @property
    def is_constant(self) -> bool:
        """Whether it has a default that is one value, the same in all releases and whatever the others are."""
        is_one = self.default is not None and self.default is not REQUIRED
        return is_one and not callable(self.default) and not self.differs_by_release

    def convert(self, value: object) -> Any:
        """Return `value` as this parameter's type, or raise InvalidParameter saying what would do."""
        given = value
        try:
            if self.unit is not None and hasattr(value, "to_value"):  # an astropy Quantity, in any unit that will do
                value = value.to_value(self.unit)
            converted = convert(value, self.type, keep_blanks=not self.in_path)
            for function in self.refine:
                converted = function(converted)
            self._validate(converted)
        except InvalidParameter:
            raise
        except (TypeError, ValueError) as error:
            raise InvalidParameter(f"{self.name} = {shown(given)}: {error}") from None
        return converted

    def convert_column(self, values: Sequence[object]) -> Column:
        """Return a whole column converted; each distinct value is looked at once, and shared."""
        if self._is_clean(values):
            return Column(values)
        if len(set(map(type, values))) == 1 and isinstance(values[0], (int, str, bytes)):
            # One type, so that 1, True and 1.0 cannot stand in for one another as keys.
            converted: dict[Any, Any] = dict.fromkeys(values)
            for value in converted:
                converted[value] = self._convert_in_column(value, values)
            return Column(map(converted.__getitem__, values))
        return Column([self._convert_in_column(value, values) for value in values])

    def _convert_in_column(self, value: object, values: Sequence[object]) -> Any:
        try:
            if getattr(value, "is_batch_mode", False):
                raise InvalidParameter(f"{self.name} = {shown(value)}: a batch is no member of a batch")
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
            if isinstance(verdict, str) or (is_truth(verdict) and not verdict):  # numpy's False is another object
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
    columns: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Declare a parameter of a task or data product; the annotation of the attribute is its type.

    Types are int, str, float, bool; tuple, list or dict of these (kept as tuples and as a mapping that cannot be
    changed); a task's or product's class; a union of them; or Any, for whatever can be made of them.

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
        ``public``, ``hidden`` (not in task lists) or ``private`` (not in the text form, the database or a scheduler
        either: for what is secret; who loads the task gets the default).
    unit
        The unit, as astropy spells it.
    choices
        The values it may have.
    check
        A function of the converted value: returns False or a text, or raises ValueError, when it is wrong.
    aliases
        Other names by which templates, callers and columns of tables know it.
    columns
        Release to the column (in any case) that holds it in tables of that release: it is taken before a column of the
        parameter's own name, which holds something else there.

    """
    if visibility not in VISIBILITIES:
        raise BadValue(f"the visibility of a parameter is {', '.join(VISIBILITIES)}, not {visibility!r}")
    if not isinstance(doc, str):
        raise BadValue(f"what a parameter is, is told in text, not by {shown(doc)}")
    for name, given in (("aliases", aliases), ("choices", choices)):
        if isinstance(given, (str, bytes)):  # its letters would be taken one by one
            raise BadValue(f"{name} are several, in a tuple: {name}=({given!r},)")
    return attrs.field(
        kw_only=True,
        default=attrs.NOTHING if default is REQUIRED else default,
        metadata={
            "declared": {
                "doc": doc,
                "default": MappingProxyType(dict(default)) if isinstance(default, Mapping) else default,
                "batch": batch,
                "significant": significant,
                "visibility": visibility,
                "unit": unit,
                "choices": None if choices is None else tuple(choices),
                "check": check,
                "aliases": tuple(aliases),
                "columns": MappingProxyType(dict(columns)),
            }
        },
    )


def columnwise(function: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    """Mark a default's function as one that takes and returns whole columns, for speed in batches."""
    function.columnwise = True  # type: ignore[attr-defined]
    return function


def is_column(value: object) -> bool:
    """Whether a value given for a parameter is a sequence of values: a list, a tuple, an array, a table's column."""
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping, set, frozenset)) or not hasattr(value, "__len__"):
        return False
    if hasattr(value, "is_batch_mode"):
        return bool(value.is_batch_mode)  # a single task has a length and members, like a batch, and is one value
    return hasattr(value, "__getitem__") and getattr(value, "ndim", 1) != 0 and getattr(value, "is_column", True)


def plain_column(values: Any) -> Sequence[object]:
    """Return a column as a list or tuple of plain Python values; masked cells become `MASKED`."""
    mask = getattr(values, "mask", None)
    # Of dates tolist() makes plain numbers, and of an astropy Quantity nothing.
    as_they_are = hasattr(values, "to_value") or (hasattr(values, "dtype") and is_time(values))
    column = values.tolist() if hasattr(values, "tolist") and not as_they_are else values
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


def shown(value: object) -> str:
    """Return how a value is shown in an error: in Python's spelling, and not at length."""
    try:
        text = " ".join(repr(value).split("\n"))  # an array's takes several lines
    except Exception:  # noqa: BLE001 -- an integer of 5,000 digits has no spelling, other objects a broken one
        return f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "…"


@functools.cache
def _argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
