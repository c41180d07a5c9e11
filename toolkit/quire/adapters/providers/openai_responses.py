"""OpenAI's own models, at OpenAI and at Azure, in the words that are made for them: the Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import Any

from quire.adapters.providers.remote import Remote, below
from quire.adapters.providers.responses_reply import ResponsesFold
from quire.adapters.providers.responses_request import responses_request
from quire.adapters.providers.services import sealer, service_for
from quire.core.ports import Abilities, Endpoint, ModelRequest

__all__ = ["OpenAIResponses"]


class OpenAIResponses(Remote):
    """A model behind `/responses`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> OpenAIResponses(Endpoint(provider="openai-responses", model="gpt-5.2"))
        OpenAIResponses('openai-responses:gpt-5.2')
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, service_for(endpoint), Abilities())

    def _address(self, url: str, *, stream: bool) -> str:  # noqa: ARG002 - the body says whether to stream
        return below(url, "/responses")

    def _body(self, request: ModelRequest, url: str) -> dict[str, Any]:  # noqa: ARG002 - the same everywhere
        return responses_request(request, self.model, self._service)

    def _fold(self, request: ModelRequest) -> ResponsesFold:
        return ResponsesFold(calls_before=request.calls, sealed_by=sealer(self._service))
