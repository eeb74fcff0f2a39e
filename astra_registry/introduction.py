"""Our formats made known to specutils, whichever of the two is imported first: it looks for no entry points itself."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

SPECUTILS = "specutils"


def introduce() -> None:
    """Make the formats of the installed plugins known to specutils: now if it is there, else when it comes.

    Nothing is imported before specutils is; then the modules that plugins name in the group ``astra_registry.formats``
    are, which bring their formats as they are imported.
    """
    if not any(isinstance(finder, SpecutilsFinder) for finder in sys.meta_path):
        # In front, or specutils would be found before it is asked. It is never taken away: another thread that looks
        # for a module at this moment would miss a finder of the list.
        sys.meta_path.insert(0, SpecutilsFinder())
    if sys.modules.get(SPECUTILS) is not None:
        _import_formats()


class SpecutilsFinder:
    """A finder that finds specutils where the others do, and notices when it has been imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return what the other finders say of specutils, with a loader that calls us afterwards; None for the rest."""
        if name != SPECUTILS:
            return None
        for finder in list(sys.meta_path):
            # Finders of the kind that Python 3.12 dropped have another method.
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec: Any = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    """The loader that was found, in everything but what follows the import; gone from sight when that begins."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.found
        self.found.exec_module(module)
        _import_formats()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.found, name)


def _import_formats() -> None:
    """Import what plugins name; what does not work is a warning, for specutils works without it."""
    import warnings

    from astra_registry.errors import AstraRegistryError
    from astra_registry.installed import BrokenPluginWarning
    from astra_registry.plugins import PluginSet

    # A set of its own, and modules only: whoever asks the registry in another thread holds its lock, and may wait for
    # the import that this is a part of. Imports themselves know how to wait for one another.
    try:
        plugins = PluginSet().plugins
    except AstraRegistryError as error:  # a setting that is wrong
        warnings.warn(f"specutils does not learn of our formats: {error}", BrokenPluginWarning, stacklevel=2)
        return
    for plugin in plugins:
        if not plugin.enabled or plugin.conflict is not None:
            continue
        for module in plugin.format_modules:
            try:
                import_module(module)
            # Whatever a plugin raises, specutils must be there for those who import it.
            except (Exception, SystemExit) as error:  # noqa: BLE001
                told = f"the formats of {plugin.title} are not known to specutils: {type(error).__name__}: {error}"
                warnings.warn(told, BrokenPluginWarning, stacklevel=2)
