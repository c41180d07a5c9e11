"""Any past moment of a run: when its events were, and what was to be seen then."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, TypedDict

from quire.core.events import Event, Failed, Forked
from quire.views.live import RunFold

__all__ = ["Moments", "Ticks"]

_MARKS: dict[str, Literal["waiting", "failed"]] = {"asked": "waiting", "failed": "failed", "retried": "failed"}
"""Events that a reader looks for, by kind."""


class Ticks(TypedDict):
    """When events happened: all of them, or those since the last time."""

    times: list[int]
    """Milliseconds since the event before; for the first one since itself, 0."""
    marks: list[tuple[int, str]]
    """Places in the log, from 1, at which somebody was asked or something failed."""


class Moments:
    """The past of one run that a page shows, and how the run was at the places in it that the page asks for."""

    def __init__(self, past: Sequence[Event]) -> None:
        self._past = past
        """The log itself: it grows while the run goes on."""
        self._told = len(past)
        self._fold = RunFold()
        self._seq = 0

    def ticks(self) -> Ticks:
        """Return when the events happened that have been told of; `news` goes on from there."""
        return self._between(0, self._told)

    def news(self) -> Ticks | None:
        """Return when those events happened that have come since the last time; `None` if there are none."""
        told, self._told = self._told, len(self._past)
        return None if told == self._told else self._between(told, self._told)

    def _between(self, start: int, stop: int) -> Ticks:
        past = self._past[:stop]
        steps = [_step(past[0].at, before, event) for before, event in pairwise(past[max(start - 1, 0) :])]
        marks = [(event.seq, _MARKS[event.kind]) for event in past[start:] if _is_marked(event)]
        return Ticks(times=steps if start or not past else [0, *steps], marks=marks)

    def at(self, seq: int) -> dict[str, Any]:
        """Return what the run's views showed after its first `seq` events; the graph is always the same."""
        if seq < self._seq:
            self._fold, self._seq = RunFold(), 0
        for event in self._past[self._seq : seq]:
            self._fold.apply(event)
        self._seq = seq
        snapshot = self._fold.snapshot()
        return {"head": snapshot["head"], "nodes": snapshot["nodes"], "messages": snapshot["messages"]}

    def up_to(self, seq: int) -> Sequence[Event]:
        """Return the first `seq` events."""
        return self._past[:seq]


def _step(begun: float, before: Event, event: Event) -> int:
    if isinstance(before, Forked):  # what was taken over may be days old
        return 0
    # Whole milliseconds are counted from the first event, so that rounding does not add up.
    return round((event.at - begun) * 1000) - round((before.at - begun) * 1000)


def _is_marked(event: Event) -> bool:
    # What failed because something inside it did is no news.
    return event.kind in _MARKS and not (isinstance(event, Failed) and event.origin is not None)
