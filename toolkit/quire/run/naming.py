"""The name a thing is given by the line that makes it: `planner = Agent(...)` is called `planner`.

Only the place of the call is remembered at construction; the bytecode after it is looked at when
somebody asks for the name, so making an object stays cheap.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType
from typing import Any, TypeAlias

from quire.core.errors import DefinitionError

__all__ = ["Place", "assigned_name", "calling_place", "given_name"]

Place: TypeAlias = tuple[CodeType, int]
"""Some code, and the offset of a call in it."""

_STORES = frozenset({"STORE_NAME", "STORE_FAST", "STORE_GLOBAL", "STORE_DEREF"})
_LOADS = ("LOAD_NAME", "LOAD_FAST", "LOAD_GLOBAL", "LOAD_DEREF")
_SILENT = frozenset({"CACHE", "COPY", "NOP", "EXTENDED_ARG"})


def given_name(name: Any) -> str | None:
    """Return the name that somebody gave, or `None`; raise `DefinitionError` for what is none.

    Example:
        >>> given_name("triage")
        'triage'
    """
    if name is None or (isinstance(name, str) and name.strip()):
        return name
    raise DefinitionError(f"name={name!r} is no name.", remedy='Give a short text, name="triage", or leave it out.')


def calling_place(depth: int) -> Place:
    """Return where the caller `depth` frames up is."""
    frame = sys._getframe(depth + 1)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - the only way to see the calling line
    return frame.f_code, frame.f_lasti


def assigned_name(place: Place) -> str | None:
    """Return the variable or attribute that the call's result goes to; `None` if it goes elsewhere."""
    name = _target(place)
    # pytest keeps parts of its assertions in variables such as @py_assert1.
    return name if name is not None and name.isidentifier() else None


def _target(place: Place) -> str | None:
    code, offset = place
    after = (i for i in dis.get_instructions(code) if i.offset > offset and i.opname not in _SILENT)
    instruction = next(after, None)
    if instruction is None:
        return None
    if instruction.opname.startswith(_LOADS):
        # self.planner = Agent(...): first the owner is loaded, then its attribute set.
        last = next((i for i in after if i.opname != "LOAD_ATTR"), None)
        return str(last.argval) if last is not None and last.opname == "STORE_ATTR" else None
    if instruction.opname.startswith("STORE_FAST_"):  # two instructions in one, since Python 3.13
        return str(instruction.argval[0])
    return str(instruction.argval) if instruction.opname in _STORES else None
