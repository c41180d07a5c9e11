"""From a log to the columns of its tables: plain lists of plain values, in the order of the log.

A column that a function here leaves out is one that no event tells about yet.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, cast

from pydantic_core import PydanticSerializationError, to_json

from quire.core.codec import to_record
from quire.core.events import (
    Called,
    Cancelled,
    Event,
    Failed,
    Requested,
    Responded,
    Returned,
    Said,
    Skipped,
    Started,
    Succeeded,
    Unknown,
)
from quire.core.messages import Part, Text, Thought, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Columns", "Reading", "calls", "costs", "events", "messages", "nodes", "runs", "tools"]

E = TypeVar("E", bound=Event)
Columns: TypeAlias = dict[str, list[Any]]

_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
_OPENINGS = frozenset({Started, Skipped, Requested, Called})
_COMMON = frozenset({"kind", "seq", "at", "run", "span", "parent"})
_DAY = 86_400
"""Seconds in a day of UTC, which has no others."""


class Reading:
    """One run's log, read once: its events by kind, and who belongs to whom.

    A span's parent has begun before it, so that its node is known the moment it begins.

    Example:
        >>> log = Reading([Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step")])
        >>> log.names
        {'1': 'greet'}
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._by_kind: defaultdict[type[Event], list[Event]] = defaultdict(list)
        self.nodes: dict[str, Started | Skipped] = {}
        """What opened each node, by span."""
        self.names: dict[str, str] = {}
        """Each node's path below the root, by span."""
        self.home: dict[str, str | None] = {}
        """The nearest node around a span, other than itself."""
        self._agents: dict[str, str | None] = {}
        for event in events:
            kind = type(event)
            self._by_kind[kind].append(event)
            if kind in _OPENINGS:
                self._open(event)

    def _open(self, event: Event) -> None:
        span, parent = event.span, event.parent
        if span not in self.home:
            self.home[span] = self.around(parent)
        # A tool that is a runnable may be called and started on one span.
        if isinstance(event, Started | Skipped) and span not in self.nodes:
            self._add_node(event, self.home[span])

    def _add_node(self, node: Started | Skipped, around: str | None) -> None:
        below_root = around is None or self.home[around] is None
        self.nodes[node.span] = node
        self.names[node.span] = node.name if below_root else f"{self.names[cast('str', around)]}/{node.name}"
        self._agents[node.span] = node.name if node.of == "agent" else self._agents.get(around or "")

    @property
    def root(self) -> Started | Skipped:
        """What opened the run."""
        return next(iter(self.nodes.values()))

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return cast("list[E]", self._by_kind.get(kind, []))

    def last(self, *kinds: type[E]) -> dict[str, E]:
        """Return the last event of these kinds, by span."""
        return {event.span: event for kind in kinds for event in self.of(kind)}

    def around(self, span: str | None) -> str | None:
        """Return the node a span is, or else the nearest around it."""
        return span if span in self.nodes else self.home.get(span or "")

    def node_of(self, span: str) -> str | None:
        """Return the path of the node around a call."""
        return self.names.get(self.home.get(span) or "")

    def agent_of(self, span: str) -> str | None:
        """Return the name of the agent around a call."""
        return self._agents.get(self.home.get(span) or "")


def nodes(log: Reading) -> Columns:
    """Return one row a span that started or was skipped."""
    begun = list(log.nodes.values())
    ends = log.last(Succeeded, Failed, Cancelled, Skipped)
    ended = [ends.get(node.span) for node in begun]
    return {
        "run": [node.run for node in begun],
        "span": [node.span for node in begun],
        "parent": [node.parent for node in begun],
        "node": list(log.names.values()),
        "kind": [node.of for node in begun],
        "status": [end.kind if end else "running" for end in ended],
        "reason": [_reason(end, log) for end in ended],
        "attempt": [1 if isinstance(node, Started) else None for node in begun],
        "started_at": [node.at if isinstance(node, Started) else None for node in begun],
        "duration_s": [
            end.at - node.at if end and isinstance(node, Started) else None
            for node, end in zip(begun, ended, strict=True)
        ],
        "input": [_json(node.input) if isinstance(node, Started) else None for node in begun],
        "output": [_json(end.output) if isinstance(end, Succeeded) else None for end in ended],
        **_own_sums(log),
        "error_type": [end.error_type if isinstance(end, Failed) else None for end in ended],
        "error": [end.error if isinstance(end, Failed) else None for end in ended],
    }


def _reason(end: Event | None, log: Reading) -> str | None:
    match end:
        case Skipped() | Cancelled():
            return end.reason
        case Failed(origin=str(origin)):
            culprit = log.names.get(origin) or log.node_of(origin)
            # An error of the node's own model call is the node's own.
            return None if culprit in {None, log.names.get(end.span)} else f"failed in {culprit}"
        case _:
            return None


def _own_sums(log: Reading) -> Columns:
    own: defaultdict[str | None, list[int]] = defaultdict(list)
    for row, call in enumerate(log.of(Requested)):
        own[log.home[call.span]].append(row)
    every = _sums(calls(log), [own.get(span, ()) for span in log.nodes])
    return {name: every[name] for name in ("input_tokens", "output_tokens", "cost_usd")}


def calls(log: Reading) -> Columns:
    """Return one row a model call."""
    asked = log.of(Requested)
    ends = log.last(Failed, Cancelled, Responded)
    ended = [ends.get(call.span) for call in asked]
    replies = [end if isinstance(end, Responded) else None for end in ended]
    used = [reply and reply.usage for reply in replies]
    return {
        "run": [call.run for call in asked],
        "span": [call.span for call in asked],
        "node": [log.node_of(call.span) for call in asked],
        "agent": [call.agent for call in asked],
        "provider": [call.provider for call in asked],
        "model": [call.model for call in asked],
        "started_at": [call.at for call in asked],
        "latency_s": [end and end.at - call.at for call, end in zip(asked, ended, strict=True)],
        "first_token_s": [reply and reply.first_token_s for reply in replies],
        "input_tokens": [usage and usage.input_tokens for usage in used],
        "cached_input_tokens": [usage and usage.cached_input_tokens for usage in used],
        "cache_write_tokens": [usage and usage.cache_write_tokens for usage in used],
        "output_tokens": [usage and usage.output_tokens for usage in used],
        "reasoning_tokens": [usage and usage.reasoning_tokens for usage in used],
        "cost_usd": [reply and reply.cost_usd for reply in replies],
        "price_source": [reply and reply.price_source for reply in replies],
        "finish_reason": [reply and reply.finish_reason for reply in replies],
        "attempt": [1] * len(asked),
        "simulated": [
            call.simulated or (reply is not None and reply.simulated)
            for call, reply in zip(asked, replies, strict=True)
        ],
        "replayed": [False] * len(asked),
        "error_type": [end.error_type if isinstance(end, Failed) else None for end in ended],
    }


def tools(log: Reading) -> Columns:
    """Return one row a tool call."""
    called = log.of(Called)
    stopped, returned = log.last(Failed, Cancelled), log.last(Returned)
    ended = [returned.get(call.span) or stopped.get(call.span) for call in called]
    failed = [end if isinstance(end, Returned | Failed) and end.error_type is not None else None for end in ended]
    return {
        "run": [call.run for call in called],
        "span": [call.span for call in called],
        "node": [log.node_of(call.span) for call in called],
        "agent": [log.agent_of(call.span) for call in called],
        "tool": [call.tool for call in called],
        "arguments": [_json(call.arguments) for call in called],
        "result": [
            _json(end.result) if isinstance(end, Returned) and not error else None
            for end, error in zip(ended, failed, strict=True)
        ],
        "started_at": [call.at for call in called],
        "duration_s": [end and end.at - call.at for call, end in zip(called, ended, strict=True)],
        "error_type": [error and error.error_type for error in failed],
        "error": [error and error.error for error in failed],
    }


class _Message(NamedTuple):
    run: str
    branch: str
    seq: int
    at: float
    turn: int
    sender: str | None
    role: str
    kind: str
    text: str
    tool: str | None
    call_span: str | None
    tokens: int | None


def messages(log: Reading) -> Columns:
    """Return one row a thing said, a part of a reply, or a result."""
    rows = list(_conversation(log))
    return {name: [row[place] for row in rows] for place, name in enumerate(_Message._fields)}


def _conversation(log: Reading) -> Iterator[_Message]:
    replies: Counter[str | None] = Counter()
    senders = {call.span: call.agent for call in log.of(Requested)}
    for event in sorted((*log.of(Said), *log.of(Responded), *log.of(Returned)), key=lambda event: event.seq):
        if isinstance(event, Said):
            yield _said(event, replies[log.around(event.span) or log.around(event.parent)] + 1)
        elif isinstance(event, Responded):
            agent = log.home.get(event.span)
            replies[agent] += 1
            yield from _reply(event, replies[agent], senders.get(event.span))
        else:
            # Of the turn whose reply asked for it; a tool may also be called before any reply.
            yield _result(event, replies[log.home.get(event.span)] or 1)


def _said(event: Said, turn: int) -> _Message:
    return _Message(
        event.run, "main", event.seq, event.at, turn, event.sender, event.role, "text", event.text, None, None, None
    )


def _reply(event: Responded, turn: int, sender: str | None) -> Iterator[_Message]:
    tokens = event.usage and event.usage.output_tokens
    # A reply without words is a message too, and has its tokens.
    for part in event.message.parts or (Text(text=""),):
        kind, text, tool = _told(part)
        yield _Message(
            event.run,
            "main",
            event.seq,
            event.at,
            turn,
            sender,
            event.message.role,
            kind,
            text,
            tool,
            event.span,
            tokens,
        )
        tokens = None


def _told(part: Part) -> tuple[str, str, str | None]:
    match part:
        case Text():
            return "text", part.text, None
        case Thought():
            return "thinking", part.text, None
        case ToolCall():
            return "tool_call", part.arguments, part.tool
        case ToolResult():
            return "tool_result", part.text, part.tool


def _result(event: Returned, turn: int) -> _Message:
    if event.error_type is not None:
        text = event.error or event.error_type
    else:
        text = event.result if isinstance(event.result, str) else _json(event.result)
    return _Message(
        event.run,
        "main",
        event.seq,
        event.at,
        turn,
        event.tool,
        "tool",
        "tool_result",
        text,
        event.tool,
        event.span,
        None,
    )


def events(log: Iterable[Event]) -> Columns:
    """Return one row an event that lasts."""
    lasting = [event for event in log if not event.ephemeral]
    return {
        "run": [event.run for event in lasting],
        "seq": [event.seq for event in lasting],
        "at": [event.at for event in lasting],
        "kind": [event.name if isinstance(event, Unknown) else event.kind for event in lasting],
        "span": [event.span for event in lasting],
        "parent": [event.parent for event in lasting],
        "data": [_json(_own_fields(event)) for event in lasting],
    }


def _own_fields(event: Event) -> dict[str, Any]:
    return {name: value for name, value in to_record(event).items() if name not in _COMMON}


def runs(logs: Iterable[Reading]) -> Columns:
    """Return one row a log that has begun, newest first."""
    begun = [log for log in logs if log.nodes]
    rows = [_run(log) for log in sorted(begun, key=lambda log: log.root.at, reverse=True)]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _run(log: Reading) -> dict[str, Any]:
    root, made = log.root, calls(log)
    end = log.last(Succeeded, Failed, Cancelled).get(root.span)
    sums = _sums(made, [range(len(made["run"]))])
    return {
        "run": root.run,
        "name": root.name,
        "kind": root.of,
        "status": end.kind if end else "running",
        "started_at": root.at,
        "duration_s": end and end.at - root.at,
        "nodes": len(log.nodes),
        "model_calls": len(made["run"]),
        "tool_calls": len(log.of(Called)),
        **{name: sums[name][0] for name in (*_TOKENS, "cost_usd")},
        "simulated": any(made["simulated"]),
        "replayed": False,
        "error_type": end.error_type if isinstance(end, Failed) else None,
        "error": end.error if isinstance(end, Failed) else None,
        "tags": _json(root.tags if isinstance(root, Started) else {}),
    }


def costs(logs: Iterable[Reading], by: Sequence[str]) -> Columns:
    """Return one row a group of model calls, in the order of what they are grouped by."""
    made = _all_calls(logs)
    places: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place, key in enumerate(zip(*(made[name] for name in by), strict=True)):
        places[key].append(place)
    keys = sorted(places, key=lambda key: [(part is None, part) for part in key])
    grouped = {name: [key[place] for key in keys] for place, name in enumerate(by)}
    return {**grouped, **_sums(made, [places[key] for key in keys])}


def _all_calls(logs: Iterable[Reading]) -> Columns:
    parts = [calls(Reading(())), *map(calls, logs)]
    made = {name: [value for part in parts for value in part[name]] for name in parts[0]}
    nobody: list[None] = [None] * len(made["run"])
    return {**made, "session": nobody, "tenant": nobody, "day": [at // _DAY * _DAY for at in made["started_at"]]}


def _sums(made: Columns, groups: Sequence[Sequence[int]]) -> Columns:
    """Return what each group of rows of `made`, a table of calls, comes to."""
    # A call with a finish reason was answered: only an answer has a price that could be unknown.
    unpriced = [
        why is not None and cost is None for why, cost in zip(made["finish_reason"], made["cost_usd"], strict=True)
    ]
    missing = [sum(unpriced[row] for row in rows) for rows in groups]
    spent = [_total([made["cost_usd"][row] for row in rows]) for rows in groups]
    return {
        "calls": [len(rows) for rows in groups],
        **{name: [_total([made[name][row] for row in rows]) for rows in groups] for name in _TOKENS},
        "cost_usd": [None if lacking else cost for lacking, cost in zip(missing, spent, strict=True)],
        "unpriced_calls": missing,
    }


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if values and not known:
        return None
    # Exact however many there are: costs are tiny and come in any order.
    return math.fsum(known) if any(isinstance(value, float) for value in known) else sum(known)


def _json(value: Any) -> str:
    try:
        return to_json(value, fallback=repr, inf_nan_mode="strings").decode()
    except PydanticSerializationError:
        # Half a surrogate pair, which some models write; escaped it is JSON.
        return json.dumps(value, default=repr)
