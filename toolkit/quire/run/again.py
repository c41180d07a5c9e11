"""What is not done a second time, in a run that goes on after it had broken off.

What has ended well gives what it gave. A tool that was about to work when the run broke off may have done its work
or not: it is asked, or used again with the key that tells its effect apart; with neither, the run stops here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from quire.core.errors import DefinitionError, QuireError, StreamConflict, UnresolvedEffect
from quire.core.events import Resumed
from quire.core.schema import plain, read_back, render, type_name
from quire.log.log import Log
from quire.run.context import Context
from quire.run.process import here

__all__ = ["Once", "claim", "doubt", "earlier", "go_on"]


class Kept(Protocol):
    """What has to be known of a runnable to give what it gave."""

    composite: bool

    @property
    def output(self) -> Any:
        """The type it gives."""
        ...


@dataclass(frozen=True, slots=True)
class Once:
    """What a tool says of its effect, so that it happens once."""

    key: Callable[[Any], str] | None = None
    """What tells the effect of these arguments apart from every other."""
    verify: Callable[[Any], Awaitable[Any]] | None = None
    """What it gave for these arguments, if its effect is already there; else `None`."""


def earlier(runnable: Kept, context: Context) -> tuple[bool, Any]:
    """Return whether a place has ended well before, and what it gave; what cannot be read back is not known."""
    recall = context.log.recall
    kept = None if recall is None else recall.result(context.span)
    if recall is None or kept is None:
        return False, None
    if not kept.lossy:
        try:
            value = read_back(runnable.output, kept.output)
        except ValidationError:
            pass
        else:
            if plain(value) == kept.output or context.span in recall.edited:
                return True, value
    if context.span in recall.edited:
        message = f"`{context.name}` gives {type_name(runnable.output)}, not {kept.output!r}."
        raise DefinitionError(message, remedy="Fork again with an output of that type.")
    if context.parent is None and not runnable.composite:
        message = f"What run {context.run} gave, {type_name(runnable.output)}, cannot be read back from its record."
        raise QuireError(message, remedy="Let it give a type that JSON can hold: a model, a dataclass, text, numbers.")
    return False, None


async def go_on(context: Context) -> None:
    """Record that what had broken off here goes on."""
    recall = context.log.recall
    if recall is not None and recall.forked:
        return
    if context.parent is not None:
        context.log.emit(Resumed, context.span, context.parent)
        return
    context.log.emit(Resumed, context.span, None, process=here())
    await claim(context.log)


async def claim(log: Log) -> None:
    """Make sure that nobody else does the work of a run; raise `StreamConflict` if somebody does."""
    try:
        await log.flush()
    except StreamConflict:
        message = f"Run {log.run} is being done by another process."
        remedy = f"Let that one do it, and read it when it has ended: quire.load({log.run!r})"
        raise StreamConflict(message, remedy=remedy) from None


async def doubt(once: Once, tool: str, value: Any, context: Context) -> tuple[bool, Any]:
    """Decide about a tool that may have done its work before: return whether it has, and what it gave then.

    Raises:
        UnresolvedEffect: nobody can tell.
    """
    found = None if once.verify is None else await once.verify(value)
    if found is not None:
        return True, found
    if once.verify is None and once.key is None:
        arguments = plain(value)
        raise UnresolvedEffect(
            f"Whether `{tool}({_words(arguments)})` has done its work is not known: the run broke off meanwhile.",
            where=context.where,
            remedy="Give the tool verify=, which looks whether its effect is there, or idempotency_key=, with which\n"
            "doing it again is harmless; then resume the run.",
            tool=tool,
            arguments=arguments,
        )
    return False, None


def _words(arguments: Any) -> str:
    if not isinstance(arguments, dict):
        return render(arguments)
    given: dict[str, Any] = arguments  # pyright: ignore[reportUnknownVariableType]
    return ", ".join(f"{name}={value!r}" for name, value in given.items())
