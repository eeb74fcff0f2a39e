"""``astra-registry plugins``: which are installed and how they are, and pip in the environment that runs this."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import click

from astra_registry.cli import new_plugin
from astra_registry.cli.output import JSON, as_json, table
from astra_registry.cli.products import plugin_names, product_names
from astra_registry.errors import BadSetting, BadValue, did_you_mean
from astra_registry.installed import BrokenPluginWarning, distributions, normal
from astra_registry.plugins import OK, PluginInfo
from astra_registry.registries import registry
from astra_registry.settings import SETTINGS, override, setting


@click.group("plugins", invoke_without_command=True)
@JSON
@click.pass_context
def command(ctx: click.Context, in_json: bool) -> None:
    """List the installed plugins and how they are; check, install and begin plugins."""
    if ctx.invoked_subcommand is None:
        print_plugins(in_json=in_json)


@command.command("list")
@JSON
def list_plugins(in_json: bool) -> None:
    """List the installed plugins: distribution, version, health, and the products they bring."""
    print_plugins(in_json=in_json)


def print_plugins(*, in_json: bool) -> None:
    """Print the plugins; with the setting `strict`, exit with 1 when one does not work."""
    listed = known_plugins()
    if in_json:
        as_json(attrs.asdict(info) for info in listed)
    elif listed:
        rows = [
            (
                info.name,
                f"{info.distribution} {info.version}".strip(),
                info.status,
                info.error or in_brief(info.products),
            )
            for info in listed
        ]
        table(rows, ("plugin", "distribution", "health", "products"))
    else:
        click.echo(
            "no plugin is installed; `astra-registry plugins install astra-registry-apstar` brings one", err=True
        )
    if setting("strict") and any(is_broken(info) for info in listed):
        raise click.exceptions.Exit(1)


def known_plugins() -> list[PluginInfo]:
    """Return every plugin with its health; what would be a warning, or with `strict` an error, is in its `error`."""
    with broken_plugins_unmentioned():
        return registry.plugins


@contextlib.contextmanager
def broken_plugins_unmentioned() -> Iterator[None]:
    """Let no broken plugin be a warning, or with the setting `strict` an error: the command tells of it itself."""
    with warnings.catch_warnings(), override(strict=False):
        warnings.simplefilter("ignore", BrokenPluginWarning)
        yield


def is_broken(info: PluginInfo) -> bool:
    """Whether a plugin that should work does not."""
    return info.error is not None and info.status != OK


def in_brief(products: Sequence[str]) -> str:
    """Return the names of products in one line, of many the first and how many there are."""
    return ", ".join(products) if len(products) <= 8 else f"{', '.join(products[:4])} … {len(products)} in all"


# ---------------------------------------------------------------- check


@command.command("check")
@click.option("--json", "in_json", is_flag=True, help="As a JSON array of what is wrong.")
def check(in_json: bool) -> None:
    """Tell what is broken, why, and what to do about it; exit with 1 when something is."""
    listed = known_plugins()
    wrong = [(info, info.error or "") for info in listed if is_broken(info)]
    with broken_plugins_unmentioned():
        for info in listed:
            if info.status == OK:
                wrong += [(info, told) for told in troubles(info)]
    if in_json:
        as_json(
            {**attrs.asdict(info), "status": info.status if info.error else "broken", "error": e} for info, e in wrong
        )
    else:
        for info, told in wrong:
            title = f"{info.distribution} {info.version}".strip()
            click.echo(f"{info.name} ({title}): {told}")
        if not wrong:
            count = sum(info.status == OK for info in listed)
            products = sum(len(info.products) for info in listed)
            click.echo(f"{count} plugin{'s' * (count != 1)} with {products} products: all well", err=True)
    if wrong:
        raise click.exceptions.Exit(1)


def troubles(info: PluginInfo) -> Iterator[str]:
    """Yield what does not show before it is used: templates, transports, commands, readers, writers, settings."""
    plugin = next(p for p in registry.plugin_set.plugins if (p.name, p.distribution) == (info.name, info.distribution))
    yield from registry.template_errors(plugin)
    for hook, wanted in (("astra_registry_transports", object), ("astra_registry_commands", click.Command)):
        for name, target in (plugin.call(hook) or {}).items():
            if isinstance(target, str) and (error := not_there(target, imported=True, wanted=wanted)):
                yield f"{hook.removeprefix('astra_registry_')[:-1]} '{name}': {error}; {plugin.way_out}"
    for hook in ("astra_registry_readers", "astra_registry_writers"):
        for name, target in (plugin.call(hook) or {}).items():
            # Readers may count on an extra that only those need who read.
            if isinstance(target, str) and (error := not_there(target, imported=False)):
                yield f"{hook.removeprefix('astra_registry_')[:-1]} {name!r}: {error}; {plugin.way_out}"
    for module in plugin.format_modules:
        if error := not_there(module, imported=False):
            yield f"the module of formats '{module}': {error}; {plugin.way_out}"
    for name, value in (plugin.call("astra_registry_settings") or {}).items():
        try:
            SETTINGS[name].convert(value, "astra_registry_settings")
        except KeyError:
            yield f"there is no setting {name!r}{did_you_mean(str(name), SETTINGS)}; {plugin.way_out}"
        except BadSetting as error:
            yield f"{error}; {plugin.way_out}"
    if plugin.error is not None:
        yield plugin.error


def not_there(target: str, *, imported: bool, wanted: type = object) -> str | None:
    """Return why ``module:name`` cannot be had, or is not what is wanted; None when all is well."""
    module, _, name = target.partition(":")
    try:
        if not imported:
            return None if importlib.util.find_spec(module) else f"there is no module {module}"
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin's module raises is the answer
        return f"{target} cannot be imported: {type(error).__name__}: {error}"
    if not hasattr(found, name):
        return f"{module} has no {name}"
    return None if isinstance(getattr(found, name), wanted) else f"{target} is no {wanted.__name__}"


# ---------------------------------------------------------------- pip, uv or pipx


class WithPipArguments(click.Command):
    """A command that hands what follows ``--`` to pip, as it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what follows the first ``--`` in `ctx.meta`."""
        if "--" in args:
            at = args.index("--")
            ctx.meta["pip"], args = args[at + 1 :], args[:at]
        return super().parse_args(ctx, args)


@command.command("install", cls=WithPipArguments)
@click.argument("names", nargs=-1, required=True, metavar="NAME... [-- PIP OPTIONS]")
@click.option("-U", "--upgrade", is_flag=True, help="Take newer versions of what is installed.")
@click.pass_context
def install(ctx: click.Context, names: tuple[str, ...], upgrade: bool) -> None:
    """Install plugins into the environment that runs this, with pip, uv or pipx; say what became available.

    NAME is what pip takes: the name of a distribution, a folder, a wheel, a URL.
    """
    from astra_registry import environment

    with what_changes():
        environment.install(names, upgrade=upgrade, pip_arguments=ctx.meta.get("pip", ()))


@command.command("uninstall", cls=WithPipArguments)
@click.argument("names", nargs=-1, required=True, metavar="NAME... [-- PIP OPTIONS]", shell_complete=plugin_names)
@click.pass_context
def uninstall(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Uninstall plugins, by their names or their distributions'; say what is no longer there."""
    from astra_registry import environment

    listed = known_plugins()
    gone = [distribution_of(name, listed) for name in names]
    with what_changes():
        environment.uninstall(gone, pip_arguments=ctx.meta.get("pip", ()))


def distribution_of(name: str, listed: Sequence[PluginInfo]) -> str:
    """Return the distribution that is meant. Raises BadValue when no plugin and no distribution is called so."""
    if normal(name) == "astra-registry":
        raise BadValue("that would uninstall this program: pip uninstall astra-registry, and then its plugins")
    for info in listed:
        if name == info.name or normal(name) == normal(info.distribution):
            return info.distribution
    known = [info.name for info in listed] + [info.distribution for info in listed]
    raise BadValue(f"no plugin '{name}' is installed{did_you_mean(name, known)}")


@contextlib.contextmanager
def what_changes() -> Iterator[None]:
    """Print which plugins came, went and changed meanwhile; exit with 1 when one that came does not work."""
    before = installed_now()
    yield
    told = list(changes(before, installed_now()))
    for line, works in told:
        click.echo(line, err=not works)
    if not told:
        click.echo("nothing changed: the plugins are what they were", err=True)
    if not all(works for _, works in told):
        raise click.exceptions.Exit(1)


def installed_now() -> dict[Any, dict[str, Any]]:
    """Return what `plugins list --json` says of each plugin, by its name and distribution."""
    from astra_registry import environment

    return {(plugin["name"], plugin["distribution"]): plugin for plugin in environment.plugins_in_a_fresh_process()}


def changes(before: dict[Any, dict[str, Any]], after: dict[Any, dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Yield a line for each plugin that came, went or changed, and whether it works."""
    for key, now in after.items():
        was = before.get(key)
        if was == now:
            continue
        title = f"{now['distribution']} {now['version']}".strip()
        if now["error"]:
            yield f"{title}: {now['status']}: {now['error']}", False
            continue
        brought = in_brief(now["products"]) or "no product"
        if was is None:
            yield f"{title} brings {brought}", True
        elif was["version"] != now["version"]:
            yield f"{title} (it was {was['version']}) brings {brought}", True
        else:  # what it brings depends on what the others do
            gained = [name for name in now["products"] if name not in was["products"]]
            lost = [name for name in was["products"] if name not in now["products"]]
            told = [f"now brings {in_brief(gained)}"] if gained else []
            told += [f"no longer brings {in_brief(lost)}"] if lost else []
            yield f"{title} {' and '.join(told) or f'now brings {brought}'}", True
    for key, was in before.items():
        if key not in after:
            gone = in_brief(was["products"])
            yield f"{was['distribution']} {was['version']} is gone{f', and with it {gone}' if gone else ''}", True


@command.command("freeze")
def freeze() -> None:
    """Print the installed plugin distributions, pinned, one a line: a file for `sync`, or for pip."""
    from astra_registry import __version__, environment

    click.echo(f"# with astra-registry {__version__}")
    for pin in environment.pins(distributions()):
        click.echo(str(pin))


@command.command("sync", cls=WithPipArguments)
@click.argument("file", metavar="FILE [-- PIP OPTIONS]")
@click.option("--dry-run", is_flag=True, help="Only say what would be installed and uninstalled.")
@click.pass_context
def sync(ctx: click.Context, file: str, dry_run: bool) -> None:
    """Install and uninstall until the plugin distributions are those of a file that `freeze` printed."""
    from astra_registry import environment

    wanted = environment.read_pins(file)
    present = {d.key: d.version for d in distributions() if d.key != environment.CORE}
    to_install, to_uninstall = environment.difference(wanted, present)
    if dry_run:
        for pin in to_install:
            click.echo(f"install {pin.name}=={pin.version}")
        for name in to_uninstall:
            click.echo(f"uninstall {name}")
        return
    with what_changes():
        pip = ctx.meta.get("pip", ())
        if to_install:
            environment.install([pin.requirement for pin in to_install], pip_arguments=pip)
        if to_uninstall:
            environment.uninstall(to_uninstall)


@command.command("prefer")
@click.argument("product", shell_complete=product_names)
@click.argument("distribution", shell_complete=plugin_names)
def prefer(product: str, distribution: str) -> None:
    """Say which distribution's PRODUCT to use, where two bring one; kept in the user's configuration."""
    from astra_registry.settings import preferences

    with broken_plugins_unmentioned():
        bringing = registry.plugins_of(product)
    chosen = next((plugin for plugin in bringing if plugin.is_named([distribution])), None)
    if chosen is None:
        known = " and ".join(plugin.distribution for plugin in bringing)
        raise BadValue(f"{distribution} brings no product '{product}'; {known} {'do' if len(bringing) > 1 else 'does'}")
    path = preferences.prefer(product, chosen.distribution)
    click.echo(f"'{product}' is that of {chosen.title} from now on ({path})", err=True)


command.add_command(new_plugin.command)
