"""Long-term notes: what an agent writes down for later, finds by words, and forgets.

The notes of a namespace are a stream, `notes/<namespace>`. Forgetting hides a note from every search; the stream
still tells that it was there. Search ranks by words; finding by meaning is another matter, and not done here.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from quire.agents.order import in_order
from quire.agents.sessions import quoted
from quire.agents.tool import Tool
from quire.core.errors import StreamConflict
from quire.core.events import Event, Forgotten, Noted
from quire.core.ports import Store
from quire.run import bridge

__all__ = ["ranked", "tools"]

_MOST = 5
"""Notes that a search returns."""
_WORD = re.compile(r"\w+")


def tools(store: Callable[[], Store], namespace: str) -> list[Tool[Any]]:
    """Return the tools that write, search and forget the notes of a namespace."""
    stream = f"notes/{quoted(namespace)}"

    async def write_note(text: str) -> str:
        """Write down something worth knowing in later conversations, as one short sentence that stands alone."""
        if not text.strip():
            raise ValueError("There is nothing in this note.")
        seq = await _add(store(), stream, Noted, lambda place: {"note": str(place), "text": text})
        return f"note {seq}"

    async def search_notes(words: str) -> list[dict[str, str]]:
        """Search the notes of earlier conversations for words; those that fit best come first."""
        return [_shown(note) for note in ranked(_living(await store().read(stream)), words)]

    async def forget_note(note: str) -> str:
        """Forget a note that is wrong or no longer wanted, by its number."""
        number = note.strip().removeprefix("note").strip()
        if number not in {each.note for each in _living(await store().read(stream))}:
            message = f"There is no note {number}; search for it first."
            raise ValueError(message)
        await _add(store(), stream, Forgotten, lambda _: {"note": number})
        return f"note {number} is forgotten"

    return [Tool(write_note), Tool(search_notes), Tool(forget_note)]


def ranked(notes: Sequence[Noted], words: str) -> list[Noted]:
    """Return the notes that have any of the words, best first: rare words count for more, then what is newer.

    Example:
        >>> told = ["Ada likes tea", "Ada likes trains", "Bob likes tea"]
        >>> common = {"seq": 1, "at": 0.0, "run": "", "span": "", "parent": None}
        >>> notes = [Noted(**common, note=str(n), text=text) for n, text in enumerate(told, 1)]
        >>> [note.text for note in ranked(notes, "trains, Ada?")]
        ['Ada likes trains', 'Ada likes tea']
    """
    held = [_words(note.text) for note in notes]
    often = Counter(word for each in held for word in each)
    wanted = _words(words)
    scored = [
        (sum(math.log(1 + len(notes) / often[word]) for word in wanted & each), place)
        for place, each in enumerate(held)
    ]
    return [notes[place] for score, place in sorted(scored, reverse=True)[:_MOST] if score > 0]


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _living(events: Sequence[Event]) -> list[Noted]:
    forgotten = {event.note for event in events if isinstance(event, Forgotten)}
    return [event for event in events if isinstance(event, Noted) and event.note not in forgotten]


def _shown(note: Noted) -> dict[str, str]:
    return {"note": note.note, "text": note.text, "written": f"{datetime.fromtimestamp(note.at, UTC):%Y-%m-%d}"}


async def _add(store: Store, stream: str, kind: type[Event], fields: Callable[[int], dict[str, str]]) -> int:
    """Add an event at the end of a stream, after whatever others have added, and return its place."""
    here = bridge.living_context()
    run, span = (here.run, here.span) if here else ("", "")
    async with in_order(store, stream):
        while True:
            seq = len(await store.read(stream)) + 1
            event = kind(seq=seq, at=time.time(), run=run, span=span, parent=None, **fields(seq))
            try:
                await store.append(stream, [event], seq - 1)
            except StreamConflict:
                continue
            return seq
