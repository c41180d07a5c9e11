"""Claude, and other models behind an address that speaks Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic_core import to_json

from quire.adapters.http import Reply, Target
from quire.adapters.providers.anthropic_reply import MessageFold
from quire.adapters.providers.anthropic_request import facts_of, messages_request
from quire.adapters.providers.arriving import arriving
from quire.adapters.providers.complaints import Complaint, read_complaint, shortened, to_error
from quire.adapters.providers.loose import parsed
from quire.adapters.providers.services import SERVICES, base_url, key_for
from quire.adapters.sse import SentEvent, SSEDecoder
from quire.core.errors import ContentFiltered, ProviderError, StreamInterrupted
from quire.core.ports import Abilities, Answer, Endpoint, ModelRequest, Piece

__all__ = ["Anthropic"]

_SUCCESS = range(200, 300)
_VERSION = "2023-06-01"
_SERVICE = SERVICES["anthropic"]
_WITH_DATA = frozenset(
    {"", "message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "error"}
)
"""Events whose data must be readable; of the others, nothing is needed."""
_STATUSES = {"invalid_request_error": 400, "not_found_error": 404}
"""What an error inside a stream would have had as its status, where its type alone says too little."""


class Anthropic:
    """A model behind `/v1/messages`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> model = Anthropic(Endpoint(provider="anthropic", model="claude-sonnet-4-5"))
        >>> model, model.abilities
        (Anthropic('anthropic:claude-sonnet-4-5'), Abilities(output_schema=True, tools=True))
    """

    simulated = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._prepared: tuple[str, str | None, Target] | None = None
        if endpoint.base_url:
            base_url(endpoint, _SERVICE)  # nonsense is refused here; the environment is read at the first call
        self.provider = endpoint.provider
        self.model = endpoint.model
        self.abilities = Abilities(output_schema=facts_of(endpoint.model).output_schema)

    def __repr__(self) -> str:
        return f"Anthropic({self._who!r})"

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Piece | Answer, None]:
        """Yield pieces if `request.stream`, then exactly one `Answer`; raise a `ProviderError` otherwise."""
        target = self._target()
        body = to_json(messages_request(request, self.model))
        fold = MessageFold(calls_before=sum(len(message.calls) for message in request.messages))
        async with target.post(body) as reply:
            if reply.status not in _SUCCESS:
                raise await self._refused(reply)
            if request.stream:
                async with contextlib.aclosing(self._pieces(reply, fold)) as pieces:
                    async for piece in pieces:
                        yield piece
            else:
                self._take_whole(await reply.read(), fold, reply)
        yield self._answer(fold)

    @property
    def _who(self) -> str:
        return f"{self.provider}:{self.model}"

    def _target(self) -> Target:
        """Return where to send; a changed environment is noticed."""
        url = base_url(self._endpoint, _SERVICE)
        key = key_for(self._endpoint, _SERVICE, url)
        if self._prepared is None or self._prepared[:2] != (url, key):
            parts = urlsplit(url)
            address = parts._replace(path=f"{parts.path.removesuffix('/messages')}/messages").geturl()
            headers = {"anthropic-version": _VERSION} | ({"x-api-key": key} if key else {})
            self._prepared = (url, key, Target(address, headers, self._endpoint.timeout))
        return self._prepared[2]

    async def _pieces(self, reply: Reply, fold: MessageFold) -> AsyncGenerator[Piece, None]:
        decoder, first = SSEDecoder(), True
        async with contextlib.aclosing(arriving(reply, fold)) as chunks:
            async for chunk in chunks:
                if first and chunk.lstrip()[:1] in (b"{", b"[", b"<"):
                    # Not a stream: an error, or a server that answers whole whatever it is asked.
                    chunk += b"".join([rest async for rest in chunks])  # noqa: PLW2901 - the chunk, completed
                    for piece in self._take_whole(chunk, fold, reply):
                        yield piece
                    return
                first = first and not chunk.strip()
                for piece in self._take(decoder.feed(chunk), fold, reply):
                    yield piece
                if fold.done:
                    await reply.drain(chunks)
        for piece in self._take(decoder.finish(), fold, reply):
            yield piece
        if not fold.ended:
            raise self._interrupted("ended before it was complete", fold)

    def _take(self, events: list[SentEvent], fold: MessageFold, reply: Reply) -> Iterator[Piece]:
        for event in events:
            if fold.done:
                return
            body = parsed(event.data)
            if body is None and event.name in _WITH_DATA and not fold.ended:
                raise self._interrupted("had an event that is not JSON", fold)
            yield from fold.take(event.name, body)
            if fold.complaint is not None:
                raise self._complained(fold.complaint, reply, event.data)

    def _take_whole(self, raw: bytes, fold: MessageFold, reply: Reply) -> list[Piece]:
        body = parsed(raw)
        pieces = fold.take_whole(body)
        words = raw.decode("utf-8", "replace")
        if fold.complaint is not None:
            raise self._complained(fold.complaint, reply, words)
        if not fold.heard:
            what = "has no content" if isinstance(body, dict) else "is not JSON"
            remedy = "Try again; if it stays, check that base_url is a model's server."
            body = shortened(self._without_key(words))
            raise ProviderError(f"{self._who} sent a reply that {what}.", remedy=remedy, status=reply.status, body=body)
        return pieces

    def _answer(self, fold: MessageFold) -> Answer:
        if fold.refusal:
            raise ContentFiltered(
                f"{self._who} declined: {shortened(fold.refusal, 300)}",
                remedy="Say it differently, or ask another model.",
                body=fold.refusal,
            )
        return fold.answer()

    def _interrupted(self, what: str, fold: MessageFold) -> StreamInterrupted:
        error = StreamInterrupted(f"The reply of {self._who} {what}.", remedy="Try again.", body=shortened(fold.words))
        error.partial = fold.words
        return error

    async def _refused(self, reply: Reply) -> ProviderError:
        words = (await reply.read()).decode("utf-8", "replace")
        return self._complained(read_complaint(parsed(words)), reply, words)

    def _complained(self, complaint: Complaint, reply: Reply, words: str) -> ProviderError:
        told = next((status for name, status in _STATUSES.items() if name in complaint.codes), None)
        status = complaint.status or told
        safe = replace(complaint, message=self._without_key(complaint.message), status=status)
        body = self._without_key(words)
        return to_error(safe, who=self._who, status=reply.status, headers=reply.headers, body=body)

    def _without_key(self, words: str) -> str:
        # Some servers repeat a wrong key in full.
        key = self._prepared and self._prepared[1]
        return words.replace(key, "[key]") if key else words
