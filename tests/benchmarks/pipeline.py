"""A typed pipeline of three agents over loopback HTTP: a question, an outline, a draft, a summary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from pydantic import BaseModel

from quire import Agent, Pipeline
from tests.benchmarks import chat
from tests.benchmarks.call import sdk_call
from tests.benchmarks.chat import INSTRUCTIONS, MODEL, QUESTION
from tests.benchmarks.ours import llm, recorded
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

__all__ = ["measure"]


class Paper(BaseModel):
    """What every agent writes: one shape, so that one reply of the server suits them all."""

    title: str
    points: list[str]


class Outline(Paper):
    """What the first writes."""


class Draft(Paper):
    """What the second writes."""


class Summary(Paper):
    """What the third writes."""


PAPERS = (Outline, Draft, Summary)
REPLY = json.dumps({"title": "The sky", "points": ["Sunlight is a mixture.", "Short waves scatter the most."]})
OURS = "quire, a Pipeline of agents"
ROUNDS, EACH = 30, 3


def measure() -> Table:
    """Run it against a server in another process, and one call of the SDK beside it."""
    with in_process(chat.says(REPLY)) as url:
        timings = asyncio.run(interleave(_contenders(url), rounds=ROUNDS, each=EACH))
    return Table(
        work="3-step typed pipeline over HTTP",
        how=f"{ROUNDS} rounds of {EACH}, against one call with the {SDK}",
        lines=compared(timings, SDK, {OURS: AtMost(times=3.0)}),
    )


def _contenders(url: str) -> list[Contender]:
    return [
        sdk_call(url),
        Contender(f"{SDK}, three typed calls", partial(_sdk, url)),
        Contender(OURS, partial(_ours, url)),
        Contender(PYDANTIC_AI, partial(_pydantic_ai, url)),
        Contender(f"{LANGGRAPH}, the SDK in its nodes", partial(_langgraph, url)),
    ]


async def _sdk(url: str, stack: AsyncExitStack) -> Once:
    ask = _asker(await openai_client(url, stack))

    async def work() -> Any:
        paper: Any = QUESTION
        for kind in PAPERS:
            paper = await ask(paper, kind)
        return paper

    return clocked(work)


async def _ours(url: str, _: AsyncExitStack) -> Once:
    takes = (str, *PAPERS)
    agents = [
        Agent(llm(url), INSTRUCTIONS, name=gives.__name__, input=taken, output=gives)
        for taken, gives in zip(takes, PAPERS, strict=False)
    ]
    flow = Pipeline(*agents)
    return clocked(recorded(lambda: flow.execute(QUESTION)))


async def _pydantic_ai(url: str, stack: AsyncExitStack) -> Once:
    from pydantic_ai import Agent as Theirs
    from pydantic_ai import NativeOutput

    model = await pydantic_ai_model(url, stack)
    minds: list[Any] = [Theirs(model, instructions=INSTRUCTIONS, output_type=NativeOutput(kind)) for kind in PAPERS]

    async def work() -> Any:
        paper: Any = QUESTION
        for mind in minds:
            paper = (await mind.run(_written(paper))).output
        return paper

    return clocked(work)


async def _langgraph(url: str, stack: AsyncExitStack) -> Once:
    ask = _asker(await openai_client(url, stack))

    def node(kind: type[Paper]) -> Callable[[State], Awaitable[State]]:
        async def write(state: State) -> State:
            return {"value": await ask(state["value"], kind)}

        return write

    graph = langgraph_chain([node(kind) for kind in PAPERS])
    return clocked(lambda: graph.ainvoke({"value": QUESTION}))


def _asker(client: Any) -> Callable[[Any, type[Paper]], Awaitable[Paper]]:
    async def ask(paper: Any, kind: type[Paper]) -> Paper:
        conversation = chat.messages(_written(paper))
        reply = await client.chat.completions.parse(model=MODEL, messages=conversation, response_format=kind)
        return reply.choices[0].message.parsed

    return ask


def _written(paper: Any) -> str:
    return paper if isinstance(paper, str) else paper.model_dump_json()
