"""The same async step for 10,000 items: what an item costs where the work costs nothing, and whether that grows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from quire import Process, Step
from tests.benchmarks.ours import recorded
from tests.benchmarks.peers import PYDANTIC_GRAPH
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Goal, Line, Table, compared, in_words

__all__ = ["measure"]

ITEMS = 10_000
MANY = 100_000
FLOOR = "asyncio.gather"
OURS = "quire, for_each, recorded in memory"
GROWN = f"quire, {MANY:,} items, per {ITEMS:,}"
ROUNDS = 5


def measure() -> Table:
    """Fan out over a list."""
    contenders = [Contender(FLOOR, _floor), Contender(OURS, _ours), Contender(PYDANTIC_GRAPH, _pydantic_graph)]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS))
    lines = compared(timings, FLOOR, {OURS: AtMost(times=4.0)})
    grown = asyncio.run(interleave([Contender(GROWN, partial(_ours, items=MANY))], rounds=1, warm_up=0))[GROWN]
    ours = timings[OURS]
    if grown is not None and ours is not None:
        growth = grown.median * ITEMS / MANY / ours.median
        goal = Goal("<= 2 x", growth <= 2)
        lines.append(Line(name=GROWN, figure=in_words(grown.median * ITEMS / MANY), ratio=f"{growth:.2f} x", goal=goal))
    return Table(
        work=f"Fan-out of {ITEMS:,} async items",
        how=f"{ROUNDS} rounds, against {FLOOR}; the last line against our own {ITEMS:,}",
        lines=lines,
    )


async def _double(n: int) -> int:
    return 2 * n


async def _floor(_: AsyncExitStack) -> Once:
    async def work() -> list[int]:
        return await asyncio.gather(*(_double(n) for n in range(ITEMS)))

    return clocked(_checked(work, ITEMS))


async def _ours(_: AsyncExitStack, items: int = ITEMS) -> Once:
    each = Process.for_each(Step(_double, name="double"), name="fan_out")
    numbers = list(range(items))
    return clocked(_checked(recorded(lambda: each.execute(numbers)), items))


async def _pydantic_graph(_: AsyncExitStack) -> Once:
    from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

    graph = GraphBuilder(input_type=list[int], output_type=list[int], auto_instrument=False)

    async def double(ctx: StepContext[None, None, int]) -> int:
        return 2 * ctx.inputs

    step = graph.step(double)
    collect = graph.join(reduce_list_append, initial_factory=list[int])
    graph.add(
        graph.edge_from(graph.start_node).map().to(step),
        graph.edge_from(step).to(collect),
        graph.edge_from(collect).to(graph.end_node),
    )
    built = graph.build()
    numbers = list(range(ITEMS))

    async def work() -> list[int]:
        return sorted(await built.run(inputs=numbers))

    return clocked(_checked(work, ITEMS))


def _checked(work: Callable[[], Awaitable[list[int]]], items: int) -> Callable[[], Awaitable[list[int]]]:
    """See that every item was done, in order."""

    async def whole() -> list[int]:
        results = await work()
        if results != list(range(0, 2 * items, 2)):
            raise RuntimeError(f"{len(results)} items of {items}")
        return results

    return whole
