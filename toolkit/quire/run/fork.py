"""What a new run takes over from another: all that had ended well, except what depends on an edit.

A place in the new run is found by name, so what is taken over needs no more than the spans it was in. Who depends
on whom is read from the run's own drawing: its edges, and its groups, whose parts end before them. Inside an agent's
turn it is read from the order: what a tool gave is known to every reply after it, and to none of the calls that
were asked for together with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from quire.core.contents import named
from quire.core.errors import DefinitionError
from quire.core.events import (
    Answered,
    Asked,
    Called,
    Event,
    Failed,
    Forked,
    Recalled,
    Requested,
    Responded,
    Resumed,
    Retried,
    Returned,
    Said,
    Spread,
    Started,
    Succeeded,
    Wrote,
)
from quire.core.messages import Message
from quire.core.schema import plain, render
from quire.core.usage import Usage
from quire.log.writes import Writes
from quire.run.outputs import Outputs
from quire.run.process import here
from quire.run.record import Record
from quire.run.scope import declared
from quire.views.rows import Reading
from quire.views.shapes import Graph

__all__ = ["forked"]

_OPEN = {"step", "tool"}
"""Kinds whose parts follow from each other in a way that no drawing shows."""
_KEPT = (Started, Spread, Called, Requested, Responded, Returned, Asked, Answered)
"""What is taken over of something that had not ended well."""


def forked(record: Record, run: str, *, at: int | None, edit: Mapping[str, Any], graph: Graph) -> list[Event]:
    """Return the events that a new run begins with, its own and in order.

    Raises:
        DefinitionError: there is no such place or node, or the node has no output to edit.
    """
    past = list(record.past) if at is None else record.up_to(at)
    root = next((event for event in past if isinstance(event, Started)), None)
    if root is None:
        message = f"Run {record.id} has not begun at that place."
        raise DefinitionError(message, remedy="Start a run of its own instead.")
    if "input" in edit:
        others = [name for name in edit if name != "input"]
        if others:
            message = f"Everything depends on the input, so `{others[0]}` would run anew after it was edited."
            raise DefinitionError(message, remedy="Edit the one or the other.")
        kept: list[Event] = [replace(root, input=plain(edit["input"]))]
        edited, whole = {"input": root.span}, frozenset[str]()
    else:
        edit, given = _apart(past, edit)
        branch = _Branch(past, root, edit)
        kept, edited, whole = branch.events() + given, branch.edited, branch.whole
    again = _taken_anew(record.past, whole)
    mark = Forked(
        seq=0, at=kept[-1].at, run=run, span=root.span, parent=None, source=record.id,
        upto=None if at is None else past[-1].seq, edited=edited,
        sessions={session: through for session, (_, through) in again.items()},
        branches={session: branch for session, (branch, _) in again.items()},
    )  # fmt: skip
    opened = replace(root, graph=root.graph or dict(graph))
    return [_renewed(event, run, seq, opened) for seq, event in enumerate([*kept, mark], 1)]


def _apart(past: Sequence[Event], edit: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Event]]:
    """Return the edits of nodes, and those of the run's state as writes."""
    opening = next(iter(Writes(past).openings), None)
    if opening is None or "state" not in edit:
        return edit, []
    span, name = opening
    parent = next(event.parent for event in past if event.span == span)
    last = past[-1]
    given: list[Event] = [
        Wrote(
            seq=0, at=last.at, run=last.run, span=span, parent=parent,
            state=name, channel=write.channel, value=write.value, reducer=write.reducer, whole=True,
        )
        for write in declared(name, last.run).edited(edit["state"])
    ]  # fmt: skip
    return {node: output for node, output in edit.items() if node != "state"}, given


def _taken_anew(past: Sequence[Event], whole: frozenset[str]) -> dict[str, tuple[str, int]]:
    """Return where the first turn began that is taken anew, by session: its branch, and the place in the session."""
    found: dict[str, tuple[str, int]] = {}
    inherited: dict[str, tuple[str, int]] = {}
    for event in past:
        if isinstance(event, Forked):
            inherited = {session: (event.branches[session], place) for session, place in event.sessions.items()}
        elif isinstance(event, Recalled):
            inherited.pop(event.session, None)
            if event.span not in whole:
                found.setdefault(event.session, (event.branch, event.through))
    # A fork that had not come as far as its own turns hands on where they would have begun.
    return {**inherited, **found}


def _renewed(event: Event, run: str, seq: int, root: Started) -> Event:
    if isinstance(event, Started) and event.span == root.span:
        # The key is the other run's.
        return replace(event, run=run, seq=seq, parent=None, graph=root.graph, key=None, process=here())
    # Nobody was asked for this run: it was paid for in the other.
    nothing = Usage(input_tokens=0, output_tokens=0)
    if isinstance(event, Responded):
        return replace(event, run=run, seq=seq, usage=nothing, cost_usd=0.0, price_source="cache", cached=True)
    if isinstance(event, Failed) and event.usage is not None:
        return replace(event, run=run, seq=seq, usage=nothing, cost_usd=0.0, price_source="cache")
    return replace(event, run=run, seq=seq)


class _Branch:
    """What of a past remains after an edit."""

    def __init__(self, past: Sequence[Event], root: Started, edit: Mapping[str, Any]) -> None:
        self.past = past
        self.root = root
        self.log = Reading(past)
        self.parents = {event.span: event.parent for event in past}
        self.began: dict[str, int] = {}
        """The place in the log at which each span began."""
        for event in past:
            self.began.setdefault(event.span, event.seq)
        self.given = Outputs(past, self.log)
        self.edited = {name: self.given.span(name) for name in edit}
        self.outputs = {span: edit[name] for name, span in self.edited.items()}
        """What was edited, by span."""
        remembering = {event.span for event in self.log.of(Recalled)}
        self.words = {span: self.outputs.pop(span) for span in remembering & self.outputs.keys()}
        """The last words of agents that remember: they go into the turn again, so that their session has these."""
        self.last = {event.parent: event.seq for event in self.log.of(Responded)}
        """The place of the last reply to each agent."""
        self.gone: set[str] = set()
        """Spans that run anew, with everything inside."""
        self.touched: set[str] = set(self.words)
        """Spans that are gone into again, because something inside has changed."""
        for span in self.edited.values():
            self._spoil(span)
        for name, span in self.edited.items():
            if self._is_gone(span) or any(above in self.words for above in self._around(span)):
                message = f"`{name}` depends on something else that was edited, and would run anew."
                raise DefinitionError(message, remedy="Edit the last of them only.")
        self._give_up_attempts()
        self.whole = frozenset(filter(self._is_whole, self.parents))
        """Spans that had ended well and are taken over as they are, with everything inside."""
        self.written = Writes(past).standing() if self.log.of(Wrote) else frozenset[int]()
        """The places of what steps and tools that ended well have written."""

    def _give_up_attempts(self) -> None:
        """Leave out the parts of failed attempts at what is gone into again: the next has parts of its own."""
        for event in self.log.of(Retried):
            node = self.log.nodes.get(event.span)
            again = event.span not in self.given.done or event.span in self.touched
            if again and node is not None and node.of != "agent":
                parts = (part for part, seq in self.began.items() if seq < event.seq)
                self.gone.update(part for part in parts if self.parents[part] == event.span)

    # What depends on it

    def _spoil(self, span: str) -> None:
        """Find what depends on a span's output, further and further out."""
        inside: str | None = span
        while inside is not None and inside != self.root.span:
            above = self.parents[inside]
            self._spoil_siblings(inside, above)
            if above is not None:
                self.touched.add(above)
            inside = above

    def _spoil_siblings(self, span: str, above: str | None) -> None:
        whole = self.log.nodes.get(above or "")
        if whole is not None and whole.of == "agent":
            self._spoil_replies(span, above)
            return
        siblings = [other for other in self.log.nodes if self.parents[other] == above and other != span]
        if whole is None or whole.of in _OPEN:
            self.gone.update(other for other in siblings if int(other) > int(span))
        elif whole.of == "loop":
            here = self.given.item(span) or 0
            self.gone.update(other for other in siblings if (self.given.item(other) or 0) > here)
        else:
            followers = self._followers(self.log.names[span])
            self.gone.update(other for other in siblings if self.log.names[other] in followers)

    def _spoil_replies(self, span: str, agent: str | None) -> None:
        """Find what came of the next question: the first that was asked with what has changed."""
        asked = (event.seq for event in self.log.of(Requested) if event.parent == agent)
        after = next((seq for seq in asked if seq > self.began[span]), None)
        if after is not None:
            self.gone.update(part for part, seq in self.began.items() if seq >= after and self.parents[part] == agent)

    def _followers(self, node: str) -> set[str]:
        """Return the nodes that wait for a node, and those that wait for them."""
        edges: list[dict[str, Any]] = (self.root.graph or {}).get("edges", [])
        found: set[str] = set()
        frontier = [node]
        while frontier:
            source = frontier.pop()
            after = {edge["target"] for edge in edges if edge["source"] == source and edge["target"] is not None}
            frontier.extend(after - found)
            found |= after
        return found

    def _is_gone(self, span: str | None) -> bool:
        """Whether a span is, or is inside, one that runs anew, or is inside one whose output was edited."""
        return span in self.gone or any(above in self.gone or above in self.outputs for above in self._around(span))

    def _around(self, span: str | None) -> Iterator[str]:
        """Yield what a span is inside of, from within."""
        while span is not None and (span := self.parents.get(span)) is not None:
            yield span

    # What remains

    def events(self) -> list[Event]:
        """Return the events that remain, in order."""
        needed = self._needed()
        return [self._changed(event) for event in self.past if self._remains(event, needed)]

    def _changed(self, event: Event) -> Event:
        if isinstance(event, Responded) and event.parent in self.words and event.seq == self.last[event.parent]:
            said = Message.of("assistant", render(plain(self.words[event.parent])))
            return replace(event, message=said, finish_reason="stop")
        if event.span not in self.outputs:
            return event
        if isinstance(event, Succeeded):
            return replace(event, output=plain(self.outputs[event.span]), lossy=False)
        if isinstance(event, Returned):
            result, files = named(self.outputs[event.span])
            return replace(event, result=result, files=files, error_type=None, error=None, replayed=False)
        return event

    def _is_whole(self, span: str) -> bool:
        """Whether a span is, or is inside, one that had ended well and is taken over as it is."""
        above: str | None = span
        found = False
        while above is not None:
            if above in self.gone or (above in self.outputs and above != span):
                return False
            found = found or (above in self.given.done and above not in self.touched)
            above = self.parents.get(above)
        return found

    def _needed(self) -> set[str]:
        """Return the spans that are not whole, but that something hangs on that is taken over."""
        ended = {event.span for event in self.past if isinstance(event, Responded | Returned | Answered)}
        pairs = {span for span in ended if span not in self.touched and not self._is_gone(span)}
        needed = {self.root.span}
        for span in self.parents:
            above = self.parents[span] if span in self.whole or span in pairs else None
            while above is not None and above not in needed:
                needed.add(above)
                above = self.parents.get(above)
        return needed | pairs

    def _remains(self, event: Event, needed: set[str]) -> bool:
        span = event.span
        if isinstance(event, Wrote):
            return self._stays(event, needed)
        if span in self.outputs:
            return isinstance(event, Started | Succeeded | Called | Returned)
        if span in self.whole:
            return not isinstance(event, Resumed)
        if span in needed:
            again = isinstance(event, Returned) and span in self.touched
            return isinstance(event, _KEPT) and not again
        return isinstance(event, Said) and event.parent in needed and not self._is_gone(span)

    def _stays(self, event: Wrote, needed: set[str]) -> bool:
        """Whether something written is taken over: with the step that wrote it, or the call of a tool."""
        span = event.span
        if event.whole:
            return span in self.whole or span in needed
        is_call = span not in self.log.nodes and span not in self.touched
        return event.seq in self.written and (span in self.whole or (is_call and span in needed))
