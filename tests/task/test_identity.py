"""Who a task is, in every process and in text."""

from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_registry import Task, __version__, parameter


class Everything(Task):
    """A task with a parameter of each type."""

    text: str = parameter("Text.", batch=True, default="x")
    whole: int = parameter("An integer.", batch=True, default=0)
    number: float = parameter("A number.", batch=True, default=0.0)
    truth: bool = parameter("A truth value.", batch=True, default=False)
    several: tuple[int, ...] = parameter("A tuple.", default=())
    mapped: dict[str, int] = parameter("A mapping.", default=None)
    rows: list[tuple[str, float]] = parameter("A list.", batch=True, default=())
    limits: dict[str, list[int]] = parameter("A mapping of lists.", default={})
    either: int | str | None = parameter("A number or a name.", batch=True, default=None)
    whatever: Any = parameter("Whatever can be written.", default=None)
    token: str = parameter("A secret.", default="", significant=False, visibility="private")
    aside: str = parameter("Not significant.", default="aside", significant=False)


class other_family_name(Task):  # noqa: N801 - names with underscores are families too
    text: str = parameter("Text.", default="x")


TEXTS = [
    "1.10",
    "1e5",
    "true",
    "null",
    "0123",
    "NaN",
    "nan",
    "[1]",
    '{"a": 1}',
    '"',
    "\\",
    "\n",
    " ",
    "",
    "é",
    "\U0001f52d",
    "%s",
    "{}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_looks_like_something_else_survives_the_round_trip(text: str) -> None:
    task = Everything(text=text)

    again = Everything.from_str_params(task.to_str_params())

    assert again == task
    assert again.text == text
    assert type(again.text) is str


NUMBERS = st.floats(allow_nan=False)
LEAVES = st.none() | st.booleans() | st.integers() | NUMBERS | st.text()
NESTED = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$task"), inner))


@given(
    text=st.text(), whole=st.integers(), number=NUMBERS, truth=st.booleans(), aside=st.text(),
    several=st.lists(st.integers()).map(tuple), rows=st.lists(st.tuples(st.text(), NUMBERS)).map(tuple),
    mapped=st.dictionaries(st.text(), st.integers()), limits=st.dictionaries(st.text(), st.lists(st.integers())),
    either=st.none() | st.integers() | st.text(), whatever=NESTED,
)  # fmt: skip
def test_from_text_undoes_to_text(**values: Any) -> None:
    task = Everything(**values)

    again = Everything.from_str_params(json.loads(json.dumps(task.to_str_params())))

    for made in (again, pickle.loads(pickle.dumps(task))):
        assert typed(made.param_kwargs) == typed(task.param_kwargs)
        assert made == task
        assert made.task_id == task.task_id
        assert hash(made) == hash(task)


def typed(value: Any) -> Any:
    """Return a value with the types of its parts, so that 1, 1.0 and True differ."""
    if isinstance(value, Mapping):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(typed, value))
    return type(value), value


@given(
    st.lists(
        st.tuples(
            st.text(), st.integers(), NUMBERS, st.booleans(), st.lists(st.tuples(st.text(), NUMBERS)).map(tuple),
            st.integers() | st.text(),
        )
    )
)  # fmt: skip
def test_a_batch_survives_the_round_trip_and_knows_its_members(members: list[tuple[Any, ...]]) -> None:
    text, whole, number, truth, rows, either = ([member[i] for member in members] for i in range(6))
    batch = Everything(text=text, whole=whole, number=number, truth=truth, rows=rows, either=either)

    again = Everything.from_str_params(batch.to_str_params())

    assert again == batch
    assert [typed(member.param_kwargs) for member in again] == [typed(member.param_kwargs) for member in batch]
    identifiers, parameters = zip(*batch.identity_rows(), strict=True) if members else ((), ())
    assert list(identifiers) == [member.task_id for member in batch]
    assert [Everything.from_str_params(json.loads(p)) for p in parameters] == list(batch)
    assert Everything.from_members(parameters) == batch


def test_the_identifier_is_wide_and_names_the_family() -> None:
    assert re.fullmatch(r"Everything_[0-9a-f]{32}", Everything().task_id)


def test_the_identifier_does_not_depend_on_spelling_order_or_process() -> None:
    task = Everything(whole=59146, text="x")

    assert Everything(text="x", whole="59146").task_id == task.task_id
    assert Everything(text=b"x", whole=np.int64(59146)).task_id == task.task_id
    code = (
        "from astra_registry import Task, parameter\n"
        "class Fixed(Task):\n"
        "    astra_version_major, astra_version_minor = 1, 0\n"
        "    b: str = parameter('b')\n"
        "    a: int = parameter('a')\n"
        "print(Fixed(a='7', b='0123', astra_version_major=1, astra_version_minor=0).task_id)"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    # Written down: an identifier that changes would orphan every row of every database.
    assert answers == {"Fixed_c83b29cd7be84ec63d257e5d336d872f"}


def test_types_and_values_that_look_alike_are_different_tasks() -> None:
    tasks = [
        Everything(text="1"),
        Everything(whole=1),
        Everything(number=1),
        Everything(truth=True),
        Everything(several=(1,)),
    ]

    assert len({task.task_id for task in tasks}) == len(tasks)


def test_insignificant_parameters_do_not_enter_the_identity_but_the_text() -> None:
    task = Everything(aside="elsewhere")

    assert task == Everything()
    assert task.task_id == Everything().task_id
    assert "aside" not in task.get_hashed_params()
    assert task.to_str_params()["aside"] == "elsewhere"
    assert Everything.from_str_params(task.to_str_params()).aside == "elsewhere"


def test_a_batch_is_told_from_its_members_and_by_their_order() -> None:
    batch = Everything(whole=[1, 2, 2])

    assert batch.task_id != Everything(whole=[2, 1, 2]).task_id
    assert batch.task_id != Everything(whole=[1, 2]).task_id
    assert Everything(whole=[1]).task_id != Everything(whole=1).task_id
    assert batch == Everything(whole=[1, 2, 2], text=["x"] * 3)
    assert hash(batch) == hash(Everything(whole=[1, 2, 2], text=["x"] * 3))


def test_the_version_of_the_core_is_part_of_an_analysis_tasks_identity() -> None:
    task = Everything()

    assert f"{task.astra_version_major}.{task.astra_version_minor}.{task.astra_version_micro}" == __version__
    assert task.astra_version_dev is False
    assert task.clone(astra_version_minor=99).task_id != task.task_id
    assert task.clone(astra_version_micro=99).task_id == task.task_id
    assert Everything.from_str_params(task.clone(astra_version_minor=99).to_str_params()).astra_version_minor == 99
    assert Everything._get_param_visibilities()["astra_version_major"] == "hidden"


def test_families_have_the_class_name_with_the_namespace_before_a_dot() -> None:
    class Spaced(Task):
        task_namespace = "mwm.pipe"

    assert Everything().task_family == Everything.get_task_family() == Everything.task_family == "Everything"
    assert Spaced().task_family == Spaced.task_family == "mwm.pipe.Spaced"
    assert (Spaced.get_task_namespace(), Everything.get_task_namespace()) == ("mwm.pipe", None)
    assert Spaced._namespace_at_class_time == "mwm.pipe"
    assert other_family_name().task_id.startswith("other_family_name_")
    assert Everything().task_module == __name__


def test_tasks_pickle_copy_and_hash() -> None:
    for task in (Everything(text="é", aside="z"), Everything(whole=[3, 1, 3])):
        again = pickle.loads(pickle.dumps(task))
        assert again == task
        assert again.param_kwargs == task.param_kwargs
        assert again.param_origins == task.param_origins
        assert {again: 1}[task] == 1
        assert copy.copy(task) == copy.deepcopy(task) == task
        with task.no_unpicklable_properties():
            assert pickle.loads(pickle.dumps(task)) == task
    assert len(pickle.dumps(Everything())) < 1000


def test_a_repr_tells_the_key_parameters_and_never_raises() -> None:
    assert repr(Everything(whole=[1, 2, 3])).startswith("<Everything(")
    assert "batch_size=3" in repr(Everything(whole=[1, 2, 3]))
    assert "text='vega'" in repr(Everything(text="vega"))
    hollow = Everything.__new__(Everything)
    assert repr(hollow) == "<Everything(not initialized)>"
    assert hollow.initialized() is False
    assert Everything().initialized() is True
    assert hollow != Everything()
    assert hash(hollow) == hash(hollow)


def test_a_product_can_be_a_parameter_and_survives_as_text() -> None:
    class Measure(Task):
        what: Everything = parameter("The task it needs.", batch=True)

    single = Measure(what=Everything(text="vega"))
    batch = Measure(what=Everything(whole=[1, 2]))

    assert pickle.loads(pickle.dumps(single.what)) == single.what
    assert single.to_str_params()["what"].count("vega") == 1
    assert batch.is_batch_mode
    assert [member.what.whole for member in batch] == [1, 2]
    assert batch[1].task_id == Measure(what=Everything(whole=2)).task_id


def test_equal_numbers_are_one_task_and_equal_looking_parts_of_values_are_not() -> None:
    assert Everything(number=-0.0).task_id == Everything(number=0.0).task_id
    assert Everything(number=-0.0) == Everything(number=0.0)
    looks = [Everything(whatever=value) for value in (1, 1.0, True, "1", (1,), (True,), {"a": 1}, {"a": 1.0})]
    assert len({task.task_id for task in looks}) == len(set(looks)) == len(looks)


def test_what_is_private_is_in_no_text() -> None:
    for task in (Everything(token="s3cret"), Everything(token="s3cret", whole=[1, 2])):
        texts = [task.to_str_params(), task.get_hashed_params(only_significant=False), *task.identity_rows(), task]
        assert "s3cret" not in " ".join(map(repr, texts))
        assert pickle.loads(pickle.dumps(task)).token == "s3cret"
        assert Everything.from_str_params(task.to_str_params()) == task
