"""Putting runnables together, and around each other.

    a >> b                 one after the other
    a & b                  side by side, a tuple of both
    a.with_retry(...)      tries again
    a.with_fallback(b)     b, if a fails
    a.with_timeout(s)      within s seconds
    a.with_cache()         the same answer to the same input, once
    a.with_validation(...) mends single fields of the output
    a.with_state(Desk)     channels that all parts read and write

Each is a runnable again: the same contract around the same contract. A wrapper runs in the span of
what it wraps and draws as it does; it overrides one method.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Self, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from quire.core.errors import (
    DefinitionError,
    OutputValidationError,
    QuireError,
    RegistrationError,
    Stop,
    StreamConflict,
)
from quire.core.events import Event, Mended, Rescued, Reused, Succeeded, Wrote
from quire.core.schema import checked, plain, read_back
from quire.flow.condition import Condition
from quire.flow.drawing import draw, ways_in, ways_out
from quire.flow.engine import run_plan
from quire.flow.fitting import a_runnable, check_fields, check_inputs, common_input, fits_now, may_take
from quire.flow.forecast import (
    ONCE,
    UNKNOWN,
    Estimate,
    Forecast,
    History,
    Range,
    history_of,
    scaled,
    seen_inside,
)
from quire.flow.mend import checked_ladder, mend
from quire.flow.plan import Node, Plan, named, planned
from quire.flow.state import State, begun_with
from quire.flow.wiring import Entry, Output, Source, Together, renewed, union
from quire.run.bracket import bracket, promised, submitted, until
from quire.run.context import CURRENT, Context
from quire.run.definitions import latest, uses
from quire.run.history import all_logs
from quire.run.naming import Place, assigned_name, calling_place, given_name
from quire.run.retry import Retry, retrying
from quire.run.runnable import Runnable
from quire.run.runtime import store
from quire.run.scope import Scope, Seen, Write
from quire.run.threads import in_thread
from quire.views import words
from quire.views.shapes import Facts, FlowHead, FlowSnapshot, Graph, GraphEdge

__all__ = ["Composable", "Flow", "Wrapped"]

I = TypeVar("I", contravariant=True)  # noqa: E741, PLC0105 - the words of the contract
O = TypeVar("O")  # noqa: E741


class Composable(Runnable[I, O]):
    """A runnable that can be put together with others, and wrapped."""

    def __rshift__(self, other: Runnable[Any, Any]) -> Flow:
        """Run this, then the other on what this gave."""
        if not isinstance(other, Runnable):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return Chain((*_links(self), *_links(other)), calling_place(1))

    def __and__(self, other: Runnable[Any, Any]) -> Flow:
        """Run both side by side on the same input; gives a tuple."""
        if not isinstance(other, Runnable):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return Flow.together((*_siblings(self), *_siblings(other)), loose=True).placed(calling_place(1))

    def with_retry(self, retry: Retry | int) -> Wrapped:
        """Try again after errors that another try can help; a number is the attempts in all."""
        return WithRetry(self, retry)

    def with_fallback(self, other: Runnable[Any, Any]) -> Wrapped:
        """Run the other on the same input if this fails; `current_context().error` says why."""
        return WithFallback(self, other)

    def with_timeout(self, seconds: float) -> Wrapped:
        """Raise `DeadlineExceeded` if this takes longer."""
        return WithTimeout(self, seconds)

    def with_cache(self, key: Callable[[Any], Any] | None = None, *, lasting: bool = False) -> Wrapped:
        """Give the earlier answer to the same input, or to the same `key(input)`.

        Whatever else an answer depends on, such as a state that is read, belongs into the key:
        `key=lambda text: (text, Desk.now().plan)`.

        `lasting` answers outlive the process: they are kept where the runs are.
        """
        return WithCache(self, key, lasting=lasting)

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:  # noqa: ARG002 - for those with prompts
        """Return what running this as the node of that path is expected to consume."""
        return [seen_inside(node, self.kind, history)]

    def dry_run(self, input: Any) -> Forecast:
        """Return what a run on this input would do and cost, without asking any model.

        The input is checked as a run would check it. The estimate rests on earlier runs of this name, and
        on the size of the prompts where there are none.

        Raises:
            SubmitError: the input is not what it takes.

        Example:
            >>> from quire import LLM, Agent
            >>> agent = Agent(LLM("offline"), "Answer.", name="answers")
            >>> agent.dry_run("Why?").estimates[0].node
            'answers'
        """
        value = submitted(self, input)
        history = history_of(self.name, all_logs())
        gates = (
            ("submit", f"the input is {self.input_name}"),
            ("registration", f"{words.count(len(self.graph()['nodes']), 'node')}, all fed"),
            ("dispatch, output, completion", "checked when the values are there"),
        )
        estimates = self.forecast("" if self.composite else self.name, value, history)
        return Forecast(flow=self.name, estimates=tuple(estimates), gates=gates, runs=history.runs)

    def with_validation(self, ladder: Mapping[str, str]) -> Wrapped:
        """Mend single fields of an output that does not fit: "fail", "coerce", "default" or "drop_field"."""
        return WithValidation(self, ladder)

    def with_state(self, state: type[State] | State) -> Wrapped:
        """Let this and all its parts read and write channels they share; an instance is what they begin with.

        Inside something that has a state of the same name already, that one goes on.

        Example:
            >>> from quire import State, Step
            >>> class Seen(State):
            ...     last: str = ""
            >>> @Step
            ... def look(name: str) -> int:
            ...     Seen.write(last=name)
            ...     return len(name)
            >>> run = look.with_state(Seen).start("bee")
            >>> run.wait(), run.state.last
            (3, 'bee')
        """
        return WithState(self, state)


class Wrapped(Composable[Any, Any]):
    """Something around a runnable that runs in its span and looks like it."""

    def __init__(self, inner: Runnable[Any, Any]) -> None:
        self._inner = a_runnable(inner)
        self.kind = inner.kind
        self.composite = inner.composite
        self.description: str = getattr(inner, "description", "")

    @property
    def inner(self) -> Runnable[Any, Any]:
        """What is inside, as it is defined now."""
        return latest(self._inner)

    @property
    def name(self) -> str:
        """Its own name if it was given one, else that of what is inside."""
        return self._name or self.inner.name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def input(self) -> Any:
        """The type that the inside takes."""
        return self.inner.input

    @property
    def output(self) -> Any:
        """The type that the inside gives."""
        return self.inner.output

    @property
    def note(self) -> str:
        """The note of what is inside."""
        return self.inner.note

    def takes(self) -> tuple[Any, ...]:
        """Return what the inside takes."""
        return self.inner.takes()

    def fields(self) -> dict[str, tuple[Any, bool]]:
        """Return what the inside can be given by name."""
        return self.inner.fields()

    def takes_anything(self, kind: Any) -> bool:
        """Whether the inside also takes a value of that type."""
        return self.inner.takes_anything(kind)

    def accept(self, value: Any) -> Any:
        """Return the value as the inside's input."""
        return self.inner.accept(value)

    def facts(self) -> Facts:
        """Return what is known of the inside, and the limit around it."""
        facts = self.inner.facts()
        limits = [limit for limit in (facts.get("limits"), self.limit()) if limit]
        return {**facts, "limits": ", ".join(limits)} if limits else facts

    def graph(self) -> Graph:
        """Return the inside's drawing."""
        return self.inner.graph() if self.composite else super().graph()

    def limit(self) -> str:
        """Return what this adds, in a few words."""
        return ""

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what the inside is expected to consume."""
        return forecast_of(self.inner, node, value, history)

    async def _inside(self, value: Any, ctx: Context) -> Any:
        """Run what is inside and check what it gives, so that a wrong output counts as a failure here."""
        mark = None if ctx.state is None else ctx.state.mark()
        try:
            return promised(self.inner, await self.inner._run(value, ctx))  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
        except BaseException:
            if ctx.state is not None and mark is not None:
                ctx.state.undo(mark)
            raise


class WithRetry(Wrapped):
    """Tries again."""

    def __init__(self, inner: Runnable[Any, Any], retry: Retry | int) -> None:
        super().__init__(inner)
        self.retry = retry if isinstance(retry, Retry) else Retry(max_attempts=retry)

    def limit(self) -> str:
        """Return how often."""
        return f"{self.retry.max_attempts} attempts"

    async def _run(self, input: Any, ctx: Context) -> Any:
        return await retrying(self.retry, lambda: self._inside(input, ctx), ctx)


class WithFallback(Wrapped):
    """Runs another when the first fails."""

    def __init__(self, inner: Runnable[Any, Any], other: Runnable[Any, Any]) -> None:
        super().__init__(inner)
        self._other = a_runnable(other)
        if not may_take(other, inner.input):
            message = f"`{other.name}` takes {other.input_name}, and `{inner.name}`, for which it stands in, does not."
            raise RegistrationError(message, remedy=f"A fallback takes the same input: {inner.input_name}.")

    @property
    def other(self) -> Runnable[Any, Any]:
        """What stands in, as it is defined now."""
        return latest(self._other)

    @property
    def output(self) -> Any:
        """The type that either gives."""
        return union((self.inner.output, self.other.output))

    def limit(self) -> str:
        """Return who stands in."""
        return f"else {self.other.name}"

    async def _run(self, input: Any, ctx: Context) -> Any:
        recall = ctx.log.recall
        before = recall and recall.rescued(ctx.span)
        if before:  # it had failed before the run broke off, and is not tried once more
            failed = QuireError(f"{before.error_type}: {before.error}", where=ctx.where)
            return await bracket(self.other, input, ctx.child(self.other.name, error=failed))
        try:
            return await self._inside(input, ctx)
        except Stop:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the other is told of it
            # Here, not further down: should the other fail too, its error shows the first as its context.
            return await self._stand_in(input, ctx, error)

    async def _stand_in(self, input: Any, ctx: Context, error: Exception) -> Any:
        other = self.other
        what = error.what if isinstance(error, QuireError) else str(error)
        ctx.log.emit(Rescued, ctx.span, ctx.parent, by=other.name, error_type=type(error).__name__, error=what)
        return await bracket(other, input, ctx.child(other.name, error=error))


class WithTimeout(Wrapped):
    """Ends what takes too long."""

    def __init__(self, inner: Runnable[Any, Any], seconds: float) -> None:
        super().__init__(inner)
        if not isinstance(seconds, (int, float)) or not seconds > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"A timeout of {seconds!r} leaves `{inner.name}` no time."
            raise DefinitionError(message, remedy="Give seconds above 0.")
        self.seconds = seconds

    def limit(self) -> str:
        """Return how long."""
        return f"{self.seconds:g} s"

    async def _run(self, input: Any, ctx: Context) -> Any:
        shorter = ctx.within(self.seconds)
        token = CURRENT.set(shorter)  # so that `current_context().remaining` is true inside
        try:
            return await until(shorter, self._inside(input, shorter))
        finally:
            CURRENT.reset(token)


class WithCache(Wrapped):
    """Remembers answers by input.

    Callers with one key wait for each other, so the work is done once. Two processes that come at the
    same moment both do it; the answer that was kept first is given by both.
    """

    _MOST = 1024
    _turns: ClassVar[dict[tuple[int, str], _Turn]] = {}

    def __init__(self, inner: Runnable[Any, Any], key: Callable[[Any], Any] | None, *, lasting: bool) -> None:
        super().__init__(inner)
        self._key = key
        self._lasting = lasting
        self._answers: OrderedDict[str, _Kept] = OrderedDict()
        self._answered_by = self.inner

    def limit(self) -> str:
        """Return that it remembers."""
        return "once per key" if self._lasting else "cached"

    async def _run(self, input: Any, ctx: Context) -> Any:
        key = self._key_of(input)
        async with self._alone(key):
            kept = await self._recall(key)
            if kept is not None:
                ctx.log.emit(Reused, ctx.span, ctx.parent, key=key)
                if ctx.state is not None:
                    ctx.state.write(kept.writes)
                return kept.answer
            mark = None if ctx.state is None else ctx.state.mark()
            answer = await self._inside(input, ctx)
            writes = () if ctx.state is None or mark is None else tuple(ctx.state.since(mark))
            return await self._keep(key, _Kept(answer, writes), ctx)

    def _key_of(self, input: Any) -> str:
        value: Any = self._key(input) if self._key else input
        if isinstance(value, (Iterator, AsyncIterator)):
            value = _Unwritten()  # an iterator would lose its items to whoever writes them down
        try:
            return json.dumps([type(value).__name__, from_json(to_json(value))], sort_keys=True)
        except (TypeError, ValueError) as error:
            message = f"`{self.name}` remembers by input, and this input cannot be written down: {error}."
            raise DefinitionError(message, remedy="Say what tells inputs apart: key=lambda input: ...") from None

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncGenerator[None]:
        """Let one caller at a time, on one loop, do what belongs to a key."""
        whose = self._stream(key) if self._lasting else f"{id(self)} {key}"
        place = (id(asyncio.get_running_loop()), whose)
        turn = self._turns.setdefault(place, _Turn())
        turn.callers += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.callers -= 1
            if not turn.callers:
                self._turns.pop(place, None)

    async def _recall(self, key: str) -> _Kept | None:
        if self._lasting:
            return self._read(await store().read(self._stream(key)))
        if self._answered_by is not self.inner:  # defined again: what the old one said is no answer of the new
            self._answered_by = self.inner
            self._answers.clear()
        if key not in self._answers:
            return None
        self._answers.move_to_end(key)
        return self._answers[key]

    def _read(self, kept: Sequence[Event]) -> _Kept | None:
        for place, event in enumerate(kept):
            if isinstance(event, Succeeded):
                writes = itertools.takewhile(lambda after: isinstance(after, Wrote), kept[place + 1 :])
                with suppress(ValidationError):  # of another shape: from before the step was changed
                    return _Kept(read_back(self.output, event.output), cast("tuple[Wrote, ...]", tuple(writes)))
        return None

    async def _keep(self, key: str, made: _Kept, ctx: Context) -> Any:
        if self._lasting:
            return await self._keep_for_good(key, made, ctx)
        self._answers[key] = made
        if len(self._answers) > self._MOST:
            self._answers.popitem(last=False)
        return made.answer

    async def _keep_for_good(self, key: str, made: _Kept, ctx: Context) -> Any:
        stream = self._stream(key)
        while True:
            kept = await store().read(stream)
            earlier = self._read(kept)
            if earlier is not None:
                return earlier.answer  # another process was first
            with suppress(StreamConflict):
                await store().append(stream, made.events(len(kept) + 1, ctx), len(kept))
                return made.answer

    def _stream(self, key: str) -> str:
        who = self.inner.key or self.name
        return f"answers/{sha256(f'{who} {key}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and what was written to the run's state on the way to it."""

    answer: Any
    writes: tuple[Write | Wrote, ...] = ()

    def events(self, seq: int, ctx: Context) -> list[Event]:
        """Return it as a store keeps it, from that place on."""
        now, run, span = time.time(), ctx.run, ctx.span
        written = [
            Wrote(
                seq=seq + number, at=now, run=run, span=span, parent=None,
                state=write.state, channel=write.channel, value=write.value, reducer=write.reducer,
            )
            for number, write in enumerate(self.writes, 1)
        ]  # fmt: skip
        return [Succeeded(seq=seq, at=now, run=run, span=span, parent=None, output=plain(self.answer)), *written]


class _Unwritten:
    """Stands for what must not be read."""


class _Turn:
    """Whose turn it is to work on a key."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.callers = 0


class WithValidation(Wrapped):
    """Mends single fields of an output."""

    def __init__(self, inner: Runnable[Any, Any], ladder: Mapping[str, str]) -> None:
        super().__init__(inner)
        self.ladder = checked_ladder(inner.output, ladder, inner.name)

    def limit(self) -> str:
        """Return which fields are mended."""
        return ", ".join(f"{field}: {rung}" for field, rung in self.ladder.items())

    async def _run(self, input: Any, ctx: Context) -> Any:
        refused: OutputValidationError | None = None
        try:
            value = await self.inner._run(input, ctx)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
        except OutputValidationError as error:
            if error.raw is None:
                raise
            value, refused = error.raw, error
        if refused is None and fits_now(self.output, value):
            return checked(self.output, value)
        mended, fields = mend(self.output, value, self.ladder)
        if fields:
            ctx.log.emit(Mended, ctx.span, ctx.parent, fields=fields)
            return mended
        if refused is not None:
            raise refused
        return promised(self.inner, value)  # raises, and says what is wrong


class WithAfter(Wrapped):
    """Does something more with the result, once there is one."""

    def __init__(self, inner: Runnable[Any, Any], after: Runnable[Any, Any] | Callable[[Any], Any]) -> None:
        super().__init__(inner)
        self.after: Runnable[Any, Any] | Callable[[Any], Any] = after
        if isinstance(after, Runnable):
            after = cast("Runnable[Any, Any]", after)
            if not may_take(after, inner.output):
                message = f"`{after.name}` takes {after.input_name}, and `{inner.name}` gives {inner.output_name}."
                raise RegistrationError(message, remedy="on_complete= takes the step's output.")
        elif not callable(after):
            message = f"on_complete={after!r} on `{inner.name}` cannot be called."
            raise DefinitionError(message, remedy="Give a function of the result, or a step.")

    async def _run(self, input: Any, ctx: Context) -> Any:
        result = await self._inside(input, ctx)
        after: Any = self.after
        if isinstance(after, Runnable):
            step = cast("Runnable[Any, Any]", after)
            await bracket(latest(step), result, ctx.child(step.name))
        elif iscoroutinefunction(after):
            await after(result)
        else:
            await in_thread(after, result)
        return result


class WithState(Wrapped):
    """Has channels that all parts share."""

    def __init__(self, inner: Runnable[Any, Any], state: type[State] | State) -> None:
        super().__init__(inner)
        self.state = begun_with(state)

    def limit(self) -> str:
        """Return what the state is called."""
        return f"state {type(self.state).__name__}"

    async def _run(self, input: Any, ctx: Context) -> Any:
        around, kind = ctx.state, type(self.state)
        name = kind.__name__
        if around is not None and kind.is_among(around.states):
            return await self._inside(input, ctx)
        base = self._begin(name, ctx)
        if around is None:
            ctx.state = Scope(ctx.span, (), Seen(None, base), {name: kind})
        else:
            ctx.state = around.opened(ctx.span, kind, base)
        try:
            result = await self._inside(input, ctx)
            ctx.state.keep(ctx.log, ctx.parent)
            return result
        finally:
            ctx.state.over = True
            ctx.state = around

    def _begin(self, name: str, ctx: Context) -> list[Write | Wrote]:
        """Return what each channel begins with: what the log says, where the run goes on."""
        recall = ctx.log.recall
        known = {} if recall is None else recall.writes.base((ctx.span, name))
        base: list[Write | Wrote] = list(known.values())
        for write in self.state.beginning():
            if write.channel not in known:
                ctx.log.emit(
                    Wrote, ctx.span, ctx.parent, state=name, channel=write.channel, value=write.value,
                    reducer=write.reducer, whole=True,
                )  # fmt: skip
                base.append(write)
        return base


class Flow(Composable[Any, Any]):
    """Nodes with a checked plan: what a pipeline, a process and a chain have in common."""

    composite = True
    _fail_fast = False
    _loose = False
    _title: str | None = None
    _max_parallel: int | None = None
    _ways: tuple[Plan, Mapping[str, Sequence[GraphEdge]]] | None = None
    """The ways into each node, with the plan they belong to."""

    def __init__(self, kind: str, nodes: Mapping[str, Node], plan: Plan, name: str | None = None) -> None:
        self.kind = kind
        self._name = given_name(name)
        self._nodes = dict(nodes)
        self._plan = plan
        uses(self, map(innermost, self.steps))
        self.input = plan.input
        self.output = plan.output

    @classmethod
    def together(
        cls,
        steps: Sequence[Runnable[Any, Any]],
        *,
        result: Any = None,
        name: str | None = None,
        loose: bool = False,
    ) -> Flow:
        """Run steps side by side on the same input; gives a tuple, or a `result` with fields by step name.

        What is `loose` becomes part of a larger one when another step is put beside it.
        """
        title = " & ".join(a_runnable(step).name for step in steps)
        entry = Entry(common_input(steps, title))
        apart = named(steps, title, apart=True)
        nodes = {name: Node(name=name, runnable=node.runnable, inputs=entry) for name, node in apart.items()}
        outputs = tuple(Output(name, node.runnable.output) for name, node in nodes.items())
        if result is None:
            gives = Together(outputs, type=tuple[tuple(output.type for output in outputs)])
        else:
            check_fields(result, {output.step: output.type for output in outputs}, title)
            gives = Together(outputs, names=tuple(nodes), type=result)
        flow = cls("parallel", nodes, planned(nodes, title=title, input=entry.type, result=gives), name)
        flow._loose, flow._title = loose, title if loose else None
        return flow

    def _described(self) -> str | None:
        return self._title

    def placed(self, place: Place) -> Self:
        """Return the flow, to be named by the line that made it."""
        self._place = place
        return self

    @property
    def name(self) -> str:
        """The name given, or the variable it was assigned to, or its steps' names, or its kind."""
        if self._name is None:
            self._name = (assigned_name(self._place) if self._place else None) or self._described()
            self._name = self._name or self.kind
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    def forecast(self, node: str, value: Any, history: History) -> list[Estimate]:
        """Return what its steps are expected to consume; one with a condition may not run at all."""
        estimates: list[Estimate] = []
        for name in self._plan.order:
            part, source = self._nodes[name], self._plan.inputs[name]
            given = source.value({}, value) if value is not UNKNOWN and not source.needs else UNKNOWN
            path = f"{node}/{name}" if node else name
            found = forecast_of(part.runnable, path, given, history)
            maybe = Range(0, 1 / 2, 1) if part.when is not None and not history.runs else ONCE
            estimates.extend(found if maybe is ONCE else scaled(found, maybe, "if its condition holds"))
        return estimates

    @property
    def steps(self) -> tuple[Runnable[Any, Any], ...]:
        """Its parts, each after what it waits for."""
        return tuple(self._nodes[name].runnable for name in self._plan.order)

    def check_with(self, new: Runnable[Any, Any]) -> None:
        """Find the plan anew with this in its namesake's place; raise `DefinitionError` if there is none."""
        nodes = {
            name: replace(node, runnable=new if innermost(node.runnable).key == new.key else latest(node.runnable))
            for name, node in self._nodes.items()
        }
        kinds = {name: node.runnable.output for name, node in nodes.items()}
        for name, node in nodes.items():
            if node.inputs is not None:
                nodes[name] = replace(node, inputs=renewed(node.inputs, kinds))
                check_inputs(nodes[name].inputs or node.inputs, node.runnable, name)
            if isinstance(node.when, Condition):
                node.when.check_fields(kinds)
        self._plan_anew(nodes, kinds)

    def _plan_anew(self, nodes: Mapping[str, Node], kinds: Mapping[str, Any]) -> None:
        known = self._plan
        self._plan = planned(nodes, title=self.name, input=known.input, result=renewed(known.result, kinds))
        self.output = self._plan.output

    @property
    def note(self) -> str:
        """The second line of its node."""
        count = len(self._nodes)
        return f"{count} step{'s' if count > 1 else ''}"

    async def _run(self, input: Any, ctx: Context) -> Any:
        return await run_plan(
            self._plan, self._nodes, input, ctx, fail_fast=self._fail_fast, max_parallel=self._max_parallel
        )

    # How it looks

    def graph(self) -> Graph:
        """Return its nodes, edges and, for parts that have parts of their own, the boxes around them."""
        graph = Graph(name=self.name, kind=self.kind, nodes=[], edges=[], groups=[])
        for name, ways in self._ways_in().items():
            draw(graph, self._nodes[name])
            graph["edges"].extend(way.copy() for way in ways)  # what is kept is nobody's to change
        graph["edges"].extend(ways_out(self._plan.result))
        return graph

    def _ways_in(self) -> Mapping[str, Sequence[GraphEdge]]:
        """Return the ways into each node, in order; only another plan can change them."""
        plan, kept = self._plan, self._ways
        if kept is None or kept[0] is not plan:
            kept = self._ways = plan, {name: ways_in(plan.inputs[name], self._nodes[name]) for name in plan.order}
        return kept[1]

    def card(self) -> FlowSnapshot:
        """Return what its card shows before it has run."""
        count = len(self._nodes)
        checks = f"{count} step{'s' if count > 1 else ''}, no cycle, every input has one producer"
        example = f"{self.name}.start({self.input_name}(…))" if self.input is not None else f"{self.name}.start(None)"
        head = FlowHead(
            name=self.name,
            kind=self.kind,
            input=self.input_name,
            output=self.output_name,
            example=example,
            checks=checks,
        )
        return FlowSnapshot(kind="flow", head=head, graph=self.graph())


class Chain(Flow):
    """Runnables one after the other, each on what the one before gave.

    A link is checked where it is joined, and the plan made when it is asked for: so a chain of a thousand
    links, made by a thousand `>>`, is not planned a thousand times.
    """

    kind = "chain"

    def __init__(self, links: Sequence[Runnable[Any, Any]], place: Place | None = None) -> None:
        *_, before, last = links
        if not may_take(last, before.output):
            message = f"`{last.name}` takes {last.input_name}, and gets {before.output_name}."
            title = f"{before.name} >> {last.name}"
            raise RegistrationError(message, where=title, remedy="Put a step in between that makes one of the other.")
        self.links = tuple(links)
        self._place = place
        uses(self, {step.key: step for step in map(innermost, links)}.values())

    @property
    def input(self) -> Any:
        """The type that its first link takes."""
        return latest(self.links[0]).input

    @property
    def output(self) -> Any:
        """The type that its last link gives."""
        return latest(self.links[-1]).output

    def _described(self) -> str | None:
        return " >> ".join(link.name for link in self.links)

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        source: Source = Entry(self.input)
        nodes: dict[str, Node] = {}
        for name, node in named(self.links, "a chain", apart=True).items():
            nodes[name] = replace(node, inputs=source)
            source = Output(name, latest(node.runnable).output)
        return nodes

    @cached_property
    def _plan(self) -> Plan:
        last = next(reversed(self._nodes))
        return planned(self._nodes, title=self.name, input=self.input, result=Output(last, self.output))

    def _plan_anew(self, nodes: Mapping[str, Node], kinds: Mapping[str, Any]) -> None:  # noqa: ARG002
        for made in ("_plan", "_nodes"):  # the order stays the one written, whatever the types
            vars(self).pop(made, None)


def forecast_of(runnable: Runnable[Any, Any], node: str, value: Any, history: History) -> list[Estimate]:
    """Return what a runnable is expected to consume as the node of that path."""
    runnable = latest(runnable)
    if isinstance(runnable, Composable):
        return runnable.forecast(node, value, history)
    return [seen_inside(node, runnable.kind, history)]


def innermost(runnable: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return what is inside all wrappers."""
    while isinstance(runnable, Wrapped):
        runnable = runnable.inner
    return runnable


def parts_inside(runnable: Runnable[Any, Any]) -> tuple[Runnable[Any, Any], ...]:
    """Return what a wrapper or a flow is made of."""
    if isinstance(runnable, Wrapped):
        return (runnable.inner,)
    return tuple(runnable._nodes[name].runnable for name in runnable._nodes) if isinstance(runnable, Flow) else ()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def _links(step: Runnable[Any, Any]) -> tuple[Runnable[Any, Any], ...]:
    """Return the links of a chain, or the step itself, so that `a >> b >> c` is one chain."""
    return step.links if isinstance(step, Chain) else (step,)


def _siblings(step: Runnable[Any, Any]) -> tuple[Runnable[Any, Any], ...]:
    return step.steps if isinstance(step, Flow) and step._loose else (step,)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
