"""Folds for people: graphs, conversations and tables, all read from the log and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from quire.views import drawing, tables

__all__ = ["drawing", "sessions", "tables"]

sessions: Callable[..., Any]
"""`quire.views.sessions()` looks through all sessions. Who can act on them lives in a room above this one, so no module
here imports it: like the names of the package root, it is found when somebody first asks for it."""

_ABOVE = {"sessions": ("quire.agents.memory", "browser")}


def __getattr__(name: str) -> Any:
    if name not in _ABOVE:
        message = f"module 'quire.views' has no attribute {name!r}"
        raise AttributeError(message)
    module, found = _ABOVE[name]
    globals()[name] = getattr(import_module(module), found)
    return globals()[name]
