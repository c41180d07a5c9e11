"""Where the questions of a run wait for answers: asked on the run's own loop, answered from any thread."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import ValidationError

from quire.core.errors import QuireError, Unanswered
from quire.core.events import Answered, Asked, Cancelled
from quire.core.schema import read_back
from quire.log.log import Log
from quire.log.recall import QUESTION
from quire.run.questions.answers import Form, Question, chosen, fitting
from quire.run.questions.screens import tell
from quire.run.threads import set_aside

if TYPE_CHECKING:
    from quire.run.context import Context

__all__ = ["Asking", "Desk", "ask", "desks", "inquire"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A question that somebody waits for."""

    asked: Asked
    kind: Any
    answer: asyncio.Future[Any]


class Desk:
    """The open questions of one run while it is at work."""

    def __init__(self, log: Log, loop: asyncio.AbstractEventLoop, *, attended: bool | None = None) -> None:
        self.waiting: dict[str, _Waiting] = {}
        """By span. Who takes one out decides how it ends: it can be done in one thread only."""
        self._log = log
        self._loop = loop
        self._attended = attended

    @property
    def attended(self) -> bool:
        """Whether somebody can be asked."""
        return _somebody_is_there() if self._attended is None else self._attended

    @property
    def open(self) -> list[Asked]:
        """What somebody waits to be told, the oldest first."""
        return [waiting.asked for waiting in list(self.waiting.values())]

    def answer(self, question: str | Question | None, value: Any, by: str) -> None:
        """Give an answer to whoever waits for it, from any thread.

        Raises:
            AnswerRefused: it does not fit, or there is no such question that is open.
        """
        where = f"run {self._log.run}"
        asked = chosen(self.open, question, where)
        waiting = self.waiting.get(asked.span)
        data = fitting(asked, value, waiting.kind if waiting else None)
        if waiting is None or self.waiting.pop(asked.span, None) is None:
            chosen((), asked.span, where)  # somebody else was faster
        else:
            self._soon(lambda: self._settle(waiting, data, by))

    def _soon(self, do: Callable[[], None]) -> None:
        here = None
        with suppress(RuntimeError):
            here = asyncio.get_running_loop()
        if here is self._loop:
            do()
        else:
            self._loop.call_soon_threadsafe(do)

    def _settle(self, waiting: _Waiting, data: Any, by: str) -> None:
        asked = waiting.asked
        if waiting.answer.done() or self._log.closed:
            return  # the run was stopped at that very moment
        self._log.emit(Answered, asked.span, asked.parent, value=data, by=by)
        waiting.answer.set_result(data)

    async def wait(self, asked: Asked, kind: Any, timeout: float | None) -> Any:
        """Return the answer as JSON, when it is there and kept.

        Raises:
            Unanswered: it did not come in time.
        """
        waiting = _Waiting(asked, kind, self._loop.create_future())
        self.waiting[asked.span] = waiting
        timer = None if timeout is None else self._loop.call_later(timeout, self._give_up, waiting, timeout)
        try:
            data = await waiting.answer
        except asyncio.CancelledError as cancelled:
            self.withdraw(waiting, str(cancelled.args[0]) if cancelled.args and cancelled.args[0] else "stopped")
            raise
        finally:
            if timer is not None:
                timer.cancel()
        # Nothing may be done with an answer that a crash could take back.
        await self._log.flush()
        return data

    def _give_up(self, waiting: _Waiting, timeout: float) -> None:
        if self.withdraw(waiting, f"nobody answered within {timeout:g} s"):
            message = f"Nobody answered within {timeout:g} s: {waiting.asked.text}"
            remedy = "Give more time with timeout=, in seconds, or catch Unanswered and go on without an answer."
            waiting.answer.set_exception(Unanswered(message, remedy=remedy, question=waiting.asked.span))

    def leave(self, span: str) -> None:
        """Withdraw the questions of whoever has ended in that span: a thread may still wait for them."""
        for waiting in list(self.waiting.values()):
            if waiting.asked.parent == span and self.withdraw(waiting, "who asked has ended"):
                waiting.answer.cancel()

    def withdraw(self, waiting: _Waiting, reason: str) -> bool:
        """Take a question back and record why; return whether it was still open."""
        asked = waiting.asked
        if self.waiting.pop(asked.span, None) is None:
            return False
        self._log.emit(Cancelled, asked.span, asked.parent, reason=reason)
        return True


desks: dict[str, Desk] = {}
"""Those of the runs that are at work here, by the run's id."""


def _somebody_is_there() -> bool:
    """Whether the last cell was run by a screen before which somebody sits: one that takes what is typed.

    JupyterLab says so of itself with each cell; whatever executes whole notebooks says the opposite.
    """
    kernel = sys.modules.get("ipykernel.kernelapp")
    if kernel is None or not kernel.IPKernelApp.initialized():
        return False
    return bool(getattr(kernel.IPKernelApp.instance().kernel, "_allow_stdin", False))


class Asking(Generic[T]):
    """A question that is asked when it is awaited; in a plain function, with `wait()`."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop) -> None:
        self._make = make
        self._loop = loop

    def __bool__(self) -> bool:
        """Refuse to be taken for an answer: `if ctx.ask(...)` would always be yes."""
        message = "This question has not been asked."
        raise QuireError(message, remedy="Write `await current_context().ask(...)`; in a def, `.ask(...).wait()`.")

    def __await__(self) -> Generator[Any, None, T]:
        """Return the answer when it is there."""
        if asyncio.get_running_loop() is self._loop:
            return self._make().__await__()
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._make(), self._loop)).__await__()

    def wait(self) -> T:
        """Return the answer when it is there, without `await`: in a `def` step or tool, which has its own thread.

        Raises:
            QuireError: waiting here would keep the answer from ever arriving.
        """
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                message = "Waiting here would block the loop on which the answer arrives."
                raise QuireError(message, remedy="Write `await current_context().ask(...)`.")
        with set_aside():
            return asyncio.run_coroutine_threadsafe(self._make(), self._loop).result()


async def ask(context: Context, text: str, form: Form, *, why: str | None, timeout: float | None) -> Any:
    """Ask a person from a place in a run, and return the answer; what was answered before is not asked again."""
    log = context.log
    if log.closed:
        message = f"Run {context.run} has ended, so that nobody is asked any more: {text}"
        raise QuireError(message, where=context.where, remedy="Ask while the step is at work, and await the answer.")
    span = log.span_for(context.span, text, QUESTION)
    kept = None if log.recall is None else log.recall.answered(span)
    if kept is not None:
        with suppress(ValidationError):  # the question may have become another
            return read_back(form.kind, kept.value)
    return read_back(form.kind, await inquire(context, span, text, form, why=why, timeout=timeout))


async def inquire(
    context: Context, span: str, text: str, form: Form, *, timeout: float | None = None, **about: Any
) -> Any:
    """Ask a person in a span, and return the answer as JSON.

    Raises:
        Unanswered: nobody is there, or nobody answered in time.
    """
    times = [time for time in (timeout, context.remaining) if time is not None]
    until = time.time() + min(times) if times else None
    told = {**form.told(), **about, "where": context.where, "until": until}
    asked = cast("Asked", context.log.emit(Asked, span, context.span, text=text, **told))
    if context.desk.attended:
        tell(context.run)
        return await context.desk.wait(asked, form.kind, timeout)
    run = context.run
    message = f"Nobody is here to answer: {text}"
    remedy = f"Answer with quire.load({run!r}).answer({span!r}, ...) and resume the run; or start with attended=True."
    raise Unanswered(message, where=context.where, remedy=remedy, question=span)
