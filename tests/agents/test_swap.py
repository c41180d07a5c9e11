"""A living agent changes its model in the middle of a turn, across providers: what the other server receives.

Every dialect is read back from the very JSON that was sent, by a reader that is as strict as the service.
"""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from quire import LLM, Agent
from tests.servers import ChatServer, Reply, Request, says, sends

QUESTION = "Where are a and b?"

# What servers say: thoughts under a seal, words, and two calls at once


def chat_calls(seal: str, *tools: tuple[str, str, dict[str, Any]]) -> Reply:
    asked = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for id, name, arguments in tools
    ]
    details = [{"type": "reasoning.encrypted", "data": seal, "index": 0}]
    return says(
        "Let me look.", finish="tool_calls", tool_calls=asked, reasoning="Hm, where?", reasoning_details=details
    )


def anthropic_calls(seal: str, *tools: tuple[str, str, dict[str, Any]]) -> Reply:
    thoughts = [
        {"type": "thinking", "thinking": "Hm, where?", "signature": seal},
        {"type": "redacted_thinking", "data": f"{seal} redacted"},
    ]
    calls = [{"type": "tool_use", "id": id, "name": name, "input": arguments} for id, name, arguments in tools]
    return anthropic_reply(*thoughts, {"type": "text", "text": "Let me look."}, *calls, reason="tool_use")


def anthropic_reply(*content: Any, reason: str = "end_turn") -> Reply:
    usage = {"input_tokens": 12, "output_tokens": 3}
    body = {"type": "message", "role": "assistant", "model": "claude", "content": list(content), "usage": usage}
    return sends(200, {**body, "stop_reason": reason})


def gemini_calls(seal: str, *tools: tuple[str, str, dict[str, Any]]) -> Reply:
    parts: list[Any] = [{"text": "Hm, where?", "thought": True}, {"text": "Let me look."}]
    parts += [{"functionCall": {"name": name, "args": arguments}} for _, name, arguments in tools]
    parts[2]["thoughtSignature"] = seal
    return gemini_reply(*parts)


def gemini_reply(*parts: Any) -> Reply:
    content = {"parts": list(parts), "role": "model"}
    counts = {"promptTokenCount": 12, "candidatesTokenCount": 3}
    return sends(200, {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": counts})


def responses_calls(seal: str, *tools: tuple[str, str, dict[str, Any]]) -> Reply:
    summary = [{"type": "summary_text", "text": "Hm, where?"}]
    return responses_reply(
        {"type": "reasoning", "id": "rs_1", "encrypted_content": seal, "summary": summary},
        *(
            {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, "arguments": json.dumps(arguments)}
            for id, name, arguments in tools
        ),
    )


def responses_reply(*output: Any) -> Reply:
    usage = {"input_tokens": 12, "output_tokens": 3}
    body = {"object": "response", "model": "gpt", "status": "completed", "output": list(output), "usage": usage}
    return sends(200, body)


def responses_says(text: str) -> Reply:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return responses_reply({"type": "message", "id": "m", "role": "assistant", "content": content})


# What servers read: calls and results in order, each checked as the service checks it

Turn = tuple[str, Any]
"""Who, and what: words; calls as (id, tool, arguments); results as (id, words)."""


def chat_reads(request: Request) -> list[Turn]:
    turns: list[Turn] = []
    for message in request.json["messages"][1:]:
        assert set(message) <= {"role", "content", "tool_calls", "tool_call_id", "reasoning_details"}
        if message["role"] == "tool":
            assert turns[-1][0] in {"calls", "results"}
            turns.append(("results", [(message["tool_call_id"], message["content"])]))
        elif "tool_calls" in message:
            turns.append(("calls", [chat_call(call) for call in message["tool_calls"]]))
        else:
            turns.append((message["role"], message["content"]))
    return joined(turns)


def chat_call(call: Any) -> tuple[str, str, Any]:
    assert call["type"] == "function"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", call["id"])
    return call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])


def anthropic_reads(request: Request) -> list[Turn]:
    roles = [message["role"] for message in request.json["messages"]]
    assert roles == [role for role, _ in zip(itertools.cycle(("user", "assistant")), roles, strict=False)]
    turns: list[Turn] = []
    for message in request.json["messages"]:
        kinds = [block["type"] for block in message["content"]]
        assert kinds == sorted(kinds, key=["tool_result", "thinking", "redacted_thinking", "text", "tool_use"].index)
        assert all(block["text"].strip() for block in message["content"] if block["type"] == "text")
        turns += filter(None, map(anthropic_block, message["content"]))
    return joined([turn for turn in turns if turn != ("assistant", "Let me look.")])


def anthropic_block(block: Any) -> Turn | None:
    match block:
        case {"type": "text", "text": text}:
            return ("assistant" if text == "Let me look." else "user", text)
        case {"type": "tool_use", "id": id, "name": name, "input": dict() as given}:
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id)
            return ("calls", [(id, name, given)])
        case {"type": "tool_result", "tool_use_id": id, "content": content}:
            return ("results", [(id, content)])
        case {"type": "thinking" | "redacted_thinking"}:
            return None


def gemini_reads(request: Request) -> list[Turn]:
    turns: list[Turn] = []
    for content in request.json["contents"]:
        parts = content["parts"]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if calls:
            assert content["role"] == "model"
            # Gemini 3 refuses a turn with calls of which the first has no seal.
            assert next(part for part in parts if "functionCall" in part)["thoughtSignature"]
            turns.append(("calls", [(call.get("id"), call["name"], call["args"]) for call in calls]))
        elif results:
            # As many as there were calls, and those without an id are paired by their order.
            assert [(each.get("id"), each["name"]) for each in results] == [call[:2] for call in turns[-1][1]]
            turns.append(("results", [(each.get("id"), *each["response"].values()) for each in results]))
        else:
            turns.append(("user", parts[0]["text"]))
    return turns


def responses_reads(request: Request) -> list[Turn]:
    assert request.json["store"] is False
    turns: list[Turn] = []
    for item in request.json["input"]:
        match item:
            case {"type": "function_call", "call_id": id, "name": name, "arguments": given}:
                assert "id" not in item  # it would name an item that is not there
                assert len(id) <= 64
                turns.append(("calls", [(id, name, json.loads(given))]))
            case {"type": "function_call_output", "call_id": id, "output": output}:
                turns.append(("results", [(id, output)]))
            case {"role": "user", "content": content}:
                turns.append(("user", content[0]["text"]))
            case {"type": "reasoning" | "message"}:
                pass
            case _:
                pytest.fail(f"no such item: {item}")
    return joined(turns)


def joined(turns: list[Turn]) -> list[Turn]:
    """Return what stands side by side as one turn, and check that each call has its one result."""
    together: list[Turn] = []
    for who, what in turns:
        if together and who in {"calls", "results"} and together[-1][0] == who:
            together[-1] = (who, [*together[-1][1], *what])
        else:
            together.append((who, what))
    ids = [call[0] for who, calls in together if who == "calls" for call in calls]
    assert len(set(ids)) == len(ids)
    for (who, calls), (after, results) in itertools.pairwise(together):
        if who == "calls":
            assert after == "results"
            assert [result[0] for result in results] == [call[0] for call in calls]
    return together


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is met here."""

    llm: Callable[[ChatServer], LLM]
    calls: Callable[..., Reply]
    says: Callable[[str], Reply]
    reads: Callable[[Request], list[Turn]]


DIALECTS = {
    "chat": Dialect(
        llm=lambda server: LLM("openai-chat:gpt-test", base_url=server.url),
        calls=chat_calls,
        says=says,
        reads=chat_reads,
    ),
    "anthropic": Dialect(
        llm=lambda server: LLM("claude-opus-4-6", base_url=server.url, reasoning="low"),
        calls=anthropic_calls,
        says=lambda text: anthropic_reply({"type": "text", "text": text}),
        reads=anthropic_reads,
    ),
    "gemini": Dialect(
        llm=lambda server: LLM("gemini-3-flash", base_url=server.url, reasoning="low"),
        calls=gemini_calls,
        says=lambda text: gemini_reply({"text": text}),
        reads=gemini_reads,
    ),
    "responses": Dialect(
        llm=lambda server: LLM("openai-responses:gpt-5.2", base_url=server.url, reasoning="low"),
        calls=responses_calls,
        says=responses_says,
        reads=responses_reads,
    ),
}
PAIRS = list(itertools.permutations(DIALECTS, 2))


def told(turns: list[Turn]) -> list[Turn]:
    """Return a conversation without the ids, which each dialect writes in its own way."""
    return [(who, what if isinstance(what, str) else [part[1:] for part in what]) for who, what in turns]


def conversation(*rounds: dict[str, str]) -> list[Turn]:
    turns: list[Turn] = [("user", QUESTION)]
    for found in rounds:
        turns.append(("calls", [("find", {"key": key}) for key in found]))
        turns.append(("results", [(words,) for words in found.values()]))
    return turns


@pytest.fixture
def agent() -> Agent:
    """Return one whose tool changes its model, each time to the next of `llms`."""

    def find(key: str) -> str:
        """Find."""
        if key in made.turning_points:
            made.llm = made.turning_points[key]
        if key == "gone":
            raise LookupError("nowhere")
        return f"{key} found"

    made = Agent(LLM("offline"), "Find things.", tools=[find])
    made.turning_points = {}
    return made


# The pairs


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda name: name)
def test_there_and_back_again(agent, first, second):
    one, other = DIALECTS[first], DIALECTS[second]
    theirs = one.calls("seal-of-one", ("id-1", "find", {"key": "a"}), ("id-2", "find", {"key": "b"}))
    others = other.calls("seal-of-other", ("id-3", "find", {"key": "c"}), ("id-4", "find", {"key": "gone"}))
    with ChatServer(theirs, one.says("a, b and c")) as here, ChatServer(others) as there:
        agent.llm = one.llm(here)
        agent.turning_points = {"b": other.llm(there), "c": one.llm(here)}
        run = agent.start(QUESTION)
        assert run.wait() == "a, b and c"
        [received], [asked, back] = there.requests, here.requests
    ab, c = {"a": "a found", "b": "b found"}, {"c": "c found", "gone": "LookupError: nowhere"}
    assert told(one.reads(asked)) == conversation()
    assert told(other.reads(received)) == conversation(ab)
    assert told(one.reads(back)) == conversation(ab, c)
    assert b"seal-of-one" not in received.body
    assert b"seal-of-one" in back.body
    assert b"seal-of-other" not in back.body
    models = [one.llm(here).open().model, other.llm(there).open().model]
    assert run.calls["model"].tolist() == [*models, models[0]]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda name: name)
async def test_a_streamed_conversation_goes_over_too(agent, first, second):
    one, other = DIALECTS[first], DIALECTS[second]
    # A server that answers whole although it is asked to stream is understood as well.
    theirs = one.calls("seal-of-one", ("id-1", "find", {"key": "a"}), ("id-2", "find", {"key": "b"}))
    with ChatServer(theirs) as here, ChatServer(other.says("both")) as there:
        agent.llm, agent.turning_points = one.llm(here), {"a": other.llm(there)}
        words = [event.text async for event in agent.stream(QUESTION) if event.kind == "delta"]
        assert words[-1] == "both"
        [received] = there.requests
    assert told(other.reads(received)) == conversation({"a": "a found", "b": "b found"})
    assert b"seal-of-one" not in received.body


@pytest.mark.parametrize("second", DIALECTS)
@pytest.mark.parametrize("id", ["functions.find:0", "x" * 70, "ä ö", "call_1"])
def test_ids_that_another_would_refuse_are_written_anew(agent, second, id):
    other = DIALECTS[second]
    ids = (id, f"{id}-")
    theirs = chat_calls("seal-of-one", *((id, "find", {"key": key}) for id, key in zip(ids, "ab", strict=True)))
    with ChatServer(theirs) as here, ChatServer(other.says("both")) as there:
        agent.llm = LLM("vllm:m", base_url=here.url)
        agent.turning_points = {"a": other.llm(there)}
        assert agent.execute_sync(QUESTION) == "both"
        [received] = there.requests
    assert told(other.reads(received)) == conversation({"a": "a found", "b": "b found"})


def test_what_a_gateway_sealed_is_not_openais(agent):
    theirs = chat_calls("seal-of-one", ("id-1", "find", {"key": "a"}), ("id-2", "find", {"key": "c"}))
    with ChatServer(theirs, theirs, says("back")) as here, ChatServer(says("there")) as there:
        gateway = LLM("openai_compat:gpt-test", base_url=here.url)
        agent.llm, agent.turning_points = gateway, {"a": LLM("openai-chat:gpt-test", base_url=there.url)}
        assert agent.execute_sync(QUESTION) == "there"
        assert b"reasoning" not in there.requests[0].body
        agent.llm, agent.turning_points = gateway, {}
        assert agent.execute_sync(QUESTION) == "back"
        assert b"seal-of-one" in here.requests[-1].body


# What one service wants of a conversation that another began


def claude_after(first, model, agent, *replies, **settings):
    """Return what Claude is sent when another model has called the tools so far."""
    theirs = first.calls("seal-of-one", ("id-1", "find", {"key": "a"}), ("id-2", "find", {"key": "b"}))
    with ChatServer(theirs) as here, ChatServer(*replies, anthropic_reply({"type": "text", "text": "both"})) as there:
        agent.llm = first.llm(here)
        agent.turning_points = {"a": LLM(model, base_url=there.url, **settings)}
        assert agent.execute_sync(QUESTION) == "both"
        return [request.json for request in there.requests]


def test_claude_does_not_think_on_where_another_has_called_tools(agent):
    # A model that is told how long to think refuses that after a call that was made without a thought of its own.
    chat, calls = DIALECTS["chat"], [{"type": "tool_use", "id": "id-3", "name": "find", "input": {"key": "c"}}]
    bodies = claude_after(chat, "claude-sonnet-4-5", agent, anthropic_reply(*calls, reason="tool_use"), reasoning="low")
    assert ["thinking" in body for body in bodies] == [False, False]
    # A new turn begins with a thought again; and who decides for itself need not.
    with ChatServer(anthropic_reply({"type": "text", "text": "fine"})) as server:
        agent.llm = LLM("claude-sonnet-4-5", base_url=server.url, reasoning="low")
        agent.execute_sync(QUESTION)
        assert server.requests[0].json["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    [body] = claude_after(chat, "claude-opus-4-6", agent, reasoning="low")
    assert body["thinking"]["type"] == "adaptive"


@pytest.mark.parametrize("first", ["anthropic", "gemini"])
def test_who_wants_the_thoughts_behind_calls_is_told_those_of_others(agent, first):
    one = DIALECTS[first]
    theirs = one.calls("seal-of-one", ("id-1", "find", {"key": "a"}), ("id-2", "find", {"key": "b"}))
    with ChatServer(theirs) as here, ChatServer(says("both")) as there:
        agent.llm, agent.turning_points = one.llm(here), {"a": LLM("moonshot:kimi-k2.5", base_url=there.url)}
        assert agent.execute_sync(QUESTION) == "both"
        [called] = [message for message in there.requests[0].json["messages"] if "tool_calls" in message]
    assert called["reasoning_content"] == "Hm, where?"


def test_calls_without_a_thought_get_a_blank_one_from_who_refuses_none(agent):
    theirs = says(
        None,
        finish="tool_calls",
        tool_calls=[{"id": "id-1", "type": "function", "function": {"name": "find", "arguments": '{"key": "a"}'}}],
    )
    with ChatServer(theirs) as here, ChatServer(says("found")) as there:
        agent.llm = LLM("vllm:m", base_url=here.url)
        agent.turning_points = {"a": LLM("moonshot:kimi-k2.5", base_url=there.url)}
        assert agent.execute_sync(QUESTION) == "found"
        [called] = [message for message in there.requests[0].json["messages"] if "tool_calls" in message]
    assert called["reasoning_content"] == " "


@pytest.mark.parametrize("second", DIALECTS)
def test_broken_arguments_reach_another_as_an_object(agent, second):
    other = DIALECTS[second]
    broken = {"id": "id-1", "type": "function", "function": {"name": "find", "arguments": '{"key": '}}
    with (
        ChatServer(says(None, finish="tool_calls", tool_calls=[broken])) as here,
        ChatServer(other.says("sorry")) as there,
    ):
        agent.llm = LLM("vllm:m", base_url=here.url, fallback=other.llm(there))
        here.replies.append(sends(503, {"error": {"message": "Busy."}}))
        assert agent.execute_sync(QUESTION) == "sorry"
        [received] = there.requests
    _, (_, [(_, tool, arguments)]), (_, [(_, complaint)]) = other.reads(received)
    assert (tool, arguments) == ("find", {"unreadable": '{"key":'})
    assert complaint.startswith("ValueError")
