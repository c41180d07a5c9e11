"""An agent's turn as a pure machine: what happened goes in, what to do next comes out.

    begin              -> Ask
    Answer with calls  -> Use     -> their results -> Ask
    Answer without     -> Done, or Ask again with the complaint, or Broken

Which model is asked, and what it can do, is no part of the turn: `request` words the conversation so far
for whoever is asked next, who may be another than before. Nothing here awaits, reads a clock or touches
a log, so a turn can be replayed from its record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from quire.agents.parse import form_of, instruction_for, parse
from quire.core.contents import Contents
from quire.core.errors import ContentFiltered, OutputValidationError, QuireError, ToolRoundsExceeded
from quire.core.messages import Message, ToolCall, ToolResult
from quire.core.ports import Abilities, Answer, ModelRequest, ToolForm
from quire.core.schema import type_name

__all__ = ["Ask", "Broken", "Done", "Rules", "Turn", "Use", "Want", "begin", "heard", "request", "used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What stays the same for a whole turn."""

    agent: str
    output: Any
    tools: tuple[ToolForm, ...]
    output_attempts: int
    max_tool_rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a turn stands."""

    rules: Rules
    messages: tuple[Message, ...]
    rounds: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask a model: `request` has the words for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Run these tools, side by side."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The turn is over and this is its value."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The turn cannot go on."""

    error: QuireError


Want: TypeAlias = Ask | Use | Done | Broken


def begin(rules: Rules, instructions: str, said: Contents) -> tuple[Turn, Want]:
    """Open a turn with the instructions and what the user said."""
    messages = (Message.of("system", instructions), Message(role="user", parts=said))
    return Turn(rules=rules, messages=messages), Ask()


def request(turn: Turn, abilities: Abilities, settings: Mapping[str, Any]) -> ModelRequest:
    """Word the conversation so far for a model that can do this and is set like that."""
    form, (instructions, *said) = form_of(turn.rules.output), turn.messages
    if form is not None and not abilities.output_schema:
        # It cannot be held to a schema, so it is asked in words.
        instructions, form = Message.of("system", f"{instructions.text}\n\n{instruction_for(form)}"), None
    return ModelRequest(messages=(instructions, *said), tools=turn.rules.tools, output=form, **settings)


def heard(turn: Turn, answer: Answer) -> tuple[Turn, Want]:
    """Take the model's answer into account."""
    turn = replace(turn, messages=(*turn.messages, answer.message))
    if answer.message.calls:
        return _asked_for_tools(turn, answer.message.calls)
    return _answered(turn, answer)


def used(turn: Turn, results: Sequence[ToolResult]) -> tuple[Turn, Want]:
    """Take the results of the tools into account, in the order they were asked for."""
    return replace(turn, messages=(*turn.messages, Message(role="tool", parts=tuple(results)))), Ask()


def _asked_for_tools(turn: Turn, calls: tuple[ToolCall, ...]) -> tuple[Turn, Want]:
    if turn.rounds >= turn.rules.max_tool_rounds:
        asked = ", ".join(call.tool for call in calls)
        message = f"`{turn.rules.agent}` asked for tools {turn.rounds + 1} times in one turn, last for {asked}."
        remedy = "Allow more with max_tool_rounds=, or tell it in its instructions when to stop."
        return turn, Broken(error=ToolRoundsExceeded(message, remedy=remedy))
    return replace(turn, rounds=turn.rounds + 1), Use(calls=calls)


def _answered(turn: Turn, answer: Answer) -> tuple[Turn, Want]:
    rules, text = turn.rules, answer.message.text
    if answer.finish_reason == "content_filter":
        message = f"The model of `{rules.agent}` or its filter stopped the reply."
        return turn, Broken(error=ContentFiltered(message, remedy="Ask in other words.", body=text))
    if answer.finish_reason == "length" and not text.strip():
        turn = replace(turn, attempts=turn.attempts + 1)
        return turn, Broken(error=_invalid(turn, text, "The limit of tokens was reached before a word was said."))
    try:
        return turn, Done(value=parse(rules.output, text))
    except ValueError as error:
        problem = str(error)
    turn = replace(turn, attempts=turn.attempts + 1)
    if answer.finish_reason == "length":
        problem = f"The reply was cut off at the limit of tokens. {problem}"
    if turn.attempts >= rules.output_attempts:
        return turn, Broken(error=_invalid(turn, text, problem))
    complaint = f"That does not fit what was asked for:\n{problem}\nReply again, with the whole corrected JSON alone."
    return replace(turn, messages=(*turn.messages, Message.of("user", complaint))), Ask()


def _invalid(turn: Turn, text: str, problem: str) -> OutputValidationError:
    times = "once" if turn.attempts == 1 else f"{turn.attempts} times"
    what = f"`{turn.rules.agent}` was asked for {type_name(turn.rules.output)} and replied {times} with something else."
    remedy = f"{problem}\nAllow more tries with output_attempts=, or say in the instructions what each field means."
    return OutputValidationError(what, remedy=remedy, raw=text)
