"""Checks of what is on this machine: packages, folders, the clock, the database, plugins."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile

from astra_registry.doctor.findings import NOTE, OK, PATIENCE, WRONG, Seen
from astra_registry.settings import config_file, explain, setting

_ROOM = 10**9  # bytes: less is little, when one spectrum has a megabyte


def python() -> Seen:
    """Tell which Python runs this: pip installs the program on no other than those it is for."""
    yield OK, f"Python {'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"


def packages() -> Seen:
    """Look at what the core requires: all there, none too old; and that no package of an extra is too old."""
    good = True
    old: set[str] = set()
    for text in importlib.metadata.requires("astra-registry") or ():
        requirement, _, marker = text.partition(";")
        found = re.match(r"([\w.-]+)(?:\[\w+\])?\s*>=\s*([\d.]+)", requirement)
        extra = re.search(r"extra == .(\w+)", marker)
        if found is None or (extra is not None and extra[1] in ("dev", "docs", "bench")):
            continue
        name, least = found.groups()
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if extra is None:
                good = False
                yield WRONG, f"{name} is not installed", f"pip install '{requirement.strip()}'"
            continue
        if _numbers(version) < _numbers(least) and requirement not in old:  # two extras may want the same
            good = False
            old.add(requirement)
            yield WRONG, f"{name} {version} is older than {least}", f"pip install --upgrade '{requirement.strip()}'"
    if good:
        tree, access = (importlib.metadata.version(name) for name in ("sdss-tree", "sdss-access"))
        yield (
            OK,
            f"astra-registry {importlib.metadata.version('astra-registry')}, sdss-tree {tree}, sdss-access {access}",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def tree() -> Seen:
    """Look for the other package named tree, without importing either."""
    from astra_registry.release import releases

    known = releases()
    try:
        other = importlib.metadata.version("dm-tree")
    except importlib.metadata.PackageNotFoundError:
        # dm-tree takes its files with it when it goes, and those had replaced sdss-tree's.
        files = importlib.metadata.files("sdss-tree") or ()
        folders = {os.path.dirname(str(file.locate())) for file in files if str(file) == "tree/tree.py"}
        if any(not os.path.exists(os.path.join(folder, "__init__.py")) for folder in folders):
            yield (
                NOTE,
                "tree/__init__.py of sdss-tree is gone, as when dm-tree was installed and removed; "
                "astra-registry does not need it, but sdss_access does",
                "pip install --force-reinstall --no-deps sdss-tree",
            )
        else:
            yield OK, f"sdss-tree has {len(known)} releases, {known[0]} to {known[-1]}"
        return
    yield (
        NOTE,
        f"dm-tree {other} is installed too, and shares the import name 'tree' with sdss-tree; "
        "astra-registry imports neither, but sdss_access would get the wrong one",
        "keep sdss_access and dm-tree in different environments",
    )


def configuration() -> Seen:
    """Look at every setting: each line that holds is one that is understood."""
    explain()
    file = config_file()
    yield OK, f"{file}{'' if os.path.exists(file) else ' (not there: the defaults hold)'}"


def sas() -> Seen:
    """Look at the folder of the files, or where it would be made: there, writable, with room."""
    folder = setting("sas_base_dir")
    there = nearest(folder)
    if not os.path.isdir(there):
        yield WRONG, f"{there} is no folder", "set SAS_BASE_DIR to a folder"
    elif (reason := not_writable(there)) is not None:
        yield (
            WRONG,
            f"{there} cannot be written: {reason}",
            "set SAS_BASE_DIR to a folder of yours, or ask for write permission",
        )
    elif (free := shutil.disk_usage(there).free) < _ROOM:
        yield WRONG, f"{folder} has only {free / 1e6:.0f} MB left", "make room, or set SAS_BASE_DIR to another disk"
    else:
        missing = "" if there == folder else " (made by the first fetch)"
        yield OK, f"{folder}{missing}, {free / 1e9:.0f} GB free"


def nearest(path: str) -> str:
    """Return the path, or the nearest folder above it that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def not_writable(folder: str) -> str | None:
    """Return why no file can be made in a folder, None when one can; it leaves none behind."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def clock(today: datetime.date | None = None) -> Seen:
    """Look at today's date: what is public depends on it."""
    from astra_registry.release import is_public, release_date, releases

    today = today or datetime.date.today()  # noqa: DTZ011 - what the program itself compares release dates with
    built = datetime.date.fromtimestamp(os.stat(__file__).st_mtime)  # noqa: DTZ012
    public = [release for release in releases() if is_public(release)]
    if not public or today < built - datetime.timedelta(days=2):
        yield WRONG, f"the clock says {today}, which is before this program was installed ({built})", "set the clock"
        return
    newest = max(public, key=lambda release: release_date(release) or datetime.date.min)
    yield OK, f"{today}: {newest} is the newest public release"


def database() -> Seen:
    """Look at the state database: it can be opened and written, and its schema is ours and whole."""
    from astra_registry.store import StateStore

    with StateStore(setting("database"), patience=PATIENCE) as store:
        counted = sum(store.counts().values())
        defects = store.check() if store.current() is not None else []
        file = store.database.path
        reason = None
        if file is not None:
            # SQLite writes its journal beside the file, so that the folder has to be writable too.
            there = nearest(file)
            reason = not_writable(os.path.dirname(there) if os.path.isfile(there) else there)
            if reason is None and os.path.isfile(there) and not os.access(there, os.W_OK):
                reason = "no permission"
        for defect in defects:
            yield WRONG, f"{store.url}: {defect}", "restore it from a copy, or set ASTRA_REGISTRY_DATABASE to another"
        if reason is not None:
            yield (
                WRONG,
                f"{store.url} cannot be written: {reason}",
                "set ASTRA_REGISTRY_DATABASE to one of yours, such as sqlite:////home/me/states.sqlite",
            )
        elif not defects:
            yield OK, f"{store.url}: {counted:,} task{'' if counted == 1 else 's'}"


def plugins() -> Seen:
    """Look at every plugin's health."""
    from astra_registry.registries import registry

    listed = registry.plugins
    for plugin in listed:
        if plugin.status in ("broken", "conflict"):
            title = f"{plugin.name} ({plugin.distribution} {plugin.version})"
            yield WRONG, f"{title} is {plugin.status}: {plugin.error}", "astra-registry plugins check"
    good = [plugin.name for plugin in listed if plugin.status == "ok"]
    if good:
        yield OK, f"{', '.join(good)}: {len(registry)} products"
    elif any(plugin.status == "disabled" for plugin in listed):
        yield (
            NOTE,
            "every plugin is turned off by the setting plugins, so there are no products",
            "unset ASTRA_REGISTRY_PLUGINS, or take plugins out of the configuration",
        )
    else:
        yield NOTE, "no plugin is loaded, so there are no products", "pip install astra-registry-sdsstree"
