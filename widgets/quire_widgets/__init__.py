"""Quire on a notebook's page: what is on the last line of a cell draws itself.

The toolkit knows no screen; it finds this package by its entry point and calls `register` in an
IPython session. Nothing heavy is loaded before something is shown.
"""

from __future__ import annotations

import sys
from typing import Any

from quire.run.questions.screens import when_asked

__all__ = ["register"]

_DRAWN = (
    ("quire.run.runnable", "Runnable"),
    ("quire.run.record", "Record"),
    ("quire.run.record", "Part"),
    ("quire.agents.memory", "Memory"),
    ("quire.agents.sessions", "Session"),
    ("quire.agents.browsing", "Browser"),
    ("quire.agents.chat", "Chat"),
)


def register() -> None:
    """Make runnables, runs, sessions, chats and their views draw themselves in this kernel; elsewhere, do nothing."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is None:
        return
    for module, name in _DRAWN:
        shell.display_formatter.ipython_display_formatter.for_type_by_name(module, name, _show)
    when_asked(_ask)


def _ask(run: str) -> None:
    from quire_widgets.board import board

    board().ask(run)


def _show(thing: Any) -> None:
    from quire_widgets.board import board

    board().show(thing)
