"""One model call over loopback HTTP: what each layer adds to the bare exchange."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import httpx

from quire import Agent
from quire.core.messages import Message
from quire.core.ports import ModelRequest
from tests.benchmarks import chat
from tests.benchmarks.chat import INSTRUCTIONS, MODEL, QUESTION
from tests.benchmarks.ours import llm, on_disk, recorded
from tests.benchmarks.peers import (
    LANGGRAPH,
    PYDANTIC_AI,
    SDK,
    State,
    langgraph_chain,
    openai_client,
    pydantic_ai_model,
)
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared
from tests.servers import in_process

__all__ = ["measure", "sdk_call"]

AGENT = "quire, an agent"
ROUNDS, EACH = 40, 5


def measure() -> Table:
    """Ask a server in another process, which answers at once."""
    with in_process(chat.says("Short waves scatter the most.")) as url:
        timings = asyncio.run(interleave(_contenders(url), rounds=ROUNDS, each=EACH))
    return Table(
        work="One model call over loopback HTTP",
        how=f"{ROUNDS} rounds of {EACH}, against the {SDK}",
        lines=compared(timings, SDK, {AGENT: AtMost(times=1.0)}),
    )


def sdk_call(url: str) -> Contender:
    """One call with the openai SDK, which other work is measured against too."""

    return Contender(SDK, partial(_sdk, url))


def _contenders(url: str) -> list[Contender]:
    return [
        Contender("raw httpx", partial(_raw, url)),
        sdk_call(url),
        Contender("quire, the adapter alone", partial(_adapter, url)),
        Contender(AGENT, partial(_agent, url)),
        Contender("quire, an agent, kept on disk", partial(_kept_agent, url)),
        Contender(PYDANTIC_AI, partial(_pydantic_ai, url)),
        Contender(f"{LANGGRAPH}, the SDK in a node", partial(_langgraph, url)),
    ]


async def _raw(url: str, stack: AsyncExitStack) -> Once:
    client = await stack.enter_async_context(httpx.AsyncClient())

    async def ask() -> str:
        reply = await client.post(f"{url}/v1/chat/completions", json={"model": MODEL, "messages": chat.messages()})
        return reply.json()["choices"][0]["message"]["content"]

    return clocked(ask)


async def _sdk(url: str, stack: AsyncExitStack) -> Once:
    client = await openai_client(url, stack)
    return clocked(lambda: client.chat.completions.create(model=MODEL, messages=chat.messages()))


async def _adapter(url: str, _: AsyncExitStack) -> Once:
    model = llm(url).open()
    request = ModelRequest(messages=(Message.of("system", INSTRUCTIONS), Message.of("user", QUESTION)))

    async def ask() -> list[Any]:
        return [piece async for piece in model.ask(request)]

    return clocked(ask)


async def _agent(url: str, _: AsyncExitStack) -> Once:
    mind = Agent(llm(url), INSTRUCTIONS)
    return clocked(recorded(lambda: mind.execute(QUESTION)))


async def _kept_agent(url: str, _: AsyncExitStack) -> Once:
    mind = Agent(llm(url), INSTRUCTIONS)
    return clocked(recorded(lambda: mind.execute(QUESTION), on_disk()))


async def _pydantic_ai(url: str, stack: AsyncExitStack) -> Once:
    from pydantic_ai import Agent as Theirs

    mind = Theirs(await pydantic_ai_model(url, stack), instructions=INSTRUCTIONS)
    return clocked(lambda: mind.run(QUESTION))


async def _langgraph(url: str, stack: AsyncExitStack) -> Once:
    client = await openai_client(url, stack)

    async def node(state: State) -> State:
        reply = await client.chat.completions.create(model=MODEL, messages=chat.messages(state["value"]))
        return {"value": reply.choices[0].message.content}

    graph = langgraph_chain([node])
    return clocked(lambda: graph.ainvoke({"value": QUESTION}))
