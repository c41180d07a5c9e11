"""Google's Gemini models, in Google's own words: generateContent and streamGenerateContent.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic_core import from_json, to_json

from quire.adapters.http import Reply, Target
from quire.adapters.providers.arriving import arriving
from quire.adapters.providers.complaints import shortened
from quire.adapters.providers.gemini_complaint import google_error, without
from quire.adapters.providers.gemini_reply import GeminiFold
from quire.adapters.providers.gemini_request import gemini_request
from quire.adapters.providers.loose import parsed, rows
from quire.adapters.providers.services import SERVICES, base_url, key_for
from quire.adapters.sse import SentEvent, SSEDecoder
from quire.core.errors import ContentFiltered, ProviderError, StreamInterrupted
from quire.core.ports import Abilities, Answer, Endpoint, ModelRequest, Piece

__all__ = ["Gemini"]

_SUCCESS = range(200, 300)


class Gemini:
    """A model behind `:generateContent`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> Gemini(Endpoint(provider="google", model="gemini-flash-latest"))
        Gemini('google:gemini-flash-latest')
    """

    simulated = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._service = SERVICES["google"]
        self._prepared: tuple[str, str | None, dict[bool, Target]] | None = None
        if endpoint.base_url:
            base_url(endpoint, self._service)  # nonsense is refused here; the environment is read at the first call
        self.provider = endpoint.provider
        self.model = endpoint.model
        self.abilities = Abilities(output_schema=self._service.output_schema)

    def __repr__(self) -> str:
        return f"Gemini({self._who!r})"

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Piece | Answer, None]:
        """Yield pieces if `request.stream`, then exactly one `Answer`; raise a `ProviderError` otherwise."""
        target = self._target(stream=request.stream)
        body = to_json(gemini_request(request, self.model))
        fold = GeminiFold(calls_before=sum(len(message.calls) for message in request.messages))
        async with target.post(body) as reply:
            if reply.status not in _SUCCESS:
                raise await self._refused(reply)
            if request.stream:
                async with contextlib.aclosing(self._pieces(reply, fold)) as pieces:
                    async for piece in pieces:
                        yield piece
            else:
                self._take_whole(await reply.read(), fold, reply)
            status = reply.status
        yield self._answer(fold, status)

    @property
    def _who(self) -> str:
        return f"{self.provider}:{self.model}"

    @property
    def _key(self) -> str | None:
        return self._prepared[1] if self._prepared else None

    def _target(self, *, stream: bool) -> Target:
        """Return where to send; a changed environment is noticed."""
        url = base_url(self._endpoint, self._service)
        key = key_for(self._endpoint, self._service, url)
        if self._prepared is None or self._prepared[:2] != (url, key):
            # In a header: an address ends up in logs.
            headers = {"x-goog-api-key": key} if key else {}
            targets = {
                way: Target(self._address(url, stream=way), headers, self._endpoint.timeout) for way in (False, True)
            }
            self._prepared = (url, key, targets)
        return self._prepared[2][stream]

    def _address(self, url: str, *, stream: bool) -> str:
        parts = urlsplit(url)
        # A tuned model's name says its collection itself.
        name = quote(self.model if "/" in self.model else f"models/{self.model}", safe="/")
        verb = "streamGenerateContent" if stream else "generateContent"
        query = "&".join(filter(None, (parts.query, "alt=sse" if stream else "")))
        return parts._replace(path=f"{parts.path}/{name}:{verb}", query=query).geturl()

    async def _pieces(self, reply: Reply, fold: GeminiFold) -> AsyncGenerator[Piece, None]:
        decoder, first = SSEDecoder(), True
        async with contextlib.aclosing(arriving(reply, fold)) as chunks:
            async for chunk in chunks:
                if first and chunk.lstrip()[:1] in (b"{", b"[", b"<"):
                    # Not events: an error, or a JSON array, which is what Google streams when alt=sse got lost.
                    whole = await self._rest(chunk, chunks)
                    for piece in self._take_whole(whole, fold, reply):
                        yield piece
                    return
                first = first and not chunk.strip()
                for piece in self._take(decoder.feed(chunk), fold, reply):
                    yield piece
        for piece in self._take(decoder.finish(), fold, reply):
            yield piece
        if not fold.ended:
            raise self._interrupted("ended before it was complete", fold)

    async def _rest(self, first: bytes, chunks: AsyncGenerator[bytes, None]) -> bytes:
        arrived = [first]
        try:
            async for chunk in chunks:
                arrived.append(chunk)  # noqa: PERF401 - what has arrived is wanted if it breaks off
        except StreamInterrupted as error:
            error.partial = _begun(b"".join(arrived)).words
            raise
        return b"".join(arrived)

    def _take(self, events: list[SentEvent], fold: GeminiFold, reply: Reply) -> Iterator[Piece]:
        for event in events:
            if event.data.strip() == "[DONE]":
                # Google never says it, some who stand between do.
                fold.done = True
                return
            body = parsed(event.data)
            if body is None and not fold.ended:
                raise self._interrupted("had an event that is not JSON", fold)
            for chunk in rows(body) or [body]:
                yield from fold.take(chunk)
            if fold.complaint is not None:
                raise self._complained(fold.complaint, reply, event.data)

    def _take_whole(self, raw: bytes, fold: GeminiFold, reply: Reply) -> list[Piece]:
        body = parsed(raw)
        if body is None and raw.lstrip().startswith(b"["):
            raise self._interrupted("ended before it was complete", _begun(raw))
        pieces = [piece for chunk in (rows(body) or [body]) for piece in fold.take(chunk)]
        words = raw.decode("utf-8", "replace")
        if fold.complaint is not None:
            raise self._complained(fold.complaint, reply, words)
        if not fold.heard and not fold.blocked:
            what = "has no candidates" if isinstance(body, (dict, list)) else "is not JSON"
            raise self._useless(f"sent a reply that {what}", reply.status, words)
        if isinstance(body, list) and not fold.ended:
            raise self._interrupted("ended before it was complete", fold)
        fold.done = True
        return pieces

    def _answer(self, fold: GeminiFold, status: int) -> Answer:
        if fold.blocked:
            raise ContentFiltered(
                f"{self._who} did not read the prompt: {shortened(fold.blocked, 300)}",
                remedy="Say it differently; the provider's filter decides about this.",
                status=status,
                body=fold.blocked,
            )
        if fold.failure:
            why = f": {shortened(fold.why, 300)}" if fold.why else ""
            raise self._useless(fold.failure + why, status, fold.words)
        return fold.answer()

    def _useless(self, what: str, status: int, words: str) -> ProviderError:
        remedy = "Try again; if it stays, check the tools' parameters, and that base_url is a model's server."
        body = shortened(without(self._key, words))
        return ProviderError(f"{self._who} {what.rstrip('.')}.", remedy=remedy, status=status, body=body)

    def _interrupted(self, what: str, fold: GeminiFold) -> StreamInterrupted:
        error = StreamInterrupted(f"The reply of {self._who} {what}.", remedy="Try again.", body=shortened(fold.words))
        error.partial = fold.words
        return error

    async def _refused(self, reply: Reply) -> ProviderError:
        words = (await reply.read()).decode("utf-8", "replace")
        return self._complained(parsed(words), reply, words)

    def _complained(self, body: Any, reply: Reply, words: str) -> ProviderError:
        return google_error(
            body, who=self._who, status=reply.status, headers=reply.headers, words=words, secret=self._key
        )


def _begun(raw: bytes) -> GeminiFold:
    """Return what can be read of an array that breaks off."""
    fold = GeminiFold()
    with contextlib.suppress(ValueError):
        for chunk in rows(from_json(raw, allow_partial="trailing-strings")):
            fold.take(chunk)
    return fold
