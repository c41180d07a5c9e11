"""Worker threads for blocking user code.

A plain `def` step or tool would stop every agent while it works, so it runs here. The threads are
daemons, unlike those of `concurrent.futures`: a call that hangs must not keep the interpreter from
ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]

_MOST = 64
"""Threads at most; more calls than this wait their turn."""

_jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
_lock = threading.Lock()
_free = 0
_threads = 0


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a worker thread, in a copy of the caller's context, and return its result.

    Cancelling the caller ends the wait, not the function: Python cannot stop a thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()
    _jobs.put((lambda: context.run(function, *arguments), loop, future))
    _make_room()
    return await future


def _make_room() -> None:
    global _threads, _free  # noqa: PLW0603 - one pool a process
    with _lock:
        if _free > 0:
            _free -= 1
        elif _threads < _MOST:
            _threads += 1
            threading.Thread(target=_work, name="quire-worker", daemon=True).start()


def _work() -> None:
    global _free  # noqa: PLW0603 - one pool a process
    while True:
        job, loop, future = _jobs.get()
        try:
            result, error = job(), None
        except BaseException as raised:  # noqa: BLE001 - whatever it is belongs to the caller
            result, error = None, raised
        if not loop.is_closed():
            with suppress(RuntimeError):  # the loop was closed in this very moment: nobody waits any more
                loop.call_soon_threadsafe(_settle, future, result, error)
        del job, future, result, error
        with _lock:
            _free += 1


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
