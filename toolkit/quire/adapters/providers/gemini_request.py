"""A request as Gemini's generateContent writes it.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from quire.adapters.providers.files import kind_of, told
from quire.adapters.providers.loose import mapping, parsed, rows, text
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import ModelRequest, ToolForm

__all__ = ["SEALER", "before_3", "gemini_request", "gemini_schema", "made_id"]

_Wire: TypeAlias = dict[str, Any]

_BEFORE_3 = re.compile(r"(^|/)gemini-[12]\b")
SEALER = "gemini"
"""Whose seal is on what these models think."""
_MADE = re.compile(r"call_\d+")
_NO_SEAL = "skip_thought_signature_validator"
"""What Google accepts from Gemini 3 on in place of the seal of a call that another model made."""
_BUDGETS = {"none": 0, "off": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Google's own translation of efforts, for models that only know a number of tokens."""


def before_3(model: str) -> bool:
    """Whether a model is older than Gemini 3, with which much has changed.

    Example:
        >>> before_3("gemini-2.5-flash"), before_3("gemini-flash-latest")
        (True, False)
    """
    return bool(_BEFORE_3.search(model))


def made_id(number: int) -> str:
    """Return an id for a call that came without one; it is never sent back.

    Example:
        >>> made_id(1)
        'call_1'
    """
    return f"call_{number}"


def gemini_request(request: ModelRequest, model: str) -> _Wire:
    """Return the body to send."""
    system = [{"text": message.text} for message in request.messages if message.role == "system" and message.text]
    settings = _settings(request, model)
    if request.output is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseJsonSchema"] = gemini_schema(request.output.schema)
    body: _Wire = {"contents": _contents(request.messages, model)}
    if not body["contents"]:
        # A request must have contents, and instructions alone have none.
        body["contents"], system = [{"role": "user", "parts": system}], []
    body |= {"systemInstruction": {"parts": system}} if system else {}
    body |= {"tools": [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]} if request.tools else {}
    body |= {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}} if request.must_use_tool else {}
    body |= {"generationConfig": settings} if settings else {}
    return body


def _settings(request: ModelRequest, model: str) -> _Wire:
    settings: _Wire = {
        "temperature": request.temperature,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": list(request.stop) or None,
        "thinkingConfig": None if request.reasoning is None else _thinking(request.reasoning, model),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _thinking(effort: str, model: str) -> _Wire:
    word = effort.strip().lower()
    budget = int(word) if re.fullmatch(r"-1|\d{1,9}", word) else None
    # Gemini 2.5 knows numbers only; from Gemini 3 on efforts are words, and only "none" is still a number.
    if budget is None and (_BEFORE_3.search(model) or word in ("none", "off")):
        budget = _BUDGETS.get(word)
    if budget is None:
        return {"thinkingLevel": word, "includeThoughts": True}
    return {"thinkingBudget": budget, "includeThoughts": budget != 0}


def _tool(tool: ToolForm) -> _Wire:
    schema = gemini_schema(tool.parameters)
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": schema}


# --- messages


def _contents(messages: tuple[Message, ...], model: str) -> list[_Wire]:
    contents = [_content(turn, model) for turn in _turns(messages)]
    return [content for content in contents if content["parts"]]


def _turns(messages: tuple[Message, ...]) -> Iterator[Message]:
    """Yield messages with all the results to one message's calls together, in the order of the calls.

    Gemini wants as many results in one turn as there were calls, and pairs by order those without an id.
    """
    order = {call.id: n for n, call in enumerate(call for message in messages for call in message.calls)}
    waiting: list[ToolResult] = []
    for message in messages:
        if message.role == "system":
            continue
        waiting += [part for part in message.parts if isinstance(part, ToolResult)]
        others = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        if others:
            yield from _results(waiting, order)
            waiting = []
            yield Message(role=message.role, parts=others)
    yield from _results(waiting, order)


def _results(waiting: list[ToolResult], order: dict[str, int]) -> Iterator[Message]:
    if waiting:
        ordered = sorted(waiting, key=lambda result: order.get(result.id, len(order)))
        yield Message(role="tool", parts=tuple(ordered))


def _content(turn: Message, model: str) -> _Wire:
    if turn.role != "assistant":
        return {"role": "user", "parts": [wire for part in turn.parts for wire in _given(part)]}
    unsealed = turn.calls and not any(_seal(call) for call in turn.calls)
    parts = _own(turn.parts)
    if unsealed and "gemini" in model and not _BEFORE_3.search(model):
        # Of parallel calls only the first has a seal; without any, Gemini 3 refuses the conversation.
        next(part for part in parts if "functionCall" in part)["thoughtSignature"] = _NO_SEAL
    return {"role": "model", "parts": parts}


def _given(part: Part) -> list[_Wire]:
    match part:
        case Text():
            return [{"text": part.text}]
        case File():
            return [_file(part)]
        case ToolResult():
            response = {"error" if part.failed else "output": part.text}
            given = {"functionResponse": {**_id(part.id), "name": part.tool, "response": response}}
            return [given, *map(_file, part.files)]
        case _:
            return []


def _file(file: File) -> _Wire:
    if kind_of(file) == "text":
        return {"text": told(file)}
    if file.data is None:
        return {"fileData": {"mimeType": file.media_type, "fileUri": file.url}}
    return {"inlineData": {"mimeType": file.media_type, "data": file.data}}


def _own(parts: tuple[Part, ...]) -> list[_Wire]:
    wire: list[_Wire] = []
    for part, after in zip(parts, (*parts[1:], None), strict=True):
        # Words have no place for a seal: theirs follows them.
        seal = _seal(after) if isinstance(after, Thought) and after.redacted else {}
        match part:
            case Text() if part.text or seal:
                wire.append({"text": part.text, **seal})
            case Thought(signature=None) if seal:
                wire.append({"text": part.text, "thought": True, **seal})
            case ToolCall():
                wire.append({"functionCall": _call(part), **_seal(part)})
            case File():
                wire.append(_file(part))
            case _:
                pass  # thoughts without a seal are not wanted back, and those of other providers are refused
    return wire


def _call(part: ToolCall) -> _Wire:
    arguments = part.arguments.strip() or "{}"
    found = parsed(arguments)
    # Arguments must be an object; the model sees what it wrote.
    return {**_id(part.id), "name": part.tool, "args": found if isinstance(found, dict) else {"unreadable": arguments}}


def _id(written: str) -> _Wire:
    return {} if _MADE.fullmatch(written) else {"id": written}


def _seal(part: Thought | ToolCall) -> _Wire:
    # Anybody else's would be refused.
    return {"thoughtSignature": part.signature} if part.signature and part.sealed_by == SEALER else {}


# --- schemas

_KEPT = frozenset({"$ref", "type", "enum", "required", "minimum", "maximum", "minItems", "maxItems", "description"})
_DROPPED = frozenset({"title", "discriminator", "$schema", "$id", "$comment", "examples", "readOnly", "writeOnly"})


def gemini_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema in the part of the language that Gemini reads, a new dict.

    What it does not read is told in the description, so that the model knows; pydantic checks it afterwards.

    Example:
        >>> gemini_schema({"type": "object", "properties": {"n": {"const": 1, "title": "N"}}})
        {'type': 'object', 'properties': {'n': {'enum': [1]}}}
        >>> gemini_schema({"type": "string", "format": "uri", "minLength": 3})
        {'type': 'string', 'description': 'format: "uri". minLength: 3'}
    """
    read: dict[str, Any] = {}
    told: list[str] = []
    for name, value in schema.items():
        known = _keyword(name, value)
        read |= known or {}
        if known is None and name not in _DROPPED:
            told.append(f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}")
    described = text(read.pop("description", ""))
    described = ". ".join(filter(None, (described.rstrip("."), *told))) if told else described
    if "$ref" in read and (described or any(not name.startswith("$") for name in read)):
        # Nothing but definitions may stand beside a reference.
        read = {**{name: read[name] for name in read if name == "$defs"}, "anyOf": [{"$ref": read["$ref"]}]}
    return {**read, "description": described} if described else read


def _keyword(name: str, value: Any) -> dict[str, Any] | None:
    match name:
        case "properties" | "$defs":
            return {name: {key: _inner(part) for key, part in mapping(value).items()}}
        case "anyOf" | "oneOf":
            return {"anyOf": _inner(rows(value))}
        case "items" | "prefixItems" | "additionalProperties":
            return {name: _inner(value)}
        case "const":
            return {"enum": [value]}
        case "allOf" if len(rows(value)) == 1:
            return _inner(rows(value)[0])
        case _:
            return {name: value} if name in _KEPT else None


def _inner(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_inner(part) for part in rows(schema)]
    # `true` and `false` are schemas too.
    return gemini_schema(mapping(schema)) if isinstance(schema, dict) else schema
