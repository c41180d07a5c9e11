"""The Messages API against a real server on loopback: what is sent, what is read, and what goes wrong."""

from __future__ import annotations

import copy
import json
import time
from functools import partial
from typing import Any

import pytest

from quire.adapters.providers.anthropic import Anthropic
from quire.adapters.providers.anthropic_request import facts_of, messages_request
from quire.adapters.providers.anthropic_schema import native_schema
from quire.core import errors
from quire.core.messages import Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, Endpoint, ModelRequest, OutputForm, Piece, ToolForm
from quire.core.usage import Usage
from tests.adapters.providers import dialects
from tests.adapters.providers.dialects import DIALECTS, HELLO
from tests.servers import Answering, ChatServer, Reply, events, sends

REMEMBERED = {"cache_control": {"type": "ephemeral"}}
fail = partial(dialects.fail, DIALECTS["anthropic"])
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


# --- what goes wrong


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


@pytest.mark.parametrize("ending", ["cut", "hang", "complete"])
async def test_a_reason_to_stop_is_an_end(ending: Any):
    reply = events(begin(), opens(0, text="Hi"), ends()[0], ending=ending)
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


async def test_a_success_without_content_is_an_error():
    assert type(await fail(sends(200, {"content": None}))) is errors.ProviderError
