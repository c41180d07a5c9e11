"""What was measured, as one calm table a piece of work, and a last one that says which goals were met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.rounds import Timing

__all__ = ["AtMost", "Goal", "Line", "Table", "compared", "in_words", "summary"]

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


@dataclass(frozen=True)
class Goal:
    """A goal in words, and whether it was met."""

    words: str
    met: bool

    @property
    def verdict(self) -> str:
        """One word."""
        return "met" if self.met else "MISSED"


@dataclass(frozen=True, kw_only=True)
class AtMost:
    """A goal for a time: so many seconds, or so many times the anchor's."""

    seconds: float | None = None
    times: float | None = None

    def judge(self, timing: Timing, anchor: Timing | None) -> Goal | None:
        """Return how it went; `None` if there is no anchor to compare with."""
        if self.seconds is not None:
            return Goal(f"<= {in_words(self.seconds)}", timing.median <= self.seconds)
        if self.times is None or anchor is None:
            return None
        return Goal(f"<= {self.times:g} x", timing.ratio(anchor) <= self.times)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One contender, or one figure, in a table."""

    name: str
    figure: str
    best: str = ""
    ratio: str = ""
    goal: Goal | None = None


@dataclass(kw_only=True)
class Table:
    """What was measured of one piece of work."""

    work: str
    how: str
    lines: list[Line]
    notes: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        rows = [("", "median", "best", "ratio", "goal", "")]
        rows += [_cells(line) for line in self.lines]
        return "\n".join([self.work, f"  {self.how}", *_aligned(rows), *(f"  {note}" for note in self.notes)])


def compared(timings: Mapping[str, Timing | None], anchor: str, goals: Mapping[str, AtMost]) -> list[Line]:
    """Set timings side by side, with their ratios to the anchor's where it is installed."""
    return [_compared(name, timing, timings.get(anchor), goals.get(name)) for name, timing in timings.items()]


def _compared(name: str, timing: Timing | None, anchor: Timing | None, goal: AtMost | None) -> Line:
    if timing is None:
        return Line(name=name, figure="not installed")
    return Line(
        name=name,
        figure=in_words(timing.median),
        best=in_words(timing.best),
        ratio=f"{timing.ratio(anchor):.2f} x" if anchor else "",
        goal=goal.judge(timing, anchor) if goal else None,
    )


def in_words(seconds: float) -> str:
    """Write a time with three figures and the unit that suits it."""
    scale, unit = next(((scale, unit) for scale, unit in _UNITS if seconds >= scale), _UNITS[-1])
    value = seconds / scale
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f} {unit}"


def summary(tables: Iterable[Table]) -> str:
    """Return every goal and how it went."""
    rows = [("", "ours", "ratio", "goal", "")]
    for table in tables:
        for line in table.lines:
            if line.goal is not None:
                name = f"{table.work}: {line.name}"
                rows.append((name, line.figure, line.ratio, line.goal.words, line.goal.verdict))
    return "\n".join(["Goals", *_aligned(rows)])


def _cells(line: Line) -> tuple[str, ...]:
    goal = (line.goal.words, line.goal.verdict) if line.goal else ("", "")
    return (line.name, line.figure, line.best, line.ratio, *goal)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "   ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]
