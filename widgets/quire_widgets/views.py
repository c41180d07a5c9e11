"""What can be shown, each as data for the page and as a still picture for the saved notebook."""

from __future__ import annotations

import html
import json
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from quire.core.errors import DefinitionError, QuireError
from quire.run.bridge import call_on
from quire.run.history import load
from quire.run.record import Part, Record
from quire.run.run import Run
from quire.run.runnable import Runnable
from quire.views import drawing
from quire.views.details import details
from quire.views.live import RunFold
from quire.views.shapes import AgentSnapshot, Places
from quire_widgets.chat import Chatting, ChatView
from quire_widgets.moments import Moments
from quire_widgets.sessions import Browsable, SessionsView

__all__ = ["CardView", "RunView", "View", "view_of"]

Bundle = dict[str, str]
"""A picture by MIME type."""


class View(Protocol):
    """Something that is shown."""

    def open(self, changed: Callable[[], None]) -> None:
        """Begin to follow; `changed` is called when there is news."""

    def close(self) -> None:
        """Stop following."""

    def snapshot(self) -> tuple[Any, int]:
        """Return everything it shows, and the number of the last patch."""
        ...

    def patch(self) -> Any | None:
        """Return what is new since the last patch."""

    def soon(self, do: Callable[[], None]) -> None:
        """Call a function where it is safe to read what is shown."""

    def still(self) -> Bundle:
        """Return the picture that stays in the notebook."""
        ...


def view_of(thing: Any) -> RunView | CardView | SessionsView | ChatView:
    """Return the view of a run, of one part of a run, of something that can be run, of sessions, or of a chat."""
    if isinstance(thing, Chatting):
        return ChatView(thing)
    if isinstance(thing, Browsable):
        return SessionsView(thing.browse())
    if isinstance(thing, Part):
        return RunView(thing.record, thing.view)
    return RunView(thing, "run") if isinstance(thing, Record) else CardView(thing)


class CardView:
    """Something that has not been run: its graph, or an agent's card."""

    def __init__(self, runnable: Runnable[Any, Any]) -> None:
        # As it is now: a card is the picture of a moment, also when the object changes later.
        self._card = runnable.card()
        self._places: Places | None = None

    def open(self, changed: Callable[[], None]) -> None:
        """Do nothing: a card does not change."""

    def close(self) -> None:
        """Do nothing."""

    def snapshot(self) -> tuple[Any, int]:
        """Return the card."""
        return {**self._card, **_told(self._places)}, 0

    def patch(self) -> None:
        """Return nothing new."""

    def soon(self, do: Callable[[], None]) -> None:
        """Call it at once."""
        do()

    def still(self) -> Bundle:
        """Return the card's picture."""
        card = self._card
        if card["kind"] == "agent":
            return _agent_picture(card)
        picture = drawing.graph_picture(card["graph"])
        self._places = picture.places
        return {
            "text/html": drawing.flow_html(card["head"], card["graph"], picture.svg),
            "image/svg+xml": picture.svg,
            "text/plain": drawing.graph_text(card["graph"]),
        }


class RunView:
    """A run while it goes on and after, or one part of it.

    It holds on to the run only while a page shows it; later the run is read back from where it is kept.
    """

    def __init__(self, record: Record, kind: str) -> None:
        self.kind = kind
        self._id = record.id
        self._record = weakref.ref(record)
        self._kept = None if isinstance(record, Run) else record
        begun = record if isinstance(record, Run) and record.is_root else None
        # What a fork needs: the run itself may be forgotten by then.
        self._runnable, self._loop = (begun.runnable, begun.loop) if begun is not None else (None, None)
        self._fold: RunFold | None = None
        self._moments: Moments | None = None
        self._leave: Callable[[], None] | None = None
        self._places: Places | None = None
        self._closed = False
        """Whether pages have shown it, and none does any more."""

    @property
    def record(self) -> Record:
        """The run."""
        return self._kept or self._record() or load(self._id)

    @property
    def running(self) -> Run[Any] | None:
        """The run, if it has not ended."""
        record = self._record()
        return record if isinstance(record, Run) and not record.log.closed else None

    def open(self, changed: Callable[[], None]) -> None:
        """Begin to follow the run."""
        self._closed = False
        if self._fold is not None:
            return
        record = self.record
        fold = record.fold()
        fold.patch()  # what the fold has seen so far is in the snapshot
        self._fold = fold
        if self.kind == "run" and not (isinstance(record, Run) and not record.is_root):
            self._moments = Moments(record.past)
        run = self.running
        if run is None:
            return

        def take(event: Any) -> None:
            fold.apply(event)
            changed()

        self._leave = run.log.subscribe(take)

    def close(self) -> None:
        """Let the run go."""
        if self._leave is not None:
            self._leave()
        self._leave, self._fold, self._moments = None, None, None
        self._closed = True

    def snapshot(self) -> tuple[Any, int]:
        """Return everything the page shows."""
        fold = self._fold or self.record.fold()
        told = {**fold.snapshot(), "kind": self.kind, "forkable": self._runnable is not None, **_told(self._places)}
        if self._moments is not None:
            told["ticks"] = self._moments.ticks()
        return told, fold.seq

    def patch(self) -> Any | None:
        """Return what is new."""
        patch: Any = self._fold.patch() if self._fold is not None else None
        # An event that nothing is seen of waits for the next one that something is; a run's last is one.
        if patch is not None and self._moments is not None and (ticks := self._moments.news()) is not None:
            patch["ticks"] = ticks
        return patch

    def at(self, seq: int) -> Any | None:
        """Return what was to be seen after the first `seq` events; `None` once the view is closed."""
        return self._moments.at(seq) if self._moments is not None else None

    def fork(
        self, change: Mapping[str, Any], begun: Callable[[Run[Any]], object], refused: Callable[[QuireError], object]
    ) -> None:
        """Start a run that goes on from a place in this one's log, or with another output of a node.

        It lives on the loop that this one was on.
        """
        runnable, loop = self._runnable, self._loop
        if runnable is None or loop is None:
            return  # a page does not offer it where nobody knows what was run

        def fork() -> None:
            try:
                begun(runnable.fork(self.record, **self._way(change)))
            except QuireError as error:
                refused(error)

        if loop.is_running():
            call_on(loop, fork)
        else:
            fork()

    def soon(self, do: Callable[[], None]) -> None:
        """Call it on the run's own loop, because the fold belongs to it while the run goes on."""
        run = self.running
        if run is None or run.loop.is_closed():
            do()
        else:
            run.loop.call_soon_threadsafe(do)

    def _way(self, change: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a fork is told of where it begins."""
        if "node" not in change:
            return {"at": change["seq"]}
        node, text = change["node"], change["output"]
        told = details(self.record.past, node)
        output = told["output"] if told is not None else None
        if output is None or output["type"] == "str" or not _is_json(output["text"]):
            return {"edit": {node: text}}  # what was shown is the words themselves
        try:
            return {"edit": {node: json.loads(text)}}
        except ValueError as error:
            message = f"The output of `{node}` is {output['type']}, and this is not JSON: {error}."
            raise DefinitionError(message, remedy="Change only what stands between the quotes and brackets.") from None

    def inspect(self, node: str, seq: int | None) -> Any | None:
        """Return what the inspector shows of a node, now or after the first `seq` events."""
        past = self.record.account if self._moments is None or seq is None else self._moments.up_to(seq)
        return details(past, node)

    def awaits(self, run: str) -> bool:
        """Whether somebody can answer that run's questions here: not once a page has closed the view again."""
        return self._id == run and not self._closed

    def answer(self, question: str, value: Any) -> None:
        """Answer a question of the run."""
        self.record.answer(question, value)

    def stop(self) -> None:
        """Stop the run."""
        if self.running is not None:
            self.running.cancel("stopped by you")

    def still(self) -> Bundle:
        """Return the picture of this moment."""
        data = (self._fold or self.record.fold()).snapshot()
        head, graph, nodes, messages = data["head"], data["graph"], data["nodes"], data["messages"]
        if self.kind == "conversation":
            spoken = drawing.conversation_text(messages)
            return {"text/html": drawing.conversation_html(head, messages), "text/plain": spoken}
        picture = drawing.graph_picture(graph, nodes, head)
        self._places = self._places or picture.places  # a page that shows the run keeps its first ones, too
        shown = messages if self.kind == "run" else []
        return {
            "text/html": drawing.run_html(head, graph, nodes, shown, picture.svg),
            "image/svg+xml": picture.svg,
            "text/plain": drawing.run_text(head, graph, nodes, shown),
        }


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _told(places: Places | None) -> dict[str, Places]:
    """Tell where everything is, where the still picture had to find it out."""
    return {} if places is None else {"places": places}


def _agent_picture(card: AgentSnapshot) -> Bundle:
    head = card["head"]
    rows = [(tool["name"], f"{tool['name']}({tool['takes']}) -> {tool['gives']}") for tool in card["tools"]]
    text = [f"{head['name']}: agent, {head['model']}, {head['input']} -> {head['output']}", card["instructions"]]
    text += [f"  {line}" for _, line in rows]
    safe = html.escape
    tools = "".join(f"<li><code>{safe(line)}</code></li>" for _, line in rows)
    page = (
        f"<p><b>{safe(head['name'])}</b> agent<br>{safe(head['model'])} "
        f"<code>{safe(head['input'])} → {safe(head['output'])}</code></p><p>{safe(card['instructions'])}</p>"
    )
    return {"text/html": f"{page}<ul>{tools}</ul>" if tools else page, "text/plain": "\n".join(text)}
