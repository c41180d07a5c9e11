"""How adapters and screens are found: by entry point, so that ours come in as a stranger's do."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from quire.core.errors import DefinitionError, QuireError

__all__ = ["doors", "open_door", "who_serves"]

_BY_NAME = (
    (re.compile(r"offline$"), "offline"),
    (re.compile(r"(gpt-|chatgpt-|o\d)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google"),
)
"""Who serves a model, told from how its name begins."""

_OF_EXTRA = re.compile(r"([\w.-]+).*;.*\bextra == ['\"]([\w.-]+)['\"]")
"""What a package requires for one of its extras: the requirement's name, and the extra's."""


@cache
def doors(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; installed packages are searched once."""
    return {point.name: point for point in entry_points(group=group)}


@cache
def open_door(group: str, name: str) -> Any:
    """Return what an entry point leads to.

    Raises:
        DefinitionError: nothing has that name; the error lists the names there are.
        QuireError: a package that it needs is not installed; the error says how to install it.
    """
    points = doors(group)
    if name not in points:
        known = ", ".join(sorted(points)) or "none: is the package installed? (pip install -e .)"
        message = f"Nothing is installed under the name {name!r} for {group}."
        raise DefinitionError(message, remedy=f"Known names: {known}")
    try:
        return points[name].load()
    except ModuleNotFoundError as error:
        lacks = (error.name or "").partition(".")[0]
        raise QuireError(
            f"{name} needs {lacks}, which is not installed.", remedy=f"pip install {_bringing(points[name], lacks)}"
        ) from error


def _bringing(point: EntryPoint, lacks: str) -> str:
    """Return what to install: the package the entry point belongs to, with the extra that brings what it lacks."""
    requirements = (point.dist.requires if point.dist is not None else None) or []
    by_extra: dict[str, list[str]] = {}
    for requirement in requirements:
        if found := _OF_EXTRA.match(requirement):
            by_extra.setdefault(found[2], []).append(found[1])
    bringing = [extra for extra, names in by_extra.items() if lacks in names]
    if point.dist is None or not bringing:
        return lacks
    # Of those that bring it, the one that brings the least besides.
    return f'"{point.dist.name}[{min(bringing, key=lambda extra: len(by_extra[extra]))}]"'


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
