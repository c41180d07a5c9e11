"""Every dialect reads from a cassette what it read from the server: the same adapter, no server, no key."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import quire
from quire.adapters.providers.remote import Remote
from quire.core import errors
from quire.core.ports import Answer, Endpoint, ModelRequest, Piece
from tests.adapters.providers.dialects import DIALECTS, HELLO, Dialect
from tests.run.cassettes.kept import HEADER, put, text_of
from tests.servers import ChatServer, Reply, events, sends

every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
KEY = "a-key-of-somebody"
"""Long enough to be looked for in what is written."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demo.jsonl"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)


def somewhere(dialect: Dialect) -> Remote:
    """Return the same model where its provider serves it, without a key."""
    base_url = "https://models.example" if dialect.provider == "openai_compat" else None
    return dialect.adapter(Endpoint(provider=dialect.provider, model=dialect.model, base_url=base_url))


async def asked(model: Remote, **request) -> tuple[list[Piece], Answer]:
    *pieces, answer = [found async for found in model.ask(ModelRequest(**{"messages": HELLO, **request}))]
    return pieces, answer


def one_byte_chunks(reply: Reply) -> Reply:
    raw = b"".join(reply.chunks)
    return replace(reply, chunks=[raw[n : n + 1] for n in range(len(raw))])


@every_dialect
@pytest.mark.parametrize("cut", [lambda reply: reply, one_byte_chunks], ids=["events", "bytes"])
async def test_a_stream(dialect: Dialect, cut, path: Path):
    with ChatServer(cut(events(*dialect.rich))) as server, quire.cassette(path):
        live = await asked(dialect.opened(server.url, api_key=KEY), stream=True)
    with quire.cassette(path):
        played = await asked(somewhere(dialect), stream=True)
    assert len(live[0]) > 2
    assert played == (live[0], replace(live[1], replayed=True))
    assert KEY not in text_of(path)


@every_dialect
async def test_a_reply_that_came_whole(dialect: Dialect, path: Path):
    with ChatServer(dialect.says("Grüße\u2028")) as server, quire.cassette(path):
        live = await asked(dialect.opened(server.url, api_key=KEY))
    with quire.cassette(path, mode="replay"):
        played = await asked(somewhere(dialect))
    assert played == ([], replace(live[1], replayed=True))
    assert not live[1].replayed


@every_dialect
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (sends(429, {"error": {"message": "slow down"}}, headers={"retry-after": "7"}), errors.RateLimited),
        (sends(503, "<html><title>Unavailable</title></html>"), errors.Overloaded),
        (sends(400, {"error": {"message": "no such field"}}), errors.InvalidRequest),
        (sends(404, {"error": {"message": "no such model"}}), errors.ModelNotFound),
        (sends(200, "{"), errors.ProviderError),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)
async def test_an_error(dialect: Dialect, reply: Reply, kind, path: Path):
    told = []
    with ChatServer(reply) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode), pytest.raises(kind) as caught:
                await asked(dialect.opened(server.url, api_key=KEY), stream=True)
            told.append({**vars(caught.value), "replayed": None})
            assert caught.value.replayed == (mode == "replay")
        assert len(server.requests) == 1
    assert told[0] == told[1]


@every_dialect
async def test_a_useless_reply_is_known_as_one(dialect: Dialect, path: Path):
    with ChatServer(sends(200, "{}"), dialect.says("Hello")) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode), pytest.raises(errors.ProviderError) as caught:
                await asked(dialect.opened(server.url))
            assert caught.value.replayed == (mode == "replay")
        with quire.cassette(path):
            assert (await asked(dialect.opened(server.url)))[1].message.text == "Hello"


@every_dialect
async def test_a_stream_that_broke_off(dialect: Dialect, path: Path):
    with ChatServer(events(*dialect.rich[:-1], ending="cut")) as server:
        for mode in ("record", "replay"):
            with quire.cassette(path, mode=mode):
                try:
                    heard = await asked(dialect.opened(server.url), stream=True)
                except errors.StreamInterrupted as error:
                    heard = error.partial
            if mode == "record":
                first = heard
        assert len(server.requests) == 1
    if isinstance(first, tuple):  # everything had been said
        first = (first[0], replace(first[1], replayed=True))
    assert heard == first


@every_dialect
async def test_without_a_key_it_says_what_is_missing(dialect: Dialect, path: Path):
    put(path, HEADER)
    with quire.cassette(path, mode="auto"), pytest.raises(errors.CassetteMiss) as caught:
        await asked(somewhere(dialect))
    assert "no key to ask with" in str(caught.value)
    assert "_API_KEY" in str(caught.value)
    with quire.cassette(path, mode="replay"), pytest.raises(errors.CassetteMiss, match='mode="auto"'):
        await asked(somewhere(dialect))
    with quire.cassette(path, mode="record"), pytest.raises(errors.AuthenticationError, match="_API_KEY"):
        await asked(somewhere(dialect))
    with pytest.raises(errors.AuthenticationError):
        await asked(somewhere(dialect))
