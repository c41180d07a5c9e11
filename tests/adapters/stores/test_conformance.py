"""What every store does, whatever keeps its streams."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quire.adapters.stores.memory import MemoryStore
from quire.core.errors import StoreError, StreamConflict
from quire.core.events import KINDS, Responded, Started, Unknown
from quire.core.messages import Message, ToolCall
from quire.core.ports import Store
from quire.core.usage import Usage
from tests.adapters.stores.other_process import text
from tests.adapters.stores.places import PLACES, Place, finished, python, said

EVENTS = [said(seq, f"text {seq}") for seq in range(1, 11)]


# --- appending and reading -------------------------------------------------------------------------------------------


async def test_events_come_back_in_order(store: Store):
    await store.append("runs/1", EVENTS[:1], 0)
    await store.append("runs/1", EVENTS[1:7], 1)
    await store.append("runs/1", tuple(EVENTS[7:]), 7)
    assert await store.read("runs/1") == EVENTS


async def test_reading_after_a_number(store: Store):
    await store.append("runs/1", EVENTS, 0)
    for after in (0, 1, 9, 10, 11, 99):
        assert await store.read("runs/1", after) == EVENTS[after:]


async def test_an_unknown_stream_is_empty(store: Store):
    assert await store.read("runs/none") == []
    assert await store.read("runs/none", 5) == []
    assert await store.streams() == []


async def test_what_was_read_is_the_reader_s_own(store: Store):
    await store.append("runs/1", EVENTS, 0)
    (await store.read("runs/1")).clear()
    assert await store.read("runs/1") == EVENTS


async def test_what_was_given_is_not_kept_by_reference(store: Store):
    events = EVENTS[:2]
    await store.append("runs/1", events, 0)
    events.append(EVENTS[2])
    assert await store.read("runs/1") == EVENTS[:2]


async def test_streams_do_not_mix(store: Store):
    names = ["a", "b", "a/b", "a/b/c", "ab", "A-1_2.x", "größe/漢字", "größe"]
    for name in names:
        await store.append(name, [said(1, name)], 0)
    for name in names:
        assert await store.read(name) == [said(1, name)]


async def test_every_kind_of_event_is_kept(store: Store):
    message = Message(role="assistant", parts=(ToolCall(id="c", tool="t", arguments="{"),))
    common: dict[str, Any] = {"at": 1.5, "run": "r", "span": "1", "parent": None}
    events = [
        Started(seq=1, **common, name="n", of="agent", input={"a": [1, None]}, tags={"k": "v"}),
        Responded(seq=2, **common, message=message, finish_reason="stop", usage=Usage(input_tokens=1, output_tokens=2)),
        Unknown(seq=3, **common, name="painted", data={"color": "red"}),
    ]
    assert "painted" not in KINDS
    await store.append("runs/1", events, 0)
    assert await store.read("runs/1") == events


@pytest.mark.parametrize(
    "words", ["", "größe 漢字 \U0001f600 עברית", "\n\r\n\u2028\u0085", "\x00\x1f", "\ud83d cut off"]
)
async def test_any_text_is_kept(store: Store, words: str):
    await store.append("runs/1", [said(1, words), said(2)], 0)
    assert await store.read("runs/1") == [said(1, words), said(2)]


async def test_large_events(store: Store):
    large = said(1, "0123456789" * 500_000)
    await store.append("runs/1", [large], 0)
    await store.append("runs/1", [said(2)], 1)
    assert await store.read("runs/1") == [large, said(2)]


async def test_many_events(store: Store):
    events = [said(seq) for seq in range(1, 5001)]
    await store.append("runs/1", events, 0)
    assert await store.read("runs/1", 4990) == events[4990:]


# --- the length a writer counts on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [0, 1, 2, 4, 99])
async def test_a_writer_with_another_length_in_mind_is_refused(store: Store, expected: int):
    await store.append("runs/1", EVENTS[:3], 0)
    with pytest.raises(StreamConflict) as caught:
        await store.append("runs/1", [said(expected + 1)], expected)
    assert "3 events" in caught.value.what
    assert "runs/1" in (caught.value.where or "")
    assert caught.value.remedy
    assert await store.read("runs/1") == EVENTS[:3]


async def test_a_refused_stream_does_not_come_into_being(store: Store):
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [said(3)], 2)
    assert await store.streams() == []


async def test_appending_nothing(store: Store):
    await store.append("runs/1", [], 0)
    assert await store.streams() == []
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [], 1)
    await store.append("runs/1", EVENTS, 0)
    await store.append("runs/1", [], 10)
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [], 9)
    assert await store.read("runs/1") == EVENTS


@pytest.mark.parametrize("numbers", [[2], [1, 3], [1, 1], [0, 1]])
async def test_events_are_numbered_without_gaps(store: Store, numbers: list[int]):
    with pytest.raises(StoreError, match="Number the events from 1") as caught:
        await store.append("runs/1", [said(number) for number in numbers], 0)
    assert not isinstance(caught.value, StreamConflict)
    assert await store.streams() == []


async def test_one_of_two_tasks_wins(store: Store):
    outcomes = await asyncio.gather(
        store.append("runs/1", [said(1, "a")], 0), store.append("runs/1", [said(1, "b")], 0), return_exceptions=True
    )
    assert sorted(type(outcome) for outcome in outcomes if outcome) == [StreamConflict]
    assert len(await store.read("runs/1")) == 1


async def test_appends_queued_at_the_same_moment_keep_their_order(store: Store):
    events = [said(seq) for seq in range(1, 201)]
    await asyncio.gather(*(store.append("runs/1", [event], event.seq - 1) for event in events))
    assert await store.read("runs/1") == events


async def test_what_was_cancelled_is_there_whole_or_not_at_all(store: Store):
    there = 0
    for wait in (0, 0, 0.001, 0.002, 0.005, 0.01):
        events = [said(seq, "words " * 50) for seq in range(there + 1, there + 101)]
        append = asyncio.create_task(store.append("runs/1", events, there))
        await asyncio.sleep(wait)
        append.cancel()
        await asyncio.wait([append])
        kept = await store.read("runs/1", there)  # knows already: it waited for its turn
        assert kept in ([], events)
        there += len(kept)
    await store.append("runs/1", [said(there + 1)], there)


async def test_many_streams_at_once(store: Store):
    async def fill(stream: str) -> None:
        for event in EVENTS:
            await store.append(stream, [event], event.seq - 1)

    names = [f"runs/{number:03}" for number in range(30)]
    await asyncio.gather(*map(fill, names))
    assert sorted(await store.streams()) == names  # none is older: they began at one moment
    assert [await store.read(name) for name in names] == [EVENTS] * 30


def test_one_store_serves_many_loops(place: Place):
    store = place.open()
    for event in EVENTS:
        asyncio.run(store.append("runs/1", [event], event.seq - 1))
    assert asyncio.run(store.read("runs/1")) == EVENTS


# --- names, listing, deletion ----------------------------------------------------------------------------------------


async def test_listing_by_prefix_oldest_first(store: Store):
    names = ["runs/1m8k", "runs/1m8k-2", "runs/1m9a", "sessions/1m8k", "sessions/deep/er"]
    for name in names:
        await store.append(name, [said(1)], 0)
    assert await store.streams() == names
    assert await store.streams("runs/") == names[:3]
    assert await store.streams("runs/1m8") == names[:2]
    assert await store.streams("runs/1m8k") == names[:2]
    assert await store.streams("sess") == names[3:]
    assert await store.streams("sessions/deep") == names[4:]
    assert await store.streams("sessions/deep/er/") == []
    assert await store.streams("none") == []
    assert await store.streams("../") == []


async def test_a_deleted_stream_is_unknown(store: Store):
    await store.append("runs/1", EVENTS, 0)
    await store.append("runs/2", EVENTS, 0)
    await store.delete("runs/1")
    assert await store.read("runs/1") == []
    assert await store.streams() == ["runs/2"]
    await store.delete("runs/1")
    await store.delete("runs/never")
    with pytest.raises(StreamConflict):
        await store.append("runs/1", [said(11)], 10)
    await store.append("runs/1", EVENTS[:1], 0)
    assert await store.read("runs/1") == EVENTS[:1]


BAD = ["", "/", "/etc/passwd", "a/", "/a", "a//b", "..", "a/../b", ".", "a/./b", "a b", "a\u0308", "a\n"]
BAD += ["a\\b", "a.jsonl/b"]


@pytest.mark.parametrize("name", BAD)
async def test_names_that_no_store_takes(store: Store, name: str):
    for attempt in (store.append(name, EVENTS, 0), store.append(name, [], 0), store.read(name), store.delete(name)):
        with pytest.raises(StoreError, match="is not a name for a stream") as caught:
            await attempt
        assert caught.value.remedy
    assert await store.streams() == []


# --- any order of calls ----------------------------------------------------------------------------------------------

streams = st.sampled_from(["a", "b/c", "b/d"])
calls = st.one_of(
    st.tuples(st.just("append"), streams, st.integers(0, 3), st.sampled_from([0, 0, 0, 0, 1, -1])),
    st.tuples(st.just("read"), streams, st.integers(0, 8)),
    st.tuples(st.just("streams"), st.sampled_from(["", "a", "b", "b/", "b/d"])),
    st.tuples(st.just("delete"), streams),
)


async def outcome(store: Store, call: tuple[Any, ...], there: int) -> Any:
    match call:
        case ("append", stream, count, off):
            expected = max(there + off, 0)
            events = [said(seq) for seq in range(expected + 1, expected + 1 + count)]
            try:
                return await store.append(stream, events, expected)
            except StreamConflict as error:
                return error.what
        case ("streams", prefix):
            return sorted(await store.streams(prefix))
        case (name, *arguments):
            return await getattr(store, name)(*arguments)


@pytest.mark.parametrize("name", [name for name in PLACES if name != "s3"])  # which "objects" stands for, and faster
def test_a_store_does_what_the_plainest_store_does(name: str):
    async def play(script: list[tuple[Any, ...]], folder: str) -> None:
        plainest, store = MemoryStore(), PLACES[name](Path(folder)).open()
        for call in script:
            there = len(await plainest.read(call[1])) if call[0] == "append" else 0
            assert await outcome(store, call, there) == await outcome(plainest, call, there), call

    @settings(deadline=None, max_examples=40)
    @given(st.lists(calls, max_size=25))
    def law(script: list[tuple[Any, ...]]):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(play(script, folder))

    law()


# --- stores that outlive their process -------------------------------------------------------------------------------


async def test_another_store_at_the_same_place_sees_it(lasting: Place):
    await lasting.open().append("runs/1", EVENTS[:4], 0)
    await lasting.open().append("runs/1", EVENTS[4:], 4)
    assert await lasting.open().read("runs/1") == EVENTS
    assert await lasting.open().streams() == ["runs/1"]


async def test_two_stores_at_the_same_place_take_turns(lasting: Place):
    one, other = lasting.open(), lasting.open()
    for event in EVENTS:
        await (one if event.seq % 3 else other).append("runs/1", [event], event.seq - 1)
    with pytest.raises(StreamConflict):
        await one.append("runs/1", [said(9)], 8)
    await one.delete("runs/1")
    await other.append("runs/1", EVENTS[:2], 0)
    await one.append("runs/1", EVENTS[2:3], 2)
    assert await other.read("runs/1") == EVENTS[:3]


async def test_two_processes_race_for_every_place(lasting: Place):
    times = 40 if "s3:" in lasting.arguments[0] else 150
    writers = [lasting.start("race", "runs/1", name, times) for name in "ab"]
    for writer in writers:
        await asyncio.to_thread(writer.stdout.readline)
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        await finished(writer)
    events = await lasting.open().read("runs/1")
    assert [event.seq for event in events] == list(range(1, 2 * times + 1))
    for name in "ab":
        own = [event.text for event in events if event.text.startswith(name)]
        assert own == [f"{name} {time}" for time in range(times)]


async def test_a_writer_killed_at_any_moment_spoils_nothing(lasting: Place):
    chance = random.Random(8)
    for seed in range(4):
        writer = lasting.start("write", "runs/1", seed)
        pause = chance.random() / 50
        first = await asyncio.to_thread(writer.stdout.readline)
        await asyncio.sleep(pause)
        writer.kill()
        printed = await asyncio.to_thread(writer.stdout.read)  # `communicate` passes over what was read ahead
        await asyncio.to_thread(writer.communicate)
        confirmed = int((first + printed).split()[-1])
        events = await lasting.open().read("runs/1")
        assert confirmed <= len(events) <= confirmed + 5
        # A server may still keep what was on its way when the writer died, so where the next one began is not asked.
        writers = [int(event.text.partition(".")[0]) for event in events]
        assert writers == sorted(writers)
        assert events == [said(seq, text(writer, seq)) for seq, writer in enumerate(writers, 1)]


FORK = """
import asyncio, os, sys
from tests.adapters.stores.places import Place, said

store = Place(sys.argv[1], tuple(sys.argv[2:])).open()
asyncio.run(store.append("runs/1", [said(1)], 0))
child = os.fork()
if not child:
    try:
        asyncio.run(store.append("runs/1", [said(2)], 1))
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
there = len(asyncio.run(store.read("runs/1")))
asyncio.run(store.append("runs/1", [said(there + 1)], there))
print(there)
"""


async def test_a_forked_process_writes_on_or_says_that_it_cannot(lasting: Place):
    told = ("-W", "ignore::DeprecationWarning", "-c", FORK, lasting.store, *lasting.arguments)
    printed = await finished(python(*told))
    if "ObjectStore" in lasting.store:
        assert printed.startswith("Object storage cannot be used in a process that was forked")
        assert "spawn" in printed
    else:
        assert printed == "2\n"
