"""One task or many."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from astra_registry import Task, parameter
from astra_registry.errors import BadTable, BadValue, InvalidParameter, UnequalLengths


class Visit(Task):
    """A visit."""

    fiber: int = parameter("The fibre.", batch=True, aliases=("FIBERID",))
    mjd: int = parameter("The date.", batch=True, unit="d")
    telescope: str = parameter("The telescope.", batch=True, default="apo25m")
    order: int = parameter("The order.", default=3)


class Nested(Task):
    """What is made of a visit."""

    inner: Visit = parameter("The visit.", batch=True)
    number: int = parameter("A number.", batch=True)


class Unbatchable(Task):
    name: str = parameter("Who.", default="x")


def test_scalars_and_defaults_are_broadcast_against_sequences() -> None:
    batch = Visit(fiber=[1, 2, 3], mjd=59146)

    assert batch.is_batch_mode
    assert batch.get_batch_size() == len(batch) == 3
    assert [(m.fiber, m.mjd, m.telescope) for m in batch] == [
        (1, 59146, "apo25m"),
        (2, 59146, "apo25m"),
        (3, 59146, "apo25m"),
    ]
    assert Visit.batch_param_names() == ["fiber", "mjd", "telescope"]


def test_a_class_tells_as_its_tasks_do_whether_it_has_batch_parameters() -> None:
    assert Visit.batchable is Visit(fiber=[1, 2], mjd=59146).batchable is True
    assert Unbatchable.batchable is Unbatchable().batchable is False


@pytest.mark.parametrize("values", [[1, 2], (1, 2), np.array([1, 2]), range(1, 3), Table({"fiber": [1, 2]})["fiber"]])
def test_any_sequence_makes_a_batch(values: object) -> None:
    assert [m.fiber for m in Visit(fiber=values, mjd=1)] == [1, 2]


def test_unequal_lengths_are_an_error_that_names_them() -> None:
    with pytest.raises(UnequalLengths, match=r"fiber 2, mjd 3"):
        Visit(fiber=[1, 2], mjd=[1, 2, 3])


def test_an_empty_batch_is_a_batch_of_none() -> None:
    batch = Visit(fiber=[], mjd=59146)

    assert batch.is_batch_mode
    assert batch.get_batch_size() == 0
    assert list(batch.get_batch_tasks()) == list(batch.get_batch_task_kwds()) == []
    assert batch


@pytest.mark.parametrize(
    ("index", "fibers"),
    [
        ([2, 0, 2], [3, 1, 3]),
        (np.array([-1, 0]), [3, 1]),
        ([True, False, True], [1, 3]),
        (np.array([False, True, False]), [2]),
        (np.array([5, 6, 7]) > 9, []),
        ([], []),
        (slice(None, None, -1), [3, 2, 1]),
    ],
    ids=str,
)
def test_members_are_chosen_as_those_of_an_array_are(index: Any, fibers: list[int]) -> None:
    batch = Visit(fiber=[1, 2, 3], mjd=[7, 8, 9], telescope="lco25m")

    chosen = batch[index]

    assert chosen == Visit(fiber=fibers, mjd=[fiber + 6 for fiber in fibers], telescope="lco25m")
    assert (chosen.is_batch_mode, len(chosen)) == (True, len(fibers))
    assert chosen.get_batch_size() == len(list(chosen))


def test_a_batch_of_tasks_for_a_parameter_is_chosen_from_too() -> None:
    batch = Nested(inner=Visit(fiber=[1, 2, 3], mjd=7), number=[1, 2, 3])

    assert batch[[2, 0]] == Nested(inner=Visit(fiber=[3, 1], mjd=7), number=[3, 1])
    assert batch[1].inner == Visit(fiber=2, mjd=7)


@pytest.mark.parametrize(
    ("index", "error", "told"),
    [
        (3, IndexError, "the batch has 3 members, and none at 3"),
        ([0, -4], IndexError, "none at -4"),
        ([True, False], IndexError, "the mask has 2 values, and the batch 3 members"),
        (True, TypeError, "by one truth value"),
        (np.True_, TypeError, "by one truth value"),
        ([0, True], TypeError, "by one truth value"),
        (1.0, TypeError, "integer"),
        ([0.5], TypeError, "integer"),
        ("fiber", TypeError, "integer"),
        (None, TypeError, "integer"),
    ],
    ids=str,
)
def test_what_is_no_place_of_a_member_is_refused(index: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        Visit(fiber=[1, 2, 3], mjd=7)[index]


def test_a_single_task_is_its_own_only_member() -> None:
    visit = Visit(fiber=1, mjd=2)

    assert not visit.is_batch_mode
    assert visit.get_batch_size() == 1
    assert list(visit.get_batch_tasks()) == [visit]
    (kwds,) = visit.get_batch_task_kwds()
    assert list(kwds.items())[:4] == [("fiber", 1), ("mjd", 2), ("telescope", "apo25m"), ("order", 3)]
    with pytest.raises(TypeError, match="no batch"):
        visit[0]


def test_members_come_afresh_in_order_with_doubles_and_can_be_indexed() -> None:
    batch = Visit(fiber=[3, 1, 3], mjd=[1, 2, 1])

    for _ in range(2):
        assert [m.fiber for m in batch.get_batch_tasks()] == [3, 1, 3]
    assert isinstance(batch.get_batch_tasks(), Iterator)
    assert batch[0] == batch[2] == Visit(fiber=3, mjd=1)
    assert batch[-1].mjd == 1
    assert list(batch[1:]) == [batch[1], batch[2]]
    assert batch[1:].get_batch_size() == 2
    with pytest.raises(IndexError):
        batch[3]


def test_keywords_of_members_make_them_again() -> None:
    batch = Visit(fiber=[3, 1], mjd=[1, 2], order=5)

    assert [Visit(**kwds) for kwds in batch.get_batch_task_kwds()] == list(batch)
    assert list(batch.get_batch_task_kwds(include_non_batch_keywords=False)) == [
        {"fiber": 3, "mjd": 1, "telescope": "apo25m"}, {"fiber": 1, "mjd": 2, "telescope": "apo25m"},
    ]  # fmt: skip


def test_a_batch_splits_at_the_largest_size() -> None:
    class Small(Visit):
        max_batch_size = 2

    batch = Small(fiber=[1, 2, 3, 4, 5], mjd=1)

    assert [part.get_batch_size() for part in batch.split()] == [2, 2, 1]
    assert [m for part in batch.split() for m in part] == list(batch)
    assert list(Visit(fiber=[1, 2], mjd=1).split()) == [Visit(fiber=[1, 2], mjd=1)]
    with pytest.raises(BadValue, match="at least one"):
        list(batch.split(0))


def test_a_million_rows_are_columns_and_not_objects() -> None:
    size = 1_000_000
    fibers = [i % 300 for i in range(size)]
    mjds = [55000 + i % 4000 for i in range(size)]
    tracemalloc.start()

    batch = Visit(fiber=fibers, mjd=mjds)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / size < 400
    assert batch[999_999].fiber == fibers[-1]


@pytest.fixture
def table() -> Table:
    return Table({"FIBERID": [10, 20], "mjd": [59146, 59147], "snr": [1.5, 2.5]})


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "fits", "vot", "parquet"])
def test_a_batch_comes_from_a_table_in_any_form(table: Table, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"visits.{suffix}"
    if suffix == "vot":
        table.write(path, format="votable")
    else:
        table.write(path)

    for source in (str(path), table, {"FIBERID": [10, 20], "mjd": [59146, 59147]}):
        batch = Visit.from_table(source, telescope="lco25m")
        assert [(m.fiber, m.mjd, m.telescope) for m in batch] == [(10, 59146, "lco25m"), (20, 59147, "lco25m")]


def test_a_table_without_a_needed_column_or_with_a_masked_cell_is_refused(table: Table) -> None:
    with pytest.raises(BadTable, match="needs mjd"):
        Visit.from_table({"fiber": [1, 2]})
    table["mjd"] = MaskedColumn([1, 2], mask=[False, True])
    with pytest.raises(InvalidParameter, match="row 1: mjd"):
        Visit.from_table(table)


def test_constants_win_over_columns_and_alone_make_equal_rows() -> None:
    assert [m.mjd for m in Visit.from_table({"fiber": [1, 2], "mjd": [7, 8]}, mjd=9)] == [9, 9]
    assert Visit.from_table({"other": [1, 2, 3]}, fiber=1, mjd=2).get_batch_size() == 3


def test_a_batch_becomes_a_table_with_units_and_descriptions(tmp_path: Path) -> None:
    batch = Visit(fiber=[3, 1], mjd=[1, 2])

    table = batch.to_table()
    table.write(tmp_path / "visits.ecsv")

    assert table.colnames == ["fiber", "mjd", "telescope", "order"]
    assert str(table["mjd"].unit) == "d"
    assert table["fiber"].description == "The fibre."
    assert Visit.from_table(str(tmp_path / "visits.ecsv")) == batch


def test_values_of_any_type_are_text_in_a_table(tmp_path: Path) -> None:
    class Plot(Task):
        visit: Visit = parameter("What to plot.", batch=True)
        edges: tuple[float, ...] = parameter("Where.", default=(1.0, 2.0))

    table = Plot(visit=Visit(fiber=[3, 1], mjd=1)).to_table()
    table.write(tmp_path / "plots.ecsv")

    assert len(table) == 2
    assert '"fiber": "3"' in table["visit"][0]
    assert list(table["edges"]) == ["[1.0, 2.0]"] * 2
