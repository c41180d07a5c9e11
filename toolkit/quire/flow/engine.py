"""Runs a plan: each node as soon as what it waits for has ended, as parallel as the data allows.

A node that makes exactly one other ready goes on with it in the same task, so a chain costs one task
and not one a link. Whatever happens, every node ends in a state that says why, and no task is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import CoroutineType
from typing import Any

from quire.core.errors import CompletionError, ConditionError, DispatchError, StateConflict
from quire.flow.merging import PlannedSides
from quire.flow.plan import Node, Plan
from quire.flow.wiring import missing
from quire.run.bracket import bracket, never_began, skip
from quire.run.context import Context, why
from quire.run.definitions import latest

__all__ = ["ended", "run_plan"]

_TURN = 100
"""Links after which a chain of steps that never wait lets others have the loop."""


async def run_plan(
    plan: Plan,
    nodes: Mapping[str, Node],
    value: Any,
    context: Context,
    *,
    fail_fast: bool = False,
    max_parallel: int | None = None,
) -> Any:
    """Run every node of a plan and return what the flow gives; raise the first node's error.

    After a failure, what needs the failed node is skipped and everything else goes on to its end, or is
    cancelled with `fail_fast`.
    """
    execution = _Execution(plan, nodes, value, context)
    execution.fail_fast = fail_fast
    if max_parallel is not None:
        execution.seats = asyncio.Semaphore(max_parallel)
    return await execution.run()


class _Execution:
    def __init__(self, plan: Plan, nodes: Mapping[str, Node], value: Any, context: Context) -> None:
        self.plan = plan
        self.nodes = nodes
        self.value = value
        self.context = context
        self.fail_fast = False
        self.seats: asyncio.Semaphore | None = None
        self.begun: set[str] = set()
        self.results: dict[str, Any] = {}
        self.lost: dict[str, str] = {}
        """What became of the nodes that made nothing, by name: "failed", "was skipped"."""
        self.reasons: dict[str, str] = {}
        """Why nodes were skipped, by name."""
        self.waits = {name: len(needed) for name, needed in plan.waits.items()}
        self.tasks: set[asyncio.Task[None]] = set()
        self.error: BaseException | None = None
        self.casualties: list[str] = []
        """Nodes that were skipped because of the error."""
        self.over: str | None = None
        """Why nothing begins any more."""
        self.sides = None if context.state is None else PlannedSides(context.state, plan)
        """What the nodes write to the run's state."""

    async def run(self) -> Any:
        for name in self.plan.order:
            if self.waits[name] == 0:
                self._spawn(name)
        try:
            while self.tasks:
                await asyncio.wait(self.tasks)
        except asyncio.CancelledError as cancelled:
            self.over = why(cancelled, self.context)
            while self.tasks:
                await ended(self.tasks, self.over)
            raise
        finally:
            self._explain()
        if self.error is not None:
            self._name_casualties(self.error)
            raise self.error
        if self.sides is not None:
            self.sides.join()
        return self._result()

    def _result(self) -> Any:
        lost = missing(self.plan.result, self.results)
        if lost is None:
            return self.plan.result.value(self.results, self.value)
        because = f": {self.reasons[lost]}" if lost in self.reasons else ""
        message = f"There is no result: `{lost}` {self.lost[lost]}{because}."
        remedy = "Let another step give the result in that case: process.returns(first, second)."
        raise CompletionError(message, remedy=remedy)

    def _spawn(self, name: str) -> None:
        task = self.context.loop.create_task(self._chain(name))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _chain(self, name: str) -> None:
        """Run a node, then whatever its end made ready: the first here, the others in tasks of their own."""
        following: str | None = name
        links = 0
        while following is not None and self.over is None:
            await self._node(self.nodes[following])
            ready = self._made_ready(following)
            for other in ready[1:]:
                self._spawn(other)
            following = ready[0] if ready else None
            links += 1
            if links % _TURN == 0:
                await asyncio.sleep(0)

    async def _node(self, node: Node) -> None:
        try:
            refusal = self._refusal(node)
            if refusal is not None:
                self._skip(node, refusal)
            elif self.seats is None:
                self.results[node.name] = await self._work(node)
            else:
                async with self.seats:
                    self.results[node.name] = await self._work(node)
        except asyncio.CancelledError as cancelled:
            if self.over is not None:
                raise
            self._fail(node.name, "was cancelled", cancelled)  # it awaited something that was cancelled elsewhere
        except BaseException as error:  # noqa: BLE001 - kept, and raised when everything has come to rest
            self._fail(node.name, "failed", error)

    def _work(self, node: Node) -> CoroutineType[Any, Any, Any]:
        self.begun.add(node.name)
        decision = None if node.decision is None else node.decision.value(self.results, self.value)
        place = self.context.child(node.name, decision=decision)
        if self.sides is not None:
            try:
                place.state = self.sides.step(node.name, place.span)
            except StateConflict as error:
                raise never_began(node.runnable, error, place) from None
        try:
            value = self.plan.inputs[node.name].value(self.results, self.value)
        except Exception as error:  # a field that is not there after all
            message = f"What `{node.name}` takes could not be read: {type(error).__name__}: {error}."
            remedy = "A step before it gave something without that part."
            raise never_began(node.runnable, DispatchError(message, remedy=remedy), place) from error
        # Handed on, not awaited: one coroutine less for each link of a chain.
        return bracket(latest(node.runnable), value, place)

    def _refusal(self, node: Node) -> str | None:
        """Return why a node whose turn it is will not run after all."""
        gone = missing(self.plan.inputs[node.name], self.results)
        if gone is None and node.when is not None:
            gone = next((name for name in sorted(node.when.needs) if name not in self.results), None)
        if gone is not None:
            return self._lacks(node.name, gone)
        if node.when is None:
            return None
        try:
            return None if node.when.holds(self.results) else node.when.refusal(self.results)
        except ConditionError as error:
            cause = error.__cause__
            if isinstance(cause, KeyError) and cause.args[0] in self.lost:  # a function that cannot do without it
                return self._lacks(node.name, cause.args[0])
            raise never_began(node.runnable, error, self.context.child(node.name)) from cause

    def _lacks(self, name: str, gone: str) -> str:
        """Return why a node is skipped that needs another in vain."""
        if gone in self.casualties or self.lost[gone] != "was skipped":
            self.casualties.append(name)
        return f"needs `{gone}`, which {self.lost[gone]}"

    def _skip(self, node: Node, reason: str) -> None:
        self.lost[node.name] = "was skipped"
        self.reasons[node.name] = reason
        skip(node.name, node.runnable.kind, reason, self.context)

    def _made_ready(self, name: str) -> list[str]:
        ready: list[str] = []
        for target in self.plan.targets[name]:
            self.waits[target] -= 1
            if self.waits[target] == 0:
                ready.append(target)
        return ready

    def _fail(self, name: str, fate: str, error: BaseException) -> None:
        self.lost[name] = fate
        if self.error is not None:
            return
        self.error = error
        if self.fail_fast:
            self.over = f"`{name}` {fate}"
            for task in self.tasks:
                if task is not asyncio.current_task():
                    task.cancel(self.over)

    def _explain(self) -> None:
        """Record of every node whose turn never came why it will not run."""
        for name in self.plan.order:
            if name in self.results or name in self.lost:
                continue
            if name not in self.begun:
                self._skip(self.nodes[name], self._loss(name) or self.over or "stopped")

    def _loss(self, name: str) -> str | None:
        if self.error is None:
            return None
        gone = next((source for source in sorted(self.plan.waits[name]) if source in self.lost), None)
        return self._lacks(name, gone) if gone else None

    def _name_casualties(self, error: BaseException) -> None:
        if self.casualties:
            with suppress(AttributeError):  # a frozen dataclass that is an error takes no notes
                error.add_note(f"skipped because of it: {', '.join(self.casualties)}")


async def ended(tasks: set[asyncio.Task[Any]], reason: str) -> None:
    """Cancel tasks and return when all have ended, however often the caller itself is cancelled meanwhile."""
    every = waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel(reason)
        with suppress(asyncio.CancelledError):  # asked once more: so are they
            await asyncio.wait(waiting)
        waiting = {task for task in waiting if not task.done()}
    for task in every:
        if not task.cancelled():
            task.exception()  # somebody looked at it: its own span has told of it
