"""The kernel's side of the browser of sessions: what a page is told, and what it may ask."""

import asyncio

import pytest

from quire import Agent, Memory
from quire.testing import ScriptedModel, in_memory
from quire_widgets.sessions import Browsable
from quire_widgets.views import SessionsView, view_of


@pytest.fixture
def memory():
    with in_memory():
        yield Memory()


def talker(memory):
    model = ScriptedModel([lambda request: request.messages[-1].text.upper()] * 99)
    return Agent(model, "Talk.", name="talker", memory=memory)


def asked(view, **ask):
    """Ask as a page does, and wait for the answer."""
    heard = asyncio.get_running_loop().create_future()
    view.take({"by": "me", **ask}, heard.set_result)
    return asyncio.wait_for(heard, 5)


async def news(view, changed):
    await asyncio.wait_for(changed.wait(), 5)
    changed.clear()
    return view.patch()


async def test_whatever_has_sessions_can_be_shown(memory):
    await talker(memory).execute("a", session="trip")
    for thing in (memory, memory.session("trip"), memory.browse()):
        assert isinstance(thing, Browsable)
        assert isinstance(view_of(thing), SessionsView)
    assert not isinstance(talker(memory), Browsable)


async def test_a_turn_that_is_added_reaches_an_open_view_once(memory):
    agent, view, changed = talker(memory), SessionsView(memory.browse()), asyncio.Event()
    view.open(changed.set)
    assert view.snapshot() == ({"kind": "sessions", "only": None, "rows": [], "tree": None}, 0)
    await agent.execute("a", session="trip")
    patch = await news(view, changed)
    assert [(row["session"], row["turns"]) for row in patch["rows"]] == [("trip", 1)]
    assert (patch["seq"], patch["gone"], view.patch()) == (1, [], None)
    await memory.delete("trip")
    assert (await news(view, changed))["gone"] == ["trip"]
    assert view.still()["text/plain"].startswith("No session")
    view.close()
    await agent.execute("b", session="trip")
    await asyncio.sleep(0.05)
    assert view.patch() is None


async def test_what_was_added_while_nobody_looked_is_told_when_it_is_opened_again(memory):
    agent, view, changed = talker(memory), SessionsView(memory.browse()), asyncio.Event()
    await agent.execute("a", session="trip")
    view.open(changed.set)
    assert [row["session"] for row in (await news(view, changed))["rows"]] == ["trip"]
    assert "trip" in view.still()["text/plain"]
    view.close()


async def test_a_turn_of_another_thread_is_heard_on_the_views_own_loop(memory):
    view, changed = SessionsView(memory.browse()), asyncio.Event()
    view.open(changed.set)
    await asyncio.to_thread(lambda: talker(memory).execute_sync("a", session="trip"))
    assert (await news(view, changed))["rows"][0]["turns"] == 1
    view.close()


async def test_a_page_looks_and_goes_on(memory):
    agent = talker(memory)
    await agent.execute("a", session="trip")
    await agent.execute("b", session="trip")
    view = SessionsView(memory.browse())
    spot = {"session": "trip", "branch": "main", "message": 2}
    assert (await asked(view, ask="tree", session="trip"))["tree"]["head"] == "main"
    assert (await asked(view, ask="place", **spot))["place"]["text"] == "A"
    assert (await asked(view, ask="find", words="b"))["sessions"] == ["trip"]
    done = await asked(view, ask="fork", **spot, into=" rail ")
    assert done == {"said": "done", "session": "rail", "by": "me", "ask": "fork"}
    assert (await asked(view, ask="checkpoint", session="trip", name="p"))["said"] == "done"
    assert (await asked(view, ask="restore", **spot))["session"] == "trip"
    assert (await asked(view, ask="tree", session="trip"))["tree"]["head"] == "from message 2"
    assert [message.text for message in await memory.history("rail")] == ["a", "A"]


async def test_what_cannot_be_done_is_refused_with_the_remedy(memory):
    await talker(memory).execute("a", session="trip")
    view = SessionsView(memory.browse())
    spot = {"session": "trip", "branch": "main", "message": 2}
    taken = await asked(view, ask="fork", **spot, into="trip")
    assert (taken["said"], taken["message"]) == ("refused", "There is a session 'trip' already.")
    assert taken["remedy"].startswith("Fork into another name")
    assert (await asked(view, ask="restore", **{**spot, "message": 9}))["said"] == "refused"
    assert (await asked(view, ask="dance"))["said"] == "refused"


async def test_a_store_that_fails_says_so(memory, monkeypatch):
    await talker(memory).execute("a", session="trip")
    view = SessionsView(memory.browse())

    async def read(stream, after=0):
        raise OSError("the disk is gone")

    monkeypatch.setattr(memory.store, "read", read)
    refused = await asked(view, ask="tree", session="trip")
    assert (refused["said"], refused["message"]) == ("refused", "OSError: the disk is gone")


async def test_the_still_picture_is_renewed_once_it_is_quiet(memory, monkeypatch):
    monkeypatch.setattr("quire_widgets.sessions._QUIET", 0.2)
    agent, view, renewed = talker(memory), SessionsView(memory.browse()), asyncio.Queue()
    view.renew = lambda: renewed.put_nowait(view.still()["text/plain"])
    view.open(lambda: None)
    for word in "abc":
        await agent.execute(word, session="trip")
    while "3 turns" not in await asyncio.wait_for(renewed.get(), 5):
        pass
    await asyncio.sleep(0.3)
    assert renewed.empty()
    view.close()
