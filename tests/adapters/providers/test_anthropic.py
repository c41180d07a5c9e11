"""The Messages API against a real server on loopback: what is sent, what is read, and what goes wrong."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import aclosing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from quire.adapters.providers.anthropic import Anthropic
from quire.adapters.providers.anthropic_request import facts_of, messages_request
from quire.adapters.providers.anthropic_schema import native_schema
from quire.core import errors
from quire.core.messages import Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, Endpoint, Model, ModelRequest, OutputForm, Piece, ToolForm
from quire.core.usage import Usage
from tests.adapters.providers.test_fuzz import broken, cut, mutated
from tests.adapters.providers.test_model_port import (
    test_a_shape_is_answered,
    test_an_answer_nobody_waits_for_is_no_error,
    test_pieces_add_up_to_the_answer,
    test_the_answer_comes_once_and_last,
)
from tests.servers import Answering, ChatServer, Reply, Request, events, sends

__all__ = [
    "test_a_shape_is_answered",
    "test_an_answer_nobody_waits_for_is_no_error",
    "test_pieces_add_up_to_the_answer",
    "test_the_answer_comes_once_and_last",
]

REMEMBERED = {"cache_control": {"type": "ephemeral"}}
HELLO = (Message.of("system", "Be brief."), Message.of("user", "Hello"))
WEATHER = ToolForm(name="get_weather", description="Weather.", parameters={"type": "object", "properties": {}})
COUNTED = {"input_tokens": 12, "output_tokens": 3}
CLAUDE = "claude-sonnet-4-5"


def says(*content: Any, stop: str | None = "end_turn", usage: Any = COUNTED, **more: Any) -> Reply:
    blocks = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    body = {"type": "message", "role": "assistant", "model": "claude-test", "content": blocks, "usage": usage}
    return sends(200, {**body, "stop_reason": stop, "stop_sequence": None, **more})


def event(kind: str, **body: Any) -> dict[str, Any]:
    return {"type": kind, **body}


def begin(**usage: Any) -> dict[str, Any]:
    usage = usage or {"input_tokens": 12, "output_tokens": 1}
    return event("message_start", message={"model": "claude-test", "content": [], "usage": usage})


def opens(index: int, kind: str = "text", **block: Any) -> dict[str, Any]:
    return event("content_block_start", index=index, content_block={"type": kind, **block})


def adds(index: int, **delta: Any) -> dict[str, Any]:
    (name, words), *_ = delta.items()
    kinds = {"partial_json": "input_json_delta"}
    return event("content_block_delta", index=index, delta={"type": kinds.get(name, f"{name}_delta"), name: words})


def ends(stop: str = "end_turn", **usage: Any) -> list[Any]:
    usage = usage or {"output_tokens": 3}
    return [event("message_delta", delta={"stop_reason": stop}, usage=usage), event("message_stop")]


def streams(*texts: str, pause: float = 0.0) -> Reply:
    return events(begin(), opens(0, text=""), *(adds(0, text=text) for text in texts), *ends(), pause=pause)


def model(server: ChatServer, name: str = CLAUDE, **more: Any) -> Anthropic:
    return Anthropic(Endpoint(provider="anthropic", model=name, base_url=server.url, **{"timeout": 5.0, **more}))


@pytest.fixture(name="model")
def model_of_the_port() -> Iterator[Model]:
    def reply(asked: Request) -> Reply:
        return (
            streams("My ", "answer") if "stream" in asked.json else says("{}" if b"json_schema" in asked.body else "")
        )

    with ChatServer(reply) as server:
        yield model(server)


def test_it_says_who_it_is():
    who = Anthropic(Endpoint(provider="anthropic", model="m"))
    assert (who.provider, who.model, who.simulated, who.abilities.tools) == ("anthropic", "m", False, True)


def test_it_is_found_by_its_entry_point():
    found = entry_points(group="quire.providers", name="anthropic")
    if not found:
        pytest.skip("quire is not installed here, or not with this door")
    assert next(iter(found)).load() is Anthropic


async def ask(*replies: Answering, name: str = CLAUDE, **request: Any) -> tuple[list[Piece], Answer, Any]:
    with ChatServer(*replies) as server:
        asked = ModelRequest(**{"messages": HELLO, **request})
        *pieces, answer = [found async for found in model(server, name).ask(asked)]
        return pieces, answer, server.requests[-1].json


def sent(name: str = CLAUDE, **request: Any) -> dict[str, Any]:
    return messages_request(ModelRequest(**{"messages": HELLO, **request}), name)


def turns(*parts: tuple[Any, ...]) -> list[dict[str, Any]]:
    return sent(messages=tuple(Message(role=role, parts=said) for role, *said in parts))["messages"]


# --- what is sent


async def test_the_request_is_what_the_api_documents():
    with ChatServer(says("Hi")) as server:
        request = ModelRequest(messages=HELLO, temperature=0.0, max_tokens=9, stop=("END",), tools=(WEATHER,))
        [_ async for _ in model(server, api_key="sk-1").ask(request)]
        asked = server.requests[0]
    assert asked.path == "/v1/messages"
    assert (asked.headers["x-api-key"], asked.headers["anthropic-version"]) == ("sk-1", "2023-06-01")
    assert asked.json == {
        "model": CLAUDE,
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief.", **REMEMBERED}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "tools": [{"name": "get_weather", "description": "Weather.", "input_schema": WEATHER.parameters}],
        "temperature": 0.0,
        "stop_sequences": ["END"],
    }


@pytest.mark.parametrize(
    ("name", "schema", "adaptive", "most"),
    [
        ("claude-3-haiku-20240307", False, False, 4096),
        ("claude-3-5-sonnet-latest", False, False, 8192),
        ("claude-3-7-sonnet-20250219", False, False, 8192),
        ("claude-sonnet-4-20250514", False, False, 8192),
        ("claude-opus-4-0", False, False, 8192),
        ("claude-sonnet-4", False, False, 8192),
        ("claude-opus-4-1-20250805", True, False, 8192),
        ("claude-haiku-4-5-20251001", True, False, 8192),
        ("anthropic/claude-opus-4.5", True, False, 8192),
        ("claude-opus-4-6", True, True, 8192),
        ("claude-opus-4-8", True, True, 8192),
        ("claude-fable-5", True, True, 8192),
        ("kimi-k3", False, False, 8192),
    ],
)
def test_what_each_model_can_do(name: str, schema: Any, adaptive: Any, most: int):
    facts = facts_of(name)
    assert (facts.output_schema, facts.adaptive, facts.max_tokens) == (schema, adaptive, most)
    assert Anthropic(Endpoint(provider="anthropic", model=name)).abilities.output_schema is schema
    assert sent(name)["max_tokens"] == most


@pytest.mark.parametrize(("word", "budget"), [("low", 1024), ("medium", 4096), ("high", 16384)])
def test_effort_is_a_budget_and_the_answer_keeps_its_room(word: str, budget: int):
    body = sent(reasoning=word)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == 8192 + budget
    assert "output_config" not in body


def test_thinking_stays_below_the_limit_that_was_set():
    body = sent(reasoning="high", max_tokens=8000)
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (8000, 4000)


def test_newer_models_are_told_the_effort_itself():
    body = sent("claude-opus-4-8", reasoning="xhigh", output=OutputForm(name="A", schema={"type": "object"}))
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"]["effort"] == "xhigh"
    assert body["max_tokens"] == 8192 + 16384
    assert body["output_config"]["format"]["type"] == "json_schema"


async def test_an_effort_nobody_knows_is_told():
    thinks = Anthropic(Endpoint(provider="anthropic", model=CLAUDE, api_key="k"))
    with pytest.raises(errors.InvalidRequest, match="low, medium, high"):
        await anext(thinks.ask(ModelRequest(messages=HELLO, reasoning="very")))


def test_calls_and_results_are_blocks_in_their_order():
    said, given = turns(
        ("assistant", Text(text="Let me see."), ToolCall(id="a", tool="t", arguments='{"n":1}')),
        ("assistant", ToolCall(id="b", tool="t", arguments=""), ToolCall(id="c", tool="t", arguments="{no")),
        ("tool", ToolResult(id="a", tool="t", text="1"), ToolResult(id="b", tool="t", text="", failed=True)),
        ("tool", Text(text="And:"), ToolResult(id="c", tool="t", text="bad", failed=True)),
        ("user", Text(text="Go on.")),
    )
    assert said["role"] == "assistant"
    assert said["content"] == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "a", "name": "t", "input": {"n": 1}},
        {"type": "tool_use", "id": "b", "name": "t", "input": {}},
        {"type": "tool_use", "id": "c", "name": "t", "input": {"unreadable": "{no"}},
    ]
    assert given["role"] == "user"
    assert given["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "It failed.", "is_error": True},
        {"type": "tool_result", "tool_use_id": "c", "content": "bad", "is_error": True},
        {"type": "text", "text": "And:"},
        {"type": "text", "text": "Go on.", **REMEMBERED},
    ]


def test_ids_another_provider_made_are_fitted_in_the_call_and_its_result_alike():
    strange = "functions.t:0/" + "x" * 80
    said, given = turns(
        ("assistant", ToolCall(id=strange, tool="t", arguments="{}")),
        ("tool", ToolResult(id=strange, tool="t", text="1")),
    )
    assert said["content"][0]["id"] == given["content"][0]["tool_use_id"] != strange


def test_words_that_are_none_are_not_sent():
    assert turns(("user", Text(text="Hi")), ("assistant", Text(text=" \n")), ("user", Text(text="Hello?"))) == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Hello?"}]}
    ]


def test_only_sealed_thoughts_go_back():
    own = {"sealed_by": "anthropic"}
    parts = Thought(text="Mine.", signature="s==", **own), Thought(text="", signature="x", **own), Thought(text="Bare.")
    strange = Thought(text="A stranger's.", signature="s", sealed_by="gemini")
    closed = Thought(text="", signature="data", redacted=True, **own)
    (said,) = turns(("assistant", *parts, strange, closed, Text(text="Hi")))
    assert said["content"] == [
        {"type": "thinking", "thinking": "Mine.", "signature": "s=="},
        {"type": "thinking", "thinking": "", "signature": "x"},
        {"type": "redacted_thinking", "data": "data"},
        {"type": "text", "text": "Hi"},
    ]


# --- the shape of a reply


SHAPE: dict[str, Any] = {
    "title": "Order",
    "type": "object",
    "$defs": {"Kind": {"enum": ["a", "b"], "type": "string", "title": "Kind"}},
    "properties": {
        "kind": {"$ref": "#/$defs/Kind"},
        "told": {"$ref": "#/$defs/Kind", "description": "Which."},
        "n": {"type": "integer", "minimum": 1, "default": 2, "description": "How many."},
        "mail": {"type": "string", "format": "email"},
        "hue": {"type": "string", "format": "color"},
        "tag": {"const": "x"},
        "list": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "null"}]}, "minItems": 3},
    },
    "required": ["kind"],
}


def test_a_schema_in_the_subset():
    before = copy.deepcopy(SHAPE)
    native = native_schema(SHAPE)
    assert before == SHAPE
    assert native is not None
    assert native.pop("$defs") == {"Kind": {"enum": ["a", "b"], "type": "string"}}
    assert native.pop("properties") == {
        "kind": {"$ref": "#/$defs/Kind"},
        "told": {"enum": ["a", "b"], "type": "string", "description": "Which"},
        "n": {"type": "integer", "description": "How many. minimum: 1. default: 2"},
        "mail": {"type": "string", "format": "email"},
        "hue": {"type": "string", "description": 'format: "color"'},
        "tag": {"enum": ["x"]},
        "list": {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "description": "minItems: 3",
        },
    }
    assert native == {"type": "object", "required": ["kind"], "additionalProperties": False}


NODE = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}
TOLD_NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node", "description": "The next."}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"any": {}}},
        {"type": "object", "properties": {"pair": {"type": "array", "prefixItems": [{"type": "string"}]}}},
        {"type": "object", "properties": {"far": {"$ref": "https://elsewhere"}}},
        {"type": "object", "properties": {"odd": {"enum": [{"a": 1}]}}},
        {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
        {"$ref": "#/$defs/Node", "$defs": {"Node": TOLD_NODE}},
        {"type": "string"},
    ],
)
def test_what_does_not_fit_is_asked_for_in_words(schema: dict[str, Any]):
    body = sent(output=OutputForm(name="A", schema=schema))
    assert "output_config" not in body
    (system,) = body["system"]
    assert system["text"].startswith("Be brief.\n\nReply with JSON alone")
    assert system["text"].endswith(json.dumps(schema))


def test_the_root_is_an_object_itself():
    inner = {"type": "object", "properties": {"n": {"type": "integer"}}}
    native = native_schema({"$ref": "#/$defs/A", "$defs": {"A": inner}})
    assert native is not None
    assert (native["type"], native["properties"]) == ("object", {"n": {"type": "integer"}})


# --- addresses and keys


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/messages"])
async def test_a_base_url_works_with_or_without_its_version(tail: str, monkeypatch: pytest.MonkeyPatch):
    with ChatServer(says("Hi")) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url + tail)
        monkeypatch.setenv("ANTHROPIC_API_KEY", " sk-later\n")
        [_ async for _ in Anthropic(Endpoint(provider="anthropic", model="m")).ask(ModelRequest(messages=HELLO))]
        assert server.requests[0].path == "/v1/messages"
        assert server.requests[0].headers["x-api-key"] == "sk-later"


async def test_a_missing_key_names_the_variable():
    with pytest.raises(errors.AuthenticationError, match="ANTHROPIC_API_KEY"):
        await anext(Anthropic(Endpoint(provider="anthropic", model="m")).ask(ModelRequest(messages=HELLO)))


def test_an_address_that_is_none_is_refused_where_it_is_written():
    with pytest.raises(errors.DefinitionError, match="http://"):
        Anthropic(Endpoint(provider="anthropic", model="m", base_url="localhost:1"))


# --- what is read


async def test_text():
    pieces, answer, _ = await ask(says("Hi there"))
    assert pieces == []
    assert answer == Answer(
        message=Message.of("assistant", "Hi there"),
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=3),
        model="claude-test",
    )


FULL = {
    "input_tokens": 2,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 7,
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 15},
}
COUNTS = Usage(input_tokens=39, output_tokens=20, cached_input_tokens=30, cache_write_tokens=7, reasoning_tokens=15)


async def test_usage_counts_the_whole_prompt():
    assert (await ask(says("Hi", usage=FULL)))[1].usage == COUNTS
    assert (await ask(says("Hi", usage=None)))[1].usage is None


@pytest.mark.parametrize("last", [FULL, {"output_tokens": 20, "input_tokens": None}])
async def test_usage_that_is_repeated_is_not_added(last: dict[str, Any]):
    reply = events(begin(**{**FULL, "output_tokens": 1}), opens(0, text="Hi"), *ends(**last))
    assert (await ask(reply, stream=True))[1].usage == COUNTS


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        (None, "stop"),
        ("new_word", "stop"),
    ],
)
async def test_finish_reasons(word: Any, finish: str):
    assert (await ask(says("Hi", stop=word)))[1].finish_reason == finish
    if word:
        reply = events(begin(), opens(0, text="Hi"), *ends(word))
        assert (await ask(reply, stream=True))[1].finish_reason == finish


def tool(id: str, name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": given}


async def test_parallel_calls():
    _, answer, _ = await ask(says("Wait.", tool("a", "x", n=1), tool("b", "y"), tool("b", "z"), stop="tool_use"))
    assert answer.finish_reason == "tool_calls"
    assert [(one.id, one.tool, one.arguments) for one in answer.message.calls] == [
        ("a", "x", '{"n": 1}'),
        ("b", "y", "{}"),
        ("call_3", "z", "{}"),
    ]


TWO_CALLS = [("a", "x", '{"n":1}'), ("b", "y", "{}")]


@pytest.mark.parametrize(
    "parts",
    [
        [
            opens(0, **tool("a", "x")),
            adds(0, partial_json=""),
            adds(0, partial_json='{"n":1}'),
            opens(1, **tool("b", "y")),
        ],
        [
            opens(3, **tool("a", "x")),
            adds(3, partial_json='{"n"'),
            adds(3, partial_json=":1}"),
            opens(9, **tool("b", "y")),
        ],
        [opens(0, **tool("a", "x")), adds(0, partial_json='{"n":1}'), opens(0, **tool("b", "y"))],
        [opens(0, **tool("a", "x")), adds(7, partial_json='{"n":1}'), opens(1, **tool("b", "y"))],
        [opens(0, **tool("a", "x")), opens(1, **tool("b", "y")), adds(0, partial_json='{"n":1}')],
        [
            opens(0, "server_tool_use", id="s", name="web"),
            adds(0, partial_json='{"q":"z"}'),
            opens(1, **tool("a", "x")),
            adds(1, partial_json='{"n":1}'),
            adds(1, news="!"),
            opens(2, **tool("b", "y")),
        ],
    ],
)
async def test_streamed_calls_whatever_their_numbers(parts: list[Any]):
    _, answer, _ = await ask(events(begin(), *parts, *ends("tool_use")), stream=True)
    assert [(one.id, one.tool, one.arguments) for one in answer.message.calls] == TWO_CALLS
    assert answer.finish_reason == "tool_calls"


@pytest.mark.parametrize("word", ["max_tokens", "pause_turn", "refusal"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_was_cut_off_is_not_made(word: str, *, stream: bool):
    whole = says("Wait", tool("a", "x"), stop=word)
    parts = [opens(0, text="Wait"), opens(1, **tool("a", "x")), adds(1, partial_json='{"n":')]
    _, answer, _ = await ask(events(begin(), *parts, *ends(word)) if stream else whole, stream=stream)
    assert (answer.message.calls, answer.message.text) == ((), "Wait")


THOUGHTS: tuple[Part, ...] = (
    Thought(text="Hm, ", signature="c2Vh\u2028bA==", sealed_by="anthropic"),
    Thought(text="", signature="EmwK/+==", redacted=True, sealed_by="anthropic"),
    Thought(text="", signature="empty", sealed_by="anthropic"),
    ToolCall(id="a", tool="x", arguments="{}"),
)
BLOCKS = [
    {"type": "thinking", "thinking": "Hm, ", "signature": "c2Vh\u2028bA=="},
    {"type": "redacted_thinking", "data": "EmwK/+=="},
    {"type": "thinking", "thinking": "", "signature": "empty"},
    tool("a", "x"),
]


@pytest.mark.parametrize("stream", [True, False])
async def test_thoughts_come_and_go_back_exactly(*, stream: bool):
    parts = [
        opens(0, "thinking", thinking="", signature=""),
        adds(0, thinking="Hm"),
        adds(0, thinking=", "),
        adds(0, signature="c2Vh\u2028bA=="),
        opens(1, "redacted_thinking", data="EmwK/+=="),
        opens(2, "thinking", thinking=""),
        adds(2, signature="empty"),
        opens(3, **tool("a", "x")),
    ]
    reply = events(begin(), *parts, *ends("tool_use")) if stream else says(*BLOCKS, stop="tool_use")
    pieces, answer, _ = await ask(reply, stream=stream)
    assert answer.message.parts == THOUGHTS
    assert pieces == ([Piece(text="Hm", thinking=True), Piece(text=", ", thinking=True)] if stream else [])
    assert sent(messages=(answer.message,))["messages"][0]["content"] == BLOCKS


async def test_other_events_and_missing_beginnings_are_passed_over():
    strange = [event("ping"), event("new_event", x=1), {"type": 3}, "[1]"]
    parts = [
        begin(),
        begin(),
        *strange,
        adds(0, text="a"),
        adds(0, citations={}),
        opens(1, "new_block"),
        adds(1, text="!"),
    ]
    _, answer, _ = await ask(events(*parts, adds(4, text="b"), *ends()), stream=True)
    assert answer.message.text == "ab"
    raw = b"event: new\ndata: not json\n\n" + b"".join(streams("Hi").chunks)
    assert (await ask(Reply(chunks=[raw], stream=True), stream=True))[1].message.text == "Hi"


STREAM = events(
    begin(),
    opens(0, "thinking"),
    adds(0, thinking="Hm\u0085 né"),
    opens(1, text=""),
    *(adds(1, text=word) for word in ("Héllo ", "wörld\u2028", "🦩")),
    opens(2, **tool("a", "x")),
    adds(2, partial_json='{"é":1}'),
    *ends("tool_use"),
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
async def test_however_the_bytes_are_cut(end: bytes, size: int):
    raw = b"".join(STREAM.chunks)
    text = b"".join(line.encode() for line in json_unescaped(raw)).replace(b"\n", end)
    reply = Reply(chunks=[text[n : n + size] for n in range(0, len(text), size)], stream=True)
    _, answer, _ = await ask(reply, stream=True)
    assert answer.message.parts == (
        Thought(text="Hm\u0085 né"),
        Text(text="Héllo wörld\u2028🦩"),
        ToolCall(id="a", tool="x", arguments='{"é":1}'),
    )


def json_unescaped(raw: bytes) -> Iterator[str]:
    for line in raw.decode().split("\n\n"):
        if line:
            yield f"data: {json.dumps(json.loads(line[6:]), ensure_ascii=False)}\n\n"


async def test_the_first_piece_comes_before_the_last_is_sent():
    with ChatServer(streams("a", "b", "c", pause=0.08)) as server:
        asked = model(server).ask(ModelRequest(messages=HELLO, stream=True))
        at = [(found, time.monotonic()) async for found in asked]
    assert [found.text for found, _ in at if isinstance(found, Piece)] == ["a", "b", "c"]
    assert at[2][1] - at[0][1] > 0.12


async def test_a_stream_leaves_a_connection_that_can_be_used_again():
    with ChatServer(streams("a", "b")) as server:
        for _ in range(3):
            [_ async for _ in model(server).ask(ModelRequest(messages=HELLO, stream=True))]
        assert server.connections == 1


async def test_a_server_that_does_not_stream_is_understood():
    pieces, answer, _ = await ask(says("Hi"), stream=True)
    assert (pieces, answer.message.text) == ([Piece(text="Hi")], "Hi")


# --- what goes wrong


async def fail(*replies: Answering, stream: bool = False, **more: Any) -> errors.ProviderError:
    with ChatServer(*replies) as server:
        with pytest.raises(errors.ProviderError) as caught:
            [_ async for _ in model(server, **more).ask(ModelRequest(messages=HELLO, stream=stream))]
        return caught.value


def complaint(kind: str, message: str = "No.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, complaint("authentication_error", "invalid x-api-key"), errors.AuthenticationError),
        (403, complaint("permission_error"), errors.AuthenticationError),
        (400, complaint("invalid_request_error", "max_tokens: Field required"), errors.InvalidRequest),
        (400, complaint("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), errors.ContextTooLong),
        (400, complaint("invalid_request_error", "Your credit balance is too low"), errors.QuotaExceeded),
        (402, complaint("billing_error"), errors.QuotaExceeded),
        (404, complaint("not_found_error", "model: claude-sonet"), errors.ModelNotFound),
        (404, "<html><title>Not Found</title></html>", errors.InvalidRequest),
        (413, complaint("request_too_large", "Request exceeds the maximum size"), errors.ContextTooLong),
        (413, "<html>too large</html>", errors.ContextTooLong),
        (429, complaint("rate_limit_error"), errors.RateLimited),
        (500, complaint("api_error", "Internal server error"), errors.ProviderError),
        (502, "<html><title>Bad Gateway</title></html>", errors.ProviderError),
        (529, complaint("overloaded_error", "Overloaded"), errors.Overloaded),
        (200, complaint("overloaded_error", "Overloaded"), errors.Overloaded),
    ],
)
async def test_errors(status: int, body: Any, meaning: type[errors.ProviderError], *, stream: bool):
    assert type(await fail(sends(status, body), stream=stream)) is meaning


async def test_a_limit_says_how_long():
    error = await fail(sends(429, complaint("rate_limit_error"), headers={"Retry-After": "7"}))
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("overloaded_error", errors.Overloaded),
        ("rate_limit_error", errors.RateLimited),
        ("api_error", errors.ProviderError),
        ("invalid_request_error", errors.InvalidRequest),
        ("not_found_error", errors.ModelNotFound),
        ("new_error", errors.ProviderError),
    ],
)
async def test_errors_inside_a_stream_keep_their_class(kind: str, meaning: type[errors.ProviderError]):
    payload = json.dumps(complaint(kind))
    named = Reply(chunks=[*streams("a").chunks[:3], f"event: error\ndata: {payload}\n\n".encode()], stream=True)
    assert type(await fail(named, stream=True)) is meaning
    assert type(await fail(events(begin(), payload), stream=True)) is meaning


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_that_is_explained_is_filtered_with_its_text(*, stream: bool):
    why = {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "Not this."}}
    whole = says(stop="refusal", stop_details=why["stop_details"])
    error = await fail(events(begin(), event("message_delta", delta=why)) if stream else whole, stream=stream)
    assert type(error) is errors.ContentFiltered
    assert error.body == "Not this."


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_without_a_word_is_an_answer_that_says_so(*, stream: bool):
    _, answer, _ = await ask(events(begin(), *ends("refusal")) if stream else says(stop="refusal"), stream=stream)
    assert (answer.finish_reason, answer.message.parts) == ("content_filter", ())
    assert answer.usage == Usage(input_tokens=12, output_tokens=3)


@pytest.mark.parametrize("ending", ["cut", "complete"])
async def test_a_stream_that_ends_without_an_end_is_interrupted(ending: Any):
    reply = events(begin(), opens(0, text="Once "), adds(0, text="upon"), ending=ending)
    error = await fail(reply, stream=True)
    assert isinstance(error, errors.StreamInterrupted)
    assert error.partial == "Once upon"


@pytest.mark.parametrize("reply", [events(begin(), '{"type'), sends(200, b"")])
async def test_a_stream_that_cannot_be_read_is_interrupted(reply: Reply):
    assert type(await fail(reply, stream=True)) is errors.StreamInterrupted


@pytest.mark.parametrize("ending", ["cut", "hang", "complete"])
@pytest.mark.parametrize("last", [1, 2])
async def test_after_the_last_word_the_good_bye_does_not_matter(ending: Any, last: int):
    reply = events(begin(), opens(0, text="Hi"), *ends()[:last], ending=ending)
    with ChatServer(reply) as server:
        asked = model(server, timeout=0.3).ask(ModelRequest(messages=HELLO, stream=True))
        *_, answer = [found async for found in asked]
    assert isinstance(answer, Answer)
    assert answer.message.text == "Hi"


async def test_what_comes_after_the_end_is_neither_read_nor_waited_for():
    reply = events(begin(), opens(0, text="Hi"), *ends(), complaint("api_error"), ending="hang")
    began = time.monotonic()
    _, answer, _ = await ask(reply, stream=True)
    assert answer.message.text == "Hi"
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("body", [b"", b"null", b"<html></html>", {"content": None}, {}, [], {"error": "x"}])
async def test_a_success_that_is_none_is_an_error(body: Any):
    error = await fail(sends(200, body))
    assert type(error) is errors.ProviderError
    assert error.status == 200


async def test_a_key_is_never_repeated():
    error = await fail(sends(401, complaint("authentication_error", "Wrong: sk-secret-1")), api_key="sk-secret-1")
    assert "sk-secret" not in f"{error} {error.body}"


async def test_silence_is_a_timeout():
    assert isinstance(await fail(events(begin(), ending="hang"), timeout=0.2, stream=True), errors.ProviderTimeout)


@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_closes_the_connection(*, stream: bool):
    slow = streams("a", "b", pause=3) if stream else sends(200, b"{}", wait=3)
    with ChatServer(slow) as server:

        async def read():
            return [_ async for _ in model(server).ask(ModelRequest(messages=HELLO, stream=stream))]

        task = asyncio.create_task(read())
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.await_disconnect, 1.0) is not None


async def test_closing_the_iterator_closes_the_connection():
    with ChatServer(events(begin(), adds(0, text="a"), ending="hang")) as server:
        async with aclosing(model(server).ask(ModelRequest(messages=HELLO, stream=True))) as found:
            assert await anext(found) == Piece(text="a")
        assert await asyncio.to_thread(server.await_disconnect, 1.0) is not None


# --- anything at all


def strange_reply(request: Request) -> Reply:
    rng = random.Random(int(request.json["model"]))
    payloads = [json.loads(chunk[6:]) for chunk in STREAM.chunks]
    if rng.random() < 0.3:
        rng.shuffle(payloads)
    end = rng.choice(["\n", "\r\n", "\r"])
    lines = [json.dumps(mutated(payload, rng, 0.05)) for payload in payloads]
    raw = "".join(f"data: {line}{end}{end}" for line in lines).encode()
    if rng.random() < 0.4:
        whole = json.loads(says("Hi", *BLOCKS, usage=FULL).chunks[0])
        raw = json.dumps(mutated(whole, rng, 0.1)).encode()
    return Reply(
        status=rng.choice([200] * 8 + [400, 404, 413, 429, 500, 529]),
        headers=rng.choice([{}] * 8 + [{"retry-after": "x"}, {"content-encoding": "gzip"}]),
        chunks=cut(broken(raw, rng), rng),
        stream=rng.random() < 0.8,
        ending=rng.choice(["complete"] * 5 + ["cut"]),
    )


async def outcome(server: ChatServer, seed: int) -> str:
    request = ModelRequest(messages=HELLO, stream=seed % 3 > 0)
    try:
        *_, last = [found async for found in model(server, str(seed), timeout=2.0).ask(request)]
    except errors.QuireError as error:
        return type(error).__name__
    assert isinstance(last, Answer)
    # What was read can be sent back, whatever it was.
    assert isinstance(sent(messages=(last.message,)), dict)
    return "Answer"


@pytest.mark.parametrize("start", range(0, 600, 100))
async def test_anything_a_server_sends(start: int):
    with ChatServer(strange_reply) as server:
        async with asyncio.timeout(30):
            outcomes = [await outcome(server, seed) for seed in range(start, start + 100)]
    assert {"Answer", "StreamInterrupted"} <= set(outcomes)


# --- recorded replies of the real provider


FOLDER = os.environ.get("PROVIDER_TRAFFIC")
RECORDED = [json.loads(path.read_text("utf-8")) for path in sorted(Path(FOLDER).glob("*.json"))] if FOLDER else []
MESSAGES = [pytest.param(one, id=one["id"]) for one in RECORDED if one["api"] == "anthropic"]
KINDS = {
    "error_auth": errors.AuthenticationError,
    "error_context_length": errors.ContextTooLong,
    "error_invalid_request": errors.InvalidRequest,
    "error_not_found": errors.ModelNotFound,
    "error_overloaded": errors.Overloaded,
    "error_rate_limit": errors.RateLimited,
}


def ways_to_send(recorded: dict[str, Any]) -> list[Reply]:
    response = recorded["response"]
    raw = (response.get("sse") or json.dumps(response.get("body"))).encode()
    rng = random.Random(recorded["id"])
    places = sorted(rng.randrange(len(raw)) for _ in range(40))
    crlf = raw.replace(b"\n", b"\r\n") if "sse" in response else raw
    cuts = [
        [raw],
        [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)],
        [crlf[n : n + 7] for n in range(0, len(crlf), 7)],
        [raw[n : n + 1] for n in range(len(raw))],
    ]
    return [Reply(status=response["status"], headers=response["headers"], chunks=cut, stream=True) for cut in cuts]


@pytest.mark.skipif(not MESSAGES, reason="no recorded traffic")
@pytest.mark.parametrize("recorded", MESSAGES)
async def test_recorded(recorded: dict[str, Any]):
    ways = ways_to_send(recorded)
    with ChatServer(*ways) as server:
        request = ModelRequest(messages=HELLO, stream="sse" in recorded["response"])
        for _ in ways:
            if recorded["expected"]["error"]:
                with pytest.raises(KINDS[recorded["kind"]]):
                    [_ async for _ in model(server).ask(request)]
            else:
                *_, answer = [found async for found in model(server).ask(request)]
                assert isinstance(answer, Answer)
                compare(answer, recorded["expected"])


def compare(answer: Answer, expected: dict[str, Any]) -> None:
    thoughts = [part.text for part in answer.message.parts if isinstance(part, Thought)]
    assert (answer.message.text, "".join(thoughts)) == (expected["text"], expected["reasoning"])
    called = [{"id": one.id, "name": one.tool, "args": json.loads(one.arguments)} for one in answer.message.calls]
    assert called == expected["tool_calls"]
    assert answer.finish_reason == expected["finish_reason"]
    counted, usage = expected["usage"], answer.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (counted["input"], counted["output"])
    # The recordings write 0 where a provider says nothing; we say nothing.
    assert (usage.cached_input_tokens or 0, usage.cache_write_tokens or 0) == (
        counted["cached"],
        counted["cache_write"],
    )
    assert (usage.reasoning_tokens or 0) == counted["reasoning"]
