"""Whatever a server sends ends in an answer or in one of our errors, soon."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from quire.adapters.providers.openai_chat import OpenAIChat
from quire.core.errors import QuireError
from quire.core.messages import Message
from quire.core.ports import Answer, Endpoint, ModelRequest
from tests.servers import ChatServer, Reply, Request

SEED_STREAM = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Héllo "}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"reasoning": "hm", "content": "wörld\u2028"}}], "usage": None},
    {
        "choices": [
            {
                "index": 0,
                "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x", "arguments": '{"n"'}}]},
            }
        ]
    },
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "", "function": {"arguments": ":1}"}}]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 1}},
    },
]
SEED_WHOLE = {
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hi", "tool_calls": [], "refusal": None}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    "error": None,
}
ODD = [None, True, -1, 0, 1.5, "", "x", "429", [], [1], {}, {"error": {}}, {"message": 3}, "\ud800", [[]], 10**30]


def mutated(value: Any, rng: random.Random, rate: float) -> Any:
    if rng.random() < rate:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(part, rng, rate) for key, part in value.items() if rng.random() > rate / 2}
    if isinstance(value, list):
        return [mutated(part, rng, rate) for part in value]
    return value


def stream_bytes(rng: random.Random) -> bytes:
    payloads = [json.dumps(mutated(part, rng, 0.05)) for part in SEED_STREAM] + ["[DONE]"]
    if rng.random() < 0.3:
        rng.shuffle(payloads)
    end = rng.choice(["\n", "\r\n", "\r"])
    return "".join(f"data: {payload}{end}{end}" for payload in payloads).encode()


def broken(raw: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([0, 0, 1, 3, 10])):
        at = rng.randrange(len(raw) + 1)
        raw = raw[:at] + rng.randbytes(rng.randrange(3)) + raw[at + rng.randrange(4) :]
    return raw[: rng.randrange(len(raw) + 1)] if rng.random() < 0.2 else raw


def cut(raw: bytes, rng: random.Random) -> list[bytes]:
    places = sorted(rng.randrange(len(raw) + 1) for _ in range(rng.randrange(6)))
    return [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]


def strange_reply(request: Request) -> Reply:
    rng = random.Random(int(request.json["model"]))
    streamed = rng.random() < 0.6
    raw = stream_bytes(rng) if streamed else json.dumps(mutated(SEED_WHOLE, rng, 0.1)).encode()
    return Reply(
        status=rng.choice([200] * 8 + [400, 404, 429, 500, 503]),
        headers=rng.choice(
            [{}, {"content-type": "text/html"}, {"retry-after": "x"}, {"content-encoding": "gzip"}] + [{}] * 6
        ),
        chunks=cut(broken(raw, rng), rng),
        stream=rng.random() < 0.8,
        ending=rng.choice(["complete"] * 5 + ["cut"]),
    )


async def outcome(server: ChatServer, seed: int) -> str:
    model = OpenAIChat(Endpoint(provider="openai_compat", model=str(seed), base_url=server.url, timeout=2.0))
    request = ModelRequest(messages=(Message.of("user", "Hello"),), stream=seed % 3 > 0)
    try:
        *_, last = [found async for found in model.ask(request)]
    except QuireError as error:
        return type(error).__name__
    assert isinstance(last, Answer)
    assert all(isinstance(part.text, str) for part in last.message.parts if hasattr(part, "text"))
    return "Answer"


@pytest.mark.parametrize("start", range(0, 600, 100))
async def test_anything_a_server_sends(start: int):
    with ChatServer(strange_reply) as server:
        async with asyncio.timeout(30):
            outcomes = [await outcome(server, seed) for seed in range(start, start + 100)]
    assert {"Answer", "StreamInterrupted"} <= set(outcomes)


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
