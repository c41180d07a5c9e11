"""What a flow would do and cost, told before it is run: the plan, the gates, and an estimate with its range.

The estimate rests on earlier runs of the same flow where there are any, node by node, and on the size
of the prompts where there are none. What nobody can know is said to be unknown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

from quire.core.events import Event, Responded, Started
from quire.core.schema import render
from quire.core.usage import Usage
from quire.views import words
from quire.views.rows import Reading

__all__ = ["UNKNOWN", "Estimate", "Forecast", "History", "Range", "history_of"]

UNKNOWN: Any = object()
"""Stands for a value that only a run can make."""

_CHARACTERS = 4
"""Characters a token, about, in English (OpenAI's own rule of thumb)."""
_UNSEEN = 800
"""Characters assumed of an input that only a run can make."""
_REPLY = (20, 200, 800)
"""Tokens assumed of a reply nobody has seen: at least, likely, at most without a `max_tokens`."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number that is not known yet: at least, likely, at most."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, other: Range) -> Range:
        """Return so many times this."""
        return Range(self.low * other.low, self.likely * other.likely, self.high * other.high)


ONCE = Range(1, 1, 1)
NOTHING = Range(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one node of a flow is expected to consume."""

    node: str
    """Its path, as in `run.nodes`."""
    kind: str
    calls: Range = NOTHING
    """Model calls."""
    input_tokens: Range = NOTHING
    output_tokens: Range = NOTHING
    cost_usd: Range | None = NOTHING
    """`None` when the model has no known price."""
    rests_on: str = ""
    """Where the numbers come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A flow's plan, its gates and what it is expected to cost; printed, it reads as a table."""

    flow: str
    estimates: tuple[Estimate, ...]
    gates: tuple[tuple[str, str], ...]
    """Each gate and what it said."""
    runs: int = 0
    """How many earlier runs it rests on."""

    @property
    def cost_usd(self) -> Range | None:
        """The cost of everything, in US dollars; `None` if a model on the way has no known price."""
        total = NOTHING
        for estimate in self.estimates:
            if estimate.cost_usd is None:
                return None
            total += estimate.cost_usd
        return total

    @property
    def tokens(self) -> Range:
        """All tokens, in and out."""
        total = NOTHING
        for estimate in self.estimates:
            total += estimate.input_tokens + estimate.output_tokens
        return total

    def __str__(self) -> str:
        lines = [f"{self.flow}: {_cost_words(self.cost_usd)}, {_span(self.tokens, words.tokens)} tokens"]
        lines += [f"  {_line(estimate)}" for estimate in self.estimates]
        lines += [f"  {gate}: {said}" for gate, said in self.gates]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(slots=True)
class History:
    """What the nodes of earlier runs consumed, by path: calls, tokens in, tokens out, dollars."""

    runs: int = 0
    nodes: dict[str, list[tuple[int, int, int, float | None]]] = field(
        default_factory=lambda: defaultdict[str, list[tuple[int, int, int, float | None]]](list)
    )


def history_of(flow: str, logs: Iterable[Sequence[Event]], most: int = 20) -> History:
    """Return what earlier runs of a flow consumed, the latest `most` of them."""
    history = History()
    for log in logs:
        if log and isinstance(log[0], Started) and log[0].name == flow and history.runs < most:
            history.runs += 1
            _add(history, Reading(log))
    return history


def _add(history: History, log: Reading) -> None:
    sums: dict[str, tuple[int, int, int, float | None]] = dict.fromkeys(log.names.values(), (0, 0, 0, 0.0))
    for answer in log.of(Responded):
        path = log.names.get(log.home(answer.parent) or "", "")
        calls, went_in, came_out, cost = sums.get(path, (0, 0, 0, 0.0))
        used = answer.usage or Usage(input_tokens=0, output_tokens=0)
        paid = None if cost is None or answer.cost_usd is None else cost + answer.cost_usd
        sums[path] = (calls + 1, went_in + used.input_tokens, came_out + used.output_tokens, paid)
    for path, consumed in sums.items():
        history.nodes[path].append(consumed)


def from_history(node: str, kind: str, history: History) -> Estimate | None:
    """Return what a node consumed in earlier runs; `None` if it was not in any."""
    seen = history.nodes.get(node)
    if not seen:
        return None
    costs = [cost for *_, cost in seen if cost is not None]
    return Estimate(
        node=node,
        kind=kind,
        calls=_range([calls for calls, *_ in seen]),
        input_tokens=_range([went_in for _, went_in, *_ in seen]),
        output_tokens=_range([came_out for _, _, came_out, _ in seen]),
        cost_usd=_range(costs) if len(costs) == len(seen) else None,
        rests_on=f"{len(seen)} earlier run{'s' if len(seen) > 1 else ''}",
    )


def from_prompt(
    node: str,
    prompt: str,
    value: Any,
    *,
    calls: Range,
    max_tokens: int | None,
    price: Callable[[Usage], float | None],
) -> Estimate:
    """Return what a node's model calls will consume, told from the size of its prompt."""
    known = value is not UNKNOWN
    size = len(prompt) + (len(render(value)) if known else _UNSEEN)
    went_in = math.ceil(size / _CHARACTERS)
    least, likely, most = _REPLY
    replies = Range(least, likely, max_tokens or most)
    tokens_in = Range(went_in if known else len(prompt) / _CHARACTERS, went_in, went_in * (1 if known else 4))
    bounds = [
        price(Usage(input_tokens=round(i), output_tokens=round(o)))
        for i, o in (
            (tokens_in.low, replies.low),
            (tokens_in.likely, replies.likely),
            (tokens_in.high, replies.high),
        )
    ]
    paid = [bound for bound in bounds if bound is not None]
    return Estimate(
        node=node,
        kind="agent",
        calls=calls,
        input_tokens=tokens_in.times(calls),
        output_tokens=replies.times(calls),
        cost_usd=Range(*paid).times(calls) if len(paid) == len(bounds) else None,
        rests_on="its prompt and this input" if known else "its prompt; the input is not known yet",
    )


def items_in(value: Any) -> Range:
    """Return how many items a fan-out will have."""
    return Range(len(value), len(value), len(value)) if value is not UNKNOWN and isinstance(value, Sized) else ONCE


def seen_inside(node: str, kind: str, history: History) -> Estimate:
    """Return what a node without a model of its own consumed through what it called."""
    paths = [path for path in history.nodes if path == node or path.startswith(f"{node}/")]
    inside = [found for path in paths if (found := from_history(path, kind, history)) is not None]
    if not any(estimate.calls.high for estimate in inside):
        return Estimate(node=node, kind=kind)
    costs = [estimate.cost_usd for estimate in inside]
    return Estimate(
        node=node,
        kind=kind,
        calls=total(estimate.calls for estimate in inside),
        input_tokens=total(estimate.input_tokens for estimate in inside),
        output_tokens=total(estimate.output_tokens for estimate in inside),
        cost_usd=None if None in costs else total(cost for cost in costs if cost is not None),
        rests_on=f"{history.runs} earlier run{'s' if history.runs > 1 else ''}",
    )


def total(ranges: Iterable[Range]) -> Range:
    """Return the sum of ranges."""
    result = NOTHING
    for one in ranges:
        result += one
    return result


def scaled(estimates: Iterable[Estimate], times: Range, note: str = "") -> list[Estimate]:
    """Return estimates of something that happens so many times."""
    return [
        Estimate(
            node=estimate.node,
            kind=estimate.kind,
            calls=estimate.calls.times(times),
            input_tokens=estimate.input_tokens.times(times),
            output_tokens=estimate.output_tokens.times(times),
            cost_usd=None if estimate.cost_usd is None else estimate.cost_usd.times(times),
            rests_on=", ".join(part for part in (estimate.rests_on, note) if part),
        )
        for estimate in estimates
    ]


def _range(numbers: Sequence[float]) -> Range:
    return Range(min(numbers), sum(numbers) / len(numbers), max(numbers)) if numbers else NOTHING


def _line(estimate: Estimate) -> str:
    if estimate.calls.high == 0:
        return f"{estimate.node}: {estimate.kind}, no model"
    calls = _span(estimate.calls, lambda n: f"{n:g}")
    tokens = _span(estimate.input_tokens + estimate.output_tokens, words.tokens)
    cost = _cost_words(estimate.cost_usd)
    plural = "" if calls == "1" else "s"
    return f"{estimate.node}: {calls} model call{plural}, {tokens} tokens, {cost} ({estimate.rests_on})"


def _cost_words(cost: Range | None) -> str:
    return "unpriced" if cost is None else _span(cost, words.money)


def _span(numbers: Range, say: Callable[[Any], str]) -> str:
    """Return a range in words: the likely number, then its bounds if they differ."""
    low, likely, high = (
        say(round(n) if say is words.tokens else n) for n in (numbers.low, numbers.likely, numbers.high)
    )
    return likely if low == high else f"{likely} ({low} to {high})"
