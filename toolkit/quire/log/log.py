"""One run's log: the only truth about the run while it goes on and after.

Lasting events go to the followers, to `events`, and in batches to the store; ephemeral ones only to
the followers. Writing to the store never holds a run up, except where it must: `flush` returns when
everything so far is kept, and is awaited before an effect and at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from quire.core.codec import encode
from quire.core.errors import StreamConflict
from quire.core.events import Event
from quire.core.ports import Store
from quire.log.recall import Mark, Recall

__all__ = ["Log", "within"]

_WRITE_EVERY = 0.02
"""Seconds that events may wait for company before they are written; a crash loses at most these."""


def within(span: str) -> Callable[[Event], bool]:
    """Return a test for the events of a span and of everything below it; show it the log in order."""
    spans = {span}

    def is_within(event: Event) -> bool:
        found = event.span in spans or event.parent in spans
        if found:
            spans.add(event.span)
        return found

    return is_within


def _begins(events: Sequence[Event], there: Sequence[Event]) -> bool:
    """Whether the events begin with what a store has there."""
    pairs = zip(there, events, strict=False)
    return len(there) <= len(events) and all(kept is own or encode(kept) == encode(own) for kept, own in pairs)


class Log:
    """An append-only list of one run's events.

    It belongs to one event loop: `emit` is called there and nowhere else. With a `past` it goes on after
    those events, of which the store has the first `kept`.

    Example:
        >>> from quire.core.events import Started
        >>> log = Log("r1")
        >>> log.emit(Started, log.new_span(), None, name="greet", of="step").seq
        1
    """

    def __init__(
        self, run: str, store: Store | None = None, past: Sequence[Event] = (), kept: int | None = None
    ) -> None:
        self.run = run
        self.events: list[Event] = list(past)
        """What lasts, in order: `events[n].seq == n + 1`."""
        self.recall = Recall(past) if past else None
        """What the past says; `None` in a log that began here."""
        self.closed = False
        self.lost: Callable[[], object] | None = None
        """Called when another writer has gone on with the log, so that nothing more can be added."""
        self._store = store
        self._spans = itertools.count(1 if self.recall is None else self.recall.last + 1)
        self._followers: list[Callable[[Event], None]] = []
        self._wakers: list[Callable[[], object]] = []
        self._writing: dict[str, list[Event]] = {}
        self._kept = len(past) if kept is None else kept
        self._unsure = False
        self._written = time.perf_counter()
        self._timer: asyncio.TimerHandle | None = None
        self._pump: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        # Wall-clock time may jump; within a run moments come from the monotonic clock.
        self._epoch = max(time.time(), past[-1].at if past else 0.0) - self._written

    @property
    def stream(self) -> str:
        """The name the store knows it by."""
        return f"runs/{self.run}"

    @property
    def followed(self) -> bool:
        """Whether anybody is watching."""
        return bool(self._followers)

    def new_span(self) -> str:
        """Return an id no other span of this log has."""
        return str(next(self._spans))

    def span_for(self, parent: str | None, name: str, mark: Mark = None) -> str:
        """Return the span of a place: the one it had in the past, or a new one."""
        known = None if self.recall is None else self.recall.span(parent, name, mark)
        return self.new_span() if known is None else known

    def emit(self, kind: type[Event], span: str, parent: str | None, /, **fields: Any) -> Event:
        """Append an event that happens now, and return it."""
        at = self._epoch + time.perf_counter()
        lasting = not kind.ephemeral
        seq = len(self.events) + lasting
        event = kind(seq=seq, at=at, run=self.run, span=span, parent=parent, **fields)
        if lasting:
            self.events.append(event)
            if self._writing:
                self._writing.pop(span, None)
            if self._store is not None and self._timer is None:
                # After a pause at once: what took long to do is worth keeping soon.
                wait = self._written + _WRITE_EVERY - time.perf_counter()
                self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0), self._start_pump)
        else:
            self._writing.setdefault(span, []).append(event)
        for follower in self._followers:
            follower(event)
        return event

    def past(self) -> list[Event]:
        """Return everything so far, the pieces of replies that are still being written included."""
        return [*self.events, *(piece for pieces in self._writing.values() for piece in pieces)]

    def subscribe(self, follower: Callable[[Event], None]) -> Callable[[], None]:
        """Call `follower` with every event from now on; return the function that ends it."""
        # A new list, because emit may be going through the old one.
        self._followers = [*self._followers, follower]
        return lambda: self._unsubscribe(follower)

    def _unsubscribe(self, follower: Callable[[Event], None]) -> None:
        self._followers = [other for other in self._followers if other is not follower]

    async def follow(self) -> AsyncGenerator[Event]:
        """Yield everything so far and then everything that comes, until the log is closed."""
        queue, news = deque(self.past()), asyncio.Event()

        def notice(event: Event) -> None:
            queue.append(event)
            news.set()

        leave = self.subscribe(notice)
        self._wakers.append(news.set)
        try:
            while True:
                while queue:
                    yield queue.popleft()
                if self.closed:
                    return
                news.clear()
                await news.wait()
        finally:
            leave()
            self._wakers.remove(news.set)

    def close(self) -> None:
        """Declare that nothing will follow."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for wake in self._wakers:
            wake()

    async def flush(self) -> None:
        """Return when every lasting event so far is kept; raise the store's error if it cannot be."""
        if self._store is None or self._kept == len(self.events):
            return
        async with self._lock:
            while self._kept < len(self.events):
                await self._keep(self._store, self.events[self._kept :])

    async def _keep(self, store: Store, batch: list[Event]) -> None:
        try:
            await store.append(self.stream, batch, self._kept)
        except StreamConflict:
            # Perhaps with oneself: the last time somebody stopped waiting, or the answer was lost.
            there = await store.read(self.stream, self._kept) if self._unsure else []
            if not there or not _begins(batch, there):
                raise
            self._kept += len(there)
        except BaseException:
            self._unsure = True
            raise
        else:
            self._kept += len(batch)
        self._unsure = False

    def _start_pump(self) -> None:
        self._pump = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        self._written = time.perf_counter()
        try:
            await self.flush()
        except StreamConflict:
            if self.lost is not None:
                self.lost()
        except Exception:  # noqa: BLE001, S110 - whoever awaits the run gets it from the last flush
            pass
        self._timer = None
