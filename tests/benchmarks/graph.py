"""A random graph of 1,000 steps, each waiting for up to three earlier ones: what ordering and joining them costs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from quire import Process, Step
from tests.benchmarks.ours import recorded
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

NODES = 1_000
FLOOR = "asyncio, a task a node and its sources awaited"
OURS = "quire, a Process, recorded in memory"
AT_ONCE = "quire, 20 processes of 0.1 s at once"
ROUNDS = 9


def measure() -> Table:
    """Run the graph that was built before."""
    contenders = [Contender(FLOOR, _floor), Contender(OURS, _ours), Contender(AT_ONCE, _at_once)]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS))
    return Table(
        work=f"Random graph of {NODES:,} async steps",
        how=f"{ROUNDS} rounds, against {FLOOR}",
        lines=compared(timings, FLOOR, {OURS: AtMost(seconds=60e-3), AT_ONCE: AtMost(seconds=0.2)}),
        notes=["the steps themselves do nothing, so all of it is overhead"],
    )


def sources() -> list[list[int]]:
    """Return, for each node, the nodes it waits for; the same every time."""
    dice = random.Random(7)
    return [sorted(dice.sample(range(node), min(node, dice.randint(1, 3)))) for node in range(NODES)]


async def _floor(_: AsyncExitStack) -> Once:
    edges = sources()

    async def node(waits: list[asyncio.Task[int]]) -> int:
        return 1 + max([await task for task in waits], default=0)

    async def work() -> int:
        tasks: list[asyncio.Task[int]] = []
        for needed in edges:
            tasks.append(asyncio.create_task(node([tasks[source] for source in needed])))
        return max(await asyncio.gather(*tasks))

    return clocked(_checked(work))


async def _ours(_: AsyncExitStack) -> Once:
    process = _built()
    return clocked(_checked(recorded(lambda: process.execute(0))))


def _built() -> Process:
    async def first(start: int) -> int:
        return start + 1

    async def one(a: int) -> int:
        return a + 1

    async def two(a: int, b: int) -> int:
        return max(a, b) + 1

    async def three(a: int, b: int, c: int) -> int:
        return max(a, b, c) + 1

    steps = {0: Step(first), 1: Step(one), 2: Step(two), 3: Step(three)}
    process = Process(input=int, name="graph", output=int)
    refs = []
    for number, needed in enumerate(sources()):
        inputs = process.given if not needed else [refs[source] for source in needed]
        inputs = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs
        refs.append(process.add(steps[len(needed)], name=f"node_{number}", inputs=inputs))
    depths = _depths()
    return process.returns(refs[depths.index(max(depths))])


def _depths() -> list[int]:
    depths: list[int] = []
    for needed in sources():
        depths.append(1 + max((depths[source] for source in needed), default=0))
    return depths


def _checked(work: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """See that the longest way was taken."""
    depth = max(_depths())

    async def whole() -> int:
        reached = await work()
        if reached != depth:
            raise RuntimeError(f"depth {reached} of {depth}")
        return reached

    return whole


async def _at_once(_: AsyncExitStack) -> Once:
    async def wait(n: int) -> int:
        await asyncio.sleep(0.1)
        return n

    process = Process(input=int, name="waiting")
    process.add(Step(wait), inputs=process.given)

    async def work() -> list[int]:
        return await asyncio.gather(*(process.execute(n) for n in range(20)))

    return clocked(recorded(work))
