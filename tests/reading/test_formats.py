"""Our formats in specutils, whichever of the two packages is imported first: in processes of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astra_registry_apstar.spectrum import read_spectrum
from specutils import Spectrum, SpectrumList

SAS = Path(__file__).parents[1] / "data" / "sas"
STAR = SAS / "dr13/apogee/spectro/redux/r6/stars/apo25m/4264/apStar-r6-2M00005143+5615568.fits"
VISIT = SAS / "dr13/apogee/spectro/redux/r6/apo25m/5094/56643/apVisit-r6-5094-56643-088.fits"
FULL = SAS / "dr16/sdss/spectro/redux/26/spectra/0332/spec-0332-52367-0639.fits"

READ = f"""
from specutils import Spectrum, SpectrumList
assert Spectrum.read({str(STAR)!r}, format="apStar").shape == (8575,)
assert Spectrum.read({str(STAR)!r}, format="apStar-1m").shape == (8575,)
assert Spectrum.read({str(VISIT)!r}, format="apVisit").shape == (12288,)
assert Spectrum.read({str(FULL)!r}, format="spec").shape == (3810,)
assert len(SpectrumList.read({str(STAR)!r}, format="apStar visits")) == 3
assert len(SpectrumList.read({str(FULL)!r}, format="spec exposures")) == 6
"""


def child(code: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "imports",
    [
        "import astra_registry, specutils",
        "import specutils, astra_registry",
        "import specutils.io.registers, astra_registry",
        "import astra_registry, specutils.spectra.spectrum",
        "import astra_registry_apvisit.spectrum",
        "import specutils, astra_registry_spec",
        "import astra_registry, importlib; importlib.reload(astra_registry); importlib.reload(__import__('specutils'))",
    ],
)
def test_specutils_knows_our_formats_whichever_is_imported_first(imports: str) -> None:
    done = child(imports + READ, "-W", "error")

    assert done.returncode == 0, done.stderr


def test_two_threads_may_import_them_at_the_same_time() -> None:
    code = f"""
import importlib, threading
begin = threading.Barrier(3)
def bring(*names):
    begin.wait()
    for name in names:
        importlib.import_module(name)
def ask():
    begin.wait()
    from astra_registry import registry
    registry["apStar"], registry["spec"]
threads = [threading.Thread(target=bring, args=("specutils",)), threading.Thread(target=ask),
           threading.Thread(target=bring, args=("astra_registry", "astra_registry_apstar.spectrum"))]
for thread in threads: thread.start()
for thread in threads: thread.join()
{READ}
"""
    done = child(code, "-W", "error")

    assert done.returncode == 0, done.stderr


def test_importing_astra_registry_brings_no_plugin_and_nothing_heavy() -> None:
    code = """
import sys
import astra_registry
print([name for name in sys.modules if name.partition(".")[0] in ("specutils", "astropy", "numpy", "pluggy")
       or name.startswith("astra_registry_")])
"""
    assert child(code).stdout == "[]\n"


def test_nothing_tells_in_specutils_that_its_import_was_noticed() -> None:
    code = """
import importlib.util, sys
plain = importlib.util.find_spec("specutils")
import astra_registry
found = importlib.util.find_spec("specutils")
assert found.origin == plain.origin and found.loader.get_filename("specutils") == plain.origin
assert importlib.util.find_spec("astropy").loader.__class__ is plain.loader.__class__
import specutils
assert type(specutils.__loader__) is type(specutils.__spec__.loader) is type(plain.loader)
importlib.reload(astra_registry)
assert sum(type(finder).__module__.startswith("astra_registry") for finder in sys.meta_path) == 1
"""
    done = child(code)

    assert done.returncode == 0, done.stderr


def test_a_file_of_specutils_own_folder_brings_the_formats(tmp_path: Path) -> None:
    """specutils imports each file of ``~/.specutils`` as the last thing, when it is not all there yet."""
    (tmp_path / ".specutils").mkdir()
    (tmp_path / ".specutils" / "sdss.py").write_text("import astra_registry\n")

    done = child(READ, "-W", "error", HOME=str(tmp_path))

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("absence", ["sys.modules['specutils'] = None", "sys.meta_path[:] = []", "sys.path[:] = []"])
def test_without_specutils_nothing_changes(absence: str) -> None:
    code = f"""
import sys
import astra_registry
{absence}
try:
    import specutils
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert child(code).stdout == "specutils\n"


def test_a_module_of_formats_that_is_broken_is_told_and_specutils_works(tmp_path: Path) -> None:
    metadata = tmp_path / "frail-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: frail\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[astra_registry]\nfrail = frail\n[astra_registry.formats]\nfrail = frail_formats\n"
    )
    (tmp_path / "frail.py").write_text("")
    (tmp_path / "frail_formats.py").write_text("raise SystemExit('no licence')\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    done = child("import astra_registry" + READ, PYTHONPATH=path)

    assert done.returncode == 0, done.stderr
    assert "the formats of frail 1.0 are not known to specutils: SystemExit: no licence" in done.stderr

    (tmp_path / "frail_formats.py").unlink()
    checked = child("from astra_registry.cli import main; main(['plugins', 'check'])", PYTHONPATH=path)
    assert "the module of formats 'frail_formats': there is no module frail_formats; update frail" in checked.stdout


def test_a_plugin_that_is_left_out_brings_no_formats() -> None:
    code = """
import astra_registry
from specutils import Spectrum
from astropy.io import registry
print(sorted({"apStar", "apVisit", "spec"} & set(registry.get_formats(Spectrum)["Format"])))
"""
    assert child(code, ASTRA_REGISTRY_PLUGINS="apstar").stdout == "['apStar']\n"


def test_a_wrong_setting_is_told_and_specutils_works(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("plugins = 3\n")

    done = child("import astra_registry, specutils", ASTRA_REGISTRY_CONFIG=str(file))

    assert done.returncode == 0, done.stderr
    assert "specutils does not learn of our formats: " in done.stderr


def test_formats_read_files_in_memory_and_lists_of_one() -> None:
    there = read_spectrum(STAR).flux

    with STAR.open("rb") as file:
        assert np.array_equal(Spectrum.read(file, format="apStar").flux, there)
        assert np.array_equal(Spectrum.read(io.BytesIO(file.read()), format="apStar").flux, there)
    assert [len(one.flux) for one in SpectrumList.read(STAR, format="apStar")] == [8575]
