"""A run's conversation, folded event by event: one bubble for what came in and one for each agent's turn.

Pieces of a reply are shown while it is written and replaced by the reply itself, so a fold that never
saw them ends up equal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from quire.core.contents import named, spoken
from quire.core.events import (
    Answered,
    Asked,
    Called,
    Cancelled,
    Delta,
    Event,
    Failed,
    Requested,
    Responded,
    Resumed,
    Returned,
    Started,
    Thinking,
)
from quire.core.messages import File, Text, Thought, ToolCall
from quire.views.files import Album
from quire.views.nodes import first_line
from quire.views.shapes import Append, CallPart, DataPart, Message, Part, Role, Status, TextPart, ThinkingPart

__all__ = ["TalkFold", "pretty"]


def pretty(value: Any) -> str:
    """Return a JSON value as people read it: text as it is, files by their names, the rest indented."""
    data, _ = named(value)
    return data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False)


class TalkFold:
    """What a conversation shows of a run."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        """In order of first appearance."""
        self._began = 0.0
        self._root: str | None = None
        self._agents: dict[str, str] = {}
        self._calls: dict[str, _ModelCall] = {}
        self._tool_parts: dict[str, tuple[str, CallPart, float]] = {}
        self._ended_parts: dict[str, tuple[str, CallPart, float]] = {}
        self._within: dict[str, str] = {}
        """The tool's call that a runnable or a question is a part of, by span."""
        self._album = Album()
        self._changed: dict[str, list[Append] | None] = {}

    def changes(self) -> list[Message | Append]:
        """Return what is new since the last time: whole messages, and text to append to known ones."""
        changes: list[Message | Append] = []
        for name, appended in self._changed.items():
            if appended is None:
                changes.append(self.messages[name])
            else:
                changes.extend(appended)
        self._changed = {}
        return changes

    @property
    def has_changed(self) -> bool:
        """Whether `changes` has anything to tell."""
        return bool(self._changed)

    def settle(self) -> None:
        """Prepare for a snapshot: text that is in it must not be appended once more, so those go out whole."""
        self._changed = dict.fromkeys(self._changed)

    def apply(self, event: Event) -> None:  # noqa: C901 - one case a kind is the plainest way to write it
        """Take one more event into account."""
        match event:
            case Started():
                self._started(event)
            case Failed():
                self._ended(event, "failed", first_line(event))
            case Cancelled():
                self._ended(event, "cancelled", event.reason)
            case Requested():
                self._requested(event)
            case Delta():
                self._wrote(event, event.text, thinking=False)
            case Thinking():
                self._wrote(event, event.text, thinking=True)
            case Responded():
                self._responded(event)
            case Called():
                self._called(event)
            case Returned():
                self._returned(event)
            case Asked() | Answered():
                self._waits(event)
            case Resumed():
                self._resumed(event)
            case _:
                pass

    def _started(self, event: Started) -> None:
        if event.parent in self._tool_parts or event.parent in self._within:
            self._within[event.span] = self._within.get(event.parent, event.parent)
        if event.of == "agent":
            self._agents[event.span] = event.name if event.item is None else f"{event.name} {event.item + 1}"
        if self._root is not None:
            return
        self._root, self._began = event.span, event.at
        self._put(_message("input", "you", "person", "person", at=0.0, parts=self._brought(event.input)))

    def pass_over(self, gap: float) -> None:
        """Leave out a time in which nothing happened."""
        self._began += gap

    def _brought(self, value: Any) -> list[Part]:
        """Return what came in: words and files in their order, or data and the files in it."""
        parts = spoken(value)
        if parts is not None:
            return [_words("text", part.text) if isinstance(part, Text) else self._album.shown(part) for part in parts]
        _, files = named(value)
        return [_words("data", pretty(value)), *map(self._album.shown, files)]

    # What models say

    def _requested(self, event: Requested) -> None:
        bubble = event.parent or event.span
        message = self.messages.get(bubble)
        if message is None:
            sender, at = self._agents.get(bubble, event.agent), event.at - self._began
            message = _message(bubble, sender, "agent", f"agent, {event.model}", at=at, parts=[])
        message.update(writing=True, simulated=event.simulated, error=None)
        form = "text" if event.output is None else "data"
        self._calls[event.span] = _ModelCall(bubble, len(message["parts"]), form, event.reply_tool)
        self._put(message)

    def _wrote(self, event: Event, text: str, *, thinking: bool) -> None:
        call = self._calls.get(event.span)
        if call is None:
            return
        message, kind = self.messages[call.bubble], "thinking" if thinking else call.form
        if len(message["parts"]) > call.first and message["parts"][-1]["type"] == kind:
            part = cast("TextPart", message["parts"][-1])
            part["text"] += text
            self._append(call.bubble, len(message["parts"]) - 1, text)
        else:
            message["parts"].append(_thinking(text, None) if thinking else _words(call.form, text))
            self._put(message)

    def _responded(self, event: Responded) -> None:
        call = self._calls.pop(event.span, None)
        if call is None:
            return
        message = self.messages[call.bubble]
        message["parts"][call.first :] = _reply_parts(event, call)
        message["writing"] = False
        if event.usage is not None:
            message["tokens"] = (message["tokens"] or 0) + event.usage.output_tokens
        self._put(message)

    def _ended(self, event: Event, status: Status, reason: str) -> None:
        self._tool_ended(event, status, reason)
        call = self._calls.pop(event.span, None)
        if call is None:
            return
        message = self.messages[call.bubble]
        # What had arrived is shown while it is news; the log does not keep it.
        del message["parts"][call.first :]
        message.update(writing=False, error=f"{status}: {reason}" if reason else status)
        self._put(message)

    # What tools say

    def _called(self, event: Called) -> None:
        message = self.messages.get(event.parent or "")
        part = None if message is None else _find_call(message, event.call)
        if message is None or part is None:
            return
        part.update(arguments=pretty(event.arguments), status="running")
        self._tool_parts[event.span] = (message["id"], part, event.at)
        self._put(message)

    def _waits(self, event: Asked | Answered) -> None:
        """Show whether a tool waits for a person."""
        call = self._within.get(event.parent or "", event.parent)
        found = self._tool_parts.get(call or "")
        if found is None:
            return
        bubble, part, _ = found
        part["status"] = "waiting" if isinstance(event, Asked) else "running"
        self._put(self.messages[bubble])

    def _returned(self, event: Returned) -> None:
        if event.error_type:
            self._tool_ended(event, "failed", f"{event.error_type}: {event.error}")
        else:
            self._tool_ended(event, "succeeded", None, pretty(event.result), event.files)

    def _resumed(self, event: Event) -> None:
        """Forget how a tool had ended that goes on."""
        found = self._ended_parts.pop(event.span, None)
        if found is None:
            return
        bubble, part, _ = self._tool_parts[event.span] = found
        part.update(result=None, error=None, status="running", seconds=None)
        self._put(self.messages[bubble])

    def _tool_ended(
        self, event: Event, status: Status, error: str | None, result: str | None = None, files: Sequence[File] = ()
    ) -> None:
        found = self._tool_parts.pop(event.span, None)
        if found is None:
            return
        bubble, part, began = self._ended_parts[event.span] = found
        if files:
            part["files"] = [self._album.shown(file) for file in files]
        part.update(result=result, error=error, status=status, seconds=event.at - began)
        self._put(self.messages[bubble])

    # Keeping account

    def _put(self, message: Message) -> None:
        self.messages[message["id"]] = message
        self._changed[message["id"]] = None

    def _append(self, bubble: str, part: int, text: str) -> None:
        appended = self._changed.setdefault(bubble, [])
        if appended is None:
            return  # the whole message goes out anyway
        if appended and appended[-1]["append"][0] == part:
            appended[-1]["append"] = (part, f"{appended[-1]['append'][1]}{text}")
        else:
            appended.append(Append(id=bubble, append=(part, text)))


class _ModelCall:
    """A reply that is being written: the bubble it goes to, and where in it the reply begins."""

    def __init__(self, bubble: str, first: int, form: str, reply_tool: str | None) -> None:
        self.bubble = bubble
        self.first = first
        self.form = form
        self.reply_tool = reply_tool


def _message(name: str, sender: str, role: Role, note: str, *, at: float, parts: list[Part]) -> Message:
    return Message(
        id=name, sender=sender, role=role, note=note, at=at, tokens=None, writing=False,
        simulated=False, error=None, parts=parts,
    )  # fmt: skip


def _words(form: str, text: str) -> Part:
    return DataPart(type="data", text=text) if form == "data" else TextPart(type="text", text=text)


def _thinking(text: str, tokens: int | None) -> ThinkingPart:
    return ThinkingPart(type="thinking", text=text, seconds=None, tokens=tokens)


def _reply_parts(event: Responded, call: _ModelCall) -> list[Part]:
    parts: list[Part] = []
    for part in event.message.parts:
        match part:
            case Text() if part.text:
                parts.append(_words(call.form, _tidy(part.text) if call.form == "data" else part.text))
            case Thought():
                parts.append(_thinking(part.text, event.usage.reasoning_tokens if event.usage else None))
            case ToolCall() if part.tool == call.reply_tool:
                parts.append(_words("data", _tidy(part.arguments)))
            case ToolCall():
                parts.append(_asked(part))
            case _:
                pass
    return parts


def _asked(call: ToolCall) -> CallPart:
    return CallPart(
        type="call", id=call.id, tool=call.tool, arguments=_tidy(call.arguments), result=None, error=None,
        status="pending", seconds=None,
    )  # fmt: skip


def _tidy(text: str) -> str:
    try:
        return pretty(json.loads(text))
    except ValueError:
        return text


def _find_call(message: Message, call: str) -> CallPart | None:
    found = [part for part in message["parts"] if part["type"] == "call" and part["id"] == call]
    return found[-1] if found else None
