"""Claude, and other models behind an address that speaks Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from typing import Any

from quire.adapters.providers.anthropic_reply import MessageFold
from quire.adapters.providers.anthropic_request import facts_of, messages_request
from quire.adapters.providers.remote import Remote, below
from quire.adapters.providers.services import SERVICES
from quire.core.ports import Abilities, Endpoint, ModelRequest

__all__ = ["Anthropic"]

_VERSION = "2023-06-01"


class Anthropic(Remote):
    """A model behind `/v1/messages`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> model = Anthropic(Endpoint(provider="anthropic", model="claude-sonnet-4-5"))
        >>> model, model.abilities.output_schema
        (Anthropic('anthropic:claude-sonnet-4-5'), True)
    """

    def __init__(self, endpoint: Endpoint) -> None:
        facts = facts_of(endpoint.model)
        abilities = Abilities(output_schema=facts.output_schema, must_use_tool=facts.must_use_tool)
        super().__init__(endpoint, SERVICES["anthropic"], abilities)

    def _address(self, url: str, *, stream: bool) -> str:  # noqa: ARG002 - the body says whether to stream
        return below(url, "/messages")

    def _headers(self) -> dict[str, str]:
        return {"anthropic-version": _VERSION}

    def _body(self, request: ModelRequest, url: str) -> dict[str, Any]:  # noqa: ARG002 - the same everywhere
        return messages_request(request, self.model)

    def _fold(self, request: ModelRequest) -> MessageFold:
        return MessageFold(calls_before=request.calls)
