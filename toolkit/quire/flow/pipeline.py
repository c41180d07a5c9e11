"""A pipeline: steps that find their own order from the types they take and give."""

from __future__ import annotations

from typing import Any

from quire.core.errors import DefinitionError, PipelineError
from quire.flow.compose import Flow
from quire.flow.plan import named, planned
from quire.run.naming import calling_place
from quire.run.runnable import Runnable

__all__ = ["Pipeline"]


class Pipeline(Flow):
    """Steps, agents, tools or pipelines, ordered by what they take and give.

    The order of the arguments does not matter. A step may take several things (a function with several
    inputs, or `input=tuple[A, B]`); steps that do not need each other run at the same time. The whole
    graph is checked here, before anything runs. `input` and `output` need saying only where the types
    leave it open.

    Raises:
        PipelineError: nothing makes what a step needs, more than one does, steps wait for each other,
            or two have one name; the message draws what was found and says what would fix it.

    Example:
        >>> from quire import Pipeline, Step
        >>> @Step
        ... def measure(text: str) -> int:
        ...     return len(text)
        >>> @Step
        ... def judge(length: int) -> bool:
        ...     return length < 10
        >>> Pipeline(judge, measure).execute_sync("short")
        True
    """

    _fail_fast = True  # every step is needed, so after a failure the others only cost

    def __init__(
        self, *steps: Runnable[Any, Any], name: str | None = None, input: Any = None, output: Any = None
    ) -> None:
        if not steps:
            message = "A pipeline needs at least one step."
            raise PipelineError(message, remedy="Pipeline(first, second, ...)")
        for step in steps:
            if not isinstance(step, Runnable):  # pyright: ignore[reportUnnecessaryIsInstance]
                message = f"A pipeline is made of steps, agents and tools, not {step!r}."
                raise DefinitionError(message, remedy="Put @Step above the function.")
        title = f"Pipeline({', '.join(step.name for step in steps)})"
        nodes = named(steps, title)
        super().__init__("pipeline", nodes, planned(nodes, title=title, input=input, output=output), name)
        self._place = calling_place(1)
