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


def compared(
    timings: Mapping[str, Timing | None], anchor: str | None, goals: Mapping[str, AtMost], *, peers: Sequence[str] = ()
) -> list[Line]:
    """Set timings side by side; `peers` are those whose missing is worth a line, else every contender's is."""
    against = timings.get(anchor) if anchor else None
    lines: list[Line] = []
    for name, timing in timings.items():
        if timing is None:
            if not peers or name in peers:
                lines.append(Line(name=name, figure="not installed"))
            continue
        ratio = f"{timing.ratio(against):.2f} x" if against is not None else ""
        goal = goals[name].judge(timing, against) if name in goals else None
        lines.append(Line(name=name, figure=in_words(timing.median), best=in_words(timing.best), ratio=ratio, goal=goal))
    return lines


def in_words(seconds: float) -> str:
    """Write a time with three figures and the unit that suits it."""
    scale, unit = next(((scale, unit) for scale, unit in _UNITS if seconds >= scale), _UNITS[-1])
    return f"{seconds / scale:.3g} {unit}" if seconds < 1000 * scale else f"{seconds / scale:,.0f} {unit}"


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
        "  " + "   ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]
