"""The kernel's side of a chat: what a page is told, and what it may ask."""

import asyncio

import pytest

from quire import Agent, Memory, Tool, current_context, errors
from quire.run.definitions import define
from quire.run.runtime import open_store
from quire.testing import ScriptedModel, ToolUse, in_memory
from quire_widgets.chat import Chatting, ChatView
from quire_widgets.sessions import SessionsView
from quire_widgets.views import view_of


def echo(request):
    """Say in capitals what was said so far."""
    return " ".join(message.text for message in request.messages if message.role == "user").upper()


@pytest.fixture
def memory():
    with in_memory():
        yield Memory()


def guide(memory, replies=None, **options):
    return Agent(ScriptedModel(replies or [echo] * 99), "Talk.", name="guide", memory=memory, **options)


class Page:
    """A page that shows a chat: it keeps what it is told, as the front end does."""

    def __init__(self, chat):
        self.view = ChatView(chat)
        self.news = asyncio.Event()
        self.patches = []
        self.open()

    def open(self):
        self.view.open(self.news.set)
        data, self.seq = self.view.snapshot()
        self.head, self.messages = data["head"], {m["id"]: self.copy(m) for m in data["messages"]}

    @staticmethod
    def copy(message):
        return {**message, "parts": [dict(part) for part in message["parts"]]}

    def take(self):
        patch = self.view.patch()
        if patch is None:
            return
        self.patches.append(patch)
        assert patch["seq"] == self.seq + 1
        self.seq += 1
        self.head = patch.get("chat", self.head)
        for id in list(self.messages)[patch.get("keep", len(self.messages)) :]:
            del self.messages[id]
        for message in patch.get("messages", ()):
            if "append" in message:
                part, text = message["append"]
                self.messages[message["id"]]["parts"][part]["text"] += text
            else:
                self.messages[message["id"]] = self.copy(message)

    async def until(self, is_so):
        self.take()
        while not is_so():
            await asyncio.wait_for(self.news.wait(), 5)
            self.news.clear()
            self.take()

    def ask(self, **ask):
        """Ask as a page does, and wait for the answer."""
        heard = asyncio.get_running_loop().create_future()
        self.view.take({"by": "me", **ask}, heard.set_result)
        return asyncio.wait_for(heard, 5)

    async def say(self, text):
        assert (await self.ask(ask="send", text=text))["said"] == "done"
        await self.settled()

    async def settled(self):
        await self.until(lambda: self.head["status"] is None and self.texts)

    @property
    def texts(self):
        return [" ".join(part.get("text", "") for part in message["parts"]) for message in self.messages.values()]

    @property
    def is_right(self):
        """Whether a page that joins now would be shown the same."""
        data, _ = self.view.snapshot()
        return (self.head, list(self.messages.values())) == (data["head"], data["messages"])


async def test_a_chat_can_be_shown_and_an_agent_is_none(memory):
    agent = guide(memory)
    assert isinstance(view_of(agent.chat()), ChatView)
    assert not isinstance(agent, Chatting)


async def test_a_page_is_told_what_is_written_as_it_is_written_and_nothing_twice(memory):
    page = Page(guide(memory, ["one two three"] * 2).chat("trip"))
    await page.say("count")
    assert page.texts == ["count", "one two three"]
    assert page.is_right
    before = len(page.patches)
    await asyncio.sleep(0.05)
    page.take()
    assert len(page.patches) == before
    await page.say("again")
    told = [message["id"] for patch in page.patches[before:] for message in patch.get("messages", ())]
    assert not set(told) & set(list(page.messages)[:2])  # what was said before is not sent again
    assert page.is_right
    page.view.close()


async def test_an_edit_and_a_switch_send_what_differs(memory):
    page = Page(guide(memory).chat("trip"))
    for word in "abc":
        await page.say(word)
    first, _, second, *_ = page.messages
    assert (await page.ask(ask="edit", message=second, text="x"))["said"] == "done"
    await page.settled()
    assert page.texts == ["a", "A", "x", "A X"]
    assert page.head["branches"] == ["main", "edit 1"]
    before = len(page.patches)
    await page.ask(ask="switch", branch="main")
    await page.until(lambda: len(page.messages) == 6)
    assert page.texts[2:] == ["b", "A B", "c", "A B C"]
    told = [m["id"] for patch in page.patches[before:] for m in patch.get("messages", ())]
    assert first not in told
    assert page.is_right
    assert (await page.ask(ask="edit", message=first, text="y"))["said"] == "done"
    await page.settled()
    assert page.texts == ["y", "Y"]
    assert page.is_right
    page.view.close()


async def test_checkpoints_come_and_are_restored(memory):
    page = Page(guide(memory).chat("trip"))
    await page.say("a")
    await page.ask(ask="checkpoint", name="here")
    await page.until(lambda: any(m.get("marks") == ["here"] for m in page.messages.values()))
    assert "<p>checkpoint <b>here</b></p>" in page.view.still()["text/html"]
    await page.say("b")
    await page.ask(ask="restore", name="here")
    await page.until(lambda: len(page.messages) == 2)
    assert page.head["branch"] == "here"
    assert page.is_right
    page.view.close()


async def test_what_comes_to_nothing_is_told_and_tried_again(memory):
    page = Page(guide(memory, [errors.ProviderError("It broke.", remedy="Wait."), "A"]).chat("trip"))
    await page.ask(ask="send", text="a")
    await page.until(lambda: page.head["error"])
    assert (page.head["status"], page.head["error"]["remedy"], page.texts) == ("failed", "Wait.", ["a"])
    assert "It broke." in page.view.still()["text/html"]
    await page.ask(ask="again")
    await page.settled()
    assert page.texts == ["a", "A"]
    assert page.is_right
    page.view.close()


async def test_a_question_is_answered_in_the_view_that_shows_it(memory):
    @Tool
    async def book(city: str) -> str:
        """Book."""
        return "booked" if await current_context().ask(f"Book {city}?", bool) else "left"

    chat = guide(memory, [ToolUse("book", {"city": "Nara"}), "Done."], tools=[book]).chat("trip")
    page = Page(chat)
    await page.ask(ask="send", text="a")
    await page.until(lambda: page.head["questions"])
    run = next(iter(page.messages)).split("/")[0]
    assert page.view.awaits(run)
    page.view.close()
    assert not page.view.awaits(run)
    page.open()
    page.view.answer(page.head["questions"][0]["id"], "yes")
    await page.settled()
    assert page.texts[-1].endswith("Done.")
    page.view.close()


async def test_what_cannot_be_done_is_refused_with_the_remedy(memory):
    page = Page(guide(memory).chat("trip"))
    refused = await page.ask(ask="switch", branch="nowhere")
    assert (refused["said"], refused["by"], refused["ask"]) == ("refused", "me", "switch")
    await page.say("a")
    refused = await page.ask(ask="restore", name="nowhere")
    assert (refused["said"], refused["message"]) == ("refused", "Session 'trip' has no checkpoint 'nowhere'.")
    assert refused["remedy"]
    assert (await page.ask(ask="dance"))["said"] == "refused"
    page.view.close()


async def test_a_view_that_is_closed_hears_nothing_and_catches_up(memory):
    agent = guide(memory)
    page = Page(agent.chat("trip"))
    page.view.close()
    page.news.clear()
    await agent.execute("a", session="trip")
    assert page.view.patch() is None
    assert not page.news.is_set()
    page.open()
    await page.until(lambda: page.texts == ["a", "A"])
    page.view.close()


async def test_two_views_of_one_chat_show_the_same(memory):
    chat = guide(memory).chat("trip")
    one, other = Page(chat), Page(chat)
    await one.say("a")
    await other.settled()
    assert (one.head, one.messages) == (other.head, other.messages)
    one.view.close()
    other.view.close()


async def test_the_still_picture_is_renewed_when_a_turn_ends_also_without_a_page(memory):
    chat = guide(memory).chat("trip")
    view, renewed = ChatView(chat), asyncio.Queue()
    view.renew = lambda: renewed.put_nowait(view.still())
    assert "Nothing has been said yet." in view.still()["text/html"]
    await chat.send("<b>a</b>")
    picture = await asyncio.wait_for(renewed.get(), 5)
    assert "&lt;B&gt;A&lt;/B&gt;" in picture["text/html"]
    assert "<B>A</B>" in picture["text/plain"]
    assert "0.0 s" not in picture["text/html"]


async def test_a_chat_is_opened_from_the_browser_of_sessions_where_its_agent_is(memory):
    agent = guide(memory)
    await agent.execute("a", session="trip")
    view, opened, refused = SessionsView(memory.browse()), asyncio.Queue(), asyncio.Queue()
    view.talk("trip", opened.put_nowait, refused.put_nowait)
    assert "Nobody here goes on" in str(await asyncio.wait_for(refused.get(), 5))
    define(agent, "__main__:guide")
    assert (await memory.browse().tree("trip"))["chat"]
    view.talk("trip", opened.put_nowait, refused.put_nowait)
    chat = await asyncio.wait_for(opened.get(), 5)
    assert await chat.send("b") == "A B"
    elsewhere = Memory(open_store("memory://"))
    await guide(elsewhere).execute("a", session="trip")
    assert not (await elsewhere.browse().tree("trip"))["chat"]  # this agent remembers somewhere else
    define(Agent(ScriptedModel([]), "Talk.", name="guide", memory=memory, input=int), "__main__:guide")
    assert not memory.browse().snapshot()["tree"]["chat"]
