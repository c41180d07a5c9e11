"""How adapters and screens are found: by entry point, so that ours come in as a stranger's do."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from quire.core.errors import DefinitionError

__all__ = ["doors", "open_door", "who_serves"]

_BY_NAME = (
    (re.compile(r"offline$"), "offline"),
    (re.compile(r"(gpt-|chatgpt-|o\d)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google"),
)
"""Who serves a model, told from how its name begins."""


@cache
def doors(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; installed packages are searched once."""
    return {point.name: point for point in entry_points(group=group)}


@cache
def open_door(group: str, name: str) -> Any:
    """Return what an entry point leads to; raise `DefinitionError` that lists the names there are."""
    points = doors(group)
    if name not in points:
        known = ", ".join(sorted(points)) or "none: is the package installed? (pip install -e .)"
        message = f"Nothing is installed under the name {name!r} for {group}."
        raise DefinitionError(message, remedy=f"Known names: {known}")
    return points[name].load()


def who_serves(model: str) -> tuple[str | None, str]:
    """Return the provider that a model's name says or begins like, if any, and the name of the model there.

    Example:
        >>> who_serves("ollama:llama3.2:3b"), who_serves("claude-haiku-4-5"), who_serves("llama3.2:3b")
        (('ollama', 'llama3.2:3b'), ('anthropic', 'claude-haiku-4-5'), (None, 'llama3.2:3b'))
    """
    prefix, _, rest = model.partition(":")
    if rest and prefix in doors("quire.providers"):
        return prefix, rest
    return next((provider for pattern, provider in _BY_NAME if pattern.match(model)), None), model
