"""The table of settings."""

from __future__ import annotations

import markdown

from astra_registry.settings import SETTINGS, Setting


def _default(entry: Setting) -> str:
    if callable(entry.default):
        return {"sas_base_dir": "`~/sas`", "database": "an SQLite file in the user's data folder"}[entry.name]
    if entry.default in (None, (), {}):
        return "none"
    return f"`{str(entry.default).lower() if isinstance(entry.default, bool) else entry.default}`"


def page() -> str:
    """Every setting with its variable, its default and its meaning."""
    rows = [(f"`{s.name}`", f"{s.doc}<br>`{s.env}`, default {_default(s)}") for s in SETTINGS.values()]
    return markdown.table(("setting", "meaning, environment variable, default"), rows)
