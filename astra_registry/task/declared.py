"""What a class body declares: its annotated attributes as parameters, and the names by which they are known."""

from __future__ import annotations

import inspect
import keyword
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from astra_registry.conversion import plain_type
from astra_registry.errors import BadValue
from astra_registry.parameters import Parameter


def declared_in(cls: type, *, in_path: bool) -> dict[str, Parameter]:
    """Return the parameters that a class body declares, and leave attrs fields with their converters in it.

    *in_path*: their values become parts of paths, where not every character may stand.
    """
    declared: dict[str, Parameter] = {}
    annotations = inspect.get_annotations(cls)
    for attribute, field in list(cls.__dict__.items()):
        declaration = getattr(field, "metadata", {}).get("declared")
        if declaration is None:
            continue
        if attribute == "self":
            raise BadValue(f"{cls.__name__}: no parameter can be called 'self' in Python: write 'self_'")
        if attribute not in annotations:
            raise BadValue(f"{cls.__name__}.{attribute} needs an annotation: a parameter's type is what is annotated")
        try:
            kind, refine = plain_type(_resolved(cls, attribute, annotations[attribute]))
        except BadValue as error:
            raise BadValue(f"{cls.__name__}.{attribute}: {error}") from None
        name = template_spelling(attribute)
        if name != attribute and any(name in base.__dict__.get("_parameters", ()) for base in cls.__mro__[1:]):
            name = attribute  # `release_`, of a template that names {release}: it is not the product's release
        made = Parameter(
            name=name,
            attribute=attribute,
            type=kind,
            refine=refine,
            in_path=in_path,
            subpath=name in getattr(cls, "subpaths", ()),
            **declaration,
        )
        declared[attribute] = made
        field.metadata["parameter"] = made
        field.converter = made.convert
    return declared


def template_spelling(attribute: str) -> str:
    """Return how an attribute is spelled in templates: ``run_`` stands for ``run``, ``lambda_`` for ``lambda``."""
    return attribute.removesuffix("_")


def python_spelling(name: str, taken: Iterable[str] = ()) -> str:
    """Return how a template's key is spelled as an attribute: with an underscore where the name is not free."""
    return f"{name}_" if keyword.iskeyword(name) or name in taken else name


def _resolved(cls: type, attribute: str, annotation: Any) -> Any:
    """Return an annotation as a type; under ``from __future__ import annotations`` it is text."""
    if not isinstance(annotation, str):
        return annotation
    namespace = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    frame = sys._getframe(1)
    # Past this module and what Python calls while it makes the class stands the class's own place.
    while frame is not None and (frame.f_globals is globals() or frame.f_code.co_name == "__init_subclass__"):
        frame = frame.f_back  # type: ignore[assignment]
    scope = frame.f_locals if frame is not None else {}
    try:
        return eval(annotation, dict(namespace), scope)  # noqa: S307 - the class's own source
    except Exception as error:
        raise BadValue(f"the annotation {annotation!r} cannot be resolved: {error}") from error


def spellings(owner: str, parameters: Mapping[str, Parameter]) -> dict[str, str]:
    """Return every name and alias of parameters with its attribute. Raises BadValue when one names two."""
    spelled: dict[str, str] = {}
    for attribute, declaration in parameters.items():
        for name in (declaration.name, attribute):
            spelled[name] = attribute
    for attribute, declaration in parameters.items():
        for alias in declaration.aliases:
            if spelled.setdefault(alias, attribute) != attribute:
                raise BadValue(f"{owner}: '{alias}' names both {spelled[alias]} and {attribute}")
    return spelled
