"""Cassettes against real servers on loopback: what is recorded is what is played, and nobody is asked twice."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import aclosing
from pathlib import Path

import pytest

import quire
from quire import LLM, Agent, Process, Retry
from quire.adapters.http import Target
from quire.core import errors
from quire.core.tape import in_force
from tests.kit import output_of
from tests.run.cassettes.kept import HEADER, agent, is_there, lines, llm, put, text_of
from tests.servers import ChatServer, Reply, says, sends, streams

ODD = "Grüße, 世界 🦋 \u2028 ende"


async def chunks_of(url: str, body: bytes = b"{}") -> list[bytes]:
    async with Target(f"{url}/v1/x", {}, 5.0).post(body) as reply:
        return [chunk async for chunk in reply.chunks()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demo.jsonl"


# --- what is recorded is what is played


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
async def test_every_chunk_is_played_as_it_came(path: Path, size: int):
    raw = f"data: {ODD}\n\n".encode()
    pieces = [raw[n : n + size] for n in range(0, len(raw), size)]
    with ChatServer(Reply(chunks=pieces, stream=True, headers={"content-type": "text/event-stream"})) as server:
        with quire.cassette(path):
            live = await chunks_of(server.url)
        url = server.url
    assert b"".join(live) == raw
    assert len(live) > 1 or size == 1000
    with quire.cassette(path):
        assert await chunks_of(url) == live
    assert lines(path)[1]["reply"]["text"] == raw.decode()


async def test_bytes_that_are_no_text_are_kept_too(path: Path):
    with ChatServer(Reply(chunks=[b"\xff\x00\x80", b"\xfe"], stream=True)) as server, quire.cassette(path):
        await chunks_of(server.url)
    with quire.cassette(path, mode="replay"):
        assert b"".join(await chunks_of(server.url)) == b"\xff\x00\x80\xfe"


async def test_a_reply_streams_while_it_is_recorded(path: Path):
    with ChatServer(streams("one ", "two ", "three", pause=0.15)) as server, quire.cassette(path):
        began, seen = time.monotonic(), []
        async for event in agent(server).stream("Count."):
            seen += [time.monotonic() - began] if event.kind == "delta" else []
        whole = time.monotonic() - began
    assert len(seen) == 3
    assert seen[0] < whole - 0.25
    arrived = [seconds for _, seconds in lines(path)[1]["reply"]["chunks"]]
    assert arrived == sorted(arrived)
    assert arrived[-1] > 0.6


async def test_an_answer_is_played_with_the_server_gone_and_marked(path: Path):
    with ChatServer(streams("Hel", "lo")) as server, quire.cassette(path):
        recorded = agent(server).start("Hi")
        assert await recorded == "Hello"
    with quire.cassette(path, mode="replay"):
        played = agent(server).start("Hi")
        assert await played == "Hello"
    assert recorded.fold().head()["replayed"] is False
    assert played.fold().head()["replayed"] is True
    assert [event.replayed for event in played.past if event.kind == "responded"] == [True]
    assert "replayed" in str(played)
    assert "replayed" not in str(recorded)


async def test_a_call_costs_what_it_cost_when_it_was_recorded(path: Path):
    priced = {"input": 1.0, "output": 2.0}
    costs = []
    for mode in ("record", "replay"):
        with ChatServer(says("Hello")) as server, quire.cassette(path, mode=mode):
            run = Agent(llm(server, price=priced), "Answer.", name="helper").start("Hi")
            await run
            assert len(server.requests) == (mode == "record")
        costs.append(next(event.cost_usd for event in run.past if event.kind == "responded"))
    assert costs[0] == costs[1] > 0


async def test_watched_or_not_it_is_the_same_request(path: Path):
    with ChatServer(streams("Hello")) as server, quire.cassette(path):
        assert await agent(server).execute("Hi") == "Hello"
        assert await agent(server).start("Hi") == "Hello"
        assert [event.kind async for event in agent(server).stream("Hi")].count("delta") == 1
    assert len(server.requests) == 1


async def test_the_port_of_a_local_server_does_not_matter_and_another_host_comes_second(path: Path):
    for word in ("first", "second"):
        with ChatServer(says(word)) as server, quire.cassette(path, mode="record"):
            await agent(server).execute("Hi")
    text = text_of(path)
    assert "127.0.0.1" not in text
    assert text.count('"http://localhost/v1/chat/completions"') == 1
    put(path, text.replace("http://localhost/", "https://gateway.example/"))
    with quire.cassette(path, mode="replay"):
        assert await agent("http://127.0.0.1:9").execute("Hi") == "second"
    # The very host goes before any other.
    put(path, text + text.splitlines()[1].replace("localhost", "other.example").replace("second", "other") + "\n")
    with quire.cassette(path, mode="replay"):
        assert await agent("http://127.0.0.1:9").execute("Hi") == "second"
        elsewhere = Agent(llm("https://other.example", api_key="none"), "Answer.", name="helper")
        assert await elsewhere.execute("Hi") == "other"


# --- the n-th of the same


async def test_the_nth_request_gets_the_nth_recording_and_then_the_last_one_stays(path: Path):
    with ChatServer(says("one"), says("two"), says("three")) as server:
        with quire.cassette(path, mode="record"):
            assert [await agent(server).execute("Hi") for _ in range(3)] == ["one", "two", "three"]
        for _ in range(2):  # a cell that is run again
            with quire.cassette(path):
                assert [await agent(server).execute("Hi") for _ in range(4)] == ["one", "two", "three", "three"]
        assert len(server.requests) == 3


async def test_the_order_of_asking_counts_not_that_of_the_replies(path: Path):
    with ChatServer(says("slow", wait=0.1), says("fast")) as server, quire.cassette(path):
        heard = await asyncio.gather(*(agent(server).execute("Hi") for _ in range(2)))
    assert sorted(heard) == ["fast", "slow"]
    assert "fast" in lines(path)[1]["reply"]["text"]
    with quire.cassette(path):
        assert [await agent(server).execute("Hi") for _ in range(2)] == heard


async def test_many_at_once_get_one_each(path: Path):
    words = [f"word {n}" for n in range(40)]
    with ChatServer(*map(says, words)) as server:
        with quire.cassette(path):
            heard = await asyncio.gather(*(agent(server).execute("Hi") for _ in words))
        with quire.cassette(path, mode="replay"):
            again = await asyncio.gather(*(agent(server).execute("Hi") for _ in words))
    assert sorted(heard) == sorted(words)
    assert again == heard


# --- modes


async def test_auto_plays_what_is_there_and_asks_the_rest(path: Path):
    with ChatServer(lambda request: says(request.json["messages"][1]["content"].upper())) as server:
        for questions in (["a"], ["a", "b"], ["b", "a", "c"]):
            with quire.cassette(path):
                assert [await agent(server).execute(word) for word in questions] == [word.upper() for word in questions]
        assert len(server.requests) == 3


async def test_record_asks_everything_and_replaces_only_what_it_asks(path: Path):
    with ChatServer(says("old a"), says("old b"), says("new a"), says("new a, again")) as server:
        with quire.cassette(path):
            await agent(server).execute("a")
            await agent(server).execute("b")
        with quire.cassette(path, mode="record"):
            assert await agent(server).execute("a") == "new a"
            assert await agent(server).execute("a") == "new a, again"
        with quire.cassette(path, mode="replay"):
            assert [await agent(server).execute(word) for word in "aab"] == ["new a", "new a, again", "old b"]
    assert len(lines(path)) == 4


async def test_live_is_as_if_there_were_none(path: Path):
    with ChatServer(says("live")) as server, quire.cassette(path, mode="live"):
        assert in_force() is None
        assert await agent(server).execute("Hi") == "live"
    assert not is_there(path)


async def test_the_environment_says_the_mode_and_an_argument_goes_before_it(path: Path, monkeypatch):
    with ChatServer(says("one"), says("two")) as server:
        monkeypatch.setenv("QUIRE_CASSETTE_MODE", "live")
        with quire.cassette(path):
            await agent(server).execute("Hi")
        assert not is_there(path)
        with quire.cassette(path, mode="record"):
            await agent(server).execute("Hi")
        monkeypatch.setenv("QUIRE_CASSETTE_MODE", "replay")
        with quire.cassette(path):
            assert await agent(server).execute("Hi") == "two"
            with pytest.raises(errors.CassetteMiss):
                await agent(server).execute("something else")
        monkeypatch.setenv("QUIRE_CASSETTE_MODE", "reply")
        with pytest.raises(errors.DefinitionError, match=r"QUIRE_CASSETTE_MODE='reply'"):
            quire.cassette(path)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mode": "rec"}, "mode='rec'"),
        ({"speed": 0}, "speed=0"),
        ({"speed": True}, "speed=True"),
        ({"tools": "search"}, "tools='search'"),
        ({"tools": [5]}, "tools= has 5, which is no tool"),
        ({"path": None}, r"cassette\(None\) names no file"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(path: Path, arguments, said):
    with pytest.raises(errors.DefinitionError, match=said):
        quire.cassette(**{"path": path, **arguments})
    assert in_force() is None


async def test_replayed_at_a_pace_it_takes_its_time(path: Path):
    with ChatServer(streams("a", "b", "c", pause=0.05)) as server, quire.cassette(path):
        await agent(server).execute("Hi")
    took = []
    for speed in (None, 1.0, 4.0):
        with quire.cassette(path, mode="replay", speed=speed):
            began = time.monotonic()
            await agent(server).execute("Hi")
            took.append(time.monotonic() - began)
    assert took[1] > 0.2
    assert took[2] > 0.05
    assert took[0] < took[1]


# --- where it counts


async def test_the_innermost_block_counts(tmp_path: Path):
    with ChatServer(says("Hello")) as server, quire.cassette(tmp_path / "outer.jsonl"):
        await agent(server).execute("1")
        with quire.cassette(tmp_path / "inner.jsonl"):
            await agent(server).execute("2")
            with quire.cassette(tmp_path / "none.jsonl", mode="live"):
                assert in_force() is None
        await agent(server).execute("3")
    assert in_force() is None
    assert [len(lines(tmp_path / f"{name}.jsonl")) for name in ("outer", "inner")] == [3, 2]


def test_without_a_block_it_counts_until_the_next(tmp_path: Path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    with ChatServer(says("Hello")) as server:
        try:
            quire.cassette(one)
            agent(server).execute_sync("1")
            quire.cassette(two)
            agent(server).execute_sync("2")
            with quire.cassette(one):
                agent(server).execute_sync("3")
            agent(server).execute_sync("4")
        finally:
            quire.cassette(two, mode="live")
        agent(server).execute_sync("5")
    assert (len(lines(one)), len(lines(two))) == (3, 3)
    assert len(server.requests) == 5


def test_a_run_on_the_background_loop_and_a_thread_of_the_users_own_are_in_the_block(path: Path):
    heard = []
    with ChatServer(says("Hello")) as server:
        with quire.cassette(path):
            heard.append(agent(server).execute_sync("Hi"))
        with quire.cassette(path, mode="replay"):
            thread = threading.Thread(target=lambda: heard.append(agent(server).execute_sync("Hi")))
            thread.start()
            thread.join()
    assert heard == ["Hello", "Hello"]


async def test_a_run_keeps_the_tape_it_was_started_with(path: Path):
    with ChatServer(says("Hello", wait=0.05)) as server:
        outside = agent(server).start("outside")
        with quire.cassette(path):
            run = agent(server).start("inside")
        assert (await run, await outside) == ("Hello", "Hello")
        await agent(server).execute("after")
    assert [line["request"]["body"]["messages"][1]["content"] for line in lines(path)[1:]] == ["inside"]


# --- a miss


async def test_a_miss_shows_the_nearest_and_asks_nobody(path: Path):
    with ChatServer(says("Paris"), says("4")) as server:
        with quire.cassette(path):
            await agent(server, "You know geography.").execute("What is the capital of France?")
            await agent(server, "You can count.").execute("How much is two and two?")
        asked = len(server.requests)
        with quire.cassette(path, mode="replay"), pytest.raises(errors.CassetteMiss) as caught:
            await agent(server, "You know geography.").execute("What is the capital of Spain?")
        assert len(server.requests) == asked
    said = str(caught.value)
    assert "demo.jsonl" in said
    assert "line 2" in said
    assert "messages[1].content" in said
    assert '- "What is the capital of France?"' in said
    assert '+ "What is the capital of Spain?"' in said
    assert 'mode="auto"' in said
    assert "in helper" in said
    assert "geography" not in said


async def test_a_miss_is_tried_once_only_and_no_fallback_answers_for_it(path: Path):
    put(path, HEADER)
    with ChatServer(says("Hello")) as server, quire.cassette(path, mode="replay"):
        backed = Agent(
            llm(server, fallback=llm(server, "gpt-other")), "Answer.", name="helper", retry=Retry(max_attempts=3)
        )
        run = backed.start("Hi")
        with pytest.raises(errors.CassetteMiss, match="Nothing of its kind is recorded"):
            await run
        assert not server.requests
    assert [event.kind for event in run.past].count("requested") == 1


async def test_without_a_key_auto_plays_and_says_both_when_it_cannot(path: Path, monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    put(path, HEADER)
    helper = Agent(LLM("claude-haiku-4-5"), "Answer.", name="helper")
    with quire.cassette(path), pytest.raises(errors.CassetteMiss) as caught:
        await helper.execute("Hi")
    assert "no key" in str(caught.value)
    assert "Set ANTHROPIC_API_KEY" in str(caught.value)
    with quire.cassette(path, mode="record"), pytest.raises(errors.AuthenticationError, match="ANTHROPIC_API_KEY"):
        await helper.execute("Hi")
    with quire.cassette(path, mode="live"), pytest.raises(errors.AuthenticationError, match="ANTHROPIC_API_KEY"):
        await helper.execute("Hi")
    assert len(lines(path)) == 1


# --- what goes wrong is played as well


async def test_errors_are_classified_as_they_were_and_nobody_waits(path: Path):
    slow_down = sends(429, {"error": {"message": "slow down"}}, headers={"retry-after-ms": "150", "set-cookie": "a=b"})
    with ChatServer(slow_down, says("Hello")) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode):
                began = time.monotonic()
                run = agent(server, retry=Retry(max_attempts=2)).start("Hi")
                assert await run == "Hello"
            took = time.monotonic() - began
            [retried] = [event for event in run.past if event.kind == "retried"]
            assert retried.error_type == "RateLimited"
            assert took > 0.15 or mode == "replay"
            assert retried.wait_s == (0.15 if mode == "record" else 0.0)
            assert list(run.calls["replayed"]) == [mode == "replay"] * 2
        assert len(server.requests) == 2
    assert lines(path)[1]["reply"]["headers"] == {"content-type": "application/json", "retry-after-ms": "150"}
    assert lines(path)[1]["error"] == "RateLimited"


async def test_the_server_s_own_wait_is_still_told(path: Path):
    with ChatServer(sends(429, {"error": {"message": "slow down"}}, headers={"retry-after": "7"})) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode), pytest.raises(errors.RateLimited) as caught:
                await agent(server).execute("Hi")
            assert caught.value.retry_after == 7.0
            assert caught.value.replayed == (mode == "replay")
            assert quire.runs()["replayed"].iloc[0] == (mode == "replay")


async def test_a_failure_that_may_pass_is_asked_again_where_one_can(path: Path):
    with ChatServer(sends(503, "busy"), says("Hello")) as server:
        for mode in ("auto", "replay"):
            with quire.cassette(path, mode=mode), pytest.raises(errors.Overloaded):
                await agent(server).execute("Hi")
        with quire.cassette(path):
            assert await agent(server).execute("Hi") == "Hello"
        with quire.cassette(path, mode="replay"):
            assert await agent(server).execute("Hi") == "Hello"
    assert len(lines(path)) == 2


async def test_the_request_s_own_fault_is_played(path: Path):
    with ChatServer(sends(400, {"error": {"message": "no such field"}})) as server:
        for _ in range(2):
            with quire.cassette(path), pytest.raises(errors.InvalidRequest, match="no such field"):
                await agent(server).execute("Hi")
        assert len(server.requests) == 1


async def test_a_wrong_key_is_not_recorded(path: Path):
    refused = pytest.raises(errors.AuthenticationError)
    with ChatServer(sends(401, {"error": {"message": "wrong key"}})) as server, quire.cassette(path), refused:
        await agent(server).execute("Hi")
    assert not is_there(path)


async def test_a_connection_that_broke_breaks_again(path: Path):
    with ChatServer(streams("Hel", "lo", ending="cut")) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode):
                with pytest.raises(errors.StreamInterrupted) as caught:
                    await agent(server).execute("Hi")
                assert caught.value.partial == "Hello"
    assert lines(path)[1]["broke"] == "StreamInterrupted"


async def test_a_server_that_fell_silent_does_so_again_but_nobody_waits(path: Path):
    with ChatServer(streams("Hel", ending="hang")) as server:
        for mode in ("record", "replay"):
            began, patience = time.monotonic(), 0.2 if mode == "record" else 30
            with quire.cassette(path, mode=mode), pytest.raises(errors.ProviderTimeout):
                await Agent(llm(server, timeout=patience), "Answer.").execute("Hi")
            assert time.monotonic() - began < 10


async def test_a_server_that_was_not_there_is_not_there_again_and_its_fallback_is(path: Path):
    with ChatServer(says("Hello")) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode):
                absent = llm("http://127.0.0.1:9", fallback=llm(server, "gpt-other"))
                run = Agent(absent, "Answer.").start("Hi")
                assert await run == "Hello"
            [failed] = [event for event in run.past if event.kind == "failed"]
            assert failed.error_type == "ProviderUnreachable"
        assert len(server.requests) == 1


async def test_what_was_stopped_is_no_answer(path: Path):
    with ChatServer(streams("Hel", "lo", pause=5), says("Hello")) as server:
        with quire.cassette(path):
            run = agent(server).start("Hi")
            async with aclosing(run.follow()) as seen:
                async for event in seen:
                    if event.kind == "delta":
                        break
            await run.cancel()
        assert lines(path)[1]["broke"] == "Cancelled"
        with quire.cassette(path, mode="replay"), pytest.raises(errors.CassetteMiss, match="Line 2 begins one"):
            await agent(server).execute("Hi")
        with quire.cassette(path):
            assert await agent(server).execute("Hi") == "Hello"
    assert len(lines(path)) == 2


async def test_a_race_is_lost_again_by_who_lost_it(path: Path):
    def answer(request):
        return says("fast") if request.json["model"] == "gpt-fast" else says("slow", wait=5)

    with ChatServer(answer) as server:
        for mode in ("record", "replay", "auto"):
            with quire.cassette(path, mode=mode):
                racers = [Agent(llm(server, f"gpt-{name}"), "Answer.", name=name) for name in ("slow", "fast")]
                run = Process.race(*racers).start("Hi")
                assert await run == "fast"
            ended = {event.kind for event in run.past if event.kind in {"failed", "cancelled"}}
            assert ended == {"cancelled"}
        assert len(server.requests) == 2
    assert len(lines(path)) == 3


def test_replay_needs_neither_network_nor_key(path: Path, tmp_path: Path):
    with ChatServer(streams("Hel", "lo")) as server, quire.cassette(path):
        agent(server).execute_sync("Hi")
    put(path, text_of(path).replace("http://localhost", "https://api.openai.com"))
    said = output_of(
        f"""
        import socket
        def refuse(*_):
            raise AssertionError("the network was used")
        socket.getaddrinfo = socket.socket.connect = refuse
        import quire
        with quire.cassette({str(path)!r}, mode="replay"):
            helper = quire.Agent(quire.LLM("gpt-test", provider="openai-chat"), "Answer.", name="helper")
            print(helper.execute_sync("Hi"))
        """,
        tmp_path,
    )
    assert said == "Hello"
