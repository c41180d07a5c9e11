r"""Events to lines of JSON and back: lossless, one event a line, readable by anything.

A line is `{"kind": …, "seq": …, "at": …, "run": …, "span": …, "parent": …, …}`; fields at their
default are left out, and what a newer version added (fields, parts of a message, counts of a usage)
is dropped on reading. Half a surrogate pair, which a model that is cut off can leave behind, is not
Unicode and has no UTF-8: it is kept as JSON's own escape, `\ud83d`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

from pydantic_core import from_json, to_json, to_jsonable_python

from quire.core.events import KINDS, Event, Unknown
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.usage import Usage

__all__ = ["decode", "encode", "from_record", "plain_part", "to_record"]

_COMMON = ("seq", "at", "run", "span", "parent")
_PARTS: dict[str, type[Part]] = {
    "text": Text,
    "file": File,
    "thought": Thought,
    "call": ToolCall,
    "result": ToolResult,
}
_PART_WORDS = {part: word for word, part in _PARTS.items()}


def _own_fields(kind: type[Event]) -> tuple[tuple[str, Any], ...]:
    return tuple((f.name, f.default) for f in dataclasses.fields(kind) if f.name not in _COMMON)


_FIELDS = {kind: _own_fields(kind) for kind in KINDS.values()}
_SLOTS = {kind: frozenset(f.name for f in dataclasses.fields(kind)) for kind in (*_PART_WORDS, Usage)}


def encode(event: Event) -> bytes:
    r"""Return the event as one line of JSON, newline included.

    Example:
        >>> from quire.core.events import Cancelled
        >>> encode(Cancelled(seq=2, at=1.5, run="r", span="1", parent=None, reason="stop"))
        b'{"kind":"cancelled","seq":2,"at":1.5,"run":"r","span":"1","parent":null,"reason":"stop"}\n'
    """
    record = to_record(event)
    try:
        return to_json(record, inf_nan_mode="strings") + b"\n"
    except ValueError:
        # Half a surrogate pair, or nesting beyond the fast encoder: the slow one writes ASCII and has both.
        return json.dumps(record, separators=(",", ":"), default=to_jsonable_python).encode() + b"\n"


def decode(line: bytes) -> Event:
    """Return the event a line holds; raise `ValueError` if it holds none."""
    record = _parsed(line)
    if not isinstance(record, dict):
        message = "a line of a log must be a JSON object"
        raise ValueError(message)  # noqa: TRY004 - one class for every unreadable line
    return from_record(cast("dict[str, Any]", record))


def _parsed(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError:
        # What only the slow encoder can write, only the slow decoder can read.
        try:
            return json.loads(line)
        except RecursionError as error:
            raise ValueError(str(error)) from None


def to_record(event: Event) -> dict[str, Any]:
    """Return the event as plain JSON values."""
    common = {"seq": event.seq, "at": event.at, "run": event.run, "span": event.span, "parent": event.parent}
    if isinstance(event, Unknown):
        return {"kind": event.name, **common, **event.data}
    record = {"kind": event.kind, **common}
    for name, default in _FIELDS[type(event)]:
        value = getattr(event, name)
        if value is not default:
            record[name] = _plain(value)
    return record


def from_record(record: dict[str, Any]) -> Event:
    """Return the event that `to_record` was given; raise `ValueError` if the record is not one."""
    match record:
        case {
            "kind": str(kind),
            "seq": int(),
            "at": float() | int(),
            "run": str(),
            "span": str(),
            "parent": str() | None,
        }:
            common = {name: record[name] for name in _COMMON}
        case _:
            message = "an event needs kind, seq, at, run, span and parent, each of its type"
            raise ValueError(message)
    known = KINDS.get(kind)
    if known is None:
        data = {name: value for name, value in record.items() if name not in common and name != "kind"}
        return Unknown(**common, name=kind, data=data)
    try:
        own = {name: _typed(name, record[name]) for name, _ in _FIELDS[known] if name in record}
        return known(**common, **own)
    except (TypeError, KeyError) as error:
        message = f"not a {kind} event: {error}"
        raise ValueError(message) from None


def _plain(value: Any) -> Any:
    match value:
        case Message():
            return {"role": value.role, "parts": [plain_part(part) for part in value.parts]}
        case (File(), *_):
            return [plain_part(file) for file in cast("tuple[File, ...]", value)]
        case (Message(), *_):
            return [_plain(message) for message in cast("tuple[Message, ...]", value)]
        case Usage():
            return {name: count for name in Usage.__slots__ if (count := getattr(value, name)) is not None}
        case _:
            return value


def plain_part(part: Part) -> dict[str, Any]:
    """Return a part of a message as plain JSON values, what is not set left out.

    Example:
        >>> plain_part(Text(text="Hello"))
        {'is': 'text', 'text': 'Hello'}
    """
    kind = type(part)
    record: dict[str, Any] = {"is": _PART_WORDS[kind]}
    for name in kind.__slots__:
        value = getattr(part, name)
        if value is not None and value is not False and value != ():
            record[name] = _plain(value) if type(value) is tuple else value
    return record


def _typed(name: str, value: Any) -> Any:
    match name:
        case "message":
            parts = (_typed_part(part) for part in value["parts"])
            return Message(role=value["role"], parts=tuple(part for part in parts if part is not None))
        case "turn":
            return tuple(_typed("message", message) for message in cast("list[Any]", value))
        case "usage" if value is not None:
            return Usage(**_known(Usage, value))
        case "tools" | "choices" | "values" | "place":
            return tuple(cast("list[Any]", value))
        case "files":
            return tuple(File(**_known(File, record)) for record in cast("list[dict[str, Any]]", value))
        case _:
            return value


def _typed_part(record: dict[str, Any]) -> Part | None:
    part = _PARTS.get(record["is"])
    return part and part(**{name: _typed(name, value) for name, value in _known(part, record).items()})


def _known(kind: type[Any], record: dict[str, Any]) -> dict[str, Any]:
    slots = _SLOTS[kind]
    return {name: record[name] for name in record if name in slots}
