"""Lines back into events; a line that is none is told with everything that comes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from quire.core.codec import decode
from quire.core.errors import CorruptLog
from quire.core.events import Event

__all__ = ["Telling", "corrupt", "events_of"]

Telling: TypeAlias = Callable[[int, list[Event], ValueError], CorruptLog]
"""Makes the error, of the number of an event that cannot be read, those before it, and why it cannot."""


def events_of(lines: Iterable[bytes], after: int, telling: Telling) -> list[Event]:
    """Return the events that lines hold, numbered on from `after`; raise what `telling` makes at the first that is not.

    Example:
        >>> line = b'{"kind":"cancelled","seq":5,"at":1.5,"run":"r","span":"1","parent":null,"reason":"stop"}'
        >>> [event.seq for event in events_of([line], 4, corrupt("runs/r", "memory"))]
        [5]
    """
    events: list[Event] = []
    try:
        for number, line in enumerate(lines, after + 1):
            events.append(_numbered(line, number))
    except ValueError as error:
        raise telling(after + len(events) + 1, events, error) from error
    return events


def _numbered(line: bytes, number: int) -> Event:
    event = decode(line)
    if event.seq != number:
        raise ValueError(f"it holds event {event.seq}")
    return event


def corrupt(stream: str, place: str) -> Telling:
    """Return what tells of an unreadable event where nobody but a program can look."""

    def tell(number: int, events: list[Event], error: ValueError) -> CorruptLog:
        return CorruptLog(
            f"What is kept as event {number} of a log is not that event: {error}.",
            where=f"{stream} in {place}",
            remedy="What comes before it is in this error's `readable`.",
            readable=events,
        )

    return tell
