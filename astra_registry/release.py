"""Which releases there are, how they are spelled, since when they are public, and which pipeline versions they hold."""

from __future__ import annotations

import datetime
import math
import os
import re
import time
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from astra_registry.errors import UnknownRelease, did_you_mean
from astra_registry.paths import roots

WORK = "sdsswork"

# Other names of the work release. `sdss5` is its name of 2021 and keeps its own spelling: a product may have templates
# for it that the work release does not have.
_OTHER_NAMES = {"work": WORK, roots.SDSS5: roots.SDSS5}


def _natural(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


@cache
def releases() -> tuple[str, ...]:
    """Return every release of sdss-tree: ``dr7`` … ``dr20``, ``ipl1`` … ``ipl4``, ``sdsswork``."""
    return tuple(sorted(roots.configurations(), key=_natural))


def canonical(name: str) -> str:
    """Return the one spelling of a release: ``DR17`` and ``dr-17`` are ``dr17``, ``WORK`` is ``sdsswork``.

    ``sdss5``, the work release's name of 2021, stays. Raises UnknownRelease.
    """
    try:
        return _canonical(name)
    except TypeError:  # not hashable
        raise _unknown(name) from None


def spelled(name: str) -> str:
    """Return the one spelling of a release's name, whether there is such a release or not."""
    folded = name.strip(" ").lower().replace("-", "", 1)
    return _OTHER_NAMES.get(folded, folded)


@cache
def _canonical(name: str) -> str:
    if not isinstance(name, str):
        raise _unknown(name)
    folded = spelled(name)
    if folded != roots.SDSS5 and folded not in releases():
        raise _unknown(name)
    return folded


def configuration(release: str) -> str:
    """Return the release whose templates and roots *release* has: ``sdss5`` has those of ``sdsswork``."""
    release = canonical(release)
    return WORK if release == roots.SDSS5 else release


def _unknown(name: object) -> UnknownRelease:
    if not isinstance(name, str):
        return UnknownRelease(f"a release is text such as 'dr17', not {name!r}")
    runs: dict[str, list[str]] = {}
    for release in releases():
        runs.setdefault(_natural(release)[0], []).append(release)
    known = ", ".join(f"{run[0]} … {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs.values())
    hint = did_you_mean(name, releases()) if re.fullmatch(r"[\w.-]+", name) else ""
    return UnknownRelease(f"no release {name!r}{hint or f'; there are {known}'}")


@cache
def release_date(release: str) -> datetime.date | None:
    """Return the day on which the release became, or will become, official; None for work in progress."""
    text = roots.release_date(configuration(release))
    return datetime.date.fromisoformat(text) if text else None


def is_public(release: str, on: datetime.date | None = None) -> bool:
    """Return whether anybody may read the release's files on that day (today): data releases, from their date on."""
    if on is None:
        return time.time() >= _public_since(canonical(release))
    return on.toordinal() >= _public_from(canonical(release))


def _public_from(release: str) -> float:
    date = release_date(release) if release.startswith("dr") else None
    return math.inf if date is None else date.toordinal()


@cache
def _public_since(release: str) -> float:
    """Return the time at which the release's day begins, on the user's calendar; in a hot path, today() costs 1 µs."""
    day = _public_from(release)
    if day == math.inf:
        return day
    return datetime.datetime.fromordinal(int(day)).timestamp()


@cache
def _versions() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    import csv

    table: dict[str, dict[str, dict[str, str]]] = {}
    # importlib.resources would import tempfile, shutil, zipfile and more: a fifth of the time that a path takes.
    with open(os.path.join(os.path.dirname(__file__), "data", "release_versions.csv"), encoding="utf-8") as file:
        text = file.read()
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        table.setdefault(row["release"], {}).setdefault(row["parameter"], {})[row["survey"]] = row["value"]
    return MappingProxyType(
        {
            release: MappingProxyType({name: MappingProxyType(values) for name, values in parameters.items()})
            for release, parameters in table.items()
        }
    )


def versions(release: str) -> Mapping[str, Mapping[str, str]]:
    """Return the pipeline versions of a release: parameter (``apred``, ``run2d``, …) → survey → value, as text."""
    known = _versions()
    return known.get(canonical(release)) or known.get(configuration(release)) or MappingProxyType({})


def default_version(release: str, parameter: str, survey: str | None = None) -> str | None:
    """Return the value of *parameter* that belongs to the release, or None when there is none, or more than one."""
    values = versions(release).get(parameter, {})
    if survey is not None:
        return values.get(survey)
    distinct = set(values.values())
    return distinct.pop() if len(distinct) == 1 else None


def versions_by_release(parameter: str, *, otherwise: str | None = None) -> Mapping[str, str]:
    """Return the value of *parameter* that belongs to each release, for a parameter's default.

    Releases without one have *otherwise*, or are left out.
    """
    found = {release: default_version(release, parameter) or otherwise for release in (*releases(), "sdss5")}
    return MappingProxyType({release: value for release, value in found.items() if value is not None})
