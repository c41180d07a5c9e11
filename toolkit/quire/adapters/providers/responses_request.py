"""A request as the Responses API writes it: a row of items, where chat completions have messages.

https://platform.openai.com/docs/api-reference/responses/create

Nothing is kept at the provider. What a model thought goes back with the conversation instead: each of its items as
it came, sealed, in its place. An item without what came of it, or before a model that does not think, is refused.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

from quire.adapters.providers.calls import fitting_id, object_text
from quire.adapters.providers.files import data_url, kind_of, named, refused, told
from quire.adapters.providers.loose import mapping, parsed
from quire.adapters.providers.services import Service, sealer
from quire.adapters.providers.strict import strict_form
from quire.core.errors import InvalidRequest
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import ModelRequest, ToolForm

__all__ = ["responses_request", "thinks"]

_THINKS = re.compile(r"\b(o\d|codex-|gpt-oss|gpt-?(?!5-chat)[5-9])")
_PHASES = re.compile(r"\bgpt-(5\.3-codex|5\.[4-9]|[6-9])")
"""Models that tell remarks on the way from the final answer, and want to be told so again."""


def thinks(model: str) -> bool:
    """Whether a model reasons before it answers; the others refuse whatever has to do with reasoning.

    Example:
        >>> [thinks(model) for model in ("gpt-4o-mini", "o3", "gpt-5.2", "gpt-5-chat-latest")]
        [False, True, True, False]
    """
    return bool(_THINKS.search(model.lower()))


def responses_request(request: ModelRequest, model: str, service: Service) -> dict[str, Any]:
    """Return the body to send.

    Raises:
        InvalidRequest: something is asked for that the API does not know.
    """
    if request.stop:
        remedy = 'Leave out LLM(stop=...), or ask with chat completions: provider="openai-chat", at Azure "azure".'
        raise InvalidRequest("The Responses API knows no stop sequences.", remedy=remedy)
    reasoning = request.reasoning is not None or thinks(model)
    instructions, messages = _instructions(request.messages)
    body = {
        "model": model,
        "instructions": instructions,
        "input": [item for message in messages for item in _items(message, model, service, reasoning=reasoning)],
        "tools": [_tool(tool) for tool in request.tools],
        "tool_choice": "required" if request.tools and request.must_use_tool else None,
        "text": {"format": {"type": "json_schema", **strict_form(request.output)}} if request.output else None,
        "reasoning": {"effort": request.reasoning, "summary": "auto"} if request.reasoning is not None else None,
        "temperature": request.temperature,
        "max_output_tokens": request.max_tokens,
        "include": ["reasoning.encrypted_content"] if reasoning else None,
        "store": False,
        "stream": request.stream or None,
    }
    return {name: value for name, value in body.items() if value is not None and value not in ("", [])}


def _instructions(messages: tuple[Message, ...]) -> tuple[str, tuple[Message, ...]]:
    """Return what is said before everything else, and the rest of the conversation."""
    first = list(takewhile(lambda message: message.role == "system", messages))
    if len(first) == len(messages):
        # Instructions alone are no request: they are given as words.
        return "", messages
    return "\n\n".join(message.text for message in first if message.text), messages[len(first) :]


def _tool(tool: ToolForm) -> dict[str, Any]:
    # Strict unless it says otherwise, here; an argument with a default stays optional.
    form = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **form, "strict": False}


def _items(message: Message, model: str, service: Service, *, reasoning: bool) -> list[dict[str, Any]]:
    items = [_output(part, service) for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "assistant":
        return items + _said(message, model, service, reasoning=reasoning)
    content = [_content(part, service) for part in message.parts if isinstance(part, (Text, File))]
    role = "developer" if message.role == "system" else "user"
    return [*items, {"role": role, "content": content}] if content else items


def _content(part: Text | File, service: Service) -> dict[str, Any]:
    return {"type": "input_text", "text": part.text} if isinstance(part, Text) else _file(part, service)


def _file(file: File, service: Service) -> dict[str, Any]:
    match kind_of(file):
        case "image":
            return {"type": "input_image", "image_url": data_url(file)}
        case "text":
            return {"type": "input_text", "text": told(file)}
        case "document" if file.url is not None:
            return {"type": "input_file", "file_url": file.url}
        case "document":
            return {"type": "input_file", "filename": named(file), "file_data": data_url(file)}
        case _:
            raise refused(file, sealer(service))


def _output(part: ToolResult, service: Service) -> dict[str, Any]:
    output: str | list[dict[str, Any]] = part.text
    if part.files:
        words = [Text(text=part.text)] if part.text else []
        output = [_content(given, service) for given in (*words, *part.files)]
    return {"type": "function_call_output", "call_id": fitting_id(part.id, service.call_id), "output": output}


def _said(message: Message, model: str, service: Service, *, reasoning: bool) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for n, part in enumerate(message.parts):
        if isinstance(part, Thought):
            waiting += _opened(part, service) if reasoning else []
        elif isinstance(part, File):
            # A model's own turn has place for words only.
            items.append({"role": "user", "content": [_file(part, service)]})
        elif (item := _own(part, message.parts[n + 1 :], model, service)) is not None:
            items += [*waiting, item]
            waiting = []
    return items


def _opened(part: Thought, service: Service) -> list[dict[str, Any]]:
    item = mapping(parsed(part.signature or "")) if part.sealed_by == sealer(service) else {}
    return [item] if item.get("type") == "reasoning" else []


def _own(part: Part, after: tuple[Part, ...], model: str, service: Service) -> dict[str, Any] | None:
    # Items go back without the ids they had: there is nothing at the provider that they could name.
    match part:
        case Text() if part.text:
            content = [{"type": "output_text", "text": part.text}]
            return {"type": "message", "role": "assistant", "content": content, **_phase(after, model)}
        case ToolCall():
            call = {"call_id": fitting_id(part.id, service.call_id), "name": part.tool, "arguments": object_text(part)}
            return {"type": "function_call", **call}
        case _:
            return None


def _phase(after: tuple[Part, ...], model: str) -> dict[str, str]:
    if not _PHASES.search(model.lower()):
        return {}
    goes_on = any(isinstance(part, (Text, ToolCall)) for part in after)
    return {"phase": "commentary" if goes_on else "final_answer"}
