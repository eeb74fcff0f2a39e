"""What people ask of the database, in Python and at the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from astra_registry.errors import IllegalMove, UnknownTask
from astra_registry.store import StateStore, Status
from astra_registry.tables import read_columns, write_table
from store.records import Planet, Star, Vanished, stars


@pytest.fixture
def filled(store: StateStore) -> StateStore:
    """Six stars in a batch (two done, two failed), a planet that runs, and one task without its plugin."""
    batch = stars(6)
    store.create_all([batch, Planet("Mars"), Vanished("Vulcan")])
    for name, status, error in [
        ("s0", 1, None),
        ("s1", 1, None),
        ("s2", 30, ValueError("no light")),
        ("s3", 60, "no file"),
    ]:
        store.start(Star(name))
        store.finish(Star(name), status, error, duration=1.5)
    store.start(Planet("Mars"))
    return store


def test_the_summary_counts_each_family_in_each_state(filled: StateStore) -> None:
    planet, star, vanished = filled.summary()

    assert (planet["family"], planet["tasks"], planet["running"], planet["batches"]) == ("planet", 1, 1, 0)
    assert (star["tasks"], star["batches"], star["succeeded"], star["failed"], star["missing"], star["created"]) == (
        (6, 1, 2, 1, 1, 2)
    )
    assert vanished["created"] == 1


def test_the_errors_are_told_with_an_example(filled: StateStore) -> None:
    errors = {row["error_type"]: row for row in filled.errors()}

    assert errors["ValueError"]["error_message"] == "no light"
    assert errors["ValueError"]["example"] == Star("s2").task_id
    assert errors[None]["status"] == "missing"


def test_pages_of_the_list_fit_together(filled: StateStore) -> None:
    pages, after = [], None
    while page := filled.tasks(limit=4, after=after):
        pages += page
        after = page[-1]["task_id"]

    assert len(pages) == len({row["task_id"] for row in pages}) == 9
    assert [row["task_id"] for row in pages] == [row["task_id"] for row in filled.tasks(limit=100)]
    with pytest.raises(UnknownTask):
        filled.tasks(after="nothing")


def test_pages_of_one_state_fit_together_and_have_the_batches_too(filled: StateStore) -> None:
    first = filled.tasks(status="created", limit=2)
    rest = filled.tasks(status=0, limit=9, after=first[-1]["task_id"])

    names = {row["task_id"] for row in first + rest}
    assert names == {Star("s4").task_id, Star("s5").task_id, stars(6).task_id, Vanished("Vulcan").task_id}
    assert [row["task_id"] for row in filled.tasks(status="running", family="planet")] == [Planet("Mars").task_id]
    assert filled.tasks(status="running", family="star") == []


def test_a_task_is_shown_with_its_batches_events_and_what_is_missing(filled: StateStore) -> None:
    shown = filled.show(Star("s2").task_id)

    assert shown["batches"] == [stars(6).task_id]
    assert [told["status"] for told in shown["events"]] == ["created", "running", "failed"]
    assert shown["events"][-1]["error_message"] == "no light"
    assert shown["events"][-1]["duration"] == 1.5
    assert shown["missing"] is None
    assert "plugin installed" in filled.show(Vanished("Vulcan").task_id)["missing"]
    assert filled.show("planet_")["task_id"] == Planet("Mars").task_id
    with pytest.raises(UnknownTask, match="several tasks begin"):
        filled.show("star_")
    with pytest.raises(UnknownTask):
        filled.show("sta%")


def test_a_batch_is_shown_with_its_members_in_order_doubles_included(store: StateStore) -> None:
    batch = Star(("b", "a", "b"))
    store.create(batch)

    shown = store.show(batch.task_id)

    assert shown["members"] == [Star(name).task_id for name in "bab"]
    assert (shown["is_batch"], shown["size"], shown["status"]) == (True, 3, "created")


def test_what_failed_is_put_back(filled: StateStore) -> None:
    assert filled.retry(family="planet") == 0
    assert filled.retry(status="missing") == 1
    assert filled.retry([stars(6).task_id]) == 1
    assert filled.counts() == {Status.CREATED: 5, Status.SUCCEEDED: 2, Status.RUNNING: 1}
    assert filled.query(Star("s2")).one().attempt == 1
    with pytest.raises(IllegalMove):
        filled.retry([Star("s0").task_id])
    with pytest.raises(IllegalMove):
        filled.retry(status="succeeded")
    with pytest.raises(UnknownTask):
        filled.retry(["nothing"])
    assert filled.retry([Planet("Mars").task_id]) == 1


def test_named_tasks_are_put_back_and_forgotten_only_when_they_are_of_the_state_and_family_that_is_asked_for(
    filled: StateStore,
) -> None:
    ids = [row["task_id"] for row in filled.tasks() if not row["is_batch"]]
    failed = [row["task_id"] for row in filled.tasks(status="failed") if not row["is_batch"]]
    before = filled.counts()

    assert filled.retry(ids, status="died") == 0
    assert filled.retry(ids, status="failed", family="comet") == 0
    assert filled.forget(ids, status="failed", family="comet") == 0
    assert filled.counts() == before
    assert filled.retry(ids, status="failed") == len(failed) == 1
    assert filled.forget(ids, status="succeeded") == before[Status.SUCCEEDED]
    assert filled.counts()[Status.CREATED] == before[Status.CREATED] + 1


def test_tasks_are_forgotten(filled: StateStore) -> None:
    assert filled.forget() == 0
    assert filled.forget(status="failed") == 1
    assert filled.forget([stars(6).task_id], cascade=True) == 6
    assert filled.forget(family="planet") == 1
    with pytest.raises(UnknownTask):
        filled.forget(["nothing"])
    assert filled.counts() == {Status.CREATED: 1}


def test_states_are_a_table_with_units_and_descriptions_in_every_format(filled: StateStore, tmp_path: Path) -> None:
    rows = list(filled.export())
    table = filled.to_table()

    assert table.colnames == list(rows[0])
    assert list(table["task_id"]) == [row["task_id"] for row in rows]
    assert str(table["duration"].unit) == "s"
    assert all(table[name].description for name in table.colnames)
    assert len(filled.to_table(status="failed")) == 1
    for ending in ("ecsv", "fits", "vot", "parquet", "feather"):
        write_table(table, tmp_path / f"states.{ending}")
        again = read_columns(tmp_path / f"states.{ending}")
        assert again["task_id"] == [row["task_id"] for row in rows], ending
        assert again.units == {"duration": "s"}, ending
        assert again.descriptions["attempt"] == table["attempt"].description, ending


def test_no_states_are_an_empty_table(tmp_path: Path) -> None:
    with StateStore(f"sqlite:///{tmp_path / 'none.sqlite'}") as store:
        assert len(store.to_table()) == 0


def test_an_export_has_every_row(filled: StateStore) -> None:
    rows = list(filled.export())

    assert len(rows) == 9
    assert {row["task_id"] for row in filled.export(status="failed")} == {Star("s2").task_id}
    assert json.loads(json.dumps(rows)) == rows


def run(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "astra_registry", *words],
        env={**os.environ, "ASTRA_REGISTRY_DATABASE": url, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def told(url: str, *words: str) -> list[dict[str, object]]:
    done = run(url, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_the_command_line_asks_the_same(filled: StateStore, url: str, tmp_path: Path) -> None:
    assert len(told(url, "state", "list")) == 9
    assert [row["task_id"] for row in told(url, "state", "list", "--status", "failed")] == [Star("s2").task_id]
    assert told(url, "state", "summary")[1]["errors"]
    assert json.loads(run(url, "state", "show", stars(6).task_id, "--json").stdout)["members"]
    assert "no light" in run(url, "state", "show", Star("s2").task_id).stdout
    assert len(list(csv.DictReader(io.StringIO(run(url, "state", "export").stdout)))) == 9
    assert run(url, "state", "export", "-o", str(tmp_path / "states.ecsv")).stdout == f"{tmp_path / 'states.ecsv'}\n"
    assert read_columns(tmp_path / "states.ecsv").size == 9
    assert told(url, "state", "retry", "--all") == [{"retried": 2}]
    assert told(url, "state", "forget", "--family", "planet") == [{"forgotten": 1}]
    assert told(url, "db", "current")[0]["revision"]
    assert told(url, "db", "check")[0]["ok"] is True
    assert "unchanged" in run(url, "db", "upgrade").stderr


def test_the_command_line_says_what_is_wrong(url: str, tmp_path: Path) -> None:
    assert told(url, "state", "list") == told(url, "state", "summary") == []
    assert run(url, "db", "check").returncode == 1
    assert run(url, "state", "show", "nothing").returncode == 2
    assert run(url, "state", "retry").returncode == 2
    wrong = run(url, "state", "list", "--database", "nonsense")
    assert wrong.returncode == 2
    assert "not the URL of a database" in wrong.stderr
    assert "--database: database is ' ', and must be text" in run(url, "state", "list", "--database", " ").stderr
    assert "Traceback" not in wrong.stderr
