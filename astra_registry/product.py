"""Data products: the class is the data model, the instance is one file on the SAS, or a batch of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from astra_registry import notebook
from astra_registry.errors import AstraRegistryError, BadValue, FileFailed, FileMissing, InvalidParameter
from astra_registry.parameters import parameter
from astra_registry.plugins import installed_plugins
from astra_registry.refusals import check_cards, check_name, check_parameters
from astra_registry.released import Released
from astra_registry.target import Target, present
from astra_registry.task.identity import MAJOR, MINOR
from astra_registry.task.life import as_task
from astra_registry.tree import Tree

if TYPE_CHECKING:
    from astra_registry.paths.template import PathTemplate

TRANSPORTS = ("http", "rsync", "file")


class DataProduct(Released, common=True):
    """A kind of file, found by a path template of its release."""

    examples: ClassVar[Sequence[Any]] = ()
    # FITS card -> regular expression of its text in every file of the product; named groups are parameters.
    cards: ClassVar[Mapping[str, str]] = MappingProxyType({})
    readers: ClassVar[Mapping[str, str]] = MappingProxyType({})  # kind -> "module:function"
    writers: ClassVar[Mapping[str, str]] = MappingProxyType({})

    public: bool = parameter("Whether to treat the release as public.", default=False, significant=False)
    mirror: bool = parameter("Whether to ask the mirror server.", default=False, significant=False)
    verbose: bool = parameter("Whether to tell what is done.", default=True, significant=False)
    use_remote: bool = parameter("Whether to bring the file when it is opened.", default=False, significant=False)
    remote_access_method: str = parameter("The transport that brings it.", default="http", significant=False)
    strict_output_checking: bool = parameter("Whether complete means whole.", default=False, significant=False)
    # A file of the survey does not depend on our version.
    astra_version_major: int = parameter("The core's version.", default=MAJOR, significant=False, visibility="hidden")
    astra_version_minor: int = parameter("The core's version.", default=MINOR, significant=False, visibility="hidden")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_name(cls.sdss_data_model_name)
        check_parameters(cls._label(), cls.product_parameters(), dir(DataProduct) if not cls._declares_common else ())
        if cls.cards:
            check_cards(cls._label(), cls.cards, [p.name for p in cls.product_parameters().values()])

    # Defined here too, so that type checkers take any parameter of a product whose class they do not know.
    def __init__(self, /, **given: Any) -> None:
        if type(self).sdss_data_model_name is None:
            raise BadValue(f"{type(self).__name__} is no concrete product: it has no sdss_data_model_name")
        super().__init__(**given)

    @classmethod
    def _converted(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._converted(given)
        if "remote_access_method" in values:
            _check_transport(values["remote_access_method"])
        return values

    # -- where it is ---------------------------------------------------------------------------------

    @property
    def tree(self) -> Tree:
        """The tree of this product's release: roots, templates and servers."""
        return Tree(self.release, public=self.public or None, mirror=self.mirror)

    def _template_values(self, template: PathTemplate | None = None) -> dict[str, Any]:
        """Return the values that a template of this release takes, by its keys; the location's when none is named."""
        values, plan = self.__dict__, self.plan(self.release)
        return {key: values[a] for key, a in plan.keys_of[template or plan.templates[0]] if values[a] is not None}

    @property
    def location(self) -> Any:
        """The path relative to the top of the SAS; of a batch, a list of them."""
        if self._size is not None:
            return self.locations
        return self.plan(self.release).templates[0].location(self._template_values())

    @property
    def locations(self) -> list[str]:
        """The locations of all members, in order; made from columns."""
        return self._locations(self.plan(self.release).templates[0])

    @property
    def further_locations(self) -> list[Any]:
        """The other locations where servers and mirrors keep the file; of a batch, a list of them for each member."""
        return self._each(self._further(self._locations))

    def _locations(self, template: PathTemplate) -> list[str]:
        if self._size is None:
            return [template.location(self._template_values(template))]
        return template.locations(self._template_values(template), self._size)

    @property
    def local_path(self) -> Any:
        """The path on this machine, below ``$SAS_BASE_DIR`` or ``~/sas``; of a batch, a list of them.

        Pure: the disk is not looked at, so that the answer is the same before and after a download.
        """
        if self._size is not None:
            return self.local_paths
        return self.tree.path_of(self.plan(self.release).templates[0], self._template_values())

    @property
    def local_paths(self) -> list[str]:
        """The local paths of all members, in order; made from columns."""
        if self._size is None:
            return [self.local_path]
        return self.tree.paths_of(self.plan(self.release).templates[0], self._template_values(), self._size)

    @property
    def remote_path(self) -> Any:
        """The URL; of a batch, a list of them. Needs no network and no login."""
        if self._size is not None:
            return self.remote_paths
        return self.tree.url_of(self.plan(self.release).templates[0], self._template_values())

    @property
    def remote_paths(self) -> list[str]:
        """The URLs of all members, in order; made from columns."""
        return self._urls(self.plan(self.release).templates[0])

    @property
    def further_remote_paths(self) -> list[Any]:
        """The URLs of the further locations; of a batch, a list of them for each member. Empty when there are none."""
        return self._each(self._further(self._urls))

    def _further(self, made_of: Callable[[PathTemplate], list[str]]) -> list[list[str]]:
        """Return what is made of each further template, without those that these parameters do not fill."""
        places = []
        for template in self.plan(self.release).templates[1:]:
            with contextlib.suppress(AstraRegistryError):
                places.append(made_of(template))
        return places

    def _each(self, places: list[list[str]]) -> list[Any]:
        """Return what the places give: of a single product a flat list, of a batch a list for each member."""
        if self._size is None:
            return [place[0] for place in places]
        return [list(member) for member in zip(*places, strict=True)]

    def _urls(self, template: PathTemplate) -> list[str]:
        if self._size is None:
            return [self.tree.url_of(template, self._template_values(template))]
        return self.tree.urls_of(template, self._template_values(template), self._size)

    @classmethod
    def get_local_path(
        cls, release: str, public: bool = True, mirror: bool = False, verbose: bool = True, **parameters: Any
    ) -> Any:
        """Return the local path of the product with these parameters: what an instance's `local_path` is."""
        return cls(release=release, public=public, mirror=mirror, verbose=verbose, **parameters).local_path

    def output(self) -> Any:
        """Return the target of the local file; of a batch, a list of them. Touches neither disk nor network."""
        targets = [Target(path, further=tuple(further)) for path, *further in self._places()]
        if self.use_remote:
            members = self.get_batch_tasks()
            targets = [attrs.evolve(t, bring=m.get_remote) for t, m in zip(targets, members, strict=True)]
        return targets[0] if self._size is None else targets

    def _places(self) -> Iterable[Sequence[str]]:
        """Give for each member the paths on this machine where its file may lie: its own, then the further ones."""
        size = self.get_batch_size()
        further = self._further(lambda template: self.tree.paths_of(template, self._template_values(template), size))
        return zip(self.local_paths, *further, strict=True)

    def _handed_over(self) -> Any:
        """Return the output for a task that requires this one, brought first when `use_remote` is true."""
        if self.use_remote and not self._has_own_output() and not self.complete():
            self.get_remote()
        return self.output()

    def _repr_html_(self) -> str:
        return notebook.of_product(self)

    # -- bringing and reading ------------------------------------------------------------------------

    def get_remote(self) -> Any:
        """Bring the file (of a batch: all, together) and return its path(s); raises with the reason.

        The transport is `remote_access_method`; where that is ``"http"``, as it is by default, the setting `transport`.
        """
        return self._brought(None if self.remote_access_method == "http" else self.remote_access_method)

    def get_remote_http(self) -> Any:
        """Bring the file over HTTP and return its path; raises with the reason."""
        return self._brought("http")

    def get_remote_rsync(self) -> Any:
        """Bring the file with rsync and return its path; raises with the reason."""
        return self._brought("rsync")

    def _brought(self, transport: str | None) -> Any:
        from astra_registry.fetching import fetch

        report = fetch(self, transport=transport)
        report.raise_for_failures()
        return self.local_path

    def read(self, kind: str | None = None, **options: Any) -> Any:
        """Return the file's content; it is brought first when `use_remote` is true.

        Without a `kind` an `astropy.io.fits.HDUList`, which the caller closes; with one what the product's reader
        of that kind makes (``"spectrum"``: a `specutils.Spectrum`). A batch is read member by member into a list,
        or by the readers into a collection.
        """
        from astra_registry.reading import read

        return read(self, kind, readers=installed_plugins().named("astra_registry_readers"), **options)

    @classmethod
    def writer(cls, spectrum: Any, path: str, **kwargs: Any) -> Any:
        """Write a spectrum in this product's layout, atomically; over an existing file only with ``overwrite=True``."""
        from astra_registry.reading import writer_of

        write = writer_of(cls, writers=installed_plugins().named("astra_registry_writers"))
        return write(spectrum, path, **kwargs)

    # -- life ----------------------------------------------------------------------------------------

    def complete(self) -> bool:
        """Whether the file is here and not empty; with `strict_output_checking`, whether it is whole.

        A batch is complete when all its members are, an empty one always. An analysis task that mixes a product in,
        and has outputs of its own, is complete when those exist.
        """
        if self._has_own_output():
            return super().complete()
        try:
            if self._size is None:
                return self._is_good(self.output().find())
            return all(map(self._is_good, present(self._places())))
        except (OSError, ValueError):
            return False

    def _is_good(self, found: str | None) -> bool:
        return found is not None and (not self.strict_output_checking or _is_whole(found))

    @classmethod
    def _has_own_output(cls) -> bool:
        return cls.output is not DataProduct.output

    @classmethod
    def _is_complete_by_outputs(cls) -> bool:
        return cls.complete is DataProduct.complete and cls._has_own_output()

    @classmethod
    def _is_complete_by_file(cls) -> bool:
        return cls.complete is DataProduct.complete and not cls._has_own_output()

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[Any]) -> list[Any]:
        """Return those of the given products, or mappings of parameters, whose files are here.

        Each folder is listed once, and of what is found there the size is asked; mappings of one release become the
        columns of one batch, and no objects.
        """
        given = list(parameter_tuples)
        if not cls._is_complete_by_file():
            return super().bulk_complete(given)
        batch = cls._batch_of(given)
        if batch is not None:
            return [g for g, path in zip(given, present(batch._places()), strict=True) if batch._is_good(path)]
        products = [as_task(cls, item) for item in given]
        if not all(isinstance(p, DataProduct) and p._is_complete_by_file() and p._size is None for p in products):
            return super().bulk_complete(given)
        found = present(place for product in products for place in product._places())
        return [item for item, product, path in zip(given, products, found, strict=True) if product._is_good(path)]

    @classmethod
    def _batch_of(cls, given: Sequence[Any]) -> DataProduct | None:
        """Return the batch of mappings that differ in batch parameters only, None when they do not make one."""
        first = given[0] if given else None
        if not isinstance(first, Mapping) or any(not isinstance(g, Mapping) or g.keys() != first.keys() for g in given):
            return None
        varying = set(cls.batch_param_names())
        columns = {name: [item[name] for item in given] for name in first}
        if any(name not in varying and any(v != column[0] for v in column) for name, column in columns.items()):
            return None
        if any(None in column and any(v is not None for v in column) for column in columns.values()):
            return None  # they do not even have the same parameters
        batch = cls(**{n: c if n in varying and c[0] is not None else c[0] for n, c in columns.items()})
        return batch if batch.is_batch_mode else None

    def run(self) -> None:
        """Bring the file when `use_remote` is true; else raise FileMissing when it is not here."""
        if self.complete():
            return
        if not self.use_remote:
            raise FileMissing(f"{self._label()} is not here: {self.local_path}; use_remote=True brings it")
        self.get_remote()


class SDSS5DataModelTask(DataProduct, common=True):
    """A data product as SDSS-V's pipelines use it: the release is the work in progress unless another is named."""

    release: str = parameter("The data release.", default="sdss5")


def _check_transport(name: str) -> None:
    """Raise InvalidParameter for a transport that neither we nor a plugin bring; plugins are asked last."""
    if name in TRANSPORTS:
        return
    brought = installed_plugins().named("astra_registry_transports")
    if name not in brought:
        known = ", ".join([*TRANSPORTS, *brought])
        raise InvalidParameter(f"remote_access_method = '{name}': there is no such transport; there are {known}")


def _is_whole(path: str) -> bool:
    """Whether a file holds all that its structure promises."""
    from astra_registry.fetching.disk.whole import check

    try:
        check(path)
    except FileFailed:
        return False
    return True
