"""Products that bring their own files, from the archive on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astra_registry_apstar import ApStarFile

from astra_registry import SDSS5DataModelTask, Task, fetch, iter_fetch, parameter, registry
from astra_registry.errors import FileMissing
from astra_registry.settings import override, setting
from astra_registry.testing.sas import EmbeddedSas

DATA = Path(__file__).parent / "data" / "sas"
STAR = {"release": "dr13", "telescope": "apo25m", "field": "4587", "obj": "2M03290406+3117075"}
OTHER = {"release": "dr13", "telescope": "apo25m", "field": "4264", "obj": "2M00005143+5615568"}


@pytest.fixture(autouse=True)
def sas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedSas]:
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "sas"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with EmbeddedSas(DATA) as server:
        monkeypatch.setenv("ASTRA_REGISTRY_REMOTE_BASE", server.url)
        yield server


def test_get_remote_brings_the_file_and_returns_its_path() -> None:
    star = registry.create("apStar", **STAR)

    path = star.get_remote()

    assert path == star.local_path
    assert Path(path).read_bytes() == (DATA / star.location).read_bytes()
    assert star.complete()
    assert registry.create("apStar", **STAR, strict_output_checking=True).complete()
    assert star.get_remote_http() == path


def test_a_batch_is_brought_together(sas: EmbeddedSas) -> None:
    stars = registry["apStar"](
        release="dr13", telescope="apo25m", field=[STAR["field"], OTHER["field"]], obj=[STAR["obj"], OTHER["obj"]]
    )
    assert not stars.complete()

    assert stars.get_remote() == stars.local_paths

    assert stars.complete()


@pytest.mark.parametrize("batch", [False, True])
def test_results_are_of_the_settings_with_which_they_were_asked_for(tmp_path: Path, batch: bool) -> None:
    """Whenever they are taken; whoever makes the products has the settings of then."""
    star = registry.create("apStar", **{**STAR, "obj": [STAR["obj"]] if batch else STAR["obj"]})
    seen: list[str] = []

    def stars() -> Iterator[Any]:
        seen.append(setting("sas_base_dir"))
        yield star

    with override(sas_base_dir=str(tmp_path / "elsewhere")):
        results = iter_fetch(stars())

    assert [result.path for result in results] == [str(tmp_path / "elsewhere" / place) for place in star.locations]
    assert seen == [str(tmp_path / "sas")]


def test_a_file_that_the_server_has_not_is_an_error_with_its_reason() -> None:
    star = registry.create("apStar", **{**STAR, "obj": "2M00000000+0000000"})

    with pytest.raises(FileMissing, match="2M00000000"):
        star.get_remote()
    with pytest.raises(FileMissing):
        star.clone(use_remote=True).run()
    assert not Path(star.local_path).exists()


class Renamed(SDSS5DataModelTask):
    """A star that the server keeps in the old folder, whose path names other parameters."""

    sdss_data_model_name = "renamed"
    templates = {  # noqa: RUF012
        "dr13": (
            "$APOGEE_REDUX/{apred}/{field}/{obj}.fits",
            "$APOGEE_REDUX/r6/stars/apo25m/{location}/apStar-r6-{obj}.fits",
        )
    }
    apred: str = parameter("The reduction.", default="r6")
    field: str = parameter("The field.", aliases=("location",), batch=True)
    obj: str = parameter("The star.", batch=True)


@pytest.mark.parametrize("batch", [False, True])
def test_a_file_at_a_further_location_is_brought_to_its_path_though_it_names_other_parameters(batch: bool) -> None:
    objects = [STAR["obj"]] if batch else STAR["obj"]
    star = Renamed(release="dr13", field=STAR["field"], obj=objects)

    (result,) = fetch(star)

    assert (result.status, result.error) == ("fetched", None)
    assert result.url.endswith("/4587/apStar-r6-2M03290406+3117075.fits")
    assert Path(str(result.path)).name == "2M03290406+3117075.fits"


@pytest.mark.parametrize("batch", [False, True])
def test_a_file_that_only_another_release_has_is_told_with_that_release(sas: EmbeddedSas, batch: bool) -> None:
    """The version that was given (r8 is that of dr14) need not be the one of the release that has it."""
    objects = [STAR["obj"], "2M00000000+0000000"] if batch else STAR["obj"]
    star = registry.create("apStar", **{**STAR, "release": "dr14", "apred": "r8", "obj": objects})

    report = fetch(star)

    assert {result.status for result in report} == {"missing"}
    told = {str(result.path): str(result.error) for result in report}
    assert [error.endswith("; dr13 has it") for path, error in sorted(told.items())] == [False, True][-len(told) :]
    assert not [r for r in sas.requests if "ipl" in r.path or "work" in r.path], "a public product stays in public"


def test_the_work_release_is_told_which_release_has_its_file() -> None:
    """It has no version of its own, so that one is always given."""
    visit = {"telescope": "apo25m", "field": "4587", "plate": 5094, "mjd": 56643, "fiber": 88}

    [result] = fetch(registry.create("apVisit", release="sdsswork", apred="1.3", **visit))

    assert str(result.error).endswith("; dr13 has it")


def test_with_use_remote_opening_reading_and_running_bring_the_file_first(sas: EmbeddedSas) -> None:
    star = registry.create("apStar", **STAR, use_remote=True)
    target = star.output()
    assert not target.exists()
    assert sas.requests == []

    with target.open() as file:
        assert file.read(6) == b"SIMPLE"

    Path(star.local_path).unlink()
    star.run()
    assert star.complete()

    Path(star.local_path).unlink()
    with star.read() as hdus:
        assert hdus[0].header["OBJID"] == STAR["obj"]


def test_what_a_task_is_given_as_its_input_is_here(sas: EmbeddedSas) -> None:
    class Measure(Task):
        star: ApStarFile = parameter("The spectrum.", batch=True)

        def requires(self) -> Any:
            return {"observation": self.star, "others": [registry.create("apStar", **OTHER, use_remote=True)]}

    task = Measure(star=registry.create("apStar", **STAR, use_remote=True))
    task.input()
    assert sas.requests == [], "input() only tells where"

    assert Path(task.get_input("observation").path).stat().st_size > 0
    assert len(sas.asked("/apStar-", "GET")) == 1, "the one that was asked for and no other"
    task.get_input("observation")
    assert len(sas.asked("/apStar-", "GET")) == 1
    assert [Path(target.path).exists() for target in task.get_input("others")] == [True]
    with pytest.raises(FileMissing, match="2M00000000"):
        Measure(star=task.star.clone(obj="2M00000000+0000000")).get_input("observation")
    assert not task.clone(star=task.star.clone(use_remote=False, obj="2M1")).get_input("observation").exists()


def test_without_use_remote_nothing_is_brought(sas: EmbeddedSas) -> None:
    star = registry.create("apStar", **STAR)

    with pytest.raises(FileMissing):
        star.read()
    with pytest.raises(OSError):  # noqa: PT011 - whatever open() says
        star.output().open()

    assert sas.requests == []


def test_a_fetch_loads_nothing_that_makes_it_begin_late(sas: EmbeddedSas, tmp_path: Path) -> None:
    """Five hundred small files come in one second and a half; each heavy module is a hundredth of that."""
    code = (
        "import sys; from astra_registry.fetching import Wanted, fetch; at_first = []\n"
        "def note(event, _):\n"
        "    if event == 'socket.connect' and not at_first:\n"
        "        at_first.append([m for m in ('hashlib', 'sqlite3') if m in sys.modules])\n"
        "sys.addaudithook(note)\n"
        f"fetch([Wanted(({sas.url_of('dr17/none.fits')!r},), {str(tmp_path / 'none.fits')!r})], checksums='never')\n"
        "print([m for m in ('astropy', 'numpy', 'requests', 'asyncio', 'concurrent', 'logging') if m in sys.modules])\n"
        "print(at_first)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["[]", "[[]]"]
