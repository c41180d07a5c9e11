"""Forks of runs whose agents remember: another version of a turn, on a branch of its own."""

import asyncio

import pytest

import quire
from quire import Agent, Memory, Process, Step, Tool, errors
from quire.core.messages import ToolResult
from quire.run.runtime import store
from quire.testing import ScriptedModel, ToolUse, in_memory


@pytest.fixture
def memory():
    with in_memory():
        yield Memory()


@Tool
async def look(words: str) -> str:
    """Look."""
    return f"found {words}"


def reply(request):
    """Look for what begins with a question mark, and say what was found; anything else in capitals."""
    said = request.messages[-1]
    found = [part.text for part in said.parts if isinstance(part, ToolResult)]
    words = said.text.removeprefix("?")
    return ToolUse("look", {"words": words}) if said.text.startswith("?") else (" ".join(found) or words.upper())


def talker(memory, name="talker"):
    model = ScriptedModel([reply] * 99, model=name)
    return Agent(model, "Talk.", name=name, memory=memory, tools=[look]), model


async def say(agent, session, *words):
    """Say all that, and return the last run."""
    for word in words:
        run = agent.start(word, session=session)
        await run
    return run


def texts(messages):
    return [message.text for message in messages if message.text]


async def lines(memory, session="s"):
    """Return what was said on each branch, those of forks in order and without their ids."""
    table = memory.session(session).branches
    names = [name if name == "main" or not name.startswith("fork ") else "fork" for name in table.branch]
    said = [texts(await memory.history(session, branch=branch)) for branch in table.branch]
    heads = ["*" if going else "" for going in table["head"]]
    return [f"{head}{name}: {' '.join(words)}" for head, name, words in zip(heads, names, said, strict=True)]


# One agent


async def test_another_message_of_the_user_is_another_version_of_the_turn(memory):
    agent, model = talker(memory)
    run = await say(agent, "s", "a", "b")
    fork = run.fork(edit={"input": "c"})
    assert await fork == "C"
    assert texts(model.requests[-1].messages[1:]) == ["a", "A", "c"]
    assert await lines(memory) == ["main: a A b B", "*fork: a A c C"]
    # Who edits a message goes on with what came of it.
    await say(agent, "s", "d")
    assert await lines(memory) == ["main: a A b B", "*fork: a A c C d D"]
    branch = memory.session("s").branches.iloc[1]
    assert (branch.branch, branch.origin, branch.origin_seq) == (f"fork {fork.id}", "s", 1)
    assert set(fork.messages.branch) == {f"fork {fork.id}"}
    assert set(run.messages.branch) == {"main"}
    rows = memory.session("s").messages
    assert rows[rows.run == fork.id].branch.tolist() == [f"fork {fork.id}"] * 2


async def test_an_earlier_message_is_edited_and_what_was_said_later_stays_on_its_branch(memory):
    agent, model = talker(memory)
    first = await say(agent, "s", "a")
    second = await say(agent, "s", "b")
    await say(agent, "s", "c")
    assert await second.fork(edit={"input": "x"}) == "X"
    assert texts(model.requests[-1].messages[1:]) == ["a", "A", "x"]
    assert await lines(memory) == ["main: a A b B c C", "*fork: a A x X"]
    await first.fork(edit={"input": "y"})
    assert texts(model.requests[-1].messages[1:]) == ["y"]
    assert (await lines(memory))[2] == "*fork: y Y"


async def test_what_a_tool_gave_is_edited_at_the_same_place_of_the_session(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "?it")
    await say(agent, "s", "later")
    asked = len(model.requests)
    fork = run.fork(edit={"look": "nothing"})
    assert await fork == "nothing"
    assert len(model.requests) == asked + 1
    assert texts(model.requests[-1].messages[1:]) == ["a", "A", "?it"]
    assert await lines(memory) == ["main: a A ?it found it later LATER", "*fork: a A ?it nothing"]
    # The reply that was taken over was paid for in the other run.
    kept = (await store().read("sessions/s"))[-1]
    assert kept.usage.output_tokens == fork.calls.output_tokens.sum() == 1


async def test_from_each_place_of_a_turn_a_fork_is_one_more_version(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "?it")
    before = await lines(memory)
    for number, seq in enumerate(range(1, len(run.past)), 1):
        assert await run.fork(at=seq) == "found it"
        found = await lines(memory)
        assert len(found) == 1 + number
        assert found[0].removeprefix("*") == before[0].removeprefix("*")
        assert found[-1].removeprefix("*") == "fork: a A ?it found it"
    assert quire.sessions().turns.tolist() == [2]


async def test_a_fork_of_all_that_was_done_adds_nothing(memory):
    agent, _ = talker(memory)
    run = await say(agent, "s", "a", "b")
    assert await run.fork() == "B"
    assert await lines(memory) == ["*main: a A b B"]


async def test_the_words_of_the_assistant_are_edited_and_the_session_goes_on_with_them(memory):
    agent, model = talker(memory)
    run = await say(agent, "s", "a", "?it")
    asked = len(model.requests)
    fork = run.fork(edit={"talker": "other words"})
    assert await fork == "other words"
    assert len(model.requests) == asked
    assert await lines(memory) == ["main: a A ?it found it", "*fork: a A ?it other words"]
    assert fork.messages["text"].tolist()[-1] == "other words"
    assert fork.tools["result"].tolist() == ['"found it"']
    with pytest.raises(errors.DefinitionError, match="Edit the last of them only"):
        run.fork(edit={"talker": "x", "look": "y"})
    # Inside of another agent's tool, too.
    boss = Agent(ScriptedModel([ToolUse("talker", {"input": "b"}), reply, reply]), "Ask.", name="boss", tools=[agent])
    whole = boss.start("c", session="t")
    assert await whole == "B"
    assert await whole.fork(edit={"talker": "instead"}) == "instead"
    assert await lines(memory, "t") == ["main: b B", "*fork: b instead"]


async def test_what_an_agent_is_given_to_say_has_to_be_of_its_type(memory):
    model = ScriptedModel(["4", "5"])
    agent = Agent(model, "Count.", name="counter", memory=memory, output=int)
    run = agent.start("a", session="s")
    assert await run == 4
    assert await run.fork(edit={"counter": 7}) == 7
    assert await lines(memory) == ["main: a 4", "*fork: a 7"]
    with pytest.raises(errors.DefinitionError, match="is not what it gives"):
        await run.fork(edit={"counter": "many"})
    assert len(model.requests) == 1
    assert await run.fork(edit={"input": "b"}) == 5


async def test_a_version_of_what_the_session_does_not_go_on_with_leaves_it_where_it_is(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "b")
    await memory.restore("s", 1)
    await say(agent, "s", "c")
    await run.fork(edit={"input": "x"})
    assert await lines(memory) == ["main: a A b B", "*from 1: a A c C", "fork: a A x X"]
    await say(agent, "s", "d")
    assert (await lines(memory))[1] == "*from 1: a A c C d D"


async def test_a_message_that_several_branches_share_is_one_the_session_goes_on_with(memory):
    agent, _ = talker(memory)
    run = await say(agent, "s", "a")
    await say(agent, "s", "b")
    await memory.restore("s", 1)
    await say(agent, "s", "c")
    await run.fork(edit={"input": "x"})
    assert (await lines(memory))[-1] == "*fork: x X"


async def test_a_version_of_a_version(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "b")
    fork = run.fork(edit={"input": "c"})
    await fork
    await say(agent, "s", "d")
    await fork.fork(edit={"input": "e"})
    assert await lines(memory) == ["main: a A b B", "fork: a A c C d D", "*fork: a A e E"]


async def test_a_turn_that_failed_is_edited_where_it_would_have_been(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    agent.llm = ScriptedModel([errors.Overloaded("busy")] * 2)
    run = agent.start("b", session="s")
    with pytest.raises(errors.Overloaded):
        await run
    failing = run.fork(edit={"input": "c"})
    with pytest.raises(errors.Overloaded):
        await failing
    agent.llm = model
    # Of a version that fails, too, only its log tells.
    assert await lines(memory) == ["*main: a A"]
    await failing.fork(edit={"input": "d"})
    assert await lines(memory) == ["main: a A", "*fork: a A d D"]


async def test_a_fork_by_another_process_knows_where_to_go_on(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "b")
    await say(agent, "s", "c")
    again, model = talker(Memory())
    assert await again.fork(run.id, edit={"input": "x"}) == "X"
    assert texts(model.requests[-1].messages[1:]) == ["a", "A", "x"]


async def test_a_fork_that_breaks_off_goes_on_with_its_own_branch(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "?it")
    agent.llm = ScriptedModel([errors.Overloaded("busy")])
    fork = run.fork(edit={"look": "nothing"})
    with pytest.raises(errors.Overloaded):
        await fork
    await say(agent := talker(memory)[0], "s", "meanwhile")
    assert await agent.resume(fork.id) == "nothing"
    assert await agent.resume(fork.id) == "nothing"
    assert await lines(memory) == ["main: a A ?it found it meanwhile MEANWHILE", "*fork: a A ?it nothing"]


async def test_a_session_that_was_deleted_begins_anew(memory):
    agent, model = talker(memory)
    run = await say(agent, "s", "a", "b")
    await memory.delete("s")
    await run.fork(edit={"input": "x"})
    assert texts(model.requests[-1].messages[1:]) == ["x"]
    assert texts(await memory.history("s")) == ["x", "X"]


async def test_a_fork_in_a_session_that_is_a_fork(memory):
    agent, model = talker(memory)
    await say(agent, "s", "a")
    await memory.fork("s", into="t")
    run = await say(agent, "t", "b")
    await run.fork(edit={"input": "c"})
    assert texts(model.requests[-1].messages[1:]) == ["a", "A", "c"]
    assert await lines(memory, "t") == ["main: a A b B", "*fork: a A c C"]
    assert await lines(memory, "s") == ["*main: a A"]


# Several


def flow(memory):
    """Make a process of a step, and two agents in one session that follow it."""

    @Step
    async def begin(text: str) -> str:
        return text

    made = Process(input=str, output=str, name="flow")
    began = made.add(begin)
    one = made.add(talker(memory, "one")[0], inputs=began)
    made.returns(made.add(talker(memory, "two")[0], inputs=one))
    return made


async def test_all_turns_of_a_fork_follow_each_other_on_its_branch(memory):
    run = flow(memory).start("a", session="s")
    assert await run == "A"
    await say(talker(memory)[0], "s", "later")
    await run.fork(edit={"begin": "x"})
    assert await lines(memory) == ["main: a A A A later LATER", "*fork: x X X X"]
    await run.fork(edit={"input": "y"})
    assert (await lines(memory))[2] == "fork: y Y Y Y"


async def test_a_turn_that_is_taken_over_is_not_kept_twice(memory):
    run = flow(memory).start("a", session="s")
    await run
    began = next(event.seq for event in run.past if event.kind == "started" and event.name == "two")
    assert await run.fork(at=began) == "A"
    assert await lines(memory) == ["main: a A A A", "*fork: a A A A"]
    assert len({event.run for event in await store().read("sessions/s")}) == 2


async def test_what_an_agent_says_instead_is_what_the_next_one_remembers(memory):
    run = flow(memory).start("a", session="s")
    await run
    assert await run.fork(edit={"one": "other"}) == "OTHER"
    assert await lines(memory) == ["main: a A A A", "*fork: a other other OTHER"]


async def test_agents_in_sessions_of_their_own_get_a_branch_in_each(memory):
    run = flow(memory).start("a")
    await run
    await run.fork(edit={"begin": "x"})
    for name in ("one", "two"):
        assert len(await lines(memory, name)) == 2


async def test_a_fork_waits_for_the_turn_that_is_going_on(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    run = await say(agent, "s", "b")
    going, go = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedModel):
        async def ask(self, request):
            going.set()
            await go.wait()
            async for piece in super().ask(request):
                yield piece

    slow = Agent(Slow([reply]), "Talk.", name="slow", memory=memory)
    turn = slow.start("c", session="s")
    await going.wait()
    forks = [run.fork(edit={"input": word}) for word in "xyz"]
    after = agent.start("d", session="s")
    await asyncio.sleep(0.01)
    assert not any(fork.finished for fork in forks)
    go.set()
    assert await asyncio.gather(turn, *forks, after) == ["C", "X", "Y", "Z", "D"]
    # Each version by itself; the next message goes on with the first, which came in the place of `b`.
    assert await lines(memory) == ["main: a A b B c C", "*fork: a A x X d D", "fork: a A y Y", "fork: a A z Z"]


async def test_a_fork_while_its_run_is_still_going_on_keeps_both(memory):
    agent, _ = talker(memory)
    await say(agent, "s", "a")
    used, go = asyncio.Event(), asyncio.Event()

    @Tool
    async def wait(words: str) -> str:
        """Wait."""
        used.set()
        await go.wait()
        return words

    def answer(request):
        return reply(request) if request.messages[-1].role == "tool" else ToolUse("wait", {"words": "late"})

    waiter = Agent(ScriptedModel([answer] * 9), "Wait.", name="waiter", memory=memory, tools=[wait])
    run = waiter.start("b", session="s")
    await used.wait()
    fork = run.fork()
    go.set()
    assert await asyncio.gather(run, fork) == ["late", "late"]
    assert await lines(memory) == ["main: a A b late", "*fork: a A b late"]
