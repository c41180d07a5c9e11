"""What only the store in Redis promises: lists anybody can read, and a server that may restart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from quire.adapters.stores import turns
from quire.adapters.stores.redis import RedisStore
from quire.core.codec import encode
from quire.core.errors import CorruptLog, DefinitionError, StoreError, StreamConflict
from tests.adapters.stores.line import Line
from tests.adapters.stores.places import everything, said, soon
from tests.adapters.stores.servers import PASSWORD, Server, in_redis, new_redis, number, start_redis

EVENTS = [said(1, "eins"), said(2, "zwei"), said(3, "größe \U0001f600 \x00 " + "x" * 50)]
SECRET = quote(PASSWORD, safe="")


@pytest.fixture
def url() -> str:
    return number()


@pytest.fixture
def store(url: str) -> RedisStore:
    return RedisStore(url)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server to be treated badly."""
    made = new_redis()
    yield made
    made.forget()


def port_of(url: str) -> int:
    return int(url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])


# --- what is in it ---------------------------------------------------------------------------------------------------


async def test_an_event_is_an_element_of_a_list(store: RedisStore, url: str):
    await store.append("runs/1", EVENTS, 0)
    kept = in_redis(url, "LRANGE", "quire:stream:runs/1", "0", "-1")
    assert kept.splitlines() == [encode(event).decode().strip() for event in EVENTS]
    assert in_redis(url, "ZRANGE", "quire:streams", "0", "-1") == "runs/1"


async def test_what_was_deleted_leaves_nothing_behind(store: RedisStore, url: str):
    await store.append("runs/1", EVENTS, 0)
    await store.delete("runs/1")
    left = in_redis(url, "KEYS", "*").split()
    assert [key.rpartition(":")[0] for key in sorted(left)] == ["quire", "quire:receipt"]
    [receipt] = [key for key in left if "receipt" in key]
    assert 0 < int(in_redis(url, "TTL", receipt)) <= 600


@pytest.mark.parametrize(
    ("line", "finding"), [("not json", "expected ident|Expecting value"), (encode(EVENTS[2]), "it holds event 3")]
)
async def test_an_unreadable_element_says_which_and_gives_what_comes_before(
    store: RedisStore, url: str, line: str | bytes, finding: str
):
    await store.append("runs/1", EVENTS, 0)
    in_redis(url, "LSET", "quire:stream:runs/1", "1", line if isinstance(line, str) else line.decode())
    with pytest.raises(CorruptLog, match=finding) as caught:
        await store.read("runs/1")
    assert caught.value.readable == EVENTS[:1]
    assert "event 2" in caught.value.what
    assert caught.value.where == f"runs/1 in {store.place}"
    assert await store.read("runs/1", 2) == EVENTS[2:]


# --- connections -----------------------------------------------------------------------------------------------------


def connections(url: str) -> int:
    """Count the connections to this very database, but for the one that asks."""
    number = url.rpartition("/")[2]
    return sum(f" db={number} " in line for line in in_redis(url, "CLIENT", "LIST").splitlines()) - 1


async def test_a_few_connections_serve_everybody(store: RedisStore, url: str):
    await asyncio.gather(*(store.append(f"runs/{n}", EVENTS, 0) for n in range(60)))
    assert 1 <= connections(url) <= 8


async def test_a_forgotten_store_leaves_no_connection(url: str):
    store = RedisStore(url)
    await store.append("runs/1", EVENTS, 0)
    assert connections(url) == 1
    del store
    await soon(lambda: connections(url) == 0)


@pytest.mark.parametrize("cut", ["asking", "answering"])
async def test_a_connection_that_breaks_at_the_worst_moment_loses_and_repeats_nothing(url: str, cut):
    async with Line(port_of(url)).open() as line:
        store = RedisStore(url.replace(f":{port_of(url)}/", f":{line.port}/"))
        for seq in range(1, 9):
            if seq in (4, 5, 7):
                line.cut = cut
            await store.append("runs/1", [said(seq)], seq - 1)
        assert await store.read("runs/1") == [said(seq) for seq in range(1, 9)]
        assert line.cuts == 3
        line.cut = cut
        assert len(await store.read("runs/1")) == 8


async def test_another_writer_is_not_taken_for_oneself_after_a_break(url: str):
    """Both write the very same event: only one of them may believe that it was first."""
    other = RedisStore(url)
    async with Line(port_of(url)).open() as line:
        store = RedisStore(url.replace(f":{port_of(url)}/", f":{line.port}/"))
        await store.append("runs/1", [said(1)], 0)
        await other.append("runs/1", [said(2)], 1)
        line.cut = "answering"
        with pytest.raises(StreamConflict):
            await store.append("runs/1", [said(2)], 1)
        assert line.cuts == 1


# --- a server that goes away, or has no room -------------------------------------------------------------------------


async def test_a_restart_costs_a_wait_and_nothing_else(server: Server):
    store = RedisStore(number(server))
    await store.append("runs/1", [said(1)], 0)
    there, stopped = 1, False

    async def write() -> None:
        nonlocal there
        while not stopped or there % 10:
            count = there % 3 + 1
            await store.append("runs/1", [said(seq, f"{seq}") for seq in range(there + 1, there + 1 + count)], there)
            there += count

    writing = asyncio.create_task(write())
    chance = random.Random(3)
    for _ in range(2):
        await asyncio.sleep(0.05 + chance.random() / 10)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(start_redis, server)
    before = there
    await asyncio.sleep(0.1)
    stopped = True
    await writing
    assert there > before
    assert [event.seq for event in await store.read("runs/1")] == list(range(1, there + 1))


async def test_a_server_that_stays_away(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "_PATIENCE", 0.3)
    store = RedisStore(number(server))
    await store.append("runs/1", EVENTS[:1], 0)
    await asyncio.to_thread(server.stop)
    try:
        for work in (store.append("runs/1", EVENTS[1:], 1), store.read("runs/1"), store.streams()):
            with pytest.raises(StoreError, match="there is no connection to Redis") as caught:
                await work
            assert caught.value.where == store.place
            assert "See that the server is running" in (caught.value.remedy or "")
            assert PASSWORD not in everything(caught.value)
    finally:
        await asyncio.to_thread(start_redis, server)
    await store.append("runs/1", EVENTS[1:], 1)
    assert await store.read("runs/1") == EVENTS


async def test_a_server_without_room(server: Server):
    url = number(server)
    store = RedisStore(url)
    await store.append("runs/1", EVENTS, 0)
    in_redis(url, "CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreError, match=r"Redis says: .*maxmemory") as caught:
            await store.append("runs/1", [said(4)], 3)
        assert "what was there before is there" in (caught.value.remedy or "")
        assert await store.read("runs/1") == EVENTS
    finally:
        in_redis(url, "CONFIG", "SET", "maxmemory", "0")
    await store.append("runs/1", [said(4)], 3)


# --- what is refused, and what is not shown --------------------------------------------------------------------------


async def test_a_wrong_password_is_refused_and_not_shown(url: str):
    wrong = RedisStore(url.replace(SECRET, "gue%2Fss"))
    with pytest.raises(StoreError, match="invalid username-password pair") as caught:
        await wrong.read("runs/1")
    assert "password are right" in (caught.value.remedy or "")
    assert "gue" not in everything(caught.value)
    assert SECRET not in repr(RedisStore(url))


async def test_nobody_there_is_told_at_once(free_port: int):
    with pytest.raises(StoreError, match="there is no connection") as caught:
        await asyncio.wait_for(RedisStore(f"redis://:{SECRET}@127.0.0.1:{free_port}/1").streams(), 2)
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize("url", ["redis://:hush/word@127.0.0.1/1", "redis://:12#hush@127.0.0.1/1", "redis://[hush"])
def test_an_address_that_cannot_be_read_is_not_shown(url: str):
    with pytest.raises(DefinitionError, match="cannot be read") as caught:
        RedisStore(url)
    assert "hush" not in everything(caught.value)
