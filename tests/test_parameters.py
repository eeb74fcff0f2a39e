"""Parameters: what they take, and what they refuse."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from astra_registry.conversion import MASKED
from astra_registry.errors import BadValue, InvalidParameter
from astra_registry.parameters import Parameter, is_column, parameter, plain_column

MJD = Parameter(name="mjd", attribute="mjd", type=int, doc="", in_path=True)
PLATE = Parameter(name="plate", attribute="plate", type=str, doc="", in_path=True)
NOTE = Parameter(name="note", attribute="note", type=str, doc="")
FLAG = Parameter(name="flag", attribute="flag", type=bool, doc="")
EXPTIME = Parameter(name="exptime", attribute="exptime", type=float, doc="")


@pytest.mark.parametrize(
    "spelling",
    [
        59146,
        "59146",
        b"59146 ",
        bytearray(b"59146"),
        memoryview(b"59146"),
        " 59146",
        np.int32(59146),
        np.array(59146),
        59146.0,
        "+59146",
        Decimal(59146),
        Fraction(59146),
    ],
)
def test_an_integer_is_the_same_in_every_spelling(spelling: Any) -> None:
    assert MJD.convert(spelling) == 59146
    assert type(MJD.convert(spelling)) is int


@pytest.mark.parametrize(
    "junk",
    [
        "oops",
        59146.5,
        True,
        False,
        np.bool_(True),
        float("nan"),
        np.float64("nan"),
        np.ma.masked,
        MASKED,
        None,
        "",
        "1_000",
        "٣",
        [1],
        "1\n",
        Decimal("59146.00000000000000000001"),
        Fraction(59146 * 10**20 + 1, 10**20),
        float("inf"),
        1j,
        np.complex64(59146 + 1j),
        np.array(59146 + 0j, dtype=np.complex64),
        np.datetime64("2020-10-24", "ns"),
        np.array("2020-10-24", dtype="M8[ns]"),
        np.timedelta64(59146, "ns"),
        10**5000,
        "9" * 5000,
    ],
    ids=lambda junk: repr(junk)[:40] if not isinstance(junk, int) or abs(junk) < 10**40 else "a long one",
)
def test_what_is_no_integer_is_refused_by_name(junk: Any) -> None:
    with pytest.raises(InvalidParameter, match="mjd"):
        MJD.convert(junk)


@pytest.mark.parametrize("number", [2.702159784267914e16, float(2**53), np.float64(2**60), -1e300])
def test_a_float_that_may_have_lost_digits_is_no_integer(number: float) -> None:
    """Tables with gaps hold integers as floats, and a catalogid has more digits than a float keeps."""
    with pytest.raises(InvalidParameter, match="a float of that size has lost digits"):
        MJD.convert(number)
    assert MJD.convert(Decimal(27021597842679140)) == MJD.convert("27021597842679140") == 27021597842679140
    assert MJD.convert(float(2**53 - 1)) == 2**53 - 1


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (np.array(["2020-10-24"], dtype="M8[ns]"), np.datetime64("2020-10-24", "ns")),
        (np.array([1], dtype="m8[ns]"), np.timedelta64(1, "ns")),
        ([1.5] * u.day, 1.5 * u.day),
    ],
)
def test_a_column_of_dates_or_quantities_is_not_taken_for_plain_numbers(column: Any, kept: Any) -> None:
    assert list(plain_column(column)) == [kept]
    with pytest.raises(InvalidParameter, match="row 0: mjd"):
        MJD.convert_column(plain_column(column))


def test_a_quantity_is_taken_in_the_parameters_unit() -> None:
    seconds = Parameter(name="exptime", attribute="exptime", type=float, doc="", unit="s")

    assert seconds.convert(1.5 * u.min) == 90.0
    assert list(seconds.convert_column(plain_column([1, 2] * u.min))) == [60.0, 120.0]
    assert seconds.convert(7) == 7.0
    with pytest.raises(InvalidParameter, match="exptime = <Quantity 1. m>: "):
        seconds.convert(1 * u.m)


@pytest.mark.parametrize(
    ("spelling", "text"),
    [(5094, "5094"), (np.int16(7), "7"), (b"apo25m\0\0", "apo25m"), ("N188 ", "N188"), (np.str_("x"), "x")],
)
def test_text_takes_integers_and_loses_its_padding(spelling: Any, text: str) -> None:
    assert PLATE.convert(spelling) == text
    assert type(PLATE.convert(spelling)) is str


@pytest.mark.parametrize(
    "unsafe",
    ["a/b", "..", "../x", "/etc/passwd", ".", "a\0b", "a\nb", "a\tb", "\x7f", "", " ", True, 1.5, np.ma.masked],
)
def test_a_value_may_not_leave_its_place_in_a_path(unsafe: Any) -> None:
    with pytest.raises(InvalidParameter):
        PLATE.convert(unsafe)


def test_an_array_without_dimensions_is_the_value_that_it_holds() -> None:
    assert (MJD.convert(np.array(59146)), PLATE.convert(np.array("5815"))) == (59146, "5815")
    for nothing in (np.ma.array(59146, mask=True), np.array(np.nan), np.array(True)):
        with pytest.raises(InvalidParameter):
            MJD.convert(nothing)


def test_a_message_is_one_line_whatever_the_value_looks_like() -> None:
    with pytest.raises(InvalidParameter) as told:
        MJD.convert(np.eye(2))
    assert "\n" not in str(told.value)


def test_an_analysis_tasks_text_may_hold_anything() -> None:
    assert NOTE.convert(" a/b\n ") == " a/b\n "


@pytest.mark.parametrize("junk", ["yes", 2, "1", None, "", 0.0])
def test_a_junk_truth_value_is_refused(junk: Any) -> None:
    with pytest.raises(InvalidParameter):
        FLAG.convert(junk)


def test_truth_values_are_taken_in_numpys_and_in_texts_spelling() -> None:
    assert FLAG.convert(np.bool_(True)) is True
    assert FLAG.convert("False") is False


def test_a_number_takes_integers_and_text() -> None:
    assert EXPTIME.convert("1e3") == 1000.0
    assert EXPTIME.convert(np.float32(0.5)) == 0.5


@pytest.mark.parametrize("junk", ["1_000", "٣", "nan", "oops", True, np.nan, np.complex64(900 + 1j), 900 + 0j])
def test_what_is_no_number_is_refused(junk: Any) -> None:
    with pytest.raises(InvalidParameter, match="exptime"):
        EXPTIME.convert(junk)


def test_a_zero_has_no_sign_so_that_equal_products_have_one_path() -> None:
    assert [str(EXPTIME.convert(zero)) for zero in (-0.0, "-0", np.float32(-0.0), 0)] == ["0.0"] * 4


def test_choices_and_checks_are_applied_after_conversion() -> None:
    chosen = Parameter(name="chip", attribute="chip", type=int, doc="", choices=(1, 2, 3))
    checked = Parameter(name="fiber", attribute="fiber", type=int, doc="", check=lambda value: value > 0)

    assert chosen.convert("2") == 2
    with pytest.raises(InvalidParameter, match="it takes 1, 2, 3"):
        chosen.convert(4)
    with pytest.raises(InvalidParameter, match="fiber"):
        checked.convert(0)


def test_a_check_may_answer_with_numpys_truth_values() -> None:
    finite = Parameter(name="exptime", attribute="exptime", type=float, doc="", check=lambda value: np.isfinite(value))

    assert finite.convert(900) == 900.0
    with pytest.raises(InvalidParameter, match="exptime = inf: it does not pass the parameter's check"):
        finite.convert(float("inf"))


@given(st.lists(st.one_of(st.integers(), st.integers().map(str), st.booleans(), st.floats(), st.text(max_size=3))))
def test_a_column_is_converted_as_each_of_its_values_is(values: list[Any]) -> None:
    def one_by_one() -> tuple[Any, ...]:
        return tuple(MJD.convert(value) for value in values)

    try:
        expected = one_by_one()
    except InvalidParameter:
        with pytest.raises(InvalidParameter, match="row"):
            MJD.convert_column(values)
    else:
        assert MJD.convert_column(values) == expected


@given(st.lists(st.one_of(st.text(max_size=4), st.integers(), st.binary(max_size=3))))
def test_a_column_of_text_is_converted_as_each_of_its_values_is(values: list[Any]) -> None:
    try:
        expected = tuple(PLATE.convert(value) for value in values)
    except InvalidParameter:
        with pytest.raises(InvalidParameter, match="row"):
            PLATE.convert_column(values)
    else:
        assert PLATE.convert_column(values) == expected


def test_equal_looking_values_of_different_types_are_told_apart_in_a_column() -> None:
    with pytest.raises(InvalidParameter, match="row 1"):
        MJD.convert_column([1, True, 1])


def test_a_masked_cell_of_a_column_is_named_by_its_row() -> None:
    column = plain_column(np.ma.array([1, 2, 3], mask=[False, True, False]))

    with pytest.raises(InvalidParameter, match="row 1: mjd"):
        MJD.convert_column(column)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1], True),
        ((), True),
        (np.arange(2), True),
        (range(3), True),
        ("ab", False),
        (b"ab", False),
        (bytearray(b"ab"), False),
        (memoryview(b"ab"), False),
        (np.array(1), False),
        (7, False),
        ({"a": 1}, False),
    ],
)
def test_sequences_of_values_are_columns_and_text_is_not(value: Any, expected: bool) -> None:
    assert is_column(value) is expected


@pytest.mark.parametrize(
    ("declaration", "told"),
    [
        ({"doc": "The star.", "aliases": "SDSS_ID"}, r"aliases are several, in a tuple: aliases=\('SDSS_ID',\)"),
        ({"doc": "The arm.", "choices": "blue"}, r"choices are several, in a tuple: choices=\('blue',\)"),
        ({"doc": 7}, "is told in text, not by 7"),
    ],
)
def test_a_slip_in_a_declaration_is_told_where_it_is_made(declaration: dict[str, Any], told: str) -> None:
    with pytest.raises(BadValue, match=told):
        parameter(**declaration)
