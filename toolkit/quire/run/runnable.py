"""The contract: whatever can be run is a `Runnable`, and has the same verbs."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeVar

from quire.core.events import Event
from quire.core.schema import checked, fields_of, input_fields, type_name
from quire.run import bridge
from quire.run.bracket import bracket
from quire.run.context import Context, check_timeout
from quire.run.naming import Place, assigned_name
from quire.run.record import Record
from quire.run.resume import How, fork, resume, start
from quire.run.run import Run, check_session
from quire.views import drawing
from quire.views.shapes import AgentSnapshot, Facts, FlowHead, FlowSnapshot, Graph, GraphNode

__all__ = ["Runnable", "parts_of"]

I = TypeVar("I", contravariant=True)  # noqa: E741, PLC0105 - I and O are the words of the contract
O = TypeVar("O")  # noqa: E741


def parts_of(kind: Any) -> tuple[Any, ...]:
    """Return the types of a record's parts; any other type is its own only part, and `None` has none.

    Example:
        >>> parts_of(tuple[int, str])
        (<class 'int'>, <class 'str'>)
    """
    if kind is None:
        return ()
    arguments = typing.get_args(kind)
    is_record = typing.get_origin(kind) is tuple and len(arguments) > 1 and ... not in arguments
    return arguments if is_record else (kind,)


class Runnable(ABC, Generic[I, O]):
    """Anything that can be run: a step, an agent, a pipeline, a tool.

    Authors write one method, `_run`; callers get `start`, `execute`, `stream` and `execute_sync`.
    """

    kind: str = "runnable"
    """What it is, in one word."""
    composite: bool = False
    """Whether it has parts of its own in somebody's drawing."""
    input: Any
    """The type it takes."""
    output: Any
    """The type it gives."""
    key: str | None = None
    """What it is known by when it is defined again; `None` for what is defined inside a function."""
    successor: Runnable[Any, Any] | None = None
    """What was defined under its key after it."""
    _name: str | None = None
    _place: Place | None = None

    @property
    def name(self) -> str:
        """What people call it: the name given, or the variable it was assigned to, or its kind."""
        if self._name is None:
            self._name = (assigned_name(self._place) if self._place else None) or self.kind
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def anonymous(self) -> bool:
        """Whether it only has the name of its kind."""
        return self.name == self.kind

    @abstractmethod
    async def _run(self, input: I, ctx: Context) -> O:
        """Do the work; called inside the bracket with an input that was checked."""

    def start(
        self,
        input: I,
        *,
        session: str | None = None,
        timeout: float | None = None,
        tags: Mapping[str, str] | None = None,
        keys: Mapping[str, str] | None = None,
        key: str | None = None,
        attended: bool | None = None,
    ) -> Run[O]:
        """Begin at once and return the handle; await the handle for the result.

        `timeout` is in seconds; `tags` are kept with the run and shown in `quire.runs()`. `keys` are
        whoever's account pays, by provider: `keys={"openai": key}`. Every `LLM` asked inside the run uses
        them, before its own `api_key` and the environment's; they are never recorded or shown. `session` is
        the conversation that the run belongs to: the agents in it that have a memory go on with it. Without
        a running event loop (a script) the work is done on Quire's own background loop.

        `key="invoice-42"` says what the work is, so that it is done once: whoever starts it again, also in
        another process, gets the run that is going on, goes on with one that has broken off or failed, or gets
        the result of one that has ended well.

        `attended=True` says that whoever holds the handle answers what the run asks a person: it waits then, where
        it would otherwise fail with `Unanswered`; with `attended=False` it never waits. Without it, a run waits in
        a notebook before which somebody sits. A part of another run is attended as that is.

        Raises:
            DefinitionError: the time is none, or `keys` names nobody or has no key.
            SubmitError: with a `key`, the input is not what it takes, or not what its run was started with.
            StreamConflict: another process is at work on the run with this `key`.

        Example:
            >>> from quire import LLM, Agent
            >>> agent = Agent(LLM("offline"), "Answer briefly.")
            >>> run = agent.start("Hello", keys={"openai": "sk-..."}, tags={"tenant": "4"})
            >>> isinstance(run.wait(), str)
            True
            >>> once = agent.start("Hello", key="greeting-1")
            >>> once.wait() == agent.start("Hello", key="greeting-1").wait()
            True
        """
        # Whoever starts wants to watch: models are asked to write piece by piece, also before a view is open.
        how = How(session=session, timeout=timeout, tags=tags, keys=keys, attended=attended, streaming=True)
        return start(self, input, key=key, **how)

    def resume(
        self,
        run: str,
        *,
        timeout: float | None = None,
        keys: Mapping[str, str] | None = None,
        attended: bool | None = None,
    ) -> Run[O]:
        """Go on with a run of this that has broken off, failed or been stopped, and return the handle.

        `run` is its id; the process may be another, where the same objects have been defined again. What has
        ended well is not run again, and what models replied is not asked again. A step that was at work is run
        again, and so is one whose output JSON could not hold; a tool that was at work is asked with `verify`,
        or used again with its `idempotency_key`; with neither, a person is asked. What a person answered, also in
        the meantime with `quire.load(run).answer(...)`, is not asked again; `attended` is that of `start`. Keys are
        never recorded, so they are to be given again.

        Raises:
            QuireError: it is running here, it is one of something else, or its input cannot be read back.
            StoreError: there is no such run.
            StreamConflict: another process is at work on it.

        Awaiting the run raises `UnresolvedEffect` if a tool was at work, and may have done it or not, and nobody is
        there to say so.

        Example:
            >>> from quire import Step
            >>> @Step
            ... def double(n: int) -> int:
            ...     return 2 * n
            >>> run = double.start(4)
            >>> run.wait() == double.resume(run.id).wait()
            True
        """
        return resume(self, run, timeout=timeout, keys=keys, attended=attended)

    def fork(
        self,
        run: str | Record,
        *,
        at: int | None = None,
        edit: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        keys: Mapping[str, str] | None = None,
        attended: bool | None = None,
    ) -> Run[O]:
        """Start a run with what another run of this has done: `run.fork` for a run that is only kept.

        `run` is an id, or a record such as `quire.load` returns; `Run.fork` says what the others mean.

        Raises:
            DefinitionError: there is no such place or node, or the node has no output to edit.
            StoreError: there is no such run.
        """
        return fork(self, run, at=at, edit=edit, timeout=timeout, keys=keys, attended=attended)

    async def execute(
        self,
        input: I,
        *,
        session: str | None = None,
        timeout: float | None = None,
        tags: Mapping[str, str] | None = None,
        keys: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> O:
        """Run to the end and return the result; inside a step or a tool, as a part of that run.

        With a `key` it is a run of its own, as for `start`.

        Raises:
            InputValidationError: the input is not what it takes.
            DeadlineExceeded: it took longer than `timeout` seconds.
        """
        check_timeout(timeout)
        check_session(session)
        outer = bridge.living_context()
        if outer is not None and key is None:
            place = outer.child(self.name, timeout, keys=outer.keys.with_(keys), session=session)
            return await bracket(self, input, place)
        return await start(self, input, key=key, session=session, timeout=timeout, tags=tags, keys=keys)

    async def stream(
        self,
        input: I,
        *,
        session: str | None = None,
        timeout: float | None = None,
        tags: Mapping[str, str] | None = None,
        keys: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> AsyncIterator[Event]:
        """Yield the run's events as they happen, replies piece by piece; raise its error at the end.

        Leaving the loop early cancels the run.

        Example:
            >>> import asyncio
            >>> from quire import LLM, Agent
            >>> agent = Agent(LLM("offline"), "Answer briefly.")
            >>> async def main() -> str:
            ...     return "".join([event.text async for event in agent.stream("Hello") if event.kind == "delta"])
            >>> len(asyncio.run(main())) > 0
            True
        """
        how = How(session=session, timeout=timeout, tags=tags, keys=keys, streaming=True)
        run = start(self, input, key=key, **how)
        try:
            async with aclosing(run.follow()) as events:
                async for event in events:
                    yield event
            await run
        finally:
            if not run.finished:
                await run.cancel("nobody reads its events any more")

    def execute_sync(
        self,
        input: I,
        *,
        session: str | None = None,
        timeout: float | None = None,
        tags: Mapping[str, str] | None = None,
        keys: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> O:
        """Run to the end and return the result, without `await`: in scripts, cells, tests and threads."""
        if bridge.in_worker():
            # A part of the run that waits for this thread, so that it ends with it.
            return start(self, input, key=key, session=session, timeout=timeout, tags=tags, keys=keys).wait()
        return bridge.wait_for(
            lambda: self.execute(input, session=session, timeout=timeout, tags=tags, keys=keys, key=key)
        )

    def accept(self, value: Any) -> Any:
        """Return the value as the input type; raise pydantic's `ValidationError` if it cannot be."""
        return checked(self.input, value)

    @property
    def input_name(self) -> str:
        """The input type as a reader writes it: `(Outline, Notes)` if it takes several things."""
        kinds = self.takes()
        return f"({', '.join(map(type_name, kinds))})" if len(kinds) > 1 else type_name(self.input)

    @property
    def output_name(self) -> str:
        """The output type as a reader writes it."""
        return type_name(self.output)

    def graph(self) -> Graph:
        """Return its drawing as data: itself between its input and its output, unless it has parts."""
        return Graph(
            name=self.name,
            kind=self.kind,
            nodes=[self.as_node()],
            edges=[
                {"source": None, "target": self.name, "label": self.input_name},
                {"source": self.name, "target": None, "label": self.output_name},
            ],
        )

    def as_node(self, name: str | None = None) -> GraphNode:
        """Return itself as one node of somebody's drawing, where it may have another name."""
        name = name or self.name
        return {
            "id": name,
            "title": name,
            "kind": self.kind,
            "note": self.note,
            "input": self.input_name,
            "output": self.output_name,
            "facts": self.facts(),
        }

    @property
    def note(self) -> str:
        """The second line of its node, before it has run."""
        return self.kind

    def facts(self) -> Facts:
        """Return what an inspector says about it."""
        return {
            "in": [{"type": type_name(kind), "fields": fields_of(kind)} for kind in self.takes()],
            "out": {"type": self.output_name, "fields": fields_of(self.output)},
        }

    def card(self) -> FlowSnapshot | AgentSnapshot:
        """Return what its card shows before it has run."""
        head = FlowHead(
            name=self.name,
            kind=self.kind,
            input=self.input_name,
            output=self.output_name,
            example=f"{self.name}.start({self.input_name}(…))",
            checks="",
        )
        return FlowSnapshot(kind="flow", head=head, graph=self.graph())

    def fields(self) -> dict[str, tuple[Any, bool]]:
        """Return what its input can be put together from: per name the type, and whether it is needed."""
        return input_fields(self.input)

    def takes_anything(self, kind: Any) -> bool:  # noqa: ARG002 - for those who do
        """Whether it also takes a value of that type, though its input is of another."""
        return False

    def visualize(self, format: Literal["svg", "dot", "mermaid", "json", "ascii"] = "ascii") -> str:
        """Return its drawing before a run, as text in that format.

        Raises:
            DefinitionError: there is no such format.
        """
        return drawing.drawn(self.graph(), format)

    def takes(self) -> tuple[Any, ...]:
        """Return the types it needs, one a source: the parts of a tuple come from different ones."""
        return parts_of(self.input)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}: {self.input_name} -> {self.output_name}>"

    def __str__(self) -> str:
        return drawing.graph_text(self.graph())
