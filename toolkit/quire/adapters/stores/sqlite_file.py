"""A file of SQLite's, in which things are done whole: opened, shared, left, and what it refuses explained."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from quire.core.errors import StoreError

__all__ = ["SQLiteFile"]

_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""

_GOODBYE = 1.0
"""Seconds that the end of the interpreter waits for a statement to end."""

_STREAMS = "CREATE TABLE IF NOT EXISTS quire_streams (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)"
_EVENTS = (
    "CREATE TABLE IF NOT EXISTS quire_events"
    " (stream INTEGER NOT NULL, seq INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (stream, seq))"
)
_HAS_TABLES = "SELECT 1 FROM sqlite_master WHERE name = 'quire_events'"

_REMEDIES = {
    "SQLITE_BUSY": f"Another process has been writing into it for {_PATIENCE:.0f} s: see which, or try again.",
    "SQLITE_CORRUPT": "It is damaged: `sqlite3 runs.db .recover` saves what can be read of such a file.",
    "SQLITE_NOTADB": "It is no file of SQLite's: give another name.",
}
_REMEDY = "Set QUIRE_DATABASE_URL to a file you can write to, on a disk with room."

_Identity: TypeAlias = tuple[int, int]
"""What tells a file from another that has its name later."""


class SQLiteFile:
    """The connection to a file: opened when it is needed, and again when another file has come into its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None
        self._prepared = False
        self._process = os.getpid()
        self._in_use = threading.Lock()

    @contextmanager
    def writing(self, *, new: bool, done: str = "written") -> Generator[sqlite3.Connection | None]:
        """Do everything in the block or nothing; `None` if there is nothing and nothing is to be made."""
        with self._using(done, new=new) as connection:
            if connection is None or not (new or _has_tables(connection)):
                yield None
                return
            if not self._prepared:
                _prepare(connection)
                self._prepared = True
            with _whole(connection):
                yield connection

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection | None]:
        """Give the connection; `None` if there is nothing to be read."""
        with self._using("read", new=False) as connection:
            yield connection if connection is not None and _has_tables(connection) else None

    def leave(self) -> None:
        """Close it, which brings the file up to date: whoever copies it then has everything."""
        if self._process == os.getpid() and self._in_use.acquire(timeout=_GOODBYE):
            self._close()
            self._in_use.release()

    @contextmanager
    def _using(self, done: str, *, new: bool) -> Generator[sqlite3.Connection | None]:
        if self._process != os.getpid():
            self._begin_after_fork()
        with self._in_use, _explained(self._path, done):
            try:
                yield self._opened(new=new)
            except sqlite3.Error:
                self._close()  # whatever it was: who comes next begins afresh
                raise

    def _opened(self, *, new: bool) -> sqlite3.Connection | None:
        if self._identity != _identity(self._path):
            self._close()
        if self._connection is None:
            if new:
                _make(self._path)
            self._identity = _identity(self._path)
            self._connection = self._connect() if self._identity else None
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        try:
            return _connected(self._path)
        except sqlite3.OperationalError:
            # Where nobody may write there is no place for the files beside it; without them it is whole by itself.
            if os.access(self._path.parent, os.W_OK) or _beside(self._path, "-wal").exists():
                raise
            self._identity = None  # looked at once: its owner may write at any time
            return _connected(self._path, "?immutable=1")

    def _close(self) -> None:
        connection, self._connection, self._prepared = self._connection, None, False
        if connection is not None:
            connection.close()

    def _begin_after_fork(self) -> None:
        # The connection is the parent's: SQLite's locks do not survive a fork, not even for closing it.
        _parents.append(self._connection)
        self._connection, self._prepared = None, False
        self._process, self._in_use = os.getpid(), threading.Lock()


_parents: list[sqlite3.Connection | None] = []


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _connected(path: Path, how: str = "") -> sqlite3.Connection:
    # Used by one thread after the other: the store's, and at the end whichever forgets the store.
    connection = sqlite3.connect(
        f"file:{quote(str(path))}{how}", uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA schema_version").fetchall()  # only now is the file opened
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute(_HAS_TABLES).fetchall())


def _prepare(connection: sqlite3.Connection) -> None:
    """Let readers go on while somebody writes, do not wait for the disk, and see to the tables."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Another begins the same file at this very moment: here SQLite does not wait by itself.
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")
    if not _has_tables(connection):
        with _whole(connection):
            connection.execute(_STREAMS)
            connection.execute(_EVENTS)


@contextmanager
def _whole(connection: sqlite3.Connection) -> Generator[None]:
    """Do everything in the block, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _explained(path: Path, done: str) -> Generator[None]:
    """Turn a refusal into one that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        remedy = _REMEDIES.get(getattr(error, "sqlite_errorname", ""), _REMEDY)
        raise StoreError(f"A log could not be {done}: {error}.", where=str(path), remedy=remedy) from error
    except OSError as error:
        raise StoreError(
            f"A log could not be {done}: {error.strerror or error}.", where=str(path), remedy=_REMEDY
        ) from error
