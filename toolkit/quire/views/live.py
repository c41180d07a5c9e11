"""The view of one run, folded event by event: what the widget shows and the saved drawing prints.

`RunFold` keeps three things up to date: the head, the nodes of the graph and the conversation.
`snapshot` returns all of it; `patch` what changed since the last patch. Streamed pieces are shown
while a reply is written and replaced by the reply itself, so a fold that never saw them ends up equal.
"""

from __future__ import annotations

import json
from typing import Any, cast

from quire.core.events import (
    Called,
    Cancelled,
    Delta,
    Event,
    Failed,
    Requested,
    Responded,
    Returned,
    Skipped,
    Started,
    Succeeded,
    Thinking,
)
from quire.core.messages import Text, Thought, ToolCall
from quire.views.shapes import (
    Append,
    CallPart,
    DataPart,
    Graph,
    Head,
    Message,
    NodeState,
    Part,
    Patch,
    Role,
    RunError,
    RunSnapshot,
    Status,
    TextPart,
    ThinkingPart,
)

__all__ = ["RunFold", "failure", "pretty"]

_ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "skipped", "cancelled"})
_EMPTY = Graph(name="", kind="", nodes=[], edges=[])


def pretty(value: Any) -> str:
    """Return a JSON value as people read it: text as it is, the rest indented."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


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
        )  # fmt: skip
        self._graph: Graph = _EMPTY
        self._nodes: dict[str, NodeState] = {}
        self._messages: dict[str, Message] = {}
        self._root: str | None = None
        self._node_of: dict[str, str] = {}
        self._spans: dict[str, str] = {}
        self._agents: dict[str, str] = {}
        self._calls: dict[str, _ModelCall] = {}
        self._tool_parts: dict[str, tuple[str, CallPart, float]] = {}
        self._failures: dict[str, Failed] = {}
        self._seq = 0
        self._changed_head = False
        self._changed_nodes: set[str] = set()
        self._changed_messages: dict[str, list[Append] | None] = {}

    def expect(self, name: str, kind: str, run: str, graph: Graph) -> None:
        """Show what is about to run, before its log has begun."""
        self._graph = graph
        self._nodes = {node["id"]: _pending(node["id"]) for node in graph["nodes"]}
        self._changed_nodes.update(self._nodes)
        self._set_head(name=name, kind=kind, run=run, short=run[-4:], total=len(self._nodes))

    # What readers ask for

    def head(self) -> Head:
        """Return what is said of the whole run."""
        return self._head

    def snapshot(self) -> RunSnapshot:
        """Return everything; patches go on from `seq`, the number of the last one."""
        # Text that is already in here must not be appended once more: the next patch brings those messages whole.
        self._changed_messages = dict.fromkeys(self._changed_messages)
        return RunSnapshot(
            kind="run",
            head=self._head,
            graph=self._graph,
            nodes=self._nodes,
            messages=list(self._messages.values()),
        )

    def span_of(self, node: str) -> str | None:
        """Return the span in which a node of the graph was last begun or skipped, if it was."""
        return next((span for span in reversed(self._spans) if self._spans[span] == node), None)

    @property
    def seq(self) -> int:
        """The number of the last patch."""
        return self._seq

    def patch(self) -> Patch | None:
        """Return what changed since the last patch, or `None` if nothing did."""
        if not (self._changed_head or self._changed_nodes or self._changed_messages):
            return None
        self._seq += 1
        patch = Patch(seq=self._seq)
        if self._changed_head:
            patch["head"] = self._head
        if self._changed_nodes:
            patch["nodes"] = [self._nodes[node] for node in self._nodes if node in self._changed_nodes]
        if self._changed_messages:
            patch["messages"] = self._message_changes()
        self._changed_head, self._changed_nodes, self._changed_messages = False, set(), {}
        return patch

    def _message_changes(self) -> list[Message | Append]:
        changes: list[Message | Append] = []
        for name, appended in self._changed_messages.items():
            if appended is None:
                changes.append(self._messages[name])
            else:
                changes.extend(appended)
        return changes

    # The fold

    def apply(self, event: Event) -> None:  # noqa: C901 - one case a kind is the plainest way to write it
        """Take one more event into account."""
        match event:
            case Started():
                self._started(event)
            case Succeeded():
                self._ended(event, "succeeded")
            case Failed():
                self._failures[event.span] = event
                self._ended(event, "failed", event.error.splitlines()[0] if event.error else event.error_type)
            case Cancelled():
                self._ended(event, "cancelled", event.reason)
            case Skipped():
                self._skipped(event)
            case Requested():
                self._requested(event)
            case Delta():
                self._wrote(event, event.text, thinking=False)
            case Thinking():
                self._wrote(event, event.text, thinking=True)
            case Responded():
                self._responded(event)
            case Called():
                self._called(event)
            case Returned():
                self._returned(event)
            case _:
                pass

    def _started(self, event: Started) -> None:
        if self._root is None:
            self._begin(event)
        node = event.name if self._is_node(event) else None
        if node is not None:
            self._spans[event.span] = node
            self._set_node(node, status="running", started_at=event.at, ended_at=None)
        self._adopt(event, node)
        if event.of == "agent":
            self._agents[event.span] = event.name

    def _begin(self, event: Started) -> None:
        self._root = event.span
        self.expect(event.name, event.of, event.run, cast("Graph", event.graph or self._graph))
        self._set_head(status="running", started_at=event.at)
        body: Part = (
            TextPart(type="text", text=event.input)
            if isinstance(event.input, str)
            else DataPart(type="data", text=pretty(event.input))
        )
        self._put(_message("input", "you", "person", "person", at=0.0, parts=[body]))

    def _adopt(self, event: Event, node: str | None) -> None:
        """Remember which node of the graph a span belongs to: its own, or its parent's."""
        owner = node or (self._node_of.get(event.parent) if event.parent else None)
        if owner is not None:
            self._node_of[event.span] = owner

    def _ended(self, event: Event, status: Status, reason: str | None = None) -> None:
        if event.span in self._calls:
            self._call_ended(event, status, reason)
            return
        node = self._spans.get(event.span)
        if node is not None:
            self._set_node(node, status=status, reason=reason, ended_at=event.at)
        self._tool_ended(event, status, reason)
        if event.span == self._root:
            self._run_ended(event, status, reason)

    def _is_node(self, event: Started) -> bool:
        """Whether what started is a node of the graph, and not something inside one."""
        if event.name not in self._nodes:
            return False
        alone = self._graph["kind"] != "pipeline"  # whatever has no steps of its own is itself the node
        return (event.span if alone else event.parent) == self._root

    def _run_ended(self, event: Event, status: Status, reason: str | None) -> None:
        error = None
        if isinstance(event, Failed):
            error = failure(event, self._failures.get(event.origin) if event.origin else None)
        self._set_head(status=status, ended_at=event.at, error=error, reason=reason)
        for node, state in self._nodes.items():
            if state["status"] == "running":
                self._set_node(node, status=status, ended_at=event.at)

    def _skipped(self, event: Skipped) -> None:
        if event.parent == self._root and event.name in self._nodes:
            self._spans[event.span] = event.name
            self._set_node(event.name, status="skipped", reason=event.reason, ended_at=event.at)

    # Model calls and what they say

    def _requested(self, event: Requested) -> None:
        self._adopt(event, None)
        if event.simulated and not self._head["simulated"]:
            self._set_head(simulated=True)
        self._set_head(model_calls=self._head["model_calls"] + 1)
        bubble = event.parent or event.span
        message = self._messages.get(bubble)
        if message is None:
            sender = self._agents.get(bubble, event.agent)
            at = event.at - (self._head["started_at"] or event.at)
            message = _message(bubble, sender, "agent", f"agent, {event.model}", at=at, parts=[])
        message.update(writing=True, simulated=event.simulated)
        self._calls[event.span] = _ModelCall(
            bubble, len(message["parts"]), event.at, structured=event.output is not None
        )
        self._put(message)

    def _wrote(self, event: Event, text: str, *, thinking: bool) -> None:
        call = self._calls.get(event.span)
        if call is None:
            return
        message, kind = self._messages[call.bubble], "thinking" if thinking else call.form
        if len(message["parts"]) > call.first and message["parts"][-1]["type"] == kind:
            part = cast("TextPart", message["parts"][-1])
            part["text"] += text
            self._append(call.bubble, len(message["parts"]) - 1, text)
        else:
            message["parts"].append(_thinking(text, None) if thinking else _words(call.form, text))
            self._put(message)

    def _responded(self, event: Responded) -> None:
        call = self._calls.pop(event.span, None)
        if call is None:
            return
        message = self._messages[call.bubble]
        message["parts"][call.first :] = _reply_parts(event, call)
        message["writing"] = False
        if event.usage is not None:
            message["tokens"] = (message["tokens"] or 0) + event.usage.output_tokens
        self._put(message)
        self._count(event)

    def _count(self, event: Responded) -> None:
        head, usage = self._head, event.usage
        if usage is not None:
            self._set_head(
                input_tokens=(head["input_tokens"] or 0) + usage.input_tokens,
                output_tokens=(head["output_tokens"] or 0) + usage.output_tokens,
            )
        if event.cost_usd is None:
            self._set_head(unpriced_calls=head["unpriced_calls"] + 1)
        else:
            self._set_head(cost_usd=(head["cost_usd"] or 0.0) + event.cost_usd)
        node = self._node_of.get(event.span)
        if node is not None:
            state = self._nodes[node]
            tokens = (
                state["tokens"] if usage is None else (state["tokens"] or 0) + usage.input_tokens + usage.output_tokens
            )
            cost = state["cost_usd"] if event.cost_usd is None else (state["cost_usd"] or 0.0) + event.cost_usd
            simulated = state["simulated"] or event.simulated
            self._set_node(node, calls=state["calls"] + 1, tokens=tokens, cost_usd=cost, simulated=simulated)

    def _call_ended(self, event: Event, status: Status, reason: str | None) -> None:
        call = self._calls.pop(event.span)
        message = self._messages[call.bubble]
        # What had arrived is shown while it is news; the log does not keep it.
        del message["parts"][call.first :]
        message["writing"] = False
        message["error"] = f"{status}: {reason}" if reason else status
        self._put(message)

    # Tools

    def _called(self, event: Called) -> None:
        bubble = event.parent or ""
        if self._parent_is_root(event) and event.tool in self._nodes:
            state = self._nodes[event.tool]
            self._node_of[event.span] = self._spans[event.span] = event.tool
            self._set_node(
                event.tool, status="running", started_at=state["started_at"] or event.at, calls=state["calls"] + 1
            )
        else:
            self._adopt(event, None)
        message = self._messages.get(bubble)
        part = None if message is None else _find_call(message, event.call)
        if message is None or part is None:
            return
        part.update(arguments=pretty(event.arguments), status="running")
        self._tool_parts[event.span] = (bubble, part, event.at)
        self._put(message)

    def _parent_is_root(self, event: Event) -> bool:
        return event.parent is not None and event.parent == self._root

    def _returned(self, event: Returned) -> None:
        status: Status = "failed" if event.error_type else "succeeded"
        node = self._spans.get(event.span)
        if node is not None:
            self._set_node(node, status=status, reason=event.error, ended_at=event.at)
        error = f"{event.error_type}: {event.error}" if event.error_type else None
        self._tool_ended(event, status, error, None if error else pretty(event.result))

    def _tool_ended(self, event: Event, status: Status, error: str | None, result: str | None = None) -> None:
        found = self._tool_parts.pop(event.span, None)
        if found is None:
            return
        bubble, part, began = found
        part.update(result=result, error=error, status=status, seconds=event.at - began)
        self._put(self._messages[bubble])

    # Keeping account of what changed

    def _set_head(self, **fields: Any) -> None:
        self._head.update(fields)  # type: ignore[typeddict-item]
        self._changed_head = True

    def _set_node(self, node: str, **fields: Any) -> None:
        state = self._nodes[node]
        before = state["status"] in _ENDED
        state.update(fields)  # type: ignore[typeddict-item]
        self._changed_nodes.add(node)
        after = state["status"] in _ENDED
        if before != after:
            self._set_head(done=self._head["done"] + (1 if after else -1))

    def _put(self, message: Message) -> None:
        self._messages[message["id"]] = message
        self._changed_messages[message["id"]] = None

    def _append(self, bubble: str, part: int, text: str) -> None:
        if bubble not in self._changed_messages:
            self._changed_messages[bubble] = []
        appended = self._changed_messages[bubble]
        if appended is None:
            return  # the whole message goes out anyway
        if appended and appended[-1]["append"][0] == part:
            appended[-1]["append"] = (part, f"{appended[-1]['append'][1]}{text}")
        else:
            appended.append(Append(id=bubble, append=(part, text)))


class _ModelCall:
    """A reply that is being written: the bubble it goes to, and where in it the reply begins."""

    def __init__(self, bubble: str, first: int, at: float, *, structured: bool) -> None:
        self.bubble = bubble
        self.first = first
        self.at = at
        self.form = "data" if structured else "text"


def _pending(node: str) -> NodeState:
    return NodeState(
        id=node, status="pending", reason=None, started_at=None, ended_at=None, attempt=1, calls=0,
        tokens=None, cost_usd=None, progress=None, simulated=False,
    )  # fmt: skip


def _message(name: str, sender: str, role: Role, note: str, *, at: float, parts: list[Part]) -> Message:
    return Message(
        id=name, sender=sender, role=role, note=note, at=at, tokens=None, writing=False,
        simulated=False, error=None, parts=parts,
    )  # fmt: skip


def _words(form: str, text: str) -> Part:
    return DataPart(type="data", text=text) if form == "data" else TextPart(type="text", text=text)


def _thinking(text: str, tokens: int | None) -> ThinkingPart:
    return ThinkingPart(type="thinking", text=text, seconds=None, tokens=tokens)


def _reply_parts(event: Responded, call: _ModelCall) -> list[Part]:
    parts: list[Part] = []
    for part in event.message.parts:
        match part:
            case Text() if part.text:
                parts.append(_words(call.form, _tidy(part.text) if call.form == "data" else part.text))
            case Thought():
                parts.append(_thinking(part.text, event.usage.reasoning_tokens if event.usage else None))
            case ToolCall():
                parts.append(_asked(part))
            case _:
                pass
    return parts


def _asked(call: ToolCall) -> CallPart:
    return CallPart(
        type="call", id=call.id, tool=call.tool, arguments=_tidy(call.arguments), result=None, error=None,
        status="pending", seconds=None,
    )  # fmt: skip


def _tidy(text: str) -> str:
    try:
        return pretty(json.loads(text))
    except ValueError:
        return text


def _find_call(message: Message, call: str) -> CallPart | None:
    found = [part for part in message["parts"] if part["type"] == "call" and part["id"] == call]
    return found[-1] if found else None
