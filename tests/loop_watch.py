"""Finds the callback that holds an event loop: one blocked second is a second in which no agent moves."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LIMIT = 0.25
"""Seconds that one callback may hold its loop."""

TICK = 0.02
"""Seconds between two looks at what every loop is doing."""

LATE = 1.5 * TICK
"""A look later than this means that the machine was busy elsewhere: that time is nobody's fault."""

OLDEST = len(gc.get_count()) - 1
"""The generation whose collection is a full one."""

ASLEEP = ("S", "D")
"""Linux's letters for a thread that waits for something other than a processor."""


@dataclass(slots=True)
class Turn:
    """One callback's stay on its loop."""

    thread: int
    """The operating system's number of the loop's thread."""
    cpu_before: float
    asleep: float = 0.0
    """Seconds during which the watcher, itself on time, saw it asleep."""
    collecting: float = 0.0
    """Seconds of processor time of full garbage collections that happened to fall into it."""
    stack: str = "(no Python frame seen: it held the interpreter's lock all the while)\n"


class LoopWatch:
    """Times every callback of every event loop in the process between enter and exit.

    Wall time alone would blame a test for what its neighbors on a small machine do. What counts is the larger of
    the processor time the callback used and the time it was seen asleep, not just waiting for a processor. A full
    garbage collection walks all that two thousand tests have left, so whom it hits is chance: it is taken off.
    """

    def __init__(self) -> None:
        self.blocked: list[str] = []
        """A message for each callback that held its loop too long, with the stack it was seen in."""
        self._turns: dict[int, Turn] = {}
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._look, name="loop watch", daemon=True)

    def __enter__(self) -> Self:
        self._run = run = asyncio.Handle._run
        turns, judge = self._turns, self._judge

        def watched(handle: asyncio.Handle) -> None:
            thread = threading.get_ident()
            turns[thread] = turn = Turn(threading.get_native_id(), time.thread_time())
            try:
                run(handle)
            finally:
                turns.pop(thread, None)
                judge(turn, time.thread_time() - turn.cpu_before)

        asyncio.Handle._run = watched
        gc.callbacks.append(self._collection)
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._run
        gc.callbacks.remove(self._collection)
        self._over.set()
        self._ticker.join()

    def _judge(self, turn: Turn, cpu: float) -> None:
        held = max(cpu - turn.collecting, turn.asleep)
        if held > LIMIT:
            self.blocked.append(f"The event loop was held for {held:.2f} s (at most {LIMIT} s) here:\n{turn.stack}")

    def _collection(self, phase: str, info: dict[str, int]) -> None:
        turn = self._turns.get(threading.get_ident())
        if turn and info["generation"] == OLDEST:
            turn.collecting += time.thread_time() if phase == "stop" else -time.thread_time()

    def _look(self) -> None:
        before = time.perf_counter()
        while not self._over.wait(TICK):
            now = time.perf_counter()
            passed, before = now - before, now
            if passed < LATE:
                self._note(passed)

    def _note(self, passed: float) -> None:
        for thread, turn in list(self._turns.items()):
            if state_of(turn.thread) in ASLEEP:
                turn.asleep += passed
            if frame := sys._current_frames().get(thread):
                turn.stack = below_the_loop(traceback.extract_stack(frame))


def state_of(thread: int) -> str:
    """Read the letter of a thread's state; where there is no /proc, a thread that is still there counts as asleep."""
    try:
        return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ASLEEP[0]


def below_the_loop(stack: traceback.StackSummary) -> str:
    """Keep what the callback itself called."""
    starts = [position for position, frame in enumerate(stack) if frame.name == "watched"]
    return "".join(traceback.format_list(stack[starts[-1] + 2 :] if starts else stack))
