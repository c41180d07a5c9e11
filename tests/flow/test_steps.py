from __future__ import annotations

import asyncio
import functools
import textwrap
import threading
from dataclasses import dataclass

import pytest

from quire import Step, errors
from tests.kit import Outline

# Annotations in this module are text, as they are in many users' modules.


@dataclass
class Point:
    x: int
    y: int = 0


@Step
def norm(point: Point, scale: float) -> float:
    """Measure a point."""
    return scale * (abs(point.x) + abs(point.y))


def test_a_step_says_what_it_takes_gives_and_is():
    assert (norm.takes(), norm.output, norm.name, norm.kind) == ((Point, float), float, "norm", "step")
    assert (norm.__doc__, norm.description) == ("Measure a point.", "Measure a point.")
    assert repr(norm) == "<step norm: (Point, float) -> float>"


def test_its_types_are_those_of_its_function():
    for which in ("input", "output", "input_name"):
        with pytest.raises(AttributeError):
            setattr(norm, which, int)


@pytest.mark.parametrize("given", [{"names": {"a": 1}}, {"a": 1}], ids=["by name", "as it is"])
def test_a_mapping_is_what_a_step_takes_or_has_it_by_name(given):
    @Step
    def listed(names: dict[str, int]) -> str:
        return ",".join(names)

    @Step
    def bare(names: dict) -> str:
        return ",".join(names)

    assert [step.execute_sync(given) for step in (listed, bare)] == ["a", "a"]


def test_calling_it_calls_the_function_outside_of_any_run():
    assert norm(Point(1, -2), scale=2.0) == 6.0


def test_several_inputs_are_a_tuple_none_is_none():
    @Step
    def five() -> int:
        return 5

    assert norm.execute_sync((Point(1), 3.0)) == 3.0
    assert five.execute_sync(None) == 5


def test_defaults_are_not_inputs_and_keyword_only_ones_are():
    @Step
    def power(base: int = 7, *, exponent: int) -> int:
        return base**exponent

    assert power.takes() == (int,)
    assert power.execute_sync(2) == 49


def test_a_plain_function_runs_in_a_thread_and_a_coroutine_on_the_loop():
    @Step
    def plain(n: int) -> str:
        return threading.current_thread().name

    @Step
    async def coroutine(n: int) -> str:
        return threading.current_thread().name

    async def main():
        return await asyncio.gather(plain.execute(1), coroutine.execute(1))

    assert asyncio.run(main()) == ["quire-worker", threading.current_thread().name]


def test_types_of_an_enclosing_function_are_found():
    @dataclass
    class Local:
        n: int

    @Step
    def make(n: int) -> Local:
        return Local(n)

    @Step
    async def read(local: Local) -> int:
        return local.n

    assert read.execute_sync(make.execute_sync(4)) == 4


def test_steps_of_a_cell():
    names: dict = {}
    cell = """
        from __future__ import annotations
        from pydantic import BaseModel
        from quire import Pipeline, Step
        class Topic(BaseModel):
            name: str
        @Step
        def shout(topic: Topic) -> str:
            return topic.name.upper()
        result = Pipeline(shout).execute_sync(Topic(name="x"))
    """
    exec(compile(textwrap.dedent(cell), "<ipython-input-1>", "exec"), names)
    assert names["result"] == "X"


def test_a_cell_run_again_replaces_what_it_defined():
    names: dict = {}
    for answer in (1, 2):
        exec(f"from quire import Step\n@Step\ndef answer(n: int) -> int:\n    return {answer}", names)
    assert names["answer"].execute_sync(0) == 2


def test_a_step_may_be_decorated_below_and_be_a_static_method():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    class Tools:
        @staticmethod
        @logged
        def raw(n: int) -> int:
            return n + 1

        step = Step(logged(raw))

    assert Step(Tools.raw).execute_sync(1) == Tools.step.execute_sync(1) == 2


class Service:
    def method(self, outline: Outline) -> int:
        return len(outline.points)


def test_a_bound_method_is_a_step():
    assert Step(Service().method).execute_sync(Outline(points=["a"])) == 1


def unannotated(text):
    return text


def unreturning(text: str):
    return text


def many(*texts: str) -> str:
    return "".join(texts)


def named(**texts: str) -> str:
    return "".join(texts)


def positional(text: str, /) -> str:
    return text


def generator(text: str) -> list[str]:
    yield text


async def async_generator(text: str) -> list[str]:
    yield text


def unknown(text: Nowhere) -> str:  # noqa: F821
    return text


@pytest.mark.parametrize(
    ("function", "message", "remedy"),
    [
        (unannotated, "does not say what `text` is", "def unannotated(text: SomeType"),
        (unreturning, "does not say what it returns", "-> Result"),
        (many, r"takes \*texts", "Name and annotate each input"),
        (named, r"takes \*\*texts", "Name and annotate each input"),
        (positional, "takes text", "no *, ** or /"),
        (generator, "yields; a step returns one value", "list"),
        (async_generator, "yields; a step returns one value", "list"),
        (unknown, "type that cannot be found: name 'Nowhere'", "define the type first"),
        (Service.method, "does not say what `self` is", "Annotate"),
        (functools.partial(norm, scale=1.0), "no function", "Write a def"),
        ("text", "needs a function, not 'text'", "above a def"),
        (5, "needs a function, not 5", "above a def"),
    ],
)
def test_what_cannot_be_a_step_is_refused_where_it_is_written(function, message, remedy):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        Step(function)
    assert remedy in raised.value.remedy
    if hasattr(function, "__code__"):
        assert __file__ in raised.value.where
