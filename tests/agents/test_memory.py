"""Agents that remember: what the next turn is told, what is kept, and what waits for what."""

import asyncio
import itertools
import os
import signal

import pytest

import quire
from quire import LLM, Agent, Memory, Retry, Tool, current_context, errors
from quire.adapters.stores.file import FileStore
from quire.adapters.stores.memory import MemoryStore
from quire.core.events import Compacted, Remembered
from quire.core.messages import File, Message, Text, ToolCall, ToolResult
from quire.core.ports import Abilities, Answer
from quire.core.usage import Usage
from quire.log.log import Log
from quire.run.context import Context
from quire.run.runtime import keep_in, store
from quire.testing import ScriptedModel, ToolUse, in_memory
from tests.kit import Outline, Question, output_of, program


@Tool
def look(key: str) -> str:
    """Look something up."""
    return f"{key} is 4"


def agent(*replies, memory=None, **options):
    model = ScriptedModel(replies)
    return Agent(model, "Help.", memory=memory or Memory(), name=options.pop("name", "helper"), **options), model


def said(request):
    """What a model was told, without the instructions."""
    return [message.text for message in request.messages[1:]]


# What a turn is told


def test_a_turn_goes_on_with_the_session():
    helper, model = agent("Noted.", "Teal.", "Who are you?")
    helper.execute_sync("My colour is teal.", session="user-42")
    assert helper.execute_sync("Which is it?", session="user-42") == "Teal."
    assert said(model.requests[1]) == ["My colour is teal.", "Noted.", "Which is it?"]
    helper.execute_sync("And mine?", session="user-43")
    assert said(model.requests[2]) == ["And mine?"]


async def test_every_verb_takes_a_session():
    helper, model = agent("1", "2", "3", "4")
    await helper.execute("a", session="s")
    await helper.start("b", session="s")
    assert [e.kind async for e in helper.stream("c", session="s")][-1] == "succeeded"
    await asyncio.to_thread(helper.execute_sync, "d", session="s")
    assert said(model.requests[3]) == ["a", "1", "b", "2", "c", "3", "d"]


def test_without_a_name_the_session_is_the_agents_own():
    model = ScriptedModel(["1", "2"])
    keeper = Agent(model, "Help.", memory=Memory())
    keeper.execute_sync("a")
    keeper.execute_sync("b")
    assert said(model.requests[1]) == ["a", "1", "b"]
    assert quire.sessions().session.tolist() == ["keeper"]


def test_instructions_are_the_agents_and_not_remembered():
    memory = Memory()
    first, _ = agent("1", memory=memory)
    first.execute_sync("a", session="s")
    model = ScriptedModel(["2"])
    Agent(model, "Be rude.", memory=memory).execute_sync("b", session="s")
    assert [message.text for message in model.requests[0].messages] == ["Be rude.", "a", "1", "b"]


def test_the_conversation_goes_over_to_another_model_with_its_calls():
    helper, _ = agent(ToolUse("look", {"key": "x"}), "It is 4.", tools=[look])
    helper.execute_sync("What is x?", session="s")
    helper.llm = other = ScriptedModel(["Twice 4."])
    helper.execute_sync("And y?", session="s")
    question, call, result, reply, _ = other.requests[0].messages[1:]
    assert (question.text, reply.text) == ("What is x?", "It is 4.")
    assert [(part.tool, part.arguments) for part in call.calls] == [("look", '{"key": "x"}')]
    assert result.parts == (ToolResult(id=call.calls[0].id, tool="look", text="x is 4"),)


def test_calls_that_a_server_numbers_anew_are_told_apart():
    def uses(key):
        call = ToolCall(id="call_0", tool="look", arguments=f'{{"key": "{key}"}}')
        return Answer(message=Message(role="assistant", parts=(call,)), finish_reason="tool_calls", usage=None)

    helper, model = agent(uses("x"), uses("y"), "done", uses("z"), "done", "end", tools=[look])
    for question in "abc":
        helper.execute_sync(question, session="s")
    parts = [part for message in model.requests[-1].messages for part in message.parts]
    asked = [part for part in parts if isinstance(part, ToolCall)]
    given = [part for part in parts if isinstance(part, ToolResult)]
    assert [call.id for call in asked] == [result.id for result in given] == ["call_0", "call_0_2", "call_0_3"]
    assert [result.text for result in given] == ["x is 4", "y is 4", "z is 4"]


def test_another_agent_goes_on_with_the_same_session():
    memory = Memory()
    one, _ = agent("It is 4.", memory=memory, name="one")
    two, model = agent("Yes.", memory=Memory(), name="two")
    one.execute_sync("x?", session="s")
    two.execute_sync("Sure?", session="s")
    assert said(model.requests[0]) == ["x?", "It is 4.", "Sure?"]
    assert memory.session("s").messages.sender.tolist() == ["input", "one", "input", "two"]


def test_files_are_remembered_whole():
    cat = File.of(b"a cat", "image/png", name="cat.png")
    helper, model = agent("A cat.", "It is asleep.")
    helper.execute_sync(["What is this?", cat], session="s")
    helper.execute_sync("What does it do?", session="s")
    assert model.requests[1].messages[1].parts == (Text(text="What is this?"), cat)


def test_a_reply_by_call_is_remembered_as_words():
    abilities = Abilities(output_schema=False)
    model = ScriptedModel([Outline(points=["a"]), Outline(points=["b"])], abilities=abilities)
    helper = Agent(model, "Help.", output=Outline, memory=Memory())
    helper.execute_sync("x", session="s")
    helper.execute_sync("y", session="s")
    assert [call for message in model.requests[1].messages for call in message.calls] == []
    assert said(model.requests[1]) == ["x", '{"points":["a"]}', "y"]


def test_replies_that_did_not_fit_are_not_remembered():
    abilities = Abilities(output_schema=False)
    replies = ["no json", ToolUse("reply", {"points": 1}), Outline(points=["a"]), Outline(points=["b"])]
    model = ScriptedModel(replies, abilities=abilities)
    helper = Agent(model, "Help.", output=Outline, memory=Memory(), output_attempts=3)
    helper.execute_sync("x", session="s")
    helper.execute_sync("y", session="s")
    assert [message.role for message in model.requests[3].messages] == ["system", "user", "assistant", "user"]
    assert said(model.requests[3]) == ["x", '{"points":["a"]}', "y"]


def test_a_reply_called_together_with_tools_leaves_only_the_tools():
    abilities = Abilities(output_schema=False)
    both = [ToolUse("look", {"key": "x"}), ToolUse("reply", {"points": []})]
    model = ScriptedModel([both, Outline(points=["4"]), Outline(points=["b"])], abilities=abilities)
    helper = Agent(model, "Help.", output=Outline, memory=Memory(), tools=[look])
    helper.execute_sync("x", session="s")
    helper.execute_sync("y", session="s")
    parts = [part for message in model.requests[2].messages for part in message.parts]
    assert [part.tool for part in parts if isinstance(part, ToolCall | ToolResult)] == ["look", "look"]


def test_a_reply_without_words_can_be_gone_on_from():
    empty = Answer(message=Message(role="assistant", parts=()), finish_reason="stop", usage=None)
    helper, model = agent(empty, "b")
    helper.execute_sync("x", session="s")
    assert quire.sessions().input_tokens.isna().tolist() == [True]
    helper.execute_sync("y", session="s")
    assert said(model.requests[1]) == ["x", "(no words)", "y"]


def test_values_are_remembered_as_the_model_was_shown_them():
    helper, model = agent("a", "b", input=Question)
    helper.execute_sync(Question(text="x"), session="s")
    helper.execute_sync(Question(text="y"), session="s")
    assert said(model.requests[1]) == ['{"text":"x"}', "a", '{"text":"y"}']


def test_a_window_never_cuts_a_turn():
    helper, model = agent(
        "1", ToolUse("look", {"key": "x"}), "2", "3", "4", memory=Memory(window=2), tools=[look]
    )  # fmt: skip
    for question in "abcd":
        helper.execute_sync(question, session="s")
    assert [message.role for message in model.requests[-1].messages[1:]] == [
        "user", "assistant", "tool", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert said(model.requests[-1])[0] == "b"


# What is kept


def test_a_turn_that_fails_leaves_nothing_but_its_run():
    helper, model = agent("1", ToolUse("look", {"key": "x"}), errors.Overloaded("busy"), "3", tools=[look])
    helper.execute_sync("a", session="s")
    with pytest.raises(errors.Overloaded):
        helper.execute_sync("b", session="s")
    helper.execute_sync("c", session="s")
    assert said(model.requests[-1]) == ["a", "1", "c"]
    assert quire.runs()[["session", "status"]].values.tolist() == [
        ["s", "succeeded"],
        ["s", "failed"],
        ["s", "succeeded"],
    ]


async def test_a_turn_that_is_cancelled_leaves_nothing():
    hanging = asyncio.Event()

    @Tool
    async def hang() -> str:
        """Hang."""
        hanging.set()
        await asyncio.sleep(9)
        return ""

    helper, model = agent(ToolUse("hang"), "2", tools=[hang])
    run = helper.start("a", session="s")
    await hanging.wait()
    await run.cancel()
    assert await helper.execute("b", session="s") == "2"
    assert said(model.requests[-1]) == ["b"]


async def test_a_turn_is_one_event_that_says_whose_it_is():
    helper, _ = agent(ToolUse("look", {"key": "x"}), "It is 4.", tools=[look])
    run = helper.start("x?", session="s")
    await run
    [event] = await store().read("sessions/s")
    assert isinstance(event, Remembered)
    assert (event.run, event.agent, event.branch) == (run.id, "helper", "main")
    assert (event.span, len(event.turn)) == (run.nodes.span[0], 4)
    assert event.usage.output_tokens == run.calls.output_tokens.sum()
    assert event.cost_usd == run.calls.cost_usd.sum()
    assert event.simulated
    assert quire.sessions().simulated.tolist() == [True]


def test_the_tables_of_a_run_tell_its_session():
    helper, _ = agent("1", "2")
    helper.execute_sync("a", session="s")
    run = helper.start("b", session="s")
    run.wait()
    # What was said before is in the log of the run in which it was said.
    assert run.messages[["session", "branch", "sender", "text"]].values.tolist() == [
        ["s", "main", "instructions", "Help."],
        ["s", "main", "input", "b"],
        ["s", "main", "helper", "2"],
    ]
    recalled = next(event for event in run.past if event.kind == "recalled")
    assert (recalled.session, recalled.through, recalled.messages) == ("s", 1, 2)
    assert quire.costs(by="session")[["session", "calls"]].values.tolist() == [["s", 2]]
    assert quire.load(run.id).messages.equals(run.messages)


def test_a_session_is_handed_down_to_those_who_remember():
    memory = Memory()
    seen = []

    @quire.Step
    async def note(text: str) -> str:
        seen.append(current_context().session)
        return text

    first, _ = agent("1", name="first", memory=memory)
    flow = note >> first
    flow.execute_sync("a", session="s")
    assert seen == ["s"]
    assert memory.sessions().session.tolist() == ["s"]
    assert quire.runs().session.tolist() == ["s"]


# Order


async def test_calls_into_one_session_run_in_order():
    going = []

    def answer(request):
        return request.messages[-1].text.upper()

    class Slow(ScriptedModel):
        async def ask(self, request):
            going.append(request.messages[-1].text)
            assert len(going) == 1
            await asyncio.sleep(0.001)
            async for piece in super().ask(request):
                yield piece
            going.pop()

    model = Slow([answer] * 20)
    one = Agent(model, "Help.", name="one", memory=Memory())
    two = Agent(model, "Help.", name="two", memory=Memory())
    letters = "abcdefghij"
    runs = [(one, two)[place % 2].start(letter, session="s") for place, letter in enumerate(letters)]
    assert await asyncio.gather(*runs) == list(letters.upper())
    assert said(model.requests[-1]) == [word for letter in letters[:-1] for word in (letter, letter.upper())] + ["j"]


async def test_calls_into_different_sessions_run_at_once():
    together = asyncio.Barrier(3)

    @Tool
    async def meet() -> str:
        """Meet the others."""
        await together.wait()
        return "met"

    def reply(request):
        return ToolUse("meet") if request.messages[-1].role == "user" else "done"

    helper = Agent(ScriptedModel([reply] * 6), "Help.", memory=Memory(), tools=[meet])
    async with asyncio.timeout(5):
        await asyncio.gather(*(helper.execute("go", session=name) for name in "abc"))


async def test_an_agent_that_is_the_tool_of_another_does_not_wait_for_it():
    memory = Memory()
    inner, inside = agent("inner 1", "inner 2", memory=memory, name="inner")
    outer, _ = agent(
        [ToolUse("inner", {"input": "x"}), ToolUse("inner", {"input": "y"})], "outer", memory=memory, tools=[inner]
    )
    async with asyncio.timeout(5):
        await outer.execute("a", session="s")
    assert [len(request.messages) for request in inside.requests] == [2, 4]
    assert [message.text for message in await memory.history("s")][:5] == ["x", "inner 1", "y", "inner 2", "a"]


async def test_a_cancelled_call_lets_the_next_one_in():
    entered = asyncio.Event()

    @Tool
    async def hang() -> str:
        """Hang."""
        entered.set()
        await asyncio.sleep(9)
        return ""

    helper, _ = agent(ToolUse("hang"), "3", tools=[hang])
    first, second, third = (helper.start(word, session="s") for word in "abc")
    await entered.wait()
    await second.cancel()
    await first.cancel()
    assert await third == "3"


def test_two_loops_write_one_session():
    with in_memory():
        helper, _ = agent(*"123456")

        async def several(words):
            for word in words:
                await helper.execute(word, session="s")

        helper.execute_sync("a", session="s")
        asyncio.run(several("bcd"))
        helper.execute_sync("e", session="s")
        asyncio.run(several("f"))
        assert quire.sessions().turns.tolist() == [6]


WRITER = """
from quire import Agent, Memory
from quire.testing import ScriptedModel
model = ScriptedModel([lambda request: f"ok {len(request.messages)}"] * 20)
agent = Agent(model, "Help.", name="agent", memory=Memory())
for number in range(20):
    agent.execute_sync(f"{NAME} {number}", session="shared")
"""


def test_two_processes_write_one_session(quire_home):
    writers = [program(WRITER.replace("{NAME}", name), quire_home) for name in ("left", "right")]
    for writer in writers:
        _, err = writer.communicate(timeout=30)
        assert writer.returncode == 0, err
    questions = [m.text for m in asyncio.run(Memory().history("shared")) if m.role == "user"]
    assert sorted(questions) == sorted(f"{name} {n}" for name in ("left", "right") for n in range(20))
    for name in ("left", "right"):
        assert [q for q in questions if q.startswith(name)] == [f"{name} {n}" for n in range(20)]


def test_two_processes_sum_up_one_session(quire_home):
    text = WRITER.replace("Memory()", "Memory(window=4, summary=lambda text: str(len(text)))")
    writers = [program(text.replace("{NAME}", name), quire_home) for name in ("left", "right")]
    for writer in writers:
        _, err = writer.communicate(timeout=30)
        assert writer.returncode == 0, err
    events = asyncio.run(store().read("sessions/shared"))
    assert sum(isinstance(event, Remembered) for event in events) == 40
    hidden = [event.hidden for event in events if isinstance(event, Compacted)]
    assert len(hidden) > 5
    assert hidden == sorted(set(hidden))


ELSEWHERE = """
import os, time
from pathlib import Path
from quire import Agent, Memory, Tool
from quire.testing import ScriptedModel, ToolUse

@Tool
def wait() -> str:
    "Wait."
    print("waiting", flush=True)
    while not Path(os.environ["QUIRE_HOME"], "go").exists():
        time.sleep(0.01)
    return "waited"

agent = Agent(ScriptedModel([ToolUse("wait"), "2"]), "Wait.", name="agent", memory=Memory(), tools=[wait])
agent.execute_sync("b", session="s")
"""


def test_a_turn_of_another_process_stays_on_its_branch_whatever_happens_meanwhile(quire_home):
    helper, model = agent("1", "3", "4", "5")
    run = helper.start("a", session="s")
    run.wait()
    other = program(ELSEWHERE, quire_home)
    assert other.stdout.readline() == "waiting\n"
    asyncio.run(helper.memory.restore("s", before=1))
    helper.execute_sync("c", session="s")
    run.fork(edit={"input": "d"}).wait()
    (quire_home / "go").touch()
    _, err = other.communicate(timeout=20)
    assert other.returncode == 0, err
    table = helper.memory.session("s").branches
    words = [[m.text for m in asyncio.run(Memory().history("s", branch=name)) if m.text] for name in table.branch]
    assert words == [["a", "1", "b", "2"], ["c", "3"], ["d", "4"]]
    assert table["head"].tolist() == [False, True, False]
    helper.execute_sync("e", session="s")
    assert said(model.requests[-1]) == ["c", "3", "e"]


def test_what_another_process_said_is_known_at_the_next_turn(quire_home):
    helper, model = agent("1", "3")
    helper.execute_sync("a", session="shared")
    output_of(WRITER.replace("range(20)", "range(1)").replace("{NAME}", "there"), quire_home)
    helper.execute_sync("b", session="shared")
    assert said(model.requests[1]) == ["a", "1", "there 0", "ok 4", "b"]


KILLED = """
import asyncio, os
from quire import Agent, Memory, Tool
from quire.testing import ScriptedModel, ToolUse

@Tool
async def hang() -> str:
    "Hang."
    print("hanging", flush=True)
    await asyncio.sleep(60)

agent = Agent(ScriptedModel(["one", ToolUse("hang")]), "Help.", name="agent", memory=Memory(), tools=[hang])
agent.execute_sync("a", session="s")
agent.execute_sync("b", session="s")
"""


def test_a_process_that_is_killed_leaves_whole_turns(quire_home):
    running = program(KILLED, quire_home)
    assert running.stdout.readline() == "hanging\n"
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=10)
    helper, model = agent("2")
    helper.execute_sync("c", session="s")
    assert said(model.requests[0]) == ["a", "one", "c"]


async def test_a_turn_that_is_taken_again_after_a_crash_is_kept_once():
    """The run broke off after the turn was kept and before its log said so; it goes on in the same span."""
    memory = Memory()
    helper, _ = agent("1", "2", memory=memory)
    await helper.execute("a", session="s")
    told = []
    for seen in (2, 2):
        log = Log("r1")
        place = Context(
            log=log, loop=asyncio.get_running_loop(), span=log.new_span(), parent=None, name="helper",
            path=("helper",), deadline=None, streaming=False, parts=[], timed=False, session="s",
        )  # fmt: skip
        async with memory.turn("helper", place) as sitting:
            told.append([message.text for message in sitting.messages])
            await sitting.keep((Message.of("user", "b"), Message.of("assistant", "2")))
        assert log.events[0].messages == seen
        if len(told) == 1:
            await helper.execute("c", session="s")
    assert told == [["a", "1"], ["a", "1"]]
    assert [m.text for m in await memory.history("s")] == ["a", "1", "b", "2", "c", "2"]


BROKEN_OFF = """
import os
from quire import Agent, Memory, Tool
from quire.testing import ScriptedModel, ToolUse

@Tool(idempotency_key=lambda key: key)
async def step(key: str) -> str:
    "Go a step."
    os.kill(os.getpid(), 9)

model = ScriptedModel(["1", ToolUse("step", {"key": "x"})])
agent = Agent(model, "Help.", name="helper", memory=Memory(), tools=[step])
agent.execute_sync("a", session="s")
agent.execute_sync("b", session="s")
"""


def test_a_turn_that_broke_off_goes_on_from_where_it_began(quire_home):
    """What was said in between is not news to the replies that were given before."""
    program(BROKEN_OFF, quire_home).communicate(timeout=20)
    other, _ = agent("c!", name="other")
    other.execute_sync("c", session="s")

    @Tool(idempotency_key=lambda key: key)
    async def step(key: str) -> str:
        """Go a step."""
        return "done"

    helper, model = agent("2", tools=[step])
    broken = next(run for run in quire.runs().itertuples() if run.status != "succeeded")
    assert helper.resume(broken.run).wait() == "2"
    assert said(model.requests[0]) == ["a", "1", "b", "", ""]
    assert [m.text for m in asyncio.run(Memory().history("s"))] == ["a", "1", "c", "c!", "b", "", "", "2"]


# What it took


async def test_a_turn_that_goes_on_tells_of_all_that_it_took():
    """From wherever its run broke off: what was consumed before counts once."""

    @Tool(idempotency_key=lambda key: key)
    async def find(key: str) -> str:
        """Find."""
        return key

    replies = [ToolUse("find", {"key": "x"}), ToolUse("find", {"key": "yy"}), "It is 4."]
    helper, _ = agent(*replies, tools=[find])
    with in_memory():
        run = helper.start("x?", session="s")
        await run
        whole = (await store().read("sessions/s"))[0].usage
    for place in range(1, len(run.past)):
        answered = sum(event.kind == "responded" for event in run.past[:place])
        with in_memory() as kept:
            await kept.append(run.log.stream, run.past[:place], 0)
            helper.llm = ScriptedModel(replies[answered:])
            again = helper.resume(run.id)
            await again
            [turn] = await kept.read("sessions/s")
            assert turn.usage == whole, place
            assert turn.usage.input_tokens == again.calls.input_tokens.sum() == again.cost.input_tokens.sum()
            assert quire.sessions().output_tokens.tolist() == [again.calls.output_tokens.sum()]
            assert turn.cost_usd == again.cost.cost_usd.sum()


async def test_a_call_that_failed_and_was_paid_for_counts():
    busy = errors.Overloaded("busy")
    busy.answered = Answer(
        message=Message(role="assistant", parts=()), finish_reason="error", usage=Usage(input_tokens=5, output_tokens=3)
    )
    helper, _ = agent(busy, "2", retry=Retry(max_attempts=2, backoff=0.001))
    run = helper.start("a", session="s")
    await run
    assert run.calls.output_tokens.tolist() == [3, 1]
    assert quire.sessions().output_tokens.tolist() == [4]


async def test_the_session_never_knows_more_than_the_log_of_its_run():
    """Or a run that is killed in between would ask again, and give another reply than the session has."""
    known = []

    class Watched(MemoryStore):
        async def append(self, stream, events, expected):
            if stream.startswith("sessions/"):
                known.extend(event.kind for event in await self.read(f"runs/{events[0].run}"))
            await super().append(stream, events, expected)

    with keep_in(Watched()):
        helper, _ = agent("1", memory=Memory(window=1, summary=len))
        await helper.execute("a", session="s")
    assert known[-1] == "responded"


# What it costs


class Counting:
    """A store that counts what is asked of it."""

    def __init__(self, inner):
        self.inner, self.reads, self.read_events, self.written = inner, 0, 0, []

    async def append(self, stream, events, expected):
        if stream.startswith("sessions/"):
            self.written.append(len(events))
        await self.inner.append(stream, events, expected)

    async def read(self, stream, after=0):
        events = await self.inner.read(stream, after)
        self.reads += 1
        self.read_events += len(events)
        return events

    async def streams(self, prefix=""):
        return await self.inner.streams(prefix)

    async def delete(self, stream):
        await self.inner.delete(stream)


async def test_a_turn_costs_the_same_however_long_the_conversation(tmp_path):
    folder = tmp_path / "store"
    counting = Counting(FileStore(folder))
    turns = 200
    with in_memory():
        helper, _ = agent(*["A reply of always the same length."] * turns, memory=Memory(counting))
        costs, sizes = [], []
        for _ in range(turns):
            before = (counting.reads, counting.read_events, len(counting.written))
            await helper.execute("A question of always the same length.", session="s")
            after = (counting.reads, counting.read_events, len(counting.written))
            costs.append(tuple(b - a for a, b in zip(before, after, strict=True)))
            sizes.append((folder / "sessions" / "s.jsonl").stat().st_size)
    # One read of the one event that is known to be the last, one append of one event.
    assert set(costs[1:]) == {(1, 1, 1)}
    assert set(counting.written) == {1}
    each = [b - a for a, b in itertools.pairwise(sizes)]
    assert max(each) <= 1.05 * min(each)  # moments and numbers have more digits or fewer


def test_a_new_process_reads_a_session_once():
    with in_memory() as kept:
        helper, _ = agent(*"123")
        for word in "abc":
            helper.execute_sync(word, session="s")
        counting = Counting(kept)
        again, model = agent(*"45", memory=Memory(counting))
        again.execute_sync("d", session="s")
        assert (counting.reads, counting.read_events) == (1, 3)
        again.execute_sync("e", session="s")
        assert (counting.reads, counting.read_events) == (2, 4)
        assert said(model.requests[1]) == ["a", "1", "b", "2", "c", "3", "d", "4", "e"]


# Where it is kept


@pytest.mark.parametrize("backend", ["file", "db"])
def test_a_backend_outlives_the_process(backend, quire_home):
    for _ in range(2):
        output_of(
            f"""
            from quire import Agent, Memory
            from quire.testing import ScriptedModel
            agent = Agent(ScriptedModel(["ok"]), "Help.", name="agent", memory=Memory(backend="{backend}"))
            agent.execute_sync("a", session="s")
            """,
            quire_home,
        )
    assert Memory(backend=backend).sessions().turns.tolist() == [2]
    assert (quire_home / "quire.db").exists() == (backend == "db")


def test_the_database_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("QUIRE_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    helper, _ = agent("1", memory=Memory(backend="db"))
    helper.execute_sync("a", session="s")
    assert (tmp_path / "other.db").exists()
    assert Memory(f"sqlite:///{tmp_path}/other.db").sessions().session.tolist() == ["s"]


# What makes no sense


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Agent(LLM("offline"), "x", memory=True), "is no memory"),
        (lambda: Memory(window=0), "makes no sense"),
        (lambda: Memory(window=1.5), "makes no sense"),
        (lambda: Memory(window="20"), "makes no sense"),
        (lambda: Memory(7), "is no store"),
        (lambda: Memory("here"), "is not the address of a store"),
        (lambda: Memory(backend="cloud"), "is none"),
        (lambda: Memory("memory://", backend="db"), "says twice"),
        (lambda: Agent(LLM("offline"), "x").start("a", session=" "), "is no name of a conversation"),
        (lambda: Agent(LLM("offline"), "x").execute_sync("a", session=42), "is no name of a conversation"),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises(errors.DefinitionError, match=words):
        make()


def test_any_name_will_do_for_a_session():
    names = ["Ada", "ada", "a/b", "..", "x.jsonl", "räum 1", "é", "日本", "a@b.c", "_", "\ud83d"]
    with in_memory():
        helper, _ = agent(*names)
        for name in names:
            helper.execute_sync(name, session=name)
        assert sorted(quire.sessions().session, key=repr) == sorted(names, key=repr)
    with pytest.raises(errors.DefinitionError, match="A name of 300 characters"):
        helper.execute_sync("a", session="a" * 300)
