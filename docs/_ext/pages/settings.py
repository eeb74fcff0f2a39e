"""Every setting."""

from __future__ import annotations

from astra_registry.settings import SETTINGS, Setting


def _default(entry: Setting) -> str:
    if callable(entry.default):
        return {"sas_base_dir": "`~/sas`", "database": "an SQLite file in the user's data folder"}[entry.name]
    if entry.default in (None, (), {}):
        return "none"
    return f"`{str(entry.default).lower() if isinstance(entry.default, bool) else entry.default}`"


def page() -> str:
    """Every setting with its meaning, its variable, its option and its default."""
    parts = ["## Every setting\n"]
    for entry in SETTINGS.values():
        parts.append(f"### `{entry.name}`\n\n{entry.doc}\n\nVariable `{entry.env}` · default {_default(entry)}\n")
    return "\n".join(parts)
