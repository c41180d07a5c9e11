"""Chat completions against a real server on loopback: what is sent, and what is read from any server's dialect."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import pytest

from quire.adapters.providers.chat_request import chat_request
from quire.adapters.providers.openai_chat import OpenAIChat
from quire.adapters.providers.services import SERVICES
from quire.core import errors
from quire.core.messages import Message, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, Endpoint, ModelRequest, OutputForm, Piece, ToolForm
from quire.core.usage import Usage
from tests.adapters.providers import dialects
from tests.adapters.providers.dialects import DIALECTS, HELLO
from tests.servers import Answering, ChatServer, Reply, calls, events, says, sends, streams

fail = partial(dialects.fail, DIALECTS["chat"])
WEATHER = ToolForm(name="get_weather", description="Weather.", parameters={"type": "object", "properties": {}})


def model(server: ChatServer, provider: str = "openai_compat", **more: Any) -> OpenAIChat:
    return OpenAIChat(Endpoint(provider=provider, model="gpt-test", base_url=server.url, **{"timeout": 5.0, **more}))


async def ask(*replies: Answering, provider: str = "openai_compat", **request: Any) -> tuple[list[Piece], Answer, Any]:
    with ChatServer(*replies) as server:
        asked = ModelRequest(**{"messages": HELLO, **request})
        *pieces, answer = [found async for found in model(server, provider).ask(asked)]
        return pieces, answer, server.requests[-1].json


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def call(arguments: str | None = "", **fragment: Any) -> dict[str, Any]:
    name = fragment.pop("name", None)
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return chunk({"tool_calls": [{**fragment, "function": function}]})


# --- what is sent


async def test_the_request_is_what_the_api_documents():
    _, _, sent = await ask(says("Hi"), temperature=0.5, max_tokens=9, stop=("END",), reasoning="low")
    assert sent == {
        "model": "gpt-test",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["END"],
        "reasoning_effort": "low",
    }


def test_openai_itself_has_its_own_word_for_the_most_tokens():
    request = ModelRequest(messages=HELLO, max_tokens=9)
    sent = chat_request(request, "m", SERVICES["openai"], at_openai=True)
    assert sent["max_completion_tokens"] == 9
    assert "max_tokens" not in sent


async def test_openrouter_has_its_own_word_for_effort():
    _, _, sent = await ask(says("Hi"), provider="openrouter", reasoning="low")
    assert sent["reasoning"] == {"effort": "low"}


async def test_tools_calls_and_results_are_sent():
    asked = Message(
        role="assistant",
        parts=(
            Thought(text="Hm."),
            ToolCall(id="a", tool="get_weather", arguments='{"city":"Rome"}'),
            ToolCall(id="b", tool="get_weather", arguments="{broken"),
        ),
    )
    given = Message(
        role="tool",
        parts=(ToolResult(id="a", tool="get_weather", text="sunny"), ToolResult(id="b", tool="get_weather", text="no")),
    )
    _, _, sent = await ask(says("Hi"), provider="deepseek", messages=(*HELLO, asked, given), tools=(WEATHER,))
    assert sent["tools"] == [
        {
            "type": "function",
            "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER.parameters},
        }
    ]
    said, first, second = sent["messages"][2:]
    assert said["content"] is None
    assert said["reasoning_content"] == "Hm."
    assert [json.loads(one["function"]["arguments"]) for one in said["tool_calls"]] == [
        {"city": "Rome"},
        {"unreadable": "{broken"},
    ]
    assert first == {"role": "tool", "tool_call_id": "a", "content": "sunny"}
    assert second["tool_call_id"] == "b"


async def test_ids_another_provider_made_are_fitted_in_the_call_and_its_result_alike():
    strange = "toolu/" + "x" * 80
    history = (
        Message(role="assistant", parts=(ToolCall(id=strange, tool="t", arguments=""),)),
        Message(role="tool", parts=(ToolResult(id=strange, tool="t", text="1"),)),
    )
    _, _, sent = await ask(says("Hi"), provider="mistral", messages=history)
    made = sent["messages"][0]["tool_calls"][0]
    assert made["id"] == sent["messages"][1]["tool_call_id"]
    assert len(made["id"]) == 9
    assert made["function"]["arguments"] == "{}"


async def test_a_schema_is_strict_when_it_fits():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}
    before = copy.deepcopy(schema)
    _, _, sent = await ask(says("{}"), output=OutputForm(name="A b!", schema=schema))
    form = sent["response_format"]["json_schema"]
    assert (form["name"], form["strict"], form["schema"]["required"]) == ("A_b_", True, ["n"])
    assert schema == before
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    _, _, sent = await ask(says("{}"), output=OutputForm(name="Map", schema=free))
    assert sent["response_format"]["json_schema"] == {"name": "Map", "schema": free, "strict": False}


async def test_streams_ask_for_usage():
    _, _, sent = await ask(streams("Hi"), stream=True)
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    _, _, sent = await ask(streams("Hi"), stream=True, provider="mistral")
    assert "stream_options" not in sent


# --- addresses and keys


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_a_base_url_works_with_or_without_its_version(tail: str):
    with ChatServer() as server:
        endpoint = Endpoint(provider="openai", model="m", base_url=server.url + tail)
        [_ async for _ in OpenAIChat(endpoint).ask(ModelRequest(messages=HELLO))]
        assert server.requests[0].path == "/v1/chat/completions"


async def test_a_version_of_another_kind_is_kept():
    with ChatServer() as server:
        endpoint = Endpoint(provider="openai_compat", model="m", base_url=f"{server.url}/v1beta/openai/?key=1")
        [_ async for _ in OpenAIChat(endpoint).ask(ModelRequest(messages=HELLO))]
        assert server.requests[0].path == "/v1beta/openai/chat/completions?key=1"


async def test_the_environment_gives_address_and_key(monkeypatch: pytest.MonkeyPatch):
    with ChatServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        asked = OpenAIChat(Endpoint(provider="openai", model="m"))
        [_ async for _ in asked.ask(ModelRequest(messages=HELLO))]
        monkeypatch.setenv("OPENAI_API_KEY", " sk-later\n")
        [_ async for _ in asked.ask(ModelRequest(messages=HELLO, max_tokens=5))]
        first, second = server.requests
        assert "authorization" not in first.headers
        assert second.headers["authorization"] == "Bearer sk-later"
        assert second.json["max_tokens"] == 5


@pytest.mark.parametrize(("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("groq", "GROQ_API_KEY")])
async def test_a_missing_key_names_the_variable_and_the_way_without(provider: str, variable: str):
    missing = OpenAIChat(Endpoint(provider=provider, model="m"))
    with pytest.raises(errors.AuthenticationError, match=rf'{variable}[\s\S]*LLM\("offline"\) needs no key'):
        await anext(missing.ask(ModelRequest(messages=HELLO)))


async def test_a_known_address_has_its_own_key():
    foreign = OpenAIChat(Endpoint(provider="openai_compat", model="m", base_url="https://api.groq.com/openai/v1"))
    with pytest.raises(errors.AuthenticationError, match="GROQ_API_KEY"):
        await anext(foreign.ask(ModelRequest(messages=HELLO)))


@pytest.mark.parametrize("key", ["sk-with space", "“sk-quoted”", "two\nlines"])
async def test_a_key_that_cannot_be_one_is_told_before_it_is_sent(key: str):
    with ChatServer() as server:
        with pytest.raises(errors.AuthenticationError, match="characters"):
            await anext(model(server, api_key=key).ask(ModelRequest(messages=HELLO)))
        assert not server.requests


@pytest.mark.parametrize(
    "url", ["localhost:8000", "127.0.0.1:8000/v1", "ftp://models", "ftp://me:secret@models", "http://[::1/v1"]
)
def test_an_address_that_is_none_is_refused_where_it_is_written(url: str):
    with pytest.raises(errors.DefinitionError, match="http://") as raised:
        OpenAIChat(Endpoint(provider="openai_compat", model="m", base_url=url))
    assert "secret" not in str(raised.value)


async def test_no_address_is_said():
    with pytest.raises(errors.DefinitionError, match="base_url"):
        await anext(OpenAIChat(Endpoint(provider="openai_compat", model="m")).ask(ModelRequest(messages=HELLO)))


# --- what is read


async def test_text():
    pieces, answer, _ = await ask(says("Hi there"))
    assert pieces == []
    assert answer == Answer(
        message=Message.of("assistant", "Hi there"),
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=3),
        model="gpt-test",
    )


async def test_parallel_calls():
    _, answer, _ = await ask(calls(("a", {"x": 1}), ("b", {})))
    assert answer.finish_reason == "tool_calls"
    assert [(one.id, one.tool, one.arguments) for one in answer.message.calls] == [
        ("call_0", "a", '{"x": 1}'),
        ("call_1", "b", "{}"),
    ]


async def test_usage_in_full_and_its_absence():
    reported = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 130, "cache_write_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 15},
        "cost": 0.25,
    }
    _, answer, _ = await ask(says("Hi", usage=reported))
    assert answer.usage == Usage(
        input_tokens=100, output_tokens=20, cached_input_tokens=100, cache_write_tokens=7, reasoning_tokens=15
    )
    assert answer.cost_usd == 0.25
    _, answer, _ = await ask(says("Hi", usage=None))
    assert answer.usage is None
    assert answer.cost_usd is None


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), (None, "stop"), ("eos", "stop")],
)
async def test_finish_reasons(word: Any, finish: str):
    _, answer, _ = await ask(says("Hi", finish=word))
    assert answer.finish_reason == finish


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_reasoning(name: str):
    _, answer, _ = await ask(says("42", **{name: "Hm."}))
    assert answer.message.parts == (Thought(text="Hm."), Text(text="42"))
    pieces, answer, _ = await ask(events(chunk({name: "Hm."}), chunk({"content": "42"}, "stop"), "[DONE]"), stream=True)
    assert pieces == [Piece(text="Hm.", thinking=True), Piece(text="42")]
    assert answer.message.parts == (Thought(text="Hm."), Text(text="42"))


async def test_typed_content():
    typed = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "42"}]
    _, answer, _ = await ask(says(typed))  # type: ignore[arg-type]
    assert answer.message.parts == (Thought(text="Hm."), Text(text="42"))


USAGE = {"prompt_tokens": 5, "completion_tokens": 6}


@pytest.mark.parametrize(
    "end",
    [
        [chunk(finish="stop"), {"choices": [], "usage": USAGE}, "[DONE]"],
        [chunk(finish="stop", usage=USAGE), "[DONE]"],
        [chunk(finish="stop", x_groq={"usage": USAGE})],
        [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}, "[DONE]"],
        [chunk(usage={"prompt_tokens": 5, "completion_tokens": 2}), chunk(usage=USAGE), "[DONE]"],
    ],
)
async def test_usage_and_endings_wherever_they_are(end: list[Any]):
    first = {"choices": [], "prompt_filter_results": [{}]}
    _, answer, _ = await ask(events(first, chunk({"role": "assistant", "content": "a"}), *end), stream=True)
    assert (answer.message.text, answer.finish_reason) == ("a", "stop")
    assert answer.usage == Usage(input_tokens=5, output_tokens=6)


async def test_a_stream_without_usage_has_none():
    _, answer, _ = await ask(events(chunk({"content": "a"}, "stop"), "[DONE]"), stream=True)
    assert answer.usage is None


TWO_CALLS = [("a", "x", '{"n":1}'), ("b", "y", "{}")]


@pytest.mark.parametrize(
    "fragments",
    [
        [call(index=0, id="a", name="x"), call('{"n"', index=0), call(":1}", index=0), call(index=1, id="b", name="y")],
        [call('{"n":1}', index=0, id="a", name="x"), call("{}", index=0, id="b", name="y")],  # all are number 0
        [call('{"n"', id="a", name="x"), call(":1}"), call(None, id="b", name="y")],  # no index
        [call('{"n"', index=0, id="a", name="x"), call(":1}", index=0, id=""), call(index=1, id="b", name="y")],
        [
            call('{"n"', index=0, id="a", name="x"),
            call(":1}", index=0, id="a", name="x"),
            call(index=1, id="b", name="y"),
        ],
        [
            call("", index=0, id="a"),
            call("", index=0, name="x"),
            call('{"n":1}', index=0),
            call(index=1, id="b", name="y"),
        ],
        [call("", index=0, id="a", name="x"), call('{"n":1}', index=0, name="x"), call(index=5, id="b", name="y")],
        [
            call(index=0, id="a", name="x"),
            call(index=1, id="b", name="y"),
            call('{"n":1}', index=0),
            call("{}", index=1),
        ],
    ],
)
async def test_every_dialect_of_streamed_calls(fragments: list[Any]):
    _, answer, _ = await ask(events(*fragments, chunk(finish="tool_calls"), "[DONE]"), stream=True)
    assert [(one.id, one.tool, one.arguments) for one in answer.message.calls] == TWO_CALLS
    assert answer.finish_reason == "tool_calls"


async def test_calls_without_ids_are_numbered_on_through_the_conversation():
    before = Message(role="assistant", parts=(ToolCall(id="z", tool="x", arguments="{}"),))
    fragments = [call("{}", index=0, name="x"), call("{}", index=1, name="x"), chunk(finish="stop")]
    _, answer, _ = await ask(events(*fragments), stream=True, messages=(*HELLO, before))
    assert [one.id for one in answer.message.calls] == ["call_2", "call_3"]
    assert answer.finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_was_cut_off_is_not_made(*, stream: bool):
    cut = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x", "arguments": '{"n":'}}]}
    whole = says("Wait", finish="length", **cut)
    parts = events(chunk({"content": "Wait", **cut}), chunk(finish="length"), "[DONE]")
    _, answer, _ = await ask(parts if stream else whole, stream=stream)
    assert (answer.finish_reason, answer.message.calls, answer.message.text) == ("length", (), "Wait")


async def test_other_choices_are_not_ours():
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    _, answer, _ = await ask(events(chunk({"content": "a"}), other, chunk({"content": "b"}, "stop")), stream=True)
    assert answer.message.text == "ab"


# --- what goes wrong


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_is_filtered_with_its_text(*, stream: bool):
    streamed = events(chunk({"refusal": "I can"}), chunk({"refusal": "not."}), chunk(finish="stop"), "[DONE]")
    error = await fail(streamed if stream else says(None, refusal="I cannot."), stream=stream)
    assert type(error) is errors.ContentFiltered
    assert error.body == "I cannot."


@pytest.mark.parametrize("ending", ["cut", "hang", "complete"])
async def test_a_good_bye_is_an_end(ending: Any):
    _, answer, _ = await ask(events(chunk({"content": "Hi"}), "[DONE]", ending=ending), stream=True)
    assert (answer.message.text, answer.finish_reason) == ("Hi", "stop")


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (
            events(chunk({"content": "a"}), {"error": {"message": "x", "code": "rate_limit_exceeded"}}),
            errors.RateLimited,
        ),
        (
            events(chunk({"content": "a"}), chunk({}, "error", error={"code": 503, "message": "gone"})),
            errors.Overloaded,
        ),
        (events({"choices": [{"index": 0, "error": {"code": 429, "message": "x"}}]}), errors.RateLimited),
        (Reply(chunks=[b'event: error\ndata: {"message":"overloaded"}\n\n'], stream=True), errors.Overloaded),
        (events(chunk({"content": "a"}, "error"), "[DONE]"), errors.ProviderError),
        (events(chunk({"content": "a"}, "insufficient_system_resource"), "[DONE]"), errors.Overloaded),
        (events(chunk({"content": "a"}), '{"broken'), errors.StreamInterrupted),
        (sends(200, {"error": {"message": "Internal", "code": 500}}), errors.ProviderError),
        (sends(200, "<html>hello</html>"), errors.ProviderError),
        (sends(200, b""), errors.StreamInterrupted),
    ],
)
async def test_errors_inside_a_stream_keep_their_class(reply: Reply, meaning: type[errors.ProviderError]):
    assert type(await fail(reply, stream=True)) is meaning


@pytest.mark.parametrize("choices", [[], None])
async def test_a_success_without_choices_is_an_error(choices: Any):
    assert type(await fail(sends(200, {"choices": choices}))) is errors.ProviderError
