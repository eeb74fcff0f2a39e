"""The dates in the heads of answers."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_registry.fetching.transports.http.dates import modified, retry_after


@given(st.integers(1, 253_402_300_799))
def test_what_servers_write_is_read_back(seconds: int) -> None:
    assert modified({"last-modified": formatdate(seconds, usegmt=True)}) == seconds


@pytest.mark.parametrize(
    "text",
    ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 09:49:37 +0100", "Sun, 6 Nov 1994 08:49:37 GMT"],
)
def test_older_forms_are_read_too(text: str) -> None:
    assert modified({"last-modified": text}) == 784111777


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Sun, 31 Feb 2026 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_what_is_no_date_tells_nothing(text: str) -> None:
    assert modified({"last-modified": text} if text else {}) is None


def test_a_wait_is_told_in_seconds_or_as_a_date() -> None:
    assert retry_after(" 120 ") == 120
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0
    assert 3000 < (retry_after(formatdate(time.time() + 3600, usegmt=True)) or 0) <= 3600
    assert retry_after("soon") is None
    assert retry_after(None) is None
