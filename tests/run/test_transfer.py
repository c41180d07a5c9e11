"""copy_store: everything, once, and never over anything else."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

import quire
from quire.adapters.stores.file import FileStore
from quire.adapters.stores.memory import MemoryStore
from quire.adapters.stores.sqlite import SQLiteStore
from quire.core.errors import DefinitionError, StoreError
from quire.run import transfer
from quire.run.transfer import Copied
from tests.adapters.stores import servers
from tests.adapters.stores.places import said
from tests.kit import output_of

NAMES = ["runs/1", "runs/2", "sessions/größe/x", "a"]


async def filled(store, names=NAMES, length=5):
    for name in names:
        await store.append(name, [said(seq, f"{name} {seq}") for seq in range(1, length + 1)], 0)
    return store


async def everything(store):
    return {name: await store.read(name) for name in await store.streams()}


async def test_everything_is_copied_in_order(tmp_path):
    here, there = await filled(MemoryStore()), SQLiteStore(tmp_path / "runs.db")
    assert quire.copy_store(here, there) == Copied(streams=4, events=20, there=0)
    assert await everything(there) == await everything(here)
    assert await there.streams() == NAMES
    assert quire.copy_store(here, there) == Copied(streams=0, events=0, there=4)


def test_stores_are_given_by_their_addresses(tmp_path):
    asyncio.run(filled(FileStore(tmp_path / "logs")))
    steps = [
        (tmp_path / "logs").as_uri(),
        f"sqlite:///{tmp_path}/runs.db",
        servers.database(),
        servers.number(),
        servers.bucket(),
        (tmp_path / "back").as_uri(),
    ]
    for source, target in pairwise(steps):
        assert quire.copy_store(source, target).events == 20
    for path in (tmp_path / "logs").rglob("*.jsonl"):
        assert (tmp_path / "back" / path.relative_to(tmp_path / "logs")).read_bytes() == path.read_bytes()


async def test_a_copy_goes_on_where_it_stopped(monkeypatch):
    monkeypatch.setattr(transfer, "_AT_ONCE", 2)
    here, there = await filled(MemoryStore()), await filled(MemoryStore(), NAMES[:1], 3)
    await filled(there, NAMES[1:2])
    assert quire.copy_store(here, there) == Copied(streams=3, events=12, there=1)
    assert await everything(there) == await everything(here)


async def test_what_has_gone_on_there_is_left_alone():
    here, there = await filled(MemoryStore(), length=3), await filled(MemoryStore())
    assert quire.copy_store(here, there) == Copied(streams=0, events=0, there=4)
    assert len(await there.read("runs/1")) == 5


async def test_another_stream_of_that_name_is_not_overwritten():
    here, there = await filled(MemoryStore()), MemoryStore()
    await there.append("runs/2", [said(1, "runs/2 1"), said(2, "mine")], 0)
    with pytest.raises(StoreError, match="event 2 differs") as caught:
        quire.copy_store(here, there)
    assert caught.value.where == "runs/2 in MemoryStore()"
    assert len(await there.read("runs/1")) == 5  # before it came to that
    assert [event.text for event in await there.read("runs/2")] == ["runs/2 1", "mine"]


async def test_what_can_be_read_of_a_damaged_stream_is_copied_and_the_rest_is_told(tmp_path):
    here, there = await filled(FileStore(tmp_path)), MemoryStore()
    damaged = tmp_path / "runs" / "1.jsonl"
    lines = damaged.read_text().splitlines(keepends=True)
    damaged.write_text("".join([*lines[:2], "not json\n", *lines[3:]]))
    with pytest.raises(StoreError, match="Of 1 streams only the beginning") as caught:
        quire.copy_store(here, there)
    assert f"{damaged}, line 3" in caught.value.where
    assert {name: len(events) for name, events in (await everything(there)).items()} == {
        "a": 5,
        "runs/1": 2,
        "runs/2": 5,
        "sessions/größe/x": 5,
    }


async def test_what_was_run_is_the_same_from_the_copy(tmp_path, monkeypatch):
    @quire.Step
    def double(n: int) -> int:
        return 2 * n

    run = double.start(4)
    await run
    quire.copy_store(quire.run.runtime.store(), f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setenv("QUIRE_DATABASE_URL", f"sqlite:///{tmp_path}/runs.db")
    assert list(quire.runs()["run"]) == [run.id]
    assert quire.load(run.id).output == 8


def test_an_address_that_makes_no_sense_is_refused_before_anything_is_copied(tmp_path):
    with pytest.raises(DefinitionError):
        quire.copy_store((tmp_path / "logs").as_uri(), "runs.db")


def test_the_stop_button_stops_a_copy(tmp_path):
    told = output_of(
        """
        import asyncio, os, signal, threading, time
        import quire
        from quire.adapters.stores.memory import MemoryStore
        from tests.adapters.stores.places import said

        class Slow(MemoryStore):
            async def append(self, *told):
                await asyncio.sleep(0.02)
                await super().append(*told)

        here, there = MemoryStore(), Slow()
        for n in range(500):
            asyncio.run(here.append(f"runs/{n}", [said(1)], 0))
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            quire.copy_store(here, there)
        except KeyboardInterrupt:
            stopped = len(there._streams)
            time.sleep(0.2)
            print(0 < stopped < 500, len(there._streams) - stopped)
        print(quire.copy_store(here, MemoryStore()).streams)
        """,
        tmp_path,
    )
    assert told.split() == ["True", "0", "500"]
