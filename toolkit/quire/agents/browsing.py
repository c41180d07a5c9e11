"""Looking through what was said, and going on from any place in it.

A browser reads the sessions of one memory and acts through that memory's own verbs, so that what is done by hand is
the same as what a program does. It knows no screen: a notebook draws it, and asks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from quire.agents.sessions import follow, names, readable
from quire.core.errors import SessionError, UnknownCheckpoint
from quire.run import bridge
from quire.run.definitions import named
from quire.views import browsing
from quire.views.browsing import PlaceDetails, SessionRow, SessionsSnapshot, Tree
from quire.views.session import Place, SessionFold

if TYPE_CHECKING:
    from quire.agents.chat import Chat
    from quire.agents.memory import Memory

__all__ = ["Browser"]

_AT_ONCE = 16
"""Sessions that are read at the same time: stores are slow to begin with an answer, and most have some threads."""


@runtime_checkable
class _Talker(Protocol):
    """An agent, which itself knows what remembers."""

    input: Any
    memory: Memory | None

    def chat(self, session: str | None = None) -> Chat: ...


class Browser:
    """The sessions of a memory, or one of them, for a person to look through; a notebook draws it.

    Example:
        >>> from quire import LLM, Agent, Memory
        >>> memory = Memory("memory://")
        >>> _ = Agent(LLM("offline"), "Plan.", memory=memory).execute_sync("Kyoto, please.", session="trip")
        >>> [row["session"] for row in memory.browse().snapshot()["rows"]]
        ['trip']
    """

    def __init__(self, memory: Memory, only: str | None = None) -> None:
        self._memory = memory
        self.only = only
        """The one session that is looked at."""
        self._folds: dict[str, SessionFold] = {}

    def __repr__(self) -> str:
        what = "sessions" if self.only is None else f"session {self.only!r}"
        return f"<browser of {what} in {self._memory.store!r}>"

    def browse(self) -> Browser:
        """Return itself."""
        return self

    # Looking

    def snapshot(self) -> SessionsSnapshot:
        """Return everything there is to begin with, for code that cannot await."""
        return bridge.aside(self._whole)

    async def _whole(self) -> SessionsSnapshot:
        rows = await self.rows()
        first = self._tree(self._folds[rows[0]["session"]]) if rows else None
        return SessionsSnapshot(kind="sessions", only=self.only, rows=rows, tree=first)

    async def rows(self) -> list[SessionRow]:
        """Return every session as it is kept now, by whatever process, the one that was used last first."""
        found = await names(self._memory.store) if self.only is None else [self.only]
        self._folds = {name: self._folds[name] for name in found if name in self._folds}
        rows: list[SessionRow | None] = []
        for begin in range(0, len(found), _AT_ONCE):
            rows += await asyncio.gather(*map(self.row, found[begin : begin + _AT_ONCE]))
        return sorted((row for row in rows if row is not None), key=lambda row: row["last_at"], reverse=True)

    async def row(self, session: str) -> SessionRow | None:
        """Return a session as it is kept now, if there is one and it is looked at."""
        if self.only not in (None, session):
            return None
        fold = await self._read(session)
        return browsing.row(fold) if fold.events else None

    async def tree(self, session: str) -> Tree:
        """Return the branches of a session."""
        tree = self._tree(await self._read(session))
        # Who has been deleted since does not go on from anywhere.
        tree["forks"] = [fork for fork in tree["forks"] if (await self._read(fork["name"])).events]
        return tree

    def _tree(self, fold: SessionFold) -> Tree:
        tree = browsing.tree(fold)
        tree["chat"] = self._talker(fold) is not None
        return tree

    async def place(self, session: str, branch: str, message: int) -> PlaceDetails | None:
        """Return a message of a branch, if it has that one."""
        return browsing.place_details(await self._read(session), branch, message)

    async def find(self, words: str) -> list[str]:
        """Return the sessions whose name has these words, or in which they were said."""
        return [name for name, fold in tuple(self._folds.items()) if browsing.mentions(fold, words)]

    def follow(self, hear: Callable[[str], None]) -> Callable[[], None]:
        """Have `hear` called with the name of each session that this process changes; return what ends that."""
        return follow(hear)

    def forget(self) -> None:
        """Let go of what was read; whoever asks again has it read again."""
        self._folds = {}

    async def _read(self, session: str) -> SessionFold:
        fold = await readable(self._memory.store, session, self._folds.get(session), self._folds)
        self._folds[session] = fold
        return fold

    # Going on

    async def restore(self, session: str, branch: str, message: int) -> None:
        """Let a session go on from a message, as `Memory.restore` does.

        Raises:
            SessionError: it has no such message any more.
        """
        place = await self._place(session, branch, message)
        fold = self._folds[session]
        marks = browsing.tree(fold)["checkpoints"]
        named = [mark["name"] for mark in marks if (mark["branch"], mark["message"]) == (branch, message)]
        if named:
            await self._memory.restore(session, named[-1])
        else:  # the number of the place means nothing to a person, that of the message does
            said = browsing.place_details(fold, branch, message)
            way = "before" if said is not None and said["role"] == "person" else "from"
            await self._memory.restore(session, place, branch=f"{way} message {message}")

    async def fork(self, session: str, branch: str, message: int, into: str) -> None:
        """Let a new session go on from a message, as `Memory.fork` does.

        Raises:
            SessionError: there is a session of that name already, or no such message any more.
        """
        await self._memory.fork(session, into.strip(), at=await self._place(session, branch, message))

    async def chat(self, session: str) -> Chat:
        """Return a chat with the agent that answered last, if it was defined in this kernel and remembers here.

        Raises:
            SessionError: it is not here.
        """
        fold = await self._read(session)
        talker = self._talker(fold)
        if talker is None:
            message = f"Nobody here goes on with session {session!r}."
            raise SessionError(message, remedy="Define its agent in this notebook again, with this memory.")
        return talker.chat(session)

    def _talker(self, fold: SessionFold) -> _Talker | None:
        turns = fold.line().turns
        found = named(turns[-1][1].agent) if turns else None
        if not isinstance(found, _Talker) or found.input is not str or found.memory is None:
            return None
        return found if found.memory.store is self._memory.store else None

    async def checkpoint(self, session: str, name: str) -> None:
        """Give the place where a session is now a name, as `Memory.checkpoint` does."""
        await self._memory.checkpoint(session, name.strip())

    async def _place(self, session: str, branch: str, message: int) -> Place:
        place = browsing.place_at(await self._read(session), branch, message)
        if place is None:
            text = f"Session {session!r} has no message {message} on branch {branch!r}."
            raise UnknownCheckpoint(text, remedy="Look at it again: it was changed elsewhere.")
        return place
