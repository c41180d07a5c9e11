"""The thread in which a store uses a disk: a loop never waits for one."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

__all__ = ["Disk"]

T = TypeVar("T")
_Job: TypeAlias = "tuple[Future[Any], Callable[[], Any]]"


class Disk:
    """A thread that does one thing after the other; a daemon, so that a disk that hangs cannot hold up the exit.

    What is cancelled before its turn is not done; what is cancelled in its turn is done nevertheless.

    Example:
        >>> import asyncio
        >>> asyncio.run(Disk().do(lambda: 2 + 2))
        4
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._starting = threading.Lock()

    async def do(self, job: Callable[[], T]) -> T:
        """Have something done in the thread, and return what it gives."""
        answer: Future[T] = Future()
        self._started().put((answer, job))
        return await asyncio.wrap_future(answer)

    def _started(self) -> SimpleQueue[_Job | None]:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                # First use; or the child of a fork, to which the parent's jobs do not belong.
                self._jobs = SimpleQueue()
                self._thread = threading.Thread(target=_work, args=(self._jobs,), name="quire logs", daemon=True)
                self._thread.start()
                weakref.finalize(self, self._jobs.put, None).atexit = False
            return self._jobs


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        _do(*job)
        del job  # it holds the store, which could not be forgotten while this thread waits


def _do(answer: Future[T], job: Callable[[], T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(job())
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the answer
        answer.set_exception(error)
