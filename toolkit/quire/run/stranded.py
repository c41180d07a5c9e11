"""Runs that nobody is at work on, though their logs do not say how they ended: what to make of them when they are read.

A process that is killed tells nobody. Who reads its logs later can know that it is gone, if it was one of the same
machine; and then what it had begun is taken to have been cancelled, at the moment of the last event. That is a
judgement and no event: the log stays as it is, so that the run can be gone on with.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from quire.core.errors import CorruptLog
from quire.core.events import (
    Answered,
    Called,
    Cancelled,
    Event,
    Failed,
    Requested,
    Responded,
    Resumed,
    Returned,
    Started,
    Succeeded,
)
from quire.run import process

__all__ = ["broken_at", "ends"]

_GONE = "its process ended before it did; resume it"
_UNKEPT = "how it ended could not be kept; resume it"


def ends(past: Sequence[Event], alive: Container[str] = ()) -> list[Event]:
    """Return how what is open in a log has ended, if nobody can be at work on it; nothing if somebody may be.

    `alive` has the runs of this process. One of another machine may be alive for all that is known here.

    Example:
        >>> began = Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step")
        >>> ends([began])
        []
    """
    mark = process.worker(past)
    if mark is None or past[0].run in alive:
        return []
    if mark == process.here():
        return _closed(past, _UNKEPT)
    return _closed(past, _GONE) if process.is_alive(mark) is False else []


def broken_at(damage: CorruptLog) -> list[Event]:
    """Return how a run ended whose log can be read only up to a place: nobody can tell, and that is an error.

    Example:
        >>> began = Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step")
        >>> [event.kind for event in broken_at(CorruptLog("Line 2 of a log is not event 2.", readable=[began]))]
        ['failed']
    """
    past = damage.readable
    if not past or not _open(past).get(past[0].span):
        return []
    *inside, root = _closed(past, "what became of it cannot be read")
    whole = Failed(
        seq=root.seq,
        at=root.at,
        run=root.run,
        span=root.span,
        parent=root.parent,
        error_type=type(damage).__name__,
        error=damage.what,
        where=damage.where or "",
        remedy=damage.remedy,
    )
    return [*inside, whole]


def _closed(past: Sequence[Event], reason: str) -> list[Event]:
    """Return an end for everything that is open, the innermost first."""
    # An answer that somebody left for later is not the run's own doing.
    last = next(event for event in reversed(past) if not (isinstance(event, Answered) and event.ahead))
    return [
        Cancelled(seq=past[-1].seq, at=last.at, run=last.run, span=begun.span, parent=begun.parent, reason=reason)
        for begun in reversed(_open(past).values())
    ]


def _open(past: Sequence[Event]) -> dict[str, Event]:
    """Return what began each span that has not ended."""
    begun: dict[str, Event] = {}
    for event in past:
        if isinstance(event, Started | Called | Requested | Resumed):
            begun.setdefault(event.span, event)
        elif isinstance(event, Succeeded | Failed | Cancelled | Responded | Returned):
            begun.pop(event.span, None)
    return begun
