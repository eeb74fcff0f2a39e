"""Data products by name: from plugins, asked one by one, none of which can break the others."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import attrs

from astra_registry import notebook
from astra_registry.declarations import Declaration, is_product
from astra_registry.errors import AstraRegistryError, BrokenPlugin, PluginConflict, UnknownProduct, did_you_mean
from astra_registry.installed import BrokenPluginWarning
from astra_registry.plugins import (
    BROKEN,
    CONFLICT,
    DISABLED,
    OK,
    Plugin,
    PluginInfo,
    PluginList,
    PluginSet,
    installed_plugins,
)
from astra_registry.product import DataProduct
from astra_registry.release import canonical
from astra_registry.settings import setting

if TYPE_CHECKING:
    from astra_registry.identification import Identification
    from astra_registry.identification.places import Places


@attrs.define
class Claim:
    """A product as one plugin brings it: a class, a declaration, or an entry point that names a class."""

    plugin: Plugin
    brought: Any

    def declaration(self) -> Declaration:
        """Return the product as data, without making a class of it."""
        return self.brought if isinstance(self.brought, Declaration) else Declaration.of(self.brought)

    @property
    def name(self) -> str:
        """The product's name."""
        return str(self.brought.name if isinstance(self.brought, Declaration) else self.brought.sdss_data_model_name)

    @property
    def is_named(self) -> bool:
        """Whether the plugin says so in its metadata, as far as it says there what it brings."""
        return not self.plugin.product_points or self.name in self.plugin.product_points


class Registry(Mapping[str, type[DataProduct]]):
    """Data-product classes by name, as plugins bring them; `registry` is this process's own.

    ``Registry(plugins=[…])`` takes modules, objects with hooks, names of modules or paths of ``products.toml`` files,
    and nothing else: for tests, and for applications that bring their own.
    """

    def __init__(self, plugins: Iterable[Any] | None = None) -> None:
        self._given = None if plugins is None else list(plugins)
        # Held while plugins are asked: one that is still at it is not one that brings nothing, for another thread.
        self._asking = threading.RLock()
        self._built: dict[str, tuple[Declaration, type[DataProduct]]] = {}
        self._forget()

    def _forget(self, *, refresh: bool = False) -> None:
        found_anew = refresh and self._given is None
        self._set: PluginSet | None = installed_plugins(refresh=True) if found_anew else None
        self._claims: dict[str, list[Claim]] = {}
        self._read: set[int] = set()  # plugins whose products are among the claims, by id()
        self._read_everything = False
        self.known_places: Places | None = None  # put together when the first path is identified
        self._sources: list[tuple[Plugin, Mapping[str, Declaration]]] | None = None
        self._classes: dict[str, type[DataProduct]] = {}

    @property
    def plugin_set(self) -> PluginSet:
        """The plugins behind this registry."""
        if self._given is None:
            current = installed_plugins()  # another set when the setting `plugins` has changed
            if current is not self._set:
                with self._asking:
                    self._forget()
                    self._set = current
            return current
        if self._set is None:
            self._set = PluginSet(self._given)
        return self._set

    # -- look-up -------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> type[DataProduct]:
        _ = self.plugin_set  # what was made for other plugins is forgotten
        if not isinstance(name, str):
            raise UnknownProduct(f"a product's name is text such as 'apStar', not {name!r}")
        try:
            return self._classes[name]
        except KeyError:
            with self._asking:
                return self._classes.setdefault(name, self._class_of(name, self._claim(name).brought))

    def __getattr__(self, name: str) -> type[DataProduct]:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except UnknownProduct as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.names() if name.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        """Return what IPython and Jupyter complete after ``registry["``."""
        return self.names()

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            self._claim(name)
        except UnknownProduct:
            return False
        except PluginConflict:
            return True
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __repr__(self) -> str:
        return f"<Registry({len(self)} products from {len(list(self.plugin_set))} plugins)>"

    def _repr_html_(self) -> str:
        return notebook.of_registry(self)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def names(self) -> list[str]:
        """Return the names of all products, in alphabetical order, whatever their case."""
        self._read_all()
        known = set(self._claims)
        for _, source in self._all_sources():
            known.update(source)
        visible = (name for name in known if self._is_visible(name))
        return sorted(visible, key=lambda name: (name.casefold(), name))

    def _is_visible(self, name: str) -> bool:
        return all(getattr(claim.brought, "_visible_in_registry", True) for claim in self._claims.get(name, ()))

    def declaration(self, name: str) -> Declaration:
        """Return a product as data: its summary, parameters, releases and templates. Raises UnknownProduct."""
        claim = self._claim(name)
        return claim.declaration()

    def is_by_hand(self, name: str) -> bool:
        """Whether a plugin brings the product itself, and not among all that a source has."""
        self._read_all()
        return name in self._claims

    def plugin_of(self, name: str) -> Plugin:
        """Return the plugin that brings a product."""
        return self._claim(name).plugin

    def plugins_of(self, name: str) -> list[Plugin]:
        """Return all plugins that bring a product of that name: more than one when they are in conflict.

        Raises UnknownProduct.
        """
        self._read_all()
        bringing = [claim.plugin for claim in self._claims.get(name, [])]
        bringing = bringing or [plugin for plugin, source in self._all_sources() if name in source]
        return bringing or [self.plugin_of(name)]

    def template_errors(self, plugin: Plugin) -> Iterator[str]:
        """Yield, in one line each, which releases of a plugin's products have a template that cannot be used."""
        for name, claims in sorted(self._claims.items()):
            for claim in claims:
                if claim.plugin is not plugin:
                    continue
                try:
                    product = self._class_of(name, claim.brought)
                    for release in product.releases():
                        product.plan(release)
                except (AstraRegistryError, ValueError) as error:
                    yield f"its product '{name}' cannot be resolved: {error}; {plugin.way_out}"

    def create(self, name: str, /, **parameters: Any) -> DataProduct:
        """Return the product of that name with these parameters, the release among them."""
        return self[name](**parameters)

    def search(
        self, text: str = "", *, release: str | None = None, plugin: str | None = None
    ) -> list[type[DataProduct]]:
        """Return the classes whose name, summary or parameters hold every word of `text`, the closest first."""
        return [self[name] for name in self.search_names(text, release=release, plugin=plugin)]

    def search_names(self, text: str = "", *, release: str | None = None, plugin: str | None = None) -> list[str]:
        """Return the names of the products that `search` finds, without making a class of any."""
        words = text.casefold().split()
        wanted = None if release is None else canonical(release)
        found: list[tuple[int, str]] = []
        for name in self.names():
            try:
                claim = self._claim(name)
            except PluginConflict:
                continue
            if plugin is not None and plugin not in (claim.plugin.name, claim.plugin.distribution):
                continue
            declaration = claim.declaration()
            rank = _rank(words, declaration)
            if rank is not None and (wanted is None or wanted in declaration.releases):
                found.append((rank, name))
        return [name for _, name in sorted(found, key=lambda item: item[0])]

    @overload
    def identify(self, path: str, *, all: Literal[False] = False) -> DataProduct: ...
    @overload
    def identify(self, path: str, *, all: Literal[True]) -> list[Identification]: ...
    def identify(self, path: str, *, all: bool = False) -> Any:  # noqa: A002 - the contract's word
        """Return the product that lives at a path or URL; with ``all=True`` every candidate, best first.

        Raises NotIdentified when no known product lives there.
        """
        from astra_registry.identification import identify

        return identify(self, path, every=all)

    # -- plugins -------------------------------------------------------------------------------------

    @property
    def plugins(self) -> list[PluginInfo]:
        """Every installed plugin, its health, and the products it brings; broken and disabled ones too."""
        self._read_all()
        conflicts = self._conflicts()
        listed = PluginList()
        for plugin in self.plugin_set.plugins:
            products = [name for name, claims in self._claims.items() if any(c.plugin is plugin for c in claims)]
            for owner, source in self._all_sources():
                if owner is plugin:
                    products += [name for name in source if name not in self._claims]
            clashes = [_clash(claims) for claims in conflicts.values() if any(c.plugin is plugin for c in claims)]
            error = plugin.error or plugin.conflict or ("; ".join(clashes) or None)
            status = DISABLED if not plugin.enabled else BROKEN if plugin.error else CONFLICT if error else OK
            listed.append(
                PluginInfo(plugin.name, plugin.distribution, plugin.version, status, error, tuple(sorted(products)))
            )
        return listed

    def refresh(self) -> None:
        """See what was installed or removed since; products of plugins that stay keep their classes."""
        self._forget(refresh=True)

    def _claim(self, name: str) -> Claim:
        """Return who brings a product, asking no more plugins than needed. Raises UnknownProduct, PluginConflict."""
        plugins = self.plugin_set  # what was read of other plugins is forgotten here
        with self._asking:
            claims = self._claims.get(name, []) if self._read_everything else self._asked(name)
            if not claims:
                claims = [Claim(plugin, source[name]) for plugin, source in self._all_sources() if name in source]
        if claims:
            chosen = self._chosen(claims)
            if chosen is None:
                raise PluginConflict(_clash(claims))
            return chosen
        self._read_all()
        for plugin in plugins.plugins:
            if name in plugin.product_points:
                raise _unusable(name, plugin)
        raise UnknownProduct(self._unknown(name))

    def _chosen(self, claims: list[Claim]) -> Claim | None:
        """Return the claim that holds; None when several do and the setting `prefer` names none of them."""
        if len(claims) == 1:
            return claims[0]
        # A plugin that names other products in its metadata, and not this one, was not asked for it.
        named = [claim for claim in claims if claim.is_named] or claims
        if len(named) == 1:
            return named[0]
        prefer = setting("prefer").get(claims[0].name)
        return next((claim for claim in claims if prefer is not None and claim.plugin.is_named([prefer])), None)

    def _conflicts(self) -> dict[str, list[Claim]]:
        return {name: claims for name, claims in self._claims.items() if self._chosen(claims) is None}

    def why_empty(self) -> str:
        """Return why there is no product at all, and what would bring some."""
        if any(not plugin.enabled for plugin in self.plugin_set.plugins):
            return "every plugin is disabled (--no-plugins, or the setting 'plugins')"
        if self.plugin_set.plugins:
            return "no plugin that works brings one; `astra-registry plugins check` tells more"
        return (
            "no plugin is installed; `astra-registry plugins install astra-registry-apstar` brings one, "
            "astra-registry-sdsstree all of the tree"
        )

    def _unknown(self, name: str) -> str:
        names = self.names()
        if not names:
            return f"no data product named '{name}': {self.why_empty()}"
        return f"no data product named '{name}'{did_you_mean(name, names) or '; `astra-registry list` shows them'}"

    def _asked(self, name: str) -> list[Claim]:
        """Return the claims to a name by the plugins that say so, and by those that do not say what they bring."""
        for plugin in self.plugin_set:
            if name in plugin.product_points or not (plugin.product_points or plugin.brings_the_rest):
                self._read_plugin(plugin, only=name)
        if name not in self._claims:
            self._read_all()
        return self._claims.get(name, [])

    def _read_all(self) -> None:
        plugins = self.plugin_set
        with self._asking:
            if self._read_everything:
                return
            for plugin in plugins:
                self._read_plugin(plugin)
            self._read_everything = True
        for claims in self._conflicts().values():
            if setting("strict"):
                raise PluginConflict(_clash(claims))
            warnings.warn(_clash(claims), BrokenPluginWarning, stacklevel=3)

    def _read_plugin(self, plugin: Plugin, only: str | None = None) -> None:
        """Add what a plugin brings to the claims; of one that names its products, just the one asked for."""
        if id(plugin) in self._read:
            return
        if only is not None and only in plugin.product_points:
            if any(claim.plugin is plugin for claim in self._claims.get(only, ())):
                return
            if plugin.module is not None:
                self._add(plugin, _loaded(plugin, only))
            return
        self._read.add(id(plugin))
        for brought in _products_of(plugin):
            self._add(plugin, brought)
        for name in plugin.product_points if plugin.error is None else ():
            if not any(claim.plugin is plugin for claim in self._claims.get(name, ())):
                self._add(plugin, _loaded(plugin, name))

    def _add(self, plugin: Plugin, brought: Any) -> None:
        if brought is None:
            return
        made = Claim(plugin, brought)
        claims = self._claims.setdefault(made.name, [])
        if not any(claim.plugin is plugin for claim in claims):
            claims.append(made)

    def _all_sources(self) -> list[tuple[Plugin, Mapping[str, Declaration]]]:
        plugins = self.plugin_set
        with self._asking:
            if self._sources is None:
                self._sources = []
                for plugin, sources in plugins.call("astra_registry_product_sources"):
                    for source in sources:
                        if isinstance(source, Mapping):
                            self._sources.append((plugin, source))
                        else:
                            plugin.fail(
                                f"astra_registry_product_sources returned {source!r}, which is no mapping of names to "
                                f"declarations; {plugin.way_out}"
                            )
            return self._sources

    def _class_of(self, name: str, brought: Any) -> type[DataProduct]:
        if not isinstance(brought, Declaration):
            return cast("type[DataProduct]", brought)
        declaration, built = self._built.get(name, (None, None))
        if built is None or declaration != brought:
            built = brought.build()
            self._built[name] = brought, built
        return built


def _products_of(plugin: Plugin) -> list[Any]:
    """Return the products that a plugin's hook or TOML file brings; what is no product makes the plugin broken."""
    if plugin.toml is not None:
        return _read_file(plugin, plugin.toml)
    products: list[Any] = list(plugin.call("astra_registry_products") or ())
    for product in products:
        if not (isinstance(product, Declaration) or is_product(product)):
            plugin.fail(
                f"astra_registry_products returned {product!r}, which is no data product (a class with "
                f"sdss_data_model_name); {plugin.way_out}"
            )
            return []
    return products


def _read_file(plugin: Plugin, path: str) -> list[Any]:
    from astra_registry.product_files import read_product_file

    try:
        return list(read_product_file(path))
    except OSError as error:
        plugin.fail(f"{path} cannot be read: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - a file with a mistake harms nobody but itself
        plugin.fail(str(error))
    return []


def _loaded(plugin: Plugin, name: str) -> Any:
    """Return the class that an entry point of the group ``astra_registry.products`` names."""
    try:
        product = plugin.product_points[name].load()
    except Exception as error:  # noqa: BLE001
        plugin.fail(f"its product '{name}' cannot be imported: {type(error).__name__}: {error}; {plugin.way_out}")
        return None
    if not is_product(product) or product.sdss_data_model_name != name:
        plugin.fail(
            f"its entry point '{name}' names {product!r}, which is no data product of that name; {plugin.way_out}"
        )
        return None
    return product


def _clash(claims: list[Claim]) -> str:
    name = claims[0].name
    titles = sorted(claim.plugin.title for claim in claims)
    choice = " or ".join(sorted(claim.plugin.distribution for claim in claims))
    return (
        f"'{name}' is claimed by {' and by '.join(titles)}; say which to use: "
        f"astra-registry plugins prefer {name} {choice}"
    )


def _unusable(name: str, plugin: Plugin) -> AstraRegistryError:
    """Return why a product cannot be had that an installed plugin names in its metadata."""
    if plugin.error is not None:
        return BrokenPlugin(f"the plugin that brings '{name}', {plugin.title}, is broken: {plugin.error}")
    if plugin.conflict is not None:
        return PluginConflict(f"'{name}' cannot be had: {plugin.conflict}")
    return UnknownProduct(
        f"no data product named '{name}': it comes with {plugin.title}, which is disabled (--no-plugins, or the "
        "setting 'plugins')"
    )


def _rank(words: list[str], declaration: Declaration) -> int | None:
    """Return how well a product fits the words (0 best), None when one of them is nowhere in it."""
    name, summary = declaration.name.casefold(), declaration.summary.casefold()
    parameters = " ".join((*declaration.parameter_names, *(p.doc for p in declaration.parameters))).casefold()
    rank = 0
    for word in words:
        if word == name:
            continue
        if name.startswith(word):
            rank += 1
        elif word in name:
            rank += 2
        elif word in summary:
            rank += 3
        elif word in parameters:
            rank += 4
        else:
            return None
    return rank


registry = Registry()
