"""Types and values as people, models and logs see them."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from quire.core.schema import (
    adapter,
    checked,
    complaint,
    fields_of,
    hints_of,
    json_schema,
    plain,
    read_back,
    render,
    type_name,
)

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"


class Engine:
    """A class that pydantic knows nothing about."""


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


class Question(BaseModel):
    text: str
    votes: int = Field(default=0, alias="votesCast")


class Car(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    engine: Any = None
    weight: float = 1.0


@dataclasses.dataclass
class Bike:
    engine: Engine
    wheels: int = 2


@pydantic_dataclass
class Pair:
    left: int
    right: list[int]


class Row(TypedDict):
    engine: Engine


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (int, "int"),
        (None, "None"),
        (type(None), "None"),
        (Any, "Any"),
        (Question, "Question"),
        (int | None, "int | None"),
        (typing.Optional[int], "int | None"),  # noqa: UP045
        (list[dict[str, int]], "list[dict[str, int]]"),
        (typing.List, "list"),  # noqa: UP006
        (tuple[int, ...], "tuple[int, …]"),
        (Literal["a", 1, Color.RED], '"a" | 1 | Color.RED'),
        (Annotated[list[int], "hot"], "list[int]"),
        (Callable[[int, list[str]], str], "Callable[[int, list[str]], str]"),
        (Callable[..., int], "Callable[…, int]"),
        (list["Question"], "list[Question]"),
        (typing.List["Question"], "list[Question]"),  # noqa: UP006
        (T, "T"),
        ("Question", "Question"),
    ],
)
def test_types_are_named_as_they_are_written(kind: Any, name: str):
    assert type_name(kind) == name


# --- checks and schemas ----------------------------------------------------------------------------------------------


def test_values_are_checked_and_converted():
    assert checked(list[int], ["1"]) == [1]
    assert checked(Question, {"text": "why?"}) == Question(text="why?")
    assert checked(Any, Engine) is Engine


def test_an_instance_is_taken_as_it_is():
    question = Question(text="why?")
    assert checked(Question, question) is question


@pytest.mark.parametrize("kind", [Engine, list[Engine], Engine | None])
def test_any_class_can_be_checked(kind: Any):
    value = [Engine()] if kind == list[Engine] else Engine()
    assert checked(kind, value) == value
    with pytest.raises(ValidationError):
        checked(kind, "not one")


def test_any_class_can_be_a_field():
    engine = Engine()
    assert checked(Bike, {"engine": engine, "wheels": "3"}) == Bike(engine, 3)
    assert checked(Row, {"engine": engine}) == {"engine": engine}
    with pytest.raises(ValidationError):
        checked(Bike, {"engine": "not one"})


@pytest.mark.parametrize("kind", [Annotated[int, ["cannot be hashed"]], Annotated[int, Field(json_schema_extra={})]])
def test_a_type_need_not_be_hashable(kind: Any):
    assert checked(kind, "3") == 3
    assert json_schema(kind) == {"type": "integer"}


def test_adapters_are_made_once():
    assert adapter(list[Question]) is adapter(list[Question])
    assert json_schema(Question) is json_schema(Question)


@pytest.mark.parametrize("kind", [Question, Pair])
def test_the_schema_is_pydantic_s_own(kind: Any):
    assert json_schema(kind)["title"] == kind.__name__
    assert "$ref" not in json_schema(kind)


def test_complaints_name_the_place():
    with pytest.raises(ValidationError) as caught:
        checked(list[Pair], [{"left": 1, "right": ["x"]}])
    assert complaint(caught.value).startswith("0.right.0: Input should be a valid integer")
    with pytest.raises(ValidationError) as caught:
        checked(int, "x")
    assert complaint(caught.value).startswith("value: ")


# --- plain values ----------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_plain_values_stay_as_they_are(value: Any):
    assert repr(plain(value)) == repr(value)


odd = st.sampled_from([b"\xff\x00", "\ud83d", Engine(), {1, 2}, 10**4000, Color.RED, Engine]) | st.builds(Broken)
odd |= st.builds(Car, engine=odd)
odd_values = st.recursive(
    st.text() | st.floats() | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(odd_values)
def test_any_value_becomes_strict_json(value: Any):
    there = plain(value)
    assert json.loads(json.dumps(there, allow_nan=False)) == there
    assert isinstance(render(value), str)


def test_plain_is_a_copy():
    value = {"list": [1]}
    there = plain(value)
    value["list"].append(2)
    assert there == {"list": [1]}


def test_a_number_too_long_to_be_read_again_is_named():
    assert plain([1, 10**5000]) == [1, "<int>"]
    assert plain(10**5000) == "<int>"


def test_nan_and_infinities_are_text():
    assert plain([float("nan"), {"a": float("-inf")}]) == ["NaN", {"a": "-Infinity"}]
    assert plain(float("inf")) == "Infinity"


def test_what_is_broken_does_not_take_the_rest_along():
    assert plain({"a": 1, "b": Broken(), "c": ["d"]}) == {"a": 1, "b": "<Broken>", "c": ["d"]}
    assert plain(Car(engine=Broken(), weight=2)) == {"engine": "<Broken>", "weight": 2.0}


def test_bytes_that_are_no_text_are_told_apart_and_not_read_back_as_others():
    data = plain(b"\xff\x00")
    assert (data["bytes"], data) == (2, plain(bytearray(b"\xff\x00")))
    assert data != plain(b"\xff\x01")
    with pytest.raises(ValidationError):
        read_back(bytes, data)
    assert read_back(bytes, plain(b"text")) == b"text"


def test_a_circle_ends_where_it_closes():
    tree: dict[str, Any] = {"name": "root"}
    tree["children"] = [{"name": "leaf", "parent": tree}]
    assert plain(tree) == {"name": "root", "children": [{"name": "leaf", "parent": "<dict>"}]}


def test_a_web_of_circles_takes_no_longer_than_its_size():
    web: list[list[Any]] = [[] for _ in range(300)]
    for one, other in itertools.product(web, web):
        one.append(other)
    assert plain(web)


def test_what_is_too_deep_is_cut():
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    assert render(deep) == "[" * 100 + '"<list>"' + "]" * 100


class Countdown(Iterator[int]):
    def __next__(self):
        raise AssertionError


def test_an_iterator_is_left_to_its_user():
    numbers = (number for number in range(3))
    assert plain(numbers) == "<generator>"
    assert list(numbers) == [0, 1, 2]
    assert plain(itertools.count()) == "<count>"
    assert plain(Countdown()) == "<Countdown>"


def test_words_for_a_model():
    assert render("as it is") == "as it is"
    assert render({"größe": [1, None]}) == '{"größe":[1,null]}'
    assert render(Question(text="why?", votesCast=2)) == '{"text":"why?","votesCast":2}'
    assert "Engine" in render(Car(engine=Engine()))


def test_a_model_reads_the_names_that_its_schema_has():
    assert set(json.loads(render(Question(text="why?")))) == set(json_schema(Question)["properties"])


# --- fields and hints ------------------------------------------------------------------------------------------------


def test_fields():
    assert fields_of(Question) == [("text", "str"), ("votes", "int")]
    assert fields_of(Bike) == [("engine", "Engine"), ("wheels", "int")]
    assert fields_of(Pair) == [("left", "int"), ("right", "list[int]")]
    assert fields_of(int) == []
    assert fields_of(list[Question]) == []


def test_fields_of_types_that_only_a_function_knows():
    @dataclasses.dataclass
    class Inner:
        number: int

    @dataclasses.dataclass
    class Outer:
        inner: Inner

    assert fields_of(Outer) == [("inner", "Inner")]


def test_hints_of_a_function_in_a_function():
    class Local: ...

    def step(value: Local) -> list[Local]: ...

    assert hints_of(step) == {"value": Local, "return": list[Local]}


def test_hints_of_a_function_that_calls_itself():
    class Local: ...

    seen = {}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        seen.update(hints_of(function))
        return function

    @decorate
    def step(value: Local) -> int:
        return step(value)

    assert seen == {"value": Local, "return": int}


def test_a_hint_that_nobody_knows_is_a_name_error():
    def step(value: Nowhere) -> None: ...  # noqa: F821

    with pytest.raises(NameError, match="Nowhere"):
        hints_of(step)
