"""Things are called what their author calls them."""

import textwrap

import pytest

from quire import LLM, Agent, Pipeline, Process, Step, Tool, errors
from tests.kit import Draft, Outline, Question

LLM_ = LLM("offline")
at_module_level = Agent(LLM_, "x")
annotated: Agent = Agent(
    LLM_,
    "over several lines",
)


class House:
    of_a_class = Agent(LLM_, "x")

    def __init__(self):
        self.of_an_object = Agent(LLM_, "x")
        self.deep = self
        self.deep.er = Agent(LLM_, "x")


def test_variables_of_every_sort():
    local = Agent(LLM_, "x")
    captured = Agent(LLM_, "x")

    def read():
        return captured.name

    assert [at_module_level.name, annotated.name, local.name, read()] == [
        "at_module_level",
        "annotated",
        "local",
        "captured",
    ]
    if (walrus := Agent(LLM_, "x")).name:
        assert walrus.name == "walrus"


def test_a_variable_of_a_function_that_returns_it():
    def make():
        writer = Agent(LLM_, "x")
        return writer  # noqa: RET504 - two instructions in one, since Python 3.13

    assert make().name == "writer"


def test_attributes():
    house = House()
    assert (House.of_a_class.name, house.of_an_object.name, house.er.name) == ("of_a_class", "of_an_object", "er")


def test_in_a_cell():
    names = {"Agent": Agent, "llm": LLM_}
    exec(textwrap.dedent("reviewer = Agent(llm, 'x')\nlast = reviewer"), names)
    assert names["last"].name == "reviewer"


def test_an_explicit_name_wins():
    variable = Agent(LLM_, "x", name="given")
    assert variable.name == "given"
    assert Pipeline(Step(ask), name="flow").name == "flow"


def ask(topic: str) -> Question:
    return Question(text=topic)


def test_what_goes_elsewhere_has_the_name_of_its_kind():
    in_list = [Agent(LLM_, "x") for _ in range(2)]
    in_dict = {}
    in_dict["key"] = Agent(LLM_, "x")
    through = dict(agent=Agent(LLM_, "x"))["agent"]  # noqa: C408 - an argument is no variable
    of_another = Agent(LLM_, "x").llm
    names = {thing.name for thing in [*in_list, in_dict["key"], through, *[Agent(LLM_, "x")]]}
    assert (names, of_another) == ({"agent"}, LLM_)
    assert str(Agent(LLM_, "x")).startswith("agent: str -> str")


def test_nameless_parts_of_a_pipeline_are_numbered():
    flow = Pipeline(
        Agent(LLM_, "plan", input=Question, output=Outline),
        Agent(LLM_, "write", input=Outline, output=Draft),
        Step(ask),
    )
    assert [node["id"] for node in flow.graph()["nodes"]] == ["ask", "agent", "agent_2"]


def test_a_name_can_be_changed_later():
    helper = Agent(LLM_, "x")
    helper.name = "assistant"
    assert helper.name == "assistant"


def test_a_step_is_called_what_its_function_is():
    assert Step(ask).name == "ask"
    assert Step(name="other")(ask).name == "other"


def double(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize("name", [5, "", "  ", ["triage"]])
@pytest.mark.parametrize(
    "make",
    [
        lambda name: Agent(LLM("offline"), "Answer.", name=name),
        lambda name: Step(double, name=name),
        lambda name: Tool(double, name=name),
        lambda name: Pipeline(Step(double), name=name),
        lambda name: Process(name=name),
        lambda name: Process.for_each(Step(double), name=name),
        lambda name: Process.loop(Step(double), until=bool, name=name),
    ],
)
def test_a_name_that_is_none_is_refused_where_it_is_written(make, name):
    with pytest.raises(errors.DefinitionError, match="is no name"):
        make(name)
