"""What a browser of sessions shows: all of them in a list, one as a tree of branches, one message of it.

A message here is what a person hears: their own words, then the agent's answer. The calls of tools in between are
counted with the answer. Messages of a branch are numbered from 1, those it shares with other branches too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NotRequired, TypeAlias, TypedDict

from quire.core.events import Continued, Remembered
from quire.core.messages import File, Message
from quire.views.session import Line, Place, SessionFold, sessions

__all__ = [
    "Branch",
    "Mark",
    "Origin",
    "PlaceDetails",
    "SessionRow",
    "SessionsSnapshot",
    "Tree",
    "mentions",
    "place_at",
    "place_details",
    "row",
    "tree",
]

_MOST = 20_000
"""Characters of a message that a page is sent; all of it is in the table of messages."""


class SessionRow(TypedDict):
    """One session in the list."""

    session: str
    agent: str | None
    """Who answered last."""
    last_at: float
    turns: int
    branches: int
    checkpoints: int
    seq: int
    """How long its stream is: another number means that something is new."""
    tokens: int | None
    cost_usd: float | None
    simulated: bool


class Origin(TypedDict):
    """Where a branch begins."""

    name: str
    """Of the branch, or of the session if it is another one."""
    message: int
    """The last message that belongs to both."""


class Branch(TypedDict):
    """One row of the tree."""

    branch: str
    origin: Origin | None
    first: int
    """The number of its first message that no row above shows."""
    last: int
    """The number of its last one; `first - 1` if nothing was said on it yet."""
    going: int
    """Its messages up to this number belong to the branch that goes on."""
    hidden: int
    """Of its messages up to this number models are told by a summary."""
    messages: int
    """How many were said on it."""
    turns: int
    cost_usd: float | None
    simulated: bool
    says: str
    """The beginning of its last message."""


class Mark(TypedDict):
    """Something that is at a place of the tree: a checkpoint, or a session that goes on from there."""

    name: str
    branch: str
    """The row in which that place is."""
    message: int


class Tree(TypedDict):
    """A session's branches."""

    session: str
    seq: int
    head: str
    """The branch that goes on."""
    tokens: int | None
    cost_usd: float | None
    turns: int
    """On all branches."""
    simulated: bool
    branches: list[Branch]
    """In the order in which they began."""
    checkpoints: list[Mark]
    forks: list[Mark]
    chat: NotRequired[bool]
    """Whether the agent that answered last is here, to be talked with."""


class PlaceDetails(TypedDict):
    """One message."""

    session: str
    branch: str
    message: int
    sender: str
    role: Literal["person", "agent"]
    text: str
    left_out: int
    """Characters of a very long text that are not in `text`."""
    files: list[str]
    calls: int
    """Tools that were called for it."""
    tokens: int | None
    simulated: bool
    at: float
    hidden: bool
    """Whether models are not shown it any more, because a summary stands for it."""
    said_in: str | None
    """The session in which it was said, if that is another one."""
    newest: bool
    """Whether the session goes on right after it."""


class SessionsSnapshot(TypedDict):
    """Everything that a page needs to begin with."""

    kind: Literal["sessions"]
    only: str | None
    """The one session that is looked at, without a list."""
    rows: list[SessionRow]
    """The one that was used last first."""
    tree: Tree | None
    """Of the first one."""


_TurnId: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A message as people count them."""

    role: Literal["person", "agent"]
    text: str
    files: list[str]
    calls: int


def row(fold: SessionFold) -> SessionRow:
    """Return what the list shows of a session in which something was said.

    Example:
        >>> from quire.core.messages import Message
        >>> said = (Message.of("user", "Hello"), Message.of("assistant", "Good morning"))
        >>> fold = SessionFold("user-42")
        >>> fold.apply(Remembered(seq=1, at=0.0, run="r", span="1", parent=None, branch="main", agent="a", turn=said))
        >>> row(fold)["agent"], row(fold)["turns"]
        ('a', 1)
    """
    known = {name: values[0] for name, values in sessions([fold]).items()}
    counts = (known["input_tokens"], known["output_tokens"])
    return SessionRow(
        session=fold.session, agent=known["agent"], last_at=known["last_at"], turns=known["turns"],
        branches=known["branches"], checkpoints=known["checkpoints"], seq=known["head_seq"],
        tokens=None if None in counts else sum(counts), cost_usd=known["cost_usd"], simulated=known["simulated"],
    )  # fmt: skip


# The tree


def tree(fold: SessionFold) -> Tree:
    """Return a session's branches: each begins where it leaves the row that shows what it shares.

    Example:
        >>> [branch["branch"] for branch in tree(SessionFold("empty"))["branches"]]
        ['main']
    """
    rows = _Rows(fold)
    spent = row(fold) if fold.events else None
    return Tree(
        session=fold.session,
        seq=len(fold.events),
        head=fold.head,
        tokens=spent and spent["tokens"],
        cost_usd=spent and spent["cost_usd"],
        turns=len(fold.turns),
        simulated=bool(spent and spent["simulated"]),
        branches=[rows.branch(name) for name in fold.lines],
        checkpoints=[rows.mark(name, place) for name, place in fold.checkpoints.items()],
        forks=list(rows.forks()),
    )


class _Rows:
    """Which row shows what: what branches share is shown once, by the branch that was there first."""

    def __init__(self, fold: SessionFold) -> None:
        self.fold = fold
        self._counts: dict[_TurnId, int] = {}
        self._numbers: dict[str, list[int]] = {name: self._numbered(line) for name, line in fold.lines.items()}
        """By branch, how many messages there are up to each of its turns."""
        self._shown: dict[_TurnId, str] = {}
        """By turn, the row that shows it."""
        self._own: dict[str, int] = {}
        """By branch, how many of its turns rows above show."""
        for name, line in fold.lines.items():
            fresh = [id for id in map(_id, line.turns) if id not in self._shown]
            self._own[name] = len(line.turns) - len(fresh)
            self._shown.update(dict.fromkeys(fresh, name))

    def _numbered(self, line: Line) -> list[int]:
        numbers, total = [0], 0
        for session, event in line.turns:
            id = (session, event.seq)
            if id not in self._counts:
                self._counts[id] = _count(event)
            total += self._counts[id]
            numbers.append(total)
        return numbers

    def branch(self, name: str) -> Branch:
        """Return the row of a branch."""
        line, numbers, shared = self.fold.lines[name], self._numbers[name], self._own[name]
        own = [event for session, event in line.turns[shared:] if session == self.fold.session]
        costs = [event.cost_usd for event in own]
        return Branch(
            branch=name,
            origin=self._origin(name),
            first=numbers[shared] + 1,
            last=numbers[-1],
            going=self._going(name),
            hidden=numbers[min(line.hidden, len(line.turns))],
            messages=sum(self._counts[self.fold.session, event.seq] for event in own),
            turns=len(own),
            cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
            simulated=any(event.simulated for event in own),
            says=_beginning(line),
        )

    def _origin(self, name: str) -> Origin | None:
        begun = self.fold.begun.get(name)
        if begun is None:
            return None
        place = Place(begun.origin, begun.to)
        if begun.origin != self.fold.session and not self._own[name]:
            return Origin(name=begun.origin, message=self._number(place))
        mark = self.mark("", place)
        return Origin(name=mark["branch"], message=mark["message"])

    def _going(self, name: str) -> int:
        """Count the messages that a branch shares with the one that goes on."""
        turns, others = self.fold.lines[name].turns, self.fold.line().turns
        same = next(
            (at for at, (one, other) in enumerate(zip(turns, others, strict=False)) if _id(one) != _id(other)), None
        )
        return self._numbers[name][min(len(turns), len(others)) if same is None else same]

    def mark(self, name: str, place: Place) -> Mark:
        """Return where a place is in the tree."""
        turns = self.fold.line_at(place).turns
        shown = self._shown.get(_id(turns[-1])) if turns else None
        return Mark(name=name, branch=shown or next(iter(self.fold.lines)), message=self._number(place))

    def _number(self, place: Place) -> int:
        return self._numbered(self.fold.line_at(place))[-1]

    def forks(self) -> Iterator[Mark]:
        """Yield the sessions that go on from this one, each once, where they do."""
        to = {event.into: event.to for event in self.fold.events if isinstance(event, Continued)}
        yield from (self.mark(into, Place(self.fold.session, seq)) for into, seq in to.items())


def _id(turn: tuple[str, Remembered]) -> _TurnId:
    return turn[0], turn[1].seq


def _beginning(line: Line) -> str:
    spoken = _spoken(line.turns[-1][1]) if line.turns else []
    return " ".join(spoken[-1].text[:400].split())[:200] if spoken else ""


# One message


def place_details(fold: SessionFold, branch: str, message: int) -> PlaceDetails | None:
    """Return a message of a branch, if it has that one."""
    found = _find(fold, branch, message)
    if found is None:
        return None
    at, spoken = found
    line = fold.lines[branch]
    session, event = line.turns[at]
    of_agent = spoken.role == "agent"
    shared = _is_same(line.turns, fold.line().turns, at)
    return PlaceDetails(
        session=fold.session, branch=branch, message=message,
        sender=event.agent if of_agent else "you", role=spoken.role,
        text=spoken.text[:_MOST], left_out=max(0, len(spoken.text) - _MOST), files=spoken.files, calls=spoken.calls,
        tokens=event.usage.output_tokens if of_agent and event.usage else None,
        simulated=of_agent and event.simulated, at=event.at,
        # What several branches share is told as the one that goes on sees it.
        hidden=at < (fold.line() if shared else line).hidden,
        said_in=session if session != fold.session else None,
        newest=of_agent and shared and at == len(fold.line().turns) - 1,
    )  # fmt: skip


def _is_same(one: list[tuple[str, Remembered]], other: list[tuple[str, Remembered]], at: int) -> bool:
    return at < len(other) and _id(one[at]) == _id(other[at])


def place_at(fold: SessionFold, branch: str, message: int) -> Place | None:
    """Return the place from which to go on, with a message in mind, if the branch has it.

    From an agent's message that is right after it. What a person said is half a turn, and can be said otherwise: there
    it is before the message.
    """
    found = _find(fold, branch, message)
    if found is None:
        return None
    at, spoken = found
    turns = fold.lines[branch].turns
    session, event = turns[at]
    if spoken.role == "person":
        home = fold if session == fold.session else fold.origins[session]
        return home.place_of(event.branch, event.seq - 1)
    if at == len(turns) - 1 and event.branch == branch and session == fold.session:
        return fold.place_of(branch)  # with the summary that was made since
    return Place(*_id(turns[at]))


def _find(fold: SessionFold, branch: str, message: int) -> tuple[int, _Spoken] | None:
    """Return which turn of its line a message is in, and the message."""
    before = 0
    for at, (_, event) in enumerate(fold.lines[branch].turns if branch in fold.lines else ()):
        count = _count(event)
        if before < message <= before + count:
            return at, _spoken(event)[message - before - 1]
        before += count
    return None


def _count(event: Remembered) -> int:
    roles = [message.role == "user" for message in event.turn]
    return sum(of_person or at == 0 or roles[at - 1] for at, of_person in enumerate(roles))


def _spoken(event: Remembered) -> list[_Spoken]:
    """Return the messages of a turn: each of a person's, and all between two of them as one of the agent's."""
    groups: list[list[Message]] = []
    for message in event.turn:
        if message.role != "user" and groups and groups[-1][0].role != "user":
            groups[-1].append(message)
        else:
            groups.append([message])
    return [_heard(group) for group in groups]


def _heard(messages: list[Message]) -> _Spoken:
    texts = [message.text for message in messages if message.text.strip()]
    calls = [call for message in messages for call in message.calls]
    # An answer of a declared type may be the arguments of a call.
    text = "\n\n".join(texts) or (calls[-1].arguments if calls else "")
    files = [str(part) for message in messages for part in message.parts if isinstance(part, File)]
    return _Spoken("person" if messages[0].role == "user" else "agent", text, files, len(calls))


# Finding


def mentions(fold: SessionFold, words: str) -> bool:
    """Whether a session's name has these words, or anything that was said in it, on whatever branch.

    Example:
        >>> mentions(SessionFold("Trip to Kyoto"), "kyoto"), mentions(SessionFold("trip"), "kyoto")
        (True, False)
    """
    wanted = " ".join(words.casefold().split())
    texts = (message.text for event in _all_turns(fold) for message in event.turn)
    return any(wanted in " ".join(text.casefold().split()) for text in (fold.session, *texts))


def _all_turns(fold: SessionFold) -> Iterable[Remembered]:
    turns = (turn for line in fold.lines.values() for turn in line.turns)
    return {_id(turn): turn[1] for turn in turns}.values()
