"""Which plugins are installed, loaded one by one so that a broken one harms nobody but itself."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import attrs
import pluggy

from astra_registry import hooks
from astra_registry.errors import BrokenPlugin, did_you_mean
from astra_registry.settings import setting

GROUP = "astra_registry"
PRODUCT_GROUP = "astra_registry.products"
PREFIX = "astra_registry_"

OK, BROKEN, CONFLICT, DISABLED = "ok", "broken", "conflict", "disabled"


@attrs.frozen
class PluginInfo:
    """One installed plugin: who brings it, which products, and whether it works."""

    name: str
    distribution: str
    version: str
    status: str
    error: str | None
    products: tuple[str, ...]


@attrs.define(eq=False)
class Plugin:
    """One entry point of the group ``astra_registry``, imported when it is first needed."""

    name: str
    value: str  # what the entry point names: a module, or ``module:file.toml``
    load: Callable[[], Any]
    product_points: dict[str, metadata.EntryPoint] = attrs.field(factory=dict)  # named in `astra_registry.products`
    enabled: bool = True
    error: str | None = None
    conflict: str | None = None
    _source: metadata.Distribution | None = None
    _hooks: pluggy.PluginManager | None = None
    _module: Any = None

    @property
    def distribution(self) -> str:
        """The name of the distribution that brings it, or of the module when there is none."""
        return self._source.metadata["Name"] if self._source else self.value

    @property
    def version(self) -> str:
        """The version of the distribution; empty when there is none."""
        return self._source.version if self._source else str(getattr(self._module, "__version__", ""))

    @property
    def toml(self) -> str | None:
        """The path of the ``products.toml`` that the entry point names instead of a module."""
        module, _, name = self.value.partition(":")
        if not name.endswith(".toml"):
            return None
        if self._source is None:
            return name
        return str(self._source.locate_file("/".join([*module.split("."), name])))

    @property
    def title(self) -> str:
        """The distribution and version, as messages name it."""
        return f"{self.distribution} {self.version}".strip() or self.name

    def fail(self, error: BaseException | str, remedy: str = "") -> None:
        """Record the first thing that is wrong with the plugin, in one line, and warn of it once."""
        if self.error is not None:
            return
        told = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self.error = " ".join(f"{told}{remedy}".split())
        message = f"plugin '{self.name}' of {self.title} is broken: {self.error}"
        if setting("strict"):
            raise BrokenPlugin(message)
        warnings.warn(message, BrokenPluginWarning, stacklevel=2)

    @property
    def module(self) -> Any:
        """The plugin's module, imported and checked once; None when it is broken or disabled."""
        if self._module is None and self.enabled and self.error is None:
            try:
                loaded = self.load()
                self._hooks = _registered(loaded)
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises, the others must work
                self.fail(error.args[0] if isinstance(error, BrokenPlugin) else error, _remedy(self, error))
            else:
                self._module = loaded
        return self._module

    def call(self, hook: str, **arguments: Any) -> Any:
        """Return what the plugin's implementation of a hook returns; None when it has none or is broken."""
        if self.module is None or self._hooks is None:
            return None
        try:
            results = getattr(self._hooks.hook, hook)(**arguments)
        except Exception as error:  # noqa: BLE001
            self.fail(f"{hook} raised {type(error).__name__}: {error}", f"; update {self.distribution}, or uninstall it")
            return None
        return results[0] if results else None


class BrokenPluginWarning(UserWarning):
    """A plugin does not work; the message names its distribution."""


class PluginSet:
    """The plugins of an environment, or those that are given; in the order of their names, whatever `sys.path` is."""

    def __init__(self, plugins: Iterable[Any] | None = None) -> None:
        self.plugins: list[Plugin] = _installed() if plugins is None else [_given(plugin) for plugin in plugins]

    def __iter__(self) -> Iterator[Plugin]:
        return (plugin for plugin in self.plugins if plugin.enabled and plugin.conflict is None)

    def call(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """Yield ``(plugin, result)`` of every plugin that implements a hook and returned something."""
        for plugin in self:
            result = plugin.call(hook, **arguments)
            if result is not None:
                yield plugin, result


def _installed() -> list[Plugin]:
    """Return a Plugin for each entry point, without importing any; `ASTRA_REGISTRY_PLUGINS` limits them."""
    plugins: list[Plugin] = []
    seen: set[str] = set()
    for distribution in metadata.distributions():
        text = distribution.read_text("entry_points.txt")
        if not text or GROUP not in text:
            continue  # most distributions, told without parsing
        points = distribution.entry_points
        own, named = points.select(group=GROUP), points.select(group=PRODUCT_GROUP)
        key = _folder(distribution)
        if not (own or named) or key in seen:
            continue  # a second copy further down sys.path: Python imports the first as well
        seen.add(key)
        for point in own or [_nameless(named)]:
            plugins.append(
                Plugin(point.name, point.value, point.load, {p.name: p for p in named}, source=distribution)
            )
    plugins.sort(key=lambda plugin: (plugin.name, plugin.value))
    only = setting("plugins")
    if only is not None:
        for plugin in plugins:
            plugin.enabled = plugin.name in only or plugin.distribution in only
    by_name: dict[str, list[Plugin]] = {}
    for plugin in plugins:
        by_name.setdefault(plugin.name, []).append(plugin)
    for name, several in by_name.items():
        if len(several) > 1:
            titles = " and ".join(plugin.title for plugin in several)
            for plugin in several:
                plugin.conflict = f"{titles} both call their plugin '{name}'; uninstall one of them"
    return plugins


def _folder(distribution: metadata.Distribution) -> str:
    """Return what names a distribution in its folder, without parsing its metadata."""
    path = getattr(distribution, "_path", None)
    name = str(getattr(path, "name", "")) or distribution.metadata["Name"]
    return name.partition("-")[0].replace("_", "-").lower()


def _nameless(points: metadata.EntryPoints) -> metadata.EntryPoint:
    """A distribution that only names products is a plugin too: the module of its first product."""
    module = next(iter(points)).value.partition(":")[0]
    return metadata.EntryPoint(module.removeprefix(PREFIX), module, GROUP)


def _given(plugin: Any) -> Plugin:
    """Return a Plugin for a module, an object with hooks, the name of a module, or the path of a TOML file."""
    if isinstance(plugin, Plugin):
        return plugin
    if isinstance(plugin, str):
        name = plugin.rpartition("/")[2].removesuffix(".toml").removeprefix(PREFIX)
        value = f":{plugin}" if plugin.endswith(".toml") else plugin
        return Plugin(name, value, lambda: importlib.import_module(plugin))
    name = getattr(plugin, "__name__", type(plugin).__name__)
    return Plugin(name.rpartition(".")[2].removeprefix(PREFIX), name, lambda: plugin)


def _registered(module: Any) -> pluggy.PluginManager:
    """Return a pluggy manager that holds this one plugin; raises BrokenPlugin when its hooks do not fit.

    One manager a plugin: pluggy's own checks and argument passing, and no plugin can lose another's results.
    """
    wanted = getattr(module, "astra_registry_api", hooks.API_VERSION)
    if wanted != hooks.API_VERSION:
        older = isinstance(wanted, int) and wanted < hooks.API_VERSION
        raise BrokenPlugin(
            f"it was made for version {wanted} of the plugin interface, and this is version {hooks.API_VERSION}; "
            f"{'it needs an update' if older else 'pip install -U astra-registry'}"
        )
    specified = [name for name in vars(hooks) if name.startswith(PREFIX)]
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(module)
    for name in dir(module):
        function = getattr(module, name, None)
        marked = manager.parse_hookimpl_opts(module, name) is not None
        if marked and name not in specified:
            raise BrokenPlugin(f"there is no hook '{name}'{did_you_mean(name, specified)}")
        if name in specified and inspect.isroutine(function) and not marked:
            raise BrokenPlugin(f"{name} lacks its mark: write @hookimpl above it")
    return manager


def _remedy(plugin: Plugin, error: BaseException) -> str:
    if isinstance(error, BrokenPlugin):
        return ""
    if isinstance(error, ModuleNotFoundError):
        return f"; pip install {error.name}, or uninstall {plugin.distribution}"
    return f"; update {plugin.distribution}, or uninstall it"


_default: PluginSet | None = None


def installed_plugins(*, refresh: bool = False) -> PluginSet:
    """Return this process's plugins, found on first use; `refresh` sees what was installed since."""
    global _default  # noqa: PLW0603 - one set a process, as there is one environment
    if _default is None or refresh:
        if refresh:
            importlib.invalidate_caches()
        _default = PluginSet()
    return _default
