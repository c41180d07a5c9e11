"""What a chat shows: what was said in a session on the branch that goes on, and the turn that is going on.

A turn is what the person said and one bubble for the agent's answer, with the calls of tools and the thoughts in it.
The turn that is going on is told by its run, and looks the same.
"""

from __future__ import annotations

import json
from typing import Literal, TypedDict

from quire.core.events import Remembered
from quire.core.messages import File, Text, Thought, ToolCall, ToolResult
from quire.views import drawing, words
from quire.views.browsing import row
from quire.views.files import Album
from quire.views.prose import conversation_text, one_line, safe
from quire.views.session import Line, SessionFold
from quire.views.shapes import (
    Append,
    CallPart,
    DataPart,
    Message,
    Part,
    Question,
    RunError,
    RunSnapshot,
    Status,
    TextPart,
    ThinkingPart,
)
from quire.views.talk import pretty

__all__ = [
    "ChatHead",
    "ChatSnapshot",
    "chat_html",
    "chat_text",
    "head_of",
    "live",
    "marked",
    "news",
    "turn",
    "with_marks",
]


class ChatHead(TypedDict):
    """What is said of the whole chat, and of its turn."""

    name: str
    """The agent."""
    model: str
    session: str
    tokens: int | None
    """Of the session, with those of the turn."""
    cost_usd: float | None
    unpriced: bool
    """Whether something is not in `cost_usd` because nobody knows what it cost."""
    simulated: bool
    branches: list[str]
    branch: str
    """The one that goes on."""
    status: Status | None
    """How the turn is that goes on or has come to nothing; `None` if there is none."""
    reason: str | None
    error: RunError | None
    questions: list[Question]
    """What the turn asks people."""


class ChatSnapshot(TypedDict):
    """Everything that a chat shows."""

    kind: Literal["chat"]
    head: ChatHead
    messages: list[Message]


# What was said


def turn(event: Remembered, *, data: bool = False) -> list[Message]:
    """Return a turn as its session keeps it; with `data`, the reply is shown as data if it is some.

    Example:
        >>> from quire.core.messages import Message
        >>> said = (Message.of("user", "Hello"), Message.of("assistant", "Good morning"))
        >>> event = Remembered(seq=1, at=0.0, run="r", span="1", parent=None, branch="main", agent="a", turn=said)
        >>> [message["sender"] for message in turn(event)]
        ['you', 'a']
    """
    album, asked, answered = Album(), list[Part](), list[Part]()
    last = len(event.turn) - 1
    for at, message in enumerate(event.turn):
        parts = asked if message.role == "user" and not answered else answered
        for part in message.parts:
            _add(part, parts, album, data=data and at == last)
    said = _bubble(event, "you", asked)
    if all(part["type"] == "text" for part in asked):
        said["edit"] = True
    return [said, _bubble(event, "agent", answered)] if answered else [said]


def _add(part: Text | Thought | ToolCall | ToolResult | File, parts: list[Part], album: Album, *, data: bool) -> None:
    match part:
        case Text() if part.text:
            parts.append(_words(part.text, data=data))
        case Thought() if part.text:
            parts.append(ThinkingPart(type="thinking", text=part.text, seconds=None, tokens=None))
        case File():
            parts.append(album.shown(part))
        case ToolCall():
            parts.append(_call(part))
        case ToolResult():
            _return(part, parts, album)
        case _:
            pass


def _words(text: str, *, data: bool) -> TextPart | DataPart:
    if data:
        try:
            return DataPart(type="data", text=pretty(json.loads(text)))
        except ValueError:
            pass
    return TextPart(type="text", text=text)


def _call(part: ToolCall) -> CallPart:
    try:
        arguments = pretty(json.loads(part.arguments or "{}"))
    except ValueError:
        arguments = part.arguments
    return CallPart(
        type="call", id=part.id, tool=part.tool, arguments=arguments, result=None, error=None, status="succeeded",
        seconds=None,
    )  # fmt: skip


def _return(part: ToolResult, parts: list[Part], album: Album) -> None:
    for call in reversed(parts):
        if call["type"] == "call" and call["id"] == part.id:
            if part.failed:
                call.update(status="failed", error=part.text)
            else:
                call["result"] = part.text
            if part.files:
                call["files"] = [album.shown(file) for file in part.files]
            return


def _bubble(event: Remembered, role: Literal["you", "agent"], parts: list[Part]) -> Message:
    answers = role == "agent"
    return Message(
        id=f"{event.run}/{event.span}/{role}", sender=event.agent if answers else "you",
        role="agent" if answers else "person", note="agent" if answers else "person", at=None,
        tokens=event.usage.output_tokens if answers and event.usage else None, writing=False,
        simulated=answers and event.simulated, error=None, parts=parts,
    )  # fmt: skip


def live(run: str, shown: RunSnapshot) -> list[Message]:
    """Return a turn as its run tells it, and as it stays; what went wrong with it is said by the head."""
    over = shown["head"]["error"] is not None
    told = [message for message in shown["messages"] if message["parts"] or message["writing"]]
    messages = [_copied(run, message, None if over else message["error"]) for message in told]
    for message in messages[:1]:
        message["edit"] = True
    return messages


def _copied(run: str, message: Message, error: str | None) -> Message:
    copied = message.copy()
    copied.update(id=f"{run}/{message['id']}", at=None, error=error, parts=[part.copy() for part in message["parts"]])
    return copied


def with_marks(message: Message, names: list[str]) -> Message:
    """Return a message with the checkpoints that are right after it."""
    marked = message.copy()
    marked["marks"] = names
    return marked


def marked(fold: SessionFold, line: Line) -> dict[int, list[str]]:
    """Return the checkpoints of a line, by how many of its turns were there before."""
    found: dict[int, list[str]] = {}
    for name, place in fold.checkpoints.items():
        turns = fold.line_at(place).turns
        if turns == line.turns[: len(turns)]:
            found.setdefault(len(turns), []).append(name)
    return found


# The head


def head_of(name: str, model: str, fold: SessionFold, turn: RunSnapshot | None) -> ChatHead:
    """Return the head of a chat with an agent in a session; `turn` is one that the session does not have."""
    known = row(fold) if fold.events else None
    now = turn["head"] if turn else None
    asked = now is not None and now["model_calls"] > 0
    costs = [known["cost_usd"]] if known and known["turns"] else []
    costs += [now["cost_usd"]] if now and asked else []
    counts = [known["tokens"]] if known else []
    counts += [(now["input_tokens"] or 0) + (now["output_tokens"] or 0)] if now else []
    told = [count for count in counts if count is not None]
    priced = [cost for cost in costs if cost is not None]
    return ChatHead(
        name=name,
        model=model,
        session=fold.session,
        tokens=sum(told) if told else None,
        cost_usd=sum(priced) if priced else None,
        unpriced=None in costs,
        simulated=bool(known and known["simulated"]) or bool(now and now["simulated"]),
        branches=list(fold.lines),
        branch=fold.head,
        status=now and now["status"],
        reason=now and now["reason"],
        error=now and now["error"],
        questions=[question.copy() for question in now["questions"]] if now else [],
    )


# What is new


def news(before: Message, now: Message) -> list[Message | Append] | None:
    """Return what a page has to be told that shows a message as it was before; `None` if nothing is new.

    Example:
        >>> from quire.core.messages import Message
        >>> said = (Message.of("user", "Hello"),)
        >>> event = Remembered(seq=1, at=0.0, run="r", span="1", parent=None, branch="main", agent="a", turn=said)
        >>> before, now = turn(event)[0], turn(event)[0]
        >>> now["parts"][0]["text"] += " there"
        >>> news(before, now)
        [{'id': 'r/1/you', 'append': (0, ' there')}]
    """
    if before == now:
        return None
    if {**before, "parts": []} != {**now, "parts": []} or len(before["parts"]) != len(now["parts"]):
        return [now]
    appended: list[Message | Append] = []
    for at, (old, new) in enumerate(zip(before["parts"], now["parts"], strict=True)):
        if old == new:
            continue
        longer = _longer(old, new)
        if longer is None:
            return [now]
        appended.append(Append(id=now["id"], append=(at, longer)))
    return appended


def _longer(old: Part, new: Part) -> str | None:
    """Return the text that was added to a part, if nothing else has changed in it."""
    if "text" not in old or "text" not in new or not new["text"].startswith(old["text"]):
        return None
    return new["text"][len(old["text"]) :] if {**old, "text": ""} == {**new, "text": ""} else None


# Without a page


def chat_text(shown: ChatSnapshot) -> str:
    """Write a chat as text."""
    head = shown["head"]
    line = f"{one_line(head['name'])}, {', '.join(_told(head))}"
    said = conversation_text(shown["messages"]) if shown["messages"] else "Nothing has been said yet."
    return "\n\n".join([line, said, *_trouble(head)])


def chat_html(shown: ChatSnapshot) -> str:
    """Write a chat as the HTML of a saved cell."""
    head = shown["head"]
    line = f"<p><b>{safe(head['name'])}</b> {safe(', '.join(_told(head)))}</p>"
    some = shown["messages"]
    said = drawing.conversation_html(head, some) if some else "<p>Nothing has been said yet.</p>"
    return "\n".join([line, said, *(f"<p>{safe(text).replace(chr(10), '<br>')}</p>" for text in _trouble(head))])


def _told(head: ChatHead) -> list[str]:
    branch = [f"branch {one_line(head['branch'])}"] if len(head["branches"]) > 1 else []
    facts = [one_line(head["model"]), f"session {one_line(head['session'])}", *branch]
    if head["tokens"] is not None:
        facts.append(f"{words.tokens(head['tokens'])} tokens")
        facts.append(words.money(head["cost_usd"], simulated=head["simulated"] and not head["cost_usd"]))
    return facts


def _trouble(head: ChatHead) -> list[str]:
    error = head["error"]
    if error is not None:
        return ["\n".join(filter(None, (f"{error['type']}: {error['message']}", error["remedy"])))]
    return [f"{head['status']}: {head['reason'] or ''}".rstrip(": ")] if head["status"] == "cancelled" else []
