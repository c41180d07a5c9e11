"""What the steps of a plan see of the state: what the steps before them have written, and no racing sibling."""

from __future__ import annotations

from collections.abc import Iterator

from quire.flow.plan import Plan
from quire.run.scope import Scope, Seen, Sides, sole

__all__ = ["PlannedSides"]


class PlannedSides(Sides):
    """The steps of a plan: each comes after those that it waits for, and runs side by side with the others.

    Sets of steps are whole numbers with a bit for each step, in the plan's order; so a step's bit is higher than
    those of all that it comes after.
    """

    def __init__(self, around: Scope, plan: Plan) -> None:
        super().__init__(around)
        self._number = {name: number for number, name in enumerate(plan.order)}
        self._before: list[int] = []
        """Per step, those that it comes after."""
        for name in plan.order:
            numbers = [self._number[source] for source in plan.waits[name]]
            self._before.append(_union(self._before[number] | 1 << number for number in numbers))
        self._noted = 0
        self._wrote = 0
        self._writers: dict[tuple[str, str], int] = {}
        self._sights = {0: self._seen}

    def step(self, name: str, span: str) -> Scope:
        """Return the scope of a step whose turn it is.

        Raises:
            StateConflict: two of those it comes after wrote a channel that has no reducer.
        """
        return self.part(self._number[name], name, span)

    def _sight(self, number: int) -> Seen:
        before = self._before[number]
        self._note(before)
        seen = before & self._wrote
        self._check_merged(seen)
        missing: list[int] = []
        while seen not in self._sights:
            missing.append(seen.bit_length() - 1)
            seen ^= 1 << missing[-1]
        sight = self._sights[seen]
        for step in reversed(missing):
            seen |= 1 << step
            sight = self._sights[seen] = sight.and_then(self._parts[step][1].made())
        return sight

    def _note(self, steps: int) -> None:
        """Look at what steps have written that have ended since the last time."""
        for step in _bits(steps & ~self._noted):
            made = self._parts[step][1].made() if step in self._parts else []
            if made:
                self._wrote |= 1 << step
            for channel in sole(made, self._around.states):
                self._writers[channel] = self._writers.get(channel, 0) | 1 << step
        self._noted |= steps

    def _check_merged(self, steps: int) -> None:
        for channel, writers in self._writers.items():
            last = (writers & steps).bit_length() - 1
            rivals = 0 if last < 0 else writers & steps & ~self._before[last] & ~(1 << last)
            if rivals:
                raise self._conflict(next(_bits(rivals)), last, channel)

    def _check(self, chosen: object) -> None:  # noqa: ARG002 - all of them
        self._note((1 << len(self._before)) - 1)
        self._check_merged(self._wrote)


def _union(sets: Iterator[int]) -> int:
    union = 0
    for one in sets:
        union |= one
    return union


def _bits(steps: int) -> Iterator[int]:
    while steps:
        lowest = steps & -steps
        yield lowest.bit_length() - 1
        steps ^= lowest
