"""What the inspector says about one node of a run, gathered from the log when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from quire.core.events import (
    Called,
    Cancelled,
    Event,
    Failed,
    Requested,
    Responded,
    Resumed,
    Retried,
    Returned,
    Said,
    Started,
    Succeeded,
    Wrote,
)
from quire.core.messages import Message, Text
from quire.core.schema import render
from quire.log.log import within
from quire.views import words
from quire.views.live import RunFold, failure
from quire.views.questions import QuestionsFold
from quire.views.shapes import Attempt, Details, Item, NodeState, Payload, PromptMessage, RunError, ToolUse
from quire.views.strip import answered, ways
from quire.views.talk import pretty

__all__ = ["details"]

_MOST = 200
"""Items of a fan-out that an inspector lists."""
_WIDEST = 80
"""Characters of what was written that an inspector shows."""


def details(events: Sequence[Event], node: str) -> Details | None:
    """Return everything known about a node of the run's graph; `None` for a node the graph does not have."""
    fold = RunFold()
    for event in events:
        fold.apply(event)
    snapshot = fold.snapshot()
    known = {part["id"]: part for part in snapshot["graph"]["nodes"]}
    if node not in known:
        return None
    state, part = snapshot["nodes"][node], known[node]
    own = fold.span_of(node)
    inside = _inside(events, own)
    started = next((event for event in inside if isinstance(event, Started)), None)
    above = [snapshot["head"]["name"]] if events and own != events[0].span else []
    found = Details(
        node=node,
        title=part["title"],
        kind=part["kind"],
        status=state["status"],
        before=_before(events, own),
        path=" › ".join([*above, *node.split("/")]),
        reason=state["reason"],
        input=_input(inside, started),
        output=_output(inside, started, own),
        prompt=_prompt(inside),
        reply=_reply(inside),
        tools=_tools(inside),
        attempts=_attempts(inside, own, state),
        facts=_facts(inside, state),
        error=_error(events, inside, own),
    )
    items = _items(inside, own)
    if items:
        found["items"], found["items_total"] = _shown(items), len(items)
    return found


def _before(events: Sequence[Event], own: str | None) -> int | None:
    """Return the place in the log just before a span began, for a fork in which it runs anew."""
    begun = next((event for event in events if event.span == own), None)
    # The first event of a run is the run itself: nothing comes before it, and nothing had ended with it.
    return None if begun is None else max(begun.seq - 1, 1)


def _attempts(inside: list[Event], own: str | None, state: NodeState) -> list[Attempt]:
    """Return every try of a node: those that failed before, and the last."""
    began = state["started_at"]
    attempts: list[Attempt] = []
    for event in inside:
        if isinstance(event, Retried) and event.span == own:
            seconds = None if began is None else event.at - began
            error = f"{event.error_type}: {event.error}"
            attempts.append(Attempt(attempt=event.attempt, status="failed", seconds=seconds, error=error))
        elif isinstance(event, Resumed) and event.span == own:
            began = event.at
    ended = state["ended_at"]
    seconds = None if began is None or ended is None else ended - began
    last = Attempt(attempt=len(attempts) + 1, status=state["status"], seconds=seconds, error=state["reason"])
    return [*attempts, last]


def _items(inside: list[Event], own: str | None) -> list[Item]:
    """Return the items of a fan-out, in the order in which they began."""
    items: dict[str, Item] = {}
    began: dict[str, float] = {}
    for event in inside:
        if isinstance(event, Started) and event.parent == own and event.item is not None:
            began[event.span] = event.at
            items[event.span] = Item(
                item=event.item, status="running", input=pretty(event.input), output=None, error=None, seconds=None
            )
        elif event.span in items and isinstance(event, Succeeded | Failed | Cancelled):
            items[event.span].update(_end_of_item(event, event.at - began[event.span]))
    return list(items.values())


def _end_of_item(event: Succeeded | Failed | Cancelled, seconds: float) -> Any:
    match event:
        case Succeeded():
            return {"status": "succeeded", "output": pretty(event.output), "seconds": seconds}
        case Failed():
            return {"status": "failed", "error": f"{event.error_type}: {event.error}", "seconds": seconds}
        case Cancelled():
            return {"status": "cancelled", "error": event.reason, "seconds": seconds}


def _shown(items: list[Item]) -> list[Item]:
    """Return the first items, and as many of the later ones that failed: a page of 10,000 helps nobody."""
    failed = [item for item in items[_MOST:] if item["status"] == "failed"]
    return [*items[:_MOST], *failed[:_MOST]]


def _inside(events: Sequence[Event], span: str | None) -> list[Event]:
    """Return the events of a span and of everything below it, in order."""
    if span is None:
        return []
    return list(filter(within(span), events))


def _input(inside: list[Event], started: Started | None) -> Payload | None:
    if started is not None:
        return Payload(type=started.input_type, text=pretty(started.input))
    called = next((event for event in inside if isinstance(event, Called)), None)
    return None if called is None else Payload(type="arguments", text=pretty(called.arguments))


def _output(inside: list[Event], started: Started | None, own: str | None) -> Payload | None:
    for event in reversed(inside):
        if isinstance(event, Succeeded) and event.span == own and started is not None:
            return Payload(type=started.output_type, text=pretty(event.output))
        if isinstance(event, Returned) and event.span == own and event.error_type is None:
            return Payload(type="result", text=pretty(event.result))
    return None


def _prompt(inside: list[Event]) -> list[PromptMessage]:
    """Return the words of the last model call's prompt: everything said before it."""
    last = max((index for index, event in enumerate(inside) if isinstance(event, Requested)), default=-1)
    agent = inside[last].parent if last >= 0 else None
    prompt: list[PromptMessage] = []
    reply_tools = _reply_tools(inside)
    for event in inside[: max(last, 0)]:
        if event.parent == agent and isinstance(event, Said):
            said = PromptMessage(role=event.role, text=_said(event))
            # Instructions are worded anew for another model, or when the server refused a request.
            prompt = [said, *prompt[1:]] if event.role == "system" else [*prompt, said]
        elif event.parent == agent and isinstance(event, Responded):
            prompt.append(PromptMessage(role="assistant", text=_spoken(event.message, reply_tools.get(event.span))))
        elif event.parent == agent and isinstance(event, Returned):
            prompt.append(PromptMessage(role="tool", text=pretty(event.error if event.error_type else event.result)))
    return prompt


def _said(event: Said) -> str:
    return "\n".join(filter(None, (event.text, *(f"[{file}]" for file in event.files))))


def _spoken(message: Message, reply_tool: str | None) -> str:
    lines = [part.text if isinstance(part, Text) else "" for part in message.parts]
    lines += [part.arguments if part.tool == reply_tool else f"{part.tool}({part.arguments})" for part in message.calls]
    return "\n".join(line for line in lines if line)


def _reply(inside: list[Event]) -> str | None:
    last = next((event for event in reversed(inside) if isinstance(event, Responded)), None)
    return None if last is None else _spoken(last.message, _reply_tools(inside).get(last.span))


def _reply_tools(inside: list[Event]) -> dict[str, str | None]:
    """Return the tool whose call is the reply, by the span of the model call."""
    return {event.span: event.reply_tool for event in inside if isinstance(event, Requested)}


def _tools(inside: list[Event]) -> list[ToolUse]:
    ends = {event.span: event for event in inside if isinstance(event, Returned | Failed | Cancelled)}
    return [_tool_use(event, ends.get(event.span)) for event in inside if isinstance(event, Called)]


def _tool_use(called: Called, end: Event | None) -> ToolUse:
    return ToolUse(
        tool=called.tool,
        arguments=pretty(called.arguments),
        result=pretty(end.result) if isinstance(end, Returned) and end.error_type is None else None,
        error=_tool_error(end),
        seconds=None if end is None else end.at - called.at,
    )


def _tool_error(end: Event | None) -> str | None:
    match end:
        case Returned(error_type=str()) | Failed():
            return f"{end.error_type}: {end.error}"
        case Cancelled():
            return f"cancelled: {end.reason}"
        case _:
            return None


def _seconds(state: NodeState) -> float | None:
    if state["started_at"] is None or state["ended_at"] is None:
        return None
    return state["ended_at"] - state["started_at"]


def _facts(inside: list[Event], state: NodeState) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    requested = next((event for event in inside if isinstance(event, Requested)), None)
    if requested is not None:
        facts.append(("model", requested.model))
        facts.append(("tokens", _tokens(inside)))
        facts.append(("cost", words.money(state["cost_usd"], simulated=state["simulated"])))
    facts.extend(_asked(inside))
    facts.extend(_written(inside))
    seconds = _seconds(state)
    if seconds is not None:
        facts.append(("time", words.seconds(seconds)))
    return facts


def _asked(inside: list[Event]) -> list[tuple[str, str]]:
    """Return what a person was asked in it, and the answers."""
    fold = QuestionsFold()
    for event in inside:
        fold.apply(event, lambda _: None)
    return [("asked", f"{one['text']} {answered(one) or ways(one)}") for one in fold.shown.values()]


def _written(inside: list[Event]) -> list[tuple[str, str]]:
    """Return what was written to the run's state, the last of each channel."""
    last: dict[str, Wrote] = {}
    counts = Counter[str]()
    for event in inside:
        if isinstance(event, Wrote) and not event.whole:
            last[event.channel] = event
            counts[event.channel] += 1
    found: list[tuple[str, str]] = []
    for channel, event in last.items():
        text = render(event.value)
        shown = text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
        found.append((f"wrote {channel}", f"{shown} ({counts[channel]} times)" if counts[channel] > 1 else shown))
    return found


def _tokens(inside: list[Event]) -> str:
    usages = [event.usage for event in inside if isinstance(event, Responded | Failed) and event.usage is not None]
    if not usages:
        return "not reported"
    cached = sum(usage.cached_input_tokens or 0 for usage in usages)
    went_in = words.tokens(sum(usage.input_tokens for usage in usages))
    came_out = words.tokens(sum(usage.output_tokens for usage in usages))
    share = f", {words.tokens(cached)} of them cached" if cached else ""
    return f"{went_in} in{share}; {came_out} out"


def _error(events: Sequence[Event], inside: list[Event], own: str | None) -> RunError | None:
    failed = next((event for event in inside if isinstance(event, Failed) and event.span == own), None)
    if failed is None:
        return None
    origins: dict[Any, Failed] = {event.span: event for event in events if isinstance(event, Failed)}
    return failure(failed, origins.get(failed.origin))
