"""What a run asks people, in pictures and texts that stay as they are: who asks, what fits, and what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quire.views import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quire.views.shapes import Question

__all__ = ["answered", "asker", "told", "ways"]


def asker(question: Question) -> str:
    """Return whose question it is: the tool it is about, or the part of the run that asks."""
    return question["tool"] or question["path"].rpartition(" › ")[2] or question["path"]


def ways(question: Question) -> str:
    """Say what fits as an answer.

    Example:
        >>> ways({"choices": ["yes", "no"], "field": None}), ways({"choices": [], "field": "int"})
        ('yes or no', 'int')
    """
    told = [*question["choices"], *([question["field"]] if question["field"] else [])]
    return " or ".join(filter(None, (", ".join(told[:-1]), told[-1]))) if told else "anything"


def answered(question: Question) -> str | None:
    """Say what was answered, by whom and after how long; `None` while nobody has."""
    if question["answer"] is None or question["answered_at"] is None:
        return None
    after = words.seconds(max(0.0, question["answered_at"] - question["asked_at"]))
    return f"{question['answer']}, by {question['by']} after {after}"


def told(question: Question) -> Sequence[tuple[str, str]]:
    """Return what is said of an open question below its text: pairs of a label and words."""
    return [
        ("asked by", question["path"]),
        *question["arguments"],
        *([("why", question["why"])] if question["why"] else []),
        ("answer", ways(question)),
    ]
