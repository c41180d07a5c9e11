"""What is known about an MCP server besides its answers, for the error should something go wrong."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from quire.run.threads import in_thread

if TYPE_CHECKING:
    import httpx2

__all__ = ["Clues"]

_LINES = 10
"""Lines at the end of a program's error output that an error shows."""

_SHORTEST_SECRET = 8
"""Letters below which a value is no secret, and likely to be a part of some word."""

_NOT_FOUND = 404


class Clues:
    """What one connection to a server let be seen."""

    def __init__(self, secrets: Collection[str]) -> None:
        self.status: str | None = None
        """The HTTP status with which the last request was refused."""
        self.expired = False
        """Whether the server has forgotten the session."""
        self.ended = False
        """Whether the server ended without having been asked to."""
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._reader: threading.Thread | None = None
        self._secrets = sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)

    def without_secrets(self, text: str) -> str:
        """Return a text in which what the server was given in confidence is blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    async def last_words(self) -> str:
        """Return the last lines of a program's error output, after it has ended."""
        if self._reader is not None:
            await in_thread(self._reader.join, 0.2)
        return self.without_secrets("\n".join(self._lines))

    @contextmanager
    def listening(self) -> Generator[TextIO]:
        """Give a file for a program's error output, which has to have it when the block ends."""
        ours, theirs = os.pipe()
        self._reader = threading.Thread(target=self._listen, args=(ours,), name="quire-mcp", daemon=True)
        self._reader.start()
        with os.fdopen(theirs, "w") as output:
            yield output

    def _listen(self, descriptor: int) -> None:
        # To its end, since a full pipe would hold the program up; and a line may be endless.
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as output:
            for line in iter(lambda: output.readline(4096), ""):
                self._lines.append(line.rstrip())

    async def notice(self, response: httpx2.Response) -> None:
        """Look at a response of a server over HTTP: the SDK keeps its status to itself."""
        refused = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
        self.status = refused if response.is_error else None
        if response.status_code == _NOT_FOUND and "mcp-session-id" in response.request.headers:
            self.expired = True
