"""Tools in an agent's hands: called side by side, answered in order, and never the end of a run unless they say so."""

import asyncio
import time
from typing import Any

import pytest
from pydantic import BaseModel

from quire import Agent, Pipeline, Process, Step, Tool, current_context, errors
from quire.core.messages import ToolResult
from quire.core.ports import ToolForm
from quire.testing import ScriptedModel, ToolUse
from tests.kit import Draft, Outline, Question, ends, kinds, output_of, tasks_left


class City(BaseModel):
    name: str
    country: str = "JP"


@Tool
async def weather(city: City) -> dict:
    """Tell the weather."""
    return {"city": city.name, "temp_c": 23}


@Tool
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def agent_with(tools, *replies, **options):
    model = ScriptedModel(replies)
    return Agent(model, "Use tools.", name="agent_a", tools=tools, **options), model


def results(model, request=-1):
    """Return what the model was told of the last round of tools."""
    return [part for part in model.requests[request].messages[-1].parts if isinstance(part, ToolResult)]


def told(tools, *uses, **options):
    """Return what a model is told when it asks for these tools."""
    agent, model = agent_with(tools, list(uses), "done", **options)
    assert agent.execute_sync("go") == "done"
    return [(part.text, part.failed) for part in results(model)]


# What a model is told about a tool


def test_parameters_or_one_model_become_the_schema():
    agent, model = agent_with([weather, add], "hi")
    agent.execute_sync("go")
    shown = {form.name: form for form in model.requests[0].tools}
    assert shown["weather"].description == "Tell the weather."
    assert shown["weather"].parameters["properties"].keys() == {"name", "country"}
    assert shown["add"].parameters["required"] == ["a"]
    assert shown["add"].parameters["properties"]["b"]["default"] == 1


def test_names_that_pydantic_has_methods_for_are_ordinary_parameters():
    @Tool
    def store(json: str, schema: str, copy: int = 2) -> str:
        """Store."""
        return f"{json} {schema} {copy}"

    assert told([store], ToolUse("store", {"json": "a", "schema": "b"})) == [("a b 2", False)]


def test_what_is_not_an_object_is_wrapped_with_its_definitions_at_the_root():
    @Step
    async def visit(cities: list[City]) -> int:
        """Visit cities."""
        return len(cities)

    agent, model = agent_with([visit], ToolUse("visit", {"input": [{"name": "Kyoto"}]}), "done")
    agent.execute_sync("go")
    [form] = model.requests[0].tools
    assert (form.description, form.parameters["required"]) == ("Visit cities.", ["input"])
    assert "City" in form.parameters["$defs"]
    assert results(model)[0].text == "1"


def test_a_name_no_provider_would_take_is_made_fit():
    @Tool(name="look up (fast)")
    def look(key: str) -> str:
        """Look."""
        return key

    assert told([look], ToolUse("look_up__fast_", {"key": "k"})) == [("k", False)]


def test_parameters_that_only_data_knows_are_told_as_they_are_and_come_as_a_dict():
    schema = {
        "type": "object",
        "$defs": {"Place": {"type": "string", "enum": ["Kyoto"]}},
        "properties": {"to": {"$ref": "#/$defs/Place"}, "nights": {"type": "integer"}},
        "required": ["to"],
    }

    async def call(arguments: dict[str, Any]) -> str:
        return f"booked {arguments}"

    book = Tool(call, name="book", description="Book a journey.", parameters=schema)
    agent, model = agent_with([book], [ToolUse("book", {"to": "Kyoto"}), ToolUse("book", "[1]")], "done")
    assert agent.execute_sync("go") == "done"
    assert model.requests[0].tools == (ToolForm(name="book", description="Book a journey.", parameters=schema),)
    assert results(model)[0].text == "booked {'to': 'Kyoto'}"
    assert results(model)[1].text.startswith("ValueError: value: Input should be an object")
    assert agent.card()["tools"][0]["takes"] == "to, nights"


async def test_parameters_that_only_data_knows_can_be_wired_by_name():
    async def call(arguments: dict[str, Any]) -> str:
        return f"{arguments['text']} {arguments.get('times')}"

    shout = Tool(call, name="shout", parameters={"properties": {"text": {}, "times": {}}, "required": ["text"]})
    process = Process(input=Question)
    process.add(shout, inputs={"text": process.given.text, "times": 3})
    assert await process.execute(Question(text="hey")) == "hey 3"
    with pytest.raises(errors.RegistrationError, match="volume"):
        Process(input=Question).add(shout, inputs={"text": "a", "volume": 3})
    with pytest.raises(errors.RegistrationError, match="text"):
        Process(input=Question).add(shout, inputs={"times": 3})


def test_a_plain_function_is_a_tool():
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    assert told([shout], ToolUse("shout", {"text": "a"})) == [("A", False)]


# Calls


async def test_tools_asked_for_together_run_together_and_answer_in_order():
    met = asyncio.Barrier(2)

    @Tool
    async def slow(n: int) -> str:
        """Be slow."""
        await met.wait()
        await asyncio.sleep(0.02)
        return f"slow {n}"

    @Tool
    async def fast(n: int) -> str:
        """Be fast."""
        await met.wait()
        return f"fast {n}"

    agent, model = agent_with([slow, fast], [ToolUse("slow", {"n": 1}), ToolUse("fast", {"n": 2})], "done")
    run = agent.start("go", timeout=5)
    assert await run == "done"
    assert [part.text for part in results(model)] == ["slow 1", "fast 2"]
    assert [part.id for part in results(model)] == [call.id for call in model.requests[1].messages[-2].calls]
    assert [event.tool for event in run.past if event.kind == "returned"] == ["fast", "slow"]


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (ToolUse("add", '{"a": 1'), "ValueError: value: Invalid JSON"),
        (ToolUse("add", {"a": "many"}), "ValueError: a: Input should be a valid integer"),
        (ToolUse("add", {}), "ValueError: a: Field required"),
        (ToolUse("add", "[1]"), "ValueError: value: Input should be an object"),
        (ToolUse("subtract", {"a": 1}), "ValueError: There is no tool 'subtract'. The tools are: add."),
    ],
)
def test_what_is_wrong_with_a_call_is_told_to_the_model(use, error):
    [(text, failed)] = told([add], use)
    assert failed
    assert text.startswith(error)


def test_no_arguments_at_all_are_an_empty_object():
    @Tool
    def now() -> str:
        """Tell the time."""
        return "late"

    assert told([now], ToolUse("now"), ToolUse("now", {})) == [("late", False)] * 2


def test_what_a_tool_raises_is_told_to_the_model_and_recorded():
    @Tool
    def broken(key: str) -> str:
        """Break."""
        raise LookupError(f"no {key}")

    agent, model = agent_with([broken], ToolUse("broken", {"key": "k"}), "sorry")
    run = agent.start("go")
    assert run.wait() == "sorry"
    assert (results(model)[0].text, results(model)[0].failed) == ("LookupError: no k", True)
    assert run.tools[["error_type", "error"]].values.tolist() == [["LookupError", "no k"]]


def test_stop_ends_the_run_and_the_other_tools():
    @Tool
    async def halt(why: str) -> str:
        """Stop."""
        await asyncio.sleep(0.01)
        raise errors.Stop(why)

    @Tool
    async def long(n: int) -> str:
        """Take long."""
        await asyncio.sleep(30)
        return "never"

    agent, _ = agent_with([halt, long], [ToolUse("long", {"n": 1}), ToolUse("halt", {"why": "enough"})])
    run = agent.start("go")
    with pytest.raises(errors.Stop, match="enough") as raised:
        run.wait()
    assert raised.value.where == "agent_a › halt"
    assert kinds(run, "halt") == ["called", "failed"]
    assert kinds(run, "long") == ["called", "cancelled"]
    assert run.past[-2].reason == "another tool ended the run" or run.past[-3].reason == "another tool ended the run"
    calls = {part["tool"]: part["status"] for part in run.fold().snapshot()["messages"][-1]["parts"]}
    assert calls == {"long": "cancelled", "halt": "failed"}


def test_exit_in_a_tool_is_told_to_the_model_and_ends_nothing(tmp_path):
    out = output_of(
        """
        from quire import Agent, Tool
        from quire.testing import ScriptedModel, ToolUse
        @Tool
        async def leave(code: int) -> str:
            "Leave."
            raise SystemExit(code)
        twice = [ToolUse("leave", {"code": 1}), ToolUse("leave", {"code": 2})]
        print(Agent(ScriptedModel([twice, "still here"]), "x", tools=[leave]).execute_sync("go", timeout=5))
        """,
        tmp_path,
    )
    assert out == "still here"


def test_a_tools_own_time_is_told_to_the_model():
    @Tool(timeout=0.03)
    async def hang(n: int) -> str:
        """Hang."""
        await asyncio.sleep(30)
        return "never"

    @Tool(timeout=0.03)
    def block(n: int) -> str:
        """Block."""
        time.sleep(0.3)
        return "never"

    began = time.perf_counter()
    replies = told([hang, block], ToolUse("hang", {"n": 1}), ToolUse("block", {"n": 1}))
    assert time.perf_counter() - began < 0.25
    assert [failed for _, failed in replies] == [True, True]
    assert "`hang` was not finished after 0.03 s" in replies[0][0]
    with pytest.raises(errors.DeadlineExceeded, match="`hang`"):
        hang.execute_sync({"n": 1})


def test_a_tools_own_timeout_error_is_its_own():
    @Tool(timeout=5)
    async def remote(n: int) -> str:
        """Ask a server."""
        raise TimeoutError("the server is slow")

    assert told([remote], ToolUse("remote", {"n": 1})) == [("TimeoutError: the server is slow", True)]


@pytest.mark.parametrize(("rounds", "asked"), [(0, 1), (2, 3)])
def test_a_model_that_keeps_asking_is_stopped(rounds, asked):
    agent, model = agent_with([add], *[ToolUse("add", {"a": n}) for n in range(9)], max_tool_rounds=rounds)
    run = agent.start("go")
    with pytest.raises(
        errors.ToolRoundsExceeded, match=f"`agent_a` asked for tools {asked} times.*last for add"
    ) as raised:
        run.wait()
    assert "max_tool_rounds" in raised.value.remedy
    assert (len(model.requests), len(run.tools)) == (asked, rounds)


async def test_cancelling_in_the_middle_of_tools_tells_each_why():
    @Tool
    async def long(n: int) -> str:
        """Take long."""
        await asyncio.sleep(30)
        return "never"

    for uses in ([ToolUse("long", {"n": 1})], [ToolUse("long", {"n": 1}), ToolUse("long", {"n": 2})]):
        agent, _ = agent_with([long], uses)
        run = agent.start("go")
        await asyncio.sleep(0.02)
        await run.cancel("enough")
        assert [event.reason for event in run.past if event.kind == "cancelled"] == ["enough"] * (len(uses) + 1)
        assert {state["status"] for state in run.fold().snapshot()["nodes"].values()} == {"cancelled"}
        assert tasks_left() == []


# Other things as tools


def test_an_agent_and_a_pipeline_are_tools():
    helper = Agent(ScriptedModel(["helped"]), "Help with anything.")

    @Step
    async def plan(question: Question) -> Outline:
        return Outline(points=question.text.split())

    @Step
    async def write(outline: Outline) -> Draft:
        return Draft(body="+".join(outline.points))

    flow = Pipeline(plan, write)
    agent, model = agent_with(
        [helper, flow], [ToolUse("helper", {"input": "x"}), ToolUse("flow", {"text": "a b"})], "done"
    )
    run = agent.start("go")
    assert run.wait() == "done"
    assert [part.text for part in results(model)] == ["helped", '{"body":"a+b"}']
    assert model.requests[0].tools[0].description == "Help with anything."
    assert {name: end.kind for name, end in ends(run).items()} == dict.fromkeys(
        ("agent_a", "helper", "flow", "plan", "write"), "succeeded"
    )
    assert run.calls["agent"].tolist() == ["agent_a", "helper", "agent_a"]


def test_an_agent_that_fails_as_a_tool_is_told_to_the_model():
    helper = Agent(ScriptedModel(["nonsense"] * 2), "Help.", output=City)
    agent, model = agent_with([helper], ToolUse("helper", {"input": "x"}), "sorry")
    assert agent.execute_sync("go") == "sorry"
    assert results(model)[0].text.startswith("OutputValidationError: `helper` was asked for City")


def test_the_context_inside_a_tool_is_the_call():
    @Tool
    def here(key: str) -> str:
        """Tell where."""
        return current_context().where

    @Tool
    async def there(key: str) -> str:
        """Tell where."""
        return await inner.execute(key)

    @Step
    async def inner(key: str) -> str:
        return current_context().where

    assert told([here, there], ToolUse("here", {"key": "k"}), ToolUse("there", {"key": "k"})) == [
        ("agent_a › here", False),
        ("agent_a › there › inner", False),
    ]


def test_a_tool_runs_alone_and_in_a_pipeline():
    assert add.execute_sync({"a": 2}) == 3
    assert add(2, 3) == 5
    assert weather.execute_sync(City(name="Kyoto"))["city"] == "Kyoto"

    @Step
    async def place(text: str) -> City:
        return City(name=text)

    assert Pipeline(weather, place).execute_sync("Nara") == {"city": "Nara", "temp_c": 23}


# Definitions


def hidden(_key: str) -> str:
    """Hide."""
    return _key


def unannotated(key):
    return key


def yields(key: str) -> str:
    yield key


def book_by_name(to: str, by: str) -> str:
    return to + by


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (hidden, {}, "parameter `_key`, which a model cannot be shown"),
        (unannotated, {}, "does not say what `key` is"),
        (yields, {}, "yields; a tool returns one value"),
        (lambda *keys: keys, {}, r"takes \*keys"),
        ("text", {}, "needs a function"),
        (add._function, {"timeout": 0}, "leaves no time"),
        (add._function, {"timeout": -1}, "leaves no time"),
        (add._function, {"timeout": "long"}, "leaves no time"),
        (lambda: 1, {"parameters": {}}, "what it returns"),
        (book_by_name, {"parameters": {}}, "takes to, by, and has parameters= of its own"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_where_it_is_written(function, options, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        Tool(**options)(function)
    assert raised.value.remedy
