"""Quire: build, watch, measure and share multi-agent systems in a notebook.

Importing it loads no pandas, no HTTP client and no web server: each name is loaded when it is first
used. In an IPython session the installed screens (the notebook widgets) are asked to draw for us.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quire import errors, events, reducers, testing, tools, views
    from quire.agents.agent import Agent
    from quire.agents.llm import LLM
    from quire.agents.memory import Memory
    from quire.agents.sessions import sessions
    from quire.agents.tool import Tool
    from quire.core.messages import File
    from quire.flow.pipeline import Pipeline
    from quire.flow.process import Process
    from quire.flow.state import State
    from quire.flow.step import Step
    from quire.run.cassettes.cassette import cassette
    from quire.run.context import current_context
    from quire.run.history import costs, load, runs
    from quire.run.models import models
    from quire.run.retry import Retry
    from quire.run.run import Run
    from quire.run.transfer import copy_store

__all__ = [
    "LLM",
    "Agent",
    "File",
    "Memory",
    "Pipeline",
    "Process",
    "Retry",
    "Run",
    "State",
    "Step",
    "Tool",
    "cassette",
    "copy_store",
    "costs",
    "current_context",
    "errors",
    "events",
    "load",
    "models",
    "reducers",
    "runs",
    "sessions",
    "testing",
    "tools",
    "views",
]

__version__ = "0.1.0"

_HOMES = {
    "LLM": "quire.agents.llm",
    "Agent": "quire.agents.agent",
    "File": "quire.core.messages",
    "Memory": "quire.agents.memory",
    "Pipeline": "quire.flow.pipeline",
    "Process": "quire.flow.process",
    "Retry": "quire.run.retry",
    "Run": "quire.run.run",
    "State": "quire.flow.state",
    "Step": "quire.flow.step",
    "Tool": "quire.agents.tool",
    "cassette": "quire.run.cassettes.cassette",
    "copy_store": "quire.run.transfer",
    "costs": "quire.run.history",
    "current_context": "quire.run.context",
    "load": "quire.run.history",
    "models": "quire.run.models",
    "runs": "quire.run.history",
    "sessions": "quire.agents.sessions",
}
_MODULES = frozenset({"errors", "events", "reducers", "testing", "tools", "views"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"quire.{name}")
    if name not in _HOMES:
        message = f"module 'quire' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _open_screens() -> None:
    """Let installed screens register themselves with the running IPython session."""
    from quire.core.doors import doors

    for screen in doors("quire.screens").values():
        screen.load()()


if "IPython" in sys.modules:
    _open_screens()
