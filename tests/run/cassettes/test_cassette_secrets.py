"""No key is ever written: not a known one, not what looks like one, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

import quire
from quire import Agent, Tool
from quire.core.errors import CassetteError, InvalidRequest
from quire.run.cassettes.leaks import known_secrets, leak_in, without_keys
from quire.run.cassettes.reel import Exchange, Reel
from tests.run.cassettes.kept import agent, is_there, lines, llm, text_of
from tests.servers import ChatServer, calls, says, sends, streams

# Put together here, so that nobody who looks for keys in this repository finds one.
DIGITS = "a1B2c3D4e5" * 6
LOOKING_LIKE_KEYS = [
    "sk-" + DIGITS[:24],
    "sk-proj-" + DIGITS,
    "AIza" + DIGITS[:35],
    "ghp_" + DIGITS[:36],
    "github_pat_" + DIGITS,
    "glpat-" + DIGITS[:20],
    "gsk_" + DIGITS[:40],
    "xai-" + DIGITS[:50],
    "hf_" + DIGITS[:34],
    "xoxb-" + DIGITS[:20],
    "AKIA" + DIGITS.upper()[:16],
    "Bearer " + DIGITS[:30],
    "eyJ" + DIGITS[:20] + ".eyJ" + DIGITS[:20] + "." + DIGITS[:20],
    "-----BEGIN " + "RSA PRIVATE KEY-----",
]
KEY = LOOKING_LIKE_KEYS[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demo.jsonl"


@pytest.mark.parametrize("key", LOOKING_LIKE_KEYS)
def test_what_looks_like_a_key_is_found_wherever_it_stands(key: str):
    for text in (key, f"my key is {key}.", f'{{"key":"{key}"}}', f"key={key}"):
        assert leak_in({"a": [{"b": text}]}, {})[0] == "a[0].b"
    assert leak_in({"outer": {key: 1}}, {})[0] == "outer"


@pytest.mark.parametrize(
    "words",
    [
        "The risk-averse task-force met at the desk-research-department-of-2024.",
        "pip install sk-learn-contrib-imbalanced-learn",
        "Use OPENAI_API_KEY=sk-... or sk-<your key>; the header is Authorization: Bearer <token>.",
        "the bearer of bad news internationally",
        DIGITS * 3,
        "x" + KEY,
    ],
)
def test_words_are_no_keys(words: str):
    assert leak_in(words, {}) is None


def test_keys_of_the_house_are_known(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "correct horse battery")
    monkeypatch.setenv("SHORT_KEY", "abc")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quire.toml").write_text('[providers.openai]\napi_key = "from the settings file"\n')
    known = known_secrets(["sent with the request", "key"])
    assert leak_in("a correct horse battery b", known) == ("", "the value of MY_SERVICE_TOKEN")
    assert leak_in("from the settings file", known) == ("", "the key of openai in quire.toml")
    assert leak_in("sent with the request", known) == ("", "the key that the request is sent with")
    assert leak_in("abc key", known) is None


@pytest.mark.parametrize("name", ["key", "api_key", "API-Key", "access_token", "sig", "subscription-key", "password"])
def test_keys_are_taken_out_of_an_address(name: str):
    url = f"https://ada:word@x.example:1/v1/chat?api-version=2&{name}={KEY}&alt=sse#a"
    assert without_keys(url) == "https://x.example:1/v1/chat?api-version=2&alt=sse"


async def test_a_prompt_with_a_key_is_refused_before_anybody_is_asked(path: Path):
    with ChatServer(says("Hello")) as server, quire.cassette(path):
        with pytest.raises(CassetteError) as caught:
            await agent(server).execute(f"Is {KEY} a good key?")
        assert not server.requests
    said = str(caught.value)
    assert "a key (sk-…) in the request at body.messages[1].content" in said
    assert KEY not in said
    assert 'mode="live"' in said
    assert not is_there(path)


async def test_a_key_that_is_sent_is_refused_in_a_prompt(path: Path):
    secret = "correct-horse-battery"
    with ChatServer(says("Hello")) as server, quire.cassette(path):
        helper = Agent(llm(server, api_key=secret), "Answer.")
        with pytest.raises(CassetteError, match="the key that the request is sent with in the request"):
            await helper.execute(f"Say {secret}")
        assert await helper.execute("Say something else") == "Hello"
        assert server.requests[0].headers["authorization"] == f"Bearer {secret}"
    assert secret not in text_of(path)


@pytest.mark.parametrize("reply", [says(f"Try {KEY}."), streams("Try ", KEY, ".")])
async def test_a_reply_with_a_key_is_not_written(path: Path, reply):
    with ChatServer(reply) as server, quire.cassette(path), pytest.raises(CassetteError) as caught:
        await agent(server).execute("Hi")
    assert "a key (sk-…) in the reply at text" in str(caught.value)
    assert KEY not in str(caught.value)
    assert not is_there(path)


async def test_a_key_is_found_that_a_stream_brings_in_pieces(path: Path):
    pieces = [KEY[start : start + 4] for start in range(0, len(KEY), 4)]
    with ChatServer(streams("Try ", *pieces)) as server, quire.cassette(path), pytest.raises(CassetteError) as caught:
        [event async for event in agent(server).stream("Hi")]
    assert "a key (sk-…) in the reply at choices[0].delta.content" in str(caught.value)
    assert not is_there(path)


async def test_a_server_s_error_is_still_told_when_it_repeats_a_key(path: Path):
    refusal = sends(400, {"error": {"message": f"bad header {KEY}"}})
    with ChatServer(refusal) as server, quire.cassette(path), pytest.raises(InvalidRequest) as caught:
        await agent(server).execute("Hi")
    assert any("it was not written" in note for note in caught.value.__notes__)
    assert not is_there(path)


async def test_a_key_in_the_address_is_left_out(path: Path):
    with ChatServer(says("Hello")) as server, quire.cassette(path):
        await agent(f"{server.url}/v1?key={KEY}").execute("Hi")
        assert KEY in server.requests[0].path
    assert lines(path)[1]["request"]["url"] == "http://localhost/v1/chat/completions"
    with quire.cassette(path, mode="replay"):
        assert await agent(f"{server.url}/v1?key=another").execute("Hi") == "Hello"


@pytest.mark.parametrize("where", ["result", "error"])
async def test_a_tool_that_gives_a_key_ends_the_run_and_the_model_is_not_told(path: Path, where: str):
    @Tool
    def search(query: str) -> str:
        if where == "error":
            raise ValueError(KEY)
        return KEY

    with ChatServer(calls(("search", {"query": "x"})), says("done")) as server, quire.cassette(path, tools=True):
        with pytest.raises(CassetteError, match=rf"a key \(sk-…\) in what search gave at {where}"):
            await Agent(llm(server), "Answer.", tools=[search]).execute("Hi")
        assert len(server.requests) == 1
    assert len(lines(path)) == 2


async def test_a_tool_is_not_given_a_key_that_would_be_written(path: Path):
    @Tool
    def search(query: str) -> str:
        raise AssertionError("it was used")

    # The model's call itself is another cassette's matter.
    with ChatServer(calls(("search", {"query": KEY}))) as server:
        helper = Agent(llm(server), "Answer.", tools=[search])
        with quire.cassette(path, tools=True), pytest.raises(CassetteError, match=r"a key \(sk-…\) in the reply"):
            await helper.execute("Hi")
        [asked] = server.requests
    reply = {"status": 200, "headers": {}, "data": calls(("search", {"query": KEY})).chunks[0], "chunks": ((999, 0.0),)}
    url = "http://localhost/v1/chat/completions"
    Reel(path).add(Exchange(url=url, body=asked.json, nth=1, at="2026-11-20T10:00:00Z", **reply))
    with quire.cassette(path, tools=True), pytest.raises(CassetteError, match="in the arguments of search at query"):
        await helper.execute("Hi")
