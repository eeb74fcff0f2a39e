"""Who a task is: its family, its identifier, its text form, and what makes two tasks equal."""

from __future__ import annotations

import contextlib
import functools
import json
import json.encoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from astra_registry import __version__
from astra_registry.errors import InvalidParameter, UnknownParameter
from astra_registry.parameters import Parameter, parameter
from astra_registry.plugins import installed_plugins
from astra_registry.references import found_again
from astra_registry.task.parameterised import GIVEN, Parameterised

# The payload's layout. It is part of every identifier: to change it is to rename every task.
PAYLOAD = "astra-registry/1"
_COLUMNS = "__columns__"  # names the batch parameters that hold columns, in the text form of a batch
MAJOR, MINOR, MICRO = (int(part) for part in __version__.split(".")[:3])
quoted = json.encoder.encode_basestring_ascii  # what json.dumps does to a text, without its overhead
SCALARS = (str, int, float, bool)
_DIGEST_BYTES = 16  # 128 bits: a billion tasks meet by chance once in 1e21 runs


class told_by_class(property):  # noqa: N801 - a decorator is written like this
    """A property that the class has as well as its instances, for it depends on nothing else."""

    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        return super().__get__(type(instance) if owner is None else owner)


class Identified(Parameterised):
    """A parameterised value that has a name of its own, the same in every process and year."""

    task_namespace: ClassVar[str | None] = None
    _namespace_at_class_time: ClassVar[str | None] = None
    _visible_in_registry: ClassVar[bool] = True
    use_cmdline_section: ClassVar[bool] = True
    _registered_as: ClassVar[str | None] = None  # where a class without an importable name is found again

    astra_version_major: int = parameter("The core's version.", default=MAJOR, visibility="hidden")
    astra_version_minor: int = parameter("The core's version.", default=MINOR, visibility="hidden")
    astra_version_micro: int = parameter("The core's version.", default=MICRO, significant=False, visibility="hidden")
    astra_version_dev: bool = parameter(
        "Whether the core is between versions.", default="dev" in __version__, significant=False, visibility="hidden"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._namespace_at_class_time = cls.task_namespace

    # -- family ------------------------------------------------------------------------------------

    @classmethod
    def get_task_namespace(cls) -> str | None:
        """Return the namespace of the family, None when it has none."""
        return cls.task_namespace

    @classmethod
    def get_task_family(cls) -> str:
        """Return the name of the family: the class's, after the namespace and a dot when there is one."""
        name = cls._family_name()
        return f"{cls.task_namespace}.{name}" if cls.task_namespace else name

    @classmethod
    def _family_name(cls) -> str:
        return cls.__name__

    @told_by_class
    def task_family(cls) -> str:  # noqa: N805 - the class is asked, as luigi's are
        """The name of the family."""
        return cls.get_task_family()

    @property
    def task_module(self) -> str:
        """The module that defines the class."""
        return type(self).__module__

    @property
    def reference(self) -> str:
        """Where the class is found again: ``module:qualified name``."""
        cls = type(self)
        return cls._registered_as or f"{cls.__module__}:{cls.__qualname__}"

    @property
    def plugin_version(self) -> str:
        """The version of the distribution that the class comes from, or an empty string."""
        return _version_of(type(self).__module__.partition(".")[0])

    # -- identifier --------------------------------------------------------------------------------

    @functools.cached_property
    def task_id(self) -> str:
        """``family_hash``: 128 bits over release and significant parameters, the same everywhere.

        A batch's is made from its members', in order.
        """
        if self._size is None:
            values = {a: self.__dict__[a] for a, _ in self._identifying()}
            return self._identifier(self._payload(values))
        from hashlib import blake2b  # finding a path needs no identity, and hashlib loads OpenSSL

        digest = blake2b(f"{PAYLOAD} batch".encode(), digest_size=_DIGEST_BYTES)
        for task_id in self._member_ids():
            digest.update(b"\n" + task_id.encode())
        return f"{self.get_task_family()}_{digest.hexdigest()}"

    @classmethod
    def _identifying(cls) -> list[tuple[str, Parameter]]:
        """Return the significant parameters in the order of the payload: by name, not by declaration."""
        return sorted(((a, p) for a, p in cls._parameters.items() if p.significant), key=lambda item: item[1].name)

    @classmethod
    def _identifier(cls, payload: str) -> str:
        from hashlib import blake2b

        digest = blake2b(payload.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
        return f"{cls.get_task_family()}_{digest}"

    @classmethod
    def _payload(cls, values: Mapping[str, Any]) -> str:
        """Return the canonical text that is hashed: typed, sorted by name, without what is not used."""
        fields = ",".join(_payload_field(p.name, values[a]) for a, p in cls._identifying() if values[a] is not None)
        return f"{cls._payload_head()}{fields}"

    @classmethod
    def _payload_head(cls) -> str:
        return f"{PAYLOAD} {cls.get_task_family()} "

    def _member_ids(self) -> Iterator[str]:
        """Yield the identifiers of a batch's members, made from its columns without one object a member."""
        cls, size = type(self), self._size or 0
        head = self._payload_head()
        # What all members share is written once, around the columns' own texts.
        pieces: list[str | Iterator[str]] = [head]
        separator = ""
        for attribute, declaration in cls._identifying():
            value = self.__dict__[attribute]
            if value is None:
                continue
            if self._is_column(attribute, value):
                pieces += [f'{separator}["{declaration.name}",', _payload_column(declaration, value), "]"]
            else:
                pieces.append(separator + _payload_field(declaration.name, value))
            separator = ","
        prefix = f"{self.get_task_family()}_"
        from hashlib import blake2b

        texts = _woven(pieces, size)
        for text in texts:
            yield prefix + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()

    # -- text form ---------------------------------------------------------------------------------

    def to_str_params(self, only_significant: bool = False, only_public: bool = False) -> dict[str, str]:
        """Return the parameters as text by name; `from_str_params` makes the same task of it, types and all.

        What the release does not use is left out, and what is private; columns of a batch are JSON arrays of text, and
        are named in the entry ``__columns__``.
        """
        texts: dict[str, str] = {}
        columns: list[str] = []
        for attribute, declaration, value in self._written():
            if only_significant and not declaration.significant:
                continue
            if only_public and declaration.visibility != "public":
                continue
            if self._is_column(attribute, value):
                columns.append(declaration.name)
                texts[declaration.name] = json.dumps([as_text(declaration, v) for v in value], ensure_ascii=False)
            else:
                texts[declaration.name] = as_text(declaration, value)
        if columns:
            texts[_COLUMNS] = ",".join(columns)
        return texts

    def _written(self) -> Iterator[tuple[str, Parameter, Any]]:
        """Yield what the text form holds: all but what is private, and what every task has and makes no difference."""
        for attribute, declaration in self._parameters.items():
            value = None if declaration.visibility == "private" else self.__dict__[attribute]
            matters = declaration.significant or declaration.visibility != "hidden"
            if value is not None and (matters or self._origins.get(attribute) == GIVEN):
                yield attribute, declaration, value

    def _recorded(self) -> Iterator[tuple[str, Parameter, Any]]:
        """Yield what the row of a task holds: of what makes no difference to which task it is, only what was given."""
        # Of a product that is half of its text: how it would be brought.
        for attribute, declaration, value in self._written():
            if declaration.significant or self._origins.get(attribute) == GIVEN:
                yield attribute, declaration, value

    @classmethod
    def from_str_params(cls, params_str: Mapping[str, str]) -> Self:
        """Return the task whose `to_str_params` was given. Raises UnknownParameter, InvalidParameter."""
        columns = set(filter(None, params_str.get(_COLUMNS, "").split(",")))
        values: dict[str, Any] = {}
        for name, text in params_str.items():
            if name == _COLUMNS:
                continue
            attribute = cls._spellings.get(name)
            if attribute is None:
                raise UnknownParameter(f"{cls._label()} has no parameter '{name}'")
            declaration = cls._parameters[attribute]
            values[name] = (
                [from_text(declaration, item) for item in json.loads(text)]
                if name in columns
                else from_text(declaration, text)
            )
        return cls(**values)

    def get_hashed_params(self, only_significant: bool = True, only_public: bool = False) -> dict[str, str]:
        """Return the parameters that the identifier is made of, as text by name."""
        return self.to_str_params(only_significant=only_significant, only_public=only_public)

    def identity_rows(self) -> Iterator[tuple[str, str]]:
        """Yield ``(task_id, parameters as JSON)`` of each member, in order; of the task itself when it is no batch.

        What makes no difference to which task it is, and was not given, is left out.
        """
        if self._size is None:
            yield self.task_id, json.dumps({p.name: as_text(p, value) for _, p, value in self._recorded()})
            return
        pieces: list[str | Iterator[str]] = ["{"]
        separator = ""
        for attribute, declaration, value in self._recorded():
            key = f"{separator}{json.dumps(declaration.name)}: "
            if self._is_column(attribute, value):
                texts = value if declaration.type is str else map(functools.partial(as_text, declaration), value)
                pieces += [key, map(quoted, texts)]
            else:
                pieces.append(key + quoted(as_text(declaration, value)))
            separator = ", "
        yield from zip(self._member_ids(), _woven([*pieces, "}"], self._size), strict=True)

    # -- value -------------------------------------------------------------------------------------

    def initialized(self) -> bool:
        """Whether the instance was made in full, and not by ``cls.__new__(cls)`` alone."""
        return "_origins" in self.__dict__

    def _identity(self) -> tuple[Any, ...]:
        return (self.get_task_family(), *(_comparable(p, self.__dict__[a]) for a, p in self._identifying()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identified):
            return NotImplemented
        if self is other:
            return True
        if not (self.initialized() and other.initialized()):
            return False
        if self._size is None and other._size is None:
            return self._identity() == other._identity()
        return self._size == other._size and self.task_id == other.task_id  # a scalar may stand for a column

    def __hash__(self) -> int:
        if not self.initialized():
            return object.__hash__(self)
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._identity() if self._size is None else self.task_id)

    def __repr__(self) -> str:
        name = type(self).__name__
        if not self.initialized():
            return f"<{name}(not initialized)>"
        try:
            parts = [self.task_id.rpartition("_")[2][:8]]
            if self._size is not None:
                parts.append(f"batch_size={self._size}")
            parts += [
                f"{p.name}={self.__dict__[a]!r}"
                for a, p in self._parameters.items()
                if p.significant
                and p.visibility == "public"
                and self.__dict__[a] is not None
                and not self._is_column(a, self.__dict__[a])
            ]
        except Exception as error:  # noqa: BLE001 - a repr that raises hides what the person is looking for
            parts = [f"{type(error).__name__} in a parameter"]
        return f"<{name}({', '.join(parts)})>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _remade, (
            self.reference,
            {a: v for a, v in self.__dict__.items() if a in self._parameters},
            dict(self._origins),
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self  # immutable

    @contextlib.contextmanager
    def no_unpicklable_properties(self) -> Iterator[Self]:
        """Do nothing, and undo it: tasks pickle as they are. Kept for callers of the 2021 system."""
        yield self


def _remade(reference: str, values: dict[str, Any], origins: dict[str, str]) -> Any:
    """Make an instance again from values that were converted when it was first made."""
    cls = found_again(reference)
    instance = cls.__new__(cls)
    instance._fill(values, origins)
    return instance


def as_text(declaration: Parameter, value: Any) -> str:
    """Return one value as text, so that `from_text` gives it back."""
    if declaration.type not in SCALARS:
        return json.dumps(_jsonable(value), sort_keys=True, ensure_ascii=False)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def from_text(declaration: Parameter, text: str) -> Any:
    """Return what `as_text` wrote, for the parameter to convert: text of the four plain types, else a value."""
    if declaration.type in SCALARS:
        return text
    try:
        return _unjsonable(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidParameter(f"{declaration.name} = {text!r}: {error}") from None


def _jsonable(value: Any) -> Any:
    if isinstance(value, Identified):
        return {"$task": value.reference, "$parameters": value.to_str_params()}
    if isinstance(value, Mapping):
        items = {str(key): _jsonable(item) for key, item in value.items()}
        return {"$mapping": items} if any(key.startswith("$") for key in items) else items
    return [_jsonable(item) for item in value] if isinstance(value, tuple) else value


def _unjsonable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unjsonable(item) for item in value)
    if isinstance(value, dict):
        if "$task" in value:
            return found_again(value["$task"]).from_str_params(value["$parameters"])
        return {key: _unjsonable(item) for key, item in value.get("$mapping", value).items()}
    return value


def _comparable(declaration: Parameter, value: Any) -> Any:
    """Return what is equal when the identity is: inside of a tuple, 1 and True would be, too."""
    return value if value is None or declaration.type in SCALARS else _payload_value(value)


def _payload_field(name: str, value: Any) -> str:
    return f'["{name}",{_payload_value(value)}]'


def _payload_value(value: Any) -> str:
    """Return one value with its type: text and numbers that look alike must not be the same task."""
    if isinstance(value, Identified):
        return json.dumps(value.task_id)
    if isinstance(value, Mapping):
        fields = (f"{json.dumps(str(key))}:{_payload_value(value[key])}" for key in sorted(value, key=str))
        return f"{{{','.join(fields)}}}"
    if isinstance(value, (tuple, list)):
        return f"[{','.join(map(_payload_value, value))}]"
    return json.dumps(value + 0.0 if isinstance(value, float) else value)  # -0.0 is 0.0


def _payload_column(declaration: Parameter, values: Any) -> Iterator[str]:
    """Return `_payload_value` of each item of a column, by the quickest function that gives the same."""
    if declaration.type is int:
        return map(str, values)
    return map(quoted if declaration.type is str else _payload_value, values)


def _woven(pieces: Sequence[str | Iterator[str]], size: int) -> Iterator[str]:
    """Yield `size` texts: the constant pieces, with the next item of each column between them."""
    pattern, columns = "", []
    for piece in pieces:
        if isinstance(piece, str):
            pattern += piece.replace("%", "%%")
        else:
            pattern += "%s"
            columns.append(piece)
    if not columns:
        return iter([pattern % ()] * size)
    return map(pattern.__mod__, zip(*columns, strict=True))


@functools.cache
def _version_of(package: str) -> str:
    """Return the version of the distribution that brings a top-level package; empty when none does."""
    from importlib import metadata

    for plugin in installed_plugins().plugins:
        if plugin.value.partition(":")[0].partition(".")[0] == package:
            return plugin.version
    names = metadata.packages_distributions().get(package, [])
    return metadata.version(names[0]) if names else ""
