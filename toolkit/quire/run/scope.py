"""The state as one place in a run sees it, and what that place writes.

A place sees what had been written before it began, and what it has written itself. What it writes is seen by those
that come after it once it has ended well, and is recorded then: so a step that fails has written nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from weakref import WeakValueDictionary

from quire.core.errors import QuireError, StateConflict
from quire.core.events import Event, Wrote
from quire.log.writes import Writes

if TYPE_CHECKING:
    from quire.log.log import Log

__all__ = [
    "DECLARED",
    "LAST",
    "Declared",
    "Delta",
    "Scope",
    "Seen",
    "Sides",
    "Write",
    "at_once",
    "declared",
    "sole",
    "state_of",
]

LAST = "last"
"""The word of a channel without a reducer: the last write wins, and two at once are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Something that was written, before it is in the log."""

    state: str
    channel: str
    value: Any
    reducer: str = LAST
    whole: bool = False
    place: tuple[int, ...] = ()


Delta: TypeAlias = Write | Wrote
Merge: TypeAlias = Callable[[Mapping[str, Any], Iterable[Delta]], dict[str, Any]]


class Declared(Protocol):
    """A class of states."""

    @classmethod
    def merged(cls, values: Mapping[str, Any], writes: Iterable[Delta]) -> dict[str, Any]:
        """Return the channels' values after some writes."""
        ...

    @classmethod
    def showing(cls, values: Mapping[str, Any]) -> Any:
        """Return a state with those values."""
        ...

    @classmethod
    def edited(cls, values: Any) -> list[Write]:
        """Return what gives channels these values, whatever they held."""
        ...

    @classmethod
    def replaces(cls, channel: str) -> bool:
        """Whether what is written to a channel takes the place of what it held."""
        ...


DECLARED: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""The classes of states by name: the latest of that name."""


def declared(name: str, run: str) -> type[Declared]:
    """Return the class of a state; raise `QuireError` if it is not defined in this process."""
    found: type[Declared] | None = DECLARED.get(name)
    if found is None:
        message = f"The state of run {run} is a {name}, which is not defined here."
        raise QuireError(message, remedy="Run the cell that defines it; run.states has what was written, as JSON.")
    return found


def state_of(events: Sequence[Event]) -> Any:
    """Return the state that a log tells of; `None` if it has none."""
    if not any(isinstance(event, Wrote) for event in events):
        return None
    writes = Writes(events)
    opening = next(iter(writes.openings), None)
    if opening is None:
        return None
    kind = declared(opening[1], events[0].run)
    return kind.showing(kind.merged({}, writes.of(opening)))


class Seen:
    """All that has been written as far as somebody can see; never changes."""

    __slots__ = ("before", "known", "writes")

    def __init__(self, before: Seen | None, writes: Sequence[Delta]) -> None:
        self.before = before
        self.writes = writes
        self.known: dict[str, dict[str, Any]] = {}

    def and_then(self, writes: Sequence[Delta]) -> Seen:
        """Return this and more."""
        return Seen(self, writes) if writes else self

    def values(self, state: str, merge: Merge) -> Mapping[str, Any]:
        """Return a state's channels; what was found once is not merged again."""
        links: list[Seen] = []
        base: Seen | None = self
        values: dict[str, Any] | None = None
        # Steps that are plain functions look from threads of their own: what is there may be gone the next moment.
        while base is not None and (values := base.known.get(state)) is None:
            links.append(base)
            base = base.before
        values = {} if values is None else values
        for link in reversed(links):
            writes = [write for write in link.writes if write.state == state]
            values = merge(values, writes) if writes else values
            if link in links[:2]:  # what others look at from here on
                link.known[state] = values
        if base is not None and len(links) > 1:  # to keep what was looked at before would take room for nothing
            base.known.pop(state, None)
        return values


class Scope:
    """A place in a run, and what of the state is seen and written there.

    Its parts come one after the other: each sees what those before it have written. `Sides` is for parts that run
    side by side.
    """

    __slots__ = (
        "_before",
        "_count",
        "_fixed",
        "_made",
        "_now",
        "_own",
        "_settled",
        "_slots",
        "kept",
        "over",
        "place",
        "span",
        "states",
    )

    def __init__(self, span: str, place: tuple[int, ...], seen: Seen, states: Mapping[str, type[Declared]]) -> None:
        self.span = span
        self.place = place
        self.states = states
        """The classes of the states that there are, by name."""
        self.over = False
        """Whether nothing is written here any more."""
        self.kept = False
        """Whether it has ended well, so that what it wrote counts."""
        self._before = self._now = seen
        self._settled = 0
        """How many of the slots `_now` has."""
        self._slots: list[Delta | Scope] = []
        self._made: list[Delta] | None = None
        self._fixed: Seen | None = None
        self._count = 0
        self._own: str | None = None
        """The state that began here, of which nobody outside knows."""

    def now(self) -> Seen:
        """Return what is seen at this moment."""
        if self._fixed is not None:
            return self._fixed
        slots, first = self._slots, self._settled
        while self._settled < len(slots) and _is_settled(slots[self._settled]):
            self._settled += 1
        self._now = self._now.and_then(_flat(slots[first : self._settled]))
        return self._now.and_then(_flat(slots[self._settled :]))

    def next(self) -> tuple[int, ...]:
        """Return a place of its own for what comes next."""
        self._count += 1
        return (*self.place, self._count - 1)

    def write(self, writes: Iterable[Delta]) -> None:
        """Write to the states there are; what is written gets its place here."""
        for write in writes:
            if write.state not in self.states:
                continue
            self._slots.append(
                Write(
                    state=write.state,
                    channel=write.channel,
                    value=write.value,
                    reducer=write.reducer,
                    place=self.next(),
                )
            )

    def part(self, span: str) -> Scope:
        """Return a part, which comes after all parts before it."""
        part = Scope(span, self.next(), self.now(), self.states)
        self._slots.append(part)
        return part

    def opened(self, span: str, state: type[Declared], base: Sequence[Delta]) -> Scope:
        """Return a part that has a state of its own."""
        part = Scope(span, self.next(), self.now().and_then(base), {**self.states, state.__name__: state})
        part._own = state.__name__
        self._slots.append(part)
        return part

    def take(self, writes: Iterable[Delta]) -> None:
        """Take over what parts have written that are no slots of their own."""
        self._slots.extend(writes)

    def keep(self, log: Log, parent: str | None) -> None:
        """Record what was written here and not in a part; from now on it counts."""
        if self.kept:
            return
        for write in self._slots:
            if isinstance(write, Write) and write.place[:-1] == self.place:
                log.emit(
                    Wrote,
                    self.span,
                    parent,
                    state=write.state,
                    channel=write.channel,
                    value=write.value,
                    reducer=write.reducer,
                    place=write.place,
                )
        self.kept = self.over = True

    def adopt(self, writes: Sequence[Wrote]) -> None:
        """Take over what was written here before the run broke off."""
        self._slots.extend(writes)
        self.kept = self.over = True

    def made(self) -> list[Delta]:
        """Return what was written here and in all parts, in order; nothing if it has not ended well.

        What was written to a state that began here counts here alone.
        """
        if not self.kept:
            return []
        if self._made is None:
            self._made = [write for write in _flat(self._slots) if write.state != self._own]
        return self._made

    def mark(self) -> tuple[int, int]:
        """Return a mark to go back to."""
        return len(self._slots), self._count

    def since(self, mark: tuple[int, int]) -> list[Delta]:
        """Return what was written since a mark."""
        return _flat(self._slots[mark[0] :])

    def undo(self, mark: tuple[int, int]) -> None:
        """Forget what was written since a mark; what is written next takes its places."""
        slots, self._count = mark
        del self._slots[slots:]
        self._now, self._settled = self._before, 0

    def fix(self, seen: Seen | None) -> None:
        """Let parts see this and nothing else, until it is `None`."""
        self._fixed = seen


def _is_settled(slot: Delta | Scope) -> bool:
    return not isinstance(slot, Scope) or slot.over


def _flat(slots: Iterable[Delta | Scope]) -> list[Delta]:
    flat: list[Delta] = []
    for slot in slots:
        if isinstance(slot, Scope):
            flat.extend(slot.made())
        else:
            flat.append(slot)
    return flat


@contextmanager
def at_once(scope: Scope | None) -> Generator[None]:
    """Let parts that are begun at once see the same, however soon one of them ends."""
    if scope is None:
        yield
        return
    scope.fix(scope.now())
    try:
        yield
    finally:
        scope.fix(None)


class Sides:
    """Parts of one place that run side by side: none sees what another writes."""

    def __init__(self, around: Scope) -> None:
        self._around = around
        self._seen = around.now()
        self._place = around.next()
        self._parts: dict[int, tuple[str, Scope]] = {}

    def part(self, number: int, name: str, span: str) -> Scope:
        """Return the part with that number, which says where it stands among the others."""
        scope = Scope(span, (*self._place, number), self._sight(number), self._around.states)
        self._parts[number] = name, scope
        return scope

    def join(self, numbers: Iterable[int] | None = None) -> None:
        """Let what the parts, or some of them, have written count together, in the order of their numbers.

        Raises:
            StateConflict: two wrote a channel that has no reducer.
        """
        chosen = sorted(self._parts) if numbers is None else list(numbers)
        self._check(chosen)
        for number in chosen:
            self._around.take(self._parts[number][1].made())

    def _sight(self, number: int) -> Seen:  # noqa: ARG002 - for parts of which some come after others
        return self._seen

    def _check(self, chosen: Iterable[int]) -> None:
        writers: dict[tuple[str, str], int] = {}
        for number in chosen:
            for channel in sole(self._parts[number][1].made(), self._around.states):
                first = writers.setdefault(channel, number)
                if first != number:
                    raise self._conflict(first, number, channel)

    def _conflict(self, first: int, second: int, channel: tuple[str, str]) -> StateConflict:
        one, other = self._parts[first][0], self._parts[second][0]
        message = f"`{one}` and `{other}` ran side by side, and both wrote `{channel[1]}` of {channel[0]}."
        remedy = (
            f"Say how two writes become one, {channel[1]}: Annotated[..., a reducer from quire.reducers],\n"
            "or let one of the two come after the other."
        )
        return StateConflict(message, remedy=remedy)


def sole(writes: Iterable[Delta], states: Mapping[str, type[Declared]]) -> set[tuple[str, str]]:
    """Return the channels that were written and that nothing merges."""
    there = ((states.get(write.state), write) for write in writes)
    return {(write.state, write.channel) for kind, write in there if kind is not None and kind.replaces(write.channel)}
