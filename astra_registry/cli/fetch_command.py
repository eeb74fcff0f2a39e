"""``astra-registry fetch``: bring files, tell how it goes, and what came of each."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import click

from astra_registry.cli.keeping import Keeping
from astra_registry.cli.login import ask_for_login
from astra_registry.cli.output import in_one_line
from astra_registry.cli.products import ProductGroup, ReleaseType, existing, made, transport_names
from astra_registry.errors import AstraRegistryError, BadValue
from astra_registry.fetching import FetchResult, ProgressLine, Rows, Wanted, wanted_items
from astra_registry.fetching.export import export
from astra_registry.fetching.fetcher import Fetcher
from astra_registry.fetching.locked import LockedFile, read_lock
from astra_registry.fetching.options import as_configured
from astra_registry.fetching.plan import Plan, plan
from astra_registry.fetching.progress import size_of
from astra_registry.fetching.report import STATUSES
from astra_registry.fetching.wanted import count_of
from astra_registry.registries import registry
from astra_registry.settings import SETTINGS, override, setting

_SOURCES = {"table": "table", "urls": "list", "paths": "list", "locked": "lock file"}
_SIZES = 100  # files whose sizes the server is asked for
_TOLD = 10  # failures told one by one; the report has them all


def fetch(name: str | None, given: dict[str, Any], *, release: str | None, **options: Any) -> None:
    """Bring what the command line asks for, and exit with 1 when something is not here in the end."""
    with contextlib.ExitStack() as overrides:
        for option in [option for option in options if option in SETTINGS]:
            said = f"--{option.replace('_', '-')}"
            overrides.enter_context(override(said, **{option: options.pop(option)}))
        _fetch(name, given, release, **options)


def _fetch(name: str | None, given: dict[str, Any], release: str | None, **options: Any) -> None:
    exporting, dry_run = options.pop("export"), options.pop("dry_run")
    in_json, report, lock = options.pop("in_json"), options.pop("report"), options.pop("lock")
    for option, chosen in (("--dry-run", dry_run), ("--export", exporting)):
        if chosen and (report or lock):
            raise BadValue(f"{option} fetches nothing to tell of: leave --report and --lock out, or {option}")
    if dry_run and exporting:
        raise BadValue("--export and --dry-run: one of them at a time")
    if in_json and exporting:
        raise BadValue("--export prints what the other program reads, which is no JSON: leave --json out")
    sources = {source: options.pop(source) for source in _SOURCES}
    read = {"--from" if source == "table" else f"--{source}": file for source, file in sources.items()}
    sources = {name: existing(file, _SOURCES[name]) if file else None for name, file in sources.items()}
    line = ProgressLine(sys.stderr)
    if options.pop("login"):
        options["login"] = functools.partial(_ask_for_login, line)
    if exporting:
        _export(wanted_items(asked_for(name, given, release, **sources)), exporting)
        return
    keeping = Keeping(report, lock, read)
    wanted = asked_for(name, given, release, **sources)
    total, total_bytes = count_of(wanted), None
    how = as_configured("fetch", **options)
    how.check_servers()
    with contextlib.closing(Fetcher(how)) as fetcher:
        if dry_run:
            unusable = _FirstFew("cannot be used", "more rows cannot be used")
            _print_plan(plan(wanted_items(wanted), fetcher, ask=_SIZES, on_unusable=unusable.tell), in_json=in_json)
            return
        if any(sources.values()) and not in_json:  # one product needs no plan
            # Each connection asks once: the fetch waits for the answers.
            planned = plan(wanted_items(wanted), fetcher, ask=min(_SIZES, fetcher.options.jobs))
            if planned.to_fetch:
                click.echo(planned.summary(), err=True)
            total, total_bytes = planned.files + planned.unusable, planned.bytes_to_come
            wanted = asked_for(name, given, release, **sources)
        results = fetcher.results(
            wanted_items(wanted),
            total=total,
            total_bytes=total_bytes,
            on_progress=None if in_json else line,
            on_double=keeping.add_double if report else None,
        )
        describe = functools.partial(as_data, name=name, release=release) if in_json or report else _nothing
        counts = _taken(results, keeping, line, describe, in_json=in_json)
    if not in_json:
        told = _summary(counts) or "nothing to fetch"
        click.echo(f"{told}; {size_of(line.latest.bytes)} came over the line", err=True)
    keeping.write()
    if sum(counts.values()) != counts["fetched"] + counts["present"]:
        sys.exit(1)


def _taken(
    results: Iterable[FetchResult],
    keeping: Keeping,
    line: ProgressLine,
    describe: Callable[..., dict[str, Any]],
    *,
    in_json: bool,
) -> Counter[str]:
    """Take the results as they come, keep and tell each, and return how many there are of each status."""
    counts: Counter[str] = Counter()
    try:
        for result in results:
            counts[result.status] += 1
            described = describe(result)
            keeping.add(result, described)
            if in_json:
                click.echo(json.dumps(described, ensure_ascii=False))
            else:
                line.clear()
                _tell(result, counts)
        line.clear()
    except BaseException as error:
        line.clear()
        if isinstance(error, KeyboardInterrupt) and not in_json:
            left = f", {line.latest.total - counts.total():,} to come" if line.latest.total else ""
            click.echo(f"{_summary(counts) or 'nothing yet'}{left}; run it again to go on", err=True)
        keeping.write(ended=False)
        raise
    return counts


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status])


def asked_for(
    name: str | None,
    given: dict[str, Any],
    release: str | None,
    *,
    table: str | None = None,
    urls: str | None = None,
    paths: str | None = None,
    locked: str | None = None,
) -> Iterable[Any]:
    """Return the products, or a stream of them, that a command line asks for."""
    sources = [source for source in (table, urls, paths, locked) if source]
    if len(sources) > 1:
        raise BadValue("--from, --urls, --paths and --locked: one of them at a time")
    if name is not None and (locked or urls or paths):
        raise BadValue("a lock file, or a list of URLs or paths, tells the products by itself: leave the product out")
    if release is not None and (locked or urls or paths):
        raise BadValue("a lock file, or a list of URLs or paths, tells the releases by itself: leave the release out")
    if locked:
        base = setting("remote_base")
        return (file.wanted(sas_base_dir=setting("sas_base_dir"), remote_base=base) for file in read_lock(locked))
    if urls or paths:
        return identified(urls or paths or "")
    if table:
        from astra_registry.rows import products_of

        stream = products_of(table, registry, product=name, release=release, **given)
        first = list(itertools.islice(stream, 1))  # a table that cannot be used is refused before anything begins
        return itertools.chain(first, stream)
    if name is None:
        raise BadValue("say what to fetch: a product, or --from TABLE, --urls FILE, --paths FILE or --locked FILE")
    return [made(name, release, given)]


def identified(listing: str) -> Iterator[Any]:
    """Yield the product that lives at each URL or path of a list, with its line; an error in the place of none."""
    from astra_registry.tables.formats import check_encoding

    with open(listing, "rb") as stream:
        beginning = stream.read(512)
    check_encoding(listing, beginning[:4])
    if _is_a_table(beginning):
        raise BadValue(f"'{listing}' is a table, and no list with a URL or path a line: give it with --from")
    with open(listing, encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            try:
                yield Rows(registry.identify(text), (number,))
            except AstraRegistryError as error:
                yield Rows(type(error)(f"line {number}: {error}"), (number,))


def _is_a_table(beginning: bytes) -> bool:
    """Whether a file is one by its first bytes, or has a line of names where a list has a URL or a path."""
    first = beginning.partition(b"\n")[0]
    known = (b"SIMPLE  =", b"PAR1", b"# %ECSV", b"<?xml", b"<VOTABLE")
    return beginning.startswith(known) or (b"," in first and b"/" not in first and not first.startswith(b"#"))


def as_data(result: FetchResult, name: str | None = None, release: str | None = None) -> dict[str, Any]:
    """Return a result as a line of `--json` has it."""
    product = result.product
    parameters: dict[str, Any] = {}
    if isinstance(product, LockedFile):
        name, release, parameters = product.product, product.release, product.parameters
    elif product is not None and hasattr(product, "product_parameters"):
        name, release, parameters = product._label(), product.release, product._own_values()
    return {
        "product": name,
        "release": release,
        "parameters": parameters,
        "url": result.url,
        "path": result.path,
        "status": result.status,
        "bytes": result.bytes,
        "sha1": result.sha1,
        "seconds": round(result.seconds, 3),
        "attempts": result.attempts,
        "error": result.error,
        "row": result.row,
    }


def _nothing(_: FetchResult) -> dict[str, Any]:
    return {}


def _ask_for_login(line: ProgressLine, host: str) -> tuple[str, str] | None:
    line.clear()
    return ask_for_login(host)


def _export(items: Iterator[Wanted], style: str) -> None:
    """Print the list for another program; exit with 1 when something had to be left out of it."""
    left_out = _FirstFew("left out", "more were left out: --dry-run says how many rows cannot be used")
    elsewhere = 0

    def noted() -> Iterator[Wanted]:
        nonlocal elsewhere
        for item in items:
            elsewhere += len(item.urls) > 1
            yield item

    for line in export(noted(), style, left_out.tell):
        click.echo(line)
    if elsewhere and style != "aria2":
        told = f"{elsewhere:,} of these may be at another location, which {style} has no way to be told: aria2 has"
        click.echo(told, err=True)
    if left_out.count:
        sys.exit(1)


class _FirstFew:
    """Tells on stderr what cannot be fetched: the first few a line each, and that there are more."""

    def __init__(self, what: str, more: str) -> None:
        self.count = 0
        self._what = what
        self._more = more

    def tell(self, item: Wanted, reason: object) -> None:
        self.count += 1
        if self.count <= _TOLD:
            place = f"{item.urls[0]}: " if item.urls else ""
            click.echo(f"{self._what}: {place}{in_one_line(reason)}", err=True)
        elif self.count == _TOLD + 1:
            click.echo(self._more, err=True)


def _print_plan(planned: Plan, *, in_json: bool) -> None:
    if not in_json:
        click.echo(planned.summary())
        return
    told = {**attrs.asdict(planned), "to_fetch": planned.to_fetch, "bytes": planned.bytes, "has_room": planned.has_room}
    click.echo(json.dumps(told))


def _tell(result: FetchResult, counts: Counter[str]) -> None:
    """Print the path of a file that is here; tell the first failures, one line each."""
    if result.ok:
        click.echo(result.path)
        return
    failures = sum(counts[status] for status in ("missing", "unauthorized", "failed"))
    if failures <= _TOLD:
        where = result.url or result.path
        click.echo(f"{result.status}: {f'{where}: ' if where else ''}{result.error}", err=True)
    elif failures == _TOLD + 1:
        click.echo("more failures: --report FILE or --json tells them all", err=True)


def without_product(release: str | None, **options: Any) -> None:
    """Fetch what a table, a list or a lock file names."""
    fetch(None, {}, release=release, **options)


command = ProductGroup(
    "fetch",
    run=fetch,
    without_product=without_product,
    options_without_product=[
        click.Option(["--release"], type=ReleaseType(), metavar="R", help="The release of all rows of --from TABLE.")
    ],
    options=[
        click.Option(["--from", "table"], metavar="TABLE", help="A table, a row a file; - is standard input."),
        click.Option(["--urls"], metavar="FILE", help="A list of URLs, one a line; - is standard input."),
        click.Option(["--paths"], metavar="FILE", help="A list of paths, one a line; - is standard input."),
        click.Option(["--locked"], metavar="FILE", help="Bring exactly what a lock file says."),
        click.Option(["--lock"], metavar="FILE", help="Write what was fetched, with sizes and checksums."),
        click.Option(["--report"], metavar="FILE", help="Write what came of each row, as a table."),
        click.Option(["--export"], type=click.Choice(["urls", "aria2", "curl", "rsync"]), help="For another program."),
        click.Option(["--dry-run"], is_flag=True, help="Say what would be done."),
        click.Option(["--jobs"], type=click.IntRange(1), metavar="N", help="How many files at once (16)."),
        click.Option(["--overwrite"], is_flag=True, default=None, help="Bring what is here already again."),
        click.Option(
            ["--transport"],
            metavar="NAME",
            shell_complete=transport_names,
            help="http, rsync, file, or one that a plugin brings.",
        ),
        click.Option(["--mirrors"], metavar="URLS", help="More servers, asked in turn; commas between them."),
        click.Option(["--link"], is_flag=True, help="Links in the place of copies (transport file)."),
        click.Option(["--timeout"], type=float, metavar="S", help="A silent line is given up after S seconds (30)."),
        click.Option(["--connect-timeout"], type=float, metavar="S", help="To connect takes at most S seconds (10)."),
        click.Option(["--retries"], type=click.IntRange(0), metavar="N", help="Try a file again N times (5)."),
        click.Option(
            ["--checksums"],
            type=click.Choice(["auto", "always", "never"]),
            help="Compare with *.sha1sum listings (auto: where that costs little).",
        ),
        click.Option(["--ca-bundle"], metavar="FILE", help="The certificates to trust."),
        click.Option(["--limit-rate"], metavar="RATE", help="Bytes a second at most: 500k, 2M."),
        click.Option(["--login"], is_flag=True, help="Ask for a name and password when none are found."),
        click.Option(["--json", "in_json"], is_flag=True, help="A JSON line for each file."),
    ],
    help="Bring files: whole or not at all, each once; run it again and what is here stays.",
)
