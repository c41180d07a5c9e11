"""Answers for a run that nobody is at work on: they are added to its log, and taken when it goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence

from quire.core.errors import AnswerRefused, StreamConflict
from quire.core.events import Answered, Event
from quire.core.ports import Store
from quire.run import bridge, runtime
from quire.run.process import check_free
from quire.run.questions.answers import Question, chosen, fitting
from quire.views.live import RunFold

__all__ = ["answer_ahead"]


def answer_ahead(run: str, question: str | Question | None, value: object, by: str) -> Sequence[Event]:
    """Add an answer to the log of a run, and return the log.

    Raises:
        AnswerRefused: it does not fit, or there is no such question that is open.
        StreamConflict: another process is at work on the run.
    """
    return bridge.aside(lambda: _answer(runtime.store(), run, question, value, by))


async def _answer(store: Store, run: str, question: str | Question | None, value: object, by: str) -> Sequence[Event]:
    past = await store.read(f"runs/{run}")
    try:
        check_free(run, past)
    except StreamConflict as busy:
        raise StreamConflict(busy.what, remedy="It waits for its answers there: give them in that process.") from None
    fold = RunFold()
    for event in past:
        fold.apply(event)
    asked = chosen(fold.questions.values(), question, f"run {run}")
    data = fitting(asked, value)
    answer = Answered(
        seq=len(past) + 1,
        at=max(time.time(), past[-1].at),
        run=run,
        span=asked.span,
        parent=asked.parent,
        value=data,
        by=by,
        ahead=True,
    )
    try:
        await store.append(f"runs/{run}", [answer], len(past))
    except StreamConflict:
        message = f"Somebody has gone on with run {run}, or answered, at this very moment."
        raise AnswerRefused(message, remedy=f"Look again: quire.load({run!r}).questions") from None
    return [*past, answer]
