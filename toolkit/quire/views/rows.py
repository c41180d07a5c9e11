"""From a log to the columns of its tables: plain lists of plain values, in the order of the log.

Column by column and kind by kind, because a million rows one by one would take too long. A column that a
function here leaves out is one that no event tells about yet.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from functools import cached_property
from itertools import chain, islice
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic_core import SchemaSerializer, core_schema, to_json

from quire.core.codec import plain_part, to_record
from quire.core.events import (
    Asked,
    Called,
    Cancelled,
    Event,
    Failed,
    Mended,
    Recalled,
    Requested,
    Rescued,
    Responded,
    Resumed,
    Retried,
    Returned,
    Reused,
    Said,
    Skipped,
    Started,
    Succeeded,
    Unknown,
    Wrote,
)
from quire.core.messages import File, Message, Part, Text, Thought, ToolCall, ToolResult
from quire.core.price import Quote
from quire.core.usage import Usage
from quire.log.writes import Writes
from quire.views.questions import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["Columns", "Reading", "calls", "costs", "events", "messages", "nodes", "repriced", "runs", "states", "tools"]

E = TypeVar("E", bound=Event)
Columns: TypeAlias = dict[str, list[Any]]

_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
_SUMMED = (*_TOKENS, "cost_usd", "finish_reason")
_COMMON = frozenset({"kind", "seq", "at", "run", "span", "parent"})
_MESSAGE = ("run", "seq", "at", "turn", "sender", "role", "kind", "text", "tool", "call_span", "tokens")
_PARTS: dict[type[Part], tuple[str, Callable[[Any], str]]] = {
    Text: ("text", attrgetter("text")),
    File: ("file", str),
    Thought: ("thinking", attrgetter("text")),
    ToolCall: ("tool_call", attrgetter("arguments")),
    ToolResult: ("tool_result", attrgetter("text")),
}
"""What each part is called, and its words."""
_PARTS_OF_A_DOLLAR = 2**100
"""So many that every float above 1e-14 dollars is a whole number of them."""
_DAY = 86_400
"""Seconds in a day of UTC, which has no others."""
_PIECE = 1_000
"""So many things at a time: few enough to stay near the processor while they are read column after column."""


class Reading:
    """One run's log, read once: its events by kind, and who belongs to whom.

    Example:
        >>> log = Reading([Started(seq=1, at=0.0, run="r", span="1", parent=None, name="greet", of="step")])
        >>> log.names
        {'1': 'greet'}
    """

    def __init__(self, events: Iterable[Event]) -> None:
        by_kind: defaultdict[type[Event], list[Event]] = defaultdict(list)
        told = list(events)
        for event in told:
            by_kind[type(event)].append(event)
        self._by_kind = by_kind
        passing = any(kind.ephemeral for kind in by_kind)
        self.events = [event for event in told if not event.ephemeral] if passing else told
        """Those that last, in the order of the log."""
        self.nodes = {node.span: node for node in self.ordered(Started, Skipped)}
        """What opened each node, by span."""
        self.names: dict[str, str] = {}
        """Each node's path below the root, by span."""
        self.agents: dict[str, str | None] = {}
        """The agent each node is, or is part of, by span."""
        self._name_nodes()

    def _name_nodes(self) -> None:
        roots: set[str | None] = set()
        for span, node in self.nodes.items():
            around = self.home(node.parent)
            # A parent begins before its parts, so that its name is known; a root's is not in its parts' paths.
            above = self.names.get(around or "")
            if above is None:
                roots.add(span)
            self.names[span] = node.name if above is None or around in roots else f"{above}/{node.name}"
            self.agents[span] = node.name if node.of == "agent" else self.agents.get(around or "")

    @property
    def root(self) -> Started | Skipped:
        """What opened the run."""
        return next(iter(self.nodes.values()))

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return cast("list[E]", self._by_kind.get(kind, []))

    def ordered(self, *kinds: type[E]) -> list[E]:
        """Return the events of these kinds in the order of the log."""
        some = [kind for kind in kinds if kind in self._by_kind]
        if len(some) == 1:
            return self.of(some[0])
        return cast("list[E]", [event for event in self.events if type(event) in kinds])

    def last(self, *kinds: type[E]) -> dict[str, E]:
        """Return the last event of these kinds by span, if nothing went on after it.

        One of a later kind goes before one of an earlier kind.
        """
        if not self.of(Resumed):
            return {event.span: event for kind in kinds for event in self.of(kind)}
        last: dict[str, E] = {}
        for event in self.events:
            if isinstance(event, Resumed):
                last.pop(event.span, None)
            elif isinstance(event, kinds):
                last[event.span] = event
        return last

    def home(self, span: str | None) -> str | None:
        """Return the node that a span is or, if it is a call, belongs to."""
        # A tool that is a runnable may be called and started on one span, or started as a part of the call.
        return span if span is None or span in self.nodes else self._homes_of_calls.get(span)

    def homes(self, events: Iterable[Event]) -> list[str | None]:
        """Return the node that each event is a part of."""
        nodes, home = self.nodes, self.home
        # Almost all are parts of a node itself: to these, calls within calls do not matter.
        return [event.parent if event.parent in nodes else home(event.parent) for event in events]

    @cached_property
    def _homes_of_calls(self) -> dict[str, str | None]:
        homes: dict[str, str | None] = {}
        for call in self.ordered(Requested, Called):
            homes[call.span] = call.parent if call.parent in self.nodes else homes.get(call.parent or "")
        return homes

    @cached_property
    def retries(self) -> Counter[str]:
        """How often each span was tried again, after an error or because its process had ended."""
        # After an error it is tried again when it goes on; but the process may end while it waits for that.
        return Counter(event.span for event in self.of(Retried)) | Counter(event.span for event in self.of(Resumed))

    @cached_property
    def remarks(self) -> dict[str, str]:
        """What was special about a success, by span."""
        rescued = {event.span: f"by {event.by}" for event in self.of(Rescued)}
        reused = {event.span: "kept from an earlier run" for event in self.of(Reused)}
        mended = {event.span: f"mended {', '.join(event.fields)}" for event in self.of(Mended)}
        return {**mended, **reused, **rescued}

    @property
    def tries(self) -> list[int]:
        """Which try of its question each model call was; another model begins anew."""
        if not self.retries:
            return [1] * len(self.of(Requested))
        tries: list[int] = []
        failed: Counter[str | None] = Counter()
        for event in self.ordered(Requested, Retried, Rescued, Responded):
            if isinstance(event, Requested):
                tries.append(1 + failed[event.parent])
            elif isinstance(event, Retried):
                failed[event.span] += 1
            else:
                failed[event.span if isinstance(event, Rescued) else event.parent] = 0
        return tries

    @cached_property
    def waiting(self) -> set[str]:
        """The spans in which all that has begun and not ended waits for a person."""
        standing = Standing()
        for event in self.events if self.of(Asked) else ():
            standing.apply(event)
        return standing.still()

    @cached_property
    def recalled(self) -> dict[str | None, Recalled]:
        """The session that each agent's turn went on with, by the agent's span."""
        return {event.span: event for event in self.of(Recalled)}

    @cached_property
    def session(self) -> str | None:
        """The session that the run belongs to: that it was started in, or that of its first agent with one."""
        return self.session_of(None) or next((event.session for event in self.of(Recalled)), None)

    def session_of(self, node: str | None) -> str | None:
        """Return the session of a node: the one it went on with, or the one that the run was started in."""
        if node in self.recalled:
            return self.recalled[node].session
        root = next(iter(self.nodes.values()), None)
        return root.session if isinstance(root, Started) else None

    @cached_property
    def calls(self) -> Columns:
        """The columns of its model calls, which several tables add up."""
        return calls(self)


def _in_pieces(make: Callable[[Sequence[Any]], Columns], things: Sequence[Any]) -> Columns:
    """Return the columns of many things, made piece by piece: in a third less time than all at once."""
    whole = make(things[:_PIECE])
    for place in range(_PIECE, len(things), _PIECE):
        for name, values in make(things[place : place + _PIECE]).items():
            whole[name] += values
    return whole


def nodes(log: Reading) -> Columns:
    """Return one row a span that started or was skipped."""
    ends = log.last(Succeeded, Failed, Cancelled, Skipped)
    told = _in_pieces(lambda begun: _nodes(begun, ends, log), list(log.nodes.values()))
    return {**told, "node": list(log.names.values()), **_own_sums(log)}


def _nodes(begun: Sequence[Started | Skipped], ends: Mapping[str, Event], log: Reading) -> Columns:
    ended = [ends.get(node.span) for node in begun]
    return {
        "run": [node.run for node in begun],
        "span": [node.span for node in begun],
        "parent": [node.parent for node in begun],
        "kind": [node.of for node in begun],
        "status": [
            end.kind if end else "waiting" if node.span in log.waiting else "running"
            for node, end in zip(begun, ended, strict=True)
        ],
        "reason": [_reason(end, log) for end in ended],
        "attempt": [1 + log.retries[node.span] if isinstance(node, Started) else None for node in begun],
        "started_at": [node.at if isinstance(node, Started) else None for node in begun],
        "duration_s": [
            end.at - node.at if end and isinstance(node, Started) else None
            for node, end in zip(begun, ended, strict=True)
        ],
        "input": [_json(node.input) if isinstance(node, Started) else None for node in begun],
        "output": [_json(end.output) if isinstance(end, Succeeded) else None for end in ended],
        "error_type": [end.error_type if isinstance(end, Failed) else None for end in ended],
        "error": [end.error if isinstance(end, Failed) else None for end in ended],
        "item": [node.item if isinstance(node, Started) else None for node in begun],
    }


def _reason(end: Event | None, log: Reading) -> str | None:
    if isinstance(end, (Skipped, Cancelled)):
        return end.reason
    if isinstance(end, Failed) and end.origin is not None:
        culprit = log.home(end.origin)
        # An error of a node's own model call is the node's own.
        return None if culprit in {None, end.span} else f"failed in {log.names[cast('str', culprit)]}"
    return log.remarks.get(end.span) if isinstance(end, Succeeded) else None


def _own_sums(log: Reading) -> Columns:
    place = {span: place for place, span in enumerate(log.nodes)}
    nobody = len(place)
    places = [place.get(home or "", nobody) for home in log.homes(log.of(Requested))]
    sums = _sums(log.calls, places, nobody + 1, ("input_tokens", "output_tokens"))
    return {name: sums[name][:nobody] for name in ("input_tokens", "output_tokens", "cost_usd")}


def calls(log: Reading) -> Columns:
    """Return one row a model call."""
    ends = log.last(Failed, Cancelled, Responded)
    told = _in_pieces(lambda asked: _calls(asked, ends, log), log.of(Requested))
    return {**told, "attempt": log.tries}


def _calls(asked: Sequence[Requested], ends: Mapping[str, Event], log: Reading) -> Columns:
    ended = [ends.get(call.span) for call in asked]
    homes = log.homes(asked)
    return {
        "run": [call.run for call in asked],
        "span": [call.span for call in asked],
        "node": [log.names.get(home or "") for home in homes],
        "agent": [call.agent for call in asked],
        "provider": [call.provider for call in asked],
        "model": [call.model for call in asked],
        "started_at": [call.at for call in asked],
        "latency_s": [end and end.at - call.at for call, end in zip(asked, ended, strict=True)],
        **_consumed([_counted_end(end) for end in ended]),
        "simulated": [
            call.simulated or (isinstance(end, Responded) and end.simulated)
            for call, end in zip(asked, ended, strict=True)
        ],
        "replayed": [isinstance(end, (Failed, Responded)) and end.replayed for end in ended],
        "error_type": [end.error_type if isinstance(end, Failed) else None for end in ended],
    }


def _counted_end(end: Event | None) -> Responded | Failed | None:
    """Return the end of a call that took something: a reply, or a failure that was counted all the same."""
    counted = isinstance(end, Responded) or (isinstance(end, Failed) and end.usage is not None)
    return cast("Responded | Failed", end) if counted else None


def _finish(end: Responded | Failed) -> str:
    if isinstance(end, Responded):
        return end.finish_reason
    return "content_filter" if end.error_type == "ContentFiltered" else "error"


def _consumed(replies: Sequence[Responded | Failed | None]) -> Columns:
    """Return what each reply took and why it ended; None for all of it where there is none."""
    used = [reply and reply.usage for reply in replies]
    return {
        "first_token_s": [reply.first_token_s if isinstance(reply, Responded) else None for reply in replies],
        "input_tokens": [usage and usage.input_tokens for usage in used],
        "cached_input_tokens": [usage and usage.cached_input_tokens for usage in used],
        "cache_write_tokens": [usage and usage.cache_write_tokens for usage in used],
        "output_tokens": [usage and usage.output_tokens for usage in used],
        "reasoning_tokens": [usage and usage.reasoning_tokens for usage in used],
        "cost_usd": [reply and reply.cost_usd for reply in replies],
        "price_source": [reply and reply.price_source for reply in replies],
        "finish_reason": [reply and _finish(reply) for reply in replies],
        "cached_share": [usage and _cached_share(usage) for usage in used],
        "cached": [isinstance(reply, Responded) and reply.cached for reply in replies],
    }


def _cached_share(usage: Usage) -> float | None:
    cached, whole = usage.cached_input_tokens, usage.input_tokens
    # Some servers report more cached tokens than there were.
    return None if cached is None or not whole else min(cached / whole, 1.0)


def tools(log: Reading) -> Columns:
    """Return one row a tool call."""
    ends = log.last(Failed, Cancelled, Returned)
    return _in_pieces(lambda called: _tools(called, ends, log), log.of(Called))


def _tools(called: Sequence[Called], ends: Mapping[str, Event], log: Reading) -> Columns:
    homes = log.homes(called)
    ended = [ends.get(call.span) for call in called]
    failed = [end if isinstance(end, (Returned, Failed)) and end.error_type is not None else None for end in ended]
    return {
        "run": [call.run for call in called],
        "span": [call.span for call in called],
        "node": [log.names.get(home or "") for home in homes],
        "agent": [log.agents.get(home or "") for home in homes],
        "tool": [call.tool for call in called],
        "arguments": [_json(call.arguments) for call in called],
        "result": [
            _json(end.result) if isinstance(end, Returned) and end.error_type is None else None for end in ended
        ],
        "started_at": [call.at for call in called],
        "duration_s": [end and end.at - call.at for call, end in zip(called, ended, strict=True)],
        "error_type": [error and error.error_type for error in failed],
        "error": [error and error.error for error in failed],
    }


def messages(log: Reading) -> Columns:
    """Return one row a thing said, a part of a reply, or a result."""
    columns: Columns = {name: [] for name in _MESSAGE}
    said = _conversation(log)
    # End to end in one list, because many small tuples would keep the garbage collector busy.
    while values := list(chain.from_iterable(islice(said, _PIECE))):
        for place, name in enumerate(_MESSAGE):
            columns[name] += values[place :: len(_MESSAGE)]
    return {**columns, **_whereabouts(log, columns["seq"])}


def _whereabouts(log: Reading, places: Sequence[int]) -> Columns:
    """Return the session and the branch of the messages at these places of the log."""
    if not log.recalled:
        return {"session": [log.session] * len(places), "branch": ["main"] * len(places)}
    spoken = log.ordered(Said, Responded, Returned)
    homes = {event.seq: log.home(event.parent) for event in spoken}
    agents = [homes[place] for place in places]
    recalled = [log.recalled.get(agent) for agent in agents]
    return {
        "session": list(map(log.session_of, agents)),
        "branch": [event.branch if event else "main" for event in recalled],
    }


def _conversation(log: Reading) -> Iterator[Iterable[Any]]:
    replies: defaultdict[str | None, int] = defaultdict(int)
    asked = {call.span: call for call in log.of(Requested)}
    talk = log.ordered(Said, Responded, Returned)
    for event, agent in zip(talk, log.homes(talk), strict=True):
        if isinstance(event, Said):
            yield _said(event, replies[event.span if event.span in log.nodes else agent] + 1)
        elif isinstance(event, Responded):
            replies[agent] += 1
            yield _reply(event, replies[agent], asked.get(event.span))
        else:
            # Of the turn whose reply asked for it; a tool may also be called before any reply.
            yield _result(event, replies[agent] or 1)


def _said(e: Said, turn: int) -> Iterable[Any]:
    if not e.files:
        return _said_part(e, turn, "text", e.text)
    files = [("file", str(file)) for file in e.files]
    # Files without words are a message too; words that are not there are none.
    parts = [("text", e.text), *files] if e.text else files
    return [value for kind, text in parts for value in _said_part(e, turn, kind, text)]


def _said_part(e: Said, turn: int, kind: str, text: str) -> tuple[Any, ...]:
    return e.run, e.seq, e.at, turn, e.sender, e.role, kind, text, None, None, None


def _reply(e: Responded, turn: int, asked: Requested | None) -> list[Any]:
    role, tokens = e.message.role, e.usage and e.usage.output_tokens
    sender, reply_tool = (asked.agent, asked.reply_tool) if asked else (None, None)
    rows: list[Any] = []
    # A reply without words is a message too, and has its tokens.
    for part in e.message.parts or (Text(text=""),):
        kind, words = _PARTS[type(part)]
        text, tool = words(part), getattr(part, "tool", None)
        if tool is not None and tool == reply_tool:
            tool, kind = None, "text"  # the reply itself, by way of a call
        rows += (e.run, e.seq, e.at, turn, sender, role, kind, text, tool, e.span, tokens)
        tokens = None
    return rows


def _result(e: Returned, turn: int) -> tuple[Any, ...]:
    text = (e.error or e.error_type) if e.error_type is not None else _words(e.result)
    return e.run, e.seq, e.at, turn, e.tool, "tool", "tool_result", text, e.tool, e.span, None


def _words(result: Any) -> str:
    return result if isinstance(result, str) else _json(result)


def events(log: Reading) -> Columns:
    """Return one row an event that lasts."""
    write = {kind: _writer(kind) for kind in {type(event) for event in log.events}}
    return _in_pieces(lambda lasting: _events(lasting, write), log.events)


def states(log: Reading) -> Columns:
    """Return one row a write to a state, in the order of the log."""
    made = log.of(Wrote)
    told = Writes(log.events if made else ())
    counting = {write.seq for opening in told.openings for write in told.of(opening)}
    homes = [log.home(write.span) for write in made]
    return {
        "run": [write.run for write in made],
        "seq": [write.seq for write in made],
        "at": [write.at for write in made],
        "span": [write.span for write in made],
        "node": [log.names.get(home or "") for home in homes],
        "state": [write.state for write in made],
        "channel": [write.channel for write in made],
        "value": [_json(write.value) for write in made],
        "reducer": [write.reducer for write in made],
        "whole": [write.whole for write in made],
        "counts": [write.seq in counting for write in made],
        "checkpoint": [told.ends.get(write.seq) for write in made],
    }


def _events(lasting: Sequence[Event], write: Mapping[type[Event], Callable[..., bytes]]) -> Columns:
    return {
        "run": [event.run for event in lasting],
        "seq": [event.seq for event in lasting],
        "at": [event.at for event in lasting],
        "kind": [event.name if isinstance(event, Unknown) else event.kind for event in lasting],
        "span": [event.span for event in lasting],
        "parent": [event.parent for event in lasting],
        "data": _data(lasting, write),
    }


def _data(log: Sequence[Event], write: Mapping[type[Event], Callable[..., bytes]]) -> list[str]:
    """Return the events' own fields as the log has them: the words of `to_record`, in less than half the time."""
    try:
        return [write[type(event)](event, exclude_defaults=True).decode() for event in log]
    except ValueError:
        return [_json(_own(event)) for event in log]


def _writer(kind: type[Event]) -> Callable[..., bytes]:
    if kind is Unknown:
        return _write_unknown
    return SchemaSerializer(_shape(kind), core_schema.CoreConfig(ser_json_inf_nan="strings")).to_json


def _write_unknown(event: Unknown, **_: bool) -> bytes:
    return _json(event.data).encode()


def _own(event: Event) -> dict[str, Any]:
    return {name: value for name, value in to_record(event).items() if name not in _COMMON}


def _shape(kind: type[Any]) -> core_schema.CoreSchema:
    own = [field for field in dataclasses.fields(kind) if field.name not in _COMMON]
    fields = [core_schema.dataclass_field(field.name, _value(field)) for field in own]
    arguments = core_schema.dataclass_args_schema(kind.__name__, fields)
    return core_schema.dataclass_schema(kind, arguments, [field.name for field in own], slots=True)


def _value(field: dataclasses.Field[Any]) -> core_schema.CoreSchema:
    shape = core_schema.any_schema()
    if field.name == "message":
        shape = _shape(Message)
    elif field.name == "turn":
        shape = core_schema.tuple_variable_schema(_shape(Message))
    elif field.name in ("parts", "files"):
        shape["serialization"] = core_schema.plain_serializer_function_ser_schema(_parts)
    elif field.name == "usage":
        shape = core_schema.nullable_schema(_shape(Usage))
    return (
        shape if field.default is dataclasses.MISSING else core_schema.with_default_schema(shape, default=field.default)
    )


def _parts(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [plain_part(part) for part in parts]


def runs(logs: Iterable[Reading]) -> Columns:
    """Return one row a log that has begun, newest first."""
    begun = [log for log in logs if log.nodes]
    rows = [_run(log) for log in sorted(begun, key=lambda log: log.root.at, reverse=True)]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _run(log: Reading) -> dict[str, Any]:
    root, made = log.root, log.calls
    end = log.last(Succeeded, Failed, Cancelled).get(root.span)
    count = len(made["run"])
    sums = _sums(made, [0] * count, 1)
    return {
        "run": root.run,
        "name": root.name,
        "kind": root.of,
        "status": end.kind if end else "waiting" if root.span in log.waiting else "running",
        "reason": _reason(end, log),
        "started_at": root.at,
        "duration_s": end and end.at - root.at,
        "session": log.session,
        "nodes": len(log.nodes),
        "model_calls": count,
        "tool_calls": len(log.of(Called)),
        **{name: sums[name][0] for name in (*_TOKENS, "cost_usd")},
        "simulated": any(made["simulated"]),
        "replayed": any(made["replayed"]),
        "error_type": end.error_type if isinstance(end, Failed) else None,
        "error": end.error if isinstance(end, Failed) else None,
        "tags": _json(root.tags if isinstance(root, Started) else {}),
    }


def costs(logs: Iterable[Reading], by: Sequence[str]) -> Columns:
    """Return one row a group of model calls, in the order of what they are grouped by."""
    made = _all_calls(logs, (*by, *_SUMMED, "first_token_s", "price_source"))
    found: dict[tuple[Any, ...], int] = {}
    places = [found.setdefault(key, len(found)) for key in zip(*(made[name] for name in by), strict=True)]
    ordered = sorted(found, key=lambda key: [(part is None, part) for part in key])
    grouped = {name: [key[position] for key in ordered] for position, name in enumerate(by)}
    told = {**_sums(made, places, len(found)), **_traits(made, places, len(found))}
    return {**grouped, **{name: [values[found[key]] for key in ordered] for name, values in told.items()}}


def _traits(made: Columns, places: Sequence[int], groups: int) -> Columns:
    """Return what is typical of calls in groups."""
    waits, sources = (_gathered(made[name], places, groups) for name in ("first_token_s", "price_source"))
    return {
        "cached_share": _cached_shares(made, places, groups),
        "first_token_s": [median(values) if values else None for values in waits],
        "price_source": [", ".join(sorted(set(values))) or None for values in sources],
    }


def _gathered(values: Sequence[Any], places: Sequence[int], groups: int) -> list[list[Any]]:
    gathered: list[list[Any]] = [[] for _ in range(groups)]
    for value, place in zip(values, places, strict=True):
        if value is not None:
            gathered[place].append(value)
    return gathered


def _cached_shares(made: Columns, places: Sequence[int], groups: int) -> list[float | None]:
    cached, whole = [0] * groups, [0] * groups
    for part, tokens, place in zip(made["cached_input_tokens"], made["input_tokens"], places, strict=True):
        if part is not None:
            cached[place] += min(part, tokens)
            whole[place] += tokens
    return [part / tokens if tokens else None for part, tokens in zip(cached, whole, strict=True)]


def repriced(log: Reading, quotes: Sequence[Quote]) -> Columns:
    """Return one row a group of model calls and a quote: what they cost, and what they would have cost."""
    made = log.calls
    by = ("agent", "model", "provider")
    was = costs([log], by)
    place = {key: place for place, key in enumerate(zip(*(was[name] for name in by), strict=True))}
    places = [place[key] for key in zip(*(made[name] for name in by), strict=True)]
    simulated = [any(values) for values in _gathered(made["simulated"], places, len(place))]
    others = [_sums({**made, "cost_usd": _charges(made, quote)}, places, len(place))["cost_usd"] for quote in quotes]
    rows = [
        (group, quote, other[group]) for group in range(len(place)) for quote, other in zip(quotes, others, strict=True)
    ]
    return {
        **{name: [values[group] for group, _, _ in rows] for name, values in was.items()},
        "other_model": [quote.model for _, quote, _ in rows],
        "other_provider": [quote.provider for _, quote, _ in rows],
        "other_cost_usd": [other for _, _, other in rows],
        "difference_usd": [_less(other, was["cost_usd"][group]) for group, _, other in rows],
        "price_source": [quote.source for _, quote, _ in rows],
        "simulated": [simulated[group] for group, _, _ in rows],
    }


def _charges(made: Columns, quote: Quote) -> list[float | None]:
    names = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
    consumed = zip(*(made[name] for name in names), strict=True)
    return [
        # Whom nobody had to ask once, nobody has to ask again.
        0.0
        if cached
        else quote.charge(Usage(**dict(zip(names, tokens, strict=True))), at)
        if tokens[0] is not None
        else None
        for tokens, at, cached in zip(consumed, made["started_at"], made["cached"], strict=True)
    ]


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _all_calls(logs: Iterable[Reading], names: Sequence[str]) -> Columns:
    made: Columns = {name: [] for name in names}
    for log in logs:
        for name in made:
            made[name] += _of_calls(log, name)
    return made


def _of_calls(log: Reading, name: str) -> Sequence[Any]:
    match name:
        case "day":
            return [at // _DAY * _DAY for at in log.calls["started_at"]]
        case "session":
            return list(map(log.session_of, log.homes(log.of(Requested))))
        case "tenant":
            return [None] * len(log.calls["run"])
        case _:
            return log.calls[name]


def _sums(made: Columns, places: Sequence[int], groups: int, tokens: Sequence[str] = _TOKENS) -> Columns:
    """Return what calls come to in groups; `places` has the group of each call."""
    counts = _counted(places, places, groups)
    # Only what was counted has a finish reason, and only that has a price that could be unknown.
    answered, priced = (_counted(made[name], places, groups) for name in ("finish_reason", "cost_usd"))
    unpriced = [answers - prices for answers, prices in zip(answered, priced, strict=True)]
    spent = _spent(made["cost_usd"], places, counts)
    return {
        "calls": counts,
        **{name: _added(made[name], places, counts) for name in tokens},
        "cost_usd": [None if lacking else cost for cost, lacking in zip(spent, unpriced, strict=True)],
        "unpriced_calls": unpriced,
    }


def _counted(values: Sequence[Any], places: Sequence[int], groups: int) -> list[int]:
    counts = [0] * groups
    for value, place in zip(values, places, strict=True):
        if value is not None:
            counts[place] += 1
    return counts


def _added(values: Sequence[Any], places: Sequence[int], counts: Sequence[int]) -> list[Any]:
    # Nothing was used where nothing was asked; where nobody reported, it is not known what was.
    totals = [None if count else 0 for count in counts]
    for value, place in zip(values, places, strict=True):
        if value is not None:
            totals[place] = value + (totals[place] or 0)
    return totals


def _spent(costs: Sequence[float | None], places: Sequence[int], counts: Sequence[int]) -> list[float | None]:
    # In whole parts of a dollar so small that none is lost: the same total in whatever order it is added up.
    # A list for each group would do, too; but of many small lists the garbage collector would make much work.
    parts = [None if cost is None else int(cost * _PARTS_OF_A_DOLLAR) for cost in costs]
    return [None if total is None else total / _PARTS_OF_A_DOLLAR for total in _added(parts, places, counts)]


def _json(value: Any) -> str:
    try:
        return to_json(value, fallback=repr, inf_nan_mode="strings").decode()
    except ValueError:
        # Half of a surrogate pair, which some models write: escaped, it is JSON.
        return json.dumps(value, separators=(",", ":"), default=repr)
