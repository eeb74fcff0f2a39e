"""Transports that plugins bring: asked for by name, made with the fetcher's options."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from astra_registry.errors import BadSetting, BrokenPlugin, did_you_mean
from astra_registry.fetching.transports.transport import Transport
from astra_registry.plugins import installed_plugins


def brought_transport(name: str, own: Sequence[str], **options: Any) -> Transport:
    """Return the transport of that name; `own` are the names of ours, for the message.

    Raises BadSetting when no plugin brings it, and BrokenPlugin when the plugin's cannot be made.
    """
    known = list(own)
    for plugin, transports in installed_plugins().call("astra_registry_transports"):
        if name not in transports:
            known += transports
            continue
        factory = transports[name]
        try:
            if isinstance(factory, str):
                module, _, attribute = factory.partition(":")
                factory = getattr(importlib.import_module(module), attribute)
            made: Transport = factory(**options)
        except Exception as error:
            raise BrokenPlugin(
                f"the transport '{name}' of {plugin.title} cannot be made: {type(error).__name__}: {error}; "
                f"{plugin.way_out}"
            ) from error
        return made
    hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
    raise BadSetting(f"there is no transport '{name}'{hint}")
