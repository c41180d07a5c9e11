"""A drawing shows a flow as it is now, whatever was drawn of it before."""

from __future__ import annotations

import textwrap
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

from quire import Agent, Pipeline, Process, Retry, Step
from quire.testing import ScriptedModel, in_memory


@Step
def double(n: int) -> int:
    return 2 * n


@Step
def worded(n: Any) -> str:
    return str(n)


def cell(text: str) -> SimpleNamespace:
    """Run the top level of a module, as a notebook runs a cell; running another defines its names again."""
    names: dict[str, Any] = {"__name__": "tests.flow.test_drawing.cells", "Step": Step}
    exec(compile(textwrap.dedent(text), "<cell>", "exec"), names)
    return SimpleNamespace(**names)


def boxes(flow) -> dict[str, tuple[str, str, str]]:
    return {node["id"]: (node["input"], node["note"], node["output"]) for node in flow.graph()["nodes"]}


def ways(flow) -> list[tuple[str | None, str | None, str, str | None]]:
    return [(way["source"], way["target"], way["label"], way.get("when")) for way in flow.graph()["edges"]]


def test_what_is_added_to_a_process_is_drawn_at_once():
    inner = Process(input=int, name="inner")
    first = inner.add(double)
    outer = Process(input=int, name="outer")
    outer.add(inner)
    assert ways(inner) == [(None, "double", "int", None), ("double", None, "int", None)]
    assert list(boxes(outer)) == ["inner/double"]
    last = inner.add(double, name="again", inputs=first, when="double > 3")
    assert ways(inner) == [
        (None, "double", "int", None),
        ("double", "again", "int", "double > 3"),
        ("again", None, "int", None),
    ]
    assert ("inner/double", "inner/again", "int", "double > 3") in ways(outer)
    inner.returns(last, first)
    assert ways(inner)[2:] == [("again", None, "int", None), ("double", None, "int", None)]


FIRST = """
@Step
async def count(text: str) -> int:
    return len(text)
"""
AFTERWARDS = """
@Step
async def count(text: str) -> float:
    return len(text) / 2
"""


def test_a_step_that_is_defined_again_is_drawn_as_it_is_now_wherever_it_is():
    count = cell(FIRST).count
    process = Process(input=str)
    process.add(worded, inputs=process.add(count, retry=2))
    outer = Process(input=str)
    outer.add(process, name="inner")
    flows = [process, outer, Pipeline(count), count >> worded, count & count, Process.race(count, count)]
    assert all("int" in drawn(flow) and "float" not in drawn(flow) for flow in flows)
    again = cell(AFTERWARDS)  # kept: whoever defines something has it in a variable
    assert all("float" in drawn(flow) and "int" not in drawn(flow) for flow in flows)
    assert {way[:3] for way in ways(process)} == {
        (None, "count", "str"),
        ("count", "worded", "float"),
        ("worded", None, "str"),
    }
    assert again.count.graph()["nodes"] == flows[2].graph()["nodes"]


def drawn(flow) -> set[str]:
    """Return the types in a drawing, and the labels of its ways."""
    graph = flow.graph()
    types = {node[end] for node in graph["nodes"] for end in ("input", "output")}
    said = {part["type"] for node in graph["nodes"] for part in (*node["facts"]["in"], node["facts"]["out"])}
    return types | said | {way["label"] for way in graph["edges"]}


def test_a_new_name_is_drawn():
    flow = Pipeline(double, name="before")
    assert flow.graph()["name"] == "before"
    flow.name = "after"
    assert flow.graph()["name"] == "after"
    alone = Step(lambda_like, name="one")
    alone.graph()
    alone.name = "two"
    graph = alone.graph()
    assert [(node["id"], node["title"]) for node in graph["nodes"]] == [("two", "two")]
    assert ways(alone) == [(None, "two", "int", None), ("two", None, "int", None)]


def lambda_like(n: int) -> int:
    return n


def test_an_agents_new_model_and_words_are_drawn():
    agent = Agent(ScriptedModel([], model="first"), "Old words.", name="writes")
    flow = Pipeline(agent, Step(lambda_like, name="unlike"), output=str, input=tuple[str, int])
    assert boxes(flow)["writes"] == ("str", "first", "str")
    agent.llm = ScriptedModel([], model="second")
    agent.instructions = "New words."
    assert boxes(flow)["writes"] == ("str", "second", "str")
    facts = flow.graph()["nodes"][0]["facts"]
    assert (facts["model"], facts["instructions"]) == ("second", "New words.")


def test_new_limits_are_drawn():
    retried = double.with_retry(2)
    each = Process.for_each(double, max_parallel=2, name="each")
    flow = Process(input=int)
    flow.add(retried)
    around = Process(input=list[int])
    around.add(each)
    assert flow.graph()["nodes"][0]["facts"]["limits"] == "2 attempts"
    assert boxes(around)["each"][1] == "2 at once"
    retried.retry, each.max_parallel = Retry(max_attempts=3), 5
    assert flow.graph()["nodes"][0]["facts"]["limits"] == "3 attempts"
    assert boxes(around)["each"][1] == "5 at once"


@pytest.mark.parametrize(
    "flow", [Pipeline(double), Pipeline(Pipeline(double), name="outer"), double], ids=["flow", "flow in a flow", "step"]
)
def test_a_drawing_is_its_readers_to_change(flow):
    graph = flow.graph()
    before = deepcopy(graph)
    for part in (*graph["nodes"], *graph["edges"]):
        part.clear()
    graph["nodes"].clear(), graph["edges"].clear()
    assert flow.graph() == before


def test_a_run_is_recorded_with_the_drawing_of_its_beginning():
    flow = Process(input=int, name="flow")
    first = flow.add(double)
    with in_memory():
        run = flow.start(1)
        run.wait()
        flow.add(double, name="again", inputs=first)
        later = flow.start(1)
        later.wait()
    assert [node["id"] for node in run.past[0].graph["nodes"]] == ["double"]
    assert [node["id"] for node in later.past[0].graph["nodes"]] == ["double", "again"]
    assert later.fold().snapshot()["graph"] == later.past[0].graph == flow.graph()
