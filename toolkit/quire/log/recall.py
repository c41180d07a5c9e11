"""What a log that is gone on with says of the time before: which spans there were, and how far each had come.

A place in a run is found again by the span it is in, its name, and its mark: the item it works on, or the call
that asked for it. Of several that are alike, each is found once, in the order in which they began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

from quire.core.events import (
    Answered,
    Asked,
    Called,
    Cancelled,
    Event,
    Failed,
    Forked,
    Requested,
    Rescued,
    Responded,
    Resumed,
    Retried,
    Returned,
    Said,
    Skipped,
    Started,
    Succeeded,
)
from quire.log.writes import Writes

__all__ = ["DOUBT", "QUESTION", "Mark", "Recall"]

Mark: TypeAlias = "int | str | tuple[str, int] | None"

QUESTION: Mark = ("question", 0)
"""The mark of what somebody asks a person; its text is its name."""
DOUBT: Mark = ("doubt", 0)
"""The mark of the question whether a tool has done its work."""
_NOT_SETTLED = {"UnresolvedEffect", "KeyboardInterrupt"}
"""Errors that do not say whether a tool has done its work."""


class Recall:
    """The past of one run, by span.

    Example:
        >>> began = Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step")
        >>> Recall([began]).span(None, "greet")
        '1'
    """

    def __init__(self, past: Sequence[Event]) -> None:
        self._past = past
        self.forked = bool(past) and isinstance(past[-1], Forked)
        """Whether nobody has gone on with it yet since it was forked: then nothing had broken off."""
        self.fork = next((event for event in past if isinstance(event, Forked)), None)
        """How it was forked from another run, if it was."""
        self.edited = frozenset(() if self.fork is None else self.fork.edited.values())
        """Spans that somebody gave another output."""
        given = {} if self.fork is None else self.fork.edited
        self.given = frozenset(span for name, span in given.items() if name != "input")
        """Those of them that were given an output, and not another input."""
        self.last = max((int(event.span) for event in past if event.span.isdecimal()), default=0)
        """The highest number of a span."""
        self._began: dict[str, Event] = {}
        self._parts: dict[str | None, dict[tuple[str, Mark], list[str]]] = {}
        self._open: set[str] = set()
        self._results: dict[str, Succeeded] = {}
        self._returned: dict[str, Returned] = {}
        self._unsettled: set[str] = set()
        self._asked: dict[str, Requested] = {}
        self._replies: dict[str | None, list[tuple[int, Responded]]] = {}
        self._said: Counter[tuple[str | None, str, str, str]] = Counter()
        self._rescued: dict[str, Rescued] = {}
        self._questions: dict[str, Asked] = {}
        self._answers: dict[str, Answered] = {}
        self._told: set[str | None] = set()
        """Who was answered."""
        self._ahead: dict[str, str | None] = {}
        """Who asked, by the span of an answer that nobody has gone on with yet."""
        for event in past:
            self._take(event)
        for parts in self._parts.values():
            for spans in parts.values():
                spans.reverse()

    # What is asked of it

    @property
    def root(self) -> Started | None:
        """What opened the run; `None` if its log breaks off before that."""
        return next((event for event in self._began.values() if isinstance(event, Started)), None)

    def span(self, parent: str | None, name: str, mark: Mark = None) -> str | None:
        """Return the next span of that place, which is not found again; `None` if there is no more."""
        spans = self._parts.get(parent, {}).get((name, mark))
        return spans.pop() if spans else None

    def began(self, span: str) -> bool:
        """Whether something was begun there, finished or not."""
        return span in self._began and not isinstance(self._began[span], Skipped)

    def skipped(self, span: str) -> bool:
        """Whether it was decided last that it would not run."""
        return isinstance(self._began.get(span), Skipped)

    def result(self, span: str) -> Succeeded | None:
        """Return how it succeeded, if it did and nobody began it again."""
        return self._results.get(span)

    def is_open(self, span: str) -> bool:
        """Whether it had begun and not ended."""
        return span in self._open

    def first(self, spans: Sequence[str]) -> str | None:
        """Return which of these succeeded first, if any did."""
        done = [kept for span in spans if (kept := self._results.get(span)) is not None]
        return min(done, key=lambda kept: kept.seq).span if done else None

    def returned(self, span: str) -> Returned | None:
        """Return what a tool gave."""
        return self._returned.get(span)

    def called(self, span: str) -> Called | None:
        """Return the call of a tool."""
        event = self._began.get(span)
        return event if isinstance(event, Called) else None

    def unsettled(self, span: str) -> bool:
        """Whether a tool was about to work there, and nobody knows whether it has."""
        return span in self._unsettled and not self.forked

    def rescued(self, span: str) -> Rescued | None:
        """Return who took the place of what failed there."""
        return self._rescued.get(span)

    def answered(self, span: str) -> Answered | None:
        """Return what was answered to a question."""
        return self._answers.get(span)

    def is_ahead(self, question: str) -> bool:
        """Whether a question was answered while nobody was at work, and nobody has gone on since."""
        return question in self._ahead

    def reply(self, agent: str) -> Responded | None:
        """Return the next reply that an agent was given, which is not given again; `None` if there is no more."""
        replies = self._replies.get(agent)
        return replies.pop(0)[1] if replies else None

    def said(self, agent: str, sender: str, role: str, text: str) -> bool:
        """Whether that was recorded as said to an agent's model; each thing is found as often as it was said."""
        words = (agent, sender, role, text)
        found = self._said[words] > 0
        if found:
            self._said[words] -= 1
        return found

    @cached_property
    def writes(self) -> Writes:
        """What was written to the run's state."""
        return Writes(self._past)

    # How it is put together

    def _take(self, event: Event) -> None:
        match event:
            case Started() | Skipped():
                if event.span not in self._began:
                    self._place(event, event.name, event.item if isinstance(event, Started) else None)
                self._began[event.span] = event
                self._results.pop(event.span, None)
                self._reopen(event)
            case Called():
                self._place(event, event.tool, event.call)
                self._began[event.span] = event
                self._unsettled.add(event.span)
            case Requested():
                self._asked[event.span] = self._began[event.span] = event
                self._place(event, event.model, ("asked", event.messages))
            case Responded():
                self._answer(event)
            case Asked() | Answered():
                self._consult(event)
            case Said():
                self._said[(event.parent, event.sender, event.role, event.text)] += 1
            case _:
                self._end(event)

    def _reopen(self, event: Event) -> None:
        if not isinstance(event, Skipped):
            self._open.add(event.span)
            self._unsettled.add(event.span)

    def _end(self, event: Event) -> None:  # noqa: C901 - one case a kind is the plainest way to write it
        if isinstance(event, Succeeded | Failed | Cancelled):
            self._open.discard(event.span)
        match event:
            case Succeeded():
                self._results[event.span] = event
                self._unsettled.discard(event.span)
            case Returned():
                self._returned[event.span] = event
                self._unsettled.discard(event.span)
            case Failed():
                self._fail(event)
            case Resumed():
                self._results.pop(event.span, None)
                if event.span in self._ahead.values():
                    self._ahead = {span: asker for span, asker in self._ahead.items() if asker != event.span}
                self._reopen(event)
            case Forked():
                self._unsettled.clear()  # what the other run was about to do is not this one's
            case Retried():
                self._forget_attempt(event)
            case Rescued():
                self._rescued[event.span] = event
            case Cancelled():
                self._cancel(event)
            case _:
                pass

    def _consult(self, event: Asked | Answered) -> None:
        """Take a question or an answer into account.

        A tool asks before it does its work: one that waits for its first answer has not done it.
        """
        asker = event.parent
        if isinstance(event, Asked):
            if event.span not in self._questions:
                self._place(event, event.text, DOUBT if event.doubt else QUESTION)
            if not event.doubt and asker not in self._told:
                self._unsettled.discard(asker or "")
            self._questions[event.span] = event
            self._answers.pop(event.span, None)
            return
        asked = self._questions.get(event.span)
        if asked is None:
            return
        self._answers[event.span] = event
        if not asked.doubt:
            self._told.add(asker)
        if event.ahead:
            self._ahead[event.span] = asker
        else:
            self._unsettled.add(asker or "")

    def _place(self, event: Event, name: str, mark: Mark) -> None:
        self._parts.setdefault(event.parent, {}).setdefault((name, mark), []).append(event.span)

    def _answer(self, event: Responded) -> None:
        asked = self._asked.get(event.span)
        if asked is None:
            return
        self._withdraw(event.span)
        # Who asks again from an earlier point has given up what came after it.
        replies = self._replies.setdefault(event.parent, [])
        replies[:] = [reply for reply in replies if reply[0] < asked.messages]
        replies.append((asked.messages, event))

    def _withdraw(self, span: str) -> None:
        """Take a question that has come to its end out of those that are still open."""
        asked = self._asked.pop(span)
        spans = self._parts.get(asked.parent, {}).get((asked.model, ("asked", asked.messages)), [])
        if span in spans:
            spans.remove(span)

    def _fail(self, event: Failed) -> None:
        if event.span in self._asked:
            self._withdraw(event.span)
        # Nobody was there to answer; but after an answer that it had been given, it may have begun its work.
        between = event.error_type == "Unanswered" and event.span in self._told
        if event.error_type not in _NOT_SETTLED and not between:
            self._unsettled.discard(event.span)
        if event.origin is None:
            self._distrust(event.span)

    def _cancel(self, event: Cancelled) -> None:
        if event.span in self._asked:
            self._withdraw(event.span)
        if not event.begun:
            self._unsettled.discard(event.span)

    def _distrust(self, agent: str) -> None:
        """Forget the replies that an agent itself failed over: given again, it would only fail again."""
        replies = self._replies.get(agent, [])
        while replies and not any(self._was_used(agent, call.id) for call in replies[-1][1].message.calls):
            replies.pop()

    def _was_used(self, agent: str, call: str) -> bool:
        parts = self._parts.get(agent, {})
        return any(mark == call for _, mark in parts)

    def _forget_attempt(self, event: Retried) -> None:
        """Let the next attempt of a flow find what that attempt had, and not what an earlier one had."""
        began = self._began.get(event.span)
        self._unsettled.discard(event.span)
        # An agent may also have asked its model again: its tools' calls are told apart by what asked for them.
        if isinstance(began, Started) and began.of != "agent":
            self._parts.pop(event.span, None)
