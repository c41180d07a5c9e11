"""How adapters and screens are found: by entry point, so that ours come in as a stranger's do."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from quire.core.errors import DefinitionError

__all__ = ["doors", "open_door"]


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
