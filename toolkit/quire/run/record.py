"""What can be read from a run's log: while it runs, after it, and in another process tomorrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from quire.core.codec import encode
from quire.core.errors import AnswerRefused, DefinitionError
from quire.core.events import Cancelled, Event, Failed, Started, Succeeded
from quire.run.questions.ahead import answer_ahead
from quire.run.questions.answers import Question
from quire.run.questions.desk import desks
from quire.run.reprice import quotes
from quire.run.scope import state_of
from quire.views import drawing, tables
from quire.views.live import RunFold
from quire.views.rows import Reading
from quire.views.shapes import Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Part", "Record"]


class Record:
    """A run as its log tells it.

    `nodes`, `calls`, `tools`, `messages`, `events` and `cost` are DataFrames (`quire.views.tables.schema`
    explains each column); on the last line of a cell the record draws itself.
    """

    def __init__(
        self, id: str, events: Callable[[], Sequence[Event]], *, kept: bool = False, ends: Sequence[Event] = ()
    ) -> None:
        self.id = id
        self._events = events
        self._ends = ends
        self._kept = kept
        """Whether these are the events that the store has, and not a copy."""
        self._read: tuple[int, Reading] | None = None

    @property
    def past(self) -> Sequence[Event]:
        """The events so far."""
        return self._events()

    @property
    def account(self) -> Sequence[Event]:
        """The events so far; and if nobody is at work on it any more, how what had begun is taken to have ended."""
        return [*self.past, *self._ends] if self._ends else self.past

    def at(self, seq: int) -> Record:
        """Return the run as it was at a place in its log, with all its views: the first `seq` events.

        Raises:
            DefinitionError: the log has no such place.

        Example:
            >>> from quire import Step
            >>> @Step
            ... def double(n: int) -> int:
            ...     return 2 * n
            >>> run = double.start(21)
            >>> _ = run.wait()
            >>> run.at(1).status, run.at(2).status
            ('running', 'succeeded')
        """
        so_far = self.up_to(seq)
        return Record(self.id, lambda: so_far)

    def up_to(self, seq: int) -> list[Event]:
        """Return the events up to a place in the log; raise `DefinitionError` if there is none."""
        events = list(self.past)
        last = events[-1].seq if events else 0
        # A cell of a table is a whole number of numpy's.
        place = index(seq) if hasattr(seq, "__index__") else 0
        if not 1 <= place <= last:
            message = f"Run {self.id} has no place {seq!r}: it has {last} events."
            raise DefinitionError(message, remedy="The column `seq` of run.events has the places.")
        return [event for event in events if event.seq <= place]

    @property
    def name(self) -> str:
        """What was run."""
        return next((event.name for event in self.past if isinstance(event, Started)), "")

    @property
    def status(self) -> Status:
        """pending, running, waiting, succeeded, failed, skipped or cancelled."""
        return self.fold().head()["status"]

    @property
    def questions(self) -> list[Question]:
        """What the run asks a person, and nobody has answered: the oldest first."""
        desk = desks.get(self.id) if self._kept else None
        # What was answered a moment ago, in another thread, may not be in the log yet.
        asked = self.fold().questions.values() if desk is None else desk.open
        return [Question.of(one) for one in asked]

    @overload
    def answer(self, value: Any, /, *, by: str = "you") -> None: ...

    @overload
    def answer(self, question: Question | str, value: Any, /, *, by: str = "you") -> None: ...

    def answer(self, *said: Any, by: str = "you") -> None:
        """Answer a question of the run: `run.answer(question, value)`, or `run.answer(value)` when only one is open.

        `question` is one of `run.questions`, or its id. A choice is given by its words or its value, anything else
        as a value or as text. The run goes on at once, whatever thread this is called in. For a run that was killed,
        or had failed because nobody was there, the answer is kept with its record, and taken when it is resumed.

        Raises:
            AnswerRefused: it does not fit, and the question stays open; or there is no such question that is open.
            StreamConflict: another process is at work on the run.

        Example:
            >>> import quire
            >>> from quire import Step, current_context, errors
            >>> @Step
            ... async def publish(page: str) -> str:
            ...     sure = await current_context().ask(f"Publish {page}?", bool)
            ...     return f"published {page}" if sure else "kept"
            >>> run = publish.start("bees")
            >>> try:
            ...     run.wait()
            ... except errors.Unanswered:
            ...     quire.load(run.id).answer("yes", by="Ana")
            >>> publish.resume(run.id).wait()
            'published bees'
        """
        if len(said) not in (1, 2):
            message = f"answer() takes an answer, or a question and its answer, not {len(said)} things."
            raise AnswerRefused(message, remedy='run.answer("yes"), or run.answer(run.questions[0], "yes")')
        question, value = said if len(said) == 2 else (None, *said)  # noqa: PLR2004
        desk = desks.get(self.id)
        if desk is not None:
            desk.answer(question, value, by)
            return
        if not self._kept:
            message = f"This is a copy of run {self.id}, or the run as it was at some moment."
            raise AnswerRefused(message, remedy=f"Answer the run itself: quire.load({self.id!r}).answer(...)")
        self._renew(answer_ahead(self.id, question, value, by))

    def _renew(self, past: Sequence[Event]) -> None:
        self._events = lambda: past

    @property
    def output(self) -> Any:
        """The result as plain JSON; `None` while there is none."""
        events = self.past
        root = events[0].span if events else None
        ends = (e for e in reversed(events) if isinstance(e, Succeeded | Failed | Cancelled) and e.span == root)
        end = next(ends, None)
        return end.output if isinstance(end, Succeeded) else None

    @property
    def nodes(self) -> pd.DataFrame:
        """One row a node of the graph."""
        return tables.nodes(self.account if self._ends else self._reading)

    @property
    def calls(self) -> pd.DataFrame:
        """One row a model call."""
        return tables.calls(self._reading)

    @property
    def tools(self) -> pd.DataFrame:
        """One row a tool call."""
        return tables.tools(self._reading)

    @property
    def messages(self) -> pd.DataFrame:
        """One row a message."""
        return tables.messages(self._reading)

    @property
    def events(self) -> pd.DataFrame:
        """One row an event: the log itself."""
        return tables.events(self._reading)

    @property
    def state(self) -> Any:
        """The state that its steps share, as it is by now; `None` in a run without one.

        Raises:
            QuireError: the class of the state is not defined in this process.
        """
        return state_of(self.past)

    @property
    def states(self) -> pd.DataFrame:
        """One row a write to the state; `checkpoint` is the place for `at` and `fork` from which the state has it."""
        return tables.states(self._reading)

    @property
    def cost(self) -> pd.DataFrame:
        """The calls by agent and model."""
        return tables.cost(self._reading)

    def reprice(self, *others: Any) -> pd.DataFrame:
        """Return what the calls would have cost on other models, by agent and model, beside what they did cost.

        Each of the others is named as in `LLM(...)`, or is an `LLM`, or is a price in US dollars per million
        tokens. Prices are those of the day of each call. The tokens are those that were reported: another model
        cuts words otherwise and writes more or less, so this is an estimate. What was read from a provider's cache
        is taken to be read from the other's, at its price for that, and likewise what was written to it. A call
        that Quire itself had the reply to costs nothing on any model. A simulated run's tokens are simulated too,
        and the last column says so.

        Raises:
            DefinitionError: nobody says what one of the others costs; the error names models that are written alike.

        Example:
            >>> from quire import LLM, Agent
            >>> run = Agent(LLM("offline"), "Answer.").start("Why do bees dance?")
            >>> _ = run.wait()
            >>> table = run.reprice("claude-haiku-4-5", "deepseek:deepseek-chat", {"input": 0, "output": 0})
            >>> table[["other_model", "price_source", "simulated"]]
                  other_model  price_source  simulated
            0  claude-haiku-4-5  genai-prices       True
            1     deepseek-chat  genai-prices       True
            2       0 in, 0 out         given       True
        """
        return tables.reprice(self._reading, quotes(others))

    @property
    def _reading(self) -> Reading:
        """The events so far, looked through once for all tables."""
        past = self.past
        # A log only grows: as long as before, it is the same.
        if self._read is None or self._read[0] != len(past):
            self._read = len(past), Reading(past)
        return self._read[1]

    @property
    def graph(self) -> Part:
        """The graph alone."""
        return Part(self, "graph")

    @property
    def conversation(self) -> Part:
        """The conversation alone."""
        return Part(self, "conversation")

    def visualize(self, format: Literal["svg", "dot", "mermaid", "json", "ascii"] = "ascii") -> str:
        """Return the graph with every node's status, as text in that format.

        Raises:
            DefinitionError: there is no such format.
        """
        data = self.fold().snapshot()
        return drawing.drawn(data["graph"], format, data["nodes"], data["head"])

    def fold(self) -> RunFold:
        """Return the view of everything so far."""
        fold = RunFold()
        for event in self.account:
            fold.apply(event)
        return fold

    def export(self, path: str | Path) -> Path:
        """Write the log to a `.jsonl` file, lossless, and return the path; `quire.load` reads it back."""
        path = Path(path)
        path.write_bytes(b"".join(encode(event) for event in self.past))
        return path

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.name}: {self.status}>"

    def __str__(self) -> str:
        data = self.fold().snapshot()
        return drawing.run_text(data["head"], data["graph"], data["nodes"], data["messages"])


class Part:
    """One view of a run, shown alone: `run.graph`, `run.conversation`."""

    def __init__(self, record: Record, view: Literal["graph", "conversation"]) -> None:
        self.record = record
        self.view = view

    def __repr__(self) -> str:
        return f"<{self.view} of run {self.record.id}>"

    def __str__(self) -> str:
        data = self.record.fold().snapshot()
        if self.view == "graph":
            return drawing.graph_text(data["graph"], data["nodes"])
        return drawing.conversation_text(data["messages"])
