"""A pipeline: steps that find their own order from the types they take and give."""

from __future__ import annotations

from typing import Any, ClassVar

from quire.core.errors import DefinitionError, PipelineError
from quire.core.schema import type_name
from quire.flow.engine import run_plan
from quire.flow.plan import Entry, Source, plan_by_types
from quire.run.context import Context
from quire.run.naming import calling_place
from quire.run.runnable import Runnable
from quire.views.shapes import FlowHead, FlowSnapshot, Graph, GraphEdge

__all__ = ["Pipeline"]


class Pipeline(Runnable[Any, Any]):
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

    kind: ClassVar[str] = "pipeline"

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
        self._name, self._place = name, calling_place(1)
        _tell_apart(steps)
        self._plan = plan_by_types(steps, input, output, f"Pipeline({', '.join(step.name for step in steps)})")
        self._nodes = {step.name: step for step in steps}
        self.input = self._plan.input
        self.output = self._plan.output

    @property
    def note(self) -> str:
        """The second line of its node."""
        return f"{len(self._nodes)} steps"

    async def _run(self, input: Any, ctx: Context) -> Any:
        return await run_plan(self._plan, self._nodes, input, ctx)

    def graph(self) -> Graph:
        """Return its nodes and typed edges."""
        edges: list[GraphEdge] = []
        for name in self._plan.order:
            for source, kind in zip(self._plan.sources[name], self._nodes[name].takes(), strict=True):
                edges.append(_edge(source, name, kind))
        edges.extend(_edge(end, None, self._nodes[end].output) for end in self._plan.ends)
        nodes = [self._nodes[name].as_node() for name in self._plan.order]
        return Graph(name=self.name, kind=self.kind, nodes=nodes, edges=edges)

    def card(self) -> FlowSnapshot:
        """Return what its card shows before it has run."""
        count = len(self._nodes)
        checks = f"{count} step{'s' if count > 1 else ''}, no cycle, every input has one producer"
        head = FlowHead(
            name=self.name,
            kind=self.kind,
            input=self.input_name,
            output=self.output_name,
            example=f"{self.name}.start({self.input_name}(…))"
            if self.input is not None
            else f"{self.name}.start(None)",
            checks=checks,
        )
        return FlowSnapshot(kind="flow", head=head, graph=self.graph())


def _edge(source: Source, target: str | None, kind: Any) -> GraphEdge:
    return GraphEdge(source=None if isinstance(source, Entry) else source, target=target, label=type_name(kind))


def _tell_apart(steps: tuple[Runnable[Any, Any], ...]) -> None:
    """Number steps that nobody named and no variable names either."""
    taken = {step.name for step in steps if not step.anonymous}
    for step in steps:
        if step.anonymous:
            count, wish = 1, step.name
            while step.name in taken:
                count += 1
                step.name = f"{wish}_{count}"
        taken.add(step.name)
