"""Facts about those who serve models, as data: one row each."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from quire.adapters.http import shown
from quire.core.errors import AuthenticationError, DefinitionError
from quire.core.ports import Endpoint
from quire.core.settings import ProviderSettings, settings
from quire.core.tape import NO_KEY, in_force

__all__ = ["SERVICES", "Service", "base_url", "is_local", "key_for", "key_headers", "sealer", "service_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is particular about one provider."""

    prefix: str
    """Its environment variables are `<prefix>_API_KEY` and `<prefix>_BASE_URL`."""
    base_url: str | None = None
    """`None`: there is none by default."""
    output_schema: bool = False
    """Whether a reply can be held to a JSON schema on every model, with and without tools."""
    stream_options: bool = True
    """Whether it accepts `stream_options`; without them, it reports usage unasked or not at all."""
    returns_thoughts: bool = False
    """Whether it wants a model's reasoning back together with its tool calls, as words."""
    nested_effort: bool = False
    """Whether an effort to think stands in an object of its own."""
    must_use_tool: bool = True
    """Whether a model can be made to use a tool."""
    one_system: bool = False
    """Whether it refuses a second message from the system."""
    files: frozenset[str] = frozenset({"image"})
    """What can be shown to its models besides words: `image`, `audio`, `document`."""
    call_id: str = r"[A-Za-z0-9_\-]{1,40}"
    """What the id of a tool call may be."""
    version: str = "v1"
    """What an address without a version of its own ends in."""
    key_header: str = "authorization"
    """Where it looks for the key."""
    key_variables: tuple[str, ...] = ()
    """Where its key is looked for, in order, if not in `<prefix>_API_KEY`."""
    base_url_variable: str | None = None
    """Where its address is looked for, if not in `<prefix>_BASE_URL`."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The environment variables that may hold its key."""
        return self.key_variables or (f"{self.prefix}_API_KEY",)


_EVERYTHING = frozenset({"image", "audio", "document"})

_OPENAI = Service(prefix="OPENAI", base_url="https://api.openai.com/v1", output_schema=True, files=_EVERYTHING)

_AZURE = Service(
    prefix="AZURE_OPENAI",
    output_schema=True,
    files=_EVERYTHING,
    version="openai/v1",
    key_header="api-key",
    base_url_variable="AZURE_OPENAI_ENDPOINT",
)

_GOOGLE = Service(
    prefix="GEMINI",
    base_url="https://generativelanguage.googleapis.com/v1beta",
    output_schema=True,
    version="v1beta",
    files=_EVERYTHING,
    key_header="x-goog-api-key",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    base_url_variable="GOOGLE_GEMINI_BASE_URL",
)

SERVICES: dict[str, Service] = {
    "openai": _OPENAI,
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
    "openai_compat": Service(prefix="OPENAI", output_schema=True, files=_EVERYTHING),
    "azure": _AZURE,
    "azure-responses": _AZURE,
    # Of its own API, and of the chat completions it serves at the same address, which ignore a schema.
    "anthropic": Service(
        prefix="ANTHROPIC",
        base_url="https://api.anthropic.com/v1",
        call_id=r"[A-Za-z0-9_\-]{1,64}",
        files=frozenset({"image", "document"}),
        key_header="x-api-key",
    ),
    "groq": Service(prefix="GROQ", base_url="https://api.groq.com/openai/v1"),
    "openrouter": Service(
        prefix="OPENROUTER", base_url="https://openrouter.ai/api/v1", nested_effort=True, files=_EVERYTHING
    ),
    "ollama": Service(prefix="OLLAMA", base_url="http://localhost:11434/v1", output_schema=True),
    "vllm": Service(prefix="VLLM", base_url="http://localhost:8000/v1", output_schema=True),
    "deepseek": Service(
        prefix="DEEPSEEK",
        base_url="https://api.deepseek.com/v1",
        returns_thoughts=True,
        must_use_tool=False,
        files=frozenset(),
    ),
    "moonshot": Service(
        prefix="MOONSHOT", base_url="https://api.moonshot.ai/v1", returns_thoughts=True, must_use_tool=False
    ),
    "dashscope": Service(prefix="DASHSCOPE", base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    "minimax": Service(
        prefix="MINIMAX", base_url="https://api.minimax.io/v1", must_use_tool=False, one_system=True, files=frozenset()
    ),
    "mistral": Service(
        prefix="MISTRAL",
        base_url="https://api.mistral.ai/v1",
        output_schema=True,
        stream_options=False,
        call_id=r"[A-Za-z0-9]{9}",
    ),
    "xai": Service(prefix="XAI", base_url="https://api.x.ai/v1", output_schema=True),
    "google": _GOOGLE,
    "gemini": _GOOGLE,
}
"""By the provider's name; a name that is not here is treated as `openai_compat`."""

_VERSION = re.compile(r"/v\d+[a-z0-9]*(/|$)")
_ROOT = "/openai"
"""Where Azure keeps it, with or without its version."""
_ENDING = re.compile(r"/(chat/completions|responses|messages)$")
"""What people copy along with an address."""


def service_for(endpoint: Endpoint) -> Service:
    """Return the facts of an endpoint's provider; a known address is known under any name."""
    named = SERVICES.get(endpoint.provider, SERVICES["openai_compat"])
    host = _parts(endpoint.base_url or "").hostname
    if named.base_url is None and host and not is_local(host):
        at_host = (known for known in SERVICES.values() if urlsplit(known.base_url or "").hostname == host)
        return next(at_host, named)
    return named


def sealer(service: Service) -> str:
    """Return whose seal is on what a service's models think."""
    # A gateway may share OpenAI's variables; its seals are not OpenAI's.
    return "openai_compat" if service is SERVICES["openai_compat"] else service.prefix.lower()


def base_url(endpoint: Endpoint, service: Service) -> str:
    """Return the address below which everything is, with its version: `https://api.openai.com/v1`.

    What the endpoint says goes before the environment, that before `quire.toml`, and that before the default.
    """
    variable = service.base_url_variable or f"{service.prefix}_BASE_URL"
    given = endpoint.base_url or os.environ.get(variable) or _written(endpoint, service).base_url or service.base_url
    if not given:
        raise DefinitionError(
            f"{endpoint.provider}:{endpoint.model} has no address.",
            remedy=f"Set LLM(base_url=...), the environment variable {variable}, or base_url in quire.toml.",
        )
    parts = _parts(given.strip())
    if parts.scheme not in ("http", "https"):
        raise DefinitionError(
            f"{shown(given)!r} is not the address of a server.", remedy="It begins with http:// or https://."
        )
    path = _ENDING.sub("", parts.path.rstrip("/"))
    # A path with a version of its own, such as /v1beta/openai, is somebody's choice.
    # So is an address with the version in its query, as Azure's older ones have it.
    versioned = _VERSION.search(path) or "api-version=" in parts.query
    path = path if versioned else f"{path.removesuffix(_ROOT)}/{service.version}"
    return parts._replace(path=path, fragment="").geturl()


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        message = f"{shown(url)!r} is not the address of a server: {error}."
        raise DefinitionError(message, remedy="It is written like http://127.0.0.1:8000/v1.") from None


def key_for(endpoint: Endpoint, service: Service, url: str) -> str | None:
    """Return the key to send, or `None` for a server on this machine that needs none.

    While a tape is in force, what stands in for a missing key: the tape may have the answer without it.
    """
    variable = " or ".join(service.keys)
    found = next(filter(None, map(os.environ.get, service.keys)), None)
    key = (endpoint.api_key or found or _written(endpoint, service).api_key or "").strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise AuthenticationError(
            f"The key for {endpoint.provider} has characters that no key has.",
            remedy=f"Copy it again: spaces, quotes and line ends do not belong to it. "
            f"It is read from {variable}, or else from quire.toml.",
        )
    if not key and not is_local(urlsplit(url).hostname or ""):
        if in_force() is not None:
            return f"{NO_KEY}{variable}"
        raise AuthenticationError(
            f"There is no key for {endpoint.provider}:{endpoint.model}.",
            remedy=f"Set the environment variable {variable}, or api_key in quire.toml, or pass LLM(api_key=...).\n"
            'LLM("offline") needs no key.',
        )
    return key or None


def _written(endpoint: Endpoint, service: Service) -> ProviderSettings:
    """Return what `quire.toml` says of a provider, by this or another of its names."""
    said = settings().providers
    names = (endpoint.provider, *(name for name, known in SERVICES.items() if known is service))
    return next((said[name] for name in names if name in said), ProviderSettings())


def key_headers(service: Service, key: str) -> dict[str, str]:
    """Return the headers that carry a key; none for an empty one.

    Example:
        >>> key_headers(SERVICES["groq"], "abc"), key_headers(SERVICES["azure"], "abc")
        ({'authorization': 'Bearer abc'}, {'api-key': 'abc'})
    """
    if not key:
        return {}
    return {service.key_header: f"Bearer {key}" if service.key_header == "authorization" else key}


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
