"""Which plugins are installed, loaded one by one so that a broken one harms nobody but itself."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs
import pluggy

from astra_registry import hooks, notebook
from astra_registry.errors import EXTRAS, BadSetting, BadValue, BrokenPlugin, MissingExtra, PluginConflict, did_you_mean
from astra_registry.installed import GROUP, BrokenPluginWarning, Distribution, Point, aside, distributions, normal
from astra_registry.settings import config_file, setting

PRODUCT_GROUP = "astra_registry.products"
FORMAT_GROUP = "astra_registry.formats"
THE_REST = "*"  # the name, in that group, of a plugin to ask for what no other plugin names
PREFIX = "astra_registry_"

OK, BROKEN, CONFLICT, DISABLED = "ok", "broken", "conflict", "disabled"

# What a hook returns; lists may be any iterable but text.
_MAPPING, _LIST = "a mapping", "a list"
_RETURNS = {
    "astra_registry_products": _LIST,
    "astra_registry_product_sources": _LIST,
    "astra_registry_transports": _MAPPING,
    "astra_registry_readers": _MAPPING,
    "astra_registry_writers": _MAPPING,
    "astra_registry_commands": _MAPPING,
    "astra_registry_settings": _MAPPING,
}
_OF_PRODUCTS = ("astra_registry_readers", "astra_registry_writers")  # their names are pairs: product, and kind


@attrs.frozen
class PluginInfo:
    """One installed plugin: who brings it, which products, and whether it works."""

    name: str
    distribution: str
    version: str
    status: str
    error: str | None
    products: tuple[str, ...]

    def _repr_html_(self) -> str:
        return notebook.of_plugins([self])


class PluginList(list[PluginInfo]):
    """A list of plugins that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return notebook.of_plugins(self)


@attrs.define(eq=False)
class Plugin:
    """One entry point of the group ``astra_registry``, imported when it is first needed."""

    name: str
    value: str  # what the entry point names: a module, or ``module:file.toml``
    load: Callable[[], Any]
    product_points: dict[str, Point] = attrs.field(factory=dict)  # named in `astra_registry.products`
    brings_the_rest: bool = False  # asked only for products that no plugin names
    format_modules: tuple[str, ...] = ()  # named in `astra_registry.formats`: they bring formats of specutils
    enabled: bool = True
    error: str | None = None
    conflict: str | None = None
    installed: Distribution | None = None
    toml: str | None = None  # the path of the ``products.toml`` that it is instead of a module
    _hooks: pluggy.PluginManager | None = None
    _module: Any = None

    @property
    def distribution(self) -> str:
        """The name of the distribution that brings it, or of the module when there is none."""
        return self.installed.name if self.installed else self.value

    @property
    def version(self) -> str:
        """The version of the distribution; empty when there is none."""
        return self.installed.version if self.installed else str(getattr(self._module, "__version__", ""))

    @property
    def identity(self) -> tuple[str, ...]:
        """What two findings of the same installed plugin share."""
        return self.name, self.value, self.distribution, self.version

    @property
    def title(self) -> str:
        """The distribution and version, as messages name it."""
        return f"{self.distribution} {self.version}".strip() or self.name

    def is_named(self, names: Iterable[str]) -> bool:
        """Whether one of the names is this plugin's, or its distribution's."""
        key = self.installed.key if self.installed else normal(self.value)
        return any(name == self.name or normal(name) == key for name in names)

    def fail(self, error: BaseException | str, remedy: str = "") -> None:
        """Record the first thing that is wrong with the plugin, in one line, and warn of it once.

        Raises BrokenPlugin when the setting `strict` is on.
        """
        if self.error is None:
            told = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
            self.error = " ".join(f"{told}{remedy}".split())
            if not setting("strict"):
                warnings.warn(self._complaint, BrokenPluginWarning, stacklevel=2)
        self._refuse()

    def _refuse(self) -> None:
        if self.error is not None and setting("strict"):
            raise BrokenPlugin(self._complaint)

    @property
    def _complaint(self) -> str:
        return f"plugin '{self.name}' of {self.title} is broken: {self.error}"

    @property
    def module(self) -> Any:
        """The plugin's module, imported and checked once; None when it is broken or disabled, or a TOML file."""
        if self.toml is not None or not self.enabled:
            return None
        self._refuse()
        if self._module is None and self.error is None:
            try:
                loaded = self.load()
                self._hooks = _registered(loaded)
            # Whatever a plugin raises, the others must work; a script without a guard even exits.
            except (Exception, SystemExit) as error:  # noqa: BLE001
                self.fail(error.args[0] if isinstance(error, BrokenPlugin) else error, _remedy(self, error))
            else:
                self._module = loaded
        return self._module

    def call(self, hook: str, **arguments: Any) -> Any:
        """Return what the plugin's implementation of a hook returns; None when it has none or is broken."""
        if self.module is None or self._hooks is None:
            return None
        wanted, implemented = _RETURNS.get(hook), getattr(self._hooks.hook, hook)
        # Events come by the hundred thousand, and few plugins want to know.
        if not implemented.get_hookimpls():
            return None
        try:
            if hook == "astra_registry_event":
                results = implemented(**arguments)
            else:
                with aside():
                    results = implemented(**arguments)
            result = results[0] if results else None
            if result is not None and wanted == _LIST and not isinstance(result, (str, bytes, Mapping)):
                return list(result)
            if wanted == _MAPPING and isinstance(result, Mapping):
                result = dict(result)  # one of the plugin's own making may raise when it is looked at
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.fail(f"{hook} raised {type(error).__name__}: {error}", f"; {self.way_out}")
            return None
        if result is not None and (wanted == _LIST or (wanted == _MAPPING and not isinstance(result, Mapping))):
            self.fail(f"{hook} returned {type(result).__name__}, not {wanted}; {self.way_out}")
            return None
        if result is not None and (told := _unfit(hook, result)):
            self.fail(f"{hook} returned {told}; {self.way_out}")
            return None
        return result

    @property
    def way_out(self) -> str:
        """What a user can do about a plugin that does not work."""
        return f"update {self.distribution}, or uninstall it" if self.installed else "correct it"


class PluginSet:
    """The plugins of an environment, or those that are given; in the order of their names, whatever `sys.path` is."""

    def __init__(self, plugins: Iterable[Any] | None = None) -> None:
        self.only: tuple[str, ...] | None = setting("plugins") if plugins is None else None
        self.files: tuple[str, ...] = setting("products") if plugins is None else ()
        found = [*_installed(), *_files()] if plugins is None else [_given(plugin) for plugin in plugins]
        _limit(found, self.only)
        self.plugins: list[Plugin] = [*found, *(_file(path) for path in self.files)]  # those asked for by name: always
        self._complained = False

    def __iter__(self) -> Iterator[Plugin]:
        if not self._complained:
            self._complain()
        return (plugin for plugin in self.plugins if plugin.enabled and plugin.conflict is None)

    def _complain(self) -> None:
        """Warn of plugins of one name, and of names that no plugin bears; an error when the setting `strict` is on."""
        conflicts = dict.fromkeys(plugin.conflict for plugin in self.plugins if plugin.conflict is not None)
        for told in conflicts:
            if setting("strict"):
                raise PluginConflict(told)
            warnings.warn(told, BrokenPluginWarning, stacklevel=3)
        self._complained = True
        for name in self.only or ():
            if not any(plugin.is_named([name]) for plugin in self.plugins):
                hint = did_you_mean(name, [plugin.name for plugin in self.plugins])
                warnings.warn(f"the setting 'plugins' names '{name}', which is not installed{hint}", stacklevel=3)

    def keep(self, previous: PluginSet) -> None:
        """Take over the plugins of an earlier set that are still installed, and work.

        Of one that is there in another version, what was imported is forgotten: the new version is imported.
        """
        before = {plugin.identity[:3]: plugin for plugin in previous.plugins}
        for plugin in self.plugins:
            earlier = before.get(plugin.identity[:3])
            if earlier is not None and earlier.identity != plugin.identity:
                for point in (earlier.value, *(point.value for point in earlier.product_points.values())):
                    _forget_module(point.partition(":")[0])
        loaded = {plugin.identity: plugin for plugin in previous.plugins if plugin.error is None}
        for i, plugin in enumerate(self.plugins):
            if (earlier := loaded.get(plugin.identity)) is not None:
                earlier.enabled, earlier.conflict = plugin.enabled, plugin.conflict
                self.plugins[i] = earlier

    def call(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """Yield ``(plugin, result)`` of every plugin that implements a hook and returned something."""
        for plugin in self:
            result = plugin.call(hook, **arguments)
            if result is not None:
                yield plugin, result

    def named(self, hook: str) -> dict[Any, Any]:
        """Return what all plugins bring under a name, by a hook that returns mappings."""
        return {name: brought for _, mapping in self.call(hook) for name, brought in mapping.items()}


def _unfit(hook: str, result: Any) -> str | None:
    """Return the first entry of what a hook returned that is not of its form, in words; None when all are."""
    if _RETURNS.get(hook) != _MAPPING or hook == "astra_registry_settings":  # a setting says itself what it takes
        return None
    of_products = hook in _OF_PRODUCTS
    for name, target in result.items():
        parts = name if of_products and isinstance(name, tuple) and len(name) == 2 else (name,)
        if len(parts) != 1 + of_products or not all(isinstance(part, str) for part in parts):
            return f"{name!r}, which is no {'pair of a product and a kind' if of_products else 'name'}"
        if not isinstance(target, str) and not (hook == "astra_registry_transports" and callable(target)):
            return f"{target!r} for {name!r}, which is no text like 'module:name'"
    return None


def _forget_module(name: str) -> None:
    """Take a module out of those imported, with its whole package; a folder that distributions share stays."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        package = ".".join(parts[:depth])
        if getattr(sys.modules.get(package), "__file__", None) is not None:
            for known in [known for known in sys.modules if known == package or known.startswith(f"{package}.")]:
                del sys.modules[known]
            return


def _installed() -> list[Plugin]:
    """Return a Plugin for each entry point, without importing any."""
    plugins: list[Plugin] = []
    for distribution in distributions():
        named = {point.name: point for point in distribution.points.get(PRODUCT_GROUP, ())}
        rest = named.pop(THE_REST, None)
        formats = tuple(point.module for point in distribution.points.get(FORMAT_GROUP, ()))
        own = distribution.points.get(GROUP)
        if own is None:
            if not named:
                continue
            # A distribution that only names products is a plugin too: the module of its first product.
            module = next(iter(named.values())).module
            own = (Point(module.removeprefix(PREFIX), module),)
        for point in own:
            is_toml = point.attribute.endswith(".toml")
            plugin = Plugin(
                point.name, point.value, point.load, named, rest is not None, formats, installed=distribution
            )
            plugin.toml = point.beside() if is_toml else None
            plugins.append(plugin)
    plugins.sort(key=lambda plugin: (plugin.name, plugin.value, plugin.installed.key if plugin.installed else ""))
    return plugins


def _files() -> list[Plugin]:
    """Return a Plugin for each file in the folder ``products.d`` beside the user's configuration."""
    try:
        folder = os.path.join(os.path.dirname(config_file()), "products.d")
        names = sorted(os.listdir(folder))
    except (OSError, BadSetting):  # there is none, or no home for it
        return []
    return [_file(os.path.join(folder, name)) for name in names if name.endswith(".toml")]


def _file(path: str) -> Plugin:
    """Return the plugin that a file of products is; a file's name does not clash with a distribution's."""
    return Plugin(os.path.basename(path), path, lambda: None, toml=path)


def _limit(plugins: list[Plugin], only: tuple[str, ...] | None) -> None:
    """Disable what the setting `plugins` leaves out, and find plugins of one name among the rest."""
    by_name: dict[str, list[Plugin]] = {}
    for plugin in plugins:
        plugin.enabled = only is None or plugin.is_named(only)
        if plugin.enabled:
            by_name.setdefault(plugin.name, []).append(plugin)
    for name, several in by_name.items():
        if len(several) > 1:
            titles = " and ".join(plugin.title for plugin in several)
            for plugin in several:
                plugin.conflict = f"{titles} both call their plugin '{name}'; uninstall one of them"


def _given(plugin: Any) -> Plugin:
    """Return a Plugin for a module, an object with hooks, the name of a module, or the path of a TOML file."""
    if isinstance(plugin, Plugin):
        return plugin
    if isinstance(plugin, str):
        name = plugin.rpartition("/")[2].removesuffix(".toml").removeprefix(PREFIX)
        toml = plugin if plugin.endswith(".toml") else None
        return Plugin(name, plugin, lambda: importlib.import_module(plugin), toml=toml)
    if isinstance(plugin, type) and not any(name.startswith(PREFIX) for name in dir(plugin)):
        raise BadValue(
            f"{plugin.__name__} is a class without hooks; a plugin's astra_registry_products() returns products"
        )
    name = getattr(plugin, "__name__", type(plugin).__name__)
    return Plugin(name.rpartition(".")[2].removeprefix(PREFIX), name, lambda: plugin)


def _registered(module: Any) -> pluggy.PluginManager:
    """Return a pluggy manager that holds this one plugin; raises BrokenPlugin when its hooks do not fit.

    One manager a plugin: pluggy's own checks and argument passing, and no plugin can lose another's results.
    """
    wanted = getattr(module, "astra_registry_api", hooks.API_VERSION)
    if wanted != hooks.API_VERSION:
        if not isinstance(wanted, int):
            raise BrokenPlugin(f"astra_registry_api is {wanted!r}, and must be a whole number; it needs an update")
        raise BrokenPlugin(
            f"it was made for version {wanted} of the plugin interface, and this is version {hooks.API_VERSION}; "
            f"{'it needs an update' if wanted < hooks.API_VERSION else 'pip install -U astra-registry'}"
        )
    specified = [name for name in vars(hooks) if name.startswith(PREFIX)]
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(module)
    for name in dir(module):
        marked = manager.parse_hookimpl_opts(module, name) is not None
        meant = name.startswith(PREFIX) and inspect.isroutine(getattr(module, name, None))
        if (marked or meant) and name not in specified:
            raise BrokenPlugin(f"there is no hook '{name}'{did_you_mean(name, specified)}")
        if meant and not marked:
            raise BrokenPlugin(f"{name} lacks its mark: write @hookimpl above it")
    return manager


def _remedy(plugin: Plugin, error: BaseException) -> str:
    if isinstance(error, (BrokenPlugin, MissingExtra)):
        return ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top == plugin.value.partition(":")[0].partition(".")[0]:
            return f"; install {plugin.distribution} anew, or uninstall it"
        wanted = f"'astra-registry[{EXTRAS[top]}]'" if top in EXTRAS else top
        return f"; pip install {wanted}, or uninstall {plugin.distribution}"
    return f"; {plugin.way_out}"


_default: PluginSet | None = None
_finding = threading.RLock()


def installed_plugins(*, refresh: bool = False) -> PluginSet:
    """Return this process's plugins, found on first use; `refresh` sees what was installed since.

    A plugin that is still there stays the same object, so that its products keep their classes.
    """
    global _default  # one set a process, as there is one environment
    with _finding:
        same = _default is not None and (_default.only, _default.files) == (setting("plugins"), setting("products"))
        if _default is not None and not refresh and same:
            return _default
        importlib.invalidate_caches()
        found = PluginSet()
        if _default is not None and refresh:
            found.keep(_default)
        _default = found
        return found
