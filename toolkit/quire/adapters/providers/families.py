"""What families of models can do, whoever serves them: told from a model's name, and only where it is certain."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Family", "family_of"]


@dataclass(frozen=True, slots=True)
class Family:
    """What its models have in common; `None` where that is not known, or not the same for all."""

    tools: bool | None = None
    """They can be offered tools."""
    images: bool | None = None
    """They can be shown pictures."""
    reasoning: bool | None = None
    """They can think before they answer."""


_UNKNOWN = Family()

_FAMILIES: tuple[tuple[re.Pattern[str], Family], ...] = tuple(
    (re.compile(pattern), Family(*can))
    for pattern, can in (
        # https://platform.openai.com/docs/models
        (r"gpt-3-5-turbo(-\d+|-16k)*$", (True, False, False)),
        (r"gpt-4(-32k)?(-0\d{3})?$", (True, False, False)),
        (r"gpt-4(-turbo|-1|-5|o)(-mini|-nano|-preview|-20\d\d|-\d\d)*$", (True, True, False)),
        (r"o1-(mini|preview)", (False, False, True)),
        (r"o3-mini", (True, False, True)),
        (r"(o1|o3|o4-mini)(-pro|-20\d\d|-\d\d)*$", (True, True, True)),
        (r"gpt-5(-\d)?(-mini|-nano|-pro|-codex|-20\d\d|-\d\d)*$", (True, True, True)),
        (r"gpt-oss-", (True, False, True)),
        # https://platform.claude.com/docs/en/about-claude/models/overview
        (r"claude-(instant|v1|2)", (False, False, False)),
        (r"claude-3-(5|opus|sonnet|haiku)", (True, True, False)),
        (r"claude-", (True, True, True)),
        # https://ai.google.dev/gemini-api/docs/models
        (r"gemini-(1-5|2-0)-", (True, True, False)),
        (r"gemini-(2-5|3(-\d)?)-(pro|flash)(-lite)?(-preview)?$", (True, True, True)),
    )
)
"""The first that matches a name, written with dashes and without its maker's."""


def family_of(model: str) -> Family:
    """Return what a model's family can do.

    Example:
        >>> family_of("anthropic/claude-3.5-haiku")
        Family(tools=True, images=True, reasoning=False)
        >>> family_of("my-own-model")
        Family(tools=None, images=None, reasoning=None)
    """
    name = model.lower().rpartition("/")[2].partition(":")[0].replace(".", "-")
    return next((family for pattern, family in _FAMILIES if pattern.match(name)), _UNKNOWN)
