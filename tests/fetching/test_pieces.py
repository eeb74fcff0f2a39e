"""One large file over several connections: what is taken, by whom, and what its sha1 is."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astra_registry.errors import Unauthorized
from astra_registry.fetching.disk.parts import Part
from astra_registry.fetching.transports.http.filling import Filling, Misfit
from astra_registry.fetching.transports.http.pieces import Crew, Pieces
from astra_registry.fetching.transports.setbacks import Setback

MEGABYTE = 1 << 20


def all_of(pieces: Pieces) -> list[tuple[int, int]]:
    return list(iter(pieces.take, None))


@given(st.integers(0, 1 << 40), st.integers(1, 1 << 33), st.integers(1, 8))
def test_pieces_cover_the_rest_of_a_file_front_to_back(first: int, length: int, takers: int) -> None:
    taken = all_of(Pieces(first, first + length, takers))

    assert taken[0][0] == first
    assert taken[-1][1] == first + length
    assert all(end == following for (_, end), (following, _) in itertools.pairwise(taken))


def test_pieces_shrink_so_that_all_connections_end_together() -> None:
    sizes = [end - first for first, end in all_of(Pieces(0, 200 * MEGABYTE, 4))]

    assert sizes[0] == 25 * MEGABYTE
    assert max(sizes[-4:]) < 9 * MEGABYTE
    assert len(sizes) <= 32


def test_the_sha1_follows_what_is_written_in_any_order(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    filling = Filling(Part(str(tmp_path / "f.fits")))
    spans = {first: filling.span(first) for first in range(0, len(data), 100_000)}

    with filling.followed():
        for first in sorted(spans, reverse=True):
            end = min((other for other in spans if other > first), default=len(data))
            filling.extend(spans[first], memoryview(data)[first:end])

    assert filling.sha1() == hashlib.sha1(data).hexdigest()


@pytest.mark.parametrize("besides", [None, Setback("the line broke")], ids=["alone", "and the line broke"])
def test_what_the_disk_tells_whoever_follows_fails_the_file(tmp_path: Path, besides: Exception | None) -> None:
    """A disk tells once what it has lost; a line may break again, and does not hide it."""
    part = Part(str(tmp_path / "f.fits"))
    filling = Filling(part)

    def fill() -> None:
        with open(tmp_path / "another", "wb") as unreadable, filling.followed():
            os.dup2(unreadable.fileno(), part.file)
            filling.extend(filling.span(0), memoryview(b"some bytes"))
            while any(thread.name == "astra-sha1" for thread in threading.enumerate()):
                time.sleep(0.005)
            if besides is not None:
                raise besides

    with pytest.raises(OSError, match="Bad file descriptor"):
        fill()


@pytest.mark.parametrize("refusal", [Setback("the line broke"), Unauthorized("one connection is enough")])
def test_a_helper_that_is_refused_ends_and_the_others_go_on(refusal: Exception) -> None:
    pieces = Pieces(0, 100 * MEGABYTE, 2)
    asked: list[tuple[int, int]] = []

    def bring(first: int, end: int, *, is_spare: bool) -> None:
        asked.append((first, end))
        raise refusal

    with Crew(pieces, bring, 2):
        pass

    assert len(asked) == 2
    assert pieces.take() is not None


def test_a_range_of_another_file_is_told_to_whoever_waits_for_the_file() -> None:
    errors = iter([Setback("the line broke"), Misfit()])
    both = threading.Barrier(2)

    def bring(first: int, end: int, *, is_spare: bool) -> None:
        both.wait(60)
        raise next(errors)

    with pytest.raises(Misfit), Crew(Pieces(0, 100 * MEGABYTE, 2), bring, 2):
        pass


def test_nobody_takes_another_piece_once_the_disk_has_failed() -> None:
    pieces = Pieces(0, 100 * MEGABYTE, 2)

    def bring(first: int, end: int, *, is_spare: bool) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"), Crew(pieces, bring, 1):
        pass

    assert pieces.take() is None
