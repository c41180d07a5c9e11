"""What to say when a cassette has no answer: what was asked, what comes nearest, and how to get one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from quire.core.errors import CassetteMiss
from quire.run.cassettes.likeness import difference, distance, questions
from quire.run.cassettes.reel import STOPPED, Exchange, Reel, Used

__all__ = ["VARIABLE", "exchange_miss", "tool_miss"]

L = TypeVar("L", Exchange, Used)

VARIABLE = "QUIRE_CASSETTE_MODE"
"""The environment variable that says how cassettes are used."""

_MODE = f'mode="auto" asks and records it; the mode may also come from {VARIABLE}.'


def exchange_miss(reel: Reel, asked: Exchange, *, lacks: str) -> CassetteMiss:
    """Return the error for a request that is not recorded; `lacks` says where there is no key, if that is why."""
    what = f"Nothing recorded in {reel.path.name} answers this request"
    what = f"{what}, and there is no key to ask with." if lacks else f"{what}."
    lines = [line for line in reel.lines() if isinstance(line, Exchange)]
    stopped = [line for line in lines if line.key == asked.key and line.broke == STOPPED]
    if stopped:
        near = f"Line {reel.number_of(stopped[-1])} begins one, but its reader went away before its end."
    else:
        near = _nearest(reel, lines, asked, _told)
    return CassetteMiss(f"{what}\n{near}", remedy=f"Set {lacks} to record it." if lacks else _MODE)


def tool_miss(reel: Reel, asked: Used) -> CassetteMiss:
    """Return the error for a tool's call that is not recorded."""
    what = f"Nothing recorded in {reel.path.name} says what {asked.tool} gave for these arguments."
    lines = [line for line in reel.lines() if isinstance(line, Used) and line.tool == asked.tool]
    return CassetteMiss(f"{what}\n{_nearest(reel, lines, asked, lambda line: line.arguments)}", remedy=_MODE)


def _told(line: Exchange) -> Any:
    body = questions(line.body)
    return {"url": line.url, **(cast("dict[str, Any]", body) if isinstance(body, dict) else {"body": body})}


def _nearest(reel: Reel, lines: Sequence[L], asked: L, told: Callable[[L], Any]) -> str:
    if not lines:
        return "Nothing of its kind is recorded there."
    here = told(asked)
    best = min(lines, key=lambda line: distance(told(line), here))
    differs = difference(told(best), here).replace("\n", "\n  ")
    return f"The nearest, line {reel.number_of(best)}, differs here:\n  {differs}"
