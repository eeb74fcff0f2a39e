"""VOTable streams, and gives what astropy makes of the whole document."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable
from astra_registry.tables import iter_columns, read_columns
from tests.streaming import growth, in_pieces, masked_tables, told, whole

BEFORE = """\
<?xml version="1.0" encoding="utf-8"?>
<!-- a TABLE of one night -->
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
 <RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/><RESOURCE>
  <TABLE nrows="9">
   <DESCRIPTION>visits</DESCRIPTION>
   <FIELD ID="col1" name="plate" datatype="char" arraysize="*"><DESCRIPTION>the plug plate</DESCRIPTION></FIELD>
   <FIELD name="mjd" datatype="int" unit="d"><VALUES null="-1"/></FIELD>
   <FIELD name="lines" datatype="double" arraysize="2"/>
   <FIELD name="good" datatype="boolean"/>
   <DATA><TABLEDATA>
"""
AFTER = "</TABLEDATA></DATA></TABLE></RESOURCE><INFO name='QUERY_STATUS' value='OVERFLOW'/></RESOURCE></VOTABLE>\n"

kinds = {
    "str": st.text(st.characters(exclude_categories=["C"]) | st.sampled_from(" \t\n<>&\"'"), max_size=6),
    "uint8": st.integers(0, 255),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "bool": st.booleans(),
}


@given(masked_tables(kinds), st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_astropy_writes_is_read_as_astropy_reads_it(tmp_path: Path, table: Table, rows: int) -> None:
    path = tmp_path / "t.vot"
    table.write(path, format="votable", overwrite=True)
    expected = whole(path, "votable")

    columns = read_columns(path)

    assert told(columns) == told(in_pieces(path, rows)) == told(expected)
    assert (columns.size, columns.units) == (expected.size, expected.units)


def test_what_archives_write_is_read_as_astropy_reads_it(tmp_path: Path) -> None:
    """Resources in resources, identifiers beside names, numbers that mean none, arrays, quoted text, a wrong nrows."""
    path = tmp_path / "t.vot"
    path.write_text(
        BEFORE
        + "<TR><TD>010</TD><TD>55874</TD><TD>1.5 2</TD><TD>T</TD></TR>"
        + "<TR><TD><![CDATA[<TR> & </TR>]]></TD><TD>-1</TD><TD/><TD>?</TD></TR><!-- no row -->"
        + "<TR><TD encoding='base64'>AAAAAUE=</TD><TD>0x10</TD><TD>NaN -0</TD><TD>0</TD></TR>"
        + AFTER
    )
    columns = read_columns(path)

    assert told(columns) == told(in_pieces(path, 1)) == told(in_pieces(path, 2)) == told(whole(path, "votable"))
    assert columns["col1"][:2] == ["010", "<TR> & </TR>"]
    assert columns["mjd"][:2] == [55874, MASKED]
    assert (columns.units, columns.descriptions) == ({"mjd": "d"}, {"col1": "the plug plate"})


def test_only_wanted_columns_are_made_into_values_of_a_votable(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    path.write_text(BEFORE + "<TR><TD>010</TD><TD>55874</TD><TD>junk junk</TD><TD>T</TD></TR>" + AFTER)

    columns = read_columns(path, columns={"plate": ("col1",), "good": (), "fiber": ()})

    assert dict(columns) == {"plate": ["010"], "good": [True]}
    assert columns.descriptions == {"plate": "the plug plate"}
    with pytest.raises(BadTable, match=r"t\.vot' has no column 'fiber'; it has col1, mjd, lines, good"):
        read_columns(path, columns=["fiber"])


@pytest.mark.parametrize(
    "rows",
    [
        "<TR><TD>010</TD><TD>one</TD><TD>1 2</TD><TD>T</TD></TR>",
        "<TR><TD>010</TD><TD>1</TD><TD>1 2</TD></TR>",
        "<TR><TD>010</TD><TD>1</TD><TD>1 2</TD><TD>T</TD><TD>T</TD></TR>",
        "<TR><TD>010</TR>",
    ],
)
def test_a_wrong_row_of_a_votable_is_told_in_the_words_of_astropy(rows: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    path.write_text(BEFORE + rows + AFTER)
    with pytest.raises(ValueError, match=".") as by_astropy:
        Table.read(path, format="votable")

    with pytest.raises(BadTable) as ours:
        read_columns(path)

    assert str(ours.value) == f"{str(path)!r} cannot be read as a table: {' '.join(str(by_astropy.value).split())}"


def test_a_votable_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    row = "<TR><TD>010</TD><TD>1</TD><TD>1 2</TD><TD>T</TD></TR>"
    for content in (BEFORE + row, BEFORE + row + AFTER[:-20], BEFORE[:-40]):
        path.write_text(content)
        with pytest.raises(BadTable, match=r"t\.vot' cannot be read as a table"):
            list(iter_columns(path, rows=1))


@pytest.mark.parametrize("with_rows", [True, False])
def test_a_votable_of_several_tables_is_refused(with_rows: bool, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    data = "<DATA><TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA>"
    table = "<TABLE><FIELD name='n' datatype='int'/>{}</TABLE>"
    tables = table.format(data if with_rows else "") + table.format(data)
    path.write_text(f"<VOTABLE version='1.4'><RESOURCE>{tables}</RESOURCE></VOTABLE>")

    with pytest.raises(BadTable, match="several tables|Multiple tables"):
        read_columns(path)


def test_a_long_votable_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    row = "<TR><TD>010</TD><TD>55874</TD><TD>1 2</TD><TD>T</TD></TR>\n"
    (tmp_path / "short.vot").write_text(BEFORE + 1000 * row + AFTER)
    (tmp_path / "long.vot").write_text(BEFORE + 100_000 * row + AFTER)

    rows, grown = growth(tmp_path / "short.vot", tmp_path / "long.vot")

    assert rows == 100_000
    assert grown < 15, "astropy takes 60 MB"
