"""Derived gaps: group folders, prefixes and the rest."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_registry.errors import BadValue
from astra_registry.paths import derived
from astra_registry.paths.derived import GAPS


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        ("plateid6", (1234,), "001234"), ("plateid6", ("9999",), "009999"), ("plateid6", (12345,), "12345"),
        ("platedir", (15000,), "0150XX/015000"), ("plategrp", (7443,), "0074XX"), ("plategrp", (0,), "XX"),
        ("definitiondir", ("7",), "0000XX"), ("healpixgrp", (123456,), "123"), ("healpixgrp", ("7",), "0"),
        ("cat_id_groups", (27021597842,), "78/42"), ("sdss_id_groups", ("5",), "00/05"),
        ("configgrp", (1234567,), "12345XX"), ("configsubmodule", (1234,), "001XXX"), ("tilegrp", (1026123,), "1026XX"),
        ("tilegrp", ("*",), "*XX"), ("apgprefix", ("lco25m", None), "as"), ("apgprefix", (None, "apogee-n"), "ap"),
        ("apginst", ("apo1m",), "apogee-n"), ("spectrodir", (103,), "$SPECTRO_REDUX"),
        ("spectrodir", ("v5_13_2",), "$BOSS_SPECTRO_REDUX"), ("isplate", ("v6_0_4",), "p"),
        ("isplate", ("v6_0_9",), ""),
        ("pad_fieldid", (15005, "v6_1_3"), "015005"), ("pad_fieldid", ("15005", "v6_0_4"), "15005"),
        ("pad_fieldid", ("allsky", "v6_1_3"), "allsky"), ("fieldgrp", (15005, "v6_2_1"), "015XXX"),
        ("fieldgrp", (15005, "v6_1_3"), ""), ("fieldgrp", ("rm", "master"), "rm"), ("epochflag", ("v6_2_1",), "-epoch"),
        ("epochflag", ("v6_1_3",), ""), ("spcoaddgrp", ("v6_2_1", "allepoch"), "allepoch"),
        ("spcoaddobs", ("v6_2_1", "APO"), "_apo"), ("spcoaddobs", ("v6_1_3", "APO"), ""),
        ("spcoaddobs", ("v6_1_3", "LCO"), "_lco"), ("spcoaddobs", ("v5_13_2", "apo"), "_apo"),
        ("spcoaddobs", ("v6_2_1", None), ""), ("spcoaddobs", ("v6_2_1", "*"), "*"), ("component_default", (None,), ""),
        ("component_default", ("Ab",), "Ab"), ("mos_target_num", ("fits", 3), "-3"),
        ("mos_target_num2", ("fits", 3), "-03"),
        ("mos_target_num3", (None, "3"), "-003"), ("mos_target_num2", ("fits", 0), ""),
        ("mos_target_num2", ("parquet", 3), ""), ("mos_target_num2", ("fits", "*"), "-*"),
        ("mos_target_num_underscore", (None, None), "_1"),
    ],
)  # fmt: skip
def test_a_gap_is_what_sdss_access_makes_of_it(function: str, arguments: tuple[Any, ...], text: str) -> None:
    assert GAPS[function].function("any", *arguments) == text


@pytest.mark.parametrize(
    ("name", "run2d", "folder"),
    [
        ("spAll", "v6_2_1", "summary/daily"), ("spAll_epoch", "v6_2_1", "summary/epoch"),
        ("specLite", "v6_2_1", "daily"),
        ("specFull_epoch", "v6_2_1", "spectra/epoch"), ("spFrame", "v6_2_1", "fields"), ("spFrame", "v6_1_3", ""),
        ("spFrame_epoch", "v6_1_3", "epoch"), ("specLite_epoch", "v6_0_4", "epoch/spectra"), ("specLite", "26", ""),
        ("specLite", "v5_13_2", ""),
    ],
)  # fmt: skip
def test_some_folders_depend_on_the_product(name: str, run2d: str, folder: str) -> None:
    assert derived.sptypefolder(name, run2d) == folder


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("apgprefix", ("apo2.5m", None)), ("apgprefix", (None, None)), ("apgprefix", (None, "boss")),
        ("apginst", (None,)),
        ("mos_target_num2", ("fits", None)), ("mos_target_num2", ("csv", 1)), ("platedir", ("x",)),
        ("healpixgrp", ("",)),
        ("spcoaddfolder", ("v6_2_1", None)),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_an_error_and_not_an_empty_text(function: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises((ValueError, BadValue)):
        GAPS[function].function("specLite_coadd", *arguments)


numbers = st.integers(min_value=0, max_value=10**11)
# What the parameters of each gap may be.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "telescope": st.sampled_from(["apo25m", "apo1m", "lco25m"]),
    "instrument": st.sampled_from(["apogee-n", "apogee-s"]),
    "run2d": st.sampled_from(["26", "v5_13_2", "v6_0_4", "v6_0_9", "v6_1_3", "v6_2_1", "master"]),
    "coadd": st.sampled_from(["allepoch", "v1"]),
    "obs": st.sampled_from(["apo", "LCO", None]),
    "component": st.sampled_from(["A", "Ab", None]),
    "ftype": st.sampled_from(["fits", "parquet"]),
    "num": st.integers(0, 2000),
}


@pytest.mark.parametrize("function", sorted(GAPS))
def test_the_inverse_never_contradicts_the_function(function: str) -> None:
    """What a gap's text tells, put back, gives the text again; and its pattern matches it."""
    gap = GAPS[function]

    @given(st.fixed_dictionaries({key: VALUES.get(key, numbers) for key in gap.arguments}))
    def check(values: dict[str, Any]) -> None:
        text = gap.function("specLite", *map(values.get, gap.arguments))
        if not gap.roots:
            assert re.fullmatch(gap.pattern, text), text
        known = {key: str(value) for key, value in values.items() if value is not None}
        assert gap.inverse(text, known) is not None
        told = gap.inverse(text, {key: known[key] for key in ("run2d", "ftype") if key in known})
        assert told is not None
        assert gap.function("specLite", *({**values, **told}.get(key) for key in gap.arguments)) == text

    check()
