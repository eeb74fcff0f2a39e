"""Files that were fetched before, and touched since: they stay as long as they are what was fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from astra_registry import registry
from astra_registry.errors import BadValue, FileFailed
from astra_registry.fetching import Progress, Wanted, fetch
from astra_registry.fetching.report import FetchReport, FetchResult
from astra_registry.fetching.verify import verify
from astra_registry.settings import override
from astra_registry.testing.sas import Fault

from .conftest import Archive, fits_bytes
from .test_keeping import damage, look


def test_a_file_that_changed_since_it_was_fetched_is_brought_again(archive: Archive) -> None:
    """One byte is enough, which the structure of the file does not show."""
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    damage(item)

    [result] = archive.fetch([item])

    assert result.status == "fetched"
    assert archive.right(item)
    assert look(archive) == {"a.fits": "whole"}


def test_a_file_that_was_only_touched_stays_and_so_does_what_is_known_of_it(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    [fetched] = archive.fetch([item])
    os.chmod(item.path, 0o640)
    archive.sas.forget()

    [first] = archive.fetch([item], checksums="never")
    [second] = archive.fetch([item], checksums="never")

    assert archive.sas.requests == []
    for result in (first, second):
        assert (result.status, result.sha1, result.url) == ("present", fetched.sha1, fetched.url)


def test_another_server_is_asked_where_one_is_named(archive: Archive, make_archive: Callable[..., Archive]) -> None:
    """Not the one from which the files came; its ETags are its own."""
    items = archive.add_some(3)
    archive.fetch(items)
    archive.sas.close()
    mirror = make_archive()
    mirror.add_some(3)
    damage(items[0])
    os.truncate(items[1].path, 8640)

    found = look(archive, remote=True, remote_base=mirror.sas.url)

    assert found == {"star-0000.fits": "bad", "star-0001.fits": "bad", "star-0002.fits": "whole"}
    assert len(mirror.sas.asked(".fits")) == 2  # what does not hold together by itself needs no server


def test_a_mirror_is_asked_where_the_server_cannot_be_reached(make_archive: Callable[..., Archive]) -> None:
    """Its ETags are its own, and the files stay those that came from the server."""
    archive, mirror = make_archive(), make_archive(sha1sums=True)
    items = archive.add_some(3)
    fetched = archive.fetch(items)
    for item in items:
        mirror.add(os.path.relpath(item.path, archive.here), Path(item.path).read_bytes())
    changed = mirror.folder / "dr17/stars/star-0001.fits"
    changed.write_bytes(changed.read_bytes().replace(b"SEED", b"SEES"))
    archive.sas.close()

    with override(retries=0, mirrors=("http://127.0.0.1:9", mirror.sas.url)):
        found = look(archive, remote=True)
        alone = look(archive, remote=True, remote_base="http://127.0.0.1:9")

    # What was fetched is what the server had, and a mirror may be behind it.
    assert found == alone == {"star-0000.fits": "whole", "star-0001.fits": "unknown", "star-0002.fits": "whole"}
    assert {str(result.url) for result in archive.fetch(items)} == {str(result.url) for result in fetched}


def test_a_file_of_another_tool_is_bad_where_a_mirror_has_another(make_archive: Callable[..., Archive]) -> None:
    archive, mirror = make_archive(), make_archive(sha1sums=True)
    item = mirror.add("dr17/a.fits")
    os.makedirs(os.path.dirname(item.path))
    Path(item.path).write_bytes(fits_bytes(77))
    archive.sas.close()

    with override(retries=0, mirrors=(mirror.sas.url,)):
        assert look(archive, remote=True) == {"a.fits": "bad"}


def test_no_mirror_has_the_word_of_a_server_that_says_that_a_file_is_missing(
    make_archive: Callable[..., Archive],
) -> None:
    archive, mirror = make_archive(), make_archive()
    [item] = archive.add_some(1)
    archive.fetch([item])
    mirror.add_some(1)
    os.remove(archive.folder / "dr17/stars/star-0000.fits")

    with override(retries=0, mirrors=(mirror.sas.url,)):
        found = look(archive, remote=True)
    archive.sas.close()
    mirror.sas.close()
    with override(retries=0, mirrors=(mirror.sas.url,)):
        [unheard] = verify([item.path], remote=True, remote_base=archive.sas.url, sas_base_dir=archive.here)

    assert found == {"star-0000.fits": "unknown"}
    assert mirror.sas.requests == []
    assert unheard.status == "unknown"
    assert archive.sas.url.partition("//")[2] in str(unheard.problem)


def test_the_file_that_the_server_has_is_not_bad_where_its_list_is_older(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive()
    [item] = archive.add_some(1)
    (archive.folder / "dr17/stars/old.sha1sum").write_text(f"{'0' * 40}  star-0000.fits\n")
    archive.fetch([item], checksums="never")

    assert look(archive, remote=True) == {"star-0000.fits": "unknown"}


def test_a_name_of_any_bytes_keeps_no_other_file_from_its_repair(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    os.truncate(item.path, 5000)
    with open(os.path.join(os.fsencode(os.path.dirname(item.path)), b"caf\xe9.fits"), "wb") as stream:
        stream.write(b"SIMPLE")

    found = look(archive, repair=True)

    assert sorted(found.values()) == ["bad", "repaired"]
    assert archive.right(item)


def test_a_repair_goes_the_way_that_the_settings_name(archive: Archive) -> None:
    """As from an archive that is mounted here."""
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    os.truncate(item.path, 5000)
    mounted = archive.folder.parent / "mounted"
    mounted.mkdir()
    (mounted / "sas").symlink_to(archive.folder)

    with override(transport="file"):
        found = look(archive, repair=True, remote_base=mounted.as_uri())

    assert found == {"a.fits": "repaired"}
    assert archive.right(item)


def test_a_class_in_the_place_of_a_product_is_told() -> None:
    with pytest.raises(BadValue, match="is a class of products: give it the parameters of one"):
        fetch([registry["apStar"]])


def test_a_login_in_the_url_of_a_file_that_is_here_is_in_no_result(archive: Archive) -> None:
    item = archive.add("dr17/a.fits")
    archive.fetch([item])
    look(archive)
    os.utime(item.path)

    for _ in range(2):  # first it is looked at, then known
        [result] = archive.fetch([Wanted((item.urls[0].replace("//", "//me:s3cret@"),), item.path)])

        assert result.status == "present"
        assert "s3cret" not in str(result.url)


def test_the_time_left_follows_from_files_that_a_server_was_asked_for() -> None:
    """Rows that cannot be used, and files that are here, take no time."""
    after_rows = Progress(done=200, total=212, failed=200, seconds=2.0)
    after_files = Progress(done=204, total=212, failed=200, fetched=4, seconds=4.0, asked=4)

    assert after_rows.seconds_left is None
    assert after_files.seconds_left == pytest.approx(8.0)


def test_the_time_left_follows_from_bytes_where_it_is_known_how_many_come() -> None:
    half = Progress(total=1, bytes=500, total_bytes=1000, seconds=4.0)
    more_than_all = Progress(done=1, total=3, bytes=1001, total_bytes=1000, seconds=4.0, asked=1)

    assert half.seconds_left == pytest.approx(4.0)
    assert Progress(total=1, total_bytes=1000, seconds=4.0).seconds_left is None
    assert more_than_all.seconds_left == pytest.approx(8.0), "some came twice"


def test_bytes_of_a_file_that_failed_are_not_waited_for(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(faults=lambda request: Fault(status=500) if "0001" in request.path else None)
    items, steps = archive.add_some(3), []

    archive.fetch(items[:1], on_progress=steps.append, total_bytes=12_345)
    assert steps[-1].total_bytes == 12_345

    archive.fetch(items[1:], on_progress=steps.append, total_bytes=12_345, retries=0)
    assert steps[-1].total_bytes is None


def test_progress_counts_the_files_that_were_asked_for(archive: Archive) -> None:
    unusable = Wanted((), "", error=BadValue("no fiber"))
    steps: list[Progress] = []

    fetch([unusable, *archive.add_some(3)], remote_base=archive.sas.url, on_progress=steps.append)

    assert (steps[-1].done, steps[-1].asked) == (4, 3)


def test_a_report_tells_the_first_failure_also_where_it_has_no_path() -> None:
    failures = [FetchResult(None, None, "failed", error=f"row {row}: no fiber") for row in (1, 2)]

    with pytest.raises(FileFailed, match="2 of 2 files are not here; the first: row 1: no fiber"):
        FetchReport(failures).raise_for_failures()
