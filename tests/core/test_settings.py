"""quire.toml: found, read again when it changes, and clear about what is wrong with it."""

import os

import pytest

from quire.core.errors import DefinitionError
from quire.core.settings import settings

WHOLE = """
[providers.openai]
api_key = "sk-1 "
[providers.vllm]
base_url = "http://gpu-box:8000"
[prices."gpt-4.1"]
input = 1
output = 2.5
cached_input = 0
[prices."vllm:gpt-4.1"]
input = 0.5
output = 0.5
cache_write = 0.75
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the file into a working directory of its own, below a home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    here = tmp_path / "project"
    here.mkdir()
    monkeypatch.chdir(here)

    def writing(text, folder=here):
        path = folder / "quire.toml"
        path.write_bytes(text.encode()) if isinstance(text, str) else path.write_bytes(text)
        return path

    return writing


def test_there_need_be_no_file(write):
    assert (settings().providers, settings().prices) == ({}, {})


def test_what_the_file_says(write):
    write(WHOLE)
    said = settings()
    assert (said.providers["openai"].api_key, said.providers["openai"].base_url) == ("sk-1", None)
    assert said.providers["vllm"].base_url == "http://gpu-box:8000"
    assert said.price("vllm", "gpt-4.1").cache_write == 0.75
    assert said.price("openai", "gpt-4.1").cached_input == 0.0
    assert said.price("openai", "gpt-4") is None


def test_a_key_is_never_shown(write):
    write(WHOLE)
    assert "sk-1" not in repr(settings())


def test_the_nearest_file_counts(write, tmp_path):
    write('[providers.openai]\napi_key = "far"', tmp_path)
    assert settings().providers["openai"].api_key == "far"
    write('[providers.openai]\napi_key = "near"')
    assert settings().providers["openai"].api_key == "near"


def test_nothing_is_looked_for_above_the_home_directory(write, tmp_path, monkeypatch):
    write(WHOLE, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "project"))
    assert not settings().providers


def test_a_folder_that_anybody_can_write_to_decides_nothing_for_those_below(write, tmp_path, monkeypatch):
    write(WHOLE, tmp_path)
    tmp_path.chmod(0o777)
    (tmp_path / "project" / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "project" / "deep")
    assert not settings().providers
    monkeypatch.chdir(tmp_path)
    assert settings().providers


def test_a_changed_file_is_read_again_and_a_removed_one_forgotten(write):
    path = write(WHOLE)
    assert settings() is settings()
    path.write_text('[providers.groq]\napi_key = "other"')
    os.utime(path, ns=(1, 1))
    assert list(settings().providers) == ["groq"]
    path.unlink()
    assert not settings().providers


def test_a_working_directory_that_is_gone(write, tmp_path):
    (tmp_path / "project").rmdir()
    assert not settings().providers


def test_a_mark_at_the_beginning_as_some_editors_leave_it(write):
    write(b"\xef\xbb\xbf" + WHOLE.encode())
    assert settings().prices


WRONG = {
    "[providers.openai": "not TOML",
    "providers = 3": "providers is no table",
    "[provider.openai]": "'provider' in the settings means nothing",
    '[providers.opnai]\napi_key = "x"': "'opnai' in [providers] means nothing",
    '[providers.openai]\nkey = "x"': "'key' in [providers.openai] means nothing",
    "[providers.openai]\napi_key = 7": "api_key in [providers.openai] is no text",
    '[providers.openai]\napi_key = " "': "api_key in [providers.openai] is no text",
    '[providers]\nopenai = "secret"': "providers.openai is no table",
    '[providers.openai]\nbase_url = "gpu-box:8000"': "base_url in [providers.openai] is 'gpu-box:8000'",
    '[prices."m"]\ninput = 1': "does not say what input and output cost",
    '[prices."m"]\ninput = 1\noutput = -1': "output=-1, which is no price",
    '[prices."m"]\ninput = nan\noutput = 1': "input=nan, which is no price",
    '[prices."m"]\ninput = true\noutput = 1': "input=True, which is no price",
    '[prices."m"]\ninput = "1"\noutput = 1': "input='1', which is no price",
    '[prices."m"]\ninput = 1\noutput = 1\nper = "call"': "'per', which is no part of a price",
    "[prices]\nm = 1": 'prices."m" is no table',
    'storage = "secret"': "storage is no table",
    "[storage]\nurl = 7": "url in [storage] is no text",
    '[storage]\nulr = "secret"': "'ulr' in [storage] means nothing",
    "[prices.gpt-4.1]\ninput = 1\noutput = 1": "holds a table, not a price",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_nonsense_is_told_with_file_and_place(write, text, message):
    path = write(text)
    with pytest.raises(DefinitionError) as raised:
        settings()
    assert message in raised.value.what
    assert raised.value.where == str(path)
    assert raised.value.remedy
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///runs.db", "sqlite:///{folder}/runs.db"),
        ("sqlite:///../my runs.db", "sqlite:///{folder}/../my%20runs.db"),
        ("file:logs", "file:{folder}/logs"),
        ("sqlite:////var/runs.db", "sqlite:////var/runs.db"),
        ("sqlite:///~/runs.db", "sqlite:///~/runs.db"),
        ("file:///var/logs", "file:///var/logs"),
        (" postgresql://me:secret@host/x ", "postgresql://me:secret@host/x"),
    ],
)
def test_where_runs_are_kept_is_meant_from_where_it_is_said(write, tmp_path, monkeypatch, written, meant):
    folder = write(f'[storage]\nurl = "{written}"').parent
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")
    assert settings().storage == meant.format(folder=folder)
    assert "secret" not in repr(settings())


def test_nothing_is_said_of_where_runs_are_kept(write):
    write("[storage]")
    assert settings().storage is None


def test_a_slip_is_told_with_what_was_meant(write):
    write('[providers.openai]\nbase_ulr = "http://x"')
    with pytest.raises(DefinitionError, match="Did you mean base_url"):
        settings()


def test_a_file_that_is_no_text(write):
    write(b"\xff\xfe\x00")
    with pytest.raises(DefinitionError, match="not TOML"):
        settings()


def test_a_file_that_cannot_be_read(write, tmp_path):
    # A file that even root cannot read from its beginning.
    (tmp_path / "project" / "quire.toml").symlink_to("/proc/self/mem")
    with pytest.raises(DefinitionError, match="cannot be read: Input/output error"):
        settings()
