"""Summing up the older turns of a conversation, by a model or by a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

from quire.agents import turn as turns
from quire.agents.asking import Minutes, ask
from quire.agents.llm import LLM
from quire.core.errors import DefinitionError
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.ports import Model
from quire.run.bracket import bracket
from quire.run.context import Context
from quire.run.runnable import Runnable
from quire.run.threads import in_thread
from quire.views.session import Line

__all__ = ["By", "due", "summed_up", "transcript", "who"]

By: TypeAlias = LLM | Model | Runnable[Any, Any] | Callable[[str], Any]
"""Who can sum up: a model, an agent or another runnable that takes text, a function of the text."""

_TASK = (
    "Sum up this conversation for yourself, to go on with it without having it before you. Keep what is known of "
    "the user, what was decided and why, names, numbers and dates as they are, and what is still open. "
    "Reply with the summary alone."
)


def transcript(messages: Iterable[Message], before: str | None = None) -> str:
    """Return a conversation as text, after the summary of what came before it.

    Example:
        >>> print(transcript([Message.of("user", "Hello"), Message.of("assistant", "Good day")]))
        user: Hello
        <BLANKLINE>
        assistant: Good day
    """
    said = [f"{message.role}: {words}" for message in messages if (words := _words(message))]
    return "\n\n".join([f"before: {before}", *said] if before else said)


def _words(message: Message) -> str:
    return "\n".join(filter(None, map(_told, message.parts)))


def _told(part: Part) -> str:
    match part:
        case Text():
            return part.text
        case File():
            return f"[{part}]"
        case ToolCall():
            return f"{part.tool}({part.arguments})"
        case ToolResult():
            return f"{part.tool}: {part.text}"
        case Thought():
            return ""


def who(by: Any, where: str = "compact(by") -> str:
    """Return the name of who sums up, as `where` says it.

    Raises:
        DefinitionError: it cannot.
    """
    if isinstance(by, Runnable):
        return cast("Runnable[Any, Any]", by).name
    if isinstance(by, LLM) or hasattr(by, "ask"):
        return cast("LLM | Model", by).model
    if callable(by):
        return getattr(by, "__name__", "function")
    message = f"{where}={by!r}) has nobody to sum up."
    raise DefinitionError(message, remedy=f'{where}=LLM("gpt-4o-mini")), or an agent, or a function of the text.')


def due(line: Line, window: int) -> int | None:
    """Return how many turns are to be summed up, from the first, so that half the window is left; `None` if none are.

    Never more than a window at a time: a conversation that has been long before anybody sums it up is caught up with
    in several turns, and one whose summaries fail is not read again whole each time.

    Example:
        >>> due(Line(), window=4) is None
        True
    """
    shown = len(line.turns) - line.hidden
    return line.hidden + min(shown - max(window // 2, 1), window) if shown > window else None


async def summed_up(by: By, text: str, context: Context | None = None) -> str:
    """Return a shorter text that stands for a conversation: in a part of the run there, or in a run of its own."""
    summary = _runnable(by)
    if context is None:
        return str(await summary.execute(text))
    place = context.child(summary.name)
    place.streaming = None  # who hears the agent's reply piece by piece waits for no more of it
    return str(await bracket(summary, text, place))


def _runnable(by: By) -> Runnable[Any, Any]:
    if isinstance(by, Runnable):
        return cast("Runnable[Any, Any]", by)
    if isinstance(by, LLM) or hasattr(by, "ask"):
        return _Summary(cast("LLM | Model", by))
    return _Function(cast("Callable[[str], Any]", by))


class _Function(Runnable[str, Any]):
    """A function of the conversation's text."""

    kind = "step"
    input = str
    output = Any

    def __init__(self, function: Callable[[str], Any]) -> None:
        self.name = who(function)
        self._function = function

    async def _run(self, input: str, ctx: Context) -> Any:  # noqa: ARG002 - a function knows no context
        if inspect.iscoroutinefunction(self._function):
            return await self._function(input)
        return await in_thread(self._function, input)


class _Summary(Runnable[str, str]):
    """A model that is asked for a summary."""

    kind = "agent"
    input = str
    output = str

    def __init__(self, llm: LLM | Model) -> None:
        self.name = "summary"
        self._llm = llm

    @property
    def note(self) -> str:
        """The second line of its node: the model."""
        return self._llm.model

    async def _run(self, input: str, ctx: Context) -> str:
        rules = turns.Rules(agent=self.name, output=str, tools=(), output_attempts=1, max_tool_rounds=0)
        turn, _ = turns.begin(rules, _TASK, (Text(text=input),))
        _, want = turns.heard(turn, await ask(self._llm, turn, None, Minutes(ctx, turn), ctx))
        if isinstance(want, turns.Broken):
            raise want.error
        return cast("turns.Done", want).value
