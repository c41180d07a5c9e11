"""What Gemini answers, folded into one `Answer`: the same fold for a reply that came whole and for a stream.

Gemini seals parts of its replies (`thoughtSignature`) and wants the seals back on the very same parts, so parts are
kept in order and a sealed part is never joined with another. The seal of a call is the call's `signature`. Words
have no place for one: theirs follows them at once, as a `Thought` without words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from quire.adapters.providers.complaints import Complaint
from quire.adapters.providers.fold import Fold
from quire.adapters.providers.gemini_complaint import google_complaint
from quire.adapters.providers.gemini_request import SEALER, made_id
from quire.adapters.providers.loose import mapping, rows, text, whole
from quire.core.messages import Message, Part, Text, Thought, ToolCall
from quire.core.ports import Answer, FinishReason, Piece
from quire.core.usage import Usage

__all__ = ["GeminiFold", "gemini_usage"]

_FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "BLOCKLIST": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "LANGUAGE": "error",
    "NO_IMAGE": "error",
    "IMAGE_OTHER": "error",
    "OTHER": "error",
}
"""Google's words; any other is an ordinary end."""


@dataclass(slots=True)
class _Said:
    thinking: bool
    words: list[str]
    seal: str | None = None

    def parts(self) -> list[Part]:
        words = "".join(self.words)
        said = Thought(text=words) if self.thinking else Text(text=words)
        if self.seal:
            return [said, Thought(text="", signature=self.seal, redacted=True, sealed_by=SEALER)]
        return [said] if words else []


@dataclass(slots=True)
class _Asked:
    id: str
    tool: str
    arguments: str
    seal: str | None


@dataclass(slots=True)
class GeminiFold(Fold):
    """A reply as far as it has arrived."""

    contents: ClassVar[str] = "candidates"

    _parts: list[_Said | _Asked] = field(default_factory=list["_Said | _Asked"])
    _blocked: str = ""
    """Why the prompt was not even read by the model."""
    _finish: str = ""
    _why: str = ""
    _usage: Usage | None = None
    _model: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the reply is complete, so that nothing is lost if the connection is."""
        return bool(self.done or self._finish or self._blocked)

    @property
    def refusal(self) -> str:
        """The words in which the model, or who guards it, declined."""
        return self._blocked

    @property
    def words(self) -> str:
        """The text that has arrived."""
        said = (part for part in self._parts if isinstance(part, _Said) and not part.thinking)
        return "".join(word for part in said for word in part.words)

    @property
    def failure(self) -> str:
        """Why the reply is none, though its status says success; `""` if it is one."""
        finish = self._finish_reason()
        if finish == "error":
            return f"ended its reply with {self._finish}{self._why and ': '}{self._why}"
        nothing = not self.words and not any(isinstance(part, _Asked) for part in self._parts)
        return "sent a reply with nothing in it" if finish == "stop" and nothing else ""

    def complaint_of(self, data: Any) -> Complaint:
        """Return what an error's body says."""
        return google_complaint(data)

    def take_whole(self, data: Any) -> list[Piece]:
        """Add a reply that came whole, or as the array that Google streams when `alt=sse` got lost."""
        pieces = self.take("", data)
        self.done = self.heard and not isinstance(data, list)
        return pieces

    def take(self, name: str, data: Any) -> list[Piece]:
        """Add one event of a stream and return the characters it brought."""
        if name == "error":
            self.complaint = google_complaint(data)
        return [piece for chunk in (rows(data) or [data]) for piece in self._take(chunk)]

    def _take(self, chunk: Any) -> list[Piece]:
        body = mapping(chunk)
        if body.get("error"):
            self.complaint = google_complaint(chunk)
        self._model = text(body.get("modelVersion")) or self._model
        # Cumulative in streams: the last one counts, and is never added.
        self._usage = gemini_usage(body.get("usageMetadata")) or self._usage
        feedback = mapping(body.get("promptFeedback"))
        self._blocked = text(feedback.get("blockReasonMessage")) or text(feedback.get("blockReason")) or self._blocked
        self.heard = self.heard or bool(self._blocked)
        # One candidate was asked for; others, told apart by their index, are not ours.
        candidates = [mapping(candidate) for candidate in rows(body.get("candidates"))]
        return [piece for one in candidates if not one.get("index") for piece in self._candidate(one)]

    def answer(self) -> Answer:
        """Return the reply."""
        finish = self._finish_reason()
        parts = [part for said in self._parts if isinstance(said, _Said) for part in said.parts()]
        if finish == "tool_calls":
            # Only of a turn that was finished: calls of one that was cut off or filtered are never carried out.
            parts = self._with_calls()
        message = Message(role="assistant", parts=tuple(parts))
        return Answer(message=message, finish_reason=finish, usage=self._usage, model=self._model)

    def _candidate(self, candidate: dict[str, Any]) -> list[Piece]:
        self.heard = True
        self._finish = text(candidate.get("finishReason")) or self._finish
        self._why = text(candidate.get("finishMessage")) or self._why
        pieces = [self._part(mapping(part)) for part in rows(mapping(candidate.get("content")).get("parts"))]
        return [piece for piece in pieces if piece and piece.text]

    def _part(self, part: dict[str, Any]) -> Piece | None:
        seal = text(part.get("thoughtSignature")) or None
        call = part.get("functionCall")
        if isinstance(call, dict):
            self._parts.append(_asked(mapping(call), seal))
            return None
        words, thinking = text(part.get("text")), part.get("thought") is True
        if words or seal:
            self._say(words, seal, thinking=thinking)
        return Piece(text=words, thinking=thinking)

    def _say(self, words: str, seal: str | None, *, thinking: bool) -> None:
        last = self._parts[-1] if self._parts else None
        if not seal and isinstance(last, _Said) and last.thinking == thinking and not last.seal:
            last.words.append(words)
        else:
            self._parts.append(_Said(thinking, [words], seal))

    def _finish_reason(self) -> FinishReason:
        finish = _FINISHES.get(self._finish.upper(), "stop")
        if finish == "stop" and any(isinstance(part, _Asked) for part in self._parts):
            return "tool_calls"
        return finish

    def _with_calls(self) -> list[Part]:
        seen: set[str] = set()
        parts: list[Part] = []
        number = self.calls_before
        for part in self._parts:
            if isinstance(part, _Said):
                parts += part.parts()
                continue
            number += 1
            unique = part.id if part.id and part.id not in seen else made_id(number)
            seen.add(unique)
            sealer = SEALER if part.seal else None
            called = ToolCall(
                id=unique, tool=part.tool, arguments=part.arguments, signature=part.seal, sealed_by=sealer
            )
            parts.append(called)
        return parts


def _asked(call: dict[str, Any], seal: str | None) -> _Asked:
    arguments = call.get("args")
    if not isinstance(arguments, str):
        arguments = json.dumps({} if arguments is None else arguments, ensure_ascii=False)
    return _Asked(text(call.get("id")), text(call.get("name")), arguments.strip() or "{}", seal)


def gemini_usage(reported: Any) -> Usage | None:
    """Return what Google counted, or `None` if it did not.

    Example:
        >>> usage = gemini_usage({"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5})
        >>> usage.input_tokens, usage.output_tokens, usage.reasoning_tokens
        (9, 7, 5)
    """
    counts = mapping(reported)
    prompt, written = whole(counts.get("promptTokenCount")), whole(counts.get("candidatesTokenCount"))
    if prompt is None:
        return None
    # What Google's own tools brought in is read by the model too, and counted beside the prompt.
    read = prompt + (whole(counts.get("toolUsePromptTokenCount")) or 0)
    thoughts, cached = whole(counts.get("thoughtsTokenCount")), whole(counts.get("cachedContentTokenCount"))
    left = max(0, (whole(counts.get("totalTokenCount")) or 0) - read)
    return Usage(
        input_tokens=read,
        output_tokens=max(left, thoughts or 0) if written is None else written + (thoughts or 0),
        cached_input_tokens=None if cached is None else min(cached, read),
        reasoning_tokens=thoughts,
    )
