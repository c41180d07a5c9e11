"""OpenAI under its own name: which of its two dialects is spoken where."""

from __future__ import annotations

import pytest

from quire.adapters.providers.openai import OpenAI
from quire.core import errors
from quire.core.ports import Answer, Endpoint, ModelRequest
from tests.adapters.providers.dialects import DIALECTS, HELLO
from tests.servers import ChatServer, Reply, Request


def reply(asked: Request) -> Reply:
    return DIALECTS["responses" if asked.path.endswith("/responses") else "chat"].says("Hi")


async def say(model: OpenAI, **request: object) -> str:
    *_, answer = [found async for found in model.ask(ModelRequest(messages=HELLO, **request))]  # type: ignore[arg-type]
    assert isinstance(answer, Answer)
    return answer.message.text


def opened(base_url: str | None = None) -> OpenAI:
    return OpenAI(Endpoint(provider="openai", model="gpt-4o-mini", base_url=base_url, api_key="k-1", timeout=5.0))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://api.openai.com/v1", "/v1/responses"),
        ("http://eu.api.openai.com", "/v1/responses"),
        ("http://notopenai.com/v1", "/v1/chat/completions"),
        ("http://openrouter.ai/api/v1", "/api/v1/chat/completions"),
    ],
)
async def test_its_newest_words_at_its_own_address_alone(url: str, path: str, monkeypatch: pytest.MonkeyPatch):
    with ChatServer(reply) as server:
        # A proxy is told where a request is meant to go, and takes it on loopback.
        monkeypatch.setenv("http_proxy", server.url)
        assert await say(opened(url)) == "Hi"
        assert server.requests[0].path.endswith(f"{url.split('/')[2]}{path}")


async def test_stop_sequences_are_known_to_chat_completions_alone(monkeypatch: pytest.MonkeyPatch):
    with ChatServer(reply) as server:
        monkeypatch.setenv("http_proxy", server.url)
        model = opened("http://api.openai.com/v1")
        await say(model, stop=("END",))
        await say(model)
        first, second = server.requests
    assert (first.path.endswith("/chat/completions"), first.json["stop"]) == (True, ["END"])
    assert second.path.endswith("/responses")


async def test_the_environment_decides_at_each_call(monkeypatch: pytest.MonkeyPatch):
    model = opened()
    with ChatServer(reply) as server:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        await say(model)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://api.openai.com/v1")
        await say(model)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        await say(model)
        paths = [asked.path.rpartition("/v1/")[2] for asked in server.requests]
    assert paths == ["chat/completions", "responses", "chat/completions"]


def test_an_address_that_is_none_is_refused_where_it_is_written():
    with pytest.raises(errors.DefinitionError, match="http://"):
        opened("localhost:8000")


def test_who_it_is():
    model = opened()
    assert (model.provider, model.model, model.simulated, model.abilities.output_schema) == (
        "openai",
        "gpt-4o-mini",
        False,
        True,
    )
    assert "k-1" not in repr(model)
