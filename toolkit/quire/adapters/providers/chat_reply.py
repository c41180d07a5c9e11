"""What chat completions answer, folded into one `Answer`: the same fold for a reply that came whole and for a stream.

Servers that call themselves compatible differ most in how they stream the calls of tools: without an index, all
with index 0, with the id or the name repeated or empty or late, without arguments. `_Calls` reads all of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from quire.adapters.providers.chat_thoughts import Details, ThinkTags
from quire.adapters.providers.complaints import Complaint, complaint_in, read_complaint
from quire.adapters.providers.fold import Fold
from quire.adapters.providers.loose import mapping, number, rows, text, whole
from quire.core.messages import Message, Part, Text, Thought, ToolCall
from quire.core.ports import Answer, FinishReason, Piece
from quire.core.usage import Usage

__all__ = ["ReplyFold", "usage_of"]

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "error": "error",
    "insufficient_system_resource": "error",
}
"""The providers' words; any other, and none at all, is an ordinary end."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    tool: str = ""
    arguments: str = ""


class _Calls:
    """Puts the calls of tools together from their fragments."""

    def __init__(self) -> None:
        self.all: list[_Call] = []
        self._at: dict[int, _Call] = {}

    def take(self, fragment: dict[str, Any]) -> None:
        """Add what one fragment says to the call it belongs to."""
        call = self._slot(fragment)
        function = mapping(fragment.get("function"))
        name = text(function.get("name"))
        call.id = call.id or text(fragment.get("id"))
        # Some servers say the whole name again in every fragment, others send it in parts.
        if not call.tool or (name and not call.tool.endswith(name) and not call.arguments):
            call.tool += name
        arguments = function.get("arguments")
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""

    def _slot(self, fragment: dict[str, Any]) -> _Call:
        index, new_id = whole(fragment.get("index")), text(fragment.get("id"))
        if index is None:
            known = next((call for call in self.all if new_id and call.id == new_id), None)
            return known or (self.all[-1] if self.all and not new_id else self._begin())
        known = self._at.get(index)
        # An index with another id is another call: several servers number every call 0.
        if known is None or (new_id and known.id and new_id != known.id):
            known = self._at[index] = self._begin()
        return known

    def _begin(self) -> _Call:
        self.all.append(_Call())
        return self.all[-1]


@dataclass(slots=True)
class ReplyFold(Fold):
    """A reply as far as it has arrived."""

    contents: ClassVar[str] = "choices"

    _tags: ThinkTags = field(default_factory=ThinkTags)
    _details: Details = field(default_factory=Details)
    _words: list[str] = field(default_factory=list[str])
    _thoughts: list[str] = field(default_factory=list[str])
    _refusal: list[str] = field(default_factory=list[str])
    _calls: _Calls = field(default_factory=_Calls)
    _finish: str | None = None
    _usage: Usage | None = None
    _cost: float | None = None
    _model: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the reply is complete, so that nothing is lost if the connection is."""
        return self.done or self._finish is not None

    @property
    def words(self) -> str:
        """The text that has arrived."""
        return "".join(self._words)

    @property
    def refusal(self) -> str:
        """The words in which the model declined."""
        return "".join(self._refusal)

    def take_whole(self, data: Any) -> list[Piece]:
        """Add a reply that came whole and return its characters."""
        pieces = self.take("", data)
        self.done = self.heard
        return pieces

    def take(self, name: str, data: Any) -> list[Piece]:
        """Add one chunk of a stream and return the characters it brought."""
        self.complaint = read_complaint(data) if name == "error" else complaint_in(data)
        body = mapping(data)
        self._model = text(body.get("model")) or self._model
        self._count(body)
        # One choice was asked for; others, told apart by their index, are not ours.
        choices = [mapping(choice) for choice in rows(body.get("choices"))]
        return [piece for choice in choices if not choice.get("index") for piece in self._choice(choice)]

    def answer(self) -> Answer:
        """Return the reply."""
        finish = self._finish_reason()
        # Calls that were cut off are never carried out, nor those beside them: the model had not finished its turn.
        calls = [] if finish == "length" else self._named_calls()
        self._keep(self._tags.rest())
        seal = self._details.sealed()
        thought = Thought(text="".join(self._thoughts), signature=seal, sealed_by=self.sealed_by if seal else None)
        parts: list[Part] = [thought] if thought.text or seal else []
        parts += [Text(text=self.words)] if self.words else []
        return Answer(
            message=Message(role="assistant", parts=(*parts, *calls)),
            finish_reason=finish,
            usage=self._usage,
            model=self._model,
            cost_usd=self._cost,
        )

    def _choice(self, choice: dict[str, Any]) -> list[Piece]:
        self.heard = True
        self._finish = text(choice.get("finish_reason")) or self._finish
        self.complaint = self.complaint or complaint_in(choice) or self._ended_badly()
        self._usage = usage_of(choice.get("usage")) or self._usage
        delta = mapping(choice.get("delta")) or mapping(choice.get("message"))
        for fragment in rows(delta.get("tool_calls")):
            self._calls.take(mapping(fragment))
        if delta.get("function_call"):
            self._calls.take({"index": 0, "function": delta["function_call"]})
        self._refusal.append(text(delta.get("refusal")))
        return self._pieces(delta)

    def _ended_badly(self) -> Complaint | None:
        if self._finish_reason() != "error":
            return None
        return Complaint(
            message=f"the reply ended with {self._finish}", codes=frozenset({(self._finish or "").lower()})
        )

    def _pieces(self, delta: dict[str, Any]) -> list[Piece]:
        thinking = text(delta.get("reasoning_content")) or text(delta.get("reasoning"))
        details = self._details.take(rows(delta.get("reasoning_details")))
        content = delta.get("content")
        pieces = [Piece(text=thinking or details, thinking=True), *self._tags.take(text(content))]
        pieces += [_typed_piece(mapping(part)) for part in rows(content)]
        if self._finish is not None:
            pieces += self._tags.rest()
        return self._keep(pieces)

    def _keep(self, pieces: list[Piece]) -> list[Piece]:
        for piece in pieces:
            (self._thoughts if piece.thinking else self._words).append(piece.text)
        return [piece for piece in pieces if piece.text]

    def _count(self, body: dict[str, Any]) -> None:
        # Cumulative where it comes more than once: the last one counts, and is never added.
        reported = mapping(body.get("usage")) or mapping(mapping(body.get("x_groq")).get("usage"))
        self._usage = usage_of(reported) or self._usage
        cost = number(reported.get("cost"))
        self._cost = self._cost if cost is None else cost

    def _finish_reason(self) -> FinishReason:
        finish = _FINISHES.get((self._finish or "stop").lower(), "stop")
        if finish in ("stop", "tool_calls"):
            return "tool_calls" if self._calls.all else "stop"
        return finish

    def _named_calls(self) -> list[ToolCall]:
        seen: set[str] = set()
        named: list[ToolCall] = []
        for n, call in enumerate(self._calls.all, start=self.calls_before + 1):
            unique = call.id if call.id and call.id not in seen else f"call_{n}"
            seen.add(unique)
            named.append(ToolCall(id=unique, tool=call.tool, arguments=call.arguments.strip() or "{}"))
        return named


def _typed_piece(part: dict[str, Any]) -> Piece:
    # Mistral's reasoning models answer in a list of typed parts.
    thinking = part.get("thinking")
    if thinking is None:
        return Piece(text=text(part.get("text")))
    words = [text(mapping(inner).get("text")) for inner in rows(thinking)]
    return Piece(text=text(thinking) or "".join(words), thinking=True)


def usage_of(reported: Any) -> Usage | None:
    """Return what a provider counted, or `None` if it did not.

    Example:
        >>> usage_of({"prompt_tokens": 9, "completion_tokens": 2})
        Usage(input_tokens=9, output_tokens=2, cached_input_tokens=None, cache_write_tokens=None, reasoning_tokens=None)
    """
    counts = mapping(reported)
    read, written = whole(counts.get("prompt_tokens")), whole(counts.get("completion_tokens"))
    total = whole(counts.get("total_tokens"))
    if read is None or (written is None and total is None):
        return None
    written = max(0, (total or 0) - read) if written is None else written
    reasoning = whole(mapping(counts.get("completion_tokens_details")).get("reasoning_tokens"))
    if reasoning and total == read + written + reasoning:
        # xAI counts reasoning beside the output, everybody else as part of it.
        written += reasoning
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_input_tokens=_cached(counts, read),
        cache_write_tokens=whole(mapping(counts.get("prompt_tokens_details")).get("cache_write_tokens")),
        reasoning_tokens=reasoning,
    )


def _cached(counts: dict[str, Any], read: int) -> int | None:
    # In order: OpenAI and most others, DeepSeek, Moonshot.
    details = mapping(counts.get("prompt_tokens_details"))
    reported = (details.get("cached_tokens"), counts.get("prompt_cache_hit_tokens"), counts.get("cached_tokens"))
    # Some report more than there was, counting padding.
    return next((min(n, read) for n in map(whole, reported) if n is not None), None)
