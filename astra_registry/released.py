"""What a release asks of a product: its path templates, and which parameters fill them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from astra_registry.errors import (
    AstraRegistryError,
    BadTable,
    BadValue,
    MissingParameter,
    SuperfluousParameter,
    UnknownRelease,
)
from astra_registry.parameters import Parameter, parameter, shown
from astra_registry.release import canonical, releases, spelled
from astra_registry.task import Task
from astra_registry.tree import Tree

if TYPE_CHECKING:
    from astra_registry.paths.template import PathTemplate
    from astra_registry.tables import Columns

Templates = Mapping[str, "str | Sequence[str]"]


@attrs.frozen
class ReleasePlan:
    """What one release asks of a product: its templates, and which parameters fill them."""

    release: str
    templates: tuple[PathTemplate, ...]  # the first is the location; the others are where servers keep it too
    keys: tuple[tuple[str, str], ...]  # (key of a template, attribute that fills it)
    keys_of: Mapping[PathTemplate, tuple[tuple[str, str], ...]]  # of the keys, those that a template takes
    required: frozenset[str]
    used: Mapping[str, None]  # attributes that may be given, in declaration order


class Released(Task):
    """A task whose parameters depend on the release: which are needed, which are refused, and their defaults."""

    sdss_data_model_name: ClassVar[str | None] = None
    templates: ClassVar[Templates | None] = None
    subpaths: ClassVar[Sequence[str]] = ()  # parameters whose template wants a path below a folder
    _plans: ClassVar[dict[str, ReleasePlan]] = {}
    _in_paths: ClassVar[frozenset[str]] = frozenset()
    _common: ClassVar[frozenset[str]] = frozenset({"release"})  # what all products have

    release: str = parameter("The data release.")

    def __init_subclass__(cls, *, common: bool = False, **kwargs: Any) -> None:
        cls._declares_common = common
        _check_shape(cls)
        super().__init_subclass__(**kwargs)
        cls._plans = {}
        cls._in_paths = frozenset(a for a, p in cls._parameters.items() if p.in_path)
        if common:
            cls._common = frozenset(cls._parameters)

    _declares_common: ClassVar[bool] = True

    @classmethod
    def _parameters_are_in_paths(cls) -> bool:
        # The release and the other parameters that all products have take no part, nor those of an analysis task.
        return not cls._declares_common and not cls._is_analysis()

    @classmethod
    def _is_analysis(cls) -> bool:
        """Whether the class mixes a product in, to work at it, and is no product itself."""
        return "sdss_data_model_name" not in cls.__dict__ and cls.sdss_data_model_name is not None

    @classmethod
    def _adapted(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        # What a program makes of a file depends on the program's version, and the file does not.
        versions = {a: p for a, p in Task._parameters.items() if p.visibility == "hidden"}
        adapted = {a: _by_release(p) if p.differs_by_release else p for a, p in parameters.items()}
        # A product may declare what all products have anew, with another default; no template shows it.
        adapted |= {a: attrs.evolve(p, in_path=False) for a, p in adapted.items() if a in cls._common and p.in_path}
        return {**adapted, **versions} if cls._is_analysis() else adapted

    @classmethod
    def _family_name(cls) -> str:
        own = cls.__dict__.get("sdss_data_model_name")
        return own or cls.__name__

    @classmethod
    def _label(cls) -> str:
        return cls.sdss_data_model_name or cls.__name__

    @classmethod
    def product_parameters(cls) -> dict[str, Parameter]:
        """Return the product's own parameters by attribute: all but the release and the other common ones."""
        return {a: p for a, p in cls._parameters.items() if a not in cls._common}

    def _own_values(self) -> dict[str, Any]:
        """Return the values of the product's own parameters by name, without those that are None."""
        own = self.product_parameters()
        return {p.name: value for a, p in own.items() if (value := getattr(self, a)) is not None}

    # -- releases ------------------------------------------------------------------------------------

    @classmethod
    def releases(cls) -> tuple[str, ...]:
        """Return the releases that have the product, oldest first; of its own, those that the tree knows."""
        if cls.templates is not None:
            own = cls._own_templates()
            return tuple(release for release in (*releases(), "sdss5") if release in own)
        return releases_of(cls._label())

    @classmethod
    def _own_templates(cls) -> dict[str, str | Sequence[str]]:
        """Return the class's own templates by the canonical name of their release."""
        own: dict[str, str | Sequence[str]] = {}
        for release, value in (cls.templates or {}).items():
            # A plugin may be ahead of the tree that is installed; `plugins check` tells.
            with contextlib.suppress(UnknownRelease):
                own.setdefault(canonical(release), value)
        return own

    @classmethod
    def template_texts(cls, release: str) -> tuple[str, ...]:
        """Return the path templates of a release, the location first. Raises UnknownRelease."""
        release = canonical(release)
        if cls.templates is None:
            tree = Tree(release)
            if not tree.has_name(cls._label()):
                raise cls._no_release(release)
            return (tree.templates[cls._label()],)
        try:
            value = cls._own_templates()[release]
        except KeyError:
            raise cls._no_release(release) from None
        return (value,) if isinstance(value, str) else tuple(value)

    @classmethod
    def _no_release(cls, release: str) -> UnknownRelease:
        listed = releases_in_words(cls.releases()) or "none"
        return UnknownRelease(f"{cls._label()} has no release '{release}'; it has {listed}")

    @classmethod
    def plan(cls, release: str) -> ReleasePlan:
        """Return what a release asks of the product. Raises UnknownRelease."""
        release = canonical(release)
        try:
            return cls._plans[release]
        except KeyError:
            plan = cls._plans[release] = cls._planned(release)
            return plan

    @classmethod
    def _planned(cls, release: str) -> ReleasePlan:
        compiled = cls._compiled(release)
        keys: dict[str, str] = {}
        required: set[str] = set()
        for template in compiled:
            for key in (*template.keys, *template.optional):
                attribute = cls._attribute_of_key(key)
                if attribute is None and key in template.keys:
                    raise BadValue(f"{cls._label()}: its template in {release} names '{key}', which is no parameter")
                if attribute is not None:
                    keys[key] = attribute
                    if key in template.keys and template is compiled[0]:
                        required.add(attribute)
        idle = cls._in_paths - cls._shown_in(compiled)
        # What makes no difference to which product it is, and what no path ever shows, say something else than where
        # the file is. With None for its default, it is one that only some releases use.
        idle -= {a for a in idle if not cls._parameters[a].significant and cls._parameters[a].default is not None}
        idle -= cls._shown_nowhere({a for a in idle if cls._parameters[a].is_constant})
        return ReleasePlan(
            release=release,
            templates=compiled,
            keys=tuple(keys.items()),
            keys_of={t: tuple(item for item in keys.items() if item[0] in (*t.keys, *t.optional)) for t in compiled},
            required=frozenset(required),
            used=MappingProxyType(dict.fromkeys(a for a in cls._parameters if a not in idle)),
        )

    @classmethod
    def _compiled(cls, release: str) -> tuple[PathTemplate, ...]:
        tree = Tree(release)
        if cls.templates is None and tree.has_name(cls._label()):
            return (tree.path_template(cls._label(), subpaths=tuple(cls.subpaths)),)
        return tuple(
            tree.compile(text, name=cls._label(), subpaths=tuple(cls.subpaths)) for text in cls.template_texts(release)
        )

    @classmethod
    def _shown_in(cls, templates: Iterable[PathTemplate]) -> set[str]:
        """Return the attributes that fill templates, and those from which the defaults of these follow."""
        keys = (key for template in templates for key in (*template.keys, *template.optional))
        filled = {attribute for key in keys if (attribute := cls._attribute_of_key(key)) is not None}
        return filled | cls._read_for(filled)

    @classmethod
    def _shown_nowhere(cls, attributes: set[str]) -> set[str]:
        """Return those of some attributes that the templates of no release show."""
        for release in cls.releases() if attributes else ():
            with contextlib.suppress(AstraRegistryError):
                attributes = attributes - cls._shown_in(cls._compiled(release))
        return attributes

    @classmethod
    def _read_for(cls, attributes: Iterable[str]) -> set[str]:
        """Return the attributes from which the defaults of some follow, at first or at second hand."""
        read: set[str] = set()
        ahead = set(attributes)
        while ahead:
            ahead = {cls._spellings[n] for a in ahead for n in cls._parameters[a].reads if n in cls._spellings} - read
            read |= ahead
        return read

    @classmethod
    def _attribute_of_key(cls, key: str) -> str | None:
        """Return the attribute that fills a template's key: a template's {release} is `release_`, if there is one."""
        own = f"{key}_"
        if key in cls._common and own in cls._parameters:
            return own
        return cls._spellings.get(key)

    # -- tables --------------------------------------------------------------------------------------

    @classmethod
    def _read(cls, table: Any, constants: dict[str, Any]) -> tuple[Columns, dict[str, Any]]:
        """Return a table's columns and the constants: the release is one of them, when a column tells it.

        A column that tells the product has to tell this one, in each row.
        """
        from astra_registry.tables import match_columns, read_columns

        fixed = cls._by_attribute(constants)
        told: dict[str, tuple[str, ...]] = {} if "product" in cls._spellings else {"product": ()}
        if "release" in fixed:
            read = read_columns(table, columns={**told, **cls.wanted_columns(constants)})
        else:
            batch = {p.name: (a, *p.aliases) for a, p in cls._parameters.items() if p.batch and a not in fixed}
            of_releases: dict[str, tuple[str, ...]] = {
                n: () for p in cls._parameters.values() for n in p.columns.values()
            }
            read = read_columns(table, columns={**told, **of_releases, **batch, "release": ()})
            if read.get("release"):
                constants = {**constants, "release": _only_release(read["release"], read.origin)}
        if "product" in told:
            cls._check_products(read.get("product", ()), read.origin)
        found = match_columns(read, cls.wanted_columns(constants))
        return attrs.evolve(read, values_by_name={name: read[column] for name, column in found.items()}), constants

    @classmethod
    def _check_products(cls, cells: Sequence[Any], origin: str) -> None:
        """Raise BadTable for the first row that is of another product; an empty cell is of any."""
        from astra_registry.tables import name_in

        own = str(cls.sdss_data_model_name)
        for row, name in enumerate(map(name_in, cells)):
            if name is not None and str(name).casefold() != own.casefold():
                raise BadTable(
                    f"{origin}: row {row}: its product is {name!r}, and a batch is of one, here {own}; give its rows "
                    "alone, or `astra-registry fetch --from` the table without a product"
                )

    # -- binding -------------------------------------------------------------------------------------

    @classmethod
    def _converted(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._converted(given)
        if "release" in values:
            values["release"] = canonical(values["release"])
        return values

    @classmethod
    def _convert_default(cls, attribute: str, default: Any) -> Any:
        value = super()._convert_default(attribute, default)
        return canonical(value) if attribute == "release" else value

    @classmethod
    def _release_of(cls, values: Mapping[str, Any]) -> str:
        release = values.get("release", cls._parameters["release"].default)
        if not isinstance(release, str):
            raise MissingParameter(f"{cls._label()} needs a release; it has {releases_in_words(cls.releases())}")
        return canonical(release)

    @classmethod
    def _used_parameters(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return cls.plan(cls._release_of(values)).used

    @classmethod
    def _default(cls, attribute: str, values: Mapping[str, Any]) -> Any:
        declared = cls._parameters[attribute]
        return declared.default.get(cls._release_of(values)) if declared.differs_by_release else declared.default

    @classmethod
    def _follows_from(cls, attribute: str) -> set[str]:
        follows = super()._follows_from(attribute)
        return {*follows, "release"} if cls._parameters[attribute].differs_by_release else follows

    @classmethod
    def _lacks(cls, attribute: str, values: Mapping[str, Any]) -> bool:
        return values.get(attribute) is None and attribute in cls.plan(cls._release_of(values)).required

    @classmethod
    def _superfluous(cls, attribute: str, values: Mapping[str, Any]) -> SuperfluousParameter:
        release = cls._release_of(values)
        names = ", ".join(cls._parameters[a].name for a in cls.plan(release).used if a in cls._in_paths)
        return SuperfluousParameter(
            f"{cls._label()} in {release} does not use {cls._parameters[attribute].name}; it uses {names or 'none'}"
        )

    @classmethod
    def _missing(cls, attributes: Sequence[str], values: Mapping[str, Any]) -> MissingParameter:
        release = cls._release_of(values)
        # What follows from another that is missing as well needs no mention of its own.
        first = [
            a for a in attributes if not {cls._spellings.get(n) for n in cls._parameters[a].reads} & set(attributes)
        ]
        names = ", ".join(cls._parameters[a].name for a in first or attributes)
        default = " (the release when none is given)" if "release" not in values else ""
        return MissingParameter(f"{cls._label()} in {release}{default} needs {names}")


def _by_release(declared: Parameter) -> Parameter:
    """Return a parameter whose default has each release under its one spelling, whatever that of the class body is."""
    default: dict[str, Any] = {}
    for release, value in declared.default.items():
        default.setdefault(spelled(str(release)), value)
    return attrs.evolve(declared, default=MappingProxyType(default))


def _only_release(told: Sequence[Any], origin: str) -> str:
    """Return the release that all rows of a table tell. Raises BadTable when there is none, or another."""
    found = set()
    for name in dict.fromkeys(told):
        try:
            found.add(canonical(name))
        except UnknownRelease as error:
            raise BadTable(f"{origin}: row {list(told).index(name)}: {error}") from None
    if len(found) > 1:
        raise BadTable(
            f"{origin} has rows of several releases ({', '.join(sorted(found))}); a batch is of one: name it, or give "
            "the rows of one release"
        )
    return found.pop()


def _check_shape(cls: type[Released]) -> None:
    """Raise BadValue when what a class body says of its name and templates is of no use, so that its plugin is told."""
    name, templates = cls.__dict__.get("sdss_data_model_name"), cls.__dict__.get("templates")
    if not isinstance(name, (str, type(None))):
        raise BadValue(f"{cls.__name__}: sdss_data_model_name is text, not {name!r}")
    for several in ("examples", "readers", "writers", "subpaths"):
        value = cls.__dict__.get(several)
        if isinstance(value, (str, bytes, int, float)):
            raise BadValue(f"{cls.__name__}: {several} are several, and not {shown(value)}")
    for example in cls.__dict__.get("examples") or ():
        is_pair = isinstance(example, Sequence) and len(example) == 2
        if not (is_pair and isinstance(example[0], str) and isinstance(example[1], Mapping)):
            raise BadValue(
                f"{cls.__name__}: an example is a release and a mapping of parameters, and not {shown(example)}"
            )
    if templates is None:
        return
    if not isinstance(templates, Mapping):
        raise BadValue(f"{cls.__name__}: templates maps releases to path templates, and is no {shown(templates)}")
    for release, value in templates.items():
        texts = [value] if isinstance(value, str) else value
        if not (isinstance(texts, Sequence) and texts and all(isinstance(text, str) for text in (release, *texts))):
            raise BadValue(
                f"{cls.__name__}: templates has {shown(release)}: {shown(value)}; a release's template is text, or a "
                "sequence of texts, under the release's name"
            )


def path_name(text: str) -> str | None:
    """Return the tree's path name that a template stands for, as ``=specFull`` does; None for one of its own."""
    return text[1:].strip() if text.startswith("=") else None


@functools.cache
def releases_of(name: str) -> tuple[str, ...]:
    """Return the releases whose tree has a path of that name; the 2021 name of the work release comes with it."""
    found = [release for release in releases() if Tree(release).has_name(name)]
    return (*found, "sdss5") if "sdsswork" in found else tuple(found)


def releases_in_words(names: Sequence[str]) -> str:
    """Return a list of releases as text, runs drawn together: ``dr10 … dr17, ipl1, sdsswork``."""
    order = {release: i for i, release in enumerate(releases())}
    runs: list[list[str]] = []
    for name in names:
        family = name.rstrip("0123456789")
        previous = runs[-1][-1] if runs else ""
        adjoining = order.get(name, -9) == order.get(previous, -99) + 1 and previous.rstrip("0123456789") == family
        if adjoining:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} … {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def unknown_releases(templates: Iterable[str]) -> list[str]:
    """Return the releases that have a template and that the installed sdss-tree does not know."""
    unknown = []
    for release in templates:
        try:
            canonical(release)
        except UnknownRelease:
            unknown.append(release)
    return unknown
