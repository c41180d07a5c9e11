"""A session's stream, folded: its branches, what was said on each, and what a model is shown of it.

A branch is a line of turns. It begins where another line was at some place, in the same session (after a
restore) or in another one (a fork), and shares everything up to there. Lines only grow, so a place in one stays
what it is. A summary stands before the turns that it hides; they stay in their line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from quire.core.events import Branched, Checkpointed, Compacted, Continued, Event, Remembered
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult

__all__ = ["Line", "Place", "SessionFold", "branches", "checkpoints", "messages", "sessions"]

Columns: TypeAlias = dict[str, list[Any]]

_MAIN = "main"
_SUMMARY = "What was said before, in short:\n\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a session's stream: everything up to that event, on the branch it is on."""

    session: str
    seq: int
    """0 is before everything."""


@dataclass(slots=True)
class Line:
    """The turns of a branch from the first, with the session that each was added to, and how it was summed up."""

    turns: list[tuple[str, Remembered]] = field(default_factory=list[tuple[str, Remembered]])
    summaries: list[tuple[str, Compacted]] = field(default_factory=list[tuple[str, Compacted]])
    _worded: list[Message] = field(default_factory=list[Message])
    _begins: list[int] = field(default_factory=list[int])
    """Where each turn begins among the messages."""

    def add(self, session: str, event: Remembered) -> None:
        """Add a turn that was added to that session."""
        self.turns.append((session, event))
        # Once a turn, so that a long conversation is shown as soon as a short one.
        self._begins.append(len(self._worded))
        self._worded += map(_worded, event.turn)

    @property
    def hidden(self) -> int:
        """How many turns a model is not shown because a summary stands for them."""
        return self.summaries[-1][1].hidden if self.summaries else 0

    def upto(self, place: Place) -> Line:
        """Return the line as it was at that place of its own session."""

        def was_there(item: tuple[str, Event]) -> bool:
            # What comes from other sessions was there from the beginning.
            return item[0] != place.session or item[1].seq <= place.seq

        line = Line(summaries=list(filter(was_there, self.summaries)))
        for turn in filter(was_there, self.turns):
            line.add(*turn)
        return line

    def said(self) -> list[Message]:
        """Return all messages, those that are hidden too."""
        return [message for _, event in self.turns for message in event.turn]

    def shown(self, window: int | None = None) -> list[Message]:
        """Return the messages for a model: what is not summed up, of it at most the last turns of the window."""
        first = max(self.hidden, len(self.turns) - window if window else 0)
        shown = self._worded[self._begins[first] :] if first < len(self.turns) else []
        if self.summaries and shown:
            # In the message of the oldest turn: not every model takes two from the user one after the other.
            before = Text(text=f"{_SUMMARY}{self.summaries[-1][1].summary}\n\n")
            shown[0] = Message(role=shown[0].role, parts=(before, *shown[0].parts))
        return shown


def _worded(message: Message) -> Message:
    """Return a message as every model takes it: some refuse a reply with nothing in it."""
    if message.role == "assistant" and not message.calls and not message.text.strip():
        return Message(role="assistant", parts=(*message.parts, Text(text="(no words)")))
    return message


class SessionFold:
    """What the stream of a session says.

    `origins` are the sessions that it goes on from, by name: they are needed if it is a fork.

    Example:
        >>> from quire.core.events import Remembered
        >>> hello = (Message.of("user", "Hello"), Message.of("assistant", "Good morning"))
        >>> turn = Remembered(seq=1, at=0.0, run="r", span="1", parent=None, branch="main", agent="a", turn=hello)
        >>> fold = SessionFold("user-42")
        >>> fold.apply(turn)
        >>> [message.text for message in fold.line().shown()]
        ['Hello', 'Good morning']
    """

    def __init__(self, session: str, origins: Mapping[str, SessionFold] | None = None) -> None:
        self.session = session
        self.origins = dict(origins or {})
        self.events: list[Event] = []
        self.head = _MAIN
        """The branch that goes on."""
        self.lines: dict[str, Line] = {_MAIN: Line()}
        """By branch, in the order in which they began."""
        self.begun: dict[str, Branched] = {}
        """How each branch began, except the first of a session that is no fork."""
        self.checkpoints: dict[str, Place] = {}
        """By name; a name that is given again means the new place."""
        self.forks: list[str] = []
        """The sessions that may go on from this one."""
        self._branches: list[str] = []
        self._known: dict[tuple[str, str], Remembered] = {}

    def apply(self, event: Event) -> None:
        """Take one more event into account; one that is known already changes nothing."""
        if event.seq != len(self.events) + 1:
            return
        self.events.append(event)
        match event:
            case Branched():
                self._branched(event)
            case Remembered():
                self.lines.setdefault(event.branch, Line()).add(self.session, event)
                self._known[event.run, event.span] = event
            case Compacted():
                self.lines.setdefault(event.branch, Line()).summaries.append((self.session, event))
            case Checkpointed():
                self.checkpoints[event.name] = Place(self.session, event.seq)
            case Continued():
                self.forks.append(event.into)
            case _:
                pass
        self._branches.append(getattr(event, "branch", self.head))

    def _branched(self, event: Branched) -> None:
        if event.origin == self.session and event.branch in self.lines:  # gone on with again, from its own end
            self.head = event.branch
            return
        self.lines[event.branch] = self.line_at(Place(event.origin, event.to))
        self.begun[event.branch] = event
        self.head = event.branch if event.head else self.head
        if event.origin in self.origins and event.seq == 1:
            # A fork has the checkpoints that there were where it began.
            known = self.origins[event.origin].checkpoints.items()
            self.checkpoints = {n: p for n, p in known if p.session != event.origin or p.seq <= event.to}

    def line(self, branch: str | None = None) -> Line:
        """Return the line of a branch: of the one that goes on, if none is named."""
        return self.lines[branch or self.head]

    def line_at(self, place: Place) -> Line:
        """Return what belongs to a place."""
        if place.session != self.session:
            return self.origins[place.session].line_at(place)
        if place.seq == 0:
            return Line()
        return self.lines[self.branch_at(place.seq)].upto(place)

    def branch_at(self, seq: int) -> str:
        """Return the branch that an event is on."""
        return self._branches[seq - 1]

    def place_of(self, branch: str, upto: int | None = None) -> Place:
        """Return the place at which a branch is now, or was when the session had so many events."""
        last = len(self.events) if upto is None else min(upto, len(self.events))
        found = next((seq for seq in range(last, 0, -1) if self.branch_at(seq) == branch), None)
        if found is None and branch in self.begun:  # it had not begun yet
            return Place(self.begun[branch].origin, self.begun[branch].to)
        return Place(self.session, found or 0)

    def turn_of(self, run: str, span: str) -> Remembered | None:
        """Return the turn that was taken there, if it has been added."""
        return self._known.get((run, span))

    @property
    def turns(self) -> list[Remembered]:
        """The turns that were added to this session, on whatever branch."""
        return [event for event in self.events if isinstance(event, Remembered)]


# As columns of tables


def sessions(folds: Iterable[SessionFold]) -> Columns:
    """Return one row a session, the one that was used last first."""
    used = sorted((fold for fold in folds if fold.events), key=lambda fold: fold.events[-1].at, reverse=True)
    rows = [_session(fold) for fold in used]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _session(fold: SessionFold) -> dict[str, Any]:
    line, own = fold.line(), fold.turns
    last = line.turns[-1][1] if line.turns else None
    usages = [event.usage for event in own if event.usage is not None]
    costs = [event.cost_usd for event in own]
    return {
        "session": fold.session,
        "agent": last and last.agent,
        "started_at": fold.events[0].at,
        "last_at": fold.events[-1].at,
        "turns": len(line.turns),
        "messages": sum(len(event.turn) for _, event in line.turns),
        "branches": len(fold.lines),
        "checkpoints": len(fold.checkpoints),
        "head_seq": fold.events[-1].seq,
        "input_tokens": sum(usage.input_tokens for usage in usages) if usages or not own else None,
        "output_tokens": sum(usage.output_tokens for usage in usages) if usages or not own else None,
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost is not None),
        "head": fold.head,
        "simulated": any(event.simulated for event in own),
    }


def messages(fold: SessionFold) -> Columns:
    """Return one row a part of each message, of all branches and of what a fork goes on from."""
    rows = [row for session, event, turn, hidden in _told(fold) for row in _rows(session, event, turn, hidden=hidden)]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _told(fold: SessionFold) -> Iterator[tuple[str, Remembered | Compacted, int, bool]]:
    """Yield every turn and summary, which turn of its line it is, and whether models are not shown it any more."""
    found: dict[tuple[str, int], tuple[str, Remembered | Compacted, int, bool]] = {}
    # What several branches share is told as the one that goes on sees it.
    for branch in sorted(fold.lines, key=fold.head.__eq__):
        line = fold.line(branch)
        for number, (session, event) in enumerate(line.turns, 1):
            found[session, event.seq] = (session, event, number, number <= line.hidden)
        for session, event in line.summaries:
            found[session, event.seq] = (session, event, event.hidden, event is not line.summaries[-1][1])
    rank = {session: place for place, session in enumerate([*fold.origins, fold.session])}
    for place in sorted(found, key=lambda place: (rank[place[0]], place[1])):
        yield found[place]


def _rows(session: str, event: Remembered | Compacted, turn: int, *, hidden: bool) -> Iterator[dict[str, Any]]:
    common = {
        "run": event.run or None, "session": session, "branch": event.branch, "seq": event.seq, "at": event.at,
        "turn": turn, "span": event.span or None, "hidden": hidden,
    }  # fmt: skip
    if isinstance(event, Compacted):
        yield {**common, **_told_by(event.by, "user", "summary", event.summary)}
        return
    tokens = event.usage and event.usage.output_tokens
    for message in event.turn:
        for part in message.parts or (Text(text=""),):
            is_reply = message.role == "assistant"
            yield {**common, **_part(event, message, part), "tokens": tokens if is_reply else None}
            tokens = None if is_reply else tokens


def _part(event: Remembered, message: Message, part: Part) -> dict[str, Any]:
    speaker = event.agent if message.role == "assistant" else "input"
    match part:
        case Text():
            return _told_by(speaker, message.role, "text", part.text)
        case File():
            return _told_by(speaker, message.role, "file", str(part))
        case Thought():
            return _told_by(speaker, message.role, "thinking", part.text)
        case ToolCall():
            return _told_by(speaker, message.role, "tool_call", part.arguments, part.tool)
        case ToolResult():
            return _told_by(part.tool, message.role, "tool_result", part.text, part.tool)


def _told_by(sender: str, role: str, kind: str, text: str, tool: str | None = None) -> dict[str, Any]:
    return {"sender": sender, "role": role, "kind": kind, "text": text, "tool": tool, "tokens": None}


def branches(fold: SessionFold) -> Columns:
    """Return one row a branch, in the order in which they began."""
    names = list(fold.lines)
    begun = [fold.begun.get(name) for name in names]
    lines = [fold.lines[name].turns for name in names]
    return {
        "session": [fold.session] * len(names),
        "branch": names,
        "head": [name == fold.head for name in names],
        "origin": [event and event.origin for event in begun],
        "origin_seq": [event and event.to for event in begun],
        "turns": [len(line) for line in lines],
        "started_at": [event.at if event else fold.events[0].at if fold.events else None for event in begun],
        "last_at": [line[-1][1].at if line else None for line in lines],
    }


def checkpoints(fold: SessionFold) -> Columns:
    """Return one row a checkpoint, those of a fork's origin first."""
    places = list(fold.checkpoints.values())
    folds = [fold if place.session == fold.session else fold.origins[place.session] for place in places]
    return {
        "session": [place.session for place in places],
        "checkpoint": list(fold.checkpoints),
        "branch": [home.branch_at(place.seq) for home, place in zip(folds, places, strict=True)],
        "seq": [place.seq for place in places],
        "at": [home.events[place.seq - 1].at for home, place in zip(folds, places, strict=True)],
        "turns": [len(fold.line_at(place).turns) for place in places],
    }
