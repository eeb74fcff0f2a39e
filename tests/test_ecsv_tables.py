"""ECSV streams, and gives what astropy makes of the whole file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable
from astra_registry.tables import iter_columns, read_columns
from tests.streaming import growth, in_pieces, masked_tables, told, whole

HEADER = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: obj, datatype: string, description: its name in 2MASS}
# - {name: mjd, datatype: int32, unit: d}
# - {name: snr, datatype: float64}
# - {name: good, datatype: bool}
"""
NAMES = "obj mjd snr good\n"

texts = st.text(
    st.one_of(
        st.sampled_from(" \t\n\r\"',;#\\0nN\0\x0b\x1c\x85\u2028"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=8,
)
kinds = {
    "str": texts,
    "int8": st.integers(-128, 127),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "bool": st.booleans(),
}


def names(number: int) -> st.SearchStrategy[str]:
    return st.sampled_from([f"c{number}", f"of {number}", f'"{number}"', f"#{number}"])


@given(masked_tables(kinds, names), st.sampled_from(" ,"), st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_astropy_writes_is_read_as_astropy_reads_it(
    tmp_path: Path, table: Table, delimiter: str, rows: int
) -> None:
    path = tmp_path / "t.ecsv"
    stream = io.StringIO()
    table.write(stream, format="ascii.ecsv", delimiter=delimiter)
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    try:
        expected = whole(path, "ascii.ecsv")
    except ValueError:  # what astropy writes and does not read: a line in a cell that looks like a comment
        with pytest.raises(BadTable):
            in_pieces(path, rows)
        return

    columns = read_columns(path)

    assert told(columns) == told(in_pieces(path, rows)) == told(expected)
    assert (columns.size, columns.units, columns.descriptions) == (
        expected.size,
        expected.units,
        expected.descriptions,
    )


cells = [
    st.one_of(st.sampled_from(["a", '""', "'", '"a b"', '"a""b"', '"a\nb"', '"\n#b"', '" a\t"', "#", 'a"']), texts),
    st.sampled_from(["1", "-1", '""', '" 7"', "007", "+3", "1_0", "1.0", "300000000000"]),
    st.sampled_from(["1", "0.5", "nan", "-inf", '""', "1e400", "-0", "Infinity", "1_0", "1d3"]),
    st.sampled_from(["True", "False", "1", "0", '""', "true"]),
]
rows_of_text = st.lists(st.tuples(*cells).map(" ".join), max_size=4).map("\n".join)


@given(rows_of_text, st.integers(1, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_people_write_below_the_header_is_read_as_astropy_reads_it(
    tmp_path: Path, text: str, rows: int
) -> None:
    path = tmp_path / "t.ecsv"
    path.write_text(HEADER + NAMES + text + "\n", encoding="utf-8")
    try:
        expected = whole(path, "ascii.ecsv")
    except ValueError:
        with pytest.raises(BadTable):
            in_pieces(path, rows)
    else:
        assert told(in_pieces(path, rows)) == told(expected)


@pytest.mark.parametrize("row", ["a x 1 True", "a 1 one True", "a 1 1 yes", "a 1.5 1 True"])
def test_a_cell_of_the_wrong_type_is_told_in_the_words_of_astropy(row: str, tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    path.write_text(HEADER + NAMES + "a 1 1 True\n" + row + "\n")
    with pytest.raises(ValueError, match="failed to convert") as by_astropy:
        Table.read(path, format="ascii.ecsv")

    with pytest.raises(BadTable) as ours:
        read_columns(path)

    assert str(ours.value) == f"{str(path)!r} cannot be read as a table: {by_astropy.value}"


def test_a_row_with_too_many_cells_is_named_as_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    path.write_text(HEADER + NAMES + "a 1 1 True\n# no row\n\nb 2 2 True 2\n")

    with pytest.raises(BadTable, match=r"row 1 of '.*t.ecsv' has 5 cells, the header names 4"):
        read_columns(path)


@pytest.mark.parametrize(
    "content",
    ["# %ECSV 1.0\n# ---\n", HEADER, HEADER + "obj mjd\n1 2\n", "# %ECSV 1.0\n# ---\n# datatype: [\nobj\n"],
)
def test_a_header_that_is_none_is_told_in_the_words_of_astropy(content: str, tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    path.write_text(content)
    with pytest.raises((TypeError, ValueError)) as by_astropy:
        Table.read(path, format="ascii.ecsv")

    with pytest.raises(BadTable) as ours:
        read_columns(path)

    assert str(ours.value) == f"{str(path)!r} cannot be read as a table: {' '.join(str(by_astropy.value).split())}"


def test_columns_that_are_not_scalar_or_plain_are_read_whole(tmp_path: Path) -> None:
    """Arrays, objects, times, and text that was written beside its mask, where an empty cell is an empty text."""
    path = tmp_path / "t.ecsv"
    objects = np.empty(2, dtype=object)
    objects[:] = [{"a": 1}, [2]]
    text = MaskedColumn(["", "b"], mask=[False, True])
    Table({"lines": np.zeros((2, 2)), "o": objects, "t": Time([1.0, 2.0], format="mjd"), "text": text}).write(
        path, format="ascii.ecsv", serialize_method={MaskedColumn: "data_mask"}
    )

    columns = read_columns(path)

    assert columns["lines"] == [[0.0, 0.0], [0.0, 0.0]]
    assert columns["o"] == [{"a": 1}, [2]]
    assert [time.mjd for time in columns["t"]] == [1.0, 2.0]
    assert columns["text"] == ["", MASKED]
    assert [piece.size for piece in iter_columns(path, rows=1)] == [1, 1]


def test_text_without_a_masked_cell_that_was_written_with_its_mask_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    text = MaskedColumn(["", "b"], mask=[False, False])
    Table({"text": text}).write(path, format="ascii.ecsv", serialize_method="data_mask")

    assert read_columns(path)["text"] == whole(path, "ascii.ecsv")["text"] == ["", "b"]


def test_quantities_are_read_with_their_units(tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    QTable({"ra": [1.0, 2.0] * u.deg}).write(path, format="ascii.ecsv")

    columns = read_columns(path)

    assert (columns["ra"], columns.units) == ([1.0, 2.0], {"ra": "deg"})


def test_only_wanted_columns_are_made_into_values(tmp_path: Path) -> None:
    """So that what is wrong with another one hinders nobody, as in CSV."""
    path = tmp_path / "t.ecsv"
    path.write_text(HEADER + NAMES + "a 1 bad True\n")

    columns = read_columns(path, columns={"name": ("obj",), "mjd": (), "fiber": ()})

    assert dict(columns) == {"name": ["a"], "mjd": [1]}
    assert (columns.units, columns.descriptions) == ({"mjd": "d"}, {"name": "its name in 2MASS"})
    assert read_columns(path, columns={"fiber": ()}).size == 1
    with pytest.raises(BadTable, match=r"t\.ecsv' has no column 'fiber'; it has obj, mjd, snr, good"):
        read_columns(path, columns=["fiber"])


def test_a_long_ecsv_table_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    path = tmp_path / "long.ecsv"
    short = tmp_path / "short.ecsv"
    short.write_text(HEADER + NAMES + "2M16544175-2148453 55874 10.5 True\n" * 1000)
    path.write_text(HEADER + NAMES + "2M16544175-2148453 55874 10.5 True\n" * 200_000)

    rows, grown = growth(short, path)

    assert rows == 200_000
    assert grown < 20, "astropy takes 200 MB"
