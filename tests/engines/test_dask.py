"""A Dask cluster runs our tasks in chunks, and does those of dead workers again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest

from astra_registry import InvalidParameter, StateStore, Status, run
from engines.work import Deadly, Failing, Square, Sum


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )
    connected = distributed.Client(cluster)
    connected.run(_find_modules, str(Path(__file__).parent.parent))
    yield connected
    connected.close()
    cluster.close()


def _find_modules(folder: str) -> None:
    import sys

    sys.path.insert(0, folder)


def test_a_batch_is_spread_over_the_cluster(client: distributed.Client, store: StateStore, folder: str) -> None:
    batch = Square(folder=folder, number=range(200))

    report = run(batch, client=client, store=store)

    assert report.ok
    assert [outcome.task.number for outcome in report] == list(range(200))
    assert store.counts() == {Status.SUCCEEDED: 200}
    assert len({Path(folder, f"Square-{i}").read_text().split()[1] for i in range(200)}) == 2


def test_what_a_task_requires_is_done_first(client: distributed.Client, store: StateStore, folder: str) -> None:
    report = run(Sum(folder=folder, upto=5), client=client, store=store)

    assert report.ok
    assert Path(folder, "Sum-5").read_text() == "30"


def test_a_client_that_was_closed_is_refused(client: distributed.Client, store: StateStore, folder: str) -> None:
    other = distributed.Client(client.scheduler.address)
    other.close()

    with pytest.raises(InvalidParameter, match="client is closed"):
        run(Square(folder=folder, number=1), client=other, store=store)


def test_a_failure_is_reported(client: distributed.Client, store: StateStore, folder: str) -> None:
    Path(folder, "fail-3").write_text("9")

    report = run(Failing(folder=folder, number=range(10)), client=client, store=store)

    assert [outcome.task.number for outcome in report.failed] == [3]
    row = store.query(Failing(folder=folder, number=3)).one()
    assert (row.status, row.error_message) == (Status.FAILED, "no light for 3")
    assert "Traceback" in (row.traceback or "")


def test_the_tasks_of_a_dead_worker_are_done_by_others(store: StateStore, folder: str) -> None:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as own,
    ):
        own.run(_find_modules, str(Path(__file__).parent.parent))
        own.register_plugin(_Path(str(Path(__file__).parent.parent)))

        report = run(Deadly(folder=folder, number=range(40)), client=own, store=store)

    assert report.ok
    assert Path(folder, "dead-7").exists()
    assert store.counts() == {Status.SUCCEEDED: 40}


class _Path(distributed.WorkerPlugin):
    """A worker that is started anew finds the tests' modules too."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def setup(self, worker: object) -> None:
        _find_modules(self.folder)
