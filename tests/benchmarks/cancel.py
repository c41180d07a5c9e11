"""Stopping a model call that is under way: until the caller is free, and until the server's connection is closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeAlias

import httpx

from quire import Agent
from tests.benchmarks import chat
from tests.benchmarks.chat import INSTRUCTIONS, MODEL, QUESTION
from tests.benchmarks.ours import llm, recorded
from tests.benchmarks.peers import PYDANTIC_AI, SDK, openai_client, pydantic_ai_model
from tests.benchmarks.rounds import Contender, Once, Timing, interleave
from tests.benchmarks.table import AtMost, Table, compared
from tests.servers import ChatServer, sends

__all__ = ["measure"]

Asker: TypeAlias = Callable[[], Awaitable[Any]]
Maker: TypeAlias = Callable[[AsyncExitStack], Awaitable[Asker]]

RAW = "raw httpx"
OURS = "quire, an agent"
CLOSED = "the connection is closed"
ROUNDS = 15
FOREVER = 60.0


def measure() -> Table:
    """Ask a server that thinks forever, and stop when it has the question."""
    with ChatServer(sends(200, {}, wait=FOREVER)) as server:
        stops = {name: _Stop(server, make) for name, make in _askers(server.url).items()}
        contenders = [Contender(name, stop.prepare) for name, stop in stops.items()]
        timings = asyncio.run(interleave(contenders, rounds=ROUNDS, warm_up=1))
    closings = {f"{name}, {CLOSED}": stops[name].closings(ROUNDS) for name in (RAW, OURS)}
    goal = AtMost(seconds=0.5)
    return Table(
        work="Cancel a model call over loopback HTTP",
        how=f"{ROUNDS} rounds, until the caller is free, against {RAW}",
        lines=compared(timings | closings, RAW, {OURS: goal, f"{OURS}, {CLOSED}": goal}),
    )


class _Stop:
    """Asks, waits until the server has the question, and stops as the Stop button does: by cancelling the task."""

    def __init__(self, server: ChatServer, make: Maker) -> None:
        self._server = server
        self._make = make
        self._closed: list[list[float]] = []

    async def prepare(self, stack: AsyncExitStack) -> Once:
        """Build the client."""
        ask = await self._make(stack)
        return lambda: self._once(ask)

    def closings(self, rounds: int) -> Timing:
        """Return when the server saw its connection closed, without the warm-up."""
        return Timing(self._closed[-rounds:])

    async def _once(self, ask: Asker) -> float:
        server, before = self._server, len(self._server.requests)
        server.disconnects.clear()
        task = asyncio.ensure_future(ask())
        await _until(lambda: len(server.requests) > before)
        await asyncio.sleep(0.01)  # now it waits, and does nothing else
        began = time.monotonic()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        free = time.monotonic() - began
        await _until(lambda: bool(server.disconnects))
        self._closed.append([server.disconnects[0] - began])
        return free


async def _until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110 - it happens in the server's thread
        await asyncio.sleep(0.001)


def _askers(url: str) -> dict[str, Maker]:
    async def raw(stack: AsyncExitStack) -> Asker:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=FOREVER))
        body = {"model": MODEL, "messages": chat.messages()}
        return lambda: client.post(f"{url}/v1/chat/completions", json=body)

    async def sdk(stack: AsyncExitStack) -> Asker:
        client = await openai_client(url, stack)
        return lambda: client.chat.completions.create(model=MODEL, messages=chat.messages())

    async def agent(_: AsyncExitStack) -> Asker:
        mind = Agent(llm(url), INSTRUCTIONS)
        return recorded(lambda: mind.execute(QUESTION))

    async def pydantic_ai(stack: AsyncExitStack) -> Asker:
        from pydantic_ai import Agent as Theirs

        mind = Theirs(await pydantic_ai_model(url, stack), instructions=INSTRUCTIONS)
        return lambda: mind.run(QUESTION)

    return {RAW: raw, SDK: sdk, OURS: agent, PYDANTIC_AI: pydantic_ai}
