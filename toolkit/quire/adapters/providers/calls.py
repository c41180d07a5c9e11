"""Calls of tools as they go back to whoever made them, or to another: ids and arguments that nobody refuses."""

from __future__ import annotations

import hashlib
import json
import re

from quire.adapters.providers.loose import parsed
from quire.core.messages import ToolCall

__all__ = ["fitting_id", "object_text"]


def fitting_id(written: str, pattern: str) -> str:
    """Return the id of a call, or one that stands for it where it would be refused; the same for the same id.

    Example:
        >>> fitting_id("call_1", "[a-z_0-9]{1,40}"), fitting_id("functions.add:0", "[a-z_0-9]{1,40}")
        ('call_1', '2aab2b9e6')
    """
    # A conversation may come from another provider, which writes other ids.
    return written if re.fullmatch(pattern, written) else hashlib.sha256(written.encode()).hexdigest()[:9]


def object_text(call: ToolCall) -> str:
    """Return the arguments of a call as the text of a JSON object.

    Example:
        >>> [object_text(ToolCall(id="a", tool="t", arguments=written)) for written in ("", '{"n": 1}', "{n")]
        ['{}', '{"n": 1}', '{"unreadable": "{n"}']
    """
    # Several servers answer 400 to a history with arguments that are not an object; the model sees what it wrote.
    arguments = call.arguments.strip() or "{}"
    return arguments if isinstance(parsed(arguments), dict) else json.dumps({"unreadable": arguments})
