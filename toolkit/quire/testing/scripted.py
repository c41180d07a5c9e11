"""A model that says what it was told to say: stands in wherever an `LLM` does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from quire.core.errors import DefinitionError
from quire.core.messages import Message, Text, ToolCall
from quire.core.ports import Abilities, Answer, ModelRequest, Piece
from quire.core.schema import render
from quire.core.usage import Usage

__all__ = ["ScriptedModel", "ToolUse"]


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A reply that asks for a tool.

    Example:
        >>> ToolUse("lookup", {"id": 4})
        ToolUse(tool='lookup', arguments={'id': 4})
    """

    tool: str
    arguments: Mapping[str, Any] | str = ""
    """The arguments, or the very text a model would write for them."""


Line: TypeAlias = "str | ToolUse | list[ToolUse] | Answer | BaseException | Callable[[ModelRequest], Any] | Any"
"""One reply: words, tool uses, an error to raise, a function of the request, or a value to send as JSON."""


class ScriptedModel:
    """A model with its replies written down in advance, one a request.

    A reply is a string, a `ToolUse` or a list of them (asked for at once), an exception (raised), a
    whole `Answer`, a function of the request that returns one of these, or any other value, which is
    sent as JSON, or by the tool that takes the reply if one is offered. `requests` keeps what was asked.

    Example:
        >>> from quire import Agent
        >>> agent = Agent(ScriptedModel(["Hello!"]), "Greet.")
        >>> agent.execute_sync("Hi")
        'Hello!'
    """

    provider = "scripted"
    simulated = True

    def __init__(self, replies: Iterable[Line], *, model: str = "scripted", abilities: Abilities | None = None) -> None:
        self.model = model
        self.abilities = abilities or Abilities()
        self.requests: list[ModelRequest] = []
        self._replies = list(replies)

    async def ask(self, request: ModelRequest) -> AsyncIterator[Piece | Answer]:
        """Give the next reply, word by word if somebody watches."""
        number = len(self.requests)
        self.requests.append(request)
        if number >= len(self._replies):
            message = f"The script has {len(self._replies)} replies, and this is request {number + 1}."
            raise DefinitionError(message, remedy="Add a reply: ScriptedModel([..., one more]).")
        answer = _answer(self._replies[number], request, number)
        if request.stream and answer.message.text:
            for word in _words(answer.message.text):
                yield Piece(text=word)
        yield answer


def _answer(line: Line, request: ModelRequest, number: int) -> Answer:
    if isinstance(line, BaseException):
        raise line
    if isinstance(line, Answer):
        return line
    uses = _uses(line)
    if uses:
        calls = [
            ToolCall(id=f"call_{number}_{i}", tool=use.tool, arguments=_written(use)) for i, use in enumerate(uses)
        ]
        return _reply(calls, request)
    if callable(line) and not isinstance(line, type):
        return _answer(line(request), request, number)
    return _reply([_value(line, request, number)], request)


def _value(line: Any, request: ModelRequest, number: int) -> Text | ToolCall:
    written = render(line)
    tool = next((tool.name for tool in request.tools if tool.is_reply), None)
    if tool is None or isinstance(line, str):
        return Text(text=written)
    # Arguments are an object, whatever the value is.
    arguments = written if written.startswith("{") else f'{{"value":{written}}}'
    return ToolCall(id=f"call_{number}_0", tool=tool, arguments=arguments)


def _uses(line: Line) -> list[ToolUse]:
    lines = cast("list[Any]", line) if isinstance(line, list) else [line]
    return [use for use in lines if isinstance(use, ToolUse)] if all(isinstance(use, ToolUse) for use in lines) else []


def _reply(parts: Sequence[Text | ToolCall], request: ModelRequest) -> Answer:
    message = Message(role="assistant", parts=tuple(parts))
    spoken = message.text + " ".join(f"{call.tool} {call.arguments}" for call in message.calls)
    usage = Usage(input_tokens=sum(_count(m.text) for m in request.messages), output_tokens=_count(spoken))
    return Answer(message=message, finish_reason="tool_calls" if message.calls else "stop", usage=usage)


def _written(use: ToolUse) -> str:
    return use.arguments if isinstance(use.arguments, str) else json.dumps(dict(use.arguments))


def _count(text: str) -> int:
    """Count words as tokens: stable, and easy to check by eye."""
    return len(text.split())


def _words(text: str) -> list[str]:
    pieces = text.split(" ")
    return [piece + (" " if i < len(pieces) - 1 else "") for i, piece in enumerate(pieces)]
