"""Binding parameters to values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import attrs
import pytest

from astra_registry import Task, columnwise, parameter
from astra_registry.errors import (
    BadValue,
    InvalidParameter,
    MissingParameter,
    UnequalLengths,
    UnknownParameter,
)


def initial_of(name: str) -> str:
    return name[0]


@columnwise
def lengths_of(name: list[str]) -> list[int]:
    return [len(item) for item in name]


class Snr(Task):
    """Measure a signal-to-noise ratio."""

    name: str = parameter("Who.", batch=True, aliases=("NAME", "label"))
    order: int = parameter("The order of the continuum.", default=3)
    initial: str = parameter("The first letter.", batch=True, default=initial_of)
    length: int = parameter("How long the name is.", batch=True, default=lengths_of)
    mood: Annotated[str, str.lower] = parameter("The mood.", default="Fine", significant=False)
    run_: int = parameter("A run, which is a method's name too.", default=1)


def own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the version of the core, which every task has."""
    return {name: value for name, value in values.items() if not name.startswith("astra_version_")}


def test_parameters_are_attrs_fields_in_the_order_of_declaration() -> None:
    own = ["name", "order", "initial", "length", "mood", "run_"]
    versions = [f"astra_version_{part}" for part in ("major", "minor", "micro", "dev")]
    assert [field.name for field in attrs.fields(Snr) if field.name not in versions] == own
    assert Snr.get_param_names() == ["name", "order", "initial", "length", "run", *versions[:2]]
    assert Snr.get_param_names(include_significant=True) == [
        "name",
        "order",
        "initial",
        "length",
        "mood",
        "run",
        *versions,
    ]


def test_values_are_converted_defaulted_and_derived_and_tell_which() -> None:
    snr = Snr(label=b"vega ")

    assert own(snr.param_kwargs) == {"name": "vega", "order": 3, "initial": "v", "length": 4, "mood": "fine", "run": 1}
    assert own(snr.param_origins) == {
        "name": "given", "order": "default", "initial": "derived", "length": "derived", "mood": "default",
        "run": "default",
    }  # fmt: skip


def test_a_derived_default_of_a_column_is_a_column() -> None:
    snr = Snr(name=["vega", "arcturus", "vega"])

    assert snr.initial == ("v", "a", "v")
    assert snr.length == (4, 8, 4)


def test_what_is_derived_may_be_given() -> None:
    assert Snr(name="vega", initial="x").initial == "x"


def test_an_instance_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Snr(name="vega").name = "deneb"  # type: ignore[misc]


def test_errors_name_the_parameter_and_what_would_have_worked() -> None:
    with pytest.raises(MissingParameter, match="Snr needs name"):
        Snr()
    with pytest.raises(UnknownParameter, match="no parameter 'ordr'; did you mean 'order'"):
        Snr(name="vega", ordr=1)
    with pytest.raises(InvalidParameter, match="order = 'oops': it takes an integer"):
        Snr(name="vega", order="oops")
    with pytest.raises(BadValue, match="'name' and 'label' are the same"):
        Snr(name="vega", label="vega")
    with pytest.raises(UnequalLengths, match="name 2, length 3"):
        Snr(name=["a", "b"], length=[1, 2, 3])
    with pytest.raises(InvalidParameter, match="order takes one value"):
        Snr(name="vega", order=[1, 2])


def test_a_parameter_needs_an_annotation() -> None:
    with pytest.raises(BadValue, match="needs an annotation"):

        class Untyped(Task):
            name = parameter("No type.")


def test_one_alias_for_two_parameters_is_refused() -> None:
    with pytest.raises(BadValue, match="'x' names both"):

        class Doubled(Task):
            a: int = parameter("One.", aliases=("x",))
            b: int = parameter("Other.", aliases=("x",))


def test_names_that_python_uses_keep_their_own_spelling_in_mappings() -> None:
    assert Snr(name="vega", run=5).run_ == 5
    assert Snr(name="vega", run_=5).param_kwargs["run"] == 5


def test_get_param_values_takes_positions_and_names_as_luigi_does() -> None:
    values = Snr.get_param_values(Snr.get_params(), ("vega",), {"order": "4"})

    assert values[:2] == [("name", "vega"), ("order", 4)]
    with pytest.raises(BadValue, match="name was given twice"):
        Snr.get_param_values(Snr.get_params(), ("vega",), {"name": "x"})
    with pytest.raises(UnknownParameter, match="nme"):
        Snr.get_param_values(Snr.get_params(), (), {"nme": "x"})
    with pytest.raises(MissingParameter):
        Snr.get_param_values(Snr.get_params(), (), {})
    with pytest.raises(BadValue, match="by position"):
        Snr.get_param_values(Snr.get_params(), tuple("abcdefgh"), {})


def test_visibilities_are_told_by_name() -> None:
    class Quiet(Task):
        a: int = parameter("Seen.", default=1)
        b: int = parameter("Hidden.", default=1, visibility="hidden")

    assert own(Quiet._get_param_visibilities()) == {"a": "public", "b": "hidden"}


def test_wrong_types_are_told_when_they_come_in_past_the_constructor() -> None:
    snr = Snr(name="vega")
    assert snr._warn_on_wrong_param_types() == {}

    snr.__dict__["order"] = "4"

    assert snr._warn_on_wrong_param_types() == {"order": ("4", 4)}
    with pytest.raises(InvalidParameter, match="order"):
        snr._warn_on_wrong_param_types(strict=True)


def test_a_clone_changes_what_it_is_told_and_derives_anew() -> None:
    vega = Snr(name="vega", order=5)

    deneb = vega.clone(name="deneb")

    assert (deneb.name, deneb.order, deneb.initial) == ("deneb", 5, "d")
    with pytest.raises(UnknownParameter, match="ordr"):
        vega.clone(ordr=1)


def test_a_clone_in_another_class_keeps_what_both_have() -> None:
    class Plot(Task):
        name: str = parameter("Who.", batch=True)
        colour: str = parameter("How.", default="red")

    vega = Snr(name="vega", order=5)

    assert own(vega.clone(Plot).param_kwargs) == {"name": "vega", "colour": "red"}
    assert vega.clone(Plot, colour="blue").colour == "blue"
    assert vega.get_common_param_names(Plot) == ["name"]
    assert vega.get_common_param_kwargs(Plot) == {"name": "vega"}


def test_parameters_are_inherited_and_can_be_declared_anew() -> None:
    class Steep(Snr):
        order: int = parameter("Another order.", default=9)
        slope: float = parameter("The slope.", default=1)

    assert Steep(name="vega").order == 9
    assert list(own(Steep(name="vega").param_kwargs)) == [
        "name", "order", "initial", "length", "mood", "run", "slope",
    ]  # fmt: skip
    assert Snr(name="vega").order == 3
