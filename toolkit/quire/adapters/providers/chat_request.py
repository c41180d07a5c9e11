"""A request as chat completions write it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from quire.adapters.providers.loose import parsed
from quire.adapters.providers.services import Service
from quire.adapters.providers.strict import strict_schema
from quire.core.messages import Message, Text, Thought, ToolCall, ToolResult
from quire.core.ports import ModelRequest, OutputForm, ToolForm

__all__ = ["chat_request"]


def chat_request(request: ModelRequest, model: str, service: Service, *, at_openai: bool) -> dict[str, Any]:
    """Return the body to send; `at_openai` says that it goes to OpenAI's own servers."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [wire for message in request.messages for wire in _messages(message, service)],
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.output is not None:
        body["response_format"] = _response_format(request.output)
    body |= _settings(request, service, at_openai=at_openai)
    if request.stream:
        body["stream"] = True
        if service.stream_options:
            body["stream_options"] = {"include_usage": True}
    return body


def _settings(request: ModelRequest, service: Service, *, at_openai: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "temperature": request.temperature,
        # The newer name is known to OpenAI only, whose reasoning models refuse the older one.
        "max_completion_tokens" if at_openai else "max_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
    }
    if request.reasoning is not None and service.prefix == "OPENROUTER":
        settings["reasoning"] = {"effort": request.reasoning}
    else:
        settings["reasoning_effort"] = request.reasoning
    return {name: value for name, value in settings.items() if value is not None}


def _tool(tool: ToolForm) -> dict[str, Any]:
    # Never strict: an argument with a default stays optional.
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _response_format(output: OutputForm) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", output.name)[:64] or "reply"
    strict = strict_schema(output.schema)
    form = {"name": name, "schema": output.schema if strict is None else strict, "strict": strict is not None}
    return {"type": "json_schema", "json_schema": form}


def _messages(message: Message, service: Service) -> list[dict[str, Any]]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    wire = [_result(part, service) for part in results]
    if not results or len(results) < len(message.parts):
        wire.append(_spoken(message, service))
    return wire


def _result(part: ToolResult, service: Service) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": _call_id(part.id, service), "content": part.text}


def _spoken(message: Message, service: Service) -> dict[str, Any]:
    # Words left in a tool's message, and a tool's message without results, are for the model to read.
    role = "user" if message.role == "tool" else message.role
    spoken = "".join(part.text for part in message.parts if isinstance(part, Text))
    wire: dict[str, Any] = {"role": role, "content": spoken}
    if message.calls:
        wire["content"] = spoken or None
        wire["tool_calls"] = [_call(part, service) for part in message.calls]
        thought = "".join(part.text for part in message.parts if isinstance(part, Thought))
        if thought and service.returns_thoughts:
            wire["reasoning_content"] = thought
    return wire


def _call(part: ToolCall, service: Service) -> dict[str, Any]:
    # Several servers answer 400 to a history with arguments that are not an object; the model sees what it wrote.
    arguments = part.arguments.strip() or "{}"
    if not isinstance(parsed(arguments), dict):
        arguments = json.dumps({"unreadable": arguments})
    return {
        "id": _call_id(part.id, service),
        "type": "function",
        "function": {"name": part.tool, "arguments": arguments},
    }


def _call_id(written: str, service: Service) -> str:
    # A conversation may come from another provider, whose ids this one would refuse.
    if re.fullmatch(service.call_id, written):
        return written
    return hashlib.sha256(written.encode()).hexdigest()[:9]
