"""Data products by name: the classes that the plugins of this environment bring, or those that are given."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from astra_registry import notebook
from astra_registry.claims import Claims
from astra_registry.declarations import Declaration
from astra_registry.errors import AstraRegistryError, BadValue, BrokenPlugin, PluginConflict, UnknownProduct
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
from astra_registry.released import unknown_releases

if TYPE_CHECKING:
    from astra_registry.identification import Identification
    from astra_registry.identification.places import Places


class Registry(Mapping[str, type[DataProduct]]):
    """Data-product classes by name, as plugins bring them; `registry` is this process's own.

    ``Registry(plugins=[…])`` takes modules, objects with hooks, names of modules or paths of ``products.toml`` files,
    and nothing else: for tests, and for applications that bring their own.
    """

    def __init__(self, plugins: Iterable[Any] | None = None) -> None:
        if isinstance(plugins, str):  # its letters would be the names of modules
            raise BadValue(f"plugins are several, in a list: [{plugins!r}]")
        self._given = None if plugins is None else list(plugins)
        # Held while plugins are asked: one that is still at it is not one that brings nothing, for another thread.
        self._asking = threading.RLock()
        self._built: dict[str, tuple[Declaration, type[DataProduct]]] = {}
        self._held: Claims | None = None
        self._classes: dict[str, type[DataProduct]] = {}
        self._places: Places | None = None

    @property
    def _claims(self) -> Claims:
        """What is claimed by the plugins of now; what was made for others is forgotten."""
        # Another set when the setting `plugins` has changed; those that are given stay.
        current = installed_plugins() if self._given is None else None
        held = self._held
        if held is None or (current is not None and held.plugins is not current):
            with self._asking:
                held = self._held
                if held is None or (current is not None and held.plugins is not current):
                    held = self._hold(current or PluginSet(self._given))
        return held

    def _hold(self, plugins: PluginSet) -> Claims:
        self._classes = {}
        self._places = None
        self._held = Claims(plugins, self._asking)
        return self._held

    @property
    def plugin_set(self) -> PluginSet:
        """The plugins behind this registry."""
        return self._claims.plugins

    # -- look-up -------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> type[DataProduct]:
        claims = self._claims  # what was made for other plugins is forgotten
        if not isinstance(name, str):
            raise UnknownProduct(f"a product's name is text such as 'apStar', not {name!r}")
        try:
            return self._classes[name]
        except KeyError:
            with self._asking:
                return self._classes.setdefault(name, self._class_of(name, claims[name].brought))

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
            self._claims[name]
        except UnknownProduct:
            return False
        except PluginConflict:
            pass  # it is there: twice
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
        return sorted(self._claims.names(), key=lambda name: (name.casefold(), name))

    def declaration(self, name: str) -> Declaration:
        """Return a product as data: its summary, parameters, releases and templates. Raises UnknownProduct."""
        return self._claims[name].declaration()

    def declarations(self) -> Iterator[Declaration]:
        """Yield every product as data, by name; none that two plugins claim, or that cannot be had of its plugin."""
        claims = self._claims
        for name in self.names():
            with contextlib.suppress(BrokenPlugin, PluginConflict):
                yield claims[name].declaration()

    def plugin_of(self, name: str) -> Plugin:
        """Return the plugin that brings a product."""
        return self._claims[name].plugin

    def plugins_of(self, name: str) -> list[Plugin]:
        """Return all plugins that bring a product of that name: more than one when they are in conflict.

        Raises UnknownProduct.
        """
        return [claim.plugin for claim in self._claims.all_of(name)]

    def template_errors(self, plugin: Plugin) -> Iterator[str]:
        """Yield, in one line each, which releases of a plugin's products have a template that cannot be used."""
        for claim in self._claims.of(plugin):
            try:
                product = self._class_of(claim.name, claim.brought)
                for release in unknown_releases(product.templates or ()):
                    yield (
                        f"its product '{claim.name}' has a template of a release that the installed sdss-tree does not "
                        f"know (no release '{release}'): pip install -U sdss-tree, or {plugin.way_out}"
                    )
                for release in product.releases():
                    product.plan(release)
            except (AstraRegistryError, ValueError) as error:
                yield f"its product '{claim.name}' cannot be resolved: {error}; {plugin.way_out}"
        self._claims.ask_sources_of(plugin)

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
        for declaration in self.declarations():
            if plugin is not None:
                owner = self.plugin_of(declaration.name)
                if plugin not in (owner.name, owner.distribution):
                    continue
            rank = _rank(words, declaration)
            if rank is not None and (wanted is None or wanted in declaration.releases):
                found.append((rank, declaration.name))
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

        return identify(self.known_places, path, every=all)

    @property
    def known_places(self) -> Places:
        """Where the products may live; put together when the first path is identified."""
        claims, places = self._claims, self._places  # what was known of other plugins is forgotten
        if places is None:
            from astra_registry.identification.places import Places

            declarations = list(self.declarations())
            by_hand = {declaration.name for declaration in declarations if claims.by_hand(declaration.name)}
            why_empty = None if len(self) else self.why_empty()
            places = Places(self, declarations, by_hand=by_hand, why_empty=why_empty)
            if self._held is claims:  # else another thread has loaded other plugins meanwhile
                self._places = places
        return places

    # -- plugins -------------------------------------------------------------------------------------

    @property
    def plugins(self) -> list[PluginInfo]:
        """Every installed plugin, its health, and the products it brings; broken and disabled ones too."""
        claims = self._claims
        listed = PluginList()
        for plugin in claims.plugins.plugins:
            products = claims.names_of(plugin)  # asked first: what is asked may turn out to be broken
            error = plugin.error or plugin.conflict or ("; ".join(claims.clashes_of(plugin)) or None)
            status = DISABLED if not plugin.enabled else BROKEN if plugin.error else CONFLICT if error else OK
            listed.append(PluginInfo(plugin.name, plugin.distribution, plugin.version, status, error, tuple(products)))
        return listed

    def why_empty(self) -> str:
        """Return why there is no product at all, and what would bring some."""
        return self._claims.why_empty()

    def refresh(self) -> None:
        """See what was installed or removed since; products of plugins that stay keep their classes."""
        self._hold(installed_plugins(refresh=True) if self._given is None else PluginSet(self._given))

    def _class_of(self, name: str, brought: Any) -> type[DataProduct]:
        if not isinstance(brought, Declaration):
            return cast("type[DataProduct]", brought)
        declaration, built = self._built.get(name, (None, None))
        if built is None or declaration != brought:
            built = brought.build()
            self._built[name] = brought, built
        return built


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
