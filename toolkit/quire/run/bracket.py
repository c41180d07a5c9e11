"""The one bracket around everything that runs.

Only here is it decided that something started, succeeded, failed, was cancelled or was skipped, and
only here are types checked on the way in and out and deadlines kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol

from pydantic import ValidationError

from quire.core import errors
from quire.core.events import Cancelled, Failed, Skipped, Started, Succeeded
from quire.core.schema import checked, complaint, plain, survives, type_name
from quire.run.again import claim, earlier, go_on
from quire.run.context import CURRENT, Context, enter, why
from quire.run.trace import users_traceback
from quire.views.shapes import Graph

__all__ = [
    "Work",
    "bracket",
    "never_began",
    "promised",
    "record_failure",
    "refuse",
    "skip",
    "stop",
    "submitted",
    "until",
]


class Work(Protocol):
    """What has to be known of a runnable to run it."""

    kind: str
    """What it is, in one word."""
    composite: bool
    """Whether it has parts of its own in the drawing."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def input(self) -> Any:
        """The type it takes."""
        ...

    @property
    def output(self) -> Any:
        """The type it gives."""
        ...

    @property
    def input_name(self) -> str:
        """The type it takes, as a reader writes it."""
        ...

    @property
    def output_name(self) -> str:
        """The type it gives, as a reader writes it."""
        ...

    def accept(self, value: Any) -> Any:
        """Return the value as the input type; raise pydantic's `ValidationError` if it cannot be."""
        ...

    async def _run(self, input: Any, ctx: Context) -> Any: ...

    def graph(self) -> Graph:
        """Return its drawing as data."""
        ...

    def fork(
        self,
        run: Any,
        *,
        at: int | None = None,
        edit: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        keys: Mapping[str, str] | None = None,
        attended: bool | None = None,
    ) -> Any:
        """Start a run with what another has done."""
        ...


async def bracket(runnable: Work, value: Any, context: Context, **details: Any) -> Any:
    """Run it with that input in that context, and record how it went.

    `details` are further fields of the `Started` event: the root of a run adds its graph and tags.
    Raises whatever the runnable raises; an error gets a note of where in the run it happened. What has ended
    well before, in a run that goes on, is not run again.
    """
    log, span, parent = context.log, context.span, context.parent
    if context.state is not None:
        enter(context)
    if log.recall is None or not log.recall.began(span):
        _started(runnable, value, context, details)
        if parent is None and details.get("key") is not None:
            await _unless_stopped(claim(log), context)  # another process may have the same key at the same moment
    else:
        known, result = earlier(runnable, context)
        if known:
            if context.state is not None:
                context.state.adopt(log.recall.writes.under(span))
            return result
        await _unless_stopped(go_on(context), context)
    token = CURRENT.set(context)
    try:
        gate = errors.SubmitError if parent is None else errors.DispatchError
        accepted = _accepted(runnable, value, context.name, gate)
        work = runnable._run(accepted, context)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - the contract's own seam
        try:
            result = await (work if context.deadline is None else until(context, work))
        finally:
            context.desk.leave(span)
        result = promised(runnable, result)
    except asyncio.CancelledError as cancelled:
        log.emit(Cancelled, span, parent, reason=why(cancelled, context))
        raise
    except BaseException as error:
        record_failure(error, context)
        raise
    finally:
        CURRENT.reset(token)
        if context.state is not None:
            context.state.over = True
    output = plain(result)
    if context.state is not None:
        context.state.keep(log, parent)
    log.emit(Succeeded, span, parent, output=output, lossy=not survives(runnable.output, result, output))
    return result


async def _unless_stopped(beginning: Coroutine[Any, Any, None], context: Context) -> None:
    """Await what comes before the work, and record it if the run is stopped over that."""
    try:
        await beginning
    except asyncio.CancelledError as cancelled:
        context.log.emit(Cancelled, context.span, context.parent, reason=why(cancelled, context))
        raise


def refuse(runnable: Work, value: Any, context: Context, reason: str, **details: Any) -> None:
    """Record that something was stopped before it could begin."""
    recall = context.log.recall
    if recall is None or not recall.began(context.span):
        _started(runnable, value, context, details)
    elif recall.result(context.span) is not None:
        return  # it has ended long ago
    context.log.emit(Cancelled, context.span, context.parent, reason=reason)


def never_began(runnable: Work, error: BaseException, context: Context) -> BaseException:
    """Record that something failed before it could begin, and return the error."""
    if context.log.recall is None or not context.log.recall.began(context.span):
        _started(runnable, None, context, {})
    record_failure(error, context)
    return error


def skip(name: str, kind: str, reason: str, context: Context) -> None:
    """Record that a part of a flow in this context will not run, and why."""
    log = context.log
    span = log.new_span() if log.recall is None else log.span_for(context.span, name)
    if log.recall is None or not log.recall.skipped(span):
        log.emit(Skipped, span, context.span, name=name, of=kind, reason=reason)


def stop(context: Context, reason: str) -> None:
    """Record that what was at work in this context when the run broke off is not needed any more."""
    recall = context.log.recall
    if recall is not None and recall.is_open(context.span):
        context.log.emit(Cancelled, context.span, context.parent, reason=reason)


def _started(runnable: Work, value: Any, context: Context, details: dict[str, Any]) -> None:
    context.log.emit(
        Started,
        context.span,
        context.parent,
        name=context.name,
        of=runnable.kind,
        input=plain(value),
        input_type=runnable.input_name,
        output_type=runnable.output_name,
        item=context.item,
        **details,
    )


def submitted(runnable: Work, value: Any) -> Any:
    """Return the value as the input of a whole run; raise `SubmitError` if it is not one."""
    return _accepted(runnable, value, runnable.name, errors.SubmitError)


def _accepted(runnable: Work, value: Any, name: str, gate: type[errors.InputValidationError]) -> Any:
    try:
        return runnable.accept(value)
    except ValidationError as error:
        what = f"`{name}` takes {runnable.input_name}, not {_told(value)}."
        raise gate(what, remedy=complaint(error)) from None


def promised(runnable: Work, value: Any) -> Any:
    """Return the value as the output type; raise `OutputValidationError`, or `CompletionError` for a whole flow."""
    try:
        return checked(runnable.output, value)
    except ValidationError as error:
        what = f"`{runnable.name}` promises {runnable.output_name}, but gave {_told(value)}."
        gate = errors.CompletionError if runnable.composite else errors.OutputValidationError
        raise gate(what, remedy=complaint(error)) from None


def _told(value: Any) -> str:
    text = repr(value)
    return f"{type_name(type(value))} {text if len(text) <= 80 else text[:77] + '...'}"  # noqa: PLR2004


async def until(context: Context, work: Any) -> Any:
    """Await the work, at most until the context's deadline; raise `DeadlineExceeded` then."""
    if context.deadline is None or not context.timed:
        return await work
    timer = asyncio.timeout_at(context.deadline)
    try:
        async with timer:
            return await work
    except TimeoutError:
        if not timer.expired():
            raise
        what = f"`{context.name}` was not finished when its time was up."
        raise errors.DeadlineExceeded(what, remedy="Give it more with timeout=, in seconds.") from None


def record_failure(error: BaseException, context: Context, **consumed: Any) -> None:
    """Record that what runs in this context ended with that error."""
    context.keys.hide_in(error)  # whoever repeats what a server said may repeat a key
    origin, where = _origin(error, context)
    ours = isinstance(error, errors.QuireError)
    context.log.emit(
        Failed,
        context.span,
        context.parent,
        error_type=type(error).__name__,
        error=error.what if ours else str(error),
        where=where,
        remedy=error.remedy if ours else None,
        traceback=users_traceback(error) if origin is None else None,
        origin=origin,
        replayed=isinstance(error, errors.ProviderError) and error.replayed,
        **consumed,
    )


def _origin(error: BaseException, context: Context) -> tuple[str | None, str]:
    """Return the span and the path where an error arose; the span is `None` if that is here.

    It is remembered on the error, because the brackets further out see the same error pass by. In another
    run the same object is a new error.
    """
    run, span, where = getattr(error, "_quire_origin", ("", None, ""))
    if run == context.run:
        return span, where
    with suppress(AttributeError):  # a frozen dataclass that is an error takes no notes
        error._quire_origin = (context.run, context.span, context.where)  # type: ignore[attr-defined]  # noqa: SLF001
        if not isinstance(error, errors.QuireError):
            error.add_note(f"in {context.where} (run {context.run})")
        elif error.where is None:
            error.where = context.where
    return None, context.where
