"""Between code that awaits and code that does not.

Runs live on the loop that is running: the kernel's own, in a notebook. Where there is none (a script,
a plain test) they live on one background loop. `execute_sync` blocks its caller, so inside a running
loop it needs another one: nest-asyncio re-enters the loop where that is safe, and the background loop
serves where it is not. Re-entering the loop of ipykernel 7 or newer freezes the notebook's remaining
cells, and Python 3.14 no longer tells re-entered tasks apart.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from quire.core.errors import QuireError
from quire.run.context import CURRENT, Context
from quire.run.threads import set_aside

__all__ = [
    "aside",
    "background_loop",
    "call_on",
    "in_kernel",
    "in_worker",
    "living_context",
    "loop_for_runs",
    "running_loop",
    "wait_for",
    "would_block",
]

T = TypeVar("T")

_PATIENCE = 5.0
"""Seconds that a cancelled run gets to clean up before its caller is let go."""


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop this thread is running, if it is."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def loop_for_runs() -> asyncio.AbstractEventLoop:
    """Return the loop on which a run begun here lives."""
    return running_loop() or background_loop()


@cache
def background_loop() -> asyncio.AbstractEventLoop:
    """Return Quire's own loop, running in a daemon thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="quire-loop", daemon=True).start()
    return loop


def living_context() -> Context | None:
    """Return the context of the run this code is a part of, if that run goes on: on this loop, or for this thread."""
    context = CURRENT.get()
    if context is None or context.log.closed:
        return None
    return context if running_loop() in (context.loop, None) else None


def in_worker() -> bool:
    """Whether this is a thread that a run waits for."""
    return running_loop() is None and living_context() is not None


def in_kernel() -> bool:
    """Whether this is a notebook's kernel."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()


def wait_for(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end from code that cannot await, and return its result."""
    here, context = running_loop(), living_context()
    if here is None:
        return _block(make, background_loop() if context is None else context.loop)
    if _may_nest(here):
        import nest_asyncio  # pyright: ignore[reportMissingTypeStubs]

        nest_asyncio.apply(here)  # pyright: ignore[reportUnknownMemberType]
        return here.run_until_complete(make())
    if would_block(background_loop()):
        message = "execute_sync would block the loop that has to do the work."
        raise QuireError(message, remedy="Write `await ....execute(...)` inside async code.")
    return _block(make, background_loop())


def would_block(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether waiting here, without `await`, would keep that loop from ever going on."""
    return running_loop() is loop and not _may_nest(loop)


def _may_nest(loop: asyncio.AbstractEventLoop) -> bool:
    kernel = sys.modules.get("ipykernel")
    modern_kernel = kernel is not None and kernel.version_info >= (7,)
    return isinstance(loop, asyncio.BaseEventLoop) and not modern_kernel and sys.version_info < (3, 14)


def _block(make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop) -> T:
    drained = threading.Event()

    async def work() -> T:
        try:
            return await make()
        finally:
            drained.set()

    future = asyncio.run_coroutine_threadsafe(work(), loop)
    try:
        with set_aside():
            return future.result()
    except KeyboardInterrupt:
        future.cancel()
        drained.wait(_PATIENCE)
        raise


def aside(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on a loop and in a thread of its own, whatever loop is running here.

    For what is kept: it needs nothing that belongs to a run's loop, and must not re-enter one.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def whole() -> T:
        begun.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await make()

    def work() -> None:
        try:
            results.append(asyncio.run(whole()))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, name="quire-reader", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        for loop, task in begun:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel) if task else None
        thread.join(_PATIENCE)
        raise
    if errors:
        raise errors[0]
    return results[0]


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Call a function on a loop: now if this is its thread, otherwise soon, and in the caller's context."""
    if running_loop() is loop:
        function()
    else:
        loop.call_soon_threadsafe(function, context=contextvars.copy_context())
