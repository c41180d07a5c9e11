"""The name a thing is given by the line that makes it: `planner = Agent(...)` is called `planner`.

Only the place of the call is remembered at construction; the bytecode after it is looked at when
somebody asks for the name, so making an object stays cheap.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType
from typing import TypeAlias

__all__ = ["Place", "assigned_name", "calling_place"]

Place: TypeAlias = tuple[CodeType, int]
"""Some code, and the offset of a call in it."""

_STORES = frozenset({"STORE_NAME", "STORE_FAST", "STORE_GLOBAL", "STORE_DEREF"})
_SILENT = frozenset({"CACHE", "COPY", "NOP", "EXTENDED_ARG"})


def calling_place(depth: int) -> Place:
    """Return where the caller `depth` frames up is."""
    frame = sys._getframe(depth + 1)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - the only way to see the calling line
    return frame.f_code, frame.f_lasti


def assigned_name(place: Place) -> str | None:
    """Return the variable that the call's result goes to; `None` if it goes elsewhere."""
    code, offset = place
    for instruction in dis.get_instructions(code):
        if instruction.offset <= offset or instruction.opname in _SILENT:
            continue
        return str(instruction.argval) if instruction.opname in _STORES else None
    return None
