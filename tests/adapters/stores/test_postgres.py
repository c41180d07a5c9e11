"""What only the store in PostgreSQL promises: rows anybody can query, and a server that may restart."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from quire.adapters.stores import turns
from quire.adapters.stores.postgres import PostgresStore
from quire.core.codec import encode
from quire.core.errors import CorruptLog, DefinitionError, StoreError
from tests.adapters.stores.line import Line
from tests.adapters.stores.places import everything, said, soon
from tests.adapters.stores.servers import PASSWORD, Server, database, in_sql, new_postgres, start_postgres

EVENTS = [said(1, "eins"), said(2, "zwei"), said(3, "größe \U0001f600 \x00 " + "x" * 50)]
SECRET = quote(PASSWORD, safe="")


@pytest.fixture
def url() -> str:
    return database()


@pytest.fixture
def store(url: str) -> PostgresStore:
    return PostgresStore(url)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server to be treated badly."""
    made = new_postgres()
    yield made
    made.forget()


# --- what is in the tables -------------------------------------------------------------------------------------------


async def test_an_event_is_a_row_of_json(store: PostgresStore, url: str):
    await store.append("runs/1", EVENTS, 0)
    joined = "FROM quire_events JOIN quire_streams ON id = stream WHERE name = 'runs/1'"
    assert in_sql(url, f"SELECT line {joined} AND seq = 2") == encode(EVENTS[1]).decode().strip()
    assert in_sql(url, f"SELECT string_agg(line::json ->> 'sender', ',') {joined} AND seq < 3") == "me,me"
    assert in_sql(url, "SELECT length FROM quire_streams") == "3"


async def test_reading_makes_no_tables(store: PostgresStore, url: str):
    assert await store.read("runs/1") == []
    assert await store.streams() == []
    await store.delete("runs/1")
    with pytest.raises(StoreError):
        await store.append("runs/1", [said(2)], 1)
    assert in_sql(url, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == "0"


async def test_many_make_the_tables_at_one_moment(url: str):
    stores = [PostgresStore(url) for _ in range(6)]
    await asyncio.gather(*(store.append(f"runs/{n}", EVENTS, 0) for n, store in enumerate(stores)))
    assert len(await stores[0].streams()) == 6


async def test_what_was_deleted_leaves_nothing_behind(store: PostgresStore, url: str):
    for name in ("runs/1", "runs/2"):
        await store.append(name, EVENTS, 0)
    await store.delete("runs/1")
    assert in_sql(url, "SELECT count(*) FROM quire_events") == str(len(EVENTS))


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("UPDATE quire_events SET line = 'not json' WHERE seq = 2", "expected ident|Expecting value"),
        ("DELETE FROM quire_events WHERE seq = 2", "it holds event 3"),
    ],
)
async def test_an_unreadable_row_says_which_and_gives_what_comes_before(
    store: PostgresStore, url: str, damage: str, finding: str
):
    await store.append("runs/1", EVENTS, 0)
    in_sql(url, damage)
    with pytest.raises(CorruptLog, match=finding) as caught:
        await store.read("runs/1")
    assert caught.value.readable == EVENTS[:1]
    assert "event 2" in caught.value.what
    assert caught.value.where == f"runs/1 in {store.place}"
    assert await store.read("runs/1", 2) == EVENTS[2:]


# --- connections -----------------------------------------------------------------------------------------------------


def connections(url: str, name: str) -> int:
    return int(in_sql(url, f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"))


async def test_a_few_connections_serve_everybody(url: str):
    store = PostgresStore(f"{url}&application_name=few")
    await asyncio.gather(*(store.append(f"runs/{n}", EVENTS, 0) for n in range(60)))
    assert 1 <= connections(url, "few") <= 8


async def test_a_forgotten_store_leaves_no_connection(url: str):
    store = PostgresStore(f"{url}&application_name=gone")
    await store.append("runs/1", EVENTS, 0)
    assert connections(url, "gone") == 1
    del store
    await soon(lambda: connections(url, "gone") == 0)


@pytest.mark.parametrize("cut", ["asking", "answering"])
async def test_a_connection_that_breaks_at_the_worst_moment_loses_and_repeats_nothing(url: str, cut):
    port = int(url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])
    async with Line(port).open() as line:
        store = PostgresStore(url.replace(f":{port}/", f":{line.port}/"))
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
    port = int(url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])
    other = PostgresStore(url)
    async with Line(port).open() as line:
        store = PostgresStore(url.replace(f":{port}/", f":{line.port}/"))
        for seq in (1, 2):
            await store.append("runs/1", [said(seq)], seq - 1)
        await other.append("runs/1", [said(3)], 2)
        line.cut = "answering"
        with pytest.raises(StoreError, match="another one was here"):
            await store.append("runs/1", [said(3)], 2)
        assert line.cuts == 1


# --- a server that goes away -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_a_restart_costs_a_wait_and_nothing_else(server: Server, how: signal.Signals):
    store = PostgresStore(database(server))
    await store.append("runs/1", [said(1)], 0)
    there, stopped = 1, False

    async def write() -> None:
        nonlocal there
        while not stopped or there % 10:
            count = there % 3 + 1
            await store.append("runs/1", [said(seq, f"{seq}") for seq in range(there + 1, there + 1 + count)], there)
            there += count

    writing = asyncio.create_task(write())
    chance = random.Random(int(how))
    for _ in range(2):
        await asyncio.sleep(0.05 + chance.random() / 10)
        await asyncio.to_thread(server.stop, how)
        await asyncio.to_thread(start_postgres, server)
    before = there
    await asyncio.sleep(0.1)
    stopped = True
    await writing
    assert there > before
    assert [event.seq for event in await store.read("runs/1")] == list(range(1, there + 1))


async def test_a_server_that_stays_away(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "_PATIENCE", 0.3)
    store = PostgresStore(database(server))
    await store.append("runs/1", EVENTS[:1], 0)
    await asyncio.to_thread(server.stop)
    try:
        for work in (store.append("runs/1", EVENTS[1:], 1), store.read("runs/1"), store.streams()):
            with pytest.raises(StoreError, match="there is no connection to PostgreSQL") as caught:
                await work
            assert caught.value.where == f"postgresql://127.0.0.1:{server.port}/postgres"
            assert "See that the server is running" in (caught.value.remedy or "")
            assert PASSWORD not in everything(caught.value)
    finally:
        await asyncio.to_thread(start_postgres, server)
    await store.append("runs/1", EVENTS[1:], 1)
    assert await store.read("runs/1") == EVENTS


async def test_a_server_without_room(server: Server):
    url = database(server)
    store = PostgresStore(url)
    await store.append("runs/1", EVENTS, 0)
    pids = in_sql(url, "SELECT pid FROM pg_stat_activity WHERE query LIKE '%quire_events%' AND pid <> pg_backend_pid()")
    for pid in pids.split():
        limit = ["prlimit", f"--pid={pid}", f"--fsize={2 << 20}"]
        await asyncio.to_thread(subprocess.run, limit, check=True, user=server.user or None, group=server.user or None)
    large = said(4, random.Random(1).randbytes(3 << 20).hex())
    with pytest.raises(StoreError, match=r"PostgreSQL says: could not .*: File too large"):
        await store.append("runs/1", [large], 3)
    assert await store.read("runs/1") == EVENTS
    await store.append("runs/1", [said(4)], 3)


# --- what is refused, and what is not shown --------------------------------------------------------------------------


async def test_a_wrong_password_is_refused_and_not_shown(url: str):
    wrong = PostgresStore(url.replace(SECRET, "gue%2Fss"))
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        await wrong.read("runs/1")
    assert "user and password" in (caught.value.remedy or "")
    assert "gue" not in everything(caught.value)
    assert SECRET not in repr(PostgresStore(url))


async def test_a_user_without_rights(store: PostgresStore, url: str):
    await store.append("runs/1", EVENTS[:1], 0)
    schema = url.rpartition("=")[2]
    in_sql(url, f"CREATE ROLE {schema} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA {schema} TO {schema};"
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {schema}")  # fmt: skip
    guest = PostgresStore(url.replace(f"quire:{SECRET}", f"{schema}:x"))
    assert await guest.read("runs/1") == EVENTS[:1]
    with pytest.raises(StoreError, match="permission denied for table quire_") as caught:
        await guest.append("runs/1", EVENTS[1:], 1)
    assert "Give its user the right" in (caught.value.remedy or "")


async def test_nobody_there_is_told_at_once(free_port: int):
    with pytest.raises(StoreError, match="there is no connection") as caught:
        await asyncio.wait_for(PostgresStore(f"postgresql://me:{SECRET}@127.0.0.1:{free_port}/x").streams(), 2)
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://quire:hush/word@127.0.0.1/x",
        "postgresql://quire:12#hush@127.0.0.1/x",
        "postgresql://quire:12?hush@127.0.0.1/x",
        "postgresql://quire:hush@127.0.0.1:hush/x",
        "postgresql://[hush",
        "hush",
    ],
)
def test_an_address_that_cannot_be_read_is_not_shown(url: str):
    with pytest.raises(DefinitionError, match="cannot be read") as caught:
        PostgresStore(url)
    assert "hush" not in everything(caught.value)
    assert "%40" in (caught.value.remedy or "")
