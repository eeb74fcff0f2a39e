"""Tables become columns of plain values, whatever they are written in, and are written whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time

from astra_registry import registry
from astra_registry.atomic import written
from astra_registry.conversion import MASKED
from astra_registry.errors import BadTable, FileMissing, UnequalLengths
from astra_registry.rows import products_of
from astra_registry.tables import as_table, column_names, iter_columns, match_columns, read_columns, write_table
from tests.streaming import growth

TABLES = Path(__file__).parent / "data" / "tables"
FORMATS = ["csv", "tsv", "ecsv", "fits", "fits.gz", "vot", "parquet", "feather", "arrow", "orc"]
UNTYPED = ["txt", "dat", "rst"]


@pytest.fixture
def visits() -> Table:
    return Table(
        {
            "plate": Column(["5094", "5094", "010"], description="the plug plate"),
            "mjd": Column([55874, 56643, 56651], unit="d"),
            "snr": [10.5, float("nan"), 3.0],
        }
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_a_table_reads_back_as_it_was_written(visits: Table, ending: str, tmp_path: Path) -> None:
    """CSV gives text, every other format gives the types; leading zeros stay."""
    path = tmp_path / f"visits.{ending}"

    write_table(visits, path)
    columns = read_columns(path)

    assert list(columns) == ["plate", "mjd", "snr"]
    assert columns.size == 3
    assert columns["plate"] == ["5094", "5094", "010"]
    assert columns["mjd"] == (["55874", "56643", "56651"] if ending in ("csv", "tsv") else [55874, 56643, 56651])
    assert all(type(value) in (int, str) for value in columns["mjd"])
    if ending not in ("csv", "tsv"):
        assert columns["snr"][0] == 10.5
        assert columns.units == {"mjd": "d"}
        assert columns.descriptions == {"plate": "the plug plate"}


@pytest.mark.parametrize("ending", UNTYPED)
def test_a_table_of_text_without_types_is_read_as_text(visits: Table, ending: str, tmp_path: Path) -> None:
    write_table(visits, tmp_path / f"visits.{ending}")

    columns = read_columns(tmp_path / f"visits.{ending}")

    assert columns["plate"] == ["5094", "5094", "010"]
    assert columns["mjd"] == ["55874", "56643", "56651"]


@pytest.mark.parametrize(
    "form",
    [
        "ascii.ipac",
        "ascii.mrt",
        "ascii.fixed_width",
        "ascii.fixed_width_two_line",
        "ascii.commented_header",
        "ascii.tab",
        "ascii.rdb",
    ],
)
def test_what_astropy_writes_is_known_by_its_content(visits: Table, form: str, tmp_path: Path) -> None:
    visits["snr"][1] = 2.0
    visits.write(tmp_path / "visits", format=form)

    columns = read_columns(tmp_path / "visits", columns=["plate", "mjd"])

    assert [str(plate).lstrip("0") for plate in columns["plate"]] == ["5094", "5094", "10"]
    assert [int(mjd) for mjd in columns["mjd"]] == [55874, 56643, 56651]


def test_comments_before_columns_apart_by_blanks_are_not_their_names(tmp_path: Path) -> None:
    path = tmp_path / "stars.txt"
    path.write_text("# chosen by me\nobj field telescope\n2M16 000+14 apo25m\n")
    assert read_columns(path)["field"] == ["000+14"]

    path.write_text("# obj plate\n2M16 0123\n")
    assert read_columns(path)["plate"] == ["0123"]

    names = [f"column_{n}" for n in range(200)]
    path.write_text(f"{' '.join(names)}\n{' '.join(['01'] * 200)}\n")
    assert list(read_columns(path)) == names


def test_a_page_of_html_is_refused_for_it_would_lose_leading_zeros(visits: Table, tmp_path: Path) -> None:
    write_table(visits, tmp_path / "t.html")

    with pytest.raises(BadTable, match="is a page of HTML"):
        read_columns(tmp_path / "t.html")


def test_what_a_format_cannot_hold_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match=r"t\.tbl' cannot be written"):
        write_table({"n": np.zeros((2, 2))}, tmp_path / "t.tbl")
    assert list(tmp_path.iterdir()) == []


def test_a_description_too_long_for_a_card_of_fits_is_read_whole(tmp_path: Path) -> None:
    told = "where the star is seen, at the equinox and the epoch that the catalogue of the survey gives it " * 3
    write_table({"ra": [1.0]}, tmp_path / "t.fits", descriptions={"ra": told.strip()}, units={"ra": "deg"})

    assert read_columns(tmp_path / "t.fits").descriptions == {"ra": told.strip()}


@pytest.mark.parametrize("ending", ["parquet", "feather", "orc"])
def test_a_damaged_file_of_arrow_s_formats_is_told(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write_table({"n": list(range(1000))}, path)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(BadTable, match="cannot be read as"):
        read_columns(path)


@pytest.mark.parametrize("ending", ["feather", "orc", "parquet"])
def test_what_pyarrow_writes_itself_is_read(ending: str, tmp_path: Path) -> None:
    from pyarrow import feather, orc, parquet

    table = pyarrow.table({"mjd": [55874, None], "plate": ["010", "5094"], "lines": [[1.0], [2.0, 3.0]]})
    write = {"feather": feather.write_feather, "orc": orc.write_table, "parquet": parquet.write_table}[ending]
    write(table, str(tmp_path / "t"))

    columns = read_columns(tmp_path / "t")

    assert columns["mjd"] == [55874, MASKED]
    assert columns["plate"] == ["010", "5094"]
    assert columns["lines"] == [[1.0], [2.0, 3.0]]


def test_what_a_file_is_follows_from_its_content_and_not_from_its_name(visits: Table, tmp_path: Path) -> None:
    visits.write(tmp_path / "visits.fits")
    (tmp_path / "visits.fits").rename(tmp_path / "visits.txt")

    assert read_columns(tmp_path / "visits.txt")["mjd"] == [55874, 56643, 56651]


@pytest.mark.parametrize("name", sorted(path.name for path in TABLES.glob("*.csv")))
def test_the_shipped_tables_read_as_the_csv_module_reads_them(name: str) -> None:
    lines = (TABLES / name).read_text().splitlines()

    columns = read_columns(TABLES / name)

    assert list(columns) == lines[0].split(",")
    assert columns.size == len(lines) - 1
    assert ["".join(row) for row in zip(*columns.values(), strict=True)] == [
        line.replace(",", "") for line in lines[1:]
    ]


def test_plain_csv_needs_neither_astropy_nor_numpy() -> None:
    code = f"""
import sys
from astra_registry.tables import read_columns
assert read_columns({str(TABLES / "visits.csv")!r}).size == 3
assert not {{"astropy", "numpy", "pyarrow"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plate,mjd\n5094,1\n", {"plate": ["5094"], "mjd": ["1"]}),
        ("\ufeffplate,mjd\r\n5094,1\r\n", {"plate": ["5094"], "mjd": ["1"]}),
        ("#Table1\nplate,mjd\n5094,1\n", {"plate": ["5094"], "mjd": ["1"]}),
        ("plate, mjd\n5094, 1\n\n5095, 2\n", {"plate": ["5094", "5095"], "mjd": ["1", "2"]}),
        ("plate\tmjd\n5094\t1\n", {"plate": ["5094"], "mjd": ["1"]}),
        ("plate;mjd\n5094;1\n", {"plate": ["5094"], "mjd": ["1"]}),
        ("plate|mjd\n5094|\n", {"plate": ["5094"], "mjd": [""]}),
        ('plate,field\n1,"a,b"\n', {"plate": ["1"], "field": ["a,b"]}),
        ("plate\n5094\n5095\n", {"plate": ["5094", "5095"]}),
        ("plate,mjd\n", {"plate": [], "mjd": []}),
    ],
)
def test_csv_as_people_write_it(text: str, expected: dict[str, list[str]], tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(text.encode())

    columns = read_columns(path)

    assert {name: list(values) for name, values in columns.items()} == expected


def test_csv_is_read_from_a_stream_and_from_a_packed_file(tmp_path: Path) -> None:
    text = (TABLES / "visits.csv").read_text()
    packed = tmp_path / "visits.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))

    assert (
        dict(read_columns(io.StringIO(text))) == dict(read_columns(packed)) == dict(read_columns(TABLES / "visits.csv"))
    )


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_the_names_of_columns_may_stand_in_the_last_comment(mark: str, tmp_path: Path) -> None:
    """As numpy writes them; a comment before names is none."""
    path = tmp_path / "visits.csv"
    path.write_text(f"# of 2020\n# plate{mark}mjd\n5094{mark}55874\n")
    assert dict(read_columns(path)) == {"plate": ["5094"], "mjd": ["55874"]}

    path.write_text(f"#made{mark}here\nplate{mark}mjd\n5094{mark}55874\n")
    assert dict(read_columns(path)) == {"plate": ["5094"], "mjd": ["55874"]}


@pytest.mark.parametrize("length", [2000, 2885, 5759, 9000])
def test_a_fits_table_that_is_cut_is_refused_as_such(length: int, tmp_path: Path) -> None:
    path = tmp_path / "visits.fits"
    Table({"plate": np.arange(2000)}).write(path)
    os.truncate(path, length)

    with pytest.raises(BadTable, match=r"visits\.fits' (is cut|cannot be read as a FITS table: Empty)"):
        read_columns(path)


def test_a_file_of_several_tables_tells_which_of_them_lacks_a_column(tmp_path: Path) -> None:
    path = str(tmp_path / "all.fits")
    parts = [fits.BinTableHDU(Table({name: [1]})) for name in ("version", "plate", "other")]
    fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(path)
    told = r"needs .*plate.*; its columns are version; HDU 1 was read; HDU 2, 3 hold tables, too"

    with pytest.raises(BadTable, match=told):
        registry["apVisit"].from_table(path, release="dr17")
    with pytest.raises(BadTable, match=told):
        list(products_of(path, registry, product="apVisit", release="dr17"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"plate,mjd\n1,2\n3\n", "row 1 .* has 1 cells, the header names 2"),
        (b"plate,mjd\n1,2\n3,4,5\n", "row 1 .* has 3 cells, the header names 2"),
        (b"plate,plate\n1,2\n", "more than one column 'plate'"),
        (b"\x89PNG\0\0", "neither text nor FITS"),
        (b"plate\n\xff\xfe\n", "not UTF-8"),
        (b"\x1f\x8bjunk", "does not unpack"),
        (b"# %ECSV 1.0\n# ---\n", "cannot be read as a table"),
        (b"<?xml version='1.0'?><html/>", "cannot be read as a table"),
        (b"PAR1junk", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(content)

    with pytest.raises(BadTable, match=message):
        read_columns(path)


def test_a_row_is_no_table_and_a_value_no_column(visits: Table) -> None:
    """A row has names, too; its texts, where all are of one length, would make rows of their letters."""
    one = visits[:1]

    for row in (one[0], one.as_array()[0], {"plate": np.array("5094")}, {"plate": "5094"}, {"plate": 5094}):
        with pytest.raises(BadTable, match="plate of the table is not a column of values"):
            read_columns(row, columns=["plate"])
    assert read_columns(list(one), columns=["plate"])["plate"] == ["5094"]


def test_a_missing_file_a_folder_and_an_image_are_told_apart(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")

    with pytest.raises(FileMissing, match="there is no table"):
        read_columns(tmp_path / "none.csv")
    with pytest.raises(BadTable, match="is a folder"):
        read_columns(tmp_path)
    with pytest.raises(BadTable, match="only images"):
        read_columns(tmp_path / "image.fits")


def test_a_cut_fits_table_is_refused(visits: Table, tmp_path: Path) -> None:
    path = tmp_path / "visits.fits"
    visits.write(path)
    path.write_bytes(path.read_bytes()[:6000])

    with pytest.raises(BadTable, match="is cut or damaged"):
        read_columns(path)


def test_masked_cells_are_told_from_values(tmp_path: Path) -> None:
    """Of an astropy table, of FITS's TNULL, of Parquet's nulls and of a database's None."""
    table = Table({"mjd": MaskedColumn([1, 2, 3], mask=[False, True, False]), "obj": ["a", "b", "c"]})
    table.write(tmp_path / "t.fits")
    table.write(tmp_path / "t.parquet")

    for source in (table, tmp_path / "t.fits", tmp_path / "t.parquet", [{"mjd": 1, "obj": "a"}, {"obj": "b"}]):
        columns = read_columns(source)
        assert columns["mjd"][0] == 1
        assert columns["mjd"][1] is MASKED
        assert columns["obj"][:2] == ["a", "b"]


def test_tables_in_memory_of_every_kind() -> None:
    expected = {"obj": ["a", "b"], "mjd": [1, 2]}
    array = np.array([(b"a ", 1), (b"b", 2)], dtype=[("obj", "S4"), ("mjd", ">i4")])

    for source in (
        expected,
        {"obj": np.array(["a", "b"]), "mjd": np.array([1, 2])},
        array,
        Table(array),
        pandas.DataFrame(expected),
        pyarrow.table(expected),
        [{"obj": "a", "mjd": 1}, {"obj": "b", "mjd": 2}],
        read_columns(expected),
    ):
        columns = read_columns(source)
        assert dict(columns) == expected, type(source)
        assert type(columns["mjd"][0]) is int


def test_a_table_of_many_chunks_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("n,m\n" + "".join(f"{n},{-n}\n" for n in range(150_000)))

    columns = read_columns(path)

    assert columns.size == 150_000
    assert columns["m"][149_999] == "-149999"
    path.write_text(path.read_text() + "7\n")
    with pytest.raises(BadTable, match=r"row 150000 of .* has 1 cells"):
        read_columns(path)


def test_the_number_of_rows_is_known_also_when_no_column_is_wanted(tmp_path: Path) -> None:
    columns = {"obj": ["a", "b"]}
    write_table(columns, tmp_path / "t.csv")
    write_table(columns, tmp_path / "t.fits")
    sources = [
        columns,
        Table(columns),
        read_columns(columns),
        pandas.DataFrame(columns),
        [{"obj": "a"}, {"obj": "b"}],
        tmp_path / "t.csv",
        tmp_path / "t.fits",
    ]
    for source in sources:
        empty = read_columns(source, columns={"mjd": ()})
        assert (dict(empty), empty.size) == ({}, 2), type(source)


def test_odd_columns_become_plain_values() -> None:
    """Text in bytes that is not ASCII, None among objects, dates, a masked float of pandas, unsigned integers."""

    assert read_columns({"a": np.array(["Å ".encode(), b"b"])})["a"] == ["Å", "b"]
    assert read_columns({"a": np.array([1, None], dtype=object)})["a"] == [1, MASKED]
    assert read_columns(pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64")}))["a"][1] is MASKED
    assert read_columns({"a": np.array([2**63], dtype=np.uint64)})["a"] == [2**63]
    times = Table({"t": Time([51544.5], format="mjd")})
    assert read_columns(times)["t"][0].mjd == 51544.5


def test_scaled_and_unsigned_fits_columns_have_their_true_values(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    Table({"id": np.array([1, 2**63 + 5], np.uint64), "flag": [True, False]}).write(path)

    columns = read_columns(path)

    assert columns["id"] == [1, 2**63 + 5]
    assert columns["flag"] == [True, False]


def test_a_packed_table_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    text = "n\n" + "".join(f"{n * n}\n" for n in range(20_000))
    path.write_bytes(gzip.compress(text.encode())[:-2000])

    with pytest.raises(BadTable, match="does not unpack"):
        read_columns(path)


def test_parquet_without_pyarrow_names_what_to_install(tmp_path: Path) -> None:
    write_table({"n": [1]}, tmp_path / "t.parquet")
    code = f"""
import sys
sys.modules["pyarrow"] = None  # what Python finds when a package is not there
from astra_registry.errors import MissingExtra
from astra_registry.tables import read_columns, write_table
for call in (lambda: read_columns({str(tmp_path / "t.parquet")!r}),
             lambda: write_table({{"n": [1]}}, {str(tmp_path / "u.parquet")!r})):
    try:
        call()
    except MissingExtra as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.count("pip install 'astra-registry[parquet]'") == 2


def test_a_quantity_keeps_its_unit() -> None:
    columns = read_columns(QTable({"ra": [1.0, 2.0] * u.deg}))

    assert columns["ra"] == [1.0, 2.0]
    assert columns.units == {"ra": "deg"}


@pytest.mark.parametrize("source", [{"obj": "2M"}, {"mjd": 5}, 17, ["a", "b"]])
def test_what_is_no_table_in_memory_is_refused(source: object) -> None:
    with pytest.raises(BadTable):
        read_columns(source)


def test_columns_of_unequal_lengths_are_named() -> None:
    with pytest.raises(UnequalLengths, match="plate has 1, mjd has 2"):
        read_columns({"plate": ["a"], "mjd": [1, 2]})


def test_only_the_wanted_columns_are_read_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("PLATEID,MJD,ra\n1,2,3\n")

    assert dict(read_columns(path, columns=["mjd"])) == {"mjd": ["2"]}
    assert dict(read_columns(path, columns={"plate": ("plateid", "fieldid"), "mjd": (), "run2d": ()})) == {
        "plate": ["1"],
        "mjd": ["2"],
    }
    with pytest.raises(BadTable, match="has no column 'fiber'; it has PLATEID, MJD, ra"):
        read_columns(path, columns=["fiber"])


def test_a_name_beats_another_case_and_that_beats_an_alias() -> None:
    wanted = {"plate": ("plateid", "fieldid")}

    assert match_columns(["plateid", "PLATE", "plate"], wanted) == {"plate": "plate"}
    assert match_columns(["plateid", "PLATE"], wanted) == {"plate": "PLATE"}
    assert match_columns(["PlateID"], wanted) == {"plate": "PlateID"}
    assert match_columns(["ra"], wanted) == {}


@pytest.mark.parametrize("available", [["PLATE", "Plate"], ["plateid", "fieldid"], ["PLATEID", "PlateID"]])
def test_two_columns_that_fit_equally_well_are_both_named(available: list[str]) -> None:
    with pytest.raises(BadTable, match=f"plate could be '{available[0]}' and '{available[1]}'"):
        match_columns(available, {"plate": ("plateid", "fieldid")})


@pytest.mark.parametrize("ending", FORMATS)
def test_a_table_streams_in_pieces_that_make_the_whole(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write_table({"n": list(range(1000)), "name": [f"s{n}" for n in range(1000)]}, path)

    pieces = list(iter_columns(path, rows=300))

    assert [piece.size for piece in pieces] == [300, 300, 300, 100]
    assert [int(n) for piece in pieces for n in piece["n"]] == list(range(1000))
    assert column_names(path) == ["n", "name"]


def test_a_table_without_rows_has_one_empty_piece(tmp_path: Path) -> None:
    for ending in FORMATS:
        path = tmp_path / f"t.{ending}"
        write_table({"n": np.zeros(0, int)}, path)
        assert [(piece.size, list(piece["n"])) for piece in iter_columns(path)] == [(0, [])], ending


@pytest.mark.parametrize("ending", FORMATS)
def test_none_is_written_as_a_missing_cell(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"report.{ending}"
    write_table({"path": ["a", "b"], "bytes": [None, 2880]}, path)

    values = read_columns(path)["bytes"]

    assert values[0] in (MASKED, "")
    assert int(values[1]) == 2880


def test_a_table_is_made_with_units_descriptions_and_meta() -> None:
    table = as_table({"mjd": [1]}, units={"mjd": "d"}, descriptions={"mjd": "the night"}, meta={"release": "dr17"})

    assert str(table["mjd"].unit) == "d"
    assert table["mjd"].description == "the night"
    assert table.meta == {"release": "dr17"}


def test_a_file_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    write_table({"n": [1]}, path)

    with pytest.raises(FileExistsError):
        write_table({"n": [2]}, path)
    assert read_columns(path)["n"] == [1]

    write_table({"n": [2]}, path, overwrite=True)
    assert read_columns(path)["n"] == [2]


def test_an_unknown_ending_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match=r"may end in \.csv"):
        write_table({"n": [1]}, tmp_path / "t.doc")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), written(tmp_path / "t.txt") as private:  # noqa: PT012
        Path(private).write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_of_a_new_file_the_second_is_told(tmp_path: Path) -> None:
    """Even when the file came to be after the look at it."""
    path = tmp_path / "t.txt"
    with pytest.raises(FileExistsError), written(path) as private:  # noqa: PT012
        Path(private).write_text("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_fits_table_gives_back_the_memory_of_what_was_read(tmp_path: Path) -> None:
    """The pages of a file that is mapped count as memory of whoever looks at them."""
    path = tmp_path / "long.fits"
    Table({"n": np.arange(300_000), "wide": np.zeros((300_000, 30))}).write(path)
    write_table({"n": [1]}, tmp_path / "short.fits")

    rows, grown = growth(tmp_path / "short.fits", path, "n")

    assert rows == 300_000
    assert grown < 30, "of 74 MB"
