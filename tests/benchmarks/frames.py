"""A million events as DataFrames: a long log of an agent that uses a tool, and all of a run's tables made from it.

All six are made as a run makes them: the log is looked through once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from itertools import chain, islice
from typing import Any

from quire.core.messages import Message, Part, ToolCall
from quire.core.usage import Usage
from quire.events import Called, Event, Requested, Responded, Returned, Said, Started, Succeeded
from quire.views import tables
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

EVENTS = 1_000_000
ALL = "all six tables"
TABLES: dict[str, Callable[[tables.Reading], Any]] = {
    f"{make.__name__}": make
    for make in (tables.events, tables.nodes, tables.calls, tables.tools, tables.messages, tables.cost)
}
ROUNDS = 2


def measure() -> Table:
    """Make every table by itself, and all of them one after the other."""
    log = list(islice(_log(), EVENTS))

    def maker(makers: Iterable[Callable[[tables.Reading], Any]]) -> Callable[[AsyncExitStack], Any]:
        async def work() -> None:
            reading = tables.Reading(log)
            for make in makers:
                make(reading)

        async def prepare(_: AsyncExitStack) -> Once:
            return clocked(work)

        return prepare

    contenders = [Contender(name, maker([make])) for name, make in TABLES.items()]
    contenders.append(Contender(ALL, maker(TABLES.values())))
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS, warm_up=0))
    lines = compared(timings, ALL, {ALL: AtMost(seconds=5.0)})
    return Table(work=f"{EVENTS:,} events to tables", how=f"{ROUNDS} rounds, against {ALL}", lines=lines)


def _log() -> Iterator[Event]:
    """Yield a run in which an agent goes on forever: nine events a turn."""
    fresh = _Stamp()
    yield fresh(Started, "1", None, name="desk", of="pipeline", input="go", graph={"nodes": [], "edges": []})
    yield from chain.from_iterable(_turn(fresh, number) for number in range(EVENTS))


class _Stamp:
    """Gives each event its place and its moment."""

    def __init__(self) -> None:
        self._seq = 0

    def __call__(self, kind: Any, span: str, parent: str | None, **fields: Any) -> Event:
        self._seq += 1
        return kind(
            seq=self._seq, at=1.79e9 + self._seq * 1e-3, run="65f0c1a200112233", span=span, parent=parent, **fields
        )


def _turn(fresh: _Stamp, number: int) -> Iterator[Event]:
    agent, call, tool, last = (f"{number}.{part}" for part in ("agent", "call", "tool", "last"))
    arguments, text = {"order": number}, f"Order {number} was sent on Monday and arrives on Friday."
    asked = {"agent": "clerk", "provider": "openai", "model": "gpt-4o-mini", "messages": 2, "tools": ("look_up",)}
    wish: tuple[Part, ...] = (ToolCall(id=tool, tool="look_up", arguments=f'{{"order": {number}}}'),)
    yield fresh(Started, agent, "1", name="clerk", of="agent", input=f"Where is order {number}?", output_type="str")
    yield fresh(Said, f"{number}.said", agent, sender="input", role="user", text=f"Where is order {number}?")
    yield fresh(Requested, call, agent, **asked)
    yield fresh(Responded, call, agent, message=Message(role="assistant", parts=wish), **_accounts("tool_calls"))
    yield fresh(Called, tool, agent, tool="look_up", call=tool, arguments=arguments)
    yield fresh(Returned, tool, agent, tool="look_up", call=tool, result={"sent": "Monday"})
    yield fresh(Requested, last, agent, **asked | {"messages": 4})
    yield fresh(Responded, last, agent, message=Message.of("assistant", text), **_accounts("stop"))
    yield fresh(Succeeded, agent, "1", output=text)


def _accounts(finish_reason: str) -> dict[str, Any]:
    usage = Usage(input_tokens=420, output_tokens=31)
    return {"finish_reason": finish_reason, "usage": usage, "cost_usd": 8.2e-5, "price_source": "given"}
