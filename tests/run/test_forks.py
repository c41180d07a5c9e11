"""Time travel: every view of an earlier moment, and new runs that go on from there with something changed."""

import asyncio

import pytest
from pydantic import BaseModel

import quire
from quire import Agent, Process, Step, Tool, errors
from quire.events import Forked, Responded, Started
from quire.testing import ScriptedModel, ToolUse
from tests.kit import kinds, tables_of


class Plan(BaseModel):
    points: list[str]


class Text(BaseModel):
    words: str


ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


@Step
async def plan(topic: str) -> Plan:
    ran.append("plan")
    return Plan(points=[topic])


@Step
async def facts(topic: str) -> int:
    ran.append("facts")
    return len(topic)


@Step
async def write(plan: Plan) -> Text:
    ran.append("write")
    return Text(words=" ".join(plan.points))


@Step
async def publish(text: Text, facts: int) -> str:
    ran.append("publish")
    return f"{text.words} ({facts})"


def book():
    flow = Process(input=str, output=str, name="book")
    planned, known = flow.add(plan), flow.add(facts)
    written = flow.add(write, inputs=planned)
    flow.add(publish, inputs={"text": written, "facts": known})
    return flow


async def finished(flow, value):
    run = flow.start(value)
    await run
    ran.clear()
    return run


# Moments


@pytest.mark.may_block
async def test_every_moment_has_all_views():
    run = await finished(book(), "bees")
    for seq in range(1, len(run.past) + 1):
        then = run.at(seq)
        assert len(then.events) == seq
        assert tables_of(then.past) == tables_of(run.past[:seq])
        assert then.visualize("svg").startswith("<svg")
    assert run.at(1).status == "running"
    assert run.at(len(run.past)).output == run.result
    assert quire.load(run.id).at(3).nodes["status"].tolist() == run.at(3).nodes["status"].tolist()


async def test_a_moment_is_named_by_a_cell_of_a_table():
    run = await finished(book(), "bees")
    seq = run.events["seq"].iloc[2]
    assert len(run.at(seq).past) == 3
    fork = run.fork(at=seq)
    assert await fork == run.result
    assert fork.past[3].upto == 3
    assert quire.load(fork.id).status == "succeeded"


@pytest.mark.parametrize("seq", [0, -1, 99, 1.5, None, "2"])
async def test_a_moment_that_never_was_is_an_error(seq):
    run = await finished(book(), "bees")
    with pytest.raises(errors.DefinitionError, match="has no place"):
        run.at(seq)
    if seq is not None:
        with pytest.raises(errors.DefinitionError, match="has no place"):
            run.fork(at=seq)


# Edits


async def test_only_what_depends_on_an_edit_runs_anew():
    run = await finished(book(), "bees")
    fork = run.fork(edit={"plan": Plan(points=["wasps", "too"])})
    assert await fork == "wasps too (4)"
    assert sorted(ran) == ["publish", "write"]
    assert (run.result, fork.id != run.id) == ("bees (4)", True)
    assert next(event for event in fork.past if isinstance(event, Forked)).source == run.id
    assert {event.run for event in fork.past} == {fork.id}
    assert [event.seq for event in fork.past] == list(range(1, len(fork.past) + 1))


async def test_a_fork_reads_as_a_run_of_its_own():
    run = await finished(book(), "bees")
    fork = run.fork(edit={"write": {"words": "short"}})
    assert await fork == "short (4)"
    assert ran == ["publish"]
    nodes = fork.nodes.set_index("node")
    assert set(nodes["status"]) == {"succeeded"}
    assert nodes["attempt"].tolist() == [1] * 5
    assert nodes.loc["write", "output"] == '{"words":"short"}'
    assert quire.load(fork.id).output == "short (4)"
    assert len(quire.runs()) == 2
    assert fork.fold().head()["done"] == 4


async def test_another_input_runs_everything_anew():
    run = await finished(book(), "bees")
    assert await run.fork(edit={"input": "ants!"}) == "ants! (5)"
    assert len(ran) == 4


async def test_without_an_edit_a_fork_goes_on_from_a_moment():
    run = await finished(book(), "bees")
    began = next(event.seq for event in run.past if isinstance(event, Started) and event.name == "publish")
    assert await run.fork(at=began) == run.result
    assert ran == ["publish"]
    ran.clear()
    assert await run.fork(at=1) == run.result
    assert len(ran) == 4
    ran.clear()
    assert await run.fork() == run.result
    assert ran == []


async def test_a_run_that_is_only_kept_is_forked_by_what_made_it(tmp_path):
    run = await finished(book(), "bees")
    edit = {"write": Text(words="kept")}
    assert await book().fork(run.id, edit=edit) == "kept (4)"
    assert await book().fork(quire.load(run.export(tmp_path / "run.jsonl")), edit=edit) == "kept (4)"


async def test_a_failed_run_can_be_forked_around_its_failure():
    @Step
    async def breaks(plan: Plan) -> Text:
        raise ValueError("no words")

    flow = Process(input=str, output=str, name="breaking")
    known, planned = flow.add(facts), flow.add(plan)
    flow.add(publish, inputs={"text": flow.add(breaks, inputs=planned), "facts": known})
    run = flow.start("bees")
    with pytest.raises(ValueError, match="no words"):
        await run
    ran.clear()
    with pytest.raises(errors.DefinitionError, match="no output of `breaks`"):
        run.fork(edit={"breaks": Text(words="x")})
    with pytest.raises(ValueError, match="no words"):
        await run.fork(edit={"plan": Plan(points=[])})
    assert ran == []


async def test_what_is_no_node_and_what_does_not_fit_are_errors():
    run = await finished(book(), "bees")
    with pytest.raises(errors.DefinitionError, match="no output of `plam`"):
        run.fork(edit={"plam": 1})
    with pytest.raises(errors.DefinitionError, match="gives Plan, not 7"):
        await run.fork(edit={"plan": 7})
    with pytest.raises(errors.DefinitionError, match="would run anew"):
        run.fork(edit={"plan": Plan(points=[]), "write": Text(words="")})
    with pytest.raises(errors.SubmitError, match="takes str"):
        run.fork(edit={"input": 4})


# Shapes


def adds(name):
    @Step(name=name)
    async def work(n: int) -> int:
        ran.append(name)
        return n + 1

    return work


async def test_an_edit_inside_a_part_runs_the_rest_of_the_part_and_what_follows():
    inner = Process(input=int, name="inner")
    inner.add(adds("in_two"), inputs=inner.add(adds("in_one")))
    flow = Process(input=int, name="outer")
    flow.add(adds("after"), inputs=flow.add(inner, inputs=flow.add(adds("before"))))
    run = await finished(flow, 0)
    assert await run.fork(edit={"inner/in_one": 10}) == 12
    assert ran == ["in_two", "after"]


async def test_an_edited_iteration_changes_those_after_it():
    flow = Process.loop(adds("again"), until=lambda n: n >= 4)
    run = await finished(flow, 0)
    assert await run.fork(edit={"again[1]": 3}) == 4
    assert ran == ["again"]
    ran.clear()
    assert await run.fork(edit={"again": 7}) == 7
    assert ran == []


async def test_an_edited_item_changes_no_other():
    flow = Process.for_each(adds("each"))
    run = await finished(flow, [1, 2, 3])
    node = next(name for name in run.nodes["node"] if name.endswith("each") and "/" not in name)
    assert await run.fork(edit={f"{node}[1]": 50}) == [2, 50, 4]
    assert ran == []
    with pytest.raises(errors.DefinitionError, match="ran 3 times"):
        run.fork(edit={node: 50})


async def test_another_answer_takes_another_way():
    @Step
    async def decide(n: int) -> str:
        ran.append("decide")
        return "left"

    flow = Process.branch(decide, {"left": adds("go_left"), "right": adds("go_right")}, name="ways")
    run = await finished(flow, 1)
    fork = run.fork(edit={"decide": "right"})
    assert await fork == 2
    assert ran == ["go_right"]
    assert fork.nodes.set_index("node")["status"].to_dict() == {
        "ways": "succeeded",
        "decide": "succeeded",
        "go_left": "skipped",
        "go_right": "succeeded",
    }


async def test_another_winner_can_be_given():
    @Step
    async def slow(n: int) -> int:
        await asyncio.Event().wait()
        return n

    flow = Process.race(adds("fast"), slow) >> adds("next")
    run = await finished(flow, 1)
    group = next(name for name in run.nodes["node"] if name.endswith("/fast"))
    assert await run.fork(edit={group: 10}) == 11
    assert ran == ["next"]


# Conversations


@Tool
async def look(n: int) -> int:
    """Look."""
    ran.append("look")
    return n


async def test_an_agents_reply_is_edited_as_any_output():
    first = Agent(ScriptedModel([ToolUse("look", {"n": 4}), "four"]), "Look.", name="first", tools=[look])
    second = Agent(ScriptedModel(["FOUR", "FIVE"]), "Shout.", name="second")
    run = await finished(first >> second, "?")
    fork = run.fork(edit={"first": "five"})
    assert await fork == "FIVE"
    assert ran == []
    assert second.llm.requests[1].messages[-1].text == "five"
    assert run.result == "FOUR"


async def test_a_conversation_goes_on_from_the_middle_and_pays_once():
    model = ScriptedModel([ToolUse("look", {"n": 4}), "four", "quattro"])
    agent = Agent(model, "Look.", name="agent", tools=[look])
    run = await finished(agent, "?")
    looked = next(event.seq for event in run.past if event.kind == "returned")
    fork = run.fork(at=looked)
    assert await fork == "quattro"
    assert (ran, len(model.requests)) == ([], 3)
    assert kinds(fork).count("responded") == 2
    assert fork.messages["role"].tolist() == run.messages["role"].tolist()
    kept = next(event for event in fork.past if isinstance(event, Responded))
    assert (kept.cached, kept.cost_usd, kept.usage.input_tokens) == (True, 0.0, 0)


async def test_a_tool_whose_call_had_not_ended_is_used_anew():
    agent = Agent(ScriptedModel([ToolUse("look", {"n": 4}), "four", "4"]), "Look.", name="agent", tools=[look])
    run = await finished(agent, "?")
    called = next(event.seq for event in run.past if event.kind == "called")
    assert await run.fork(at=called) == "4"
    assert ran == ["look"]


async def test_a_fork_that_breaks_off_is_gone_on_with():
    model = ScriptedModel(["one", errors.Overloaded("busy"), "two"])
    agent = Agent(model, "Talk.", name="agent")
    flow = plan_words >> agent
    run = await finished(flow, "a")
    fork = run.fork(edit={"plan_words": "b"})
    with pytest.raises(errors.Overloaded):
        await fork
    assert await flow.resume(fork.id) == "two"
    assert ran == []


@Step
async def plan_words(topic: str) -> str:
    ran.append("plan_words")
    return topic
