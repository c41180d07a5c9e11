"""An agent's turn in a session: where it goes on from, and what is kept of it.

A turn that is taken again begins where it had begun before, whatever was said since. After its run broke off it is
the same turn, and is kept once, on its branch. In a fork of its run it is another version of that turn: it is kept
on a branch of the fork's own, and the branch of the first version stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from quire.core.events import Branched, Failed, Forked, Recalled, Remembered, Responded, Started
from quire.core.messages import Message
from quire.core.usage import Usage
from quire.run.context import Context
from quire.views.session import Line, Place, SessionFold

__all__ = ["Beginning", "Sitting", "beginning"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a turn goes on from."""

    branch: str
    """What it is kept on."""
    place: Place
    instead_of: str | None = None
    """The branch of the version before, if `branch` is to begin with this turn."""

    def line(self, fold: SessionFold) -> Line:
        """Return what was said before."""
        known = self.branch in fold.lines and self.place == fold.place_of(self.branch)
        return fold.line(self.branch) if known else fold.line_at(self.place)


def beginning(fold: SessionFold, context: Context) -> Beginning:
    """Return where the turn in that context goes on from: if it was taken before, the same place."""
    taken = fold.turn_of(context.run, context.span)
    if taken is not None:  # the run broke off between keeping the turn and telling so
        return Beginning(taken.branch, fold.place_of(taken.branch, taken.seq - 1))
    recall = context.log.recall
    before = None if recall is None else _recalled(fold, context)
    if before is not None:
        return Beginning(before.branch, fold.place_of(before.branch, before.through))
    if recall is not None and recall.fork is not None and fold.session in recall.fork.sessions:
        return _of_fork(fold, recall.fork, f"fork {context.run}")
    return Beginning(fold.head, fold.place_of(fold.head))


def _recalled(fold: SessionFold, context: Context) -> Recalled | None:
    """Return how the turn began before its run broke off; `None` if its branch is not there (yet, or any more)."""
    for event in reversed(context.log.events):
        if isinstance(event, Recalled) and event.span == context.span and event.branch in fold.lines:
            return event
    return None


def _of_fork(fold: SessionFold, fork: Forked, own: str) -> Beginning:
    if own in fold.lines:  # an earlier turn of the fork has opened it
        return Beginning(own, fold.place_of(own))
    branch, through = fork.branches[fold.session], fork.sessions[fold.session]
    known = branch in fold.lines
    place = fold.place_of(branch, through) if known else Place(fold.session, min(through, len(fold.events)))
    return Beginning(own, place, instead_of=branch)


class Sitting:
    """A turn that is going on in a session."""

    def __init__(
        self,
        agent: str,
        fold: SessionFold,
        begun: Beginning,
        messages: Sequence[Message],
        context: Context,
        *,
        add: Callable[..., Any],
    ) -> None:
        self.messages = messages
        """What the model is shown of the conversation so far."""
        self._agent = agent
        self._fold = fold
        self._begun = begun
        self._context = context
        self._add = add

    async def keep(self, said: tuple[Message, ...]) -> None:
        """Add the turn to the session, on the branch on which it began."""
        # The session never knows more than the run's own log: of a run that breaks off, that is what goes on.
        await self._context.log.flush()
        await self._add(self._fold, partial(self._turn, said))

    def _turn(self, said: tuple[Message, ...], now: SessionFold) -> list[dict[str, Any]]:
        context = self._context
        if now.turn_of(context.run, context.span) is not None:
            return []
        opening = self._opening(now)
        # The branch is gone if somebody deleted the session in the meantime.
        branch = self._begun.branch if opening or self._begun.branch in now.lines else now.head
        turn = {
            "kind": Remembered, "run": context.run, "span": context.span, "branch": branch, "agent": self._agent,
            "turn": said, **_consumed(list(_calls(context))),
        }  # fmt: skip
        return [*opening, turn]

    def _opening(self, now: SessionFold) -> list[dict[str, Any]]:
        """Return what opens the branch of a fork, if this is its first turn."""
        begun, place = self._begun, self._begun.place
        if begun.instead_of is None or begun.branch in now.lines or place.seq > len(now.events):
            return []
        return [
            {
                "kind": Branched, "run": self._context.run, "span": self._context.span, "branch": begun.branch,
                "origin": place.session, "to": place.seq, "head": _goes_on(now, begun.instead_of, place),
            }
        ]  # fmt: skip


def _goes_on(now: SessionFold, branch: str, place: Place) -> bool:
    """Whether a session goes on with the turn that was taken on a branch at a place, or has said nothing since."""
    before = now.line_at(place)
    version = now.lines.get(branch, before)

    def places(line: Line) -> list[tuple[str, int]]:
        return [(session, event.seq) for session, event in line.turns[: len(before.turns) + 1]]

    return places(now.line()) in (places(version), places(before))


# What it took


def _calls(context: Context) -> Iterator[Responded | Failed]:
    """Yield what the agent's model calls ended with in this turn, also before its run broke off."""
    for event in reversed(context.log.events):
        if isinstance(event, Started) and event.span == context.span:
            return
        if event.parent != context.span or not isinstance(event, Responded | Failed):
            continue
        if isinstance(event, Responded) or event.usage is not None:
            yield event


def _consumed(calls: Sequence[Responded | Failed]) -> dict[str, Any]:
    costs = [call.cost_usd for call in calls]
    return {
        "usage": _total([call.usage for call in calls if call.usage is not None]),
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost is not None),
        "simulated": any(isinstance(call, Responded) and call.simulated for call in calls),
    }


def _total(usages: Sequence[Usage]) -> Usage | None:
    """Return what calls consumed, as far as they say."""
    if not usages:
        return None

    def total(name: str) -> int | None:
        counts = [count for usage in usages if (count := getattr(usage, name)) is not None]
        return sum(counts) if counts else None

    return Usage(
        input_tokens=total("input_tokens") or 0,
        output_tokens=total("output_tokens") or 0,
        cached_input_tokens=total("cached_input_tokens"),
        cache_write_tokens=total("cache_write_tokens"),
        reasoning_tokens=total("reasoning_tokens"),
    )
