"""The graph of a flow or of a run as one SVG that needs nothing but itself.

The look is that of the live view, with two differences that its travels ask for: the colors are written out, for
light and for dark, since a saved picture has no theme, and text is measured with a table, since there is no browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quire.views.layout import Frame, Link, Size, nested
from quire.views.paper import MONO, SANS, fit, number, scope_of, style, text_width
from quire.views.prose import (
    beside,
    graph_text,
    headline,
    measure,
    nest_of,
    one_line,
    passing,
    safe,
    sentence,
    state_of,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from quire.views.layout import Box, Curve, Layout, Name
    from quire.views.prose import Nest, Way
    from quire.views.shapes import Graph, GraphGroup, GraphNode, Head, NodeState, PlacedArrow, Places, Status

__all__ = ["Picture", "graph_picture", "graph_svg"]

_FEW = 200
"""A graph of more nodes has no types on its edges, since nobody could read them and to place them would take longer
than all the rest; and a page paints it where it is in the picture, since Graphviz may need seconds for it."""
_WIDEST = 930
"""Pixels of a notebook's cell, more or less; what is wider from left to right is drawn from the top down."""
_NEARLY = 1.2
"""A run that is wider than that by no more than this may fit with fewer words."""
_MARGIN, _PADDING, _GLYPH = 8, 12, 20
_NODE, _FAN_OUT, _DOT = 48, 66, 6
"""Heights of a node and of one with a bar for its items; size of the dot where a flow begins or ends."""
_NARROWEST, _BROADEST, _LONGEST_LABEL = 96, 240, 200
_TIGHT, _TIGHT_DOWN = 168, 200
"""Where room is short, nodes are no wider for the sake of a reason, and have no kind: the reason may be cut then."""
_STACKED = {"loop": 3, "race": 4}
"""So many parts of a group stand one below the other; more take too much height."""
_PIP, _PIPS, _PIP_RADIUS = 12, 12, 3.5
"""From one pip of a loop to the next, the most that are drawn, and their radius."""
_CELLS = 48
"""Items that can still be seen apart."""
_FLOWS = {"never": 0, "later": 1, "done": 2, "now": 3}
"""What becomes of the data on an edge; where lines share a way, the liveliest is painted last."""
_RESERVED = "succeeded · 29.6 s"
"""Every node of a run has room for this, so that its end does not change the drawing."""
_RESERVED_ITEMS = "running · 9,999 of 9,999"
"""So has a fan-out of a large graph for this: there a page cannot make its nodes wider as it counts."""
_SLACK = 1.08
"""Nor can it when it writes with a wider font than the one that is reckoned with here."""

_FORM = (
    ("text", f"font:11px {SANS};font-variant-numeric:tabular-nums"),
    (".title", f"font:600 13px {SANS}"),
    (":is(.pending,.skipped,.cancelled) .title", "font-weight:400"),
    (".mono", f"font:11px {MONO}"),
    (".line", "fill:none;stroke-width:1.25"),
    (".now .line", "stroke-width:1.5"),
    (".later .line", "stroke-dasharray:4 3"),
    (".never .line", "stroke-dasharray:1 4;stroke-linecap:round"),
    (":is(.running,.waiting,.failed) .box", "stroke-width:1.5"),
    (".pending .box", "stroke-dasharray:4 3"),
    (".sheet,.frame", "fill:none"),
)
_COLORS = (
    (".paper", "fill:{paper}"),
    ("text", "fill:{soft}"),
    (".title", "fill:{ink}"),
    (".mono", "fill:{text}"),
    (".box", "fill:{paper};stroke:{stroke}"),
    (".sheet,.line", "stroke:{stroke}"),
    (".frame", "stroke:{line}"),
    (".pip", "fill:none;stroke:{stroke}"),
    (".pip.done", "fill:{stroke}"),
    (".pip.now", "fill:{accent};stroke:{accent}"),
    (".tip,.end,.item.done", "fill:{stroke}"),
    (".now .line", "stroke:{accent}"),
    (".now .tip,.item.now", "fill:{accent}"),
    (".item", "fill:{fill}"),
    (".node", "color:{soft}"),
    (".running", "color:{accent}"),
    (".succeeded", "color:{good}"),
    (".waiting", "color:{warn}"),
    (".failed", "color:{bad}"),
    (".word", "fill:currentColor"),
    (".running .box", "stroke:{accent}"),
    (".waiting .box", "stroke:{warn};fill:{warn_wash}"),
    (".failed .box", "stroke:{bad};fill:{bad_wash}"),
    (":is(.skipped,.cancelled) .box", "stroke:{line};fill:{sunk}"),
    (":is(.pending,.skipped,.cancelled) .title", "fill:{soft}"),
)
_PEN = 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round" stroke-width='
_GLYPHS: dict[Status, str] = {
    "pending": f'<circle cx="8" cy="8" r="6" stroke-dasharray="2.2 2.51" {_PEN.replace("round", "butt", 1)}"1.5"/>',
    "running": f'<circle cx="8" cy="8" r="6" opacity=".3" {_PEN}"1.5"/><path d="M8 2a6 6 0 0 1 6 6" {_PEN}"2"/>'
    '<circle cx="8" cy="8" r="2" fill="currentColor"/>',
    "waiting": '<path fill="currentColor" fill-rule="evenodd" d="M7.1 1.1a1.3 1.3 0 0 1 1.8 0l6 6a1.3 1.3 0 0 1 0 1.8'
    'l-6 6a1.3 1.3 0 0 1-1.8 0l-6-6a1.3 1.3 0 0 1 0-1.8zM5.9 5.5v5h1.4v-5zM8.7 5.5v5h1.4v-5z"/>',
    "succeeded": f'<circle cx="8" cy="8" r="6.25" {_PEN}"1.5"/><path d="m5.2 8.2 2 2 3.6-4.1" {_PEN}"1.6"/>',
    "failed": '<path fill="currentColor" fill-rule="evenodd" d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z'
    'M6 5 5 6l2 2-2 2 1 1 2-2 2 2 1-1-2-2 2-2-1-1-2 2z"/>',
    "skipped": f'<path d="M2 9.5C3 5.5 9.5 3 13 8M13.6 4.2v4.3H9.4" {_PEN}"1.5"/>'
    '<circle cx="7.6" cy="11.8" r="1.7" fill="currentColor"/>',
    "cancelled": f'<rect x="2.25" y="2.25" width="11.5" height="11.5" rx="1.5" {_PEN}"1.5"/>'
    f'<path d="m5.5 5.5 5 5m0-5-5 5" {_PEN}"1.5"/>',
}


def graph_svg(graph: Graph, nodes: Mapping[str, NodeState] | None = None, head: Head | None = None) -> str:
    """Draw a graph as one self-contained SVG, before a run with its types or of a run with its statuses.

    Above 200 nodes it leaves out the types: nobody could read them. It has no script and no reference to anything
    outside, follows the reader's light or dark preference, brings its own ground, and several of them can stand in one
    page.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "str"}
        >>> graph_svg({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": []})[:4]
        '<svg'
    """
    return graph_picture(graph, nodes, head).svg


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A graph as it is drawn."""

    svg: str
    places: Places | None
    """Where everything is, if the graph is too large for a page to lay it out in the blink of an eye."""


def graph_picture(graph: Graph, nodes: Mapping[str, NodeState] | None = None, head: Head | None = None) -> Picture:
    """Draw a graph as `graph_svg` does, and say where everything in a large one is.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "str"}
        >>> few = graph_picture({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": []})
        >>> few.places is None
        True
    """
    scene = _fitting(nest_of(graph), nodes)
    return Picture(svg=_painted(scene, graph, head), places=_places(scene) if _is_large(scene.nest) else None)


def _is_large(nest: Nest) -> bool:
    return len(nest.nodes) > _FEW


@dataclass(frozen=True, slots=True)
class _Scene:
    nest: Nest
    states: Mapping[str, NodeState] | None
    arrows: list[_Arrow]
    broad: int
    """How wide a node may be for the sake of a reason."""
    down: bool
    layout: Layout


@dataclass(slots=True)
class _Arrow:
    """A way as it is drawn, with the words on it."""

    way: Way
    ends: tuple[Name, Name]
    label: str
    mono: bool
    """Whether the words are a type."""


@dataclass(frozen=True, slots=True)
class _Lines:
    """The words of one node."""

    title: str
    kind: str
    word: str
    rests: list[str]
    """What stands beside the word, in full and then in ever fewer words."""
    least: str
    """What must stand beside it, however little room there is."""
    indent: int


def _fitting(nest: Nest, states: Mapping[str, NodeState] | None) -> _Scene:
    """Lay a graph out from left to right if a page has room for that, else in the direction that is less wide."""
    scene = _scene(nest, states)
    if _WIDEST < _page_width(scene) < _NEARLY * _WIDEST and states is not None and not _is_large(nest):
        scene = _scene(nest, states, broad=_TIGHT)
    if _page_width(scene) > _WIDEST:
        tall = _scene(nest, states, down=True, broad=_TIGHT_DOWN)
        scene = min(scene, tall, key=_page_width)
    return scene


def _scene(nest: Nest, states: Mapping[str, NodeState] | None, *, down: bool = False, broad: int = _BROADEST) -> _Scene:
    arrows = _arrows(nest, run=states is not None)
    large = _is_large(nest)
    sizes: dict[Name, Size] = {
        name: _size(node, state_of(node, states), broad, fixed=large) for name, node in nest.nodes.items()
    }
    homes = dict(nest.homes)
    for arrow in arrows:
        for end in arrow.ends:
            if end not in homes:
                sizes[end], homes[end] = Size(_DOT, _DOT), arrow.way.within
    links = [_link(arrow) for arrow in arrows]
    frames = {name: _frame(nest, group, states, down=down) for name, group in nest.groups.items()}
    even = nest.nodes if states is not None and not down else ()
    return _Scene(nest, states, arrows, broad, down, nested(sizes, links, frames, homes, down=down, even=even))


def _arrows(nest: Nest, *, run: bool) -> list[_Arrow]:
    """Choose the ways to draw: one for each pair of ends; in a run no open ends and no types, the nodes say more."""
    arrows: dict[tuple[Name, Name], list[Way]] = {}
    for at, way in enumerate(nest.ways):
        if not run or way.within is not None or (way.source is not None and way.target is not None):
            ends = ("from", at) if way.source is None else way.source, ("to", at) if way.target is None else way.target
            arrows.setdefault(ends, []).append(way)
    typed = not run and not _is_large(nest)
    return [_arrow_of(ends, ways, typed=typed) for ends, ways in arrows.items()]


def _arrow_of(ends: tuple[Name, Name], ways: Sequence[Way], *, typed: bool) -> _Arrow:
    words = [way.word for way in ways if way.word and not way.loop]
    types = [] if not typed else [way.type for way in ways if not way.loop]
    shown = dict.fromkeys(fit(text, _LONGEST_LABEL, mono=not words) for text in words or types if text)
    return _Arrow(ways[0], ends, ", ".join(shown), not words)


def _link(arrow: _Arrow) -> Link:
    size = Size(text_width(arrow.label, mono=arrow.mono) + 8, 14) if arrow.label else Size(0, 0)
    return Link(*arrow.ends, arrow.label, size, back=arrow.way.loop is not None)


def _frame(nest: Nest, group: GraphGroup, states: Mapping[str, NodeState] | None, *, down: bool) -> Frame:
    """Say how a group is laid out: small loops and races have their parts one below the other."""
    state = states.get(group["id"]) if states else None
    wide = min(_BROADEST, text_width(_captions(group, state)[0])) + _pips_width(state) + 4
    parts = [name for name, home in nest.homes.items() if home == group["id"]]
    stacked = len(parts) <= _STACKED.get(group["kind"], 0) and nest.nodes.keys() >= set(parts)
    return Frame(wide, group["kind"] == "loop" if stacked else down, alike=stacked)


def _captions(group: GraphGroup, state: NodeState | None) -> list[str]:
    """Say what stands above a group, the fullest first; an end that was not a success is told in words."""
    line = sentence(group, state)
    if not state or state["status"] in ("pending", "running", "waiting"):
        return [line]
    ended = line if state["status"] == "succeeded" else f"{line} · {state['status']}"
    reason = one_line(state["reason"]) if state["reason"] else ""
    sign = " · " if state["status"] == "succeeded" else ", "
    return [sign.join(filter(None, (ended, reason))), ended]


def _pips_width(state: NodeState | None) -> int:
    most = state["progress"][1] if state and state["progress"] else 0
    return 16 + most * _PIP if 0 < most <= _PIPS else 0


def _size(node: GraphNode, state: NodeState | None, broad: int, *, fixed: bool) -> Size:
    """Say how large a node must be; `fixed` if whoever paints it may not change that."""
    lines = _lines(node, state, broad)
    kind = 16 + text_width(lines.kind) if lines.kind else 0
    told, least = (text_width(_second(lines, rest)) for rest in (lines.rests[0], lines.least))
    fan_out = state is not None and _is_fan_out(node, state)
    reserved = text_width(_RESERVED_ITEMS if fan_out and fixed else _RESERVED) if state else 0
    second = max(min(told, _room(broad, lines)), least, reserved)
    words = max(text_width(lines.title, title=True) + kind, second)
    width = words * (_SLACK if fixed else 1) + lines.indent + _PADDING
    height = _FAN_OUT if fan_out else _NODE
    return Size(min(_BROADEST, max(_NARROWEST, -(-width // 4) * 4)), height)


def _room(width: float, lines: _Lines) -> float:
    return width - lines.indent - _PADDING


def _lines(node: GraphNode, state: NodeState | None, broad: int) -> _Lines:
    title, kind, note = one_line(node["title"]), one_line(node["kind"]), one_line(node["note"])
    if state is None:
        return _Lines(title, kind, "", [note], "", _PADDING)
    kind = "" if broad < _BROADEST or _is_fan_out(node, state) else kind
    return _Lines(title, kind, state["status"], beside(state), measure(state) or "", _PADDING + _GLYPH)


def _is_fan_out(node: GraphNode, state: NodeState | None) -> bool:
    return node["kind"] == "each" or bool(state and state["progress"])


def _second(lines: _Lines, rest: str) -> str:
    return " · ".join(filter(None, (lines.word, rest)))


# --- places ---


def _page_width(scene: _Scene) -> float:
    return scene.layout.width + 2 * _MARGIN


def _places(scene: _Scene) -> Places:
    layout = scene.layout
    boxes = ((name, box) for name, box in layout.boxes.items() if isinstance(name, str))
    return {
        "direction": "TB" if scene.down else "LR",
        "width": layout.width,
        "height": layout.height,
        "boxes": {name: _rounded((box.x, box.y, box.width, box.height)) for name, box in boxes},
        "arrows": [_placed(arrow, curve, layout) for arrow, curve in zip(scene.arrows, layout.curves, strict=True)],
    }


def _placed(arrow: _Arrow, curve: Curve, layout: Layout) -> PlacedArrow:
    dots = [layout.boxes[end] for end in arrow.ends if not isinstance(end, str)]
    return {
        "edge": arrow.way.edge,
        "label": arrow.label if curve.label else "",
        "at": _rounded(curve.label or ()),
        "points": _rounded(number for point in curve.points for number in point),
        "dots": [_rounded((dot.x + _DOT / 2, dot.y + _DOT / 2)) for dot in dots],
    }


def _rounded(numbers: Iterable[float]) -> list[float]:
    return [round(number, 1) for number in numbers]


# --- painting ---


def _painted(scene: _Scene, graph: Graph, head: Head | None) -> str:
    body = "".join((*_groups(scene), *_edges(scene), *(_node(scene, node) for node in scene.nest.nodes.values())))
    scope = scope_of(graph["name"] + body)
    width, height = _page_width(scene), scene.layout.height + 2 * _MARGIN
    frame = f'x="-{_MARGIN}" y="-{_MARGIN}" width="{number(width)}" height="{number(height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{scope}" role="img" aria-labelledby="{scope}-t {scope}-d" '
        f'viewBox="-{_MARGIN} -{_MARGIN} {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}">'
        f'<title id="{scope}-t">Graph of {safe(graph["name"])}</title>'
        f'<desc id="{scope}-d">{safe(_told(graph, scene.states, head))}</desc>'
        f'<style>{style(f".{scope}", _FORM, _COLORS)}</style><rect class="paper" {frame}/>{body}</svg>'
    )


def _groups(scene: _Scene) -> Iterator[str]:
    for name, group in scene.nest.groups.items():
        box, state = scene.layout.boxes[name], scene.states.get(name) if scene.states else None
        room = box.width - 2 * _PADDING - _pips_width(state) + 1
        captions = _captions(group, state)
        caption = next((line for line in captions if text_width(line) <= room), captions[-1])
        yield (
            f'<g class="group" transform="translate({number(box.x)} {number(box.y)})">'
            f'<rect class="frame" width="{number(box.width)}" height="{number(box.height)}" rx="8"/>'
            f'<text x="{_PADDING}" y="18">{safe(fit(caption, room))}</text>{_pips(state, box)}</g>'
        )


def _pips(state: NodeState | None, box: Box) -> str:
    """Paint a pip for each iteration of a loop: those behind, the one at work, those it may still take."""
    if not state or not state["progress"] or not _pips_width(state):
        return ""
    round_, most = state["progress"][:2]
    live = state["status"] in ("running", "waiting")
    first = box.width - _PADDING - (most - 1) * _PIP - _PIP_RADIUS
    looks = ("pip" if at > round_ else "pip now" if at == round_ and live else "pip done" for at in range(1, most + 1))
    return "".join(
        f'<circle class="{look}" cx="{number(first + at * _PIP)}" cy="14" r="{_PIP_RADIUS}"/>'
        for at, look in enumerate(looks)
    )


def _edges(scene: _Scene) -> Iterator[str]:
    """Paint the lines first, then the labels, so that no line runs through a label."""
    pairs = list(zip(scene.arrows, scene.layout.curves, strict=True))
    flows = [(passing(arrow.way, scene.states), _arrow(curve)) for arrow, curve in pairs]
    yield from (
        f'<g class="edge {flow}">{arrow}</g>' for flow, arrow in sorted(flows, key=lambda pair: _FLOWS[pair[0]])
    )
    yield from (_label(arrow, curve.label) for arrow, curve in pairs if curve.label)
    for name, box in scene.layout.boxes.items():
        if isinstance(name, tuple):
            x, y = box.x + _DOT / 2, box.y + _DOT / 2
            yield f'<circle class="end" cx="{number(x)}" cy="{number(y)}" r="2.5"/>'


def _arrow(curve: Curve) -> str:
    """Paint a line and its head of 7 by 6; the line ends inside the head, so that its end cannot be seen."""
    (near_x, near_y), (x, y) = curve.points[-2:]
    length = max(abs(x - near_x), abs(y - near_y)) or 1
    across, along = (x - near_x) / length, (y - near_y) / length
    base_x, base_y = x - 7 * across, y - 7 * along
    points = [*curve.points[:-1], (base_x, base_y)]
    start, *rest = (f"{number(px)} {number(py)}" for px, py in points)
    line = f"M{start}" + "".join(f"C{' '.join(rest[at : at + 3])}" for at in range(0, len(rest), 3))
    corners = ((x, y), (base_x - 3 * along, base_y + 3 * across), (base_x + 3 * along, base_y - 3 * across))
    tip = "L".join(f"{number(px)} {number(py)}" for px, py in corners)
    return f'<path class="line" d="{line}"/><path class="tip" d="M{tip}Z"/>'


def _label(arrow: _Arrow, center: tuple[float, float]) -> str:
    x, y = center
    width = text_width(arrow.label, mono=arrow.mono) + 6
    face = ' class="mono"' if arrow.mono else ""
    # A rectangle and not a wide stroke around the letters: not every reader paints strokes first.
    return (
        f'<rect class="paper" x="{number(x - width / 2)}" y="{number(y - 7)}" width="{number(width)}" height="14"/>'
        f'<text{face} x="{number(x)}" y="{number(y + 4)}" text-anchor="middle">{safe(arrow.label)}</text>'
    )


def _node(scene: _Scene, node: GraphNode) -> str:
    state, box = state_of(node, scene.states), scene.layout.boxes[node["id"]]
    lines = _lines(node, state, scene.broad)
    corner = f"{number(box.x)} {number(box.y)}"
    fan_out = _is_fan_out(node, state)
    return (
        f'<g class="node {state["status"] if state else "plain"}" transform="translate({corner})">'
        f"{_sheet(box) if fan_out else ''}"
        f'<rect class="box" width="{number(box.width)}" height="{number(box.height)}" rx="6"/>'
        f"{_glyph(state['status']) if state else ''}{_first_line(lines, box)}{_second_line(lines, box)}"
        f"{_items(state, box) if state and fan_out else ''}</g>"
    )


def _sheet(box: Box) -> str:
    return f'<path class="sheet" d="M5 {number(box.height + 3)}H{number(box.width - 3)}a6 6 0 0 0 6-6V5"/>'


def _glyph(status: Status) -> str:
    return f'<g transform="translate(11 9) scale(.875)">{_GLYPHS[status]}</g>'


def _first_line(lines: _Lines, box: Box) -> str:
    room = _room(box.width, lines)
    kind = fit(lines.kind, room / 2)
    title = fit(lines.title, room - (16 + text_width(kind) if kind else 0), title=True)
    end = f'<text x="{number(box.width - _PADDING)}" y="20" text-anchor="end">{safe(kind)}</text>' if kind else ""
    return f'<text class="title" x="{lines.indent}" y="20">{safe(title)}</text>{end}'


def _second_line(lines: _Lines, box: Box) -> str:
    room = _room(box.width, lines)
    fits = (rest for rest in lines.rests if text_width(_second(lines, rest)) <= room + 0.5)
    word = f'<tspan class="word">{lines.word}</tspan>' if lines.word else ""
    rest = fit(_second(lines, next(fits, lines.rests[0])), room)[len(lines.word) :]
    return f'<text x="{lines.indent}" y="37">{word}{safe(rest)}</text>' if word or rest else ""


def _items(state: NodeState, box: Box) -> str:
    """Paint a cell for each item of a fan-out, or one plain bar when there are too many to see apart."""
    progress = state["progress"] or (0, 0)
    done, total = min(progress[:2]), max(1, progress[1])
    working = progress[2] if len(progress) > 2 else 1  # noqa: PLR2004 - some logs also count those at work
    plain = total > _CELLS
    gap, cells = (0.0, [done, total - done]) if plain else (1.5, [1] * total)
    unit = (box.width - 2 * _PADDING - gap * (len(cells) - 1)) / total
    x, counted, painted = float(_PADDING), 0, ""
    for items in cells:
        now = state["status"] == "running" and not plain and counted < min(progress[1], done + working)
        kind = "item done" if counted < done else "item now" if now else "item"
        painted += f'<rect class="{kind}" x="{x:.2f}" y="48" width="{items * unit:.2f}" height="8" rx="1"/>'
        x, counted = x + items * unit + gap, counted + items
    return painted


def _told(graph: Graph, nodes: Mapping[str, NodeState] | None, head: Head | None) -> str:
    return f"{headline(head) if head else summary(graph, nodes)}\n{graph_text(graph, nodes)}"
