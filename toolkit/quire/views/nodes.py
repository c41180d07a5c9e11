"""The state of every node of a run's graph, folded event by event.

A span belongs to the node whose path it has: the names from the run's root down, `polish/revise`. What
runs inside a node counts for it. Parts with parts of their own (a race, a loop, a nested flow) are
groups, and have a state as well.
"""

from __future__ import annotations

from typing import Any, cast

from quire.core.events import (
    Called,
    Cancelled,
    Event,
    Failed,
    Mended,
    Requested,
    Rescued,
    Responded,
    Resumed,
    Retried,
    Returned,
    Reused,
    Skipped,
    Spread,
    Started,
    Succeeded,
)
from quire.views import words
from quire.views.shapes import Graph, NodeState, Status

__all__ = ["FOR_YOU", "NodesFold", "first_line"]

FOR_YOU = "for you"
"""Why a node waits that asked a person."""
ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "skipped", "cancelled"})


def first_line(event: Failed | Returned) -> str:
    """Return what went wrong, in one line."""
    lines = (event.error or "").splitlines()
    return lines[0] if lines else event.error_type or ""


class NodesFold:
    """What a graph shows of a run."""

    def __init__(self) -> None:
        self.graph = Graph(name="", kind="", nodes=[], edges=[])
        self.states: dict[str, NodeState] = {}
        """Of nodes and groups, by id."""
        self.changed: set[str] = set()
        self.done = 0
        """Nodes that have ended; groups do not count."""
        self.total = 0
        self._root: str | None = None
        self._alone = False
        self._groups: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._spans: dict[str, str] = {}
        self._items: dict[str, str] = {}
        self._lost_items: dict[str, str] = {}
        """Items that ended without a result, by span: when they are begun again they have not ended."""
        self._passed_over: set[str] = set()
        """Nodes that were not reached."""
        self._notes: dict[str, str] = {}
        self._held: set[str] = set()
        """Nodes that are shown to wait for a person."""

    def expect(self, graph: Graph) -> None:
        """Show what is about to run."""
        self.graph = graph
        self._groups = {group["id"]: group["kind"] for group in graph.get("groups", [])}
        # Whatever has no parts of its own is itself the only node.
        self._alone = any(n["id"] == graph["name"] and n["kind"] == graph["kind"] for n in graph["nodes"])
        names = [*(node["id"] for node in graph["nodes"]), *self._groups]
        self.states = {name: _pending(name) for name in names}
        self.total = len(graph["nodes"])
        self.changed.update(names)

    def span_of(self, node: str) -> str | None:
        """Return the span in which a node was last begun or skipped, if it was."""
        return next((span for span in reversed(self._spans) if self._spans[span] == node), None)

    def node_of(self, span: str | None) -> str | None:
        """Return the node that a span is, or is a part of."""
        return self._spans.get(span or "") or self._owners.get(span or "")

    def hold(self, spans: set[str]) -> None:
        """Show the nodes of these spans as waiting for a person, and no others."""
        waiting = {self._spans[span] for span in spans if span in self._spans}
        for node in self._held - waiting:
            self._set(node, status="running", reason=None)
        for node in waiting - self._held:
            self._set(node, status="waiting", reason=FOR_YOU)
        self._held = waiting

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case a kind is the plainest way to write it
        """Take one more event into account."""
        if self._held:
            self.hold(set())  # whether they still wait is told when everything is known
        match event:
            case Started():
                self._started(event)
            case Succeeded():
                self._ended(event, "succeeded", self._notes.pop(event.span, None))
            case Failed():
                if event.usage is not None:
                    self._count(event)
                self._ended(event, "failed", first_line(event))
            case Cancelled():
                self._ended(event, "cancelled", event.reason)
            case Skipped():
                self._skipped(event)
            case Spread():
                self._spread(event)
            case Retried():
                reason = f"retry {event.attempt + 1} in {words.seconds(event.wait_s)}"
                self._set_owner(event, status="waiting", reason=reason, attempt=event.attempt + 1)
            case Resumed():
                self._resumed(event)
            case Rescued():
                self._notes[event.span] = f"by {event.by}"
            case Reused():
                self._notes[event.span] = "kept from an earlier run"
            case Mended():
                self._notes[event.span] = f"mended {', '.join(event.fields)}"
            case Requested():
                self._adopt(event)
            case Responded():
                self._count(event)
            case Called():
                self._called(event)
            case Returned():
                self._returned(event)
            case _:
                pass

    # Runnables

    def _started(self, event: Started) -> None:
        if self._root is None:
            self._root = event.span
        path = self._path(event)
        self._paths[event.span] = path
        if path in self.states:
            self._spans[event.span] = self._owners[event.span] = path
            self._set(path, status="running", reason=None, started_at=event.at, ended_at=None)
        else:
            self._adopt(event)
        if event.item is not None:
            self._item_started(event)

    def _path(self, event: Started | Skipped) -> str:
        if event.span == self._root:
            return event.name if self._alone else ""
        above = self._paths.get(event.parent or "", "?")
        return f"{above}/{event.name}" if above else event.name

    def _adopt(self, event: Event) -> None:
        """Let what happens in a span count for the node that it is a part of."""
        owner = self._owners.get(event.parent or "")
        if owner is not None:
            self._owners[event.span] = owner

    def _ended(self, event: Event, status: Status, reason: str | None) -> None:
        self._item_ended(event)
        node = self._spans.get(event.span)
        if node is not None:
            self._set(node, status=status, reason=reason, ended_at=event.at)
            if self._groups.get(node) == "race" and status == "succeeded":
                self._name_winner(f"{node}/")
            if node in self._groups:
                self._pass_over(f"{node}/", node, event, status, reason)
        elif event.span != self._root:
            self._forget(event.span)
        if event.span == self._root:
            self._all_ended(event, status)
            if self.graph["kind"] == "race" and status == "succeeded":
                self._name_winner("")
            if self.graph["kind"] != "agent":  # of its tools it uses those it likes
                self._pass_over("", self.graph["name"], event, status, reason)

    def _pass_over(self, within: str, whole: str, event: Event, status: Status, note: str | None) -> None:
        """Explain the nodes that were not reached when what they are parts of has ended."""
        if status == "succeeded":
            said = f"is {note}" if note and note.startswith("kept") else "was done without it"
        else:
            said = "was cancelled" if status == "cancelled" else status
        for node, state in self.states.items():
            if state["status"] == "pending" and node.startswith(within):
                self._set(node, status="skipped", reason=f"`{whole}` {said}", ended_at=event.at)
                self._passed_over.add(node)

    def _forget(self, span: str) -> None:
        self._paths.pop(span, None)
        self._owners.pop(span, None)

    def _all_ended(self, event: Event, status: Status) -> None:
        for node, state in self.states.items():
            if state["status"] in ("running", "waiting"):
                self._set(node, status=status, ended_at=event.at)

    def _name_winner(self, within: str) -> None:
        racers = [node for node in self.states if node.startswith(within) and "/" not in node[len(within) :]]
        done = [node for node in racers if self.states[node]["status"] == "succeeded"]
        first = min(done, key=lambda node: self.states[node]["ended_at"] or 0.0, default=None)
        for node in racers:
            if node == first:
                self._set(node, reason="won")
            elif self.states[node]["status"] in ("succeeded", "cancelled"):
                self._set(node, reason="lost")

    def _skipped(self, event: Skipped) -> None:
        path = self._path(event)
        if path not in self.states:
            return
        self._spans[event.span] = path
        parts = (name for name in self.states if name.startswith(f"{path}/")) if path in self._groups else ()
        for node in [path, *parts]:
            self._set(node, status="skipped", reason=event.reason, ended_at=event.at)

    def _resumed(self, event: Resumed) -> None:
        """Take back what was said when it had broken off."""
        if event.span == self._root:
            for node in self._passed_over:
                self._set(node, status="pending", reason=None, ended_at=None)
            self._passed_over.clear()
        node, item = self._spans.get(event.span), self._lost_items.pop(event.span, None)
        if item is not None:
            self._adopt(event)
            self._items[event.span] = item
            self._count_item(item, -1)
        elif node is not None:
            self._set(node, status="running", reason=None, ended_at=None)
        else:
            self._set_owner(event, status="running", reason=None)

    # The same work many times

    def _spread(self, event: Spread) -> None:
        node = self._spans.get(event.span)
        if node is not None and self.states[node]["progress"] is None:  # else it goes on
            self._set(node, progress=[0, event.items or 0])

    def _item_started(self, event: Started) -> None:
        node = self._spans.get(event.parent or "")
        progress = self.states[node]["progress"] if node is not None else None
        if node is None or progress is None:
            return
        done, total = progress
        if self._groups.get(node) == "loop":
            self._set(node, progress=[(event.item or 0) + 1, total])
        else:
            self._items[event.span] = node
            self._set(node, progress=[done, max(total, (event.item or 0) + 1)])

    def _item_ended(self, event: Event) -> None:
        node = self._items.pop(event.span, None)
        if node is not None:
            self._count_item(node, 1)
            if not isinstance(event, Succeeded):
                self._lost_items[event.span] = node

    def _count_item(self, node: str, ended: int) -> None:
        done, total = cast("list[int]", self.states[node]["progress"])
        self._set(node, progress=[done + ended, total])

    # Models and tools

    def _count(self, event: Responded | Failed) -> None:
        node = self._owners.pop(event.span, None)
        if node is None:
            return
        state, usage = self.states[node], event.usage
        used = 0 if usage is None else usage.input_tokens + usage.output_tokens
        self._set(
            node,
            calls=state["calls"] + 1,
            tokens=state["tokens"] if usage is None else (state["tokens"] or 0) + used,
            cost_usd=state["cost_usd"] if event.cost_usd is None else (state["cost_usd"] or 0.0) + event.cost_usd,
            simulated=state["simulated"] or (isinstance(event, Responded) and event.simulated),
        )

    def _called(self, event: Called) -> None:
        mine = event.parent is not None and event.parent == self._root and event.tool in self.states
        if not mine:
            self._adopt(event)
            return
        state = self.states[event.tool]
        self._owners[event.span] = self._spans[event.span] = event.tool
        began = state["started_at"] or event.at
        self._set(event.tool, status="running", reason=None, started_at=began, calls=state["calls"] + 1)

    def _returned(self, event: Returned) -> None:
        node = self._spans.get(event.span)
        if node is not None:
            self._set(node, status="failed" if event.error_type else "succeeded", reason=event.error, ended_at=event.at)

    # Keeping account

    def _set_owner(self, event: Event, **fields: Any) -> None:
        node = self._owners.get(event.span)
        # Among many items one that waits does not make the fan-out wait.
        if node is not None and self.states[node]["progress"] is None:
            self._set(node, **fields)

    def _set(self, node: str, **fields: Any) -> None:
        state = self.states[node]
        before = state["status"] in ENDED
        state.update(fields)  # type: ignore[typeddict-item]
        self.changed.add(node)
        if node not in self._groups:
            self.done += (state["status"] in ENDED) - before


def _pending(node: str) -> NodeState:
    return NodeState(
        id=node, status="pending", reason=None, started_at=None, ended_at=None, attempt=1, calls=0,
        tokens=None, cost_usd=None, progress=None, simulated=False,
    )  # fmt: skip
