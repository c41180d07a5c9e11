"""Logs in Redis: a stream is a list of lines, and an append is one script, so it is there whole or not at all.

The script leaves a receipt for a while. When a connection breaks before the answer comes, the append is sent again,
and the receipt says that nothing is left to be done: no event is lost or written twice. How much a crash of the
server itself may take, its own settings say (`appendonly`, `appendfsync`); that it forgets nothing when its memory is
full, `maxmemory-policy noeviction` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as NotAnswered

from quire.adapters.stores.address import opaque
from quire.adapters.stores.lines import corrupt, events_of
from quire.adapters.stores.memory import conflict
from quire.adapters.stores.served import ServedStore
from quire.adapters.stores.turns import Turns
from quire.core.codec import encode
from quire.core.events import Event

__all__ = ["RedisStore"]

_Client: TypeAlias = Any
"""Redis' own; its commands say that they may or may not have to be awaited."""

_CONNECTIONS = 8
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_RECEIPT_SECONDS = 600
"""How long an append that was sent twice is known again: far longer than anybody tries."""

_NAMES = "quire:streams"
_BORN = "quire:born"

_APPEND = """
if redis.call('EXISTS', KEYS[4]) == 1 then return -1 end
local there = redis.call('LLEN', KEYS[1])
if there ~= tonumber(ARGV[1]) then return there end
for first = 4, #ARGV, 5000 do
    redis.call('RPUSH', KEYS[1], unpack(ARGV, first, math.min(first + 4999, #ARGV)))
end
if there == 0 then redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[3]), ARGV[2]) end
redis.call('SET', KEYS[4], '', 'EX', ARGV[3])
return -1
"""
_DELETE = """
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
"""


class RedisStore(ServedStore[_Client]):
    """Keeps the stream `runs/1m8k` in the list `quire:stream:runs/1m8k`, and the names in `quire:streams`.

    The address is `redis://user:password@host:6379/0`, or `rediss://` where the connection is to be encrypted.

    Raises:
        DefinitionError: the address cannot be read.

    Example:
        >>> RedisStore("redis://:secret@cache.example.org:6379/2")
        RedisStore('redis://cache.example.org:6379/2')
    """

    server = "Redis"
    lost = (OSError, NotConnected, NotAnswered)
    starting = (BusyLoadingError,)
    refused = RedisError

    def __init__(self, url: str) -> None:
        super().__init__(url, _opened, _closed)

    async def _append(self, thing: _Client, stream: str, events: Sequence[Event], expected: int, mark: UUID) -> None:
        if events:
            lines = await Turns.translated(lambda: [encode(event)[:-1] for event in events], len(events))
            keys = (_key(stream), _NAMES, _BORN, f"quire:receipt:{mark.hex}")
            told = ("EVAL", _APPEND, len(keys), *keys, expected, stream, _RECEIPT_SECONDS, *lines)
            there = await thing.execute_command(*told)
        else:
            there = await thing.execute_command("LLEN", _key(stream))
        if there not in (-1, expected):
            raise conflict(stream, self.place, there=there, expected=expected)

    async def _read(self, thing: _Client, stream: str, after: int) -> list[Event]:
        lines = await thing.execute_command("LRANGE", _key(stream), after, -1)
        return await Turns.translated(lambda: events_of(lines, after, corrupt(stream, self.place)), len(lines))

    async def _names(self, thing: _Client, prefix: str) -> list[str]:
        names = await thing.execute_command("ZRANGE", _NAMES, 0, -1)
        return [name for name in map(bytes.decode, names) if name.startswith(prefix)]

    async def _forget(self, thing: _Client, stream: str) -> None:
        await thing.execute_command("EVAL", _DELETE, 2, _key(stream), _NAMES, stream)

    def _remedy(self, error: Exception) -> str:  # noqa: ARG002 - whatever it is, Redis has said it
        return "See to what it says, then try again; what was there before is there."


def _key(stream: str) -> str:
    return f"quire:stream:{stream}"


async def _opened(url: str) -> _Client:
    try:
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, max_connections=_CONNECTIONS, timeout=_ANSWER_SECONDS, socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
    except (ValueError, TypeError):
        raise opaque() from None
    return Redis.from_pool(pool)


async def _closed(client: _Client) -> None:
    await client.aclose()
