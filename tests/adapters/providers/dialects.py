"""Every dialect in which a model's server is spoken to, as far as the tests of all of them need it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from quire.adapters.providers.anthropic import Anthropic
from quire.adapters.providers.gemini import Gemini
from quire.adapters.providers.openai_chat import OpenAIChat
from quire.adapters.providers.openai_responses import OpenAIResponses
from quire.adapters.providers.remote import Remote
from quire.core import errors
from quire.core.messages import Message, Part, Text, Thought, ToolCall
from quire.core.ports import Answer, Endpoint, ModelRequest, Piece
from tests.servers import Answering, ChatServer, Reply, Request, events, sends

__all__ = ["DIALECTS", "HELLO", "Dialect", "ask", "fail"]

HELLO = (Message.of("system", "Be brief."), Message.of("user", "Hello"))


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a model's server speaks."""

    adapter: Callable[[Endpoint], Remote]
    provider: str
    model: str
    api: str
    """What recordings call it."""
    whole: Callable[[str], Any]
    """Make a reply with these words."""
    stream: Callable[..., list[Any]]
    """Make the events of a reply with these words: one event each, around them any others, at the end the last."""
    rich: list[Any]
    """The events of a reply with thoughts, words and a call, all with letters of several bytes."""
    rich_whole: Any
    """The same reply as it comes whole."""
    rich_parts: tuple[Part, ...]
    """What it says."""

    def opened(self, url: str, model: str | None = None, **more: Any) -> Remote:
        """Return a model behind a server."""
        where = {"provider": self.provider, "base_url": url, "timeout": 5.0, **more}
        return self.adapter(Endpoint(model=model or self.model, **where))

    def says(self, text: str, *, wait: float = 0.0) -> Reply:
        """Make a reply that comes whole."""
        return sends(200, self.whole(text), wait=wait)

    def streams(self, *texts: str, **how: Any) -> Reply:
        """Make a reply that comes in pieces."""
        return events(*self.stream(*texts), **how)


async def ask(
    dialect: Dialect, *replies: Answering, model: str | None = None, **request: Any
) -> tuple[list[Piece], Answer, Request]:
    """Return what a model gives for a reply of its server, and what it sent."""
    with ChatServer(*replies) as server:
        asked = ModelRequest(**{"messages": HELLO, **request})
        *pieces, answer = [found async for found in dialect.opened(server.url, model).ask(asked)]
        return pieces, answer, server.requests[-1]


async def fail(dialect: Dialect, *replies: Answering, stream: bool = False, **more: Any) -> errors.ProviderError:
    """Return the error that a reply leads to."""
    with ChatServer(*replies) as server:
        with pytest.raises(errors.ProviderError) as caught:
            [_ async for _ in dialect.opened(server.url, **more).ask(ModelRequest(messages=HELLO, stream=stream))]
        return caught.value


# --- chat completions


def chat(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def chat_whole(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}


def chat_stream(*texts: str) -> list[Any]:
    last = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    return [*(chat({"content": text}) for text in texts), chat({}, "stop"), last, "[DONE]"]


def chat_call(**function: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "a", "function": function}]}


def chat_rich() -> dict[str, Any]:
    function = {"name": "x", "arguments": '{"é": 1}'}
    whole = chat_whole("Héllo wörld\u2028🦩")
    calls = [{"id": "a", "type": "function", "function": function}]
    whole["choices"][0]["message"] |= {"reasoning": "Hm\u0085 né", "refusal": None, "tool_calls": calls}
    whole["choices"][0]["finish_reason"] = "tool_calls"
    return whole


RICH = (Thought(text="Hm\u0085 né"), Text(text="Héllo wörld\u2028🦩"), ToolCall(id="a", tool="x", arguments='{"é": 1}'))

# --- Anthropic's messages


def begin() -> dict[str, Any]:
    usage = {"input_tokens": 12, "output_tokens": 1}
    return {"type": "message_start", "message": {"model": "m", "content": [], "usage": usage}}


def block(index: int, **given: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": given}


def delta(index: int, kind: str, **given: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **given}}


def ended(reason: str) -> list[Any]:
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]


def messages_whole(text: str) -> dict[str, Any]:
    usage = {"input_tokens": 12, "output_tokens": 3}
    body = {"type": "message", "model": "m", "content": [{"type": "text", "text": text}], "usage": usage}
    return {**body, "stop_reason": "end_turn"}


def messages_stream(*texts: str) -> list[Any]:
    said = (delta(0, "text_delta", text=text) for text in texts)
    return [begin(), block(0, type="text", text=""), *said, *ended("end_turn")]


def messages_rich() -> dict[str, Any]:
    whole = messages_whole("Héllo wörld\u2028🦩")
    thought = {"type": "thinking", "thinking": "Hm\u0085 né", "signature": "s=="}
    call = {"type": "tool_use", "id": "a", "name": "x", "input": {"é": 1}}
    return whole | {"content": [thought, *whole["content"], call], "stop_reason": "tool_use"}


# --- Gemini


def candidate(*parts: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    counts = {"promptTokenCount": 12, "candidatesTokenCount": 3}
    one = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    return {"candidates": [one | ({"finishReason": finish} if finish else {})], "usageMetadata": counts}


def gemini_stream(*texts: str) -> list[Any]:
    *before, last = texts
    return [*(candidate({"text": text}) for text in before), candidate({"text": last}, finish="STOP")]


GEMINI_CALL = {"functionCall": {"id": "a", "name": "x", "args": {"é": 1}}, "thoughtSignature": "s=="}
GEMINI_RICH = [
    candidate({"text": "Hm\u0085 né", "thought": True}, {"text": "Héllo "}),
    candidate({"text": "wörld\u2028"}),
    candidate({"text": "🦩"}, GEMINI_CALL, finish="STOP"),
]
"""Whole, this is the array that Google streams when nobody asks for events."""

# --- Responses


def item(index: int, how: str, **given: Any) -> dict[str, Any]:
    return {"type": f"response.output_item.{how}", "output_index": index, "item": given}


def piece(index: int, what: str, words: str, item_id: str = "", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{what}.delta", "output_index": index, "item_id": item_id, "delta": words, **more}


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 12, "output_tokens": 3}
    return {"object": "response", "model": "m", "status": status, "output": list(output), "usage": usage, **more}


def said(*texts: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **more}


def responses_stream(*texts: str) -> list[Any]:
    return [
        {"type": "response.created", "response": response(status="in_progress")},
        item(0, "added", type="message", id="msg_1", role="assistant", status="in_progress", content=[]),
        *(piece(0, "output_text", text, "msg_1", content_index=0) for text in texts),
        item(0, "done", **said("".join(texts))),
        {"type": "response.completed", "response": response(said("".join(texts)))},
    ]


THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "encrypted_content": "gAAA+/é==",
    "summary": [{"type": "summary_text", "text": "Hm\u0085 né"}],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "a",
    "name": "x",
    "arguments": '{"é": 1}',
    "status": "completed",
}
RESPONSES_RICH = response(THOUGHT, said("Héllo wörld\u2028🦩"), CALL)
SEALED = json.dumps(THOUGHT, ensure_ascii=False)

DIALECTS = {
    "chat": Dialect(
        adapter=OpenAIChat,
        provider="openai_compat",
        model="m",
        api="chat",
        whole=chat_whole,
        stream=chat_stream,
        rich=[
            chat({"reasoning": "Hm\u0085 né"}),
            *(chat({"content": text}) for text in ("Héllo ", "wörld\u2028", "🦩")),
            chat(chat_call(name="x", arguments='{"é"')),
            chat(chat_call(arguments=": 1}")),
            chat({}, "tool_calls"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
            "[DONE]",
        ],
        rich_whole=chat_rich(),
        rich_parts=RICH,
    ),
    "anthropic": Dialect(
        adapter=Anthropic,
        provider="anthropic",
        model="claude-sonnet-4-5",
        api="anthropic",
        whole=messages_whole,
        stream=messages_stream,
        rich=[
            begin(),
            block(0, type="thinking"),
            delta(0, "thinking_delta", thinking="Hm\u0085 né"),
            delta(0, "signature_delta", signature="s=="),
            block(1, type="text", text=""),
            *(delta(1, "text_delta", text=text) for text in ("Héllo ", "wörld\u2028", "🦩")),
            block(2, type="tool_use", id="a", name="x", input={}),
            delta(2, "input_json_delta", partial_json='{"é": 1}'),
            *ended("tool_use"),
        ],
        rich_whole=messages_rich(),
        rich_parts=(replace(RICH[0], signature="s==", sealed_by="anthropic"), *RICH[1:]),
    ),
    "gemini": Dialect(
        adapter=Gemini,
        provider="google",
        model="gemini-3-flash",
        api="gemini",
        whole=lambda text: candidate({"text": text}, finish="STOP"),
        stream=gemini_stream,
        rich=GEMINI_RICH,
        rich_whole=GEMINI_RICH,
        rich_parts=(*RICH[:2], replace(RICH[2], signature="s==", sealed_by="gemini")),
    ),
    "responses": Dialect(
        adapter=OpenAIResponses,
        provider="openai-responses",
        model="gpt-5.2",
        api="responses",
        whole=lambda text: response(said(text)),
        stream=responses_stream,
        rich=[
            {"type": "response.created", "response": response(status="in_progress")},
            item(0, "added", type="reasoning", id="rs_1", summary=[]),
            piece(0, "reasoning_summary_text", "Hm\u0085", "rs_1", summary_index=0),
            piece(0, "reasoning_summary_text", " né", "rs_1", summary_index=0),
            item(0, "done", **THOUGHT),
            item(1, "added", type="message", id="msg_1", content=[]),
            *(piece(1, "output_text", text, "msg_1", content_index=0) for text in ("Héllo ", "wörld\u2028", "🦩")),
            item(1, "done", **said("Héllo wörld\u2028🦩")),
            item(2, "added", type="function_call", id="fc_1", call_id="a", name="x", arguments=""),
            piece(2, "function_call_arguments", '{"é"', "fc_1"),
            piece(2, "function_call_arguments", ": 1}", "fc_1"),
            item(2, "done", **CALL),
            {"type": "response.completed", "response": RESPONSES_RICH},
        ],
        rich_whole=RESPONSES_RICH,
        rich_parts=(replace(RICH[0], signature=SEALED, sealed_by="openai"), *RICH[1:]),
    ),
}
