"""A registry behaves like a container of classes, whatever its plugins do."""

from __future__ import annotations

import re
import time
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from astra_registry import (
    BadValue,
    BrokenPlugin,
    PluginConflict,
    Registry,
    SDSS5DataModelTask,
    UnknownProduct,
    UnknownRelease,
    hookimpl,
    parameter,
    registry,
)
from astra_registry.declarations import Declaration
from astra_registry.errors import NotIdentified
from astra_registry.installed import BrokenPluginWarning
from astra_registry.settings import override


def product(name: str, summary: str = "A star.") -> type[SDSS5DataModelTask]:
    """A class of a product."""

    class Product(SDSS5DataModelTask):
        sdss_data_model_name = name
        templates = {"dr19": "$MWM_ASTRA/{v_astra}/" + name + "-{sdss_id}.fits"}  # noqa: RUF012
        v_astra: str = parameter("The version of Astra.", default="0.6.0")
        sdss_id: int = parameter("The star.", batch=True)

    Product.__doc__ = summary
    return Product


def bringing(name: str, *products: Any, **hooks: Any) -> types.ModuleType:
    """A plugin that brings products."""
    module = types.ModuleType(name)
    if products:
        module.astra_registry_products = hookimpl(lambda: list(products))
    for hook, result in hooks.items():
        setattr(module, f"astra_registry_{hook}", hookimpl(lambda result=result: result))
    return module


def test_it_is_a_mapping_of_names_to_classes() -> None:
    star, visit = product("aStar"), product("aVisit")
    mine = Registry(plugins=[bringing("mine", star, visit)])

    assert list(mine) == mine.names() == ["aStar", "aVisit"]
    assert (len(mine), "aStar" in mine, "nothing" in mine, 3 in mine) == (2, True, False, False)
    assert mine["aStar"] is mine.aStar is mine.get("aStar") is star
    assert mine.create("aStar", release="dr19", sdss_id=7).location == "dr19/spectro/astra/0.6.0/aStar-7.fits"
    assert "aStar" in dir(mine)
    assert repr(mine) == "<Registry(2 products from 1 plugins)>"


def test_an_unknown_product_names_close_matches_and_is_a_key_error() -> None:
    mine = Registry(plugins=[bringing("mine", product("apVisit"))])

    with pytest.raises(UnknownProduct, match="no data product named 'apVist'; did you mean 'apVisit'"):
        mine["apVist"]
    with pytest.raises(KeyError):
        mine["apVist"]
    with pytest.raises(AttributeError, match="did you mean"):
        _ = mine.apVist
    for no_name in (5, None, ["apVisit"]):
        with pytest.raises(UnknownProduct, match="a product's name is text"):
            mine[no_name]  # type: ignore[index]


def test_threads_that_ask_at_once_all_get_the_same_class() -> None:
    """While one thread waits for a plugin, another must not take it for one that brings nothing."""

    class Slow:
        @hookimpl
        def astra_registry_products(self) -> list[Any]:
            time.sleep(0.2)
            return [declared]

    declared = Declaration(name="aStar", summary="A star.", releases=("dr19",))
    mine = Registry(plugins=[Slow()])

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(lambda: (mine["aStar"], len(mine), "aStar" in mine)) for _ in range(8)]

    assert {answer.result() for answer in asked} == {(mine["aStar"], 1, True)}


def test_without_a_plugin_it_says_so() -> None:
    with pytest.raises(UnknownProduct, match="no data product named 'apStar': no plugin is installed"):
        Registry(plugins=[])["apStar"]
    with pytest.raises(NotIdentified, match="no known product lives there: no plugin is installed"):
        Registry(plugins=[]).identify("/x/dr17/a.fits")
    with override(plugins=[]), pytest.raises(NotIdentified, match="every plugin is disabled"):
        Registry().identify("/x/dr17/a.fits")


def test_search_finds_by_name_summary_parameter_and_release_the_closest_first() -> None:
    mine = Registry(plugins=[bringing("mine", product("plain", "Of a visit."), product("visit"))])

    assert mine.search_names("visit") == ["visit", "plain"]
    assert mine.search_names("sdss_id visit") == ["visit", "plain"]
    assert mine.search("visit", release="DR19")[0] is mine["visit"]
    assert mine.search("visit", release="dr17") == []
    assert mine.search_names(plugin="mine") == ["plain", "visit"]
    assert mine.search_names(plugin="other") == []


def test_two_plugins_that_claim_a_name_are_in_conflict_until_one_is_preferred() -> None:
    ours, theirs = product("aStar"), product("aStar")
    both = Registry(plugins=[bringing("first", ours), bringing("second", theirs, product("other"))])

    with pytest.raises(PluginConflict, match="'aStar' is claimed by first and by second; say which to use"):
        both["aStar"]
    assert "aStar" in both
    assert both["other"].sdss_data_model_name == "other"
    with pytest.warns(BrokenPluginWarning, match="plugins prefer aStar first or second"):
        assert both.names() == ["aStar", "other"]
    assert [info.status for info in both.plugins] == ["conflict", "conflict"]
    with override(prefer={"aStar": "second"}):
        assert both["aStar"] is theirs
        assert [info.status for info in both.plugins] == ["ok", "ok"]


def test_a_source_yields_to_a_class_and_two_sources_are_in_conflict() -> None:
    star = product("aStar")
    declared = Declaration.of(product("fromSource"))
    source = {"aStar": Declaration.of(product("aStar")), "fromSource": declared}
    mine = Registry(plugins=[bringing("hand", star), bringing("tree", product_sources=[source])])

    assert mine["aStar"] is star
    assert mine.plugin_of("fromSource").name == "tree"
    twice = Registry(plugins=[bringing("one", product_sources=[source]), bringing("two", product_sources=[source])])
    with pytest.raises(PluginConflict, match="claimed by one and by two"):
        twice["fromSource"]


def test_a_broken_plugin_is_listed_with_what_is_wrong() -> None:
    mine = Registry(plugins=[bringing("junk", products=[3]), bringing("fine", product("aStar"))])

    with pytest.warns(BrokenPluginWarning, match="plugin 'junk' of junk is broken") as told:
        assert mine.names() == ["aStar"]
    assert len(told) == 1
    assert [(info.name, info.status, info.products) for info in mine.plugins] == [
        ("junk", "broken", ()),
        ("fine", "ok", ("aStar",)),
    ]
    with override(strict=True), pytest.raises(BrokenPlugin):
        Registry(plugins=[bringing("junk", products=[3])]).names()


def test_a_product_of_a_release_that_the_tree_does_not_know_harms_nobody() -> None:
    """A plugin may be ahead of the sdss-tree that is installed."""
    star = product("aStar")
    star.templates = {"dr99": "$MWM_ASTRA/new-{sdss_id}.fits", **star.templates}
    mine = Registry(plugins=[bringing("ahead", star), bringing("other", product("bStar"))])

    assert [cls.releases() for cls in mine.search(release="dr19")] == [("dr19",), ("dr19",)]
    assert mine.identify("dr19/spectro/astra/0.6.0/bStar-7.fits") == mine.bStar(release="dr19", sdss_id=7)
    assert star(release="dr19", sdss_id=7).location == "dr19/spectro/astra/0.6.0/aStar-7.fits"
    with pytest.raises(UnknownRelease, match="dr99"):
        star(release="dr99", sdss_id=7)
    ahead, other = mine.plugin_set
    assert "no release 'dr99'" in "".join(mine.template_errors(ahead))
    assert not list(mine.template_errors(other))


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"sdss_data_model_name": 3}, "sdss_data_model_name is text, not 3"),
        ({"templates": "$MWM_ASTRA/x.fits"}, "templates maps releases to path templates, and is no '"),
        ({"templates": ["dr19"]}, "templates maps releases to path templates, and is no ["),
        ({"templates": {"dr19": 3}}, "templates has 'dr19': 3; a release's template is text"),
        ({"templates": {"dr19": ()}}, "templates has 'dr19': ()"),
        ({"templates": {"dr19": ["$MWM_ASTRA/x.fits", None]}}, "templates has 'dr19': ["),
        ({"templates": {19: "$MWM_ASTRA/x.fits"}}, "templates has 19: "),
        ({"subpaths": "folder"}, "subpaths are several, and not 'folder'"),
        ({"examples": 3}, "examples are several, and not 3"),
        ({"readers": "mine:read"}, "readers are several, and not 'mine:read'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_class_that_no_registry_could_use_is_refused_where_it_is_written(members: dict[str, Any], told: str) -> None:
    """So that its plugin is the one that is broken, and not whoever lists the products of all."""
    with pytest.raises(BadValue, match=f"^Odd: {re.escape(told)}"):
        types.new_class("Odd", (SDSS5DataModelTask,), exec_body=lambda body: body.update(members))


def test_refresh_keeps_the_classes_of_what_is_still_there() -> None:
    kept = registry["apStar"], registry["mwmStar"]

    registry.refresh()

    assert (registry["apStar"], registry["mwmStar"]) == kept
    assert registry["mwmStar"] is kept[1]


def test_a_hidden_product_is_not_listed() -> None:
    hidden = product("hidden")
    hidden._visible_in_registry = False  # type: ignore[attr-defined]
    mine = Registry(plugins=[bringing("mine", hidden, product("seen"))])

    assert mine.names() == ["seen"]
    assert mine["hidden"] is hidden


def test_what_is_no_plugin_is_refused_and_not_taken_for_an_empty_one() -> None:
    with pytest.raises(BadValue, match=r"plugins are several, in a list: \['apstar'\]"):
        Registry(plugins="apstar")
    with pytest.raises(BadValue, match=r"Product is a class without hooks; a plugin's astra_registry_products\(\)"):
        list(Registry(plugins=[product("aStar")]))


def test_an_isolated_registry_has_what_it_was_given_and_nothing_else() -> None:
    assert Registry(plugins=["astra_registry_apvisit"]).names() == ["apVisit"]
    assert {info.name for info in Registry(plugins=["astra_registry_apvisit"]).plugins} == {"apvisit"}
