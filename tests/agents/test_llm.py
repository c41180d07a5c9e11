"""Which model is meant, and what makes no sense."""

import pytest

from quire import LLM, Agent, errors


@pytest.mark.parametrize(
    ("llm", "provider", "model"),
    [
        (LLM("offline"), "offline", "offline"),
        (LLM(model="gpt-4o-mini"), "openai", "gpt-4o-mini"),
        (LLM("o3-mini"), "openai", "o3-mini"),
        (LLM("claude-haiku-4-5"), "anthropic", "claude-haiku-4-5"),
        (LLM("gemini-2.5-flash"), "google", "gemini-2.5-flash"),
        (LLM("openai_compat:llama3.2:3b"), "openai_compat", "llama3.2:3b"),
        (LLM("llama3.2:3b", base_url="http://127.0.0.1:1"), "openai_compat", "llama3.2:3b"),
        (LLM("gpt-4o", provider="openai_compat"), "openai_compat", "gpt-4o"),
    ],
)
def test_the_provider_follows_from_the_name(llm, provider, model):
    assert llm._resolved() == (provider, model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": None}, "names no model"),
        ({"model": ""}, "names no model"),
        ({"model": "  "}, "names no model"),
        ({"model": 4}, "names no model"),
        ({"model": "somebodys-model"}, "Nobody is known to serve"),
        ({"temperature": 3}, "temperature=3"),
        ({"temperature": "hot"}, "temperature='hot'"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"max_tokens": True}, "max_tokens=True"),
        ({"timeout": 0}, "leaves no time"),
        ({"timeout": -1}, "timeout=-1"),
        ({"timeout": "long"}, "timeout='long'"),
        ({"timeout": None}, "leaves no time"),
        ({"max_tokens": 1.5}, "max_tokens=1.5"),
        ({"provider": 5}, "provider=...) is no text but of type int"),
        ({"api_key": b"secret"}, "api_key=...) is no text but of type bytes"),
        ({"base_url": 5}, "base_url=...) is no text"),
        ({"reasoning": {"effort": "low"}}, "reasoning=...) is no text"),
        ({"stop": 5}, "stop=5"),
        ({"stop": ["END", 5]}, "stop=['END', 5]"),
        ({"stop": ""}, "stop=''"),
        ({"price": {"input": 1}}, "does not say what input and output cost"),
        ({"price": {"input": 1, "output": -1}}, "output=-1"),
        ({"price": {"input": 1, "output": 1, "cached": 1}}, "'cached', which is no part of a price"),
        ({"price": 3}, "is 3, not a price"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(arguments, message):
    with pytest.raises(errors.DefinitionError) as raised:
        LLM(**{"model": "offline", **arguments})
    assert message in str(raised.value)
    assert raised.value.remedy
    assert "secret" not in str(raised.value)


def test_a_copy_with_changes_is_checked_too():
    llm = LLM("offline", stop="END")
    assert llm.with_(temperature=0.2) == LLM("offline", stop=("END",), temperature=0.2)
    with pytest.raises(errors.DefinitionError):
        llm.with_(temperature=9)


def test_a_key_is_never_shown():
    assert "secret" not in repr(LLM("gpt-4o", api_key="secret"))
    hidden = LLM("gpt-4o", base_url="https://me:secret@example.org/v1?api_key=secret", temperature=0.2)
    assert repr(hidden) == "LLM('gpt-4o', base_url='https://example.org/v1', temperature=0.2)"
    assert repr(LLM("offline")) == "LLM('offline')"


def test_models_can_be_compared_and_be_keys():
    assert {LLM("offline"): 1}[LLM("offline")] == 1
    assert hash(LLM("gpt-4o", price={"input": 1, "output": 2}))


def test_a_provider_that_is_not_installed_is_told_with_those_that_are():
    with pytest.raises(errors.DefinitionError, match="nowhere") as raised:
        LLM("some-model", provider="nowhere")
    assert "offline" in raised.value.remedy


def test_a_missing_key_names_the_variable_and_the_way_without():
    agent = Agent(LLM("gpt-4o-mini"), "x")
    with pytest.raises(errors.AuthenticationError) as raised:
        agent.execute_sync("go")
    assert "OPENAI_API_KEY" in str(raised.value)
    assert 'LLM("offline")' in str(raised.value)


def test_the_offline_model_says_that_it_is_simulated():
    helper = Agent(LLM("offline"), "Help.")
    run = helper.start("Hello")
    assert isinstance(run.wait(), str)
    assert run.calls["simulated"].tolist() == [True]
    assert run.calls["cost_usd"].tolist() == [0.0]
    assert "simulated" in str(run)
