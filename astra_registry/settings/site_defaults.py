"""Defaults of settings that plugins bring for a site or a collaboration; only the plugins that say so are imported."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from astra_registry.errors import BadSetting
from astra_registry.installed import GROUP, BrokenPluginWarning, distributions, normal

SETTINGS_GROUP = f"{GROUP}.settings"
HOOK = "astra_registry_settings"

# What decides about plugins cannot come from one.
NOT_FROM_PLUGINS = frozenset(("plugins", "strict", "prefer"))


def site_defaults(
    only: tuple[str, ...] | None, *, check: Callable[[str, Any, str], object], strict: bool
) -> dict[str, tuple[Any, str]]:
    """Return ``name -> (value, who says so)`` of the installed plugins, the first in the alphabet winning.

    `only` limits them as the setting `plugins` does. A plugin that does not work is warned of, and left out, and so is
    a value that `check` raises BadSetting of; with *strict* that is an error.
    """
    found: dict[str, tuple[Any, str]] = {}
    for distribution in distributions():
        for point in distribution.points.get(SETTINGS_GROUP, ()):
            if only is not None and not any(name == point.name or normal(name) == distribution.key for name in only):
                continue
            who = f"plugin '{point.name}' of {distribution.name} {distribution.version}"
            try:
                values = getattr(point.load(), HOOK)()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises, the settings must work
                told = " ".join(f"{type(error).__name__}: {error}".split())
                warnings.warn(f"{who} is broken: {told}; update or uninstall it", BrokenPluginWarning, stacklevel=2)
                continue
            if not isinstance(values, Mapping):
                told = f"{HOOK} returned {type(values).__name__}, not a mapping"
                warnings.warn(f"{who} is broken: {told}; update or uninstall it", BrokenPluginWarning, stacklevel=2)
                continue
            for name, value in values.items():
                if name in NOT_FROM_PLUGINS:
                    continue
                try:
                    check(name, value, who)
                except BadSetting as error:
                    if strict:
                        raise
                    warnings.warn(f"{error}; update or uninstall it", BrokenPluginWarning, stacklevel=2)
                    continue
                found.setdefault(name, (value, who))
    return found
