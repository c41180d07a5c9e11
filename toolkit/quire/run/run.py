"""The handle on something that runs: await it, watch it, stop it, read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from quire.core.errors import DefinitionError, QuireError, RunCancelled, RunNotFinished
from quire.core.events import Cancelled, Event, Failed, Succeeded
from quire.core.tape import in_force, keep
from quire.log.log import Log, within
from quire.run import bridge, runtime
from quire.run.bracket import Work, bracket, record_failure, refuse
from quire.run.context import Context, check_timeout, nearer
from quire.run.keys import NO_KEYS
from quire.run.process import here
from quire.run.questions.answers import Question
from quire.run.questions.desk import Desk, desks
from quire.run.record import Record
from quire.views.live import RunFold

__all__ = ["Run", "begin", "carry_out", "check_session", "running"]

O = TypeVar("O")  # noqa: E741

_HEARTBEAT = 0.2
"""Seconds between wake-ups while a notebook cell awaits: the kernel's loop sleeps through an interrupt
unless something wakes it (ipykernel issue 881)."""
_PATIENCE = 5.0
"""Seconds that an interrupted run gets to clean up before the cell ends all the same."""


running: dict[str, Run[Any]] = {}
"""Runs that have not ended, by id: they live on between cells, and nobody else may hold them."""


class Run(Record, Generic[O]):
    """Something that was started and may still be running.

    Example:
        >>> from quire import Step
        >>> @Step
        ... async def double(n: int) -> int:
        ...     return 2 * n
        >>> run = double.start(21)
        >>> run.wait()
        42
        >>> run.status
        'succeeded'
    """

    def __init__(self, runnable: Work, value: Any, context: Context, details: dict[str, Any]) -> None:
        log = context.log
        super().__init__(log.run, lambda: log.events, kept=True)
        self.log = log
        self.loop = context.loop
        self._name, self._kind = runnable.name, runnable.kind
        self.runnable = runnable
        """What was run; a fork runs it again."""
        self._graph = details.get("graph") or runnable.graph()
        self._context = context
        self._ended = _Outcome[O](context.loop)
        self._task: asyncio.Task[None] | None = None
        self._begun = False
        self._unwanted: str | None = None
        self._finishing = False
        self._tape = in_force()
        if self.is_root:
            running[self.id] = self
            desks[self.id] = context.desk
            log.lost = lambda: self._cancel("another process went on with it")
        else:
            context.parts.append(self)
        bridge.call_on(self.loop, lambda: self._begin(runnable, value, details))

    @property
    def past(self) -> Sequence[Event]:
        """The events so far."""
        return self._own(self.log.events)

    def _renew(self, past: Sequence[Event]) -> None:
        self.log.events.extend(past[len(self.log.events) :])

    @property
    def questions(self) -> list[Question]:
        """What the run, or this part of it, asks a person, and nobody has answered: the oldest first."""
        if self.is_root:
            return super().questions
        own = self.fold().questions
        return [question for question in super().questions if question.id in own]

    @property
    def is_root(self) -> bool:
        """Whether this is the whole run, and not something that was started inside one."""
        return self._context.parent is None

    def _begin(self, runnable: Work, value: Any, details: dict[str, Any]) -> None:
        work = self._drive(runnable, value, details)
        self._task = self.loop.create_task(work, name=f"quire run {self.id}")
        self._task.add_done_callback(lambda _: self._begun or self._abandon(runnable, value, details))

    def _abandon(self, runnable: Work, value: Any, details: dict[str, Any]) -> None:
        """Record a run that `asyncio.run` took away with its loop before the first step."""
        reason = "its event loop was closed"
        refuse(runnable, value, self._context, reason, **details)
        if self.is_root:
            asyncio.run_coroutine_threadsafe(self.log.flush(), bridge.background_loop())
            self._close()
        self._ended.set(cast("O", None), asyncio.CancelledError(reason))

    async def _drive(self, runnable: Work, value: Any, details: dict[str, Any]) -> None:
        self._begun = True
        keep(self._tape)
        result: O | None = None
        error: BaseException | None = None
        try:
            if self._unwanted is None:
                result = await bracket(runnable, value, self._context, **details)
            else:
                refuse(runnable, value, self._context, self._unwanted, **details)
                error = asyncio.CancelledError(self._unwanted)
        except BaseException as raised:  # noqa: BLE001 - kept for whoever awaits the run
            error = raised
        if self.is_root:
            error = await self._finish(error)
        self._ended.set(cast("O", result), error)

    async def _finish(self, error: BaseException | None) -> BaseException | None:
        self._finishing = True
        for part in self._context.parts:
            if not part.finished:
                await part.cancel("its run has ended")
        try:
            await self.log.flush()
        except BaseException as unkept:  # noqa: BLE001 - a result that is not recorded must not look like one that is
            if error is None:
                self._disown(unkept)
                error = unkept
        self._close()
        return error

    def _disown(self, unkept: BaseException) -> None:
        """Record, for who still reads it here, that nothing else could be."""
        if isinstance(unkept, Exception):
            record_failure(unkept, self._context)
        else:
            self.log.emit(Cancelled, self._context.span, None, reason="how it ended could not be kept")

    def _close(self) -> None:
        self.log.close()
        # What outlives the run may still be in its context, and must not keep alive all that was run in it.
        self.log.lost = None
        self._context.parts.clear()
        running.pop(self.id, None)
        desks.pop(self.id, None)

    async def follow(self) -> AsyncGenerator[Event]:
        """Yield its events, those so far and those to come, until it has ended."""
        own = self._context.span
        is_own = within(own)
        async with aclosing(self.log.follow()) as events:
            async for event in events:
                if is_own(event):
                    yield event
                if event.span == own and not self.is_root and isinstance(event, Succeeded | Failed | Cancelled):
                    return

    def _own(self, events: list[Event]) -> list[Event]:
        """Return its part of the log's events: all of them, unless it was started inside another run."""
        return events if self.is_root else list(filter(within(self._context.span), events))

    @property
    def name(self) -> str:
        """What was run."""
        return self._name

    def fold(self) -> RunFold:
        """Return the view of everything so far, replies that are still being written included."""
        fold = RunFold()
        fold.expect(self.name, self._kind, self.id, self._graph)
        for event in self._own(self.log.past()):
            fold.apply(event)
        return fold

    @property
    def finished(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._ended.done

    @property
    def result(self) -> O:
        """What it gave; raises its error if it failed, `RunNotFinished` while it runs."""
        if not self.finished:
            what = f"Run {self.id} of `{self.name}` is still {self.status}."
            raise RunNotFinished(what, remedy="Wait for it: `await run`, or `run.wait()` without await.")
        return self._ended.get(self.name)

    @property
    def error(self) -> BaseException | None:
        """What it raised, if it did."""
        return self._ended.error

    def when_ended(self, do: Callable[[], object]) -> None:
        """Call a function once it has ended and is recorded, on its own loop."""
        self._ended.then(do)

    def __await__(self) -> Generator[Any, None, O]:
        return self._wait().__await__()

    def wait(self) -> O:
        """Return the result when there is one, without `await`."""
        if self.finished:
            return self.result
        if bridge.would_block(self.loop):
            message = f"Waiting here would block the loop that has to do the work of `{self.name}`."
            raise QuireError(message, remedy="Write `await run`.")
        return bridge.wait_for(self._wait)

    def cancel(self, reason: str = "stopped by you") -> Awaitable[None]:
        """Ask it to stop, at once; await what this returns to know that it has."""
        if not self.finished:
            bridge.call_on(self.loop, lambda: self._cancel(reason))
        return _Quiet(self._ended)

    def _cancel(self, reason: str) -> None:
        if not self._begun:
            # A task that is cancelled before its first step leaves no trace, so that step is waited for.
            self._unwanted = reason
        elif self._task is not None and not self._finishing:
            self._task.cancel(reason)

    def fork(
        self,
        *,
        at: int | None = None,
        edit: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        keys: Mapping[str, str] | None = None,
        attended: bool | None = None,
    ) -> Run[O]:
        """Start another run with what this one has done, and return it; this one stays as it is.

        Without `at`, everything is taken over that has ended well so far; with it, what had at that place in
        the log (the column `seq` of `run.events`). `edit` gives nodes another output, by name, or the whole
        run another input: `edit={"outline": Outline(...)}`, `edit={"input": "..."}`; the third item or
        iteration of a node is `"revise[2]"`. `edit={"state": {"plan": "..."}}` gives channels of the run's state
        another value, for all that runs after that place. Whatever depends on an output or input that was edited runs
        anew, and nothing else.

        In an agent's turn a call of a tool is given another result: `edit={"search": ...}`, the third call
        `"search[2]"`, that of an agent in a flow `"writer/search"`. The replies before it and the other calls of its
        reply are kept, the tool is not used again, and the model is asked anew from there. An agent that remembers
        goes on from where its turn had begun, on a branch of its own (`Memory`).

        Raises:
            DefinitionError: there is no such place or node, or the node has no output to edit.

        Example:
            >>> from quire import Step
            >>> @Step
            ... def double(n: int) -> int:
            ...     return 2 * n
            >>> @Step
            ... def plus_one(n: int) -> int:
            ...     return n + 1
            >>> run = (double >> plus_one).start(5)
            >>> run.wait()
            11
            >>> run.fork(edit={"double": 100}).wait()
            101
        """
        return self.runnable.fork(self, at=at, edit=edit, timeout=timeout, keys=keys, attended=attended)

    async def _wait(self) -> O:
        beat = _Heartbeat(asyncio.get_running_loop()) if bridge.in_kernel() else None
        try:
            await self._ended.wait()
        except asyncio.CancelledError as cancelled:
            # The cell that awaits, or the caller's own task, was stopped: so is the run.
            reason = str(cancelled.args[0]) if cancelled.args and cancelled.args[0] else None
            ending = asyncio.ensure_future(_wait_quietly(self.cancel(reason or "interrupted")))
            await asyncio.wait([ending], timeout=_PATIENCE)
            if reason is not None:
                raise
            message = f"the run of `{self.name}` was cancelled with what awaited it"
            raise asyncio.CancelledError(message) from None
        finally:
            if beat is not None:
                beat.stop()
        return self._ended.get(self.name)


async def _wait_quietly(ending: Awaitable[None]) -> None:
    await ending


class _Outcome(Generic[O]):
    """How a run ended; can be awaited on any loop, any number of times."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done = False
        self.error: BaseException | None = None
        self._loop = loop
        self._result: O | None = None
        self._traceback: TracebackType | None = None
        self._followers: list[Callable[[], object]] = []
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def then(self, do: Callable[[], object]) -> None:
        if self.done:
            do()
        else:
            self._followers.append(do)

    def set(self, result: O, error: BaseException | None) -> None:
        self._result, self.error = result, error
        self._traceback = error.__traceback__ if error is not None else None
        self.done = True
        for do in self._followers:
            self._loop.call_soon(do)
        for loop, future in self._waiters:
            if loop is self._loop:
                _release(future)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(_release, future)

    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiters.append((loop, future))
        # Looked at after the future is in the list: `set` may run in another thread.
        if self.done:
            return
        await future

    def get(self, name: str) -> O:
        if isinstance(self.error, asyncio.CancelledError):
            reason = str(self.error.args[0]) if self.error.args else "stopped"
            message = f"The run of `{name}` was cancelled: {reason}."
            raise RunCancelled(message, remedy="Start it again when you want it.") from None
        if self.error is not None:
            raise self.error.with_traceback(self._traceback)  # or each await would lengthen it
        return cast("O", self._result)


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Quiet(Awaitable[None]):
    """Waits for the end of a run, whatever the end."""

    def __init__(self, ended: _Outcome[Any]) -> None:
        self._ended = ended

    def __await__(self) -> Generator[Any, None, None]:
        if not self._ended.done:
            yield from self._ended.wait().__await__()


class _Heartbeat:
    """Wakes a loop up now and then."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer = loop.call_later(_HEARTBEAT, self._beat)

    def _beat(self) -> None:
        self._timer = self._loop.call_later(_HEARTBEAT, self._beat)

    def stop(self) -> None:
        self._timer.cancel()


def check_session(session: Any, *, needed: bool = False) -> None:
    """Raise `DefinitionError` for what is no name of a conversation; `None` is none, unless one is needed."""
    if session is None and not needed:
        return
    if not (isinstance(session, str) and session.strip()):
        message = f"session={session!r} is no name of a conversation."
        raise DefinitionError(message, remedy='Give any text that tells it from others: session="user-42".')


def begin(
    runnable: Work,
    value: Any,
    *,
    session: str | None = None,
    timeout: float | None = None,
    tags: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
    attended: bool | None = None,
    streaming: bool = False,
) -> Run[Any]:
    """Start a run: inside another run as a part of it, otherwise as one of its own."""
    check_timeout(timeout)
    check_session(session)
    outer = bridge.living_context()
    if outer is not None:
        place = outer.child(runnable.name, timeout, apart=True, keys=outer.keys.with_(keys), session=session)
        return Run(runnable, value, place, {})
    log = Log(runtime.new_run_id(), runtime.store())
    return carry_out(
        runnable,
        value,
        log,
        session=session,
        timeout=timeout,
        tags=tags,
        keys=keys,
        attended=attended,
        streaming=streaming,
    )


def carry_out(
    runnable: Work,
    value: Any,
    log: Log,
    *,
    session: str | None = None,
    timeout: float | None = None,
    tags: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
    key: str | None = None,
    attended: bool | None = None,
    streaming: bool = False,
) -> Run[Any]:
    """Start the run of a log of its own: from the beginning, or from where its past ends."""
    loop, outer = bridge.loop_for_runs(), bridge.living_context()
    root = None if log.recall is None else log.recall.root
    session = session if root is None else root.session
    limit = None if timeout is None else loop.time() + timeout
    context = Context(
        log=log,
        loop=loop,
        span=log.new_span() if root is None else root.span,
        parent=None,
        name=runnable.name,
        path=(runnable.name,),
        deadline=limit if outer is None or outer.deadline is None else nearer(limit, outer.deadline),
        streaming=streaming,
        parts=[],
        timed=True,
        keys=(NO_KEYS if outer is None else outer.keys).with_(keys),
        session=session,
        desk=Desk(log, loop, attended=attended),
    )
    details = {"graph": runnable.graph(), "tags": dict(tags or {}), "key": key, "process": here(), "session": session}
    return Run(runnable, value, context, details)
