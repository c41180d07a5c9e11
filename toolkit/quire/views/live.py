"""The view of one run, folded event by event: what the widget shows and the saved drawing prints.

`RunFold` keeps three things up to date: the head, the nodes of the graph and the conversation.
`snapshot` returns all of it; `patch` what changed since the last patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from quire.core.events import Asked, Cancelled, Event, Failed, Forked, Requested, Responded, Resumed, Started, Succeeded
from quire.views.nodes import NodesFold, first_line
from quire.views.questions import QuestionsFold, Standing
from quire.views.shapes import Graph, Head, Patch, RunError, RunSnapshot, Status
from quire.views.talk import TalkFold

__all__ = ["RunFold", "failure"]


def failure(event: Failed, origin: Failed | None = None) -> RunError:
    """Return a failure as a reader sees it; the traceback is that of the span where it arose."""
    return RunError(
        type=event.error_type,
        path=event.where,
        message=event.error,
        remedy=event.remedy,
        traceback=(origin or event).traceback,
    )


class RunFold:
    """Everything a view of a run shows, kept up to date event by event.

    Example:
        >>> from quire.core.events import Started
        >>> fold = RunFold()
        >>> fold.apply(Started(seq=1, at=0.0, run="1m8k", span="1", parent=None, name="greet", of="step"))
        >>> fold.head()["status"]
        'running'
    """

    def __init__(self) -> None:
        self._head = Head(
            name="", kind="", run="", short="", status="pending", simulated=False, replayed=False,
            started_at=None, ended_at=None, input_tokens=None, output_tokens=None, cost_usd=None,
            unpriced_calls=0, model_calls=0, done=0, total=0, error=None, reason=None,
            questions=[],
        )  # fmt: skip
        self._changed_head = False
        self._nodes = NodesFold()
        self._talk = TalkFold()
        self._questions = QuestionsFold()
        self._standing = Standing()
        self._root: str | None = None
        self._failures: dict[str, Failed] = {}
        self._forked_at: float | None = None
        """When that had happened which was taken over, until something happens anew."""
        self._seq = 0

    def expect(self, name: str, kind: str, run: str, graph: Graph) -> None:
        """Show what is about to run, before its log has begun."""
        self._nodes.expect(graph)
        self._set(name=name, kind=kind, run=run, short=run[-4:], total=self._nodes.total)

    # What readers ask for

    def head(self) -> Head:
        """Return what is said of the whole run."""
        self._settle()
        return self._head

    @property
    def questions(self) -> Mapping[str, Asked]:
        """The questions to people that are open, by their span."""
        return self._questions.open

    def snapshot(self) -> RunSnapshot:
        """Return everything; patches go on from `seq`, the number of the last one."""
        self._talk.settle()
        self._settle()
        return RunSnapshot(
            kind="run",
            head=self._head,
            graph=self._nodes.graph,
            nodes=self._nodes.states,
            messages=list(self._talk.messages.values()),
        )

    def span_of(self, node: str) -> str | None:
        """Return the span in which a node of the graph was last begun or skipped, if it was."""
        return self._nodes.span_of(node)

    @property
    def seq(self) -> int:
        """The number of the last patch."""
        return self._seq

    def patch(self) -> Patch | None:
        """Return what changed since the last patch, or `None` if nothing did."""
        self._settle()
        changed = self._nodes.changed
        if not (self._changed_head or changed or self._talk.has_changed):
            return None
        self._seq += 1
        patch = Patch(seq=self._seq)
        if self._changed_head:
            patch["head"] = self._head
        if changed:
            patch["nodes"] = [state for node, state in self._nodes.states.items() if node in changed]
        if self._talk.has_changed:
            patch["messages"] = self._talk.changes()
        self._changed_head, self._nodes.changed = False, set()
        return patch

    # The fold

    def apply(self, event: Event) -> None:  # noqa: C901 - one case a kind is the plainest way to write it
        """Take one more event into account."""
        if self._root is None and isinstance(event, Started):
            self._root = event.span
            graph = cast("Graph", event.graph or self._nodes.graph)
            self.expect(event.name, event.of, event.run, graph)
            self._set(status="running", started_at=event.at)
        if self._forked_at is not None:
            self._go_on(event.at - self._forked_at)
        self._nodes.apply(event)
        self._talk.apply(event)
        self._standing.apply(event)
        # Almost no event is about a question, and there are many.
        concerns = self._questions.open or isinstance(event, Asked)
        if concerns and self._questions.apply(event, self._nodes.node_of):
            self._set(questions=list(self._questions.shown.values()))
        match event:
            case Succeeded() if event.span == self._root:
                self._set(status="succeeded", ended_at=event.at)
            case Resumed() if event.span == self._root:
                self._set(status="running", ended_at=None, error=None, reason=None)
            case Forked():
                self._forked_at = event.at
                self._set(source=event.source)
            case Failed():
                self._failed(event)
            case Cancelled() if event.span == self._root:
                self._set(status="cancelled", ended_at=event.at, reason=event.reason)
            case Requested():
                calls = self._head["model_calls"] + 1
                self._set(model_calls=calls, simulated=self._head["simulated"] or event.simulated)
            case Responded():
                self._count(event)
            case _:
                pass
        if self._head["done"] != self._nodes.done:
            self._set(done=self._nodes.done)

    def _settle(self) -> None:
        """Tell what waits for a person: at a moment at which somebody looks, and not after each event."""
        if self._head["status"] not in ("running", "waiting"):
            return
        still = self._standing.still()
        self._nodes.hold(still)
        status: Status = "waiting" if self._root in still else "running"
        if status != self._head["status"]:
            self._set(status=status)

    def _go_on(self, gap: float) -> None:
        """Leave out the time, maybe days, between what was taken over from another run and what is done anew."""
        self._forked_at = None
        self._talk.pass_over(gap)
        self._set(started_at=(self._head["started_at"] or 0.0) + gap)

    def _failed(self, event: Failed) -> None:
        if event.usage is not None:
            self._count(event)
        if event.replayed:
            self._set(replayed=True)
        if event.span == self._root:
            error = failure(event, self._failures.get(event.origin) if event.origin else None)
            status: Status = "failed"
            self._set(status=status, ended_at=event.at, error=error, reason=first_line(event))
        elif event.origin is None:
            self._failures[event.span] = event

    def _count(self, event: Responded | Failed) -> None:
        head, usage = self._head, event.usage
        if event.replayed:
            self._set(replayed=True)
        if usage is not None:
            self._set(
                input_tokens=(head["input_tokens"] or 0) + usage.input_tokens,
                output_tokens=(head["output_tokens"] or 0) + usage.output_tokens,
            )
        if event.cost_usd is None:
            self._set(unpriced_calls=head["unpriced_calls"] + 1)
        else:
            self._set(cost_usd=(head["cost_usd"] or 0.0) + event.cost_usd)

    def _set(self, **fields: Any) -> None:
        self._head.update(fields)  # type: ignore[typeddict-item]
        self._changed_head = True
