"""Logs in PostgreSQL: many notebooks, services and machines, one place.

By asyncpg: measured beside psycopg it takes half the time for one event and a fifth for a hundred, and its license is
ours. An append is one statement, so it is there whole or not at all. Its first event carries a mark of the append's
own; when a connection breaks before the answer comes, the append is sent again, and the mark tells whether what is
there already is what was sent. So a server that restarts costs a wait, and no event is lost or written twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from quire.adapters.stores.address import opaque
from quire.adapters.stores.lines import corrupt, events_of
from quire.adapters.stores.memory import conflict
from quire.adapters.stores.served import ServedStore
from quire.adapters.stores.turns import Turns
from quire.core.codec import encode
from quire.core.events import Event

__all__ = ["PostgresStore"]

_Pool: TypeAlias = Any
"""Of connections; asyncpg says nothing of its types."""

_CONNECTIONS = 8
"""How many a process opens at most: a server allows a hundred to everybody together."""

_IDLE_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0

_TABLES = """
SELECT pg_advisory_xact_lock(7310874501);
CREATE TABLE IF NOT EXISTS quire_streams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    length bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS quire_events (
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    line text NOT NULL,
    append uuid,
    PRIMARY KEY (stream, seq)
);
"""
_BEGIN = """
WITH stream AS (
    INSERT INTO quire_streams (name, length) VALUES ($1, $2 + cardinality($3::text[]))
    ON CONFLICT (name) DO NOTHING RETURNING id
)"""
_GO_ON = """
WITH stream AS (
    UPDATE quire_streams SET length = length + cardinality($3::text[]) WHERE name = $1 AND length = $2 RETURNING id
)"""
_ADD = """
INSERT INTO quire_events (stream, seq, line, append)
SELECT id, $2 + place, line, CASE WHEN place = 1 THEN $4::uuid END
FROM stream, unnest($3::text[]) WITH ORDINALITY AS lines (line, place)
"""
_LOOK = """
SELECT length, (SELECT append FROM quire_events WHERE stream = id AND seq = $2) FROM quire_streams WHERE name = $1
"""
# As bytes: they are read as they are, and need not become Python's text in between.
_READ = """
SELECT convert_to(line, 'UTF8') FROM quire_events
WHERE stream = (SELECT id FROM quire_streams WHERE name = $1) AND seq > $2 ORDER BY seq
"""
_LIST = "SELECT name FROM quire_streams WHERE starts_with(name, $1) ORDER BY id"
_DELETE = """
WITH gone AS (DELETE FROM quire_streams WHERE name = $1 RETURNING id)
DELETE FROM quire_events WHERE stream IN (SELECT id FROM gone)
"""


class PostgresStore(ServedStore[_Pool]):
    """Keeps all streams in the tables `quire_streams` and `quire_events`, which the first append makes.

    The address is one of PostgreSQL's own, `postgresql://user:password@host:5432/name?sslmode=require`. The user needs
    the right to make tables in the schema that comes first for him, or to read and write those two.

    Raises:
        DefinitionError: the address cannot be read.

    Example:
        >>> PostgresStore("postgresql://quire:secret@db.example.org/logs")
        PostgresStore('postgresql://db.example.org/logs')
    """

    server = "PostgreSQL"
    lost = (
        OSError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        asyncpg.PostgresConnectionError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.CannotConnectNowError,
    )
    starting = (asyncpg.CannotConnectNowError,)
    refused = asyncpg.PostgresError

    def __init__(self, url: str) -> None:
        super().__init__(url, _opened, _closed)

    async def _append(self, thing: _Pool, stream: str, events: Sequence[Event], expected: int, mark: UUID) -> None:
        lines = await Turns.translated(lambda: [encode(event)[:-1].decode() for event in events], len(events))
        while not (lines and await _added(thing, stream, lines, expected, mark)):
            [(there, found)] = await _rows(thing, _LOOK, stream, expected + 1) or [(0, None)]
            if found == mark:
                return  # it was added before: only the answer was lost
            if there != expected:
                raise conflict(stream, self.place, there=there, expected=expected)
            if not lines:
                return

    async def _read(self, thing: _Pool, stream: str, after: int) -> list[Event]:
        rows = await _rows(thing, _READ, stream, after)
        lines = (line for (line,) in rows)
        return await Turns.translated(lambda: events_of(lines, after, corrupt(stream, self.place)), len(rows))

    async def _names(self, thing: _Pool, prefix: str) -> list[str]:
        return [name for (name,) in await _rows(thing, _LIST, prefix)]

    async def _forget(self, thing: _Pool, stream: str) -> None:
        await _rows(thing, _DELETE, stream)

    def _remedy(self, error: Exception) -> str:
        match error:
            case asyncpg.InvalidAuthorizationSpecificationError():
                return "See that user and password in the address of the store are right."
            case asyncpg.InsufficientPrivilegeError():
                return "Give its user the right to make tables, or to use quire_streams and quire_events."
            case asyncpg.InsufficientResourcesError() | asyncpg.PostgresIOError():
                return "Give the server room, then try again; what was there before is there."
            case _:
                return "The server's own log says more."


async def _opened(url: str) -> _Pool:
    try:
        return await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType]
            url, min_size=0, max_size=_CONNECTIONS, max_inactive_connection_lifetime=_IDLE_SECONDS,
            timeout=_CONNECT_SECONDS, command_timeout=_ANSWER_SECONDS, reset=_as_it_is,
        )  # fmt: skip
    except (ValueError, asyncpg.ClientConfigurationError):
        raise opaque() from None


async def _as_it_is(_: Any) -> None:
    """Give a connection back without asking the server to forget settings that nobody has made."""


async def _closed(pool: _Pool) -> None:
    pool.terminate()


async def _added(pool: _Pool, stream: str, lines: list[str], expected: int, mark: UUID) -> bool:
    statement = (_GO_ON if expected else _BEGIN) + _ADD
    try:
        told = await pool.execute(statement, stream, expected, lines, mark)
    except asyncpg.UndefinedTableError:
        if expected:
            return False
        await pool.execute(_TABLES)
        told = await pool.execute(statement, stream, expected, lines, mark)
    return told != "INSERT 0 0"


async def _rows(pool: _Pool, statement: str, *given: Any) -> list[Any]:
    try:
        return await pool.fetch(statement, *given)
    except asyncpg.UndefinedTableError:
        return []  # nothing was ever written here
