"""Which plugin brings which product: plugins asked one by one, none of which can break the others."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from astra_registry.declarations import Declaration, is_product
from astra_registry.errors import AstraRegistryError, BrokenPlugin, PluginConflict, UnknownProduct, did_you_mean
from astra_registry.installed import BrokenPluginWarning
from astra_registry.plugins import Plugin, PluginSet
from astra_registry.settings import setting


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

    @property
    def is_visible(self) -> bool:
        """Whether the product is among those that are listed."""
        return bool(getattr(self.brought, "_visible_in_registry", True))


class Claims:
    """The claims of one set of plugins to products, by name; no more plugins are asked than a question takes.

    *asking* is held while plugins are asked.
    """

    def __init__(self, plugins: PluginSet, asking: threading.RLock) -> None:
        self.plugins = plugins
        self._asking = asking
        self._by_name: dict[str, list[Claim]] = {}
        self._asked: set[int] = set()  # plugins whose products are among the claims, by id()
        self._asked_all = False
        self._sources: list[tuple[Plugin, Mapping[str, Declaration]]] | None = None

    # -- what is claimed -----------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Claim:
        """Return the claim that holds, asking no more plugins than needed. Raises UnknownProduct, PluginConflict."""
        with self._asking:
            claims = self._by_name.get(name, []) if self._asked_all else self._asked_for(name)
            claims = claims or self._from_sources(name)
        if claims:
            chosen = _chosen(claims)
            if chosen is None:
                raise PluginConflict(_clash(claims))
            return chosen
        self.ask_all()
        for plugin in self.plugins.plugins:
            if name in plugin.product_points:
                raise _unusable(name, plugin)
        raise UnknownProduct(self._unknown(name))

    def names(self) -> set[str]:
        """Return the names of all products that are listed."""
        self.ask_all()
        known = set(self._by_name)
        for plugin, source in self._all_sources():
            known.update(_names_in(plugin, source))
        return {name for name in known if all(claim.is_visible for claim in self._by_name.get(name, ()))}

    def by_hand(self, name: str) -> list[Claim]:
        """Return the claims to a name by plugins that bring the product itself, and not among all that a source has."""
        self.ask_all()
        return self._by_name.get(name, [])

    def all_of(self, name: str) -> list[Claim]:
        """Return all claims to a name: more than one when plugins are in conflict. Raises UnknownProduct."""
        return self.by_hand(name) or self._from_sources(name) or [self[name]]

    def of(self, plugin: Plugin) -> list[Claim]:
        """Return the claims that a plugin makes by hand, by name."""
        self.ask_all()
        return [claim for _, claims in sorted(self._by_name.items()) for claim in claims if claim.plugin is plugin]

    def names_of(self, plugin: Plugin) -> list[str]:
        """Return the names of the products that a plugin brings, those of its sources among them."""
        names = [claim.name for claim in self.of(plugin)]
        for owner, source in self._all_sources():
            if owner is plugin:
                names += [name for name in _names_in(owner, source) if name not in self._by_name]
        return sorted(names)

    def clashes_of(self, plugin: Plugin) -> list[str]:
        """Return, in one line each, the conflicts in which a plugin is."""
        self.ask_all()
        return [_clash(claims) for claims in self._conflicts() if any(claim.plugin is plugin for claim in claims)]

    def why_empty(self) -> str:
        """Return why there is no product at all, and what would bring some."""
        if any(not plugin.enabled for plugin in self.plugins.plugins):
            return "every plugin is disabled (--no-plugins, or the setting 'plugins')"
        if self.plugins.plugins:
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

    def _conflicts(self) -> list[list[Claim]]:
        return [claims for claims in self._by_name.values() if _chosen(claims) is None]

    def _from_sources(self, name: str) -> list[Claim]:
        return [
            Claim(plugin, _of_source(plugin, source, name))
            for plugin, source in self._all_sources()
            if _is_in(plugin, source, name)
        ]

    def ask_sources_of(self, plugin: Plugin) -> None:
        """Take a look at every product of a plugin's sources: one that is none is the plugin's error from now on."""
        for owner, source in self._all_sources():
            for name in _names_in(owner, source) if owner is plugin else ():
                with contextlib.suppress(BrokenPlugin):
                    _of_source(plugin, source, name)

    # -- asking --------------------------------------------------------------------------------------

    def ask_all(self) -> None:
        """Ask every plugin that was not asked yet, and warn of conflicts; an error when the setting `strict` is on."""
        with self._asking:
            if self._asked_all:
                return
            for plugin in self.plugins:
                self._ask(plugin)
            self._asked_all = True
        for claims in self._conflicts():
            if setting("strict"):
                raise PluginConflict(_clash(claims))
            warnings.warn(_clash(claims), BrokenPluginWarning, stacklevel=4)

    def _asked_for(self, name: str) -> list[Claim]:
        """Return the claims to a name by the plugins that say so, and by those that do not say what they bring."""
        for plugin in self.plugins:
            if name in plugin.product_points or not (plugin.product_points or plugin.brings_the_rest):
                self._ask(plugin, only=name)
        if name not in self._by_name:
            self.ask_all()
        return self._by_name.get(name, [])

    def _ask(self, plugin: Plugin, only: str | None = None) -> None:
        """Add what a plugin brings to the claims; of one that names its products, just the one asked for."""
        if id(plugin) in self._asked:
            return
        if only is not None and only in plugin.product_points:
            if any(claim.plugin is plugin for claim in self._by_name.get(only, ())):
                return
            if plugin.module is not None:
                self._add(plugin, _loaded(plugin, only))
            return
        self._asked.add(id(plugin))
        for brought in _products_of(plugin):
            self._add(plugin, brought)
        for name in plugin.product_points if plugin.error is None else ():
            if not any(claim.plugin is plugin for claim in self._by_name.get(name, ())):
                self._add(plugin, _loaded(plugin, name))

    def _add(self, plugin: Plugin, brought: Any) -> None:
        if brought is None:
            return
        made = Claim(plugin, brought)
        claims = self._by_name.setdefault(made.name, [])
        if not any(claim.plugin is plugin for claim in claims):
            claims.append(made)

    def _all_sources(self) -> list[tuple[Plugin, Mapping[str, Declaration]]]:
        with self._asking:
            if self._sources is None:
                self._sources = []
                for plugin, sources in self.plugins.call("astra_registry_product_sources"):
                    self._sources.extend((plugin, source) for source in _mappings(plugin, sources))
            return self._sources


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


def _mappings(plugin: Plugin, sources: list[Any]) -> Iterator[Mapping[str, Declaration]]:
    """Yield the sources of a plugin; what is none makes the plugin broken."""
    for source in sources:
        if isinstance(source, Mapping):
            yield source
        else:
            plugin.fail(
                f"astra_registry_product_sources returned {source!r}, which is no mapping of names to "
                f"declarations; {plugin.way_out}"
            )


def _names_in(plugin: Plugin, source: Mapping[str, Declaration]) -> list[str]:
    """Return the names that a source has; none, and the plugin is broken, when it cannot tell them."""
    try:
        names: list[Any] = list(source)
    except Exception as error:  # noqa: BLE001 - a source that cannot be read harms no other
        _fail_by_source(plugin, error)
        return []
    for name in names:
        if not isinstance(name, str):
            plugin.fail(f"its source of products has the name {name!r}, which is no text; {plugin.way_out}")
    return [name for name in names if isinstance(name, str)]


def _is_in(plugin: Plugin, source: Mapping[str, Declaration], name: str) -> bool:
    """Whether a source has a name; it has none, and the plugin is broken, when it cannot tell."""
    try:
        return name in source
    except Exception as error:  # noqa: BLE001 - a source that cannot be read harms no other
        _fail_by_source(plugin, error)
        return False


def _fail_by_source(plugin: Plugin, error: Exception) -> None:
    plugin.fail(f"its source of products raised {type(error).__name__}: {error}; {plugin.way_out}")


def _of_source(plugin: Plugin, source: Mapping[str, Declaration], name: str) -> Declaration:
    """Return the declaration that a source has under a name. Raises BrokenPlugin when it has something else."""
    try:
        brought: Any = source[name]
    except Exception as error:  # noqa: BLE001 - one product that cannot be declared harms no other
        told = f"its source of products raised {type(error).__name__} of '{name}': {error}"
    else:
        if isinstance(brought, Declaration):
            return brought
        told = f"its source of products has {brought!r} for '{name}', which is no declaration"
    plugin.fail(f"{told}; {plugin.way_out}")
    raise BrokenPlugin(f"'{name}' cannot be had of {plugin.title}: {told}")


def _read_file(plugin: Plugin, path: str) -> list[Any]:
    from astra_registry.product_files.reading import read_product_file

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
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a script without a guard even exits
        plugin.fail(f"its product '{name}' cannot be imported: {type(error).__name__}: {error}; {plugin.way_out}")
        return None
    if not is_product(product) or product.sdss_data_model_name != name:
        plugin.fail(
            f"its entry point '{name}' names {product!r}, which is no data product of that name; {plugin.way_out}"
        )
        return None
    return product


def _chosen(claims: list[Claim]) -> Claim | None:
    """Return the claim that holds; None when several do and the setting `prefer` names none of them."""
    if len(claims) == 1:
        return claims[0]
    # A plugin that names other products in its metadata, and not this one, was not asked for it.
    named = [claim for claim in claims if claim.is_named] or claims
    if len(named) == 1:
        return named[0]
    prefer = setting("prefer").get(claims[0].name)
    return next((claim for claim in claims if prefer is not None and claim.plugin.is_named([prefer])), None)


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
