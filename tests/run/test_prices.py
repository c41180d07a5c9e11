"""What a call costs, and who says so."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from quire import LLM, Agent, errors
from quire.core.messages import Message
from quire.core.ports import Abilities, Answer
from quire.core.usage import Usage
from quire.run.prices import listed, quote
from tests.servers import ChatServer, says, sends

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()
MILLION = 1_000_000
BOTH = Usage(input_tokens=MILLION, output_tokens=MILLION)


class Told:
    """A model of any provider that answers what it is told to."""

    simulated = False
    abilities = Abilities()

    def __init__(self, provider="openai", model="gpt-4o-mini", *, usage=BOTH, answered=None, cost_usd=None):
        self.provider, self.model = provider, model
        said = Message.of("assistant", "Yes.")
        self.answer = Answer(message=said, finish_reason="stop", usage=usage, model=answered, cost_usd=cost_usd)

    async def ask(self, request):
        yield self.answer


def cost_of(model):
    """Ask a model and return what the table of calls says of it, missing values as None."""
    run = Agent(model, "Answer.").start("Well?")
    run.wait()
    return [None if pd.isna(run.calls[name][0]) else run.calls[name][0] for name in ("cost_usd", "price_source")]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "quire.toml"


# Who is believed


def test_the_lists_are_asked_last():
    assert cost_of(Told()) == [pytest.approx(0.75), "genai-prices"]


def test_a_price_of_the_settings_goes_before_the_lists(settings):
    settings.write_text('[prices."gpt-4o-mini"]\ninput = 1\noutput = 2\n')
    assert cost_of(Told()) == [3.0, "settings"]


def test_a_price_for_the_very_provider_goes_before_one_for_the_model(settings):
    settings.write_text(
        '[prices."gpt-4o-mini"]\ninput = 1\noutput = 2\n[prices."azure:gpt-4o-mini"]\ninput = 3\noutput = 4\n'
    )
    assert cost_of(Told("azure")) == [7.0, "settings"]


def test_a_given_price_goes_before_the_settings(settings):
    settings.write_text('[prices."gpt-test"]\ninput = 1\noutput = 2\n')
    with ChatServer(says("Yes.", usage={"prompt_tokens": MILLION, "completion_tokens": 0})) as server:
        llm = LLM("openai_compat:gpt-test", base_url=server.url)
        assert cost_of(llm) == [1.0, "settings"]
        assert cost_of(llm.with_(price={"input": 5, "output": 0})) == [5.0, "given"]


def test_what_the_provider_says_goes_before_everything(settings):
    settings.write_text('[prices."gpt-4o-mini"]\ninput = 1\noutput = 2\n')
    assert cost_of(Told(cost_usd=0.125)) == [0.125, "provider"]
    assert cost_of(Told(cost_usd=0.0)) == [0.0, "provider"]


def test_a_simulated_reply_costs_nothing_whatever_the_settings_say(settings):
    settings.write_text("[prices.offline]\ninput = 1\noutput = 2\n")
    assert cost_of(LLM("offline")) == [0.0, "simulated"]


def test_broken_settings_are_told_before_anything_is_paid_for(settings):
    settings.write_text("not TOML")
    with ChatServer(says("Yes.")) as server:
        with pytest.raises(errors.DefinitionError, match="not TOML"):
            Agent(LLM("m", base_url=server.url, api_key="k"), "Answer.").execute_sync("Well?")
        assert server.requests == []


# Unknown is unknown


@pytest.mark.parametrize(
    "model",
    [
        Told(model="my-own-model"),
        Told("ollama", "llama3.2"),
        # A server of one's own may serve a model by a known name.
        Told("openai_compat", "gpt-4o"),
        Told("vllm", "gpt-4o"),
        Told("my-openai", "gpt-4o"),
        Told("nobody", "gpt-4o"),
        Told(usage=None),
    ],
    ids=lambda model: f"{model.provider}:{model.model}",
)
def test_an_unknown_price_is_not_zero(model):
    assert cost_of(model) == [None, None]


def test_tokens_of_a_model_that_is_paid_for_otherwise_are_not_free():
    by_the_minute = quote("groq", "whisper-large-v3")
    assert by_the_minute.charge(Usage(input_tokens=5, output_tokens=5), NOW) is None
    embedding = quote("openai", "text-embedding-3-small")
    assert embedding.charge(Usage(input_tokens=MILLION, output_tokens=0), NOW) == pytest.approx(0.02)
    assert embedding.charge(Usage(input_tokens=MILLION, output_tokens=1), NOW) is None


# The lists


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("openai-chat", "gpt-4o-mini"),
        ("openai-responses", "gpt-4o-mini-2024-07-18"),
        ("azure", "gpt-4o-mini"),
        ("azure-responses", "gpt-4o-mini"),
        ("anthropic", "claude-haiku-4-5"),
        ("google", "gemini-2.5-flash"),
        ("gemini", "gemini-2.5-flash"),
        ("openrouter", "anthropic/claude-haiku-4.5"),
        ("groq", "llama-3.3-70b-versatile"),
        ("moonshot", "kimi-k2.5"),
        ("minimax", "MiniMax-M2"),
        ("deepseek", "deepseek-chat"),
        ("mistral", "mistral-large-latest"),
        ("xai", "grok-4.3"),
    ],
)
def test_the_lists_know_our_words_for_providers(provider, model):
    found = quote(provider, model)
    assert found.source == "genai-prices"
    assert found.charge(Usage(input_tokens=1000, output_tokens=1000), NOW) > 0


def charged(provider, model, at=NOW, **usage):
    return quote(provider, model).charge(Usage(**{"input_tokens": MILLION, "output_tokens": 0} | usage), at)


def test_what_is_read_from_a_cache_and_written_to_it_has_prices_of_its_own():
    assert charged("anthropic", "claude-haiku-4-5") == pytest.approx(1.0)
    assert charged("anthropic", "claude-haiku-4-5", cached_input_tokens=MILLION) == pytest.approx(0.1)
    assert charged("anthropic", "claude-haiku-4-5", cache_write_tokens=MILLION) == pytest.approx(1.25)
    both = charged("anthropic", "claude-haiku-4-5", cached_input_tokens=400_000, cache_write_tokens=200_000)
    assert both == pytest.approx(0.4 + 0.04 + 0.25)


def test_more_cached_tokens_than_there_were_count_as_all_of_them():
    usage = {"input_tokens": 293, "cached_input_tokens": 387, "cache_write_tokens": 5, "reasoning_tokens": 9}
    assert charged("azure", "gpt-4o-mini", **usage) == pytest.approx(293 * 0.075 / 1e6)


def test_long_prompts_may_cost_more():
    short, long = (charged("google", "gemini-2.5-pro", input_tokens=tokens) / tokens for tokens in (200_000, 200_001))
    assert long == pytest.approx(2 * short)


def test_the_price_is_that_of_the_day():
    before, after = (datetime(2025, month, 1, tzinfo=UTC).timestamp() for month in (5, 7))
    assert charged("openai", "o3", before) == pytest.approx(10.0)
    assert charged("openai", "o3", after) == pytest.approx(2.0)


def test_the_version_that_answered_is_paid_for():
    usage = Usage(input_tokens=MILLION, output_tokens=0)
    dated, unknown = (Told(model="gpt-4o", usage=usage, answered=name) for name in ("gpt-4o-2024-05-13", "ours"))
    assert cost_of(dated) == [pytest.approx(5.0), "genai-prices"]
    # Of a version that no list knows, the price of what was asked for.
    assert cost_of(unknown) == [pytest.approx(2.5), "genai-prices"]


def test_every_model_of_every_list_can_be_charged():
    whole = Usage(
        input_tokens=300_000, output_tokens=900, cached_input_tokens=70, cache_write_tokens=50, reasoning_tokens=40
    )
    found = [quote(known.provider, known.model) for known in listed()]
    assert len(found) > 500
    costs = [each.charge(whole, NOW) for each in found if each]
    assert all(cost is None or cost >= 0 for cost in costs)


async def test_what_was_counted_of_a_reply_that_is_none_is_paid_for():
    price = {"input": 1.0, "output": 10.0}
    with ChatServer(says(None, refusal="I cannot."), says("Hello")) as server:
        clerk = Agent(LLM("gpt-test", base_url=server.url, price=price), "Answer.", name="clerk")
        run = clerk.start("Hi")
        with pytest.raises(errors.ContentFiltered):
            await run
    (call,) = run.calls.to_dict("records")
    assert (call["input_tokens"], call["output_tokens"], call["finish_reason"]) == (12, 3, "content_filter")
    assert (call["cost_usd"], call["price_source"], call["error_type"]) == (42e-6, "given", "ContentFiltered")
    (total,) = run.cost.to_dict("records")
    assert (total["input_tokens"], total["cost_usd"], total["unpriced_calls"]) == (12, 42e-6, 0)
    head = run.fold().head()
    assert (head["input_tokens"], head["output_tokens"], head["cost_usd"]) == (12, 3, 42e-6)
    assert run.nodes.loc[0, "cost_usd"] == 42e-6


async def test_a_failure_of_which_nothing_was_counted_took_nothing():
    with ChatServer(sends(429, {"error": {"message": "slow down"}})) as server:
        run = Agent(LLM("gpt-test", base_url=server.url), "Answer.").start("Hi")
        with pytest.raises(errors.RateLimited):
            await run
    (call,) = run.calls.to_dict("records")
    assert pd.isna(call["input_tokens"])
    assert pd.isna(call["finish_reason"])
    assert run.cost.loc[0, "unpriced_calls"] == 0
