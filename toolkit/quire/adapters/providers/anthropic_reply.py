"""What the Messages API answers, folded into one `Answer`: the same fold for a reply that came whole and for a stream.

A reply is a row of blocks, and their order is part of what the model wants back. A stream opens a block, adds to
it, and closes it. The blocks are numbered, but some servers leave gaps, number two alike, or forget to open one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from quire.adapters.providers.anthropic_request import SEALER
from quire.adapters.providers.complaints import Complaint, complaint_in, read_complaint
from quire.adapters.providers.fold import Fold
from quire.adapters.providers.loose import mapping, rows, text, whole
from quire.core.messages import Message, Part, Text, Thought, ToolCall
from quire.core.ports import Answer, FinishReason, Piece
from quire.core.usage import Usage

__all__ = ["MessageFold", "usage_of"]

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # The server wanted to go on in another request: like a reply cut off, it is not whole.
    "pause_turn": "length",
    "refusal": "content_filter",
}
"""The provider's words; any other, and none at all, is an ordinary end."""

_DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}
"""What a delta adds to: the type of its block, and the name under which it has it."""


_WITH_DATA = frozenset(
    {"", "message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "error"}
)
"""Events whose data must be readable; of the others, nothing is needed."""
_STATUSES = {"invalid_request_error": 400, "not_found_error": 404}
"""What an error inside a stream would have had as its status, where its type alone says too little."""


@dataclass(slots=True)
class _Block:
    type: str
    words: list[str] = field(default_factory=list[str])
    """Of a text or a thought; of a call, its arguments."""
    signature: str | None = None
    id: str = ""
    tool: str = ""
    given: Any = None
    """Arguments that came whole."""

    def spoken(self) -> Text | Thought | None:
        """Return the words or the thought it holds."""
        said = "".join(self.words)
        match self.type:
            case "text" if said:
                return Text(text=said)
            case "thinking" if said or self.signature:
                return Thought(text=said, signature=self.signature, sealed_by=SEALER if self.signature else None)
            case "redacted_thinking" if self.signature:
                return Thought(text="", signature=self.signature, redacted=True, sealed_by=SEALER)
            case _:
                return None

    def arguments(self) -> str:
        """Return the arguments of a call, as the model wrote them."""
        given = json.dumps(self.given, ensure_ascii=False) if self.given else "{}"
        return "".join(self.words).strip() or given


@dataclass(slots=True)
class MessageFold(Fold):
    """A reply as far as it has arrived."""

    contents: ClassVar[str] = "content"

    _blocks: list[_Block] = field(default_factory=list[_Block])
    _at: dict[int, _Block] = field(default_factory=dict[int, _Block])
    _finish: str | None = None
    _declined: str = ""
    """Why the model declined, if that was said apart from its words."""
    _counts: dict[str, Any] = field(default_factory=dict[str, Any])
    _model: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the reply is complete, so that nothing is lost if the connection is."""
        return self.done or self._finish is not None

    @property
    def refusal(self) -> str:
        """The words in which the model, or who guards it, declined."""
        return self._declined

    @property
    def words(self) -> str:
        """The text that has arrived."""
        return "".join(words for block in self._blocks if block.type == "text" for words in block.words)

    def reads(self, name: str) -> bool:
        """Whether the data of events of that name is needed."""
        return name in _WITH_DATA

    def complaint_of(self, data: Any) -> Complaint:
        """Return what an error's body says."""
        complaint = read_complaint(data)
        told = next((status for name, status in _STATUSES.items() if name in complaint.codes), None)
        return replace(complaint, status=complaint.status or told)

    def take(self, name: str, data: Any) -> list[Piece]:
        """Add one event of a stream and return the characters it brought; one of an unknown type changes nothing."""
        body = mapping(data)
        kind = text(body.get("type")) or name
        self.complaint = self.complaint_of(body) if "error" in (kind, name) else complaint_in(body)
        match kind:
            case "message_start":
                self._begin(mapping(body.get("message")))
            case "content_block_start":
                return self._open(whole(body.get("index")), mapping(body.get("content_block")))
            case "content_block_delta":
                return self._add(whole(body.get("index")), mapping(body.get("delta")))
            case "message_delta":
                self._finished(mapping(body.get("delta")))
                self._count(body)
            case "message_stop":
                self.done = True
            case _:
                pass
        return []

    def take_whole(self, data: Any) -> list[Piece]:
        """Add a reply that came whole and return its characters."""
        body = mapping(data)
        self.complaint = self.complaint_of(body) if body.get("type") == "error" else complaint_in(data)
        self.heard = isinstance(body.get("content"), list)
        self.done = self.heard
        self._begin(body)
        self._finished(body)
        return [piece for block in rows(body.get("content")) for piece in self._open(None, mapping(block))]

    def answer(self) -> Answer:
        """Return the reply."""
        finish = self._finish_reason()
        parts: list[Part] = []
        for block in self._blocks:
            # Calls that were cut off are never carried out, nor those beside them: the turn was not finished.
            part = self._call(block, parts) if block.type == "tool_use" else block.spoken()
            if part is not None and (finish == "tool_calls" or not isinstance(part, ToolCall)):
                parts.append(part)
        message = Message(role="assistant", parts=tuple(parts))
        return Answer(message=message, finish_reason=finish, usage=usage_of(self._counts), model=self._model)

    def _begin(self, message: dict[str, Any]) -> None:
        self._model = text(message.get("model")) or self._model
        self._count(message)

    def _finished(self, body: dict[str, Any]) -> None:
        self._finish = text(body.get("stop_reason")) or self._finish
        if self._finish == "refusal":
            self._declined = text(mapping(body.get("stop_details")).get("explanation"))

    def _count(self, body: dict[str, Any]) -> None:
        # Each report counts from the beginning and may repeat the prompt, so a later number replaces an earlier one.
        self._counts |= {name: n for name, n in mapping(body.get("usage")).items() if n is not None}

    def _open(self, index: int | None, given: dict[str, Any]) -> list[Piece]:
        block = _Block(text(given.get("type")), id=text(given.get("id")), tool=text(given.get("name")))
        block.signature = text(given.get("signature")) or text(given.get("data")) or None
        block.given = given.get("input")
        self._blocks.append(block)
        if index is not None:
            self._at[index] = block
        return self._say(block, text(given.get(block.type))) if block.type in ("text", "thinking") else []

    def _add(self, index: int | None, delta: dict[str, Any]) -> list[Piece]:
        kind, name = _DELTAS.get(text(delta.get("type")), ("", ""))
        block = self._block_for(index, kind)
        if block is None:
            return []
        said = text(delta.get(name))
        if name == "signature":
            block.signature = said or block.signature
            return []
        return self._say(block, said)

    def _block_for(self, index: int | None, kind: str) -> _Block | None:
        """Return the block that a delta belongs to; `None` if it is of no use."""
        last = self._blocks[-1] if self._blocks else None
        block = last if index is None else self._at.get(index)
        if block is not None and block.type == kind:
            return block
        known = kind in ("text", "thinking") and (block is None or block.type in ("text", "thinking", "tool_use"))
        if not known:
            return last if block is None and last is not None and last.type == kind else None
        # Nobody opened it: words are words all the same.
        self._open(index, {"type": kind})
        return self._blocks[-1]

    @staticmethod
    def _say(block: _Block, said: str) -> list[Piece]:
        if not said:
            return []
        block.words.append(said)
        return [Piece(text=said, thinking=block.type == "thinking")] if block.type != "tool_use" else []

    def _finish_reason(self) -> FinishReason:
        finish = _FINISHES.get(self._finish or "", "stop")
        if finish in ("stop", "tool_calls"):
            return "tool_calls" if any(block.type == "tool_use" for block in self._blocks) else "stop"
        return finish

    def _call(self, block: _Block, before: list[Part]) -> ToolCall:
        called = [part.id for part in before if isinstance(part, ToolCall)]
        unique = block.id if block.id and block.id not in called else f"call_{self.calls_before + len(called) + 1}"
        return ToolCall(id=unique, tool=block.tool, arguments=block.arguments())


def usage_of(reported: Any) -> Usage | None:
    """Return what the provider counted, or `None` if it did not; it counts the cached parts beside the input.

    Example:
        >>> usage_of({"input_tokens": 2, "cache_read_input_tokens": 7, "output_tokens": 4})
        Usage(input_tokens=9, output_tokens=4, cached_input_tokens=7, cache_write_tokens=None, reasoning_tokens=None)
    """
    counts = mapping(reported)
    fresh, written = whole(counts.get("input_tokens")), whole(counts.get("output_tokens"))
    if fresh is None or written is None:
        return None
    read, stored = whole(counts.get("cache_read_input_tokens")), whole(counts.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=fresh + (read or 0) + (stored or 0),
        output_tokens=written,
        cached_input_tokens=read,
        cache_write_tokens=stored,
        reasoning_tokens=whole(mapping(counts.get("output_tokens_details")).get("thinking_tokens")),
    )
