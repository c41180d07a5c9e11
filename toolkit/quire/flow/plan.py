"""Who feeds whom: found from types, checked whole before anything runs, drawn in every error."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from quire.core.errors import AmbiguousProducer, CycleFound, DuplicateName, MissingProducer, PipelineError
from quire.core.schema import type_name
from quire.run.runnable import Runnable

__all__ = ["Entry", "Plan", "Source", "fits", "plan_by_types"]

Nodes: TypeAlias = Mapping[str, Runnable[Any, Any]]


class Entry(NamedTuple):
    """The flow's own input as a source: the whole of it, or one part of a tuple."""

    part: int | None = None


Source: TypeAlias = str | Entry
"""Where an input comes from: the name of a node, or the flow's own input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A flow that has been checked."""

    order: tuple[str, ...]
    """Every node after its sources."""
    sources: Mapping[str, tuple[Source, ...]]
    """Per node, one source for each thing it takes."""
    targets: Mapping[str, tuple[str, ...]]
    """Per node, who waits for it; each once."""
    input: Any
    output: Any
    ends: tuple[str, ...]
    """The nodes whose results are the flow's result; more than one make a tuple."""


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of one type can be taken as the other: the same, a subclass, or a member of a union."""
    if given == wanted:
        return True
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return any(fits(given, part) for part in typing.get_args(wanted))
    both = isinstance(given, type) and isinstance(wanted, type)
    # bool is an int to Python, but nobody means that when they ask for one.
    return both and wanted.__module__ != "builtins" and issubclass(given, wanted)


def plan_by_types(steps: Sequence[Runnable[Any, Any]], input: Any, output: Any, title: str) -> Plan:
    """Find the order of the steps from their types alone.

    Raises:
        DuplicateName: two steps have one name.
        MissingProducer: a step needs what nothing makes.
        AmbiguousProducer: a step needs what more than one makes.
        CycleFound: steps wait for each other.
    """
    return _Planner(steps, input, output, title).plan()


class _Planner:
    def __init__(self, steps: Sequence[Runnable[Any, Any]], input: Any, output: Any, title: str) -> None:
        self.title = title
        self.nodes = self._named(steps)
        self.makers = self._makers()
        self.entry = input if input is not None else self._find_entry()
        self.wanted = output

    def _named(self, steps: Sequence[Runnable[Any, Any]]) -> dict[str, Runnable[Any, Any]]:
        nodes: dict[str, Runnable[Any, Any]] = {}
        for step in steps:
            if step.name in nodes:
                message = f"Two steps are called `{step.name}`."
                raise DuplicateName(message, where=self.title, remedy='Name one of them otherwise: name="..."')
            nodes[step.name] = step
        return nodes

    def _makers(self) -> dict[Any, list[str]]:
        makers: dict[Any, list[str]] = {}
        for name, node in self.nodes.items():
            makers.setdefault(node.output, []).append(name)
        return makers

    def plan(self) -> Plan:
        sources = {name: tuple(self._source(name, kind) for kind in node.takes()) for name, node in self.nodes.items()}
        order = self._order(sources)
        targets: dict[str, list[str]] = {name: [] for name in order}
        for name in order:
            for source in dict.fromkeys(sources[name]):
                if isinstance(source, str):
                    targets[source].append(name)
        ends = self._ends(targets)
        result = self.nodes[ends[0]].output if len(ends) == 1 else tuple[tuple(self.nodes[end].output for end in ends)]
        return Plan(
            order=tuple(order),
            sources=sources,
            targets={name: tuple(waiting) for name, waiting in targets.items()},
            input=self.entry,
            output=result,
            ends=ends,
        )

    # What feeds an input

    def _producers(self, name: str, kind: Any) -> list[str]:
        exact = [maker for maker in self.makers.get(kind, ()) if maker != name]
        return exact or [other for other, node in self.nodes.items() if other != name and fits(node.output, kind)]

    def _entries(self, kind: Any) -> list[Entry]:
        if self.entry is None:
            return []
        if fits(self.entry, kind):
            return [Entry()]
        parts = typing.get_args(self.entry) if typing.get_origin(self.entry) is tuple else ()
        return [Entry(index) for index, part in enumerate(parts) if fits(part, kind)]

    def _source(self, name: str, kind: Any) -> Source:
        entries = self._entries(kind)
        producers: list[Source] = [
            p for p in self._producers(name, kind) if not (entries and self._follows(p, name, kind))
        ]
        found = [*producers, *entries]
        if len(found) == 1:
            return found[0]
        if not found:
            raise MissingProducer(self._gap(name, kind), where=self._drawn(), remedy=self._gap_remedy(name, kind))
        makers = " and ".join("the pipeline's input" if isinstance(f, Entry) else f"`{f}`" for f in found)
        message = f"`{name}` takes {type_name(kind)}, and {makers} give it: which one is meant?"
        remedy = "Give one of them an output type of its own, or write the edges down in a Process."
        raise AmbiguousProducer(message, where=self._drawn(), remedy=remedy)

    def _follows(self, later: str, earlier: str, kind: Any) -> bool:
        """Whether a node can only run after another, whatever feeds inputs of that kind."""
        seen, frontier = {later}, [later]
        while frontier:
            node = frontier.pop()
            needs = [p for k in self.nodes[node].takes() if not fits(kind, k) for p in self._producers(node, k)]
            if earlier in needs:
                return True
            frontier.extend(p for p in needs if p not in seen)
            seen.update(needs)
        return False

    # Where the flow begins and ends

    def _find_entry(self) -> Any:
        orphans = [
            (name, kind)
            for name, node in self.nodes.items()
            for kind in node.takes()
            if not self._producers(name, kind)
        ]
        if not orphans:
            return self._text_entry()
        kinds = {kind for _, kind in orphans}
        if len(kinds) == 1:
            return orphans[0][1]
        # The true beginning is what most of the flow hangs on; anything else is a gap, told when its
        # source is looked for.
        return max(orphans, key=lambda orphan: self._reach(orphan[1]))[1]

    def _text_entry(self) -> Any:
        """Return the builtin type that goes in where the flow both begins and ends with it, as text often does."""
        for name, node in self.nodes.items():
            for kind in node.takes():
                plain = isinstance(kind, type) and kind.__module__ == "builtins"
                if plain and all(self._follows(p, name, kind) for p in self._producers(name, kind)):
                    return kind
        return None

    def _reach(self, kind: Any) -> int:
        reached = {name for name, node in self.nodes.items() if kind in node.takes()}
        frontier = list(reached)
        while frontier:
            made = self.nodes[frontier.pop()].output
            new = {n for n, node in self.nodes.items() if n not in reached and any(fits(made, k) for k in node.takes())}
            reached |= new
            frontier.extend(new)
        return len(reached)

    def _ends(self, targets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        loose = [name for name in self.nodes if not targets[name]]
        if self.wanted is not None:
            return self._chosen_ends()
        results = [name for name in loose if self.nodes[name].output is not type(None)] or loose
        if len(results) > 1:
            names = " and ".join(f"`{name}`" for name in results)
            message = f"{names} all end here, and a pipeline has one result."
            kinds = ", ".join(type_name(self.nodes[name].output) for name in results)
            last = type_name(self.nodes[results[-1]].output)
            remedy = f"Say which it is, output={last}, or take all: output=tuple[{kinds}]"
            raise PipelineError(message, where=self._drawn(), remedy=remedy)
        return (results[0],)

    def _chosen_ends(self) -> tuple[str, ...]:
        many = typing.get_origin(self.wanted) is tuple and self.wanted not in self.makers
        kinds = typing.get_args(self.wanted) if many else (self.wanted,)
        return tuple(self._maker_of(kind) for kind in kinds)

    def _maker_of(self, kind: Any) -> str:
        makers = [name for name, node in self.nodes.items() if fits(node.output, kind)]
        if len(makers) == 1:
            return makers[0]
        what = "Nothing here gives" if not makers else f"{' and '.join(f'`{m}`' for m in makers)} both give"
        message = f"{what} the {type_name(kind)} that output= asks for."
        raise PipelineError(message, where=self._drawn(), remedy="Name the output type of exactly one step.")

    # The order, or the circle that makes it impossible

    def _order(self, sources: Mapping[str, tuple[Source, ...]]) -> list[str]:
        waits = {name: {s for s in sources[name] if isinstance(s, str)} for name in self.nodes}
        counts = {name: len(needed) for name, needed in waits.items()}
        targets: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, needed in waits.items():
            for source in needed:
                targets[source].append(name)
        order = [name for name, count in counts.items() if count == 0]
        for name in order:
            for target in targets[name]:
                counts[target] -= 1
                if counts[target] == 0:
                    order.append(target)
        if len(order) < len(self.nodes):
            raise self._circle({name: needed - set(order) for name, needed in waits.items() if name not in order})
        return order

    def _circle(self, waits: Mapping[str, set[str]]) -> CycleFound:
        path = [next(iter(waits))]
        while (source := min(waits[path[-1]])) not in path:
            path.append(source)
        circle = [source, *reversed(path[path.index(source) :])]
        message = f"These steps wait for each other: {' -> '.join(circle)}."
        remedy = "Give one of them an input from outside (input=...), or write the repetition as a Process.loop."
        return CycleFound(message, where=self._drawn(), remedy=remedy)

    # The words of the errors

    def _drawn(self) -> str:
        lines = [f"{name}: {node.input_name} -> {node.output_name}" for name, node in self.nodes.items()]
        return f"{self.title}\n  {', '.join(lines)}"

    def _gap(self, name: str, kind: Any) -> str:
        return f"Nothing here produces the {type_name(kind)} that `{name}` expects."

    def _gap_remedy(self, name: str, kind: Any) -> str:
        used = {p for n, node in self.nodes.items() for k in node.takes() for p in self._producers(n, k)}
        loose = [other for other in self.nodes if other not in used and other != name]
        if len(loose) == 1:
            wanted = type_name(kind)
            return f"Did you mean `{loose[0]}` to return {wanted}? Set output={wanted} on `{loose[0]}`."
        return f"Add a step that returns {type_name(kind)}, or take it in: input=tuple[..., {type_name(kind)}]"
