"""Runs whose store fails them: a full disk, a folder nobody may write to, a server that is away, a damaged log.

The cause is always a real one. A disk of their own is what programs get that are begun below `unshare`, where the
system lets them; the system's limit for the size of a file stands in for the end of the disk where it does not.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from functools import cache

import obstore
import pytest
from obstore.store import from_url

import quire
from quire import Pipeline, Step, Tool, errors
from quire.adapters.stores import bucket, turns
from quire.adapters.stores.address import options_of, shown
from quire.run.runtime import keep_in, open_store
from tests.adapters.stores import servers
from tests.kit import ROOT, output_of

# A server that is away


class Trip:
    """A run with an effect before the disaster and one after it."""

    def __init__(self):
        self.effects: list[str] = []
        self.waiting, self.going_on = asyncio.Event(), asyncio.Event()

    def flow(self):
        @Step
        async def begin(n: int) -> str:
            return f"order {n}"

        @Tool(idempotency_key=lambda text: text)
        async def charge(text: str) -> float:
            """Charge for it."""
            self.effects.append(f"charge {text}")
            return 1.0

        @Step
        async def pay(text: str) -> float:
            return await charge.execute({"text": text})

        @Step
        async def wait(price: float) -> bytes:
            self.waiting.set()
            await self.going_on.wait()
            return b"paid" if price else b""

        @Tool
        async def send(paid: str) -> bool:
            """Send it."""
            self.effects.append(f"send {paid}")
            return True

        @Step
        async def leave(paid: bytes) -> bool:
            return await send.execute({"paid": paid.decode()})

        return Pipeline(begin, pay, wait, leave, name="trip")


def gone(made):
    made.stop(signal.SIGKILL if "redis" in made.command[0] else signal.SIGQUIT)


SERVERS = {
    "postgres": (servers.new_postgres, servers.database, gone, servers.start_postgres),
    "redis": (servers.new_redis, servers.number, gone, servers.start_redis),
    "s3": (servers.new_s3, servers.bucket, servers.leave_s3, servers.return_s3),
}


@pytest.mark.may_block
@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_that_is_away_in_the_middle_of_a_run(name, monkeypatch):
    monkeypatch.setattr(turns, "_PATIENCE", 0.3)
    monkeypatch.setitem(bucket._PATIENCE, "max_retries", 1)
    make, place, leave, come_back = SERVERS[name]
    made = make()
    try:
        with keep_in(open_store(place(made))):
            await _goes_on_after(lambda: leave(made), lambda: come_back(made))
    finally:
        made.forget()


async def _goes_on_after(disaster, end):
    trip = Trip()
    run = trip.flow().start(1)
    await trip.waiting.wait()
    await run.log.flush()
    disaster()
    trip.going_on.set()
    with pytest.raises(errors.StoreError, match="A log could not be") as caught:
        await run
    assert caught.value.where
    assert caught.value.remedy
    assert trip.effects == ["charge order 1"], "what could not be recorded was done"
    assert (run.status, run.output) == ("failed", None)
    for look in (quire.runs, lambda: quire.load("nowhere")):
        with pytest.raises(errors.StoreError, match="A log could not be"):
            look()
    end()
    record = quire.load(run.id)
    assert (record.status, record.tools.empty, quire.runs()["status"].tolist()) == ("cancelled", True, ["cancelled"])
    assert record.nodes["node"].tolist()[:4] == ["trip", "begin", "pay", "pay/charge"]
    assert await trip.flow().resume(run.id)
    assert trip.effects == ["charge order 1", "send paid"]
    assert quire.runs()["status"].tolist() == ["succeeded"]


# A disk of their own


@cache
def may_mount():
    """Whether the system lets a program have a disk of its own."""
    asked = "mount -t tmpfs -o size=64k tmpfs /tmp"
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-rm", "sh", "-c", asked], check=False, capture_output=True).returncode == 0
    )


DISK = """
    import asyncio, os, resource, subprocess, sys
    from contextlib import suppress
    from pathlib import Path
    import quire
    from quire import Pipeline, Step, Tool, errors

    disk, effects, cause = Path(os.environ["DISK"]), [], os.environ["CAUSE"]
    if cause != "limit":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)

    def disaster():
        if cause == "limit":
            largest = max(path.stat().st_size for path in disk.rglob("*") if path.is_file())
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, -1))
        elif cause == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        else:
            with suppress(OSError), open(disk / "rubbish", "wb", buffering=0) as rubbish:
                while True:
                    rubbish.write(bytes(512))

    def end():
        if cause == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        elif cause == "read-only":
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        else:
            (disk / "rubbish").unlink()

    @Step
    async def begin(n: int) -> str:
        return f"order {n}"

    @Tool
    async def charge(text: str) -> float:
        '''Charge for it.'''
        effects.append("charge")
        return 1.0

    @Step
    async def pay(text: str) -> float:
        return await charge.execute({"text": text})

    @Step
    async def wait(price: float) -> bytes:
        if not hasattr(quire, "waited"):
            quire.waited = True
            await asyncio.sleep(0.1)  # what came before is kept by now
            disaster()
        return b"paid" * 9000

    @Tool
    async def send(paid: str) -> bool:
        '''Send it.'''
        effects.append("send")
        return True

    @Step
    async def leave(paid: bytes) -> bool:
        return await send.execute({"paid": paid.decode()})

    flow = Pipeline(begin, pay, wait, leave, name="trip")

    async def main():
        run = flow.start(1)
        try:
            await run
        except errors.StoreError as error:
            print(error)
        print(effects, run.status, run.output)
        record = quire.load(run.id)
        print(record.status, quire.runs()["status"].tolist(), record.nodes["node"].tolist()[:3])
        end()
        print(await flow.resume(run.id), effects, quire.runs()["status"].tolist())

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("cause", "kept"),
    [("full", "file"), ("full", "sqlite"), ("limit", "file"), ("limit", "sqlite"), ("read-only", "file")],
)
def test_a_disk_that_takes_nothing_more(tmp_path, cause, kept):
    if cause != "limit" and not may_mount():
        pytest.skip("the system lets nobody have a disk of its own here")
    disk = tmp_path / "disk"
    disk.mkdir()
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT), "DISK": str(disk), "CAUSE": cause,
        "QUIRE_DATABASE_URL": f"file:{disk}/home" if kept == "file" else f"sqlite:///{disk}/runs.db",
    }  # fmt: skip
    below = [] if cause == "limit" else ["unshare", "-rm"]
    done = subprocess.run(
        [*below, sys.executable, "-W", "error", "-c", textwrap.dedent(DISK)],
        env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    *error, first, looked, last = done.stdout.splitlines()
    assert error[0].startswith("A log could not be written: ")
    assert f"  in {disk}" in error[1]
    assert len(error) >= 3, "there is no remedy"
    assert first == "['charge'] failed None"
    assert looked == "cancelled ['cancelled'] ['trip', 'begin', 'pay']"
    assert last == "True ['charge', 'send'] ['succeeded']"


def test_a_file_where_the_folder_should_be(quire_home):
    quire_home.write_text("")
    text = """
        from quire import Step, errors

        @Step
        def double(n: int) -> int:
            return 2 * n

        run = double.start(1)
        try:
            run.wait()
        except errors.StoreError as error:
            print(error)
        print(run.status, run.output)
    """
    *told, last = output_of(text, quire_home).splitlines()
    assert "Not a directory" in told[0]
    assert told[1].startswith(f"  in {quire_home}/runs/")
    assert last == "failed None"


# A damaged log


def in_file(url, run, home):
    path = home / f"runs/{run}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[4][:30] + b"\n", *lines[5:]]))


def in_sqlite(url, run, home):
    with closing(sqlite3.connect(home / "runs.db")) as database, database:
        database.execute("UPDATE quire_events SET line = substr(line, 1, 30) WHERE seq = 5")


def in_postgres(url, run, home):
    servers.in_sql(url, "UPDATE quire_events SET line = substr(line, 1, 30) WHERE seq = 5")


def in_redis(url, run, home):
    servers.in_redis(url, "LSET", f"quire:stream:runs/{run}", "4", "rubbish")


def in_s3(url, run, home):
    place = f"streams/runs/{run}.jsonl"
    objects = from_url(shown(url), config=options_of(url), client_options={"allow_http": True})
    lines = bytes(obstore.get(objects, place).bytes()).splitlines(keepends=True)
    obstore.put(objects, place, b"".join([*lines[:5], b"rubbish\n", *lines[6:]]))


DAMAGED = {
    "file": (lambda home: f"file:{home}", in_file),
    "sqlite": (lambda home: f"sqlite:///{home}/runs.db", in_sqlite),
    "postgres": (lambda _: servers.database(), in_postgres),
    "redis": (lambda _: servers.number(), in_redis),
    "s3": (lambda _: servers.bucket(), in_s3),
}


@pytest.mark.may_block
@pytest.mark.parametrize("name", DAMAGED)
async def test_what_comes_before_the_damage_can_be_read_and_gone_on_with(name, quire_home):
    address, damage = DAMAGED[name]
    ran: list[str] = []

    @Step
    async def first(n: int) -> str:
        ran.append("first")
        return str(n)

    @Step
    async def second(text: str) -> float:
        ran.append("second")
        return float(text)

    flow = Pipeline(first, second, name="flow")
    with keep_in(open_store(url := address(quire_home))):
        run = flow.start(3)
        assert await run == 3.0
        await asyncio.to_thread(damage, url, run.id, quire_home)
        with pytest.raises(errors.CorruptLog, match="event 5") as caught:
            quire.load(run.id)
        assert run.id in caught.value.where
        assert f"quire.load({run.id!r}, damaged=True)" in caught.value.remedy
        record = quire.load(run.id, damaged=True)
        assert record.status == "failed"
        assert record.nodes["status"].tolist() == ["failed", "succeeded", "cancelled"]
        assert "CorruptLog" in str(record)
        assert quire.runs()[["status", "error_type"]].values.tolist() == [["failed", "CorruptLog"]]
        with pytest.raises(errors.CorruptLog):
            flow.resume(run.id)
        assert await flow.fork(record) == 3.0
        assert ran == ["first", "second", "second"]
        assert sorted(quire.runs()["status"]) == ["failed", "succeeded"]


async def test_a_damaged_copy_is_read_up_to_the_damage(tmp_path):
    @Step
    async def double(n: int) -> int:
        return 2 * n

    run = double.start(3)
    await run
    copy = run.export(tmp_path / "copy.jsonl")
    copy.write_bytes(copy.read_bytes().splitlines(keepends=True)[0] + b"rubbish\n")
    with pytest.raises(errors.CorruptLog, match="Line 2") as caught:
        quire.load(copy)
    assert "damaged=True" in caught.value.remedy
    record = quire.load(copy, damaged=True)
    assert (record.id, record.status, len(record.past)) == (run.id, "failed", 1)
