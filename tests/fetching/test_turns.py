"""Who brings a file when several want it at once: locks in the file's folder, and none of it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from astra_registry.fetching.disk.turns import NAME, Turns

from .conftest import Archive


def test_a_turn_is_one_files_and_one_runs(tmp_path: Path) -> None:
    ours, theirs = Turns(str(tmp_path)), Turns(str(tmp_path))

    assert not ours.take("a.fits", time.sleep)
    assert not theirs.take("b.fits", time.sleep)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(theirs.take, "a.fits", time.sleep)
        time.sleep(0.1)
        assert not waiting.done()
        ours.give_up("a.fits")
        assert waiting.result(timeout=30)


def test_the_last_one_takes_the_file_away(tmp_path: Path) -> None:
    ours, theirs = Turns(str(tmp_path)), Turns(str(tmp_path))
    ours.take("a.fits", time.sleep)
    theirs.take("b.fits", time.sleep)

    ours.close()
    assert os.listdir(tmp_path) == [NAME]
    theirs.close()
    assert os.listdir(tmp_path) == []


def test_whoever_comes_while_the_last_one_leaves_has_turns_all_the_same(tmp_path: Path) -> None:
    """A file that was taken away between being opened and locked keeps nobody apart."""
    inside = threading.Lock()

    def visit(number: int) -> int:
        met = 0
        for _ in range(200):
            turns = Turns(str(tmp_path))
            turns.take("a.fits", time.sleep)
            alone = inside.acquire(blocking=False)
            met += not alone
            time.sleep(0)
            if alone:
                inside.release()
            turns.give_up("a.fits")
            turns.close()
        return met

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(visit, range(4))) == 0
    assert os.listdir(tmp_path) == []


def test_a_holder_that_hangs_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astra_registry.fetching.disk.turns._GIVEN_UP_AFTER", 0.3)
    holder = Turns(str(tmp_path))
    holder.take("a.fits", time.sleep)

    assert Turns(str(tmp_path)).take("a.fits", time.sleep)


def test_a_holder_that_writes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astra_registry.fetching.disk.turns._GIVEN_UP_AFTER", 0.3)
    holder = Turns(str(tmp_path))
    holder.take("a.fits", time.sleep)
    part = tmp_path / ".a.fits.elsewhere-1-1.astra-part"
    part.touch()
    os.utime(part, (time.time() + 3600,) * 2)  # it is written to all the while

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(Turns(str(tmp_path)).take, "a.fits", time.sleep)
        time.sleep(1.0)
        assert not waiting.done()
        holder.give_up("a.fits")
        assert waiting.result(timeout=30)


def test_a_holder_that_shows_its_life_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rsync brings a group, no part grows in the folder."""
    monkeypatch.setattr("astra_registry.fetching.disk.turns._GIVEN_UP_AFTER", 3.0)  # longer than a busy machine stalls
    holder = Turns(str(tmp_path))
    holder.take("a.fits", time.sleep)

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(Turns(str(tmp_path)).take, "a.fits", time.sleep)
        for _ in range(40):
            holder.show_life()
            time.sleep(0.1)
        assert not waiting.done()
        holder.give_up("a.fits")
        assert waiting.result(timeout=30)


def test_what_a_killed_run_has_left_goes_with_the_next(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    left = Path(item.path).with_name(NAME)
    left.touch()
    os.utime(item.path)  # it is not remembered as whole

    assert archive.fetch([item])[0].status == "present"
    assert not left.exists()


def test_a_folder_that_is_not_there_has_no_turns(tmp_path: Path) -> None:
    turns = Turns(str(tmp_path / "none"))

    assert not turns.take("a.fits", time.sleep)
    turns.give_up("a.fits")
    turns.close()


def test_without_standard_input_the_file_is_taken_away_too(tmp_path: Path) -> None:
    """Then the file of the turns has the descriptor 0, which is as good as any."""
    code = (
        "import os, sys, time; from astra_registry.fetching.disk.turns import Turns; os.close(0);"
        "turns = Turns(sys.argv[1]); turns.take('a.fits', time.sleep); turns.close(); print(os.listdir(sys.argv[1]))"
    )

    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"
