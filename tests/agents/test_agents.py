"""Agents with a scripted model: what they are asked, what they answer, and when they give up."""

import asyncio
import dataclasses
import enum
from datetime import date
from typing import Literal

import pytest
from pydantic import BaseModel, Field

import quire
from quire import LLM, Agent, Step, errors
from quire.core.messages import Message
from quire.core.ports import Abilities, Answer
from quire.testing import ScriptedModel, ToolUse


class Verdict(BaseModel):
    label: str
    score: float = Field(ge=0, le=1)


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


@dataclasses.dataclass
class Meeting:
    day: date
    people: list[str]


class Severity(enum.Enum):
    LOW = "low"
    HIGH = "high"


# What comes out


@pytest.mark.parametrize(
    ("kind", "reply", "value"),
    [
        (str, "words as they are\n", "words as they are\n"),
        (str, '{"looks": "like json"}', '{"looks": "like json"}'),
        (Verdict, '{"label": "ok", "score": 0.5}', Verdict(label="ok", score=0.5)),
        (
            Verdict,
            'Here it is:\n```json\n{"label": "ok", "score": 1}\n```\nAnything else?',
            Verdict(label="ok", score=1),
        ),
        (Verdict, '```\n{"label": "ok", "score": 0}\n```', Verdict(label="ok", score=0)),
        (Verdict, '{"label": "```python\\nx = 1\\n```", "score": 0}', Verdict(label="```python\nx = 1\n```", score=0)),
        (Tree, '{"name": "a", "children": [{"name": "b"}]}', Tree(name="a", children=[Tree(name="b")])),
        (Meeting, '{"day": "2026-01-02", "people": ["Ada"]}', Meeting(date(2026, 1, 2), ["Ada"])),
        (Severity, "high", Severity.HIGH),
        (Severity, ' "high"\n', Severity.HIGH),
        (Severity, '{"value": "low"}', Severity.LOW),
        (Severity, "```\nlow\n```", Severity.LOW),
        (Literal["yes", "no"], "yes", "yes"),
        (Literal["1", "2"], "2", "2"),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[Verdict], '[{"label": "a", "score": 0}]', [Verdict(label="a", score=0)]),
        (dict[str, int], '{"value": 3}', {"value": 3}),
        (bool, "true", True),
        (bool, "yes", True),
        (int, " 42 ", 42),
        (float, '{"value": 0.5}', 0.5),
        (Verdict | None, "null", None),
        (tuple[int, str], '{"value": [1, "a"]}', (1, "a")),
    ],
)
def test_a_reply_becomes_the_type_asked_for(kind, reply, value):
    assert Agent(ScriptedModel([reply]), "x", output=kind).execute_sync("go") == value


def test_the_model_is_asked_with_everything_it_needs():
    model = ScriptedModel([Verdict(label="a", score=0)])
    judge = Agent(model, "Judge it.", input=Verdict, output=Verdict)
    judge.execute_sync(Verdict(label="x", score=1))
    [request] = model.requests
    assert [(m.role, m.text) for m in request.messages] == [
        ("system", "Judge it."),
        ("user", '{"label":"x","score":1.0}'),
    ]
    assert (request.output.name, request.output.schema["type"]) == ("Verdict", "object")
    assert (request.tools, request.stream) == ((), False)


def test_what_is_not_an_object_travels_in_one_with_its_definitions_at_the_root():
    model = ScriptedModel([[]])
    Agent(model, "x", output=list[Tree]).execute_sync("go")
    schema = model.requests[0].output.schema
    assert (schema["type"], schema["required"]) == ("object", ["value"])
    assert "Tree" in schema["$defs"]
    assert "$defs" not in schema["properties"]["value"]


def test_a_model_that_knows_neither_schemas_nor_tools_is_asked_in_words():
    model = ScriptedModel([Verdict(label="a", score=0)], abilities=Abilities(output_schema=False, tools=False))
    Agent(model, "Judge it.", output=Verdict).execute_sync("go")
    [request] = model.requests
    assert request.output is None
    assert "JSON schema" in request.messages[0].text
    assert '"score"' in request.messages[0].text


@pytest.mark.parametrize("value", [Verdict(label="x", score=1), {"label": "x", "score": 1}])
def test_input_is_validated_and_text_takes_a_model(value):
    model = ScriptedModel(["a", "b"])
    Agent(model, "x", input=Verdict).execute_sync(value)
    assert model.requests[0].messages[-1].text == '{"label":"x","score":1.0}'
    Agent(model, "x").execute_sync(Verdict(label="x", score=1))
    assert model.requests[1].messages[-1].text == '{"label":"x","score":1.0}'
    with pytest.raises(errors.InputValidationError):
        Agent(model, "x").execute_sync(5)


def test_a_tuple_is_rendered_by_its_types():
    model = ScriptedModel(["done"])
    Agent(model, "x", input=tuple[Verdict, str]).execute_sync((Verdict(label="x", score=1), "words"))
    assert model.requests[0].messages[-1].text == 'Verdict:\n{"label":"x","score":1.0}\n\nstr:\nwords'


# A second try


def test_a_broken_reply_goes_back_with_what_is_wrong():
    model = ScriptedModel(['{"label": "ok", "score": 7}', Verdict(label="ok", score=0.7)])
    judge = Agent(model, "Judge.", output=Verdict)
    run = judge.start("go")
    assert run.wait().score == 0.7
    repair = model.requests[1].messages
    assert [m.role for m in repair] == ["system", "user", "assistant", "user"]
    assert "score: Input should be less than or equal to 1" in repair[-1].text
    assert [event.sender for event in run.past if event.kind == "said"] == ["instructions", "input", "validation"]


def test_after_the_last_try_the_error_carries_the_raw_text_and_the_run_is_failed():
    model = ScriptedModel(["nonsense", '{"label": 5}', "still nonsense"])
    judge = Agent(model, "Judge.", output=Verdict, output_attempts=3)
    run = judge.start("go")
    with pytest.raises(errors.OutputValidationError, match="asked for Verdict and replied 3 times") as raised:
        run.wait()
    assert (raised.value.raw, raised.value.where) == ("still nonsense", "judge")
    assert "output_attempts" in raised.value.remedy
    assert (run.status, len(model.requests)) == ("failed", 3)
    assert quire.runs()[["status", "error_type"]].values.tolist() == [["failed", "OutputValidationError"]]


def test_a_reply_cut_off_says_so_to_the_model():
    cut = Answer(message=Message.of("assistant", '{"label": "o'), finish_reason="length", usage=None)
    model = ScriptedModel([cut, Verdict(label="ok", score=0)])
    Agent(model, "Judge.", output=Verdict).execute_sync("go")
    assert "cut off at the limit of tokens" in model.requests[1].messages[-1].text


# Living agents


async def test_many_at_once_do_not_mix():
    model = ScriptedModel([lambda request: request.messages[-1].text.upper()] * 20)
    agent = Agent(model, "Echo.")
    assert await asyncio.gather(*(agent.execute(f"q{n}") for n in range(20))) == [f"Q{n}" for n in range(20)]


def test_another_model_serves_the_next_run():
    first, second = ScriptedModel(["one", "never"], model="first"), ScriptedModel(["two"], model="second")
    agent = Agent(first, "x")
    assert agent.execute_sync("a") == "one"
    agent.llm = second
    run = agent.start("b")
    assert run.wait() == "two"
    assert [event.model for event in run.past if event.kind == "requested"] == ["second"]
    with pytest.raises(errors.DefinitionError):
        agent.llm = "gpt-4o"


def test_another_model_serves_the_next_question_of_a_turn_that_has_begun():
    abilities = Abilities(output_schema=False, tools=False)
    second = ScriptedModel([Verdict(label="b", score=0)], model="second", abilities=abilities)

    def swap(key: str) -> str:
        """Swap."""
        agent.llm = second
        return key

    uses = [ToolUse("swap", {"key": "k"}), ToolUse("swap", {"key": "l"})]
    first = ScriptedModel([uses, "never"], model="first")
    agent = Agent(first, "Judge.", output=Verdict, tools=[swap])
    run = agent.start("a")
    assert run.wait().label == "b"
    assert run.calls["model"].tolist() == ["first", "second"]
    [before], [after] = first.requests, second.requests
    assert [m.role for m in after.messages] == ["system", "user", "assistant", "tool"]
    assert [call.arguments for call in after.messages[2].calls] == ['{"key": "k"}', '{"key": "l"}']
    assert [part.text for part in after.messages[3].parts] == ["k", "l"]
    assert (before.output.name, before.messages[0].text) == ("Verdict", "Judge.")
    assert after.output is None
    said = [event for event in run.past if event.kind == "said"]
    assert [event.sender for event in said] == ["instructions", "input", "instructions"]
    assert said[-1].text == after.messages[0].text
    assert "JSON schema" in said[-1].text


def test_words_are_streamed_only_to_who_watches():
    model = ScriptedModel(["a b c", "a b c"])
    agent = Agent(model, "x")
    agent.execute_sync("go")
    assert [r.stream for r in model.requests] == [False]

    async def watch():
        return [event.kind async for event in agent.stream("go")]

    seen = asyncio.run(watch())
    assert seen.count("delta") == 3
    assert seen.index("delta") < seen.index("responded")
    assert model.requests[1].stream is True


async def test_a_model_that_fails_fails_the_run_with_its_own_error():
    error = errors.RateLimited("Too many.", remedy="Wait.", status=429)
    agent = Agent(ScriptedModel([error]), "x", name="agent_x")
    run = agent.start("go")
    with pytest.raises(errors.RateLimited) as raised:
        await run
    assert (raised.value.status, raised.value.where) == (429, "agent_x › scripted")
    assert [event.kind for event in run.past][-2:] == ["failed", "failed"]
    assert run.calls["error_type"].tolist() == ["RateLimited"]


async def test_a_cancelled_call_is_recorded_with_the_runs_reason():
    class Slow(ScriptedModel):
        async def ask(self, request):
            await asyncio.Event().wait()
            yield

    run = Agent(Slow([]), "x", name="a").start("go")
    await asyncio.sleep(0.01)
    await run.cancel("enough")
    assert [(event.kind, event.reason) for event in run.past[-2:]] == [("cancelled", "enough")] * 2


def test_a_script_that_is_too_short_says_so():
    with pytest.raises(errors.DefinitionError, match="has 0 replies"):
        Agent(ScriptedModel([]), "x").execute_sync("go")


# Wrong from the start


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"llm": "gpt-4o"}, "no model to ask"),
        ({"llm": None}, "no model to ask"),
        ({"instructions": None}, "no words"),
        ({"instructions": 5}, "no words"),
        ({"input": "text"}, "is a value, not a type"),
        ({"output": None}, "is a value, not a type"),
        ({"output": Verdict(label="a", score=0)}, "is a value, not a type"),
        ({"retry": "often"}, "does not say how often to try"),
        ({"output_attempts": 0}, "makes no sense"),
        ({"output_attempts": True}, "makes no sense"),
        ({"output_attempts": 1.5}, "makes no sense"),
        ({"max_tool_rounds": -1}, "makes no sense"),
        ({"tools": ["search"]}, "'search' is not a tool"),
        ({"tools": "search"}, "is no list"),
        ({"tools": 5}, "is no list"),
        ({"tools": test_words_are_streamed_only_to_who_watches}, "is no list"),
        ({"tools": [lambda x: x]}, "does not say what"),
    ],
)
def test_wrong_arguments_are_refused_where_they_are_written(arguments, message):
    right = {"llm": LLM("offline"), "instructions": "x"}
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        Agent(**{**right, **arguments})
    assert raised.value.remedy
    assert isinstance(raised.value, ValueError)


def test_two_tools_with_one_name():
    @Step(name="find it")
    async def first(key: str) -> str:
        return key

    @Step(name="find_it")
    async def second(key: str) -> str:
        return key

    with pytest.raises(errors.DefinitionError, match="Two tools are called `find_it`"):
        Agent(LLM("offline"), "x", tools=[first, second])
