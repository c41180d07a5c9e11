"""A log kept by a server: whose turn it is, what is checked, and what a refusal means, whatever the server is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Generic, TypeVar
from uuid import UUID, uuid4

from quire.adapters.stores.address import shown
from quire.adapters.stores.memory import check_name, check_numbers
from quire.adapters.stores.turns import Turns
from quire.core.errors import StoreError
from quire.core.events import Event

__all__ = ["ServedStore"]

T = TypeVar("T")


class ServedStore(ABC, Generic[T]):
    """Keeps streams with a server, over something that is opened once and stays open.

    What a server does is said by the methods at the end. Each may be done again when the connection is lost, so an
    append has a mark of its own by which it is known a second time. An append whose task is cancelled while it is
    being written is written nevertheless.
    """

    server: ClassVar[str]
    """Its name, for errors."""
    lost: ClassVar[tuple[type[Exception], ...]]
    """Errors that say that there is no connection."""
    starting: ClassVar[tuple[type[Exception], ...]]
    """Those of them that say that it is there, and will answer soon."""
    refused: ClassVar[type[Exception]]
    """What all errors have in common by which the server refuses."""

    def __init__(self, url: str, opened: Callable[[str], Awaitable[T]], closed: Callable[[T], Awaitable[None]]) -> None:
        self.place = shown(url)
        self._turns: Turns[T] = Turns(lambda: opened(url), closed, self.lost, self.starting)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r})"

    async def append(self, stream: str, events: Sequence[Event], expected: int) -> None:
        """Add events at the end; raise `StreamConflict` if the stream is not `expected` events long."""
        check_name(stream)
        events = tuple(events)
        check_numbers(stream, events, expected)
        mark = uuid4()
        with self._explained("written"):
            await self._turns.take(stream, lambda thing: self._append(thing, stream, events, expected, mark))

    async def read(self, stream: str, after: int = 0) -> list[Event]:
        """Return the events whose `seq` is greater than `after`, in order; none for an unknown stream.

        What is no event raises `CorruptLog`, with the events before it.
        """
        check_name(stream)
        with self._explained("read"):
            return await self._turns.take(stream, lambda thing: self._read(thing, stream, max(after, 0)))

    async def streams(self, prefix: str = "") -> list[str]:
        """Return the names that begin with `prefix`, oldest first."""
        with self._explained("listed"):
            return await self._turns.take("", lambda thing: self._names(thing, prefix))

    async def delete(self, stream: str) -> None:
        """Forget a stream; an unknown one is no error."""
        check_name(stream)
        with self._explained("deleted"):
            await self._turns.take(stream, lambda thing: self._forget(thing, stream))

    @contextmanager
    def _explained(self, done: str) -> Generator[None]:
        """Turn a refusal into one that says what to do."""
        try:
            yield
        except self.lost as error:
            reason = str(error).strip() or "it does not answer"
            raise StoreError(
                f"A log could not be {done}: there is no connection to {self.server} ({reason}).",
                where=self.place,
                remedy="See that the server is running, and that the address of the store, its user and its password"
                " are right.",
            ) from error
        except self.refused as error:
            words = error.args[0] if error.args else type(error).__name__
            raise StoreError(
                f"A log could not be {done}: {self.server} says: {words}.",
                where=self.place,
                remedy=self._remedy(error),
            ) from error

    # What a server does

    @abstractmethod
    async def _append(self, thing: T, stream: str, events: Sequence[Event], expected: int, mark: UUID) -> None:
        """Add events, unless those of that mark are there already."""

    @abstractmethod
    async def _read(self, thing: T, stream: str, after: int) -> list[Event]:
        """Return the events behind a place."""

    @abstractmethod
    async def _names(self, thing: T, prefix: str) -> list[str]:
        """Return the names of streams, oldest first."""

    @abstractmethod
    async def _forget(self, thing: T, stream: str) -> None:
        """Take a stream away."""

    @abstractmethod
    def _remedy(self, error: Exception) -> str:
        """Return what to do about a refusal."""
