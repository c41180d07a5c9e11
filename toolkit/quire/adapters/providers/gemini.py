"""Google's Gemini models, in Google's own words: generateContent and streamGenerateContent.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from quire.adapters.providers.gemini_reply import GeminiFold
from quire.adapters.providers.gemini_request import before_3, gemini_request
from quire.adapters.providers.remote import Remote, below
from quire.adapters.providers.services import SERVICES
from quire.core.ports import Abilities, Endpoint, Facts, ModelRequest

__all__ = ["Gemini"]


class Gemini(Remote):
    """A model behind `:generateContent`.

    Example:
        >>> from quire.core.ports import Endpoint
        >>> Gemini(Endpoint(provider="google", model="gemini-flash-latest"))
        Gemini('google:gemini-flash-latest')
    """

    def __init__(self, endpoint: Endpoint) -> None:
        abilities = Abilities(output_schema_with_tools=not before_3(endpoint.model))
        super().__init__(endpoint, SERVICES["google"], abilities)

    def facts(self) -> Facts | None:
        """Return what is known of the model without asking it; the others that Google serves, it serves elsewhere."""
        return super().facts() if self.model.startswith(("gemini-", "gemma-")) else None

    def _address(self, url: str, *, stream: bool) -> str:
        # A tuned model's name says its collection itself.
        name = quote(self.model if "/" in self.model else f"models/{self.model}", safe="/")
        verb = "streamGenerateContent" if stream else "generateContent"
        return below(url, f"/{name}:{verb}", "alt=sse" if stream else "")

    def _body(self, request: ModelRequest, url: str) -> dict[str, Any]:  # noqa: ARG002 - the same everywhere
        return gemini_request(request, self.model)

    def _fold(self, request: ModelRequest) -> GeminiFold:
        return GeminiFold(calls_before=request.calls)
