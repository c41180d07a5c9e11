"""Runs a plan: each node as soon as its sources are there, as parallel as the data allows.

A node that makes exactly one other ready goes on with it in the same task, so a chain costs one task
and not one a link. Whatever happens, every node ends in a state that says why, and no task is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from quire.flow.plan import Entry, Plan, Source
from quire.run.bracket import bracket, skip
from quire.run.context import Context, why
from quire.run.runnable import Runnable

__all__ = ["run_plan"]


async def run_plan(plan: Plan, nodes: Mapping[str, Runnable[Any, Any]], value: Any, context: Context) -> Any:
    """Run every node of a plan and return the flow's result; raise the first node's error."""
    return await _Execution(plan, nodes, value, context).run()


class _Execution:
    def __init__(self, plan: Plan, nodes: Mapping[str, Runnable[Any, Any]], value: Any, context: Context) -> None:
        self.plan = plan
        self.nodes = nodes
        self.value = value
        self.context = context
        self.results: dict[str, Any] = {}
        self.begun: set[str] = set()
        self.waits = {name: len({s for s in plan.sources[name] if isinstance(s, str)}) for name in plan.order}
        self.tasks: set[asyncio.Task[None]] = set()
        self.failed: tuple[str, BaseException] | None = None
        self.over: str | None = None
        """Why nothing begins any more."""

    async def run(self) -> Any:
        for name in self.plan.order:
            if self.waits[name] == 0:
                self._spawn(name)
        try:
            while self.tasks:
                await asyncio.wait(self.tasks)
        except asyncio.CancelledError as cancelled:
            self.over = why(cancelled, self.context)
            await self._stop(self.over)
            raise
        finally:
            self._explain()
        if self.failed is not None:
            raise self.failed[1]
        ends = tuple(self.results[end] for end in self.plan.ends)
        return ends[0] if len(ends) == 1 else ends

    def _spawn(self, name: str) -> None:
        task = self.context.loop.create_task(self._chain(name))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _chain(self, name: str) -> None:
        """Run a node, then whatever it made ready: the first here, the others in tasks of their own."""
        following: str | None = name
        while following is not None and self.over is None:
            following, *others = await self._node(following) or (None,)
            for other in others:
                self._spawn(other)

    async def _node(self, name: str) -> list[str]:
        self.begun.add(name)
        node, sources = self.nodes[name], self.plan.sources[name]
        given = tuple(self._value_of(source) for source in sources)
        try:
            result = await bracket(node, given[0] if len(given) == 1 else given or None, self.context.child(name))
        except asyncio.CancelledError as cancelled:
            if self.over is not None:
                raise
            self._fail(name, cancelled)  # it awaited something that was cancelled elsewhere
            return []
        except BaseException as error:  # noqa: BLE001 - kept, and raised when everything has stopped
            self._fail(name, error)
            return []
        self.results[name] = result
        return self._made_ready(name)

    def _value_of(self, source: Source) -> Any:
        if isinstance(source, Entry):
            return self.value if source.part is None else self.value[source.part]
        return self.results[source]

    def _made_ready(self, name: str) -> list[str]:
        ready: list[str] = []
        for target in self.plan.targets[name]:
            self.waits[target] -= 1
            if self.waits[target] == 0:
                ready.append(target)
        return ready

    def _fail(self, name: str, error: BaseException) -> None:
        if self.failed is not None:
            return
        self.failed = (name, error)
        self.over = f"`{name}` {self._fate(name)}"
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel(self.over)

    async def _stop(self, reason: str) -> None:
        while self.tasks:
            for task in self.tasks:
                task.cancel(reason)
            with suppress(asyncio.CancelledError):  # asked once more: so are they
                await asyncio.wait(self.tasks)

    def _explain(self) -> None:
        """Record of every node that never began why it will not."""
        lost = {self.failed[0]} if self.failed is not None else set[str]()
        for name in self.plan.order:
            if name not in self.begun:
                skip(name, self.nodes[name].kind, self._reason(name, lost), self.context)
                if lost:
                    lost.add(name)

    def _reason(self, name: str, lost: set[str]) -> str:
        missing = next((s for s in self.plan.sources[name] if isinstance(s, str) and s in lost), None)
        return f"needs `{missing}`, which {self._fate(missing)}" if missing else self.over or "stopped"

    def _fate(self, name: str) -> str:
        if self.failed is None or self.failed[0] != name:
            return "was skipped"
        return "was cancelled" if isinstance(self.failed[1], asyncio.CancelledError) else "failed"
