"""One agent run with the model in the same process: what the framework itself costs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from quire import Agent
from quire.testing import ScriptedModel
from tests.benchmarks.chat import INSTRUCTIONS, QUESTION
from tests.benchmarks.ours import on_disk, recorded
from tests.benchmarks.peers import LANGGRAPH, PYDANTIC_AI, State, langgraph_chain
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

NODE = f"{LANGGRAPH}, a plain node"
OURS = "quire, ScriptedModel"
ROUNDS, EACH = 40, 10
REPLIES = ["Short waves scatter the most."] * (2 * ROUNDS * EACH)


def measure() -> Table:
    """Ask models that answer at once."""
    contenders = [
        Contender(NODE, _langgraph),
        Contender(f"{PYDANTIC_AI}, TestModel", _pydantic_ai),
        Contender(OURS, _ours),
        Contender(f"{OURS}, kept on disk", _ours_kept),
    ]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS, each=EACH))
    return Table(
        work="One agent run, model in process",
        how=f"{ROUNDS} rounds of {EACH}, against {NODE}",
        lines=compared(timings, NODE, {OURS: AtMost(seconds=0.2e-3)}),
    )


async def _ours(_: AsyncExitStack) -> Once:
    mind = Agent(ScriptedModel(REPLIES), INSTRUCTIONS)
    return clocked(recorded(lambda: mind.execute(QUESTION)))


async def _ours_kept(_: AsyncExitStack) -> Once:
    mind = Agent(ScriptedModel(REPLIES), INSTRUCTIONS)
    return clocked(recorded(lambda: mind.execute(QUESTION), on_disk()))


async def _pydantic_ai(_: AsyncExitStack) -> Once:
    from pydantic_ai import Agent as Theirs
    from pydantic_ai.models.test import TestModel

    mind = Theirs(TestModel(custom_output_text=REPLIES[0]), instructions=INSTRUCTIONS)
    return clocked(lambda: mind.run(QUESTION))


async def _langgraph(_: AsyncExitStack) -> Once:
    async def node(_: State) -> State:
        return {"value": REPLIES[0]}

    graph = langgraph_chain([node])
    return clocked(lambda: graph.ainvoke({"value": QUESTION}))
