"""Models that speak chat completions: OpenAI's own, and the many servers compatible with it.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic_core import to_json

from quire.adapters.http import Reply, Target
from quire.adapters.providers.arriving import arriving
from quire.adapters.providers.chat_reply import ReplyFold
from quire.adapters.providers.chat_request import chat_request
from quire.adapters.providers.complaints import Complaint, complaint_in, read_complaint, shortened, to_error
from quire.adapters.providers.loose import parsed
from quire.adapters.providers.services import base_url, key_for, service_for
from quire.adapters.sse import SentEvent, SSEDecoder
from quire.core.errors import ContentFiltered, ProviderError, StreamInterrupted
from quire.core.ports import Abilities, Answer, Endpoint, ModelRequest, Piece

__all__ = ["OpenAIChat"]

_SUCCESS = range(200, 300)


class OpenAIChat:
    """A model behind `/chat/completions`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> OpenAIChat(Endpoint(provider="ollama", model="llama3.2"))
        OpenAIChat('ollama:llama3.2')
    """

    simulated = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._service = service_for(endpoint)
        self._prepared: tuple[str, str | None, Target] | None = None
        if endpoint.base_url:
            base_url(endpoint, self._service)  # nonsense is refused here; the environment is read at the first call
        self.provider = endpoint.provider
        self.model = endpoint.model
        self.abilities = Abilities(output_schema=self._service.output_schema)

    def __repr__(self) -> str:
        return f"OpenAIChat({self._who!r})"

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Piece | Answer, None]:
        """Yield pieces if `request.stream`, then exactly one `Answer`; raise a `ProviderError` otherwise."""
        target, at_openai = self._target()
        body = to_json(chat_request(request, self.model, self._service, at_openai=at_openai))
        fold = ReplyFold(calls_before=sum(len(message.calls) for message in request.messages))
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

    def _target(self) -> tuple[Target, bool]:
        """Return where to send, and whether that is OpenAI itself; a changed environment is noticed."""
        url = base_url(self._endpoint, self._service)
        key = key_for(self._endpoint, self._service, url)
        if self._prepared is None or self._prepared[:2] != (url, key):
            parts = urlsplit(url)
            address = parts._replace(path=f"{parts.path}/chat/completions").geturl()
            headers = {"authorization": f"Bearer {key}"} if key else {}
            self._prepared = (url, key, Target(address, headers, self._endpoint.timeout))
        target = self._prepared[2]
        return target, f".{urlsplit(url).hostname}".endswith(".openai.com")

    async def _pieces(self, reply: Reply, fold: ReplyFold) -> AsyncGenerator[Piece, None]:
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

    def _take(self, events: list[SentEvent], fold: ReplyFold, reply: Reply) -> Iterator[Piece]:
        for event in events:
            if event.data.strip() == "[DONE]":
                fold.done = True
                return
            body = parsed(event.data)
            if body is None and not fold.ended:
                raise self._interrupted("had an event that is not JSON", fold)
            if event.name == "error":
                raise self._complained(read_complaint(body), reply, event.data)
            yield from fold.take(body)
            if fold.complaint is not None:
                raise self._complained(fold.complaint, reply, event.data)

    def _take_whole(self, raw: bytes, fold: ReplyFold, reply: Reply) -> list[Piece]:
        body = parsed(raw)
        pieces = fold.take(body)
        words = raw.decode("utf-8", "replace")
        fold.complaint = fold.complaint or complaint_in(body)
        if fold.complaint is not None:
            raise self._complained(fold.complaint, reply, words)
        if not fold.heard:
            what = "has no choices" if isinstance(body, dict) else "is not JSON"
            remedy = "Try again; if it stays, check that base_url is a model's server."
            body = shortened(self._without_key(words))
            raise ProviderError(f"{self._who} sent a reply that {what}.", remedy=remedy, status=reply.status, body=body)
        fold.done = True
        return pieces

    def _answer(self, fold: ReplyFold) -> Answer:
        if fold.refusal:
            raise ContentFiltered(
                f"{self._who} declined: {shortened(fold.refusal, 300)}",
                remedy="Say it differently, or ask another model.",
                body=fold.refusal,
            )
        answer = fold.answer()
        if answer.finish_reason == "error":
            raise self._interrupted("ended with an error that it did not name", fold)
        return answer

    def _interrupted(self, what: str, fold: ReplyFold) -> StreamInterrupted:
        error = StreamInterrupted(f"The reply of {self._who} {what}.", remedy="Try again.", body=shortened(fold.words))
        error.partial = fold.words
        return error

    async def _refused(self, reply: Reply) -> ProviderError:
        words = (await reply.read()).decode("utf-8", "replace")
        return self._complained(read_complaint(parsed(words)), reply, words)

    def _complained(self, complaint: Complaint, reply: Reply, words: str) -> ProviderError:
        safe = replace(complaint, message=self._without_key(complaint.message))
        body = self._without_key(words)
        return to_error(safe, who=self._who, status=reply.status, headers=reply.headers, body=body)

    def _without_key(self, words: str) -> str:
        # Some servers repeat a wrong key in full.
        key = self._prepared and self._prepared[1]
        return words.replace(key, "[key]") if key else words
