"""The thousandth turn of a conversation against the tenth: what reading and keeping it costs, time and bytes."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import perf_counter
from typing import Any

from quire import Memory
from quire.adapters.stores.file import FileStore
from quire.core.messages import Message
from quire.run.context import Context
from quire.run.runnable import Runnable
from quire.run.runtime import home
from tests.benchmarks.ours import recorded
from tests.benchmarks.peers import LANGGRAPH
from tests.benchmarks.rounds import Contender, Once, interleave
from tests.benchmarks.table import AtMost, Goal, Line, Table, compared

__all__ = ["measure"]

EARLY, LATE = 10, 1_000
ROUNDS, EACH = 9, 6
NEXT = 7
"""Turns that are timed on each copy of a conversation, of which the median counts."""
TENTH, THOUSANDTH = f"turn {EARLY}", f"turn {LATE:,}"
QUESTION = "Which of the two trains is earlier, and does it stop in the town that we spoke of before? " * 2
REPLY = "The one at seven is earlier. It stops there for two minutes, and the other does not stop at all. " * 4


class Turn(Runnable[str, float]):
    """What an agent's turn does besides asking a model; gives the seconds that took."""

    name = "turn"
    input, output = str, float

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def _run(self, input: str, ctx: Context) -> float:
        began = perf_counter()
        async with self._memory.turn("turn", ctx) as sitting:
            assert len(sitting.messages) % 2 == 0
            await sitting.keep((Message.of("user", input), Message.of("assistant", REPLY)))
        return perf_counter() - began


def measure() -> Table:
    """Take turns on conversations of both lengths, each kept in a file."""
    sizes: dict[int, int] = {}
    lengths = {TENTH: EARLY, THOUSANDTH: LATE}
    contenders = [Contender(name, partial(_ours, length, sizes)) for name, length in lengths.items()]
    contenders += [Contender(f"{LANGGRAPH}, {name}", partial(_langgraph, length)) for name, length in lengths.items()]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS, each=EACH))
    growth = sizes[LATE] / LATE / (sizes[EARLY] / EARLY)
    return Table(
        work="A turn of a long conversation, read and kept",
        how=f"{ROUNDS} rounds of {EACH}, in a file; each against {TENTH}",
        lines=[
            *compared(timings, TENTH, {THOUSANDTH: AtMost(times=1.3)}),
            Line(
                name="bytes a turn", figure=f"{sizes[LATE] / LATE:,.0f}", ratio=f"{growth:.2f} x", goal=_linear(growth)
            ),
        ],
        notes=["langgraph keeps its checkpoints in memory here"],
    )


def _linear(growth: float) -> Goal:
    return Goal("<= 1.05 x", growth <= 1.05)


async def _ours(length: int, sizes: dict[int, int], stack: AsyncExitStack) -> Once:
    folder = Path(mkdtemp(dir=home()))
    stack.callback(shutil.rmtree, folder)
    turn = Turn(Memory(FileStore(folder)))

    async def talk(session: str, turns: int = 1) -> float:
        """Take that many turns, and return how long the last one took."""
        return [await turn.execute(QUESTION, session=session) for _ in range(turns)][-1]

    await recorded(partial(talk, "first", length))()
    path = folder / "sessions" / "first.jsonl"
    sizes[length] = path.stat().st_size
    numbers = count()

    async def once() -> float:
        # On a copy, so that it is the same turn each time; the first one on it reads all of it, and is not timed.
        session = f"copy-{next(numbers)}"
        shutil.copy(path, path.with_stem(session))
        return median([await recorded(partial(talk, session))() for _ in range(1 + NEXT)][1:])

    return once


async def _langgraph(length: int, _: AsyncExitStack) -> Once:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, MessagesState, StateGraph

    def answer(_: MessagesState) -> Any:
        return {"messages": [("assistant", REPLY)]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    chat = graph.compile(checkpointer=InMemorySaver())

    async def take() -> None:
        await chat.ainvoke({"messages": [("user", QUESTION)]}, {"configurable": {"thread_id": "talk"}})

    for _ in range(length - 1):
        await take()

    async def once() -> float:
        began = perf_counter()
        await take()
        return perf_counter() - began

    return once
