"""Worker threads for blocking user code.

A plain `def` step or tool would stop every agent while it works, so it runs here. The threads are
daemons, unlike those of `concurrent.futures`: a call that hangs must not keep the interpreter from
ending. A thread that waits for a run gives up its place, because that run may need a thread as well.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

__all__ = ["in_thread", "set_aside"]

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]

_MOST = 64
"""Threads at most; more calls than this wait their turn."""


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a worker thread, in a copy of the caller's context, and return its result.

    Cancelling the caller ends the wait, not the function: Python cannot stop a thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()
    _pool.put((lambda: context.run(function, *arguments), loop, future))
    return await future


@contextmanager
def set_aside() -> Generator[None]:
    """Let another thread work while this one waits; nothing happens outside of a worker thread."""
    if not _pool.is_here():
        yield
        return
    _pool.change(-1)
    try:
        yield
    finally:
        _pool.change(+1)


class _Pool:
    """Threads that take jobs from one queue; there are as many as were ever needed at once."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued = 0
        self._idle = 0
        self._working = 0
        self._here = threading.local()

    def is_here(self) -> bool:
        return getattr(self._here, "works", False)

    def put(self, job: _Job) -> None:
        self._jobs.put(job)
        with self._lock:
            self._queued += 1
            self._make_room()

    def change(self, places: int) -> None:
        with self._lock:
            self._working += places
            self._make_room()

    def _make_room(self) -> None:
        if self._queued > self._idle and self._working < _MOST:
            self._working += 1
            self._idle += 1
            threading.Thread(target=self._work, name="quire-worker", daemon=True).start()

    def _work(self) -> None:
        self._here.works = True
        while True:
            job = self._jobs.get()
            with self._lock:
                self._queued -= 1
                self._idle -= 1
            _do(*job)
            del job
            with self._lock:
                if self._working > _MOST:  # others came while this one was set aside
                    self._working -= 1
                    return
                self._idle += 1


_pool = _Pool()


def _do(job: Callable[[], Any], loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = job()
    except BaseException as raised:  # noqa: BLE001 - whatever it is belongs to the caller
        error = raised
    if not loop.is_closed():
        with suppress(RuntimeError):  # the loop was closed in this very moment: nobody waits any more
            loop.call_soon_threadsafe(_settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if isinstance(error, StopIteration):
        # A future cannot carry it; asyncio would raise a TypeError that hides the user's own line.
        error = RuntimeError("the function raised StopIteration").with_traceback(error.__traceback__)
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
