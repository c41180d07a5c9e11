"""Chats: what a person says by hand is a turn like any other, and can be said again in other words."""

import asyncio
import time

import pydantic
import pytest

import quire
from quire import Agent, Memory, Tool, current_context, errors
from quire.core.events import Remembered
from quire.core.messages import Message
from quire.run.definitions import define
from quire.run.runtime import open_store
from quire.testing import ScriptedModel, ToolUse, in_memory


def echo(request):
    """Say in capitals what was said so far."""
    return " ".join(message.text for message in request.messages if message.role == "user").upper()


def guide(memory=None, replies=None, **options):
    return Agent(ScriptedModel(replies or [echo] * 99), "Talk.", name="guide", memory=memory, **options)


@pytest.fixture(params=["memory://", "file", "sqlite"])
def memory(request, tmp_path):
    places = {"file": f"file:{tmp_path}/sessions", "sqlite": f"sqlite:///{tmp_path}/sessions.db"}
    with in_memory():
        yield Memory(open_store(places.get(request.param, request.param)))


@pytest.fixture
def kept_nowhere():
    with in_memory():
        yield


def said(chat):
    """Return who says what."""
    messages = chat.snapshot()["messages"]
    texts = [" ".join(part["text"] for part in message["parts"] if "text" in part) for message in messages]
    return [f"{message['sender']}: {text}" for message, text in zip(messages, texts, strict=True)]


def head(chat):
    return chat.snapshot()["head"]


def ids(chat):
    return [message["id"] for message in chat.snapshot()["messages"]]


async def until(chat, is_so):
    """Wait until something is to be seen."""
    news = asyncio.Event()
    chat.follow(news.set)
    while not is_so():
        await asyncio.wait_for(news.wait(), 5)
        news.clear()


class Gate:
    """A model whose reply waits until it is let through."""

    provider, simulated, model = "gate", True, "gate"

    def __init__(self):
        self.scripted = ScriptedModel([echo] * 9)
        self.abilities = self.scripted.abilities
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def ask(self, request):
        async for piece in self.scripted.ask(request):
            yield piece
            self.asked.set()
            await self.open.wait()


# Talking


async def test_a_chat_is_turns_of_a_session(memory):
    agent = guide(memory)
    chat = agent.chat("trip")
    assert await chat.send("a") == "A"
    assert await agent.execute("b", session="trip") == "A B"
    assert await chat.send("c") == "A B C"
    assert said(chat) == ["you: a", "guide: A", "you: b", "guide: A B", "you: c", "guide: A B C"]
    assert head(chat)["branches"] == ["main"]
    assert list(quire.runs()["status"]) == ["succeeded"] * 3


async def test_another_chat_of_the_session_shows_the_same(memory):
    first = guide(memory).chat("trip")
    await first.send("a")
    again = guide(Memory(memory.store)).chat("trip")
    await again.look()
    assert said(again) == said(first)
    assert head(again) == head(first)


async def test_without_a_name_it_is_the_agents_own_session(memory):
    agent = guide(memory)
    await agent.execute("a")
    chat = agent.chat()
    assert await chat.send("b") == "A B"
    assert chat.session == "guide"


async def test_an_agent_without_a_memory_remembers_in_its_chat_only(kept_nowhere):
    agent = guide()
    chat, other = agent.chat(), agent.chat()
    await chat.send("a")
    assert await chat.send("b") == "A B"
    assert await other.send("c") == "C"
    assert await agent.execute("d") == "D"
    assert agent.memory is None
    assert quire.sessions().empty


async def test_a_model_that_is_changed_serves_from_the_next_turn_on(kept_nowhere):
    agent = guide()
    chat = agent.chat()
    await chat.send("a")
    agent.llm = ScriptedModel(["other"], model="second")
    assert await chat.send("b") == "other"
    assert head(chat)["model"] == "second"


@pytest.mark.parametrize("kind", [int, list[str]])
def test_only_agents_that_take_text_chat(kind):
    with pytest.raises(errors.DefinitionError, match="in a chat people write text"):
        guide(input=kind).chat()
    with pytest.raises(errors.DefinitionError):
        guide().chat("")


class Plan(pydantic.BaseModel):
    city: str
    days: int


def test_a_name_that_nothing_can_be_kept_by_is_refused_at_once(kept_nowhere):
    with pytest.raises(errors.DefinitionError, match="A name of 201 characters is too long"):
        guide(Memory()).chat("a" * 201)


async def test_structured_replies_are_shown_as_data(memory):
    agent = guide(memory, [Plan(city="Kyoto", days=3)] * 2, output=Plan)
    chat = agent.chat("trip")
    assert await chat.send("a") == Plan(city="Kyoto", days=3)
    data = {"type": "data", "text": '{\n  "city": "Kyoto",\n  "days": 3\n}'}
    assert chat.snapshot()["messages"][1]["parts"] == [data]
    again = agent.chat("trip")
    again.catch_up()
    assert again.snapshot()["messages"][1]["parts"] == [data]


async def test_calls_of_tools_are_shown_now_and_as_they_are_kept(memory):
    @Tool
    def add(a: int, b: int) -> int:
        """Add."""
        if a > 5:
            raise ValueError("too much")
        return a + b

    uses = [ToolUse("add", {"a": 1, "b": 2}), ToolUse("add", {"a": 7, "b": 2})]
    agent = guide(memory, [uses, "3"], tools=[add])
    chat, other = agent.chat("trip"), agent.chat("trip")
    await chat.send("a")
    other.catch_up()
    for one in (chat, other):
        good, bad, reply = one.snapshot()["messages"][1]["parts"]
        assert (good["tool"], good["result"], good["status"]) == ("add", "3", "succeeded")
        assert (bad["status"], bad["result"]) == ("failed", None)
        assert "too much" in bad["error"]
        assert reply["text"] == "3"


# A turn that goes on


async def test_while_a_turn_goes_on_it_is_shown_and_nothing_else_begins(memory):
    model = Gate()
    chat = Agent(model, "Talk.", name="guide", memory=memory).chat("trip")
    run = await chat.start("one two")
    await model.asked.wait()
    assert said(chat) == ["you: one two", "guide: ONE "]
    assert (head(chat)["status"], chat.snapshot()["messages"][1]["writing"]) == ("running", True)
    for verb in (chat.send("x"), chat.checkpoint("x"), chat.switch("main"), chat.restore("x"), chat.again()):
        with pytest.raises(errors.SessionError, match="A turn goes on"):
            await verb
    model.open.set()
    before = ids(chat)
    assert await run == "ONE TWO"
    await until(chat, lambda: head(chat)["status"] is None)
    assert ids(chat) == before  # nothing jumps when the turn is kept


async def test_a_turn_that_is_stopped_can_be_tried_again(memory):
    model = Gate()
    chat = Agent(model, "Talk.", name="guide", memory=memory).chat("trip")
    sending = asyncio.ensure_future(chat.send("a b"))
    await model.asked.wait()
    chat.stop()
    with pytest.raises(errors.RunCancelled):
        await sending
    assert (head(chat)["status"], head(chat)["reason"]) == ("cancelled", "stopped by you")
    assert said(chat)[0] == "you: a b"
    model.open.set()
    assert await (await chat.again()) == "A B"


async def test_an_error_is_told_in_place_and_the_words_are_not_lost(memory):
    chat = guide(memory, ["A", errors.ProviderError("It broke.", remedy="Wait."), "B"]).chat("trip")
    await chat.send("a")
    with pytest.raises(errors.ProviderError):
        await chat.send("b")
    assert said(chat) == ["you: a", "guide: A", "you: b"]
    error = head(chat)["error"]
    assert (error["type"], error["message"], error["remedy"]) == ("ProviderError", "It broke.", "Wait.")
    assert "It broke." in str(chat)
    assert await (await chat.again()) == "B"
    await until(chat, lambda: head(chat)["status"] is None)
    assert said(chat) == ["you: a", "guide: A", "you: b", "guide: B"]
    with pytest.raises(errors.SessionError, match="not come to nothing"):
        await chat.again()


def test_a_loop_that_is_closed_in_a_turn_does_not_end_the_chat(kept_nowhere):
    model = Gate()
    chat = Agent(model, "Talk.", name="guide", memory=Memory()).chat("trip")

    async def leave():
        await chat.start("a")
        await model.asked.wait()

    asyncio.run(leave())
    assert head(chat)["status"] == "cancelled"
    model.open.set()
    assert asyncio.run(chat.send("b")) == "B"
    assert said(chat) == ["you: b", "guide: B"]


async def test_a_question_of_a_turn_is_answered_in_the_chat(memory):
    @Tool
    async def book(city: str) -> str:
        """Book."""
        return "booked" if await current_context().ask(f"Book {city}?", bool) else "left"

    chat = guide(memory, [ToolUse("book", {"city": "Nara"}), "Done."], tools=[book]).chat("trip")
    run = await chat.start("a", attended=True)
    await until(chat, lambda: head(chat)["questions"])
    assert chat.asks(run.id)
    chat.answer(head(chat)["questions"][0]["id"], "yes")
    await run
    assert chat.snapshot()["messages"][1]["parts"][0]["result"] == "booked"


async def test_a_turn_is_shown_stopped_and_answered_in_every_chat_of_its_session(memory):
    @Tool
    async def book(city: str) -> str:
        """Book."""
        return "booked" if await current_context().ask(f"Book {city}?", bool) else "left"

    use = ToolUse("book", {"city": "Nara"})
    agent = guide(memory, [use, "Done.", use], tools=[book])
    first, watching = agent.chat("trip"), agent.chat("trip")
    leave = watching.watch()
    run = await first.start("a", attended=True)
    await until(watching, lambda: head(watching)["questions"])
    del first  # its cell was run again
    later = agent.chat("trip")
    await later.look()
    assert (ids(later), head(later)["questions"]) == (ids(watching), head(watching)["questions"])
    with pytest.raises(errors.SessionError, match="A turn goes on"):
        await later.send("b")
    later.answer(head(later)["questions"][0]["id"], "yes")
    assert await run == "Done."
    await until(watching, lambda: not watching.going())
    await until(later, lambda: not later.going())
    assert said(later) == said(watching) == ["you: a", "guide: Done."]
    run = await later.start("b", attended=True)
    await until(watching, lambda: head(watching)["questions"])
    watching.stop()
    with pytest.raises(errors.RunCancelled):
        await run
    await until(later, lambda: head(later)["status"] == "cancelled")
    await until(watching, lambda: not watching.going())
    assert head(watching)["reason"] == "stopped by you"
    leave()


async def test_a_turn_in_another_session_or_store_is_not_shown(memory):
    model = Gate()
    run = await Agent(model, "Talk.", name="guide", memory=memory).chat("trip").start("a")
    await model.asked.wait()
    for other in (guide(memory).chat("other"), guide(Memory(open_store("memory://"))).chat("trip")):
        await other.look()
        assert not other.going()
    model.open.set()
    await run


# Going back, and going two ways


async def test_an_earlier_turn_in_other_words_goes_on_on_a_branch_of_its_own(memory):
    chat = guide(memory).chat("trip")
    for word in "abc":
        await chat.send(word)
    assert await chat.send("x", instead_of=2) == "A X"
    assert said(chat) == ["you: a", "guide: A", "you: x", "guide: A X"]
    assert (head(chat)["branches"], head(chat)["branch"]) == (["main", "edit 1"], "edit 1")
    assert await chat.send("y", instead_of=-2) == "Y"
    await chat.switch("main")
    assert [line for line in said(chat) if line.startswith("you")] == ["you: a", "you: b", "you: c"]
    assert await chat.send("d") == "A B C D"
    await chat.switch("edit 1")
    assert await chat.send("z") == "A X Z"
    assert head(chat)["branches"] == ["main", "edit 1", "edit 2"]
    with pytest.raises(errors.UnknownCheckpoint, match="no turn 9"):
        await chat.send("q", instead_of=9)


async def test_a_message_is_edited_by_its_id_also_one_that_came_to_nothing(memory):
    chat = guide(memory, ["A", "B", errors.ProviderError("It broke."), "C", "D"]).chat("trip")
    await chat.send("a")
    await chat.send("b")
    with pytest.raises(errors.ProviderError):
        await chat.send("c")
    assert await (await chat.edit(ids(chat)[-1], "c, please")) == "C"
    await until(chat, lambda: head(chat)["status"] is None)
    assert head(chat)["branches"] == ["main"]
    gone = ids(chat)[4]
    await (await chat.edit(ids(chat)[2], "d"))
    await until(chat, lambda: head(chat)["status"] is None)
    assert said(chat) == ["you: a", "guide: A", "you: d", "guide: D"]
    with pytest.raises(errors.UnknownCheckpoint, match="not on the branch"):
        await chat.edit(gone, "e")


async def test_checkpoints_are_marks_and_can_be_gone_back_to(memory):
    chat = guide(memory).chat("trip")
    await chat.send("a")
    await chat.checkpoint(" outline ")
    await chat.send("b")
    assert "  A\ncheckpoint outline\nyou" in str(chat)
    assert [message.get("marks") for message in chat.snapshot()["messages"]] == [None, ["outline"], None, None]
    await chat.restore("outline")
    assert said(chat) == ["you: a", "guide: A"]
    assert await chat.send("c") == "A C"
    assert head(chat)["branches"] == ["main", "outline"]


async def test_a_branch_is_gone_on_with(memory):
    agent = guide(memory)
    for word in "ab":
        await agent.execute(word, session="trip")
    await memory.restore("trip", before=2, branch="other")
    await memory.switch("trip", "main")
    await memory.switch("trip", "main")  # once is enough
    assert await agent.execute("c", session="trip") == "A B C"
    fresh = Memory(memory.store)
    table = fresh.session("trip").branches
    assert list(zip(table.branch, table["head"], strict=True)) == [("main", True), ("other", False)]
    await fresh.switch("trip", "other")
    assert await agent.execute("d", session="trip") == "A D"
    with pytest.raises(errors.SessionError, match="no branch 'nowhere'"):
        await memory.switch("trip", "nowhere")
    with pytest.raises(errors.UnknownSession):
        await memory.switch("nowhere", "main")


async def test_a_chat_in_a_forked_session_edits_what_was_said_in_the_other_one(memory):
    agent = guide(memory)
    for word in "ab":
        await agent.execute(word, session="trip")
    await memory.fork("trip", "rail")
    chat = agent.chat("rail")
    assert await chat.send("x", instead_of=2) == "A X"
    assert [m.text for m in await memory.history("trip")] == ["a", "A", "b", "A B"]


# Looking


async def test_it_hears_what_others_add(memory):
    agent = guide(memory)
    chat = agent.chat("trip")
    leave = chat.watch()
    await agent.execute("a", session="trip")
    await until(chat, lambda: said(chat))
    assert said(chat) == ["you: a", "guide: A"]
    news = asyncio.Event()
    chat.follow(news.set)
    leave()
    await agent.execute("b", session="trip")
    await asyncio.sleep(0.05)
    assert not news.is_set()
    assert len(said(chat)) == 4  # read again for whoever looks


async def test_what_was_read_is_let_go_of_when_nobody_watches_any_more(memory):
    chat = guide(memory).chat("trip")
    one, other = chat.watch(), chat.watch()
    await chat.send("a")
    reply = chat.snapshot()["messages"]
    one()
    assert chat.snapshot()["messages"][1] is reply[1]
    other()
    assert chat.snapshot()["messages"][1] is not reply[1]
    assert said(chat) == ["you: a", "guide: A"]
    assert await chat.send("b") == "A B"


async def test_the_agent_that_is_defined_last_answers(kept_nowhere):
    before, after = guide(Memory()), guide(Memory(), ["from the new one"])
    chat = before.chat("trip")
    define(before, "__main__:guide")
    define(after, "__main__:guide")
    assert await chat.send("a") == "from the new one"


async def test_a_session_that_is_deleted_is_gone_from_its_chat(memory):
    chat = guide(memory).chat("trip")
    leave = chat.watch()
    await chat.send("a")
    await memory.delete("trip")
    await until(chat, lambda: not said(chat))
    assert await chat.send("b") == "B"
    assert said(chat) == ["you: b", "guide: B"]
    leave()


def test_it_prints_the_conversation(kept_nowhere):
    chat = guide(Memory()).chat("trip")
    assert str(chat) == "guide, scripted, session trip\n\nNothing has been said yet."
    asyncio.run(chat.send("hello"))
    assert repr(chat) == str(chat)
    assert "you (person)\n  hello\nguide (agent, scripted, simulated)\n  HELLO" in str(chat)


async def test_a_long_conversation_is_shown_at_once(kept_nowhere):
    memory = Memory()
    turns = [
        Remembered(
            seq=n, at=0.0, run=f"{n}", span="1", parent=None, branch="main", agent="guide",
            turn=(Message.of("user", f"question {n}"), Message.of("assistant", f"answer {n}")),
        )
        for n in range(1, 1001)
    ]  # fmt: skip
    await memory.store.append("sessions/long", turns, 0)
    chat = guide(memory).chat("long")
    begun = time.perf_counter()
    await chat.look()
    assert said(chat)[-1] == "guide: answer 1000"
    assert time.perf_counter() - begun < 0.25
    assert len(ids(chat)) == len(set(ids(chat))) == 2000
