"""The page's end of the line: one widget without a view of its own, which brings every cell of a kernel to life.

A cell's output is a still picture in a slot; the front end of this widget finds the slots that carry
its key and mounts live views in them. So the views' code travels once per kernel, and a saved notebook
holds nothing that needs one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

Message = dict[str, Any]
"""What the page and the kernel say to each other; the words are in `widgets/src/protocol.ts`."""


class Screen(anywidget.AnyWidget):
    """Connect the views in a page with the kernel they belong to."""

    _esm = Path(__file__).parent / "static" / "screen.js"
    _view_name = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    key = traitlets.Unicode().tag(sync=True)
    """Marks the slots of this kernel; unguessable, so that no other kernel's page claims them."""

    def __init__(self) -> None:
        """Open the line with a fresh key."""
        super().__init__(key=secrets.token_hex(8))

    def on_message(self, receive: Callable[[Message], None]) -> None:
        """Call `receive` with every message that a page sends."""
        self.on_msg(lambda _, message, __: receive(message))

    def post(self, message: Mapping[str, Any]) -> None:
        """Send a message to every page that shows this kernel."""
        self.send(dict(message))
