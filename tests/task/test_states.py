"""The state methods of a task: its row made, asked for, changed and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Query

from astra_registry import (
    IllegalMove,
    InvalidParameter,
    StateStore,
    Status,
    Task,
    UnknownParameter,
    UnknownTask,
    parameter,
)
from astra_registry.settings import override


class Fit(Task):
    """Fits a star."""

    star: str = parameter("Which star.", batch=True)
    order: int = parameter("The order of the fit.", default=3)
    verbose: bool = parameter("Whether to talk.", default=False, significant=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with StateStore(f"sqlite:///{tmp_path / 'states.db'}") as opened:
        yield opened


def test_the_default_store_is_used_unless_another_is_given(tmp_path: Path, store: StateStore) -> None:
    with override(database=f"sqlite:///{tmp_path / 'default.db'}"):
        Fit(star="Vega").create_state()
        Fit(star="Deneb").create_state(store=store)

        assert Fit(star="Vega").query_state().count() == 1
        assert Fit(star="Deneb").query_state().count() == 0
        StateStore.default().close()
    assert store.counts() == {Status.CREATED: 1}


def test_a_row_has_the_parameters_and_gives_the_task_back(store: StateStore) -> None:
    fit = Fit(star="1e5", order="4", verbose=True)

    row = fit.create_state(store=store)

    assert json.loads(row.parameters or "")["star"] == "1e5"
    loaded = store.load(fit.task_id)
    assert loaded == fit
    assert dict(loaded.param_kwargs) == dict(fit.param_kwargs)


def test_a_row_is_not_filled_with_what_nobody_asked_for_and_makes_no_difference(store: StateStore) -> None:
    given, whole = Fit(star="Vega", verbose=False), Fit(star=["Deneb", "Altair"])
    whole.create_state(store=store)
    given.create_state(store=store)

    kept = {task["task_id"]: set(task["parameters"]) for task in store.tasks() if not task["is_batch"]}

    told = set(whole[0].to_str_params()) - {"verbose"}
    assert kept == {whole[0].task_id: told, whole[1].task_id: told, given.task_id: told | {"verbose"}}
    for task in whole:
        assert dict(store.load(task.task_id).param_kwargs) == dict(task.param_kwargs)


def test_a_batch_is_loaded_whoever_recorded_its_members_first_and_how(store: StateStore) -> None:
    """What does not tell one task from another may differ between their rows."""
    Fit(star="Vega", verbose=True).create_state(store=store)
    batch = Fit(star=["Deneb", "Vega"])
    batch.create_state(store=store)

    assert store.load(batch.task_id) == batch
    assert store.load(Fit(star="Vega").task_id).verbose is True


def test_a_query_comes_alone_or_with_its_model_and_filter(store: StateStore) -> None:
    fit = Fit(star="Vega")
    fit.create_state(store=store)

    query = fit.query_state(store=store)
    same, model, keywords = fit.query_state(full_output=True, store=store)

    assert isinstance(query, Query)
    assert query.one().task_id == fit.task_id
    assert same.one().pk == query.session.query(model).filter_by(**keywords).one().pk


def test_a_row_is_made_once(store: StateStore) -> None:
    fit = Fit(star="Vega")

    first, created = fit.get_or_create_state({"duration": 2.0}, store=store)
    second, again = fit.get_or_create_state({"duration": 3.0}, store=store)

    assert (created, again) == (True, False)
    assert first.pk == second.pk
    assert second.duration == 2.0


def test_a_batch_is_recorded_with_its_members_in_order(store: StateStore) -> None:
    batch = Fit(star=["Vega", "Deneb", "Vega"])

    row = batch.create_state(store=store)
    batch.create_state(store=store)

    assert (row.is_batch, row.size) == (True, 3)
    assert store.members(batch.task_id) == [fit.task_id for fit in batch.get_batch_tasks()]
    assert [fit.star for fit in store.load(batch.task_id)] == ["Vega", "Deneb", "Vega"]


def test_the_row_of_a_batch_alone_gets_its_members_later(store: StateStore) -> None:
    batch = Fit(star=["Vega", "Deneb"])

    row, created = batch.get_or_create_state(store=store)
    assert (created, row.status, store.members(batch.task_id)) == (True, Status.CREATED, [])

    batch.create_state(store=store)
    assert len(store.members(batch.task_id)) == 2


def test_an_update_reaches_the_batch_or_with_cascade_its_members(store: StateStore) -> None:
    batch = Fit(star=["Vega", "Deneb"])
    batch.create_state(store=store)

    assert batch.update_state({"duration": 1.0}, store=store) == 1
    assert batch.update_state({"status_code": 30, "error_type": "X"}, cascade=True, store=store) == 3

    assert store.status(batch) is store.status(batch[0]) is Status.FAILED
    assert batch[1].query_state(store=store).one().error_type == "X"
    with pytest.raises(IllegalMove):
        batch.update_state({"status_code": 1}, cascade=True, store=store)
    with pytest.raises(UnknownParameter):
        batch.update_state({"state": 1}, store=store)
    with pytest.raises(InvalidParameter):
        batch.update_state({"status_code": 99}, store=store)
    with pytest.raises(UnknownTask):
        Fit(star="Altair").update_state({"duration": 1.0}, store=store)


def test_deletion_works_after_creation(store: StateStore) -> None:
    one, other = Fit(star=["Vega", "Deneb"]), Fit(star=["Deneb", "Altair"])
    one.create_state(store=store)
    other.create_state(store=store)

    assert one.delete_state(cascade=True, store=store) == 2
    assert one.delete_state(store=store) == 0
    assert store.load(other.task_id) == other
    assert other.delete_state(store=store) == 1
    assert store.counts() == {Status.CREATED: 2}


def test_claimed_members_are_tasks_again(store: StateStore) -> None:
    batch = Fit(star=["Vega", "Deneb"], order=2)

    claimed = store.claim(1, of=batch)

    assert claimed == [Fit(star="Vega", order=2)]
    assert isinstance(claimed[0], Fit)


def test_a_product_has_one_row_however_it_is_fetched(store: StateStore) -> None:
    from astra_registry import registry

    stars = registry["apStar"](release="dr17", telescope="apo25m", field="000+14", obj=["2M1", "2M2", "2M1"])

    (pk,) = stars[1].get_or_create_data_model_relationships(store=store)["data_product_pk"]
    keys = stars.get_or_create_data_model_relationships(store=store)["data_product_pk"]
    remote = stars[1].clone(use_remote=True).get_or_create_data_model_relationships(store=store)

    assert keys[1] == pk == remote["data_product_pk"][0]
    assert keys[0] == keys[2] != pk
