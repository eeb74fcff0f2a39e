"""For every path name of every release, `Tree` gives what sdss_access gives, wherever that is a proper answer.

sdss_access holds one release at a time and changes the process, so each release has a process of its own. Where the two
differ, one of the rules below must say why; a difference without a rule fails, and so does a rule that does not apply.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astra_registry.errors import InvalidParameter, NotOnSas, UnresolvedRoot
from astra_registry.release import releases
from astra_registry.tree import Tree

CHILD = Path(__file__).with_name("sdss_access_answers.py")
RUNS = ("26", "103", "104", "v5_13_2", "v6_0_4", "v6_0_9", "v6_1_3", "v6_2_1", "master")
CHOICES: dict[str, tuple[Any, ...]] = {
    "run2d": RUNS,
    "telescope": ("apo25m", "apo1m", "lco25m"),
    "instrument": ("apogee-n", "apogee-s"),
    "obs": ("APO", "lco", ""),
    "component": ("", "A", "Ab1"),
    "ftype": ("fits", "parquet", "FITS"),
    "num": (0, 7, 12345, "3"),
}
NUMBERS = (1, 42, 12345, 9876543, 27021597842)
TEXTS = ("000+14", "2M16544175-2148453", "a@b", "x:y", "v1_2.3", "allsky")
# Special functions turn these into numbers.
INTEGERS = {"plateid", "plate", "designid", "healpix", "cat_id", "sdss_id", "configid", "tileid"}


class Answers:
    """What sdss_access says about one release."""

    def __init__(self, release: str, top: Path, questions: list[tuple[str, dict[str, Any]]]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SDSS", "TREE"))}
        environment.pop("PRODUCT_ROOT", None)
        environment["SAS_BASE_DIR"] = str(top)
        asked = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run(
            [sys.executable, "-P", str(CHILD), release],
            input=asked,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        about, *lines = done.stdout.splitlines()
        self.about: dict[str, Any] = json.loads(about)
        self.paths: list[dict[str, str]] = [json.loads(line) for line in lines]


def questions_about(tree: Tree, name: str) -> list[dict[str, Any]]:
    """Return several sets of parameters: numbers, text, padded text, and every choice of what decides about folders."""
    text = tree.templates[name]
    keys = [key.split(":")[0] for key in re.findall(r"{(.*?)}", text)]
    # Read by special functions, and not shown by the template.
    for function, read in {
        "pad_fieldid": ["fieldid", "run2d"], "fieldgrp": ["fieldid", "run2d"], "spcoaddobs": ["obs"],
        "component_default": ["component"], "mos_target": ["num"], "plateid6": ["plateid"], "platedir": ["plateid"],
        "definitiondir": ["designid"], "spcoaddgrp": ["coadd"], "spcoaddfolder": ["coadd"],
        "configgrp": ["configid"], "configsubmodule": ["configid"],
    }.items():  # fmt: skip
        if f"@{function}" in text:
            keys += read
    keys = list(dict.fromkeys(keys))
    chosen = [key for key in keys if key in CHOICES]
    sets = []
    numbers, texts = itertools.cycle(NUMBERS), itertools.cycle(TEXTS)
    rounds = max([3, *(len(CHOICES[key]) for key in chosen)])
    for turn in range(rounds):
        values: dict[str, Any] = {}
        for i, key in enumerate(keys):
            form = f"{{{key}:"
            if key in CHOICES:
                values[key] = CHOICES[key][(turn + i) % len(CHOICES[key])]
            elif re.search(re.escape(form) + r"[^}]*d}", text):
                values[key] = next(numbers)
            elif re.search(re.escape(form) + r"0?\.", text):
                values[key] = next(texts) if turn % 2 else "1.2.3.4"
            elif turn % 3 == 0:
                values[key] = next(numbers)
            elif turn % 3 == 1:
                values[key] = str(next(numbers)).zfill(6)
            else:
                values[key] = next(numbers) if key in INTEGERS else next(texts)
        sets.append(values)
    return sets


def more_questions_about(tree: Tree, name: str) -> list[dict[str, Any]]:
    """Return parameters that special functions read besides, and some that they refuse."""
    text = tree.templates[name]
    values = questions_about(tree, name)[0]
    sets = []
    if "@apgprefix|" in text:
        sets += [{**values, "telescope": telescope} for telescope in ("lco25m", "apo2m")]
    if "@mos_target_num" in text:
        sets += [{**values, "ftype": "csv"}, {**values, "ftype": "fits", "num": "x"}]
    if set(values) & {"plateid", "designid", "healpix", "sdss_id", "cat_id"} and "@" in text:
        sets.append({**values, **{key: "x" for key in values if key in INTEGERS}})
    return sets


def ours(tree: Tree, name: str, parameters: dict[str, Any]) -> dict[str, str]:
    """Return our answers, in the form of sdss_access's."""
    # The tree's typo: {dib_model | None} is dib_model here.
    parameters = {key.split(" ")[0]: value for key, value in parameters.items()}
    return {ask.__name__: ask(name, **parameters) for ask in (tree.full, tree.location, tree.url)}


def why(tree: Tree, about: dict[str, Any], name: str, parameters: dict[str, Any], theirs: dict[str, str]) -> str:
    """Return the rule by which our answer is right; an empty text when there is none.

    same: the three are equal. undefined root: the release does not define the template's variable, so that sdss_access
    answers with what another release left in the environment; ours is an UnresolvedRoot. software product: the path on
    disk is equal and lies below the software's root; ours has no location and no URL. both refuse: both are errors.
    """
    root = re.match(r"\$(\w+)", tree.templates[name])
    legacy = str(parameters.get("run2d")) in ("26", "103", "104")
    variable = root[1] if root else ("SPECTRO_REDUX" if legacy else "BOSS_SPECTRO_REDUX")
    is_defined = variable in about["defined"]
    try:
        answer = ours(tree, name, parameters)
    except UnresolvedRoot:
        return "" if is_defined else "undefined root"
    except NotOnSas:
        on_disk = tree.full(name, **parameters)
        is_software = on_disk.startswith(tree.product_root) and not on_disk.startswith(tree.sas_base_dir + "/")
        return "software product" if is_defined and is_software and theirs.get("full") == on_disk else ""
    except InvalidParameter:
        return "both refuse" if is_defined and "error" in theirs else ""
    return "same" if is_defined and answer == theirs else ""


@pytest.mark.parametrize("release", releases())
def test_every_path_is_what_sdss_access_gives(release: str, tmp_path: Path) -> None:
    """Full path, location, URL, keys, names and server, for each name and several values."""
    top = tmp_path / "sas"
    top.mkdir()
    tree = Tree(release, sas_base_dir=top)
    proper = [(name, values) for name in tree.lookup_names() for values in questions_about(tree, name)]
    others = [(name, values) for name in tree.lookup_names() for values in more_questions_about(tree, name)]

    theirs = Answers(release, top, proper + others)

    assert list(tree.templates.items()) == list(theirs.about["templates"].items())
    for attribute in ("release", "public", "netloc", "remote_base"):
        assert getattr(tree, attribute) == theirs.about[attribute]
    assert tree.get_available_releases() == theirs.about["releases"]
    assert tree.get_available_releases(public=True) == theirs.about["public_releases"]
    unexplained, rules = [], collections.Counter[str]()
    for (name, parameters), answer in zip(proper + others, theirs.paths, strict=True):
        rule = why(tree, theirs.about, name, parameters, answer)
        rules[rule] += 1
        if not rule:
            unexplained.append((name, parameters, answer))
    for name in tree.lookup_names():
        expected = {key.split(" ")[0] for key in theirs.about["keys"][name]}
        assert sorted(tree.lookup_keys(name)) == sorted(expected), name
    assert not unexplained, f"{len(unexplained)} of {len(proper + others)}, such as {unexplained[:3]}"
    # The rules are for exceptions: what is asked properly is refused by none, and most of it has an answer.
    assert rules["both refuse"] <= len(others)
    assert rules["same"] + rules["software product"] >= 0.8 * len(proper) or release == "dr7"


def test_all_pairs_of_release_and_name_are_asked_for_several_times() -> None:
    trees = [Tree(release) for release in releases()]

    assert sum(len(tree.templates) for tree in trees) >= 4920
    for tree in trees:
        for name in tree.lookup_names():
            assert len(questions_about(tree, name)) >= 3


@pytest.mark.parametrize(
    ("release", "name", "optional"), [("ipl1", "mwmStar", "component"), ("dr20", "spFullsky", "obs")]
)
def test_what_sdss_access_wants_empty_may_be_left_out(release: str, name: str, optional: str, tmp_path: Path) -> None:
    top = tmp_path / "sas"
    top.mkdir()
    tree = Tree(release, sas_base_dir=top)
    values = {key: value for key, value in questions_about(tree, name)[-1].items() if key != optional}

    theirs = Answers(release, top, [(name, {**values, optional: ""}), (name, values)])

    assert ours(tree, name, values) == theirs.paths[0]
    assert "Missing required keyword" in theirs.paths[1]["error"]


def test_a_difference_without_a_rule_is_found(tmp_path: Path) -> None:
    """The comparison can fail: a wrong answer of theirs, or of ours, has no rule."""
    top = tmp_path / "sas"
    top.mkdir()
    tree = Tree("dr17", sas_base_dir=top)
    values = questions_about(tree, "apVisit")[0]
    about = {"defined": ["APOGEE_REDUX"]}
    right = ours(tree, "apVisit", values)

    assert why(tree, about, "apVisit", values, right) == "same"
    assert why(tree, about, "apVisit", values, {**right, "url": right["url"] + "x"}) == ""
    assert why(tree, about, "apVisit", values, {"error": "KeyError"}) == ""
    assert why(tree, {"defined": []}, "apVisit", values, right) == "", "we answered where the root is another's"
    assert why(tree, about, "apVisit", {**values, "field": ""}, right) == "", "we refused what they can do"
    assert why(tree, about, "cannonStar", values, right) == "undefined root"
    assert why(tree, {"defined": ["APOGEE_CANNON"]}, "cannonStar", values, right) == ""
