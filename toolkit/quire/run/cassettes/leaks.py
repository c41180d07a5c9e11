"""Keys and passwords in what is about to be written down.

Three ways to know one: it is what a request's own headers carry, it is in `quire.toml` or in an environment variable
whose name says so, or it looks like one. What is found is named by its place and its kind and never repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic_core import from_json

from quire.core.settings import settings

__all__ = ["known_secrets", "leak_in", "said_in", "without_keys"]

_LEAST = 12
"""Characters of a known secret; what is shorter is a word, such as the "not-needed" that a local server is sent."""

_SAYS_SO = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_KEY_NAMES = re.compile(r"^(.*[_-])?(key|apikey|token|secret|password|sig|signature|code)$", re.IGNORECASE)
"""Parameters of an address that carry a key."""

# Each begins with letters that are searched for quickly: prompts may hold pictures of megabytes.
_FORMS = (
    ("a key (sk-…)", re.compile(r"sk-(?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{20,}")),
    ("a Google key (AIza…)", re.compile(r"AIza[A-Za-z0-9_-]{35}")),
    ("a GitHub token (ghp_…)", re.compile(r"gh[pousr]_[A-Za-z0-9]{36,}")),
    ("a GitHub token (github_pat_…)", re.compile(r"github_pat_[A-Za-z0-9_]{50,}")),
    ("a GitLab token (glpat-…)", re.compile(r"glpat-[A-Za-z0-9_-]{20,}")),
    ("a Groq key (gsk_…)", re.compile(r"gsk_[A-Za-z0-9]{30,}")),
    ("an xAI key (xai-…)", re.compile(r"xai-[A-Za-z0-9]{40,}")),
    ("a Hugging Face token (hf_…)", re.compile(r"hf_[A-Za-z0-9]{30,}")),
    ("a Slack token (xox…)", re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,}")),
    ("an AWS key (AKIA…)", re.compile(r"AKIA[A-Z0-9]{16}")),
    ("a bearer token", re.compile(r"Bearer[ +]+(?=[\w.~+/-]*\d)[\w.~+/-]{20,}")),
    ("a bearer token", re.compile(r"bearer[ +]+(?=[\w.~+/-]*\d)[\w.~+/-]{20,}")),
    ("a signed token (JWT)", re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
)
_IN_A_WORD = re.compile(r"[A-Za-z0-9_+/-]")


def known_secrets(carried: Sequence[str] = ()) -> dict[str, str]:
    """Return the secrets that can be known, with what each one is: those given, and those of the house."""
    found = dict.fromkeys(carried, "the key that the request is sent with")
    for provider, said in settings().providers.items():
        found[said.api_key or ""] = f"the key of {provider} in quire.toml"
    for name, text in os.environ.items():
        if _SAYS_SO.search(name):
            found[text.strip()] = f"the value of {name}"
    return {secret: kind for secret, kind in found.items() if len(secret) >= _LEAST}


def leak_in(thing: Any, known: Mapping[str, str]) -> tuple[str, str] | None:
    """Return where the first secret is in text or plain JSON, and what it is; `None` if there is none.

    Example:
        >>> leak_in({"messages": ["hello", "Bearer " + "a1b2c3d4e5" * 3]}, {})
        ('messages[1]', 'a bearer token')
        >>> leak_in("The weather is fine.", {}) is None
        True
    """
    for place, text in _texts(thing, ""):
        kind = next((kind for secret, kind in known.items() if secret in text), None) or _looks_like(text)
        if kind is not None:
            return place, kind
    return None


def _looks_like(text: str) -> str | None:
    for kind, form in _FORMS:
        for found in form.finditer(text):
            # Not in the middle of a word: the seal on a model's thoughts is long and in base64, where anything occurs.
            if not _IN_A_WORD.match(text[found.start() - 1 : found.start()]):
                return kind
    return None


def _texts(thing: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(thing, str):
        yield place, thing
    elif isinstance(thing, dict):
        for name, part in cast("dict[str, Any]", thing).items():
            inner = f"{place}.{name}" if place else name
            # A key may be the name of a field: of an environment that somebody dumped the wrong way around.
            yield place, name
            yield from _texts(part, inner)
    elif isinstance(thing, list):
        for number, part in enumerate(cast("list[Any]", thing)):
            yield from _texts(part, f"{place}[{number}]")


def said_in(reply: str) -> dict[str, str]:
    r"""Return the words of a reply by their places, put together: a stream brings a key in pieces.

    Example:
        >>> said_in('data: {"delta":"Hel"}\n\ndata: {"delta":"lo"}\n\ndata: [DONE]\n\n')["delta"]
        'Hello'
    """
    said: dict[str, list[str]] = {}
    for line in reply.splitlines() if "data:" in reply else ():
        if line.startswith("data:"):
            with suppress(ValueError):
                for place, text in _texts(from_json(line[5:]), ""):
                    said.setdefault(place, []).append(text)
    return {place: "".join(pieces) for place, pieces in said.items()}


def without_keys(url: str) -> str:
    """Return an address without what identifies the caller: its user, its password, its keys.

    Example:
        >>> without_keys("https://me:word@example.org/v1/chat?key=abc&alt=sse")
        'https://example.org/v1/chat?alt=sse'
    """
    parts = urlsplit(url)
    kept = [(name, text) for name, text in parse_qsl(parts.query, keep_blank_values=True) if not _KEY_NAMES.match(name)]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(kept), fragment="").geturl()
