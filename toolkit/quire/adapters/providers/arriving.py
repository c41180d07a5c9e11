"""The bytes of a streamed reply as they come, with what was already said when they break off."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

from quire.adapters.http import Reply
from quire.core.errors import ProviderTimeout, StreamInterrupted

__all__ = ["arriving"]


class Fold(Protocol):
    """What a reply amounts to so far."""

    @property
    def ended(self) -> bool:
        """Whether the model has said why it stopped."""
        ...

    @property
    def words(self) -> str:
        """Its text."""
        ...


async def arriving(reply: Reply, fold: Fold) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a reply; raise what cuts it off, with the words so far, unless it had ended."""
    try:
        async with contextlib.aclosing(reply.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk
    except (StreamInterrupted, ProviderTimeout) as error:
        # When everything was said, only the server's good-bye is missing.
        if fold.ended:
            return
        if isinstance(error, StreamInterrupted):
            error.partial = fold.words
        raise
