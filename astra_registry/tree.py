"""One release: its roots and its path templates, and the paths and URLs that follow from them."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from astra_registry import notebook
from astra_registry import release as releases
from astra_registry.errors import BadValue, UnknownPath, UnresolvedRoot, did_you_mean
from astra_registry.paths import on_disk, roots
from astra_registry.paths.archive import Archive
from astra_registry.paths.columns import Columns
from astra_registry.paths.compiled import Maker
from astra_registry.paths.derived import GAPS, DerivedGap
from astra_registry.paths.notation import parse
from astra_registry.paths.quoting import quoted
from astra_registry.paths.template import PathTemplate
from astra_registry.settings import SETTINGS, setting


class Tree:
    """One release of the tree: immutable, cached, and independent of every other.

    Its read-only methods are those of `sdss_access.Path`, with their names and their results, but for these: `full`
    never looks at the disk; an unknown release, name or keyword and an empty value are errors; and nothing outside
    changes.

    >>> Tree("dr17", sas_base_dir="/sas").full("apStar", apred="dr17", apstar="stars", telescope="apo25m",
    ...                                        field="000+14", prefix="ap", obj="2M16544175-2148453")
    '/sas/dr17/apogee/spectro/redux/dr17/stars/apo25m/000+14/apStar-dr17-2M16544175-2148453.fits'
    """

    __slots__ = (
        "_archive",
        "_compiled",
        "_configured_base",
        "_key",
        "_makers",
        "_texts",
        "mirror",
        "netloc",
        "product_root",
        "public",
        "release",
        "remote_base",
        "sas_base_dir",
        "templates",
    )
    release: str
    """The release's name, as `astra_registry.release.canonical` spells it."""
    templates: Mapping[str, str]
    """Path name → template."""
    sas_base_dir: str
    product_root: str
    public: bool
    mirror: bool
    netloc: str
    remote_base: str
    _archive: Archive
    _compiled: dict[str, PathTemplate]
    _configured_base: str | None  # of the server that takes the place of the SDSS's
    _key: tuple[Any, ...]
    _makers: dict[str, Maker]  # of `full`, by name
    _texts: Mapping[str, str]

    def __new__(
        cls,
        release: str,
        *,
        sas_base_dir: str | os.PathLike[str] | None = None,
        public: bool | None = None,
        mirror: bool = False,
        remote_base: str | None = None,
        environ_overrides: bool | Iterable[str] = False,
    ) -> Tree:
        """Return the tree of a release.

        *sas_base_dir*, *remote_base*: in the place of the settings'. *public* true forces what otherwise follows from
        the release's date. *environ_overrides*: the caller's environment variables (all, or those named) win over the
        tree's roots. Raises UnknownRelease.
        """
        name = releases.canonical(release)
        top = setting("sas_base_dir") if sas_base_dir is None else _given("sas_base_dir", sas_base_dir)
        base = setting("remote_base") if remote_base is None else _given("remote_base", remote_base)
        is_public = releases.is_public(name) or (bool(public) and name not in (releases.WORK, roots.SDSS5))
        overrides: tuple[tuple[str, str], ...] = ()
        if environ_overrides:
            names = [environ_overrides] if isinstance(environ_overrides, str) else environ_overrides
            wanted = None if names is True else frozenset(names)
            overrides = _overrides(name, wanted)
        return _tree(name, top, setting("product_root"), is_public, bool(mirror), base, overrides)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Tree cannot be changed: make one with the {name} that you want")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __repr__(self) -> str:
        return f'<Tree(release="{self.release}", public={self.public}, n_paths={len(self.templates)})>'

    def _repr_html_(self) -> str:
        return notebook.of_tree(self)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Tree) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Any, ...]:
        return _tree, self._key

    @property
    def roots(self) -> Mapping[str, str]:
        """Variable → folder on this machine."""
        folders = {}
        for name, text in self._texts.items():
            try:
                place, rest = roots.resolve(text, self._texts)
            except UnresolvedRoot:
                continue
            folders[name] = os.path.normpath(self._archive.tops[place] + rest)
        return MappingProxyType(folders)

    # ------------------------------------------------------------ names and templates

    @staticmethod
    def get_available_releases(public: bool | None = None) -> list[str]:
        """Return the releases as sdss_access names and sorts them; only the data releases when *public*."""
        names: list[str] = list(roots.configurations())
        for group in ("dr", "mpl", "ipl"):
            own = sorted((name for name in names if group in name), key=lambda name: int(re.sub(r"\D", "", name) or 0))
            rest = [name for name in names if group not in name]
            names = [*rest[:1], *own, *rest[1:]]
        if public:
            names = [name for name in names if name.startswith("dr")]
        return ["WORK" if name == releases.WORK else name.upper() for name in names]

    def lookup_names(self) -> list[str]:
        """Return the names of all paths."""
        return list(self.templates)

    def has_name(self, name: str, /) -> bool:
        """Return whether the release has a path of that name."""
        return name in self.templates

    def lookup_keys(self, name: str, /) -> list[str]:
        """Return the parameters of a path; those that sdss_access reads besides are accepted too."""
        try:
            template = self.path_template(name)
        except UnresolvedRoot:  # which parameters it has does not depend on where it lies
            text = re.sub(r"^\$\w+", "$SAS_BASE_DIR", self.templates[name])
            template = parse(text, self._texts, self._derived_gap, name=name)
        return list(template.lookup_keys)

    def path_template(self, name: str, /, *, subpaths: Sequence[str] = ()) -> PathTemplate:
        """Return the template of a path; *subpaths* are the parameters whose values may hold ``/``.

        Raises UnknownPath, and UnresolvedRoot when the template begins with a variable that the release lacks.
        """
        if not subpaths:
            try:
                return self._compiled[name]
            except (KeyError, TypeError):
                pass
        try:
            text = self.templates[name]
        except (KeyError, TypeError):
            hint = did_you_mean(name, self.templates) if isinstance(name, str) else ""
            raise UnknownPath(f"no path named {name!r} in {self.release}{hint}") from None
        try:
            template = parse(text, self._texts, self._derived_gap, name=name, subpaths=subpaths)
        except UnresolvedRoot as error:
            raise UnresolvedRoot(f"{name} in {self.release}: {error}") from None
        return template if subpaths else self._compiled.setdefault(name, template)

    def compile(self, text: str, /, *, name: str = "", subpaths: Sequence[str] = ()) -> PathTemplate:
        """Return the template that *text* writes in the tree's notation; ``=specFull`` is the path of that name.

        *name* is the product's, on which some derived gaps depend. Raises BadValue for what is no template.
        """
        if text.startswith("="):
            return self.path_template(text[1:].strip(), subpaths=subpaths)
        return parse(text, self._texts, self._derived_gap, name=name, subpaths=subpaths)

    def _derived_gap(self, function: str) -> DerivedGap:
        known = GAPS.get(function)
        if known is not None:
            return known
        from astra_registry.paths import oracle

        return oracle.gap(releases.configuration(self.release), function)

    # ------------------------------------------------------------ one path

    def full(self, name: str, /, **parameters: Any) -> str:
        """Return the path on this machine, whether the file is there or not.

        Raises UnknownPath, MissingParameter, UnknownParameter, InvalidParameter, UnresolvedRoot.
        """
        try:
            make = self._makers[name]
        except (KeyError, TypeError):
            make = self._maker(name)
        return make(parameters)

    def _maker(self, name: str) -> Maker:
        template = self.path_template(name)
        make = template.maker(self._archive.tops[template.place], lambda faster: self._makers.update({name: faster}))
        return self._makers.setdefault(name, make)

    def location(self, name: str, /, *, full: str | None = None, **parameters: Any) -> str:
        """Return the path relative to the top of the SAS, of a product or of the path *full*.

        Raises NotOnSas for software products, else as `full`.
        """
        if full is None:
            return self.path_template(name).location(parameters)
        return self._archive.location(full)

    def url(self, name: str, /, *, full: str | None = None, **parameters: Any) -> str:
        """Return the URL of a product, or of the path *full*; raises as `location` does."""
        if full is None:
            return self.url_of(self.path_template(name), parameters)
        return self.remote(self.location(name, full=full))

    def dir(self, name: str, /, *, full: str | None = None, **parameters: Any) -> str:
        """Return the folder of the file."""
        return os.path.dirname(full or self.full(name, **parameters))

    def name(self, name: str, /, *, full: str | None = None, **parameters: Any) -> str:
        """Return the name of the file, without its folder."""
        return os.path.basename(full or self.full(name, **parameters))

    def local(self, location: str) -> str:
        """Return the path on this machine of a location on the SAS."""
        return self._archive.tops[roots.SAS] + location

    def remote(self, location: str) -> str:
        """Return the URL of a location on the SAS; what has a meaning of its own in a URL is quoted."""
        return self._archive.url(location)

    def extract(self, name: str, path: str | os.PathLike[str], /) -> dict[str, str | int]:
        """Return the parameters of a path, as text as they stand in it; an empty dictionary when it is none of *name*.

        As in sdss_access, the number of a piece of a MOS target file (`num`) is an integer.

        *path* may be a local path, a location on the SAS, or a URL of any server; compressed or not.
        """
        template = self.path_template(name)
        text = os.fspath(path)
        if not isinstance(text, str):
            raise BadValue(f"a path is text, not {text!r}")
        for candidate in self._archive.locations(text, template):
            for spelling in on_disk.spellings(candidate):
                values = template.match(spelling, padded=True)
                if values is None:
                    continue
                is_piece = name.startswith("mos_target")
                return {k: int(v) if is_piece and k == "num" and v.isdecimal() else v for k, v in values.items()}
        return {}

    # ------------------------------------------------------------ on disk, and on the server

    def find(self, name: str, /, **parameters: Any) -> str | None:
        """Return the path of the file as it lies on disk, in whatever compression, or None."""
        return on_disk.find(self.full(name, **parameters))

    def exists(self, name: str, /, *, remote: bool = False, full: str | None = None, **parameters: Any) -> bool:
        """Return whether the file is on disk, in whatever compression, or with *remote* whether the server has it.

        For a release that is not public the server is sent credentials, as by a fetch. Raises Unauthorized or
        TransferFailed when it does not tell.
        """
        if remote:
            from astra_registry.fetching.existence import is_on_server

            url = self.url(name, full=full, **parameters)
            return is_on_server(url, public=self.public, remote_base=self._configured_base)
        return on_disk.find(full or self.full(name, **parameters)) is not None

    def expand(
        self,
        name: str,
        /,
        *,
        as_url: bool = False,
        refine: str | None = None,
        filterdir: str = "out",
        full: str | None = None,
        **parameters: Any,
    ) -> list[str]:
        """Return the files on disk for which ``*`` in the parameters' values stands, sorted.

        *refine* is a regular expression that they match (not, with *filterdir* ``in``); *as_url* gives their URLs.
        """
        if full is None:
            template = self.path_template(name)
            full = glob.escape(self._archive.tops[template.place]) + on_disk.wild(template, parameters)
        files = on_disk.expand(full)
        if as_url:
            files = [self.url(name, full=file) for file in files]
        return on_disk.refine(files, refine, filterdir) if refine else files

    def any(self, name: str, /, **parameters: Any) -> bool:
        """Return whether `expand` finds a file."""
        return bool(self.expand(name, **parameters))

    def one(self, name: str, /, **parameters: Any) -> str | None:
        """Return one of the files that `expand` finds, at random, or None."""
        chosen = self.random(name, **parameters)
        return chosen[0] if chosen else None

    def random(self, name: str, /, *, count: int = 1, **parameters: Any) -> list[str] | None:
        """Return *count* of the files that `expand` finds, at random, or None when it finds none."""
        files = self.expand(name, **parameters)
        if not files:
            return None
        if not 0 <= count <= len(files):
            raise BadValue(f"{count} files of {name} are wanted, and there are {len(files)}")
        import random

        return random.sample(files, count)

    @staticmethod
    def refine(filelist: Sequence[str], regex: str, filterdir: str = "out") -> list[str]:
        """Return the files in which *regex* is found; with *filterdir* ``in`` those in which it is not."""
        return on_disk.refine(filelist, regex, filterdir)

    # ------------------------------------------------------------ many paths

    def fulls(self, name: str, /, **columns: Any) -> list[str]:
        """Return the paths of many products: each parameter a column of values, or one value for all.

        Raises as `full` does, with the row, and UnequalLengths.
        """
        return self.paths_of(self.path_template(name), columns)

    def urls(self, name: str, /, **columns: Any) -> list[str]:
        """Return the URLs of many products, as `fulls` returns their paths."""
        return self.urls_of(self.path_template(name), columns)

    # ------------------------------------------------------------ paths of a template, a product's own among them

    def path_of(self, template: PathTemplate, values: Mapping[str, Any]) -> str:
        """Return the path on this machine that a template of this release gives; raises as `full` does."""
        return self._archive.tops[template.place] + template.below(values)

    def paths_of(self, template: PathTemplate, columns: Mapping[str, Any], size: int | None = None) -> list[str]:
        """Return the paths on this machine of many products, as `fulls` does."""
        return Columns(template, columns, size).paths(self._archive.tops[template.place])

    def url_of(self, template: PathTemplate, values: Mapping[str, Any]) -> str:
        """Return the URL that a template of this release gives; raises as `url` does."""
        return self.remote(template.location(values))

    def urls_of(self, template: PathTemplate, columns: Mapping[str, Any], size: int | None = None) -> list[str]:
        """Return the URLs of many products, as `urls` does."""
        return template.locations(columns, size, before=self._archive.remote, escape=quoted)

    def locals(self, locations: Iterable[str]) -> list[str]:
        """Return the paths on this machine of many locations on the SAS."""
        before = self._archive.tops[roots.SAS]
        return [before + location for location in locations]

    def remotes(self, locations: Iterable[str]) -> list[str]:
        """Return the URLs of many locations on the SAS."""
        return [self.remote(location) for location in locations]


def _given(name: str, value: object) -> Any:
    """Return what was given in the place of a setting, or raise BadSetting."""
    return SETTINGS[name].convert(value, "the tree")


@cache
def _shared(release: str) -> dict[str, PathTemplate]:
    """Return the templates of a release that were compiled so far, for all its trees."""
    return {}


def _overrides(release: str, wanted: frozenset[str] | None) -> tuple[tuple[str, str], ...]:
    """Return the environment's variables that win over the release's roots."""
    definition = roots.definition(release)
    if wanted is None:
        named = {text[1:].split("/", 1)[0] for text in definition.templates.values() if text.startswith("$")}
        wanted = frozenset(definition.roots) | named
    values = ((name, os.environ.get(name)) for name in sorted(wanted - {"SAS_BASE_DIR", "PRODUCT_ROOT"}))
    return tuple((name, os.path.expandvars(value)) for name, value in values if value)


@lru_cache(maxsize=1024)
def _tree(
    release: str,
    sas_base_dir: str,
    product_root: str | None,
    public: bool,
    mirror: bool,
    remote_base: str | None,
    overrides: tuple[tuple[str, str], ...],
) -> Tree:
    definition = roots.definition(release)
    archive = Archive.of(release, sas_base_dir, product_root, public=public, mirror=mirror, remote_base=remote_base)
    texts: dict[str, str] = dict(definition.roots)
    for name, value in overrides:
        texts[name] = archive.root(posixpath.normpath(value))

    tree = object.__new__(Tree)
    fields = {
        "release": release,
        "templates": definition.templates,
        "sas_base_dir": archive.sas_base_dir,
        "product_root": archive.product_root,
        "public": public,
        "mirror": mirror,
        "netloc": archive.netloc,
        "remote_base": archive.remote_base,
        "_key": (release, sas_base_dir, product_root, public, mirror, remote_base, overrides),
        "_texts": MappingProxyType(texts),
        "_archive": archive,
        "_configured_base": remote_base,
        "_compiled": {} if overrides else _shared(release),
        "_makers": {},
    }
    for name, field in fields.items():
        object.__setattr__(tree, name, field)
    return tree
