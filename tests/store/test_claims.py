"""Tasks are claimed once, for as long as their claimer lives."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from astra_registry.errors import IllegalMove, InvalidParameter
from astra_registry.store import StateStore, Status
from astra_registry.store.model import TaskState
from astra_registry.store.schema import event, lease, task
from store.records import Comet, Planet, Star, Vanished, stars

WORKER = Path(__file__).with_name("worker.py")


class Workers:
    """Other processes that work at the tasks of a database; none of them outlives its test."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, url: str, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        command = [sys.executable, str(WORKER), url, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stdin": subprocess.PIPE}
        self._started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return self._started[-1]

    def start_and_hear(self, word: str, url: str, *arguments: str) -> subprocess.Popen[str]:
        """Start one, and return it when it has said that word."""
        process = self.start(url, *arguments)
        hear(process, word)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """Kill it, as a machine that fails would."""
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    def close(self) -> None:
        for process in self._started:
            self.end(process)


def hear(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.close()


def events(store: StateStore, status: Status) -> Counter[str]:
    """How often each task was told to have that state."""
    asked = select(task.c.task_id).join(event, task.c.pk == event.c.task_pk).where(event.c.status_code == status)
    with store.engine.connect() as connection:
        return Counter(connection.scalars(asked))


def test_each_task_is_claimed_once_and_in_the_order_of_the_batch(store: StateStore, url: str) -> None:
    batch = stars(10)
    store.create(batch)

    with StateStore(url) as other:
        first, second = store.claim(4, of=batch, owner="night"), other.claim(10, of=batch)

        assert [star.names for star in first] == ["s0", "s1", "s2", "s3"]
        assert [star.names for star in second] == ["s4", "s5", "s6", "s7", "s8", "s9"]
        assert store.claim(1, of=batch) == other.claim(1) == []
        assert store.counts() == {Status.RUNNING: 10}
        assert store.query(Star("s0")).one().attempt == 1


def test_a_claimed_task_is_the_task_itself(store: StateStore) -> None:
    store.create(Star("Vega"))

    assert store.claim(1) == [Star("Vega")]


def test_claims_keep_to_a_family_a_batch_a_query_or_a_task(store: StateStore) -> None:
    batch = stars(2)
    store.create_all([batch, Star("Vega"), Planet("Mars"), Planet("Venus")])

    assert store.claim(1, of="planet") == [Planet("Mars")]
    assert store.claim(5, of="moon") == []
    assert store.claim(5, of=Star("Vega")) == [Star("Vega")]
    assert {star.names for star in store.claim(5, of=batch)} == {"s0", "s1"}
    query = store.session_query().filter(TaskState.family == "planet")
    assert store.claim(5, of=query) == [Planet("Venus")]
    assert store.claim(5, of=select(task.c.pk)) == []
    with pytest.raises(InvalidParameter, match="a batch, a query or a family"):
        store.claim(1, of=7)


def test_of_a_query_with_a_limit_those_are_claimed_that_it_lets_through(store: StateStore) -> None:
    store.create_all([Planet("Mars"), Planet("Venus"), Planet("Earth")])
    query = store.session_query().order_by(TaskState.pk.desc()).limit(2)

    assert set(store.claim(5, of=query)) == {Planet("Earth"), Planet("Venus")}


def test_a_batch_that_is_not_recorded_yet_is_recorded_when_claimed(store: StateStore) -> None:
    assert len(store.claim(2, of=stars(3))) == 2
    assert store.counts() == {Status.RUNNING: 2, Status.CREATED: 1}


def test_a_member_that_a_batch_has_twice_is_claimed_once(store: StateStore) -> None:
    assert store.claim(5, of=Star(("Vega", "Vega"))) == [Star("Vega")]


@pytest.mark.parametrize(
    ("number", "lease_seconds"),
    [(-1, 60), (True, 60), (1.5, 60), (1, 0), (1, float("nan")), (1, "60"), (1, True), (1, None)],
)
def test_an_impossible_claim_is_refused(store: StateStore, number: int, lease_seconds: float) -> None:
    with pytest.raises(InvalidParameter):
        store.claim(number, lease=lease_seconds)


def test_to_start_what_one_has_claimed_counts_no_second_attempt(store: StateStore) -> None:
    store.create(Star("Vega"))
    store.claim(1)

    store.start(Star("Vega"))

    assert store.query(Star("Vega")).one().attempt == 1
    assert sum(events(store, Status.RUNNING).values()) == 1


def test_a_batch_that_is_started_while_others_claim_leaves_them_what_they_got(url: str, workers: Workers) -> None:
    batch = stars(3000)
    with StateStore(url) as store:
        store.create(batch)
        taker = workers.start_and_hear("ready", url, "take", "20")
        while not store.counts()[Status.RUNNING]:
            time.sleep(0.001)

        store.start(batch)

        hear(taker, "taken")
        assert set(events(store, Status.RUNNING).values()) == {1}
        with store.engine.connect() as connection:
            assert set(connection.scalars(select(task.c.attempt).where(task.c.is_batch.is_(False)))) == {1}


def test_what_returns_can_be_claimed_again(store: StateStore) -> None:
    batch = stars(3)
    store.create(batch)
    store.claim(3, of=batch)

    store.finish(Star("s1"), Status.CREATED)

    assert store.claim(3, of=batch) == [Star("s1")]
    assert store.query(Star("s1")).one().attempt == 2


def test_tasks_whose_plugin_is_not_here_are_left_to_others(store: StateStore) -> None:
    store.create_all([Vanished("Vulcan"), Star("Vega"), Vanished("Nemesis")])

    assert store.claim(5) == [Star("Vega")]
    assert store.status(Vanished("Vulcan")) is Status.CREATED


def test_a_task_that_cannot_be_made_again_is_broken_and_tells_why(store: StateStore) -> None:
    store.create_all([Comet("Biela"), Star("Vega")])

    assert store.claim(5) == [Star("Vega")]

    row = store.query(Comet("Biela")).one()
    assert (row.status, row.error_type, row.error_message) == (Status.BROKEN, "ValueError", "comets do not return")


def test_a_store_that_closes_gives_back_what_it_claimed(url: str) -> None:
    with StateStore(url) as store:
        store.create(Star("Vega"))
        store.claim(1)
    with StateStore(url) as other:
        assert other.claim(1) == [Star("Vega")]
        assert other.query(Star("Vega")).one().attempt == 2


def test_a_lease_is_renewed_while_its_process_lives(url: str, workers: Workers) -> None:
    with StateStore(url) as store:
        store.create(Star("Vega"))
        workers.start_and_hear("claimed", url, "hold", "0.6")

        first = end_of_lease(store)
        deadline = time.monotonic() + 60
        while end_of_lease(store) <= first or time.time() <= first:
            assert time.monotonic() < deadline
            time.sleep(0.05)

        assert store.claim(1) == []
        with pytest.raises(IllegalMove, match="is claimed by 'holder'"):
            store.finish(Star("Vega"), Status.SUCCEEDED)
        with pytest.raises(IllegalMove, match="is claimed by 'holder'"):
            store.start(Star("Vega"))


def end_of_lease(store: StateStore) -> float:
    with store.engine.connect() as connection:
        return float(connection.execute(select(lease.c.until)).scalar_one())


def test_the_tasks_of_the_dead_return_at_once_on_the_same_machine(url: str, workers: Workers) -> None:
    with StateStore(url) as store:
        store.create(Star("Vega"))
        holder = workers.start_and_hear("claimed", url, "hold", "3600")
        assert store.claim(1) == []

        workers.end(holder)

        assert store.claim(1) == [Star("Vega")]
        assert store.query(Star("Vega")).one().attempt == 2
        assert events(store, Status.CREATED)[Star("Vega").task_id] == 2


def test_a_lease_that_ended_elsewhere_returns_its_tasks_once(store: StateStore, url: str) -> None:
    """Of a process on another machine, only its lease is known."""
    batch = stars(20)
    store.create(batch)
    store.claim(20, of=batch)
    with store.engine.begin() as connection:
        connection.execute(lease.update().values(process="another/pid:[1]/1/1", until=time.time() - 1))
    with StateStore(url) as one, StateStore(url) as two:
        returned: list[int] = []
        threads = [threading.Thread(target=lambda s=s: returned.append(s.recover())) for s in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(returned) == [0, 20]
    assert store.counts() == {Status.CREATED: 20}
    assert set(events(store, Status.CREATED).values()) == {2, 1}


def test_a_lease_ends_with_its_last_task(store: StateStore) -> None:
    store.create(stars(2))
    for star in store.claim(2, lease=0.3):
        store.finish(star, Status.SUCCEEDED)

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with store.engine.connect() as connection:
            if connection.execute(select(lease.c.pk)).first() is None:
                break
        time.sleep(0.05)
    else:
        raise AssertionError("the lease is still there")
    deadline = time.monotonic() + 60
    while any(thread.name == "astra-registry-leases" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_fork_claims_nothing_of_its_parent(url: str) -> None:
    with StateStore(url) as store:
        store.create_all([Star("Vega"), Star("Deneb")])
        (mine,) = store.claim(1)
        child = os.fork()
        if child == 0:
            try:
                others = store.claim(5)
                store.finish(others[0], Status.SUCCEEDED)
                store.close()
                os._exit(0 if len(others) == 1 and others[0] != mine else 1)
            except BaseException:  # noqa: BLE001
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        assert store.status(mine) is Status.RUNNING
        store.finish(mine, Status.SUCCEEDED)
        assert store.counts() == {Status.SUCCEEDED: 2}


def test_workers_killed_at_random_moments_lose_and_double_nothing(url: str, workers: Workers) -> None:
    """Eight processes, of which twelve in a row are killed: each task is done exactly once in the store."""
    batches, chance = [stars(200)], random.Random(1)
    with StateStore(url) as store:
        store.create(batches[0])
        team = [workers.start(url, "work", "7") for _ in range(8)]
        killed = 0
        deadline = time.monotonic() + 240
        while killed < 12 or set(store.counts()) != {Status.SUCCEEDED}:
            assert time.monotonic() < deadline, store.counts()
            time.sleep(chance.uniform(0.05, 0.3))
            if killed < 12:
                # There is work left to be killed at, however fast the workers are and however slow this loop.
                while store.counts()[Status.CREATED] < 50:
                    batches.append(stars(100, prefix=f"b{len(batches)}-"))
                    store.create(batches[-1])
                i = chance.randrange(8)
                if events(store, Status.SUCCEEDED) and team[i].poll() is None:
                    workers.end(team[i])
                    killed += 1
                    team[i] = workers.start(url, "work", "7")

        number = sum(batch.get_batch_size() for batch in batches)
        assert {store.status(batch) for batch in batches} == {Status.SUCCEEDED}
        assert set(events(store, Status.SUCCEEDED).values()) == {1}
        assert len(events(store, Status.SUCCEEDED)) == number
        attempts, runs = store.session_query(), events(store, Status.RUNNING)
        assert all(row.attempt == runs[row.task_id] for row in attempts.filter(TaskState.is_batch.is_(False)))
