"""Across runs: what has been run here, what it cost, and any run's record back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from quire.core.codec import decode
from quire.core.errors import CorruptLog, StoreError
from quire.core.events import Event
from quire.core.ports import Store
from quire.run import bridge, runtime
from quire.run.record import Record
from quire.run.run import running
from quire.views import tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["all_logs", "costs", "load", "runs"]

_AT_ONCE = 16
"""Logs that are read at the same time: a store on another machine answers each after a moment."""


def runs() -> pd.DataFrame:
    """Return one row a run, the newest first: those of earlier kernels too (they are kept in `QUIRE_HOME`).

    Example:
        >>> import quire
        >>> list(quire.runs().columns[:4])
        ['run', 'name', 'kind', 'status']
    """
    return tables.runs(all_logs())


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


def load(run: str | Path) -> Record:
    """Return a run's record, by its id or from a file that `run.export` wrote; all its views work.

    Raises:
        StoreError: there is no such run or file.
        CorruptLog: a line of the file is not an event.

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
    if path.suffix == ".jsonl":
        events = _read_file(path)
        return Record(events[0].run if events else path.stem, lambda: events)
    alive = running.get(str(run))
    if alive is not None:
        return alive
    kept = bridge.aside(lambda: runtime.store().read(f"runs/{run}"))
    if not kept:
        message = f"There is no run {str(run)!r} in {runtime.store()!r}."
        raise StoreError(message, remedy="quire.runs() lists the ids; QUIRE_HOME, or QUIRE_DATABASE_URL, says which.")
    return Record(str(run), lambda: kept)


def all_logs() -> list[Sequence[Event]]:
    """Return the log of every run there is, the newest first."""
    alive = {run.id: run.log.events for run in list(running.values())}
    kept = bridge.aside(_kept_logs)
    return [*alive.values(), *(log for name, log in reversed(kept.items()) if name not in alive)]


async def _kept_logs() -> dict[str, list[Event]]:
    store, free = runtime.store(), asyncio.Semaphore(_AT_ONCE)

    async def log(name: str) -> list[Event]:
        async with free:
            return await _readable(store, name)

    names = await store.streams("runs/")
    logs = await asyncio.gather(*map(log, names))
    return {name.removeprefix("runs/"): log for name, log in zip(names, logs, strict=True)}


async def _readable(store: Store, name: str) -> list[Event]:
    try:
        return await store.read(name)
    except CorruptLog as error:
        return error.readable  # one damaged log must not hide all the others


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
            raise CorruptLog(message, remedy="Everything before that line is readable; cut it off there.") from None
    return events
