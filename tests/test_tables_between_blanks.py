"""Text between blanks streams, and gives what astropy makes of the whole file when all of it is text."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import ascii as text
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable
from astra_registry.tables import Columns, read_columns
from tests.streaming import growth, in_pieces, told

NAMES = "obj mjd telescope"
ROW = "2M16544175-2148453 055874 apo25m\n"
HEADS = {
    "basic": f"\n# chosen by me\n{NAMES}\n",
    "commented_header": f"# {NAMES}\n",
}
characters = st.one_of(
    st.sampled_from(" \t\n\r\"',;#\\0nN\x0b\x1c\x85\u2028"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),  # which is none of a text
)
cells = st.one_of(
    st.sampled_from(["a", "010", '""', "'", '"a b"', '"a""b"', '"a\nb"', '"\n#b"', '" a\t"', "#", 'a"', "a\tb"]),
    st.text(characters, max_size=6),
)
rows_of_text = st.lists(st.tuples(cells, cells, cells).map(" ".join) | st.sampled_from(["", " # none"]), max_size=5)


def whole(path: Path, form: str) -> Columns:
    as_text = {"*": [text.convert_numpy(str)]}
    return read_columns(Table.read(path, format=f"ascii.{form}", guess=False, converters=as_text))


@given(st.sampled_from(list(HEADS)), rows_of_text.map("\n".join), st.integers(1, 3))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_people_write_between_blanks_is_read_as_astropy_reads_it(
    tmp_path: Path, form: str, rows: str, size: int
) -> None:
    path = tmp_path / "t.txt"
    first = "2M16 010 3\n"  # which tells whether the comment above it holds the names
    path.write_text(HEADS[form] + first + rows + "\n", encoding="utf-8")
    try:
        expected = whole(path, form)
    except ValueError:
        with pytest.raises(BadTable):
            in_pieces(path, size)
    else:
        assert told(in_pieces(path, size)) == told(expected)


@pytest.mark.parametrize("form", HEADS)
def test_text_between_blanks_keeps_its_zeros_and_tells_what_is_empty(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(HEADS[form] + '2M16 010 apo25m\n# no row\n2M17   ""   "lco 25m"  \n')

    assert in_pieces(path, 1) == {"obj": ["2M16", "2M17"], "mjd": ["010", MASKED], "telescope": ["apo25m", "lco 25m"]}
    assert dict(read_columns(path, columns=["MJD"])) == {"MJD": ["010", MASKED]}


def test_columns_between_blanks_of_the_same_name_are_numbered_as_by_astropy(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("obj flag flag\n2M16 1 2\n")

    assert dict(read_columns(path)) == {"obj": ["2M16"], "flag": ["1"], "flag_1": ["2"]}


@pytest.mark.parametrize("form", HEADS)
def test_a_row_between_blanks_with_too_few_cells_is_named_as_in_csv(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(HEADS[form] + 3 * ROW + "2M17 010\n")

    with pytest.raises(BadTable, match=r"row 3 of '.*t\.txt' has 2 cells, the header names 3"):
        in_pieces(path, 2)


def test_a_long_table_between_blanks_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text(HEADS["basic"] + 1000 * ROW)
    (tmp_path / "long.txt").write_text(HEADS["basic"] + 100_000 * ROW)

    rows, grown = growth(tmp_path / "short.txt", tmp_path / "long.txt")

    assert rows == 100_000
    assert grown < 15, "astropy takes 44 MB"
