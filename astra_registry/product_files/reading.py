"""From a ``products.toml`` to declarations; a mistake is named with its file, line and product."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from astra_registry.declarations import Declaration, attribute_of
from astra_registry.errors import AstraRegistryError, BadValue, InvalidParameter, did_you_mean
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.paths.derived import GAPS, NOTATION
from astra_registry.product import DataProduct
from astra_registry.refusals import check_cards
from astra_registry.release import canonical, releases
from astra_registry.released import releases_of

TYPES = {"int": int, "str": str, "float": float, "bool": bool}
_OF_PRODUCT = ("summary", "description", "templates", "parameters", "examples", "cards", "readers", "subpaths")
_OF_PARAMETER = (
    "type", "doc", "default", "optional", "batch", "significant", "visibility", "unit", "choices", "aliases",
    "columns",
)  # fmt: skip
_KEY = re.compile(r"\{([^{}:|]*)[^{}]*\}")


@attrs.frozen
class FromTable:
    """A default that follows from another parameter, by a table; without one it is the same."""

    parameter: str
    values: Mapping[str, Any] | None = attrs.field(default=None, hash=False)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature([inspect.Parameter(self.parameter, inspect.Parameter.KEYWORD_ONLY)])

    def __call__(self, **given: Any) -> Any:
        """Return the value that belongs to the other parameter's; InvalidParameter when there is none."""
        value = given[self.parameter]
        if self.values is None:
            return value
        try:
            return self.values[str(value)]
        except KeyError:
            known = ", ".join(self.values)
            raise InvalidParameter(f"nothing follows from {self.parameter} = {value!r}; it takes {known}") from None


def read_product_file(path: str | os.PathLike[str]) -> list[Declaration]:
    """Return the products that a ``products.toml`` declares.

    Raises BadValue that names the file, the line and the product for what is not understood, OSError for a file that
    cannot be read.
    """
    where = os.fspath(path)
    with open(where, "rb") as file:
        content = file.read()
    try:
        text = content.decode()
        parsed = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadValue(f"{where} is no TOML: {error}") from None
    reading = _Reading(where, text)
    for key in parsed:
        if key != "products":
            raise reading.wrong(f"there is no '{key}' in such a file; a product begins with [products.NAME]", key)
    products = parsed.get("products", {})
    if not isinstance(products, dict):
        raise reading.wrong("'products' has to be a table: [products.NAME]", "products")
    return [reading.product(name, given) for name, given in products.items()]


@attrs.frozen
class _Reading:
    """One file while it is read: it knows where to say that a mistake is."""

    path: str
    text: str

    def wrong(self, what: str, *words: str) -> BadValue:
        """Return the error for a mistake near the line that holds these words, found one after the other."""
        line, start = 0, 0
        lines = [text.partition("#")[0] for text in self.text.splitlines()]
        for word in words:
            name = rf'(?<![\w-]){re.escape(word)}(?![\w-])"?'
            for wanted in (rf"{name}\s*[=\].]", name):  # where it is a key, else where it stands at all
                found = next((n for n in range(start, len(lines)) if re.search(wanted, lines[n], re.IGNORECASE)), None)
                if found is not None:
                    line, start = found + 1, found
                    break
        return BadValue(f"{self.path}{f', line {line}' if line else ''}: {what}")

    def product(self, name: str, given: Any) -> Declaration:
        """Return the product of one table."""
        if not isinstance(given, dict):
            raise self.wrong(f"'{name}' has to be a table: [products.{name}]", name)
        if not name.strip() or "/" in name or not name.isprintable():
            raise self.wrong(f"{name!r} cannot be the name of a product", name)
        self._known(given, _OF_PRODUCT, name)
        parameters = tuple(
            self.parameter(name, key, declared)
            for key, declared in self._table(given, "parameters", name).items()
        )  # fmt: skip
        templates = self._templates(name, given)
        self._check_keys(name, templates, parameters)
        cards = self._table(given, "cards", name)
        try:
            check_cards(name, cards, [declared.name for declared in parameters])
        except BadValue as error:
            raise self.wrong(str(error), name, "cards") from None
        summary = self._text(given, "summary", name)
        known = tuple(templates) if templates is not None else None
        return Declaration(
            name=name,
            summary=summary,
            description=self._text(given, "description", name) or summary,
            parameters=parameters,
            templates=templates,
            releases=_ordered(known) if known is not None else lambda: releases_of(name),
            examples=self._examples(name, given, parameters),
            cards=MappingProxyType(dict(cards)),
            readers=MappingProxyType(dict(self._table(given, "readers", name))),
            subpaths=tuple(self._texts(given, "subpaths", name)),
        )

    def parameter(self, product: str, name: str, given: Any) -> Parameter:
        """Return the parameter of one table; a text alone is its documentation."""
        where = f"{product}, parameter '{name}'"
        if isinstance(given, str):
            given = {"doc": given}
        if not isinstance(given, dict):
            raise self.wrong(f"{where}: it has to be a table", product, name)
        self._known(given, _OF_PARAMETER, product, name)
        kind = given.get("type", "str")
        if kind not in TYPES:
            raise self.wrong(f"{where}: the type is one of {', '.join(TYPES)}, not {kind!r}", product, name, "type")
        try:
            attribute = attribute_of(name)
        except BadValue as error:
            raise self.wrong(f"{where}: {error}", product, name) from None
        if not attribute.isidentifier():
            raise self.wrong(f"{where}: a name has letters, digits and _, and begins with no digit", product, name)
        for flag in ("optional", "batch", "significant"):
            if not isinstance(given.get(flag, False), bool):
                raise self.wrong(f"{where}: {flag} is true or false", product, name, flag)
        visibility = given.get("visibility", "public")
        if visibility not in ("public", "hidden", "private"):
            raise self.wrong(f"{where}: visibility is public, hidden or private", product, name, "visibility")
        choices = given.get("choices")
        if choices is not None and (not isinstance(choices, list) or not choices):
            raise self.wrong(f"{where}: choices is a list of values", product, name, "choices")
        made = Parameter(
            name=attribute if name in DataProduct._parameters else name,
            attribute=attribute,
            type=TYPES[kind],
            doc=self._text(given, "doc", product, name),
            batch=given.get("batch", False),
            significant=given.get("significant", True),
            visibility=visibility,
            unit=given.get("unit"),
            choices=None if choices is None else tuple(choices),
            aliases=tuple(self._texts(given, "aliases", product, name)),
        )
        try:
            columns = self._table(given, "columns", f"{product}, parameter '{name}'")
            made = attrs.evolve(made, columns={canonical(release): str(column) for release, column in columns.items()})
            if choices is not None:
                made = attrs.evolve(made, choices=tuple(attrs.evolve(made, choices=None).convert(c) for c in choices))
            return attrs.evolve(made, default=self._default(made, given))
        except AstraRegistryError as error:
            raise self.wrong(f"{where}: {error}", product, name) from None

    def _default(self, made: Parameter, given: Mapping[str, Any]) -> Any:
        if "default" not in given:
            return None if given.get("optional", False) else REQUIRED
        default = given["default"]
        if not isinstance(default, dict):
            return default if default == "" else made.convert(default)
        if "from" not in default:
            return MappingProxyType({canonical(release): made.convert(value) for release, value in default.items()})
        for key in default:
            if key not in ("from", "values"):
                raise BadValue(f"a default from another parameter has 'from' and 'values', not '{key}'")
        values = default.get("values")
        if not isinstance(default["from"], str) or not isinstance(values, dict | None):
            raise BadValue('a default from another parameter is written { from = "telescope", values = { … } }')
        table = None if values is None else MappingProxyType({k: made.convert(v) for k, v in values.items()})
        return FromTable(default["from"], table)

    def _templates(self, product: str, given: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]] | None:
        if "templates" not in given:
            return None
        templates: dict[str, str | tuple[str, ...]] = {}
        for spelled, value in self._table(given, "templates", product).items():
            texts = [value] if isinstance(value, str) else value
            if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
                raise self.wrong(f"{product}: the template of {spelled} is text, or a list of it", product, spelled)
            try:
                release = canonical(spelled)
            except AstraRegistryError as error:
                raise self.wrong(f"{product}: {error}", product, "templates", spelled) from None
            if release in templates:
                raise self.wrong(f"{product}: {release} has two templates", product, "templates", spelled)
            templates[release] = value if isinstance(value, str) else tuple(value)
        return templates

    def _check_keys(
        self, product: str, templates: Mapping[str, str | tuple[str, ...]] | None, parameters: Sequence[Parameter]
    ) -> None:
        """Raise BadValue for a template that names what is no parameter of the product."""
        known = {name for p in parameters for name in (p.name, p.attribute.removesuffix("_"), *p.aliases)}
        for release, value in (templates or {}).items():
            for text in (value,) if isinstance(value, str) else value:
                named = [key.strip() for key in _KEY.findall(text)]
                for function in NOTATION.findall(text):
                    named += GAPS[function].reads if function in GAPS else ()
                for key in named:
                    if key not in known:
                        hint = (
                            did_you_mean(key, [p.name for p in parameters])
                            or f"; write [products.{product}.parameters.{key}]"
                        )
                        what = f"{product}: its template in {release} names '{key}', which is no parameter{hint}"
                        raise self.wrong(what, product, "templates", release)

    def _examples(self, product: str, given: Mapping[str, Any], parameters: Sequence[Parameter]) -> tuple[Any, ...]:
        known = {name for p in parameters for name in (p.name, p.attribute, *p.aliases)}
        examples = []
        listed = given.get("examples", [])
        if not isinstance(listed, list) or not all(isinstance(example, dict) for example in listed):
            raise self.wrong(f"{product}: an example is a table: [[products.{product}.examples]]", product, "examples")
        for example in listed:
            self._known(example, ("release", "parameters"), product, "examples")
            values = example.get("parameters", {})
            for name in values if isinstance(values, dict) else ():
                if name not in known:
                    hint = did_you_mean(name, known)
                    raise self.wrong(f"{product}: its example has '{name}', no parameter{hint}", product, name)
            if not isinstance(values, dict) or not isinstance(example.get("release"), str):
                raise self.wrong(f"{product}: an example has a release, and parameters", product, "examples")
            examples.append((example["release"], dict(values)))
        return tuple(examples)

    def _known(self, given: Mapping[str, Any], known: Iterable[str], *where: str) -> None:
        for key in given:
            if key not in known:
                hint = did_you_mean(key, known) or f"; there are {', '.join(known)}"
                raise self.wrong(f"{', '.join(where)}: there is no '{key}'{hint}", *where, key)

    def _table(self, given: Mapping[str, Any], key: str, product: str) -> Mapping[str, Any]:
        value = given.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(f"{product}: {key} has to be a table", product, key)
        return value

    def _text(self, given: Mapping[str, Any], key: str, *where: str) -> str:
        value = given.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(f"{', '.join(where)}: {key} is text", *where, key)
        return value.strip()

    def _texts(self, given: Mapping[str, Any], key: str, *where: str) -> list[str]:
        value = given.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(f"{', '.join(where)}: {key} is a list of texts", *where, key)
        return value


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    own = set(names)
    return tuple(release for release in (*releases(), "sdss5") if release in own)
