"""Logs in object storage: nothing to run, nothing to maintain, and room without end.

An append is an object, which is put whole or not at all, on the condition that there is none of its name; and its name
is its place in the stream. Two writers of one stream want the same name, so one of them is refused. That no append
begins in the middle of another one, a writer sees to who knows where the last one ended. Each object begins with the
mark of its append: if the answer to a request was lost, the mark tells whether what is there is what was sent.

    streams/runs/1m8k.jsonl              the first append; while it is there, the stream is
    more/<its mark>/000000000042.jsonl   a later one, from event 42

To delete a stream is to delete the first object, and then the others, which belong to nothing any more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from quire.adapters.stores.bucket import Bucket
from quire.adapters.stores.lines import corrupt, events_of
from quire.adapters.stores.memory import check_name, check_numbers, conflict, is_name
from quire.adapters.stores.turns import Turns
from quire.core.codec import encode
from quire.core.events import Event

__all__ = ["ObjectStore"]

_STREAMS = "streams"
_ENDING = ".jsonl"
_MARK = re.compile(rb'\{"append":"([0-9a-f]{32})"\}\n')
_MARK_SIZE = 46
_AT_ONCE = 16
"""Objects that are fetched at the same time."""

_REMEMBERED = 4096
"""Streams whose end is known without looking, at most: a server appends to a new one with every run."""


class ObjectStore:
    """Keeps streams in a bucket, or in a folder of one: `s3://bucket/logs`, `gs://bucket/logs`, `az://container/logs`.

    Keys come from the environment, as with each vendor's own tools, or stand behind a question mark in the address,
    with other options: `s3://bucket/logs?endpoint=https://minio.example.org&region=eu-central-1`. The storage has to
    know conditional requests (`If-None-Match`), as those three and most that speak S3 do. An append whose task is
    cancelled while it is being written is written nevertheless.

    Raises:
        DefinitionError: the address cannot be read, or an option in it is none.

    Example:
        >>> ObjectStore("s3://my-bucket/logs?region=eu-central-1&access_key_id=me&secret_access_key=hidden")
        ObjectStore('s3://my-bucket/logs')
    """

    def __init__(self, url: str) -> None:
        bucket = Bucket(url)
        self.place = bucket.place
        self._turns = Turns(lambda: _same(bucket), _leave, lost=())
        self._tails: dict[str, _Tail] = {}

    def __repr__(self) -> str:
        return f"ObjectStore({self.place!r})"

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        """Add events at the end; raise `StreamConflict` if the stream is not `expected` events long."""
        check_name(stream)
        events = tuple(events)
        check_numbers(stream, events, expected)
        await self._turns.take(stream, lambda bucket: self._append(_Stream(bucket, stream), events, expected))

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the events whose `seq` is greater than `after`, in order; none for an unknown stream.

        A line that is no event, or an object that is missing, raises `CorruptLog`, with the events before it.
        """
        check_name(stream)
        return await self._turns.take(stream, lambda bucket: _Stream(bucket, stream).read(max(after, 0)))

    async def streams(self, prefix: str = "") -> list[str]:
        """Return the names that begin with `prefix`, oldest first; by name those of one tick of its clock."""
        folder = prefix.rpartition("/")[0]
        if folder and not is_name(folder):
            return []
        found = await self._turns.take("", lambda bucket: bucket.names(f"{_STREAMS}/{folder}".rstrip("/")))
        named = ((at, name.removeprefix(f"{_STREAMS}/").removesuffix(_ENDING)) for at, name in found)
        return [name for _, name in sorted(named) if name.startswith(prefix)]

    async def delete(self, stream: str) -> None:
        """Forget a stream; an unknown one is no error."""
        check_name(stream)
        self._tails.pop(stream, None)
        await self._turns.take(stream, lambda bucket: _Stream(bucket, stream).delete())

    async def _append(self, stream: _Stream, events: Sequence[Event], expected: int) -> None:
        mark = uuid4().hex
        content = await Turns.translated(lambda: _content(mark, events), len(events))
        tail = self._tails.pop(stream.name, _Tail())
        while True:
            if tail.length != expected or not events:
                tail = await stream.tail()
            if tail.length != expected:
                raise conflict(stream.name, self.place, there=tail.length, expected=expected)
            if not events:
                return
            if await stream.extended(tail, content):
                break
            tail = await stream.tail()
        self._remember(stream.name, _Tail(tail.mark or mark, expected + len(events)))

    def _remember(self, stream: str, tail: _Tail) -> None:
        self._tails[stream] = tail
        if len(self._tails) > _REMEMBERED:
            del self._tails[next(iter(self._tails))]


@dataclass(frozen=True, slots=True)
class _Tail:
    """Where a stream ends."""

    mark: str = ""
    """That of its first append."""
    length: int = 0


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream's objects in a bucket."""

    bucket: Bucket
    name: str

    @property
    def first(self) -> str:
        """The object of the first append."""
        return f"{_STREAMS}/{self.name}{_ENDING}"

    async def tail(self) -> _Tail:
        """Find out where it ends."""
        first = await self.bucket.get(self.first)
        if first is None:
            return _Tail()
        mark = self._mark(first)
        starts = await self._starts(mark)
        if not starts:
            return _Tail(mark, first.count(b"\n") - 1)
        last = await self.bucket.get(_more(mark, starts[-1]))
        if last is None:  # it is being deleted
            return await self.tail()
        return _Tail(mark, starts[-1] + last.count(b"\n") - 2)

    async def extended(self, tail: _Tail, content: bytes) -> bool:
        """Add an append after its tail; return whether that was the tail."""
        if not tail.length:
            return await self._put(self.first, content)
        name = _more(tail.mark, tail.length + 1)
        added, alive = await asyncio.gather(self._put(name, content), self._is(self.first, tail.mark))
        if added and not alive:
            await self.bucket.delete([name])  # somebody deleted the stream, or began it anew
        return added and alive

    async def read(self, after: int) -> list[Event]:
        """Return the events after a number."""
        first = await self.bucket.get(self.first)
        if first is None:
            return []
        mark = self._mark(first)
        starts = await self._starts(mark)
        # Of those that begin before what is asked for, only the last can hold any of it.
        wanted = starts[max(sum(start <= after + 1 for start in starts) - 1, 0) :]
        contents = await self._contents(mark, wanted)
        if None in contents and not await self._is(self.first, mark):
            return await self.read(after)  # it was deleted meanwhile
        if not wanted or wanted[0] > after + 1:
            wanted, contents = [1, *wanted], [first, *contents]
        lines = _lines(contents, after + 1 - wanted[0])
        telling = corrupt(self.name, self.bucket.place)
        size = sum(content.count(b"\n") for content in contents if content)
        return await Turns.translated(lambda: events_of(lines, after, telling), size)

    async def delete(self) -> None:
        """Delete it, from that moment on for everybody, and then what it leaves."""
        mark = await self.bucket.beginning(self.first, _MARK_SIZE)
        if mark is None:
            return
        await self.bucket.delete([self.first])
        if found := _MARK.match(mark):
            rest = await self._starts(found[1].decode())
            await self.bucket.delete([_more(found[1].decode(), start) for start in rest])

    async def _put(self, name: str, content: bytes) -> bool:
        # If there is one, it may be ours: a request whose answer was lost is sent again.
        return await self.bucket.put(name, content) or await self._begins(name, content[:_MARK_SIZE])

    async def _is(self, name: str, mark: str) -> bool:
        return await self._begins(name, _headed(mark))

    async def _begins(self, name: str, beginning: bytes) -> bool:
        return await self.bucket.beginning(name, _MARK_SIZE) == beginning

    async def _starts(self, mark: str) -> list[int]:
        names = [name for _, name in await self.bucket.names(f"more/{mark}")]
        return sorted(int(name.rpartition("/")[2].removesuffix(_ENDING)) for name in names)

    async def _contents(self, mark: str, starts: Sequence[int]) -> list[bytes | None]:
        free = asyncio.Semaphore(_AT_ONCE)

        async def content(start: int) -> bytes | None:
            async with free:
                return await self.bucket.get(_more(mark, start))

        return await asyncio.gather(*map(content, starts))

    def _mark(self, content: bytes) -> str:
        found = _MARK.match(content)
        if found is None:
            error = ValueError("its object does not begin with the mark of an append")
            raise corrupt(self.name, self.bucket.place)(1, [], error)
        return found[1].decode()


def _more(mark: str, start: int) -> str:
    return f"more/{mark}/{start:012}{_ENDING}"


def _headed(mark: str) -> bytes:
    return b'{"append":"%s"}\n' % mark.encode()


def _content(mark: str, events: Sequence[Event]) -> bytes:
    return b"".join([_headed(mark), *map(encode, events)])


def _lines(contents: Sequence[bytes | None], skip: int) -> Iterator[bytes]:
    """Yield what objects hold, but for the first so many lines; raise `ValueError` at an object that is none."""
    for content in contents:
        if content is None:
            raise ValueError("its object is gone")
        marked, *lines = content.removesuffix(b"\n").split(b"\n")
        if len(marked) + 1 != _MARK_SIZE:
            raise ValueError("its object does not begin with the mark of an append")
        yield from lines[skip:]
        skip = 0


async def _same(bucket: Bucket) -> Bucket:
    return bucket


async def _leave(_: Bucket) -> None:
    """Do nothing: what obstore has open it closes by itself."""
