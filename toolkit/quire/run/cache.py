"""Replies that are given again: a model is asked exactly the same only once.

A reply is kept where the runs are, in a stream of its own (`cache/<digest>`) that holds the `Responded`
event of the call that got it. The digest tells apart whatever can change a reply: who is asked and where,
every word, file, tool and shape, how the model is set. It is keyed with the API key that was brought along,
so that one owner's replies are never given to another, and no key can be read from it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pydantic_core import to_json

from quire.core.errors import CorruptLog, StoreError
from quire.core.events import Responded
from quire.core.ports import Model, ModelRequest
from quire.run.runtime import store

__all__ = ["ReplyCache"]

_WHOLE = {"stop", "tool_calls"}
"""How a reply ends that is worth keeping: not cut off, not filtered."""

_asking: dict[tuple[int, str], asyncio.Event] = {}
"""What is being asked, by loop and stream; set when that has come to its end."""


@dataclass(frozen=True, slots=True)
class ReplyCache:
    """The replies that one owner of a key is given again.

    Example:
        >>> ReplyCache("sk-secret")
        ReplyCache()
    """

    key: str | None = field(default=None, repr=False)
    """The key the model is asked with, if one was brought along; `None` for the operator's own."""

    def stream(self, model: Model, request: ModelRequest) -> str:
        """Return the name of the stream for the reply to a request."""
        # The address may come from the environment or from quire.toml, so the adapter has to say it.
        whom = [model.provider, model.model, getattr(model, "address", "")]
        asked = to_json(whom) + _written(dataclasses.replace(request, stream=False))
        return f"cache/{hmac.new((self.key or '').encode(), asked, 'sha256').hexdigest()}"

    @asynccontextmanager
    async def turn(self, stream: str) -> AsyncGenerator[None]:
        """Let the first who asks for a reply go on at once, and the others when that one has it.

        Who has waited does not wait again: if the first one got no reply, each asks for itself.
        """
        place = (id(asyncio.get_running_loop()), stream)
        if place in _asking:
            await _asking[place].wait()
            yield
            return
        _asking[place] = over = asyncio.Event()
        try:
            yield
        finally:
            del _asking[place]
            over.set()

    async def recall(self, stream: str) -> Responded | None:
        """Return the reply that was kept, if there is one."""
        try:
            return next((event for event in await store().read(stream) if isinstance(event, Responded)), None)
        except CorruptLog:
            with suppress(StoreError):
                await store().delete(stream)
        except StoreError:
            pass  # who cannot remember asks
        return None

    async def keep(self, stream: str, reply: Responded) -> None:
        """Keep a reply, if it is a whole one that was asked for now."""
        if reply.finish_reason not in _WHOLE or reply.replayed:
            return
        # Another process may have been first; and a reply that cannot be kept is still a reply.
        with suppress(StoreError):
            await store().append(stream, [dataclasses.replace(reply, seq=1, parent=None)], 0)


def _written(request: ModelRequest) -> bytes:
    try:
        return to_json(request)
    except ValueError:  # half a surrogate pair, which has no UTF-8
        return json.dumps(dataclasses.asdict(request)).encode()
