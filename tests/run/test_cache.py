"""Replies given again: to exactly the same request, to the same owner of a key, and only whole ones."""

import asyncio
import json
from contextlib import suppress

import pytest

import quire
from quire import LLM, Agent, File, errors
from quire.core.messages import Message
from quire.core.ports import ModelRequest
from quire.run.cache import ReplyCache
from quire.run.retry import Retry
from quire.testing import ScriptedModel, in_memory
from tests.kit import output_of
from tests.servers import ChatServer, calls, events, says, sends, streams

PRICE = {"input": 100.0, "output": 100.0}


def llm_at(server, **settings):
    return LLM(**{"model": "gpt-test", "base_url": server.url, "cache": True, "price": PRICE, **settings})


def counted():
    """Serve replies that differ: what was given before is told by its number."""
    numbers = iter(range(1, 1000))
    return ChatServer(lambda _: says(f"reply {next(numbers)}"))


def test_the_same_request_is_asked_once():
    with counted() as server:
        agent = Agent(llm_at(server), "Answer.", name="helper")
        first, second = agent.start("Why?"), agent.start("Why?")
        assert (first.wait(), second.wait()) == ("reply 1", "reply 1")
        assert Agent(llm_at(server), "Answer.").execute_sync("Why?") == "reply 1"
        assert len(server.requests) == 1
    columns = ["cached", "input_tokens", "output_tokens", "cost_usd", "price_source", "finish_reason", "model"]
    assert first.calls[columns].values.tolist() == [[False, 12, 3, 0.0015, "given", "stop", "gpt-test"]]
    assert second.calls[columns].values.tolist() == [[True, 0, 0, 0.0, "cache", "stop", "gpt-test"]]
    [total] = quire.costs(by="model")[["calls", "input_tokens", "cost_usd", "unpriced_calls"]].values.tolist()
    assert total == [3, 12, 0.0015, 0]
    assert str(second).count("reply 1") == 1


def test_it_is_asked_every_time_unless_it_is_said_otherwise():
    with counted() as server:
        agent = Agent(llm_at(server, cache=False), "Answer.")
        assert [agent.execute_sync("Why?") for _ in range(2)] == ["reply 1", "reply 2"]
        assert Agent(llm_at(server), "Answer.").execute_sync("Why?") == "reply 3"


def look(key: str) -> str:
    """Look."""
    return key


CAT, DOG, COW = (File.of(data, "text/plain", name="pet.txt") for data in (b"cat", b"dog", b"cow"))


@pytest.mark.parametrize(
    ("change", "question"),
    [
        ({"llm": {"temperature": 0.5}}, "Why?"),
        ({"llm": {"max_tokens": 50}}, "Why?"),
        ({"llm": {"stop": "END"}}, "Why?"),
        ({"llm": {"reasoning": "low"}}, "Why?"),
        ({"llm": {"model": "gpt-other"}}, "Why?"),
        ({"llm": {"provider": "groq"}}, "Why?"),
        ({"llm": {"api_key": "sk-another"}}, "Why?"),
        ({"instructions": "Answer!"}, "Why?"),
        ({"tools": [look]}, "Why?"),
        ({"output": dict[str, str]}, "Why?"),
        ({}, "Why not?"),
        ({"input": list}, ["Why?", CAT]),
        ({"input": list}, ["Why?", DOG]),
    ],
)
def test_whatever_can_change_a_reply_makes_another_request(change, question):
    usual = {"instructions": "Answer.", "llm": {}}
    with ChatServer(says('{"a": "b"}')) as server:

        def ask(llm, question, **how):
            return Agent(llm_at(server, **{"api_key": "sk-1", **llm}), **how).execute_sync(question)

        ask(**usual, question="Why?")
        ask(**usual, question=["Why?", COW], input=list)
        before = len(server.requests)
        for _ in range(2):
            ask(**{**usual, **change}, question=question)
        assert len(server.requests) == before + 1


def test_a_reply_from_another_address_is_another(monkeypatch):
    with counted() as server, ChatServer(says("from elsewhere")) as other:
        agent = Agent(LLM("vllm:m", cache=True), "Answer.")
        monkeypatch.setenv("VLLM_BASE_URL", server.url)
        assert agent.execute_sync("Why?") == "reply 1"
        monkeypatch.setenv("VLLM_BASE_URL", other.url)
        assert agent.execute_sync("Why?") == "from elsewhere"
        monkeypatch.setenv("VLLM_BASE_URL", f"{server.url}/v1")
        assert agent.execute_sync("Why?") == "reply 1"


@pytest.mark.parametrize("provider", ["openai", "openai-chat", "openai_compat", "vllm", "azure"])
def test_a_reply_from_another_server_is_another_whatever_it_is_called(provider):
    with ChatServer(says("one")) as first, ChatServer(says("two")) as second:
        said = [
            Agent(llm_at(server, provider=provider, api_key="k" * 12), "Answer.").execute_sync("Why?")
            for server in (first, second, first)
        ]
    assert said == ["one", "two", "one"]


def test_it_is_kept_for_the_next_process(quire_home):
    next_process = """
        from quire import LLM, Agent
        run = Agent(LLM("gpt-test", base_url="%s", cache=True), "Answer.").start("Why?")
        print(run.wait(), *[event.cached for event in run.past if event.kind == "responded"])
    """
    with counted() as server:
        assert Agent(llm_at(server), "Answer.").execute_sync("Why?") == "reply 1"
        assert output_of(next_process % server.url, quire_home) == "reply 1 True"
    [kept] = (quire_home / "cache").iterdir()
    reply = json.loads(kept.read_text())
    assert (reply["kind"], reply["usage"]["input_tokens"]) == ("responded", 12)


def test_it_lives_as_long_as_a_store_in_memory(quire_home):
    with counted() as server:
        agent = Agent(llm_at(server), "Answer.")
        for expected in ("reply 1", "reply 2"):
            with in_memory():
                assert [agent.execute_sync("Why?") for _ in range(2)] == [expected] * 2
    assert not (quire_home / "cache").exists()


async def test_who_watches_sees_it_written():
    with ChatServer(says("all of it", reasoning_content="hm")) as server:
        agent = Agent(llm_at(server), "Answer.")
        await agent.execute("Why?")
        seen = [event async for event in agent.stream("Why?")]
        assert len(server.requests) == 1
    assert [event.text for event in seen if event.kind == "delta"] == ["all of it"]
    assert [event.text for event in seen if event.kind == "thinking"] == ["hm"]
    [reply] = [event for event in seen if event.kind == "responded"]
    assert (reply.cached, reply.first_token_s) == (True, None)


async def test_a_streamed_reply_is_given_to_who_does_not_watch():
    with ChatServer(streams("Hel", "lo")) as server:
        agent = Agent(llm_at(server), "Answer.")
        assert len([event async for event in agent.stream("Why?") if event.kind == "delta"]) == 2
        assert await agent.execute("Why?") == "Hello"
        assert len(server.requests) == 1


def test_a_whole_conversation_is_given_again_while_its_tools_are_used():
    used = []

    def find(key: str) -> str:
        """Find."""
        used.append(key)
        return f"{key} found"

    with ChatServer(calls(("find", {"key": "a"}), ("find", {"key": "b"})), says("both")) as server:
        agent = Agent(llm_at(server), "Answer.", tools=[find])
        assert [agent.execute_sync("Where?") for _ in range(2)] == ["both", "both"]
        assert len(server.requests) == 2
    assert sorted(used) == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "reply",
    [
        says("cut of", finish="length"),
        says("", finish="content_filter"),
        says(None, refusal="No."),
        sends(400, {"error": {"message": "What?"}}),
        sends(500, {"error": {"message": "Broken."}}),
        events({"choices": [{"index": 0, "delta": {"content": "Hel"}}]}, ending="cut"),
    ],
)
def test_what_is_not_whole_is_asked_again(reply):
    with ChatServer(reply) as server:
        agent = Agent(llm_at(server), "Answer.")
        for _ in range(2):
            with suppress(errors.ProviderError):
                agent.start("Why?").wait()
        assert len(server.requests) == 2


def test_a_reply_to_a_second_attempt_is_kept():
    with ChatServer(sends(503, {"error": {"message": "Busy."}}), says("at last")) as server:
        agent = Agent(llm_at(server), "Answer.", retry=Retry(max_attempts=2, backoff=0))
        assert [agent.execute_sync("Why?") for _ in range(2)] == ["at last", "at last"]
        assert len(server.requests) == 2


# At the same time


async def test_those_who_come_together_wait_for_the_first():
    with ChatServer(says("once", wait=0.05)) as server:
        agent = Agent(llm_at(server), "Answer.")
        runs = [agent.start("Why?") for _ in range(8)]
        assert await asyncio.gather(*runs) == ["once"] * 8
        assert len(server.requests) == 1
    assert sum(run.calls["cached"].sum() for run in runs) == 7


async def test_if_the_first_gets_nothing_the_others_ask_side_by_side():
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def reply(_):
        if len(server.requests) == 1:
            return sends(500, {"error": {"message": "Broken."}}, wait=0.05)
        if len(server.requests) == 5:
            loop.call_soon_threadsafe(asked.set)
        return says("fine", wait=0.3)

    with ChatServer(reply) as server:
        agent = Agent(llm_at(server), "Answer.")
        runs = [agent.start("Why?") for _ in range(5)]
        await asked.wait()
        assert [run.status for run in runs].count("running") == 4
        found = await asyncio.gather(*runs, return_exceptions=True)
        assert len(server.requests) == 5
    assert [type(one) for one in found] == [errors.ProviderError, str, str, str, str]


async def test_if_the_first_is_cancelled_the_others_go_on():
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def reply(_):
        loop.call_soon_threadsafe(asked.set)
        return says("late", wait=0.1)

    with ChatServer(reply) as server:
        agent = Agent(llm_at(server), "Answer.")
        first, second, third = (agent.start("Why?") for _ in range(3))
        await asked.wait()
        await third.cancel()
        await first.cancel()
        assert await second == "late"
        assert await agent.execute("Why?") == "late"
        assert len(server.requests) == 2
    assert (first.status, third.status) == ("cancelled", "cancelled")


# Whose it is


def test_what_one_key_was_used_for_is_given_to_nobody_else(quire_home):
    with counted() as server:
        agent = Agent(llm_at(server, model="openai:gpt-test", api_key="sk-operator"), "Answer.")
        tenants = [{"openai": "sk-tenant-one"}, {"openai": "sk-tenant-two"}, None]
        asked = [agent.execute_sync("Why?", keys=keys) for keys in tenants * 2]
        assert asked == ["reply 1", "reply 2", "reply 3"] * 2
    kept = "".join(f"{path} {path.read_text()}" for path in quire_home.rglob("*.jsonl"))
    assert "reply 2" in kept
    assert "sk-" not in kept


def test_a_cassette_hears_every_question(tmp_path):
    with counted() as server:
        agent = Agent(llm_at(server), "Answer.")
        assert agent.execute_sync("Why?") == "reply 1"
        with quire.cassette(tmp_path / "tape.jsonl"):
            assert agent.execute_sync("Why?") == "reply 2"
            played = agent.start("Why?")
            assert played.wait() == "reply 2"
        assert agent.execute_sync("Why?") == "reply 1"
    assert played.calls[["cached", "replayed"]].values.tolist() == [[False, True]]


# What goes wrong


def test_a_reply_that_cannot_be_read_is_asked_for_again(quire_home):
    with counted() as server:
        agent = Agent(llm_at(server), "Answer.")
        agent.execute_sync("Why?")
        [kept] = (quire_home / "cache").iterdir()
        kept.write_text("this is no event\n")
        assert [agent.execute_sync("Why?") for _ in range(2)] == ["reply 2", "reply 2"]


def test_who_cannot_remember_asks(quire_home):
    quire_home.mkdir()
    (quire_home / "cache").write_text("in the way")
    with counted() as server:
        agent = Agent(llm_at(server), "Answer.")
        assert [agent.execute_sync("Why?") for _ in range(2)] == ["reply 1", "reply 2"]


def test_half_a_character_is_no_hindrance():
    half, other = (ModelRequest(messages=(Message.of("user", text),)) for text in ("\ud83d", "\ud83e"))
    names = [ReplyCache().stream(ScriptedModel([]), request) for request in (half, half, other)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("cache", ["yes", 1, None])
def test_it_is_yes_or_no(cache):
    with pytest.raises(errors.DefinitionError, match="makes no sense"):
        LLM("offline", cache=cache)


def test_an_agents_card_says_so():
    assert ("cache", "the same request is asked once") in Agent(LLM("offline", cache=True), "x").card()["limits"]
