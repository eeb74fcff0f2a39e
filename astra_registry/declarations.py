"""A data product as plain data: what is listed, searched and shown, and what a class can be made of."""

from __future__ import annotations

import builtins
import contextlib
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from astra_registry.errors import BadValue, UnknownRelease
from astra_registry.parameters import Parameter, parameter
from astra_registry.product import DataProduct, SDSS5DataModelTask
from astra_registry.references import REGISTERED
from astra_registry.refusals import check_cards
from astra_registry.release import canonical
from astra_registry.released import releases_in_words
from astra_registry.task.declared import python_spelling, template_spelling

# A parameter of such a name gets a trailing underscore in Python and on the command line: attributes of every product,
# Python's own names, and the options of commands that take a product.
TAKEN = (
    frozenset(name for name in dir(SDSS5DataModelTask) if not name.startswith("_"))
    | frozenset(DataProduct._parameters)
    | frozenset(dir(builtins))
    | frozenset(
        ("ca_bundle", "checksums", "connect_timeout", "dry_run", "export", "from", "help", "jobs", "json", "limit_rate",
         "lock", "locked", "login", "overwrite", "remote_base", "report", "retries", "sas_base_dir", "timeout", "to",
         "transport", "url", "urls")
    )
    | frozenset(("self",))
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Declaration:
    """What a product is: its name, its parameters, and where each release keeps it."""

    name: str
    summary: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    templates: Mapping[str, str | Sequence[str]] | None = None  # None: the tree's own, in every release that has one
    _releases: tuple[str, ...] | Callable[[], tuple[str, ...]] = attrs.field(default=(), eq=False)  # they follow
    examples: tuple[Any, ...] = ()
    cards: Mapping[str, str] = attrs.field(factory=dict)  # FITS card -> regular expression of its text
    readers: Mapping[str, str] = attrs.field(factory=dict)
    subpaths: tuple[str, ...] = ()
    reference: str | None = None  # where the class is found again: ``module:qualified name``

    def __attrs_post_init__(self) -> None:
        if self.cards:
            check_cards(self.name, self.cards, self.parameter_names)

    @classmethod
    def of(cls, product: type[DataProduct]) -> Declaration:
        """Return the declaration of a product's class."""
        text = (product.__doc__ or "").strip()
        return cls(
            name=product._label(),
            summary=text.partition("\n")[0],
            description=text,
            parameters=tuple(product.product_parameters().values()),
            templates=product.templates,
            releases=product.releases,  # asked when need be: it reads the files of all releases
            examples=tuple(product.examples),
            cards=dict(product.cards),
            readers=dict(product.readers),
            subpaths=tuple(product.subpaths),
            reference=product._registered_as or f"{product.__module__}:{product.__qualname__}",
        )

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases that have the product, oldest first."""
        return self._releases() if callable(self._releases) else self._releases

    @property
    def parameter_names(self) -> list[str]:
        """The parameters' names as templates spell them, in order."""
        return [p.name for p in self.parameters]

    @property
    def releases_in_words(self) -> str:
        """The releases as text, runs drawn together."""
        return releases_in_words(self.releases)

    def template_texts(self, release: str) -> tuple[str, ...]:
        """Return the templates of a release, the location first; ``=name`` where it is the tree's path of that name."""
        for spelled, text in (self.templates or {}).items():
            with contextlib.suppress(UnknownRelease):  # a plugin may be ahead of the tree that is installed
                if canonical(spelled) == release:
                    return (text,) if isinstance(text, str) else tuple(text)
        return (f"={self.name}",)

    def build(self) -> type[DataProduct]:
        """Return a class made of this declaration. Raises BadValue when a name cannot be an attribute."""
        namespace: dict[str, Any] = {
            "__doc__": self.description or self.summary or f"The data product {self.name}.",
            "__module__": __name__,
            "__qualname__": class_name(self.name),
            "sdss_data_model_name": self.name,
            "templates": self.templates,
            "examples": self.examples,
            "cards": self.cards,
            "readers": self.readers,
            "subpaths": self.subpaths,
            "_registered_as": self.reference or f"{REGISTERED}{self.name}",
            "__annotations__": {},
        }
        for declared in self.parameters:
            attribute = declared.attribute
            if not attribute.isidentifier() or keyword.iskeyword(attribute):
                raise BadValue(f"{self.name}: '{declared.name}' cannot be the name of a parameter")
            namespace["__annotations__"][attribute] = declared.type
            namespace[attribute] = parameter(
                declared.doc,
                default=declared.default,
                batch=declared.batch,
                significant=declared.significant,
                visibility=declared.visibility,
                unit=declared.unit,
                choices=declared.choices,
                check=declared.check,
                aliases=tuple(alias for alias in declared.aliases if alias != declared.name),
                columns=declared.columns,
            )
        return type(class_name(self.name), (SDSS5DataModelTask,), namespace)


def attribute_of(name: str) -> str:
    """Return the attribute under which a template's key is known: ``run_`` for ``run``, which every product has."""
    spelled = python_spelling(name, TAKEN)
    if template_spelling(spelled) != name:
        raise BadValue(f"'{name}' cannot be the name of a parameter: a trailing underscore is for names that are taken")
    return spelled


def class_name(product: str) -> str:
    """Return the name of a product's class: ``SpecLiteFile`` for ``spec-lite``, ``ApVisitFile`` for ``apVisit``."""
    words = re.split(r"[^0-9A-Za-z]+", product)
    name = "".join(word[:1].upper() + word[1:] for word in words if word)
    return f"{'_' if name[:1].isdigit() else ''}{name}File"


def is_product(value: object) -> bool:
    """Whether a value is a concrete data product's class."""
    return isinstance(value, type) and issubclass(value, DataProduct) and bool(value.sdss_data_model_name)


__all__ = ["Declaration", "attribute_of", "class_name", "is_product"]
