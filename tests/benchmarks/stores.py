"""Where runs are kept: how fast events are appended, in batches and one by one, and how fast a long run is loaded.

The servers are those of the tests, on this machine: what is measured is what Quire and a driver cost, and no network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

import pytest

from quire.core.messages import Message
from quire.core.ports import Store
from quire.core.usage import Usage
from quire.events import Event, Responded, Said
from quire.run.runtime import home, open_store
from tests.adapters.stores import servers
from tests.benchmarks.rounds import Contender, Once, clocked, interleave
from tests.benchmarks.table import AtMost, Table, compared

__all__ = ["measure"]

APPENDED, BATCH, SINGLE, LOADED = 10_000, 100, 500, 100_000
ROUNDS = 3
PLACES: dict[str, Callable[[], str]] = {
    "file": lambda: _folder().as_uri(),
    "memory": lambda: "memory://",
    "sqlite": lambda: f"sqlite:///{_folder()}/runs.db",
    "postgresql": servers.database,
    "redis": servers.number,
    "s3": servers.bucket,
}
BATCHES, ONES, LOAD = f"{APPENDED:,} in batches of {BATCH}", f"{SINGLE} one by one", f"load {LOADED:,}"


def measure() -> Table:
    """Append to every store, and load from it."""
    contenders = [Contender(f"{name}, {BATCHES}", _appending(make, APPENDED, BATCH)) for name, make in PLACES.items()]
    contenders += [Contender(f"{name}, {ONES}", _appending(make, SINGLE, 1)) for name, make in PLACES.items()]
    contenders += [Contender(f"{name}, {LOAD}", _loading(make)) for name, make in PLACES.items()]
    timings = asyncio.run(interleave(contenders, rounds=ROUNDS, warm_up=1))
    goals = {f"sqlite, {BATCHES}": AtMost(seconds=1.0)}
    goals |= {f"{name}, {LOAD}": AtMost(seconds=2.0) for name in ("file", "sqlite")}
    lines = [
        line
        for work in (BATCHES, ONES, LOAD)
        for line in compared({n: t for n, t in timings.items() if n.endswith(work)}, f"file, {work}", goals)
    ]
    note = "s3 is a server for tests, written in Python, which takes its time itself"
    return Table(work="Events kept and loaded", how=f"{ROUNDS} rounds, against files", lines=lines, notes=[note])


def _folder() -> Path:
    return Path(mkdtemp(dir=home()))


def _opened(make: Callable[[], str]) -> Store:
    try:
        return open_store(make())
    except pytest.skip.Exception as missing:
        raise ImportError(missing) from None


def _appending(make: Callable[[], str], total: int, batch: int) -> Callable[[AsyncExitStack], Once]:
    async def prepare(_: AsyncExitStack) -> Once:
        store, events, numbers = _opened(make), _events(total), count()

        async def work() -> None:
            stream = f"runs/{next(numbers)}"
            for start in range(0, total, batch):
                await store.append(stream, events[start : start + batch], start)

        return clocked(work)

    return prepare


def _loading(make: Callable[[], str]) -> Callable[[AsyncExitStack], Once]:
    async def prepare(_: AsyncExitStack) -> Once:
        store, events = _opened(make), _events(LOADED)
        for start in range(0, LOADED, 1000):
            await store.append("runs/long", events[start : start + 1000], start)
        del events

        async def work() -> None:
            if len(await store.read("runs/long")) != LOADED:
                raise RuntimeError("not all of it")

        return clocked(work)

    return prepare


def _events(number: int) -> Sequence[Event]:
    """Make what an agent's run consists of: questions, and replies with what they cost."""
    common = {"run": "65f0c1a200112233", "span": "12", "parent": "3"}
    reply = Message.of("assistant", "Order 1234 was sent on Monday and arrives on Friday.")
    usage = Usage(input_tokens=420, output_tokens=31)

    def event(seq: int) -> Event:
        at = 1.79e9 + seq * 1e-3
        if seq % 2:
            return Said(seq=seq, at=at, **common, sender="input", role="user", text=f"Where is order {seq}?")
        return Responded(seq=seq, at=at, **common, message=reply, finish_reason="stop", usage=usage, cost_usd=8e-5)

    return [event(seq) for seq in range(1, number + 1)]
