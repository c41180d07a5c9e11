"""What was written to a run's state: which writes count, and in which order they are merged.

A write counts once its step has ended well, and as long as nobody has gone on without that step: not what a failed
attempt wrote before it was tried again, not what the losers of a race wrote. The order is that of the places in the
flow as it was written down, never that of the clock, so that a run gives the same state however its steps took turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from quire.core.events import (
    Cancelled,
    Event,
    Failed,
    Forked,
    Requested,
    Rescued,
    Resumed,
    Retried,
    Returned,
    Started,
    Succeeded,
    Wrote,
)

__all__ = ["Opening", "Writes"]

Opening: TypeAlias = tuple[str, str]
"""A span in which a state began, and the state's name."""


class Writes:
    """A fold of a run's log: all that was written, and what of it counts by now.

    Example:
        >>> events = [
        ...     Started(seq=1, at=0.0, run="r", span="1", parent=None, name="count", of="step"),
        ...     Wrote(seq=2, at=0.0, run="r", span="1", parent=None, state="Desk", channel="n", value=0, whole=True),
        ...     Wrote(seq=3, at=0.0, run="r", span="1", parent=None, state="Desk", channel="n", value=1, reducer="add"),
        ...     Succeeded(seq=4, at=0.0, run="r", span="1", parent=None),
        ... ]
        >>> [write.value for write in Writes(events).of(("1", "Desk"))]
        [0, 1]
        >>> [write.value for write in Writes(events[:3]).of(("1", "Desk"))]
        [0]
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.ends: dict[int, int] = {}
        """Where the step ended that made a write, by the place of the write: from there on the state has it."""
        self._parents: dict[str, str | None] = {}
        self._kinds: dict[str, str] = {}
        self._bases: dict[Opening, dict[str, Wrote]] = {}
        self._pending: dict[str, list[Wrote]] = {}
        self._kept: dict[str, list[Wrote]] = {}
        self._lost: set[str] = set()
        self._over: set[str] = set()
        self._winners: dict[str, str] = {}
        self._questions: dict[str, list[tuple[int, int]]] = {}
        """What each agent asked that stands: how many messages it had, and its place in the log."""
        self._rescues: dict[str, Rescued] = {}
        for event in events:
            self.apply(event)

    # What is asked of it

    @property
    def openings(self) -> list[Opening]:
        """Where states began, the run's own first."""
        return list(self._bases)

    def base(self, opening: Opening) -> dict[str, Wrote]:
        """Return what each channel held when the state began, or was given since by an edit."""
        return dict(self._bases.get(opening, {}))

    def of(self, opening: Opening) -> list[Wrote]:
        """Return the writes that a state is made of, in the order in which they are merged."""
        base = self.base(opening)
        return [*base.values(), *self._sorted(w for w in self._counting(opening[0]) if self._home(w) == opening)]

    def standing(self) -> frozenset[int]:
        """Return the places in the log of what was written by steps and tools that ended well."""
        return frozenset(write.seq for made in self._kept.values() for write in made)

    def under(self, span: str) -> list[Wrote]:
        """Return what a place and its parts wrote to states that began outside of it, in order."""
        return self._sorted(w for w in self._counting(span) if not self._is_inside(self._home(w), span))

    # The fold

    def apply(self, event: Event) -> None:
        """Take one more event into account."""
        self._parents.setdefault(event.span, event.parent)
        match event:
            case Wrote():
                self._write(event)
            case Started():
                self._kinds[event.span] = event.of
                self._reopen(event.span)
                self._stand_in(event)
            case Succeeded() | Returned():
                self._end(event)
            case Failed() | Cancelled():
                self._pending.pop(event.span, None)
                self._lost.add(event.span)
            case Resumed():
                self._reopen(event.span)
            case _:
                self._go_back(event)

    def _write(self, event: Wrote) -> None:
        if event.whole:
            self._bases.setdefault((event.span, event.state), {})[event.channel] = event
            self.ends[event.seq] = event.seq
        else:
            self._pending.setdefault(event.span, []).append(event)

    def _reopen(self, span: str) -> None:
        self._pending.pop(span, None)
        self._kept.pop(span, None)
        self._lost.discard(span)
        self._over.discard(span)

    def _end(self, event: Succeeded | Returned) -> None:
        span = event.span
        made = self._pending.pop(span, [])
        if isinstance(event, Returned) and event.error_type is not None:
            return
        above = self._parents[span]
        if above is not None and self._kinds.get(above) == "race":
            self._winners.setdefault(above, span)
        self._lost.discard(span)
        # What ends after the whole it is a part of comes too late to be read by anybody.
        if not any(outer in self._over for outer in self._above(span)):
            self._kept[span] = made
            self.ends.update((write.seq, event.seq) for write in made)
        if isinstance(event, Succeeded):
            self._over.add(span)

    def _go_back(self, event: Event) -> None:
        match event:
            case Retried() | Rescued() if self._kinds.get(event.span) != "agent":
                self._winners.pop(event.span, None)
                self._forget(event.span, lambda _: True)
            case Rescued():
                self._rescues[event.span] = event
            case Requested():
                self._ask(event)
            case Forked():  # whatever had ended may be gone into again
                self._over.clear()
            case _:
                pass

    def _stand_in(self, event: Started) -> None:
        """Forget what an agent did, if this takes its place and not only that of its model."""
        rescue = self._rescues.get(event.parent or "")
        if rescue is not None and rescue.by == event.name:
            self._forget(rescue.span, lambda write: write.seq < rescue.seq)

    def _ask(self, event: Requested) -> None:
        """Forget what an agent did since it asked what it asks again: it has gone back to there."""
        asked = self._questions.setdefault(event.parent or "", [])
        while asked and asked[-1][0] >= event.messages:
            since = asked.pop()[1]
            self._forget(event.parent or "", lambda write, since=since: write.seq > since)
        asked.append((event.messages, event.seq))

    def _forget(self, span: str, which: Callable[[Wrote], bool]) -> None:
        for inner, made in self._kept.items():
            if made and self._is_in(inner, span):
                self._kept[inner] = [write for write in made if not which(write)]

    # Who belongs to whom

    def _above(self, span: str) -> Iterator[str]:
        above = self._parents.get(span)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def _is_in(self, span: str, whole: str) -> bool:
        return span == whole or whole in self._above(span)

    def _is_inside(self, opening: Opening | None, span: str) -> bool:
        return opening is not None and self._is_in(opening[0], span)

    def _home(self, write: Wrote) -> Opening | None:
        """Return where the state began that a write belongs to: the innermost of its name around it."""
        places = (write.span, *self._above(write.span))
        return next(((span, write.state) for span in places if (span, write.state) in self._bases), None)

    def _counting(self, top: str) -> Iterator[Wrote]:
        for span, made in self._kept.items():
            if made and self._is_in(span, top) and self._stands(span, top):
                yield from (write for write in made if not self._is_replaced(write))

    def _stands(self, span: str, top: str) -> bool:
        """Whether nobody has gone on without a part of a whole."""
        while span != top:
            above = self._parents.get(span)
            if span in self._lost or above is None or self._winners.get(above, span) != span:
                return False
            span = above
        return True

    def _is_replaced(self, write: Wrote) -> bool:
        """Whether the channel was given another value by an edit since."""
        home = self._home(write)
        base = None if home is None else self._bases[home].get(write.channel)
        return base is not None and base.seq > write.seq

    def _sorted(self, writes: Iterable[Wrote]) -> list[Wrote]:
        return sorted(writes, key=lambda write: (write.place, write.seq))
