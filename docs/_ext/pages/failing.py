"""Comes by every error of the program for real, for the reference of errors to show.

Reads `{name: code}` from the standard input, runs each on a fresh archive, and prints `{name: [class, what it says]}`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import ClassVar

from astra_registry import Registry, SDSS5DataModelTask, StateStore, Tree, hookimpl, parameter, registry
from astra_registry.settings import override
from astra_registry.testing.sas import EmbeddedSas, Fault, Request

TOP = Path(__file__).parents[3]
SPEC = {"release": "dr17", "plate": "1325", "mjd": 52762, "fiberid": 133, "run2d": "26"}
STAR = {"release": "dr17", "telescope": "apo25m", "field": "K04_083+13", "obj": "2M19485057+5005279"}


class MwmStarFile(SDSS5DataModelTask):
    """A product that two plugins bring."""

    sdss_data_model_name = "mwmStar"
    templates: ClassVar = {"dr19": "$MWM_ASTRA/{v_astra}/mwmStar-{v_astra}-{sdss_id}.fits"}

    sdss_id: int = parameter("The SDSS-V identifier of the star.", batch=True)
    v_astra: str = parameter("The version of Astra.", default="0.6.0")


class Mine:
    """A plugin."""

    @hookimpl
    def astra_registry_products(self) -> list[type]:
        """Bring the product."""
        return [MwmStarFile]


class Yours(Mine):
    """Another one, with the same product."""


def of_the_future(store: StateStore) -> StateStore:
    """The database, as a version of the program that is not written yet would leave it."""
    import sqlalchemy

    with store.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE astra_registry_version SET version_num = '0099'"))
    return StateStore(store.url)


def mistaken() -> SDSS5DataModelTask:
    """A spec file that holds something else."""
    spec, star = registry.create("spec", **SPEC), registry.create("apStar", **STAR)
    star.get_remote()
    Path(spec.local_path).parent.mkdir(parents=True)
    shutil.copy(star.local_path, spec.local_path)
    return spec


def table(text: str) -> str:
    """The path of a table with that text."""
    Path("stars.csv").write_text(text)
    return "stars.csv"


def raised(code: str, known: dict[str, object]) -> list[str]:
    """The class and the text of the error that the code ends with."""
    *before, last = code.split("; ")
    try:
        exec("\n".join([*before, last]), dict(known))
    except Exception as error:  # noqa: BLE001 - which error comes is what is asked
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


def _main() -> None:
    home = Path.cwd()
    faults: dict[str, Fault] = {}

    def fault(asked: Request) -> Fault | None:
        return faults.get("now") if asked.path.endswith(".fits") else None

    answers = {}
    with EmbeddedSas(TOP / "tests/data/sas", sha1sums=True, faults=fault) as sas:
        host = sas.url.partition("//")[2]
        for name, code in json.load(sys.stdin).items():
            shutil.rmtree(home / "sas", ignore_errors=True)
            faults.clear()
            if sys.modules.get("specutils", sas) is None:
                del sys.modules["specutils"]
            with (
                override(sas_base_dir=str(home / "sas"), remote_base=sas.url, retries=0),
                StateStore(f"sqlite:///{home}/states.sqlite") as store,
            ):
                known = {"Registry": Registry, "Tree": Tree, "faults": faults, "store": store}
                kind, said = raised(code, globals() | known | {"star": registry.create("apStar", **STAR)})
            Path("states.sqlite").unlink(missing_ok=True)
            answers[name] = [kind, said.replace(str(home), "/home/you").replace(host, "data.sdss.org")]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    _main()
