"""Calls into one session, one after the other.

Who comes first goes first. What happens inside of a turn (an agent that is the tool of another, in the same
session) cannot wait for that turn to end; it waits for others inside of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

from quire.core.ports import Store

__all__ = ["in_order"]


@dataclass(slots=True)
class _Gate:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    """Who is inside, and who waits."""


_gates: dict[tuple[int, int, str, object], _Gate] = {}
"""By loop, store, stream and the turn around, where anybody is inside."""
_TURNS: ContextVar[Mapping[tuple[int, str], object]] = ContextVar("quire_turns", default=MappingProxyType({}))
"""The innermost turn that this code is part of, by store and stream."""


@asynccontextmanager
async def in_order(store: Store, stream: str) -> AsyncGenerator[None]:
    """Wait for everybody who came to that stream before, and let nobody in until the block ends.

    This holds for one event loop; writers elsewhere are noticed by the store.
    """
    turns, place = _TURNS.get(), (id(store), stream)
    key = (id(asyncio.get_running_loop()), *place, turns.get(place))
    gate = _gates.setdefault(key, _Gate())
    gate.users += 1
    try:
        async with gate.lock:
            token = _TURNS.set({**turns, place: object()})
            try:
                yield
            finally:
                _TURNS.reset(token)
    finally:
        gate.users -= 1
        if not gate.users:
            del _gates[key]
