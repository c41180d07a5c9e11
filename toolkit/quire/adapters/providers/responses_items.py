"""The items of a reply in the Responses API: words, calls and thoughts, put together from all that tells of them.

A stream adds an item, adds to it, says that it is done, and lists all items again at its end. What comes later is
exact and replaces what came before; of its words, those that nobody has seen yet are news. Some servers leave one or
the other out, number all items 0, or give an item another id each time they speak of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from quire.adapters.providers.loose import mapping, rows, text
from quire.core.ports import Piece

__all__ = ["TYPES", "Item", "Items"]

TYPES = {
    "output_text": "message",
    "refusal": "message",
    "arguments": "function_call",
    "summary_text": "reasoning",
    "reasoning_text": "reasoning",
}
"""The kinds of words there are, and the type of the items that have them."""
_SHOWN = {"output_text": False, "summary_text": True, "reasoning_text": True}
"""Words that are given out while they come, and whether they are thoughts."""


@dataclass(slots=True, eq=False)
class Item:
    """One item as far as it has arrived."""

    type: str
    index: int | None = None
    """Its place in the reply, if that was said."""
    id: str = ""
    call_id: str = ""
    tool: str = ""
    whole: bool = False
    """Whether nothing of it is missing."""
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    """As it was told last."""
    _words: dict[str, dict[int, list[str]]] = field(default_factory=dict[str, dict[int, list[str]]])

    def parts(self, kind: str) -> list[str]:
        """Return its words of a kind, in as many parts as it has them."""
        said = self._words.get(kind, {})
        return ["".join(said[index]) for index in sorted(said)]

    def said(self, kind: str) -> str:
        """Return its words of a kind."""
        return "".join(self.parts(kind))

    def add(self, kind: str, index: int, words: str) -> list[Piece]:
        """Add words to one of its parts, and return what is news."""
        self._words.setdefault(kind, {}).setdefault(index, []).append(words)
        return _news(kind, "", words)

    def end(self, kind: str, index: int, words: str) -> list[Piece]:
        """Take what one of its parts has become, and return what is news; nothing is no more than not told."""
        parts = self._words.setdefault(kind, {})
        before = "".join(parts.get(index, ()))
        if words:
            parts[index] = [words]
        return _news(kind, before, words)

    def take(self, given: dict[str, Any], *, ended: bool) -> list[Piece]:
        """Take what it has become, and return what is news."""
        if ended or not self.whole:
            self.given = given
        self.whole = self.whole or (ended and given.get("status") != "incomplete")
        self.id = text(given.get("id")) or self.id
        self.call_id = text(given.get("call_id")) or self.call_id
        self.tool = text(given.get("name")) or self.tool
        pieces: list[Piece] = []
        for kind, parts in _told(given).items():
            before = self.said(kind)
            if any(parts):
                self._words[kind] = {index: [words] for index, words in enumerate(parts)}
            pieces += _news(kind, before, "".join(parts))
        return pieces


def _news(kind: str, before: str, now: str) -> list[Piece]:
    # What was given out cannot be taken back: other words in its place are exact in the answer alone.
    rest = now[len(before) :] if now.startswith(before) else ""
    return [Piece(text=rest, thinking=_SHOWN[kind])] if rest and kind in _SHOWN else []


def _told(given: dict[str, Any]) -> dict[str, list[str]]:
    """Return the words in an item, by their kind."""
    if given.get("type") == "function_call":
        arguments = given.get("arguments")
        return {"arguments": [arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""]}
    told: dict[str, list[str]] = {}
    for part in map(mapping, (*rows(given.get("summary")), *rows(given.get("content")))):
        kind = text(part.get("type"))
        if TYPES.get(kind) == given.get("type"):
            told.setdefault(kind, []).append(text(part.get("text")) or text(part.get("refusal")))
    return told


class Items:
    """The items of one reply."""

    def __init__(self) -> None:
        self._all: list[Item] = []

    def in_order(self) -> list[Item]:
        """Return them in the order of the reply; those without a place are where they came."""
        return sorted(self._all, key=lambda item: len(self._all) if item.index is None else item.index)

    def speaking(self, kind: str, index: int | None, item_id: str) -> Item:
        """Return the item that words of a kind belong to; it begins with them if nobody has told of it."""
        of_type = [item for item in reversed(self._all) if item.type == TYPES[kind]]
        named = (item for item in of_type if item_id and item.id == item_id)
        placed = (item for item in of_type if item.index == index and not (item.whole and item_id))
        return next(named, None) or next(placed, None) or self._begin(TYPES[kind], index, item_id)

    def take(self, given: dict[str, Any], index: int | None, *, ended: bool) -> list[Piece]:
        """Take what an item is, or has become, and return what is news."""
        # What is complete is spoken of again by its name alone: in its place, another may stand.
        meant = [item for item in self._all if not item.whole or (item.id and item.id == given.get("id"))]
        item = _same(meant, given, index) or self._begin(text(given.get("type")), index)
        return item.take(given, ended=ended)

    def end(self, listed: list[Any]) -> list[Piece]:
        """Take the list of all items at the end of a reply, if there is one, and return what is news."""
        known, pieces = self._all, list[Piece]()
        self._all = [] if listed else known
        for index, given in enumerate(map(mapping, listed)):
            item = _same(known, given, index) or Item(text(given.get("type")))
            known = [one for one in known if one is not item]
            item.index = index
            self._all.append(item)
            pieces += item.take(given, ended=True)
        for item in self._all:
            item.whole = item.given.get("status") != "incomplete"
        return pieces

    def _begin(self, kind: str, index: int | None, item_id: str = "") -> Item:
        self._all.append(Item(kind, index, item_id))
        return self._all[-1]


def _same(items: list[Item], given: dict[str, Any], index: int | None) -> Item | None:
    """Return which item is meant: the one of the same name, or else one in the same place."""
    of_type = [item for item in items if item.type == given.get("type")]
    named = (item for item in of_type if item.id and item.id == given.get("id"))
    call_id = text(given.get("call_id"))
    others = (item for item in of_type if not (call_id and item.call_id and item.call_id != call_id))
    return next(named, None) or next((item for item in others if item.index in (index, None)), None)
