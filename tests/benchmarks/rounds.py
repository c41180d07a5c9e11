"""Measuring side by side: contenders take turns, so that whatever else the machine does befalls all of them alike."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import TypeAlias

__all__ = ["Contender", "Once", "Timing", "clocked", "clocked_loop", "interleave"]

Once: TypeAlias = Callable[[], Awaitable[float]]
"""Does the work once and returns how many seconds it took."""

_WARM_UP = 3


@dataclass(frozen=True)
class Contender:
    """Something that does the work of a benchmark."""

    name: str
    prepare: Callable[[AsyncExitStack], Awaitable[Once]]
    """Imports and builds what the work needs, which is not measured; an ImportError means it is not installed."""


@dataclass
class Timing:
    """What was measured of one contender."""

    rounds: list[list[float]] = field(default_factory=list[list[float]])
    """Seconds of each time the work was done, by round."""

    @property
    def median(self) -> float:
        """The median of the rounds' medians, in seconds."""
        return median(map(median, self.rounds))

    @property
    def best(self) -> float:
        """The least, in seconds: what the work takes on a machine that does nothing else."""
        return min(map(min, self.rounds))

    def ratio(self, anchor: Timing) -> float:
        """How often the anchor's time: the median of the ratios within each round."""
        return median(median(ours) / median(theirs) for ours, theirs in zip(self.rounds, anchor.rounds, strict=True))


def clocked(work: Callable[[], Awaitable[object]]) -> Once:
    """Time one piece of work from its call to its result."""

    async def once() -> float:
        began = perf_counter()
        await work()
        return perf_counter() - began

    return once


def clocked_loop(work: Callable[[], object], times: int) -> Once:
    """Time work that is too short for a clock: so many times, and the mean of them."""

    async def once() -> float:
        numbers = range(times)
        began = perf_counter()
        for _ in numbers:
            work()
        return (perf_counter() - began) / times

    return once


async def interleave(
    contenders: Sequence[Contender], *, rounds: int, each: int = 1, warm_up: int = _WARM_UP
) -> dict[str, Timing | None]:
    """Let each contender do the work `each` times a round; what is not installed has no timing."""
    timings: dict[str, Timing | None] = {}
    async with AsyncExitStack() as stack:
        ready: dict[str, Once] = {}
        for contender in contenders:
            timings[contender.name] = None
            try:
                ready[contender.name] = await contender.prepare(stack)
            except ImportError:
                continue
            timings[contender.name] = Timing()
        await _take_turns(ready.items(), _Discarded(), warm_up, 1)
        # One contender's modules and caches must not make another's garbage collections longer.
        gc.collect()
        gc.freeze()
        await _take_turns(ready.items(), timings, rounds, each)
        gc.unfreeze()
    return timings


class _Discarded(dict[str, "Timing | None"]):
    def __missing__(self, name: str) -> Timing:
        return Timing()


async def _take_turns(
    ready: Iterable[tuple[str, Once]], timings: dict[str, Timing | None], rounds: int, each: int
) -> None:
    for _ in range(rounds):
        for name, once in ready:
            timing = timings[name]
            if timing is not None:
                timing.rounds.append([await once() for _ in range(each)])
