"""Commands that take a product: its name is a subcommand, its parameters are options with their own help."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from astra_registry.declarations import Declaration
from astra_registry.errors import BadTable, BadValue, NotOnSas
from astra_registry.parameters import REQUIRED, Parameter
from astra_registry.product import TRANSPORTS, DataProduct
from astra_registry.registries import registry
from astra_registry.release import releases
from astra_registry.settings import override

# Settings that may be given after the product too.
PLACES = (
    click.Option(["--sas-base-dir"], metavar="DIR", help="Where files live; in the place of $SAS_BASE_DIR."),
    click.Option(["--remote-base"], metavar="URL", help="A server in the place of the SDSS one."),
)
_THEIR_PLACE = "a product's release and parameters come after its name"


class ReleaseType(click.ParamType):  # type: ignore[type-arg]  # an older click has no type there
    """A release of the product, completed by the shell."""

    name = "release"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the releases that begin with what was typed."""
        command = ctx.command
        known = command.declaration.releases if isinstance(command, ProductCommand) else releases()
        return [CompletionItem(release) for release in known if release.startswith(incomplete.lower())]


def product_names(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """Return the products whose name begins with what was typed, for the shell."""
    return [name for name in registry.names() if name.startswith(typed)]


def plugin_names(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """Return the plugins and distributions whose name begins with what was typed, for the shell."""
    names = {name for plugin in registry.plugin_set.plugins for name in (plugin.name, plugin.distribution)}
    return sorted(name for name in names if name.startswith(typed))


def transport_names(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """Return the transports whose name begins with what was typed, those of plugins too, for the shell."""
    brought = registry.plugin_set.named("astra_registry_transports")
    return [name for name in dict.fromkeys((*TRANSPORTS, *brought)) if name.startswith(typed)]


class ReleaseOption(click.Option):
    """The release of a product; its help names them, which takes a look at all of them."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help, with the product's releases."""
        if isinstance(ctx.command, ProductCommand):
            self.help = f"One of {ctx.command.declaration.releases_in_words}."
        return super().get_help_record(ctx)


class ProductCommand(click.Command):
    """A command for one product; made from the product's declaration."""

    def __init__(self, declaration: Declaration, **attributes: Any) -> None:
        self.declaration = declaration
        super().__init__(**attributes)


class ProductGroup(click.Group):
    """A command whose subcommands are the installed products."""

    def __init__(
        self,
        name: str,
        *,
        run: Callable[..., Any],
        options: Sequence[click.Option] = (),
        without_product: Callable[..., Any] | None = None,
        options_without_product: Sequence[click.Option] = (),
        **attributes: Any,
    ) -> None:
        self._run = run
        self._only_without = options_without_product
        self._options = [*options, *PLACES]
        self._without = without_product
        super().__init__(
            name,
            params=[*self._options, *options_without_product],
            callback=self._before,
            invoke_without_command=without_product is not None,
            no_args_is_help=without_product is None,
            subcommand_metavar="PRODUCT [OPTIONS]" if without_product is None else "[PRODUCT [OPTIONS]]",
            **attributes,
        )

    def _before(self, **options: Any) -> Any:
        """Keep the options that come before the product; without a product, do what there is to do."""
        ctx = click.get_current_context()
        ctx.meta["before"] = {name: value for name, value in options.items() if _was_given(ctx, name)}
        if ctx.invoked_subcommand is None and self._without is not None:
            with places(options):
                return self._without(**options)
        for option in self._only_without:
            if option.name in ctx.meta["before"]:
                raise click.UsageError(f"No such option '{option.opts[0]}' before a product ({_THEIR_PLACE})", ctx)
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before the product; of one that only a product has, say where it belongs."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            told = error.format_message().rstrip(".")
            raise click.UsageError(f"{told} ({_THEIR_PLACE})", ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all installed products."""
        return registry.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of one product. Raises UnknownProduct."""
        declaration = registry.declaration(cmd_name)
        run = self._run

        def callback(**values: Any) -> Any:
            merged = with_those_before(values)
            names = {p.attribute: p.name for p in declaration.parameters}
            given = {names[a]: _one_or_many(merged.pop(a)) for a in list(merged) if a in names}
            with places(merged):
                return run(cmd_name, {n: v for n, v in given.items() if v is not None}, **merged)

        taken = {option for known in self._options for option in known.opts} | {"--release", "--help", "-h"}
        return ProductCommand(
            declaration,
            name=cmd_name,
            callback=callback,
            params=[
                ReleaseOption(["--release"], type=ReleaseType(), metavar="R", help="The data release."),
                *(parameter_option(p, taken) for p in declaration.parameters),
                *self._options,
            ],
            help=declaration.description,
            short_help=declaration.summary,
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the products that begin with what was typed; none of their commands is made for it."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say how to find products, in the place of a list of hundreds."""
        with formatter.section("Products"):
            formatter.write_text("`astra-registry list` names them; PRODUCT --help shows its parameters.")


def parameter_option(declared: Parameter, taken: set[str]) -> click.Option:
    """Return the option for a product's parameter, in its own spelling, with dashes, and under its aliases."""
    attribute = declared.attribute
    spelled = [declared.name, *(alias for alias in declared.aliases if alias.islower())]
    options = [f"--{attribute}"]
    for name in spelled:
        for option in (f"--{name}", f"--{name.replace('_', '-')}"):
            if option not in taken and option not in options:
                options.append(option)
    taken.update(options)
    notes = [declared.doc]
    if declared.unit:
        notes.append(f"Unit: {declared.unit}.")
    if declared.choices:
        notes.append(f"One of {', '.join(map(str, declared.choices))}.")
    if default := default_in_words(declared):
        notes.append(f"Default: {default}.")
    return click.Option(
        [attribute, *options],
        multiple=True,
        metavar=declared.type_name.upper(),
        help=" ".join(notes),
        shell_complete=lambda ctx, param, incomplete: [
            CompletionItem(str(choice)) for choice in declared.choices or () if str(choice).startswith(incomplete)
        ],
    )


def default_in_words(declared: Parameter) -> str:
    """Return what a parameter is when it is not given: ``from telescope``, ``the release's own``, or a value."""
    default = declared.default
    if default is REQUIRED or default is None:
        return ""
    if declared.differs_by_release:
        return "the release's own"
    if callable(default):
        return f"from {', '.join(declared.reads)}"
    return str(default)


def made(name: str, release: str | None, given: Mapping[str, Any], table: str | None = None) -> DataProduct:
    """Return the product, or the batch, that a command line asks for."""
    product = registry[name]
    if release is not None:
        given = {"release": release, **given}
    return product(**given) if table is None else product.from_table(existing(table), **given)


def existing(file: str, what: str = "table") -> str:
    """Return the name of a file that can be read as often as need be: what comes through a pipe, or - , is kept in one.

    One that is not there is a wrong request, and not a failure.
    """
    if file != "-" and not os.path.exists(file):
        raise (BadTable if what == "table" else BadValue)(f"there is no {what} '{file}'")
    if what != "table" and os.path.isdir(file):
        raise BadValue(f"'{file}' is a folder, not a {what}")
    if file != "-" and (os.path.isfile(file) or os.path.isdir(file)):
        return file
    folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="astra-registry-"))
    kept = os.path.join(folder, "standard-input" if file == "-" else os.path.basename(file))
    with click.open_file(file, "rb") as source, open(kept, "wb") as target:
        shutil.copyfileobj(source, target)
    return kept


def described(product: DataProduct) -> Iterator[dict[str, Any]]:
    """Yield what `resolve --json` says of each member: product, release, parameters, origins, path, URL, location."""
    names = {p.name for p in product.product_parameters().values()}
    origins = {name: origin for name, origin in product.param_origins.items() if name in names}
    paths = product.local_paths
    try:
        urls: Sequence[str | None] = product.remote_paths
        locations: Sequence[str | None] = product.locations
    except NotOnSas:
        urls = locations = [None] * len(paths)
    for kwds, path, url, location in zip(product.get_batch_task_kwds(), paths, urls, locations, strict=True):
        yield {
            "product": product._label(),
            "release": product.release,
            "parameters": {n: v for n, v in kwds.items() if n in names and v is not None},
            "origins": origins,
            "path": path,
            "url": url,
            "location": location,
        }


@contextlib.contextmanager
def places(options: dict[str, Any]) -> Iterator[None]:
    """Let `--sas-base-dir` and `--remote-base` win over the settings; they are taken out of `options`."""
    values = {name: options.pop(name, None) for name in ("sas_base_dir", "remote_base")}
    with contextlib.ExitStack() as overrides:
        for name, value in values.items():
            if value is not None:
                overrides.enter_context(override(f"--{name.replace('_', '-')}", **{name: value}))
        yield


def with_those_before(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subcommand's options; one that was given before the subcommand holds unless it was given again."""
    ctx = click.get_current_context()
    before = ctx.meta.get("before", {})
    return {**options, **{name: value for name, value in before.items() if not _was_given(ctx, name)}}


def _was_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _one_or_many(values: tuple[str, ...] | None) -> Any:
    """A repeated option makes a batch; one value is a value."""
    if not values:
        return None
    return values[0] if len(values) == 1 else list(values)
