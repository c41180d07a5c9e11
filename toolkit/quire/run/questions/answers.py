"""What a person can be asked for, and what fits as an answer."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import from_json

from quire.core.errors import AnswerRefused, DefinitionError
from quire.core.events import Asked
from quire.core.fits import mismatch
from quire.core.schema import complaint, json_schema, plain, read_back, type_name

__all__ = ["Form", "Question", "chosen", "fitting", "form_of", "schema_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that a run asks a person, and that nobody has answered."""

    id: str
    """Unique in its run."""
    text: str
    choices: tuple[str, ...]
    """What can be chosen; if there is nothing, `type` says what can be given."""
    type: str | None
    """The type of a free answer, as text; `None` if there are only the choices."""
    where: str
    """The path of names from the run to whoever asks."""
    tool: str | None
    """The tool that it is about."""
    arguments: Any
    why: str | None
    asked_at: float
    """Seconds since 1970 in UTC."""
    until: float | None
    """The moment after which nobody needs to answer."""

    @classmethod
    def of(cls, asked: Asked) -> Question:
        """Return the question that a log tells of."""
        return cls(
            id=asked.span,
            text=asked.text,
            choices=asked.choices,
            type=asked.answer_type,
            where=asked.where,
            tool=asked.tool,
            arguments=asked.arguments,
            why=asked.why,
            asked_at=asked.at,
            until=asked.until,
        )


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer may be: one of some choices, or something of a type."""

    kind: Any
    """The type of an answer."""
    choices: Mapping[str, Any]
    """What each choice stands for, as JSON."""
    free: bool
    """Whether something of the type can be given that is none of the choices."""
    schema: dict[str, Any] | None
    """The JSON schema of the type."""

    def told(self) -> dict[str, Any]:
        """Return what the log tells of it."""
        return {
            "choices": tuple(self.choices),
            "values": tuple(self.choices.values()),
            "answer_type": type_name(self.kind) if self.free else None,
            "schema": self.schema,
        }


_VALUES = (str, bytes, int, float, list, tuple, set, frozenset, dict)
"""What somebody may put where a type is asked for, such as a list of choices."""


def form_of(kind: Any) -> Form:
    """Return how somebody is asked for a value of a type: yes or no, one of several, or whatever fits it.

    Raises:
        DefinitionError: it is no type, or JSON does not hold such a value, so that nobody could give it.

    Example:
        >>> form_of(Literal["low", "high"]).choices
        {'low': 'low', 'high': 'high'}
    """
    if isinstance(kind, _VALUES):
        message = f"{kind!r} is no type of answers."
        raise DefinitionError(message, remedy='To let people choose, ask for Literal["red", "blue"] or an Enum.')
    schema = schema_of(kind)
    if schema is None:
        message = f"Nobody can answer with {type_name(kind)}: JSON does not hold it."
        raise DefinitionError(message, remedy="Ask for text, a number, a model or a dataclass.")
    choices: dict[str, Any] = {}
    if kind is bool:
        choices = {"yes": True, "no": False}
    elif typing.get_origin(kind) is Literal:
        choices = {str(value): value for value in map(plain, typing.get_args(kind))}
    elif isinstance(kind, type) and issubclass(kind, Enum):
        # A number says nothing to a person; text is what its author wants to be read.
        values = [(member.name, plain(member)) for member in kind]
        choices = {value if isinstance(value, str) else name: value for name, value in values}
    return Form(kind, choices, free=not choices, schema=schema)


def schema_of(kind: Any) -> dict[str, Any] | None:
    """Return the JSON schema of a type; `None` if JSON does not hold its values."""
    try:
        return json_schema(kind)
    except PydanticInvalidForJsonSchema:
        return None


def chosen(open_ones: Iterable[Asked], question: str | Question | None, where: str) -> Asked:
    """Return the question that is meant: the one of that id, or the only one that is open.

    Raises:
        AnswerRefused: none or several could be meant.
    """
    there = {asked.span: asked for asked in open_ones}
    name = question.id if isinstance(question, Question) else question
    if name is None and len(there) == 1:
        return next(iter(there.values()))
    if name is not None and name in there:
        return there[name]
    known = ", ".join(f"{asked.span} ({asked.text})" for asked in there.values())
    if name is not None:
        message = f"Question {name!r} of {where} is not open: it was answered, or nobody needs to know any more."
    else:
        message = f"{len(there) or 'No'} questions of {where} are open."
    raise AnswerRefused(message, remedy=f"Say which: {known}" if known else "run.questions lists those that are open.")


def fitting(asked: Asked, value: Any, kind: Any = None) -> Any:
    """Return an answer as JSON: a choice by its words or its value, or what fits the type, or JSON text of that.

    Without the type, what the log tells of it has to do.

    Raises:
        AnswerRefused: it does not fit.
    """
    data = plain(value)
    words = data.strip().casefold() if isinstance(data, str) else None
    choices = dict(zip(asked.choices, asked.values, strict=True))
    if any(type(meant) is type(data) and meant == data for meant in choices.values()):
        return data
    for choice, meant in choices.items():
        if words == choice.casefold():
            return meant
    if asked.answer_type is None:
        wanted = " or ".join(filter(None, (", ".join(asked.choices[:-1]), asked.choices[-1])))
        raise AnswerRefused(f"{value!r} is no answer to: {asked.text}", remedy=f"Answer with {wanted}.")
    problem = ""
    for candidate in _readings(value, data):
        found = _wrong(asked, candidate, kind)
        if found is None:
            return candidate
        problem = problem or found
    others = "".join(f", or {choice!r}" for choice in asked.choices)
    message = f"{value!r} is no answer to: {asked.text}"
    raise AnswerRefused(message, remedy=f"Answer with {asked.answer_type}{others}.\n{problem}")


def _readings(value: Any, data: Any) -> list[Any]:
    """Return what may be meant: the value itself and, of text, what it holds as JSON."""
    readings = [data]
    if isinstance(value, str):
        with suppress(ValueError):
            readings.append(from_json(value))
    return readings


def _wrong(asked: Asked, data: Any, kind: Any) -> str | None:
    if kind is None:
        return mismatch(asked.schema or {}, data)
    try:
        read_back(kind, data)
    except ValidationError as error:
        return complaint(error)
    return None
