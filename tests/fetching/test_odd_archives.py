"""Archives as they are found: on several disks, with links in a circle, in part somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

from astra_registry.fetching.verify import verify

from .conftest import Archive, fits_bytes, somebody


def statuses(top: Path) -> dict[str, str]:
    found = [(str(Path(finding.path).relative_to(top)), finding.status) for finding in verify([top])]
    assert len(found) == len(dict(found))
    return dict(found)


def test_links_to_folders_elsewhere_are_followed_and_no_circle_is(tmp_path: Path) -> None:
    """Of an archive that is spread over disks nothing is left unseen."""
    top, disk = tmp_path / "sas", tmp_path / "disk"
    for place in (top / "dr17" / "apogee", disk / "stars"):
        place.mkdir(parents=True)
        (place / "x.fits").write_bytes(fits_bytes(1, 3000))
    (disk / "stars" / "cut.fits").write_bytes(fits_bytes(1, 3000)[:-1])
    (disk / "stars" / "round").symlink_to(disk)
    (top / "dr17" / "boss").symlink_to(disk)
    (top / "dr17" / "env").symlink_to("apogee")
    (top / "dr17" / "itself").symlink_to(".")
    (top / "dr17" / "above").symlink_to(tmp_path)

    assert statuses(top) == {
        "dr17/apogee/x.fits": "whole",
        "dr17/boss/stars/cut.fits": "bad",
        "dr17/boss/stars/x.fits": "whole",
    }


def test_a_folder_that_may_not_be_read_is_no_whole_one(open_folder: Path) -> None:
    for name in ("open", "secret"):
        (open_folder / name).mkdir()
        (open_folder / name / "x.fits").write_bytes(fits_bytes(1, 3000))
    (open_folder / "secret").chmod(0)

    with somebody():
        found = {finding.path: finding for finding in verify([open_folder])}

    (open_folder / "secret").chmod(0o700)
    assert found[str(open_folder / "open" / "x.fits")].status == "whole"
    assert found[str(open_folder / "secret")].status == "unknown"
    assert found[str(open_folder / "secret")].problem == "it cannot be read (Permission denied)"


def test_a_file_here_that_may_not_be_read_is_told_as_that(open_folder: Path, archive: Archive) -> None:
    """The folder is not to blame."""
    archive.here = open_folder
    item = archive.add("dr17/x.fits", fits_bytes(1, 3000))
    assert archive.fetch([item])[0].ok
    Path(item.path).chmod(0)
    os.utime(item.path)  # so that it has to be looked at again

    with somebody():
        [result] = archive.fetch([item])

    assert result.status == "failed"
    assert result.error == f"may not read {item.path}, which is here already (Permission denied)"
