"""What a name stands for now: running a cell again replaces what it defined, also in flows made before.

Steps, tools and agents defined at the top level of a notebook or module are known by their name there.
Whoever runs one asks for the latest of that name; a definition inside a function is nobody's namesake.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from types import CodeType
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary

from quire.core.errors import DefinitionError, SchemaWarning
from quire.run import bridge
from quire.run.naming import Place
from quire.run.runnable import Runnable

__all__ = ["Caller", "define", "function_key", "latest", "named", "place_key", "uses"]


class Caller(Protocol):
    """A flow that uses what is defined elsewhere."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def check_with(self, new: Runnable[Any, Any]) -> None:
        """Raise `DefinitionError` if it would not fit together with this in its namesake's place."""


_known: WeakValueDictionary[str, Runnable[Any, Any]] = WeakValueDictionary()
_callers: dict[str, WeakSet[Any]] = {}
_siblings: dict[str, tuple[CodeType, int]] = {}
"""Per name, the code that was defined under it last, and how often that very code was."""


def function_key(function: Any, name: str) -> str | None:
    """Return what a function at the top level of a module is known by; `None` for one inside another.

    A cell that is run again is compiled again. One and the same code that is defined several times, in a
    loop, makes siblings: the first of a new run replaces the first of the last, the second the second.
    """
    place = getattr(function, "__qualname__", "<locals>")
    if "<" in place:
        return None
    key = f"{getattr(function, '__module__', '')}:{place}:{name}"
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return None
    before, count = _siblings.get(key, (None, 0))
    count = count + 1 if before is code else 0
    _siblings[key] = (code, count)
    return f"{key}:{count}" if count else key


def place_key(place: Place | None, name: str) -> str | None:
    """Return what an object made at the top level of a notebook is known by."""
    at_top = place is not None and (place[0].co_name == "<module>" or place[0].co_name.startswith("<cell line"))
    return f"__main__:{name}" if at_top and bridge.in_kernel() else None


def define(runnable: Runnable[Any, Any], key: str | None) -> None:
    """Let a runnable stand for its name from now on; warn at once of flows that it will not fit into."""
    if key is None:
        return
    runnable.key = key
    before = _known.get(key)
    _known[key] = runnable
    if before is None:
        return
    # Held by what it replaces, so that it lives as long as any flow that was made with that.
    before.successor = runnable
    if _shape(before) != _shape(runnable):
        _warn(runnable, list(_callers.get(key, ())))


def latest(runnable: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return what stands for the runnable's name now: usually itself."""
    successor = runnable.successor
    if successor is None:
        return runnable
    while successor.successor is not None:
        successor = successor.successor
    runnable.successor = successor  # what came in between may go
    return successor


def named(name: str) -> Runnable[Any, Any] | None:
    """Return what was defined last under that name at the top level of the notebook, if it is still there."""
    return _known.get(f"__main__:{name}")


def uses(caller: Caller, runnables: Iterable[Runnable[Any, Any]]) -> None:
    """Remember that a flow uses these, for as long as there is the flow."""
    for runnable in runnables:
        if runnable.key is not None:
            _callers.setdefault(runnable.key, WeakSet()).add(caller)


def _shape(runnable: Runnable[Any, Any]) -> tuple[Any, ...]:
    facts = runnable.facts()
    made = facts.get("out", {"type": runnable.output_name, "fields": []})
    return tuple((part["type"], *part["fields"]) for part in (*facts.get("in", []), made))


def _warn(new: Runnable[Any, Any], callers: Iterable[Caller]) -> None:
    broken: list[str] = []
    for caller in callers:
        try:
            caller.check_with(new)
        except DefinitionError as error:
            broken.append(f"{caller.name}: {error.what}")
    if broken:
        message = f"`{new.name}` now is {new.input_name} -> {new.output_name}, and this will break:"
        warnings.warn(SchemaWarning("\n  ".join([message, *sorted(broken)])), stacklevel=4)
