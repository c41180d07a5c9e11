"""What agents remember between their turns: conversations, each a session with a name, and notes.

A session is a stream of the store, and everything here is a fold of it: nothing is ever taken out of a session,
so every place in it can be gone back to. Instructions belong to the agent and are not remembered; an agent with
other instructions, another model or other tools goes on with the same conversation.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from operator import index
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote

from quire.agents import compact, notes
from quire.agents.browsing import Browser
from quire.agents.order import in_order
from quire.agents.sessions import Session, add, all_sessions, kept, read, stream_of, tell
from quire.agents.sitting import Sitting, beginning
from quire.agents.tool import Tool
from quire.core.errors import DefinitionError, SessionError, UnknownCheckpoint
from quire.core.events import Branched, Checkpointed, Compacted, Continued, Recalled
from quire.core.messages import Message
from quire.core.ports import Store
from quire.core.settings import settings
from quire.run import bridge, runtime
from quire.run.context import Context
from quire.run.run import check_session
from quire.views import tables
from quire.views.session import Place, SessionFold

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Memory", "browser"]

_CACHED = 256
"""Sessions that one memory holds in this process, those used last; the others are read again."""


class Memory:
    """Remembers conversations by the name of their session, for one agent or for several.

    An agent with a memory begins each turn with what its session holds, and adds the turn when it has succeeded;
    of a turn that fails only the log of its run tells. `execute("...", session="user-42")` names the session;
    without a name it is the agent's own. Calls into one session wait for each other in this process; of two
    processes that answer at once, both turns are kept, in the order in which they ended.

    Conversations are kept where the runs are, or in the `store` given: one, or the address of one. `backend="file"`
    is the folder `QUIRE_HOME`, `backend="db"` the database that the environment or `quire.toml` names, or else
    a file of SQLite in that folder.

    With `window`, models are shown that many turns at most. What is older is not shown any more; or, with `summary`,
    a model, an agent or a function of its text sums it up, and models are shown the summary before the turns. That
    is done when a turn makes them more than the window, for all but half of it, so once in many turns. It is a part
    of that turn's run, with its tokens and its cost. If it fails, the turn does not, and the next one tries again.

    A fork of a run takes turns of it again with something changed: each from where it had begun, whatever was said
    since, and on a branch of the fork's own. If the session was going on with the turn as it had been, it goes on
    with that branch, as one expects who edits an earlier message; otherwise it stays where it is.

    Raises:
        DefinitionError: an argument makes no sense.

    Example:
        >>> from quire import LLM, Agent, Memory
        >>> from quire.testing import ScriptedModel
        >>> model = ScriptedModel(["Noted.", "Teal."])
        >>> agent = Agent(model, "You take notes.", memory=Memory())
        >>> _ = agent.execute_sync("My favourite colour is teal.", session="readme")
        >>> agent.execute_sync("Which is it?", session="readme")
        'Teal.'
        >>> [message.text for message in model.requests[1].messages[1:]]
        ['My favourite colour is teal.', 'Noted.', 'Which is it?']
    """

    def __init__(
        self,
        store: Store | str | None = None,
        *,
        backend: Literal["file", "db"] | None = None,
        window: int | None = None,
        summary: compact.By | None = None,
    ) -> None:
        self._store = _checked_store(store, backend)
        self.window = _at_least_one("Memory(window", window)
        self.summary = _checked_summary(summary, window)
        self._folds: OrderedDict[str, tuple[Store, SessionFold]] = OrderedDict()

    def __repr__(self) -> str:
        return f"Memory({', '.join(self._options())})"

    def _options(self) -> list[str]:
        store = [] if self._store is None else [repr(self._store)]
        window = [] if self.window is None else [f"window={self.window}"]
        return [*store, *window, *([] if self.summary is None else [f"summary={compact.who(self.summary)}"])]

    @property
    def store(self) -> Store:
        """Where its conversations are kept."""
        return runtime.store() if self._store is None else self._store

    @property
    def reach(self) -> str:
        """How much of a conversation models are shown, in words.

        Example:
            >>> from quire import LLM, Memory
            >>> Memory(window=20, summary=LLM("offline")).reach
            'the last 20 turns, what is older summed up by offline'
        """
        if self.window is None:
            return "the conversation so far"
        last = "the last turn" if self.window == 1 else f"the last {self.window} turns"
        return last if self.summary is None else f"{last}, what is older summed up by {compact.who(self.summary)}"

    # An agent's turn

    @asynccontextmanager
    async def turn(self, agent: str, context: Context) -> AsyncGenerator[Sitting]:
        """Wait until the session is free, and hold it for the turn that an agent takes in that context."""
        session = context.session or agent
        async with in_order(self.store, stream_of(session)):
            fold = await self._read(session)
            begun = beginning(fold, context)
            shown = begun.line(fold).shown(self.window)
            sitting = Sitting(agent, fold, begun, shown, context, add=self._add)
            context.log.emit(
                Recalled,
                context.span,
                context.parent,
                session=session,
                branch=begun.branch,
                through=begun.place.seq,
                messages=len(shown),
            )
            yield sitting
            await self._sum_up(session, context)

    async def _sum_up(self, session: str, context: Context) -> None:
        """Let a summary stand for the older turns, if the turn that was taken there makes too many to be shown."""
        fold = self._cached(session)
        turn = None if fold is None else fold.turn_of(context.run, context.span)
        if fold is None or turn is None or self.window is None or self.summary is None:
            return
        hidden = compact.due(fold.line(turn.branch), self.window)
        if hidden is None:
            return
        with suppress(Exception):  # its own part of the run tells what went wrong
            await self._compact(fold, turn.branch, hidden, self.summary, context)

    # Going back, and going two ways

    async def checkpoint(self, session: str, name: str) -> None:
        """Give the place where a session is now a name; one that is in use means this place from now on.

        Raises:
            UnknownSession: nothing was said in a session of that name.
        """
        _check_name("checkpoint", name)
        async with self._alone(session) as fold:
            await self._add(fold, lambda now: [{"kind": Checkpointed, "branch": now.head, "name": name}])

    async def restore(
        self,
        session: str,
        name: str | int | Place | None = None,
        *,
        before: int | str | None = None,
        branch: str | None = None,
    ) -> None:
        """Let a session go on from a checkpoint, or from a place by its `seq` in the table of messages.

        `before=` is a turn, by the `seq` of one of its messages or by the id of its run: the session goes on from
        right before it. So an earlier message is said again in other words: restore, then execute with these.

        It goes on with a branch of its own, named `branch` or after the checkpoint; if there is one of that name, it
        gets a number. What was said after that place stays on the branch where it was said.

        Raises:
            UnknownSession: there is no such session.
            UnknownCheckpoint: it has no such checkpoint, place or turn.

        Example:
            >>> import asyncio
            >>> from quire import LLM, Agent
            >>> memory = Memory("memory://")
            >>> agent = Agent(LLM("offline"), "Plan.", memory=memory)
            >>> async def edit() -> int:
            ...     for words in ("Kyoto, please.", "And Osaka."):
            ...         await agent.execute(words, session="trip")
            ...     await memory.restore("trip", before=2)
            ...     await agent.execute("And Nara.", session="trip")
            ...     return len(await memory.history("trip"))
            >>> asyncio.run(edit())
            4
        """
        if branch is not None:
            _check_name("branch", branch)
        async with self._alone(session) as fold:
            place = _place(fold, name, before)
            wanted = _branch_name(name, before, place) if branch is None else branch
            await self._add(fold, lambda now: [{**_beginning(_unused(wanted, now), place), "kind": Branched}])

    async def switch(self, session: str, branch: str) -> None:
        """Let a session go on with another of its branches, from where that is.

        Raises:
            UnknownSession: there is no such session.
            SessionError: it has no such branch.

        Example:
            >>> import asyncio
            >>> from quire import LLM, Agent
            >>> memory = Memory("memory://")
            >>> agent = Agent(LLM("offline"), "Plan.", memory=memory)
            >>> async def both_ways() -> str:
            ...     await agent.execute("By train, please.", session="outing")
            ...     await memory.restore("outing", 0, branch="by boat")
            ...     await agent.execute("By boat, please.", session="outing")
            ...     await memory.switch("outing", "main")
            ...     return (await memory.history("outing"))[0].text
            >>> asyncio.run(both_ways())
            'By train, please.'
        """
        async with self._alone(session) as fold:
            _check_branch(fold, branch)

            def go_on(now: SessionFold) -> list[dict[str, Any]]:
                place = now.place_of(branch)
                return [] if now.head == branch else [{**_beginning(branch, place), "kind": Branched}]

            await self._add(fold, go_on)

    async def fork(
        self, session: str, into: str, at: str | int | Place | None = None, *, before: int | str | None = None
    ) -> None:
        """Let a new session go on from where another one is, or from one of its checkpoints or places.

        `before=` is a turn, as for `restore`. Nothing is copied: the new one says where it begins. Both go on, each
        for itself.

        Raises:
            UnknownSession: there is no such session.
            UnknownCheckpoint: it has no such checkpoint or place.
            SessionError: there is a session `into` already.
        """
        check_session(into, needed=True)
        async with self._alone(session) as fold:
            place = fold.place_of(fold.head) if (at, before) == (None, None) else _place(fold, at, before)
            if (await read(self.store, into)).events:
                raise _exists(into)
            # First the place is held, so that nobody deletes it before it is gone on from.
            origin = fold if place.session == session else await self._read(place.session)
            await self._add(origin, lambda _: [{"kind": Continued, "into": into, "to": place.seq}])

            def begin(now: SessionFold) -> list[dict[str, Any]]:
                if now.events:
                    raise _exists(into)
                return [{**_beginning("main", place), "kind": Branched}]

            await add(self.store, SessionFold(into, {**origin.origins, place.session: origin}), begin)

    async def history(self, session: str, branch: str | None = None) -> list[Message]:
        """Return everything said on a branch, by default the one that goes on; what a summary hides too.

        Raises:
            UnknownSession: there is no such session.
            SessionError: it has no such branch.
        """
        check_session(session, needed=True)
        fold = await self._kept(session)
        if branch is not None:
            _check_branch(fold, branch)
        return fold.line(branch).said()

    async def compact(self, session: str, by: compact.By, *, keep: int = 4) -> str:
        """Let a summary stand for all but the last turns of a session, and return it.

        `by` is a model, an agent or a function, which gets the older turns as text (and the summary before them).
        The turns are hidden from models, not deleted: `history` and the tables still have them, and from a
        checkpoint before the summary the session goes on with all of them.

        Raises:
            UnknownSession: there is no such session.
            SessionError: there are no older turns, or nobody summed them up.
        """
        least = cast("int", _at_least_one("compact(keep", keep))
        compact.who(by)
        async with self._alone(session) as fold:
            line = fold.line()
            hidden = len(line.turns) - least
            if hidden <= line.hidden:
                message = f"Session {session!r} has no turns to sum up before its last {least}."
                raise SessionError(message, remedy="Go on with it first, or keep fewer: keep=1.")
            return await self._compact(fold, fold.head, hidden, by)

    async def delete(self, session: str) -> None:
        """Delete a session with all its branches; that there is none is no error.

        Raises:
            SessionError: another session goes on from it.
        """
        check_session(session, needed=True)
        async with in_order(self.store, stream_of(session)):
            fold = await self._read(session)
            for into in dict.fromkeys(fold.forks):
                first = (await self.store.read(stream_of(into)))[:1]
                if any(isinstance(event, Branched) and event.origin == session for event in first):
                    message = f"Session {into!r} goes on from {session!r}, which it would lose."
                    raise SessionError(message, remedy=f"Delete {into!r} first.")
            await self.store.delete(stream_of(session))
            self._folds.pop(session, None)
            tell(session)

    async def _compact(
        self, fold: SessionFold, branch: str, hidden: int, by: compact.By, context: Context | None = None
    ) -> str:
        """Let a summary stand for so many turns of a branch, and return it: made in that context, if there is one."""
        line = fold.line(branch)
        older = [message for _, event in line.turns[line.hidden : hidden] for message in event.turn]
        before = line.summaries[-1][1].summary if line.summaries else None
        name = compact.who(by)
        summary = await compact.summed_up(by, compact.transcript(older, before), context)
        if context is not None:
            await context.log.flush()  # as for a turn, the session never knows more than the run's own log
        if not summary.strip():
            message = f"{name} summed up session {fold.session!r} with no word."
            raise SessionError(message, remedy="Let another model or function do it: by=...")
        fields = {"kind": Compacted, "branch": branch, "hidden": hidden, "summary": summary, "by": name}

        def hide(now: SessionFold) -> list[dict[str, Any]]:
            # Somebody else may have summed up as much in the meantime, or deleted the session.
            return [fields] if branch in now.lines and now.line(branch).hidden < hidden else []

        await self._add(fold, hide)
        return summary

    # Looking

    def browse(self) -> Browser:
        """Return all sessions for a person to look through; a memory on the last line of a cell draws that."""
        return Browser(self)

    def session(self, name: str) -> Session:
        """Return a session to look at: its messages, branches and checkpoints as DataFrames.

        Raises:
            UnknownSession: there is none of that name; raised by whoever looks.
        """
        check_session(name, needed=True)
        return Session(name, lambda: kept(self.store, name), lambda: Browser(self, name))

    def sessions(self) -> pd.DataFrame:
        """Return one row a session, the one that was used last first."""
        return tables.sessions(bridge.aside(lambda: all_sessions(self.store)))

    # Notes

    def notes(self, namespace: str) -> list[Tool[Any]]:
        """Return three tools for an agent, to write notes, to search and to forget them.

        All who have the same namespace share its notes. Search finds words, not meanings.

        Example:
            >>> from quire import Memory
            >>> write, search, forget = Memory().notes("ada")
            >>> write.execute_sync({"text": "Ada takes the early train."})
            'note 1'
            >>> [found["text"] for found in search.execute_sync({"words": "train"})]
            ['Ada takes the early train.']
        """
        return notes.tools(lambda: self.store, namespace)

    # Keeping account

    @asynccontextmanager
    async def _alone(self, session: str) -> AsyncGenerator[SessionFold]:
        check_session(session, needed=True)
        async with in_order(self.store, stream_of(session)):
            yield await self._kept(session)

    async def _read(self, session: str) -> SessionFold:
        return self._remember(await read(self.store, session, self._cached(session)))

    async def _kept(self, session: str) -> SessionFold:
        return self._remember(await kept(self.store, session, self._cached(session)))

    async def _add(self, fold: SessionFold, make: Callable[[SessionFold], list[dict[str, Any]]]) -> None:
        self._remember(await add(self.store, fold, make))

    def _cached(self, session: str) -> SessionFold | None:
        store, fold = self._folds.get(session, (None, None))
        return fold if store is self.store else None

    def _remember(self, fold: SessionFold) -> SessionFold:
        self._folds[fold.session] = (self.store, fold)
        self._folds.move_to_end(fold.session)
        if len(self._folds) > _CACHED:
            self._folds.popitem(last=False)
        return fold


def browser(store: Store | str | None = None) -> Browser:
    """Return what looks through the sessions of a store, or of the one at an address: where the runs are, by default.

    Example:
        >>> import quire
        >>> quire.views.sessions("memory://")
        <browser of sessions in MemoryStore()>
    """
    return Memory(store).browse()


def _checked_store(store: Any, backend: Any) -> Store | None:
    if store is not None and backend is not None:
        message = "Memory(store=..., backend=...) says twice where conversations are kept."
        raise DefinitionError(message, remedy="Leave one of them out.")
    if backend is not None:
        if backend not in _BACKENDS:
            message = f"Memory(backend={backend!r}) is none."
            raise DefinitionError(message, remedy='backend="file" or backend="db"; or an address: store="redis://..."')
        return _opened(_BACKENDS[backend]())
    if isinstance(store, str):
        return _opened(store)
    if store is not None and not hasattr(store, "append"):
        message = f"Memory(store={store!r}) is no store."
        raise DefinitionError(message, remedy="Leave it out: conversations are then kept where the runs are.")
    return store


@cache
def _opened(address: str) -> Store:
    # One for each address, so that calls into one session wait for each other whichever memory they come by.
    return runtime.open_store(address)


def _database() -> str:
    named = os.environ.get("QUIRE_DATABASE_URL") or settings().storage
    return named or f"sqlite:///{quote(str(runtime.home().absolute() / 'quire.db'))}"


_BACKENDS: dict[str, Callable[[], str]] = {
    "file": lambda: f"file:{quote(str(runtime.home().absolute()))}",
    "db": _database,
}


def _place(fold: SessionFold, name: str | int | Place | None, before: int | str | None) -> Place:
    """Return the place that a checkpoint's name or a number means, or that is right before a turn."""
    if (name is None) == (before is None):
        message = (
            f"Session {fold.session!r} can go on from one place, and {'none is' if name is None else 'two are'} named."
        )
        raise DefinitionError(message, remedy='Name a checkpoint, "outline", or a place, 3, or a turn: before=3')
    if before is not None:
        return _before(fold, before)
    if isinstance(name, Place) and (name.session == fold.session or name.session in fold.origins):
        return name
    # A cell of a table is a whole number of numpy's.
    number = -1 if isinstance(name, bool) or not hasattr(name, "__index__") else index(cast("int", name))
    if 0 <= number <= len(fold.events):
        return Place(fold.session, number)
    if isinstance(name, str) and name in fold.checkpoints:
        return fold.checkpoints[name]
    if isinstance(name, str):
        message = f"Session {fold.session!r} has no checkpoint {name!r}."
        known = ", ".join(fold.checkpoints) or "none yet: await memory.checkpoint(session, name=...)"
        raise UnknownCheckpoint(message, remedy=f"It has {known}.")
    message = f"Session {fold.session!r} has no place {name!r}."
    raise UnknownCheckpoint(message, remedy=f"Places are numbers from 0 to {len(fold.events)}: `seq` of its messages.")


def _before(fold: SessionFold, turn: int | str) -> Place:
    for line in fold.lines.values():
        for session, event in line.turns:
            if event.run == turn or (session == fold.session and event.seq == turn):
                home = fold if session == fold.session else fold.origins[session]
                return home.place_of(event.branch, event.seq - 1)
    message = f"Session {fold.session!r} has no turn {turn!r}."
    raise UnknownCheckpoint(
        message, remedy="before= is the `seq` of a message that was said in it, or the id of a run."
    )


def _branch_name(name: str | int | Place | None, before: int | str | None, place: Place) -> str:
    """Return what a branch is called that begins there."""
    if isinstance(name, str):
        return name
    return f"from {place.seq}" if before is None else f"before {before}"


def _beginning(branch: str, place: Place) -> dict[str, Any]:
    return {"branch": branch, "origin": place.session, "to": place.seq}


def _unused(name: str, fold: SessionFold) -> str:
    """Return a name that no branch has yet."""
    number, found = 1, name
    while found in fold.lines:
        number += 1
        found = f"{name} {number}"
    return found


def _exists(session: str) -> SessionError:
    message = f"There is a session {session!r} already."
    return SessionError(message, remedy="Fork into another name, or delete that session first.")


def _check_branch(fold: SessionFold, branch: str) -> None:
    if branch not in fold.lines:
        message = f"Session {fold.session!r} has no branch {branch!r}."
        raise SessionError(message, remedy=f"There are {', '.join(fold.lines)}.")


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        message = f"{name!r} is no name for a {what}."
        raise DefinitionError(message, remedy='Give a text, such as "after-outline".')


def _checked_summary(summary: Any, window: int | None) -> compact.By | None:
    if summary is None:
        return None
    compact.who(summary, "Memory(summary")
    if window is None:
        message = "Memory(summary=...) does not say when to sum up."
        raise DefinitionError(message, remedy="Say how many turns are shown at most: Memory(window=20, summary=llm)")
    return summary


def _at_least_one(which: str, number: int | None) -> int | None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"{which}={number!r}) makes no sense."
        raise DefinitionError(message, remedy="Give a number of turns, 1 or more.")
    return number
