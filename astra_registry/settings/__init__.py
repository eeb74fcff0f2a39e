"""What a user may configure: settings, each from an override, the environment, a file, a plugin or its default.

>>> with override(jobs=4):
...     setting("jobs")
4
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs

from astra_registry.errors import BadSetting, did_you_mean
from astra_registry.settings import kinds
from astra_registry.settings.passwords import without_passwords
from astra_registry.settings.site_defaults import NOT_FROM_PLUGINS, site_defaults

APPLICATION = "astra-registry"


# ---------------------------------------------------------------- the table


@attrs.frozen
class Setting:
    """One thing that a user may configure.

    *type* makes a value from text or from a TOML value, and raises ValueError with what it wants; *default* may be a
    function without arguments; *env* is the environment variable's name.
    """

    name: str
    type: Callable[[object, str], Any]
    default: Any
    doc: str
    env: str = ""
    empty_counts: bool = False

    def default_value(self) -> Any:
        """Return the default, computed when it depends on the user's home."""
        return self.default() if callable(self.default) else self.default

    def convert(self, value: object, origin: str, folder: str | None = None) -> Any:
        """Return the setting's value from *value*; BadSetting names the *origin* of one that cannot be used."""
        try:
            return self.type(value, os.getcwd() if folder is None else folder)
        except ValueError as error:
            shown = without_passwords(repr(value))
            raise BadSetting(f"{origin}: {self.name} is {shown}, and must be {error}") from None


def _home_sas() -> str:
    home = os.path.expanduser("~")
    if home == "~":
        raise BadSetting("sas_base_dir has no default, as there is no home folder: set SAS_BASE_DIR, or HOME")
    return os.path.join(home, "sas")


def _home_database() -> str:
    return "sqlite:///" + os.path.join(_folder("data", "ASTRA_REGISTRY_DATABASE"), "states.sqlite")


def _folder(kind: str, instead: str) -> str:
    """Return our folder of the user's data or configuration. Raises BadSetting when there is no home."""
    import platformdirs

    try:
        folder = str(getattr(platformdirs, f"user_{kind}_path")(APPLICATION, appauthor=False))
    except RuntimeError:
        folder = "~"
    if folder.startswith("~"):
        raise BadSetting(f"there is no home folder for the user's {kind}: set {instead}, or HOME")
    return folder


def _table(*settings: Setting) -> dict[str, Setting]:
    named = (s if s.env else attrs.evolve(s, env=f"ASTRA_REGISTRY_{s.name.upper()}") for s in settings)
    return {s.name: s for s in named}


SETTINGS: Mapping[str, Setting] = _table(
    # where files live, and where they come from
    Setting(
        "sas_base_dir",
        kinds.path,
        _home_sas,
        "The folder that holds the files of the SAS on this machine.",
        env="SAS_BASE_DIR",
    ),
    Setting(
        "product_root",
        kinds.path,
        None,
        "The folder for the tree's software products; by default the one that holds the SAS.",
        env="PRODUCT_ROOT",
    ),
    Setting(
        "output_base_dir",
        kinds.path,
        None,
        "The folder for the outputs of analysis tasks; by default one below the SAS.",
    ),
    Setting(
        "remote_base",
        kinds.url,
        None,
        "A server in the place of the SDSS one: a product's URL is then URL/sas/LOCATION.",
    ),
    Setting("mirrors", kinds.urls, (), "More servers, asked in turn for what the first one does not give."),
    # which plugins
    Setting(
        "plugins",
        kinds.names,
        None,
        "The plugins (or distributions) to load, and no others; empty: none.",
        empty_counts=True,
    ),
    Setting("products", kinds.paths, (), "Files like products.toml that bring products besides the plugins."),
    Setting("prefer", kinds.pairs, {}, "Which plugin brings a product that two of them claim: product=plugin."),
    Setting("strict", kinds.switch, False, "Whether a broken plugin is an error, and not only a warning."),
    # fetching
    Setting("jobs", kinds.workers, 16, "How many files are brought at once."),
    Setting("overwrite", kinds.switch, False, "Whether files that are here already are brought again."),
    Setting("transport", kinds.text, "http", "The way to the server: http, rsync, or one that a plugin brings."),
    Setting("timeout", kinds.seconds, 30.0, "Seconds of silence after which a transfer is given up."),
    Setting("connect_timeout", kinds.seconds, 10.0, "Seconds that a server has to accept a connection."),
    Setting("retries", kinds.count, 5, "How many times a transfer is tried again."),
    Setting(
        "checksums",
        kinds.one_of("auto", "always", "never"),
        "auto",
        "Whether the server's *.sha1sum listings are asked for; with always a file fails when its own cannot be had.",
    ),
    Setting("ca_bundle", kinds.path, None, "A file of certificates to trust in place of the system's."),
    Setting("limit_rate", kinds.rate, None, "The most bytes a second, of all transfers together."),
    # tasks and their states
    Setting("database", kinds.text, _home_database, "The SQLAlchemy URL of the database of tasks and states."),
    Setting("retry_wait", kinds.seconds, 1.0, "Seconds before a failed task runs again; they double each time."),
)


# ---------------------------------------------------------------- the environment and the file

# The dictionary inside os.environ: a look-up there takes 0.06 µs, one through os.environ 0.6 to 1.4 µs, and each
# path of each product asks for a setting. Where Python has no such dictionary, os.environ itself does, only slower.
_environment: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
_encode: Callable[[str], Any] = getattr(os.environ, "encodekey", str) if _environment is not os.environ else str
_decode: Callable[[Any], str] = getattr(os.environ, "decodevalue", str) if _environment is not os.environ else str

# What the places of the file and of the defaults depend on.
_PLACE = tuple(_encode(name) for name in ("HOME", "ASTRA_REGISTRY_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME"))
_ENV = {name: _encode(s.env) for name, s in SETTINGS.items()}

_CHECK_EVERY = 1.0  # seconds: an edit of the file is seen after this long


@attrs.define
class _Seen:
    """What the file and the environment said when last looked at; replaced as a whole, so that threads agree."""

    place: tuple[Any, ...]
    file: str
    stamp: tuple[int, int, int] | None
    configured: Mapping[str, object]
    checked: float
    defaults: dict[str, Any] = attrs.field(factory=dict)
    site: Mapping[str, tuple[Any, str]] | None = None
    asking: threading.RLock = attrs.field(factory=threading.RLock)
    is_asking: bool = False
    converted: dict[tuple[str, Any], Any] = attrs.field(factory=dict)


_last: _Seen | None = None
_looking = threading.Lock()
_NONE: Mapping[str, tuple[Any, str]] = MappingProxyType({})
_overrides: ContextVar[Mapping[str, tuple[Any, str]]] = ContextVar("astra_registry.settings", default=_NONE)


def config_file() -> str:
    """Return the path of the TOML file, whether it is there or not: `ASTRA_REGISTRY_CONFIG` names another one.

    Raises BadSetting when none is named and there is no home folder.
    """
    named = os.environ.get("ASTRA_REGISTRY_CONFIG")
    if named:
        return kinds.path(named, os.getcwd())
    return os.path.join(_folder("config", "ASTRA_REGISTRY_CONFIG"), "config.toml")


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: str) -> Mapping[str, object]:
    import tomllib

    try:
        with open(file, "rb") as stream:
            configured = tomllib.load(stream)
    except (OSError, ValueError) as error:
        raise BadSetting(f"{file} cannot be read: {error}") from None
    for name in configured:
        if name not in SETTINGS:
            raise BadSetting(f"{file} has an unknown setting '{name}'{did_you_mean(name, SETTINGS)}")
    return configured


def _seen() -> _Seen:
    global _last
    last = _last
    now = time.monotonic()
    place = tuple(map(_environment.get, _PLACE))
    if last is not None and last.place == place:
        if now - last.checked < _CHECK_EVERY:
            return last
        if _stamp(last.file) == last.stamp:
            last.checked = now
            return last
    with _looking:
        if _last is not last and _last is not None:
            return _last  # another thread has looked meanwhile
        try:
            file = config_file()
        except BadSetting:  # no home, and so no file
            file = ""
        stamp = _stamp(file)
        _last = _Seen(place, file, stamp, {} if stamp is None else _read(file), now)
        return _last


# ---------------------------------------------------------------- what the rest of the program asks


def setting(name: str) -> Any:
    """Return the value of a setting that is in force here and now; BadSetting for one that cannot be used."""
    overrides = _overrides.get()
    if name in overrides:
        return overrides[name][0]
    seen = _seen()
    try:
        raw = _environment.get(_ENV[name])
    except KeyError:
        raise BadSetting(f"there is no setting '{name}'{did_you_mean(name, SETTINGS)}") from None
    if raw or (raw is not None and SETTINGS[name].empty_counts):
        try:
            return seen.converted[name, raw]
        except KeyError:
            return _from_environment(seen, name, raw)
    if name in seen.configured:
        try:
            return seen.converted[name, None]
        except KeyError:
            value = SETTINGS[name].convert(seen.configured[name], seen.file, os.path.dirname(seen.file))
            return seen.converted.setdefault((name, None), value)
    try:
        return seen.defaults[name]
    except KeyError:
        value = _default(seen, name)
        # What holds only while a site's plugin is asked, which may want a setting itself, is not kept.
        return value if seen.site is None else seen.defaults.setdefault(name, value)


def _default(seen: _Seen, name: str) -> Any:
    """Return a setting's default: what a site's plugin says, else our own."""
    values = _of_the_site(seen)
    if name not in values or name in NOT_FROM_PLUGINS:
        return SETTINGS[name].default_value()
    value, who = values[name]
    return SETTINGS[name].convert(value, who)


def _of_the_site(seen: _Seen) -> Mapping[str, tuple[Any, str]]:
    if seen.site is None:
        with seen.asking:
            if seen.site is None and not seen.is_asking:
                seen.is_asking = True
                try:
                    seen.site = site_defaults(setting("plugins"), check=_check, strict=setting("strict"))
                finally:
                    seen.is_asking = False
    return seen.site or {}


def _check(name: str, value: object, who: str) -> None:
    """Raise BadSetting for a value that a setting cannot have; one that another version has may have any."""
    if name in SETTINGS:
        SETTINGS[name].convert(value, who)


def _from_environment(seen: _Seen, name: str, raw: Any) -> Any:
    entry = SETTINGS[name]
    text = _decode(raw)
    value = entry.convert(text, f"environment variable {entry.env}")
    # A relative path moves with the current folder, so it is made anew each time.
    if entry.type is kinds.path and not text.startswith(("/", "~")):
        return value
    return seen.converted.setdefault((name, raw), value)


@contextmanager
def override(origin: str = "override", /, **values: object) -> Iterator[None]:
    """Put other values in force inside the `with` block, in this thread or task; None leaves a setting as it is.

    *origin* says in messages and in `explain` where they come from. A thread started inside sees them only when it runs
    in a copy of the context (`contextvars.copy_context().run`).
    """
    changed = dict(_overrides.get())
    for name, value in values.items():
        if name not in SETTINGS:
            raise BadSetting(f"there is no setting '{name}'{did_you_mean(name, SETTINGS)}")
        if value is not None:
            changed[name] = (SETTINGS[name].convert(value, origin), origin)
    token = _overrides.set(changed)
    try:
        yield
    finally:
        _overrides.reset(token)


class Explained(NamedTuple):
    """A setting's value in force, and where it comes from."""

    name: str
    value: Any
    origin: str


def explain() -> list[Explained]:
    """Return every setting with its value and its origin: an override, a variable, the file, or "default"."""
    return [Explained(name, setting(name), origin(name)) for name in SETTINGS]


def origin(name: str) -> str:
    """Return where a setting's value comes from: an override, a variable of the environment, the file, or 'default'."""
    overrides = _overrides.get()
    if name in overrides:
        return overrides[name][1]
    entry = SETTINGS[name]
    raw = os.environ.get(entry.env)
    if raw or (raw is not None and entry.empty_counts):
        return f"environment variable {entry.env}"
    seen = _seen()
    if name in seen.configured:
        return seen.file
    return _of_the_site(seen)[name][1] if name in _of_the_site(seen) else "default"
