"""The server's listings of sha1: asked for once a folder, when that is worth it; believed when they are there."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from astra_registry.fetching import iter_fetch
from astra_registry.fetching.verify import verify
from astra_registry.settings import override
from astra_registry.testing.sas import Fault, Request

from .conftest import Archive, fits_bytes
from .test_keeping import damage


@pytest.fixture
def listed(make_archive: Callable[..., Archive]) -> Archive:
    return make_archive(sha1sums=True)


def listings(archive: Archive) -> int:
    return len(archive.sas.asked(".sha1sum"))


@pytest.mark.parametrize(("policy", "times"), [("auto", 1), ("always", 1), ("never", 0)])
def test_a_listing_is_asked_for_once_a_folder(listed: Archive, policy: str, times: int) -> None:
    report = listed.fetch(listed.add_some(20), checksums=policy)

    assert not report.failed
    assert listings(listed) == times


def test_auto_leaves_the_listings_of_many_small_folders_alone(listed: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astra_registry.fetching.fetcher._AHEAD_SECONDS", 60.0)  # a busy machine counts more slowly
    items = [item for n in range(51) for item in listed.add_some(2, size=2000, folder=f"dr17/{n}")]

    assert not listed.fetch(items, checksums="auto").failed
    assert listings(listed) == 0

    assert not listed.fetch(items, checksums="always", overwrite=True).failed
    assert listings(listed) == 51


def test_auto_asks_where_a_folder_holds_four(listed: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astra_registry.fetching.fetcher._AHEAD_SECONDS", 60.0)  # a busy machine counts more slowly
    items = [item for n in range(51) for item in listed.add_some(4 if n == 7 else 2, size=2000, folder=f"dr17/{n}")]

    assert not listed.fetch(items, checksums="auto").failed
    assert listings(listed) == 1


@pytest.mark.parametrize("policy", ["auto", "always"])
def test_a_file_that_is_not_what_the_server_lists_is_not_taken(archive: Archive, policy: str) -> None:
    item, good = archive.add_some(2)
    listing = archive.folder / "dr17/stars/anything.sha1sum"
    listing.write_text(f"{'0' * 40}  star-0000.fits\n")

    report = {result.path: result for result in archive.fetch([item, good], checksums=policy, retries=1)}

    assert (report[item.path].status, report[good.path].status) == ("failed", "fetched")
    assert "server lists 0000" in str(report[item.path].error)
    assert not Path(item.path).exists()
    assert archive.fetch([item], checksums="never")[0].status == "fetched"


def test_who_repairs_is_told_of_no_choice_that_there_is_not(archive: Archive) -> None:
    """What repairs always compares; fetch may be told not to."""
    item, another = archive.add_some(2)
    archive.fetch([item, another])
    (archive.folder / "dr17/stars/anything.sha1sum").write_text(f"{'0' * 40}  star-0000.fits\n")
    archive.sas.faults = lambda request: Fault(status=500) if request.path.endswith("/elsewhere/") else None
    unheard = archive.add("dr17/elsewhere/a.fits")
    os.makedirs(os.path.dirname(unheard.path))
    for bad in (item, unheard):
        Path(bad.path).write_bytes(b"SIMPLE")
    where = {"sas_base_dir": archive.here, "remote_base": archive.sas.url}

    with override(retries=0):
        told = [finding.problem or "" for finding in verify([item.path, unheard.path], repair=True, **where)]

    assert ["lists 0000" in told[0], "could not be asked for" in told[1]] == [True, True]
    assert [problem for problem in told if "--checksums" in problem] == []
    [fetched] = archive.fetch([item], checksums="always", overwrite=True, retries=0)
    assert "(--checksums never takes it as it is)" in str(fetched.error)


def test_a_listing_may_name_files_with_their_folders_and_of_other_folders(archive: Archive) -> None:
    [item] = archive.add_some(1)
    sha1 = hashlib.sha1((archive.folder / "dr17/stars/star-0000.fits").read_bytes()).hexdigest()
    others = f"{'0' * 40}  ./other/star-0000.fits\n{'1' * 40}  dr16/stars/star-0000.fits\n"
    listing = archive.folder / "dr17/stars/x.sha1sum"
    for spelling in ("star-0000.fits", "./star-0000.fits", "stars/star-0000.fits", "/sas/dr17/stars/star-0000.fits"):
        listing.write_text(f"{sha1} *{spelling}\n{others}")
        assert not archive.fetch([item], checksums="always", overwrite=True).failed
        listing.write_text(f"{others}{'2' * 40}  {spelling}\n")
        assert "lists 2222" in str(archive.fetch([item], checksums="always", overwrite=True, retries=0)[0].error)


@pytest.mark.parametrize("fault", [Fault(status=404), Fault(status=410), Fault(status=401), Fault(status=403), None])
def test_that_there_is_no_listing_is_no_error(make_archive: Callable[..., Archive], fault: Fault | None) -> None:
    archive = make_archive(faults=lambda r: None if r.path.endswith(".fits") else fault)

    assert not archive.fetch(archive.add_some(3), checksums="always").failed


@pytest.mark.parametrize("page", ["dr17/stars/", "/anything.sha1sum"], ids=["the index", "the listing"])
@pytest.mark.parametrize("fault", [Fault(status=500), Fault(hang_up=True)], ids=["error", "hung up"])
def test_always_takes_no_file_whose_listing_cannot_be_had(
    make_archive: Callable[..., Archive], page: str, fault: Fault
) -> None:
    """Which of its files it lists is not known; auto does without."""
    archive = make_archive(faults=lambda request: fault if request.path.endswith(page) else None)
    items = archive.add_some(4)
    (archive.folder / "dr17/stars/anything.sha1sum").write_text(f"{'0' * 40}  another.fits\n")

    strict = archive.fetch(items, checksums="always", retries=0)
    here = archive.here_now()

    assert {result.status for result in strict} == {"failed"}
    assert all("could not be asked for" in str(result.error) for result in strict)
    assert here == []
    assert not archive.fetch(items, checksums="auto", retries=0).failed


def test_a_login_page_is_no_listing(make_archive: Callable[..., Archive]) -> None:
    """It comes with 200, and tells of no file."""
    login = b"<html><a href='https://login.example/'>please log in</a></html>"
    archive = make_archive(
        sha1sums=True, faults=lambda r: Fault(body=login, status=200) if r.path.endswith(".sha1sum") else None
    )
    [item] = archive.add_some(1)

    [strict] = archive.fetch([item], checksums="always", retries=0)
    [lenient] = archive.fetch([item], checksums="auto", retries=0)
    [finding] = verify([item.path], remote=True, remote_base=archive.sas.url, sas_base_dir=archive.here)

    assert "is answered with a page that lists none" in str(strict.error)
    assert lenient.status == "fetched"
    assert finding.status == "unknown"
    assert "could not be asked for" in str(finding.problem)


LOGIN = b"<html><form action='/login/'>please log in: <input name='p' type='password'></form></html>"


@pytest.mark.parametrize("page", [b"?", b"", b"<html>Welcome to <a href='/about/'>us</a></html>", LOGIN])
def test_a_page_that_does_not_name_the_file_is_no_index(make_archive: Callable[..., Archive], page: bytes) -> None:
    """What the server has is named in its folder's index; auto does without one, and so does who compares the rest."""
    archive = make_archive(sha1sums=True, faults=lambda r: Fault(body=page) if r.path.endswith("/") else None)
    [item] = archive.add_some(1)

    [strict] = archive.fetch([item], checksums="always", retries=0)
    [lenient] = archive.fetch([item], checksums="auto", retries=0)
    where = {"remote": True, "remote_base": archive.sas.url, "sas_base_dir": archive.here}
    [finding] = verify([item.path], **where)
    os.truncate(item.path, 5000)
    [mended] = verify([item.path], repair=True, **where)

    says = "to log in at" if page == LOGIN else "that does not name the file"
    assert strict.status == "failed"
    assert f"/dr17/stars/ is answered with a page {says}" in str(strict.error)
    assert lenient.status == "fetched"
    assert (finding.status, finding.problem is not None) == (("unknown", True) if page == LOGIN else ("whole", False))
    assert "sha1sum" not in finding.checks
    assert mended.status == ("bad" if page == LOGIN else "repaired")


def test_an_index_may_have_links_from_the_top_of_the_server_on(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(
        sha1sums=True,
        faults=lambda r: (
            Fault(body="".join(f'<a href="{url}">' for url in urls).encode()) if r.path == folder else None
        ),
    )
    items = [archive.add("dr17/stars/a b.fits"), archive.add("dr17/stars/c.fits")]
    urls = [*items[0].urls, *items[1].urls]
    folder = urllib.parse.urlsplit(urls[0]).path.rpartition("/")[0] + "/"

    assert not archive.fetch(items, checksums="always").failed


@pytest.mark.parametrize(
    ("location", "link"),
    [
        ("dr17/a+b c.fits", b'<a href="a+b%20c.fits">'),
        ("dr17/a+b c.fits", b'<A class="file" HREF="/sas/dr17/a%2bb c.fits">'),
        ("dr17/d'e&.fits", b'<a href="d\'e&amp;.fits">'),
        ("dr17/d'e&.fits", b"<a href='d&#39;e&amp;.fits'>"),
        ("dr17/f.fits", b"<a href=f.fits.gz>"),
    ],
)
def test_an_index_may_write_a_name_as_it_likes(
    make_archive: Callable[..., Archive], location: str, link: bytes
) -> None:
    archive = make_archive(faults=lambda r: Fault(body=link + b"..</a>") if r.path.endswith("/") else None)
    item = archive.add(location)

    assert not archive.fetch([item], checksums="always").failed


def test_a_file_is_not_whole_while_the_server_does_not_say_what_it_lists(
    make_archive: Callable[..., Archive], tmp_path: Path
) -> None:
    """Of these files nothing is remembered, as of those of an archive that was here before."""
    archive = make_archive(sha1sums=True)
    items = archive.add_some(2)
    archive.fetch(items)
    damage(items[0])
    archive.sas.faults = lambda request: Fault(status=503) if request.path.endswith(".sha1sum") else None
    where = {"sas_base_dir": archive.here, "remote_base": archive.sas.url, "ledger": str(tmp_path / "ledger.sqlite")}

    found = verify([archive.here], remote=True, **where)

    assert {finding.status for finding in found} == {"unknown"}


def test_a_server_that_is_silent_about_a_folder_keeps_no_file_waiting_for_its_transfer(
    make_archive: Callable[..., Archive],
) -> None:
    archive = make_archive(faults=lambda r: Fault(stall_after=0) if r.path.endswith("/") else Fault(status=503))

    started = time.monotonic()

    [result] = archive.fetch([archive.add("dr17/a.fits")], checksums="always", timeout=20, retries=0)

    assert result.status == "failed"
    assert time.monotonic() - started < 15


def test_a_listing_is_not_kept_waiting_by_the_files_that_wait_for_it(make_archive: Callable[..., Archive]) -> None:
    """Sixteen are asked for at once, and more stand in line when the listing's name is known."""

    is_asked_for = threading.Event()

    def files_slowly(request: Request) -> Fault | None:
        if request.path.endswith(".fits"):
            return Fault(before=lambda: is_asked_for.wait(4.0))
        return Fault(before=is_asked_for.set if request.path.endswith(".sha1sum") else lambda: time.sleep(0.3))

    archive = make_archive(sha1sums=True, faults=files_slowly)

    report = archive.fetch(archive.add_some(40, size=2000), checksums="always", jobs=16)

    assert not report.failed
    asked = [request.path for request in archive.sas.asked()]
    assert sum(path.endswith(".fits") for path in asked[: asked.index(archive.sas.asked(".sha1sum")[0].path)]) <= 17


def test_a_file_whose_listing_was_not_heard_out_is_not_taken(make_archive: Callable[..., Archive]) -> None:
    """Whoever takes the results ends the run while the file is here, and the server about to say what it lists."""
    asked, over = threading.Event(), threading.Event()

    def thinking(request: Request) -> Fault | None:
        def wait() -> None:
            asked.set()
            over.wait()

        return Fault(before=wait) if request.path.endswith("dr17/listed/") else None

    archive = make_archive(faults=thinking)
    item = archive.add("dr17/listed/a.fits")
    (archive.folder / "dr17/listed/anything.sha1sum").write_text(f"{'0' * 40}  a.fits\n")

    results = iter_fetch([archive.add("dr17/b.fits"), item], checksums="always", remote_base=archive.sas.url)
    assert next(results).ok
    asked.wait()
    while not any(part.stat().st_size == len(fits_bytes(1)) for part in archive.here.glob("dr17/listed/.*part")):
        time.sleep(0.01)
    results.close()
    over.set()

    assert archive.here_now() == ["dr17/b.fits"]


def test_a_server_that_stumbles_over_its_listing_is_asked_again(make_archive: Callable[..., Archive]) -> None:
    """What it lists has to be known before a file is believed."""
    answers = iter([Fault(status=503)])

    def stumbling(request: Request) -> Fault | None:
        return next(answers, None) if request.path.endswith("/") else None

    archive = make_archive(faults=stumbling)
    item = archive.add("dr17/stars/a.fits")
    (archive.folder / "dr17/stars/anything.sha1sum").write_text(f"{'0' * 40}  a.fits\n")

    [result] = archive.fetch([item], checksums="always", retries=1)

    assert result.status == "failed"
    assert "the server lists" in str(result.error)


def test_every_fetched_file_has_its_sha1(archive: Archive) -> None:
    [item] = archive.add_some(1)

    [result] = archive.fetch([item])

    assert result.sha1 == hashlib.sha1(Path(item.path).read_bytes()).hexdigest()
