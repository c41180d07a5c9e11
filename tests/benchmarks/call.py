"""One model call over loopback HTTP: what each layer adds to the bare exchange."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
from quire import Agent
from quire.core.messages import Message
from quire.core.ports import ModelRequest
from quire.testing import in_memory

from tests.benchmarks import chat
from tests.benchmarks.peers import (
    INSTRUCTIONS,
    MODEL,
    QUESTION,
    TextState,
    langgraph_chain,
    llm,
    messages,
    named,
    openai_client,
    pydantic_ai_model,
)
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared
from tests.servers import in_process

__all__ = ["SDK", "measure", "sdk_call"]

SDK = named("openai SDK", "openai")
AGENT = "quire, an agent"
ROUNDS, EACH = 40, 5


def measure() -> Table:
    """Ask a server in another process, which answers at once."""
    with in_process(chat.says("Short waves scatter the most.")) as url:
        timings = asyncio.run(interleave(_contenders(url), rounds=ROUNDS, each=EACH))
    how = f"{ROUNDS} rounds of {EACH}, against the {SDK}"
    lines = compared(timings, SDK, {AGENT: AtMost(times=1.0)})
    return Table(work="One model call over loopback HTTP", how=how, lines=lines)


def _contenders(url: str) -> list[Contender]:
    async def raw(stack: AsyncExitStack) -> Once:
        client = await stack.enter_async_context(httpx.AsyncClient())

        async def ask() -> str:
            reply = await client.post(f"{url}/v1/chat/completions", json={"model": MODEL, "messages": messages()})
            return reply.json()["choices"][0]["message"]["content"]

        return clocked(ask)

    async def adapter(_: AsyncExitStack) -> Once:
        model = llm(url).open()
        request = ModelRequest(messages=(Message.of("system", INSTRUCTIONS), Message.of("user", QUESTION)))

        async def ask() -> Any:
            return [piece async for piece in model.ask(request)][-1]

        return clocked(ask)

    async def agent(stack: AsyncExitStack) -> Once:
        stack.enter_context(in_memory())
        mind = Agent(llm(url), INSTRUCTIONS)
        return clocked(lambda: mind.execute(QUESTION))

    async def kept(_: AsyncExitStack) -> Once:
        mind = Agent(llm(url), INSTRUCTIONS)

        async def ask() -> str:
            with on_disk():
                return await mind.execute(QUESTION)

        return clocked(ask)

    async def pydantic_ai(stack: AsyncExitStack) -> Once:
        from pydantic_ai import Agent as Theirs

        mind = Theirs(await pydantic_ai_model(url, stack), instructions=INSTRUCTIONS)
        return clocked(lambda: mind.run(QUESTION))

    async def langgraph(stack: AsyncExitStack) -> Once:
        client = await openai_client(url, stack)

        async def node(state: TextState) -> TextState:
            reply = await client.chat.completions.create(model=MODEL, messages=messages(state["text"]))
            return {"text": reply.choices[0].message.content}

        graph = langgraph_chain([("ask", node)])
        return clocked(lambda: graph.ainvoke({"text": QUESTION}))

    return [
        Contender("raw httpx", raw),
        sdk_call(url),
        Contender("quire, the adapter alone", adapter),
        Contender(AGENT, agent),
        Contender("quire, an agent, kept on disk", kept),
        Contender(named("pydantic-ai", "pydantic-ai-slim"), pydantic_ai),
        Contender(f"{named('langgraph', 'langgraph')}, a node with the SDK", langgraph),
    ]


def sdk_call(url: str) -> Contender:
    """One call with the openai SDK: what other benchmarks are measured against too."""

    async def prepare(stack: AsyncExitStack) -> Once:
        client = await openai_client(url, stack)
        return clocked(lambda: client.chat.completions.create(model=MODEL, messages=messages()))

    return Contender(SDK, prepare)
