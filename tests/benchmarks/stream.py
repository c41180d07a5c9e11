"""The first token of a streamed reply: from the question to the first words in the user's hands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from time import perf_counter
from typing import Any

import httpx

from quire import Agent
from quire.adapters.stores.memory import MemoryStore
from quire.core.messages import Message
from quire.core.ports import ModelRequest, Piece
from quire.run.runtime import keep_in
from tests.benchmarks import chat
from tests.benchmarks.chat import INSTRUCTIONS, MODEL, QUESTION
from tests.benchmarks.ours import llm
from tests.benchmarks.peers import PYDANTIC_AI, SDK, openai_client, pydantic_ai_model
from tests.benchmarks.rounds import Contender, Once, interleave
from tests.benchmarks.table import Table, compared
from tests.servers import in_process

__all__ = ["measure"]

RAW = "raw httpx"
BODY: dict[str, Any] = {"model": MODEL, "messages": chat.messages(), "stream": True}
WORDS = ("Short ", "waves ", "scatter ", "most.")
ROUNDS, EACH = 30, 3


def measure() -> Table:
    """Ask a server in another process, which begins to answer at once."""
    with in_process(chat.streams(*WORDS)) as url:
        timings = asyncio.run(interleave(_contenders(url), rounds=ROUNDS, each=EACH))
    return Table(
        work="First token of a stream over loopback HTTP",
        how=f"{ROUNDS} rounds of {EACH}, against {RAW}",
        lines=compared(timings, RAW, {}),
    )


def _until_first(words: Callable[[], AsyncIterator[str]]) -> Once:
    """Time the first words; the others are read too, as the connection is needed again."""

    async def once() -> float:
        began, first, heard = perf_counter(), None, ""
        async with aclosing(words()) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                first = first or (perf_counter() - began if piece else None)
                heard += piece
        if first is None or heard != "".join(WORDS):
            raise RuntimeError(f"heard {heard!r}")
        return first

    return once


def _contenders(url: str) -> list[Contender]:
    makers = {
        RAW: _raw,
        SDK: _sdk,
        "quire, the adapter alone": _adapter,
        "quire, an agent": _agent,
        PYDANTIC_AI: _pydantic_ai,
    }
    return [Contender(name, partial(make, url)) for name, make in makers.items()]


async def _raw(url: str, stack: AsyncExitStack) -> Once:
    client = await stack.enter_async_context(httpx.AsyncClient())

    async def words() -> AsyncIterator[str]:
        async with client.stream("POST", f"{url}/v1/chat/completions", json=BODY) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    yield _content(json.loads(line[6:]))

    return _until_first(words)


async def _sdk(url: str, stack: AsyncExitStack) -> Once:
    client = await openai_client(url, stack)

    async def words() -> AsyncIterator[str]:
        async for chunk in await client.chat.completions.create(**BODY):
            for choice in chunk.choices:
                yield choice.delta.content or ""

    return _until_first(words)


async def _adapter(url: str, _: AsyncExitStack) -> Once:
    model = llm(url).open()
    conversation = (Message.of("system", INSTRUCTIONS), Message.of("user", QUESTION))
    request = ModelRequest(messages=conversation, stream=True)

    async def words() -> AsyncIterator[str]:
        async for piece in model.ask(request):
            yield piece.text if isinstance(piece, Piece) else ""

    return _until_first(words)


async def _agent(url: str, _: AsyncExitStack) -> Once:
    mind, store = Agent(llm(url), INSTRUCTIONS), MemoryStore()

    async def words() -> AsyncIterator[str]:
        with keep_in(store):
            async for event in mind.stream(QUESTION):
                if event.kind == "delta":
                    yield event.text

    return _until_first(words)


async def _pydantic_ai(url: str, stack: AsyncExitStack) -> Once:
    from pydantic_ai import Agent as Theirs

    mind = Theirs(await pydantic_ai_model(url, stack), instructions=INSTRUCTIONS)

    async def words() -> AsyncIterator[str]:
        async with mind.run_stream(QUESTION) as reply:
            async for piece in reply.stream_text(delta=True, debounce_by=None):
                yield piece

    return _until_first(words)


def _content(chunk: Any) -> str:
    return "".join(choice["delta"].get("content", "") for choice in chunk["choices"])
