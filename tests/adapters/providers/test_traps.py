"""Twenty-five ways in which streams and replies of real servers trip an adapter, each with a number and a test.

The dialects' own modules test their formats in full; here each trap stands alone, as it was met.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from quire.adapters.providers.chat_reply import usage_of as chat_usage
from quire.core import errors
from quire.core.messages import Message, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer
from quire.core.usage import Usage
from tests.adapters.providers.dialects import (
    DIALECTS,
    HELLO,
    RICH,
    SEALED,
    ask,
    begin,
    block,
    candidate,
    chat,
    delta,
    ended,
    fail,
    item,
    piece,
    response,
    said,
)
from tests.servers import Reply, events, says, sends

CHAT, CLAUDE, GEMINI, RESPONSES = (DIALECTS[name] for name in ("chat", "anthropic", "gemini", "responses"))
END = (chat({}, "tool_calls"), "[DONE]")
AB = [("a", "x", '{"n":1}'), ("b", "y", "{}")]


def call(arguments: str | None = "", name: str | None = None, **more: Any) -> dict[str, Any]:
    """Make a chunk of chat completions with a fragment of a call."""
    function = {"arguments": arguments} | ({"name": name} if name is not None else {})
    return chat({"tool_calls": [{**more, "function": function}]})


async def calls(*chunks: Any) -> list[tuple[str, str, str]]:
    """Return the calls that a stream of chat completions amounts to."""
    _, answer, _ = await ask(CHAT, events(*chunks, *END), stream=True)
    return [(one.id, one.tool, one.arguments) for one in answer.message.calls]


async def test_01_calls_without_an_index():
    assert await calls(call('{"n"', "x", id="a"), call(":1}"), call("{}", "y", id="b")) == AB


async def test_02_every_call_has_index_0():
    assert await calls(call('{"n":1}', "x", id="a", index=0), call("{}", "y", id="b", index=0)) == AB


async def test_03_an_empty_id_is_no_other():
    assert await calls(call('{"n"', "x", id="a", index=0), call(":1}", id="", index=0)) == AB[:1]


async def test_04_the_name_is_said_again_in_every_chunk():
    parts = [call(part, "x", id="a", index=0) for part in ("", '{"n"', ":1}")]
    assert await calls(*parts) == AB[:1]


async def test_05_the_name_comes_late_or_everything_comes_at_once():
    assert await calls(call("", id="a", index=0), call("", "x", index=0), call('{"n":1}', index=0)) == AB[:1]
    assert await calls(call('{"n":1}', "x", id="a", index=0)) == AB[:1]


@pytest.mark.parametrize("arguments", ["", None, "  "])
async def test_06_no_arguments_are_an_empty_object(arguments: str | None):
    assert await calls(call(arguments, "y", id="b", index=0)) == AB[1:]
    reply = events(begin(), block(0, type="tool_use", id="b", name="y", input={}), *ended("tool_use"))
    _, answer, _ = await ask(CLAUDE, reply, stream=True)
    assert answer.message.calls[0].arguments == "{}"
    _, answer, _ = await ask(GEMINI, sends(200, candidate({"functionCall": {"name": "y"}}, finish="STOP")))
    assert answer.message.calls[0].arguments == "{}"


USAGE = {"prompt_tokens": 5, "completion_tokens": 6}


@pytest.mark.parametrize(
    "last",
    [
        [chat({}, "stop"), {"choices": [], "usage": USAGE}],
        [{"choices": [], "usage": USAGE}, chat({}, "stop")],
    ],
)
async def test_07_usage_comes_in_a_chunk_without_choices_before_or_at_the_end(last: list[Any]):
    _, answer, _ = await ask(CHAT, events(chat({"content": "Hi"}), *last, "[DONE]"), stream=True)
    assert answer.usage == Usage(input_tokens=5, output_tokens=6)


async def test_08_no_usage_is_unknown_and_some_servers_refuse_to_be_asked():
    _, answer, asked = await ask(CHAT, events(chat({"content": "Hi"}, "stop"), "[DONE]"), stream=True)
    assert answer.usage is None
    assert asked.json["stream_options"] == {"include_usage": True}
    with_mistral = CHAT.__class__(**{**_fields(CHAT), "provider": "mistral"})
    _, _, asked = await ask(with_mistral, events(chat({"content": "Hi"}, "stop"), "[DONE]"), stream=True)
    assert "stream_options" not in asked.json


def _fields(dialect: Any) -> dict[str, Any]:
    return {name: getattr(dialect, name) for name in dialect.__dataclass_fields__}


async def test_09_usage_stands_elsewhere_and_is_never_added_up():
    for last in (
        {**chat({}, "stop"), "x_groq": {"usage": USAGE}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
    ):
        _, answer, _ = await ask(CHAT, events(chat({"content": "Hi"}), last), stream=True)
        assert answer.usage == Usage(input_tokens=5, output_tokens=6)
    _, answer, _ = await ask(GEMINI, GEMINI.streams("a", "b", "c"), stream=True)
    assert answer.usage == Usage(input_tokens=12, output_tokens=3)


async def test_10_usage_that_anthropic_repeats_replaces_what_was_said_before():
    counted = {
        "input_tokens": 12,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": None,
        "output_tokens": 9,
    }
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counted}
    _, answer, _ = await ask(CLAUDE, events(begin(), last, {"type": "message_stop"}), stream=True)
    assert answer.usage == Usage(input_tokens=17, output_tokens=9, cached_input_tokens=5)


async def test_11_only_anthropic_counts_the_cached_part_beside_the_input():
    whole = CLAUDE.whole("Hi") | {"usage": {"input_tokens": 2, "cache_read_input_tokens": 7, "output_tokens": 4}}
    _, answer, _ = await ask(CLAUDE, sends(200, whole))
    assert answer.usage == Usage(input_tokens=9, output_tokens=4, cached_input_tokens=7)
    counted = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 7}}
    assert chat_usage(counted) == answer.usage


@pytest.mark.parametrize("name", DIALECTS)
async def test_12_comments_that_keep_a_connection_alive_are_nothing(name: str):
    dialect = DIALECTS[name]
    lines = [part if isinstance(part, str) else json.dumps(part) for part in dialect.stream("Hi")]
    raw = "".join(f": OPENROUTER PROCESSING\n\n: ping\n\n\n\ndata: {line}\n\n" for line in lines).encode()
    _, answer, _ = await ask(dialect, Reply(chunks=[raw], stream=True), stream=True)
    assert answer.message.text == "Hi"


async def test_13_an_end_that_is_missing_is_told():
    # Words without a reason, and no good-bye: nobody knows whether that was all.
    assert type(await fail(CHAT, events(chat({"content": "Hi"})), stream=True)) is errors.StreamInterrupted
    # A reason without a good-bye, and a good-bye without a reason, are an end.
    for reply in (events(chat({"content": "Hi"}, "stop")), events(chat({"content": "Hi"}), "[DONE]")):
        _, answer, _ = await ask(CHAT, reply, stream=True)
        assert answer.finish_reason == "stop"


@pytest.mark.parametrize("name", DIALECTS)
async def test_14_and_15_characters_are_cut_anywhere_and_lines_end_only_where_lines_end(name: str):
    dialect = DIALECTS[name]
    lines = [part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in dialect.rich]
    raw = "".join(f"data: {line}\r\n\r\n" for line in lines).encode()
    _, answer, _ = await ask(dialect, Reply(chunks=[bytes([byte]) for byte in raw], stream=True), stream=True)
    assert answer.message.parts == dialect.rich_parts


async def test_16_anthropic_says_after_200_that_it_is_overloaded():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply = events(begin(), block(0, type="text", text=""), delta(0, "text_delta", text="Once upon"), error)
    found = await fail(CLAUDE, reply, stream=True)
    assert type(found) is errors.Overloaded
    assert (found.partial, found.begun) == ("Once upon", True)


async def test_17_errors_come_inside_a_chunk_as_an_event_or_as_a_failed_response():
    inside = {**chat({"content": ""}, "error"), "error": {"code": 502, "message": "Provider disconnected"}}
    assert type(await fail(CHAT, events(chat({"content": "a"}), inside), stream=True)) is errors.ProviderError
    named = b'event: error\ndata: {"error":{"message":"Failed to call a function","code":"tool_use_failed"}}\n\n'
    assert type(await fail(CHAT, Reply(chunks=[named], stream=True), stream=True)) is errors.InvalidRequest
    spent = {"code": "insufficient_quota", "message": "You exceeded your current quota"}
    failed = {"type": "response.failed", "response": response(status="failed", error=spent)}
    for reply in (events({"type": "error", **spent}), events(failed)):
        assert type(await fail(RESPONSES, reply, stream=True)) is errors.QuotaExceeded


async def test_18_an_incomplete_response_is_an_end_and_was_counted():
    cut = response(said("Once upon"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    streamed = events(piece(0, "output_text", "Once upon", "msg_1"), {"type": "response.incomplete", "response": cut})
    _, answer, _ = await ask(RESPONSES, streamed, stream=True)
    assert (answer.message.text, answer.finish_reason) == ("Once upon", "length")
    assert answer.usage == Usage(input_tokens=12, output_tokens=3)


HALF = '{"path": "/etc", "recursive": tr'


async def test_19_a_call_that_was_cut_off_is_never_made():
    cut = call(HALF, "remove", id="a", index=0)
    _, answer, _ = await ask(CHAT, events(cut, chat({}, "length"), "[DONE]"), stream=True)
    assert (answer.finish_reason, answer.message.calls) == ("length", ())
    # A server that calls it finished all the same: what cannot be read is told to the model, and not carried out.
    _, answer, _ = await ask(CHAT, events(cut, *END), stream=True)
    assert answer.message.calls[0].arguments == HALF
    opened = block(0, type="tool_use", id="a", name="remove", input={})
    reply = events(begin(), opened, delta(0, "input_json_delta", partial_json=HALF), *ended("max_tokens"))
    _, answer, _ = await ask(CLAUDE, reply, stream=True)
    assert (answer.finish_reason, answer.message.calls) == ("length", ())


async def goes_back(dialect: Any, *messages: Message) -> str:
    """Return what a model is sent after these messages, as text."""
    _, _, asked = await ask(dialect, dialect.says("Hi"), messages=(*HELLO, *messages, Message.of("user", "Go on.")))
    return asked.body.decode()


@pytest.mark.parametrize("name", ["anthropic", "gemini", "responses"])
async def test_20_seals_go_back_to_their_maker_in_order_and_to_nobody_else(name: str):
    dialect = DIALECTS[name]
    _, answer, _ = await ask(dialect, sends(200, dialect.rich_whole), stream=name == "gemini")
    result = Message(role="tool", parts=(ToolResult(id="a", tool="x", text="1"),))
    seal = "gAAA+/é==" if name == "responses" else "s=="
    for other in DIALECTS:
        sent = await goes_back(DIALECTS[other], answer.message, result)
        assert (seal in sent) is (other == name)
    assert SEALED.count(seal) == (name == "responses")


async def test_20_thoughts_without_words_keep_their_place():
    blocks = [
        {"type": "thinking", "thinking": "", "signature": "one=="},
        {"type": "redacted_thinking", "data": "two=="},
        {"type": "text", "text": "Hi"},
    ]
    _, answer, _ = await ask(CLAUDE, sends(200, CLAUDE.whole("") | {"content": blocks}))
    sent = json.loads(await goes_back(CLAUDE, answer.message))
    assert sent["messages"][1]["content"] == blocks


async def test_21_gemini_gets_the_seal_of_a_call_back_and_a_word_in_its_place_for_strangers_calls():
    sealed = {"functionCall": {"name": "x", "args": {}}, "thoughtSignature": "s=="}
    parts = candidate(sealed, {"functionCall": {"name": "x", "args": {}}}, finish="STOP")
    _, answer, _ = await ask(GEMINI, sends(200, parts))
    sent = json.loads(await goes_back(GEMINI, answer.message))["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in sent] == ["s==", None]
    strangers = Message(role="assistant", parts=(ToolCall(id="a", tool="x", arguments="{}"),))
    sent = json.loads(await goes_back(GEMINI, strangers))["contents"][1]["parts"]
    assert sent[0]["thoughtSignature"] == "skip_thought_signature_validator"


async def test_22_gemini_calls_without_ids_are_told_apart_and_paired_by_order():
    one = candidate({"functionCall": {"name": "x", "args": {"n": 1}}})
    two = candidate({"functionCall": {"name": "x", "args": {"n": 2}}}, finish="STOP")
    _, answer, _ = await ask(GEMINI, events(one, two), stream=True)
    first, second = answer.message.calls
    assert first.id != second.id
    results = tuple(ToolResult(id=made.id, tool="x", text=made.arguments) for made in (second, first))
    sent = json.loads(await goes_back(GEMINI, answer.message, Message(role="tool", parts=results)))["contents"][2]
    given = [part["functionResponse"]["response"] for part in sent["parts"] if "functionResponse" in part]
    assert given == [{"output": '{"n": 1}'}, {"output": '{"n": 2}'}]


async def test_23_what_gemini_calls_a_success_need_not_be_one():
    _, answer, _ = await ask(GEMINI, sends(200, candidate({"functionCall": {"name": "x"}}, finish="STOP")))
    assert answer.finish_reason == "tool_calls"
    for finish in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "STOP"):
        assert type(await fail(GEMINI, sends(200, candidate(finish=finish)))) is errors.ProviderError
    _, answer, _ = await ask(GEMINI, sends(200, [candidate({"text": "a"}), candidate({"text": "b"}, finish="STOP")]))
    assert answer.message.text == "ab"  # the array that comes when alt=sse got lost


async def test_24_refusals_are_told_and_other_choices_are_not_ours():
    error = await fail(CHAT, says(None, refusal="I cannot."))
    assert (type(error), error.body) == (errors.ContentFiltered, "I cannot.")
    refused = response(said(content=[{"type": "refusal", "refusal": "I cannot."}]))
    error = await fail(RESPONSES, sends(200, refused))
    assert (type(error), error.body) == (errors.ContentFiltered, "I cannot.")
    _, answer, _ = await ask(CLAUDE, sends(200, CLAUDE.whole("") | {"content": [], "stop_reason": "refusal"}))
    assert answer.finish_reason == "content_filter"
    azure = {"choices": [], "prompt_filter_results": [{}]}
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    _, answer, _ = await ask(CHAT, events(azure, chat({"content": "yes"}), other, chat({}, "stop")), stream=True)
    assert answer.message.text == "yes"


@pytest.mark.parametrize(
    "parts",
    [
        [{"reasoning_content": "Hm."}, {"content": "Yes"}],
        [{"reasoning": "Hm."}, {"content": "Yes"}],
        [{"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}, {"content": "Yes"}],
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, {"content": "Yes"}],
        [{"content": "<think>Hm."}, {"content": "</think>\n\nYes"}],
    ],
)
async def test_25_reasoning_comes_under_five_names(parts: list[dict[str, Any]]):
    _, answer, _ = await ask(CHAT, events(*map(chat, parts), chat({}, "stop"), "[DONE]"), stream=True)
    thought, words = answer.message.parts
    assert isinstance(thought, Thought)
    assert (thought.text, words) == ("Hm.", Text(text="Yes"))


async def test_blocks_of_anthropic_have_gaps_repeat_numbers_and_begin_twice():
    reply = events(
        begin(), begin(), block(3, type="text", text=""), delta(3, "text_delta", text="Hi"),
        block(3, type="tool_use", id="a", name="x", input={}), delta(3, "input_json_delta", partial_json='{"é": 1}'),
        *ended("tool_use"),
    )  # fmt: skip
    _, answer, _ = await ask(CLAUDE, reply, stream=True)
    assert isinstance(answer, Answer)
    assert answer.message.parts == (Text(text="Hi"), RICH[2])


async def test_an_item_that_nobody_announced_is_read_all_the_same():
    late = item(0, "done", type="function_call", id="fc", call_id="a", name="x", arguments='{"é": 1}')
    _, answer, _ = await ask(
        RESPONSES, events(late, {"type": "response.completed", "response": response()}), stream=True
    )
    assert answer.message.calls == (RICH[2],)
