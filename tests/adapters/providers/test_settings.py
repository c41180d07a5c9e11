"""Keys and addresses out of quire.toml, against a real server on loopback."""

import pytest

from quire.adapters.providers.openai_chat import OpenAIChat
from quire.adapters.providers.services import SERVICES, base_url, key_for
from quire.core import errors
from quire.core.messages import Message
from quire.core.ports import Endpoint, ModelRequest
from tests.servers import ChatServer

AWAY = "https://models.example.org/v1"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "quire.toml").write_text


def key(provider="openai", **endpoint):
    return key_for(Endpoint(provider=provider, model="m", **endpoint), SERVICES[provider], AWAY)


def address(provider="openai", **endpoint):
    return base_url(Endpoint(provider=provider, model="m", **endpoint), SERVICES[provider])


async def test_a_request_goes_to_the_address_and_with_the_key_of_the_settings(write):
    with ChatServer() as server:
        write(f'[providers.vllm]\nbase_url = "{server.url}"\napi_key = "from-file"\n')
        model = OpenAIChat(Endpoint(provider="vllm", model="m"))
        *_, answer = [found async for found in model.ask(ModelRequest(messages=(Message.of("user", "Hi"),)))]
        assert answer.message.text == "Hello"
        assert server.requests[0].headers["authorization"] == "Bearer from-file"
        # A changed file is noticed at the next call.
        write(f'[providers.vllm]\nbase_url = "{server.url}"\napi_key = "another-one"\n')
        assert [found async for found in model.ask(ModelRequest(messages=(Message.of("user", "Hi"),)))]
        assert server.requests[1].headers["authorization"] == "Bearer another-one"


def test_the_environment_goes_before_the_settings_and_the_call_before_both(write, monkeypatch):
    write('[providers.openai]\napi_key = "file"\nbase_url = "https://file.example.org"\n')
    assert (key(), address()) == ("file", "https://file.example.org/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://environment.example.org")
    assert (key(), address()) == ("environment", "https://environment.example.org/v1")
    assert key(api_key="call") == "call"
    assert address(base_url="https://call.example.org") == "https://call.example.org/v1"


def test_a_provider_with_several_names_is_meant_by_each(write):
    write('[providers.openai]\napi_key = "one"\n[providers.gemini]\napi_key = "two"\n')
    assert key("openai-chat") == key("openai-responses") == "one"
    assert key("google") == "two"


def test_its_own_name_goes_before_another(write):
    write('[providers.openai]\napi_key = "one"\n[providers.openai-chat]\napi_key = "two"\n')
    assert (key("openai"), key("openai-chat")) == ("one", "two")


def test_a_key_for_one_provider_is_no_key_for_another(write):
    write('[providers.openai]\napi_key = "one"\n')
    for other in ("openai_compat", "groq", "anthropic"):
        with pytest.raises(errors.AuthenticationError, match="no key for"):
            key(other)


def test_a_missing_key_or_address_names_the_file_too(write):
    write("")
    with pytest.raises(errors.AuthenticationError, match=r"api_key in quire\.toml"):
        key()
    with pytest.raises(errors.DefinitionError, match=r"base_url in quire\.toml"):
        address("azure")


def test_a_key_of_the_settings_that_is_none_is_told(write):
    write('[providers.openai]\napi_key = "two words"\n')
    with pytest.raises(errors.AuthenticationError, match="characters that no key has") as raised:
        key()
    assert "quire.toml" in raised.value.remedy
    assert "two words" not in str(raised.value)


def test_broken_settings_are_told_when_a_model_is_asked(write):
    write("[providers.openai]\napi_key = 3\n")
    with pytest.raises(errors.DefinitionError, match="api_key in"):
        key()
