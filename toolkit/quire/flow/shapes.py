"""The shapes of work that are not a graph: the same step for each item, a race, a loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from quire.core.errors import AllFailed, DefinitionError, InputValidationError, LoopExhausted, RegistrationError
from quire.core.events import Spread
from quire.core.schema import checked, type_name
from quire.flow.compose import Composable, forecast_of
from quire.flow.condition import Expression
from quire.flow.forecast import UNKNOWN, Estimate, History, Range, items_in, scaled, seen_inside
from quire.flow.plan import Node, named
from quire.flow.wiring import field_type, fits, union
from quire.run.bracket import bracket
from quire.run.context import Context
from quire.run.definitions import latest
from quire.run.runnable import Runnable
from quire.views.shapes import Graph

__all__ = ["Each", "Loop", "Race"]

_MOST_AT_ONCE = 10_000
"""Items in work at one time where nobody set a bound: enough for any network, little enough for memory."""

_TURN = 0.005
"""Seconds after which a fan-out of steps that never wait lets others have the loop."""


class Each(Composable[Any, list[Any]]):
    """The same step for each item of a list; the results are in the items' order."""

    kind = "each"

    def __init__(
        self,
        step: Runnable[Any, Any],
        *,
        over: str | None = None,
        max_parallel: int | None = None,
        on_error: Literal["fail", "collect"] = "fail",
        input: Any = None,
        name: str | None = None,
    ) -> None:
        if on_error not in ("fail", "collect"):
            message = f"on_error={on_error!r} says nothing about failed items."
            raise DefinitionError(
                message, remedy='"fail" ends the rest, "collect" leaves the error in the item\'s place.'
            )
        if max_parallel is not None and max_parallel < 1:
            message = f"max_parallel={max_parallel!r} lets nothing run."
            raise DefinitionError(message, remedy="Give 1 or more, or leave it out.")
        self._name = name or step.name
        self.step = step
        self.over = over
        self.max_parallel = max_parallel
        self.on_error = on_error
        self.input = _collection(step, over, input)
        self.output = list[step.output] if on_error == "fail" else list[step.output | BaseException]

    @property
    def note(self) -> str:
        """The second line of its node."""
        return f"{self.max_parallel} at once" if self.max_parallel else self.step.note

    def accept(self, value: Any) -> Any:
        """Return the input: any iterable of items, or a value that has them in its field `over`."""
        if self.over is not None:
            return checked(self.input, value)
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Iterable, AsyncIterable)):
            what = f"`{self.name}` takes a list, not {type_name(type(value))}."
            raise InputValidationError(what, remedy='Give the items themselves, or name their field: over="...".')
        return value

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what all items together are expected to consume."""
        seen = seen_inside(node, self.kind, history)
        if seen.calls.high:
            return [seen]
        items = UNKNOWN if value is UNKNOWN else _field(value, self.over) if self.over else value
        many = items_in(items)
        first = items[0] if isinstance(items, Sequence) and items else UNKNOWN
        note = f"{many.likely:g} items" if items is not UNKNOWN else "for one item; how many is not known yet"
        return scaled(forecast_of(self.step, f"{node}/{self.step.name}", first, history), many, note)

    async def _run(self, input: Any, ctx: Context) -> list[Any]:
        items = input if self.over is None else _field(input, self.over)
        return await _FanOut(self, items, ctx).run()


class _FanOut:
    """One run of an `Each`: workers that take the next item as soon as they are free."""

    def __init__(self, each: Each, items: Any, context: Context) -> None:
        self.each = each
        self.context = context
        self.total = len(items) if isinstance(items, Sequence) else None
        self.items: Iterator[Any] | AsyncIterator[Any] = (
            aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        )
        self.taking = asyncio.Lock()
        self.taken = 0
        self.results: dict[int, Any] = {}
        self.error: BaseException | None = None
        self.most = each.max_parallel or _MOST_AT_ONCE
        self.hired = 0
        self.workers: set[asyncio.Task[None]] = set()

    async def run(self) -> list[Any]:
        self.context.log.emit(Spread, self.context.span, self.context.parent, items=self.total)
        self._hire()
        try:
            while self.workers:
                await asyncio.wait(self.workers)
        finally:
            await ended(self.workers, "the fan-out was stopped")
        if self.error is not None:
            raise self.error
        return [self.results[index] for index in range(self.taken)]

    def _hire(self) -> None:
        if self.hired < self.most and self.error is None:
            self.hired += 1
            worker = self.context.loop.create_task(self._work())
            self.workers.add(worker)
            worker.add_done_callback(self.workers.discard)

    async def _work(self) -> None:
        since = self.context.loop.time()
        begun = False
        while self.error is None and (item := await self._next()) is not None:
            if not begun:
                # Two each, so that all are at work after a few turns of the loop and none is hired in vain.
                begun = True
                self._hire()
                self._hire()
            await self._one(*item)
            if self.context.loop.time() - since > _TURN:
                await asyncio.sleep(0)
                since = self.context.loop.time()

    async def _next(self) -> tuple[int, Any] | None:
        try:
            if isinstance(self.items, AsyncIterator):
                async with self.taking:
                    item = await anext(self.items)
            else:
                item = next(self.items)
        except (StopIteration, StopAsyncIteration):
            return None
        except Exception as error:  # noqa: BLE001 - the user's own generator
            error.add_note(f"while item {self.taken} of `{self.each.name}` was read")
            self._fail(error)
            return None
        self.taken += 1
        return self.taken - 1, item

    async def _one(self, index: int, item: Any) -> None:
        place = self.context.child(self.each.step.name, item=index)
        try:
            self.results[index] = await bracket(latest(self.each.step), item, place)
        except Exception as error:  # noqa: BLE001 - collected, or raised when all have stopped
            if self.each.on_error == "collect":
                self.results[index] = error
            else:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
            for worker in self.workers:
                if worker is not asyncio.current_task():
                    worker.cancel("another item failed")


class Race(Composable[Any, Any]):
    """Several ways to one answer: the first success wins, the others are cancelled."""

    kind = "race"
    composite = True

    def __init__(
        self, steps: Sequence[Runnable[Any, Any]], *, cancel_losers: bool = True, name: str | None = None
    ) -> None:
        if len(steps) < 2:  # noqa: PLR2004 - one alone cannot race
            message = "A race needs at least two."
            raise DefinitionError(message, remedy="Process.race(fast, thorough)")
        self._name = name
        self.nodes = named(steps, "race", apart=True)
        self.cancel_losers = cancel_losers
        self.input = steps[0].input
        self.output = union(step.output for step in steps)
        for step in steps:
            if not fits(self.input, step.input):
                message = f"`{step.name}` takes {step.input_name}, `{steps[0].name}` takes {steps[0].input_name}."
                raise RegistrationError(message, where="a race", remedy="All racers take the same input.")

    @property
    def note(self) -> str:
        """What its box says."""
        return "first success wins"

    async def _run(self, input: Any, ctx: Context) -> Any:
        racers = {self._start(node, input, ctx): node.name for node in self.nodes.values()}
        errors: dict[str, BaseException] = {}
        waiting = set(racers)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for racer in done:
                    if racer.exception() is None:
                        await self._finish(waiting, racers[racer], ctx)
                        return racer.result()
                    errors[racers[racer]] = cast("BaseException", racer.exception())
        except asyncio.CancelledError as cancelled:
            await ended(waiting, str(cancelled.args[0]) if cancelled.args else "stopped")
            raise
        told = [f"{name}: {type(error).__name__}: {error}".splitlines()[0] for name, error in errors.items()]
        raise AllFailed(f"Nobody finished `{self.name}`.", remedy="\n".join(told), errors=errors)

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what the racers are expected to consume: at least the cheapest, at most all of them."""
        path = "" if node == self.name else f"{node}/"
        found = [forecast_of(racer.runnable, path + name, value, history) for name, racer in self.nodes.items()]
        return [estimate for one in found for estimate in scaled(one, Range(0, 1, 1), "a loser may be stopped early")]

    def _start(self, node: Node, value: Any, ctx: Context) -> asyncio.Task[Any]:
        return ctx.loop.create_task(bracket(latest(node.runnable), value, ctx.child(node.name)))

    async def _finish(self, losers: set[asyncio.Task[Any]], winner: str, ctx: Context) -> None:
        if self.cancel_losers:
            await ended(losers, f"`{winner}` was first")
        else:
            ctx.parts.extend(_Loser(loser) for loser in losers)

    def graph(self) -> Graph:
        """Return its racers, side by side."""
        nodes = [{**node.runnable.as_node(), "id": name, "title": name} for name, node in self.nodes.items()]
        return cast("Graph", {"name": self.name, "kind": self.kind, "nodes": nodes, "edges": [], "groups": []})


class _Loser:
    """A racer that may go on after the race, but not after the run."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self._task.done()

    async def cancel(self, reason: str) -> None:
        """Stop it."""
        await ended({self._task}, reason)


class Loop(Composable[Any, Any]):
    """The same work again and again, each time on what the last time gave, until it is good enough."""

    kind = "loop"
    composite = True

    def __init__(
        self,
        body: Runnable[Any, Any],
        until: str | Callable[[Any], Any],
        *,
        max_iterations: int = 5,
        on_max: Literal["accept_last", "fail"] = "accept_last",
        name: str | None = None,
    ) -> None:
        if not isinstance(max_iterations, int) or max_iterations < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"max_iterations={max_iterations!r} never runs `{body.name}`."
            raise DefinitionError(message, remedy="Give a whole number, 1 or more.")
        if on_max not in ("accept_last", "fail"):
            message = f"on_max={on_max!r} does not say what to do in the end."
            raise DefinitionError(message, remedy='"accept_last" gives the last output, "fail" raises LoopExhausted.')
        if not fits(body.output, body.input):
            message = f"`{body.name}` gives {body.output_name} and takes {body.input_name}: it cannot go round."
            raise RegistrationError(message, remedy="A loop's body takes what it gives.")
        self._name = name
        self.body = body
        self.max_iterations = max_iterations
        self.on_max = on_max
        self.until = self._decider(until)
        self.input = body.input
        self.output = body.output

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what the iterations are expected to consume."""
        path = self.body.name if node == self.name else f"{node}/{self.body.name}"
        found = forecast_of(self.body, path, value, history)
        if history.runs:
            return found
        times = Range(1, (1 + self.max_iterations) / 2, self.max_iterations)
        return scaled(found, times, f"1 to {self.max_iterations} iterations")

    def _decider(self, until: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
        if not isinstance(until, str):
            return until
        expression = Expression(until)
        for name in expression.names - {"output"}:
            field_type(self.body.output, name, f"`{self.body.name}`")
        return lambda output: expression({n: output if n == "output" else _field(output, n) for n in expression.names})

    @property
    def note(self) -> str:
        """What its box says."""
        return f"at most {self.max_iterations} times"

    def accept(self, value: Any) -> Any:
        """Return the value as the body's input."""
        return self.body.accept(value)

    async def _run(self, input: Any, ctx: Context) -> Any:
        ctx.log.emit(Spread, ctx.span, ctx.parent, items=self.max_iterations)
        value = input
        for iteration in range(self.max_iterations):
            value = await bracket(latest(self.body), value, ctx.child(self.body.name, item=iteration))
            if self.until(value):
                return value
        if self.on_max == "fail":
            message = f"`{self.name}` was not done after {self.max_iterations} iterations."
            raise LoopExhausted(
                message, remedy='Allow more with max_iterations=, or take the last: on_max="accept_last"'
            )
        return value

    def graph(self) -> Graph:
        """Return its body, and the way back."""
        inner = self.body.graph() if self.body.composite else None
        nodes = inner["nodes"] if inner else [self.body.as_node()]
        edges = [edge for edge in inner["edges"] if edge["source"] and edge["target"]] if inner else []
        if inner:
            nodes = [{**node, "id": f"{self.body.name}/{node['id']}"} for node in nodes]
            edges = [
                {**e, "source": f"{self.body.name}/{e['source']}", "target": f"{self.body.name}/{e['target']}"}
                for e in edges
            ]
        back = {"source": nodes[-1]["id"], "target": nodes[0]["id"], "label": "", "when": "again"}
        graph = {"name": self.name, "kind": self.kind, "nodes": nodes, "edges": [*edges, back], "groups": []}
        return cast("Graph", graph)


async def ended(tasks: set[asyncio.Task[Any]], reason: str) -> None:
    """Cancel tasks and return when they have ended."""
    for task in tasks:
        task.cancel(reason)
    if tasks:
        await asyncio.wait(set(tasks))


def _field(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) else getattr(value, name)


def _collection(step: Runnable[Any, Any], over: str | None, given: Any) -> Any:
    if over is None:
        return given if given is not None else list[step.input]
    if given is not None:
        field_type(given, over, f"The input of `{step.name}`'s fan-out")
        return given
    return Any
