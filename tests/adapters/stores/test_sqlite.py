"""What only the store in SQLite promises: one file, what is in it, who shares it, and a disk that refuses."""

# ruff: noqa: ASYNC240 - these tests look at small files

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from quire.adapters.stores import sqlite_file
from quire.adapters.stores.sqlite import SQLiteStore
from quire.core.codec import encode
from quire.core.errors import CorruptLog, DefinitionError, StoreError, StreamConflict
from tests.adapters.stores.places import finished, python, said, soon

EVENTS = [said(1, "eins"), said(2, "zwei"), said(3, "größe \U0001f600 \x00 " + "x" * 50)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "runs.db"


@pytest.fixture
def store(path: Path) -> SQLiteStore:
    return SQLiteStore(path)


def asked(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Have a stranger do something with the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


@contextmanager
def locked(path: Path) -> Generator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def closed(path: Path) -> None:
    """Wait until stores that are forgotten have let go of the file; their threads may have been at it just now."""
    await soon(lambda: not any(path.with_name(path.name + ending).exists() for ending in ("-wal", "-shm")))


# --- what is in the file ---------------------------------------------------------------------------------------------


async def test_an_event_is_a_row_of_json(store: SQLiteStore, path: Path):
    await store.append("runs/1", EVENTS, 0)
    rows = asked(path, "SELECT name, seq, line FROM quire_events JOIN quire_streams ON id = stream ORDER BY seq")
    assert rows == [("runs/1", event.seq, encode(event).decode().strip()) for event in EVENTS]
    assert asked(path, "SELECT line ->> '$.text' FROM quire_events WHERE seq = 2") == [("zwei",)]


async def test_only_its_owner_reads_the_file(store: SQLiteStore, path: Path):
    await store.append("runs/1", EVENTS, 0)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_reading_makes_no_file(store: SQLiteStore, path: Path):
    assert await store.read("runs/1") == []
    assert await store.streams() == []
    await store.append("runs/1", [], 0)
    await store.delete("runs/1")
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [said(2)], 1)
    assert not path.parent.exists()


async def test_somebody_else_s_file_is_left_alone_until_there_is_something_to_keep(store: SQLiteStore, path: Path):
    path.parent.mkdir()
    asked(path, "CREATE TABLE events (mine)")
    assert await store.read("runs/1") == []
    assert await store.streams() == []
    await store.delete("runs/1")
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [said(2)], 1)
    assert asked(path, "SELECT name FROM sqlite_master") == [("events",)]
    assert asked(path, "PRAGMA journal_mode") == [("delete",)]
    await store.append("runs/1", EVENTS, 0)
    assert await store.read("runs/1") == EVENTS


async def test_what_was_deleted_leaves_nothing_behind(store: SQLiteStore, path: Path):
    for name in ("runs/1", "runs/2"):
        await store.append(name, EVENTS, 0)
    await store.delete("runs/1")
    assert asked(path, "SELECT count(*) FROM quire_events") == [(len(EVENTS),)]


async def test_the_file_stays_when_the_working_directory_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore.from_url("sqlite:///my%20runs.db")
    monkeypatch.chdir("/")
    await store.append("runs/1", EVENTS, 0)
    assert (tmp_path / "my runs.db").exists()
    assert repr(store) == f"SQLiteStore('{tmp_path}/my runs.db')"


@pytest.mark.parametrize("path", ["runs.db", "deep/runs 100%#?.db"])
async def test_an_absolute_address(tmp_path: Path, path: str):
    address = f"sqlite:///{(tmp_path / path).as_uri().removeprefix('file://')}"
    await SQLiteStore.from_url(address).append("runs/1", EVENTS, 0)
    assert (tmp_path / path).exists()


@pytest.mark.parametrize(
    "address", ["sqlite://", "sqlite:///", "sqlite://runs.db", "sqlite:///runs.db?mode=ro", "sqlite:///:memory:"]
)
def test_an_address_without_a_file(address: str):
    with pytest.raises(DefinitionError) as caught:
        SQLiteStore.from_url(address)
    assert caught.value.remedy in {
        "It is written sqlite:///runs.db, or sqlite:////folder/runs.db.",
        "Write memory:// instead.",
    }


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("UPDATE quire_events SET line = 'not json' WHERE seq = 2", "expected ident|Expecting value"),
        ("UPDATE quire_events SET line = x'ff00' WHERE seq = 2", "expected value|Expecting value|utf-8"),
        ("UPDATE quire_events SET line = 7 WHERE seq = 2", "must be a JSON object"),
        ("DELETE FROM quire_events WHERE seq = 2", "it holds event 3"),
    ],
)
async def test_an_unreadable_row_says_which_and_gives_what_comes_before(
    store: SQLiteStore, path: Path, damage: str, finding: str
):
    await store.append("runs/1", EVENTS, 0)
    asked(path, damage)
    with pytest.raises(CorruptLog, match=finding) as caught:
        await store.read("runs/1")
    assert caught.value.readable == EVENTS[:1]
    assert "event 2" in caught.value.what
    assert caught.value.where == f"runs/1 in {path}"
    assert await store.read("runs/1", 2) == EVENTS[2:]


async def test_what_comes_before_a_damaged_page_can_be_read(path: Path):
    events = [said(seq, "words " * 100) for seq in range(1, 2001)]
    await SQLiteStore(path).append("runs/1", events, 0)
    await closed(path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size * 6 // 10 // 4096 * 4096)
        file.write(b"\x55" * 4096)
    with pytest.raises(CorruptLog, match="malformed") as caught:
        await SQLiteStore(path).read("runs/1")
    assert 100 < len(caught.value.readable) < 2000
    assert caught.value.readable == events[: len(caught.value.readable)]


async def test_a_file_that_is_something_else(store: SQLiteStore, path: Path):
    path.parent.mkdir()
    path.write_text("Dear diary, " * 100)
    for work in (store.append("runs/1", EVENTS, 0), store.read("runs/1"), store.streams(), store.delete("runs/1")):
        with pytest.raises(StoreError, match="file is not a database") as caught:
            await work
        assert caught.value.where == str(path)
        assert caught.value.remedy == "It is no file of SQLite's: give another name."
    assert path.read_text().startswith("Dear diary")


# --- a disk that refuses ---------------------------------------------------------------------------------------------

FULL = """
import asyncio, resource, sys
from quire.adapters.stores.sqlite import SQLiteStore
from quire.core.errors import StoreError
from tests.adapters.stores.places import said

async def main():
    store = SQLiteStore(sys.argv[1])
    await store.append("runs/1", [said(1)], 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1))
    for stream, there in (("runs/1", 1), ("runs/2", 0)):
        try:
            await store.append(stream, [said(seq, "x" * 90_000) for seq in range(there + 1, there + 9)], there)
        except StoreError as error:
            print(error)
        assert await store.read("runs/1") == [said(1)]
        assert await store.streams() == ["runs/1"]
    await store.append("runs/1", [said(2)], 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    await store.append("runs/2", [said(1, "x" * 900_000)], 0)
    assert await store.read("runs/1") == [said(1), said(2)]

asyncio.run(main())
"""


async def test_a_write_that_fails_half_way_leaves_everything_as_it_was(path: Path):
    printed = await finished(python("-c", FULL, str(path)))
    message = f"A log could not be written: disk I/O error.\n  in {path}\n"
    assert printed == 2 * (message + "  Set QUIRE_DATABASE_URL to a file you can write to, on a disk with room.\n")
    assert len(await SQLiteStore(path).read("runs/2")) == 1


READ_ONLY = """
import asyncio, os, sys
from quire.adapters.stores.sqlite import SQLiteStore
from quire.core.codec import encode
from tests.adapters.stores.places import said

async def main():
    encode(said(1))  # nobody might not even import what root installed
    if os.geteuid() == 0:
        os.setuid(65534)  # root may write anywhere
    store = SQLiteStore(sys.argv[1])
    for attempt in range(2):
        try:
            await store.append("runs/1", [said(4)], 3)
        except Exception as error:
            print(type(error).__name__, error)
        print(len(await store.read("runs/1")), await store.streams())
    try:
        await SQLiteStore(sys.argv[1] + ".new").append("runs/1", [said(1)], 0)
    except Exception as error:
        print(error.what)

asyncio.run(main())
"""


async def test_in_a_read_only_folder_there_is_reading(open_folder: Path):
    home = open_folder / "home"
    await SQLiteStore(home / "runs.db").append("runs/1", EVENTS, 0)
    await closed(home / "runs.db")
    (home / "runs.db").chmod(0o444)
    home.chmod(0o555)
    printed = await finished(python("-c", READ_ONLY, str(home / "runs.db")))
    refused = f"StoreError A log could not be written: attempt to write a readonly database.\n  in {home}/runs.db\n"
    remedy = "  Set QUIRE_DATABASE_URL to a file you can write to, on a disk with room.\n"
    assert printed == 2 * f"{refused}{remedy}3 ['runs/1']\n" + "A log could not be written: Permission denied.\n"


# --- others at the same file -----------------------------------------------------------------------------------------


async def test_the_loop_goes_on_while_another_process_writes(store: SQLiteStore, path: Path):
    await store.append("runs/1", EVENTS[:1], 0)
    with locked(path):
        append = asyncio.create_task(store.append("runs/1", EVENTS[1:], 1))
        await asyncio.sleep(0.05)
        assert not append.done()
        assert await SQLiteStore(path).read("runs/1") == EVENTS[:1]  # readers do not wait
    await append
    assert await store.read("runs/1") == EVENTS


async def test_another_process_that_never_stops_writing(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sqlite_file, "_PATIENCE", 0.05)
    await store.append("runs/1", EVENTS[:1], 0)
    with locked(path), pytest.raises(StoreError, match="database is locked") as caught:
        await store.append("runs/1", EVENTS[1:], 1)
    assert "Another process has been writing" in (caught.value.remedy or "")
    await store.append("runs/1", EVENTS[1:], 1)


async def test_a_file_that_was_deleted_is_begun_anew(store: SQLiteStore, path: Path):
    await store.append("runs/1", EVENTS, 0)
    for file in path.parent.iterdir():
        file.unlink()
    assert await store.read("runs/1") == []
    await store.append("runs/1", EVENTS, 0)
    assert await SQLiteStore(path).read("runs/1") == EVENTS


async def test_many_begin_a_file_at_one_moment(path: Path):
    stores = [SQLiteStore(path) for _ in range(8)]
    await asyncio.gather(*(store.append(f"runs/{n}", EVENTS, 0) for n, store in enumerate(stores)))
    assert len(await stores[0].streams()) == 8


async def test_a_forgotten_store_brings_its_file_up_to_date(path: Path):
    store = SQLiteStore(path)
    await store.append("runs/1", EVENTS, 0)
    assert (path.parent / "runs.db-wal").exists()
    del store
    await closed(path)
    assert [file.name for file in path.parent.iterdir()] == ["runs.db"]


AT_THE_END = """
import asyncio, sys
from quire.adapters.stores.sqlite import SQLiteStore
from tests.adapters.stores.places import said

store = SQLiteStore(sys.argv[1])
asyncio.run(store.append("runs/1", [said(1)], 0))
"""


async def test_the_end_of_the_process_brings_the_file_up_to_date(path: Path):
    await finished(python("-c", AT_THE_END, str(path)))
    assert [file.name for file in path.parent.iterdir()] == ["runs.db"]
    assert await SQLiteStore(path).read("runs/1") == [said(1)]
