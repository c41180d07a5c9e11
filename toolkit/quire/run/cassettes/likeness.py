"""When two requests are the same, and what differs when they are not.

The same path and the same JSON make the same request. Left out of it is what says nothing about the question: who
asks, the cache's own label, and the ids of tool calls, which are numbered in the order in which they appear.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

__all__ = ["difference", "distance", "host_of", "identity", "questions"]

_VOLATILE = frozenset({"user", "metadata", "prompt_cache_key", "safety_identifier"})
"""Fields of a request that name the caller or a cache."""

_IDS = frozenset({"id", "call_id", "tool_call_id", "tool_use_id"})
_CALLS = frozenset({"function", "function_call", "function_call_output", "tool_use", "tool_result", "custom"})
_USERS_OWN = frozenset({"args", "arguments", "input_schema", "parameters", "parametersJsonSchema", "response"})
"""What holds a tool's own data, in which an id means something."""

_SHOWN = 60
"""Characters of a value that a difference shows."""
_BEFORE = 25
"""Of them, before the place where two texts part."""
_MOST = 8
"""Differences that are shown."""


class _Nothing:
    """Stands for what is not there."""


_NOTHING = _Nothing()


def identity(url: str, body: Any) -> str:
    """Return what a request is found by: the same for two that ask the same.

    The host is no part of it, because a server on this machine has another port tomorrow.

    Example:
        >>> one = identity("http://127.0.0.1:5000/v1/chat", {"model": "m", "user": "ada"})
        >>> one == identity("http://127.0.0.1:6000/v1/chat", {"user": "bob", "model": "m"})
        True
    """
    parts = urlsplit(url)
    words = json.dumps([parts.path, parts.query, questions(body)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(words.encode()).hexdigest()


def host_of(url: str) -> str:
    """Return whom a request goes to: the host, and one name for every server on this machine."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    return "localhost" if _is_loopback(name) else parts.netloc


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def questions(body: Any) -> Any:
    """Return a request's body without what says nothing about the question."""
    if not isinstance(body, dict):
        return body
    fields = cast("dict[str, Any]", body)
    return _renumbered({name: part for name, part in fields.items() if name not in _VOLATILE}, {}, owner="")


def _renumbered(thing: Any, names: dict[str, str], *, owner: str) -> Any:
    if isinstance(thing, list):
        return [_renumbered(part, names, owner=owner) for part in cast("list[Any]", thing)]
    if not isinstance(thing, dict):
        return thing
    parts = cast("dict[str, Any]", thing)
    is_call = parts.get("type") in _CALLS or owner in {"functionCall", "functionResponse"} or "tool_call_id" in parts
    made: dict[str, Any] = {}
    for name, part in parts.items():
        if name in _USERS_OWN or (name == "input" and is_call):
            made[name] = part
        elif is_call and name in _IDS and isinstance(part, str):
            made[name] = names.setdefault(part, f"call-{len(names) + 1}")
        else:
            made[name] = _renumbered(part, names, owner=name)
    return made


def distance(one: Any, other: Any) -> float:
    """Return how far two bodies are apart: 0 for equal ones, at most 1 for each value that differs."""
    return sum(1.0 - _overlap(before, after) for _, before, after in _parting(one, other, ""))


def _overlap(before: Any, after: Any) -> float:
    """Return the share of two texts that is equal from both ends, always below 1."""
    if not (isinstance(before, str) and isinstance(after, str)):
        return 0.0
    start = _parted_at(before, after)
    end = _parted_at(before[start:][::-1], after[start:][::-1])
    return (start + end) / (max(len(before), len(after)) + 1)


def difference(recorded: Any, asked: Any) -> str:
    """Return what differs in two bodies, a value a paragraph: its place, what was recorded, what is asked.

    Example:
        >>> print(difference({"model": "m", "messages": ["Good day"]}, {"model": "m", "messages": ["Good night"]}))
        messages[0]
          - "Good day"
          + "Good night"
    """
    found = list(_parting(recorded, asked, ""))
    lines = [line for place, before, after in found[:_MOST] for line in _told(place, before, after)]
    rest = len(found) - _MOST
    return "\n".join([*lines, f"and {rest} more"] if rest > 0 else lines)


def _parting(one: Any, other: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield each place where two values part, with what is there in both."""
    if isinstance(one, dict) and isinstance(other, dict):
        here, there = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        for name in [*here, *(name for name in there if name not in here)]:
            inner = f"{place}.{name}" if place else name
            yield from _parting(here.get(name, _NOTHING), there.get(name, _NOTHING), inner)
    elif isinstance(one, list) and isinstance(other, list):
        firsts, seconds = cast("list[Any]", one), cast("list[Any]", other)
        for number in range(max(len(firsts), len(seconds))):
            before, after = (part[number] if number < len(part) else _NOTHING for part in (firsts, seconds))
            yield from _parting(before, after, f"{place}[{number}]")
    elif not _same(one, other):
        yield place or "body", one, other


def _same(one: Any, other: Any) -> bool:
    return one == other and type(one) is type(other)


def _told(place: str, before: Any, after: Any) -> list[str]:
    start = 0
    if isinstance(before, str) and isinstance(after, str):
        start = max(0, _parted_at(before, after) - _BEFORE)
    return [place, f"  - {_excerpt(before, start)}", f"  + {_excerpt(after, start)}"]


def _excerpt(value: Any, start: int) -> str:
    if isinstance(value, _Nothing):
        return "(nothing)"
    if not isinstance(value, str):
        words = json.dumps(value, ensure_ascii=False)
        return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
    end = start + _SHOWN
    part = json.dumps(value[start:end], ensure_ascii=False)[1:-1]
    return f'"{"…" if start else ""}{part}{"…" if end < len(value) else ""}"'


def _parted_at(one: str, other: str) -> int:
    """Return where two texts stop being equal."""
    if one == other:
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
