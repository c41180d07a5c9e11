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

from quire_widgets.screen import Message, Screen
from quire_widgets.views import CardView, RunView, view_of

__all__ = ["Board", "board"]

_EVERY = 0.05
"""Seconds between batches: below JupyterLab's limit on messages, above what an eye can follow."""

View = RunView | CardView


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
        self._news: set[str] = set()
        self._due = False
        self._lock = threading.Lock()
        self._idle = False
        """Whether no cell is running."""
        self._missed: dict[str, View] = {}
        """What ended while no cell was running."""
        shell: Any = get_ipython()
        shell.events.register("pre_run_cell", self._cell_begins)
        shell.events.register("post_run_cell", self._cell_ended)

    def show(self, thing: Any) -> None:
        """Put something below the current cell, and keep it up to date."""
        name, view = secrets.token_hex(6), view_of(thing)
        self.views[name] = view
        self._publish(name, view, update=False)
        run = view.running if isinstance(view, RunView) else None
        if run is not None:
            run.when_ended(lambda: self._ended(name, view))

    def _ended(self, name: str, view: View) -> None:
        if self._idle:
            self._missed[name] = view
        # In a context of its own, so that it counts as output of the cell that runs now: tools that execute
        # notebooks listen to that one only.
        contextvars.Context().run(self._publish, name, view, update=True)

    def _cell_begins(self, _: Any) -> None:
        # The same tools listen to nothing between two cells, so what they missed is said again.
        self._idle, missed, self._missed = False, self._missed, {}
        for name, view in missed.items():
            self._publish(name, view, update=True)

    def _cell_ended(self, _: Any) -> None:
        self._idle = True

    def _publish(self, name: str, view: View, *, update: bool) -> None:
        picture = view.still()
        slot = f'<div class="quire-slot" data-quire="{self.screen.key}/{name}">{picture["text/html"]}</div>'
        shell: Any = get_ipython()
        shell.display_pub.publish(
            {**picture, "text/html": slot}, metadata={}, transient={"display_id": f"quire-{name}"}, update=update
        )

    # What the page says

    def _receive(self, message: Message) -> None:
        view = self.views.get(message.get("view", ""))
        if view is not None:
            view.soon(lambda: self._answer(message, view))

    def _answer(self, message: Message, view: View) -> None:
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
            case "stop" if isinstance(view, RunView):
                view.stop()
            case "inspect" if isinstance(view, RunView):
                node = message["node"]
                self._post(type="details", view=name, node=node, details=view.inspect(node))
            case _:
                pass

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
