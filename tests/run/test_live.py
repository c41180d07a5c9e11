"""What a view shows of a run while it goes on, and what the inspector says about its parts."""

import asyncio

import pytest

from quire import Agent, Pipeline, Step, Tool
from quire.events import Delta, Forked, Requested, Started, Succeeded
from quire.testing import ScriptedModel, ToolUse
from quire.views.details import details
from quire.views.live import RunFold
from quire.views.prose import headline
from tests.kit import Draft, Outline, Question, patched, plain


def states(run):
    return {name: node["status"] for name, node in run.fold().snapshot()["nodes"].items()}


async def test_a_node_is_over_when_it_is_over_and_not_when_something_inside_it_is():
    go = asyncio.Event()

    @Step
    async def leaf(n: int) -> int:
        return n

    @Step
    async def tree(n: int) -> int:
        if n:
            return await tree.execute(n - 1)
        await leaf.execute(n)
        await go.wait()
        return n

    run = tree.start(2)
    await asyncio.sleep(0.01)
    assert states(run) == {"tree": "running"}
    assert run.fold().head()["done"] == 0
    go.set()
    await run
    assert states(run) == {"tree": "succeeded"}


async def test_a_pipeline_and_its_step_may_have_one_name():
    go = asyncio.Event()

    @Step
    async def first(n: int) -> str:
        await go.wait()
        return str(n)

    @Step
    async def report(text: str) -> float:
        return float(text)

    run = Pipeline(first, report, name="report").start(1)
    await asyncio.sleep(0.01)
    assert states(run) == {"first": "running", "report": "pending"}
    go.set()
    await run
    assert states(run) == {"first": "succeeded", "report": "succeeded"}
    assert details(run.past, "report").get("input") == {"type": "str", "text": "1"}


async def test_what_was_being_written_when_a_call_failed_is_not_left_standing():
    class Cut(ScriptedModel):
        async def ask(self, request):
            async for piece in super().ask(request):
                yield piece
                raise ConnectionError("cut")

    run, fold = Agent(Cut(["some words"]), "x", name="a").start("go"), RunFold()
    run.log.subscribe(fold.apply)
    with pytest.raises(ConnectionError):
        await run
    message = fold.snapshot()["messages"][-1]
    assert (message["parts"], message["writing"], message["error"]) == ([], False, "failed: cut")


async def test_a_reply_being_written_is_seen_by_who_comes_late():
    go = asyncio.Event()

    class Slow(ScriptedModel):
        async def ask(self, request):
            async for piece in super().ask(request):
                yield piece
                await go.wait()

    run = Agent(Slow(["some words"]), "x", name="a").start("go")
    await asyncio.sleep(0.01)
    fold = run.fold()
    message = fold.snapshot()["messages"][-1]
    assert (message["parts"], message["writing"]) == ([{"type": "text", "text": "some "}], True)
    go.set()
    await run


def test_words_in_a_snapshot_do_not_come_once_more_with_the_next_patch():
    fold = RunFold()
    at = {"at": 0.0, "run": "r", "parent": "1"}
    fold.apply(Started(seq=1, at=0.0, run="r", span="1", parent=None, name="a", of="agent"))
    fold.apply(Requested(seq=2, span="2", agent="a", provider="p", model="m", messages=1, **at))
    fold.patch()
    fold.apply(Delta(seq=2, span="2", text="once ", **at))
    page = plain(fold.snapshot())
    fold.apply(Delta(seq=2, span="2", text="more", **at))
    page = patched(page, plain(fold.patch()))
    assert page["messages"][-1]["parts"] == [{"type": "text", "text": "once more"}]
    fold.apply(Delta(seq=2, span="2", text="!", **at))
    assert fold.patch()["messages"] == [{"id": "1", "append": (0, "!")}]


async def test_a_part_of_a_run_reads_as_a_run_of_its_own():
    agent = Agent(ScriptedModel(["done"]), "x", name="helper")

    @Step
    async def outer(n: int) -> list[str]:
        part = agent.start("go")
        await part
        return [part.status, part.name, part.output, *part.nodes["node"], str(len(part.calls)), str(part).split(":")[0]]

    assert await outer.execute(1) == ["succeeded", "helper", "done", "helper", "1", "helper"]


def test_the_inspector_tells_all_about_a_node():
    @Tool
    def look(key: str) -> str:
        """Look."""
        if key == "bad":
            raise LookupError(key)
        return "found"

    @Step
    async def write(outline: Outline) -> Draft:
        raise ValueError("no points")

    uses = [ToolUse("look", {"key": "a"}), ToolUse("look", {"key": "bad"})]
    planner = Agent(ScriptedModel([uses, Outline(points=[])]), "Plan.", input=Question, output=Outline, tools=[look])
    run = Pipeline(planner, write, name="flow").start(Question(text="x"))
    with pytest.raises(ValueError, match="no points"):
        run.wait()
    plan, broken = details(run.past, "planner"), details(run.past, "write")
    assert (plan["path"], plan["status"], plan["input"]["type"]) == ("flow › planner", "succeeded", "Question")
    assert [message["role"] for message in plan["prompt"]] == ["system", "user", "assistant", "tool", "tool"]
    assert [(use["tool"], use["result"], use["error"]) for use in plan["tools"]] == [
        ("look", "found", None),
        ("look", None, "LookupError: bad"),
    ]
    assert plan["reply"] == '{"points":[]}'
    assert dict(plan["facts"])["model"] == "scripted"
    assert (broken["status"], broken["error"]["path"], broken["output"]) == ("failed", "flow › write", None)
    assert 'raise ValueError("no points")' in broken["error"]["traceback"]
    assert details(run.past, "nobody") is None


def test_the_inspector_knows_what_was_never_reached():
    @Step
    async def plan(question: Question) -> Outline:
        raise ValueError("nothing")

    @Step
    async def write(outline: Outline) -> Draft:
        return Draft(body="")

    run = Pipeline(plan, write, name="flow").start(Question(text="x"))
    with pytest.raises(ValueError, match="nothing"):
        run.wait()
    skipped = details(run.past, "write")
    assert (skipped["status"], skipped["reason"], skipped["input"]) == ("skipped", "needs `plan`, which failed", None)


def test_a_fork_has_taken_as_long_as_its_work_and_not_the_days_between():
    fold = RunFold()
    told = {"run": "2", "parent": None, "span": "1"}
    fold.apply(Started(seq=1, at=10.0, name="both", of="pipeline", **told))
    fold.apply(Forked(seq=2, at=11.0, source="1", **told))
    assert fold.head()["source"] == "1"
    fold.apply(Started(seq=3, at=90_011.0, run="2", span="3", parent="1", name="second", of="step"))
    fold.apply(Succeeded(seq=4, at=90_013.0, **told))
    head = fold.head()
    assert (head["started_at"], head["ended_at"]) == (90_010.0, 90_013.0)
    assert headline(head) == "both: succeeded, forked from 1, 3.0 s"


async def test_the_inspector_tells_where_a_fork_would_begin_a_node_anew():
    @Step
    async def first(n: int) -> str:
        return str(n)

    @Step
    async def second(text: str) -> float:
        return float(text)

    run = Pipeline(first, second, name="both").start(1)
    await run
    begun = {event.name: event.seq for event in run.past if isinstance(event, Started)}
    assert details(run.past, "second")["before"] == begun["second"] - 1
    assert details(run.past[: begun["second"] - 1], "second")["before"] is None
    fork = run.fork(at=details(run.past, "second")["before"])
    assert await fork == 1.0
    assert [event.name for event in fork.past if isinstance(event, Started)] == ["both", "first", "second"]
