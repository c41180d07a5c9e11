"""Going on with a run: after a crash, under a key that several may start, or from the middle of another run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, TypedDict, Unpack

from pydantic import ValidationError

from quire.core.errors import DefinitionError, QuireError, StoreError, StreamConflict, SubmitError
from quire.core.events import Event, Started, Succeeded
from quire.core.schema import plain, read_back
from quire.log.log import Log
from quire.run import bridge, process, runtime
from quire.run.bracket import Work, submitted
from quire.run.context import check_timeout
from quire.run.fork import forked
from quire.run.history import load
from quire.run.record import Record
from quire.run.run import Run, begin, carry_out, check_session, running

__all__ = ["How", "fork", "resume", "start"]


class How(TypedDict, total=False):
    """How a run is started."""

    session: str | None
    timeout: float | None
    tags: Mapping[str, str] | None
    keys: Mapping[str, str] | None
    attended: bool | None
    streaming: bool


def start(
    runnable: Work,
    value: Any,
    *,
    key: str | None = None,
    **how: Unpack[How],
) -> Run[Any]:
    """Start a run; with a key, go on with the run that has it, or return that one if it has ended well."""
    if key is None:
        return begin(runnable, value, **how)
    check_timeout(how.get("timeout"))
    check_session(how.get("session"))
    if not isinstance(key, str) or not key:  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"key={key!r} names no run."
        raise DefinitionError(message, remedy='Give a text that is the same for the same work: key="invoice-42"')
    value = submitted(runnable, value)
    run = _run_with(runnable, value, key)
    alive = running.get(run)
    if alive is not None:
        return alive
    past = _past(run)
    process.check_free(run, past)
    log = Log(run, runtime.store(), past)
    return carry_out(runnable, value, log, key=key, **how)


def resume(
    runnable: Work,
    run: str,
    *,
    timeout: float | None = None,
    keys: Mapping[str, str] | None = None,
    attended: bool | None = None,
) -> Run[Any]:
    """Go on with a run that has broken off, failed or been stopped; one that has ended well gives its result."""
    check_timeout(timeout)
    if run in running:
        message = f"Run {run} of `{running[run].name}` has not broken off: it is running here."
        raise QuireError(message, remedy=f"Await it: await quire.load({run!r})")
    past = _past(run)
    if not past:
        message = f"There is no run {run!r} in {runtime.home()}."
        raise StoreError(message, remedy="quire.runs() lists the ids; QUIRE_HOME says where they are kept.")
    process.check_free(run, past)
    value = _input_of(runnable, run, past)
    log = Log(run, runtime.store(), past)
    return carry_out(runnable, value, log, timeout=timeout, keys=keys, attended=attended, streaming=True)


def fork(
    runnable: Work,
    source: str | Record,
    *,
    at: int | None = None,
    edit: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    keys: Mapping[str, str] | None = None,
    attended: bool | None = None,
) -> Run[Any]:
    """Start a run with what another has done so far, or had done at some place in its log."""
    check_timeout(timeout)
    record = source if isinstance(source, Record) else load(source)
    run = runtime.new_run_id()
    edit = dict(edit or {})
    if "input" in edit:
        edit["input"] = submitted(runnable, edit["input"])
    past = forked(record, run, at=at, edit=edit, graph=runnable.graph())
    value = edit["input"] if "input" in edit else _input_of(runnable, record.id, past)
    log = Log(run, runtime.store(), past, kept=0)
    return carry_out(runnable, value, log, timeout=timeout, keys=keys, attended=attended, streaming=True)


def _past(run: str) -> list[Event]:
    return bridge.aside(lambda: runtime.store().read(f"runs/{run}"))


def _run_with(runnable: Work, value: Any, key: str) -> str:
    """Return the id of the run that has a key, which is new if no run had it."""
    digest = sha256(f"{runnable.name}\n{key}".encode()).hexdigest()
    mine = Started(
        seq=1,
        at=time.time(),
        run=runtime.new_run_id(),
        span="1",
        parent=None,
        name=runnable.name,
        of=runnable.kind,
        input=plain(value),
        key=key,
    )
    kept = bridge.aside(lambda: _holder(f"keys/{digest}", mine))
    if kept.input != mine.input:
        message = f"The run of `{runnable.name}` with key {key!r} was started with another input."
        raise SubmitError(message, remedy=f"Give other work another key; quire.load({kept.run!r}) is that run.")
    return kept.run


async def _holder(stream: str, mine: Started) -> Started:
    store = runtime.store()
    kept = await store.read(stream)
    if not kept:
        with suppress(StreamConflict):  # somebody else came at the same moment
            await store.append(stream, [mine], 0)
            return mine
        kept = await store.read(stream)
    return next(event for event in kept if isinstance(event, Started))


def _input_of(runnable: Work, run: str, past: list[Event]) -> Any:
    """Return what a run was started with."""
    root = next((event for event in past if isinstance(event, Started)), None)
    if root is None or (root.name, root.of) != (runnable.name, runnable.kind):
        what = f"the {root.of} `{root.name}`" if root else "something else"
        message = f"Run {run} is one of {what}, and not of the {runnable.kind} `{runnable.name}`."
        raise QuireError(message, remedy="Resume it with what it was started with, defined again under the same name.")
    for read in (lambda: read_back(runnable.input, root.input), lambda: runnable.accept(root.input)):
        with suppress(ValidationError):
            return read()
    if any(isinstance(event, Succeeded) and event.span == root.span for event in past):
        return None  # it is not needed any more, unless the result cannot be read back either
    message = f"What run {run} was started with cannot be read back as {runnable.input_name}."
    raise QuireError(message, remedy='Start runs that shall be resumed with a key: start(input, key="invoice-42")')
