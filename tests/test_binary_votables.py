"""VOTable streams in BINARY and BINARY2 too, and gives what astropy makes of the whole document."""

from __future__ import annotations

import base64
import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable
from astra_registry.tables import iter_columns, read_columns
from tests.streaming import growth, in_pieces, told, whole

FORMS = ["BINARY", "BINARY2"]
VISITS = """
   <FIELD ID="col1" name="plate" datatype="char" arraysize="*"><DESCRIPTION>the plug plate</DESCRIPTION></FIELD>
   <FIELD name="mjd" datatype="int" unit="d"><VALUES null="-1"/></FIELD>
   <FIELD name="snr" datatype="float"/>
"""


def document(form: str, fields: str, content: bytes, *, more: str = "") -> str:
    stream = base64.encodebytes(content).decode()  # in lines, as TOPCAT writes it
    return (
        '<?xml version="1.0"?>\n<VOTABLE version="1.4"><RESOURCE><INFO name="QUERY_STATUS" value="OK"/><RESOURCE>'
        f'<TABLE nrows="9">{fields}<DATA><{form}>\n<STREAM encoding="base64">\n{stream}</STREAM></{form}></DATA>'
        f"</TABLE>{more}</RESOURCE></RESOURCE></VOTABLE>\n"
    )


def visit(form: str, plate: str, mjd: int, snr: float, nulls: int = 0) -> bytes:
    flags = struct.pack("B", nulls) if form == "BINARY2" else b""
    return flags + struct.pack(">I", len(plate)) + plate.encode("ascii") + struct.pack(">if", mjd, snr)


texts = st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=6)
kinds: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=6),
    "S5": texts.map(lambda text: text.encode("ascii")),
    "object": texts,  # the length of each its own
    "uint8": st.integers(0, 255),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "complex64": st.complex_numbers(width=64),
    "complex128": st.complex_numbers(),
    "bool": st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn, form: str) -> Table:
    """Tables of what astropy writes in binary: scalars, arrays of one or two axes, arrays of many lengths."""
    size = draw(st.integers(1, 6))  # of a table without rows astropy writes none
    table = Table()
    for number, kind in enumerate(draw(st.lists(st.sampled_from(list(kinds)), min_size=1, max_size=10))):
        is_text = kind in ("str", "S5", "object")
        shape = () if is_text else draw(st.sampled_from([(), (), (2,), (2, 3)]))
        count = size * int(np.prod(shape, dtype=int))
        values = np.array(draw(st.lists(kinds[kind], min_size=count, max_size=count)), dtype=kind)
        mask = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        if "int" in kind and draw(st.booleans()):
            lengths = draw(st.lists(st.integers(2, 4), min_size=size, max_size=size))
            arrays = np.empty(size, dtype=object)
            for row, length in enumerate(lengths):
                arrays[row] = np.ma.MaskedArray(np.resize(values, length), mask=[False] * length)
            table[f"c{number}"] = arrays
        elif kind.startswith(("str", "S", "float", "complex")) or ("int" in kind and not shape and form == "BINARY2"):
            table[f"c{number}"] = MaskedColumn(values.reshape((size, *shape)), mask=np.reshape(mask, (size, *shape)))
        else:  # nothing there tells that it is masked
            table[f"c{number}"] = values.reshape((size, *shape))
    return table


@given(
    st.sampled_from(FORMS).flatmap(lambda form: st.tuples(st.just(form), tables(form))),
    st.integers(1, 4),
    st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_astropy_writes_in_binary_is_read_as_astropy_reads_it(
    tmp_path: Path, written: tuple[str, Table], rows: int, is_packed: bool
) -> None:
    form, table = written
    path = tmp_path / "t.vot"
    table.write(path, format="votable", tabledata_format=form.lower(), overwrite=True)
    if is_packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    expected = whole(path, "votable")

    columns = read_columns(path)

    assert told(columns) == told(in_pieces(path, rows)) == told(expected)
    assert columns.size == expected.size


def length_of(strategy: st.SearchStrategy[bytes], *, units: int) -> st.SearchStrategy[bytes]:
    """Give bytes after the number of units that they are."""
    return strategy.map(lambda content: struct.pack(">I", len(content) // units) + content)


def bytes_of(item: int, least: int, most: int) -> st.SearchStrategy[bytes]:
    """Give the bytes of some items of so many bytes each."""
    return st.integers(least, most).flatmap(lambda items: st.binary(min_size=item * items, max_size=item * items))


ascii_text = st.text(st.characters(max_codepoint=127), max_size=9).map(lambda text: text.encode("ascii"))
utf16_text = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=9).map(
    lambda text: text.encode("utf-16-be")
)
truth = st.sampled_from([b"T", b"F", b"t", b"f", b"1", b"0", b" ", b"?", b"\0"])
NUMBERS = {"unsignedByte": 1, "short": 2, "int": 4, "long": 8, "float": 4, "double": 8}
WIDTHS = NUMBERS | {"floatComplex": 8, "doubleComplex": 16}  # bytes of each
#: What a FIELD may say after its name, and the bytes that its cells may be.
fields: dict[str, st.SearchStrategy[bytes]] = {
    'datatype="char"/>': ascii_text.map(lambda text: text[:1].ljust(1)),
    'datatype="char" arraysize="4"/>': ascii_text.map(lambda text: text[:4].ljust(4, b"\0")),
    'datatype="char" arraysize="*"/>': length_of(ascii_text, units=1),
    'datatype="char" arraysize="9*"/>': length_of(ascii_text, units=1),
    'datatype="unicodeChar" arraysize="3"/>': utf16_text.map(lambda text: text[:6].ljust(6, b"\0")),
    'datatype="unicodeChar" arraysize="*"/>': length_of(utf16_text, units=2),
    'datatype="unicodeChar" arraysize="9*"/>': length_of(utf16_text, units=2),
    'datatype="boolean"/>': truth | st.binary(min_size=1, max_size=1),
    'datatype="boolean" arraysize="3"/>': st.lists(truth, min_size=3, max_size=3).map(b"".join),
    'datatype="boolean" arraysize="*"/>': length_of(st.lists(truth, max_size=3).map(b"".join), units=1),
    'datatype="bit"/>': st.binary(min_size=1, max_size=1),
    'datatype="bit" arraysize="11"/>': st.binary(min_size=2, max_size=2),
    'datatype="bit" arraysize="*"/>': length_of(st.binary(max_size=3), units=1),
}
for datatype, width in WIDTHS.items():
    for end in ("/>", '><VALUES null="0"/></FIELD>') if datatype in NUMBERS else ("/>",):
        fields |= {
            f'datatype="{datatype}"{end}': bytes_of(width, 1, 1),
            f'datatype="{datatype}" arraysize="2x3"{end}': bytes_of(width, 6, 6),
            f'datatype="{datatype}" arraysize="*"{end}': length_of(bytes_of(width, 0, 3), units=width),
            f'datatype="{datatype}" arraysize="4*"{end}': length_of(bytes_of(width, 0, 3), units=width),
            f'datatype="{datatype}" arraysize="2x*"{end}': length_of(bytes_of(2 * width, 0, 3), units=2 * width),
        }


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[str]]:
    """VOTables of any fields, and the names of some of their columns."""
    form = draw(st.sampled_from(FORMS))
    said = draw(st.lists(st.sampled_from(list(fields)), min_size=1, max_size=10))
    width = (len(said) + 7) // 8 if form == "BINARY2" else 0
    cells = [st.binary(min_size=width, max_size=width), *map(fields.__getitem__, said)]
    content = b"".join(b"".join(map(draw, cells)) for _ in range(draw(st.integers(0, 5))))
    names = [f"c{number}" for number in range(len(said))]
    elements = "".join(f'<FIELD name="{name}" {end}' for name, end in zip(names, said, strict=True))
    return document(form, elements, content), draw(st.lists(st.sampled_from(names), unique=True))


@given(documents(), st.integers(1, 4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cells_of_every_type_and_size_are_read_as_astropy_reads_them(
    tmp_path: Path, made: tuple[str, list[str]], rows: int
) -> None:
    content, names = made
    path = tmp_path / "t.vot"
    path.write_text(content)
    try:
        expected = whole(path, "votable")
    except ValueError:  # astropy 6 knows no text with a bound to its length
        with pytest.raises(BadTable):
            in_pieces(path, rows)
        return

    assert told(in_pieces(path, rows)) == told(expected)
    some = read_columns(path, columns=names)
    assert (told(some), some.size) == (told({name: expected[name] for name in names}), expected.size)


@pytest.mark.parametrize("form", FORMS)
def test_only_wanted_columns_of_a_binary_votable_are_made_into_values(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    path.write_text(
        document(form, VISITS, visit(form, "010", 55874, 1.5) + visit(form, "", -1, float("nan"), nulls=0b10000000))
    )

    columns = read_columns(path, columns={"plate": ("col1",), "mjd": (), "fiber": ()})

    assert dict(columns) == {"plate": ["010", ""], "mjd": [55874, MASKED]}
    assert (columns.units, columns.descriptions) == ({"mjd": "d"}, {"plate": "the plug plate"})
    assert read_columns(path, columns={"fiber": ()}).size == 2
    with pytest.raises(BadTable, match=r"t\.vot' has no column 'fiber'; it has col1, mjd, snr"):
        read_columns(path, columns=["fiber"])


@pytest.mark.parametrize("form", FORMS)
def test_names_of_elements_may_have_a_prefix(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    text = document(form, VISITS, visit(form, "010", 55874, 1.5))
    text = text.replace("</", "</v:").replace("<", "<v:").replace("<v:/v:", "</v:").replace("<v:?", "<?")
    path.write_text(text.replace("<v:VOTABLE", '<v:VOTABLE xmlns:v="http://www.ivoa.net/xml/VOTable/v1.3"'))

    assert told(read_columns(path)) == told(whole(path, "votable"))


@pytest.mark.parametrize("form", FORMS)
def test_a_row_may_be_longer_than_what_is_decoded_at_once(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    path.write_text(document(form, VISITS, visit(form, 500_000 * "0", 1, 1.0) + visit(form, "010", 2, 2.0)))

    assert told(in_pieces(path, 1)) == told(whole(path, "votable"))


def test_rows_that_take_no_bytes_are_none(tmp_path: Path) -> None:
    """Astropy looks for their end for ever."""
    path = tmp_path / "t.vot"
    path.write_text(document("BINARY", '<FIELD name="empty" datatype="char" arraysize="0"/>', b"abc"))

    assert dict(read_columns(path)) == {"empty": []}


@pytest.mark.parametrize("form", FORMS)
def test_a_binary_votable_of_several_tables_is_refused(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    content = visit(form, "010", 55874, 1.5)
    other = "<TABLE><FIELD name='n' datatype='int'/></TABLE>"
    for more in (other, f"</RESOURCE><RESOURCE>{other}"):
        path.write_text(document(form, VISITS, content, more=more))
        with pytest.raises(BadTable, match=r"t\.vot' holds several tables; give a file of one"):
            read_columns(path)


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_another_file_are_read_as_astropy_reads_them(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    content = visit(form, "010", 55874, 1.5)
    (tmp_path / "rows").write_bytes(content)
    elsewhere = f'<STREAM href="{(tmp_path / "rows").as_uri()}"/>'
    before, rest = document(form, VISITS, content).split("<STREAM")
    path.write_text(before + elsewhere + rest.partition("</STREAM>")[2])

    assert read_columns(path)["col1"] == ["010"]


@pytest.mark.parametrize("form", FORMS)
def test_a_binary_votable_that_is_cut_off_is_told_in_the_words_of_astropy(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    text = document(form, VISITS, 1000 * visit(form, "010", 55874, 1.5))
    for content in (text[:-20], text[: len(text) // 2], text.replace("</STREAM>", "</TREAM>"), text[:60]):
        path.write_text(content)
        with pytest.raises(ValueError, match=".") as by_astropy:
            Table.read(path, format="votable")

        with pytest.raises(BadTable) as ours:
            list(iter_columns(path, rows=1))

        assert str(ours.value) == f"{str(path)!r} cannot be read as a table: {by_astropy.value}"


def test_what_is_packed_and_cut_off_within_its_rows_does_not_unpack(tmp_path: Path) -> None:
    path = tmp_path / "t.vot.gz"
    text = document("BINARY2", VISITS, b"".join(visit("BINARY2", str(row), row, row) for row in range(10_000)))
    path.write_bytes(gzip.compress(text.encode())[:-5000])

    with pytest.raises(BadTable, match=r"t\.vot\.gz' is cut off or damaged: it does not unpack"):
        read_columns(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lost", [1, 8, 11])
def test_a_row_that_is_not_whole_is_refused(form: str, lost: int, tmp_path: Path) -> None:
    """Astropy leaves it out."""
    path = tmp_path / "t.vot"
    path.write_text(document(form, VISITS, (3 * visit(form, "010", 55874, 1.5))[:-lost]))
    assert len(Table.read(path, format="votable")) == 2

    with pytest.raises(BadTable, match=r"t\.vot' is cut off or damaged: its row 2 is not whole"):
        read_columns(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("damage", ["A", "AA=", "QQ==QUJD", "*", "é"])
def test_rows_that_are_no_base64_are_refused(form: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    text = document(form, VISITS, 12 * visit(form, "010", 55874, 1.5))
    path.write_text(text.replace("</STREAM>", f"{damage}</STREAM>"), encoding="utf-8")

    with pytest.raises(BadTable, match=r"t\.vot' is cut off or damaged: its rows are no base64: "):
        read_columns(path)


@pytest.mark.parametrize("form", FORMS)
def test_text_that_is_no_ascii_is_told_in_the_words_of_astropy(form: str, tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    path.write_text(document(form, VISITS, visit(form, "010", 1, 1.0).replace(b"010", b"0\xff0")))
    with pytest.raises(ValueError, match="ascii") as by_astropy:
        Table.read(path, format="votable")

    with pytest.raises(BadTable) as ours:
        read_columns(path)

    assert str(ours.value) == f"{str(path)!r} cannot be read as a table: {by_astropy.value}"


@pytest.mark.parametrize("form", FORMS)
def test_a_long_binary_votable_takes_no_more_memory_than_a_short_one(form: str, tmp_path: Path) -> None:
    for name, size in (("short.vot", 1000), ("long.vot", 100_000)):
        (tmp_path / name).write_text(document(form, VISITS, size * visit(form, "2M16544175-2148453", 55874, 1.5)))

    rows, grown = growth(tmp_path / "short.vot", tmp_path / "long.vot")

    assert rows == 100_000
    assert grown < 15, "astropy takes 43 MB"
