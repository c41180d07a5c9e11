"""What the server on loopback says: whole replies, as a strict client wants them."""

from __future__ import annotations

from typing import Any

from tests import servers

__all__ = ["says", "streams"]

_USAGE = {"prompt_tokens": 22, "completion_tokens": 9, "total_tokens": 31}


def says(text: str) -> servers.Reply:
    """Make a chat completion of these words."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return servers.sends(200, {**_head("chat.completion"), "choices": choices, "usage": _USAGE})


def streams(*texts: str, pause: float) -> servers.Reply:
    """Make a chat completion of these pieces, `pause` seconds apart."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
    ending = {**_head("chat.completion.chunk"), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {**_head("chat.completion.chunk"), "choices": [], "usage": _USAGE}
    return servers.events(*map(_chunk, deltas), ending, usage, "[DONE]", pause=pause)


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    return {**_head("chat.completion.chunk"), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_790_000_000, "model": "gpt-4o-mini"}
