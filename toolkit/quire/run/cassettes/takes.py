"""One recording each: of an exchange with a model's server while it passes, and of what a tool gives."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic_core import from_json

from quire.core.errors import AuthenticationError, CassetteError, ProviderError
from quire.core.tape import Effect
from quire.run.cassettes.leaks import without_keys
from quire.run.cassettes.likeness import host_of
from quire.run.cassettes.reel import STOPPED, Exchange, Line, Used

__all__ = ["EffectTaking", "ExchangeTaking", "told_body", "told_url"]

_Write: TypeAlias = Callable[[Line], None]

_KEPT_HEADERS = re.compile(
    r"content-type|retry-after(-ms)?|x-should-retry|(x-)?request-id|(x-|anthropic-)?ratelimit-.+", re.IGNORECASE
)
"""What an error is told by; everything else may say whose account it is."""


class ExchangeTaking:
    """Takes down a reply chunk by chunk while somebody reads it, and writes it when they have done."""

    def __init__(self, line: Exchange, began: float, write: _Write) -> None:
        self._line, self._began, self._write = line, began, write
        self._data: list[bytes] = []
        self._chunks: list[tuple[int, float]] = []
        self._whole = False

    def __enter__(self) -> Self:
        return self

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take down how it begins."""
        kept = {name: text for name, text in headers.items() if _KEPT_HEADERS.fullmatch(name)}
        self._line = replace(self._line, status=status, headers=kept)

    async def through(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks as they arrive, and take them down."""
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    self._data.append(chunk)
                    self._chunks.append((len(chunk), self._seconds()))
                    yield chunk
        except ProviderError as error:
            self._line = replace(self._line, broke=type(error).__name__)
            raise
        self._whole = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        line = self._ended(error)
        if line is None:
            return
        try:
            self._write(line)
        except CassetteError as refused:
            if error is None:
                raise
            error.add_note(str(refused))  # what went wrong first is what matters

    def _ended(self, error: BaseException | None) -> Exchange | None:
        """Return what is to be written; `None` if that says nothing about the request."""
        broke = self._line.broke
        if error is not None and not isinstance(error, Exception) and not self._whole:
            broke = STOPPED
        elif isinstance(error, ProviderError) and self._line.status is None:
            broke = type(error).__name__
        # A wrong key is no answer, and neither is a request that was not even sent.
        if isinstance(error, AuthenticationError) or (self._line.status is None and broke is None):
            return None
        return replace(
            self._line,
            data=b"".join(self._data),
            chunks=tuple(self._chunks),
            lasted=self._seconds() if broke else 0.0,
            broke=broke,
            error=type(error).__name__ if isinstance(error, ProviderError) else None,
        )

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)


@dataclass(frozen=True, slots=True)
class EffectTaking:
    """Takes down what a tool gives."""

    line: Used
    write: _Write

    def keep(self, effect: Effect) -> None:
        """Write it."""
        self.write(replace(self.line, effect=effect))


def told_url(url: str) -> str:
    """Return an address as it is written down: no key, and of a server on this machine only that it was one.

    Example:
        >>> told_url("http://127.0.0.1:41233/v1/chat/completions")
        'http://localhost/v1/chat/completions'
    """
    return urlsplit(without_keys(url))._replace(netloc=host_of(url)).geturl()


def told_body(body: bytes) -> Any:
    """Return a request's body as it is written down: JSON, or text if it is none.

    Example:
        >>> told_body(b'{"model":"m"}')
        {'model': 'm'}
    """
    try:
        return from_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")
