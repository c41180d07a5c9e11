"""A request as chat completions write it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from quire.adapters.providers.calls import fitting_id, object_text
from quire.adapters.providers.files import data_url, kind_of, named, refused, told
from quire.adapters.providers.loose import parsed, rows
from quire.adapters.providers.services import Service, sealer
from quire.adapters.providers.strict import strict_form
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import ModelRequest, ToolForm

__all__ = ["chat_request"]

_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def chat_request(request: ModelRequest, model: str, service: Service, *, at_openai: bool) -> dict[str, Any]:
    """Return the body to send; `at_openai` says that it goes to OpenAI's own servers."""
    body: dict[str, Any] = {
        "model": model,
        "messages": _messages(request.messages, service),
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.must_use_tool:
            body["tool_choice"] = "required"
    if request.output is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": strict_form(request.output)}
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
    if request.reasoning is not None and service.nested_effort:
        settings["reasoning"] = {"effort": request.reasoning}
    else:
        settings["reasoning_effort"] = request.reasoning
    return {name: value for name, value in settings.items() if value is not None}


def _tool(tool: ToolForm) -> dict[str, Any]:
    # Never strict: an argument with a default stays optional.
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _messages(messages: tuple[Message, ...], service: Service) -> list[dict[str, Any]]:
    wire: list[dict[str, Any]] = []
    for message in _one_system(messages) if service.one_system else messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        wire += [_result(part, service) for part in results]
        if not results or len(results) < len(message.parts):
            wire.append(_spoken(message, service))
        shown = [part for result in results if result.files for part in (Text(text=_shown(result)), *result.files)]
        if shown:
            # A tool's message has place for words only; what is to be seen comes from the user.
            wire.append({"role": "user", "content": _content(shown, service)})
    return wire


def _one_system(messages: tuple[Message, ...]) -> list[Message]:
    said = [message.text for message in messages if message.role == "system"]
    first = [Message.of("system", "\n\n".join(said))] if said else []
    return [*first, *(message for message in messages if message.role != "system")]


def _shown(result: ToolResult) -> str:
    return f"What {result.tool} gave ({result.id}):"


def _result(part: ToolResult, service: Service) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": fitting_id(part.id, service.call_id), "content": part.text}


def _spoken(message: Message, service: Service) -> dict[str, Any]:
    # Words left in a tool's message, and a tool's message without results, are for the model to read.
    role = "user" if message.role == "tool" else message.role
    wire: dict[str, Any] = {"role": role, "content": _content(message.parts, service)}
    if message.calls:
        wire["content"] = wire["content"] or None
        wire["tool_calls"] = [_call(part, service) for part in message.calls]
    return wire | _thoughts(message, service)


def _content(parts: Iterable[Part], service: Service) -> str | list[dict[str, Any]]:
    seen = [part for part in parts if isinstance(part, (Text, File))]
    if not any(isinstance(part, File) for part in seen):
        return "".join(part.text for part in seen if isinstance(part, Text))
    return [
        _file(part, service) if isinstance(part, File) else {"type": "text", "text": part.text}
        for part in seen
        if isinstance(part, File) or part.text
    ]


def _file(file: File, service: Service) -> dict[str, Any]:
    kind = kind_of(file)
    if kind == "text":
        return {"type": "text", "text": told(file)}
    if kind not in service.files:
        raise refused(file, sealer(service))
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": data_url(file)}}
    if kind == "audio" and file.data is not None and file.media_type in _SOUNDS:
        return {"type": "input_audio", "input_audio": {"data": file.data, "format": _SOUNDS[file.media_type]}}
    if kind == "document":
        return {"type": "file", "file": {"filename": named(file), "file_data": data_url(file)}}
    raise refused(file, sealer(service))


def _thoughts(message: Message, service: Service) -> dict[str, Any]:
    """Return what a service wants back of what its models thought; of others' thoughts, at most the words."""
    thoughts = [part for part in message.parts if isinstance(part, Thought)]
    sealed = [detail for part in thoughts if part.sealed_by == sealer(service) for detail in rows(_sealed(part))]
    if sealed:
        return {"reasoning_details": sealed}
    if not (message.calls and service.returns_thoughts):
        return {}
    # Calls without a thought, which another model has made, are refused; so is a thought of nothing at all.
    return {"reasoning_content": "".join(part.text for part in thoughts) or " "}


def _sealed(part: Thought) -> Any:
    return parsed(part.signature or "")


def _call(part: ToolCall, service: Service) -> dict[str, Any]:
    return {
        "id": fitting_id(part.id, service.call_id),
        "type": "function",
        "function": {"name": part.tool, "arguments": object_text(part)},
    }
