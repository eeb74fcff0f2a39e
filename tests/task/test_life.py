"""What a task needs, makes and does, and what it tells a scheduler."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astra_registry import Task, __version__, parameter
from astra_registry.errors import BadValue, LookupFailed
from astra_registry.settings import override
from astra_registry.target import Target


class Count(Task):
    """Write a number."""

    folder: str = parameter("Where.")
    n: int = parameter("Which.", batch=True)
    made: list[int] = []  # noqa: RUF012 - what was made, for the tests to see

    def output(self) -> Target:
        Count.made.append(self.n)
        return Target(f"{self.folder}/{self.n}")


class Sum(Task):
    """Needs counts by key, and one by itself."""

    folder: str = parameter("Where.")

    def requires(self) -> dict[str, Any]:
        return {
            "a": Count(folder=self.folder, n=1),
            "b": [Count(folder=self.folder, n=2), Count(folder=self.folder, n=3)],
        }


class Twice(Task):
    folder: str = parameter("Where.")

    def requires(self) -> Count:
        return Count(folder=self.folder, n=5)


class TwoOf(Task):
    folder: str = parameter("Where.")

    def requires(self) -> list[Count]:
        return [Count(folder=self.folder, n=n) for n in (7, 8)]


def test_requirements_are_flattened_and_their_outputs_keep_the_shape() -> None:
    task = Sum(folder="/f")

    assert [t.n for t in task.deps()] == [1, 2, 3]
    assert task._requires() == task.deps()
    assert {k: v if isinstance(v, Target) else [t.path for t in v] for k, v in task.input().items()} == {
        "a": Target("/f/1"), "b": ["/f/2", "/f/3"],
    }  # fmt: skip
    assert Twice(folder="/f").input() == Target("/f/5")


class Template(Task):
    """What its subclasses require comes after what it needs itself, as luigi has it."""

    folder: str = parameter("Where.")

    def _requires(self) -> list[Any]:
        return [Count(folder=self.folder, n=0), *super()._requires()]


class OfTemplate(Template):
    def requires(self) -> Count:
        return Count(folder=self.folder, n=9)


def test_a_template_may_add_to_what_its_subclasses_require() -> None:
    task = OfTemplate(folder="/f")

    assert [t.n for t in task.deps()] == [0, 9]
    assert task.input() == Target("/f/9")


def test_analysis_has_a_folder_for_its_outputs(tmp_path: Path) -> None:
    with override(sas_base_dir=str(tmp_path)):
        below = f"{tmp_path}/sdsswork/mwm/astra/{__version__}"
        assert Sum(folder="/f").output_base_dir == f"{below}/Sum"
    with override(output_base_dir="/elsewhere"):
        assert Sum(folder="/f").output_base_dir == "/elsewhere"


def test_get_input_makes_only_the_one_asked_for() -> None:
    Count.made.clear()

    assert Sum(folder="/f").get_input("a") == Target("/f/1")
    assert TwoOf(folder="/f").get_input(1) == Target("/f/8")
    assert Twice(folder="/f").get_input() == Target("/f/5")

    assert Count.made == [1, 8, 5]
    with pytest.raises(LookupFailed, match="it has"):
        Sum(folder="/f").get_input("z")
    with pytest.raises(BadValue, match="say which"):
        Sum(folder="/f").get_input()


def test_get_input_takes_any_shape_that_requires_may_have() -> None:
    made: list[int] = []

    class Shaped(Task):
        shape: str = parameter("Which shape.")

        def requires(self) -> Any:
            counts = [Count(folder="/f", n=n) for n in (1, 2)]
            return {
                "tuple": tuple(counts), "nested": {"a": counts, "b": None}, "task": counts[0], "none": None,
                "generator": self.one_by_one(), "batch": Count(folder="/f", n=[1, 2]), "set": set(counts),
            }[self.shape]  # fmt: skip

        def one_by_one(self) -> Iterator[Count]:
            for n in (1, 2, 3):
                made.append(n)
                yield Count(folder="/f", n=n)

    one, two = Target("/f/1"), Target("/f/2")
    assert Shaped(shape="tuple").input() == (one, two)
    assert Shaped(shape="tuple").get_input(-1) == two
    assert Shaped(shape="nested").get_input("a") == [one, two]
    assert Shaped(shape="nested").get_input("b") is None
    assert Shaped(shape="nested").input() == {"a": [one, two], "b": None}
    assert Shaped(shape="task").get_input(0) == Shaped(shape="task").get_input() == one
    assert Shaped(shape="batch").get_input(1) == two
    assert Shaped(shape="generator").get_input(1) == two
    assert made == [1, 2], "later ones are not made"
    assert Shaped(shape="generator").get_input(-1) == Target("/f/3")
    assert Shaped(shape="generator").input() == [one, two, Target("/f/3")]
    assert Shaped(shape="set").get_input(0) in (one, two)
    assert Shaped(shape="none").input() is None
    for shape, key in (("tuple", 2), ("task", 1), ("generator", 7), ("batch", 2), ("none", 0), ("tuple", "a")):
        with pytest.raises(LookupFailed, match=f"requires nothing under {key!r}"):
            Shaped(shape=shape).get_input(key)
    with pytest.raises(LookupFailed, match="requires nothing"):
        Shaped(shape="none").get_input()


def test_many_tasks_are_looked_up_with_one_listing_of_each_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(0, 100, 2):
        (tmp_path / str(n)).write_text("x")
    (tmp_path / "1").touch()
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
    monkeypatch.setattr(os, "stat", None)
    batch = Count(folder=str(tmp_path), n=range(100))

    assert [task.n for task in Count.bulk_complete(batch)] == list(range(0, 100, 2))
    assert not batch.complete()
    assert listed == [str(tmp_path)] * 2


def test_outputs_in_the_present_folder_are_found_one_by_one_and_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(Count):
        def output(self) -> Target:
            return Target(str(self.n))

    monkeypatch.chdir(tmp_path)
    for name in ("1", "2.gz"):
        (tmp_path / name).write_text("x")
    batch = Here(folder=".", n=[1, 2, 3])

    assert [task.complete() for task in batch] == [True, True, False]
    assert [task.n for task in Here.bulk_complete(batch)] == [1, 2]


def test_a_task_is_complete_when_its_outputs_exist_and_hold_something(tmp_path: Path) -> None:
    one = Count(folder=str(tmp_path), n=1)
    assert not one.complete()

    (tmp_path / "1").touch()
    assert not one.complete()

    (tmp_path / "1").write_text("1")
    assert one.complete()
    assert not Count(folder=str(tmp_path), n=[1, 2]).complete()
    assert Count(folder=str(tmp_path), n=[1, 1]).complete()
    assert Count(folder=str(tmp_path), n=[]).complete()
    assert Count.bulk_complete([{"folder": str(tmp_path), "n": 1}, Count(folder=str(tmp_path), n=2)]) == [
        {"folder": str(tmp_path), "n": 1}
    ]
    assert not Sum(folder="/f").complete(), "a task without outputs is never complete, as in luigi"


def test_settings_for_a_scheduler_have_luigis_defaults_and_cannot_be_changed_by_accident() -> None:
    class Heavy(Task):
        resources = {"gpu": 1}  # noqa: RUF012
        owner_email = " a@b.org, c@d.org "
        priority = 7

    task = Heavy()

    assert (task.priority, task.disabled, task.worker_timeout, task.retry_count) == (7, False, None, None)
    assert (task.disable_hard_timeout, task.disable_window, task.accepts_messages) == (None, None, False)
    assert task.resources == task.process_resources() == {"gpu": 1}
    with pytest.raises(TypeError):
        task.resources["gpu"] = 2  # type: ignore[index]
    assert task._owner_list() == ["a@b.org", "c@d.org"]
    assert Twice(folder="x")._owner_list() == []


def test_the_old_spelling_of_disable_window_warns_once() -> None:
    task = Twice(folder="x")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [task.disable_window_seconds for _ in range(2)] == [None, None]
    assert [(warning.category, warning.filename) for warning in told] == [(DeprecationWarning, __file__)]


def test_a_failures_report_is_its_traceback() -> None:
    assert "ValueError: why" in Twice(folder="x").on_failure(ValueError("why"))
    assert Twice(folder="x").on_success() is None
