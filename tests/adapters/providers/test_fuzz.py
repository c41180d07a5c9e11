"""Whatever a server sends ends in an answer or in one of our errors, soon."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest

from quire.adapters.providers.openai_chat import OpenAIChat
from quire.adapters.providers.remote import Remote
from quire.core import tape
from quire.core.errors import QuireError, StreamInterrupted
from quire.core.messages import Message
from quire.core.ports import Answer, Endpoint, ModelRequest
from tests.adapters.providers.dialects import DIALECTS, Dialect
from tests.servers import ChatServer, Reply, Request

ODD = [None, True, -1, 0, 1.5, "", "x", "429", [], [1], {}, {"error": {}}, {"message": 3}, "\ud800", [[]], 10**30]


def mutated(value: Any, rng: random.Random, rate: float) -> Any:
    if rng.random() < rate:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(part, rng, rate) for key, part in value.items() if rng.random() > rate / 2}
    if isinstance(value, list):
        return [mutated(part, rng, rate) for part in value]
    return value


def stream_bytes(dialect: Dialect, rng: random.Random) -> bytes:
    payloads = [json.dumps(mutated(part, rng, 0.05)) if part != "[DONE]" else part for part in dialect.rich]
    if rng.random() < 0.3:
        rng.shuffle(payloads)
    end = rng.choice(["\n", "\r\n", "\r"])
    return "".join(f"data: {payload}{end}{end}" for payload in payloads).encode()


def whole_bytes(dialect: Dialect, rng: random.Random) -> bytes:
    whole = dialect.rich_whole
    return json.dumps(mutated({**whole, "error": None} if isinstance(whole, dict) else whole, rng, 0.06)).encode()


def broken(raw: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([0, 0, 1, 3, 10])):
        at = rng.randrange(len(raw) + 1)
        raw = raw[:at] + rng.randbytes(rng.randrange(3)) + raw[at + rng.randrange(4) :]
    return raw[: rng.randrange(len(raw) + 1)] if rng.random() < 0.2 else raw


def cut(raw: bytes, rng: random.Random) -> list[bytes]:
    places = sorted(rng.randrange(len(raw) + 1) for _ in range(rng.randrange(6)))
    return [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]


def strange_reply(dialect: Dialect, seed: int) -> Reply:
    rng = random.Random(seed)
    raw = stream_bytes(dialect, rng) if rng.random() < 0.6 else whole_bytes(dialect, rng)
    return Reply(
        status=rng.choice([200] * 8 + [400, 404, 429, 500, 503]),
        headers=rng.choice(
            [{}, {"content-type": "text/html"}, {"retry-after": "x"}, {"content-encoding": "gzip"}] + [{}] * 6
        ),
        chunks=cut(broken(raw, rng), rng),
        stream=rng.random() < 0.8,
        ending=rng.choice(["complete"] * 5 + ["cut"]),
    )


def answering(dialect: Dialect, request: Request) -> Reply:
    # The model's name ends in the seed; Gemini has it in the address.
    seed = re.search(r'-(\d+)[":]', f"{request.path}{request.body.decode()}")
    assert seed is not None
    return strange_reply(dialect, int(seed[1]))


class Played:
    """A tape that plays one reply, so that thousands need no network; the adapters read it as they read a server."""

    live = False

    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    async def open(self, asked: tape.Asked) -> tape.Played:
        return tape.Played(status=self.reply.status, headers=self.reply.headers, chunks=self.chunks)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for chunk in self.reply.chunks:
            yield chunk
        if self.reply.ending == "cut":
            raise StreamInterrupted("It broke off.")

    def tool(self, name: str, kind: str, arguments: Any) -> None:
        return None

    def pace(self, seconds: float) -> float:
        return seconds


async def outcome(model: Remote, url: str, *, stream: bool) -> str:
    request = ModelRequest(messages=(Message.of("user", "Hello"),), stream=stream)
    try:
        *_, last = [found async for found in model.ask(request)]
    except QuireError as error:
        return type(error).__name__
    assert isinstance(last, Answer)
    assert all(isinstance(part.text, str) for part in last.message.parts if hasattr(part, "text"))
    # A turn that was not finished asks for nothing, and what was read can be sent back, whatever it was.
    assert last.finish_reason == "tool_calls" or not last.message.calls
    assert json.dumps(model._body(ModelRequest(messages=(last.message,)), url))
    return "Answer"


@pytest.mark.parametrize("name", DIALECTS)
async def test_anything_a_server_sends(name: str):
    dialect = DIALECTS[name]
    with ChatServer(partial(answering, dialect)) as server:
        async with asyncio.timeout(30):
            for seed in range(100):
                model = dialect.opened(server.url, f"{dialect.model}-{seed}", timeout=2.0)
                await outcome(model, server.url, stream=seed % 3 > 0)


@pytest.mark.parametrize("start", range(0, 10_000, 1_000))
@pytest.mark.parametrize("name", DIALECTS)
async def test_ten_thousand_strange_replies(name: str, start: int):
    dialect, url = DIALECTS[name], "http://127.0.0.1:9"
    model, outcomes = dialect.opened(url), Counter[str]()
    for seed in range(start, start + 1_000):
        with tape.using(Played(strange_reply(dialect, seed))):
            outcomes[await outcome(model, url, stream=seed % 3 > 0)] += 1
        await asyncio.sleep(0)
    assert {"Answer", "StreamInterrupted", "ProviderError", "Overloaded"} <= set(outcomes)


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_stream_that_ends_anywhere_is_the_whole_reply_or_none(name: str):
    dialect, url = DIALECTS[name], "http://127.0.0.1:9"
    model, request = dialect.opened(url), ModelRequest(messages=(Message.of("user", "Hello"),), stream=True)
    lines = [part if part == "[DONE]" else json.dumps(part, ensure_ascii=False) for part in dialect.rich]
    raw = "".join(f"data: {line}\n\n" for line in lines).encode()
    whole = 0
    for length in range(len(raw) + 1):
        await asyncio.sleep(0)
        with tape.using(Played(Reply(chunks=[raw[:length]], ending="complete"))):
            try:
                *_, answer = [found async for found in model.ask(request)]
            except StreamInterrupted:
                assert not whole
                continue
        assert answer.message.parts == dialect.rich_parts
        whole += 1
    assert whole


HTTP_NOISE = [
    b"",
    b"\r\n",
    b"nonsense",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 999 ?\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 204 Empty\r\n\r\n",
    b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
]


@pytest.mark.parametrize("noise", HTTP_NOISE)
async def test_what_is_not_even_http(noise: bytes):
    async def make_noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(noise)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(make_noise, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    model = OpenAIChat(Endpoint(provider="openai_compat", model="m", base_url=url, timeout=2.0))
    with pytest.raises(QuireError):
        [_ async for _ in model.ask(ModelRequest(messages=(Message.of("user", "Hello"),), stream=True))]
    server.close()
