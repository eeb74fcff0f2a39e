"""The command line: one table of commands, each in a file of its own that is imported when it is called."""

from __future__ import annotations

import atexit
import codecs
import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

import click

from astra_registry import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# name -> (where the command is, what `--help` says of it): so that neither needs the command's own imports.
COMMANDS = {
    "list": ("list_command", "List the installed data products."),
    "search": ("search", "Find data products by words, parameters, release or plugin."),
    "show": ("show", "Show a product's parameters, and its template in every release."),
    "resolve": ("resolve", "Print the paths, URLs or locations of products."),
    "explain": ("explain", "Tell how a product's path comes about."),
    "translate": ("translate", "Say what a product is in another release."),
    "identify": ("identify", "Tell which product lives at a path or URL."),
    "fetch": ("fetch_command", "Bring files, whole or not at all."),
    "verify": ("verify", "Check files on disk, and repair what is bad."),
    "info": ("info", "Tell what a file is and what it holds."),
    "plot": ("plot", "Draw a spectrum."),
    "plugins": ("plugins", "List, check, install and begin plugins."),
    "state": ("state", "Tasks and batches in the database: what is done, what failed."),
    "db": ("db", "The database's schema."),
    "config": ("config", "What is configured, and where it comes from."),
    "doctor": ("doctor", "Find out what is wrong with this machine."),
    "catalogue": ("catalogue", "Write the installed products as searchable HTML."),
    "stubs": ("stubs", "Write type stubs, so that editors complete product names and parameters."),
    "completion": ("completion", "Print the shell's completion script."),
}

_WORK = ("fetch", "verify")  # they do something with each file, and print a line of it

# Raised by click 8.2 and later; earlier ones print the help and exit.
_NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class LazyGroup(click.Group):
    """The commands of the table above, and those of plugins, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; one that is not ours may be a plugin's."""
        from astra_registry import installed

        installed.stdout_is_data = True
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name][0]}")
            command: click.Command = module.command
            return command
        return _plugin_command(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; that the reader of a pipe (head, less) has seen enough is no failure, unless work remains."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if not _reader_left():
                raise
            _drop_output()
            raise click.exceptions.Exit(1 if ctx.invoked_subcommand in _WORK else 0) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with what was typed, without importing any."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the close matches of a command that does not exist."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from astra_registry.errors import did_you_mean

            hint = did_you_mean(args[0], COMMANDS) if args else ""
            raise click.UsageError(f"{error.message.rstrip('.')}{hint}", ctx) from None


def _plugin_command(name: str) -> click.Command | None:
    from astra_registry.plugins import installed_plugins

    for plugin, commands in installed_plugins().call("astra_registry_commands"):
        if name in commands:
            module, _, attribute = commands[name].partition(":")
            try:
                found: Any = getattr(importlib.import_module(module), attribute)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's fault is reported as one
                plugin.fail(f"its command '{name}' cannot be imported: {error}; {plugin.way_out}")
                return None
            if isinstance(found, click.Command):
                return found
            plugin.fail(f"its command '{name}' is {found!r}, and no click.Command; {plugin.way_out}")
    return None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="astra-registry")
@click.option("--sas-base-dir", metavar="DIR", help="Where files live; in the place of $SAS_BASE_DIR.")
@click.option("--remote-base", metavar="URL", help="A server in the place of the SDSS one.")
@click.option("--database", metavar="URL", help="The database of states, as an SQLAlchemy URL.")
@click.option("--products", metavar="FILE", multiple=True, help="A products.toml to use besides the plugins.")
@click.option("--no-plugins", is_flag=True, help="Load no plugin.")
@click.option("--strict", is_flag=True, help="Make a broken plugin an error.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    products: tuple[str, ...],
    no_plugins: bool,
    strict: bool,
    **given: str | None,
) -> None:
    """Find, resolve, fetch and read the files of the SDSS Science Archive Server."""
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if products:
        values["products"] = list(products)
    if no_plugins:
        values["plugins"] = []
    if strict:
        values["strict"] = True
    if values:
        from astra_registry.settings import override

        for name, value in values.items():
            ctx.with_resource(override(f"--{name.replace('_', '-')}", **{name: value}))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and exit: 0 done, 1 it failed, 2 a wrong request, 130 interrupted, 143 terminated."""
    if arguments is None:
        _own_the_process()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    if debug:  # wherever it stands
        words.remove("--debug")
    as_before, warnings.showwarning = warnings.showwarning, _told_in_a_line
    streams = _open_streams()
    try:
        code = command.main(words, prog_name="astra-registry", standalone_mode=False)
        sys.stdout.flush()
    except _NO_ARGUMENTS as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        from astra_registry.cli.output import in_one_line

        asked = getattr(error, "ctx", None)
        hint = f"; `{asked.command_path} --help` says what would do" if asked else ""
        click.echo(f"astra-registry: {in_one_line(error.format_message()).rstrip('.')}{hint}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as end:
        asked_to = isinstance(end.__cause__ or end, _Terminated)  # click raises an Abort from it
        click.echo("terminated" if asked_to else "interrupted", err=True)
        code = 143 if asked_to else 130
    except Exception as error:  # noqa: BLE001 - the one place where an error becomes a line for a person
        code = _told(error, debug=debug)
    finally:
        warnings.showwarning = as_before
        _drop_output()
        for stream, as_it_was in streams:
            with contextlib.suppress(OSError):
                stream.reconfigure(**as_it_was)
        if "astra_registry.installed" in sys.modules:
            from astra_registry import installed

            installed.stdout_is_data = False
    sys.exit(code if isinstance(code, int) else 0)


def _own_the_process() -> None:
    """Set what belongs to a whole process, and not to a library: how garbage is looked for, and one signal."""
    # Look for garbage seldom, and not at the end: what a command makes stays, and the system takes it back. A fifth of
    # the time of `resolve` was spent on that.
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    # So says Slurm that the time is up: what was done until then is told and kept, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _terminate)


class _Terminated(KeyboardInterrupt):
    """Somebody asked the process to end."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _open_streams() -> list[tuple[io.TextIOWrapper, Mapping[str, Any]]]:
    """Let everything be printed, whatever the streams are: closed, or of an encoding that lacks a character.

    Returns the streams with the encoding and the treatment of such a character that they had before.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # The next file to be opened would get the closed one's number, and what is printed.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    codecs.register_error("astra_registry", _as_it_is)
    before: list[tuple[io.TextIOWrapper, Mapping[str, Any]]] = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            before.append((stream, {"encoding": stream.encoding, "errors": stream.errors or "strict"}))
            # No terminal lacks all but ASCII; click thinks so too, and would print ? for a byte of a name.
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else stream.encoding, errors="astra_registry")
    return before


def _as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return for what cannot be encoded the byte that it was in a file's name, or its escape, which JSON knows too."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if all("\udc80" <= character <= "\udcff" for character in text):
        return text.encode("ascii", "surrogateescape"), error.end
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)), error.end


def _reader_left() -> bool:
    """Whether it is our own output that nobody reads any more, and not another pipe that broke."""
    import select

    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _drop_output() -> None:
    """Forget what cannot be written, lest Python try again at its end, complain, and exit with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _told(error: Exception, *, debug: bool) -> int:
    """Write an error as one line to stderr, with its traceback when asked, and return the exit code."""
    from astra_registry.cli.output import in_one_line
    from astra_registry.errors import AstraRegistryError

    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, AstraRegistryError):
        click.echo(f"astra-registry: {in_one_line(error)}", err=True)
        return error.exit_code
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        click.echo(f"astra-registry: {in_one_line(f'{error.strerror or error}{place}')}", err=True)
        return 1
    click.echo(f"astra-registry: {type(error).__name__}: {in_one_line(error)} (--debug shows where)", err=True)
    return 1


def _told_in_a_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    from astra_registry.cli.output import in_one_line

    click.echo(f"warning: {in_one_line(message)}", err=True)
