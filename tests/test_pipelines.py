"""How pipelines use tasks and products: the four ways of the 2021 system, as one would write them today."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astra_registry_apstar import ApStarFile

from astra_registry import StateStore, Status, Task, parameter, registry, run
from astra_registry.settings import override
from astra_registry.target import Target
from astra_registry.testing.sas import EmbeddedSas

DATA = Path(__file__).parent / "data" / "sas"
OBJECTS = ["2M03290406+3117075", "2M00005143+5615568", "2M00000000+0000000"]
FIELDS = ["4587", "4264", "4264"]


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[StateStore]:
    """The store of the settings, beside an empty folder of files and an archive on loopback."""
    with (
        EmbeddedSas(DATA) as sas,
        override(
            database=f"sqlite:///{tmp_path / 'states.db'}", sas_base_dir=str(tmp_path / "sas"), remote_base=sas.url
        ),
    ):
        yield StateStore.default()
        StateStore.default().close()


class Analysis(Task):
    """What the analyses of a pipeline have in common."""

    order: int = parameter("The order of the continuum.", default=3)


class MeasureSignal(Analysis, ApStarFile):
    """The signal-to-noise ratio of each star."""

    loaded = 0

    def requires(self) -> dict[str, Any]:
        return {"observation": ApStarFile(**self.get_common_param_kwargs(ApStarFile))}

    def output(self) -> Any:
        if self.is_batch_mode:
            return [star.output() for star in self.get_batch_tasks()]
        return Target(f"{self.output_base_dir}/{self.order}/{self.obj}.txt")

    def run(self) -> None:
        from astropy.io import fits

        type(self).loaded += 1  # a model, which takes a while and is wanted once
        for star in self.get_batch_tasks():
            if star.complete():
                continue
            began = time.monotonic()
            with fits.open(star.get_input("observation").path) as hdus:
                signal = float(np.nanmedian(hdus[1].data / hdus[2].data))
            target = Path(star.output().path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"{signal}\n")
            star.trigger_event_processing_time(time.monotonic() - began, cascade=True)


def test_an_analysis_mixes_a_product_in_loads_its_model_once_and_records_each_star(store: StateStore) -> None:
    MeasureSignal.loaded = 0
    stars = MeasureSignal(release="dr13", telescope="apo25m", field=FIELDS[:2], obj=OBJECTS[:2], use_remote=True)
    stars.create_state()

    stars.run()
    stars.run()

    assert stars.complete()
    assert MeasureSignal.loaded == 2, "once a run, not once a star"
    assert store.status(stars) is Status.SUCCEEDED
    row = stars[0].query_state().one()
    assert (row.family, row.status_code) == ("MeasureSignal", 1)
    assert row.duration > 0
    assert stars.output()[0].path.endswith(f"/mwm/astra/1.0.0/MeasureSignal/3/{OBJECTS[0]}.txt")
    assert stars.clone(order=5)[0].output().path.endswith(f"/5/{OBJECTS[0]}.txt")


def test_a_nightly_job_turns_rows_of_a_database_into_products() -> None:
    with sqlite3.connect(":memory:") as nights:
        nights.row_factory = sqlite3.Row
        nights.execute("CREATE TABLE star (apogee_id TEXT, location TEXT, scope TEXT)")
        nights.executemany("INSERT INTO star VALUES (?, ?, 'apo25m')", list(zip(OBJECTS, FIELDS, strict=True)))
        rows = nights.execute("SELECT apogee_id, location AS field, scope AS telescope FROM star").fetchall()
    nights.close()

    stars = ApStarFile.from_table(rows, release="dr13")
    renamed = {"apogee_id": "obj", "field": "field", "telescope": "telescope"}
    one_by_one = [ApStarFile(release="dr13", **{renamed[name]: row[name] for name in row.keys()}) for row in rows]  # noqa: SIM118

    assert list(stars) == one_by_one
    assert [star.obj for star in stars] == OBJECTS


def test_an_audit_lists_what_is_missing_with_its_keys_and_urls() -> None:
    stars = ApStarFile(release="dr13", telescope="apo25m", field=FIELDS, obj=OBJECTS)
    stars[1].get_remote()

    here = set(ApStarFile.bulk_complete(stars))
    missing = [star for star in stars if star not in here]

    assert here == {stars[1]}
    assert [star.param_kwargs["obj"] for star in missing] == [OBJECTS[0], OBJECTS[2]]
    assert all(star.remote_path.endswith(f"{star.obj}.fits") for star in missing)


def test_work_is_fanned_out_in_batches(store: StateStore) -> None:
    class Night(MeasureSignal):
        max_batch_size = 2

    stars = Night(release="dr13", telescope="apo25m", field=FIELDS, obj=OBJECTS, use_remote=True)

    assert [part.get_batch_size() for part in stars.split()] == [2, 1]
    report = run(stars, workers=2)

    assert [outcome.status for outcome in report] == [Status.SUCCEEDED, Status.SUCCEEDED, Status.MISSING]
    assert registry["apStar"] is ApStarFile
    assert store.status(stars) is Status.MISSING
