"""A process: work described by its parts and their data, with conditions, recoveries and limits.

    p = Process(input=Ticket)
    kind = p.add(triage)
    fix = p.add(repair, inputs={"ticket": p.given, "kind": kind.label}, when="triage.label == 'bug'")

Where `inputs` is left out, the edges follow from the types, as in a pipeline. Everything that can be
known when a line is written is checked there; the rest before anything runs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from inspect import isfunction, ismethod
from typing import Any, Literal

from pydantic import ValidationError

from quire.core.errors import DefinitionError, DuplicateName, NoRoute, PipelineError, RegistrationError
from quire.core.schema import adapter, checked, complaint, fields_of, type_name
from quire.flow.compose import (
    Flow,
    WithAfter,
    WithCache,
    WithFallback,
    WithRetry,
    WithTimeout,
    WithValidation,
    Wrapped,
    innermost,
    parts_inside,
)
from quire.flow.condition import Condition, checked_function
from quire.flow.fitting import a_runnable, common_input
from quire.flow.plan import Node, Plan, planned
from quire.flow.shapes import Each, Loop, Race, checked_bound
from quire.flow.step import Step
from quire.flow.wiring import (
    Entry,
    FirstOf,
    Fixed,
    Output,
    Ref,
    Source,
    Together,
    agrees,
    entries_in,
    field_of,
    field_type,
    renewed,
    source_of,
)
from quire.run.context import Context
from quire.run.definitions import uses
from quire.run.naming import calling_place, given_name
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
        self.kind = "process"
        self._name, self._place = given_name(name), calling_place(1)
        self._nodes: dict[str, Node] = {}
        self._given_input, self._given_output = a_type("input", input), a_type("output", output)
        self._result: Source | None = None
        self._made: Plan | None = None
        self._max_parallel = checked_bound(max_parallel)

    @property
    def _plan(self) -> Plan:
        if self._made is None:
            if not self._nodes:
                message = f"`{self.name}` has no steps."
                raise PipelineError(message, remedy="process.add(step)")
            self._made = self._planned(self._nodes, self._result)
        return self._made

    def _planned(self, nodes: Mapping[str, Node], result: Source | None) -> Plan:
        title = f"Process({', '.join(nodes)})"
        return planned(nodes, title=title, input=self._given_input, output=self._given_output, result=result)

    @property
    def input(self) -> Any:
        """The type it takes."""
        return self._given_input if self._given_input is not None else self._plan.input

    @property
    def output(self) -> Any:
        """The type it gives."""
        return self._given_output if self._given_output is not None else self._plan.output

    def __repr__(self) -> str:
        try:
            return super().__repr__()
        except DefinitionError as error:  # half of it is still to be added
            return f"<process {self.name}: {error.what}>"

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
        runnable: Runnable[Any, Any] = a_runnable(Step(step) if isfunction(step) or ismethod(step) else step)
        self._refuse_itself(runnable)
        title = self._free_name(runnable.name if name is None else name, numbered=name is None and runnable.anonymous)
        source = None if inputs is None else self._own(_wired(inputs, runnable, title))
        earlier = {known: node.runnable.output for known, node in self._nodes.items()} if when is not None else {}
        condition = None if when is None else Condition(when, title, earlier)
        wrapped = _wrapped(
            runnable,
            on_failure=on_failure,
            on_complete=on_complete,
            retry=retry,
            timeout=timeout,
            validation=validation,
            idempotent=idempotent,
        )
        uses(self, [innermost(wrapped)])
        self._nodes[title] = Node(name=title, runnable=wrapped, inputs=source, when=condition)
        self._made = None
        return Ref(Output(title, wrapped.output))

    def _plan_anew(self, nodes: Mapping[str, Node], kinds: Mapping[str, Any]) -> None:
        if self._made is not None:  # else it is not whole yet, and planned with what is there by then
            result = None if self._result is None else renewed(self._result, kinds)
            self._made = self._planned(nodes, result)

    def returns(self, *refs: Ref) -> Process:
        """Say what the process gives: a reference, or the first of several whose step has run."""
        if not refs or not all(isinstance(ref, Ref) for ref in refs):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"returns({', '.join(map(repr, refs))}) needs references, which add() returns."
            raise RegistrationError(message, remedy="process.returns(step)")
        sources = tuple(self._own(source_of(ref)) for ref in refs)
        result = sources[0] if len(sources) == 1 else FirstOf(sources)
        if self._given_output is not None and not agrees(result.type, self._given_output):
            message = f"{' | '.join(map(repr, refs))} gives {type_name(result.type)}"
            message += f", and the process promises {type_name(self._given_output)}."
            raise RegistrationError(message, remedy="Return another step, or change output=.")
        self._result = result
        self._made = None
        return self

    def _own(self, source: Source) -> Source:
        """Return a source that reads nothing but this process; raise `RegistrationError` for any other."""
        strangers = [name for name in sorted(source.needs) if name not in self._nodes]
        if strangers:
            message = f"{', '.join(map(repr, strangers))} is no step of this process."
            known = ", ".join(self._nodes) or "none yet"
            raise RegistrationError(message, where=self.name, remedy=f"Its steps: {known}.")
        for entry in entries_in(source):
            if entry.type != self._given_input:
                message = f"That is the input of another process, {type_name(entry.type)}."
                raise RegistrationError(message, where=self.name, remedy="Use this one's own .given.")
        return source

    def _refuse_itself(self, step: Runnable[Any, Any]) -> None:
        inside = [step]
        for part in inside:
            if part is self:
                message = f"`{self.name}` would be a part of itself."
                raise RegistrationError(message, remedy="For repetition there is Process.loop.")
            inside.extend(parts_inside(part))

    def _free_name(self, wish: str, *, numbered: bool) -> str:
        if not wish or "/" in wish:
            message = f"A step cannot be called {wish!r}."
            raise RegistrationError(message, remedy="Any words without a slash, which stands between names.")
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

        `max_parallel` bounds how many are in work. `on_error="collect"` leaves an item's error in its place; only
        `quire.errors.Stop`, such as that nobody is there to answer a question, still ends the run.
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


def a_type(what: str, kind: Any) -> Any:
    """Return a type that values can be checked against, or `None`; raise `DefinitionError` for anything else."""
    try:
        adapter(kind)
    except Exception as error:
        message = f"Process({what}={kind!r}) is no type."
        raise DefinitionError(message, remedy=f"Give a class or an annotation: {what}=Ticket") from error
    return kind


def _wrapped(
    runnable: Runnable[Any, Any],
    *,
    on_failure: Runnable[Any, Any] | None,
    on_complete: Runnable[Any, Any] | Callable[[Any], Any] | None,
    retry: Retry | int | None,
    timeout: float | None,
    validation: Mapping[str, str] | None,
    idempotent: Callable[[Any], Any] | bool | None,
) -> Runnable[Any, Any]:
    """Put what was asked for around a step, the innermost first."""
    step: Runnable[Any, Any] = runnable
    if validation:
        step = WithValidation(step, validation)
    if retry is not None:
        step = WithRetry(step, retry)
    if idempotent:
        # Inside the fallback: what stands in for the result is not remembered as the result.
        step = WithCache(step, idempotent if callable(idempotent) else None, lasting=True)
    if timeout is not None:
        step = WithTimeout(step, timeout)
    if on_failure is not None:
        step = WithFallback(step, on_failure)
    return step if on_complete is None else WithAfter(step, on_complete)


# Wiring, checked where it is written


def _wired(inputs: Ref | Sequence[Ref] | Mapping[str, Any], step: Runnable[Any, Any], name: str) -> Source:
    if isinstance(inputs, Ref):
        if isinstance(step, Each):
            step.check_source(source_of(inputs).type)
        return _fitting(source_of(inputs), step.input, f"`{name}`", repr(inputs), step)
    if isinstance(inputs, Mapping):
        return _by_field(inputs, step, name)
    if isinstance(inputs, str) or not isinstance(inputs, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"inputs={inputs!r} of `{name}` is no reference."
        raise RegistrationError(message, remedy='A reference, one for each input, or {"field": reference or constant}.')
    kinds = step.takes()
    if len(inputs) != len(kinds):
        message = f"`{name}` takes {len(kinds)} things, and {len(inputs)} references are given."
        raise RegistrationError(message, remedy=f"One for each of {', '.join(map(type_name, kinds))}.")
    pairs = [(_source(value), kind, repr(value)) for value, kind in zip(inputs, kinds, strict=True)]
    return Together(tuple(_fitting(source, kind, f"`{name}`", written, step) for source, kind, written in pairs))


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
        sources.append(_fitting(_source(value), kind, f"`{name}`.{field}", repr(value), None))
    return Together(tuple(sources), names=tuple(inputs))


def _source(value: Any) -> Source:
    return source_of(value) if isinstance(value, Ref) else Fixed(value)


def _fitting(source: Source, wanted: Any, where: str, written: str, step: Runnable[Any, Any] | None) -> Source:
    if isinstance(source, Fixed):
        return _fitting_constant(source, wanted, where)
    if agrees(source.type, wanted) or (step is not None and step.takes_anything(source.type)):
        return source
    message = f"{where} takes {type_name(wanted)}, and {written} gives {type_name(source.type)}."
    raise RegistrationError(message, remedy="Refer to a field that fits, or put a step in between.")


def _fitting_constant(source: Fixed, wanted: Any, where: str) -> Source:
    try:
        return Fixed(checked(wanted, source.constant))
    except ValidationError as error:
        message = f"{where} takes {type_name(wanted)}, not {source.constant!r}."
        raise RegistrationError(message, remedy=complaint(error)) from None


# Ways that part


class _Route:
    """The condition of one route: the answer is its key."""

    def __init__(self, decider: str, key: str | None, keys: frozenset[str], answer: Callable[[Any], Any]) -> None:
        self.names = self.needs = frozenset((decider,))
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
    flow_name: str | None,
) -> Flow:
    if not routes:
        message = "A branch needs at least one route."
        raise RegistrationError(message, remedy='Process.branch(decider, routes={"low": short_reply})')
    answer = _answer_of(a_runnable(decider), on)
    title = f"branch on {decider.name}"
    steps = [*routes.values(), *([] if default is None else [default])]
    entry = Entry(common_input([decider, *steps], title))
    keys = _apart(routes, title)
    chosen = _Decider(decider, list(routes), answer, strict=default is None)
    nodes = {decider.name: Node(name=decider.name, runnable=chosen, inputs=entry)}
    decision = Output(decider.name, decider.output)
    for key, step in zip([*map(_words, routes), None], steps, strict=False):
        word = "otherwise" if key is None else key
        condition = _Route(decider.name, key, keys, answer)
        name = _free(step.name if not step.anonymous and step.name not in nodes else word, nodes)
        nodes[name] = Node(name=name, runnable=step, inputs=entry, when=condition, decision=decision, route=word)
    ends = [Output(title, node.runnable.output) for title, node in nodes.items() if title != decider.name]
    result: Source = FirstOf(tuple(ends)) if len(ends) > 1 else ends[0]
    return Flow("branch", nodes, planned(nodes, title=title, input=entry.type, result=result), flow_name)


def _apart(routes: Mapping[Any, Runnable[Any, Any]], title: str) -> frozenset[str]:
    """Return the routes' words as they are compared; raise `RegistrationError` if two are the same then."""
    seen: dict[str, Any] = {}
    for key in routes:
        if _normal(key) in seen:
            message = f"The routes {seen[_normal(key)]!r} and {key!r} differ only in case, space or punctuation."
            raise RegistrationError(message, where=title, remedy="Call one of them otherwise.")
        seen[_normal(key)] = key
    return frozenset(seen)


def _free(wish: str, taken: Mapping[str, Any]) -> str:
    wish = wish.replace("/", " ")
    numbered = (f"{wish}_{count}" for count in itertools.count(2))
    return wish if wish not in taken else next(name for name in numbered if name not in taken)


def _answer_of(decider: Runnable[Any, Any], on: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if on is None:
        for field, _ in fields_of(decider.output):
            message = f"`{decider.name}` answers with {type_name(decider.output)}: which field decides?"
            raise RegistrationError(message, remedy=f'Say so: on="{field}"')
        return lambda output: output
    if not isinstance(on, str):
        return checked_function(on, f"on= of a branch on `{decider.name}`")
    field_type(decider.output, on, f"`{decider.name}`")
    return lambda output: field_of(output, on)


def _words(answer: Any) -> str:
    return str(answer.value if isinstance(answer, Enum) else answer)


def _normal(answer: Any) -> str:
    """Return an answer without what people and models vary: case, space and punctuation.

    Numbers keep their sign and point, and what is nothing but punctuation stays as it is.
    """
    words = _words(answer).strip()
    number = _NUMBER.fullmatch(words)
    return number.group(1) if number else re.sub(r"[\W_]+", "", words).casefold() or words


_NUMBER = re.compile(r"\W*?([-+]?\d+(?:\.\d+)?)\W*")
