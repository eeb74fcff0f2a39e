"""Where each release keeps its roots and templates: the only module that reads sdss-tree, and it reads it as data."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType

import attrs

from astra_registry.errors import AstraRegistryError, UnresolvedRoot

# The tree's own word for the top of the SAS; every root of its files begins with it, or with $PRODUCT_ROOT.
FILESYSTEM = "@FILESYSTEM@"

Sections = dict[str, dict[str, str]]


@attrs.frozen
class Definition:
    """What sdss-tree's files say about one release."""

    release: str
    roots: Mapping[str, str]
    """Variable → folder, as text that begins with ``@FILESYSTEM@`` or with another variable."""
    templates: Mapping[str, str]
    """Path name → template, in alphabetical order, as sdss_access gives them."""


@cache
def folder() -> str:
    """Return the folder of sdss-tree's release files, found without importing it (an import changes the process)."""
    for candidate in _candidates():
        if os.path.isfile(os.path.join(candidate, "sdsswork.cfg")):
            return candidate
    raise AstraRegistryError("the release files of sdss-tree are not to be found: pip install sdss-tree")


def _candidates() -> Iterator[str]:
    try:
        # Where an import would look, so that a copy ahead on the path counts. DeepMind's dm-tree has the same name.
        spec = find_spec("tree")
    except (ImportError, ValueError):
        spec = None
    for place in (spec and spec.submodule_search_locations) or ():
        yield os.path.join(place, "data")
    from importlib import metadata  # takes 20 ms to import, and is hardly ever needed

    try:
        yield str(metadata.distribution("sdss-tree").locate_file("tree/data"))
    except metadata.PackageNotFoundError:
        return


@cache
def configurations() -> tuple[str, ...]:
    """Return the names of all release files (``dr17``, ``ipl3``, ``sdsswork``), in alphabetical order."""
    stems = (os.path.splitext(name) for name in os.listdir(folder()))
    return tuple(sorted(stem for stem, suffix in stems if suffix == ".cfg" and "basework" not in stem))


@cache
def _read(configuration: str) -> tuple[dict[str, str], Sections]:
    """Return one file's defaults and sections, nothing interpolated."""
    from configparser import Error as ConfigError
    from configparser import RawConfigParser

    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    path = os.path.join(folder(), f"{configuration}.cfg")
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, ConfigError, UnicodeDecodeError) as error:
        raise AstraRegistryError(f"cannot read the release file {path}: {error}") from error
    # items() of a section would repeat the defaults, which other files may change.
    sections = {name: dict(parser._sections[name]) for name in parser.sections()}  # type: ignore[attr-defined]
    return dict(parser.defaults()), sections


def release_date(configuration: str) -> str | None:
    """Return the release date as YYYY-MM-DD, or None for work in progress; of all files only the release's is read."""
    date = _read(configuration)[0].get("release_date", "None")
    return None if date == "None" else date


def _merged(configuration: str) -> tuple[dict[str, str], Sections]:
    """Return a release's defaults and sections, on top of those of the releases it is based on."""
    chain = [configuration]
    while base := _read(chain[0])[0].get("base"):
        if base in chain:
            raise AstraRegistryError(f"the release files of sdss-tree are based on each other: {', '.join(chain)}")
        chain.insert(0, base)
    defaults: dict[str, str] = {}
    sections: Sections = {}
    for link in chain:
        own_defaults, own_sections = _read(link)
        defaults.update(own_defaults)
        for name, options in own_sections.items():
            sections.setdefault(name, {}).update(options)
    if "EBOSS" in sections:
        sections.pop("BOSS", None)  # as sdss-tree does: eBOSS took BOSS over
    return defaults, sections


_REFERENCE = re.compile(r"%\((\w+)\)s|%%")


def _interpolated(text: str, names: Mapping[str, str], depth: int = 10) -> str | None:
    """Return *text* with every ``%(NAME)s`` replaced, or None when a name is not defined."""
    if "%" not in text:
        return text
    if depth == 0:
        return None
    parts, end = [], 0
    for reference in _REFERENCE.finditer(text):
        parts.append(text[end : reference.start()])
        end = reference.end()
        if reference[0] == "%%":
            parts.append("%")
            continue
        value = _interpolated(names[reference[1]], names, depth - 1) if reference[1] in names else None
        if value is None:
            return None
        parts.append(value)
    return "".join([*parts, text[end:]])


# The work release of 2021 had a template that later ones do not have.
SDSS5 = "sdss5"
_OF_2021 = {"spec": "$BOSS_SPECTRO_REDUX/{run2d}/{plate}p/coadd/{mjd}/spSpec-{plate}-{mjd}-{catalogid:0>11}.fits"}


@cache
def definition(configuration: str) -> Definition:
    """Return what sdss-tree's files say about the release of that name, which must be one of `configurations`.

    ``sdss5`` is that of ``sdsswork`` with the template of 2021 besides.
    """
    if configuration == SDSS5:
        work = definition("sdsswork")
        return attrs.evolve(work, release=SDSS5, templates=_sorted({**work.templates, **_OF_2021}))
    defaults, sections = _merged(configuration)
    roots, templates = {}, {}
    for section, options in sections.items():
        names = {**defaults, **options}
        for option, raw in options.items():
            if option in defaults:
                continue
            text = _interpolated(raw, names)
            if text is None:
                continue  # as good as undefined: a template that wants it says so
            if section == "PATHS":
                templates[option] = text
            else:
                # Upper case and normpath: so sdss-tree exports them.
                roots[option.upper()] = posixpath.normpath(text)
    return Definition(configuration, MappingProxyType(roots), _sorted(templates))


def _sorted(templates: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(sorted(templates.items())))


_VARIABLE = re.compile(r"\$(\w+)")

# What a root can lie below: the SAS, the folder of software products, or anywhere (only when a caller overrides it).
SAS, PRODUCT, ELSEWHERE = "sas", "product", "elsewhere"


def resolve(text: str, roots: Mapping[str, str], depth: int = 10) -> tuple[str, str]:
    """Return where *text* (a root, or a template that begins with one) lies, and the rest relative to that place.

    Raises UnresolvedRoot when it begins with a variable that *roots* does not define.
    """
    if text == FILESYSTEM or text.startswith(FILESYSTEM + "/"):
        return SAS, text[len(FILESYSTEM) :].strip("/")
    variable = _VARIABLE.match(text)
    if variable is None:
        if text.startswith("/"):
            return ELSEWHERE, text
        raise UnresolvedRoot(f"{text!r} begins with no root; a template begins with one, like $APOGEE_REDUX/")
    name, rest = variable[1], text[variable.end() :]
    if name in roots and depth:
        return resolve(roots[name] + rest, roots, depth - 1)
    if name == "SAS_BASE_DIR":
        return SAS, rest.strip("/")
    if name == "PRODUCT_ROOT":
        return PRODUCT, rest.strip("/")
    raise UnresolvedRoot(f"the release defines no root ${name}")
