"""Constructing an agent: what a program pays that makes one for each request."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from pydantic import BaseModel

from quire import Agent
from quire.testing import ScriptedModel
from tests.benchmarks.chat import INSTRUCTIONS
from tests.benchmarks.peers import LANGGRAPH, PYDANTIC_AI, State, langgraph_chain
from tests.benchmarks.rounds import Contender, Once, clocked_loop, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

PLAIN = "quire"
ROUNDS, TIMES = 30, 20


class Verdict(BaseModel):
    """What the agents with a type answer."""

    good: bool
    why: str


async def look_up(order: int) -> str:
    """Look an order up."""
    return f"order {order}"


def measure() -> Table:
    """Make agents and throw them away."""
    contenders = [
        Contender(PLAIN, _ours),
        Contender("quire, with a type and a tool", _ours_equipped),
        Contender(PYDANTIC_AI, _pydantic_ai),
        Contender(f"{PYDANTIC_AI}, with a type and a tool", _pydantic_ai_equipped),
        Contender(f"{LANGGRAPH}, compiling one node", _langgraph),
    ]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS))
    return Table(
        work="Construct an agent",
        how=f"{ROUNDS} rounds of {TIMES}, against {PYDANTIC_AI}",
        lines=compared(timings, PYDANTIC_AI, {PLAIN: AtMost(seconds=20e-6)}),
    )


async def _ours(_: AsyncExitStack) -> Once:
    model = ScriptedModel([])
    return clocked_loop(lambda: Agent(model, INSTRUCTIONS), TIMES)


async def _ours_equipped(_: AsyncExitStack) -> Once:
    model = ScriptedModel([])
    return clocked_loop(lambda: Agent(model, INSTRUCTIONS, output=Verdict, tools=[look_up]), TIMES)


async def _pydantic_ai(_: AsyncExitStack) -> Once:
    from pydantic_ai import Agent as Theirs
    from pydantic_ai.models.test import TestModel

    model = TestModel()
    return clocked_loop(lambda: Theirs(model, instructions=INSTRUCTIONS), TIMES)


async def _pydantic_ai_equipped(_: AsyncExitStack) -> Once:
    from pydantic_ai import Agent as Theirs
    from pydantic_ai.models.test import TestModel

    model, theirs = TestModel(), _untyped(Theirs)
    return clocked_loop(lambda: theirs(model, instructions=INSTRUCTIONS, output_type=Verdict, tools=[look_up]), TIMES)


def _untyped(made: Any) -> Any:
    return made


async def _langgraph(_: AsyncExitStack) -> Once:
    async def node(state: State) -> State:
        return state

    langgraph_chain([node])
    return clocked_loop(lambda: langgraph_chain([node]), TIMES)
