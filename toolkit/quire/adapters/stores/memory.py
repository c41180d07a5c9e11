"""Logs that live as long as the process; also the rules that every store keeps, in their plainest form."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from typing import Self

from quire.core.errors import DefinitionError, StoreError, StreamConflict
from quire.core.events import Event

__all__ = ["MemoryStore", "check_name", "check_numbers", "conflict", "is_name"]

_SEGMENT = re.compile(r"[\w.-]+")


class MemoryStore:
    """Keeps streams in a dictionary; any thread may use it, and nothing in it waits.

    Example:
        >>> import asyncio
        >>> from quire.core.events import Cancelled
        >>> store = MemoryStore()
        >>> stop = Cancelled(seq=1, at=0.0, run="1m8k", span="1", parent=None, reason="enough")
        >>> asyncio.run(store.append("runs/1m8k", [stop], expected=0))
        >>> asyncio.run(store.read("runs/1m8k")) == [stop]
        True
    """

    def __init__(self) -> None:
        self._streams: dict[str, list[Event]] = {}
        self._one_writer = threading.Lock()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return a new store; its address says no more than `memory://`."""
        if url != "memory://":
            raise DefinitionError("This address says more than memory has to know.", remedy="It is written memory://.")
        return cls()

    def __repr__(self) -> str:
        return "MemoryStore()"

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        """Add events at the end; raise `StreamConflict` if the stream is not `expected` events long."""
        check_name(stream)
        check_numbers(stream, events, expected)
        with self._one_writer:
            there = self._streams.get(stream, [])
            if len(there) != expected:
                raise conflict(stream, "memory", there=len(there), expected=expected)
            if events:
                self._streams.setdefault(stream, there).extend(events)

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the events whose `seq` is greater than `after`, in order; none for an unknown stream."""
        check_name(stream)
        return self._streams.get(stream, [])[max(after, 0) :]

    async def streams(self, prefix: str = "") -> list[str]:
        """Return the names that begin with `prefix`, oldest first."""
        return [stream for stream in list(self._streams) if stream.startswith(prefix)]

    async def delete(self, stream: str) -> None:
        """Forget a stream; an unknown one is no error."""
        check_name(stream)
        with self._one_writer:
            self._streams.pop(stream, None)


def check_name(stream: str) -> None:
    """Raise `StoreError` unless every store can keep a stream of this name.

    Example:
        >>> check_name("runs/1m8k")
        >>> check_name("../etc")
        Traceback (most recent call last):
        ...
        quire.core.errors.StoreError: '../etc' is not a name for a stream.
          Use letters, digits, ".", "-" and "_", in segments joined by "/", such as runs/1m8k.
          No segment is ".." or "." or ends in ".jsonl"; letters with marks are composed (NFC).
    """
    if not is_name(stream):
        raise StoreError(
            f"{stream!r} is not a name for a stream.",
            remedy='Use letters, digits, ".", "-" and "_", in segments joined by "/", such as runs/1m8k.\n'
            'No segment is ".." or "." or ends in ".jsonl"; letters with marks are composed (NFC).',
        )


def is_name(stream: str) -> bool:
    """Return whether every store can keep a stream of this name."""
    # A folder x.jsonl could stand in the way of the file of stream x; and a name that can be spelled in two ways
    # would be one stream here and two there.
    return unicodedata.is_normalized("NFC", stream) and all(
        _SEGMENT.fullmatch(part) and part not in {".", ".."} and not part.endswith(".jsonl")
        for part in stream.split("/")
    )


def check_numbers(stream: str, events: Sequence[Event], expected: int) -> None:
    """Raise `StoreError` unless the events are numbered on from `expected`."""
    for place, event in enumerate(events, expected + 1):
        if event.seq != place:
            raise StoreError(
                f"Event {event.seq} cannot be number {place} of a stream.",
                where=f"{stream}, {event.kind} of run {event.run}",
                remedy=f"Number the events from {expected + 1}, without gaps; ephemeral ones are not kept.",
            )


def conflict(stream: str, place: str, *, there: int, expected: int) -> StreamConflict:
    """Return the error for a writer that is not up to date."""
    return StreamConflict(
        f"The stream has {there} events, its writer counts on {expected}: another one was here.",
        where=f"{stream} in {place}",
        remedy="Let one run write a stream; to go on from where it is, read it first.",
    )
