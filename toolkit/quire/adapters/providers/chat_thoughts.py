"""The two ways in which reasoning comes with chat completions, besides a field with its words.

Some servers leave it in the text, between `<think>` and `</think>`; OpenRouter tells it in typed, sealed details,
which it wants back as they were.
"""

from __future__ import annotations

import json
from typing import Any

from quire.adapters.providers.loose import mapping, text, whole
from quire.core.ports import Piece

__all__ = ["Details", "ThinkTags"]

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkTags:
    """Tells the words of a text from the thoughts at its beginning, in whatever pieces it comes.

    Example:
        >>> tags = ThinkTags()
        >>> [(piece.text, piece.thinking) for part in ("<thi", "nk>Hm.</think>", "Yes") for piece in tags.take(part)]
        [('Hm.', True), ('Yes', False)]
    """

    def __init__(self) -> None:
        self._waiting = ""
        self._tag: str | None = _OPEN
        """The tag that may come next; `None` once only words can."""
        self._trims = False
        """Whether the empty lines behind a tag are still to be dropped."""

    def take(self, said: str) -> list[Piece]:
        """Return what is certain with some more of the text."""
        self._waiting += said
        if self._tag == _OPEN:
            self._open()
        pieces = self._thought() if self._tag == _CLOSE else []
        return pieces + self._rest(thinking=False) if self._tag is None else pieces

    def rest(self) -> list[Piece]:
        """Return what was kept back, at the end of the text."""
        thinking, self._tag = self._tag == _CLOSE, None
        return self._rest(thinking=thinking)

    def _open(self) -> None:
        begun = self._waiting.lstrip()
        if begun.startswith(_OPEN):
            self._waiting, self._tag, self._trims = begun.removeprefix(_OPEN), _CLOSE, True
        elif not _OPEN.startswith(begun):
            # Spaces, and the beginning of a tag, may still become one; this cannot.
            self._tag = None

    def _thought(self) -> list[Piece]:
        thought, closed, words = self._waiting.partition(_CLOSE)
        kept = 0 if closed else _overlap(thought, _CLOSE)
        self._waiting = thought[: len(thought) - kept]
        pieces = self._rest(thinking=True)
        self._waiting = words if closed else thought[len(thought) - kept :]
        if closed:
            self._tag, self._trims = None, True
        return pieces

    def _rest(self, *, thinking: bool) -> list[Piece]:
        said, self._waiting = self._waiting, ""
        if self._trims:
            said = said.lstrip("\n")
            self._trims = not said
        return [Piece(text=said, thinking=thinking)] if said else []


def _overlap(words: str, tag: str) -> int:
    """Return how many of the last characters may be the beginning of a tag."""
    return next((n for n in range(min(len(words), len(tag) - 1), 0, -1) if tag.startswith(words[-n:])), 0)


class Details:
    """OpenRouter's `reasoning_details`, put together from a stream of their fragments."""

    def __init__(self) -> None:
        self._all: list[dict[str, Any]] = []

    def take(self, fragments: list[Any]) -> str:
        """Add fragments and return the words in them."""
        return "".join(self._add(mapping(fragment)) for fragment in fragments)

    def _add(self, fragment: dict[str, Any]) -> str:
        last = self._all[-1] if self._all else None
        known = next((one for one in reversed(self._all) if _same(one, fragment)), None)
        if whole(fragment.get("index")) is None:
            known = last if last and last.get("type") == fragment.get("type") and "id" not in fragment else None
        if known is None:
            self._all.append(dict(fragment))
        else:
            _join(known, fragment)
        return text(fragment.get("text")) or text(fragment.get("summary"))

    def sealed(self) -> str | None:
        """Return them as the text that is kept and given back; `None` if there are none."""
        return json.dumps(self._all, ensure_ascii=False) if self._all else None


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("index", "type"))


def _join(known: dict[str, Any], fragment: dict[str, Any]) -> None:
    for name, value in fragment.items():
        if name in ("text", "summary", "data") and isinstance(known.get(name), str) and isinstance(value, str):
            known[name] += value
        elif value is not None:
            known[name] = value
