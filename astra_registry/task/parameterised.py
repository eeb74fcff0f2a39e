"""Classes whose annotated attributes are parameters, and instances that bind them to values."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import attrs

from astra_registry.conversion import Column, FrozenMapping, holds_sequences
from astra_registry.errors import (
    AstraRegistryError,
    BadValue,
    InvalidParameter,
    MissingParameter,
    SuperfluousParameter,
    UnequalLengths,
    UnknownParameter,
    did_you_mean,
)
from astra_registry.parameters import REQUIRED, Parameter, is_column, parameter, plain_column, shown
from astra_registry.task.declared import declared_in, spellings

GIVEN, DEFAULT, DERIVED = "given", "default", "derived"


@typing.dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False, field_specifiers=(parameter,))
class Parameterised:
    """A value made of parameters: keyword-only, converted strictly, immutable."""

    # By attribute, in the order of declaration, hidden ones last.
    _parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType({})
    _declared: ClassVar[Mapping[str, Parameter]] = MappingProxyType({})  # those of this very class body
    _spellings: ClassVar[Mapping[str, str]] = MappingProxyType({})  # every name and alias -> attribute

    _converted_defaults: ClassVar[dict[str, tuple[Any, Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared = declared_in(cls, in_path=cls._parameters_are_in_paths())
        cls._declared = MappingProxyType(declared)
        # As Python finds attributes: of two bases that declare one, the first in the order of resolution wins.
        merged = {a: p for base in reversed(cls.__mro__) for a, p in base.__dict__.get("_declared", {}).items()}
        merged = dict(sorted(cls._adapted(merged).items(), key=lambda item: item[1].visibility == "hidden"))
        cls._parameters = MappingProxyType(merged)
        cls._converted_defaults = {}
        cls._spellings = MappingProxyType(spellings(cls.__name__, cls._parameters))
        attrs.define(cls, init=False, repr=False, eq=False, frozen=True, slots=False, auto_attribs=False)

    def __init__(self, /, **given: Any) -> None:
        named = self._by_attribute(given)
        values, origins = self._bind(named)
        # The instance is frozen; this is the one place that fills it.
        self.__dict__.update(values, _origins=origins, _size=_batch_size(self, values))
        if changed := {
            a: _plain(value) for a, value in named.items() if value is not values[a] and _is_changed(value, values[a])
        }:
            self.__dict__["_given"] = changed

    # -- binding ---------------------------------------------------------------------------------

    @classmethod
    def _bind(cls, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the values of all parameters by attribute, and where each comes from: given, default or derived."""
        values = cls._converted(given)
        origins = dict.fromkeys(values, GIVEN)
        used = cls._used_parameters(values)
        for attribute in [attribute for attribute in values if attribute not in used]:
            # To give what it would be anyhow, where it matters, is no mistake: `apstar` names the only folder there is.
            if values[attribute] != cls._default(attribute, values):
                raise cls._superfluous(attribute, values)
            del values[attribute], origins[attribute]
        waiting = [attribute for attribute in used if attribute not in values]
        for attribute in waiting:
            default = cls._default(attribute, values)
            if default is not REQUIRED and not callable(default):
                values[attribute] = None if default is None else cls._convert_default(attribute, default)
                origins[attribute] = DEFAULT
        deriving = [a for a in waiting if a not in values and callable(cls._parameters[a].default)]
        while deriving:  # one may follow from another that is declared after it
            before = len(values)
            for attribute in deriving:
                derived = cls._derive(attribute, values)
                if derived is not REQUIRED:
                    values[attribute], origins[attribute] = derived, DERIVED
            deriving = [a for a in deriving if a not in values] if len(values) > before else []
        missing = [attribute for attribute in waiting if attribute not in values or cls._lacks(attribute, values)]
        if missing:
            raise cls._missing(missing, values)
        return {attribute: values.get(attribute) for attribute in cls._parameters}, origins

    @classmethod
    def _by_attribute(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was given by attribute name, aliases resolved; None means not given."""
        found: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for name, value in given.items():
            attribute = cls._spellings.get(name)
            if attribute is None:
                known = did_you_mean(name, cls._spellings) or f"; it has {', '.join(cls._public_names())}"
                raise UnknownParameter(f"{cls._label()} has no parameter '{name}'{known}")
            if value is None:
                continue
            if attribute in found:
                raise BadValue(
                    f"{cls._label()}: '{spelled[attribute]}' and '{name}' are the same parameter, given twice"
                )
            found[attribute], spelled[attribute] = value, name
        return found

    @classmethod
    def _converted(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for attribute in cls._parameters:
            if attribute in given:
                values[attribute] = cls._convert(attribute, given[attribute])
        lengths = {name: len(value) for name, value in values.items() if cls._is_column(name, value)}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{cls._parameters[name].name} {length}" for name, length in lengths.items())
            raise UnequalLengths(f"{cls._label()}: the columns of a batch must be equally long, not {listed}")
        return values

    @classmethod
    def _convert(cls, attribute: str, value: Any) -> Any:
        declaration = cls._parameters[attribute]
        try:
            if getattr(value, "is_batch_mode", False) and declaration.batch:
                return _members(declaration, value)
            if is_column(value) and not _is_value(declaration, value):
                return declaration.convert_column(_values_of(declaration, value))
            return declaration.convert(value)
        except InvalidParameter as error:
            raise InvalidParameter(f"{cls._label()}: {error}") from None

    @classmethod
    def _convert_default(cls, attribute: str, default: Any) -> Any:
        """Return a default as the parameter's type; each is converted once."""
        known = cls._converted_defaults
        if attribute not in known or known[attribute][0] is not default:
            known[attribute] = (default, cls._convert(attribute, default))
        return known[attribute][1]

    @classmethod
    def _is_column(cls, attribute: str, value: object) -> bool:
        """Whether a stored value is one for each member of a batch."""
        if type(value) is Column:
            return True
        return cls._parameters[attribute].batch and bool(getattr(value, "is_batch_mode", False))

    @classmethod
    def _used_parameters(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the attributes that take part, given the values so far; a product's depend on its release."""
        return cls._parameters

    @classmethod
    def _default(cls, attribute: str, values: Mapping[str, Any]) -> Any:
        """Return the default of a parameter, REQUIRED when there is none."""
        return cls._parameters[attribute].default

    @classmethod
    def _lacks(cls, attribute: str, values: Mapping[str, Any]) -> bool:
        """Whether a parameter without a value is one that is needed."""
        return False

    @classmethod
    def _derive(cls, attribute: str, values: Mapping[str, Any]) -> Any:
        """Return a derived default, a column when one of its arguments is; REQUIRED when an argument lacks."""
        declaration = cls._parameters[attribute]
        arguments = {name: values.get(cls._spellings.get(name, name)) for name in declaration.reads}
        if any(argument is None for argument in arguments.values()):
            return REQUIRED
        columns = {name: value for name, value in arguments.items() if type(value) is Column}
        try:
            if getattr(declaration.default, "columnwise", False):
                size = len(next(iter(columns.values()))) if columns else 1
                derived = declaration.default(
                    **{name: value if name in columns else [value] * size for name, value in arguments.items()}
                )
                return declaration.convert_column(derived) if columns else declaration.convert(derived[0])
            if not columns:
                return declaration.convert(declaration.default(**arguments))
            constants = {name: value for name, value in arguments.items() if name not in columns}
            rows = list(zip(*columns.values(), strict=True))
            by_row = {
                row: declaration.default(**dict(zip(columns, row, strict=True)), **constants) for row in set(rows)
            }
            return declaration.convert_column([by_row[row] for row in rows])
        except InvalidParameter as error:
            raise InvalidParameter(f"{cls._label()}: {error}") from None
        except AstraRegistryError:
            raise
        except (LookupError, ValueError) as error:  # {"apo25m": "ap"}[telescope] of another telescope
            told = ", ".join(f"{name} = {shown(argument)}" for name, argument in arguments.items())
            what = f"{cls._label()}: no {declaration.name} follows from {told}"
            raise InvalidParameter(f"{what}: {type(error).__name__}: {error}") from error

    @classmethod
    def _superfluous(cls, attribute: str, values: Mapping[str, Any]) -> SuperfluousParameter:
        return SuperfluousParameter(f"{cls._label()} does not use {cls._parameters[attribute].name}")

    @classmethod
    def _missing(cls, attributes: Sequence[str], values: Mapping[str, Any]) -> MissingParameter:
        names = ", ".join(cls._parameters[attribute].name for attribute in attributes)
        return MissingParameter(f"{cls._label()} needs {names}")

    @classmethod
    def _label(cls) -> str:
        return cls.__name__

    @classmethod
    def _adapted(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        """Return the parameters of the class, made of those that it and its bases declare."""
        return parameters

    @classmethod
    def _parameters_are_in_paths(cls) -> bool:
        """Whether what this class body declares takes part in paths; a product's does."""
        return False

    @classmethod
    def _public_names(cls) -> list[str]:
        return [p.name for p in cls._parameters.values() if p.visibility == "public"]

    # -- the parameters, as luigi's users ask for them ---------------------------------------------

    @classmethod
    def get_params(cls) -> list[tuple[str, Parameter]]:
        """Return ``(name, declaration)`` of every parameter, in the order of declaration."""
        return [(declaration.name, declaration) for declaration in cls._parameters.values()]

    @classmethod
    def get_param_names(cls, include_significant: bool = False) -> list[str]:
        """Return the names of the significant parameters; of all of them when `include_significant` is true.

        The flag reads the wrong way round in luigi, and is kept so for those who know it.
        """
        return [p.name for p in cls._parameters.values() if include_significant or p.significant]

    @classmethod
    def get_param_values(
        cls, params: Iterable[tuple[str, Parameter]], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[tuple[str, Any]]:
        """Return ``(name, value)`` of each parameter from positional and keyword arguments, as luigi does.

        Raises MissingParameter, UnknownParameter or BadValue (one given twice, too many) that names it.
        """
        listed = list(params)
        positional = [name for name, declaration in listed if declaration.visibility != "hidden"]
        if len(args) > len(positional):
            raise BadValue(f"{cls._label()} takes {len(positional)} parameters by position, not {len(args)}")
        given: dict[str, Any] = dict(zip(positional, args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                raise BadValue(f"{cls._label()}: {name} was given twice, by position and by name")
            if name not in cls._spellings:
                raise UnknownParameter(f"{cls._label()} has no parameter '{name}'{did_you_mean(name, cls._spellings)}")
            given[name] = value
        instance = cls(**given)
        return [(name, getattr(instance, declaration.attribute)) for name, declaration in listed]

    @classmethod
    def _get_param_visibilities(cls) -> dict[str, str]:
        """Return the visibility of each parameter by name: public, hidden or private."""
        return {declaration.name: declaration.visibility for declaration in cls._parameters.values()}

    @property
    def param_args(self) -> tuple[Any, ...]:
        """The values of all parameters, in the order of declaration."""
        return tuple(getattr(self, attribute) for attribute in self._parameters)

    @property
    def param_kwargs(self) -> Mapping[str, Any]:
        """All values by name, read-only; None for what the release does not use."""
        return MappingProxyType({p.name: getattr(self, attribute) for attribute, p in self._parameters.items()})

    @property
    def param_origins(self) -> Mapping[str, str]:
        """Where each value comes from, by name: ``given``, ``default`` or ``derived``."""
        return MappingProxyType({self._parameters[a].name: origin for a, origin in self._origins.items()})

    _origins: ClassVar[Mapping[str, str]] = MappingProxyType({})
    _size: ClassVar[int | None] = None

    _given: ClassVar[Mapping[str, Any]] = MappingProxyType({})  # what was given otherwise than it is stored

    def _warn_on_wrong_param_types(self, strict: bool = False) -> dict[str, tuple[Any, Any]]:
        """Return what conversion changed when the instance was made, ``{name: (given, stored)}``.

        With `strict` a change raises InvalidParameter. Wrong values are refused anyhow, when they come in.
        """
        changed = {self._parameters[a].name: (given, getattr(self, a)) for a, given in self._given.items()}
        if changed and strict:
            listed = ", ".join(f"{name} = {shown(given)}" for name, (given, _) in changed.items())
            raise InvalidParameter(f"{self._label()}: given otherwise than as the parameter's type: {listed}")
        return changed

    # -- copies ------------------------------------------------------------------------------------

    def _given_kwargs(self) -> dict[str, Any]:
        """Return the values that were given, by name: what makes this instance again."""
        return {
            declaration.name: getattr(self, attribute)
            for attribute, declaration in self._parameters.items()
            if self._origins.get(attribute) == GIVEN
        }

    def clone(self, cls: type[Any] | None = None, **kwargs: Any) -> Any:
        """Return a copy with some parameters changed, or the same parameters in another class.

        What was defaulted or derived is made anew, and so is what is given as None; what the result's release does not
        use is left out. An unknown name in `kwargs` raises UnknownParameter.
        """
        target = cls or type(self)
        changes = target._by_attribute(kwargs)
        shared = self._given_kwargs() if target is type(self) else self._shared_kwargs(target, changes)
        kept = {target._spellings[name]: value for name, value in shared.items() if name in target._spellings}
        for name in [name for name, value in kwargs.items() if value is None]:
            kept.pop(target._spellings[name], None)
        merged = {**kept, **changes}
        used = target._used_parameters(target._converted(merged))
        names = {a: target._parameters[a].name for a in target._parameters}
        return target(**{names[a]: value for a, value in merged.items() if a in used or a in changes})

    def _shared_kwargs(self, target: type[Parameterised], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return this instance's values of the parameters that `target` has too, but for what follows from a change."""
        changed = {target._parameters[attribute].name for attribute in changes}
        return {
            declaration.name: getattr(self, attribute)
            for attribute, declaration in self._parameters.items()
            if declaration.name in target._spellings
            and getattr(self, attribute, None) is not None
            and (self._origins.get(attribute) == GIVEN or not changed & self._follows_from(attribute))
        }

    @classmethod
    def _follows_from(cls, attribute: str) -> set[str]:
        """Return the names of the parameters that the default of one depends on."""
        return set(cls._parameters[attribute].reads)

    @classmethod
    def get_common_param_names(cls, klass: type[Parameterised], include_significant: bool = True) -> list[str]:
        """Return the names of parameters that this class and `klass` share, in this class's order.

        With `include_significant` all of them (luigi's sense of the flag), else the significant ones.
        """
        theirs = {p.name for p in klass._parameters.values() if include_significant or p.significant}
        mine = [p for p in cls._parameters.values() if include_significant or p.significant]
        return [p.name for p in mine if p.name in theirs and p.visibility != "hidden"]

    def get_common_param_kwargs(self, klass: type[Parameterised], include_significant: bool = True) -> dict[str, Any]:
        """Return the values to make a `klass` with: what both share, without what its release does not use."""
        names = self.get_common_param_names(klass, include_significant)
        values = {name: getattr(self, self._spellings[name]) for name in names}
        values = {name: value for name, value in values.items() if value is not None}
        used = klass._used_parameters(klass._converted(klass._by_attribute(values)))
        return {name: value for name, value in values.items() if klass._spellings[name] in used}


def _plain(given: Any) -> Any:
    return plain_column(given) if is_column(given) and not hasattr(given, "is_batch_mode") else given


def _is_changed(given: Any, stored: Any) -> bool:
    """Whether conversion made another value, or one of another type, of what was given; an array is a column as is."""
    try:
        if type(stored) is Column:
            column = plain_column(given)
            return set(map(type, column)) != set(map(type, stored)) or tuple(column) != stored
        if isinstance(stored, tuple):
            return bool(tuple(given) != stored)
        if isinstance(stored, FrozenMapping):
            return bool(stored != given)
        return type(stored) is not type(given) or bool(stored != given)
    except ValueError:  # arrays as parts of a value, which do not tell whether they are equal
        return True


def _batch_size(instance: Parameterised, values: Mapping[str, Any]) -> int | None:
    for attribute, value in values.items():
        if value is not None and instance._is_column(attribute, value):
            return len(value)
    return None


def _is_value(declaration: Parameter, value: object) -> bool:
    """Whether a sequence is one value, and not a column: a tuple may be, and of no batch parameter any sequence."""
    if hasattr(value, "is_batch_mode"):
        return True
    if type(value) is Column or not holds_sequences(declaration.type):
        return False
    return isinstance(value, tuple) or not declaration.batch


def _values_of(declaration: Parameter, values: Any) -> Sequence[object]:
    if not declaration.batch:
        raise InvalidParameter(f"{declaration.name} takes one value, not a sequence: it is no batch parameter")
    return plain_column(values)


def _members(declaration: Parameter, batch: Any) -> Any:
    """A batch given for a parameter whose type is a task: its members are the column."""
    if isinstance(declaration.type, type) and isinstance(batch, declaration.type):
        return batch
    raise InvalidParameter(f"{declaration.name} takes {declaration.type_name}, not a batch of {type(batch).__name__}")
