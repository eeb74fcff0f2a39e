"""The states and the moves between them."""

from __future__ import annotations

import numpy as np
import pytest

from astra_registry.errors import InvalidParameter
from astra_registry.store import StateStore
from astra_registry.store.states import NEXT, Status, as_status, may_follow
from store.records import stars

CODES = {"CREATED": 0, "SUCCEEDED": 1, "RUNNING": 10, "SKIPPED": 20, "FAILED": 30, "DIED": 40, "BROKEN": 50}


def test_the_codes_are_those_of_2021() -> None:
    assert {status.name: int(status) for status in Status} == CODES | {"MISSING": 60}


def test_every_state_has_its_moves() -> None:
    assert set(NEXT) == set(Status)


@pytest.mark.parametrize("old", Status)
@pytest.mark.parametrize("new", Status)
def test_the_table_of_moves_is_that_of_the_interface(old: Status, new: Status) -> None:
    if old in (0, 10) or old is new:
        allowed = True
    elif old in (30, 40, 50, 60):
        allowed = new in (0, 10)
    else:
        allowed = new == 10
    assert may_follow(old, new) is allowed


@pytest.mark.parametrize("given", [30, "failed", "FAILED", Status.FAILED, np.int64(30)])
def test_a_state_is_known_by_code_and_name(given: object) -> None:
    assert as_status(given) is Status.FAILED


@pytest.mark.parametrize("given", [True, 2, 30.0, "finished", None, b"failed"])
def test_what_is_no_state_is_refused_with_those_there_are(given: object) -> None:
    with pytest.raises(InvalidParameter, match=r"failed|did you mean"):
        as_status(given)


@pytest.mark.parametrize(
    ("members", "batch"),
    [
        ([], 1),
        ([1, 1], 1),
        ([1, 20], 1),
        ([1, 30], 30),
        ([60, 30, 1], 60),
        ([0, 60], 0),
        ([10, 0, 60], 10),
    ],
)
def test_the_status_of_a_batch_follows_from_its_members(store: StateStore, members: list[int], batch: int) -> None:
    """Asked of one batch, or of all that have that state."""
    whole = stars(len(members))
    for star, code in zip(whole.get_batch_tasks(), members, strict=True):
        store.get_or_create(star, {"status_code": code})

    assert store.create(whole).status == store.status(whole) == batch
    assert whole.task_id in [row["task_id"] for row in store.tasks(status=batch)]
