"""A request as the Messages API writes it, and what is particular about each model, as data."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from quire.adapters.providers.anthropic_schema import native_schema
from quire.adapters.providers.calls import fitting_id
from quire.adapters.providers.files import kind_of, refused
from quire.adapters.providers.loose import mapping, parsed
from quire.adapters.providers.services import SERVICES
from quire.core.errors import InvalidRequest
from quire.core.messages import File, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import ModelRequest, ToolForm

__all__ = ["SEALER", "ModelFacts", "facts_of", "messages_request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is particular about one model."""

    output_schema: bool = False
    """Whether a reply can be held to a JSON schema."""
    adaptive: bool = False
    """Whether it decides itself how long to think, told an effort; the others are given a number of tokens."""
    must_use_tool: bool = True
    """Whether it can be made to use a tool."""
    prompt_cache: bool = False
    """Whether it can be asked to remember the beginning of a prompt."""
    max_tokens: int = 8192
    """The most tokens of a reply when nobody says: the API wants a number. What it thinks is added to it."""


_CLAUDE = ModelFacts(prompt_cache=True)

_BY_NAME: tuple[tuple[re.Pattern[str], ModelFacts], ...] = tuple(
    (re.compile(pattern), facts)
    for pattern, facts in (
        (r"claude-(instant|2|3-(opus|sonnet|haiku))", ModelFacts(prompt_cache=True, max_tokens=4096)),
        (r"claude-3", _CLAUDE),
        # Claude 4 itself, with or without its date, and not 4-1 and what came later.
        (r"claude-(opus|sonnet|haiku)-4(-0)?(-latest|[-@]\d{8}|-v\d|$)", _CLAUDE),
        (r"claude-[a-z]+-4-[1-5](?!\d)", replace(_CLAUDE, output_schema=True)),
        (r"claude-(fable|mythos)", replace(_CLAUDE, output_schema=True, adaptive=True, must_use_tool=False)),
        (r"claude-", replace(_CLAUDE, output_schema=True, adaptive=True)),
    )
)
"""The first that matches; a model of another maker, behind an address that speaks this API, matches none."""

_BUDGETS = {"low": 1024, "medium": 4096, "high": 16384}
"""Tokens to think with, by effort, for models that are given a number."""
_LEAST_BUDGET = 1024
_IDS = SERVICES["anthropic"].call_id
_CACHED = {"cache_control": {"type": "ephemeral"}}
SEALER = "anthropic"
"""Whose seal is on what these models think."""


def facts_of(model: str) -> ModelFacts:
    """Return what is particular about a model.

    Example:
        >>> facts_of("claude-opus-4-1").output_schema, facts_of("claude-sonnet-4-20250514").output_schema
        (True, False)
    """
    name = model.lower().replace(".", "-")
    return next((facts for pattern, facts in _BY_NAME if pattern.search(name)), ModelFacts())


def messages_request(request: ModelRequest, model: str) -> dict[str, Any]:
    """Return the body to send.

    Example:
        >>> from quire.core.messages import Message
        >>> messages_request(ModelRequest(messages=(Message.of("user", "Hi"),)), "claude-haiku-4-5")
        {'model': 'claude-haiku-4-5', 'max_tokens': 8192, \
'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hi'}]}]}
    """
    facts = facts_of(model)
    request = _fit_to_think(request, facts)
    native = native_schema(request.output.schema) if request.output else None
    thinking = _thinking(request, facts)
    body = {
        "model": model,
        "max_tokens": _most_tokens(request, facts),
        "system": _system(request, facts, native),
        "messages": _turns(request, facts),
        "tools": [_tool(tool) for tool in request.tools],
        # A model that thinks cannot be made to use a tool.
        "tool_choice": {"type": "any"} if request.must_use_tool and not thinking else {},
        "temperature": request.temperature,
        "stop_sequences": list(request.stop),
        "thinking": thinking,
        "output_config": _output_config(request, facts, native),
        "stream": request.stream or None,
    }
    return {name: value for name, value in body.items() if value is not None and value not in ("", [], {})}


def _fit_to_think(request: ModelRequest, facts: ModelFacts) -> ModelRequest:
    """Return the request without thoughts, if it cannot be thought on from where the conversation is.

    A model that is told how long to think refuses that after calls that were made without a thought of its own,
    as those of another model are. In the next turn it thinks again.
    """
    if request.reasoning is None or facts.adaptive or not _called_without_a_thought(request):
        return request
    messages = (
        replace(message, parts=tuple(part for part in message.parts if not isinstance(part, Thought)))
        for message in request.messages
    )
    return replace(request, messages=tuple(messages), reasoning=None)


def _called_without_a_thought(request: ModelRequest) -> bool:
    goes_on = bool(request.messages) and request.messages[-1].role == "tool"
    called = next((message for message in reversed(request.messages) if message.role == "assistant"), None)
    if not goes_on or called is None:
        return False
    return not any(isinstance(part, Thought) and _thought(part) for part in called.parts[:1])


def _most_tokens(request: ModelRequest, facts: ModelFacts) -> int:
    if request.max_tokens is not None:
        return request.max_tokens
    if request.reasoning is None:
        return facts.max_tokens
    # How long an effort makes a model think is its own affair, so there is room for much.
    budget = None if facts.adaptive else _BUDGETS.get(request.reasoning)
    return facts.max_tokens + (budget or _BUDGETS["high"])


def _system(request: ModelRequest, facts: ModelFacts, native: dict[str, Any] | None) -> str | list[dict[str, Any]]:
    said = [message.text for message in request.messages if message.role == "system"]
    if request.output is not None and native is None:
        # A shape the API cannot enforce, such as a mapping with any keys, is asked for in words.
        schema = json.dumps(request.output.schema, ensure_ascii=False)
        said.append(f"Reply with JSON alone, no other words, that fits this JSON schema:\n{schema}")
    words = "\n\n".join(words for words in said if words.strip())
    # Tools and instructions stay the same from call to call, so the provider is asked to remember them; what is too
    # short for its cache costs nothing more.
    return [{"type": "text", "text": words, **_CACHED}] if words and facts.prompt_cache else words


def _thinking(request: ModelRequest, facts: ModelFacts) -> dict[str, Any]:
    if request.reasoning is None:
        return {}
    if facts.adaptive:
        # The newest models keep their thoughts to themselves unless they are asked for.
        return {"type": "adaptive", "display": "summarized"}
    budget = _BUDGETS.get(request.reasoning)
    if budget is None:
        what = f"This model does not know reasoning={request.reasoning!r}."
        raise InvalidRequest(what, remedy=f"It is one of {', '.join(_BUDGETS)}.")
    # Thinking counts towards a limit that was set, so half of it is left for the answer.
    room = budget if request.max_tokens is None else min(budget, request.max_tokens // 2)
    return {"type": "enabled", "budget_tokens": max(_LEAST_BUDGET, room)}


def _output_config(request: ModelRequest, facts: ModelFacts, native: dict[str, Any] | None) -> dict[str, Any]:
    effort = {"effort": request.reasoning} if request.reasoning is not None and facts.adaptive else {}
    form = {"format": {"type": "json_schema", "schema": native}} if native is not None else {}
    return {**effort, **form}


def _tool(tool: ToolForm) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": {"type": "object", **tool.parameters}}


def _turns(request: ModelRequest, facts: ModelFacts) -> list[dict[str, Any]]:
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in request.messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts if (block := _block(part))] if message.role != "system" else []
        # The turns alternate: the results of several tools, and what was said beside them, are one.
        if blocks and turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    turns = [(role, _results_first(blocks)) for role, blocks in turns]
    if request.calls and facts.prompt_cache and turns[-1][0] == "user":
        # A turn with tools goes on from here: the next call reads all of this from the cache.
        turns[-1][1][-1].update(_CACHED)
    return [{"role": role, "content": blocks} for role, blocks in turns]


def _results_first(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # The API wants results right behind their calls, and words after them.
    return sorted(blocks, key=lambda block: block["type"] != "tool_result") if _has_result(blocks) else blocks


def _has_result(blocks: list[dict[str, Any]]) -> bool:
    return any(block["type"] == "tool_result" for block in blocks)


def _block(part: Part) -> dict[str, Any] | None:
    match part:
        case Text():
            # A block without words is refused.
            return {"type": "text", "text": part.text} if part.text.strip() else None
        case Thought():
            return _thought(part)
        case ToolCall():
            return _call(part)
        case ToolResult():
            return _result(part)
        case File():
            return _file(part)


def _thought(part: Thought) -> dict[str, Any] | None:
    # Without the API's own seal it is another provider's, or was cut off, and would be refused.
    if part.signature is None or part.sealed_by != SEALER:
        return None
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.signature}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _call(part: ToolCall) -> dict[str, Any]:
    # The API takes an object only; of broken arguments, the model sees what it wrote.
    given = parsed(part.arguments.strip() or "{}")
    arguments = mapping(given) if isinstance(given, dict) else {"unreadable": part.arguments}
    return {"type": "tool_use", "id": fitting_id(part.id, _IDS), "name": part.tool, "input": arguments}


def _file(file: File) -> dict[str, Any]:
    match kind_of(file):
        case "image":
            return {"type": "image", "source": _source(file)}
        case "document" if file.media_type == "application/pdf":
            return {"type": "document", "source": _source(file), **_title(file)}
        case "text":
            words = {"type": "text", "media_type": "text/plain", "data": file.content.decode("utf-8", "replace")}
            return {"type": "document", "source": words, **_title(file)}
        case _:
            raise refused(file, SEALER)


def _source(file: File) -> dict[str, Any]:
    if file.url is not None:
        return {"type": "url", "url": file.url}
    return {"type": "base64", "media_type": file.media_type, "data": file.data}


def _title(file: File) -> dict[str, str]:
    return {"title": file.name} if file.name else {}


def _result(part: ToolResult) -> dict[str, Any]:
    # An error without words is refused.
    words = "It failed." if part.failed and not part.text.strip() else part.text
    wire: dict[str, Any] = {"type": "tool_result", "tool_use_id": fitting_id(part.id, _IDS), "content": words}
    if part.files:
        said = [{"type": "text", "text": words}] if words.strip() else []
        wire["content"] = [*said, *map(_file, part.files)]
    return {**wire, "is_error": True} if part.failed else wire
