"""A chain of 1,000 async steps that add one: what a step costs where the work itself costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, make_dataclass
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any

from quire import Pipeline, Step
from tests.benchmarks.ours import recorded
from tests.benchmarks.peers import BURR, LANGGRAPH, PYDANTIC_GRAPH, State, langgraph_chain
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared, in_words

__all__ = ["measure"]

LENGTH = 1_000
FLOOR = "asyncio, a task a step"
OURS = "quire, a Pipeline, recorded in memory"
ROUNDS = 15


@dataclass(frozen=True)
class Built:
    """How long each contender took to build its chain, in seconds."""

    seconds: dict[str, float]

    def timed(self, name: str, build: Callable[[], Any]) -> Any:
        """Build, and remember how long it took."""
        began = perf_counter()
        chain = build()
        self.seconds[name] = perf_counter() - began
        return chain


def measure() -> Table:
    """Run the chains that were built before."""
    built = Built({})
    makers = {OURS: _ours, BURR: _burr, PYDANTIC_GRAPH: _pydantic_graph, LANGGRAPH: _langgraph}
    contenders = [Contender(name, partial(make, built)) for name, make in makers.items()]
    contenders.insert(0, Contender(FLOOR, _floor))
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS))
    construction = ", ".join(f"{name.split(',')[0]} {in_words(seconds)}" for name, seconds in built.seconds.items())
    return Table(
        work=f"Chain of {LENGTH:,} async steps",
        how=f"{ROUNDS} rounds, against {FLOOR}",
        lines=compared(timings, FLOOR, {OURS: AtMost(seconds=30e-3)}),
        notes=[f"building it, once: {construction}"],
    )


def _pipeline(kinds: Sequence[Any]) -> Pipeline:
    """Return a pipeline of steps, each with types of its own, as its order is found from them."""
    return Pipeline(*(_step(number, *pair) for number, pair in enumerate(pairwise(kinds))), name="chain")


def _step(number: int, takes: Any, gives: Any) -> Step[Any]:
    async def add(value: Any) -> Any:
        return gives(value.n + 1)

    add.__annotations__ = {"value": takes, "return": gives}
    return Step(add, name=f"add_{number}")


async def _floor(_: AsyncExitStack) -> Once:
    async def add(value: int) -> int:
        return value + 1

    async def work() -> int:
        value = 0
        for _ in range(LENGTH):
            value = await asyncio.create_task(add(value))
        return value

    return clocked(_checked(work))


async def _ours(built: Built, _: AsyncExitStack) -> Once:
    kinds: list[Any] = [make_dataclass(f"Count{n}", [("n", int)], frozen=True) for n in range(LENGTH + 1)]
    chain = built.timed(OURS, lambda: _pipeline(kinds))
    beginning = kinds[0](0)

    async def work() -> int:
        return (await chain.execute(beginning)).n

    return clocked(_checked(recorded(work)))


async def _langgraph(built: Built, _: AsyncExitStack) -> Once:
    async def add(state: State) -> State:
        return {"value": state["value"] + 1}

    langgraph_chain([add])  # its modules are loaded here
    chain = built.timed(LANGGRAPH, lambda: langgraph_chain([add] * LENGTH))

    async def work() -> int:
        return (await chain.ainvoke({"value": 0}, {"recursion_limit": 2 * LENGTH}))["value"]

    return clocked(_checked(work))


async def _burr(built: Built, _: AsyncExitStack) -> Once:
    import burr.core  # noqa: F401 - loading it is not building

    chain = built.timed(BURR, _burr_chain)

    async def work() -> int:
        chain.reset_to_entrypoint()
        chain.update_state(chain.state.update(n=0))
        _, _, state = await chain.arun(halt_after=[f"add_{LENGTH - 1}"])
        return state["n"]

    return clocked(_checked(work))


async def _pydantic_graph(built: Built, _: AsyncExitStack) -> Once:
    import pydantic_graph  # noqa: F401 - loading it is not building

    chain = built.timed(PYDANTIC_GRAPH, _pydantic_graph_chain)
    return clocked(_checked(lambda: chain.run(inputs=0)))


def _checked(work: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """See that every step was taken."""

    async def whole() -> int:
        reached = await work()
        if reached != LENGTH:
            raise RuntimeError(f"{reached} steps of {LENGTH}")
        return reached

    return whole


def _burr_chain() -> Any:
    from burr.core import ApplicationBuilder, action

    @action(reads=["n"], writes=["n"])
    async def add(state: State) -> State:
        return state.update(n=state["n"] + 1)

    names = [f"add_{number}" for number in range(LENGTH)]
    builder = ApplicationBuilder().with_actions(**dict.fromkeys(names, add))
    return builder.with_transitions(*pairwise(names)).with_state(n=0).with_entrypoint(names[0]).build()


def _pydantic_graph_chain() -> Any:
    from pydantic_graph import GraphBuilder, StepContext

    graph: Any = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)

    async def add(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    steps = [graph.step(add, node_id=f"add_{number}") for number in range(LENGTH)]
    stops = [graph.start_node, *steps, graph.end_node]
    graph.add(*(graph.edge_from(before).to(after) for before, after in pairwise(stops)))
    return graph.build()
