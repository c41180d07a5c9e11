"""Across runs: what has been run here, what it cost, and any run's record back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from quire.core.codec import decode
from quire.core.errors import CorruptLog, StoreError
from quire.core.events import Event
from quire.core.ports import Store
from quire.run import bridge, runtime
from quire.run.record import Record
from quire.run.run import running
from quire.run.stranded import broken_at
from quire.run.stranded import ends as stranded
from quire.views import tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["all_logs", "costs", "load", "runs"]

_AT_ONCE = 16
"""Logs that are read at the same time: a store on another machine answers each after a moment."""


def runs() -> pd.DataFrame:
    """Return one row a run, the newest first: those of earlier kernels too (they are kept in `QUIRE_HOME`).

    A run whose process is known to have ended before it did is `cancelled`; so is one of this process whose end
    could not be kept. Both can be resumed. One whose log is damaged is `failed`, with what is wrong with it.

    Example:
        >>> import quire
        >>> list(quire.runs().columns[:4])
        ['run', 'name', 'kind', 'status']
    """
    alive = {run.id: run.log.events for run in list(running.values())}
    return tables.runs([*alive.values(), *(log for name, log in _kept(_told).items() if name not in alive)])


def costs(by: str | Sequence[str] = "agent") -> pd.DataFrame:
    """Return what model calls consumed and cost, over all runs, grouped.

    `by` is one or several of run, agent, node, model, provider, session, tenant, day.

    Raises:
        DefinitionError: `by` names something else.

    Example:
        >>> import quire
        >>> "cost_usd" in quire.costs(by=["agent", "model"]).columns
        True
    """
    return tables.costs(all_logs(), by=by)


def load(run: str | Path, *, damaged: bool = False) -> Record:
    """Return a run's record, by its id or from a file that `run.export` wrote; all its views work.

    Of a `damaged` log there is what comes before the damage; to go on from there, fork it.

    Raises:
        StoreError: there is no such run or file.
        CorruptLog: something in the log is not an event.

    Example:
        >>> import quire
        >>> from quire import Step
        >>> @Step
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> run = double.start(4)
        >>> run.wait()
        8
        >>> quire.load(run.id).output
        8
    """
    path = Path(run)
    is_file = path.suffix == ".jsonl"
    alive = None if is_file else running.get(str(run))
    if alive is not None:
        return alive
    try:
        past, ends = _of_file(path) if is_file else bridge.aside(lambda: _judged(runtime.store(), f"runs/{run}"))
    except CorruptLog as error:
        if not (damaged and error.readable):
            raise _with_a_way(error, run) from None
        readable = error.readable
        return Record(readable[0].run, lambda: readable, ends=broken_at(error))
    if not past and not is_file:
        message = f"There is no run {str(run)!r} in {runtime.store()!r}."
        raise StoreError(message, remedy="quire.runs() lists the ids; QUIRE_HOME, or QUIRE_DATABASE_URL, says which.")
    return Record(past[0].run if past else path.stem, lambda: past, kept=not is_file, ends=ends)


def _with_a_way(error: CorruptLog, run: str | Path) -> CorruptLog:
    """Return the error with a way to what can be read."""
    way = f"quire.load({str(run)!r}, damaged=True) has what comes before it."
    remedy = way if error.remedy is None else f"{error.remedy}\n{way}"
    return CorruptLog(error.what, where=error.where, remedy=remedy, readable=error.readable)


def all_logs() -> list[Sequence[Event]]:
    """Return the log of every run there is, the newest first."""
    alive = {run.id: run.log.events for run in list(running.values())}
    return [*alive.values(), *(log for name, log in _kept(_readable).items() if name not in alive)]


_Reader: TypeAlias = Callable[[Store, str], Awaitable[Sequence[Event]]]


def _kept(read: _Reader) -> dict[str, Sequence[Event]]:
    """Return what the store has of every run, the newest first."""
    return bridge.aside(lambda: _all(read))


async def _all(read: _Reader) -> dict[str, Sequence[Event]]:
    store, free = runtime.store(), asyncio.Semaphore(_AT_ONCE)

    async def log(name: str) -> Sequence[Event]:
        async with free:
            return await read(store, name)

    names = await store.streams("runs/")
    logs = await asyncio.gather(*map(log, names))
    return {name.removeprefix("runs/"): log for name, log in reversed([*zip(names, logs, strict=True)])}


async def _readable(store: Store, name: str) -> Sequence[Event]:
    try:
        return await store.read(name)
    except CorruptLog as error:
        return error.readable  # one damaged log must not hide all the others


async def _told(store: Store, name: str) -> Sequence[Event]:
    """Return a log with an end that it may lack."""
    try:
        past, ends = await _judged(store, name)
    except CorruptLog as error:
        past, ends = error.readable, broken_at(error)
    return [*past, *ends] if ends else past


async def _judged(store: Store, name: str) -> tuple[list[Event], list[Event]]:
    """Return a log, and how it is taken to have ended if nobody is at work on it any more."""
    past = await store.read(name)
    if stranded(past, running):
        past = await store.read(name)  # perhaps the run has ended just now, and then its process
    return past, stranded(past, running)


def _of_file(path: Path) -> tuple[list[Event], list[Event]]:
    past = _read_file(path)
    return past, stranded(past, running)


def _read_file(path: Path) -> list[Event]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise StoreError(message, remedy="Give a file that run.export(...) wrote.") from None
    events: list[Event] = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(decode(line))
        except ValueError:
            message = f"Line {number} of {path} is not an event."
            remedy = "Everything before that line is readable; cut it off there."
            raise CorruptLog(message, where=f"{path}, line {number}", remedy=remedy, readable=events) from None
    return events
