"""What a notebook shows of our objects: short, escaped, and never an error."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from typing import Any

import pytest

from astra_registry import FetchReport, Registry, Tree, hookimpl, registry
from astra_registry.declarations import Declaration
from astra_registry.fetching.report import FetchResult
from astra_registry.parameters import Parameter

STAR = {"release": "dr17", "telescope": "apo25m", "field": "000+14", "obj": "2M16544175-2148453"}
VISITS = {"release": "dr17", "telescope": "apo25m", "field": "000+14", "plate": "5815", "mjd": 56396}


def text(shown: Any) -> str:
    """The HTML as a person reads it; every tag of it is closed."""
    made = shown._repr_html_()
    for tag in ("table", "tr", "td", "th", "div", "tbody", "thead", "code", "b", "span", "small", "strong"):
        assert len(re.findall(rf"<{tag}[ >]", made)) == made.count(f"</{tag}>"), tag
    return html.unescape(re.sub(r"<[^>]*>", " ", made))


def test_a_product_shows_its_parameters_where_they_come_from_its_path_and_its_url() -> None:
    star = registry.create("apStar", **STAR)

    shown = text(star)

    assert "apStar" in shown
    assert re.search(r"apred +dr17 +default", shown)
    assert re.search(r"prefix +ap +derived", shown)
    assert star.local_path in shown
    assert f"href='{html.escape(star.remote_path)}'" in star._repr_html_()


def test_a_batch_shows_its_first_rows_and_its_size() -> None:
    batch = registry.create("apVisit", **VISITS, fiber=range(1, 201))

    shown = text(batch)

    assert "a batch of 200" in shown
    assert "apVisit-dr17-5815-56396-001.fits" in shown
    assert "apVisit-dr17-5815-56396-010.fits" in shown
    assert "apVisit-dr17-5815-56396-011.fits" not in shown
    assert "and 190 more" in shown
    assert "for all: plate = 5815" in shown


def test_a_batch_of_a_hundred_thousand_is_shown_at_once_and_one_of_none_too() -> None:
    batch = registry.create("apVisit", **VISITS, fiber=[1] * 100_000)

    assert len(batch._repr_html_()) < 5_000
    assert "a batch of 0" in text(batch[:0])


def test_a_software_product_says_why_it_has_no_url() -> None:
    name = next(n for n in Tree("dr17").lookup_names() if not _on_sas(n))

    class Plugin:
        @hookimpl
        def astra_registry_products(self) -> list[Declaration]:
            keys = Tree("dr17").path_template(name).keys
            parameters = tuple(Parameter(name=k, attribute=k, type=str, doc="x") for k in keys)
            return [Declaration(name=name, parameters=parameters, releases=("dr17",))]

    own = Registry(plugins=[Plugin()])
    product = own.create(name, release="dr17", **dict.fromkeys(own.declaration(name).parameter_names, "1"))

    assert "software product" in text(product)


def _on_sas(name: str) -> bool:
    try:
        return Tree("dr17").path_template(name).on_sas
    except ValueError:
        return True


def test_what_a_product_says_of_itself_is_escaped() -> None:
    class Plugin:
        @hookimpl
        def astra_registry_products(self) -> list[Declaration]:
            parameter = Parameter(name="mjd", attribute="mjd", type=str, doc="x")
            return [Declaration(name="x", summary="<script>alert(1)</script>", parameters=(parameter,),
                                templates={"dr17": "$APOGEE_REDUX/{mjd}"}, releases=("dr17",))]  # fmt: skip

    own = Registry(plugins=[Plugin()])

    for shown in (own, own.create("x", release="dr17", mjd="<script>")):
        assert "<script>" not in shown._repr_html_()


def test_a_registry_shows_its_products_and_first_of_all_what_is_wrong() -> None:
    class Junk:
        @hookimpl
        def astra_registry_products(self) -> list[Any]:
            return [3]

    with pytest.warns(UserWarning, match="broken"):
        shown = text(Registry(plugins=["astra_registry_apvisit", Junk()]))

    assert "1 product from 2 plugins" in shown
    assert shown.index("broken") < shown.index("One visit spectrum")


def test_a_registry_of_none_is_shown_too() -> None:
    shown = text(Registry(plugins=[]))
    assert "0 products from 0 plugins" in shown
    assert "pip install astra-registry-sdsstree" in shown


def test_a_registry_shows_products_that_were_written_by_hand_before_those_of_the_tree() -> None:
    shown = text(registry)
    assert shown.index("apStar") < shown.index("The combined spectrum of a star") < shown.index("AllStarSSPP")
    assert "more: registry.search(…)" in " ".join(shown.split())


def test_names_are_completed_as_attributes_and_as_keys() -> None:
    assert {"apStar", "apVisit", "spec"} <= set(dir(registry))
    assert "spec-lite" not in dir(registry)
    assert {"apStar", "spec-lite"} <= set(registry._ipython_key_completions_())


def test_plugins_are_a_list_that_shows_as_a_table() -> None:
    plugins = registry.plugins

    assert isinstance(plugins, list)
    assert "astra-registry-apvisit" in text(plugins)
    assert "apVisit" in text(next(p for p in plugins if p.name == "apvisit"))


def test_a_tree_shows_its_release_server_and_first_paths() -> None:
    shown = text(Tree("DR19", sas_base_dir="/archive/sas"))

    assert "dr19" in shown
    assert "https://data.sdss.org (public)" in shown
    assert "/archive/sas" in shown
    assert "more: tree.lookup_names()" in " ".join(shown.split())


def test_a_report_shows_its_failures_first_and_every_one_of_a_few() -> None:
    good = [FetchResult(f"https://x/{i}", f"/a/good{i}.fits", "fetched", 2_880, attempts=1) for i in range(500)]
    bad = [FetchResult(f"https://x/{i}", f"/a/bad{i}.fits", "missing", error="no such file <b>") for i in range(15)]

    shown = text(FetchReport([*good, *bad]))

    assert "500 fetched, 15 missing" in shown
    assert all(f"bad{i}.fits" in shown for i in range(15))
    assert "good" not in shown
    assert "no such file <b>" in shown
    assert "and 500 more" in shown


def test_a_result_shows_what_came_of_one_file() -> None:
    shown = text(FetchResult("https://x/a.fits", "/a/a.fits", "fetched", 1_234_567, sha1="ab", attempts=2, seconds=0.5))

    assert "1.23 MB" in shown
    assert re.search(r"requests +2", shown)
    assert "error" not in shown


def test_showing_loads_nothing_heavy() -> None:
    code = (
        "import sys; from astra_registry import registry, Tree\n"
        f"made = registry.create('apStar', **{STAR!r})\n"
        "for shown in (made, registry, registry.plugins, Tree('dr17')): assert shown._repr_html_()\n"
        "print([m for m in ('astropy', 'numpy', 'sqlalchemy', 'requests', 'urllib3') if m in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
