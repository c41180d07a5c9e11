"""A thousand streamed replies at once on one event loop: what a process needs for them at its peak."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sys
from time import perf_counter
from typing import Any

from quire import Agent
from quire.adapters.stores.memory import MemoryStore
from quire.run.runtime import keep_in
from tests.benchmarks import chat
from tests.benchmarks.chat import INSTRUCTIONS, QUESTION
from tests.benchmarks.ours import llm
from tests.benchmarks.table import Goal, Line, Table, in_words
from tests.servers import in_process

__all__ = ["measure"]

STREAMS = 1_000
WORDS = ("Short ", "waves ", "scatter ", "most.") * 5
PAUSE = 0.15
MOST_MB = 300
_MB = 1024 if sys.platform == "linux" else 1024 * 1024
"""Units of `ru_maxrss` in a megabyte."""


def measure() -> Table:
    """Ask a server in another process, which takes its time between two words."""
    with in_process(chat.streams(*WORDS, pause=PAUSE)) as url:
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            seen = pool.apply(_crowd, (url,))
    goal = Goal(f"<= {MOST_MB} MB", seen["peak"] <= MOST_MB and seen["together"] == STREAMS)
    return Table(
        work=f"{STREAMS:,} streams at once on one loop",
        how=f"agents over loopback HTTP, recorded in memory; {seen['together']:,} of them open at the same moment",
        lines=[
            Line(name="the process at its peak", figure=f"{seen['peak']:.0f} MB", goal=goal),
            Line(name="the process before the first", figure=f"{seen['before']:.0f} MB"),
            Line(name="until the last is done", figure=in_words(seen["seconds"])),
            Line(name="the server's own pauses", figure=in_words(PAUSE * (len(WORDS) - 1))),
        ],
    )


def _crowd(url: str) -> dict[str, float]:
    return asyncio.run(_listen(url))


async def _listen(url: str) -> dict[str, float]:
    mind, seen = Agent(llm(url), INSTRUCTIONS), {"open": 0, "together": 0}

    async def listen() -> None:
        heard = ""
        async for event in mind.stream(QUESTION):
            if event.kind == "delta":
                seen["open"] += not heard
                seen["together"] = max(seen["together"], seen["open"])
                heard += event.text
        seen["open"] -= 1
        if heard != "".join(WORDS):
            raise RuntimeError(f"heard {heard!r}")

    with keep_in(MemoryStore()):
        await listen()
        before, began = _peak(), perf_counter()
        seen.update(together=0)
        await asyncio.gather(*(listen() for _ in range(STREAMS)))
    return {**seen, "seconds": perf_counter() - began, "before": before, "peak": _peak()}


def _peak() -> Any:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB
