"""IPAC streams, and gives what astropy makes of the whole file."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable
from astra_registry.tables import read_columns
from tests.streaming import growth, in_pieces, masked_tables, told, whole

HEADER = r"""\fixlen = T
\ a sky of one night
|designation        |mjd   |snr     |
|char               |int   |double  |
|                   |d     |        |
|null               |null  |-999    |
"""
ROW = " 2M16544175-2148453  55874     10.5 \n"

kinds = {
    "str": st.text(st.characters(exclude_categories=["C"]) | st.sampled_from(" \t\"'|\\#,\x0c\x85\u2028"), max_size=6),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "bool": st.booleans(),
}


@given(masked_tables(kinds), st.integers(1, 4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_astropy_writes_in_ipac_is_read_as_astropy_reads_it(tmp_path: Path, table: Table, rows: int) -> None:
    path = tmp_path / "t.tbl"
    stream = io.StringIO()
    table.write(stream, format="ascii.ipac")
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    try:
        expected = whole(path, "ascii.ipac")
    except ValueError:  # what astropy writes and does not read: a line within a cell
        with pytest.raises(BadTable):
            in_pieces(path, rows)
        return

    columns = read_columns(path)

    assert told(columns) == told(in_pieces(path, rows)) == told(expected)
    assert (columns.size, columns.units) == (expected.size, expected.units)


cells = [
    st.sampled_from(["a", "a b", "null", "", "010", "|", "\\", "#", '"a"', "2M16544175-2148453"]),
    st.sampled_from(["1", "-1", "null", "", "007", "+3", "1.0", "nan"]),
    st.sampled_from(["1", "0.5", "nan", "-inf", "-999", "-999.0", "", "1e400", "1d3"]),
]
rows_of_text = st.tuples(*cells).map(lambda row: f" {row[0]:19} {row[1]:6} {row[2]:8} ")
others = st.sampled_from(["", "  ", "\\ no row", "\\key = 'value'", "| no row", " short", "\t"])


@given(st.lists(rows_of_text | others, max_size=6).map("\n".join), st.integers(1, 3))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_people_write_below_the_header_of_ipac_is_read_as_astropy_reads_it(
    tmp_path: Path, text: str, rows: int
) -> None:
    path = tmp_path / "t.tbl"
    path.write_text(HEADER + text + "\n", encoding="utf-8")
    try:
        expected = whole(path, "ascii.ipac")
    except ValueError:
        with pytest.raises(BadTable):
            in_pieces(path, rows)
    else:
        assert told(in_pieces(path, rows)) == told(expected)


def test_ipac_may_be_packed(tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_bytes(gzip.compress((HEADER + 3 * ROW).encode()))
    assert in_pieces(path, 2)["mjd"] == [55874, 55874, 55874]

    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadTable, match=r"t\.tbl' is cut off or damaged: it does not unpack"):
        read_columns(path)


def test_only_wanted_columns_of_ipac_are_made_into_values(tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_text(HEADER + " 2M16544175-2148453  55874      bad \n 010                  null     1.0 \n")

    columns = read_columns(path, columns={"obj": ("designation",), "mjd": (), "fiber": ()})

    assert dict(columns) == {"obj": ["2M16544175-2148453", "010"], "mjd": [55874, MASKED]}
    assert columns.units == {"mjd": "d"}
    with pytest.raises(BadTable, match=r"t\.tbl' has no column 'fiber'; it has designation, mjd, snr"):
        read_columns(path, columns=["fiber"])


@pytest.mark.parametrize(
    "content",
    [
        HEADER + 3 * ROW + " 010                  1.5      1.0 \n",
        HEADER + 3 * ROW + " 010                    1       one \n",
        HEADER.replace("double", "dbl   ") + ROW,
        HEADER.replace("|int ", "|    ", 1) + ROW.replace("55874", "  one"),
    ],
)
def test_what_is_wrong_in_ipac_is_told_in_the_words_of_astropy(content: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_text(content)
    with pytest.raises((TypeError, ValueError)) as by_astropy:
        Table.read(path, format="ascii.ipac")

    with pytest.raises(BadTable) as ours:
        in_pieces(path, 2)

    assert str(ours.value) == f"{str(path)!r} cannot be read as a table: {by_astropy.value}"


def test_ipac_tables_one_after_the_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_text(2 * (HEADER + 3 * ROW))

    with pytest.raises(BadTable, match=r"t\.tbl' cannot be read as a table: a line of a header stands below the rows"):
        in_pieces(path, 2)


def test_ipac_of_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.tbl"
    path.write_text(HEADER.partition("night\n")[2])

    assert dict(read_columns(path)) == {"designation": [], "mjd": [], "snr": []}


def test_ipac_that_tells_no_types_is_read_whole(tmp_path: Path) -> None:
    """For what a column holds may be seen in its last row."""
    path = tmp_path / "t.tbl"
    path.write_text("|obj|  mjd|\n a   55874 \n b     one \n")

    assert in_pieces(path, 1) == {"obj": ["a", "b"], "mjd": ["55874", "one"]}


def test_a_long_ipac_table_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    (tmp_path / "short.tbl").write_text(HEADER + 1000 * ROW)
    (tmp_path / "long.tbl").write_text(HEADER + 100_000 * ROW)

    rows, grown = growth(tmp_path / "short.tbl", tmp_path / "long.tbl")

    assert rows == 100_000
    assert grown < 15, "astropy takes 67 MB"
