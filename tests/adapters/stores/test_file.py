"""What only the store in files promises: torn lines, refusing disks, locks, modes."""

# ruff: noqa: ASYNC240 - these tests look at small files

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import signal
import stat
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from quire.adapters.stores import file
from quire.adapters.stores.file import FileStore
from quire.core.codec import decode, encode
from quire.core.errors import CorruptLog, StoreError, StreamConflict
from tests.adapters.stores.places import finished, python, said

EVENTS = [said(1, "eins"), said(2, "zwei"), said(3, "größe \U0001f600 " + "x" * 50)]
LINES = [encode(event) for event in EVENTS]
AT_ONCE = b" \n".join(line.strip() for line in LINES) + b"\n"
"""The lines of one append."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def store(folder: Path) -> FileStore:
    return FileStore(folder)


@pytest.fixture
def log(folder: Path) -> Path:
    """The file of stream `runs/1`, its folder made."""
    (folder / "runs").mkdir(parents=True)
    return folder / "runs" / "1.jsonl"


@contextmanager
def locked(path: Path) -> Generator[None]:
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


# --- what is on the disk ---------------------------------------------------------------------------------------------


async def test_a_stream_is_a_file_of_lines(store: FileStore, folder: Path):
    await store.append("runs/1", EVENTS, 0)
    assert (folder / "runs" / "1.jsonl").read_bytes() == AT_ONCE
    assert [decode(line) for line in AT_ONCE.splitlines()] == EVENTS


async def test_who_knows_the_rest_waits_for_the_last_line_alone(store: FileStore, folder: Path):
    await store.append("runs/1", EVENTS, 0)
    path = folder / "runs" / "1.jsonl"
    seen = path.stat()
    with path.open("r+b") as log:
        log.seek(len(LINES[0]) - 1)
        log.write(b" ")  # whoever counts the lines now is one short
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert await store.read("runs/1", 2) == EVENTS[2:]
    assert await store.read("runs/1", 3) == []


async def test_what_another_writer_adds_is_read_after_the_last_line(store: FileStore, folder: Path):
    await store.append("runs/1", EVENTS[:2], 0)
    await FileStore(folder).append("runs/1", EVENTS[2:], 2)
    assert await store.read("runs/1", 1) == EVENTS[1:]
    assert await store.read("runs/1", 2) == EVENTS[2:]
    await FileStore(folder).delete("runs/1")
    assert await store.read("runs/1", 1) == []


async def test_only_its_owner_reads_a_log(store: FileStore, folder: Path):
    await store.append("runs/deep/1", EVENTS, 0)
    modes = {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    del modes[".gitignore"]
    assert modes == {"runs": 0o700, "runs/deep": 0o700, "runs/deep/1.jsonl": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_new_folder_is_kept_out_of_git(store: FileStore, folder: Path):
    await store.append("runs/1", EVENTS, 0)
    assert (folder / ".gitignore").read_text() == "*\n"


async def test_a_folder_that_was_there_stays_in_git(folder: Path):
    folder.mkdir(parents=True)
    await FileStore(folder).append("runs/1", EVENTS, 0)
    assert not (folder / ".gitignore").exists()


async def test_reading_makes_no_folder(store: FileStore, folder: Path):
    assert await store.read("runs/1") == []
    assert await store.streams() == []
    await store.append("runs/1", [], 0)
    await store.delete("runs/1")
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [said(2)], 1)
    assert not folder.exists()


async def test_the_folder_stays_when_the_working_directory_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = FileStore("logs")
    monkeypatch.chdir("/")
    await store.append("runs/1", EVENTS, 0)
    assert (tmp_path / "logs" / "runs" / "1.jsonl").exists()
    assert repr(store) == f"FileStore('{tmp_path}/logs')"


async def test_other_files_are_not_streams(store: FileStore, folder: Path):
    await store.append("runs/1", EVENTS, 0)
    for name in ("notes.txt", "empty.jsonl", "no name.jsonl", ".jsonl"):
        (folder / "runs" / name).write_text("" if name == "empty.jsonl" else "x\n")
    assert await store.streams() == ["runs/1"]


# --- torn and unreadable lines ---------------------------------------------------------------------------------------


async def test_a_last_line_torn_at_any_byte_spoils_nothing(store: FileStore, log: Path):
    before = b"".join(LINES[:2])
    for cut in range(len(LINES[2])):
        log.write_bytes(before + LINES[2][:cut])
        assert await store.read("runs/1") == EVENTS[:2]
        assert await store.streams() == ["runs/1"]
        await (store if cut % 2 else FileStore(store.folder)).append("runs/1", EVENTS[2:], 2)
        assert log.read_bytes() == b"".join(LINES)


async def test_an_only_line_torn_at_any_byte_spoils_nothing(store: FileStore, log: Path):
    for cut in range(len(LINES[0])):
        log.write_bytes(LINES[0][:cut])
        assert await store.read("runs/1") == []
        await store.append("runs/1", EVENTS, 0)
        assert log.read_bytes() == AT_ONCE


@pytest.mark.parametrize("chunk", [7, 1 << 20])
async def test_an_append_torn_at_any_byte_leaves_nothing_of_it(
    store: FileStore, log: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
):
    monkeypatch.setattr(file, "_CHUNK", chunk)
    more = [said(4, "vier"), said(5, "fünf")]
    whole = LINES[0] + LINES[1] + b" \n".join(encode(event).strip() for event in [EVENTS[2], *more]) + b"\n"
    for cut in range(len(LINES[0] + LINES[1]), len(whole)):
        log.write_bytes(whole[:cut])
        assert await store.read("runs/1") == EVENTS[:2]
        assert await store.read("runs/1", 1) == EVENTS[1:2]
        await (store if cut % 2 else FileStore(store.folder)).append("runs/1", [EVENTS[2], *more], 2)
        assert log.read_bytes() == whole


async def test_a_first_append_that_is_torn_is_no_stream(store: FileStore, log: Path):
    for cut in range(len(AT_ONCE)):
        log.write_bytes(AT_ONCE[:cut])
        assert (await store.read("runs/1"), await store.streams()) == ([], [])
    log.write_bytes(AT_ONCE)
    assert await store.streams() == ["runs/1"]


async def test_a_stream_whose_only_line_is_torn_is_not_listed(store: FileStore, log: Path):
    await store.append("runs/1", EVENTS[:1], 0)
    log.write_bytes(log.read_bytes()[:30])
    assert await store.streams() == []
    await store.append("runs/1", EVENTS[:1], 0)
    assert await store.streams() == ["runs/1"]


async def test_a_conflict_leaves_a_torn_line_to_its_writer(store: FileStore, log: Path):
    log.write_bytes(LINES[0] + b'{"kind')
    with pytest.raises(StreamConflict):
        await store.append("runs/1", EVENTS[2:], 2)
    assert log.read_bytes() == LINES[0] + b'{"kind'


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        (b"not json\n", "expected ident|Expecting value"),
        (b"\n", "Expecting value|EOF"),
        (b'{"kind":"said"}\n', "an event needs"),
        (LINES[2], "it holds event 3"),
    ],
)
async def test_an_unreadable_line_says_which_and_gives_what_comes_before(
    store: FileStore, log: Path, line: bytes, finding: str
):
    log.write_bytes(LINES[0] + line + LINES[2])
    with pytest.raises(CorruptLog, match=finding) as caught:
        await store.read("runs/1")
    assert caught.value.readable == EVENTS[:1]
    assert caught.value.where == f"{log}, line 2"
    assert "head -n 1" in (caught.value.remedy or "")
    assert await store.read("runs/1", 2) == EVENTS[2:]


async def test_lines_are_counted_over_any_boundary(store: FileStore, log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file, "_CHUNK", 7)
    for torn in range(12):
        log.write_bytes(LINES[0] + LINES[1] + b"{" * torn)
        await FileStore(store.folder).append("runs/1", EVENTS[2:], 2)
        assert log.read_bytes() == b"".join(LINES)


async def test_lines_are_counted_only_after_a_stranger(store: FileStore, monkeypatch: pytest.MonkeyPatch):
    counted = []
    count = file._counted
    monkeypatch.setattr(file, "_counted", lambda *given: counted.append(given) or count(*given))
    await store.append("runs/1", EVENTS[:1], 0)
    counted.clear()
    await store.append("runs/1", EVENTS[1:2], 1)
    assert not counted
    await FileStore(store.folder).append("runs/1", EVENTS[2:], 2)
    counted.clear()
    await store.append("runs/1", [said(4)], 3)
    assert len(counted) == 1


async def test_lengths_are_remembered_of_some_streams_only(store: FileStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file, "_REMEMBERED", 3)
    for number in range(10):
        await store.append(f"runs/{number}", EVENTS[:1], 0)
    assert len(store._tails) == 3
    await store.append("runs/0", EVENTS[1:], 1)
    assert await store.read("runs/0") == EVENTS


# --- a disk that refuses ---------------------------------------------------------------------------------------------


def explained(error: StoreError, path: Path, reason: str) -> bool:
    return (
        reason in error.what
        and error.where == str(path)
        and error.remedy == "Set QUIRE_HOME to a folder you can write to."
        and isinstance(error.__cause__, OSError)
    )


FULL = """
import asyncio, resource, sys
from quire.adapters.stores.file import FileStore
from quire.core.errors import StoreError
from tests.adapters.stores.places import said

async def main():
    store = FileStore(sys.argv[1])
    await store.append("runs/1", [said(1)], 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    for attempt in range(2):
        for stream, there in (("runs/1", 1), ("runs/2", 0)):
            try:
                await store.append(stream, [said(seq, "x" * 900) for seq in range(there + 1, there + 5)], there)
            except StoreError as error:
                print(error)
        assert await store.read("runs/1") == [said(1)]
        assert await store.streams() == ["runs/1"]
    await store.append("runs/1", [said(2)], 1)
    await store.append("runs/2", [said(1)], 0)
    assert await store.read("runs/1") == [said(1), said(2)]

asyncio.run(main())
"""


async def test_a_write_that_fails_half_way_leaves_the_stream_as_it_was(folder: Path):
    printed = await finished(python("-c", FULL, str(folder)))
    messages = [
        f"A log could not be written: File too large.\n  in {folder}/runs/{number}.jsonl\n"
        "  Set QUIRE_HOME to a folder you can write to.\n"
        for number in (1, 2)
    ]
    assert printed == "".join(messages) * 2
    assert (folder / "runs" / "1.jsonl").read_bytes() == encode(said(1)) + encode(said(2))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
async def test_a_full_disk(store: FileStore, log: Path):
    log.symlink_to("/dev/full")
    with pytest.raises(StoreError) as caught:
        await store.append("runs/1", EVENTS, 0)
    assert "No space left on device" in caught.value.what
    assert caught.value.where == str(log)
    assert "Make room on its disk" in (caught.value.remedy or "")


READ_ONLY = """
import asyncio, os, sys
from quire.adapters.stores.file import FileStore
from quire.core.codec import decode, encode
from tests.adapters.stores.places import said

async def attempt(work):
    try:
        await work
    except Exception as error:
        print(type(error).__name__, error)

async def main():
    encode(said(1))  # nobody might not even import what root installed
    if os.geteuid() == 0:
        os.setuid(65534)  # root may write anywhere
    await attempt(FileStore(sys.argv[1]).append("runs/1", [said(1)], 0))
    await attempt(FileStore(sys.argv[1] + "/logs").append("runs/1", [said(1)], 0))

asyncio.run(main())
"""


async def test_a_read_only_folder(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir(0o500)
    printed = await finished(python("-c", READ_ONLY, str(home)))
    for path in (home / "runs" / "1.jsonl", home / "logs" / "runs" / "1.jsonl"):
        message = f"A log could not be written: Permission denied.\n  in {path}\n"
        assert f"StoreError {message}  Set QUIRE_HOME to a folder you can write to.\n" in printed
    assert not list(home.iterdir())


async def test_a_file_where_a_folder_should_be(store: FileStore, log: Path):
    await store.append("runs/1", EVENTS, 0)
    for work in (FileStore(log).append("a", EVENTS, 0), FileStore(log).read("a"), FileStore(log).delete("a")):
        with pytest.raises(StoreError) as caught:
            await work
        assert explained(caught.value, log / "a.jsonl", "Not a directory")
    with pytest.raises(StoreError) as caught:
        await FileStore(log).streams()
    assert explained(caught.value, log, "Not a directory")


async def test_a_name_longer_than_the_file_system_allows(store: FileStore, folder: Path):
    name = "a" * 300
    with pytest.raises(StoreError) as caught:
        await store.append(name, EVENTS, 0)
    assert explained(caught.value, folder / f"{name}.jsonl", "File name too long")


async def test_an_event_that_cannot_be_written_changes_nothing(store: FileStore):
    await store.append("runs/1", EVENTS[:1], 0)
    with pytest.raises(ValueError, match="serialize"):
        await store.append("runs/1", [said(2), said(3, object())], 1)  # pyright: ignore[reportArgumentType]
    await store.append("runs/1", EVENTS[1:], 1)
    assert await store.read("runs/1") == EVENTS


# --- locks and threads -----------------------------------------------------------------------------------------------


async def test_the_loop_goes_on_while_the_disk_is_busy(store: FileStore, log: Path):
    with locked(log):
        append = asyncio.create_task(store.append("runs/1", EVENTS, 0))
        await asyncio.sleep(0.05)
        assert not append.done()
    await append
    assert await store.read("runs/1") == EVENTS


async def test_a_file_deleted_while_its_writer_waits_is_not_written_into(store: FileStore, log: Path):
    with locked(log):
        append = asyncio.create_task(store.append("runs/1", EVENTS, 0))
        await asyncio.sleep(0.05)
        log.unlink()
    await append
    assert log.read_bytes() == AT_ONCE


async def test_what_was_cancelled_before_its_turn_is_not_written(store: FileStore, log: Path):
    with locked(log):
        first = asyncio.create_task(store.append("runs/1", EVENTS[:1], 0))
        second = asyncio.create_task(store.append("runs/1", EVENTS[1:2], 1))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
    await first
    assert await store.read("runs/1") == EVENTS[:1]


async def test_what_was_cancelled_in_its_turn_is_written_whole(store: FileStore, log: Path):
    with locked(log):
        append = asyncio.create_task(store.append("runs/1", EVENTS, 0))
        await asyncio.sleep(0.05)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append
    assert await store.read("runs/1") == EVENTS


STUCK = """
import asyncio, sys
from quire.adapters.stores.file import FileStore
from tests.adapters.stores.places import said

async def main():
    try:
        await asyncio.wait_for(FileStore(sys.argv[1]).append("runs/1", [said(1)], 0), 0.2)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""


async def test_a_disk_that_never_answers_does_not_hold_up_the_exit(folder: Path, log: Path):
    with locked(log):
        began = time.monotonic()
        assert await finished(python("-c", STUCK, str(folder))) == "given up\n"
        assert time.monotonic() - began < 10


def test_a_forgotten_store_leaves_no_thread(folder: Path):
    before = set(threading.enumerate())
    store = FileStore(folder)
    asyncio.run(store.append("runs/1", EVENTS, 0))
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    del store
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


HOLD = """
import fcntl, sys, time
log = open(sys.argv[1], "ab")
fcntl.flock(log, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


async def test_a_writer_that_is_killed_frees_the_file(folder: Path, log: Path):
    holder = python("-c", HOLD, str(log))
    await asyncio.to_thread(holder.stdout.readline)
    append = asyncio.create_task(FileStore(folder).append("runs/1", EVENTS, 0))
    await asyncio.sleep(0.05)
    assert not append.done()
    os.kill(holder.pid, signal.SIGKILL)
    await append
    await asyncio.to_thread(holder.communicate)
