"""Keeps something open for everybody who uses it: one task opens it, waits, and closes it.

What is built on anyio's cancel scopes must be left by the task that entered it. In a notebook each cell,
run and tool is a task of its own, and none of them lives as long as a connection.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable
from concurrent import futures
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Any, Generic, TypeAlias, TypeVar

from quire.run import bridge

__all__ = ["Connection", "Opening"]

T = TypeVar("T")
R = TypeVar("R")

Opening: TypeAlias = Callable[[Callable[[], None]], AbstractAsyncContextManager[T]]
"""Makes what is to be opened; it is given what to call should the other side go away."""

_PATIENCE = 6.0
"""Seconds that the end of the interpreter waits for what is still open."""


class Connection(Generic[T]):
    """Something that is open on one event loop, its home, and used from any."""

    def __init__(self, opening: Opening[T], home: asyncio.AbstractEventLoop) -> None:
        self.reason: Exception | None = None
        """Why it could not be opened, or ended without having been asked to."""
        self._opening = opening
        self._home = home
        self._opened: futures.Future[T] = futures.Future()
        self._ended: futures.Future[None] = futures.Future()
        self._over = asyncio.Event()
        self._stopped = False
        self._task: asyncio.Task[None] | None = None
        _living.add(self)
        bridge.call_on(home, self._begin)

    @property
    def usable(self) -> bool:
        """Whether it is open, or being opened."""
        return not (self._stopped or self._over.is_set() or self._ended.done() or self._home.is_closed())

    async def use(self, work: Callable[[T], Awaitable[R]]) -> R:
        """Do something with what is open, at its home; raise what kept it from being opened.

        Cancelling the caller cancels the work.
        """
        if bridge.running_loop() is self._home:
            return await self._used(work)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._used(work), self._home))

    def stop(self) -> None:
        """Have it closed, soon; may be called from any thread."""
        self._stopped = True  # by now: its home may take a moment
        try:
            self._home.call_soon_threadsafe(self._end)
        except RuntimeError:  # its loop is closed, so nothing is open on it
            _living.discard(self)

    async def ended(self, patience: float) -> None:
        """Wait until it is closed, some seconds at most."""
        if self._home.is_running():
            await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=patience)

    @staticmethod
    def end_all() -> None:
        """Close whatever is open: a server may not notice by itself that this process is gone."""
        rest = list(_living)
        for one in rest:
            one.stop()
        waited_for = [one._ended for one in rest if one._home.is_running()]  # noqa: SLF001 - its own kind
        futures.wait(waited_for, timeout=_PATIENCE)

    async def _used(self, work: Callable[[T], Awaitable[R]]) -> R:
        # Shielded, because others wait for it as well.
        return await work(await asyncio.shield(asyncio.wrap_future(self._opened)))

    def _begin(self) -> None:
        # In a context of its own: it outlives the run that happens to need it first.
        self._task = self._home.create_task(self._keep(), context=Context())
        self._task.add_done_callback(self._done)

    def _end(self) -> None:
        self._over.set()
        if self._task is not None and not self._opened.done():
            self._task.cancel()

    async def _keep(self) -> None:
        try:
            async with self._opening(self._over.set) as thing:
                self._opened.set_result(thing)
                await self._over.wait()
        except Exception as error:  # noqa: BLE001 - told to whoever wants to use it
            self.reason = error

    def _done(self, _: asyncio.Task[None]) -> None:
        # Here and not in the task, which may be cancelled before it begins.
        if not self._opened.done():
            self._opened.set_exception(self.reason or ConnectionAbortedError("closed before it was open"))
        self._ended.set_result(None)
        _living.discard(self)


_living: set[Connection[Any]] = set()

atexit.register(Connection.end_all)
