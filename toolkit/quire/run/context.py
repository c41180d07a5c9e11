"""Where in a run the code is: handed to every `_run`, and found with `current_context()`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from copy import copy
from typing import Any, Protocol, TypeVar, overload

from quire.core.errors import DefinitionError, QuireError
from quire.core.tape import in_force
from quire.log.log import Log
from quire.log.recall import Mark
from quire.run.keys import NO_KEYS, Keys
from quire.run.questions.answers import form_of
from quire.run.questions.desk import Asking, Desk, ask
from quire.run.scope import Scope

__all__ = ["CURRENT", "Context", "Part", "check_timeout", "current_context", "enter", "nearer", "why"]

T = TypeVar("T")


class Part(Protocol):
    """Something that was started inside a run and has to end with it."""

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        ...

    def cancel(self, reason: str) -> Awaitable[None]:
        """Stop it."""
        ...


class Context:
    """A place in a run: its log, its span, the path of names, the deadline.

    A child may only have less than its parent: `child` can bring a deadline nearer, never put it off.
    """

    __slots__ = (
        "deadline",
        "decision",
        "desk",
        "error",
        "item",
        "key",
        "keys",
        "log",
        "loop",
        "name",
        "parent",
        "parts",
        "path",
        "session",
        "span",
        "state",
        "streaming",
        "timed",
    )

    def __init__(
        self,
        *,
        log: Log,
        loop: asyncio.AbstractEventLoop,
        span: str,
        parent: str | None,
        name: str,
        path: tuple[str, ...],
        deadline: float | None,
        streaming: bool | None,
        parts: list[Part],
        timed: bool,
        item: int | None = None,
        error: BaseException | None = None,
        decision: Any = None,
        keys: Keys = NO_KEYS,
        session: str | None = None,
        state: Scope | None = None,
        desk: Desk | None = None,
    ) -> None:
        self.log = log
        self.loop = loop
        self.span = span
        self.parent = parent
        self.name = name
        self.path = path
        self.deadline = deadline
        """On the loop's clock; `None` when there is none."""
        self.streaming: bool | None = streaming
        """Whether replies are written piece by piece; `None` if nobody is to see the pieces."""
        self.parts = parts
        """What was started inside the run with `start`, and ends with it."""
        self.timed = timed
        """Whether the deadline is watched here; otherwise whatever this is a part of watches it."""
        self.item = item
        """Which of many this is, from 0: an item of a fan-out, an iteration of a loop."""
        self.error = error
        """The error that this stands in for, in a fallback."""
        self.decision = decision
        """The answer that led here, in the route of a branch."""
        self.key: str | None = None
        """What tells this call of a tool apart from every other, if the tool has an `idempotency_key`."""
        self.keys = keys
        """The keys the run brought along for its model calls."""
        self.session = session
        """The conversation that agents with a memory go on with; `None` if the run was started in none."""
        self.state = state
        """What of the run's state is seen and written here; `None` in a run without one."""
        self.desk = desk or Desk(log, loop)
        """Where the run's questions to people wait for answers."""

    @property
    def run(self) -> str:
        """The run's id."""
        return self.log.run

    @property
    def where(self) -> str:
        """The path of names as people read it: `audit › parse`."""
        return " › ".join(self.path)

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline; `None` when there is none."""
        return None if self.deadline is None else self.deadline - self.loop.time()

    @property
    def watched(self) -> bool:
        """Whether replies are wanted while they are written: by somebody who watches, or by a tape.

        What is recorded is always recorded so, or a run that is watched would find nothing of one that was not.
        """
        if self.streaming is None:
            return False
        return self.streaming or self.log.followed or in_force() is not None

    def child(
        self,
        name: str,
        timeout: float | None = None,
        *,
        apart: bool = False,
        item: int | None = None,
        error: BaseException | None = None,
        decision: Any = None,
        keys: Keys | None = None,
        session: str | None = None,
        mark: Mark = None,
    ) -> Context:
        """Return the context of something that runs inside this one, or apart from it in a task of its own.

        In a run that goes on after a crash, it has the span that it had before: `mark` tells apart what has
        the same name, where `item` does not.
        """
        log = self.log
        return Context(
            log=log,
            loop=self.loop,
            span=log.new_span()
            if log.recall is None
            else log.span_for(self.span, name, item if mark is None else mark),
            parent=self.span,
            name=name,
            path=(*self.path, name if item is None else f"{name}[{item}]"),
            deadline=self.deadline if timeout is None else nearer(self.deadline, self.loop.time() + timeout),
            streaming=self.streaming,
            parts=self.parts,
            timed=apart or timeout is not None,
            item=item,
            error=error or self.error,
            decision=self.decision if decision is None else decision,
            keys=self.keys if keys is None else keys,
            session=self.session if session is None else session,
            state=self.state,
            desk=self.desk,
        )

    @overload
    def ask(self, question: str, *, why: str | None = None, timeout: float | None = None) -> Asking[str]: ...

    @overload
    def ask(
        self, question: str, output: type[T], *, why: str | None = None, timeout: float | None = None
    ) -> Asking[T]: ...

    @overload
    def ask(
        self, question: str, output: Any, *, why: str | None = None, timeout: float | None = None
    ) -> Asking[Any]: ...

    def ask(
        self, question: str, output: Any = str, *, why: str | None = None, timeout: float | None = None
    ) -> Asking[Any]:
        """Ask a person, and wait for the answer: `await current_context().ask("Publish this?", bool)`.

        `output` is the type of the answer: `bool` is yes or no, a `Literal` or an `Enum` one of its values (an `Enum`
        of numbers is shown by its names), anything else whatever fits it. `why` is shown beside the question. A plain
        `def` step or tool, which has a thread of its own, writes `current_context().ask(...).wait()`.

        The run waits, and goes on when somebody has answered: in its view, or with `run.answer(...)`. After
        `timeout` seconds it raises `Unanswered`. The time a person takes counts, too, against the `timeout=` of the
        step and of the run, which are promises about when they end.

        Somebody can be asked in a notebook before which somebody sits, and in a run that was started with
        `attended=True`. Elsewhere this raises `Unanswered`, and the question stays in the record: answer it there
        with `quire.load(run).answer(...)`, and resume the run. What was answered is not asked again then, though
        another attempt that `retry=` makes asks anew. A tool that waited for its first answer is begun anew, so let
        it ask before it does its work; of one that asked again after an answer, a person has to say whether it did.

        Raises:
            Unanswered: nobody is there to answer, or nobody did in time.
            DefinitionError: nobody could give such an answer, or there is no question.

        Example:
            >>> from quire import Step, current_context
            >>> @Step
            ... async def greet(name: str) -> str:
            ...     friend = await current_context().ask(f"Is {name} a friend?", bool)
            ...     return f"{'Hi' if friend else 'Good day'}, {name}!"
            >>> run = greet.start("Ana", attended=True)
            >>> while not run.questions:
            ...     pass
            >>> run.answer("yes")
            >>> run.wait()
            'Hi, Ana!'
        """
        if not isinstance(question, str) or not question.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"ask({question!r}) asks nothing."
            raise DefinitionError(message, remedy='Write the question as a person reads it: ask("Publish this?", bool)')
        check_timeout(timeout)
        form = form_of(output)
        return Asking(lambda: ask(self, question, form, why=why, timeout=timeout), self.loop)

    def within(self, seconds: float) -> Context:
        """Return the same place with less time."""
        shorter = copy(self)
        shorter.deadline = nearer(self.deadline, self.loop.time() + seconds)
        shorter.timed = True
        return shorter


def enter(context: Context) -> None:
    """Give a place its own view of the run's state, if it still has that of what it is a part of."""
    state = context.state
    if state is not None and state.span != context.span:
        context.state = state.part(context.span)


def check_timeout(timeout: float | None) -> None:
    """Raise `DefinitionError` for a time that nothing can be done in."""
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (number and timeout > 0):
        message = f"timeout={timeout!r} leaves no time."
        raise DefinitionError(message, remedy="Give seconds above 0, or leave it out.")


def nearer(deadline: float | None, other: float) -> float:
    """Return the earlier of two deadlines, of which the first may be none."""
    return other if deadline is None else min(deadline, other)


def why(cancelled: asyncio.CancelledError, context: Context) -> str:
    """Return the reason of a cancellation: what its author said, or that the time was up."""
    if cancelled.args and cancelled.args[0]:
        return str(cancelled.args[0])
    return "its time was up" if context.remaining is not None and context.remaining <= 0 else "stopped"


CURRENT: ContextVar[Context | None] = ContextVar("quire_context", default=None)
"""The context of the code that is running; `None` outside of a run."""


def current_context() -> Context:
    """Return the context of the step or tool that is running.

    Raises:
        QuireError: outside of a run.

    Example:
        >>> from quire import Step, current_context
        >>> @Step
        ... async def whoami(name: str) -> str:
        ...     return f"{name} in {current_context().where}"
        >>> whoami.execute_sync("me")
        'me in whoami'
    """
    context = CURRENT.get()
    if context is None:
        message = "There is no run here."
        raise QuireError(message, remedy="Call current_context() inside a step or a tool that is being run.")
    return context
