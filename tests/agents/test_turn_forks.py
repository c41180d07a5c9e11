"""Runs of agents that are forked in the middle of a turn, with something that was said changed."""

import pytest

from quire import Agent, Process, Retry, Step, Tool, errors
from quire.core.messages import Message, ToolResult
from quire.core.ports import Answer
from quire.core.usage import Usage
from quire.testing import ScriptedModel, ToolUse
from tests.kit import kinds

used: list[str] = []


@pytest.fixture(autouse=True)
def nothing_used():
    used.clear()


@Tool
async def search(words: str) -> dict[str, int]:
    """Search."""
    used.append(words)
    return {words: len(words)}


@Tool
async def weigh(words: str) -> int:
    """Weigh."""
    used.append(f"weigh {words}")
    return 7


def results(request):
    """What a model was told by tools, in order."""
    return [part.text for message in request.messages for part in message.parts if isinstance(part, ToolResult)]


def told(request):
    """Reply with all that tools gave."""
    return " ".join(results(request))


def seeker(*replies, **options):
    model = ScriptedModel([*replies, *[told] * 9])
    return Agent(model, "Seek.", name="seeker", tools=options.pop("tools", [search, weigh]), **options), model


def look(words):
    return ToolUse("search", {"words": words})


async def finished(runnable, value="?"):
    run = runnable.start(value)
    await run
    used.clear()
    return run


async def test_what_a_tool_gave_is_edited_and_the_model_asked_again_from_there():
    agent, model = seeker(look("a"), look("bb"), look("ccc"))
    run = await finished(agent)
    assert run.result == '{"a":1} {"bb":2} {"ccc":3}'
    # The script goes on: what the model is asked anew, it answers anew.
    fork = run.fork(edit={"search[1]": {"bb": 99}})
    assert await fork == '{"a":1} {"bb":99}'
    assert (used, len(model.requests)) == ([], 5)
    assert fork.tools[["tool", "result"]].values.tolist() == [["search", '{"a":1}'], ["search", '{"bb":99}']]
    assert fork.calls["cached"].tolist() == [True, True, False]
    assert fork.calls["output_tokens"].tolist()[:2] == [0, 0]
    assert fork.cost["cost_usd"].sum() == 0
    assert run.result == '{"a":1} {"bb":2} {"ccc":3}'
    assert await run.fork(edit={"search[2]": {"c": 0}}) == '{"a":1} {"bb":2} {"c":0}'


async def test_siblings_of_the_same_reply_keep_what_they_gave():
    agent, _ = seeker([look("a"), look("bb"), ToolUse("weigh", {"words": "x"})], look("later"))
    run = await finished(agent)
    fork = run.fork(edit={"search[0]": {"a": 50}})
    assert await fork == '{"a":50} {"bb":2} 7'
    assert used == []
    assert kinds(fork).count("called") == 3
    assert await run.fork(edit={"weigh": 8, "search[1]": {}}) == '{"a":1} {} 8'


async def test_an_error_of_a_tool_is_edited_to_a_result():
    @Tool
    async def breaks() -> str:
        """Break."""
        raise OSError("the line is dead")

    agent, _ = seeker(ToolUse("breaks"), tools=[breaks])
    run = await finished(agent)
    assert "dead" in run.result
    fork = run.fork(edit={"breaks": "fine"})
    assert await fork == "fine"
    assert fork.tools["error"].isna().all()


async def test_two_calls_one_after_the_other_cannot_both_be_edited():
    agent, _ = seeker(look("a"), look("bb"))
    run = await finished(agent)
    with pytest.raises(errors.DefinitionError, match="depends on something else that was edited"):
        run.fork(edit={"search[0]": {}, "search[1]": {}})


@pytest.mark.parametrize(
    ("name", "words"),
    [("search", "ran 2 times.*search\\[0\\]"), ("search[2]", "These had: seeker, search"), ("find", "no output of")],
)
async def test_a_name_that_means_nothing_or_too_much_is_an_error(name, words):
    agent, _ = seeker(look("a"), look("bb"))
    run = await finished(agent)
    with pytest.raises(errors.DefinitionError, match=f"(?s){words}"):
        run.fork(edit={name: {}})


async def test_an_agent_inside_of_a_process_has_its_tools_below_its_name():
    @Step
    async def shout(text: str) -> str:
        used.append("shout")
        return text.upper()

    @Step
    async def ask(text: str) -> str:
        used.append("ask")
        return text

    agent, _ = seeker(look("a"))
    run = await finished(ask >> agent >> shout)
    assert run.result == '{"A":1}'
    assert await run.fork(edit={"seeker/search": {"b": 2}}) == '{"B":2}'
    assert used == ["shout"]
    inner = Process(input=str, output=str, name="inner")
    inner.add(agent)
    outer = await finished(ask >> inner >> shout)
    with pytest.raises(errors.DefinitionError, match="no output of `inner/seeker/search`"):
        outer.fork(edit={"inner/seeker/search": 1})
    assert await outer.fork(edit={"inner/seeker": "given"}) == "GIVEN"


async def test_an_agent_that_is_a_tool_is_edited_in_its_own_turn_and_as_a_whole():
    helper = Agent(ScriptedModel([look("a"), told, told, told]), "Help.", name="helper", tools=[search])
    agent, _ = seeker(ToolUse("helper", {"input": "x"}), tools=[helper])
    run = await finished(agent)
    assert run.result == '{"a":1}'
    fork = run.fork(edit={"helper/search": {"b": 2}})
    assert await fork == '{"b":2}'
    assert used == []
    assert len(fork.nodes) == 2
    assert await run.fork(edit={"helper": "by hand"}) == "by hand"
    assert used == []
    assert len(helper.llm.requests) == 3


async def test_of_agents_that_are_a_tool_one_call_is_edited():
    helper = Agent(ScriptedModel(["one", "two", "three"]), "Help.", name="helper")
    uses = [ToolUse("helper", {"input": "x"}), ToolUse("helper", {"input": "y"})]
    agent, _ = seeker(uses, tools=[helper])
    run = await finished(agent)
    assert run.result == "one two"
    assert await run.fork(edit={"helper[1]": "2"}) == "one 2"
    with pytest.raises(errors.DefinitionError, match="ran 2 times"):
        run.fork(edit={"helper": "2"})


async def test_a_step_inside_of_a_tool_is_edited_and_the_tool_used_again_from_there():
    @Step
    async def count(words: str) -> int:
        used.append(f"count {words}")
        return len(words)

    @Tool
    async def measure(words: str) -> str:
        """Measure."""
        used.append("measure")
        return f"{await count.execute(words)} long"

    agent, _ = seeker(ToolUse("measure", {"words": "abc"}), tools=[measure])
    run = await finished(agent)
    assert await run.fork(edit={"count": 40}) == "40 long"
    assert used == ["measure"]


async def test_another_message_of_the_user_asks_all_anew():
    model = ScriptedModel([lambda request: request.messages[-1].text.upper()] * 3)
    agent = Agent(model, "Talk.", name="agent")
    run = await finished(agent, "hello")
    fork = run.fork(edit={"input": "goodbye"})
    assert await fork == "GOODBYE"
    assert fork.messages["text"].tolist() == ["Talk.", "goodbye", "GOODBYE"]


async def test_the_last_words_of_an_agent_are_edited_with_nothing_of_its_turn_left():
    agent, model = seeker(look("a"))
    run = await finished(agent)
    fork = run.fork(edit={"seeker": "other words"})
    assert await fork == "other words"
    assert len(model.requests) == 2
    assert fork.tools.empty


async def test_from_each_place_of_a_turn_what_came_before_is_not_asked_or_used_again():
    def reply(request):
        return {0: [look("a"), look("bb")], 2: look("ccc")}.get(len(results(request))) or told(request)

    agent, model = seeker(*[reply] * 99)
    run = await finished(agent)
    for seq in range(1, len(run.past)):
        used.clear()
        asked = len(model.requests)
        fork = run.fork(at=seq)
        assert await fork == run.result
        known = [event.kind for event in run.past[:seq]]
        assert len(model.requests) - asked == 3 - known.count("responded")
        assert len(used) == 3 - known.count("returned")
        assert fork.messages[["turn", "sender", "text"]].equals(run.messages[["turn", "sender", "text"]])


async def test_an_edit_of_a_turn_that_failed_goes_on_with_it():
    agent, _ = seeker(look("a"), errors.Overloaded("busy"))
    run = agent.start("?")
    with pytest.raises(errors.Overloaded):
        await run
    assert await run.fork(edit={"search": {"b": 2}}) == '{"b":2}'


async def test_a_reply_that_did_not_fit_after_an_edit_is_not_remembered():
    replies = [look("a"), "no number", "5", "6"]
    agent = Agent(ScriptedModel(replies), "Count.", name="counter", tools=[search], output=int)
    run = await finished(agent)
    fork = run.fork(edit={"search": {}})
    assert await fork == 6
    assert "validation" not in fork.messages["sender"].tolist()


async def test_a_fork_can_be_forked():
    agent, _ = seeker(look("a"), look("bb"))
    run = await finished(agent)
    first = run.fork(edit={"search[0]": {"x": 1}})
    model_says = await first
    assert model_says == '{"x":1}'
    assert await first.fork(edit={"search": {"y": 2}}) == '{"y":2}'
    assert await agent.fork(first.id) == '{"x":1}'


async def test_what_was_paid_for_in_the_other_run_costs_nothing_in_a_fork():
    busy = errors.Overloaded("busy")
    reply = Message(role="assistant", parts=())
    busy.answered = Answer(message=reply, finish_reason="error", usage=Usage(input_tokens=5, output_tokens=3))
    agent, _ = seeker(busy, look("a"), retry=Retry(max_attempts=2, backoff=0.001))
    run = await finished(agent)
    assert run.calls["output_tokens"].sum() > 3
    assert run.fork().calls["output_tokens"].sum() == 0
    fork = run.fork(edit={"search": {}})
    await fork
    assert fork.calls["output_tokens"].sum() == fork.calls["output_tokens"].iloc[-1]
