"""Server-sent events from bytes, whatever way the bytes are cut.

Lines end at LF, CR LF or CR and nowhere else (https://html.spec.whatwg.org/multipage/server-sent-events.html):
`str.splitlines` would also cut at U+2028 inside a model's words. A line is decoded when it is whole, so
a character that is split between two chunks is read correctly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["SSEDecoder", "SentEvent"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_HAS_END = re.compile(rb"[\r\n]")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event with data."""

    name: str
    """Its `event` field, or `""`."""
    data: str


class SSEDecoder:
    r"""Turns chunks of bytes into events.

    Example:
        >>> decoder = SSEDecoder()
        >>> decoder.feed(b"data: Hel")
        []
        >>> decoder.feed(b"lo\r\n\r\n: a comment\n\n")
        [SentEvent(name='', data='Hello')]
    """

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._after_cr = False
        self._first = True
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[SentEvent]:
        """Return the events that this chunk completes."""
        if not chunk:
            return []
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        self._begun.append(chunk)
        # A long line in many chunks is joined once, at its end.
        if not _HAS_END.search(chunk):
            return []
        *lines, rest = _LINE_END.split(b"".join(self._begun))
        self._begun = [rest]
        return [event for line in lines if (event := self._line(line))]

    def finish(self) -> list[SentEvent]:
        """Return the event that the end of the stream completes, for servers that leave out the last empty line."""
        rest, self._begun = b"".join(self._begun), []
        ended = [self._line(rest)] if rest else []
        return [event for event in (*ended, self._dispatch()) if event]

    def _line(self, line: bytes) -> SentEvent | None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        elif name == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")
        return None

    def _dispatch(self) -> SentEvent | None:
        event = SentEvent(self._name, "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event
