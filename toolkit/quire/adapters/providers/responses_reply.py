"""What the Responses API answers, folded into one `Answer`: the same fold for a reply that came whole and for a stream.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from quire.adapters.providers.complaints import Complaint, complaint_in, read_complaint
from quire.adapters.providers.fold import Fold
from quire.adapters.providers.loose import mapping, rows, text, whole
from quire.adapters.providers.responses_items import TYPES, Item, Items
from quire.core.messages import Message, Part, Text, Thought, ToolCall
from quire.core.ports import Answer, FinishReason, Piece
from quire.core.usage import Usage

__all__ = ["ResponsesFold", "usage_of"]

_EVENT = re.compile(r"response\.(?:(\w+)\.)?(\w+)")
"""What an event's name says: `response.output_text.delta`, `response.completed`."""
_ENDS = frozenset({"completed", "incomplete", "failed", "cancelled"})
_KINDS = {
    "output_text": "output_text",
    "refusal": "refusal",
    "function_call_arguments": "arguments",
    "reasoning_summary_text": "summary_text",
    "reasoning_text": "reasoning_text",
}
"""The kind of words that an event of that name brings."""
_FAULTS = ((re.compile(r"invalid|unsupported|image"), 400), (re.compile(r"server_error"), 500))
"""What an error inside a reply would have had as its status, by the words in its codes."""


@dataclass(slots=True)
class ResponsesFold(Fold):
    """A reply as far as it has arrived."""

    contents: ClassVar[str] = "output"

    _items: Items = field(default_factory=Items)
    _status: str = ""
    _why: str = ""
    """The reason why it is incomplete."""
    _usage: Usage | None = None
    _model: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the reply is complete, so that nothing is lost if the connection is."""
        return self.done or self._status in _ENDS

    @property
    def words(self) -> str:
        """The text that has arrived."""
        return "".join(item.said("output_text") for item in self._items.in_order())

    @property
    def refusal(self) -> str:
        """The words in which the model declined."""
        return "".join(item.said("refusal") for item in self._items.in_order())

    @property
    def failure(self) -> str:
        """What is wrong with a reply that came to its end; `""` if nothing is."""
        return "was told to stop in the middle of its reply" if self._status == "cancelled" else ""

    def reads(self, name: str) -> bool:
        """Whether the data of events of that name is needed."""
        return name in ("", "error") or name.startswith("response.")

    def complaint_of(self, data: Any) -> Complaint:
        """Return what an error's body says."""
        complaint = read_complaint(data)
        told = next((status for words, status in _FAULTS if any(map(words.search, complaint.codes))), None)
        return replace(complaint, status=complaint.status or told)

    def take_whole(self, data: Any) -> list[Piece]:
        """Add a reply that came whole and return its characters."""
        body = mapping(data)
        self.complaint = self.complaint_of(data) if complaint_in(data) or body.get("type") == "error" else None
        self.heard = isinstance(body.get("output"), list)
        return self._response(body, text(body.get("status")) or "completed") if self.heard else []

    def take(self, name: str, data: Any) -> list[Piece]:
        """Add one event of a stream and return the characters it brought; one of an unknown type changes nothing."""
        body = mapping(data)
        kind = text(body.get("type")) or name
        if "error" in (kind, name) or complaint_in(body):
            self.complaint = self.complaint_of(body)
        found = _EVENT.fullmatch(kind)
        what, how = found.groups("") if found else ("", "")
        if what == "output_item":
            return self._items.take(mapping(body.get("item")), whole(body.get("output_index")), ended=how == "done")
        if what in ("content_part", "reasoning_summary_part"):
            part = mapping(body.get("part"))
            return self._said(body, text(part.get("type")), part, how)
        if what in _KINDS:
            return self._said(body, _KINDS[what], body, how)
        return self._response(mapping(body.get("response")), how) if found and not what else []

    def answer(self) -> Answer:
        """Return the reply."""
        finish = self._finish_reason()
        parts: list[Part] = []
        for item in self._items.in_order():
            match item.type:
                case "message" if said := item.said("output_text"):
                    parts.append(Text(text=said))
                case "reasoning":
                    parts += self._thoughts(item)
                # Calls that were cut off are never carried out, nor those beside them: the turn was not finished.
                case "function_call" if finish == "tool_calls":
                    parts.append(self._call(item, parts))
                case _:
                    pass
        message = Message(role="assistant", parts=tuple(parts))
        return Answer(message=message, finish_reason=finish, usage=self._usage, model=self._model)

    def _said(self, body: dict[str, Any], kind: str, told: dict[str, Any], how: str) -> list[Piece]:
        if kind not in TYPES:
            return []
        item = self._items.speaking(kind, whole(body.get("output_index")), text(body.get("item_id")))
        part = whole(body.get("summary_index" if kind == "summary_text" else "content_index")) or 0
        if how == "delta":
            return item.add(kind, part, text(told.get("delta")))
        return item.end(kind, part, text(told.get("text")) or text(told.get("refusal")) or text(told.get("arguments")))

    def _response(self, response: dict[str, Any], how: str) -> list[Piece]:
        if complaint_in(response) or how == "failed":
            self.complaint = self.complaint_of(response)
        self._model = text(response.get("model")) or self._model
        self._usage = usage_of(response.get("usage")) or self._usage
        self._why = text(mapping(response.get("incomplete_details")).get("reason")) or self._why
        status = text(response.get("status"))
        status = status if status in _ENDS else how
        if status not in _ENDS:
            return []
        self._status, self.done = status, True
        return self._items.end(rows(response.get("output")))

    def _finish_reason(self) -> FinishReason:
        if self._status == "incomplete":
            return "content_filter" if self._why == "content_filter" else "length"
        calls = [item for item in self._items.in_order() if item.type == "function_call"]
        if not all(call.whole for call in calls):
            return "length"
        return "tool_calls" if calls else "stop"

    def _thoughts(self, item: Item) -> list[Thought]:
        *before, last = [words for kind in ("summary_text", "reasoning_text") for words in item.parts(kind)] or [""]
        # Nothing is kept at the provider, so what it cannot read of the item itself would be of no use to it.
        useful = item.whole and (item.given.get("encrypted_content") or item.given.get("content"))
        seal = json.dumps(item.given, ensure_ascii=False) if useful else None
        thoughts = [Thought(text=words) for words in (*before, last) if words]
        if seal is None:
            return thoughts
        sealed = Thought(text=last, signature=seal, redacted=not last, sealed_by=self.sealed_by)
        return [*(thoughts[:-1] if last else thoughts), sealed]

    def _call(self, item: Item, before: list[Part]) -> ToolCall:
        called = [part.id for part in before if isinstance(part, ToolCall)]
        given = item.call_id or item.id
        unique = given if given and given not in called else f"call_{self.calls_before + len(called) + 1}"
        return ToolCall(id=unique, tool=item.tool, arguments=item.said("arguments").strip() or "{}")


def usage_of(reported: Any) -> Usage | None:
    """Return what a provider counted, or `None` if it did not.

    Example:
        >>> usage_of({"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 8}})
        Usage(input_tokens=9, output_tokens=2, cached_input_tokens=8, cache_write_tokens=None, reasoning_tokens=None)
    """
    counts = mapping(reported)
    read, written = whole(counts.get("input_tokens")), whole(counts.get("output_tokens"))
    if read is None or written is None:
        return None
    details = mapping(counts.get("input_tokens_details"))
    cached = whole(details.get("cached_tokens"))
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_input_tokens=None if cached is None else min(cached, read),
        cache_write_tokens=whole(details.get("cache_write_tokens")),
        reasoning_tokens=whole(mapping(counts.get("output_tokens_details")).get("reasoning_tokens")),
    )
