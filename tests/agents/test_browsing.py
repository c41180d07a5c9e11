"""Looking through sessions by hand, and going on from a place in one."""

import asyncio

import pytest

import quire
from quire import Agent, Memory, errors
from quire.testing import ScriptedModel, in_memory


@pytest.fixture
def memory():
    with in_memory():
        yield Memory()


def talker(memory):
    model = ScriptedModel([lambda request: request.messages[-1].text.upper()] * 99)
    return Agent(model, "Talk.", name="talker", memory=memory), model


async def say(agent, session, *words):
    for word in words:
        await agent.execute(word, session=session)


def texts(messages):
    return [message.text for message in messages]


async def test_all_sessions_are_listed_the_one_used_last_first(memory):
    agent, _ = talker(memory)
    await say(agent, "old", "a")
    await say(agent, "new", "b", "c")
    snapshot = memory.browse().snapshot()
    assert [(row["session"], row["turns"], row["agent"]) for row in snapshot["rows"]] == [
        ("new", 2, "talker"),
        ("old", 1, "talker"),
    ]
    assert snapshot["tree"]["session"] == "new"
    assert quire.views.sessions().snapshot() == snapshot


async def test_one_session_is_looked_at_alone(memory):
    agent, _ = talker(memory)
    await say(agent, "trip", "a")
    await say(agent, "other", "b")
    browser = memory.session("trip").browse()
    assert [row["session"] for row in await browser.rows()] == ["trip"]
    assert await browser.row("other") is None
    assert memory.session("nowhere").browse().snapshot()["rows"] == []


async def test_a_restore_goes_on_from_the_message_and_is_named_after_its_checkpoint(memory):
    agent, model = talker(memory)
    await say(agent, "trip", "kyoto")
    await memory.checkpoint("trip", name="outline")
    await say(agent, "trip", "osaka", "tokyo")
    browser = memory.browse()
    await browser.restore("trip", "main", 2)
    assert (await browser.tree("trip"))["head"] == "outline"
    await say(agent, "trip", "nara")
    assert texts(model.requests[-1].messages[1:]) == ["kyoto", "KYOTO", "nara"]
    await browser.restore("trip", "main", 5)
    assert (await browser.tree("trip"))["head"] == "before message 5"
    await say(agent, "trip", "kobe")
    assert texts(model.requests[-1].messages[1:]) == ["kyoto", "KYOTO", "osaka", "OSAKA", "kobe"]


async def test_a_fork_goes_on_from_the_message_and_both_live_on(memory):
    agent, model = talker(memory)
    await say(agent, "trip", "a", "b")
    browser = memory.browse()
    await browser.fork("trip", "main", 2, into=" by train ")
    await say(agent, "by train", "c")
    assert texts(model.requests[-1].messages[1:]) == ["a", "A", "c"]
    tree = await browser.tree("trip")
    assert tree["forks"] == [{"name": "by train", "branch": "main", "message": 2}]
    await memory.delete("by train")
    assert (await browser.tree("trip"))["forks"] == []


async def test_what_a_fork_was_given_can_be_gone_back_to_and_forked_again(memory):
    agent, model = talker(memory)
    await say(agent, "trip", "a", "b")
    await memory.fork("trip", into="second")
    browser = memory.browse()
    await browser.fork("second", "main", 2, into="third")
    await browser.restore("second", "main", 2)
    for session in ("second", "third"):
        await say(agent, session, "c")
        assert texts(model.requests[-1].messages[1:]) == ["a", "A", "c"]
    assert [branch["branch"] for branch in (await browser.tree("second"))["branches"]] == ["main", "from message 2"]


async def test_what_cannot_be_done_says_why(memory):
    agent, _ = talker(memory)
    await say(agent, "trip", "a")
    browser = memory.browse()
    with pytest.raises(errors.SessionError, match="already"):
        await browser.fork("trip", "main", 2, into="trip")
    with pytest.raises(errors.QuireError):
        await browser.fork("trip", "main", 2, into=" ")
    with pytest.raises(errors.QuireError, match="no name"):
        await browser.checkpoint("trip", " ")
    with pytest.raises(errors.UnknownCheckpoint, match="no message 7"):
        await browser.restore("trip", "main", 7)


async def test_the_place_where_a_session_is_gets_a_name(memory):
    agent, _ = talker(memory)
    await say(agent, "trip", "a")
    browser = memory.browse()
    await browser.checkpoint("trip", "p")
    assert (await browser.tree("trip"))["checkpoints"] == [{"name": "p", "branch": "main", "message": 2}]


async def test_words_are_found_in_what_was_said(memory):
    agent, _ = talker(memory)
    await say(agent, "one", "the train leaves")
    await say(agent, "train", "hello")
    await say(agent, "three", "hello")
    browser = memory.browse()
    await browser.rows()
    assert sorted(await browser.find("Train")) == ["one", "train"]


async def test_who_follows_is_told_of_every_change_until_they_leave(memory):
    agent, _ = talker(memory)
    heard = []
    leave = memory.browse().follow(heard.append)
    await say(agent, "trip", "a")
    assert heard == ["trip"]
    await memory.fork("trip", into="other")
    assert heard == ["trip", "trip", "other"]
    await memory.delete("other")
    assert heard[3:] == ["other"]
    leave()
    await say(agent, "trip", "b")
    assert len(heard) == 4


async def test_what_another_process_added_is_there_when_it_is_looked_at_again(memory, tmp_path):
    kept = f"file:{tmp_path}"
    agent, _ = talker(Memory(kept))
    browser = Memory(kept).browse()
    await say(agent, "trip", "a")
    assert [row["turns"] for row in await browser.rows()] == [1]
    await say(agent, "trip", "b")
    assert (await browser.tree("trip"))["turns"] == 2
    await Memory(kept).delete("trip")
    assert await browser.rows() == []
    browser.forget()
    assert await asyncio.to_thread(browser.snapshot) == {"kind": "sessions", "only": None, "rows": [], "tree": None}
