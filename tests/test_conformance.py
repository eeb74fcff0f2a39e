"""The conformance suite finds what is wrong with a plugin, and says what to do about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''\
from astra_registry import SDSS5DataModelTask, hookimpl, parameter


class StarFile(SDSS5DataModelTask):
    """A star."""

    sdss_data_model_name = "aStar"
    templates = {"dr19": "$MWM_ASTRA/{v_astra}/aStar-{sdss_id}.fits"}
    examples = [("dr19", {"sdss_id": 7})]

    v_astra: str = parameter("The version of Astra.", default="0.6.0")
    sdss_id: int = parameter("The star.", batch=True)


@hookimpl
def astra_registry_products():
    return [StarFile]
'''

# what is wrong -> (what to replace in the good plugin, by what, and the advice)
WRONG = {
    "no docstring": ('    """A star."""\n', "", "aStar has no docstring\n  → its first line is"),
    "a parameter without words": ('"The star."', '""', "parameter sdss_id of aStar says nothing"),
    "a key that is no parameter": ("{sdss_id}", "{sdss_di}", "names 'sdss_di', which is no parameter"),
    "a root that the release lacks": ("$MWM_ASTRA", "$MWM_ASTRO", "the release defines no root $MWM_ASTRO"),
    "gaps that touch": ("{v_astra}/aStar-{sdss_id}", "aStar-{v_astra}{sdss_id}", "→ its template"),
    "an example that fails": ('{"sdss_id": 7}', '{"sdss_id": "seven"}', "the example dr19 {'sdss_id': 'seven'}"),
    "a heavy import": ("from astra", "import numpy\nfrom astra", "loads numpy\n  → import them inside the function"),
    "something printed": ("from astra", "print('hello')\nfrom astra", "prints 'hello'\n  → print nothing"),
    "a changed environment": ("from astra", "import os\nos.environ['X'] = '1'\nfrom astra", "changes the environment"),
    "a file written": ("from astra", "open('log', 'w').close()\nfrom astra", "writes log"),
    "an import that fails": ("from astra", "1 / 0\nfrom astra", "ZeroDivisionError"),
    "a hook that is misspelt": ("astra_registry_products", "astra_registry_product", "there is no hook"),
    "no product": ("[StarFile]", "[]", "brings no product\n  → return its classes"),
    "an example that is none": ('("dr19", {"sdss_id": 7})', '{"sdss_id": 7}', "an example is a release and a mapping"),
    "a release that is not there": ('"dr19": "', '"dr91": "", "dr19": "', "does not know: dr91\n  → correct its name"),
    "warnings that are silenced": (
        "from astra", "import warnings\nwarnings.simplefilter('ignore')\nfrom astra", "changes warnings.filters"
    ),
    "a path of the tree that is another": ("aStar", "mwmStar", "by sdss_access\n  → its template has to be the tree's"),
    "a newer interface": ("from astra", "astra_registry_api = 9\nfrom astra", "made for version 9"),
}  # fmt: skip


def suite(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run the suite over a plugin that is a module in a folder."""
    (folder / "star_plugin.py").write_text(source)
    (folder / "test_star.py").write_text(
        "from astra_registry.testing import ProductSuite\n\n\n"
        'class TestStar(ProductSuite):\n    plugin = "star_plugin"\n    draws = 6\n'
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_a_good_plugin_passes(tmp_path: Path) -> None:
    done = suite(tmp_path, PLUGIN)

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_as_advice(what: str, tmp_path: Path) -> None:
    """In words, without a traceback of ours."""
    old, new, advice = WRONG[what]
    assert old in PLUGIN

    done = suite(tmp_path, PLUGIN.replace(old, new))

    assert done.returncode == 1, done.stdout
    assert advice in done.stdout
    assert "conformance.py" not in done.stdout.partition("short test summary")[0]


def test_a_path_of_the_tree_has_to_be_what_sdss_access_gives(tmp_path: Path) -> None:
    """A template that follows the tree's, with a gap of another meaning."""
    ours = PLUGIN.replace("aStar", "mwmStar").replace('"$MWM_ASTRA/{v_astra}/mwmStar-{sdss_id}.fits"', '"=mwmStar"')

    done = suite(tmp_path, ours)

    assert done.returncode == 0, done.stdout


# Templates of the tree that no plugin can correct, each of another kind.
HARD = {
    "sdR-dr17": "two texts that touch",
    "idB-dr12": "a text and a number that touch",
    "astraAllStarSlam-ipl4": "a version that is cut",
    "spCOADDS-dr20": "a key that no path shows",
    "spSpec_coadd-dr20": "an observatory that may be left out",
    "mos_target_skies_v2-dr20": "a number that only FITS files have",
    "plateDefault-dr8": "a root that is nowhere",
}


def test_every_kind_of_template_of_the_tree_passes() -> None:
    """What the tree's own templates do not tell apart is no fault of the plugin that brings them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--astra-plugin", "sdsstree", "-k"]

    done = subprocess.run([*command, " or ".join(HARD)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
