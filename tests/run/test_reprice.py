"""What a run would have cost on another model."""

import pytest

import quire
from quire import LLM, Agent, errors
from quire.core.messages import Message
from quire.core.ports import Answer
from quire.core.usage import Usage
from quire.run.reprice import quotes
from quire.testing import ScriptedModel

TEN_THOUSAND = Usage(input_tokens=10_000, output_tokens=1_000, cached_input_tokens=4_000)


def talk(usage=TEN_THOUSAND):
    answer = Answer(message=Message.of("assistant", "Yes."), finish_reason="stop", usage=usage)
    run = Agent(ScriptedModel([answer]), "Answer.", name="talker").start("Well?")
    run.wait()
    return run


def others(run, *asked, column="other_cost_usd"):
    return run.reprice(*asked)[column].tolist()


def test_a_run_is_priced_as_if_another_model_had_answered():
    [row] = talk().reprice("claude-haiku-4-5").to_dict("records")
    assert (row["agent"], row["model"], row["other_model"]) == ("talker", "scripted", "claude-haiku-4-5")
    assert (row["other_provider"], row["price_source"], row["simulated"]) == ("anthropic", "genai-prices", True)
    assert (row["input_tokens"], row["cached_input_tokens"], row["output_tokens"]) == (10_000, 4_000, 1_000)
    # 1 dollar a million, a tenth of that from the cache, 5 dollars for the reply.
    assert row["other_cost_usd"] == pytest.approx((6_000 * 1 + 4_000 * 0.1 + 1_000 * 5) / 1e6)
    assert row["difference_usd"] == row["other_cost_usd"]
    assert row["cost_usd"] == 0.0


def test_a_run_that_is_loaded_from_the_store_is_repriced_too():
    run = talk()
    assert others(quire.load(run.id), "claude-haiku-4-5") == others(run, "claude-haiku-4-5")


def test_several_others_stand_below_each_other(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quire.toml").write_text(
        '[prices."house-model"]\ninput = 2\noutput = 3\n[prices."vllm:big"]\ninput = 4\noutput = 5\n'
    )
    given = {"input": 10, "output": 100}
    asked = (given, "house-model", "vllm:big", LLM("house-model", provider="ollama"), LLM("vllm:x", price=given))
    table = talk().reprice(*asked)
    assert table["other_model"].tolist() == ["10 in, 100 out", "house-model", "big", "house-model", "x"]
    assert table["other_provider"].astype("string").fillna("-").tolist() == ["-", "-", "vllm", "ollama", "vllm"]
    assert table["price_source"].tolist() == ["given", "settings", "settings", "settings", "given"]
    assert table["other_cost_usd"].tolist() == [0.2, 0.023, 0.045, 0.023, 0.2]


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt-4o-mini", "openai"),
        ("azure:gpt-4o-mini", "azure"),
        ("openrouter:anthropic/claude-haiku-4.5", "openrouter"),
        # Names from which nobody's adapter could tell who serves them, and the lists can.
        ("deepseek-chat", "deepseek"),
        ("kimi-k2.5", "moonshot"),
        ("grok-4.3", "xai"),
        ("mistral-large-latest", "mistral"),
    ],
)
def test_models_are_named_as_anywhere(name, provider):
    [found] = quotes((name,))
    assert (found.provider, found.source) == (provider, "genai-prices")


def test_what_reported_no_tokens_has_no_price_elsewhere():
    table = talk(usage=None).reprice("claude-haiku-4-5")
    assert table["calls"].tolist() == [1]
    assert table[["other_cost_usd", "difference_usd"]].isna().all(axis=None)


@pytest.mark.parametrize("name", ["claude-haiku-45", "anthropic:claude-haiku-45"])
def test_a_slip_in_a_name_is_told_with_names_that_are_written_alike(name):
    with pytest.raises(errors.DefinitionError, match=f"Nobody says what {name!r} costs") as raised:
        talk().reprice(name)
    assert name.replace("45", "4-5") in raised.value.remedy


@pytest.mark.parametrize("name", ["ollama:llama3.2", "openai_compat:gpt-4o", "xyzzy"])
def test_a_model_without_a_price_is_told_with_how_to_give_one(name):
    with pytest.raises(errors.DefinitionError) as raised:
        talk().reprice(name)
    assert "quire.toml" in raised.value.remedy


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((), "no model to compare with"),
        ((None,), "names no model"),
        (("",), "names no model"),
        ((3,), "names no model"),
        ((["claude-haiku-4-5"],), "names no model"),
        (({"input": 1},), "does not say what input and output cost"),
        (({"input": 1, "output": -2},), "output=-2"),
    ],
)
def test_nonsense_is_refused(asked, message):
    with pytest.raises(errors.DefinitionError, match=message) as raised:
        talk().reprice(*asked)
    assert raised.value.remedy
