"""Products declared in TOML: read, refused with the line of the mistake, written again, and used like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astra_registry import Registry, registry
from astra_registry.declarations import Declaration
from astra_registry.errors import BadValue, InvalidParameter, MissingParameter
from astra_registry.installed import BrokenPluginWarning
from astra_registry.parameters import REQUIRED
from astra_registry.product_files.reading import read_product_file
from astra_registry.product_files.writing import as_toml

GOOD = """
# What a lab keeps beside the survey's own.
[products.labStar]
summary = "A star, as our lab reduces it."
description = "A star, as our lab reduces it.\\n\\nMore of it."
subpaths = ["folder"]

[products.labStar.templates]
DR19 = "$MWM_ASTRA/lab/{folder}/{v_lab}/@sdss_id_groups|/{prefix}-{v_lab}-{sdss_id}-{run}.fits"
dr20 = ["=mwmStar", "$SAS_BASE_DIR/dr20/lab/{v_astra}-{sdss_id}.fits"]

[products.labStar.parameters]
sdss_id = { type = "int", doc = "The SDSS identifier of the star.", batch = true, aliases = ["SDSS_ID"], unit = "" }
v_lab = { doc = "Our version.", default = { dr19 = "1.10" } }
v_astra = { doc = "The version of Astra.", optional = true }
telescope = { doc = "The telescope.", choices = ["apo25m", "lco25m"] }
prefix = { doc = "The prefix.", default = { from = "telescope", values = { apo25m = "ap", lco25m = "as" } } }
folder = "Where it lies."
run = { type = "int", doc = "The run.", default = 3 }

[[products.labStar.examples]]
release = "dr19"
parameters = { sdss_id = 114870783, telescope = "apo25m", folder = "a/b" }

[products.labTable]
summary = "The table of all."
templates = { sdss5 = "$MWM_ASTRA/lab/all.fits" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "products.toml"
    path.write_text(GOOD.replace(', unit = "" }', " }"))
    return path


def test_a_file_declares_products(file: Path) -> None:
    star, table = read_product_file(file)

    assert (star.name, star.summary, star.releases) == ("labStar", "A star, as our lab reduces it.", ("dr19", "dr20"))
    assert star.parameter_names == ["sdss_id", "v_lab", "v_astra", "telescope", "prefix", "folder", "run"]
    by_name = {p.name: p for p in star.parameters}
    assert by_name["sdss_id"].type is int
    assert by_name["sdss_id"].batch
    assert by_name["sdss_id"].default is REQUIRED
    assert by_name["v_astra"].default is None
    assert by_name["prefix"].reads == ("telescope",)
    assert by_name["run"].attribute == "run_"
    assert by_name["folder"].doc == "Where it lies."
    assert star.examples == (("dr19", {"sdss_id": 114870783, "telescope": "apo25m", "folder": "a/b"}),)
    assert (table.releases, table.parameters) == (("sdss5",), ())


def test_its_products_do_what_others_do(file: Path) -> None:
    own = Registry(plugins=[str(file)])

    star = own.create("labStar", release="dr19", sdss_id="114870783", telescope="lco25m", folder="a/b")

    assert star.location == "dr19/spectro/astra/lab/a/b/1.10/07/83/as-1.10-114870783-3.fits"
    assert star.param_origins["prefix"] == "derived"
    assert own.identify(f"/x/{star.location}").location == star.location
    batch = own["labStar"].from_table({"SDSS_ID": [1, 2]}, release="dr19", telescope="apo25m", folder="f")
    assert len(batch.local_paths) == 2
    with pytest.raises(InvalidParameter):
        own.create("labStar", release="dr19", sdss_id=1, telescope="apo25m", folder="../b")
    with pytest.raises(MissingParameter, match="needs telescope"):
        own.create("labStar", release="dr19", sdss_id=1, folder="b")
    assert [p.name for p in own.plugins] == ["products"]


def test_a_second_template_is_a_further_place(file: Path) -> None:
    own = Registry(plugins=[str(file)])
    star = own.create("labStar", release="dr20", sdss_id=114870783, v_astra="0.7.0")

    assert "mwmStar-0.7.0-114870783" in star.location
    assert own.identify("/x/dr20/lab/0.7.0-114870783.fits") == star


def test_a_product_without_templates_is_where_the_tree_has_it(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[products.drpall]\nparameters = { drpver = "The version." }\n')
    own = Registry(plugins=[str(tmp_path / "p.toml")])

    assert own["drpall"].releases() == registry["drpall"].releases() == own.declaration("drpall").releases
    same = registry.create("drpall", release="dr17", drpver="v3_1_1")
    assert own.create("drpall", release="dr17", drpver="v3_1_1").location == same.location


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("batch = true", "bach = true", r"line 13: labStar, sdss_id: there is no 'bach'; did you mean 'batch'\?"),
        ('type = "int", doc = "The SDSS', 'type = "integer", doc = "The SDSS', r"line 13: .*type is one of int, str"),
        ("batch = true", 'batch = "yes"', r"line 13: .*batch is true or false"),
        ("DR19 =", "dr99 =", r"line 9: labStar: no release 'dr99'"),
        ("{sdss_id}-{run}", "{sdssid}-{run}", r"line 9: .*names 'sdssid', .* did you mean 'sdss_id'"),
        ("@sdss_id_groups|", "@cat_id_groups|", r"names 'cat_id', which is no parameter"),
        ("summary =", "sumary =", r"there is no 'sumary'; did you mean 'summary'\?"),
        ('"A star, as our lab reduces it."', "17", r"summary is text"),
        ('["apo25m", "lco25m"]', "[]", r"line 16: .*choices is a list of values"),
        ('default = 3', 'default = "three"', r"parameter 'run': run = 'three': it takes an integer"),
        ("sdss_id = 114870783, telescope", "sdsid = 114870783, telescope", r"its example has 'sdsid'"),
        ("v_lab = {", "1v = {", r"begins with no digit"),
        ("[products.labTable]", "[product.labTable]", r"line 25: there is no 'product' in such a file"),
        ("[products.labTable]", "[products.labTable", r"is no TOML"),
        ("values = {", "value = {", r"has 'from' and 'values', not 'value'"),
        ("dr20 = [", "dr20 = [1, ", r"the template of dr20 is text, or a list of it"),
        ("subpaths = [", "cards = { OBJID = '(?P<sun>.*)' }\nsubpaths = [", r"line 6: .*tells 'sun', which is no"),
        ("subpaths = [", "cards = { OBJID = '(' }\nsubpaths = [", r"line 6: .*'\(' of the card OBJID is no regular"),
        ('sdss5 = "$MWM', 'sdsswork = "$MWM_ASTRA/x", work = "$MWM', r"sdsswork has two templates"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(file: Path, before: str, after: str, told: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))

    with pytest.raises(BadValue, match=told) as raised:
        read_product_file(file)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_a_broken_file_harms_nobody_else(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[products.x]\nnothing = 1\n")
    own = Registry(plugins=[str(broken), str(file)])

    with pytest.warns(BrokenPluginWarning, match=r"broken.toml, line 2: x: there is no 'nothing'"):
        assert own.names() == ["labStar", "labTable"]
    assert [(p.name, p.status) for p in own.plugins] == [("broken", "broken"), ("products", "ok")]


@pytest.mark.parametrize(
    "name", ["apVisit", "apStar", "spec", "frame", "mwmStar", "allspec", "spAllField_coadd", "plateGuideAdjust"]
)
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    declaration = registry.declaration(name)
    path = tmp_path / "p.toml"
    path.write_text(as_toml(declaration))

    (again,) = read_product_file(path)

    assert (again.name, again.summary, again.description) == (name, declaration.summary, declaration.description)
    assert again.releases == declaration.releases
    assert again.templates == (None if declaration.templates is None else dict(declaration.templates))
    assert [_plain(p) for p in again.parameters] == [_plain(p) for p in declaration.parameters]
    kept = [line for line in as_toml(declaration).splitlines() if "takes Python" not in line]
    assert as_toml(again).splitlines() == kept


def _plain(p: Any) -> tuple[Any, ...]:
    default = "computed" if callable(p.default) else p.default
    if p.name == "healpix":
        default = None  # from the star's name: that takes Python
    return p.name, p.attribute, p.type, p.doc, default, p.batch, p.unit, p.choices, p.aliases, p.columns


def test_every_product_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text("\n".join(as_toml(registry.declaration(name)) for name in registry))

    again = {declaration.name: declaration for declaration in read_product_file(path)}

    assert list(again) == list(registry)
    assert again["frame"].build()(
        release="dr17", rerun="301", run_=94, camcol=1, filter_="u", field=12
    ).location.endswith("/frame-u-000094-1-0012.fits")  # fmt: skip


def test_odd_text_survives(tmp_path: Path) -> None:
    odd = 'a "quoted" \\ text\twith é, \x7f and ]'
    declaration = Declaration(name="odd name.x", summary=odd, templates={"dr17": "$SAS_BASE_DIR/dr17/x.fits"})
    path = tmp_path / "p.toml"
    path.write_text(as_toml(declaration))

    (again,) = read_product_file(path)

    assert (again.name, again.summary) == ("odd name.x", odd)


# ---------------------------------------------------------------- where files come from


def listed(*words: str, env: dict[str, str]) -> tuple[str, str]:
    import os

    ran = subprocess.run(
        [sys.executable, "-m", "astra_registry", *words], env={**os.environ, **env}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return ran.stdout, ran.stderr


def test_files_of_the_user_and_of_the_command_line_are_used(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "products.d"
    folder.mkdir(parents=True)
    file.rename(folder / "lab.toml")
    asked = tmp_path / "asked.toml"
    asked.write_text('[products.asked]\ntemplates = { dr17 = "$SAS_BASE_DIR/dr17/asked.fits" }\n')
    env = {"ASTRA_REGISTRY_CONFIG": str(tmp_path / "config" / "config.toml"), "SAS_BASE_DIR": "/sas"}

    out, _ = listed("--products", str(asked), "list", "--search", "a", env=env)
    assert {"labStar", "labTable", "asked"} <= {line.split()[0] for line in out.splitlines()}
    out, _ = listed("--products", str(asked), "resolve", "asked", "--release", "dr17", env=env)
    assert out == "/sas/dr17/asked.fits\n"
    out, _ = listed("--products", str(asked), "--no-plugins", "list", env=env)
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["asked"]
    out, _ = listed("show", "labStar", "--toml", env=env)
    assert out.startswith("[products.labStar]\n")


def test_a_package_ships_a_file_and_nothing_of_it_is_imported(tmp_path: Path) -> None:
    package = tmp_path / "labproducts"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "products.toml").write_text('[products.lab]\ntemplates = { dr17 = "$SAS_BASE_DIR/dr17/lab.fits" }\n')
    metadata = tmp_path / "labproducts-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: labproducts\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[astra_registry]\nlab = labproducts:products.toml\n")

    out, err = listed("list", "--plugin", "lab", env={"PYTHONPATH": str(tmp_path)})

    assert [line.split()[0] for line in out.splitlines()[1:]] == ["lab"]
    assert err == ""
