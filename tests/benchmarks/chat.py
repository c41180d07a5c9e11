"""What is asked and answered, the same for everybody; the replies are whole, as a strict client wants them."""

from __future__ import annotations

from typing import Any

from tests import servers

__all__ = ["INSTRUCTIONS", "MODEL", "QUESTION", "messages", "says", "streams"]

MODEL = "gpt-4o-mini"
INSTRUCTIONS = "Answer in one short sentence."
QUESTION = "Why is the sky blue?"

_USAGE = {"prompt_tokens": 22, "completion_tokens": 9, "total_tokens": 31}


def messages(question: str = QUESTION, instructions: str = INSTRUCTIONS) -> list[Any]:
    """Return the conversation as the wire wants it."""
    return [{"role": "system", "content": instructions}, {"role": "user", "content": question}]


def says(text: str) -> servers.Reply:
    """Make a chat completion of these words."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return servers.sends(200, {**_head("chat.completion"), "choices": choices, "usage": _USAGE})


def streams(*texts: str, pause: float = 0.0) -> servers.Reply:
    """Make a chat completion of these pieces, each in an event of its own, with seconds in between."""
    deltas: list[dict[str, Any]] = [{"content": text} for text in texts]
    deltas[0]["role"] = "assistant"
    ending = {**_head("chat.completion.chunk"), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {**_head("chat.completion.chunk"), "choices": [], "usage": _USAGE}
    return servers.events(*map(_chunk, deltas), ending, usage, "[DONE]", pause=pause)


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    return {**_head("chat.completion.chunk"), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_790_000_000, "model": MODEL}
