"""Models that speak chat completions: OpenAI's own, and the many servers compatible with it.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from quire.adapters.providers.chat_reply import ReplyFold
from quire.adapters.providers.chat_request import chat_request
from quire.adapters.providers.remote import Remote, below
from quire.adapters.providers.services import sealer, service_for
from quire.core.ports import Abilities, Endpoint, ModelRequest

__all__ = ["OpenAIChat"]


class OpenAIChat(Remote):
    """A model behind `/chat/completions`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> OpenAIChat(Endpoint(provider="ollama", model="llama3.2"))
        OpenAIChat('ollama:llama3.2')
    """

    def __init__(self, endpoint: Endpoint) -> None:
        service = service_for(endpoint)
        abilities = Abilities(output_schema=service.output_schema, must_use_tool=service.must_use_tool)
        super().__init__(endpoint, service, abilities)

    def _address(self, url: str, *, stream: bool) -> str:  # noqa: ARG002 - the body says whether to stream
        return below(url, "/chat/completions")

    def _body(self, request: ModelRequest, url: str) -> dict[str, Any]:
        at_openai = f".{urlsplit(url).hostname}".endswith((".openai.com", ".azure.com"))
        return chat_request(request, self.model, self._service, at_openai=at_openai)

    def _fold(self, request: ModelRequest) -> ReplyFold:
        return ReplyFold(calls_before=request.calls, sealed_by=sealer(self._service))
