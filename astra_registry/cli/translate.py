"""``astra-registry translate``: what a product of one release is in another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from astra_registry.cli.output import as_json
from astra_registry.cli.products import ProductGroup, ReleaseType, made
from astra_registry.errors import BadValue, MissingParameter, NotOnSas, UnknownRelease, did_you_mean
from astra_registry.parameters import REQUIRED
from astra_registry.product import DataProduct
from astra_registry.registries import registry
from astra_registry.release import canonical, default_version


def translate(
    name: str, given: dict[str, Any], *, release: str | None, old: str | None, new: str | None, in_json: bool
) -> int:
    """Print the product of the other release, and on stderr what became of each parameter; without values, the rule."""
    start = old or release
    if start is None or new is None:
        raise BadValue("translate needs --from and --to: the release that it is of, and the one that you want")
    if old is not None and release is not None and canonical(old) != canonical(release):
        raise BadValue(f"--from {old} and --release {release}: which of the two?")
    if not given:
        rule = in_general(registry[name], canonical(start), canonical(new))
        if in_json:
            as_json([rule])
        else:
            _print_rule(rule)
        return 1 if rule["missing"] else 0
    product = made(name, start, given)
    told = [translated(member, canonical(new)) for member in product.get_batch_tasks()]
    if in_json:
        as_json(told)
    else:
        for answer in told:
            _print(answer)
    return 1 if any(answer["missing"] for answer in told) else 0


def translated(product: DataProduct, new: str) -> dict[str, Any]:
    """Return what a product is in another release, as ``--json`` has it: kept, replaced, dropped, missing.

    A version that is the old release's own becomes the new one's; what the new template does not name is dropped.
    """
    cls = type(product)
    old = product.release
    own = cls.product_parameters()
    values = _values(product)
    used = _used(cls, new)
    origins = product.param_origins
    kept, replaced, dropped = {}, {}, {}
    for attribute, declared in own.items():
        name = declared.name
        if name not in values:
            continue
        if attribute not in used:
            dropped[name] = values[name]
        elif origins[name] == "given" and str(values[name]) != default_version(old, name):
            kept[name] = values[name]
        elif origins[name] != "given":
            pass  # follows anew
        elif (version := default_version(new, name)) is not None:
            replaced[name] = version
    missing: list[str] = []
    result: DataProduct | None = None
    try:
        result = cls(release=new, **kept, **replaced)
    except MissingParameter:
        missing = _missing(cls, new, {**kept, **replaced})
    new_values = {**kept, **replaced}
    if result is not None:
        new_values = _values(result)
    changed = {n: {"from": values.get(n), "to": v} for n, v in new_values.items() if values.get(n) != v}
    return {
        "product": cls._label(),
        "from": {"release": old, "parameters": values, "path": product.local_path},
        "to": {
            "release": new,
            "parameters": new_values,
            "path": result.local_path if result else None,
            "url": _url(result) if result else None,
        },
        "kept": sorted(n for n in new_values if values.get(n) == new_values[n]),
        "changed": changed,
        "dropped": dropped,
        "missing": missing,
    }


def _values(product: DataProduct) -> dict[str, Any]:
    return {name: value for name, value in product._own_values().items() if value != ""}


def in_general(cls: type[DataProduct], old: str, new: str) -> dict[str, Any]:
    """Return what becomes of each parameter, whatever its value; in the form of `translated`, without paths."""
    own = cls.product_parameters()
    before, after = _used(cls, old), _used(cls, new)
    both = {p.name: p for a, p in own.items() if a in before and a in after}
    versions = {n: (default_version(old, n), default_version(new, n)) for n in both}
    changed = {n: {"from": was, "to": now} for n, (was, now) in versions.items() if was and now and was != now}
    added = {p.name: p for a, p in own.items() if a in after and a not in before}
    missing = _missing(cls, new, both)
    return {
        "product": cls._label(),
        "from": {"release": old, "parameters": {}, "path": None},
        "to": {"release": new, "parameters": {}, "path": None, "url": None},
        "kept": sorted(n for n in both if n not in changed),
        "changed": changed,
        "dropped": {p.name: None for a, p in own.items() if a in before and a not in after},
        "derived": {n: list(p.reads) for n, p in added.items() if n not in missing and p.reads},
        "missing": missing,
    }


def _used(cls: type[DataProduct], release: str) -> Mapping[str, None]:
    """Return the attributes that a release uses. Raises UnknownRelease, which names the product's kin there."""
    try:
        return cls.plan(release).used
    except UnknownRelease as error:
        names = registry.search_names(release=release)
        raise UnknownRelease(f"{error}{did_you_mean(cls._label(), names)}") from None


def _missing(cls: type[DataProduct], release: str, known: Mapping[str, Any]) -> list[str]:
    """Return the parameters that a release needs, and that neither are known nor follow from what is."""
    own, required = cls.product_parameters(), cls.plan(release).required
    unknown = {a: p.name for a, p in own.items() if a in required and p.name not in known}
    return [name for a, name in unknown.items() if not _has_default(cls, a, release, known)]


def _has_default(cls: type[DataProduct], attribute: str, release: str, given: Mapping[str, Any]) -> bool:
    """Whether a parameter needs no mention: it has a default, or follows from one that is known."""
    declared = cls._parameters[attribute]
    if callable(declared.default):
        return all(name in given or name == "release" for name in declared.reads)
    return cls._default(attribute, {"release": release}) not in (None, REQUIRED)


def _url(product: DataProduct) -> str | None:
    try:
        return str(product.remote_path)
    except NotOnSas:
        return None


def _print(answer: dict[str, Any]) -> None:
    old, new = answer["from"]["release"], answer["to"]["release"]
    for name, change in answer["changed"].items():
        if change["from"] is None:
            click.echo(f"{name}: {change['to']}, which {old} does not use", err=True)
        else:
            click.echo(f"{name}: {change['from']} → {change['to']}", err=True)
    for name, value in answer["dropped"].items():
        click.echo(f"{name}: {value} has no place in {new}", err=True)
    if answer["missing"]:
        click.echo(f"{answer['product']} in {new} needs {', '.join(answer['missing'])} besides", err=True)
    else:
        click.echo(answer["to"]["path"])


def _print_rule(rule: dict[str, Any]) -> None:
    new = rule["to"]["release"]
    for name in rule["kept"]:
        click.echo(f"{name}: stays")
    for name, change in rule["changed"].items():
        click.echo(f"{name}: {change['from']} → {change['to']}, where it is the release's own")
    for name, reads in rule["derived"].items():
        click.echo(f"{name}: follows from {', '.join(reads)}")
    for name in rule["dropped"]:
        click.echo(f"{name}: has no place in {new}")
    for name in rule["missing"]:
        click.echo(f"{name}: {new} needs it, and nothing tells it")


command = ProductGroup(
    "translate",
    run=translate,
    options=[
        click.Option(["--from", "old"], type=ReleaseType(), metavar="R", help="The release that the product is of."),
        click.Option(["--to", "new"], type=ReleaseType(), metavar="R", help="The release that you want."),
        click.Option(["--json", "in_json"], is_flag=True, help="As a JSON array."),
    ],
    help="Say what a product is in another release: its path there, and what becomes of each parameter; without "
    "values, what becomes of each whatever it is.",
)
