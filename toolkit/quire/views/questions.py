"""Questions to people: which are open, what was answered, and what of a run only waits for an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from quire.core.events import (
    Answered,
    Asked,
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
from quire.core.schema import render
from quire.views.shapes import Question

__all__ = ["QuestionsFold", "Standing", "answer_text"]

_IS_UNDER_WAY: dict[type[Event], bool] = {
    **dict.fromkeys((Started, Called, Requested, Asked, Resumed), True),
    **dict.fromkeys((Succeeded, Failed, Cancelled, Responded, Returned, Answered), False),
}
"""Whether something is at work in a span after an event of that kind; others do not tell."""


def answer_text(asked: Asked, value: Any) -> str:
    """Return an answer as a reader sees it: the words that were chosen, or what was given instead.

    Example:
        >>> asked = Asked(seq=1, at=0.0, run="r", span="2", parent="1", text="Go on?", choices=("yes", "no"),
        ...     values=(True, False))
        >>> answer_text(asked, True)
        'yes'
    """
    for choice, meant in zip(asked.choices, asked.values, strict=False):
        if type(meant) is type(value) and meant == value:
            return choice
    return render(value)


class QuestionsFold:
    """What was asked of people in a run, by the question's span."""

    def __init__(self) -> None:
        self.open: dict[str, Asked] = {}
        """Those that somebody may still answer."""
        self.shown: dict[str, Question] = {}
        """Those and the answered ones, the oldest first."""

    def apply(self, event: Event, node_of: Callable[[str | None], str | None]) -> bool:
        """Take one more event into account, and return whether it changed anything; the node of a span is looked up."""
        match event:
            case Asked():
                self._ask(event, node_of(event.parent))
            case Answered() if event.span in self.open:
                self._answer(event)
            case Cancelled() if event.span in self.open:
                self._drop(event.span)
            case Succeeded() | Returned() if self.open:
                return self._done(event)
            case _:
                return False
        return True

    def _ask(self, event: Asked, node: str | None) -> None:
        before = self.shown.get(event.span)
        self.open[event.span] = event
        self.shown[event.span] = Question(
            id=event.span,
            node=node,
            path=event.where,
            text=event.text,
            tool=event.tool,
            arguments=_arguments(event.arguments),
            why=event.why,
            choices=list(event.choices),
            field=event.answer_type,
            asked_at=before["asked_at"] if before else event.at,
            until=event.until,
            answer=None,
            by=None,
            answered_at=None,
        )

    def _answer(self, event: Answered) -> None:
        asked, shown = self.open.pop(event.span), self.shown[event.span]
        shown.update(answer=answer_text(asked, event.value), by=event.by, answered_at=event.at)

    def _done(self, event: Event) -> bool:
        """Take back what was asked in something that has ended well: nobody needs to know any more."""
        over = [span for span, asked in self.open.items() if event.parent is None or asked.parent == event.span]
        for span in over:
            self._drop(span)
        return bool(over)

    def _drop(self, span: str) -> None:
        del self.open[span], self.shown[span]


def _arguments(given: Any) -> list[tuple[str, str]]:
    if given is None:
        return []
    named = cast("dict[str, Any]", given if isinstance(given, dict) else {"input": given})
    return [(name, value if isinstance(value, str) else render(value)) for name, value in named.items()]


class Standing:
    """What of a run is under way, so that it can be told what only waits for a person.

    Example:
        >>> standing = Standing()
        >>> standing.apply(Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step"))
        >>> standing.apply(Asked(seq=2, at=0.0, run="r", span="2", parent="1", text="Whom?"))
        >>> sorted(standing.still())
        ['1', '2']
    """

    def __init__(self) -> None:
        self.asked: set[str] = set()
        """The questions somebody waits for."""
        self._open: dict[str, str | None] = {}

    def apply(self, event: Event) -> None:
        """Take one more event into account."""
        kind = type(event)
        under_way = _IS_UNDER_WAY.get(kind)
        if under_way:
            if event.parent is None and kind is Resumed:  # nothing of what had broken off is under way any more
                self._open.clear()
                self.asked.clear()
            self._open[event.span] = event.parent
            if kind is Asked:
                self.asked.add(event.span)
        elif under_way is False:
            self._open.pop(event.span, None)
            self.asked.discard(event.span)

    def still(self) -> set[str]:
        """Return the spans in which all that has begun and not ended waits for a person."""
        if not self.asked:
            return set()
        around = set(self._open.values())
        held: set[str] = set()
        busy: set[str] = set()
        for span in self._open:
            if span not in around:
                self._climb(span, held if span in self.asked else busy)
        return held - busy

    def _climb(self, span: str | None, found: set[str]) -> None:
        while span is not None and span in self._open and span not in found:
            found.add(span)
            span = self._open[span]
