"""Static drawings: what is left of a graph or a run when there is no kernel, and what `print` shows.

An SVG that needs nothing but itself, HTML that survives the sanitizers of untrusted notebooks, nbconvert and GitHub,
plain text, Graphviz DOT and Mermaid. All are pure functions of the shapes that the folds make, so the same run is
drawn the same way everywhere. Every name and every reply is text here, never markup.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from unicodedata import combining, east_asian_width

from quire.views import words
from quire.views.layout import Box, Curve, Layout, Link, Size, layered
from quire.views.shapes import (
    CallPart,
    FlowHead,
    Graph,
    GraphEdge,
    GraphNode,
    Head,
    Message,
    NodeState,
    Part,
    RunError,
    Status,
    ThinkingPart,
)

__all__ = [
    "ascii",
    "conversation_html",
    "conversation_text",
    "dot",
    "flow_html",
    "graph_svg",
    "graph_text",
    "mermaid",
    "run_html",
    "run_text",
]

_WIDEST = 900
"""Pixels of a notebook's cell; what is wider from left to right is drawn from the top down."""
_MARGIN, _PADDING, _GLYPH = 8, 12, 20
_NODE, _FAN_OUT, _DOT = 48, 66, 6
"""Heights of a node and of one with a bar for its items; size of the dot where a flow begins or ends."""
_NARROWEST, _BROADEST, _LONGEST_LABEL = 96, 240, 200
_CELLS = 48
"""Items that can still be seen apart."""
_RESERVED = "succeeded · 29.6 s"
"""Every node of a run has room for this, so that its end does not change the drawing."""
_CUT = 400
"""Characters of a message that plain text shows."""
_MOST = 200
"""Messages that a saved drawing keeps: a notebook is a document, the log is the archive."""

_LIGHT = {
    "paper": "#fff", "sunk": "#f5f5f5", "fill": "#e8e8e8", "ink": "#000", "text": "#212121", "soft": "#616161",
    "stroke": "#808080", "line": "#e0e0e0", "accent": "#1565b5", "good": "#2d7230", "warn": "#9d4f00", "bad": "#ad2727",
    "warn_wash": "#fef3e8", "bad_wash": "#fbeeee",
}  # fmt: skip
_DARK = {
    "paper": "#111", "sunk": "#1b1b1b", "fill": "#262626", "ink": "#fff", "text": "#e0e0e0", "soft": "#a5a5a5",
    "stroke": "#888", "line": "#424242", "accent": "#40a5f5", "good": "#70bf73", "warn": "#ffbd5c", "bad": "#f6655a",
    "warn_wash": "#261d0f", "bad_wash": "#231514",
}  # fmt: skip
_SANS = "system-ui,-apple-system,'Segoe UI',helvetica,arial,sans-serif"
_MONO = "menlo,consolas,'DejaVu Sans Mono',monospace"
_FORM = (
    ("text", f"font:11px {_SANS};font-variant-numeric:tabular-nums"),
    (".title", f"font:600 13px {_SANS}"),
    (":is(.pending,.skipped,.cancelled) .title", "font-weight:400"),
    (".mono", f"font:11px {_MONO}"),
    (".line", "fill:none;stroke-width:1.25"),
    (".now .line", "stroke-width:1.5"),
    (".later .line", "stroke-dasharray:4 3"),
    (".never .line", "stroke-dasharray:1 4;stroke-linecap:round"),
    (":is(.running,.waiting,.failed) .box", "stroke-width:1.5"),
    (".pending .box", "stroke-dasharray:4 3"),
    (".sheet", "fill:none"),
)
_COLORS = (
    (".paper", "fill:{paper}"),
    ("text", "fill:{soft}"),
    (".title", "fill:{ink}"),
    (".mono", "fill:{text}"),
    (".box", "fill:{paper};stroke:{stroke}"),
    (".sheet,.line", "stroke:{stroke}"),
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

_EMS = (
    (0.24, "'ijl|I ,.·/:;\\f[]t!()r"),
    (0.42, '-"`*J{}sz'),
    (0.56, "cvxyk?_oaehnubdgpq0123456789$LTFé–"),
    (0.67, "PYZESKAVXB#RC+<=>~^&−"),
    (0.76, "UNHDwGOQ"),
    (0.92, "MmW%@→…"),
)
"""Widths in ems: means of DejaVu Sans and Liberation Sans (Arial's widths), measured in Chromium, in six classes."""
_EM = {character: em for em, characters in _EMS for character in characters}
_FALLBACK_EM, _WIDE_EM, _MONO_EM, _BOLD = 0.62, 1.1, 0.6, 1.1


# --- the graph as SVG -------------------------------------------------------------------------------------------------


def graph_svg(graph: Graph, nodes: Mapping[str, NodeState] | None = None, head: Head | None = None) -> str:
    """Draw a graph as one self-contained SVG, before a run with its types or of a run with its statuses.

    It has no script and no reference to anything outside, follows the reader's light or dark preference, brings its
    own ground, and several of them can stand in one page.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "str"}
        >>> graph_svg({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": []})[:4]
        '<svg'
    """
    scene = _scene(graph, nodes, down=False)
    if _page_width(scene) > _WIDEST:
        tall = _scene(graph, nodes, down=True)
        scene = min(scene, tall, key=_page_width)
    body = "".join(_edges(scene)) + "".join(_node(scene, node) for node in scene.nodes)
    scope = f"quire-{sha256((graph['name'] + body).encode(errors='replace')).hexdigest()[:10]}"
    width, height = _page_width(scene), scene.layout.height + 2 * _MARGIN
    frame = f'x="-{_MARGIN}" y="-{_MARGIN}" width="{_number(width)}" height="{_number(height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{scope}" role="img" aria-labelledby="{scope}-t {scope}-d" '
        f'viewBox="-{_MARGIN} -{_MARGIN} {_number(width)} {_number(height)}" '
        f'width="{_number(width)}" height="{_number(height)}">'
        f'<title id="{scope}-t">Graph of {_safe(graph["name"])}</title>'
        f'<desc id="{scope}-d">{_safe(_told(graph, nodes, head))}</desc>'
        f'<style>{_style(f".{scope}")}</style><rect class="paper" {frame}/>{body}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    nodes: list[GraphNode]
    states: Mapping[str, NodeState] | None
    edges: list[GraphEdge]
    down: bool
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Lines:
    """The words of one node."""

    title: str
    kind: str
    word: str
    rest: str
    indent: int


def _scene(graph: Graph, states: Mapping[str, NodeState] | None, *, down: bool) -> _Scene:
    nodes = list({node["id"]: node for node in graph["nodes"]}.values())
    edges = _drawn(graph, {node["id"] for node in nodes}, run=states is not None)
    sizes = {f"node {node['id']}": _size(node, states, down=down) for node in nodes}
    ends = [(_end(edge["source"], at, "from"), _end(edge["target"], at, "to")) for at, edge in enumerate(edges)]
    sizes |= {end: Size(_DOT, _DOT) for pair in ends for end in pair if end not in sizes}
    links = [Link(*pair, edge["label"], _label_size(edge["label"])) for pair, edge in zip(ends, edges, strict=True)]
    even = states is not None and not down
    return _Scene(nodes, states, edges, down, layered(sizes, links, down=down, even=even))


def _end(node: str | None, at: int, side: str) -> str:
    """Name the end of an edge: its node, or a dot of its own where the flow is entered or left."""
    return f"{side} {at}" if node is None else f"node {node}"


def _drawn(graph: Graph, known: set[str], *, run: bool) -> list[GraphEdge]:
    """Choose the edges to draw: one for each pair of ends; in a run no open ends and no types, the nodes say more."""
    labels: dict[tuple[str | None, str | None], list[str]] = {}
    for edge in graph["edges"]:
        ends = [end for end in (edge["source"], edge["target"]) if end is not None]
        if ends and known.issuperset(ends) and not (run and len(ends) == 1):
            label = _fit(_line(edge["label"]), _LONGEST_LABEL, mono=True)
            labels.setdefault((edge["source"], edge["target"]), []).append("" if run else label)
    return [
        GraphEdge(source=source, target=target, label=", ".join(dict.fromkeys(filter(None, texts))))
        for (source, target), texts in labels.items()
    ]


def _label_size(label: str) -> Size:
    return Size(_text_width(label, mono=True) + 8, 14) if label else Size(0, 0)


def _size(node: GraphNode, states: Mapping[str, NodeState] | None, *, down: bool) -> Size:
    state = _state(node, states)
    lines = _lines(node, state, down=down)
    kind = 16 + _text_width(lines.kind) if lines.kind else 0
    seconds = [_second(lines), _RESERVED] if state else [lines.rest]
    width = max([_text_width(lines.title, title=True) + kind, *map(_text_width, seconds)]) + lines.indent + _PADDING
    height = _FAN_OUT if state and state["progress"] else _NODE
    return Size(min(_BROADEST, max(_NARROWEST, -(-width // 4) * 4)), height)


def _state(node: GraphNode, states: Mapping[str, NodeState] | None) -> NodeState | None:
    """Find a node's state; in a run, a node that nothing is known of is pending."""
    if states is None:
        return None
    return states.get(node["id"]) or NodeState(
        id=node["id"], status="pending", reason=None, started_at=None, ended_at=None, attempt=1, calls=0, tokens=None,
        cost_usd=None, progress=None, simulated=False,
    )  # fmt: skip


def _lines(node: GraphNode, state: NodeState | None, *, down: bool) -> _Lines:
    title, kind, note = _line(node["title"]), _line(node["kind"]), _line(node["note"])
    if state is None:
        return _Lines(title, kind, "", note, _PADDING)
    kind = "" if down or state["progress"] else kind
    return _Lines(title, kind, state["status"], _beside(state, down=down), _PADDING + _GLYPH)


def _beside(state: NodeState, *, down: bool = False) -> str:
    """Say what is worth knowing beside a status; top down only the shortest of it."""
    time = _spent(state["started_at"], state["ended_at"])
    reason = None if down or not state["reason"] else _line(state["reason"])
    attempt = f"attempt {state['attempt']}" if state["attempt"] > 1 and not down else None
    items = "{} of {}".format(*state["progress"]) if state["progress"] else None
    beside = {
        "pending": [reason],
        "skipped": [reason],
        "running": [items or time, attempt],
        "waiting": [reason, time],
        "cancelled": [reason, time],
    }
    return ", ".join(filter(None, beside.get(state["status"], [reason, time, attempt])))


def _spent(started: float | None, ended: float | None) -> str | None:
    """Write how long something took; a drawing has no clock, so what has not ended has no time."""
    return None if started is None or ended is None else words.seconds(max(0.0, ended - started))


def _second(lines: _Lines) -> str:
    return " · ".join(filter(None, (lines.word, lines.rest)))


# --- painting ---


def _page_width(scene: _Scene) -> float:
    return scene.layout.width + 2 * _MARGIN


def _edges(scene: _Scene) -> Iterator[str]:
    """Paint the lines first, then the labels, so that no line runs through a label."""
    pairs = list(zip(scene.edges, scene.layout.curves, strict=True))
    for edge, curve in pairs:
        yield f'<g class="edge {_flow(scene, edge)}">{_arrow(curve)}</g>'
    yield from (_label(edge["label"], curve.label) for edge, curve in pairs if curve.label)
    for name, box in scene.layout.boxes.items():
        if not name.startswith("node "):
            x, y = box.x + _DOT / 2, box.y + _DOT / 2
            yield f'<circle class="end" cx="{_number(x)}" cy="{_number(y)}" r="2.5"/>'


def _flow(scene: _Scene, edge: GraphEdge) -> str:
    """Tell what became of the data on an edge: it passed, passes now, is still to come, or never will."""
    if scene.states is None or edge["source"] is None or edge["target"] is None:
        return "done"
    source, target = (scene.states.get(end) for end in (edge["source"], edge["target"]))
    from_, to = source["status"] if source else "pending", target["status"] if target else "pending"
    if from_ in ("failed", "skipped", "cancelled") or to in ("skipped", "cancelled"):
        return "never"
    if from_ != "succeeded" or to == "pending":
        return "later"
    return "now" if to == "running" else "done"


def _arrow(curve: Curve) -> str:
    """Paint a line and its head of 7 by 6; the line ends inside the head, so that its end cannot be seen."""
    (near_x, near_y), (x, y) = curve.points[-2:]
    length = max(abs(x - near_x), abs(y - near_y)) or 1
    across, along = (x - near_x) / length, (y - near_y) / length
    base_x, base_y = x - 7 * across, y - 7 * along
    points = [*curve.points[:-1], (base_x, base_y)]
    start, *rest = (f"{_number(px)} {_number(py)}" for px, py in points)
    line = f"M{start}" + "".join(f"C{' '.join(rest[at : at + 3])}" for at in range(0, len(rest), 3))
    corners = ((x, y), (base_x - 3 * along, base_y + 3 * across), (base_x + 3 * along, base_y - 3 * across))
    tip = "L".join(f"{_number(px)} {_number(py)}" for px, py in corners)
    return f'<path class="line" d="{line}"/><path class="tip" d="M{tip}Z"/>'


def _label(text: str, center: tuple[float, float]) -> str:
    x, y = center
    width = _text_width(text, mono=True) + 6
    # A rectangle and not a wide stroke around the letters: not every reader paints strokes first.
    return (
        f'<rect class="paper" x="{_number(x - width / 2)}" y="{_number(y - 7)}" width="{_number(width)}" height="14"/>'
        f'<text class="mono" x="{_number(x)}" y="{_number(y + 4)}" text-anchor="middle">{_safe(text)}</text>'
    )


def _node(scene: _Scene, node: GraphNode) -> str:
    state, box = _state(node, scene.states), scene.layout.boxes[f"node {node['id']}"]
    lines = _lines(node, state, down=scene.down)
    progress = state["progress"] if state else None
    fan_out = bool(progress) or (state is None and node["kind"] == "each")
    return (
        f'<g class="node {state["status"] if state else "plain"}" transform="translate({_number(box.x)} {_number(box.y)})">'
        f"{_sheet(box) if fan_out else ''}"
        f'<rect class="box" width="{_number(box.width)}" height="{_number(box.height)}" rx="6"/>'
        f"{_glyph(state['status']) if state else ''}{_first_line(lines, box)}{_second_line(lines, box)}"
        f"{_items(state['status'], progress, box) if state and progress else ''}</g>"
    )


def _sheet(box: Box) -> str:
    return f'<path class="sheet" d="M5 {_number(box.height + 3)}H{_number(box.width - 3)}a6 6 0 0 0 6-6V5"/>'


def _glyph(status: Status) -> str:
    return f'<g transform="translate(11 9) scale(.875)">{_GLYPHS[status]}</g>'


def _first_line(lines: _Lines, box: Box) -> str:
    room = box.width - lines.indent - _PADDING
    kind = _fit(lines.kind, room / 2)
    title = _fit(lines.title, room - (16 + _text_width(kind) if kind else 0), title=True)
    end = f'<text x="{_number(box.width - _PADDING)}" y="20" text-anchor="end">{_safe(kind)}</text>' if kind else ""
    return f'<text class="title" x="{lines.indent}" y="20">{_safe(title)}</text>{end}'


def _second_line(lines: _Lines, box: Box) -> str:
    room = box.width - lines.indent - _PADDING
    word = f'<tspan class="word">{lines.word}</tspan>' if lines.word else ""
    rest = _fit(_second(lines), room)[len(lines.word) :]
    return f'<text x="{lines.indent}" y="37">{word}{_safe(rest)}</text>' if word or rest else ""


def _items(status: Status, progress: Sequence[int], box: Box) -> str:
    """Paint a cell for each item of a fan-out, or one plain bar when there are too many to see apart."""
    done, total = min(progress[0], progress[1]), max(1, progress[1])
    plain = total > _CELLS
    gap, cells = (0.0, [done, total - done]) if plain else (1.5, [1] * total)
    unit = (box.width - 2 * _PADDING - gap * (len(cells) - 1)) / total
    x, counted, painted = float(_PADDING), 0, ""
    for items in cells:
        kind = "item done" if counted < done else "item now" if status == "running" and counted == done else "item"
        painted += f'<rect class="{kind}" x="{x:.2f}" y="48" width="{items * unit:.2f}" height="8" rx="1"/>'
        x, counted = x + items * unit + gap, counted + items
    return painted


def _style(scope: str) -> str:
    form = "".join(_rule(scope, selector, rule) for selector, rule in _FORM)
    light, dark = (
        "".join(_rule(scope, selector, rule.format_map(colors)) for selector, rule in _COLORS)
        for colors in (_LIGHT, _DARK)
    )
    return f"{form}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _rule(scope: str, selector: str, rule: str) -> str:
    """Keep a rule inside its own drawing: several stand in one page."""
    inside = re.split(r",(?![^(]*\))", selector)
    return f"{','.join(f'{scope} {part}' for part in inside)}{{{rule}}}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


# --- measuring ---


def _text_width(text: str, *, title: bool = False, mono: bool = False) -> float:
    """Estimate the width of a text in pixels: there is no browser here to ask."""
    ems = sum(_em(character, mono=mono) for character in text)
    return ems * (13 * _BOLD if title else 11)


def _em(character: str, *, mono: bool) -> float:
    if combining(character):
        return 0.0
    if east_asian_width(character) in "WF":
        return _WIDE_EM
    return _MONO_EM if mono else _EM.get(character, _FALLBACK_EM)


def _fit(text: str, room: float, *, title: bool = False, mono: bool = False) -> str:
    """Cut a text so that it fits, with a sign that it was cut."""
    if _text_width(text, title=title, mono=mono) <= room + 0.5:
        return text
    while text and _text_width(f"{text}…", title=title, mono=mono) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _safe(text: str) -> str:
    """Escape a text for XML and HTML, elements and attributes alike; what no document may hold becomes U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", text))


def _line(text: str) -> str:
    return " ".join(text.split())


# --- plain text -------------------------------------------------------------------------------------------------------


def graph_text(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Write a graph as text: a line for each node, in the order of the flow.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "Plan"}
        >>> print(graph_text({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": []}))
        plan: str -> Plan   step
    """
    ordered = _in_order(graph)
    typed = [f"{_line(node['title'])}: {_line(node['input'])} -> {_line(node['output'])}" for node in ordered]
    widest = min(60, max(map(len, typed), default=0))
    said = [_said(node, _state(node, nodes)) for node in ordered]
    return "\n".join(f"{left:<{widest}}   {right}".rstrip() for left, right in zip(typed, said, strict=True))


def ascii(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:  # noqa: A001 - the formats' own names
    """Write a graph as text, as `graph_text` does: lines of words read better than boxes of dashes.

    Example:
        >>> ascii({"name": "audit", "kind": "pipeline", "nodes": [], "edges": []})
        ''
    """
    return graph_text(graph, nodes)


def _said(node: GraphNode, state: NodeState | None) -> str:
    if state is None:
        return ", ".join(filter(None, (_line(node["kind"]), _line(node["note"]))))
    return " ".join(filter(None, (state["status"], _beside(state))))


def _in_order(graph: Graph) -> list[GraphNode]:
    """Sort nodes so that each comes after what it needs; those on a cycle follow in the order given."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    needs: dict[str, set[str]] = {id: set() for id in nodes}
    gives: dict[str, list[str]] = {id: [] for id in nodes}
    for edge in graph["edges"]:
        source, target = edge["source"], edge["target"]
        if source in gives and target in needs and source not in needs[target]:
            needs[target].add(source)
            gives[source].append(target)
    ready = [id for id in nodes if not needs[id]]
    for id in ready:  # grows while it is read
        for target in gives[id]:
            needs[target].discard(id)
            if not needs[target]:
                ready.append(target)
    return [nodes[id] for id in dict.fromkeys([*ready, *nodes])]


def _told(graph: Graph, nodes: Mapping[str, NodeState] | None, head: Head | None) -> str:
    summary = _summary(graph, nodes) if head is None else _headline(head)
    return f"{summary}\n{graph_text(graph, nodes)}"


def _summary(graph: Graph, nodes: Mapping[str, NodeState] | None) -> str:
    total = words.count(len(graph["nodes"]), "node")
    if nodes is None:
        return f"{graph['kind']} {graph['name']}: {total}"
    statuses = Counter(state["status"] for node in graph["nodes"] if (state := _state(node, nodes)))
    counted = ", ".join(f"{amount} {status}" for status, amount in statuses.items())
    return f"{graph['kind']} {graph['name']}: {total}" + (f", {counted}" if counted else "")


def run_text(head: Head, graph: Graph, nodes: Mapping[str, NodeState], messages: Sequence[Message]) -> str:
    """Write a run as text: a line that sums it up, what went wrong, its nodes and its conversation.

    Long messages are cut at about 400 characters, and of a long conversation only the end is kept.

    Example:
        >>> head = {"name": "audit", "kind": "pipeline", "run": "7f3a", "short": "7f3a", "status": "succeeded",
        ...     "simulated": True, "replayed": False, "started_at": 0.0, "ended_at": 1.2, "input_tokens": 50,
        ...     "output_tokens": 11, "cost_usd": 0.0, "unpriced_calls": 0, "model_calls": 1, "done": 0, "total": 0,
        ...     "error": None, "reason": None}
        >>> print(run_text(head, {"name": "audit", "kind": "pipeline", "nodes": [], "edges": []}, {}, []))
        audit: succeeded, simulated, 1.2 s, 61 tokens, $0 simulated
    """
    parts = [_headline(head)]
    if head["error"]:
        parts.append(_indented(_error_text(head["error"])))
    if graph["nodes"]:
        parts.append(_indented(graph_text(graph, nodes)))
    if messages:
        parts.append(_indented(conversation_text(messages, cut=_CUT)))
    return "\n\n".join(parts)


def _headline(head: Head) -> str:
    return f"{_line(head['name'])}: {', '.join(_facts(head))}"


def _facts(head: Head) -> list[str]:
    """List what is known of a run, the answer first."""
    used = [amount for amount in (head["input_tokens"], head["output_tokens"]) if amount is not None]
    facts = [
        " · ".join(filter(None, (head["status"], head["reason"] and _line(head["reason"])))),
        "simulated" if head["simulated"] else None,
        "replayed" if head["replayed"] else None,
        _spent(head["started_at"], head["ended_at"]),
        f"{words.tokens(sum(used))} tokens" if used and head["model_calls"] else None,
        words.money(head["cost_usd"], simulated=head["simulated"]) if head["model_calls"] else None,
    ]
    if head["unpriced_calls"] and head["cost_usd"] is not None and not head["simulated"]:
        facts.append(f"and {words.count(head['unpriced_calls'], 'unpriced call')}")
    return [fact for fact in facts if fact]


def _error_text(error: RunError) -> str:
    lines = [f"{error['type']} in {error['path']}: {error['message']}", error["traceback"], error["remedy"]]
    return "\n".join(line.rstrip() for line in lines if line)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def conversation_text(messages: Sequence[Message], *, cut: int | None = None) -> str:
    """Write a conversation as text: who speaks, what is said, what was called; `cut` shortens each text.

    Example:
        >>> said = [{"type": "text", "text": "Hello."}]
        >>> print(conversation_text([{"id": "1", "sender": "you", "role": "person", "note": "person", "at": 0.0,
        ...     "tokens": None, "writing": False, "simulated": False, "error": None, "parts": said}]))
        you (person)
          Hello.
    """
    earlier, kept = _last(messages)
    blocks = [f"({earlier})"] if earlier else []
    return "\n".join([*blocks, *("\n".join(_message_text(message, cut)) for message in kept)])


def _last(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """Keep the end of a long conversation, and say how much is not shown."""
    hidden = len(messages) - _MOST
    if hidden <= 0:
        return "", messages
    return f"{words.count(hidden, 'earlier message')} not shown, but in the log", messages[-_MOST:]


def _message_text(message: Message, cut: int | None) -> Iterator[str]:
    yield f"{_line(message['sender'])} ({', '.join(_about(message))})"
    for part in message["parts"]:
        yield _indented(_part_text(part, cut))
    if message["error"]:
        yield _indented(f"failed: {_shortened(message['error'], cut)}")


def _about(message: Message) -> list[str]:
    """Say what stands beside a sender: the role comes first, and is never left out."""
    role, note = message["role"], _line(message["note"])
    about = [note if note.startswith(role) else ", ".join(filter(None, (role, note)))]
    if message["simulated"]:
        about.append("simulated")
    if message["writing"]:
        about.append("writing")
    return about


def _part_text(part: Part, cut: int | None) -> str:
    if part["type"] == "call":
        outcome = part["error"] or part["result"]
        came = f"\n  {_shortened(outcome, cut)}" if outcome else ""
        return f"{_call(part, cut)} {_call_state(part)}{came}"
    if part["type"] == "thinking":
        return f"[{_thought(part)}] {_shortened(part['text'], cut)}".rstrip()
    return _shortened(part["text"], cut)


def _call(part: CallPart, cut: int | None) -> str:
    return f"{_line(part['tool'])}({_shortened(_line(part['arguments']), cut)})"


def _call_state(part: CallPart) -> str:
    time = None if part["seconds"] is None else words.seconds(part["seconds"])
    return " ".join(filter(None, (part["status"], time)))


def _thought(part: ThinkingPart) -> str:
    facts = (
        None if part["seconds"] is None else f"for {words.seconds(part['seconds'])}",
        None if part["tokens"] is None else f"{words.tokens(part['tokens'])} tokens",
    )
    return f"Thought {', '.join(filter(None, facts))}".rstrip()


def _shortened(text: str, cut: int | None) -> str:
    if cut is None or len(text) <= cut:
        return text
    return f"{text[:cut].rstrip()}… ({len(text) - cut:,} more characters)"


# --- HTML -------------------------------------------------------------------------------------------------------------


def run_html(
    head: Head, graph: Graph, nodes: Mapping[str, NodeState], messages: Sequence[Message], svg: str | None = None
) -> str:
    """Write a run as the HTML of a saved cell: what an untrusted notebook, nbconvert or GitHub shows.

    Only elements and attributes that sanitizers keep; `svg` is the drawing when it has been made already.

    Example:
        >>> head = {"name": "audit", "kind": "pipeline", "run": "7f3a", "short": "7f3a", "status": "failed",
        ...     "simulated": False, "replayed": False, "started_at": None, "ended_at": None, "input_tokens": None,
        ...     "output_tokens": None, "cost_usd": None, "unpriced_calls": 0, "model_calls": 0, "done": 0, "total": 0,
        ...     "error": None, "reason": "<stopped>"}
        >>> run_html(head, {"name": "audit", "kind": "pipeline", "nodes": [], "edges": []}, {}, [])
        '<p><b>audit</b> failed · &lt;stopped&gt;<br>pipeline, run <code>7f3a</code></p>'
    """
    about = [_safe(head["kind"]), f"run <code>{_safe(head['short'])}</code>"]
    if head["total"]:
        about.append(f"{head['done']} of {words.count(head['total'], 'node')} done")
    parts = [f"<p><b>{_safe(head['name'])}</b> {_safe(', '.join(_facts(head)))}<br>{', '.join(about)}</p>"]
    if head["error"]:
        parts.append(_error_html(head["error"]))
    if graph["nodes"]:
        parts.append(_picture(svg or graph_svg(graph, nodes, head), _summary(graph, nodes)))
        parts.append(_folded(words.count(len(graph["nodes"]), "node"), f"<pre>{_safe(graph_text(graph, nodes))}</pre>"))
    if messages:
        parts.append(_folded(words.count(len(messages), "message"), conversation_html(head, messages)))
    return "\n".join(parts)


def flow_html(head: FlowHead, graph: Graph, svg: str | None = None) -> str:
    """Write a flow that has not run as the HTML of a saved cell.

    Example:
        >>> head = {"name": "audit", "kind": "pipeline", "input": "Question", "output": "Report",
        ...     "example": "audit.start(Question(…))", "checks": "no cycle"}
        >>> print(flow_html(head, {"name": "audit", "kind": "pipeline", "nodes": [], "edges": []}))
        <p><b>audit</b> not run yet<br>pipeline <code>Question → Report</code></p>
        <p>no cycle<br><code>audit.start(Question(…))</code></p>
    """
    types = f"{_safe(head['input'])} → {_safe(head['output'])}"
    parts = [f"<p><b>{_safe(head['name'])}</b> not run yet<br>{_safe(head['kind'])} <code>{types}</code></p>"]
    if graph["nodes"]:
        parts.append(_picture(svg or graph_svg(graph), _summary(graph, None)))
        parts.append(_folded(words.count(len(graph["nodes"]), "node"), f"<pre>{_safe(graph_text(graph))}</pre>"))
    parts.append(f"<p>{_safe(head['checks'])}<br><code>{_safe(head['example'])}</code></p>")
    return "\n".join(parts)


def conversation_html(head: Head | FlowHead, messages: Sequence[Message]) -> str:
    """Write a conversation as plain HTML: sender and role in sight, calls and thoughts folded, all text as text.

    Example:
        >>> said = [{"type": "text", "text": "<b>Hello.</b>"}]
        >>> print(conversation_html({"name": "desk"}, [{"id": "1", "sender": "you", "role": "person", "note": "person",
        ...     "at": 0.0, "tokens": None, "writing": False, "simulated": False, "error": None, "parts": said}]))
        <section title="Conversation of desk">
        <article>
        <p><b>you</b> person, 0.0 s</p>
        <p>&lt;b&gt;Hello.&lt;/b&gt;</p>
        </article>
        </section>
    """
    earlier, kept = _last(messages)
    parts = [f'<section title="Conversation of {_safe(head["name"])}">']
    if earlier:
        parts.append(f"<p><i>{earlier}</i></p>")
    parts += [_message_html(message) for message in kept]
    return "\n".join([*parts, "</section>"])


def _message_html(message: Message) -> str:
    about = _about(message)
    if message["tokens"] is not None:
        about.append(f"{words.tokens(message['tokens'])} tokens")
    about.append(words.moment(message["at"]))
    parts = [f"<p><b>{_safe(message['sender'])}</b> {_safe(', '.join(about))}</p>"]
    parts += [_part_html(part) for part in message["parts"]]
    if message["error"]:
        parts.append(f"<p><b>failed</b> {_safe(message['error'])}</p>")
    return "\n".join(["<article>", *parts, "</article>"])


def _part_html(part: Part) -> str:
    if part["type"] == "call":
        return _call_html(part)
    if part["type"] == "thinking":
        return _folded(_thought(part), _paragraphs(part["text"]))
    return f"<pre>{_safe(part['text'])}</pre>" if part["type"] == "data" else _paragraphs(part["text"])


def _call_html(part: CallPart) -> str:
    said = [("arguments", part["arguments"]), ("result", part["result"]), ("error", part["error"])]
    rows = "".join(f"<p>{name}</p><pre>{_safe(text)}</pre>" for name, text in said if text)
    return f"<details><summary><code>{_safe(part['tool'])}</code> {_call_state(part)}</summary>{rows}</details>"


def _error_html(error: RunError) -> str:
    where = f"<p><b>{_safe(error['type'])}</b> in {_safe(error['path'])}</p>"
    trace = f"<pre>{_safe(error['traceback'] or error['message'])}</pre>"
    return where + trace + (f"<p>{_safe(error['remedy'])}</p>" if error["remedy"] else "")


def _picture(svg: str, told: str) -> str:
    data = b64encode(svg.encode()).decode()
    return f'<img alt="{_safe(told)}" src="data:image/svg+xml;base64,{data}" style="max-width:100%">'


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{_safe(summary)}</summary>\n{inside}\n</details>"


def _paragraphs(text: str) -> str:
    """Keep the paragraphs and line breaks of a text without relying on a style that a sanitizer may drop."""
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block]
    return "\n".join(f"<p>{_safe(block).replace(chr(10), '<br>')}</p>" for block in blocks)


# --- other notations --------------------------------------------------------------------------------------------------


def dot(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Write a graph in Graphviz's language, to be placed and painted by its tools.

    Example:
        >>> print(dot({"name": "audit", "kind": "pipeline", "nodes": [], "edges": []}))
        digraph audit {
                rankdir=LR
                node [shape=box]
        }
        <BLANKLINE>
    """
    import graphviz  # loaded by those who ask for it only: `import quire` stays light

    drawing = graphviz.Digraph(graphviz.escape(_plain(graph["name"])), graph_attr={"rankdir": "LR"})
    drawing.node_attr["shape"] = "box"
    names = {node["id"]: f"n{at}" for at, node in enumerate(graph["nodes"])}
    for node in graph["nodes"]:
        lines = [_plain(node["title"]), _plain(_said(node, _state(node, nodes)))]
        drawing.node(names[node["id"]], graphviz.nohtml("\\n".join(graphviz.escape(line) for line in lines if line)))
    for source, target, label in _named_edges(graph, names):
        for end in (source, target):
            if end not in names.values():
                drawing.node(end, "", shape="point")
        drawing.edge(source, target, graphviz.escape(_plain(label)))
    return drawing.source


def mermaid(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Write a graph in Mermaid's language, which GitHub and Markdown cells draw.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "Plan"}
        >>> edge = {"source": "a", "target": None, "label": "Plan"}
        >>> print(mermaid({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": [edge]}))
        flowchart LR
            n0["plan<br/>step"]
            to0(( ))
            n0 -->|"Plan"| to0
    """
    names = {node["id"]: f"n{at}" for at, node in enumerate(graph["nodes"])}
    lines = ["flowchart LR"]
    for node in graph["nodes"]:
        texts = [node["title"], _said(node, _state(node, nodes))]
        lines.append(f'    {names[node["id"]]}["{"<br/>".join(_mermaid_text(text) for text in texts if text)}"]')
    edges = list(_named_edges(graph, names))
    open_ends = dict.fromkeys(end for edge in edges for end in edge[:2] if end not in names.values())
    lines += [f"    {end}(( ))" for end in open_ends]
    for source, target, label in edges:
        middle = f'-->|"{_mermaid_text(label)}"|' if label.strip() else "-->"
        lines.append(f"    {source} {middle} {target}")
    return "\n".join(lines)


def _named_edges(graph: Graph, names: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Give the ends of edges names of our own: those of nodes may hold anything."""
    for at, edge in enumerate(graph["edges"]):
        source = f"from{at}" if edge["source"] is None else names.get(edge["source"])
        target = f"to{at}" if edge["target"] is None else names.get(edge["target"])
        if source and target:
            yield source, target, edge["label"]


def _plain(text: str) -> str:
    return _line(_NOT_XML.sub("\ufffd", text))


def _mermaid_text(text: str) -> str:
    """Write what would end a quoted text, or begin a code, as a code."""
    return re.sub(r'["#&<>`;\\]', lambda found: f"#{ord(found[0])};", _plain(text))
