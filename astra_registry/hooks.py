"""What a plugin may bring: pluggy's hook specifications, and the documentation of each.

A plugin is a module (or package) named in the entry-point group ``astra_registry``. It implements any of the
functions below under its own name, marked with `hookimpl`. Hooks are called plugin by plugin: one that raises is
reported with its distribution's name, and the others go on. The version of this interface is `API_VERSION`; a plugin
states the one it was made for as ``astra_registry_api = 1`` (1 when it says nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy

PROJECT = "astra_registry"
API_VERSION = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def astra_registry_products() -> Sequence[Any]:
    """Return the data products that the plugin brings: classes, or declarations (`astra_registry.declarations`).

    Used by: ``plugins/apvisit``, ``plugins/apstar``, ``plugins/spec``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_product_sources() -> Sequence[Mapping[str, Any]]:
    """Return mappings of product names to declarations, made when they are asked for.

    For plugins that bring hundreds of products. A product that a plugin names with `astra_registry_products`
    wins over one from a source.

    Used by: ``plugins/sdsstree``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_transports() -> Mapping[str, Callable[..., Any] | str]:
    """Return transports by name: a factory, or where it is found (``"module:name"``).

    The factory takes the fetcher's options as keywords (``timeout``, ``connect_timeout``, ``retries``, ``ca_bundle``,
    ``limit_rate``, ``remote_base``, and what comes later) and returns an object with ``fetch(url, destination)``,
    which writes one file to the path ``destination`` or raises a `FileFailed`.

    Used by: ``docs/examples/transport-plugin``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_readers() -> Mapping[tuple[str, str], str]:
    """Return readers by ``(product name, kind)``: where the function is found (``"module:name"``).

    The function takes the path of the file (of a batch, is called for each) and keyword options, and returns the
    content, a `specutils.Spectrum` for the kind ``"spectrum"``.

    A distribution that names a module in the entry-point group ``astra_registry.formats`` has it imported together
    with specutils, where `register_formats` of `astra_registry.reading.formats` makes the readers formats of
    ``Spectrum.read``.

    Used by: ``plugins/spec``, for ``spec-lite``, ``specLite`` and ``specFull``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_writers() -> Mapping[tuple[str, str], str]:
    """Return writers by ``(product name, kind)``: where the function ``(content, path, **options)`` is found.

    Used by: ``plugins/apstar``, for ``apStar-1m``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_event(event: Any) -> None:
    """Be told of a change of a task's state; what it returns is ignored.

    ``event`` has ``task``, ``task_id``, ``name`` (luigi's, ``event.core.failure``), ``status``, ``detail`` and ``at``.

    Used by: ``docs/examples/mail-plugin``, which writes to a task's ``owner_email``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_commands() -> Mapping[str, str]:
    """Return commands of the command line by name: where the `click.Command` is found (``"module:name"``).

    Used by: ``docs/examples/transport-plugin``.
    """
    raise NotImplementedError


@hookspec
def astra_registry_settings() -> Mapping[str, Any]:
    """Return default values of settings, for a site or a collaboration; what a user configures wins.

    Settings are needed before any plugin is, so a distribution with this hook also names its module in the entry-point
    group ``astra_registry.settings``; no other plugin is imported for them. Which plugins load, and which are
    preferred, no plugin can say.

    Used by: ``docs/examples/site-plugin``.
    """
    raise NotImplementedError
