"""One release: its paths, its URLs, what lies on disk; and that nothing else changes."""

from __future__ import annotations

import copy
import http.server
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from astra_registry.errors import (
    AstraRegistryError,
    BadSetting,
    BadValue,
    InvalidParameter,
    MissingParameter,
    NotOnSas,
    TransferFailed,
    Unauthorized,
    UnknownParameter,
    UnknownPath,
    UnknownRelease,
    UnresolvedRoot,
)
from astra_registry.release import releases
from astra_registry.settings import override
from astra_registry.tree import Tree

VISIT: dict[str, Any] = {
    "apred": "dr17", "telescope": "apo25m", "field": "000+14", "plate": 7545, "mjd": 56933, "prefix": "ap", "fiber": 7,
}  # fmt: skip
VISIT_LOCATION = "dr17/apogee/spectro/redux/dr17/visit/apo25m/000+14/7545/56933/apVisit-dr17-7545-56933-007.fits"
SLITMAP = {"plate": 7443, "mjd": 56741, "plugging": 1}


# ---------------------------------------------------------------- one release, whatever else there is


def test_a_tree_is_made_once_and_cannot_be_changed() -> None:
    tree = Tree("DR17", sas_base_dir="/sas")

    assert Tree("dr-17", sas_base_dir="/sas") is tree
    assert tree.release == "dr17"
    assert pickle.loads(pickle.dumps(tree)) == tree
    assert copy.deepcopy(tree) == tree
    assert Tree("dr17", sas_base_dir="/other") != tree
    with pytest.raises(AttributeError):
        tree.release = "dr19"
    with pytest.raises(AttributeError):
        del tree.release
    with pytest.raises(TypeError):
        tree.templates["apVisit"] = ""  # type: ignore[index]
    with pytest.raises(TypeError):
        tree.roots["APOGEE_REDUX"] = ""  # type: ignore[index]


def test_the_settings_say_where_files_live_and_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "first"))
    assert Tree("dr17").full("apVisit", **VISIT) == f"{tmp_path}/first/{VISIT_LOCATION}"

    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "second"))
    assert Tree("dr17").full("apVisit", **VISIT) == f"{tmp_path}/second/{VISIT_LOCATION}"
    with override(sas_base_dir="/third", remote_base="http://127.0.0.1:8000/mirror"):
        assert Tree("dr17").full("apVisit", **VISIT) == f"/third/{VISIT_LOCATION}"
        assert Tree("dr17").url("apVisit", **VISIT) == f"http://127.0.0.1:8000/mirror/sas/{VISIT_LOCATION}"
    assert Tree("dr17", sas_base_dir="~/data").sas_base_dir == os.path.expanduser("~/data")
    assert Tree("dr17", sas_base_dir=tmp_path).sas_base_dir == str(tmp_path)
    for wrong in ("", "a\0b", 5):
        with pytest.raises(BadSetting):
            Tree("dr17", sas_base_dir=wrong)  # type: ignore[arg-type]


def test_the_top_of_the_file_system_does_too() -> None:
    assert Tree("dr17", sas_base_dir="/").full("apVisit", **VISIT) == f"/{VISIT_LOCATION}"


def test_the_name_is_positional_only_since_templates_have_keys_like_it() -> None:
    """``name``, ``release``, ``location`` and ``run`` are keys of templates."""
    star = {"apred": "r5", "apstar": "stars", "aspcap": "l25_6d", "results": "v603", "location": 4262, "obj": "2M1"}

    assert Tree("dr12", sas_base_dir="/sas").full("aspcapStar", **star).endswith("/4262/aspcapStar-v603-2M1.fits")
    for release in releases():
        tree = Tree(release)
        for name in tree.lookup_names():
            if {"name", "release", "self"} & set(re.findall(r"{(\w+)", tree.templates[name])):
                tree.fulls(name, **dict.fromkeys(tree.lookup_keys(name), "x"))


def every_answer(tree: Tree) -> list[str]:
    """Return the path, or the kind of error, of every name with the same numbers."""
    answers = []
    for name in tree.lookup_names():
        try:
            answers.append(tree.full(name, **dict.fromkeys(tree.lookup_keys(name), 12)))
        except AstraRegistryError as error:
            answers.append(type(error).__name__)
    return answers


def test_nineteen_releases_in_threads_do_not_disturb_each_other() -> None:
    trees = [Tree(release, sas_base_dir="/threads") for release in releases()]
    alone = [every_answer(tree) for tree in trees]
    fresh = [Tree(release, sas_base_dir="/threads", environ_overrides=["NO_SUCH"]) for release in releases()]
    jobs = [i for i in range(len(trees)) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: every_answer(fresh[i]), jobs))

    assert together == [alone[i] for i in jobs]


def test_releases_interleaved_call_by_call_keep_their_roots() -> None:
    """With sdss_access a second release changes the paths of the first."""
    trees = [Tree(release, sas_base_dir="/sas") for release in releases()]
    alone = [every_answer(tree) for tree in trees]

    mixed: list[list[str]] = [[] for _ in trees]
    for i in range(max(len(tree.templates) for tree in trees)):
        for tree, answers in zip(trees, mixed, strict=True):
            names = tree.lookup_names()
            if i < len(names):
                try:
                    answers.append(tree.full(names[i], **dict.fromkeys(tree.lookup_keys(names[i]), 12)))
                except AstraRegistryError as error:
                    answers.append(type(error).__name__)

    assert mixed == alone


WATCHED = """
import json, os, sys, warnings
before = (dict(os.environ), sys.excepthook, warnings.showwarning, list(warnings.filters), os.getcwd())
written = []
def audit(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and any(letter in arguments[1] for letter in "wax+"):
        if arguments[0] not in ("/dev/null",) and "__pycache__" not in str(arguments[0]):
            written.append(["open", str(arguments[0])])
    elif event in ("os.mkdir", "os.putenv", "os.unsetenv", "os.remove", "os.rename", "socket.connect",
                   "subprocess.Popen", "os.system", "os.fork", "os.chdir"):
        written.append([event, str(arguments)])
sys.addaudithook(audit)
from astra_registry.release import releases
from astra_registry.tree import Tree
for release in releases():
    tree = Tree(release)
    for name in tree.lookup_names():
        try:
            tree.full(name, **dict.fromkeys(tree.lookup_keys(name), 12))
        except Exception as error:
            assert type(error).__module__ == "astra_registry.errors", (name, error)
after = (dict(os.environ), sys.excepthook, warnings.showwarning, list(warnings.filters), os.getcwd())
heavy = [name for name in ("astropy", "numpy", "sqlalchemy", "requests", "urllib3", "sdss_access", "tree")
         if name in sys.modules]
print(json.dumps({"same": before == after, "written": written, "heavy": heavy}))
"""


def test_nothing_changes_in_the_process_or_on_disk(tmp_path: Path) -> None:
    """Every path of every release, in a process that is watched."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("SAS_BASE_DIR", None)

    done = subprocess.run([sys.executable, "-c", WATCHED], env=environment, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == {"same": True, "written": [], "heavy": []}
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- names, keys, templates


def test_unknown_names_are_errors_with_a_hint() -> None:
    tree = Tree("dr17")

    with pytest.raises(UnknownPath, match="no path named 'apVist' in dr17; did you mean 'apVisit'"):
        tree.full("apVist")
    for wrong in (None, 5, ["apVisit"], ""):
        with pytest.raises(UnknownPath):
            tree.full(wrong)  # type: ignore[arg-type]
    with pytest.raises(UnknownRelease):
        Tree("dr99")
    with pytest.raises(UnknownParameter, match="fibre"):
        tree.full("apVisit", **VISIT, fibre=1)
    with pytest.raises(MissingParameter, match="apVisit needs telescope, prefix"):
        tree.full("apVisit", **{key: value for key, value in VISIT.items() if key not in ("telescope", "prefix")})


def test_lookups_are_those_of_sdss_access() -> None:
    tree = Tree("dr17")

    assert tree.has_name("apVisit")
    assert not tree.has_name("apVist")
    assert "apVisit" in tree.lookup_names()
    assert set(tree.lookup_keys("apVisit")) == set(VISIT)
    assert "public=True" in repr(tree)


def test_the_trees_typo_is_known_by_its_name() -> None:
    tree = Tree("dr19", sas_base_dir="/sas")
    values = {"vers": 1, "star_prior_type": "a", "scan_type": "b", "scan_refinement_level_number": 2, "dib_model": "x"}

    assert "dib_model" in tree.lookup_keys("apMADGICS_out_p5deltachi2_lv")
    assert tree.full("apMADGICS_out_p5deltachi2_lv", **values).endswith("_lvl2_x.h5")
    with pytest.raises(InvalidParameter):
        tree.full("apMADGICS_out_p5deltachi2_lv", **{**values, "dib_model": None})


def test_a_root_that_the_release_does_not_define_is_an_error_and_not_a_leftover() -> None:
    with pytest.raises(UnresolvedRoot, match=r"cannonStar in dr17: the release defines no root \$APOGEE_CANNON"):
        Tree("dr17").full("cannonStar", apred="r8")


def test_sdss5_is_the_work_release_with_its_own_template_of_spec() -> None:
    then, now = Tree("sdss5", sas_base_dir="/sas"), Tree("work", sas_base_dir="/sas")
    spec = {"run2d": "v6_0_4", "plate": 15143, "mjd": 59205, "catalogid": 4375786564}

    assert then.full("spec", **spec) == (
        "/sas/sdsswork/bhm/boss/spectro/redux/v6_0_4/15143p/coadd/59205/spSpec-15143-59205-04375786564.fits"
    )
    assert then.release == "sdss5"
    assert dict(then.roots) == dict(now.roots)
    assert {name: text for name, text in then.templates.items() if name != "spec"} == dict(now.templates)
    assert then.url("apVisit", **dict.fromkeys(then.lookup_keys("apVisit"), "apo25m")) == now.url(
        "apVisit", **dict.fromkeys(now.lookup_keys("apVisit"), "apo25m")
    )


# ---------------------------------------------------------------- URLs


@pytest.mark.parametrize(
    ("release", "options", "server"),
    [
        ("dr17", {}, "https://data.sdss.org/sas/dr17/"),
        ("dr17", {"mirror": True}, "https://data.mirror.sdss.org/sas/dr17/"),
        ("dr17", {"remote_base": "http://127.0.0.1:8000/"}, "http://127.0.0.1:8000/sas/dr17/"),
        ("ipl3", {}, "https://data.sdss5.org/sas/ipl-3/"),
        ("ipl3", {"public": True}, "https://data.sdss5.org/sas/ipl-3/"),
        ("work", {}, "https://data.sdss5.org/sas/sdsswork/"),
        ("work", {"public": True}, "https://data.sdss5.org/sas/sdsswork/"),
        ("work", {"mirror": True}, "https://data.mirror.sdss.org/sas/sdsswork/"),
    ],
)
def test_the_server_follows_from_the_release(release: str, options: dict[str, Any], server: str) -> None:
    tree = Tree(release, **options)
    keys = dict.fromkeys(tree.lookup_keys("apVisit"), "apo25m")

    assert tree.url("apVisit", **keys).startswith(server)
    assert tree.remote_base + "/sas/" == server[: server.index("/sas/") + 5]
    assert tree.netloc == server.split("/")[2]


def test_a_data_release_before_its_day_lives_with_the_collaborations(monkeypatch: pytest.MonkeyPatch) -> None:
    from astra_registry import release as module

    monkeypatch.setattr(module, "is_public", lambda release: False)

    assert Tree("dr18", sas_base_dir="/early").netloc == "data.sdss5.org"
    assert not Tree("dr18", sas_base_dir="/early").public
    assert Tree("dr18", sas_base_dir="/early", public=True).netloc == "data.sdss.org"


def test_only_what_is_unsafe_in_a_url_is_quoted() -> None:
    tree = Tree("dr17")

    assert "/000+14/" in tree.url("apVisit", **VISIT)
    assert "/a@b:c=d,e/" in tree.url("apVisit", **{**VISIT, "field": "a@b:c=d,e"})
    assert "/a%20b%23%3F%25/" in tree.url("apVisit", **{**VISIT, "field": "a b#?%"})
    assert "/%C3%A9/" in tree.url("apVisit", **{**VISIT, "field": "é"})
    assert "/a b#?%/" in tree.full("apVisit", **{**VISIT, "field": "a b#?%"})
    fields = ["000+14", "a b#", "é"]
    assert tree.urls("apVisit", **{**VISIT, "field": fields}) == [
        tree.url("apVisit", **{**VISIT, "field": field}) for field in fields
    ]
    assert tree.urls("apVisit", **{**VISIT, "fiber": [1, 2], "field": "a b"}) == [
        tree.url("apVisit", **{**VISIT, "fiber": fiber, "field": "a b"}) for fiber in (1, 2)
    ]


def test_software_lies_beside_the_sas_and_has_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRODUCT_ROOT", raising=False)
    tree = Tree("dr17", sas_base_dir=tmp_path / "sas")

    path = tree.full("mangaslitmap", **SLITMAP)

    assert path == f"{tmp_path}/repo/manga/mangacore/v1_9_1/slitmaps/0074XX/7443/slitmap-7443-56741-01.par"
    assert tree.fulls("mangaslitmap", **{**SLITMAP, "plugging": [1, 1]}) == [path, path]
    for ask in (tree.location, tree.url, tree.urls):
        with pytest.raises(NotOnSas, match="mangaslitmap is a software product"):
            ask("mangaslitmap", **SLITMAP)
    with override(product_root="/software"):
        assert Tree("dr17").full("mangaslitmap", **SLITMAP).startswith("/software/repo/manga/")
    assert tree.extract("mangaslitmap", path) == {"plate": "7443", "mjd": "56741", "plugging": "01"}
    assert tree.path_of(tree.compile("$PRODUCT_ROOT//own/{plate}.par"), {"plate": 1}) == f"{tmp_path}/own/1.par"


# ---------------------------------------------------------------- the caller's environment


def test_the_callers_environment_wins_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APOGEE_REDUX", "/scratch/redux")
    monkeypatch.setenv("PHOTO_REDUX", "/sas/dr17/my/photo")
    before = dict(os.environ)

    plain = Tree("dr17", sas_base_dir="/sas")
    all_of_them = Tree("dr17", sas_base_dir="/sas", environ_overrides=True)
    one = Tree("dr17", sas_base_dir="/sas", environ_overrides=["PHOTO_REDUX"])
    assert Tree("dr17", sas_base_dir="/sas", environ_overrides="PHOTO_REDUX") == one

    assert plain.full("apVisit", **VISIT) == one.full("apVisit", **VISIT) == f"/sas/{VISIT_LOCATION}"
    assert all_of_them.full("apVisit", **VISIT).startswith("/scratch/redux/dr17/visit/")
    assert all_of_them.roots["APOGEE_REDUX"] == "/scratch/redux"
    with pytest.raises(NotOnSas, match="apVisit .*lies beside the SAS"):
        all_of_them.url("apVisit", **VISIT)
    assert one.location("psField", **dict.fromkeys(one.lookup_keys("psField"), 3)).startswith("dr17/my/photo/")
    assert dict(os.environ) == before
    monkeypatch.setenv("APOGEE_REDUX", "/elsewhere")
    assert Tree("dr17", sas_base_dir="/sas", environ_overrides=True).roots["APOGEE_REDUX"] == "/elsewhere"
    assert all_of_them.roots["APOGEE_REDUX"] == "/scratch/redux", "a tree does not change"


# ---------------------------------------------------------------- what lies on disk


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A SAS with three visits, one of them compressed, and rubbish beside them."""
    tree = Tree("dr17", sas_base_dir=tmp_path / "[sas]")
    for fiber, suffix in ((7, ""), (8, ""), (9, ".gz"), (7, ".part")):
        path = Path(tree.full("apVisit", **{**VISIT, "fiber": fiber}) + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tree


def test_full_never_looks_at_the_disk(tree: Tree) -> None:
    compressed = {**VISIT, "fiber": 9}

    assert tree.full("apVisit", **compressed).endswith("-009.fits")
    assert tree.find("apVisit", **compressed) == tree.full("apVisit", **compressed) + ".gz"
    assert tree.find("apVisit", **{**VISIT, "fiber": 10}) is None
    assert tree.exists("apVisit", **compressed)
    assert not tree.exists("apVisit", **{**VISIT, "fiber": 10})
    assert tree.dir("apVisit", **VISIT) == os.path.dirname(tree.full("apVisit", **VISIT))
    assert tree.name("apVisit", **VISIT) == "apVisit-dr17-7545-56933-007.fits"


def test_wildcards_find_files_and_nothing_beside_them(tree: Tree) -> None:
    """Numbers that are padded, too: sdss_access looks for ``00*``."""
    anywhere = {**VISIT, "fiber": "*", "mjd": "*"}
    files = tree.expand("apVisit", **anywhere)

    assert [file.rsplit("-", 1)[1] for file in files] == ["007.fits", "008.fits", "009.fits.gz"]
    assert tree.any("apVisit", **anywhere)
    assert not tree.any("apVisit", **{**anywhere, "plate": "1*"})
    assert tree.one("apVisit", **anywhere) in files
    assert tree.one("apVisit", **{**anywhere, "plate": 1}) is None
    assert sorted(tree.random("apVisit", count=3, **anywhere) or []) == files
    assert tree.random("apVisit", **{**anywhere, "plate": 1}) is None
    assert tree.expand("apVisit", refine="00[78]", **anywhere) == files[:2]
    assert tree.expand("apVisit", refine="00[78]", filterdir="in", **anywhere) == files[2:]
    assert tree.expand("apVisit", as_url=True, **anywhere)[0] == tree.url("apVisit", **VISIT)
    assert tree.refine(files, "008") == files[1:2]
    with pytest.raises(BadValue, match="4 files"):
        tree.random("apVisit", count=4, **anywhere)
    with pytest.raises(BadValue, match="-1 files"):
        tree.random("apVisit", count=-1, **anywhere)
    with pytest.raises(BadValue):
        tree.expand("apVisit", refine="(", **anywhere)
    with pytest.raises(InvalidParameter):
        tree.expand("apVisit", **{**anywhere, "field": "../*"})


def test_wildcards_reach_through_derived_folders(tmp_path: Path) -> None:
    """sdss_access cannot: the group of a ``*`` is no number."""
    tree = Tree("dr19", sas_base_dir=tmp_path)
    star = {"apred": "1.3", "telescope": "apo25m", "healpix": 12345, "obj": "2M1"}
    path = Path(tree.full("apStar", **star))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    groups = Path(tree.full("mwmStar", v_astra="0.6.0", sdss_id=123456))
    groups.parent.mkdir(parents=True)
    groups.write_bytes(b"x")

    assert tree.expand("apStar", **{**star, "healpix": "*"}) == [str(path)]
    assert tree.expand("mwmStar", v_astra="*", sdss_id="*") == [str(groups)]
    with pytest.raises(InvalidParameter):
        tree.expand("apStar", **{**star, "healpix": "x"})


def test_a_full_path_may_stand_for_the_parameters(tree: Tree) -> None:
    path = tree.full("apVisit", **VISIT)

    assert tree.location("", full=path) == VISIT_LOCATION
    assert tree.url("", full=path) == tree.url("apVisit", **VISIT)
    assert tree.exists("", full=path)
    with pytest.raises(NotOnSas):
        tree.location("", full="/etc/passwd")


@pytest.mark.parametrize(
    "form",
    [
        "{path}", "{path}.gz", "{location}", "https://data.sdss.org/sas/{location}",
        "https://data.mirror.sdss.org/sas/{location}", "http://127.0.0.1:8000/some/sas/{location}",
        "rsync://dtn.sdss.org/{location}", "rsync://sdss5@dtn.sdss.org/{location}", "file://{path}",
        "/another/sas/{location}",
    ],
)  # fmt: skip
def test_extract_reads_any_path_or_url(tree: Tree, form: str) -> None:
    path = form.format(path=tree.full("apVisit", **VISIT), location=VISIT_LOCATION)

    found = tree.extract("apVisit", path)

    assert found == {**{key: str(value) for key, value in VISIT.items()}, "fiber": "007"}
    assert tree.full("apVisit", **found) == tree.full("apVisit", **VISIT)


def test_extract_gives_the_number_of_a_piece_as_sdss_access_does() -> None:
    tree = Tree("dr19", sas_base_dir="/sas")
    path = tree.full("mos_target_target", v_targ="1.0.0", num=10)

    assert tree.extract("mos_target_target", path) == {"v_targ": "1.0.0", "num": 10}


def test_extract_finds_nothing_in_another_products_path(tree: Tree) -> None:
    assert tree.extract("apStar", tree.full("apVisit", **VISIT)) == {}
    assert tree.extract("apVisit", Path("/nowhere/x.fits")) == {}
    assert tree.extract("apVisit", "https://data.sdss.org/other/x.fits") == {}
    assert tree.extract("apVisit", tree.url("apVisit", **{**VISIT, "field": "a b"}))["field"] == "a b"
    with pytest.raises(BadValue):
        tree.extract("apVisit", b"bytes")  # type: ignore[arg-type]


# ---------------------------------------------------------------- what is on the server


class Sas(http.server.BaseHTTPRequestHandler):
    """Has one file, wants credentials for another, and fails for a third."""

    def do_HEAD(self) -> None:
        status = (
            200 if self.path.endswith("007.fits") else 401 if "008" in self.path else 503 if "009" in self.path else 404
        )
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """A server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sas) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_exists_asks_the_server_when_told_to(server: str) -> None:
    tree = Tree("dr17", remote_base=server)

    assert tree.exists("apVisit", remote=True, **VISIT)
    assert not tree.exists("apVisit", remote=True, **{**VISIT, "fiber": 1})
    with pytest.raises(Unauthorized):
        tree.exists("apVisit", remote=True, **{**VISIT, "fiber": 8})
    with pytest.raises(TransferFailed):
        tree.exists("apVisit", remote=True, **{**VISIT, "fiber": 9})


def test_no_server_is_an_error_and_not_a_no() -> None:
    with pytest.raises(TransferFailed):
        Tree("dr17", remote_base="http://127.0.0.1:1").exists("apVisit", remote=True, **VISIT)


# ---------------------------------------------------------------- a newer sdss_access than ours

NEWER = '''
    def decade(self, filetype, **kwargs):
        """A special function of tomorrow."""
        newkw = kwargs.copy()  # so that it is not among the keys
        return '{0}s{1}'.format(int(kwargs['mjd']) // 1000, newkw.get('flavour', ''))

    def elsewhere(self, filetype, **kwargs):
        """Another root."""
        return os.environ['APOGEE_REDUX'] if kwargs['apred'] == 'x' else os.environ['PHOTO_REDUX']

'''
ASKED = """
import json
from astra_registry.errors import AstraRegistryError
from astra_registry.tree import Tree
tree = Tree("dr17", sas_base_dir="/sas")
template = tree.path_template("newFile")
told = {
    "keys": tree.lookup_keys("newFile"),
    "full": tree.full("newFile", apred="dr17", mjd=59146),
    "url": tree.url("newFile", apred="dr17", mjd="59146", flavour="q"),
    "fulls": tree.fulls("newFile", apred="dr17", mjd=[59146, 60000, 59146]),
    "root": tree.location("newRoot", apred="x"),
    "optional": template.optional,
    "match": template.match(template.location({"apred": "dr17", "mjd": 59146})),
    "old": tree.lookup_keys("apVisit"),
}
for name, values in (("newFile", {"apred": "dr17", "mjd": "x"}), ("unknown", {"mjd": 1})):
    try:
        tree.full(name, **values)
    except AstraRegistryError as error:
        told[name + " error"] = str(error)
print(json.dumps(told))
"""


def test_a_special_function_of_tomorrow_works_on_its_first_day(tmp_path: Path) -> None:
    """It is asked of the sdss_access that is installed, in a process of its own."""
    for package in ("sdss_access", "tree"):
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        shutil.copytree(Path(found.origin).parent, tmp_path / package)
    source = tmp_path / "sdss_access" / "path" / "path.py"
    source.write_text(source.read_text().replace("    def plateid6(self", NEWER + "    def plateid6(self", 1))
    with (tmp_path / "tree" / "data" / "dr17.cfg").open("a") as file:
        file.write("\nnewFile = $APOGEE_REDUX/{apred}/@decade|/new-{mjd}.fits\n")
        file.write("newRoot = @elsewhere|/{apred}.fits\nunknown = $APOGEE_REDUX/@nobody|/{mjd}.fits\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path / "home")}

    done = subprocess.run([sys.executable, "-c", ASKED], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    new = "dr17/apogee/spectro/redux/dr17"
    assert set(told["keys"]) == {"apred", "mjd"}
    assert told["optional"] == ["flavour"]
    assert told["full"] == f"/sas/{new}/59s/new-59146.fits"
    assert told["url"] == f"https://data.sdss.org/sas/{new}/59sq/new-59146.fits"
    assert told["fulls"] == [f"/sas/{new}/{d}s/new-{m}.fits" for d, m in ((59, 59146), (60, 60000), (59, 59146))]
    assert told["root"] == "dr17/apogee/spectro/redux/x.fits"
    assert told["match"] == {"apred": "dr17", "mjd": "59146"}
    assert "mjd = 'x'" in told["newFile error"]
    assert "@nobody|" in told["unknown error"]
    assert set(told["old"]) == set(VISIT)
    assert not (tmp_path / "home").exists()
