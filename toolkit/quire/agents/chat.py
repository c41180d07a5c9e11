"""A conversation with an agent that a person holds by hand: in a notebook's chat box, or from code.

What is said is a turn of a session like any other, and each turn is a run. A chat only keeps together what belongs
together: the session as it is kept, and the turn that goes on or has come to nothing. It knows no screen.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from quire.agents.memory import Memory
from quire.agents.sessions import follow, readable, stream_of, tell
from quire.core.errors import SessionError, UnknownCheckpoint
from quire.core.events import Event, Remembered
from quire.core.ports import Store
from quire.run import bridge, runtime
from quire.run.definitions import latest
from quire.run.run import Run, check_session
from quire.views import chat as views
from quire.views.chat import ChatSnapshot
from quire.views.live import RunFold
from quire.views.session import Place, SessionFold
from quire.views.shapes import Message

if TYPE_CHECKING:
    from quire.agents.agent import Agent

__all__ = ["Chat"]


@dataclass(slots=True)
class _Turn:
    """A turn that goes on, or that has come to nothing."""

    text: str
    run: Run[Any]
    fold: RunFold
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has ended and the chat shows how."""
    closing: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Going:
    """A turn that goes on, for the other chats of its session."""

    store: Store
    session: str
    text: str
    run: Run[Any]


_going: list[_Going] = []
"""What goes on in this process. A chat may be gone when its turn is not: its cell was run again, say."""


class Chat:
    """A conversation with an agent, in a session; a notebook draws it with a box to write in.

    `agent.chat()` makes one. `send` says something and returns the reply; printing the chat prints the conversation.
    The turns are kept in the agent's memory; an agent without one remembers in this chat, as long as there is it.

    Example:
        >>> import asyncio
        >>> from quire import Agent
        >>> from quire.testing import ScriptedModel
        >>> guide = Agent(ScriptedModel(["Kyoto.", "In April."]), "You plan trips.", name="guide")
        >>> chat = guide.chat()
        >>> async def talk() -> str:
        ...     await chat.send("Where to?")
        ...     return await chat.send("When?")
        >>> asyncio.run(talk())
        'In April.'
        >>> print(chat)
        guide, scripted, session guide, 15 tokens, $0 simulated
        <BLANKLINE>
        you (person)
          Where to?
        guide (agent, scripted, simulated)
          Kyoto.
        you (person)
          When?
        guide (agent, scripted, simulated)
          In April.
    """

    def __init__(self, agent: Agent, session: str | None = None) -> None:
        check_session(session)
        self._agent = agent
        self._named = session
        self.session = session or agent.name
        """The conversation that it goes on with."""
        stream_of(self.session)  # refuses a name that nothing can be kept by
        self._own = Memory(runtime.open_store("memory://"))
        self._turn: _Turn | None = None
        self._held = False
        self._kept: tuple[Store | None, SessionFold] = (None, SessionFold(self.session))
        self._messages: list[Message] = []
        self._turns: list[Place] = []
        """The place right before each turn on the branch that goes on."""
        self._numbers: dict[str, int] = {}
        """Of the turns, by the id of their first message."""
        self._told: dict[tuple[str, str], list[Message]] = {}
        """How the turns that were taken here were told by their runs, by run and span."""
        self._read: dict[tuple[str, str], list[Message]] = {}
        """The other turns, likewise."""
        self._followers: list[Callable[[], None]] = []
        self._watched = 0
        self._lock = threading.Lock()
        """A run may be on another loop than whoever looks."""

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        self.catch_up()
        return views.chat_text(self.snapshot())

    @property
    def agent(self) -> Agent:
        """Whom one talks with: the agent of that name as it was defined last."""
        return cast("Agent", latest(self._agent))

    @property
    def memory(self) -> Memory:
        """What remembers the conversation."""
        return self.agent.memory or self._own

    # Talking

    async def send(self, text: str, *, instead_of: int | None = None) -> Any:
        """Say something, and return the reply.

        With `instead_of`, an earlier turn is taken again with other words: the first is 1, the last one -1. The
        conversation goes on from there on a branch of its own, and what was said instead stays on the other one.

        Raises:
            SessionError: another turn goes on, or there is no such turn.
        """
        run = await self.start(text, instead_of=instead_of)
        turn = self._turn
        try:
            return await run
        finally:
            if turn is not None:
                await turn.over.wait()

    async def start(self, text: str, *, instead_of: int | None = None, attended: bool | None = None) -> Run[Any]:
        """Say something, and return the run of the turn; `send` says what the words mean, `start` of an agent too."""
        with self._holding():
            if instead_of is not None:
                await self._go_back(instead_of)
            return self._begin(text, attended=attended)

    def stop(self) -> None:
        """Stop the turn that goes on."""
        if self._turn is not None:
            self._turn.run.cancel("stopped by you")

    @contextmanager
    def _holding(self) -> Generator[None]:
        if self.going():
            message = f"A turn goes on in the chat with `{self.agent.name}`."
            raise SessionError(message, remedy="Wait until it has ended, or stop it: chat.stop()")
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._tell()

    async def _go_back(self, number: int) -> None:
        """Let the session go on from right before a turn."""
        await self.look()
        count = len(self._turns)
        if number == 0 or not -count <= number <= count:
            message = f"Session {self.session!r} has no turn {number!r} on branch {self._kept[1].head!r}."
            raise UnknownCheckpoint(message, remedy=f"It has {count} there: the first is 1, the last one -1.")
        place = self._turns[number - 1 if number > 0 else number]
        edits = sum(name.startswith("edit ") for name in self._kept[1].lines)
        await self.memory.restore(self.session, place, branch=f"edit {edits + 1}")
        self._turn = None
        await self.look()

    def _begin(self, text: str, *, attended: bool | None) -> Run[Any]:
        run = self._speaker().start(text, session=self._named, attended=attended)
        self._attend(text, run)
        going = _Going(self.memory.store, self.session, text, run)
        _going.append(going)
        run.when_ended(lambda: _going.remove(going))
        tell(self.session)
        return run

    def _attend(self, text: str, run: Run[Any]) -> None:
        turn = self._turn = _Turn(text, run, run.fold())
        run.log.subscribe(partial(self._hear, turn))
        turn.closing = asyncio.get_running_loop().create_task(self._close(turn))
        self._tell()

    def _join(self) -> None:
        """Show the turn that another chat of the session has begun: it can be stopped, and answered, here too."""
        store, loop = self.memory.store, asyncio.get_running_loop()
        for other in () if self.going() else tuple(_going):
            is_here = other.session == self.session and other.store is store
            if is_here and other.run.loop is loop and not other.run.finished:
                self._attend(other.text, other.run)
                break

    def _speaker(self) -> Agent:
        """Return the agent as it is now, with a memory."""
        agent = self.agent
        if agent.memory is None:
            agent = copy(agent)
            agent.memory = self._own
        return agent

    def _hear(self, turn: _Turn, event: Event) -> None:
        with self._lock:
            turn.fold.apply(event)
        self._tell()

    async def _close(self, turn: _Turn) -> None:
        ended = asyncio.Event()
        turn.run.when_ended(ended.set)
        try:
            await ended.wait()
            with suppress(Exception):  # a store that cannot be read: what was said here is still shown
                await self.look()
                if turn.run.error is None:  # it is in the session, unless somebody has deleted that since
                    self._turn = None
        finally:
            turn.over.set()  # also if its loop is closed
            self._tell()

    # Going back, and going two ways

    async def edit(self, message: str, text: str, *, attended: bool | None = None) -> Run[Any]:
        """Say one of the messages in other words, by its id in a snapshot, and return the run of the turn.

        Raises:
            SessionError: another turn goes on, or the message is not on the branch that goes on.
        """
        if any(said["id"] == message for said in self._unkept()):
            return await self.start(text, attended=attended)
        number = self._numbers.get(message)
        if number is None:
            what = "This message is not on the branch that goes on."
            raise UnknownCheckpoint(what, remedy="Go on with its branch first.")
        return await self.start(text, instead_of=number, attended=attended)

    async def again(self, *, attended: bool | None = None) -> Run[Any]:
        """Say once more what has come to nothing.

        Raises:
            SessionError: nothing has.
        """
        if self._turn is None:
            message = "The last turn has not come to nothing."
            raise SessionError(message, remedy="Say something else: await chat.send(...)")
        return await self.start(self._turn.text, attended=attended)

    async def switch(self, branch: str) -> None:
        """Go on with another branch, as `Memory.switch` does."""
        await self._change(lambda: self.memory.switch(self.session, branch))

    async def restore(self, name: str) -> None:
        """Go on from a checkpoint, as `Memory.restore` does."""
        await self._change(lambda: self.memory.restore(self.session, name))

    async def checkpoint(self, name: str) -> None:
        """Give the place where the conversation is now a name, as `Memory.checkpoint` does."""
        with self._holding():
            await self.memory.checkpoint(self.session, name.strip())
            await self.look()

    async def _change(self, do: Callable[[], Any]) -> None:
        with self._holding():
            await do()
            self._turn = None  # what came to nothing did so on the other branch
            await self.look()

    def answer(self, question: str, value: Any) -> None:
        """Answer a question of the turn, as `Run.answer` does."""
        if self._turn is not None:
            self._turn.run.answer(question, value)

    def going(self) -> bool:
        """Whether a turn goes on."""
        return self._held or (self._turn is not None and not self._turn.over.is_set())

    def asks(self, run: str) -> bool:
        """Whether that run is the turn that goes on, so that its questions can be answered here."""
        return self._turn is not None and self._turn.run.id == run

    # Looking

    def snapshot(self) -> ChatSnapshot:
        """Return everything there is to see, as of the last look."""
        if self._kept[0] is None:
            self.catch_up()
        with self._lock:
            agent, turn, fold = self.agent, self._turn, self._kept[1]
            shown = turn.fold.snapshot() if turn is not None else None
            head = views.head_of(agent.name, agent.llm.model, fold, shown)
            unkept = views.live(turn.run.id, shown) if turn is not None and shown is not None else []
            return ChatSnapshot(kind="chat", head=head, messages=[*self._messages, *unkept])

    async def look(self) -> None:
        """Read what the session has now, by whomever it was added."""
        await self._look()
        self._join()
        self._tell()

    def catch_up(self) -> None:
        """Read what the session has now, for code that cannot await."""
        bridge.aside(self._look)

    async def _look(self) -> None:
        store = self.memory.store
        before, known = self._kept
        fold = await readable(store, self.session, known if before is store else None)
        with self._lock:
            self._kept = (store, fold)
            self._settle(fold)

    def follow(self, hear: Callable[[], None]) -> None:
        """Have `hear` called whenever there is something new to see."""
        self._followers.append(hear)

    def watch(self) -> Callable[[], None]:
        """Keep up with what others add to the session, on the loop that is running; return what ends that.

        When nobody watches any more, what was read is let go of, and read again for whoever looks.
        """
        loop, work = asyncio.get_running_loop(), set[asyncio.Task[None]]()

        def look() -> None:
            task = loop.create_task(self.look())
            work.add(task)  # a loop holds on to its tasks only weakly
            task.add_done_callback(work.discard)

        def hear(session: str) -> None:
            if session == self.session and not loop.is_closed():
                loop.call_soon_threadsafe(look)

        look()
        self._watched += 1
        leave = follow(hear)

        def end() -> None:
            leave()
            self._watched -= 1
            self._forget()

        return end

    def _tell(self) -> None:
        for hear in tuple(self._followers):
            hear()

    # Keeping account

    def _settle(self, fold: SessionFold) -> None:
        """Take what a session has now into account."""
        line, turn = fold.line(), self._turn
        marks = views.marked(fold, line)
        if turn is not None and turn.run.finished:
            self._take_over(turn, fold)
        self._messages, self._turns, self._numbers = [], [], {}
        for number, (session, event) in enumerate(line.turns, 1):
            if self._turn is not None and event.run == self._turn.run.id:
                continue  # it is told by its run until that has ended
            said = self._told.get((event.run, event.span)) or self._known(event)
            names = marks.get(number)
            self._messages += said if names is None else [*said[:-1], views.with_marks(said[-1], names)]
            home = fold if session == self.session else fold.origins[session]
            self._turns.append(home.place_of(event.branch, event.seq - 1))
            self._numbers[said[0]["id"]] = len(self._turns)

    def _forget(self) -> None:
        if self._watched or self.going():
            return
        with self._lock:
            self._kept = (None, SessionFold(self.session))
            self._messages, self._turns, self._numbers, self._read, self._told = [], [], {}, {}, {}

    def _take_over(self, turn: _Turn, fold: SessionFold) -> None:
        """Show a turn that is kept as its run has told it: that knows more than the session."""
        root = next((event.span for event in turn.run.log.events if event.run == turn.run.id), "")
        if fold.turn_of(turn.run.id, root) is None:
            return
        self._told[turn.run.id, root] = views.live(turn.run.id, turn.fold.snapshot())
        self._turn = None

    def _known(self, event: Remembered) -> list[Message]:
        key = (event.run, event.span)
        if key not in self._read:
            self._read[key] = views.turn(event, data=self.agent.output is not str)
        return self._read[key]

    def _unkept(self) -> list[Message]:
        turn = self._turn
        return [] if turn is None else views.live(turn.run.id, turn.fold.snapshot())
