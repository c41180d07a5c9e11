"""Which models there are, what they can do and cost, and which can be asked now."""

import pandas as pd
import pytest

import quire
from quire import LLM, errors
from tests.kit import output_of


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "quire.toml"


def row(provider, model):
    table = quire.models()
    [found] = table[(table.provider == provider) & (table.model == model)].to_dict("records")
    return {name: None if pd.isna(value) else value for name, value in found.items()}


def usable():
    table = quire.models()
    return sorted(table[table.usable].provider.unique())


def test_without_a_key_only_the_offline_model_can_be_asked_and_stands_first():
    table = quire.models()
    assert usable() == ["offline"]
    assert table.model[0] == "offline"
    assert row("offline", "offline") == {
        "provider": "offline",
        "model": "offline",
        "context_tokens": None,
        "input_usd": 0.0,
        "output_usd": 0.0,
        "cached_input_usd": None,
        "price_source": "simulated",
        "tools": True,
        "output_schema": True,
        "images": True,
        "reasoning": False,
        "usable": True,
        "key": None,
    }


def test_what_is_known_of_a_model():
    assert row("anthropic", "claude-haiku-4-5") == {
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
        "context_tokens": 200_000,
        "input_usd": 1.0,
        "output_usd": 5.0,
        "cached_input_usd": 0.1,
        "price_source": "genai-prices",
        "tools": True,
        "output_schema": True,
        "images": True,
        "reasoning": True,
        "usable": False,
        "key": "ANTHROPIC_API_KEY",
    }


@pytest.mark.parametrize(
    ("provider", "model", "abilities"),
    [
        ("openai", "gpt-4o-mini", (True, True, False)),
        ("openai", "gpt-4.1", (True, True, False)),
        ("openai", "gpt-4", (True, False, False)),
        ("openai", "o3-mini", (True, False, True)),
        ("openai", "o1-mini", (False, False, True)),
        ("azure", "o1", (True, True, True)),
        ("anthropic", "claude-2", (False, False, False)),
        ("anthropic", "claude-3-haiku", (True, True, False)),
        ("google", "gemini-2.0-flash", (True, True, False)),
        ("google", "gemini-2.5-flash", (True, True, True)),
        ("openrouter", "anthropic/claude-3.7-sonnet", (True, True, True)),
        # What Quire cannot know is not guessed; what the provider never takes, no model does.
        ("openrouter", "01-ai/yi-large", (None, None, None)),
        ("deepseek", "deepseek-chat", (None, False, None)),
    ],
)
def test_abilities_are_known_or_missing(provider, model, abilities):
    found = row(provider, model)
    assert (found["tools"], found["images"], found["reasoning"]) == abilities


def test_a_model_that_cannot_be_held_to_a_schema():
    assert row("anthropic", "claude-3-haiku")["output_schema"] is False


@pytest.mark.parametrize(
    ("variable", "provider"),
    [
        ("OPENAI_API_KEY", "openai"),
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("GEMINI_API_KEY", "google"),
        ("GOOGLE_API_KEY", "google"),
        ("OPENROUTER_API_KEY", "openrouter"),
        ("GROQ_API_KEY", "groq"),
        ("MOONSHOT_API_KEY", "moonshot"),
        ("XAI_API_KEY", "xai"),
    ],
)
def test_a_key_in_the_environment_makes_a_providers_models_usable(monkeypatch, variable, provider):
    monkeypatch.setenv(variable, "k")
    assert usable() == sorted(["offline", provider])
    assert quire.models().usable[1]


def test_a_key_in_the_settings_is_as_good(settings):
    settings.write_text('[providers.mistral]\napi_key = "k"\n')
    assert usable() == ["mistral", "offline"]


def test_azure_needs_an_address_too(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    assert usable() == ["offline"]
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
    assert usable() == ["azure", "offline"]


def test_what_a_cassette_may_answer_without_a_key_cannot_be_asked_for_that(tmp_path):
    with quire.cassette(tmp_path / "tape.jsonl", mode="auto"):
        assert usable() == ["offline"]


def test_prices_of_ones_own_stand_beside_and_before_the_lists(settings):
    settings.write_text(
        '[prices."claude-haiku-4-5"]\ninput = 7\noutput = 8\n'
        '[prices."ollama:llama3.2:3b"]\ninput = 0\noutput = 0\n'
        '[prices."house-model"]\ninput = 1\noutput = 2\ncached_input = 0.5\n'
    )
    assert row("anthropic", "claude-haiku-4-5")["input_usd"] == 7.0
    assert row("anthropic", "claude-haiku-4-5")["price_source"] == "settings"
    local = row("ollama", "llama3.2:3b")
    assert (local["input_usd"], local["price_source"], local["usable"], local["key"]) == (0.0, "settings", True, None)
    table = quire.models()
    [house] = table[table.model == "house-model"].to_dict("records")
    assert (house["cached_input_usd"], house["price_source"]) == (0.5, "settings")
    # Nobody said who serves it.
    assert table[table.model == "house-model"][["provider", "usable", "tools", "key"]].isna().all(axis=None)
    assert "house-model" not in set(table[table.usable].model)


def test_every_model_of_a_provider_stands_there_once_and_can_be_meant():
    table = quire.models()
    assert not table.duplicated(["provider", "model"]).any()
    assert {"openai", "anthropic", "google", "groq", "openrouter", "xai"} <= set(table.provider)
    assert {"openai-chat", "openai_compat", "gemini"}.isdisjoint(table.provider)
    for name in ("openai", "anthropic", "google"):
        for model in table[table.provider == name].model:
            assert LLM(f"{name}:{model}").open().model == model


def test_what_does_other_work_than_talking_is_left_out():
    names = quire.models().model.str.lower()
    assert not names.str.contains("embed|whisper|tts|realtime|transcribe|davinci|gpt-image").any()
    # Google serves Claude too, but not where its own models are served.
    table = quire.models()
    assert not table[table.provider == "google"].model.str.contains("claude").any()


def test_the_table_is_easily_narrowed():
    table = quire.models()
    cheap = table.query("tools and context_tokens >= 200_000 and input_usd <= 1")
    assert "claude-haiku-4-5" in set(cheap.model)
    assert cheap.tools.all()
    assert (cheap.input_usd <= 1).all()


def test_broken_settings_are_told(settings):
    settings.write_text("[prices]\nx = 1\n")
    with pytest.raises(errors.DefinitionError, match="is no table"):
        quire.models()


def test_a_strangers_adapters_are_listed_with_what_they_tell(tmp_path):
    """One tells nothing of its models, one cannot be opened; neither hides the others."""
    (tmp_path / "acme-1.dist-info").mkdir()
    (tmp_path / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (tmp_path / "acme-1.dist-info" / "entry_points.txt").write_text(
        "[quire.providers]\ncerebras = acme:Model\nacme = acme:Model\nbroken = acme_gone:Model\n"
    )
    (tmp_path / "acme.py").write_text(
        "from quire.core.ports import Abilities\n"
        "class Model:\n"
        "    def __init__(self, endpoint): self.abilities = Abilities(output_schema=False, tools=False)\n"
    )
    (tmp_path / "quire.toml").write_text(
        '[prices."acme:fast"]\ninput = 1\noutput = 2\n[prices."broken:one"]\ninput = 1\noutput = 2\n'
    )
    program = f"""
    import os, sys
    sys.path.insert(0, {str(tmp_path)!r})
    os.chdir({str(tmp_path)!r})
    import quire
    table = quire.models().set_index("provider")
    said = table.loc[["acme", "broken"], ["tools", "output_schema", "usable", "key"]].astype(object)
    print(said.where(said.notna(), None).values.tolist())
    print("cerebras" in table.index, len(table) > 500)
    """
    told, rest = output_of(program, tmp_path).splitlines()
    assert told == "[[False, False, None, None], [None, None, None, None]]"
    assert rest == "True True"
