"""The rows of a table become products in batches, and what cannot be used is told apart."""

from __future__ import annotations

import io
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pandas
import pyarrow
import pytest
from astropy.table import Table
from pyarrow import parquet

from astra_registry import Registry, SDSS5DataModelTask, hookimpl, parameter, registry
from astra_registry.errors import BadTable, InvalidParameter, UnknownProduct
from astra_registry.rows import UnusableRow
from astra_registry.rows import products_of as rows_of


def products_of(*table: Any, **options: Any) -> Iterator[Any]:
    """Give the products alone."""
    return (rows.product for rows in rows_of(*table, **options))


ECSV = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: TELESCOPE, datatype: string}
# - {name: FIELD, datatype: string}
# - {name: plateid, datatype: string}
# - {name: MJD, datatype: int64}
# - {name: fiberid, datatype: int64}
# - {name: snr, datatype: float64}
TELESCOPE FIELD plateid MJD fiberid snr
apo25m 000+02 5815 56396 212 unknown
apo25m 000+02 5815 56396 301 10.5
"""
VISITS = {
    "telescope": ["apo25m"] * 3,
    "field": ["000+02"] * 3,
    "plate": ["5815"] * 3,
    "mjd": [56396] * 3,
    "fiber": [1, 2, 3],
}


def test_columns_that_a_product_does_not_take_are_not_read(tmp_path: Path) -> None:
    """A survey's table has hundreds of them, and some with arrays in their cells."""
    path = tmp_path / "visits.ecsv"
    path.write_text(ECSV)

    (batch,) = products_of(str(path), registry, product="apVisit", release="dr17")

    assert [visit.fiber for visit in batch] == [212, 301]
    assert batch[0].plate == "5815"


def test_a_table_is_opened_once_so_that_it_may_be_a_stream() -> None:
    stream = io.StringIO("telescope,field,plate,mjd,fiber\napo25m,000+02,5815,56396,212\napo25m,000+02,5815,x,1\n")

    batch, unusable = products_of(stream, registry, product="apVisit", release="dr17")

    assert batch.fiber == 212
    assert isinstance(unusable, UnusableRow)
    assert unusable.row == 1


@pytest.mark.parametrize("release", ["dr17", None])
def test_a_row_with_too_few_or_too_many_cells_cannot_be_used_and_the_others_can(
    tmp_path: Path, release: str | None
) -> None:
    good = "apo25m,000+02,5815,56396,{},dr17\n"
    path = tmp_path / "visits.csv"
    path.write_text(
        "telescope,field,plate,mjd,fiber,release\n"
        + "".join(good.format(fiber) for fiber in range(5000))
        + "apo25m,000+02\n"
        + good.format(7)
        + good.format("8,9")
    )

    made = list(products_of(str(path), registry, product="apVisit", release=release))

    assert [str(row) for row in made if isinstance(row, UnusableRow)] == [
        "row 5000: it has 2 cells, the header names 6",
        "row 5002: it has 7 cells, the header names 6",
    ]
    visits = [visit for batch in made if not isinstance(batch, UnusableRow) for visit in batch.get_batch_tasks()]
    assert [visit.fiber for visit in visits] == [*range(5000), 7]


def test_an_ecsv_row_with_too_many_cells_cannot_be_used_and_the_others_can(tmp_path: Path) -> None:
    path = tmp_path / "visits.ecsv"
    path.write_text(ECSV.replace(" unknown", " 3.0 more"))

    unusable, visit = products_of(str(path), registry, product="apVisit", release="dr17")

    assert str(unusable) == "row 0: it has 7 cells, the header names 6"
    assert visit.fiber == 301


def test_a_table_that_cannot_be_used_is_refused_before_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "visits.ecsv"
    path.write_text(ECSV)

    with pytest.raises(BadTable, match=r"has no column 'product', and no product was named"):
        next(products_of(str(path), registry))
    path.write_text(ECSV.replace("- {name: FIELD", "- {name: FELD").replace(" FIELD ", " FELD "))
    with pytest.raises(BadTable, match=r"field.*its columns are TELESCOPE, FELD, plateid"):
        next(products_of(str(path), registry, product="apVisit", release="dr17"))
    for columns in ({"release": ["dr17"]}, {"mjd": [56396]}):
        with pytest.raises(UnknownProduct):
            next(products_of(columns, registry, product="apVist"))


def test_a_column_of_what_is_the_same_for_all_rows_is_told_as_the_reason() -> None:
    class LabFile(SDSS5DataModelTask):
        """A file of the laboratory."""

        sdss_data_model_name = "labFile"
        templates: ClassVar[dict[str, str]] = {"dr17": "$SAS_BASE_DIR/dr17/lab-{number}.fits"}
        number: int = parameter("Its number.", aliases=("NUM",))

    lab = Registry(plugins=[types.SimpleNamespace(astra_registry_products=hookimpl(lambda: [LabFile]))])

    with pytest.raises(BadTable, match=r"needs number; its columns are NUM \(not with batch=True declared.*: number\)"):
        next(products_of({"NUM": [1, 2]}, lab, product="labFile", release="dr17"))


@pytest.mark.parametrize("spelled", ["apVisit ", b"apVisit \0", "\tapVisit"])
def test_what_pads_the_name_of_a_product_is_no_part_of_it(spelled: object) -> None:
    table = {**VISITS, "release": ["dr17"] * 3, "product": ["apVisit", spelled, "apVisit"]}

    (batch,) = products_of(table, registry)

    assert list(batch.fiber) == [1, 2, 3]


def test_a_row_with_a_blank_for_its_product_says_so() -> None:
    table = {**VISITS, "release": ["dr17"] * 3, "product": ["apVisit", "  ", None]}

    visit, *unusable = products_of(table, registry)

    assert visit.fiber == 1
    assert [str(row) for row in unusable] == [f"row {n}: its product is masked or empty" for n in (1, 2)]


@pytest.mark.parametrize("release", ["dr17", None])
def test_a_row_of_another_product_than_the_one_that_was_named_cannot_be_used(release: str | None) -> None:
    """A masked cell leaves it to the name."""
    table = {**VISITS, "release": ["dr17"] * 3, "product": ["apVisit ", "apStar", None]}

    made = list(products_of(table, registry, product="apVisit", release=release))

    assert [str(row) for row in made if isinstance(row, UnusableRow)] == [
        "row 1: its product is 'apStar', not 'apVisit'"
    ]
    visits = [visit for batch in made if not isinstance(batch, UnusableRow) for visit in batch.get_batch_tasks()]
    assert [visit.fiber for visit in visits] == [1, 3]


def test_a_row_may_name_no_product_at_all_and_is_told_as_one_that_is_another() -> None:
    table = {**VISITS, "product": ["apVisit", "a galaxy", 7]}

    _, *unusable = products_of(table, registry, product="apVisit", release="dr17")

    assert [str(row) for row in unusable] == [
        "row 1: its product is 'a galaxy', not 'apVisit'",
        "row 2: its product is 7, not 'apVisit'",
    ]


@pytest.mark.parametrize("ending", ["fits", "ecsv", "parquet", "csv"])
def test_a_column_of_products_that_is_all_blank_leaves_it_to_the_name(tmp_path: Path, ending: str) -> None:
    """pandas makes one of floats, which are no numbers."""
    path = tmp_path / f"visits.{ending}"
    frame = pandas.DataFrame({**VISITS, "product": float("nan")})
    frame.to_parquet(path) if ending == "parquet" else Table.from_pandas(frame).write(path)

    (batch,) = products_of(str(path), registry, product="apVisit", release="dr17")
    unusable = list(products_of(str(path), registry, release="dr17"))

    assert list(batch.fiber) == [1, 2, 3]
    assert [str(row) for row in unusable] == [f"row {n}: its product is masked or empty" for n in range(3)]


def test_each_product_knows_its_row() -> None:
    """Also where rows of several releases are apart, and one among them cannot be used."""
    table = {**VISITS, "release": ["dr17", "dr16", "dr17"], "mjd": [56396, 56396, "oops"]}

    told = {number: rows.product for rows in rows_of(table, registry, product="apVisit") for number in rows.numbers}

    assert (told[0].release, told[1].release, told[2].row) == ("dr17", "dr16", 2)


@pytest.mark.parametrize(
    ("name", "form"), [("visits.fits", "fits"), ("visits.ecsv", "ascii.ecsv"), ("visits.vot", "votable")]
)
def test_a_row_with_several_values_in_a_cell_is_told(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / name
    Table({**VISITS, "mjd": [[56396, 1]] * 3}).write(path, format=form)

    unusable = list(products_of(str(path), registry, product="apVisit", release="dr17"))

    assert {str(row).partition(": ")[2] for row in unusable} == {"its mjd has several values: a row names one file"}
    assert [row.row for row in unusable] == [0, 1, 2]


def test_integers_that_pandas_wrote_as_floats_for_a_gap_are_integers(tmp_path: Path) -> None:
    """But for the gaps themselves, for what is no whole number, and for what may have lost digits."""
    path = tmp_path / "visits.csv"
    gaps = {"telescope": "apo25m", "field": "000+02", "plate": "5815", "mjd": [56396, 56396, 56396, 56396, 2**53]}
    pandas.DataFrame({**gaps, "fiber": [212, None, 301, 301.5, 1]}).astype({"mjd": float}).to_csv(path)

    made = list(products_of(str(path), registry, product="apVisit", release="dr17"))

    visits = [visit for batch in made if not isinstance(batch, UnusableRow) for visit in batch.get_batch_tasks()]
    assert [(visit.mjd, visit.fiber) for visit in visits] == [(56396, 212), (56396, 301)]
    assert [row.row for row in made if isinstance(row, UnusableRow)] == [1, 3, 4]


def test_only_a_file_has_integers_with_a_point_as_text(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text("telescope,field,plate,mjd,fiber\napo25m,000+02,5815.0,56396.0,212.\n")
    visit = registry["apVisit"]

    (made,) = visit.from_table(path, release="dr17")

    assert (made.plate, made.mjd, made.fiber) == ("5815", 56396, 212)
    columns = {**VISITS, "fiber": ["212.0"] * 3}
    with pytest.raises(InvalidParameter, match=r"fiber = '212.0': it takes an integer"):
        visit.from_table(columns, release="dr17")
    with pytest.raises(InvalidParameter, match=r"fiber = '212.0': it takes an integer"):
        visit(**columns, release="dr17")


@pytest.mark.parametrize("ending", ["csv", "fits", "parquet", "in memory"])
def test_a_plate_is_a_number_in_tables_and_text_in_names(tmp_path: Path, ending: str) -> None:
    """Also where pandas made a float of it, for a gap; versions, which are text too, keep their points."""
    path = tmp_path / f"visits.{ending}"
    plates = {"apred": ["1.0", "1.0"], "telescope": "apo25m", "field": "000+02", "plate": [5815.0, 5816.0]}
    frame = pandas.DataFrame({**plates, "mjd": 56396, "fiber": 212})
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "fits":
        Table.from_pandas(frame).write(path)
    elif ending == "parquet":
        frame.to_parquet(path)

    source = frame if ending == "in memory" else str(path)
    visits = registry["apVisit"].from_table(source, release="dr17")

    assert [visit.plate for visit in visits.get_batch_tasks()] == ["5815", "5816"]
    assert [visit.apred for visit in visits.get_batch_tasks()] == ["1.0", "1.0"]


@pytest.mark.parametrize("ending", ["csv", "nan.csv", "fits", "in memory"])
def test_a_reduction_and_a_field_are_numbers_in_tables_that_have_gaps(tmp_path: Path, ending: str) -> None:
    """Files of SDSS-I are in the folder 26, and not 26.0."""

    def locations(product: str, release: str, **columns: Any) -> list[Any]:
        path = tmp_path / f"{product}.{ending}"
        frame = pandas.DataFrame({name: [value, value] for name, value in columns.items()})
        gap = list(columns)[-1]
        frame[gap] = frame[gap].astype(float)
        frame.loc[1, gap] = float("nan")
        if ending.endswith("csv"):
            frame.to_csv(path, index=False, na_rep="nan" if ending == "nan.csv" else "")
        elif ending == "fits":
            Table.from_pandas(frame).write(path)
        source = frame if ending == "in memory" else str(path)
        made = list(products_of(source, registry, product=product, release=release))
        assert [one.row for one in made if isinstance(one, UnusableRow)] == [1]
        return [one.location for one in made if not isinstance(one, UnusableRow)]

    (spec,) = locations("spec", "dr16", PLATE=266, MJD=51602, FIBERID=13, RUN2D=26)
    (star,) = locations("apStar", "dr13", APOGEE_ID="2M17330001-2753043", TELESCOPE="apo25m", FIELD=4264)

    assert "/26/" in spec
    assert "/4264/" in star


def test_a_column_that_only_another_product_fills_is_not_taken_for_this_one() -> None:
    spec = {"product": "spec", "PLATEID": 3655, "mjd": 55240, "fiberid": 12, "run2d": "v5_13_0"}
    visit = {"product": "apVisit", "PLATE": "5815", "telescope": "apo25m", "field": "000+02", "mjd": 56396}
    visit["fiber"] = 212
    table = pandas.DataFrame([visit, spec])

    made = list(products_of(table, registry, release="dr17"))

    assert sorted(product.get_batch_size() for product in made) == [1, 1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("told", [(), ("release",), ("release", "product")])
def test_a_column_that_is_not_needed_may_be_there_twice(told: tuple[str, ...], suffix: str, tmp_path: Path) -> None:
    """As a join leaves it; of a needed one nobody knows which is meant."""
    visit = {"telescope": "apo25m", "field": "K04_083+13", "plate": "6084", "mjd": "56090", "fiber": "7"}
    row = {**visit, **{name: {"release": "dr17", "product": "apVisit"}[name] for name in told}}
    path = str(tmp_path / f"dup{suffix}")
    given = {name: value for name, value in {"release": "dr17", "product": "apVisit"}.items() if name not in told}

    _write_table(path, [*row, "ra", "ra"], [*row.values(), "1.5", "1.5"])
    (made,) = products_of(path, registry, **given)
    assert made.plate == "6084"
    if "product" not in told:
        _write_table(path, [*row, "plate"], [*row.values(), "6085"])
        with pytest.raises(BadTable, match=r"dup.*has more than one column 'plate'"):
            list(products_of(path, registry, **given))


def _write_table(path: str, names: list[str], cells: list[str]) -> None:
    if path.endswith(".csv"):
        Path(path).write_text(f"{','.join(names)}\n{','.join(cells)}\n")
    else:
        parquet.write_table(pyarrow.Table.from_arrays([[cell] for cell in cells], names=names), path)
