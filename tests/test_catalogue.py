"""The catalogue, as people use it: in a real browser, from disk."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_tree import INTEGERS, WholeTree, declarations, whole_registry

from astra_registry import Registry, Tree, hookimpl, registry
from astra_registry.catalogue import write_catalogue
from astra_registry.catalogue.contents import contents
from astra_registry.declarations import Declaration
from astra_registry.errors import AstraRegistryError, BadValue
from astra_registry.parameters import Parameter
from astra_registry.settings import override

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1360, "height": 900}


# ---------------------------------------------------------------- writing


def test_a_catalogue_is_one_page_with_every_product_and_template(tmp_path: Path) -> None:
    page = Path(write_catalogue(registry, tmp_path / "catalogue"))

    assert [file.name for file in page.parent.iterdir()] == ["index.html"]
    text = page.read_text()
    assert all(name in text for name in registry)
    for name in {"apVisit", "apStar", "spec", *registry.names()[::40]}:
        for release in registry[name].releases():
            template = registry[name].template_texts(release)[0]
            assert template.startswith("=") or json.dumps(template)[1:-1] in text


def test_nothing_on_the_page_refers_to_anywhere(tmp_path: Path) -> None:
    text = Path(write_catalogue(registry, tmp_path)).read_text()
    without_data = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)

    assert not re.search(r"\b(src|srcset)\s*=|@import|url\(|fetch\(|XMLHttpRequest|<link", without_data)
    assert "https://" not in without_data


def test_an_older_catalogue_is_replaced_and_what_lies_beside_it_stays(tmp_path: Path) -> None:
    write_catalogue(Registry(plugins=[]), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")

    page = write_catalogue(registry, tmp_path)

    assert "apVisit" in Path(page).read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.html", "notes.txt"]


@pytest.mark.parametrize("name", ["thesis.tex", "index.html"])
def test_a_folder_that_is_no_catalogue_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<title>mine</title>")

    with pytest.raises(BadValue, match="holds other things and no catalogue"):
        write_catalogue(registry, tmp_path)

    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "<title>mine</title>")]


def test_a_file_in_the_place_of_the_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "catalogue").write_text("")

    with pytest.raises(BadValue, match="is a file"):
        write_catalogue(registry, tmp_path / "catalogue")


def test_an_older_catalogue_survives_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(write_catalogue(registry, tmp_path))
    before = page.read_bytes()

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_catalogue(registry, tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["index.html"]
    assert page.read_bytes() == before


def test_860_products_are_written_in_less_than_two_seconds(tmp_path: Path) -> None:
    whole = whole_registry()
    start = time.process_time()  # this process's own: tests share their machine

    page = write_catalogue(whole, tmp_path)

    assert time.process_time() - start < 2
    assert len(whole) > 850
    assert os.path.getsize(page) < 1_500_000


def test_where_files_are_is_what_is_configured_and_else_the_readers_own_home(tmp_path: Path) -> None:
    with override(sas_base_dir="/archive/sas", remote_base="http://mirror.example:8080"):
        told = contents(registry)

    assert told["places"] == {"sas": "/archive/sas", "software": "/archive"}
    assert {release["url"] for release in told["releases"]} == {"http://mirror.example:8080/sas/"}


# ---------------------------------------------------------------- in the browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real Chromium, as `make test` installs it under CI; without it the tests say that they are left out."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium): the catalogue is not tried in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address, on disk, of a catalogue of all products."""
    folder = tmp_path_factory.mktemp("catalogue")
    with override(sas_base_dir="/archive/sas"):
        return Path(write_catalogue(whole_registry(), folder)).as_uri()


@pytest.fixture
def page(chromium: Any, catalogue: str) -> Iterator[Any]:
    """The open catalogue; any request, message or error on it fails the test."""
    context = chromium.new_context(viewport=DESKTOP, reduced_motion="reduce")
    opened = context.new_page()
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("request", lambda request: told.append(request.url))
    opened.goto(catalogue)
    opened.wait_for_selector("html[data-ready]")
    yield opened
    context.close()
    assert set(told) <= {catalogue}, told


def names(page: Any) -> list[str]:
    return [str(name) for name in page.locator("#results a").evaluate_all("links => links.map((a) => a.dataset.name)")]


def outcome(page: Any) -> dict[str, str]:
    """What the form shows: path, URL, command and the rest."""
    labels = page.locator(".outcome dt").evaluate_all("all => all.map((dt) => dt.firstChild.textContent)")
    return dict(zip(labels, page.locator(".outcome dd").all_inner_texts(), strict=True))


def open_product(page: Any, name: str, release: str) -> None:
    page.evaluate("address => { location.hash = address; }", f"#/{name}?release={release}")
    page.wait_for_selector(f"article h1:text-is('{name}')")


def test_the_page_is_ready_in_less_than_two_seconds(page: Any) -> None:
    ready = []
    for _ in range(3):
        ready.append(int(page.evaluate("document.documentElement.dataset.ready")))
        page.reload()
        page.wait_for_selector("html[data-ready]")

    assert min(ready) < 2000  # the least disturbed of three: tests share their machine
    assert len(names(page)) == len(whole_registry())
    assert page.inner_text("#count") == f"{len(whole_registry())} products"


def wait_for_result(page: Any, text: str) -> None:
    """Wait until the results say so; the text that is shown is empty while a busy browser lays the page out."""
    page.wait_for_function("text => document.querySelector('#results').textContent.includes(text)", arg=text)


def test_searching_finds_products_by_name_words_parameters_and_roots_the_closest_first(page: Any) -> None:
    page.fill("#search", "apvisit")
    assert names(page)[0] == "apVisit"

    page.fill("#search", "combined spectrum star")
    assert names(page) == ["apStar"]

    page.fill("#search", "healpix $APOGEE_REDUX")
    assert "apStar" in names(page)

    page.fill("#search", "no such thing")
    assert names(page) == []
    wait_for_result(page, "No product fits all of that")

    page.fill("#search", "sas/dr17/apStar-dr17-2M19485057+5005279.fits")
    wait_for_result(page, "astra-registry identify sas/dr17/apStar-dr17-2M19485057+5005279.fits")


def test_search_finds_what_the_command_line_finds(page: Any) -> None:
    whole = whole_registry()
    for text in ("visit", "spec lite", "mjd fiber", "allStar"):
        page.fill("#search", text)
        found = whole.search_names(text)
        assert found
        assert set(found) <= set(names(page))


def test_filters_narrow_the_list_by_release_parameter_and_plugin(page: Any) -> None:
    whole = {declared.name: declared for declared in declarations()}
    page.select_option("#release", "dr17")
    assert set(names(page)) == set(Tree("dr17").lookup_names())

    page.select_option("#parameter", "designid")
    expected = {n for n in Tree("dr17").lookup_names() if "designid" in whole[n].parameter_names}
    assert set(names(page)) <= expected
    assert names(page)

    page.click("#clear")
    page.select_option("#plugin", "apstar")
    assert names(page) == ["apStar"]
    assert page.inner_text("#count").startswith("1 of ")


def test_the_form_gives_the_path_url_and_command_that_the_product_has(page: Any) -> None:
    values = {"telescope": "apo25m", "field": "000+14", "obj": "2M16544175-2148453"}
    open_product(page, "apStar", "dr17")
    assert page.inner_text(".told") == "It needs obj, telescope, field."

    page.fill("#p-obj", values["obj"])
    page.select_option("#p-telescope", values["telescope"])
    page.fill("#p-field", values["field"])

    with override(sas_base_dir="/archive/sas"):
        star = registry.create("apStar", release="dr17", **values)
        shown = outcome(page)
        assert shown["Path"] == star.local_path
        assert shown["URL"] == star.remote_path
        assert shown["Command"] == (
            "astra-registry resolve apStar --release dr17 --obj 2M16544175-2148453 --telescope apo25m --field 000+14"
        )
        assert eval(shown["Python"], {"registry": registry}) == star


def test_the_command_that_the_form_shows_prints_the_path_that_it_shows(page: Any) -> None:
    import shlex
    import subprocess
    import sys

    open_product(page, "spec", "dr17")
    for name, value in {"plate": "1325", "mjd": "52762", "fiberid": "133", "run2d": "26"}.items():
        page.fill(f"#p-{name}", value)
    shown = outcome(page)

    words = shlex.split(shown["Command"])
    ran = subprocess.run(
        [sys.executable, "-m", "astra_registry", "--sas-base-dir", "/archive/sas", *words[1:]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ran.stdout.strip() == shown["Path"]
    assert len([label for label in shown if label == "or"]) == 1  # where the server keeps it too


def test_a_value_that_cannot_be_is_said_at_its_field_and_no_path_is_shown(page: Any) -> None:
    open_product(page, "apVisit", "dr17")

    page.fill("#p-mjd", "oops")
    page.fill("#p-field", "../../etc")

    assert page.inner_text("#p-mjd-wrong") == "it takes an integer"
    assert "leave its folder" in page.inner_text("#p-field-wrong")
    assert page.get_attribute("#p-mjd", "aria-invalid") == "true"
    assert page.locator("#copy-path").count() == 0


def test_what_only_python_can_work_out_is_told_and_the_command_is_whole_without_it(page: Any) -> None:
    open_product(page, "apStar", "dr19")
    page.fill("#p-obj", "2M16544175-2148453")
    page.select_option("#p-telescope", "apo25m")

    assert "healpix follows from obj" in page.inner_text(".told")
    assert outcome(page)["Command"].endswith("--release dr19 --obj 2M16544175-2148453 --telescope apo25m")

    page.fill("#p-healpix", "120000")
    star = registry.create("apStar", release="dr19", obj="2M16544175-2148453", telescope="apo25m", healpix=120000)
    assert outcome(page)["URL"] == star.remote_path


def test_a_field_shows_what_of_the_path_follows_from_it(page: Any) -> None:
    open_product(page, "apStar", "dr17")
    page.click(".use >> nth=0")

    page.focus("#p-telescope")

    assert page.locator(".outcome .pointed").all_inner_texts() == ["apo25m"]


def test_an_example_fills_the_form(page: Any) -> None:
    open_product(page, "apVisit", "dr17")

    page.click("text=Use in dr12")

    release, values = registry["apVisit"].examples[1]
    with override(sas_base_dir="/archive/sas"):
        assert outcome(page)["Path"] == registry.create("apVisit", release=release, **values).local_path


def test_differences_between_releases_are_shown_and_any_two_can_be_compared(page: Any) -> None:
    open_product(page, "apStar", "dr17")
    steps = page.locator(".steps h3").all_inner_texts()
    assert steps[:2] == ["dr10, dr11", "dr12 … dr17"]

    page.select_option("#compare-old", "dr17")
    page.select_option("#compare-new", "dr19")

    assert page.locator("#compared .template").all_inner_texts() == [
        registry["apStar"].template_texts(release)[0] for release in ("dr17", "dr19")
    ]
    assert "takes healpix; no longer takes apstar, field, prefix" in page.inner_text("#compared")
    assert "{field}" in page.locator("#compared .line >> nth=0").locator(".fresh").all_inner_texts()


def test_releases_that_are_all_alike_offer_no_comparison(page: Any) -> None:
    open_product(page, "mangacube", "dr17")

    assert page.locator(".steps .template").count() == 1
    assert page.locator("#compare-old").count() == 0


def test_where_servers_keep_a_product_besides_is_shown_as_a_template(page: Any) -> None:
    open_product(page, "spec", "dr17")

    _, further = registry["spec"].template_texts("dr17")
    assert page.locator("#where > .template").all_inner_texts() == [Tree("dr17").templates["spec"]]
    assert page.locator("#where > .further .template").all_inner_texts() == [further]


def test_the_default_that_each_release_has_of_its_own_is_told(page: Any) -> None:
    open_product(page, "apStar", "dr17")

    told = page.locator(".parameters tr", has=page.locator("th code:text-is('apred')")).inner_text()
    assert "r12 in dr16" in told
    assert "r5 in dr12" in told


def test_every_product_shows_only_what_can_be_read(page: Any) -> None:
    """The hand-written products are opened in every release, of the tree's own every fiftieth."""
    odd = page.evaluate(
        r"""(tree) => Catalogue.products.flatMap((product, i) => {
          if (i % 50 && product.plugin.name === tree) return [];
          return Object.keys(product.templates).filter((release) => {
            history.replaceState(null, "", `#/${encodeURIComponent(product.name)}?release=${release}`);
            dispatchEvent(new HashChangeEvent("hashchange"));
            const text = document.getElementById("product").textContent;
            return /\[object |undefined|NaN\b|=>/.test(text) || !text.includes(`In ${release}`);
          }).map((release) => `${product.name} in ${release}`);
        })""",
        WholeTree.__name__,
    )

    assert odd == []


def test_a_product_and_what_was_typed_have_an_address_that_can_be_passed_on(page: Any, catalogue: str) -> None:
    open_product(page, "apStar", "dr17")
    page.click(".use >> nth=0")
    address = page.evaluate("location.href")
    shown = outcome(page)

    page.goto("about:blank")
    page.goto(address)

    assert outcome(page) == shown
    page.evaluate("history.pushState(null, '', location.pathname)")


def test_everything_can_be_done_with_the_keyboard(page: Any) -> None:
    focused = "document.activeElement.dataset.name || document.activeElement.id || document.activeElement.tagName"
    page.keyboard.press("/")
    assert page.evaluate(focused) == "search"
    page.keyboard.type("apstar")
    page.keyboard.press("ArrowDown")
    first = names(page)[0]
    assert page.evaluate(focused) == first == "apStar"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == names(page)[1]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("article")
    assert page.inner_text("article h1") == "apStar"
    assert page.evaluate(focused) == "H1"

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "radio"
    before = page.evaluate("document.activeElement.value")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.value") != before

    page.keyboard.press("Escape")
    assert page.evaluate(focused) == "apStar"
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == "search"
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""


def test_where_the_focus_is_can_be_seen(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")

    assert page.evaluate("getComputedStyle(document.activeElement).outline").endswith("solid 2px")


CONTRASTS = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const { rgb, a } = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("script, style, noscript, option, .absent")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color).rgb), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([element.className, element.textContent.slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_text_has_contrast_and_nothing_sticks_out(page: Any, scheme: str, size: dict[str, int]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.fill("#search", "apogee visit")  # a few rows stand for all
    assert page.evaluate(CONTRASTS) == []

    open_product(page, "apStar", "dr17")
    page.click(".use >> nth=0")

    assert page.evaluate(CONTRASTS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_every_control_has_a_name_and_the_page_has_its_landmarks(page: Any) -> None:
    open_product(page, "apVisit", "dr17")
    page.click(".use >> nth=0")

    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, a")].filter((e) => e.checkVisibility()
             && !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    for role in ("banner", "navigation", "main", "search"):
        assert page.get_by_role(role).count() == 1, role
    assert page.locator("h1").count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_a_phone_shows_the_list_then_the_product_then_the_list_again(page: Any) -> None:
    page.set_viewport_size(PHONE)
    assert not page.locator("main").is_visible()

    page.fill("#search", "apstar")
    page.locator("#results a").first.click()
    assert page.locator("article h1").inner_text() == "apStar"
    page.wait_for_selector("#results", state="hidden")

    page.click("text=← all products")
    page.wait_for_selector("#results", state="visible")
    assert names(page)[0] == "apStar"


def test_an_address_of_a_product_that_is_not_there_says_so(page: Any) -> None:
    page.evaluate("location.hash = '#/apStarr'")

    page.wait_for_selector("[role=alert]")
    assert "no product named ‘apStarr’" in page.inner_text("main")


def test_what_products_say_of_themselves_stays_text(chromium: Any, tmp_path: Path) -> None:
    bad = '</script><script>window.done = 1</script><img src=x onerror="window.done = 1">'

    class Plugin:
        @hookimpl
        def astra_registry_products(self) -> list[Declaration]:
            parameter = Parameter(name="mjd", attribute="mjd", type=int, doc=bad, unit=bad, aliases=())
            return [Declaration(name="bad", summary=bad, description=f"x\n\n{bad}", parameters=(parameter,),
                                templates={"dr17": "$APOGEE_REDUX/<b>{mjd}"}, releases=("dr17",))]  # fmt: skip

    address = Path(write_catalogue(Registry(plugins=[Plugin()]), tmp_path, title=bad)).as_uri()
    opened = chromium.new_page()
    opened.goto(f"{address}#/bad")
    opened.wait_for_selector("article")

    assert opened.evaluate("window.done") is None
    assert opened.locator("img").count() == 0
    assert opened.inner_text(".lead") == bad
    opened.close()


# ---------------------------------------------------------------- the templates in the browser, and in Python

SAMPLES: dict[str, tuple[Any, ...]] = {
    "run2d": ("v6_1_3", "26", "v5_13_2", "v6_0_4", "v6_2_1"),
    "telescope": ("apo25m", "lco25m", "apo25m"),
    "instrument": ("apogee-n", "apogee-s", "apogee-n"),
    "fieldid": ("015005", "7339", "allepoch", "1"),
    "num": ("0", "12", "3"),
    "ftype": ("fits", "parquet", "FITS"),
    "obs": ("apo", "lco", None),
    "component": ("A", None, "A"),
    "configid": (12345678, -1, 5),
    "plateid": (15000, 266, 3586),
    "sdss_id": (114514, 7, 23326),
    "cat_id": (4350944269, 12, 27021597842483214),
    "catalogid": (27021597842483214, 63050394825433837, 5),
}


def cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Three sets of values for every path of every release."""
    turns = itertools.count()
    for declared in declarations():
        for release in declared.releases:
            for _ in range(3):
                turn = next(turns)
                values = {}
                for name in declared.parameter_names:
                    some = SAMPLES.get(name, (56396 + turn % 7, 7, 0) if name in INTEGERS else ("12", "a b+c", "00"))
                    values[name] = some[turn % len(some)]
                yield declared.name, release, {name: value for name, value in values.items() if value is not None}


def in_python(name: str, release: str, values: dict[str, Any]) -> list[str] | None:
    """The location and URL that Python gives, or None for an error."""
    tree = Tree(release)
    try:
        template = tree.path_template(name)
        used = {key: value for key, value in values.items() if key in (*template.keys, *template.optional)}
        return [template.location(used), tree.url_of(template, used)]
    except AstraRegistryError:
        return None


def test_the_browser_fills_every_template_as_python_does(chromium: Any, tmp_path: Path) -> None:
    class Plugin:
        @hookimpl
        def astra_registry_products(self) -> list[Declaration]:
            return list(declarations())

    address = Path(write_catalogue(Registry(plugins=[Plugin()]), tmp_path)).as_uri()
    asked = list(cases())
    opened = chromium.new_page()
    opened.goto(address)

    filled = opened.evaluate(
        """(cases) => cases.map(([name, release, values]) => {
             const found = Catalogue.resolve(Catalogue.byName.get(name), release, values);
             return found.url ? [found.location, found.url] : null;
           })""",
        [[name, release, {k: str(v) for k, v in values.items()}] for name, release, values in asked],
    )
    opened.close()

    expected = [in_python(*case) for case in asked]
    wrong = [(case, mine, theirs) for case, mine, theirs in zip(asked, filled, expected, strict=True) if mine != theirs]
    assert not wrong, f"{len(wrong)} of {len(asked)}; the first: {wrong[:5]}"
    # The rest are software products, and values that cannot be.
    assert sum(found is not None for found in filled) > 0.85 * len(asked)
