"""What particular services want differently, over real connections."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quire.adapters.providers.openai_chat import OpenAIChat
from quire.core.messages import Message, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Answer, Endpoint, ModelRequest, Piece, ToolForm
from tests.servers import ChatServer, Reply, events, says

HELLO = (Message.of("system", "Be brief."), Message.of("system", "Be kind."), Message.of("user", "Hello"))
LOOK = ToolForm(name="look", description="Look.", parameters={"type": "object", "properties": {}})


async def heard(reply: Reply, provider: str = "openai_compat", path: str = "", **request: Any) -> tuple[Any, Any]:
    """Return what the service was sent, and what came back: pieces and answer."""
    with ChatServer(reply) as server:
        model = OpenAIChat(Endpoint(provider=provider, model="m", base_url=server.url + path, api_key="k"))
        found = [one async for one in model.ask(ModelRequest(**{"messages": HELLO, **request}))]
        return server.requests[0], found


def delta(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said}]}


END = ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]")


@pytest.mark.parametrize(
    ("path", "sent_to"),
    [
        ("", "/openai/v1/chat/completions"),
        ("/openai", "/openai/v1/chat/completions"),
        ("/openai/v1/", "/openai/v1/chat/completions"),
        (
            "/openai/deployments/d?api-version=2024-02-01",
            "/openai/deployments/d/chat/completions?api-version=2024-02-01",
        ),
        ("/models?api-version=2024-05-01-preview", "/models/chat/completions?api-version=2024-05-01-preview"),
    ],
)
async def test_azure_has_its_own_address_and_header(path: str, sent_to: str):
    request, _ = await heard(says("Hi"), "azure", path)
    assert request.path == sent_to
    assert request.headers["api-key"] == "k"
    assert "authorization" not in request.headers


async def test_minimax_takes_one_system_message():
    request, _ = await heard(says("Hi"), "minimax")
    assert [one["role"] for one in request.json["messages"]] == ["system", "user"]
    assert request.json["messages"][0]["content"] == "Be brief.\n\nBe kind."
    request, _ = await heard(says("Hi"), "groq")
    assert [one["role"] for one in request.json["messages"]] == ["system", "system", "user"]


@pytest.mark.parametrize(("provider", "can"), [("openai", True), ("moonshot", False), ("deepseek", False)])
async def test_who_can_be_made_to_use_a_tool(provider: str, can: bool):
    assert OpenAIChat(Endpoint(provider=provider, model="m")).abilities.must_use_tool is can
    request, _ = await heard(says("Hi"), provider, tools=(LOOK,), must_use_tool=True)
    assert request.json["tool_choice"] == "required"


THINKING = "<think>\nIs it <b>? No: </thin...</think>\n\nYes, <think> is a tag."


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_thoughts_between_tags_are_no_words(size: int):
    parts = [THINKING[n : n + size] for n in range(0, len(THINKING), size)]
    _, (*pieces, answer) = await heard(events(*(delta(content=part) for part in parts), *END), stream=True)
    thought, words = answer.message.parts
    assert (thought, words) == (Thought(text="Is it <b>? No: </thin..."), Text(text="Yes, <think> is a tag."))
    assert "".join(one.text for one in pieces if one.thinking) == thought.text
    assert "".join(one.text for one in pieces if not one.thinking) == words.text


@pytest.mark.parametrize("words", ["<thin", " <b>Hi</b>", "  ", "<", "x <think>y</think>"])
async def test_what_only_looks_like_a_tag_is_words(words: str):
    _, (*pieces, answer) = await heard(events(*(delta(content=letter) for letter in words), *END), stream=True)
    assert "".join(piece.text for piece in pieces) == answer.message.text == words


async def test_thoughts_that_were_cut_off_are_thoughts():
    _, (answer,) = await heard(says("<think>Well, fir", finish="length"))
    assert answer.message.parts == (Thought(text="Well, fir"),)


DETAILS = [
    {"type": "reasoning.text", "text": "First, ", "index": 0, "format": "x-v1"},
    {"type": "reasoning.text", "text": "second.", "index": 0},
    {"type": "reasoning.text", "signature": "c2Vh\u2028bA==", "index": 0},
    {"type": "reasoning.encrypted", "data": "EmwK/+==", "index": 1, "id": "e"},
]
WHOLE = [
    {
        "type": "reasoning.text",
        "text": "First, second.",
        "index": 0,
        "format": "x-v1",
        "signature": "c2Vh\u2028bA==",
    },
    {"type": "reasoning.encrypted", "data": "EmwK/+==", "index": 1, "id": "e"},
]
CALLED = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]


@pytest.mark.parametrize("stream", [True, False])
async def test_sealed_details_go_back_to_whom_they_came_from_as_they_were(stream: bool):
    streamed = [delta(reasoning_details=[one], reasoning=one.get("text")) for one in DETAILS]
    whole = says(None, finish="tool_calls", reasoning="First, second.", reasoning_details=WHOLE, tool_calls=CALLED)
    reply = events(*streamed, delta(tool_calls=CALLED), *END) if stream else whole
    _, (*_, answer) = await heard(reply, "openrouter", stream=stream)
    assert isinstance(answer, Answer)
    thought = answer.message.parts[0]
    assert isinstance(thought, Thought)
    assert (thought.text, thought.sealed_by) == ("First, second.", "openrouter")
    assert json.loads(thought.signature or "") == WHOLE
    result = Message(role="tool", parts=(ToolResult(id="c1", tool="look", text="A cat."),))
    conversation = (*HELLO, answer.message, result)
    request, _ = await heard(says("Hi"), "openrouter", messages=conversation)
    assert request.json["messages"][3]["reasoning_details"] == WHOLE
    request, _ = await heard(says("Hi"), "groq", messages=conversation)
    assert "reasoning_details" not in request.json["messages"][3]
    request, _ = await heard(says("Hi"), "moonshot", messages=conversation)
    assert request.json["messages"][3]["reasoning_content"] == "First, second."


async def test_details_alone_are_thoughts_to_read():
    _, (*pieces, answer) = await heard(events(*(delta(reasoning_details=[one]) for one in DETAILS), *END), stream=True)
    assert [piece for piece in pieces if piece.thinking] == [
        Piece(text="First, ", thinking=True),
        Piece(text="second.", thinking=True),
    ]
    assert answer.message.parts[0].text == "First, second."


async def test_a_strangers_seal_is_not_shown_to_anybody():
    sealed = Message(
        role="assistant",
        parts=(
            Thought(text="Hm.", signature="secret-seal", sealed_by="anthropic"),
            ToolCall(id="c1", tool="look", arguments="{}", signature="secret-seal", sealed_by="gemini"),
        ),
    )
    for provider in ("openrouter", "openai", "moonshot"):
        request, _ = await heard(says("Hi"), provider, messages=(*HELLO, sealed))
        assert b"secret-seal" not in request.body
