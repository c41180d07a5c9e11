"""OpenAI under its own name: at its own address its newest words, anywhere else those that everybody understands.

`OPENAI_BASE_URL` may name a gateway or a server of one's own, which speak chat completions, and may do so only later:
so which of the two it is, is decided anew at each call. Stop sequences are known to chat completions alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

from quire.adapters.providers.openai_chat import OpenAIChat
from quire.adapters.providers.openai_responses import OpenAIResponses
from quire.adapters.providers.services import SERVICES, base_url
from quire.core.ports import Answer, Endpoint, Facts, ModelRequest, Piece

__all__ = ["OpenAI"]


class OpenAI:
    """A model of OpenAI's, or one that is served like them.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> OpenAI(Endpoint(provider="openai", model="gpt-4o-mini"))
        OpenAI('openai:gpt-4o-mini')
    """

    simulated = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._chat = OpenAIChat(endpoint)
        self._responses = OpenAIResponses(endpoint)
        self.provider = endpoint.provider
        self.model = endpoint.model
        self.abilities = self._chat.abilities

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'{self.provider}:{self.model}'!r})"

    @property
    def address(self) -> str:
        """Where it is asked at the moment; a reply from elsewhere is another model's."""
        return base_url(self._endpoint, SERVICES["openai"])

    def facts(self) -> Facts | None:
        """Return what is known of the model without asking it."""
        return self._chat.facts()

    def ask(self, request: ModelRequest) -> AsyncGenerator[Piece | Answer, None]:
        """Yield pieces if `request.stream`, then exactly one `Answer`; raise a `ProviderError` otherwise."""
        host = urlsplit(self.address).hostname
        at_openai = f".{host}".endswith(".openai.com") and not request.stop
        return (self._responses if at_openai else self._chat).ask(request)
