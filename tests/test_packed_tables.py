"""Tables packed by gzip are read like others, whatever their names, and in no more memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from astra_registry.errors import BadTable
from astra_registry.tables import column_names, iter_columns, read_columns, write_table
from tests.streaming import growth


def packed(path: Path) -> Path:
    """Return the file packed, under a name that does not tell it."""
    made = path.with_name(f"packed_{path.name}")
    made.write_bytes(gzip.compress(path.read_bytes(), compresslevel=1))
    return made


@pytest.mark.parametrize(
    "ending", ["csv", "tsv", "ecsv", "fits", "vot", "parquet", "feather", "orc", "txt", "rst", "tbl", "mrt"]
)
def test_a_packed_table_reads_as_it_does_unpacked(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write_table({"plate": ["5094", "5095"], "mjd": [55874, 56643]}, path, units={"mjd": "d"})

    one, other = read_columns(path), read_columns(packed(path))

    assert dict(one) == dict(other)
    assert (one.units, one.descriptions) == (other.units, other.descriptions)


def test_what_lies_behind_an_image_and_arrays_of_any_length_are_read_of_a_packed_fits_file(tmp_path: Path) -> None:
    """The arrays lie behind the rows, so that a file can not be read from front to back."""
    path = tmp_path / "t.fits"
    lines = fits.Column("lines", "PJ()", array=np.array([np.array([1]), np.array([2, 3])], dtype=object))
    table = fits.BinTableHDU.from_columns([fits.Column("n", "J", array=np.array([1, 2])), lines])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((300, 300))), table]).writeto(path)

    columns = read_columns(packed(path))

    assert columns["n"] == [1, 2]
    assert [list(cell) for cell in columns["lines"]] == [[1], [2, 3]]


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot", "parquet"])
def test_a_packed_table_that_is_cut_off_or_damaged_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    write_table({"n": np.random.default_rng(1).integers(0, 10**9, 20_000)}, path)
    content = gzip.compress(path.read_bytes())
    damaged = bytearray(content)
    damaged[len(content) // 2 : len(content) // 2 + 50] = bytes(50)

    for wrong in (content[:-2000], content[: len(content) // 2]):
        path.write_bytes(wrong)
        with pytest.raises(BadTable, match=r"t\..* is cut off or damaged: it does not unpack"):
            read_columns(path)
    path.write_bytes(damaged)  # what unpacks to nonsense may be told before it does not unpack
    with pytest.raises(BadTable, match=r"t\..* (is cut off or damaged|cannot be read as a table)"):
        read_columns(path)


def test_nothing_of_a_packed_table_stays_in_the_temporary_folder(tmp_path: Path) -> None:
    """Neither while it is read nor when it is left half read."""
    (tmp_path / "temporary").mkdir()
    write_table({"n": list(range(10))}, tmp_path / "t.fits")
    code = """
import os, sys, tempfile
from astra_registry.tables import iter_columns
pieces = iter_columns(sys.argv[1], rows=3)
print(next(pieces)["n"], os.listdir(tempfile.gettempdir()))
"""
    out = subprocess.run(
        [sys.executable, "-c", code, packed(tmp_path / "t.fits")],
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert out == "[0, 1, 2] []\n"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_where_there_is_no_room_to_unpack_the_folder_is_named(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full."""
    write_table({"n": np.zeros(100_000, int)}, tmp_path / "t.fits")
    code = """
import resource, sys
from astra_registry.errors import FileFailed
from astra_registry.tables import column_names
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    column_names(sys.argv[1])
except FileFailed as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, packed(tmp_path / "t.fits")], capture_output=True, text=True, check=True
    )

    assert f"cannot be unpacked into '{tempfile.gettempdir()}': " in done.stdout
    assert done.stdout.strip().endswith("; TMPDIR may name a folder with more room")
    assert done.stderr == ""


def test_a_long_packed_fits_table_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    path = tmp_path / "long.fits"
    Table({"n": np.arange(300_000), "wide": np.zeros((300_000, 30))}).write(path)
    write_table({"n": [1]}, tmp_path / "short.fits")

    rows, grown = growth(packed(tmp_path / "short.fits"), packed(path), "n")

    assert rows == 300_000
    assert grown < 30, "of 74 MB"


def test_pieces_of_a_packed_table_make_the_whole(tmp_path: Path) -> None:
    write_table({"n": list(range(1000))}, tmp_path / "t.fits")

    pieces = list(iter_columns(packed(tmp_path / "t.fits"), rows=300))

    assert [piece.size for piece in pieces] == [300, 300, 300, 100]
    assert column_names(packed(tmp_path / "t.fits")) == ["n"]
