"""Logs in one SQLite file, which processes share and the `sqlite3` of any system can look into.

Python's own `sqlite3`, in a thread of the store's: measured beside aiosqlite, which hands over every statement and not
every append, it takes half the time or less. Appending waits for no disk, as in the file store: what a crash of the
machine itself may take are the last seconds, and a crash of the process takes nothing.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

from quire.adapters.stores.address import path_of
from quire.adapters.stores.disk import Disk
from quire.adapters.stores.lines import corrupt, events_of
from quire.adapters.stores.memory import check_name, check_numbers, conflict
from quire.adapters.stores.sqlite_file import SQLiteFile
from quire.core.codec import encode
from quire.core.errors import DefinitionError
from quire.core.events import Event

__all__ = ["SQLiteStore"]

_FIND = "SELECT id, (SELECT max(seq) FROM quire_events WHERE stream = id) FROM quire_streams WHERE name = ?"
_BEGIN = "INSERT INTO quire_streams (name) VALUES (?)"
_ADD = "INSERT INTO quire_events (stream, seq, line) VALUES (?, ?, ?)"
_READ = (
    "SELECT CAST(line AS BLOB) FROM quire_events"
    " WHERE stream = (SELECT id FROM quire_streams WHERE name = ?) AND seq > ? ORDER BY seq"
)
_LIST = "SELECT name FROM quire_streams WHERE substr(name, 1, ?) = ? ORDER BY id"
_EMPTY = "DELETE FROM quire_events WHERE stream = (SELECT id FROM quire_streams WHERE name = ?)"
_FORGET = "DELETE FROM quire_streams WHERE name = ?"


class SQLiteStore:
    """Keeps all streams in the tables `quire_streams` and `quire_events` of one file, readable by its owner alone.

    The file is made by the first append. It may also hold other tables. Beside it, while it is in use, are two files
    that belong to it (`-wal` and `-shm`); it must be on a disk of this machine, because processes share memory to
    share it. An append whose task is cancelled while it is being written is written nevertheless.

    Example:
        >>> import asyncio
        >>> from quire.core.events import Cancelled
        >>> store = SQLiteStore("runs.db")
        >>> stop = Cancelled(seq=1, at=0.0, run="1m8k", span="1", parent=None, reason="enough")
        >>> asyncio.run(store.append("runs/1m8k", [stop], expected=0))
        >>> asyncio.run(store.read("runs/1m8k")) == [stop]
        True
    """

    def __init__(self, path: str | Path) -> None:
        # Absolute at once: a notebook may change its working directory between two cells.
        self.path = Path(path).expanduser().absolute()
        self._disk = Disk()
        self._file = SQLiteFile(self.path)
        weakref.finalize(self, self._file.leave)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the store at `sqlite:///runs.db`, which is beside the notebook, or `sqlite:////folder/runs.db`."""
        path = path_of(url, "sqlite:///runs.db, or sqlite:////folder/runs.db").removeprefix("/")
        if path == ":memory:":
            raise DefinitionError("SQLite's memory is one connection's own.", remedy="Write memory:// instead.")
        return cls(path)

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self.path)!r})"

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        """Add events at the end; raise `StreamConflict` if the stream is not `expected` events long."""
        check_name(stream)
        events = tuple(events)
        check_numbers(stream, events, expected)
        await self._disk.do(lambda: self._append(stream, events, expected))

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the events whose `seq` is greater than `after`, in order; none for an unknown stream.

        A row that is no event raises `CorruptLog`, with the events before it.
        """
        check_name(stream)
        return await self._disk.do(lambda: self._read(stream, max(after, 0)))

    async def streams(self, prefix: str = "") -> list[str]:
        """Return the names that begin with `prefix`, oldest first."""
        return await self._disk.do(lambda: self._names(prefix))

    async def delete(self, stream: str) -> None:
        """Forget a stream; an unknown one is no error."""
        check_name(stream)
        await self._disk.do(lambda: self._delete(stream))

    def _append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        lines = [encode(event)[:-1].decode() for event in events]
        with self._file.writing(new=bool(lines) and expected == 0) as file:
            number, there = _found(file, stream)
            if there != expected:
                raise conflict(stream, str(self.path), there=there, expected=expected)
            if file is not None and lines:
                number = number or file.execute(_BEGIN, (stream,)).lastrowid
                file.executemany(_ADD, ((number, seq, line) for seq, line in enumerate(lines, expected + 1)))

    def _read(self, stream: str, after: int) -> list[Event]:
        with self._file.reading() as file:
            if file is None:
                return []
            with closing(file.execute(_READ, (stream, after))) as rows:
                return events_of(_lines(rows), after, corrupt(stream, str(self.path)))

    def _names(self, prefix: str) -> list[str]:
        with self._file.reading() as file:
            return [] if file is None else [name for (name,) in file.execute(_LIST, (len(prefix), prefix))]

    def _delete(self, stream: str) -> None:
        with self._file.writing(new=False, done="deleted") as file:
            if file is not None:
                file.execute(_EMPTY, (stream,))
                file.execute(_FORGET, (stream,))


def _found(file: sqlite3.Connection | None, stream: str) -> tuple[int | None, int]:
    """Return a stream's number and its length."""
    if file is None:
        return None, 0
    number, there = file.execute(_FIND, (stream,)).fetchone() or (None, 0)
    return number, there or 0


def _lines(rows: sqlite3.Cursor) -> Iterator[bytes]:
    try:
        for (line,) in rows:
            yield line
    except sqlite3.DatabaseError as error:
        raise ValueError(str(error)) from error
