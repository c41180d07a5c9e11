"""The branches of a session as an SVG, and the browser of sessions as it stays in a saved notebook.

The look is that of the live view. Of what is very long, the end is drawn: a notebook is a document, the log is the
archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from quire.views import words
from quire.views.browsing import Branch, SessionRow, SessionsSnapshot, Tree
from quire.views.paper import SANS, fit, image, number, scope_of, style, text_width
from quire.views.prose import one_line, safe

__all__ = ["sessions_html", "sessions_text", "tree_svg"]

_LEFT, _RIGHT, _TOP, _ROW, _FOOT = 168, 40, 28, 44, 52
"""Where the first message is from the left, and what is kept free on the other sides; from one branch to the next."""
_LABEL = 160
"""The most that the name of a checkpoint takes after the last message."""
_STEP, _WIDEST = 60, 930
"""From one message to the next, where there is room for that."""
_COLUMNS, _ROWS, _LISTED = 36, 20, 20
"""The most that are drawn: messages, branches, sessions."""
_FLAG = "M4.5 2h7v12L8 11l-3.5 3z"

_FORM = (
    ("text", f"font:11px {SANS};font-variant-numeric:tabular-nums"),
    (".name", f"font:12px {SANS}"),
    (".going.name", "font-weight:600"),
    (".line", "fill:none;stroke-width:1.5"),
    (".going.line", "stroke-width:2"),
    (".dot,.next", "stroke-width:1.5"),
    (".hidden", "stroke-dasharray:1.5 2"),
    (".next", "fill:none;stroke-dasharray:2.2 2.51"),
)
_COLORS = (
    (".paper", "fill:{paper}"),
    ("text", "fill:{soft}"),
    (".name,.mark", "fill:{text}"),
    (".going.name,.flag", "fill:{ink}"),
    (".line", "stroke:{stroke}"),
    (".going.line", "stroke:{ink}"),
    (".axis", "stroke:{line}"),
    (".dot", "fill:{paper};stroke:{stroke}"),
    (".dot.going", "fill:{ink};stroke:{ink}"),
    (".dot.hidden", "fill:{paper}"),
    (".dot.end", "fill:{stroke}"),
    (".dot.going.end", "fill:{accent};stroke:{accent}"),
    (".next", "stroke:{accent}"),
)


def tree_svg(tree: Tree) -> str:
    """Draw a session's branches as one self-contained SVG, for light and for dark.

    Example:
        >>> from quire.views.browsing import tree
        >>> from quire.views.session import SessionFold
        >>> tree_svg(tree(SessionFold("empty")))[:4]
        '<svg'
    """
    plan = _plan(tree)
    body = "".join((*_axis(plan), *_lines(plan), *_dots(plan), *_names(plan), *_flags(plan)))
    scope = scope_of(tree["session"] + body)
    size = f'width="{number(plan.width)}" height="{number(plan.height)}"'
    told = "\n".join(_branches_text(tree))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{scope}" role="img" aria-labelledby="{scope}-t {scope}-d" '
        f'viewBox="0 0 {number(plan.width)} {number(plan.height)}" {size}>'
        f'<title id="{scope}-t">Branches of {safe(tree["session"])}</title><desc id="{scope}-d">{safe(told)}</desc>'
        f'<style>{style(f".{scope}", _FORM, _COLORS)}</style><rect class="paper" {size}/>{body}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything is."""

    tree: Tree
    rows: list[Branch]
    first: int
    last: int
    """The messages that are drawn."""
    step: float

    @property
    def width(self) -> float:
        return max(360.0, self.x(self.last) + self.right)

    @property
    def right(self) -> float:
        """What is kept free at the right: the name of a checkpoint may stand there."""
        ends = [mark["name"] for mark in self.tree["checkpoints"] if mark["message"] == self.last]
        return max(_RIGHT, *(min(_LABEL, 24 + text_width(one_line(name))) for name in ends), 0)

    @property
    def height(self) -> float:
        return self.y(len(self.rows) - 1) + _FOOT

    def x(self, message: int) -> float:
        """Where a message is from the left; what is not drawn begins a little before what is."""
        return _LEFT + max(message - self.first, -0.5) * self.step

    def y(self, row: int) -> float:
        """How far down a row is."""
        return _TOP + row * _ROW

    def row_of(self, branch: str) -> int | None:
        """Which row shows a branch, if any does."""
        return next((at for at, row in enumerate(self.rows) if row["branch"] == branch), None)


def _plan(tree: Tree) -> _Plan:
    latest = tree["branches"][-_ROWS:]
    going = [row for row in tree["branches"] if row["branch"] == tree["head"] and row not in latest]
    rows = [*going, *latest[len(going) :]]
    last = max(1, *(row["last"] for row in rows), *(row["first"] for row in rows if row["branch"] == tree["head"]))
    first = max(1, last - _COLUMNS + 1)
    step = min(_STEP, (_WIDEST - _LEFT - _RIGHT) / max(1, last - first))
    seen = [row for row in rows if row["last"] >= first or row["branch"] == tree["head"]]
    return _Plan(tree, seen, first, last, step)


def _axis(plan: _Plan) -> Iterator[str]:
    y = plan.y(len(plan.rows) - 1) + 44
    yield f'<text x="16" y="{number(y)}">message</text>'
    yield f'<path class="line axis" d="M{number(plan.x(plan.first))} {number(y - 16)}H{number(plan.x(plan.last))}"/>'
    room = 7 * len(f"{plan.last}") + 6
    every = next(step for step in (1, 2, 5, 10) if step * plan.step >= room or step == 10)  # noqa: PLR2004
    for message in range(plan.first, plan.last + 1):
        if message % every == 0:
            yield f'<text x="{number(plan.x(message))}" y="{number(y)}" text-anchor="middle">{message}</text>'


def _lines(plan: _Plan) -> Iterator[str]:
    """Paint the branches that were left first, so that the one that goes on is on top."""
    painted = [line for at, row in enumerate(plan.rows) for line in _line(plan, at, row)]
    yield from (f'<path class="line" d="{path}"/>' for going, path in painted if not going)
    yield from (f'<path class="line going" d="{path}"/>' for going, path in painted if going)


def _line(plan: _Plan, at: int, row: Branch) -> Iterator[tuple[bool, str]]:
    """Yield the stretches of a branch's line, and whether they belong to the one that goes on."""
    y, head = plan.y(at), row["branch"] == plan.tree["head"]
    source = plan.row_of(row["origin"]["name"]) if row["origin"] and row["first"] > 1 else None
    if source is not None and row["origin"] and row["first"] > plan.first:
        from_x, from_y, to_x = plan.x(row["first"] - 1), plan.y(source), plan.x(row["first"])
        bend = plan.step / 60
        curve = f"C{number(from_x + 28 * bend)} {number(from_y)} {number(from_x + 14 * bend)} {number(y)}"
        yield (
            head or row["going"] >= row["first"],
            f"M{number(from_x)} {number(from_y)}{curve} {number(to_x)} {number(y)}",
        )
    going = min(row["last"], row["going"])
    for part, (begin, end) in {True: (row["first"], going), False: (max(going, row["first"]), row["last"])}.items():
        if max(begin, plan.first - 1) < end:
            yield part, f"M{number(plan.x(begin))} {number(y)}H{number(plan.x(end))}"


def _dots(plan: _Plan) -> Iterator[str]:
    head = next(row for row in plan.rows if row["branch"] == plan.tree["head"])
    for at, row in enumerate(plan.rows):
        y = number(plan.y(at))
        for message in range(max(row["first"], plan.first), row["last"] + 1):
            going, end = message <= row["going"], message == row["last"] and (row is head or row["going"] < row["last"])
            hidden = message <= (head if going else row)["hidden"]
            told = [name for name, so in {"going": going, "hidden": hidden, "end": end}.items() if so]
            radius = 5 if end else 3.5
            yield f'<circle class="{" ".join(["dot", *told])}" cx="{number(plan.x(message))}" cy="{y}" r="{radius}"/>'
        if row["last"] < row["first"] and row is head:
            yield f'<circle class="next" cx="{number(plan.x(row["first"]))}" cy="{y}" r="5"/>'


def _names(plan: _Plan) -> Iterator[str]:
    for at, row in enumerate(plan.rows):
        going = " going" if row["branch"] == plan.tree["head"] else ""
        name = safe(fit(one_line(row["branch"]), _LEFT - 48))
        yield f'<text class="name{going}" x="16" y="{number(plan.y(at) + 4)}">{name}</text>'


def _flags(plan: _Plan) -> Iterator[str]:
    """Paint the checkpoints; several at one place share a flag."""
    named: dict[tuple[int, int], list[str]] = {}
    for mark in plan.tree["checkpoints"]:
        row = plan.row_of(mark["branch"])
        if row is not None and mark["message"] >= plan.first:
            named.setdefault((row, mark["message"]), []).append(one_line(mark["name"]))
    for (row, message), names in named.items():
        x, y = plan.x(message), plan.y(row)
        after = min((other for line, other in named if line == row and other > message), default=None)
        label = fit(", ".join(names), (plan.x(after) if after else plan.width) - x - 20)
        wide = number(text_width(label) + 4)
        yield f'<path class="flag" transform="translate({number(x - 6)} {number(y - 26)}) scale(.75)" d="{_FLAG}"/>'
        yield f'<rect class="paper" x="{number(x + 6)}" y="{number(y - 26)}" width="{wide}" height="14"/>'
        yield f'<text class="mark" x="{number(x + 8)}" y="{number(y - 16)}">{safe(label)}</text>'


# --- HTML and text ---


def sessions_html(shown: SessionsSnapshot) -> str:
    """Write the browser as the HTML of a saved cell: only what sanitizers keep.

    Example:
        >>> sessions_html({"kind": "sessions", "only": "trip", "rows": [], "tree": None})[:38]
        '<p><b>There is no session trip.</b><br'
    """
    tree = shown["tree"]
    if tree is None:
        missing, line = _nothing(shown)
        return f"<p><b>{safe(missing)}</b><br><code>{safe(line)}</code></p>"
    parts = [] if shown["only"] is not None else [_list_html(shown["rows"])]
    parts.append(f"<p><b>{safe(tree['session'])}</b> {safe(_spent(tree))}</p>")
    parts.append(image(tree_svg(tree), f"Branches of {tree['session']}"))
    names = ("branch", "forked at", "messages", "cost", "last message")
    parts.append(_table(names, [_branch_cells(branch) for branch in tree["branches"]]))
    return "\n".join(parts)


def _list_html(rows: list[SessionRow]) -> str:
    cells = [(row["session"], _about(row), _when(row["last_at"])) for row in rows[:_LISTED]]
    more = f"<p>{words.count(len(rows) - _LISTED, 'more session')}</p>" if len(rows) > _LISTED else ""
    return f"<p><b>Sessions</b></p>\n{_table(('session', 'about', 'last used, UTC'), cells)}{more}"


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def sessions_text(shown: SessionsSnapshot) -> str:
    """Write the browser as plain text.

    Example:
        >>> print(sessions_text({"kind": "sessions", "only": None, "rows": [], "tree": None}))
        No session is kept here yet.
          await agent.execute("Hello.", session="trip")
    """
    tree, rows = shown["tree"], shown["rows"]
    if tree is None:
        return "\n  ".join(_nothing(shown))
    lines: list[str] = []
    if shown["only"] is None:
        lines = [f"{row['session']}: {_about(row)}, {_when(row['last_at'])} UTC" for row in rows[:_LISTED]]
        lines += [words.count(len(rows) - _LISTED, "more session")] if len(rows) > _LISTED else []
        lines = [words.count(len(rows), "session"), *(f"  {one_line(line)}" for line in lines), ""]
    return "\n".join([*lines, f"{one_line(tree['session'])}: {_spent(tree)}", *_branches_text(tree)])


def _branches_text(tree: Tree) -> Iterator[str]:
    for branch in tree["branches"]:
        name, origin, messages, cost, last = map(one_line, _branch_cells(branch))
        sign = "*" if branch["branch"] == tree["head"] else " "
        begun = f", forked at {origin}" if branch["origin"] else ""
        yield f"{sign} {name}{begun}: {words.count(int(messages), 'message')}, {cost}   {last}".rstrip()


def _branch_cells(branch: Branch) -> tuple[str, ...]:
    origin = branch["origin"]
    begun = f"{origin['name']}, {origin['message']}" if origin else "\N{EN DASH}"
    cost = words.cost(branch["cost_usd"], branch["turns"], simulated=branch["simulated"])
    return branch["branch"], begun, str(branch["messages"]), cost, branch["says"]


def _about(row: SessionRow) -> str:
    turns, branches = words.count(row["turns"], "turn"), f"{row['branches']:,} {_branches(row['branches'])}"
    return ", ".join(filter(None, (row["agent"], turns, branches)))


def _branches(number: int) -> str:
    return "branch" if number == 1 else "branches"


def _spent(tree: Tree) -> str:
    cost = words.cost(tree["cost_usd"], tree["turns"], simulated=tree["simulated"])
    points = words.count(len(tree["checkpoints"]), "checkpoint") if tree["checkpoints"] else ""
    return ", ".join(filter(None, (f"{words.tokens(tree['tokens'])} tokens", cost, points)))


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _nothing(shown: SessionsSnapshot) -> tuple[str, str]:
    """Say what is not there, and the line to type."""
    only = shown["only"]
    missing = "No session is kept here yet." if only is None else f"There is no session {only}."
    return missing, f'await agent.execute("Hello.", session="{"trip" if only is None else only}")'
