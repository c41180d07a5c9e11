"""The Responses API against a real server on loopback: what is sent, what is read, and what goes wrong."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from quire.adapters.providers.calls import fitting_id
from quire.adapters.providers.openai_responses import OpenAIResponses
from quire.adapters.providers.responses_request import responses_request, thinks
from quire.adapters.providers.services import SERVICES
from quire.core import errors
from quire.core.messages import File, Message, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, Endpoint, ModelRequest, OutputForm, Piece, ToolForm
from quire.core.usage import Usage
from tests.adapters.providers import dialects
from tests.adapters.providers.dialects import CALL, DIALECTS, HELLO, THOUGHT, item, piece, response, said
from tests.servers import ChatServer, Reply, events, sends

ask = partial(dialects.ask, DIALECTS["responses"])
fail = partial(dialects.fail, DIALECTS["responses"])
WEATHER = ToolForm(name="get_weather", description="Weather.", parameters={"type": "object", "properties": {}})


def body_for(name: str = "gpt-5.2", **request: Any) -> dict[str, Any]:
    return responses_request(ModelRequest(**{"messages": HELLO, **request}), name, SERVICES["openai"])


def items(*parts: tuple[Any, ...], name: str = "gpt-5.2") -> list[dict[str, Any]]:
    return body_for(name, messages=tuple(Message(role=role, parts=tuple(given)) for role, *given in parts))["input"]


def ends(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": response(*output, status=status, **more)}


def both(*output: Any, **more: Any) -> list[tuple[Reply, bool]]:
    """Make the same reply whole and as the shortest stream there is."""
    return [(sends(200, response(*output, **more)), False), (events(ends(*output, **more)), True)]


# --- what is sent


async def test_the_request_is_what_the_api_documents():
    request = {"temperature": 0.0, "max_tokens": 99, "reasoning": "low", "tools": (WEATHER,), "must_use_tool": True}
    _, _, sent = await ask(sends(200, response(said("Hi"))), **request)
    assert sent.path == "/v1/responses"
    assert sent.json == {
        "model": "gpt-5.2",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Weather.",
                "parameters": WEATHER.parameters,
                "strict": False,
            }
        ],
        "tool_choice": "required",
        "reasoning": {"effort": "low", "summary": "auto"},
        "temperature": 0.0,
        "max_output_tokens": 99,
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    assert "authorization" not in sent.headers


async def test_a_key_goes_where_the_service_looks_for_it():
    with ChatServer(sends(200, response(said("Hi")))) as server:
        for provider in ("openai-responses", "azure-responses"):
            endpoint = Endpoint(provider=provider, model="m", base_url=server.url, api_key="sk-1")
            [_ async for _ in OpenAIResponses(endpoint).ask(ModelRequest(messages=HELLO))]
        openai, azure = server.requests
    assert (openai.path, openai.headers["authorization"]) == ("/v1/responses", "Bearer sk-1")
    assert (azure.path, azure.headers["api-key"]) == ("/openai/v1/responses", "sk-1")
    assert "authorization" not in azure.headers


async def test_a_stream_is_asked_for():
    _, _, sent = await ask(DIALECTS["responses"].streams("Hi"), stream=True)
    assert sent.json["stream"] is True


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("gpt-4o-mini", False),
        ("gpt-4.1", False),
        ("gpt-35-turbo", False),
        ("chatgpt-4o-latest", False),
        ("gpt-5-chat-latest", False),
        ("gpt-5.1-chat-latest", True),
        ("gpt-5", True),
        ("gpt-6-astra", True),
        ("o4-mini-2025-04-16", True),
        ("ft:o4-mini-2025-04-16:us::x", True),
        ("our-gpt5-deployment", True),
    ],
)
def test_only_who_thinks_is_asked_for_sealed_thoughts(name: str, does: bool):
    assert thinks(name) is does
    assert ("include" in body_for(name)) is does
    assert "include" in body_for(name, reasoning="low")
    assert body_for(name)["store"] is False


def test_stop_sequences_are_refused_before_they_are_sent():
    with pytest.raises(errors.InvalidRequest, match="openai-chat"):
        body_for(stop=("END",))


def test_instructions_come_first_and_later_ones_stand_where_they_are():
    late = Message.of("system", "Now in French.")
    body = body_for(messages=(Message.of("system", "Be kind."), *HELLO, late))
    assert body["instructions"] == "Be kind.\n\nBe brief."
    assert [one["role"] for one in body["input"]] == ["user", "developer"]
    alone = body_for(messages=HELLO[:1])
    assert "instructions" not in alone
    assert alone["input"] == [{"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}]


def test_calls_and_results_are_items_in_their_order():
    long = "toolu/" + "x" * 80
    fitted = fitting_id(long, SERVICES["openai"].call_id)
    assert items(
        ("user", Text(text="Hello")),
        ("assistant", Text(text="Let me see."), ToolCall(id="a", tool="t", arguments='{"n": 1}')),
        ("assistant", ToolCall(id=long, tool="t", arguments="{no"), ToolCall(id="c", tool="t", arguments="")),
        ("tool", ToolResult(id="a", tool="t", text="1"), ToolResult(id=long, tool="t", text="bad", failed=True)),
        ("tool", ToolResult(id="c", tool="t", text=""), Text(text="Go on.")),
        name="gpt-4o",
    )[1:] == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "a", "name": "t", "arguments": '{"n": 1}'},
        {"type": "function_call", "call_id": fitted, "name": "t", "arguments": '{"unreadable": "{no"}'},
        {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": fitted, "output": "bad"},
        {"type": "function_call_output", "call_id": "c", "output": ""},
        {"role": "user", "content": [{"type": "input_text", "text": "Go on."}]},
    ]


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,UE5H"}
PICTURE = File.of(b"PNG", "image/png")


def test_files_are_shown():
    shown = (
        Text(text="Look:"),
        PICTURE,
        File.at("https://example.org/cat.jpg"),
        File.of(b"%PDF", "application/pdf", name="report.pdf"),
        File.of(b"%PDF", "application/pdf"),
        File.at("https://example.org/report.pdf"),
        File.of(b"a,b", "text/csv", name="t.csv"),
    )
    assert items(("user", *shown))[0]["content"] == [
        {"type": "input_text", "text": "Look:"},
        IMAGE,
        {"type": "input_image", "image_url": "https://example.org/cat.jpg"},
        {"type": "input_file", "filename": "report.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_file", "file_url": "https://example.org/report.pdf"},
        {"type": "input_text", "text": "<file name='t.csv'>\na,b\n</file>"},
    ]
    with pytest.raises(errors.InvalidRequest, match="audio/wav"):
        items(("user", File.of(b"RIFF", "audio/wav")))


def test_a_tool_gives_files_with_its_words_or_without():
    results = [ToolResult(id="a", tool="t", text=words, files=(PICTURE,)) for words in ("Here:", "")]
    assert [one["output"] for one in items(("tool", *results))] == [
        [{"type": "input_text", "text": "Here:"}, IMAGE],
        [IMAGE],
    ]
    (given,) = items(("assistant", PICTURE))
    assert given == {"role": "user", "content": [IMAGE]}


def test_a_schema_is_strict_when_it_fits():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}
    before = copy.deepcopy(schema)
    form = body_for(output=OutputForm(name="A b!", schema=schema))["text"]["format"]
    assert (form["type"], form["name"], form["strict"], form["schema"]["required"]) == (
        "json_schema",
        "A_b_",
        True,
        ["n"],
    )
    assert schema == before
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    form = body_for(output=OutputForm(name="A", schema=free))["text"]["format"]
    assert (form["strict"], form["schema"]) == (False, free)


@pytest.mark.parametrize(("name", "tells"), [("gpt-5.2", False), ("gpt-5.3-codex", True), ("gpt-5.6-luna", True)])
def test_remarks_on_the_way_are_told_from_the_answer(name: str, tells: bool):
    turn = ("assistant", Text(text="Let me see."), ToolCall(id="a", tool="t", arguments="{}"))
    end = ("assistant", Text(text="So."), Text(text="42"))
    phases = [one.get("phase") for one in items(turn, end, name=name) if one["type"] == "message"]
    assert phases == (["commentary", "commentary", "final_answer"] if tells else [None, None, None])


# --- thoughts, which go back as they came

SECOND = {**THOUGHT, "id": "rs_2", "summary": [], "status": None, "unheard_of": {"é": [1.50, None]}}
OTHER_CALL = {**CALL, "id": "fc_2", "call_id": "b"}
TURN = [THOUGHT, said("Let me see."), SECOND, CALL, OTHER_CALL]


@pytest.mark.parametrize(("reply", "stream"), both(*TURN))
async def test_thoughts_go_back_exactly_and_in_their_places(reply: Reply, stream: bool):
    pieces, answer, _ = await ask(reply, stream=stream)
    kinds = [type(part).__name__ for part in answer.message.parts]
    assert kinds == ["Thought", "Text", "Thought", "ToolCall", "ToolCall"]
    assert answer.message.parts[2] == Thought(
        text="", signature=json.dumps(SECOND, ensure_ascii=False), redacted=True, sealed_by="openai"
    )
    words = [Piece(text="Hm\u0085 né", thinking=True), Piece(text="Let me see.")]
    assert pieces == (words if stream else [])
    result = ToolResult(id="a", tool="x", text="1")
    _, _, sent = await ask(
        sends(200, response(said("1"))), messages=(*HELLO, answer.message, Message(role="tool", parts=(result,)))
    )
    _, first, words, second, call, other, _ = sent.json["input"]
    assert (first, second) == (THOUGHT, SECOND)
    for was, now in ((THOUGHT, first), (SECOND, second)):
        assert json.dumps(now, ensure_ascii=False) == json.dumps(was, ensure_ascii=False)
    assert words["content"][0]["text"] == "Let me see."
    assert (call["call_id"], other["call_id"]) == ("a", "b")


def test_thoughts_of_others_stay_behind():
    strange = (
        Thought(text="unsealed"),
        Thought(text="Claude's", signature="s==", sealed_by="anthropic"),
        Thought(text="Azure's", signature=dialects.SEALED, sealed_by="azure_openai"),
        Thought(text="a gateway's", signature='[{"type": "reasoning.text"}]', sealed_by="openai"),
        Thought(text="broken", signature="{", sealed_by="openai"),
    )
    assert [one["type"] for one in items(("assistant", *strange, Text(text="Hi")))] == ["message"]


OWN = Thought(text="Hm", signature=dialects.SEALED, sealed_by="openai")


def test_a_thought_without_what_came_of_it_stays_behind():
    # The API refuses a reasoning item that is not followed by an item of the same turn.
    assert items(("assistant", OWN), ("user", Text(text="Go on.")))[0]["role"] == "user"
    assert items(("assistant", OWN, Text(text="Hi"), OWN))[-1]["type"] == "message"


def test_a_model_that_does_not_think_is_shown_no_thoughts():
    turn = ("assistant", OWN, Text(text="Hi"))
    assert [one["type"] for one in items(turn, name="gpt-4o")] == ["message"]
    assert [one["type"] for one in items(turn)] == ["reasoning", "message"]


@pytest.mark.parametrize(
    ("given", "sealed"),
    [
        ({"encrypted_content": "x", "summary": []}, True),
        ({"summary": [{"type": "summary_text", "text": "Hm"}]}, False),  # kept nowhere, so it names nothing
        ({"summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]}, True),  # in the clear
        ({"encrypted_content": "x", "summary": [], "status": "incomplete"}, False),
    ],
)
async def test_what_could_not_be_read_again_is_not_sealed(given: dict[str, Any], sealed: bool):
    _, answer, _ = await ask(sends(200, response({"type": "reasoning", "id": "rs_1", **given}, said("42"))))
    assert any(isinstance(part, Thought) and part.signature for part in answer.message.parts) is sealed
    assert answer.message.text == "42"


async def test_a_beginning_that_comes_late_takes_nothing_back():
    late = item(0, "added", **{**THOUGHT, "encrypted_content": "another", "summary": []})
    _, answer, _ = await ask(
        events(item(0, "done", **THOUGHT), late, item(1, "done", **said("42")), ends()), stream=True
    )
    assert answer.message.parts == (replace(OWN, text="Hm\u0085 né"), Text(text="42"))


async def test_a_summary_in_parts_is_several_thoughts_and_one_item():
    parts = [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]
    _, answer, _ = await ask(sends(200, response({**THOUGHT, "summary": parts}, said("42"))))
    one, two, _ = answer.message.parts
    assert one == Thought(text="One.")
    assert isinstance(two, Thought)
    assert (two.text, json.loads(two.signature or "")["summary"]) == ("Two.", parts)


# --- what is read


@pytest.mark.parametrize(("reply", "stream"), both(CALL, {**OTHER_CALL, "arguments": ""}))
async def test_parallel_calls(reply: Reply, stream: bool):
    _, answer, _ = await ask(reply, stream=stream)
    assert answer.message.calls == (
        ToolCall(id="a", tool="x", arguments='{"é": 1}'),
        ToolCall(id="b", tool="x", arguments="{}"),
    )
    assert answer.finish_reason == "tool_calls"


async def test_calls_without_ids_are_numbered_on():
    before = Message(role="assistant", parts=(ToolCall(id="z", tool="x", arguments="{}"),))
    nameless = {"type": "function_call", "name": "x", "arguments": {"n": 1}}
    _, answer, _ = await ask(sends(200, response(nameless, CALL, CALL)), messages=(*HELLO, before))
    assert [(one.id, one.arguments) for one in answer.message.calls][::2] == [
        ("call_2", '{"n": 1}'),
        ("call_4", '{"é": 1}'),
    ]


COUNTS = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 120, "cache_write_tokens": 7},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 15},
}


@pytest.mark.parametrize("usage", [COUNTS, None, {}, {"input_tokens": 1}])
async def test_usage_in_full_and_its_absence(usage: Any):
    counted = Usage(
        input_tokens=100, output_tokens=20, cached_input_tokens=100, cache_write_tokens=7, reasoning_tokens=15
    )
    for reply, stream in both(said("Hi"), usage=usage):
        _, answer, _ = await ask(reply, stream=stream)
        assert answer.usage == (counted if usage is COUNTS else None)


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "length")]
)
async def test_an_incomplete_reply_is_an_answer_that_says_so(reason: str | None, finish: str):
    cut = {**CALL, "arguments": '{"n', "status": "incomplete"}
    more = {"status": "incomplete", "incomplete_details": {"reason": reason} if reason else None}
    for reply, stream in both(said("Once upon", status="incomplete"), CALL, cut, usage=COUNTS, **more):
        _, answer, _ = await ask(reply, stream=stream)
        assert (answer.message.parts, answer.finish_reason) == ((Text(text="Once upon"),), finish)
        assert answer.usage is not None


@pytest.mark.parametrize("last", [[], [item(0, "done", **{**CALL, "status": "incomplete"})]])
async def test_a_call_that_nobody_ended_is_not_made(last: list[Any]):
    begun = item(0, "added", **{**CALL, "arguments": ""})
    cut = piece(0, "function_call_arguments", '{"n', "fc_1")
    _, answer, _ = await ask(events(begun, cut, *last, "[DONE]"), stream=True)
    assert (answer.message.parts, answer.finish_reason) == ((), "length")


TEXT = said("Hello")
TEXT_BEGUN = item(0, "added", type="message", id="msg_1", content=[])
HALF_WORDS = [piece(0, "output_text", "Hel", "msg_1"), piece(0, "output_text", "lo", "msg_1")]
WORDS_ENDED = {"type": "response.output_text.done", "output_index": 0}
STREAMS = {
    "everything": DIALECTS["responses"].stream("Hel", "lo"),
    "the end alone": [ends(TEXT)],
    "items alone": [item(0, "done", **TEXT), ends()],
    "words alone": [*HALF_WORDS, ends()],
    "without places": [
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.delta", "delta": "lo"},
        ends(TEXT),
    ],
    "words once they are complete": [
        TEXT_BEGUN,
        {**WORDS_ENDED, "item_id": "msg_1", "text": "Hello"},
        item(0, "done", **TEXT),
        ends(TEXT),
    ],
    "parts": [
        TEXT_BEGUN,
        {"type": "response.content_part.added", "output_index": 0, "part": {"type": "output_text", "text": ""}},
        piece(0, "output_text", "Hello"),
        {"type": "response.content_part.done", "output_index": 0, "part": {"type": "output_text", "text": "Hello"}},
        ends(),
    ],
    "an id that changes": [
        item(0, "added", type="message", id="A", content=[]),
        piece(0, "output_text", "Hel", "B"),
        piece(0, "output_text", "lo", "C"),
        item(0, "done", **{**TEXT, "id": "D"}),
        ends({**TEXT, "id": "E"}),
    ],
    "no list at the end, and nothing about the end": [
        *DIALECTS["responses"].stream("Hel", "lo")[:-1],
        ends(),
        "[DONE]",
    ],
    "[DONE] alone": [*DIALECTS["responses"].stream("Hel", "lo")[:-1], "[DONE]"],
    "words in several parts": [
        piece(0, "output_text", "Hel", content_index=0),
        piece(0, "output_text", "lo", content_index=1),
        ends(said("Hel", "lo")),
    ],
    "another numbering at the end": [
        piece(3, "output_text", "Hel", "msg_1", content_index=4),
        piece(3, "output_text", "lo", "msg_1", content_index=4),
        ends(TEXT),
    ],
    "the end of words twice": [item(0, "done", **TEXT), {**WORDS_ENDED, "text": "Hello"}, ends()],
    "an end without the words": [*HALF_WORDS, WORDS_ENDED, item(0, "done", **said("")), ends(said(""))],
    "strange events": [
        {"type": "response.created"},
        {"type": "response.unheard_of.delta", "delta": "!"},
        {"type": "keepalive"},
        {"type": 3},
        "[1]",
        item(1, "added", type="web_search_call", id="ws_1"),
        {"type": "response.web_search_call.completed", "item_id": "ws_1"},
        *DIALECTS["responses"].stream("Hel", "lo"),
    ],
}


@pytest.mark.parametrize("payloads", STREAMS.values(), ids=STREAMS)
async def test_streams_that_leave_something_out(payloads: list[Any]):
    pieces, answer, _ = await ask(events(*payloads), stream=True)
    assert (answer.message.parts, answer.finish_reason) == ((Text(text="Hello"),), "stop")
    assert "".join(one.text for one in pieces) == "Hello"


HEL, LO = ({**said(text), "id": ""} for text in ("Hel", "lo"))
TWO = {
    "the same number": [item(0, "done", **HEL), item(0, "done", **LO), ends()],
    "another order in the end": [
        piece(5, "output_text", "Hel", "msg_1"),
        piece(2, "output_text", "lo", "msg_2"),
        ends(said("Hel"), {**said("lo"), "id": "msg_2"}),
    ],
    "the same name": [item(0, "done", **said("Hel")), ends(said("Hel"), said("lo"))],
}


@pytest.mark.parametrize("payloads", TWO.values(), ids=TWO)
async def test_two_messages_stay_two(payloads: list[Any]):
    pieces, answer, _ = await ask(events(*payloads), stream=True)
    assert answer.message.parts == (Text(text="Hel"), Text(text="lo"))
    assert "".join(one.text for one in pieces) == "Hello"


def fragments(*parts: tuple[int, str, str]) -> list[Any]:
    return [piece(index, "function_call_arguments", words, item_id) for index, item_id, words in parts]


def begun(index: int, number: int, **more: Any) -> dict[str, Any]:
    given = {"type": "function_call", "id": f"fc_{number}", "call_id": "?ab"[number], "name": "?xy"[number], **more}
    return item(index, "added", **{"arguments": "", **given})


def done(index: int, number: int, arguments: str) -> dict[str, Any]:
    return {**begun(index, number, arguments=arguments), "type": "response.output_item.done"}


FIRST, LAST = '{"n":1}', "{}"
HALVES = fragments((0, "fc_1", '{"n"'), (0, "fc_1", ":1}"))
CALLS = {
    "one after the other": [begun(0, 1), *HALVES, done(0, 1, FIRST), begun(1, 2), done(1, 2, LAST)],
    "interleaved": [begun(0, 1), begun(1, 2), HALVES[0], *fragments((1, "fc_2", LAST)), HALVES[1]],
    "all are number 0": [begun(0, 1), begun(0, 2), *fragments((0, "fc_2", LAST)), *HALVES, done(0, 1, FIRST)],
    "out of order": [begun(1, 2), *fragments((1, "fc_2", LAST)), begun(0, 1), *HALVES],
    "ended without a beginning": [done(0, 1, FIRST), done(1, 2, LAST)],
    "fragments before their call": [*HALVES, begun(0, 1), done(0, 1, FIRST), done(1, 2, "")],
    "ended without a number": [
        {name: value for name, value in one.items() if name != "output_index"}
        for one in (done(0, 1, FIRST), done(1, 2, LAST))
    ],
    "arguments once they are complete": [
        begun(0, 1),
        {
            "type": "response.function_call_arguments.done",
            "output_index": 0,
            "item_id": "fc_1",
            "arguments": FIRST,
        },
        begun(1, 2, arguments=LAST),
    ],
}


@pytest.mark.parametrize("payloads", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("listed", [True, False])
async def test_streamed_calls_however_they_come(payloads: list[Any], listed: bool):
    output = [done(0, 1, FIRST)["item"], done(1, 2, LAST)["item"]] if listed else []
    pieces, answer, _ = await ask(events(*payloads, ends(*output)), stream=True)
    assert pieces == []
    assert [(one.id, one.tool, one.arguments) for one in answer.message.calls] == [
        ("a", "x", '{"n":1}'),
        ("b", "y", "{}"),
    ]


async def test_the_end_of_a_stream_is_exact():
    begun = [piece(0, "output_text", "Helo", "msg_1"), item(0, "done", **said("Hello"))]
    pieces, answer, _ = await ask(events(*begun, ends(said("Hello!"))), stream=True)
    assert answer.message.text == "Hello!"
    assert pieces == [Piece(text="Helo"), Piece(text="!")]


# --- what goes wrong


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_is_filtered_with_its_text(*, stream: bool):
    declined = {**said(), "content": [{"type": "refusal", "refusal": "I cannot."}]}
    streamed = events(piece(0, "refusal", "I can", "msg_1"), piece(0, "refusal", "not.", "msg_1"), ends(declined))
    error = await fail(streamed if stream else sends(200, response(declined)), stream=stream)
    assert type(error) is errors.ContentFiltered
    assert error.body == "I cannot."


WRONG: list[tuple[dict[str, Any], type[errors.ProviderError]]] = [
    ({"code": "server_error", "message": "The server had an error."}, errors.ProviderError),
    ({"code": "server_is_overloaded", "message": "Later."}, errors.Overloaded),
    ({"code": "rate_limit_exceeded", "message": "Please try again in 2s."}, errors.RateLimited),
    ({"code": "insufficient_quota", "message": "You exceeded your current quota."}, errors.QuotaExceeded),
    ({"code": "context_length_exceeded", "message": "Too long."}, errors.ContextTooLong),
    ({"code": "invalid_prompt", "message": "Against the usage policy."}, errors.ContentFiltered),
    ({"code": "cyber_policy", "message": "Flagged."}, errors.ContentFiltered),
    ({"code": "image_content_policy_violation", "message": "No."}, errors.ContentFiltered),
    ({"code": "failed_to_download_image", "message": "No such image."}, errors.InvalidRequest),
    ({"code": None, "type": "invalid_request_error", "message": "Unknown parameter."}, errors.InvalidRequest),
    ({"code": "unheard_of", "message": "?"}, errors.ProviderError),
]


@pytest.mark.parametrize(("wrong", "meaning"), WRONG)
async def test_errors_inside_a_reply_keep_their_class(wrong: dict[str, Any], meaning: type[errors.ProviderError]):
    failed = response(status="failed", error=wrong)
    begun = DIALECTS["responses"].stream("a", "b")[:3]
    inside = [
        {"type": "error", "sequence_number": 4, "error": {"type": "error", **wrong}},
        {**wrong, "type": "error", "param": wrong.get("type")},
        {"type": "response.failed", "response": failed},
        {"error": wrong},
    ]
    if wrong["code"] is None:
        del inside[1]  # an error that stands alone has no type of its own
    for last in inside:
        error = await fail(events(*begun, last), stream=True)
        assert type(error) is meaning
        assert wrong["message"] in error.what
        assert (error.partial, error.begun) == ("a", True)
    assert type(await fail(sends(200, failed))) is meaning


async def test_what_comes_after_the_end_is_neither_read_nor_waited_for():
    after = {"type": "error", "code": "server_error", "message": "Too late."}
    async with asyncio.timeout(2.0):
        _, answer, _ = await ask(events(*DIALECTS["responses"].stream("Hi"), after, ending="hang"), stream=True)
    assert answer.message.text == "Hi"


async def test_a_named_error_is_one_whatever_it_says():
    for said_so in (b'event: error\ndata: {"message":"overloaded"}\n\n', b"event: error\ndata: overloaded\n\n"):
        assert type(await fail(Reply(chunks=[said_so], stream=True), stream=True)) is errors.Overloaded


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        (response(said("Hi"), status="in_progress"), errors.StreamInterrupted),
        (response(status="queued"), errors.StreamInterrupted),
        (response(status="cancelled"), errors.ProviderError),
        (response(status="failed", error=None), errors.ProviderError),
        ({"object": "response", "status": "completed", "output": None}, errors.ProviderError),
        (DIALECTS["chat"].whole("Hi"), errors.ProviderError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_that_is_none(body: Any, meaning: type[errors.ProviderError], *, stream: bool):
    assert type(await fail(sends(200, body), stream=stream)) is meaning


async def test_an_answer_names_its_model():
    _, answer, _ = await ask(sends(200, response(said("Hi"), model="gpt-5.2-2025-12-11")))
    assert answer == Answer(
        message=Message.of("assistant", "Hi"),
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=3),
        model="gpt-5.2-2025-12-11",
    )
