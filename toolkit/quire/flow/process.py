"""A process: work described by its parts and their data, with conditions, recoveries and limits.

    p = Process(input=Ticket)
    kind = p.add(triage)
    fix = p.add(repair, inputs={"ticket": p.given, "kind": kind.label}, when="triage.label == 'bug'")

Where `inputs` is left out, the edges follow from the types, as in a pipeline. Everything that can be
known when a line is written is checked there; the rest before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal

from quire.core.errors import DefinitionError, DuplicateName, NoRoute, PipelineError, RegistrationError
from quire.core.schema import fields_of, type_name
from quire.flow.compose import Composable, Flow, WithAfter, Wrapped, innermost
from quire.flow.condition import Condition
from quire.flow.plan import Node, Plan, planned
from quire.flow.shapes import Each, Loop, Race
from quire.flow.step import Step
from quire.flow.wiring import Entry, FirstOf, Fixed, Output, Ref, Source, Together, fits, source_of
from quire.run.context import Context
from quire.run.definitions import uses
from quire.run.naming import calling_place
from quire.run.retry import Retry
from quire.run.runnable import Runnable

__all__ = ["Process"]


class Process(Flow):
    """Steps with references, conditions and limits; a runnable, so it nests.

    `input` and `output` need saying only where the types leave them open; `max_parallel` bounds how many
    steps work at one time.

    Example:
        >>> from quire import Process, Step
        >>> @Step
        ... def measure(text: str) -> int:
        ...     return len(text)
        >>> @Step
        ... def praise(length: int) -> str:
        ...     return f"{length} letters, well done"
        >>> p = Process(input=str)
        >>> length = p.add(measure, inputs=p.given)
        >>> text = p.add(praise, inputs=length, when="measure > 3")
        >>> p.execute_sync("quire")
        '5 letters, well done'
    """

    def __init__(
        self, *, input: Any = None, output: Any = None, name: str | None = None, max_parallel: int | None = None
    ) -> None:
        if max_parallel is not None and max_parallel < 1:
            message = f"max_parallel={max_parallel!r} lets nothing run."
            raise DefinitionError(message, remedy="Give 1 or more, or leave it out.")
        self.kind = "process"
        self._name, self._place = name, calling_place(1)
        self._nodes: dict[str, Node] = {}
        self._given_input, self._given_output = input, output
        self._result: Source | None = None
        self._made: Plan | None = None
        self._max_parallel = max_parallel

    @property
    def _plan(self) -> Plan:
        if self._made is None:
            if not self._nodes:
                message = f"`{self.name}` has no steps."
                raise PipelineError(message, remedy="process.add(step)")
            title = f"Process({', '.join(self._nodes)})"
            self._made = planned(
                self._nodes, title=title, input=self._given_input, output=self._given_output, result=self._result
            )
        return self._made

    @property
    def input(self) -> Any:
        """The type it takes."""
        return self._given_input if self._given_input is not None else self._plan.input

    @property
    def output(self) -> Any:
        """The type it gives."""
        return self._given_output if self._given_output is not None else self._plan.output

    @property
    def given(self) -> Ref:
        """The process's own input, as a reference: `p.given`, `p.given.text`."""
        if self._given_input is None:
            message = "A process whose input type is not known has no fields to refer to."
            raise RegistrationError(message, remedy="Process(input=Ticket)")
        return Ref(Entry(self._given_input))

    def add(
        self,
        step: Runnable[Any, Any] | Callable[..., Any],
        *,
        name: str | None = None,
        inputs: Ref | Sequence[Ref] | Mapping[str, Any] | None = None,
        when: str | Callable[[Mapping[str, Any]], Any] | None = None,
        on_failure: Runnable[Any, Any] | None = None,
        on_complete: Runnable[Any, Any] | Callable[[Any], Any] | None = None,
        retry: Retry | int | None = None,
        timeout: float | None = None,
        validation: Mapping[str, str] | None = None,
        idempotent: Callable[[Any], Any] | bool | None = None,
    ) -> Ref:
        """Add a step and return a reference to what it will give.

        `inputs` is a reference, one for each thing the step takes, or a mapping of its input's fields to
        references and constants. `when` is an expression over earlier steps or a function of their results
        by name; if it is false the step is skipped. `on_failure` gets the step's input and gives the result
        instead; `on_complete` is called with the result. `timeout` is in seconds and holds for all tries
        together. `validation` says per output field what to do if it does not fit. `idempotent` keeps the
        result under the input, or under what the function makes of it, and gives it again without work.

        Raises:
            RegistrationError: a reference, a type, a condition or a limit cannot work.
            DuplicateName: another step has the name.
        """
        runnable = step if isinstance(step, Runnable) else Step(step)
        title = self._free_name(name or runnable.name, numbered=name is None and runnable.anonymous)
        source = None if inputs is None else _wired(inputs, runnable, title)
        condition = None if when is None else Condition(when, title, frozenset(self._nodes))
        wrapped = _wrapped(runnable, on_failure, on_complete, retry, timeout, validation, idempotent)
        uses(self, [innermost(wrapped)])
        self._nodes[title] = Node(name=title, runnable=wrapped, inputs=source, when=condition)
        self._made = None
        return Ref(Output(title, wrapped.output))

    def returns(self, *refs: Ref) -> Process:
        """Say what the process gives: a reference, or the first of several whose step has run."""
        sources = tuple(source_of(ref) for ref in refs)
        if not sources:
            message = "returns() needs a reference."
            raise RegistrationError(message, remedy="process.returns(step)")
        self._result = sources[0] if len(sources) == 1 else FirstOf(sources)
        self._made = None
        return self

    def _free_name(self, wish: str, *, numbered: bool) -> str:
        if wish not in self._nodes:
            return wish
        if not numbered:
            message = f"There already is a step called `{wish}`."
            raise DuplicateName(message, where=self.name, remedy='Give this one another: add(step, name="...")')
        count = 2
        while f"{wish}_{count}" in self._nodes:
            count += 1
        return f"{wish}_{count}"

    # The shapes, each a runnable of its own

    @staticmethod
    def branch(
        decider: Runnable[Any, Any],
        routes: Mapping[Any, Runnable[Any, Any]],
        default: Runnable[Any, Any] | None = None,
        on: str | Callable[[Any], Any] | None = None,
        *,
        name: str | None = None,
    ) -> Flow:
        """Let the decider choose one of the routes; each gets the input the decider got.

        The answer (its field `on`, or what the function `on` makes of it) is compared with the keys of
        `routes` without regard to case, space and punctuation. A route finds it in
        `current_context().decision`. The routes not taken are skipped.

        Raises:
            RegistrationError: there is no route, or the answer has several fields and `on` does not choose.
            NoRoute: at run time, when the answer matches none and there is no `default`.
        """
        flow = _branch(decider, routes, default, on, name)
        flow._place = calling_place(1)  # noqa: SLF001 - made here, named by the caller's line
        return flow

    @staticmethod
    def parallel(*steps: Runnable[Any, Any], result: Any = None, name: str | None = None) -> Flow:
        """Run steps side by side on one input; gives a tuple, or a `result` with fields by step name."""
        if not steps:
            message = "Process.parallel() has nothing to run."
            raise PipelineError(message, remedy="Process.parallel(first, second)")
        flow = Flow.together(steps, result=result, name=name)
        flow._place = calling_place(1)  # noqa: SLF001
        return flow

    @staticmethod
    def race(*steps: Runnable[Any, Any], cancel_losers: bool = True, name: str | None = None) -> Race:
        """Run steps against each other; the first success is the result, and the others are cancelled.

        Raises:
            AllFailed: at run time, when none succeeds; it carries each error.
        """
        race = Race(steps, cancel_losers=cancel_losers, name=name)
        race._place = calling_place(1)  # noqa: SLF001
        return race

    @staticmethod
    def for_each(
        step: Runnable[Any, Any],
        over: str | None = None,
        *,
        max_parallel: int | None = None,
        on_error: Literal["fail", "collect"] = "fail",
        input: Any = None,
        name: str | None = None,
    ) -> Each:
        """Run a step for each item of the input, or of its field `over`; gives a list in the same order.

        `max_parallel` bounds how many are in work; `on_error="collect"` leaves an item's error in its place.
        """
        return Each(step, over=over, max_parallel=max_parallel, on_error=on_error, input=input, name=name)

    @staticmethod
    def loop(
        body: Runnable[Any, Any],
        until: str | Callable[[Any], Any],
        max_iterations: int = 5,
        on_max: Literal["accept_last", "fail"] = "accept_last",
        *,
        name: str | None = None,
    ) -> Loop:
        """Run the body on its own output until it is good enough.

        `until` is a function of the output, or an expression over its fields such as `"score >= 0.8"`.
        """
        loop = Loop(body, until, max_iterations=max_iterations, on_max=on_max, name=name)
        loop._place = calling_place(1)  # noqa: SLF001
        return loop


def _wrapped(
    runnable: Runnable[Any, Any],
    on_failure: Runnable[Any, Any] | None,
    on_complete: Runnable[Any, Any] | Callable[[Any], Any] | None,
    retry: Retry | int | None,
    timeout: float | None,
    validation: Mapping[str, str] | None,
    idempotent: Callable[[Any], Any] | bool | None,
) -> Runnable[Any, Any]:
    """Put what was asked for around a step, the innermost first."""
    step = runnable if isinstance(runnable, Composable) else Wrapped(runnable)
    if validation:
        step = step.with_validation(validation)
    if retry is not None:
        step = step.with_retry(retry)
    if timeout is not None:
        step = step.with_timeout(timeout)
    if on_failure is not None:
        step = step.with_fallback(on_failure)
    if idempotent:
        step = step.with_cache(idempotent if callable(idempotent) else None, lasting=True)
    return step if on_complete is None else WithAfter(step, on_complete)


# Wiring, checked where it is written


def _wired(inputs: Ref | Sequence[Ref] | Mapping[str, Any], step: Runnable[Any, Any], name: str) -> Source:
    if isinstance(inputs, Ref):
        return _fitting(source_of(inputs), step.input, f"`{name}`", repr(inputs), step)
    if isinstance(inputs, Mapping):
        return _by_field(inputs, step, name)
    kinds = step.takes()
    if len(inputs) != len(kinds):
        message = f"`{name}` takes {len(kinds)} things, and {len(inputs)} references are given."
        raise RegistrationError(message, remedy=f"One for each of {', '.join(map(type_name, kinds))}.")
    pairs = zip(inputs, kinds, strict=True)
    return Together(tuple(_fitting(source_of(ref), kind, f"`{name}`", repr(ref), step) for ref, kind in pairs))


def _by_field(inputs: Mapping[str, Any], step: Runnable[Any, Any], name: str) -> Source:
    fields = step.fields()
    strangers = [field for field in inputs if field not in fields]
    if strangers:
        message = f"`{name}` has no input called {', '.join(map(repr, strangers))}."
        raise RegistrationError(message, remedy=f"It takes {', '.join(fields) or 'nothing by name'}.")
    absent = [field for field, (_, required) in fields.items() if required and field not in inputs]
    if absent:
        message = f"`{name}` also needs {', '.join(map(repr, absent))}."
        raise RegistrationError(message, remedy="Give each a reference or a constant.")
    sources: list[Source] = []
    for field, value in inputs.items():
        kind, _ = fields[field]
        source = source_of(value) if isinstance(value, Ref) else Fixed(value)
        sources.append(_fitting(source, kind, f"`{name}`.{field}", repr(value), step))
    return Together(tuple(sources), names=tuple(inputs))


def _fitting(source: Source, wanted: Any, where: str, written: str, step: Runnable[Any, Any]) -> Source:
    open_ended = source.type is Any or wanted is Any or isinstance(source, Fixed)
    if open_ended or fits(source.type, wanted) or step.takes_anything(source.type):
        return source
    message = f"{where} takes {type_name(wanted)}, and {written} gives {type_name(source.type)}."
    raise RegistrationError(message, remedy="Refer to a field that fits, or put a step in between.")


# Ways that part


class _Route:
    """The condition of one route: the answer is its key."""

    def __init__(self, decider: str, key: str | None, keys: frozenset[str], answer: Callable[[Any], Any]) -> None:
        self.names = frozenset((decider,))
        self.text = "otherwise" if key is None else key
        self._decider, self._key, self._keys, self._answer = decider, key, keys, answer

    def holds(self, results: Mapping[str, Any]) -> bool:
        """Whether this is the way."""
        said = _normal(self._answer(results[self._decider]))
        return said not in self._keys if self._key is None else said == _normal(self._key)

    def refusal(self, results: Mapping[str, Any]) -> str:
        """Return what was said instead."""
        return f"{self._decider} said {_words(self._answer(results[self._decider]))}"


class _Decider(Wrapped):
    """A decider whose answer has to lead somewhere."""

    def __init__(
        self, inner: Runnable[Any, Any], keys: Sequence[Any], answer: Callable[[Any], Any], *, strict: bool
    ) -> None:
        super().__init__(inner)
        self._keys, self._answer, self._strict = keys, answer, strict

    async def _run(self, input: Any, ctx: Context) -> Any:
        output = await self._inside(input, ctx)
        said = self._answer(output)
        if self._strict and _normal(said) not in map(_normal, self._keys):
            message = f"`{self.name}` said {_words(said)!r}, and no route is called that."
            routes = ", ".join(map(_words, self._keys))
            raise NoRoute(message, remedy=f"The routes: {routes}. Add one, or a default=.")
        return output


def _branch(
    decider: Runnable[Any, Any],
    routes: Mapping[Any, Runnable[Any, Any]],
    default: Runnable[Any, Any] | None,
    on: str | Callable[[Any], Any] | None,
    name: str | None,
) -> Flow:
    if not routes:
        message = "A branch needs at least one route."
        raise RegistrationError(message, remedy='Process.branch(decider, routes={"low": short_reply})')
    answer = _answer_of(decider, on)
    keys = frozenset(map(_normal, routes))
    entry = Entry(decider.input)
    chosen = _Decider(decider, list(routes), answer, strict=default is None)
    nodes = {decider.name: Node(name=decider.name, runnable=chosen, inputs=entry)}
    ways = [*routes.items(), *([(None, default)] if default is not None else [])]
    for key, step in ways:
        word = "otherwise" if key is None else _words(key)
        title = step.name if not step.anonymous and step.name not in nodes else word
        condition = _Route(decider.name, None if key is None else word, keys, answer)
        decision = Output(decider.name, decider.output)
        nodes[title] = Node(name=title, runnable=step, inputs=entry, when=condition, decision=decision, route=word)
    ends = tuple(Output(title, node.runnable.output) for title, node in nodes.items() if title != decider.name)
    result = FirstOf(ends) if len(ends) > 1 else ends[0]
    title = f"branch on {decider.name}"
    return Flow("branch", nodes, planned(nodes, title=title, input=decider.input, result=result), name)


def _answer_of(decider: Runnable[Any, Any], on: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    fields = [field for field, _ in fields_of(decider.output)]
    if on is None:
        if fields:
            message = f"`{decider.name}` answers with {type_name(decider.output)}: which field decides?"
            raise RegistrationError(message, remedy=f'Say so: on="{fields[0]}"')
        return lambda output: output
    if callable(on):
        return on
    if fields and on not in fields:
        message = f"`{decider.name}` answers with {type_name(decider.output)}, which has no field {on!r}."
        raise RegistrationError(message, remedy=f"Its fields: {', '.join(fields)}.")
    return lambda output: output[on] if isinstance(output, Mapping) else getattr(output, on)


def _words(answer: Any) -> str:
    return str(answer.value if isinstance(answer, Enum) else answer)


def _normal(answer: Any) -> str:
    """Return an answer without what people and models vary: case, space and punctuation."""
    return re.sub(r"[\W_]+", "", _words(answer)).casefold()
