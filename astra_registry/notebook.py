"""What a notebook shows: products, batches, registries, trees, plugins and reports as compact tables of HTML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from astra_registry.errors import AstraRegistryError

ROWS = 10  # of a list whose whole is too long to look at

_CELL = "text-align:left;vertical-align:top"
_BAD = ("missing", "unauthorized", "failed", "died", "broken", "conflict")


def of_product(product: Any) -> str:
    """Return a product's parameters and where each comes from, its path and its URL; of a batch, its first rows."""
    if product.is_batch_mode:
        return _of_batch(product)
    origins = product.param_origins
    rows = [
        (name, _value(value), "" if origins.get(name) == "given" else origins.get(name, ""))
        for name, value in product._own_values().items()
    ]
    places = [("path", _or_reason(lambda: product.local_path)), ("url", _Link(_or_reason(lambda: product.remote_path)))]
    table = _table([*rows, *((name, place, "") for name, place in places)], ("parameter", "value", ""))
    return f"{_title(product._label(), product.release)}{table}"


def of_registry(registry: Any) -> str:
    """Return how many products there are and from whom, the first of them, and first of all what is wrong."""
    names, plugins = registry.names(), registry.plugins
    ailing = [plugin for plugin in plugins if plugin.error]
    title = _title("Registry", f"{_count(len(names), 'product')} from {_count(len(plugins), 'plugin')}")
    if not names:
        note = _note("no plugin brings a product: <code>pip install astra-registry-sdsstree</code> brings all of SDSS")
        return f"{title}{of_plugins(plugins) if plugins else ''}{note}"
    # First what somebody wrote by hand, then the hundreds that come with the tree.
    ours = [name for plugin in sorted(plugins, key=lambda p: len(p.products)) for name in plugin.products]
    rows = [(d.name, d.summary, d.releases_in_words) for d in _declarations(registry, dict.fromkeys([*ours, *names]))]
    table = _table(rows, ("product", "what it is", "releases"))
    more = _more(len(names) - len(rows), "registry.search(…)", "finds them")
    return f"{title}{of_plugins(ailing) if ailing else ''}{table}{more}"


def of_plugins(plugins: Sequence[Any]) -> str:
    """Return a table of plugins: who brings them, whether they work, and how many products they bring."""
    rows = [
        (p.name, f"{p.distribution} {p.version}", _Marked(p.status), _some(p.products), p.error or "") for p in plugins
    ]
    return _table(rows, ("plugin", "distribution", "status", "products", ""))


def of_tree(tree: Any) -> str:
    """Return a release: its servers and folders, and the first of its paths."""
    facts = [
        ("server", f"{tree.remote_base} ({'public' if tree.public else 'for the collaboration'})"),
        ("files", tree.sas_base_dir),
    ]
    rows = list(islice(tree.templates.items(), ROWS))
    more = _more(len(tree.templates) - len(rows), "tree.lookup_names()", "has all")
    title = _title("Tree", f"{tree.release}, {_count(len(tree.templates), 'path')}")
    return f"{title}{_table(facts)}{_table([(name, _Code(text)) for name, text in rows], ('path', 'template'))}{more}"


def of_report(report: Any) -> str:
    """Return what came of a fetch: the summary, then what failed, then the rest."""
    shown = _failures_first(report)
    rows = [(_Marked(r.status), _file(r), _bytes(r.bytes), r.error or "") for r in shown]
    more = _more(len(report) - len(shown), "report.to_table()", "has all")
    return f"{_title('FetchReport', report.summary())}{_table(rows, ('status', 'file', 'size', ''))}{more}"


def of_run(report: Any) -> str:
    """Return what became of tasks: how many are in which state, then those that are not done, then the rest."""
    shown = _failures_first(report)
    rows = [(_state(o.status), _value(_label(o.task)), _seconds(o.duration), o.error or "") for o in shown]
    more = _more(len(report) - len(shown), "report.to_table()", "has all")
    counted = ", ".join(f"{number:,} {status.name.lower()}" for status, number in sorted(report.counts().items()))
    title = _title("Report", f"{_count(len(report), 'task')}{f': {counted}' if counted else ''}")
    return f"{title}{_table(rows, ('state', 'task', 'time', '')) if rows else ''}{more}"


def of_outcome(outcome: Any) -> str:
    """Return what became of one task."""
    rows = [
        ("state", _state(outcome.status)), ("task", _label(outcome.task)), ("error", outcome.error),
        ("time", _seconds(outcome.duration)), ("attempts", str(outcome.attempts)),
    ]  # fmt: skip
    return _table([row for row in rows if row[1]])


def of_result(result: Any) -> str:
    """Return what came of one file."""
    rows = [
        ("status", _Marked(result.status)), ("error", result.error), ("path", result.path),
        ("url", _Link(result.url or "")),
        ("size", _bytes(result.bytes)), ("sha1", result.sha1), ("requests", str(result.attempts)),
        ("time", f"{result.seconds:.2f} s"),
    ]  # fmt: skip
    return _table([row for row in rows if row[1]])


class _Code(str):
    """Text that is code."""

    __slots__ = ()


class _Link(str):
    """A URL, or why there is none."""

    __slots__ = ()


class _File(str):
    """A path, of which the file's name is shown and the rest is there to be pointed at."""

    __slots__ = ()


class _Marked(str):
    """A status, coloured when it is a bad one."""

    __slots__ = ()


def _of_batch(batch: Any) -> str:
    size = batch.get_batch_size()
    title = _title(batch._label(), f"{batch.release}, a batch of {size:,}")
    own = batch._own_values()
    columns = {name: value for name, value in own.items() if batch._is_column(batch._spellings[name], value)}
    alike = ", ".join(f"{name} = {_value(value)}" for name, value in own.items() if name not in columns)
    shown = batch[:ROWS] if size > ROWS else batch
    paths = _or_reason(lambda: shown.local_paths)
    if isinstance(paths, str):
        return f"{title}{_note(_escaped(paths))}"
    rows = [
        (str(i), *(_value(cell) for cell in cells), _File(path))
        for i, (*cells, path) in enumerate(zip(*(column[:ROWS] for column in columns.values()), paths, strict=True))
    ]
    same = _note(_escaped(f"for all: {alike}")) if alike else ""
    more = _more(size - len(rows), "batch.to_table()", "has all")
    return f"{title}{_table(rows, ('', *columns, 'file')) if rows else ''}{same}{more}"


def _failures_first(report: Any) -> Sequence[Any]:
    """Return what is shown of a report: what failed, at most a hundred, before what went well."""
    return sorted(report, key=lambda one: one.ok)[: max(ROWS, min(len(report.failed), 10 * ROWS))]


def _or_reason(make: Any) -> Any:
    """Return what is made, or why it cannot be: a display is no place to raise."""
    try:
        return make()
    except AstraRegistryError as error:
        return str(error)


def _declarations(registry: Any, names: Iterable[str]) -> Iterator[Any]:
    for name in islice(names, ROWS):
        try:
            yield registry.declaration(name)
        except AstraRegistryError:
            continue  # claimed by two: the plugins' table says so


def _state(status: Any) -> str:
    return _Marked(status.name.lower())


def _label(task: Any) -> str:
    return getattr(task, "task_id", None) or repr(task)


def _seconds(duration: float | None) -> str:
    return "" if duration is None else f"{duration:.2f} s"


def _file(result: Any) -> str:
    return _File(result.path or result.url or "")


def _value(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names):,}: {', '.join(names[:3])}, …"


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    amount, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{size:,} bytes" if units[0] == "bytes" else f"{amount:.3g} {units[0]}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _title(name: str, told: str) -> str:
    return f"<div><strong>{_escaped(name)}</strong> {_escaped(told)}</div>"


def _more(number: int, code: str, does: str) -> str:
    """Return the note of how many are not shown, and what shows them; nothing when all are."""
    return _note(f"… and {number:,} more: <code>{code}</code> {does}") if number > 0 else ""


def _note(told: str) -> str:
    """Return a line of HTML below a table."""
    return f"<div><small>{told}</small></div>"


def _table(rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> str:
    head = "".join(f"<th style='{_CELL}'>{_escaped(title)}</th>" for title in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    text = _escaped(str(value))
    if isinstance(value, _Code):
        text = f"<code>{text}</code>"
    elif isinstance(value, _Link) and value.startswith(("https://", "http://")):
        text = f"<a href='{text}'>{text}</a>"
    elif isinstance(value, _File):
        text = f"<span title='{text}'>{_escaped(os.path.basename(value))}</span>"
    elif isinstance(value, _Marked):
        text = f"<b style='color:#c9372c'>{text}</b>" if value in _BAD else text
    return f"<td style='{_CELL}'>{text}</td>"


def _escaped(text: str) -> str:
    import html  # its table of entities is large, and only notebooks need it

    return html.escape(text)
