"""What a task needs, makes and does, and what it tells a scheduler."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from astra_registry import Task, parameter
from astra_registry.errors import BadValue, LookupFailed
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
    assert task._requires() == task.requires()
    assert {k: v if isinstance(v, Target) else [t.path for t in v] for k, v in task.input().items()} == {
        "a": Target("/f/1"), "b": ["/f/2", "/f/3"],
    }  # fmt: skip
    assert Twice(folder="/f").input() == Target("/f/5")


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
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        assert [Twice(folder="x").disable_window_seconds for _ in range(2)] == [None, None]
    assert len(told) == 1


def test_a_failures_report_is_its_traceback() -> None:
    assert "ValueError: why" in Twice(folder="x").on_failure(ValueError("why"))
    assert Twice(folder="x").on_success() is None
