"""Runs that go on after they had broken off: nothing is done twice, nothing is lost."""

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

import quire
from quire import Agent, Pipeline, Process, Step, Tool, current_context, errors
from quire.events import Resumed, Succeeded
from quire.run import bridge
from quire.run.runtime import store
from quire.testing import ScriptedModel, ToolUse, in_memory
from tests import crashes
from tests.crashes import SHAPES, STORES
from tests.kit import ROOT, kinds, output_of, program


class Note(BaseModel):
    text: str


class Handle:
    """Something that JSON does not hold."""

    def __init__(self, number: int) -> None:
        self.number = number


# Killed


@pytest.fixture(scope="module")
def chaos():
    """Return what is printed when runs of every shape are killed in every store, and so are the servers."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--kills", "50", "--restarts", "1", "--seed", "4"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not done.stderr
    return done


@pytest.mark.parametrize("name", [*SHAPES, *STORES])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(chaos, name):
    line = next(line for line in chaos.stdout.splitlines() if line.startswith(name))
    if "left out" in line:
        pytest.skip(line)
    assert " 0 wrong" in line, chaos.stdout


def test_nothing_went_wrong_after_any_kill(chaos):
    assert (chaos.returncode, " 0 problems" in chaos.stdout) == (0, True), chaos.stdout


# Broken off at every place


async def broken_off(run, make, places):
    """Yield runs that go on after so many events of another, each kept by itself."""
    for place in places:
        with in_memory() as kept:
            await kept.append(run.log.stream, run.past[:place], 0)
            again = make().resume(run.id)
            await again
            yield place, again


@pytest.mark.parametrize("name", ["chain", "race", "loop", "branch", "nested", "agent"])
@pytest.mark.may_block
async def test_it_goes_on_from_every_place_in_its_log(name, tmp_path, monkeypatch):
    shape = SHAPES[name]
    monkeypatch.setattr(crashes, "world", crashes.World(tmp_path), raising=False)
    whole = shape.make().start(shape.input)
    result = await whole
    async for place, run in broken_off(whole, shape.make, range(1, len(whole.past))):
        assert run.result == result, place
        assert crashes.told(run.past) == crashes.told(whole.past), place


async def test_who_has_lost_a_race_does_not_run_again(tmp_path, monkeypatch):
    shape, world = SHAPES["race"], crashes.World(tmp_path)
    monkeypatch.setattr(crashes, "world", world, raising=False)
    whole = shape.make().start(shape.input)
    await whole
    won = next(event.seq for event in whole.past if isinstance(event, Succeeded))
    async for _, run in broken_off(whole, shape.make, [won]):
        assert run.nodes.set_index("node")["status"].filter(like="slow").tolist() == ["cancelled"]
    assert world.lines("work").count("slow 0") == 1


# Gone on with, in the same process


def broken(*, times=1, error=ValueError):
    """Return a flow whose second step fails at first, and what ran."""
    ran: list[str] = []

    @Step
    async def first(n: int) -> Note:
        ran.append("first")
        return Note(text=str(n))

    @Step
    async def second(note: Note) -> float:
        ran.append("second")
        if ran.count("second") <= times:
            raise error("not yet")
        return float(note.text)

    return Pipeline(first, second, name="flow"), ran


async def failed(flow, value, error=ValueError):
    """Start a run that fails, and return it when it has."""
    run = flow.start(value)
    with pytest.raises(error):
        await run
    return run


async def test_what_failed_is_tried_again_and_what_succeeded_is_not():
    flow, ran = broken()
    run = flow.resume((await failed(flow, 4)).id)
    assert await run == 4.0
    assert ran == ["first", "second", "second"]
    assert run.nodes[["node", "status", "attempt"]].values.tolist() == [
        ["flow", "succeeded", 2],
        ["first", "succeeded", 1],
        ["second", "succeeded", 2],
    ]
    assert kinds(run).count("resumed") == 2


async def test_a_run_that_went_on_is_one_row_and_has_succeeded():
    flow, _ = broken()
    run = await failed(flow, 4)
    await flow.resume(run.id)
    assert quire.runs()[["run", "status"]].values.tolist() == [[run.id, "succeeded"]]
    assert quire.load(run.id).output == 4.0
    head = quire.load(run.id).fold().head()
    assert (head["status"], head["error"], head["done"], head["total"]) == ("succeeded", None, 2, 2)


async def test_a_run_that_failed_twice_goes_on_twice():
    flow, ran = broken(times=2)
    run = await failed(flow, 4)
    with pytest.raises(ValueError, match="not yet"):
        await flow.resume(run.id)
    assert quire.load(run.id).status == "failed"
    assert await flow.resume(run.id) == 4.0
    assert ran == ["first", "second", "second", "second"]


async def test_one_that_has_ended_well_gives_its_result_and_writes_nothing():
    flow, ran = broken(times=0)
    run = flow.start(3)
    await run
    again = flow.resume(run.id)
    assert (await again, again.status, again.id) == (3.0, "succeeded", run.id)
    assert (len(again.past), len(ran)) == (len(run.past), 2)


async def test_a_node_that_was_skipped_for_an_error_runs_after_all():
    flow, _ = broken()

    @Step
    async def third(n: float) -> str:
        return f"{n}"

    steps = Pipeline(*flow.steps, third, name="longer")
    run = steps.resume((await failed(steps, 2)).id)
    assert await run == "2.0"
    assert run.nodes.set_index("node").loc["third", "status"] == "succeeded"
    assert run.nodes["node"].is_unique


async def test_values_come_back_as_the_types_they_were():
    given: list[Any] = []

    @Step
    async def make(n: int) -> tuple[Note, set[int]]:
        return Note(text="x"), {n}

    @Step
    async def take(note: tuple[Note, set[int]]) -> int:
        given.append(note)
        if len(given) == 1:
            raise ValueError
        return 1

    flow = Pipeline(make, take, name="types")
    await flow.resume((await failed(flow, 4)).id)
    assert given == [(Note(text="x"), {4})] * 2


@pytest.mark.parametrize("kind", [Handle, Any, dict], ids=["a class", "Any", "dict"])
async def test_a_step_whose_output_no_record_holds_runs_again(kind):
    made: list[int] = []

    async def make(n: int) -> Any:
        made.append(n)
        return {"inside": (n,)} if kind is dict else Handle(n)

    async def use(handle: Any) -> int:
        if len(made) == 1:
            raise ValueError
        return handle["inside"][0] if kind is dict else handle.number

    make.__annotations__["return"] = use.__annotations__["handle"] = kind
    flow = Step(make) >> Step(use)
    assert await flow.resume((await failed(flow, 4)).id) == 4
    assert made == [4, 4]


async def test_a_result_that_no_record_holds_is_an_error_that_says_so():
    @Step
    async def make(n: int) -> Handle:
        return Handle(n)

    run = make.start(1)
    await run
    with pytest.raises(errors.QuireError, match="cannot be read back"):
        await make.resume(run.id)


async def test_a_flow_whose_result_no_record_holds_takes_its_steps_again():
    @Step
    async def make(n: int) -> Handle:
        return Handle(n)

    @Step
    async def more(handle: Handle) -> Handle:
        return Handle(handle.number + 1)

    run = (make >> more).start(1)
    await run
    assert (await run.runnable.resume(run.id)).number == 2
    assert (await run.fork()).number == 2


async def test_bytes_that_are_no_text_are_not_taken_for_others():
    made: list[int] = []

    @Step
    async def make(n: int) -> bytes:
        made.append(n)
        return b"\xff\x00"

    @Step
    async def use(data: bytes) -> int:
        if len(made) == 1:
            raise ValueError
        return data[-1]

    flow = make >> use
    assert await flow.resume((await failed(flow, 4)).id) == 0
    assert await use.start(b"\xff\x01", key="picture") == 1
    with pytest.raises(errors.SubmitError, match="another input"):
        use.start(b"\xff\x02", key="picture")


async def test_only_items_that_failed_run_again():
    ran: list[int] = []

    @Step
    async def work(n: int) -> int:
        ran.append(n)
        if n == 3 and ran.count(3) == 1:
            raise ValueError
        return n

    flow = Process.for_each(work, max_parallel=1)
    run = flow.resume((await failed(flow, [1, 2, 3, 4])).id)
    assert await run == [1, 2, 3, 4]
    assert ran == [1, 2, 3, 3, 4]
    assert run.fold().snapshot()["nodes"][flow.name]["progress"] == [4, 4]


@pytest.mark.may_block
def test_a_large_fan_out_goes_on_in_proportion(tmp_path):
    items = list(range(20_000))

    @Step
    async def work(n: int) -> int:
        if n == items[-1] and not (tmp_path / "again").exists():
            raise ValueError("not yet")
        return n

    flow = Process.for_each(work)
    run = flow.start(items)
    with pytest.raises(ValueError, match="not yet"):
        run.wait()
    (tmp_path / "again").touch()
    assert sum(flow.resume(run.id).wait()) == sum(items)


async def test_the_fallback_stands_in_again_and_what_failed_is_left_alone():
    ran: list[str] = []

    @Step
    async def fails(n: int) -> int:
        ran.append("fails")
        raise ValueError

    @Step
    async def other(n: int) -> int:
        ran.append(str(current_context().error))
        if len(ran) == 2:
            raise LookupError
        return n

    flow = fails.with_fallback(other)
    assert await flow.resume((await failed(flow, 1, LookupError)).id) == 1
    assert ran[0] == "fails"
    assert len(ran) == 3
    assert "ValueError" in ran[2]


# Agents


async def test_replies_are_not_asked_again_and_tools_not_used_again():
    used: list[int] = []

    @Tool
    def look(n: int) -> int:
        """Look."""
        used.append(n)
        return 2 * n

    model = ScriptedModel([ToolUse("look", {"n": 4}), errors.Overloaded("busy"), "eight"])
    agent = Agent(model, "Look.", name="agent", tools=[look])
    run = agent.resume((await failed(agent, "4?", errors.Overloaded)).id)
    assert (await run, used, len(model.requests)) == ("eight", [4], 3)
    assert model.requests[1].messages == model.requests[2].messages
    assert run.messages["role"].tolist() == ["system", "user", "assistant", "tool", "assistant"]
    assert run.tools["result"].tolist() == ["8"]


async def test_an_agent_that_replied_wrongly_is_asked_again():
    model = ScriptedModel(["no number", "still none", "4"])
    agent = Agent(model, "Count.", name="agent", output=int)
    assert await agent.resume((await failed(agent, "?", errors.OutputValidationError)).id) == 4


async def test_who_answers_now_goes_on_with_the_conversation():
    agent = Agent(ScriptedModel([ToolUse("one"), errors.Overloaded("busy")]), "Go.", name="agent", tools=[one])
    run = await failed(agent, "go", errors.Overloaded)
    agent.llm = other = ScriptedModel(["done"], model="other")
    assert await agent.resume(run.id) == "done"
    assert [message.role for message in other.requests[0].messages] == ["system", "user", "assistant", "tool"]


@Tool
def one() -> int:
    """Give one."""
    return 1


class Till:
    """A tool's work that is stopped in its first time, and what it has done."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.at_work = asyncio.Event()

    @property
    def pay(self):
        async def pay(n: int) -> str:
            """Pay."""
            self.done.append((n, current_context().key))
            if len(self.done) == 1:
                self.at_work.set()
                await asyncio.Event().wait()
            return "paid"

        return pay

    async def stopped(self, *, as_step=False, **promises):
        """Return a run that was stopped while the tool was at work, and what it is a run of."""

        def talk(request):
            return "ok" if request.messages[-1].role == "tool" else ToolUse("pay", {"n": 7})

        tool = Tool(self.pay, **promises)
        flow = tool if as_step else Agent(ScriptedModel([talk] * 9), "Go.", name="agent", tools=[tool])
        run = flow.start({"n": 7} if as_step else "go")
        await self.at_work.wait()
        await run.cancel()
        return run, flow


@pytest.mark.parametrize("as_step", [False, True], ids=["asked for", "as a step"])
async def test_a_tool_that_may_have_done_its_work_is_not_used_again(as_step):
    till = Till()
    run, flow = await till.stopped(as_step=as_step)
    for _ in range(2):  # and it stays so
        with pytest.raises(errors.UnresolvedEffect, match=r"pay\(n=7\)") as caught:
            await flow.resume(run.id)
        assert caught.value.tool == "pay"
    assert till.done == [(7, None)]
    assert quire.load(run.id).status == "failed"


@pytest.mark.parametrize("as_step", [False, True], ids=["asked for", "as a step"])
async def test_with_a_key_it_is_used_again_and_has_the_same_key(as_step):
    till = Till()
    run, flow = await till.stopped(as_step=as_step, idempotency_key=lambda n: f"pay-{n}")
    assert await flow.resume(run.id) == ("paid" if as_step else "ok")
    assert till.done == [(7, "pay-7")] * 2


@pytest.mark.parametrize("as_step", [False, True], ids=["asked for", "as a step"])
@pytest.mark.parametrize("there", [True, False])
async def test_with_verify_it_is_asked_first(as_step, there):
    till = Till()

    async def verify(n: int) -> str | None:
        return "paid before" if there else None

    run, flow = await till.stopped(as_step=as_step, verify=verify)
    again = flow.resume(run.id)
    assert await again == (("paid before" if there else "paid") if as_step else "ok")
    assert len(till.done) == (1 if there else 2)
    if not as_step:
        assert again.tools["result"].tolist() == ['"paid before"' if there else '"paid"']


async def test_an_answer_can_be_given_later_by_defining_the_tool_again():
    till = Till()
    run, flow = await till.stopped()
    with pytest.raises(errors.UnresolvedEffect):
        await flow.resume(run.id)
    wiser = Agent(flow.llm, "Go.", name="agent", tools=[Tool(till.pay, verify=lambda n: f"paid {n}")])
    assert await wiser.resume(run.id) == "ok"
    assert len(till.done) == 1


def test_functions_of_the_arguments_take_them_as_they_like():
    def pay(n: int, to: str) -> str:
        """Pay."""
        return to

    given = {"n": 1, "to": "Ada"}
    for key in (lambda n, to: f"{n} {to}", lambda to, n: f"{n} {to}", lambda order: f"{order.n} {order.to}"):
        tool = Tool(pay, idempotency_key=key)
        assert tool.once.key(tool.accept(given)) == "1 Ada"
    with pytest.raises(errors.DefinitionError, match="takes n, whom"):
        Tool(pay, idempotency_key=lambda n, whom: "")
    with pytest.raises(errors.DefinitionError, match="is no function"):
        Tool(pay, verify=True)


# What cannot be gone on with


async def test_a_run_of_something_else_is_refused():
    flow, _ = broken()
    run = await failed(flow, 1)
    with pytest.raises(errors.QuireError, match="is one of the pipeline `flow`, and not of the tool `one`"):
        one.resume(run.id)


async def test_a_run_that_is_not_there_is_refused():
    with pytest.raises(errors.StoreError, match="There is no run 'nowhere'"):
        one.resume("nowhere")


async def test_a_run_that_is_running_is_refused():
    @Step
    async def wait(n: int) -> int:
        await asyncio.Event().wait()
        return n

    run = wait.start(1)
    with pytest.raises(errors.QuireError, match="is running here"):
        wait.resume(run.id)
    await run.cancel()


async def test_an_input_that_no_record_holds_is_refused():
    @Step
    async def use(handle: Handle) -> int:
        raise ValueError

    with pytest.raises(errors.QuireError, match="cannot be read back as Handle"):
        use.resume((await failed(use, Handle(1))).id)


async def test_a_run_that_another_goes_on_with_stops():
    flow, ran = broken()
    run = await failed(flow, 4)
    again = flow.resume(run.id)
    more = replace(again.past[-1], seq=len(again.past) + 1)
    bridge.aside(lambda: store().append(run.log.stream, [more], len(again.past)))
    with pytest.raises(errors.StreamConflict, match="by another process"):
        await again
    assert ran == ["first", "second"]


async def test_a_run_that_lost_its_log_to_another_process_does_nothing_more():
    going_on, ran = asyncio.Event(), list[str]()

    @Step
    async def slow(n: int) -> str:
        await going_on.wait()
        return str(n)

    @Step
    async def waits(text: str) -> float:
        await asyncio.sleep(5)
        return float(text)

    @Step
    async def last(n: float) -> bool:
        ran.append("last")
        return bool(n)

    run = (slow >> waits >> last).start(1)
    await asyncio.sleep(0)
    await run.log.flush()
    other = Resumed(seq=len(run.past) + 1, at=run.past[-1].at, run=run.id, span=run.past[0].span, parent=None)
    await store().append(run.log.stream, [other], len(run.past))
    going_on.set()
    with pytest.raises(errors.RunCancelled, match="another process went on with it"):
        await run
    assert ran == []


# Keys


async def test_one_key_is_one_run():
    flow, ran = broken(times=0)
    runs = [flow.start(5, key="a"), flow.start(5, key="a")]
    assert runs[0] is runs[1]
    assert [await run for run in runs] == [5.0, 5.0]
    again = flow.start(5, key="a")
    assert (await again, again.id, len(ran)) == (5.0, runs[0].id, 2)
    assert await flow.execute(5, key="b") == 5.0
    assert len(ran) == 4


async def test_a_key_goes_on_with_what_failed():
    flow, ran = broken()
    with pytest.raises(ValueError, match="not yet"):
        await flow.execute(5, key="a")
    assert await flow.execute(5, key="a") == 5.0
    assert ran == ["first", "second", "second"]
    assert len(quire.runs()) == 1


async def test_another_input_under_a_key_is_refused():
    flow, _ = broken(times=0)
    await flow.execute(5, key="a")
    with pytest.raises(errors.SubmitError, match="was started with another input"):
        flow.start(6, key="a")
    with pytest.raises(errors.SubmitError, match="takes int"):
        flow.start("no number", key="c")
    with pytest.raises(errors.DefinitionError, match="names no run"):
        flow.start(6, key="")


async def test_a_key_belongs_to_what_is_run():
    other, _ = broken(times=0)
    flow, _ = broken(times=0)
    other._name = "other"
    assert [await flow.execute(5, key="a"), await other.execute(6, key="a")] == [5.0, 6.0]


async def test_a_key_makes_a_run_of_its_own_also_inside_another():
    flow, ran = broken(times=0)

    @Step
    async def outer(n: int) -> float:
        return await flow.execute(n, key="inner") + await flow.execute(n, key="inner")

    assert await outer.execute(2) == 4.0
    assert ran == ["first", "second"]
    assert sorted(quire.runs()["name"]) == ["flow", "outer"]


def test_a_key_streams_and_works_without_await():
    flow, ran = broken(times=0)

    async def streamed():
        return [event.kind async for event in flow.stream(5, key="a")]

    first = asyncio.run(streamed())
    assert flow.execute_sync(5, key="a") == 5.0
    assert asyncio.run(streamed()) == first
    assert len(ran) == 2


PROGRAM = """
    import asyncio, os, sys
    from quire import Step, Pipeline, errors

    @Step
    async def first(n: int) -> str:
        print("first", flush=True)
        return str(n + 1)

    @Step
    async def second(n: str) -> float:
        print("second", flush=True)
        if os.environ.get("WAITS"):
            await asyncio.sleep(30)
        return int(n) / 2

    try:
        print(Pipeline(first, second, name="flow").execute_sync(4, key="job-42"))
    except errors.StreamConflict as error:
        print(type(error).__name__, error.what)
"""


def test_a_key_means_the_same_run_in_every_process(quire_home):
    dying = program(PROGRAM, quire_home, WAITS="1")
    assert [dying.stdout.readline().strip() for _ in range(2)] == ["first", "second"]
    refused = output_of(PROGRAM, quire_home)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    assert "StreamConflict" in refused
    assert f"is being done by process {dying.pid}" in refused
    assert output_of(PROGRAM, quire_home).split() == ["second", "2.5"]
    assert output_of(PROGRAM, quire_home).split() == ["2.5"]


def test_of_two_processes_that_come_at_once_one_does_the_work(quire_home, tmp_path):
    text = PROGRAM.replace('print("first", flush=True)', "open(os.environ['LIST'], 'a').write('x')")
    both = [program(text, quire_home, LIST=str(tmp_path / "list")) for _ in range(2)]
    said = [one.communicate(timeout=30)[0] for one in both]
    assert (tmp_path / "list").read_text() == "x", said
    assert any("2.5" in one for one in said)
