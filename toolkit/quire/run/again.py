"""What is not done a second time, in a run that goes on after it had broken off.

What has ended well gives what it gave. A tool that was about to work when the run broke off may have done its work
or not: it is asked, or used again with the key that tells its effect apart; with neither, a person is asked, and
where nobody is there to answer the run stops here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from quire.core.errors import DefinitionError, QuireError, StreamConflict, Unanswered, UnresolvedEffect
from quire.core.events import Resumed
from quire.core.schema import plain, read_back, render, type_name
from quire.log.log import Log
from quire.log.recall import DOUBT
from quire.run.context import Context
from quire.run.process import here
from quire.run.questions.answers import Form, schema_of
from quire.run.questions.desk import inquire

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
    gives: Any = Any
    """The type of what it gives."""


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
        UnresolvedEffect: nobody can tell, or somebody said that the run shall end here.
    """
    found = None if once.verify is None else await once.verify(value)
    if found is not None:
        return True, found
    if once.verify is not None or once.key is not None:
        return False, None
    arguments = plain(value)
    told = f"{tool}({_words(arguments)})"
    asked = _Doubt(once.gives, tool, arguments, f"Did {told} do its work? The run broke off while it was at it.")
    try:
        said = await asked.settled(context)
    except Unanswered as nobody:
        raise UnresolvedEffect(
            f"Whether `{told}` has done its work is not known: the run broke off meanwhile.",
            where=context.where,
            remedy="Give the tool verify=, which looks whether its effect is there, or idempotency_key=, with which\n"
            f"doing it again is harmless; or say it: quire.load({context.run!r}).answer({nobody.question!r}, ...)\n"
            f"with what it gave, or {_NO!r}; then resume the run.",
            tool=tool,
            arguments=arguments,
            question=nobody.question,
        ) from None
    if said == _STOP:
        message = f"Whether `{told}` has done its work is not known, and the run was to be stopped."
        remedy = "Resume the run to be asked once more."
        raise UnresolvedEffect(message, where=context.where, remedy=remedy, tool=tool, arguments=arguments)
    if said == _NO:
        return False, None
    return True, None if said == _YES else read_back(once.gives, said)


_YES = "yes"
_NO = "no, do it now"
_STOP = "stop the run"


@dataclass(frozen=True, slots=True)
class _Doubt:
    """The question whether a tool has done its work."""

    gives: Any
    tool: str
    arguments: Any
    text: str

    async def settled(self, context: Context) -> Any:
        """Return the answer: what the tool gave, or one of the choices."""
        recall = context.log.recall
        span, known = context.log.new_span(), None
        # Each time that it breaks off is a question of its own; the last one counts.
        while recall is not None and (known := recall.span(context.span, self.text, DOUBT)) is not None:
            span = known
        kept = None if recall is None else recall.answered(span)
        if recall is not None and kept is not None:
            # "Do it now" holds for one try.
            if recall.is_ahead(span) or kept.value not in (_NO, _STOP):
                return kept.value
            span = context.log.new_span()
        about: dict[str, Any] = {"tool": self.tool, "arguments": self.arguments, "why": self._why(), "doubt": True}
        return await inquire(context, span, self.text, self._form(), **about)

    def _why(self) -> str:
        return f"If it did, the answer is what it gave: {type_name(self.gives)}."

    def _form(self) -> Form:
        schema = schema_of(self.gives)
        silent = schema is None or _is_fitting(self.gives, None)
        choices = {choice: choice for choice in ([_YES, _NO, _STOP] if silent else [_NO, _STOP])}
        return Form(self.gives, choices, free=schema is not None, schema=schema)


def _is_fitting(kind: Any, value: Any) -> bool:
    try:
        read_back(kind, value)
    except ValidationError:
        return False
    return True


def _words(arguments: Any) -> str:
    if not isinstance(arguments, dict):
        return render(arguments)
    given: dict[str, Any] = arguments  # pyright: ignore[reportUnknownVariableType]
    return ", ".join(f"{name}={value!r}" for name, value in given.items())
