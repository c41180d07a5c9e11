"""What models are shown besides words, in each dialect, from the user and from a tool."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quire.adapters.providers.anthropic import Anthropic
from quire.adapters.providers.anthropic_request import messages_request
from quire.adapters.providers.chat_request import chat_request
from quire.adapters.providers.gemini_request import gemini_request
from quire.adapters.providers.services import SERVICES
from quire.core.errors import InvalidRequest
from quire.core.messages import File, Message, Part, Text, ToolCall, ToolResult
from quire.core.ports import Endpoint, ModelRequest
from tests.servers import ChatServer, sends

PNG = File.of(b"\x89PNG", "image/png", name="cat.png")
DATA = "iVBORw=="
PDF = File.of(b"%PDF", "application/pdf", name="a.pdf")
FAR = File.at("https://example.org/dog.jpg")
CSV = File.of("ä,b".encode(), "text/csv", name="t.csv")
TOLD = "<file name='t.csv'>\nä,b\n</file>"
USED = (
    Message(role="assistant", parts=(ToolCall(id="c1", tool="look", arguments="{}"),)),
    Message(role="tool", parts=(ToolResult(id="c1", tool="look", text="Here.", files=(PNG,)),)),
)


def asks(*parts: Part) -> ModelRequest:
    return ModelRequest(messages=(Message(role="user", parts=parts),))


def chat(request: ModelRequest, provider: str = "openai") -> list[dict[str, Any]]:
    return chat_request(request, "m", SERVICES[provider], at_openai=True)["messages"]


def test_chat_completions():
    (said,) = chat(asks(Text(text="What?"), PNG, FAR, PDF, CSV))
    assert said["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/dog.jpg"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "text", "text": TOLD},
    ]
    (heard,) = chat(asks(File.of(b"x", "audio/mpeg")))
    assert heard["content"] == [{"type": "input_audio", "input_audio": {"data": "eA==", "format": "mp3"}}]


def test_what_a_tool_gave_follows_all_results_in_chat_completions():
    used = ModelRequest(messages=USED)
    asked, given, shown = chat(used)
    assert asked["tool_calls"][0]["id"] == given["tool_call_id"] == "c1"
    assert given["content"] == "Here."
    assert shown["role"] == "user"
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]


@pytest.mark.parametrize(
    ("provider", "file"),
    [
        ("deepseek", PNG),
        ("minimax", PNG),
        ("groq", PDF),
        ("ollama", File.of(b"x", "audio/wav")),
        ("openai", File.at("https://example.org/a.mp3")),
    ],
)
def test_what_cannot_be_shown_is_refused_before_it_is_sent(provider: str, file: File):
    with pytest.raises(InvalidRequest, match="cannot be shown"):
        chat(asks(Text(text="Hi"), file), provider)


def test_messages():
    body = messages_request(asks(Text(text="What?"), PNG, FAR, PDF, CSV), "claude-sonnet-4-5")
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/dog.jpg"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "a.pdf",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "ä,b"},
            "title": "t.csv",
        },
    ]
    (_, given) = messages_request(ModelRequest(messages=USED), "other-model")["messages"]
    assert given["content"][0]["content"] == [
        {"type": "text", "text": "Here."},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    ]
    with pytest.raises(InvalidRequest, match="cannot be shown"):
        messages_request(asks(File.of(b"x", "audio/wav")), "claude-sonnet-4-5")


def test_gemini():
    body = gemini_request(asks(Text(text="What?"), PNG, FAR, CSV), "gemini-3-flash")
    assert body["contents"][0]["parts"] == [
        {"text": "What?"},
        {"inlineData": {"mimeType": "image/png", "data": DATA}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.org/dog.jpg"}},
        {"text": TOLD},
    ]
    (_, given) = gemini_request(ModelRequest(messages=USED), "gemini-3-flash")["contents"]
    assert [next(iter(part)) for part in given["parts"]] == ["functionResponse", "inlineData"]


async def test_a_refusal_reaches_nobody():
    with ChatServer(sends(500, "no")) as server:
        endpoint = Endpoint(provider="anthropic", model="claude-sonnet-4-5", base_url=server.url, api_key="k")
        with pytest.raises(InvalidRequest):
            [_ async for _ in Anthropic(endpoint).ask(asks(File.of(b"x", "video/mp4")))]
        assert not server.requests


@pytest.mark.parametrize("body", [chat(asks(PNG)), messages_request(asks(PNG), "m"), gemini_request(asks(PNG), "m")])
def test_all_of_it_is_json(body: Any):
    assert DATA in json.dumps(body)
