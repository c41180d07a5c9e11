"""What every dialect does alike; a new one is added to `DIALECTS`."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import Any

import pytest

from quire.core import errors
from quire.core.ports import Answer, ModelRequest, Piece
from tests.adapters.providers.dialects import DIALECTS, HELLO, Dialect, ask, fail
from tests.servers import ChatServer, Reply, Request, events, sends


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


# --- what is read


async def test_a_reply_that_comes_whole(dialect: Dialect):
    pieces, answer, _ = await ask(dialect, dialect.says("Hi"))
    assert (pieces, answer.message.text, answer.finish_reason) == ([], "Hi", "stop")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 3)
    _, answer, _ = await ask(dialect, sends(200, dialect.rich_whole))
    assert (answer.message.parts, answer.finish_reason) == (dialect.rich_parts, "tool_calls")


async def test_the_first_piece_comes_before_the_last_is_sent(dialect: Dialect):
    with ChatServer(dialect.streams("a", "b", "c", pause=0.06)) as server:
        asked = dialect.opened(server.url).ask(ModelRequest(messages=HELLO, stream=True))
        at = [(found, time.monotonic()) async for found in asked]
    assert [found.text for found, _ in at if isinstance(found, Piece)] == ["a", "b", "c"]
    assert at[2][1] - at[0][1] > 0.09
    assert isinstance(at[-1][0], Answer)


async def test_a_stream_leaves_a_connection_that_can_be_used_again(dialect: Dialect):
    with ChatServer(dialect.streams("a", "b")) as server:
        for _ in range(3):
            [_ async for _ in dialect.opened(server.url).ask(ModelRequest(messages=HELLO, stream=True))]
        assert server.connections == 1


async def test_a_server_that_does_not_stream_is_understood(dialect: Dialect):
    pieces, answer, _ = await ask(dialect, dialect.says("Hi"), stream=True)
    assert (pieces, answer.message.text) == ([Piece(text="Hi")], "Hi")


def written(payloads: list[Any], end: str) -> bytes:
    """Write events as servers do that escape nothing and say that they are still there."""
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in payloads]
    named = [f"event: {one['type']}{end}" if isinstance(one, dict) and "type" in one else "" for one in payloads]
    said = (f"{name}data: {line}{end}{end}: ping{end}{end}" for name, line in zip(named, lines, strict=True))
    return "".join(said).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_however_the_bytes_are_cut(dialect: Dialect, end: str):
    raw = written(dialect.rich, end)
    for size in (1, 2, 3, 7, len(raw)):
        chunks = [raw[n : n + size] for n in range(0, len(raw), size)]
        pieces, answer, _ = await ask(dialect, Reply(chunks=chunks, stream=True), stream=True)
        assert answer.message.parts == dialect.rich_parts
        assert answer.finish_reason == "tool_calls"
        assert "".join(piece.text for piece in pieces if not piece.thinking) == "Héllo wörld\u2028🦩"
        assert "".join(piece.text for piece in pieces if piece.thinking) == "Hm\u0085 né"


# --- what goes wrong


@pytest.mark.parametrize("ending", ["cut", "complete"])
async def test_a_stream_that_ends_without_an_end_is_interrupted(dialect: Dialect, ending: Any):
    payloads = dialect.stream("Once ", "upon", "a time")
    said = next(n for n, payload in enumerate(payloads) if "a time" in json.dumps(payload))
    error = await fail(dialect, events(*payloads[:said], ending=ending), stream=True)
    assert isinstance(error, errors.StreamInterrupted)
    assert (error.partial, error.begun) == ("Once upon", True)


async def test_a_stream_that_cannot_be_read_is_interrupted(dialect: Dialect):
    for reply in (events(dialect.stream("a", "b")[0], '{"broken'), sends(200, b"")):
        assert type(await fail(dialect, reply, stream=True)) is errors.StreamInterrupted


@pytest.mark.parametrize("ending", ["cut", "hang", "complete"])
async def test_after_the_last_word_the_good_bye_does_not_matter(dialect: Dialect, ending: Any):
    payloads = [payload for payload in dialect.stream("Hi") if payload != "[DONE]"]
    with ChatServer(events(*payloads, ending=ending)) as server:
        asked = dialect.opened(server.url, timeout=0.3).ask(ModelRequest(messages=HELLO, stream=True))
        *_, answer = [found async for found in asked]
    assert isinstance(answer, Answer)
    assert answer.message.text == "Hi"


@pytest.mark.parametrize("body", [b"", b"null", b"<html></html>", {}, [], {"error": "x"}, {"message": "x"}])
async def test_a_success_that_is_none_is_an_error(dialect: Dialect, body: Any):
    error = await fail(dialect, sends(200, body))
    assert type(error) is errors.ProviderError
    assert error.status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_a_page_of_html_is_a_server_in_trouble(dialect: Dialect, *, stream: bool):
    error = await fail(dialect, sends(500, "<html><title>Oops</title></html>"), stream=stream)
    assert type(error) is errors.ProviderError
    assert (error.status, "Oops" in error.what) == (500, True)


async def test_a_limit_says_how_long(dialect: Dialect):
    error = await fail(dialect, sends(429, {"error": {"message": "Slow"}}, headers={"Retry-After": "7"}))
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after == 7.0


async def test_a_key_is_never_repeated(dialect: Dialect):
    said = {"error": {"message": "Wrong key sk-secret-1234"}}
    inside = events(*dialect.stream("a", "b")[:1], said)
    for reply in (sends(401, said), sends(200, "<p>sk-secret-1234</p>"), sends(200, said), inside):
        error = await fail(dialect, reply, stream=reply.stream, api_key="sk-secret-1234")
        assert "sk-secret" not in f"{error} {error.body} {error.__cause__}"


async def test_silence_is_a_timeout(dialect: Dialect):
    silent = events(*dialect.stream("a", "b")[:1], ending="hang")
    assert isinstance(await fail(dialect, silent, stream=True, timeout=0.2), errors.ProviderTimeout)
    assert isinstance(await fail(dialect, dialect.says("a", wait=3), timeout=0.2), errors.ProviderTimeout)


@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_closes_the_connection(dialect: Dialect, *, stream: bool):
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def slow(_: Request) -> Reply:
        loop.call_soon_threadsafe(arrived.set)
        return dialect.streams("a", "b", pause=3) if stream else dialect.says("x", wait=3)

    with ChatServer(slow) as server:

        async def read():
            return [_ async for _ in dialect.opened(server.url).ask(ModelRequest(messages=HELLO, stream=stream))]

        task = asyncio.create_task(read())
        await arrived.wait()
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gone = await asyncio.to_thread(server.await_disconnect, 1.0)
    assert gone is not None
    assert gone - cancelled < 0.5


async def test_closing_the_iterator_closes_the_connection(dialect: Dialect):
    payloads = dialect.stream("a", "b")
    said = next(n for n, payload in enumerate(payloads) if '"a"' in json.dumps(payload))
    with ChatServer(events(*payloads[: said + 1], ending="hang")) as server:
        async with aclosing(dialect.opened(server.url).ask(ModelRequest(messages=HELLO, stream=True))) as found:
            assert await anext(found) == Piece(text="a")
            closed = time.monotonic()
        gone = await asyncio.to_thread(server.await_disconnect, 1.0)
    assert gone is not None
    assert gone - closed < 0.5
