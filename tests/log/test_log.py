"""One run's log: numbers, followers, and what is kept when."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from quire.adapters.stores.file import FileStore
from quire.adapters.stores.memory import MemoryStore
from quire.core.messages import Message
from quire.errors import StoreError, StreamConflict
from quire.events import Cancelled, Delta, Requested, Responded, Started, Succeeded
from quire.log.log import Log


def start(log, name="a"):
    return log.emit(Started, log.new_span(), None, name=name, of="step")


def ask(log):
    return log.emit(Requested, log.new_span(), "1", agent="a", provider="p", model="m", messages=1).span


def piece(log, span, text):
    return log.emit(Delta, span, "1", text=text)


def answer(log, span, text):
    log.emit(Responded, span, "1", message=Message.of("assistant", text), finish_reason="stop")


async def until(log, count, store):
    while len(await store.read(log.stream)) < count:  # noqa: ASYNC110 - a store tells nobody
        await asyncio.sleep(0.005)


def test_lasting_events_are_numbered_from_one_and_ephemeral_ones_have_the_number_before():
    log = Log("r")
    span = start(log).span
    numbers = [span and ask(log), *(piece(log, "2", t).seq for t in "xy"), log.emit(Succeeded, span, None).seq]
    assert numbers == ["2", 2, 2, 3]
    assert [event.seq for event in log.events] == [1, 2, 3]
    assert [event.kind for event in log.events] == ["started", "requested", "succeeded"]


def test_time_never_runs_backwards():
    log = Log("r")
    moments = [start(log).at for _ in range(200)]
    assert moments == sorted(moments)


def test_past_has_the_pieces_of_open_replies_only():
    log = Log("r")
    start(log)
    first, second = ask(log), ask(log)
    piece(log, first, "gone")
    piece(log, second, "still ")
    piece(log, second, "here")
    answer(log, first, "gone")
    assert [e.text for e in log.past() if isinstance(e, Delta)] == ["still ", "here"]


async def test_who_follows_late_sees_the_same_as_who_followed_from_the_start():
    log = Log("r")

    async def follow():
        return [event async for event in log.follow()]

    early = asyncio.create_task(follow())
    await asyncio.sleep(0)
    start(log)
    span = ask(log)
    piece(log, span, "one ")
    late = asyncio.create_task(follow())
    await asyncio.sleep(0)
    piece(log, span, "two")
    answer(log, span, "one two")
    log.close()
    seen, seen_late = await asyncio.wait_for(asyncio.gather(early, late), 1)
    assert seen == seen_late
    assert [event.kind for event in seen] == ["started", "requested", "delta", "delta", "responded"]


async def test_following_a_closed_log_gives_its_past_and_ends():
    log = Log("r")
    start(log)
    log.close()
    assert [event.kind async for event in log.follow()] == ["started"]


async def test_who_stops_following_leaves_nothing_behind():
    log = Log("r")
    start(log)
    events = log.follow()
    await anext(events)
    assert log.followed
    await events.aclose()
    assert not log.followed
    assert log._wakers == []


def test_a_follower_may_leave_while_it_is_told_and_hears_nothing_more():
    log, heard, other = Log("r"), [], []

    def once(event):
        heard.append(event)
        leave()

    leave = log.subscribe(once)
    log.subscribe(other.append)
    for _ in range(3):
        start(log)
    assert (len(heard), len(other)) == (1, 3)


def test_spans_differ_also_when_threads_ask_for_them():
    log = Log("r")
    with ThreadPoolExecutor(8) as pool:
        spans = list(pool.map(lambda _: log.new_span(), range(4000)))
    assert len(set(spans)) == 4000


async def test_events_reach_the_store_by_themselves_in_order_and_in_batches():
    store = MemoryStore()
    log = Log("r", store)
    for _ in range(50):
        start(log)
    assert await store.read(log.stream) == []
    await asyncio.wait_for(until(log, 50, store), 2)
    start(log)
    await asyncio.wait_for(until(log, 51, store), 2)
    assert await store.read(log.stream) == log.events


async def test_flush_keeps_everything_so_far_and_no_ephemeral_event(tmp_path):
    store = FileStore(tmp_path)
    log = Log("r", store)
    start(log)
    piece(log, ask(log), "words")
    await log.flush()
    assert [event.kind for event in await store.read(log.stream)] == ["started", "requested"]


async def test_many_flushes_at_once_write_each_event_once(tmp_path):
    store = FileStore(tmp_path)
    log = Log("r", store)

    async def emit_and_flush():
        start(log)
        await log.flush()

    await asyncio.gather(*(emit_and_flush() for _ in range(30)))
    assert await store.read(log.stream) == log.events


@pytest.mark.parametrize("delay", [0, 0.01, 0.03])
async def test_a_flush_that_is_cancelled_does_not_confuse_the_next(tmp_path, delay):
    store = FileStore(tmp_path)
    log = Log("r", store)
    for _ in range(6000):  # takes long enough to write to be cancelled in the middle
        start(log)
    flushing = asyncio.create_task(log.flush())
    await asyncio.sleep(delay)
    flushing.cancel()
    await asyncio.wait([flushing])
    log.emit(Cancelled, "1", None, reason="enough")
    await log.flush()
    assert await store.read(log.stream) == log.events


class Deaf(MemoryStore):
    """Keeps what it is given, and then does not hear itself say so."""

    deaf = True

    async def append(self, stream, events, expected):
        await super().append(stream, events, expected)
        if self.deaf:
            raise StoreError("No answer came.")


async def test_what_was_kept_without_an_answer_is_not_written_again():
    store = Deaf()
    log = Log("r", store)
    for _ in range(3):
        start(log)
        with pytest.raises(StoreError, match="No answer"):
            await log.flush()
    store.deaf = False
    start(log)
    await log.flush()
    await log.flush()
    assert await store.read(log.stream) == log.events


async def test_what_another_writer_kept_meanwhile_is_not_taken_for_one_s_own():
    store = Deaf()
    log, other = Log("r", store), Log("r", store)
    start(log)
    with pytest.raises(StoreError, match="No answer"):
        await log.flush()
    await store.delete(log.stream)
    start(other, "another")
    store.deaf = False
    await other.flush()
    with pytest.raises(StreamConflict):
        await log.flush()
    assert await store.read(log.stream) == other.events


async def test_a_store_that_fails_is_told_by_flush_and_hurts_nobody_else(tmp_path):
    blocked = tmp_path / "house"
    blocked.write_text("a file in the way")
    log = Log("r", FileStore(blocked))
    start(log)
    await asyncio.sleep(0.06)
    with pytest.raises(StoreError, match="could not be written") as raised:
        await log.flush()
    assert "QUIRE_HOME" in raised.value.remedy
    blocked.unlink()
    await log.flush()
    assert len(await FileStore(blocked).read(log.stream)) == 1
