"""A model behind an HTTP address: the same way to ask, whatever the dialect.

A dialect says where to send and what to write, and folds what arrives. Everything else is here, once: the key and
when it changes, a stream in any slicing, a server that answers whole although a stream was asked for, what broke
off, what the server complained about, and that no key is ever repeated in an error.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json, to_json

from quire.adapters.http import Reply, Target
from quire.adapters.providers.complaints import Complaint, shortened, to_error
from quire.adapters.providers.families import family_of
from quire.adapters.providers.fold import Fold
from quire.adapters.providers.loose import parsed
from quire.adapters.providers.services import Service, base_url, key_for, key_headers
from quire.adapters.sse import SentEvent, SSEDecoder
from quire.core.errors import (
    AuthenticationError,
    ContentFiltered,
    DefinitionError,
    ProviderError,
    ProviderTimeout,
    StreamInterrupted,
)
from quire.core.ports import Abilities, Answer, Endpoint, Facts, ModelRequest, Piece
from quire.core.tape import NO_KEY

__all__ = ["Remote", "below"]

_SUCCESS = range(200, 300)
_WHOLE = (b"{", b"[", b"<")
"""How a body begins that is no stream."""


class Remote(ABC):
    """A model that is asked over HTTP; a dialect implements the three methods at the end."""

    simulated = False

    def __init__(self, endpoint: Endpoint, service: Service, abilities: Abilities) -> None:
        self._endpoint = endpoint
        self._service = service
        self._prepared: tuple[str, str | None, dict[bool, Target]] | None = None
        if endpoint.base_url:
            base_url(endpoint, service)  # nonsense is refused here; the environment is read at the first call
        self.provider = endpoint.provider
        self.model = endpoint.model
        self.abilities = abilities

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._who!r})"

    @property
    def address(self) -> str:
        """Where it is asked at the moment; a reply from elsewhere is another model's."""
        return base_url(self._endpoint, self._service)

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Piece | Answer, None]:
        """Yield pieces if `request.stream`, then exactly one `Answer`; raise a `ProviderError` otherwise."""
        url, targets = self._targets()
        body = to_json(self._body(request, url))
        fold = self._fold(request)
        begun = False
        try:
            async with (
                targets[request.stream].post(body) as reply,
                contextlib.aclosing(self._heard(reply, fold, stream=request.stream)) as pieces,
            ):
                async for piece in pieces:
                    begun = True
                    yield piece
                # Still inside, so that what is wrong with a reply belongs to its exchange.
                answer = replace(self._answer(fold, reply), replayed=reply.replayed)
            yield answer
        except ProviderError as error:
            error.partial, error.answered, error.begun = fold.words, fold.answer(), begun
            raise

    async def _heard(self, reply: Reply, fold: Fold, *, stream: bool) -> AsyncGenerator[Piece, None]:
        if reply.status not in _SUCCESS:
            raw = await reply.read()
            raise self._complained(fold.complaint_of(parsed(raw)), reply, raw.decode("utf-8", "replace"))
        if not stream:
            self._take_whole(await reply.read(), fold, reply)
            return
        async with contextlib.aclosing(self._pieces(reply, fold)) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces(self, reply: Reply, fold: Fold) -> AsyncGenerator[Piece, None]:
        decoder, first = SSEDecoder(), True
        async with contextlib.aclosing(self._arriving(reply, fold)) as chunks:
            async for chunk in chunks:
                if first and chunk.lstrip().startswith(_WHOLE):
                    # Not a stream: an error, or a server that answers whole whatever it is asked.
                    for piece in self._take_whole(await _rest(chunk, chunks, fold), fold, reply):
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

    async def _arriving(self, reply: Reply, fold: Fold) -> AsyncGenerator[bytes, None]:
        try:
            async with contextlib.aclosing(reply.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (StreamInterrupted, ProviderTimeout):
            # When everything was said, only the server's good-bye is missing.
            if not fold.ended:
                raise

    def _take(self, events: list[SentEvent], fold: Fold, reply: Reply) -> Iterator[Piece]:
        for event in events:
            if fold.done:
                return
            if event.data.strip() == "[DONE]":
                # OpenAI's good-bye; some who stand between say it in every dialect.
                fold.done = True
                return
            body = parsed(event.data)
            if event.name == "error" and body is None:
                body = {"message": event.data}
            if body is None and fold.reads(event.name) and not fold.ended:
                raise self._interrupted("had an event that is not JSON", fold)
            yield from fold.take(event.name, body)
            if fold.complaint is not None:
                raise self._complained(fold.complaint, reply, event.data)

    def _take_whole(self, raw: bytes, fold: Fold, reply: Reply) -> list[Piece]:
        body = parsed(raw)
        if body is None and raw.lstrip().startswith(b"["):
            _salvage(raw, fold)
            raise self._interrupted("ended before it was complete", fold)
        pieces = fold.take_whole(body)
        words = raw.decode("utf-8", "replace")
        if fold.complaint is not None:
            raise self._complained(fold.complaint, reply, words)
        if not fold.heard:
            what = f"has no {fold.contents}" if isinstance(body, (dict, list)) else "is not JSON"
            raise self._useless(f"sent a reply that {what}", reply, words)
        if not fold.ended:
            raise self._interrupted("ended before it was complete", fold)
        return pieces

    def _answer(self, fold: Fold, reply: Reply) -> Answer:
        if fold.refusal:
            raise ContentFiltered(
                f"{self._who} declined: {shortened(fold.refusal, 300)}",
                remedy="Say it differently, or ask another model.",
                status=reply.status,
                body=fold.refusal,
            )
        if fold.failure:
            raise self._useless(fold.failure, reply, fold.words)
        return fold.answer()

    def _interrupted(self, what: str, fold: Fold) -> StreamInterrupted:
        words = shortened(self._without_key(fold.words))
        return StreamInterrupted(f"The reply of {self._who} {what}.", remedy="Try again.", body=words)

    def _useless(self, what: str, reply: Reply, words: str) -> ProviderError:
        what = shortened(self._without_key(what).rstrip("."), 400)
        remedy = "Try again; if it stays, check that base_url is a model's server."
        body = shortened(self._without_key(words))
        return ProviderError(f"{self._who} {what}.", remedy=remedy, status=reply.status, body=body)

    def _complained(self, complaint: Complaint, reply: Reply, words: str) -> ProviderError:
        safe = replace(complaint, message=self._without_key(complaint.message))
        body = self._without_key(words)
        return to_error(safe, who=self._who, status=reply.status, headers=reply.headers, body=body)

    def _without_key(self, words: str) -> str:
        # Some servers repeat a wrong key in full.
        key = self._prepared and self._prepared[1]
        return words.replace(key, "[key]") if key else words

    def facts(self) -> Facts | None:
        """Return what is known of the model without asking it; `None` if it is not served here."""
        family, key = family_of(self.model), self._service.keys[0]
        try:
            sent = key_for(self._endpoint, self._service, base_url(self._endpoint, self._service))
        except (AuthenticationError, DefinitionError):
            sent = NO_KEY  # or no address
        return Facts(
            usable=sent is None or not sent.startswith(NO_KEY),
            key=key if sent else None,
            tools=family.tools,
            images=family.images if "image" in self._service.files else False,
            reasoning=family.reasoning,
        )

    @property
    def _who(self) -> str:
        return f"{self.provider}:{self.model}"

    def _headers(self) -> Mapping[str, str]:
        """Return what goes with every request besides the key."""
        return {}

    def _targets(self) -> tuple[str, dict[bool, Target]]:
        """Return the address below which everything is, and where to send, by whether a stream is wanted."""
        url = base_url(self._endpoint, self._service)
        key = key_for(self._endpoint, self._service, url)
        # The environment may have changed since the last call.
        if self._prepared is None or self._prepared[:2] != (url, key):
            headers = {**self._headers(), **key_headers(self._service, key or "")}
            targets = {
                stream: Target(self._address(url, stream=stream), headers, self._endpoint.timeout)
                for stream in (False, True)
            }
            self._prepared = (url, key, targets)
        return url, self._prepared[2]

    # What a dialect says

    @abstractmethod
    def _address(self, url: str, *, stream: bool) -> str:
        """Return where to send, below the address of the service."""

    @abstractmethod
    def _body(self, request: ModelRequest, url: str) -> Mapping[str, Any]:
        """Return what to send to the service at that address."""

    @abstractmethod
    def _fold(self, request: ModelRequest) -> Fold:
        """Return where the reply to a request is put together."""


async def _rest(first: bytes, chunks: AsyncGenerator[bytes, None], fold: Fold) -> bytes:
    arrived = [first]
    try:
        async for chunk in chunks:
            arrived.append(chunk)  # noqa: PERF401 - what has arrived is wanted if it breaks off
    except ProviderError:
        _salvage(b"".join(arrived), fold)
        raise
    return b"".join(arrived)


def _salvage(raw: bytes, fold: Fold) -> None:
    """Take what can be read of a body that breaks off."""
    with contextlib.suppress(ValueError):
        fold.take_whole(from_json(raw, allow_partial="trailing-strings"))


def below(url: str, path: str, query: str = "") -> str:
    """Return the address of something below a service's, which may have a query of its own.

    Example:
        >>> below("https://example.org/v1?api-version=2", "/messages", "alt=sse")
        'https://example.org/v1/messages?api-version=2&alt=sse'
    """
    parts = urlsplit(url)
    whole = "&".join(filter(None, (parts.query, query)))
    return parts._replace(path=f"{parts.path}{path}", query=whole).geturl()
