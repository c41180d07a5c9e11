"""The shapes of work that are not a graph: the same step for each item, a race, a loop."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from contextlib import suppress
from typing import Any, Literal, cast

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from quire.core.errors import AllFailed, DefinitionError, LoopExhausted, RegistrationError, Stop
from quire.core.events import Spread
from quire.core.schema import checked, type_name
from quire.flow.compose import Composable, forecast_of, innermost
from quire.flow.condition import Expression, checked_function, decided
from quire.flow.drawing import draw
from quire.flow.engine import ended
from quire.flow.fitting import a_runnable, common_input, may_take
from quire.flow.forecast import UNKNOWN, Estimate, History, Range, items_in, scaled, seen_inside
from quire.flow.plan import Node, named
from quire.flow.wiring import field_of, field_type, union
from quire.run.bracket import bracket, stop
from quire.run.context import Context, why
from quire.run.definitions import latest, uses
from quire.run.naming import given_name
from quire.run.runnable import Runnable
from quire.run.scope import Sides
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
        self.step = a_runnable(step)
        self._name = given_name(name) or step.name
        self.over = over
        self.max_parallel = checked_bound(max_parallel)
        self.on_error = on_error
        self.input = _collection(step, over, input)
        uses(self, [innermost(step)])

    @property
    def output(self) -> Any:
        """A list of what the step gives, and of its errors where they are collected."""
        made = latest(self.step).output
        return list[made] if self.on_error == "fail" else list[union((made, BaseException))]

    @property
    def note(self) -> str:
        """The second line of its node."""
        return f"{self.max_parallel} at once" if self.max_parallel else self.step.note

    def accept(self, value: Any) -> Any:
        """Return the input: any iterable of items, or a value that has them in its field `over`."""
        if self.over is None:
            return _items(value, 'Give the items themselves, or name their field: over="..."')
        value = checked(self.input, value)
        try:
            found = field_of(value, self.over)
        except (AttributeError, KeyError):
            raise _no_items(value, f"it has no field {self.over!r}") from None
        _items(found, f"Its field {self.over!r} is what over= says.")
        return value

    def check_source(self, kind: Any) -> None:
        """Raise `RegistrationError` if values of that type cannot have the items, as far as types tell."""
        if self.over is not None:
            _check_items(self.step, field_type(kind, self.over, f"What `{self.name}` gets"), f"{self.over!r} is")

    def check_with(self, new: Runnable[Any, Any]) -> None:
        """Raise `DefinitionError` if the items would not fit this in its step's place."""
        if self.over is not None:
            kind = field_type(self.input, self.over, f"The input of `{self.name}`")
            _check_items(new, kind, f"{self.over!r} is")
        else:
            _check_items(new, self.input, "its input is")

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what all items together are expected to consume."""
        seen = seen_inside(node, self.kind, history)
        if seen.calls.high:
            return [seen]
        items = UNKNOWN if value is UNKNOWN else field_of(value, self.over) if self.over else value
        many = items_in(items)
        first = cast("Sequence[Any]", items)[0] if isinstance(items, Sequence) and items else UNKNOWN
        note = f"{many.likely:g} items" if items is not UNKNOWN else "for one item; how many is not known yet"
        return scaled(forecast_of(self.step, f"{node}/{self.step.name}", first, history), many, note)

    async def _run(self, input: Any, ctx: Context) -> list[Any]:
        items = input if self.over is None else field_of(input, self.over)
        return await _FanOut(self, items, ctx).run()


class _FanOut:
    """One run of an `Each`: workers that take the next item as soon as they are free."""

    def __init__(self, each: Each, items: Any, context: Context) -> None:
        self.each = each
        self.context = context
        self.total = len(items) if isinstance(items, Sized) else None
        self.items = _iterator(items)
        self.taking = asyncio.Lock()
        self.taken = 0
        self.results: dict[int, Any] = {}
        self.error: BaseException | None = None
        self.over: str | None = None
        """Why no item begins any more."""
        self.most = each.max_parallel or _MOST_AT_ONCE
        self.hired = 0
        self.last: asyncio.Task[Any] | None = None
        """The worker that ended an item last, and since when it did so alone."""
        self.since = 0.0
        self.workers: set[asyncio.Task[None]] = set()
        self.sides = None if context.state is None else Sides(context.state)

    async def run(self) -> list[Any]:
        self.context.log.emit(Spread, self.context.span, self.context.parent, items=self.total)
        self._hire()
        try:
            while self.workers:
                await asyncio.wait(self.workers)
        except asyncio.CancelledError as cancelled:
            self.over = why(cancelled, self.context)
            while self.workers:
                await ended(self.workers, self.over)
            raise
        finally:
            await self._close()
        if self.error is not None:
            raise self.error
        if self.sides is not None:
            self.sides.join()
        return [self.results[index] for index in range(self.taken)]

    async def _close(self) -> None:
        """Let a generator that was not read to its end clean up."""
        items: Any = self.items
        with suppress(Exception):  # there is something to close only after an error or a stop: that is what is raised
            if isinstance(items, AsyncGenerator):
                await items.aclose()
            elif isinstance(items, Generator):
                items.close()

    def _hire(self) -> None:
        if self.hired < self.most and self.over is None:
            self.hired += 1
            worker = self.context.loop.create_task(self._work())
            self.workers.add(worker)
            worker.add_done_callback(self.workers.discard)

    async def _work(self) -> None:
        me = asyncio.current_task()
        begun = False
        while self.over is None and (item := await self._next()) is not None:
            if not begun:
                # Two each, so that all are at work after a few turns of the loop and none is hired in vain.
                begun = True
                self._hire()
                self._hire()
            index, value = item
            place = self.context.child(self.each.step.name, item=index)
            if self.sides is not None:
                place.state = self.sides.part(index, f"{self.each.step.name}[{index}]", place.span)
            try:  # here and not in a method of its own: every frame counts when there are thousands of workers
                self.results[index] = await bracket(latest(self.each.step), value, place)
            except asyncio.CancelledError as cancelled:
                if self.over is not None:
                    raise
                self._lose(index, cancelled)  # it awaited something that was cancelled elsewhere
            except BaseException as error:  # noqa: BLE001 - collected, or raised when all have stopped
                self._lose(index, error)
            if self.last is not me:  # the loop has been elsewhere meanwhile
                self.last, self.since = me, self.context.loop.time()
            elif self.context.loop.time() - self.since > _TURN:
                await asyncio.sleep(0)
                self.since = self.context.loop.time()

    async def _next(self) -> tuple[int, Any] | None:
        try:
            if isinstance(self.items, AsyncIterator):
                async with self.taking:
                    item = await anext(self.items)
            else:
                item = next(self.items)
        except (StopIteration, StopAsyncIteration):
            return None
        except asyncio.CancelledError as cancelled:
            if self.over is not None:
                raise
            self._fail(cancelled, "its items ended")
            return None
        except BaseException as error:  # noqa: BLE001 - the user's own generator
            error.add_note(f"while item {self.taken} of `{self.each.name}` was read")
            self._fail(error, "its items could not be read")
            return None
        self.taken += 1
        return self.taken - 1, item

    def _lose(self, index: int, error: BaseException) -> None:
        # A question that nobody has answered is no result: the run ends, and goes on when somebody has.
        collected = isinstance(error, (Exception, asyncio.CancelledError)) and not isinstance(error, Stop)
        if self.each.on_error == "collect" and collected:
            self.results[index] = error
        else:
            self._fail(error, f"item {index} failed")

    def _fail(self, error: BaseException, reason: str) -> None:
        if self.over is None:
            self.error, self.over = error, reason
            for worker in self.workers:
                if worker is not asyncio.current_task():
                    worker.cancel(reason)


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
        self._name = given_name(name)
        self.input = common_input(steps, "a race")
        self.nodes = named(steps, "race", apart=True)
        self.cancel_losers = cancel_losers
        uses(self, map(innermost, steps))

    @property
    def output(self) -> Any:
        """What any of the racers gives."""
        return union(latest(node.runnable).output for node in self.nodes.values())

    def check_with(self, new: Runnable[Any, Any]) -> None:
        """Raise `DefinitionError` if this could not race in its namesake's place."""
        racers = [node.runnable for node in self.nodes.values()]
        common_input([new if innermost(racer).key == new.key else latest(racer) for racer in racers], self.name)

    @property
    def note(self) -> str:
        """What its box says."""
        return "first success wins"

    async def _run(self, input: Any, ctx: Context) -> Any:
        places = {node.name: ctx.child(node.name) for node in self.nodes.values()}
        sides = None if ctx.state is None else Sides(ctx.state)
        for number, (name, place) in enumerate(places.items()):
            place.state = None if sides is None else sides.part(number, name, place.span)
        result, winner = await self._raced(places, input, ctx)
        if sides is not None:
            sides.join([list(places).index(winner)])
        return result

    async def _raced(self, places: Mapping[str, Context], input: Any, ctx: Context) -> tuple[Any, str]:
        first = _winner(places, ctx)
        if first is not None:
            return await self._won_before(first, places, input), first
        home: list[str] = []
        racers = {self._start(node, input, places[node.name], home): node.name for node in self.nodes.values()}
        lost: dict[str, BaseException] = {}
        waiting = set(racers)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finished = [racer for racer in racers if racer in done]
                lost.update({racers[racer]: error for racer in finished if (error := _outcome(racer)[1]) is not None})
                winner = next((racer for racer in finished if racers[racer] in home[:1]), None)
                if winner is not None:
                    await self._finish(waiting, racers[winner], ctx)
                    return _outcome(winner)[0], racers[winner]
        except asyncio.CancelledError as cancelled:
            await ended(waiting, why(cancelled, ctx))
            raise
        told = [f"{name}: {type(error).__name__}: {error}".splitlines()[0] for name, error in lost.items()]
        raise AllFailed(f"Nobody finished `{self.name}`.", remedy="\n".join(told), errors=lost)

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what the racers are expected to consume: at least the cheapest, at most all of them."""
        path = f"{node}/" if node else ""
        found = [forecast_of(racer.runnable, path + name, value, history) for name, racer in self.nodes.items()]
        return [estimate for one in found for estimate in scaled(one, Range(0, 1, 1), "a loser may be stopped early")]

    async def _won_before(self, winner: str, places: Mapping[str, Context], value: Any) -> Any:
        """Return what won before the run broke off; nobody has to race again."""
        for name, place in places.items():
            if name != winner and self.cancel_losers:
                stop(place, f"`{winner}` was first")
        return await bracket(latest(self.nodes[winner].runnable), value, places[winner])

    def _start(self, node: Node, value: Any, place: Context, home: list[str]) -> asyncio.Task[Any]:
        return place.loop.create_task(_attempt(latest(node.runnable), value, place, home))

    async def _finish(self, losers: set[asyncio.Task[Any]], winner: str, ctx: Context) -> None:
        if self.cancel_losers:
            await ended(losers, f"`{winner}` was first")
        else:
            ctx.parts.extend(_Loser(loser) for loser in losers)

    def graph(self) -> Graph:
        """Return its racers, side by side."""
        graph = Graph(name=self.name, kind=self.kind, nodes=[], edges=[], groups=[])
        for node in self.nodes.values():
            draw(graph, node)
        return graph


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
        a_runnable(body)
        if not isinstance(max_iterations, int) or max_iterations < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"max_iterations={max_iterations!r} never runs `{body.name}`."
            raise DefinitionError(message, remedy="Give a whole number, 1 or more.")
        if on_max not in ("accept_last", "fail"):
            message = f"on_max={on_max!r} does not say what to do in the end."
            raise DefinitionError(message, remedy='"accept_last" gives the last output, "fail" raises LoopExhausted.')
        self._name = given_name(name)
        self.body = body
        self.max_iterations = max_iterations
        self.on_max = on_max
        self.check_with(body)
        self.until = self._decider(until)
        uses(self, [innermost(body)])

    @property
    def input(self) -> Any:
        """The type that its body takes."""
        return latest(self.body).input

    @property
    def output(self) -> Any:
        """The type that its body gives."""
        return latest(self.body).output

    def check_with(self, new: Runnable[Any, Any]) -> None:
        """Raise `DefinitionError` if this cannot go round in the body's place."""
        if not may_take(new, new.output):
            message = f"`{new.name}` gives {new.output_name} and takes {new.input_name}: it cannot go round."
            raise RegistrationError(message, remedy="A loop's body takes what it gives.")

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what the iterations are expected to consume."""
        path = f"{node}/{self.body.name}" if node else self.body.name
        found = forecast_of(self.body, path, value, history)
        if history.runs:
            return found
        times = Range(1, (1 + self.max_iterations) / 2, self.max_iterations)
        return scaled(found, times, f"1 to {self.max_iterations} iterations")

    def _decider(self, until: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
        if not isinstance(until, str):
            return checked_function(until, f"until= of `{self.name}`")
        expression = Expression(until)
        for name in expression.names - {"output"}:
            field_type(self.body.output, name, f"`{self.body.name}`")
        kind, names = self.body.output, expression.names
        expression.check_fields({name: kind if name == "output" else field_type(kind, name, name) for name in names})
        return lambda output: expression({n: output if n == "output" else field_of(output, n) for n in names})

    @property
    def note(self) -> str:
        """What its box says."""
        return f"at most {self.max_iterations} times"

    def accept(self, value: Any) -> Any:
        """Return the value as the body's input."""
        return latest(self.body).accept(value)

    def fields(self) -> dict[str, tuple[Any, bool]]:
        """Return what its body can be given by name."""
        return latest(self.body).fields()

    def takes_anything(self, kind: Any) -> bool:
        """Whether its body also takes a value of that type."""
        return latest(self.body).takes_anything(kind)

    async def _run(self, input: Any, ctx: Context) -> Any:
        ctx.log.emit(Spread, ctx.span, ctx.parent, items=self.max_iterations)
        value = input
        for iteration in range(self.max_iterations):
            value = await bracket(latest(self.body), value, ctx.child(self.body.name, item=iteration))
            if decided(self.until, value, f"until= of `{self.name}`"):
                return value
        if self.on_max == "fail":
            message = f"`{self.name}` was not done after {self.max_iterations} iterations."
            raise LoopExhausted(
                message, remedy='Allow more with max_iterations=, or take the last: on_max="accept_last"'
            )
        return value

    def graph(self) -> Graph:
        """Return its body, and the way back."""
        graph = Graph(name=self.name, kind=self.kind, nodes=[], edges=[], groups=[])
        body = latest(self.body)
        draw(graph, Node(name=body.name, runnable=body))
        ends = graph["nodes"][-1]["id"], graph["nodes"][0]["id"]
        graph["edges"].append({"source": ends[0], "target": ends[1], "label": "", "when": "again"})
        return graph


def _winner(places: Mapping[str, Context], ctx: Context) -> str | None:
    """Return who had won when the run broke off, if anybody had."""
    if ctx.log.recall is None:
        return None
    span = ctx.log.recall.first([place.span for place in places.values()])
    return next((name for name, place in places.items() if place.span == span), None)


def checked_bound(most: int | None) -> int | None:
    """Return a bound on what works at one time; raise `DefinitionError` if it lets nothing run."""
    if most is not None and (not isinstance(most, int) or most < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"max_parallel={most!r} lets nothing run."
        raise DefinitionError(message, remedy="Give a whole number, 1 or more, or leave it out.")
    return most


async def _attempt(
    runnable: Runnable[Any, Any], value: Any, context: Context, home: list[str]
) -> tuple[Any, BaseException | None]:
    """Return what a racer gave, or its error: nobody may be there any more to catch it.

    Who has come home is noted at once: several may have by the time somebody looks.
    """
    try:
        result = await bracket(runnable, value, context)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - the race goes on without it
        return None, error
    home.append(context.name)
    return result, None


def _outcome(racer: asyncio.Task[tuple[Any, BaseException | None]]) -> tuple[Any, BaseException | None]:
    return (None, asyncio.CancelledError("it was cancelled")) if racer.cancelled() else racer.result()


def _iterator(items: Any) -> Iterator[Any] | AsyncIterator[Any]:
    return aiter(cast("AsyncIterable[Any]", items)) if isinstance(items, AsyncIterable) else iter(items)


def _items(value: Any, remedy: str) -> Any:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Iterable, AsyncIterable)):
        raise _no_items(value, remedy)
    return cast("Any", value)


def _no_items(value: Any, remedy: str) -> ValidationError:
    what = PydanticCustomError("items", "a list of items is needed; {remedy}", {"remedy": remedy})
    return ValidationError.from_exception_data("items", [{"type": what, "loc": (), "input": value}])


def _collection(step: Runnable[Any, Any], over: str | None, given: Any) -> Any:
    if over is None:
        kind = given if given is not None else list[step.input]
        _check_items(step, kind, "input= is")
        return kind
    if given is not None:
        _check_items(step, field_type(given, over, f"The input of `{step.name}`'s fan-out"), f"{over!r} is")
        return given
    return Any


def _check_items(step: Runnable[Any, Any], kind: Any, what: str) -> None:
    """Raise `RegistrationError` if a type says that it has no items, or none that the step takes."""
    if kind is Any:
        return
    own = typing.get_origin(kind) or kind
    many = isinstance(own, type) and issubclass(own, (Iterable, AsyncIterable)) and not issubclass(own, (str, bytes))
    parts = [part for part in typing.get_args(kind) if part is not ...]
    if isinstance(own, type) and (not many or issubclass(own, Mapping)):
        message = f"`{step.name}` shall run for each item, and {what} {type_name(kind)}."
        raise RegistrationError(message, remedy='Items come in a list; over="..." names the field that has them.')
    if many and parts and not may_take(step, union(parts) if own is tuple else parts[0]):
        message = f"`{step.name}` takes {step.input_name}, and {what} {type_name(kind)}."
        raise RegistrationError(message, remedy="Give it items that fit.")
