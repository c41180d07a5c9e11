"""Who feeds whom, checked whole before anything runs, and drawn in every error.

Edges come from references where they are written, and from types where they are not.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quire.core.errors import AmbiguousProducer, CycleFound, DuplicateName, MissingProducer, PipelineError
from quire.core.schema import type_name
from quire.flow.condition import Deciding
from quire.flow.wiring import Entry, Fixed, Output, Source, Together, fits
from quire.run.definitions import latest
from quire.run.runnable import Runnable

_LINE = 100
"""Characters of a drawing that still read well on one line."""

__all__ = ["Node", "Plan", "named", "planned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step of a flow, and what was said about it when it was added."""

    name: str
    runnable: Runnable[Any, Any]
    inputs: Source | None = None
    """Where its input comes from; `None` when its types shall tell."""
    when: Deciding | None = None
    decision: Source | None = None
    """The answer that led here, where ways part."""
    route: str = ""
    """The word on the way to it, where ways part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A flow that has been checked."""

    order: tuple[str, ...]
    """Every node after what it waits for."""
    inputs: Mapping[str, Source]
    """Per node, where its input comes from."""
    waits: Mapping[str, frozenset[str]]
    """Per node, the nodes whose end it waits for: those it reads, and those its condition looks at."""
    targets: Mapping[str, tuple[str, ...]]
    """Per node, who waits for it."""
    input: Any
    output: Any
    result: Source
    """What the flow gives."""


def planned(
    nodes: Mapping[str, Node],
    *,
    title: str,
    input: Any = None,
    output: Any = None,
    result: Source | None = None,
) -> Plan:
    """Find the order of the nodes and check that everything fits.

    `input` and `output` are needed only where the types leave them open; `result` says outright what the
    flow gives.

    Raises:
        MissingProducer: a node needs what nothing makes.
        AmbiguousProducer: a node needs what more than one makes.
        CycleFound: nodes wait for each other.
        PipelineError: what the flow gives cannot be told.
    """
    return _Planner(nodes, title, input, output, result).plan()


def named(steps: Sequence[Runnable[Any, Any]], title: str, *, apart: bool = False) -> dict[str, Node]:
    """Return steps as nodes by name; those that nobody named are numbered, and with `apart` all others too.

    Raises:
        DuplicateName: two steps were given one name.
    """
    nodes: dict[str, Node] = {}
    counts: dict[str, int] = {}
    for step in steps:
        name = step.name
        while name in nodes:
            if not (apart or step.anonymous):
                message = f"Two steps are called `{name}`."
                raise DuplicateName(message, where=title, remedy='Name one of them otherwise: name="..."')
            counts[step.name] = counts.get(step.name, 1) + 1
            name = f"{step.name}_{counts[step.name]}"
        nodes[name] = Node(name=name, runnable=step)
    return nodes


class _Planner:
    def __init__(
        self,
        nodes: Mapping[str, Node],
        title: str,
        input: Any,
        output: Any,
        result: Source | None,
    ) -> None:
        self.nodes = nodes
        self.title = title
        self.steps = {name: latest(node.runnable) for name, node in nodes.items()}
        self.makers: dict[Any, list[str]] = {}
        for name, step in self.steps.items():
            self.makers.setdefault(step.output, []).append(name)
        self.entry = input if input is not None else self._find_entry()
        self.wanted = output
        self.result = result

    def plan(self) -> Plan:
        inputs = {name: node.inputs or self._input(name) for name, node in self.nodes.items()}
        waits = {name: self._waits(node, inputs[name]) for name, node in self.nodes.items()}
        targets: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, needed in waits.items():
            for source in needed:
                targets[source].append(name)
        order = self._order(waits, targets)
        result = self.result or self._result(inputs)
        return Plan(
            order=tuple(order),
            inputs=inputs,
            waits=waits,
            targets={name: tuple(targets[name]) for name in order},
            input=self.entry,
            output=self.wanted if self.wanted is not None else result.type,
            result=result,
        )

    def _waits(self, node: Node, source: Source) -> frozenset[str]:
        return source.needs | node.when.names if node.when is not None else source.needs

    # What feeds an input

    def _input(self, name: str) -> Source:
        kinds = self.steps[name].takes()
        sources = tuple(self._source(name, kind) for kind in kinds)
        if not sources:
            return Fixed(None)
        return sources[0] if len(sources) == 1 else Together(sources)

    def _untold(self, name: str) -> tuple[Any, ...]:
        """Return the types a node needs that no reference already provides."""
        return () if self.nodes[name].inputs is not None else self.steps[name].takes()

    def _producers(self, name: str, kind: Any) -> list[str]:
        exact = [maker for maker in self.makers.get(kind, ()) if maker != name]
        return exact or [other for other, step in self.steps.items() if other != name and fits(step.output, kind)]

    def _entries(self, kind: Any) -> list[Entry]:
        if self.entry is None:
            return []
        if fits(self.entry, kind):
            return [Entry(self.entry)]
        parts = typing.get_args(self.entry) if typing.get_origin(self.entry) is tuple else ()
        return [Entry(part, index) for index, part in enumerate(parts) if fits(part, kind)]

    def _source(self, name: str, kind: Any) -> Source:
        entries = self._entries(kind)
        makers = [p for p in self._producers(name, kind) if not (entries and self._follows(p, name, kind))]
        if any(self.steps[maker].output == kind for maker in makers):
            entries = [entry for entry in entries if entry.type == kind]  # an int may be a float, if nobody makes one
        found: list[Source] = [*(Output(maker, self.steps[maker].output) for maker in makers), *entries]
        if len(found) == 1:
            return found[0]
        if not found:
            raise MissingProducer(self._gap(name, kind), where=self._drawn(), remedy=self._gap_remedy(name, kind))
        words = " and ".join([*(f"`{maker}`" for maker in makers), *("the flow's own input" for _ in entries)])
        message = f"`{name}` takes {type_name(kind)}, and {words} give it: which one is meant?"
        remedy = "Give one of them an output type of its own, or write the edges down: Process().add(step, inputs=...)."
        raise AmbiguousProducer(message, where=self._drawn(), remedy=remedy)

    def _follows(self, later: str, earlier: str, kind: Any) -> bool:
        """Whether a node can only run after another, whatever feeds inputs of that kind."""
        seen, frontier = {later}, [later]
        while frontier:
            needs = self._surely_needs(frontier.pop(), kind)
            if earlier in needs:
                return True
            frontier.extend(name for name in needs if name not in seen)
            seen.update(needs)
        return False

    def _surely_needs(self, name: str, kind: Any) -> list[str]:
        told = self.nodes[name].inputs
        if told is not None:
            return sorted(told.needs)
        return [p for k in self.steps[name].takes() if not fits(kind, k) for p in self._producers(name, k)]

    # Where the flow begins and ends

    def _find_entry(self) -> Any:
        orphans = [
            (name, kind) for name in self.nodes for kind in self._untold(name) if not self._producers(name, kind)
        ]
        kinds = list(dict.fromkeys(kind for _, kind in orphans))
        if len(kinds) <= 1:
            return kinds[0] if kinds else self._text_entry()
        # The true beginning is what most of the flow hangs on; anything else is a gap, told when its
        # source is looked for.
        return max(kinds, key=self._reach)

    def _text_entry(self) -> Any:
        """Return the builtin type that goes in where the flow both begins and ends with it, as text often does."""
        for name in self.nodes:
            for kind in self._untold(name):
                plain = isinstance(kind, type) and kind.__module__ == "builtins"
                if plain and all(self._follows(p, name, kind) for p in self._producers(name, kind)):
                    return kind
        return None

    def _reach(self, kind: Any) -> int:
        reached = {name for name in self.nodes if kind in self._untold(name)}
        frontier = list(reached)
        while frontier:
            made = self.steps[frontier.pop()].output
            new = {n for n in self.nodes if n not in reached and any(fits(made, k) for k in self._untold(n))}
            reached |= new
            frontier.extend(new)
        return len(reached)

    def _result(self, inputs: Mapping[str, Source]) -> Source:
        if self.wanted is not None:
            return self._chosen_result()
        used = frozenset[str]().union(*(source.needs for source in inputs.values()))
        loose = [name for name in self.nodes if name not in used]
        results = [name for name in loose if self.steps[name].output is not type(None)] or loose
        if len(results) == 1:
            return Output(results[0], self.steps[results[0]].output)
        names = " and ".join(f"`{name}`" for name in results)
        message = f"{names} all end here, and a flow has one result."
        kinds = ", ".join(type_name(self.steps[name].output) for name in results)
        last = type_name(self.steps[results[-1]].output)
        remedy = f"Say which it is, output={last}, or take all: output=tuple[{kinds}]"
        raise PipelineError(message, where=self._drawn(), remedy=remedy)

    def _chosen_result(self) -> Source:
        many = typing.get_origin(self.wanted) is tuple and self.wanted not in self.makers
        kinds = typing.get_args(self.wanted) if many else (self.wanted,)
        outputs = tuple(Output(name, self.steps[name].output) for name in map(self._maker_of, kinds))
        return Together(outputs, type=self.wanted) if many else outputs[0]

    def _maker_of(self, kind: Any) -> str:
        makers = [name for name, step in self.steps.items() if fits(step.output, kind)]
        if len(makers) > 1:
            # Steps that feed another of the same kind are on the way; the last of them is the end.
            makers = [m for m in makers if not any(self._follows(other, m, None) for other in makers)] or makers
        if len(makers) == 1:
            return makers[0]
        what = "Nothing here gives" if not makers else f"{' and '.join(f'`{m}`' for m in makers)} both give"
        message = f"{what} the {type_name(kind)} that output= asks for."
        raise PipelineError(message, where=self._drawn(), remedy="Choose one: process.returns(step).")

    # The order, or the circle that makes it impossible

    def _order(self, waits: Mapping[str, frozenset[str]], targets: Mapping[str, list[str]]) -> list[str]:
        counts = {name: len(needed) for name, needed in waits.items()}
        order = [name for name, count in counts.items() if count == 0]
        for name in order:
            for target in targets[name]:
                counts[target] -= 1
                if counts[target] == 0:
                    order.append(target)
        if len(order) < len(self.nodes):
            done = frozenset(order)
            raise self._circle({name: needed - done for name, needed in waits.items() if name not in done})
        return order

    def _circle(self, waits: Mapping[str, frozenset[str]]) -> CycleFound:
        path = [next(iter(waits))]
        while (source := min(waits[path[-1]])) not in path:
            path.append(source)
        circle = [source, *reversed(path[path.index(source) :])]
        message = f"These steps wait for each other: {' -> '.join(circle)}."
        remedy = "Give one of them an input from outside (input=...), or write the repetition as a Process.loop."
        return CycleFound(message, where=self._drawn(), remedy=remedy)

    # The words of the errors

    def _drawn(self) -> str:
        lines = [f"{name}: {step.input_name} -> {step.output_name}" for name, step in self.steps.items()]
        drawn = ", ".join(lines)
        return f"{self.title}\n  {drawn if len(drawn) <= _LINE else (chr(10) + '  ').join(lines)}"

    def _gap(self, name: str, kind: Any) -> str:
        return f"Nothing here produces the {type_name(kind)} that `{name}` expects."

    def _gap_remedy(self, name: str, kind: Any) -> str:
        used = {p for n in self.nodes for k in self._untold(n) for p in self._producers(n, k)}
        loose = [other for other in self.nodes if other not in used and other != name]
        loose = [other for other in loose if not self._follows(other, name, None)]
        if len(loose) == 1:
            wanted = type_name(kind)
            return f"Did you mean `{loose[0]}` to return {wanted}? Set output={wanted} on `{loose[0]}`."
        return f"Add a step that returns {type_name(kind)}, or take it in: input=tuple[..., {type_name(kind)}]"
