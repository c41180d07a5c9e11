"""Moving house: everything that one store keeps, copied into another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quire.core.codec import encode
from quire.core.errors import CorruptLog, StoreError
from quire.core.events import Event
from quire.core.ports import Store
from quire.run import bridge
from quire.run.runtime import open_store

__all__ = ["Copied", "copy_store"]

_AT_ONCE = 1000
"""Events of one append: enough to be quick, and not so much that a lost connection costs a lot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What `copy_store` did."""

    streams: int
    """Streams that were copied, or brought up to date."""
    events: int
    """Events of theirs that were not there before."""
    there: int
    """Streams that were there already, whole."""


def copy_store(source: str | Store, target: str | Store) -> Copied:
    """Copy every stream of one store into another; give both as addresses, or as stores.

    What is there already is left as it is, so a copy that broke off is taken up by saying the same again, and one that
    is made every night copies what is new. Nothing is overwritten, and nothing is deleted. It takes its time, and
    where it is called nothing else goes on meanwhile: in a server, `await asyncio.to_thread(quire.copy_store, a, b)`.

    Raises:
        StoreError: a stream of that name is there with other events; or not all could be read, and then everything
            that can be has been copied.
        DefinitionError: an address makes no sense.

    Example:
        >>> import quire
        >>> from quire import Step
        >>> from quire.testing import in_memory
        >>> @Step
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> with in_memory() as here:
        ...     result = double.execute_sync(4)
        >>> quire.copy_store(here, "sqlite:///runs.db")
        Copied(streams=1, events=2, there=0)
        >>> quire.copy_store(here, "sqlite:///runs.db")
        Copied(streams=0, events=0, there=1)
    """
    return bridge.aside(lambda: _copied(_opened(source), _opened(target)))


def _opened(store: str | Store) -> Store:
    return open_store(store) if isinstance(store, str) else store


async def _copied(source: Store, target: Store) -> Copied:
    added: list[int] = []
    damaged: list[CorruptLog] = []
    for stream in await source.streams():
        try:
            events = await source.read(stream)
        except CorruptLog as error:
            damaged.append(error)
            events = error.readable
        added.append(await _brought_up_to_date(target, stream, events))
    if damaged:
        raise StoreError(
            f"Of {len(damaged)} streams only the beginning could be read; that and all the others are copied.",
            where="\n     ".join(error.where or "" for error in damaged),
            remedy="quire.load(run) says for each what is wrong; to do without the rest, leave it as it is.",
        )
    return Copied(streams=sum(map(bool, added)), events=sum(added), there=added.count(0))


async def _brought_up_to_date(target: Store, stream: str, events: Sequence[Event]) -> int:
    """Append what is not there yet, and return how many events that were."""
    there = await target.read(stream)
    for old, new in zip(there, events, strict=False):
        # As they are written: what was kept in memory may hold what a file holds as text.
        if encode(old) != encode(new):
            raise StoreError(
                f"A stream of that name is there already, and is another one: event {old.seq} differs.",
                where=f"{stream} in {target!r}",
                remedy="Copy into a store of its own, or delete that stream there.",
            )
    for start in range(len(there), len(events), _AT_ONCE):
        await target.append(stream, events[start : start + _AT_ONCE], start)
    return max(len(events) - len(there), 0)
