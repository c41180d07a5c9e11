"""The loop on which stores talk to servers: one for the whole process, in a thread of its own.

A connection belongs to the loop that opened it, and loops come and go: a cell's, a script's `asyncio.run`, the short
one on which `quire.runs()` reads. On a loop that stays, connections stay open. And what somebody stops awaiting comes
to its end there all the same: whoever has to know whether it happened only needs to read, which waits for its turn.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 5.0
"""Seconds in which a server that was there before may come back: time enough for a restart."""

_PAUSE = 0.1
"""Seconds between two attempts to reach it."""

_MANY = 500
"""Lines whose translation would hold up everybody else on the loop."""


@dataclass(slots=True)
class _State(Generic[T]):
    """What is open, on one loop."""

    loop: asyncio.AbstractEventLoop | None = None
    thing: T | None = None
    met: bool = False
    """Whether the server has ever answered."""
    last: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])
    """Whose turn it is last, by stream."""
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turns(Generic[T]):
    """Something that is open on that loop; whoever uses it for the same stream takes turns, first come, first served.

    What is cancelled before its turn is not done; what is cancelled in its turn is done nevertheless. `lost` are the
    errors after which it is tried again, if the server has answered before or, as those of `starting` say, will soon.

    Example:
        >>> import asyncio
        >>> async def opened() -> list[str]:
        ...     return ["open"]
        >>> async def closed(thing: list[str]) -> None:
        ...     thing.clear()
        >>> async def used(thing: list[str]) -> int:
        ...     return len(thing)
        >>> asyncio.run(Turns(opened, closed, lost=(OSError,)).take("runs/1m8k", used))
        1
    """

    def __init__(
        self,
        opening: Callable[[], Awaitable[T]],
        closing: Callable[[T], Awaitable[object]],
        lost: tuple[type[Exception], ...],
        starting: tuple[type[Exception], ...] = (),
    ) -> None:
        self._opening = opening
        self._lost = lost
        self._starting = starting
        self._state: _State[T] = _State()
        weakref.finalize(self, _close, self._state, closing).atexit = False

    async def take(self, stream: str, work: Callable[[T], Awaitable[R]]) -> R:
        """Do some work in the stream's turn, and again if the connection is lost: it must do no harm twice."""
        answer: Future[R] = Future()
        # In a context of its own: what is opened outlives the run that happens to need it first.
        _loop().call_soon_threadsafe(self._queue, stream, work, answer, context=Context())
        return await asyncio.wrap_future(answer)

    def _queue(self, stream: str, work: Callable[[T], Awaitable[R]], answer: Future[R]) -> None:
        loop, state = asyncio.get_running_loop(), self._state
        if state.loop is not loop:
            # First use; or the child of a fork, to which neither the parent's connections nor its turns belong.
            _parents.extend([] if state.thing is None else [state.thing])
            state.loop, state.thing, state.last, state.opening = loop, None, {}, asyncio.Lock()
        before = state.last.get(stream)
        task = state.last[stream] = loop.create_task(self._do(before, work, answer))
        task.add_done_callback(lambda done: state.last.pop(stream) if state.last.get(stream) is done else None)

    async def _do(
        self, before: asyncio.Task[None] | None, work: Callable[[T], Awaitable[R]], answer: Future[R]
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
            del before  # else each would keep all that came before it
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(await self._persist(work))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the answer
            answer.set_exception(error)

    async def _persist(self, work: Callable[[T], Awaitable[R]]) -> R:
        until = None
        while True:
            try:
                result = await work(await self._opened())
            except self._lost as error:
                self._state.met = self._state.met or isinstance(error, self._starting)
                now = time.monotonic()
                until = until or now + (_PATIENCE if self._state.met else 0)
                if now >= until:
                    raise
            except Exception:
                self._state.met = True  # it answers, if not what one would like to hear
                raise
            else:
                self._state.met = True
                return result
            await asyncio.sleep(_PAUSE)

    async def _opened(self) -> T:
        state = self._state
        async with state.opening:
            if state.thing is None:
                state.thing = await self._opening()
            return state.thing

    @staticmethod
    async def translated(work: Callable[[], R], size: int) -> R:
        """Do what costs time for each of so many lines: in another thread, if it would hold up the others here."""
        return work() if size < _MANY else await asyncio.to_thread(work)


_parents: list[Any] = []
"""Connections of processes that this one was forked from: to close them would be felt at the other end."""

_starting = threading.Lock()
_running: list[asyncio.AbstractEventLoop] = []


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:
        if not _running:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="quire stores", daemon=True).start()
            _running.append(loop)
        return _running[0]


def _begin_after_fork() -> None:
    _parents.append(_running.copy())
    _running.clear()
    _starting.release()


# Held while the process forks, so that the child does not find it locked by a thread that it does not have.
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_begin_after_fork)


def _close(state: _State[T], closing: Callable[[T], Awaitable[object]]) -> None:
    """Close what a forgotten store had open."""
    loop, thing = state.loop, state.thing
    if loop is None or thing is None or loop not in _running:
        return

    async def close() -> None:
        await closing(thing)

    def begin() -> None:
        task = loop.create_task(close())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    loop.call_soon_threadsafe(begin)


_closing: set[asyncio.Task[None]] = set()
