"""What only the store in object storage promises: which objects there are, who wins, and what is not shown."""

# ruff: noqa: ASYNC240 - these tests look at small files

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from quire.adapters.stores import bucket
from quire.adapters.stores.objects import ObjectStore
from quire.core.codec import encode
from quire.core.errors import CorruptLog, DefinitionError, StoreError, StreamConflict
from tests.adapters.stores import servers
from tests.adapters.stores.line import Line
from tests.adapters.stores.places import everything, finished, python, said

EVENTS = [said(1, "eins"), said(2, "zwei"), said(3, "größe \U0001f600 \x00 " + "x" * 50)]
SECRET = "hidden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bucket"
    path.mkdir()
    return path


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    return ObjectStore(folder.as_uri())


@pytest.fixture
def url() -> str:
    """A bucket on a server."""
    return servers.bucket()


def objects(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- which objects there are -----------------------------------------------------------------------------------------


async def test_an_append_is_an_object_named_after_its_place(store: ObjectStore, folder: Path):
    await store.append("runs/1", EVENTS[:2], 0)
    await store.append("runs/1", EVENTS[2:], 2)
    kept = objects(folder)
    marks = {name: re.match(rb'\{"append":"(\w{32})"\}\n', content)[1].decode() for name, content in kept.items()}
    first = marks["streams/runs/1.jsonl"]
    assert set(kept) == {"streams/runs/1.jsonl", f"more/{first}/000000000003.jsonl"}
    assert len(set(marks.values())) == 2
    assert kept["streams/runs/1.jsonl"].partition(b"\n")[2] == b"".join(map(encode, EVENTS[:2]))
    assert kept[f"more/{first}/000000000003.jsonl"].partition(b"\n")[2] == encode(EVENTS[2])


async def test_what_was_deleted_leaves_nothing_behind(store: ObjectStore, folder: Path):
    for event in EVENTS:
        await store.append("runs/1", [event], event.seq - 1)
    await store.delete("runs/1")
    assert objects(folder) == {}


async def test_what_does_not_matter_is_not_fetched(folder: Path):
    store = ObjectStore(folder.as_uri())
    for event in EVENTS:
        await store.append("runs/1", [event], event.seq - 1)
    for name in objects(folder):
        if name.endswith("2.jsonl"):
            (folder / name).write_bytes(b"")
    assert await store.read("runs/1", 2) == EVENTS[2:]
    with pytest.raises(CorruptLog):
        await store.read("runs/1", 1)


# --- who wins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True])
async def test_a_stream_that_somebody_else_deleted_is_not_gone_on_with(store: ObjectStore, folder: Path, again: bool):
    other = ObjectStore(folder.as_uri())
    await store.append("runs/1", EVENTS[:2], 0)
    await other.delete("runs/1")
    if again:
        await other.append("runs/1", EVENTS[:2], 0)
        await other.append("runs/1", EVENTS[2:], 2)
    before = objects(folder)
    with pytest.raises(StreamConflict, match=f"The stream has {3 * again} events"):
        await store.append("runs/1", [said(3, "more")], 2)
    assert objects(folder) == before
    assert await store.read("runs/1") == EVENTS * again


async def test_nobody_begins_in_the_middle_of_somebody_else_s_append(store: ObjectStore, folder: Path):
    await store.append("runs/1", EVENTS[:1], 0)
    await ObjectStore(folder.as_uri()).append("runs/1", [said(seq) for seq in (2, 3, 4)], 1)
    for there in (1, 2, 3):
        with pytest.raises(StreamConflict, match="The stream has 4 events"):
            await store.append("runs/1", [said(there + 1)], there)
    await store.append("runs/1", [said(5)], 4)
    assert len(await store.read("runs/1")) == 5


async def test_ends_are_remembered_of_some_streams_only(store: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quire.adapters.stores.objects._REMEMBERED", 3)
    for number in range(10):
        await store.append(f"runs/{number}", EVENTS[:1], 0)
    assert len(store._tails) == 3
    await store.append("runs/0", EVENTS[1:], 1)
    assert await store.read("runs/0") == EVENTS


@pytest.mark.parametrize("cut", ["asking", "answering"])
async def test_a_connection_that_breaks_at_the_worst_moment_loses_and_repeats_nothing(url: str, cut):
    port = servers.s3().port
    async with Line(port).open() as line:
        store = ObjectStore(url.replace(f":{port}", f":{line.port}"))
        for seq in range(1, 7):
            if seq in (1, 4, 5):
                line.cut = cut
            await store.append("runs/1", [said(seq)], seq - 1)
        assert line.cuts == 3
        line.cut = cut
        assert await store.read("runs/1") == [said(seq) for seq in range(1, 7)]
    assert await ObjectStore(url).read("runs/1") == [said(seq) for seq in range(1, 7)]


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda content: content[:46] + b"not json\n", "expected ident|Expecting value"),
        (lambda content: content[:46] + encode(EVENTS[2]), "it holds event 3"),
        (lambda content: content[:-9], "EOF|Unterminated|Expecting"),
        (lambda content: content[46:], "does not begin with the mark"),
        (lambda content: b"", "does not begin with the mark"),
        (None, "it holds event 3"),
    ],
)
async def test_an_unreadable_object_says_which_event_and_gives_what_comes_before(
    store: ObjectStore, folder: Path, damage, finding: str
):
    for event in EVENTS:
        await store.append("runs/1", [event], event.seq - 1)
    [second] = folder.glob("more/*/000000000002.jsonl")
    second.write_bytes(damage(second.read_bytes())) if damage else second.unlink()
    with pytest.raises(CorruptLog, match=finding) as caught:
        await store.read("runs/1")
    assert caught.value.readable == EVENTS[:1]
    assert "event 2" in caught.value.what
    assert caught.value.where == f"runs/1 in {folder.as_uri()}"
    assert await store.read("runs/1", 2) == EVENTS[2:]


async def test_a_first_object_that_is_something_else(store: ObjectStore, folder: Path):
    (folder / "streams").mkdir()
    (folder / "streams" / "diary.jsonl").write_text("Dear diary\n")
    for work in (store.read("diary"), store.append("diary", EVENTS[1:], 1)):
        with pytest.raises(CorruptLog, match="does not begin with the mark"):
            await work
    with pytest.raises(StreamConflict):
        await ObjectStore(folder.as_uri()).append("other", EVENTS[1:], 1)


# --- what is refused, and what is not shown --------------------------------------------------------------------------


async def test_a_bucket_that_is_not_there(url: str):
    store = ObjectStore(url.replace("s3://bucket", "s3://none"))
    for work in (store.append("runs/1", EVENTS, 0), store.read("runs/1"), store.streams(), store.delete("runs/1")):
        with pytest.raises(StoreError, match=r"does not exist \(NoSuchBucket\)") as caught:
            await work
        assert caught.value.where == store.place
        assert "See that the bucket is there" in (caught.value.remedy or "")
        assert SECRET not in everything(caught.value)


async def test_nobody_there(free_port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(bucket._PATIENCE, "max_retries", 0)
    options = f"endpoint=http://127.0.0.1:{free_port}&region=us-east-1&access_key_id=me&secret_access_key={SECRET}"
    with pytest.raises(StoreError, match="error sending request") as caught:
        await asyncio.wait_for(ObjectStore(f"s3://bucket/logs?{options}").streams(), 5)
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        (f"s3://bucket/logs?region=x&access_key_id=me&secret_key={SECRET}", "Configuration key: 'secret_key'"),
        (f"s3://bucket/logs?region=x&secret_access_key={SECRET}", "Missing AccessKeyId"),
        (f"s3://bucket/logs?region=x&access_key_id=me&secret_access_key=x&skip_signature={SECRET}", "..."),
        (f"az://container/logs?account_key={SECRET}", "Account must be specified"),
    ],
)
def test_an_option_that_is_wrong_is_named_and_not_shown(url: str, what: str):
    with pytest.raises(DefinitionError, match=re.escape(what)) as caught:
        ObjectStore(url)
    assert "Options are those of obstore" in (caught.value.remedy or "")
    assert SECRET not in everything(caught.value)


REFUSED = """
import asyncio, os, resource, sys
from quire.adapters.stores.objects import ObjectStore
from quire.core.codec import encode
from tests.adapters.stores.places import said

async def main():
    store = ObjectStore(sys.argv[1])
    await store.append("runs/1", [said(1)], 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, -1))
    try:
        await store.append("runs/1", [said(2, "x" * 9000)], 1)
    except Exception as error:
        print(type(error).__name__, error.what)
    print(len(await store.read("runs/1")))
    await store.append("runs/1", [said(2)], 1)
    if os.geteuid() == 0:
        os.setuid(65534)  # root may write anywhere
    try:
        await store.append("runs/1", [said(3)], 2)
    except Exception as error:
        print(type(error).__name__, error.remedy)
    print(len(await store.read("runs/1")))

asyncio.run(main())
"""


async def test_a_disk_that_refuses(open_folder: Path):
    printed = (await finished(python("-c", REFUSED, open_folder.as_uri()))).splitlines()
    assert printed[0].startswith("StoreError A log could not be written: ")
    assert "File too large" in printed[0]
    assert printed[1] == "1"
    assert printed[2].startswith("StoreError See that the")
    assert printed[3] == "2"
