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

from astra_registry.errors import AstraRegistryError, NotOnSas, UnresolvedRoot
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


def ours(tree: Tree, name: str, parameters: dict[str, Any]) -> dict[str, str]:
    """Return our answers, in the form of sdss_access's."""
    parameters = {key.split(" ")[0]: value for key, value in parameters.items()}
    told = {"full": tree.full(name, **parameters)}
    told["location"] = tree.location(name, **parameters)
    told["url"] = tree.url(name, **parameters)
    return told


def rule(tree: Tree, about: dict[str, Any], name: str, parameters: dict[str, Any], theirs: dict[str, str]) -> str:
    """Return why this answer of ours is right: "same", or the rule by which it differs; an empty text when none does."""
    text = tree.templates[name]
    root = re.match(r"\$(\w+)", text)
    legacy = str(parameters.get("run2d")) in ("26", "103", "104")
    variable = root[1] if root else ("SPECTRO_REDUX" if legacy else "BOSS_SPECTRO_REDUX")
    try:
        answer = ours(tree, name, parameters)
    except UnresolvedRoot:
        # The release does not define that root; sdss_access answers with what another release left behind.
        return "" if variable in about["defined"] else "undefined root"
    except NotOnSas:
        # Software: the path on disk is the same; it has no place on the SAS.
        on_disk = tree.full(name, **parameters)
        below = on_disk.startswith(tree.product_root) and not on_disk.startswith(tree.sas_base_dir + "/")
        return "software product" if below and theirs.get("full") == on_disk else ""
    except AstraRegistryError:
        return "both refuse" if "error" in theirs else ""
    return "same" if answer == theirs else ""


EXPECTED = {"same", "undefined root", "software product", "both refuse"}


@pytest.mark.parametrize("release", releases())
def test_every_path_is_what_sdss_access_gives(release: str, tmp_path: Path, record_property: Any) -> None:
    """Full path, location, URL, keys, names and server, for each name and several values."""
    top = tmp_path / "sas"
    top.mkdir()
    tree = Tree(release, sas_base_dir=top)
    questions = [(name, values) for name in tree.lookup_names() for values in questions_about(tree, name)]

    theirs = Answers(release, top, questions)

    assert list(tree.templates) == list(theirs.about["templates"])
    assert dict(tree.templates) == theirs.about["templates"]
    assert (tree.public, tree.netloc, tree.remote_base) == tuple(
        theirs.about[attribute] for attribute in ("public", "netloc", "remote_base")
    )
    assert tree.get_available_releases() == theirs.about["releases"]
    assert tree.get_available_releases(public=True) == theirs.about["public_releases"]
    for name in tree.lookup_names():
        try:
            keys = set(tree.lookup_keys(name))
        except UnresolvedRoot:
            continue
        assert keys == {key.split(" ")[0] for key in theirs.about["keys"][name]}, name
    assert len(theirs.paths) == len(questions)
    counts: collections.Counter[str] = collections.Counter()
    unexplained = []
    for (name, parameters), answer in zip(questions, theirs.paths, strict=True):
        why = rule(tree, theirs.about, name, parameters, answer)
        counts[why] += 1
        if not why:
            unexplained.append((name, parameters, answer))
    record_property("answers", dict(counts))
    assert not unexplained, unexplained[:5]
