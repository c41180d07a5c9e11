"""An agent's turn as a pure machine: what happened goes in, what to do next comes out.

    begin                 -> Ask
    Answer with calls     -> Use   -> their results -> Ask
    Answer with a reply   -> Done, or Ask again with the complaint, or Broken

A reply is words, or a call of the tool that takes it, which counts only when it is called alone: together
with others it could not know what they give, so they run first and the model is told to call it again.

Which model is asked, and what it can do, is no part of the turn: `request` words the conversation so far
for whoever is asked next, who may be another than before. Nothing here awaits, reads a clock or touches
a log, so a turn can be replayed from its record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeAlias

from quire.agents.modes import reply_name, way_for
from quire.agents.parse import form_of, instruction_for, parse
from quire.core.contents import Contents
from quire.core.errors import ContentFiltered, OutputValidationError, QuireError, ToolRoundsExceeded
from quire.core.messages import Message, Part, Text, ToolCall, ToolResult
from quire.core.ports import Abilities, Answer, ModelRequest, OutputForm, ToolForm
from quire.core.schema import type_name

__all__ = ["Ask", "Broken", "Done", "Rules", "Turn", "Use", "Want", "begin", "exchange", "heard", "request", "used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What stays the same for a whole turn."""

    agent: str
    output: Any
    tools: tuple[ToolForm, ...]
    output_attempts: int
    max_tool_rounds: int

    @property
    def form(self) -> OutputForm | None:
        """The shape of the reply; `None` for plain text."""
        return form_of(self.output)

    @property
    def reply(self) -> str | None:
        """The tool whose call is the reply, where a model is offered it."""
        return None if self.form is None else reply_name(self.tools)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a turn stands."""

    rules: Rules
    messages: tuple[Message, ...]
    before: int = 0
    """How many of the messages after the instructions were said in earlier turns."""
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


def begin(rules: Rules, instructions: str, said: Contents, before: Sequence[Message] = ()) -> tuple[Turn, Want]:
    """Open a turn with the instructions, what was said before, and what the user said."""
    messages = (Message.of("system", instructions), *before, Message(role="user", parts=said))
    return Turn(rules=rules, messages=messages, before=len(before)), Ask()


def request(turn: Turn, abilities: Abilities, settings: Mapping[str, Any]) -> ModelRequest:
    """Word the conversation so far for a model that can do this and is set like that."""
    (instructions, *said), way = turn.messages, way_for(turn.rules.form, turn.rules.tools, abilities)
    if way.words:
        instructions = Message.of("system", f"{instructions.text}\n\n{way.words}")
    return ModelRequest(
        messages=(instructions, *said),
        tools=way.tools,
        output=way.output,
        must_use_tool=way.must_use_tool,
        **settings,
    )


def heard(turn: Turn, answer: Answer) -> tuple[Turn, Want]:
    """Take the model's answer into account."""
    turn = replace(turn, messages=(*turn.messages, answer.message))
    calls, reply = answer.message.calls, turn.rules.reply
    replies = tuple(call for call in calls if call.tool == reply)
    others = tuple(call for call in calls if call.tool != reply)
    if others:
        return _asked_for_tools(turn, others)
    return _replied(turn, answer, replies) if replies else _answered(turn, answer)


def used(turn: Turn, results: Sequence[ToolResult]) -> tuple[Turn, Want]:
    """Take the results of the tools into account, in the order they were asked for."""
    calls, given, reply = turn.messages[-1].calls, iter(results), turn.rules.reply
    early = "Not taken, because other tools were called with it. Look at what they gave, then call it alone."
    told = tuple(_refused(call, early) if call.tool == reply else next(given) for call in calls)
    return _said(turn, Message(role="tool", parts=told)), Ask()


def exchange(turn: Turn) -> tuple[Message, ...]:
    """Return what a turn that is over adds to a conversation: question, calls, results and reply.

    Replies that did not fit are left out, and a reply by call is words: whoever goes on with the conversation
    may have no such tool, and the call has no result. No two calls have the same id, or not every provider
    would take them; there are servers that begin to number anew with each reply.
    """
    question, *said = turn.messages[1 + turn.before :]
    kept = [question]
    while said:
        message, *said = said
        if not said:
            kept.append(_in_words(message, turn.rules.reply))
        elif any(call.tool != turn.rules.reply for call in message.calls):
            results, *said = said
            kept += [_without(message, turn.rules.reply), _without(results, turn.rules.reply)]
        else:
            del said[0]  # what was wrong with it
    return _told_apart(kept, turn.messages[1 : 1 + turn.before])


def _told_apart(said: Sequence[Message], before: Sequence[Message]) -> tuple[Message, ...]:
    """Return the messages of a turn with ids for its calls that no call before them has."""
    if not any(message.calls for message in said):
        return tuple(said)
    taken = {call.id for message in before for call in message.calls}
    ids: dict[str, str] = {}
    apart: list[Message] = []
    for message in said:
        # The results of a reply's calls follow it at once.
        ids.update({call.id: _unused(call.id, taken) for call in message.calls})
        apart.append(replace(message, parts=tuple(_renamed(part, ids) for part in message.parts)))
    return tuple(apart)


def _unused(id: str, taken: set[str]) -> str:
    free = next(name for n in count(1) if (name := id if n == 1 else f"{id}_{n}") not in taken)
    taken.add(free)
    return free


def _renamed(part: Part, ids: Mapping[str, str]) -> Part:
    return replace(part, id=ids.get(part.id, part.id)) if isinstance(part, (ToolCall, ToolResult)) else part


def _in_words(message: Message, reply: str | None) -> Message:
    parts = (
        Text(text=part.arguments) if isinstance(part, ToolCall) and part.tool == reply else part
        for part in message.parts
    )
    return replace(message, parts=tuple(parts))


def _without(message: Message, reply: str | None) -> Message:
    parts = (part for part in message.parts if not (isinstance(part, (ToolCall, ToolResult)) and part.tool == reply))
    return replace(message, parts=tuple(parts))


def _asked_for_tools(turn: Turn, calls: tuple[ToolCall, ...]) -> tuple[Turn, Want]:
    if turn.rounds >= turn.rules.max_tool_rounds:
        asked = ", ".join(call.tool for call in calls)
        message = f"`{turn.rules.agent}` asked for tools {turn.rounds + 1} times in one turn, last for {asked}."
        remedy = "Allow more with max_tool_rounds=, or tell it in its instructions when to stop."
        return turn, Broken(error=ToolRoundsExceeded(message, remedy=remedy))
    return replace(turn, rounds=turn.rounds + 1), Use(calls=calls)


def _answered(turn: Turn, answer: Answer) -> tuple[Turn, Want]:
    """Take words as the reply."""
    rules, text = turn.rules, answer.message.text
    if answer.finish_reason == "content_filter":
        message = f"The model of `{rules.agent}` or its filter stopped the reply."
        stopped = ContentFiltered(message, remedy="Ask in other words.", body=text)
        stopped.partial = text
        return turn, Broken(error=stopped)
    if answer.finish_reason == "length" and not text.strip():
        turn = replace(turn, attempts=turn.attempts + 1)
        return turn, Broken(error=_invalid(turn, text, "The limit of tokens was reached before a word was said."))
    form = rules.form
    if form is None:
        return turn, Done(value=text)
    try:
        return turn, Done(value=parse(rules.output, text))
    except ValueError as error:
        turn, problem = _failed(turn, answer, error)
    if turn.attempts >= rules.output_attempts:
        return turn, Broken(error=_invalid(turn, text, problem))
    # With the schema: not every server that accepts one shows it to its model.
    return _said(turn, Message.of("user", f"{problem}\n{instruction_for(form)}")), Ask()


def _replied(turn: Turn, answer: Answer, calls: tuple[ToolCall, ...]) -> tuple[Turn, Want]:
    """Take a call as the reply."""
    raw = "\n".join(call.arguments for call in calls)
    try:
        if len(calls) > 1:
            message = f"`{turn.rules.reply}` was called {len(calls)} times; it takes the whole reply at once."
            raise ValueError(message)  # noqa: TRY301 - it is wrong like any other reply that does not fit
        return turn, Done(value=parse(turn.rules.output, raw or "{}"))
    except ValueError as error:
        turn, problem = _failed(turn, answer, error)
    if turn.attempts >= turn.rules.output_attempts:
        return turn, Broken(error=_invalid(turn, raw, problem))
    again = f"{problem}\nCall `{turn.rules.reply}` again, once, with the whole corrected reply."
    return _said(turn, Message(role="tool", parts=tuple(_refused(call, again) for call in calls))), Ask()


def _failed(turn: Turn, answer: Answer, error: ValueError) -> tuple[Turn, str]:
    """Count an attempt and say what was wrong with it."""
    cut = "The reply was cut off at the limit of tokens. " if answer.finish_reason == "length" else ""
    return replace(turn, attempts=turn.attempts + 1), f"That does not fit what was asked for:\n{cut}{error}"


def _refused(call: ToolCall, why: str) -> ToolResult:
    return ToolResult(id=call.id, tool=call.tool, text=why, failed=True)


def _said(turn: Turn, message: Message) -> Turn:
    return replace(turn, messages=(*turn.messages, message))


def _invalid(turn: Turn, text: str, problem: str) -> OutputValidationError:
    times = "once" if turn.attempts == 1 else f"{turn.attempts} times"
    what = f"`{turn.rules.agent}` was asked for {type_name(turn.rules.output)} and replied {times} with something else."
    remedy = f"{problem}\nAllow more tries with output_attempts=, or say in the instructions what each field means."
    return OutputValidationError(what, remedy=remedy, raw=text)
