"""Everything this kernel shows: cells' slots, the views in them, and the line to the page.

A cell's output is a still picture in a slot (`Screen` says why). The board makes the slots, answers
what the page asks, sends what is new in one message every 50 ms, and renews the still picture when a
run has ended, so that the saved notebook shows how it went.
"""

from __future__ import annotations

import asyncio
import contextvars
import secrets
import threading
import time
from functools import cache
from typing import Any

from IPython.core.getipython import get_ipython

from quire.core.errors import QuireError
from quire.run.bridge import call_on, loop_for_runs
from quire.run.run import Run, running
from quire_widgets.chat import ChatView
from quire_widgets.screen import Message, Screen
from quire_widgets.sessions import SessionsView
from quire_widgets.views import CardView, RunView, view_of

__all__ = ["Board", "board"]

_EVERY = 0.05
"""Seconds between batches: below JupyterLab's limit on messages, above what an eye can follow."""

View = RunView | CardView | SessionsView | ChatView


@cache
def board() -> Board:
    """Return this kernel's board."""
    return Board()


class Board:
    """What is shown, by the id of its slot."""

    def __init__(self) -> None:
        self.screen = Screen()
        self.screen.on_message(self._receive)
        self.views: dict[str, View] = {}
        self._outputs: dict[str, list[str]] = {}
        """The views that share a cell's output: the first, and under it what was opened in it, as a run's forks."""
        self._news: set[str] = set()
        self._due = False
        self._lock = threading.Lock()
        self._idle = False
        """Whether no cell is running."""
        self._missed: set[str] = set()
        """Outputs that were renewed while no cell was running."""
        shell: Any = get_ipython()
        loop: Any = getattr(shell.kernel, "io_loop", None)  # not every kernel is made of Tornado
        self._home: asyncio.AbstractEventLoop = loop_for_runs() if loop is None else loop.asyncio_loop
        """Where cells run."""
        shell.events.register("pre_run_cell", self._cell_begins)
        shell.events.register("post_run_cell", self._cell_ended)

    def show(self, thing: Any) -> None:
        """Put something below the current cell, and keep it up to date."""
        name, view = self._add(thing)
        self._outputs[name] = [name]
        self._publish(name, update=False)
        self._renew_later(name, view)

    def ask(self, run: str) -> None:
        """Show a run that asks somebody, if none of its views is there to be answered in."""
        asking = running.get(run)
        able = (view for view in self.views.values() if isinstance(view, RunView | ChatView))
        if asking is None or any(view.awaits(run) for view in able):
            return
        # Under the cell that runs now, which may be waiting for it; otherwise under the one that started it.
        if self._idle:
            self.show(asking)
        else:
            contextvars.Context().run(self.show, asking)

    def _add(self, thing: Any) -> tuple[str, View]:
        name, view = secrets.token_hex(6), view_of(thing)
        if isinstance(view, ChatView):
            view.loop = self._home
        self.views[name] = view
        return name, view

    def _renew_later(self, output: str, view: View) -> None:
        if isinstance(view, SessionsView | ChatView):
            view.renew = lambda: self._renew(output)
        run = view.running if isinstance(view, RunView) else None
        if run is not None:
            run.when_ended(lambda: self._renew(output))

    def _renew(self, output: str) -> None:
        if self._idle:
            self._missed.add(output)
        # In a context of its own, so that it counts as output of the cell that runs now: tools that execute
        # notebooks listen to that one only.
        contextvars.Context().run(self._publish, output, update=True)

    def _cell_begins(self, _: Any) -> None:
        # The same tools listen to nothing between two cells, so what they missed is said again.
        self._idle, missed, self._missed = False, self._missed, set()
        for output in missed:
            self._publish(output, update=True)

    def _cell_ended(self, _: Any) -> None:
        self._idle = True

    def _publish(self, output: str, *, update: bool) -> None:
        pictures = {name: self.views[name].still() for name in self._outputs[output]}
        slots = [
            f'<div class="quire-slot" data-quire="{self.screen.key}/{name}">{picture["text/html"]}</div>'
            for name, picture in pictures.items()
        ]
        told = {"text/html": "\n".join(slots), "text/plain": "\n\n".join(p["text/plain"] for p in pictures.values())}
        shell: Any = get_ipython()
        shell.display_pub.publish(
            {**pictures[output], **told}, metadata={}, transient={"display_id": f"quire-{output}"}, update=update
        )

    # What the page says

    def _receive(self, message: Message) -> None:
        view = self.views.get(message.get("view", ""))
        if view is not None:
            view.soon(lambda: self._answer(message, view))

    def _answer(self, message: Message, view: View) -> None:  # noqa: C901 - one case a kind is the plainest way
        name = message["view"]
        match message.get("type"):
            case "open" | "resync":
                view.open(lambda: self._changed(name))
                self._flush()  # what is new goes out as a patch first, or the snapshot would say it twice
                data, seq = view.snapshot()
                self._post(type="snapshot", view=name, data=data, seq=seq)
            case "close":
                view.close()
                self._post(type="closed", view=name)  # another page that still shows it will open it again
            case "stop" if isinstance(view, RunView | ChatView):
                view.stop()
            case "inspect" if isinstance(view, RunView):
                node, seq = message["node"], message.get("seq")
                self._post(type="details", view=name, node=node, seq=seq, details=view.inspect(node, seq))
            case "moment" if isinstance(view, RunView):
                seq = message["seq"]
                self._post(type="moment", view=name, seq=seq, data=view.at(seq))
            case "answer" if isinstance(view, RunView | ChatView):
                self._take(name, view, message["question"], message["value"])
            case "fork" if isinstance(view, RunView):
                self._fork(name, view, message)
            case "sessions" if isinstance(view, SessionsView):
                view.take(message["ask"], lambda said: self._post(type="sessions", view=name, said=said))
            case "talk" if isinstance(view, SessionsView):
                self._talk(name, view, message["session"])
            case "chat" if isinstance(view, ChatView):
                view.take(message["ask"], lambda said: self._post(type="chat", view=name, said=said))
            case _:
                pass

    def _take(self, name: str, view: RunView | ChatView, question: str, value: Any) -> None:
        try:
            view.answer(question, value)
        except QuireError as error:
            self._post(type="refused", view=name, question=question, message=str(error))

    def _fork(self, name: str, view: RunView, message: Message) -> None:
        def begun(fork: Run[Any]) -> None:
            self._show_below(name, fork)

        view.fork(message, begun, lambda error: self._post(type="refused", view=name, message=str(error)))

    def _talk(self, name: str, view: SessionsView, session: str) -> None:
        views = ((own, self.views[own]) for own in self._outputs[self._output_of(name)])
        there = [own for own, view in views if isinstance(view, ChatView) and view.session == session]
        if there:
            self._post(type="forked", view=name, fork=there[0])
            return

        def begun(chat: Any) -> None:
            call_on(self._home, lambda: self._show_below(name, chat))

        view.talk(session, begun, lambda error: self._post(type="refused", view=name, message=str(error)))

    def _show_below(self, name: str, thing: Any) -> None:
        output = self._output_of(name)
        own, view = self._add(thing)
        self._outputs[output].append(own)
        self._post(type="forked", view=name, fork=own)
        self._renew(output)
        self._renew_later(output, view)

    def _output_of(self, name: str) -> str:
        return next(output for output, names in self._outputs.items() if name in names)

    # What the page is told

    def _changed(self, name: str) -> None:
        with self._lock:
            self._news.add(name)
            if self._due:
                return
            self._due = True
        # On the loop of the run that has news: it goes on while the notebook's own is blocked by a cell.
        asyncio.get_running_loop().call_later(_EVERY, self._flush)

    def _flush(self) -> None:
        with self._lock:
            names, self._news, self._due = self._news, set(), False
        # In the order in which they changed; a view that was closed meanwhile has nothing to say.
        patches = {name: patch for name in names if (patch := self.views[name].patch()) is not None}
        if patches:
            self._post(type="patch", views=patches)

    def _post(self, **message: Any) -> None:
        # The page counts elapsed time by our clock, not by its own.
        self.screen.post({**message, "now": time.time()})
