"""Gemini against a real server on loopback: what is sent, and what is read."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import pytest

from quire.adapters.providers.gemini import Gemini
from quire.adapters.providers.gemini_request import gemini_request, gemini_schema
from quire.core import errors
from quire.core.messages import Message, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, Endpoint, ModelRequest, OutputForm, Piece, ToolForm
from quire.core.usage import Usage
from tests.adapters.providers import dialects
from tests.adapters.providers.dialects import DIALECTS, HELLO
from tests.servers import Answering, ChatServer, Reply, Request, events, sends

fail = partial(dialects.fail, DIALECTS["gemini"])
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolForm(name="get_weather", description="Weather.", parameters=PARAMETERS)
SHAPE = OutputForm(name="City", schema=PARAMETERS)
COUNTS = {"promptTokenCount": 12, "candidatesTokenCount": 3, "totalTokenCount": 15}


def gives(*parts: Any, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    written = [{"text": part} if isinstance(part, str) else part for part in parts]
    candidate = {"content": {"parts": written, "role": "model"}, "finishReason": finish, "index": 0}
    return {"candidates": [candidate], "usageMetadata": COUNTS, "modelVersion": "gemini-test", **more}


def part_call(name: str = "get_weather", args: Any = None, seal: str | None = None, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args or {}, **more}} | ({"thoughtSignature": seal} if seal else {})


def model(server: ChatServer, name: str = "gemini-3-flash", **more: Any) -> Gemini:
    return Gemini(Endpoint(provider="google", model=name, base_url=server.url, **{"timeout": 5.0, **more}))


async def ask(reply: Answering, name: str = "gemini-3-flash", **request: Any) -> tuple[list[Piece], Answer, Request]:
    with ChatServer(reply) as server:
        asked = ModelRequest(**{"messages": HELLO, **request})
        *pieces, answer = [found async for found in model(server, name).ask(asked)]
        return pieces, answer, server.requests[-1]


def body_for(name: str = "gemini-3-flash", **request: Any) -> dict[str, Any]:
    return gemini_request(ModelRequest(**{"messages": HELLO, **request}), name)


# --- what is sent


async def test_the_request_is_what_the_api_documents():
    _, _, sent = await ask(sends(200, gives("Hi")), temperature=0.5, max_tokens=9, stop=("END",), reasoning="low")
    assert sent.path == "/v1beta/models/gemini-3-flash:generateContent"
    assert sent.json == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {
            "temperature": 0.5,
            "maxOutputTokens": 9,
            "stopSequences": ["END"],
            "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": True},
        },
    }


async def test_a_stream_is_asked_for_in_the_address():
    _, _, sent = await ask(events(gives("Hi")), stream=True)
    assert sent.path == "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"
    assert "generationConfig" not in sent.json


@pytest.mark.parametrize(
    ("name", "effort", "config"),
    [
        ("gemini-3-flash", "HIGH", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-3-flash", "512", {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemini-3-flash", "none", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "-1", {"thinkingBudget": -1, "includeThoughts": True}),
        ("models/gemini-2.5-flash", "none", {"thinkingBudget": 0, "includeThoughts": False}),
    ],
)
def test_effort(name: str, effort: str, config: dict[str, Any]):
    assert body_for(name, reasoning=effort)["generationConfig"] == {"thinkingConfig": config}


def test_a_shape_is_asked_for():
    config = body_for(output=SHAPE, tools=(WEATHER,))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": PARAMETERS}
    assert body_for("gemini-2.5-pro", output=SHAPE)["generationConfig"] == config


@pytest.mark.parametrize(("name", "can"), [("gemini-2.5-pro", False), ("gemini-3-flash", True)])
def test_who_takes_a_shape_beside_tools(name: str, can: bool):
    assert Gemini(Endpoint(provider="google", model=name)).abilities.output_schema_with_tools is can


def test_tools_are_declared():
    declared = {"name": "get_weather", "description": "Weather.", "parametersJsonSchema": PARAMETERS}
    assert body_for(tools=(WEATHER,))["tools"] == [{"functionDeclarations": [declared]}]


def test_results_stand_together_in_the_order_of_the_calls():
    history = (
        Message(
            role="assistant",
            parts=(
                Text(text="Let me see."),
                ToolCall(id="call_1", tool="a", arguments='{"n": 1}', signature="S", sealed_by="gemini"),
                ToolCall(id="given", tool="b", arguments="{broken"),
                ToolCall(id="call_3", tool="a", arguments=""),
            ),
        ),
        Message(role="tool", parts=(ToolResult(id="call_3", tool="a", text="three"),)),
        Message(role="tool", parts=(ToolResult(id="given", tool="b", text="bad", failed=True),)),
        Message(role="tool", parts=(ToolResult(id="call_1", tool="a", text="one"), Text(text="Go on."))),
    )
    said, given, more = body_for(messages=history)["contents"]
    assert said == {
        "role": "model",
        "parts": [
            {"text": "Let me see."},
            {"functionCall": {"name": "a", "args": {"n": 1}}, "thoughtSignature": "S"},
            {"functionCall": {"id": "given", "name": "b", "args": {"unreadable": "{broken"}}},
            {"functionCall": {"name": "a", "args": {}}},
        ],
    }
    assert given == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "a", "response": {"output": "one"}}},
            {"functionResponse": {"id": "given", "name": "b", "response": {"error": "bad"}}},
            {"functionResponse": {"name": "a", "response": {"output": "three"}}},
        ],
    }
    assert more == {"role": "user", "parts": [{"text": "Go on."}]}


@pytest.mark.parametrize(
    ("name", "seal"),
    [("gemini-3-pro", "skip_thought_signature_validator"), ("gemini-2.5-pro", None), ("gemma-3-27b-it", None)],
)
def test_calls_of_another_model_have_a_seal_where_one_is_required(name: str, seal: str | None):
    foreign = Message(
        role="assistant",
        parts=(
            Thought(text="Hm.", signature="sealed elsewhere"),
            Thought(text="", signature="closed", redacted=True, sealed_by="anthropic"),
            ToolCall(id="x1", tool="a", arguments="{}"),
            ToolCall(id="x2", tool="a", arguments="{}"),
        ),
    )
    first, second = body_for(name, messages=(*HELLO, foreign))["contents"][1]["parts"]
    assert first.get("thoughtSignature") == seal
    assert "thoughtSignature" not in second


def test_what_would_be_an_empty_turn_is_left_out():
    silent = Message(role="assistant", parts=(Thought(text="unsealed"), Text(text="")))
    assert len(body_for(messages=(*HELLO, silent))["contents"]) == 1
    assert body_for(messages=HELLO[:1]) == {"contents": [{"role": "user", "parts": [{"text": "Be brief."}]}]}


def test_a_schema_says_in_words_what_gemini_does_not_read():
    schema = {
        "$defs": {"Kind": {"enum": ["a"], "title": "Kind", "type": "string"}},
        "$schema": "x",
        "type": "object",
        "properties": {
            "title": {"type": "string", "format": "uri", "description": "Its name."},
            "kind": {"$ref": "#/$defs/Kind", "description": "Which."},
            "one": {"oneOf": [{"const": 1, "title": "One"}, {"type": "null"}]},
            "many": {"type": "array", "items": {"$ref": "#/$defs/Kind"}, "uniqueItems": True},
            "map": {"type": "object", "additionalProperties": {"exclusiveMinimum": 0, "type": "number"}},
            "boxed": {"allOf": [{"$ref": "#/$defs/Kind"}], "default": "a"},
            "pair": {"type": "array", "prefixItems": [{"type": "string", "title": "X"}], "items": False},
        },
        "required": ["title"],
    }
    before = copy.deepcopy(schema)
    assert gemini_schema(schema) == {
        "$defs": {"Kind": {"enum": ["a"], "type": "string"}},
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": 'Its name. format: "uri"'},
            "kind": {"anyOf": [{"$ref": "#/$defs/Kind"}], "description": "Which."},
            "one": {"anyOf": [{"enum": [1]}, {"type": "null"}]},
            "many": {"type": "array", "items": {"$ref": "#/$defs/Kind"}, "description": "uniqueItems: true"},
            "map": {
                "type": "object",
                "additionalProperties": {"type": "number", "description": "exclusiveMinimum: 0"},
            },
            "boxed": {"anyOf": [{"$ref": "#/$defs/Kind"}], "description": 'default: "a"'},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
        },
        "required": ["title"],
    }
    assert schema == before
    itself = {"$defs": {"Node": {"type": "object"}}, "$ref": "#/$defs/Node"}
    assert gemini_schema(itself) == itself


# --- addresses and keys


@pytest.mark.parametrize(
    ("tail", "path"),
    [
        ("", "/v1beta/models/m:generateContent"),
        ("/", "/v1beta/models/m:generateContent"),
        ("/v1beta", "/v1beta/models/m:generateContent"),
        ("/v1beta/", "/v1beta/models/m:generateContent"),
        ("/proxy/v1", "/proxy/v1/models/m:generateContent"),
        ("/proxy?team=a", "/proxy/v1beta/models/m:generateContent?team=a"),
    ],
)
async def test_a_base_url_works_with_or_without_its_version(tail: str, path: str):
    with ChatServer(sends(200, gives("Hi"))) as server:
        endpoint = Endpoint(provider="gemini", model="m", base_url=server.url + tail)
        [_ async for _ in Gemini(endpoint).ask(ModelRequest(messages=HELLO))]
        assert server.requests[0].path == path


@pytest.mark.parametrize(
    ("name", "path"), [("models/m", "/v1beta/models/m"), ("tunedModels/x", "/v1beta/tunedModels/x"), ("ü?", None)]
)
async def test_names_of_models(name: str, path: str | None):
    _, _, sent = await ask(sends(200, gives("Hi")), name)
    assert sent.path == f"{path or '/v1beta/models/%C3%BC%3F'}:generateContent"


@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
async def test_the_environment_gives_address_and_key(monkeypatch: pytest.MonkeyPatch, variable: str):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    with ChatServer(sends(200, gives("Hi"))) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        asked = Gemini(Endpoint(provider="google", model="m"))
        [_ async for _ in asked.ask(ModelRequest(messages=HELLO))]
        monkeypatch.setenv(variable, " AIza-later\n")
        [_ async for _ in asked.ask(ModelRequest(messages=HELLO))]
        first, second = server.requests
    assert "x-goog-api-key" not in first.headers
    assert second.headers["x-goog-api-key"] == "AIza-later"
    assert "authorization" not in second.headers
    assert "AIza" not in second.path


async def test_a_missing_key_names_the_variables_and_the_way_without(monkeypatch: pytest.MonkeyPatch):
    for variable in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    missing = Gemini(Endpoint(provider="google", model="m"))
    with pytest.raises(
        errors.AuthenticationError, match=r'GEMINI_API_KEY or GOOGLE_API_KEY[\s\S]*LLM\("offline"\) needs no key'
    ):
        await anext(missing.ask(ModelRequest(messages=HELLO)))


def test_an_address_that_is_none_is_refused_where_it_is_written():
    with pytest.raises(errors.DefinitionError, match="http://"):
        Gemini(Endpoint(provider="google", model="m", base_url="localhost:8000"))


# --- what is read


async def test_text():
    pieces, answer, _ = await ask(sends(200, gives("Hi ", "there")))
    assert pieces == []
    assert answer == Answer(
        message=Message.of("assistant", "Hi there"),
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=3),
        model="gemini-test",
    )


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_without_ids_are_numbered_on_and_those_with_one_keep_it(*, stream: bool):
    before = Message(role="assistant", parts=(ToolCall(id="z", tool="x", arguments="{}"),))
    asked = [part_call(args={"city": "Zürich"}, seal="S"), part_call(id="own"), part_call(id="own"), part_call()]
    chunks = [gives(one, finish=None) for one in asked[:-1]] + [gives(asked[-1])]
    reply = events(*chunks) if stream else sends(200, gives(*asked))
    _, answer, _ = await ask(reply, stream=stream, messages=(*HELLO, before))
    assert answer.finish_reason == "tool_calls"
    assert answer.message.calls == (
        ToolCall(id="call_2", tool="get_weather", arguments='{"city": "Zürich"}', signature="S", sealed_by="gemini"),
        ToolCall(id="own", tool="get_weather", arguments="{}"),
        ToolCall(id="call_4", tool="get_weather", arguments="{}"),
        ToolCall(id="call_5", tool="get_weather", arguments="{}"),
    )


SEALED = [
    {"text": "Hm.", "thought": True, "thoughtSignature": "T"},
    {"text": "Let me "},
    {"text": "see.", "thoughtSignature": "W"},
    {"text": "", "thoughtSignature": "E"},
    {"functionCall": {"name": "a", "args": {"n": 1}}, "thoughtSignature": "C"},
    {"functionCall": {"name": "b", "args": {}, "id": "own"}},
    {"text": "Wait."},
    {"text": "", "thoughtSignature": "Z"},
]


@pytest.mark.parametrize("stream", [True, False])
async def test_seals_go_back_exactly_where_they_came_from(*, stream: bool):
    chunks = [gives(part, finish=None) for part in SEALED[:-1]] + [gives(SEALED[-1])]
    _, answer, _ = await ask(events(*chunks) if stream else sends(200, gives(*SEALED)), stream=stream)
    assert answer.message.text == "Let me see.Wait."
    assert [one.signature for one in answer.message.calls] == ["C", None]
    assert body_for(messages=(*HELLO, answer.message))["contents"][1] == {"role": "model", "parts": SEALED}


async def test_thoughts():
    thought = {"text": "Hm.", "thought": True}
    _, answer, _ = await ask(sends(200, gives(thought, "42")))
    assert answer.message.parts == (Thought(text="Hm."), Text(text="42"))
    pieces, answer, _ = await ask(events(gives(thought, finish=None), gives("42")), stream=True)
    assert pieces == [Piece(text="Hm.", thinking=True), Piece(text="42")]
    assert answer.message.parts == (Thought(text="Hm."), Text(text="42"))


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 130,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 15,
                "toolUsePromptTokenCount": 7,
                "totalTokenCount": 142,
            },
            Usage(input_tokens=107, output_tokens=35, cached_input_tokens=107, reasoning_tokens=15),
        ),
        (
            {"promptTokenCount": 9, "thoughtsTokenCount": 5, "totalTokenCount": 14},
            Usage(input_tokens=9, output_tokens=5, reasoning_tokens=5),
        ),
        ({"promptTokenCount": 9}, Usage(input_tokens=9, output_tokens=0)),
        ({}, None),
        (None, None),
    ],
)
async def test_usage(counts: Any, usage: Usage | None):
    _, answer, _ = await ask(sends(200, gives("Hi", usageMetadata=counts)))
    assert answer.usage == usage


async def test_usage_in_a_stream_is_the_last_and_never_a_sum():
    first = gives("a", finish=None, usageMetadata={"promptTokenCount": 15, "totalTokenCount": 15})
    last = {"usageMetadata": {"promptTokenCount": 13, "candidatesTokenCount": 8}}
    _, answer, _ = await ask(events(first, gives("b"), last), stream=True)
    assert answer.usage == Usage(input_tokens=13, output_tokens=8)


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SOMETHING_NEW", "stop"),
        (None, "stop"),
    ],
)
async def test_finish_reasons(word: Any, finish: str):
    _, answer, _ = await ask(sends(200, gives("Hi", finish=word)))
    assert answer.finish_reason == finish


@pytest.mark.parametrize(("word", "finish"), [("MAX_TOKENS", "length"), ("SAFETY", "content_filter")])
@pytest.mark.parametrize("stream", [True, False])
async def test_calls_of_an_unfinished_turn_are_not_made(word: str, finish: str, *, stream: bool):
    body = gives("Wait", part_call(), finish=word)
    _, answer, _ = await ask(events(body) if stream else sends(200, body), stream=stream)
    assert (answer.finish_reason, answer.message.calls, answer.message.text) == (finish, (), "Wait")


async def test_the_most_tokens_may_leave_no_words():
    candidate = {"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}
    _, answer, _ = await ask(sends(200, {"candidates": [candidate]}))
    assert (answer.finish_reason, answer.message.parts, answer.usage) == ("length", (), None)


async def test_other_candidates_are_not_ours():
    other = {"candidates": [{"index": 1, "content": {"parts": [{"text": "no"}]}}]}
    _, answer, _ = await ask(events(gives("a", finish=None), other, gives("b")), stream=True)
    assert answer.message.text == "ab"


@pytest.mark.parametrize("form", ["array", "object", "events with arrays"])
async def test_a_stream_in_another_form_is_understood(form: str):
    chunks = [gives("H", finish=None), gives("i")]
    forms = {"array": sends(200, chunks), "object": sends(200, gives("H", "i")), "events with arrays": events(chunks)}
    pieces, answer, _ = await ask(forms[form], stream=True)
    assert pieces == [Piece(text="H"), Piece(text="i")]
    assert (answer.message.text, answer.finish_reason) == ("Hi", "stop")


# --- what goes wrong


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "LANGUAGE"])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_end_that_is_none_is_an_error(word: str, *, stream: bool):
    body = {"candidates": [{"finishReason": word, "finishMessage": "print(default_api.x("}]}
    error = await fail(events(body) if stream else sends(200, body), stream=stream)
    assert type(error) is errors.ProviderError
    assert word in error.what
    assert "default_api" in error.what


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": []},
        {"candidates": None},
        {"usageMetadata": COUNTS},
        gives(),
        gives(""),
        gives({"text": "Hm.", "thought": True}),
        {"candidates": [{"finishReason": "STOP"}]},
        {"candidates": [{}]},
    ],
)
async def test_a_success_that_is_none_is_an_error(body: Any):
    error = await fail(sends(200, body))
    assert type(error) is errors.ProviderError
    assert error.status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_prompt_is_filtered(*, stream: bool):
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    error = await fail(events(body) if stream else sends(200, body), stream=stream)
    assert type(error) is errors.ContentFiltered
    assert error.body == "PROHIBITED_CONTENT"


@pytest.mark.parametrize("ending", ["cut", "complete"])
async def test_an_array_that_breaks_off_is_interrupted(ending: Any):
    raw = json.dumps([gives("Once ", finish=None), gives("upon")]).encode()
    for end in (raw.index(b"upon") + 2, raw.index(b"upon") - 20):
        error = await fail(Reply(chunks=[raw[:3], raw[3:end]], stream=True, ending=ending), stream=True)
        assert isinstance(error, errors.StreamInterrupted)
        assert "Once up".startswith(error.partial)
        assert error.partial.startswith("Once ")
    whole = json.dumps([gives("Once ", finish=None)]).encode()
    assert isinstance(await fail(Reply(chunks=[whole], stream=True), stream=True), errors.StreamInterrupted)


def complaint(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def quota(name: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


EXHAUSTED = "You exceeded your current quota, please check your plan and billing details."
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.9s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
CASES: list[tuple[int, Any, type[errors.ProviderError]]] = [
    (400, complaint(400, "INVALID_ARGUMENT", "Please renew it.", BAD_KEY), errors.AuthenticationError),
    (403, complaint(403, "PERMISSION_DENIED", "Not for you."), errors.AuthenticationError),
    (404, complaint(404, "NOT_FOUND", "models/x is not found for API version v1beta."), errors.ModelNotFound),
    (404, "<html><title>Error 404</title></html>", errors.InvalidRequest),
    (429, complaint(429, "RESOURCE_EXHAUSTED", EXHAUSTED, quota("PerMinutePerProject"), RETRY), errors.RateLimited),
    (429, complaint(429, "RESOURCE_EXHAUSTED", EXHAUSTED, quota("RequestsPerDay"), RETRY), errors.QuotaExceeded),
    (429, complaint(429, "RESOURCE_EXHAUSTED", "metric: x, limit: 0, model: m", RETRY), errors.QuotaExceeded),
    (
        400,
        complaint(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens (8)."),
        errors.ContextTooLong,
    ),
    (400, complaint(400, "INVALID_ARGUMENT", "Invalid value at 'contents'."), errors.InvalidRequest),
    (400, [complaint(400, "INVALID_ARGUMENT", "Invalid.", BAD_KEY)], errors.AuthenticationError),
    (503, complaint(503, "UNAVAILABLE", "The model is overloaded."), errors.Overloaded),
    (500, complaint(500, "INTERNAL", "An internal error has occurred."), errors.ProviderError),
    (502, "<html><title>Bad gateway</title></html>", errors.ProviderError),
]


@pytest.mark.parametrize(("status", "body", "meaning"), CASES)
@pytest.mark.parametrize("stream", [True, False])
async def test_errors_keep_their_class(status: int, body: Any, meaning: type[errors.ProviderError], *, stream: bool):
    error = await fail(sends(status, body), stream=stream)
    assert type(error) is meaning
    assert error.status == status


async def test_the_wait_stands_in_the_details_and_a_header_goes_before_it():
    body = complaint(429, "RESOURCE_EXHAUSTED", EXHAUSTED, RETRY)
    for headers, wait in (({}, 48.9), ({"retry-after": "7"}, 7.0), ({"retry-after": "0"}, 48.9)):
        error = await fail(sends(429, body, headers=headers))
        assert isinstance(error, errors.RateLimited)
        assert error.retry_after == wait


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (events(gives("a", finish=None), complaint(429, "RESOURCE_EXHAUSTED", "Slow")), errors.RateLimited),
        (events(complaint(503, "UNAVAILABLE", "Busy")), errors.Overloaded),
        (sends(200, [gives("a", finish=None), complaint(503, "UNAVAILABLE", "Busy")]), errors.Overloaded),
        (sends(200, complaint(500, "INTERNAL", "Oh")), errors.ProviderError),
        (events(gives("a", finish=None), '{"broken'), errors.StreamInterrupted),
        (sends(200, "<html>hello</html>"), errors.ProviderError),
        (sends(200, b""), errors.StreamInterrupted),
    ],
)
async def test_errors_inside_a_stream_keep_their_class(reply: Reply, meaning: type[errors.ProviderError]):
    assert type(await fail(reply, stream=True)) is meaning
