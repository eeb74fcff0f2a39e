"""Binding parameters to values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import attrs
import numpy as np
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


def test_what_is_derived_may_follow_from_what_is_derived_wherever_that_is_declared() -> None:
    class Chain(Task):
        third: str = parameter("Of the second.", default=lambda second: f"{second}!")
        second: str = parameter("Of the first.", default=lambda first: first * 2)
        first: str = parameter("It begins.", batch=True)

    class Circle(Task):
        one: str = parameter("Of the other.", default=lambda other: other)
        other: str = parameter("Of the one.", default=lambda one: one)

    assert Chain(first="a").third == "aa!"
    assert Chain(first="a", second="b").third == "b!"
    with pytest.raises(MissingParameter, match="Circle needs one, other"):
        Circle()


def test_a_value_from_which_a_default_cannot_follow_is_told_with_it() -> None:
    class Prefixed(Task):
        telescope: str = parameter("The telescope.", batch=True)
        prefix: str = parameter("Of the telescope.", batch=True, default=lambda telescope: {"apo25m": "ap"}[telescope])

    told = "Prefixed: no prefix follows from telescope = 'keck': KeyError: 'keck'"
    with pytest.raises(InvalidParameter, match=told):
        Prefixed(telescope="keck")
    with pytest.raises(InvalidParameter, match="Prefixed: no prefix follows from telescope = "):
        Prefixed(telescope=["apo25m", "keck"])


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
    with pytest.raises(UnknownParameter, match="no parameter 'nam'; did you mean 'name'"):  # and not its alias 'NAME'
        Snr(nam="vega")
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


def test_what_conversion_changed_is_told_as_it_was_given_and_is_stored() -> None:
    snr = Snr(label="vega", order=np.int64(4), mood="Good")

    assert snr._warn_on_wrong_param_types() == {"order": (np.int64(4), 4), "mood": ("Good", "good")}
    assert Snr(name=["a ", "b"], length=["1", 2])._warn_on_wrong_param_types() == {"length": (["1", 2], (1, 2))}
    assert Snr(name=np.array(["a", "b"]), length=range(2))._warn_on_wrong_param_types() == {}
    assert Snr(name="vega", order=4, length=None)._warn_on_wrong_param_types(strict=True) == {}
    with pytest.raises(InvalidParameter, match="Snr: given otherwise .* order = '4'"):
        Snr(name="vega", order="4")._warn_on_wrong_param_types(strict=True)


def test_a_clone_changes_what_it_is_told_and_derives_anew() -> None:
    vega = Snr(name="vega", order=5)

    deneb = vega.clone(name="deneb")

    assert (deneb.name, deneb.order, deneb.initial) == ("deneb", 5, "d")
    with pytest.raises(UnknownParameter, match="ordr"):
        vega.clone(ordr=1)


def test_what_a_clone_is_given_as_none_is_made_anew() -> None:
    class Plot(Snr):
        pass

    vega = Snr(name="vega", order=5, initial="x")

    assert vega.clone(initial=None, order=None) == Snr(name="vega")
    assert vega.clone(Plot, initial=None) == Plot(name="vega", order=5)
    with pytest.raises(MissingParameter, match="needs name"):
        vega.clone(label=None)


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


def test_of_two_bases_that_declare_a_parameter_python_chooses() -> None:
    class Steep(Snr):
        order: int = parameter("Another order.", default=9)

    class Quick(Snr):
        speed: int = parameter("How fast.", default=1)

    class Both(Quick, Steep):
        pass

    assert Both(name="vega").order == 9


def test_a_clone_in_another_class_derives_anew_what_follows_from_a_change() -> None:
    class Plot(Snr):
        pass

    assert Snr(name="vega").clone(Plot, name="deneb").initial == "d"
    assert Snr(name="vega", initial="x").clone(Plot, name="deneb").initial == "x"
    assert Snr(name="vega").clone(Plot, order=4).initial == "v"


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (set[int], "set"), (bytes, "bytes"), (tuple[complex, ...], "complex"), (dict[float, int], "the keys"),
        (Literal["a"], r"choices=\(…\)"), ("Nowhere", "cannot be resolved"),
    ],
)  # fmt: skip
def test_a_type_whose_values_cannot_be_kept_is_refused_where_it_is_declared(annotation: Any, told: str) -> None:
    with pytest.raises(BadValue, match=f"Odd.x: .*{told}"):
        type("Odd", (Task,), {"__annotations__": {"x": annotation}, "x": parameter("X."), "__module__": __name__})


def test_the_type_may_be_a_class_of_the_function_around() -> None:
    class Local(Task):
        """Known in this function only."""

    class Needing(Task):
        what: Local = parameter("What it needs.")

    assert Needing(what=Local()).what == Local()


def test_an_unknown_visibility_is_refused() -> None:
    with pytest.raises(BadValue, match="public, hidden, private"):
        parameter("X.", visibility="secret")


def test_the_values_of_tuples_lists_and_mappings_are_converted_and_cannot_be_changed() -> None:
    class Many(Task):
        pairs: list[tuple[int, str]] = parameter("Pairs.", default=())
        limits: dict[str, float] = parameter("Limits.", default={"low": 1})
        steps: dict[int, str] = parameter("By number.", default=None)
        either: int | str = parameter("A number or a name.", default=0)
        anything: Any = parameter("Whatever can be written.", default=None)

    many = Many(pairs=[["1", 2]], steps={"3": "c"}, either=np.int16(4), anything={"a": [1, np.float32(0.5), None]})

    assert (many.pairs, many.limits, many.steps) == (((1, "2"),), {"low": 1.0}, {3: "c"})
    assert (type(many.either), many.anything) == (int, {"a": (1, 0.5, None)})
    assert Many(either="4").either == "4"
    arrays = Many(pairs=np.array([["1", "2"]]), anything={"a": np.arange(2)})
    assert (arrays.pairs, arrays.anything) == (((1, "2"),), {"a": (0, 1)})
    assert list(arrays._warn_on_wrong_param_types()) == ["pairs", "anything"]
    assert Many(either="4") != Many(either=4)
    assert len({many, Many(pairs=((1, "2"),), steps={3: "c"}, either=4, anything={"a": (1, 0.5, None)})}) == 1
    assert not hasattr(many.limits, "__setitem__")
    for wrong in (
        {"pairs": [(1, 2, 3)]}, {"pairs": "ab"}, {"pairs": [("x", "y")]}, {"limits": {"low": "high"}},
        {"limits": [1]}, {"either": 1.5}, {"anything": {1, 2}}, {"anything": [object()]}, {"anything": [float("nan")]},
    ):  # fmt: skip
        with pytest.raises(InvalidParameter, match=next(iter(wrong))):
            Many(**wrong)


def test_where_the_type_itself_is_a_sequence_a_tuple_is_one_value_and_a_list_a_column() -> None:
    class Window(Task):
        edges: tuple[float, ...] = parameter("Its edges.", batch=True)

    one, two = Window(edges=(1, 2)), Window(edges=[(1, 2), [3]])

    assert (one.is_batch_mode, one.edges) == (False, (1.0, 2.0))
    assert [member.edges for member in two] == [(1.0, 2.0), (3.0,)]
    assert two[0] == one
    assert [Window(**kwds) for kwds in two.get_batch_task_kwds()] == list(two)
    assert list(two[1:]) == [Window(edges=(3,))]
    assert Window(edges=[]).get_batch_size() == 0


def test_a_task_given_for_a_parameter_is_one_value_and_a_batch_is_no_member_of_a_batch() -> None:
    class Plot(Task):
        what: Snr = parameter("What to plot.", batch=True)

    class Overview(Task):
        what: Snr = parameter("What to plot together.")

    stars = Snr(name=["vega", "deneb"])

    assert Overview(what=stars).what == stars
    assert not Overview(what=stars).is_batch_mode
    assert Plot(what=[stars[0], stars[1]]) == Plot(what=stars)
    with pytest.raises(InvalidParameter, match="row 1: what = .*a batch is no member of a batch"):
        Plot(what=[stars[0], stars])
    with pytest.raises(InvalidParameter, match="Plot: what = .*it takes Snr"):
        Plot(what=Overview(what=stars))
