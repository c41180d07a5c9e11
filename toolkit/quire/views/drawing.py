"""Static drawings: what is left of a graph or a run when there is no kernel.

An SVG that needs nothing but itself, HTML that survives the sanitizers of untrusted notebooks, nbconvert and GitHub,
plain text, Graphviz DOT and Mermaid. All are pure functions of the shapes that the folds make, so the same run is
drawn the same way everywhere. Every name and every reply is text here, never markup.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from quire.core.errors import DefinitionError
from quire.views import strip, words
from quire.views.files import described, entitled
from quire.views.layout import around
from quire.views.paper import image
from quire.views.picture import Picture, graph_picture, graph_svg
from quire.views.prose import (
    about,
    call_state,
    conversation_text,
    graph_text,
    known,
    last,
    nest_of,
    one_line,
    passing,
    run_text,
    safe,
    said,
    sentence,
    state_of,
    summary,
    thought,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from quire.views.chat import ChatHead
    from quire.views.prose import Nest, Way
    from quire.views.shapes import (
        CallPart,
        FilePart,
        FlowHead,
        Graph,
        Head,
        Message,
        NodeState,
        Part,
        Question,
        RunError,
        Status,
    )

__all__ = [
    "Picture",
    "ascii",
    "conversation_html",
    "conversation_text",
    "dot",
    "drawn",
    "flow_html",
    "graph_picture",
    "graph_svg",
    "graph_text",
    "mermaid",
    "run_html",
    "run_text",
]


def drawn(
    graph: Graph,
    format: str,
    nodes: Mapping[str, NodeState] | None = None,
    head: Head | None = None,
) -> str:
    """Return a graph as text in one of the formats: svg, dot, mermaid, json or ascii.

    Raises:
        DefinitionError: there is no such format.
    """
    match format:
        case "svg":
            return graph_svg(graph, nodes, head)
        case "dot":
            return dot(graph, nodes)
        case "mermaid":
            return mermaid(graph, nodes)
        case "json":
            return json.dumps({"graph": graph, "nodes": nodes} if nodes else {"graph": graph}, indent=2)
        case "ascii":
            return graph_text(graph, nodes)
        case _:
            message = f"There is no drawing as {format!r}."
            raise DefinitionError(message, remedy="One of svg, dot, mermaid, json, ascii.")


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
        ...     "error": None, "reason": "<stopped>", "questions": []}
        >>> run_html(head, {"name": "audit", "kind": "pipeline", "nodes": [], "edges": []}, {}, [])
        '<p><b>audit</b> failed · &lt;stopped&gt;<br>pipeline, run <code>7f3a</code></p>'
    """
    beneath = [safe(head["kind"]), f"run <code>{safe(head['short'])}</code>"]
    if head["total"]:
        beneath.append(f"{head['done']} of {words.count(head['total'], 'node')} done")
    parts = [f"<p><b>{safe(head['name'])}</b> {safe(', '.join(known(head)))}<br>{', '.join(beneath)}</p>"]
    parts += map(_question_html, head["questions"])
    if head["error"]:
        parts.append(_error_html(head["error"]))
    if graph["nodes"]:
        parts.append(image(svg or graph_svg(graph, nodes, head), summary(graph, nodes)))
        parts.append(_folded(words.count(len(graph["nodes"]), "node"), f"<pre>{safe(graph_text(graph, nodes))}</pre>"))
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
    types = f"{safe(head['input'])} → {safe(head['output'])}"
    parts = [f"<p><b>{safe(head['name'])}</b> not run yet<br>{safe(head['kind'])} <code>{types}</code></p>"]
    if graph["nodes"]:
        parts.append(image(svg or graph_svg(graph), summary(graph)))
        parts.append(_folded(words.count(len(graph["nodes"]), "node"), f"<pre>{safe(graph_text(graph))}</pre>"))
    parts.append(f"<p>{safe(head['checks'])}<br><code>{safe(head['example'])}</code></p>")
    return "\n".join(parts)


def conversation_html(head: Head | FlowHead | ChatHead, messages: Sequence[Message]) -> str:
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
    earlier, kept = last(messages)
    parts = [f'<section title="Conversation of {safe(head["name"])}">']
    if earlier:
        parts.append(f"<p><i>{earlier}</i></p>")
    parts += [_message_html(message) for message in kept]
    return "\n".join([*parts, "</section>"])


def _message_html(message: Message) -> str:
    facts = about(message)
    if message["tokens"] is not None:
        facts.append(f"{words.tokens(message['tokens'])} tokens")
    if message["at"] is not None:
        facts.append(words.moment(message["at"]))
    parts = [f"<p><b>{safe(message['sender'])}</b> {safe(', '.join(facts))}</p>"]
    parts += [_part_html(part) for part in message["parts"]]
    if message["error"]:
        parts.append(f"<p><b>failed</b> {safe(message['error'])}</p>")
    marks = [f"<p>checkpoint <b>{safe(name)}</b></p>" for name in message.get("marks", ())]
    return "\n".join(["<article>", *parts, "</article>", *marks])


def _part_html(part: Part) -> str:
    if part["type"] == "call":
        return _call_html(part)
    if part["type"] == "thinking":
        return _folded(thought(part), _paragraphs(part["text"]))
    if part["type"] == "file":
        return _file_html(part)
    return f"<pre>{safe(part['text'])}</pre>" if part["type"] == "data" else _paragraphs(part["text"])


def _call_html(part: CallPart) -> str:
    said = [("arguments", part["arguments"]), ("result", part["result"]), ("error", part["error"])]
    rows = "".join(f"<p>{name}</p><pre>{safe(text)}</pre>" for name, text in said if text)
    call = f"<details><summary><code>{safe(part['tool'])}</code> {call_state(part)}</summary>{rows}</details>"
    return "\n".join([call, *map(_file_html, part.get("files", ()))])


def _file_html(part: FilePart) -> str:
    name, told = safe(entitled(part)), safe(described(part))
    if part["picture"] is None:
        return f"<p><code>{told}</code></p>"
    small = "max-width:160px;max-height:120px"
    return f'<p><img alt="{name}" src="{safe(part["picture"])}" style="{small}"><br>{told}</p>'


def _question_html(question: Question) -> str:
    asker, text, given = safe(strip.asker(question)), safe(question["text"]), strip.answered(question)
    if given is not None:
        return f"<p><b>{asker}</b> asked: {text} <b>{safe(given)}</b></p>"
    lines = (f"{label}: {text}" for label, text in strip.told(question))
    rows = "".join(f"<li>{safe(line).replace(chr(10), '<br>')}</li>" for line in lines)
    return f"<p><b>{asker}</b> asks: <b>{text}</b></p>\n<ul>{rows}</ul>"


def _error_html(error: RunError) -> str:
    where = f"<p><b>{safe(error['type'])}</b> in {safe(error['path'])}</p>"
    trace = f"<pre>{safe(error['traceback'] or error['message'])}</pre>"
    return where + trace + (f"<p>{safe(error['remedy'])}</p>" if error["remedy"] else "")


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{safe(summary)}</summary>\n{inside}\n</details>"


def _paragraphs(text: str) -> str:
    """Keep the paragraphs and line breaks of a text without relying on a style that a sanitizer may drop."""
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block]
    return "\n".join(f"<p>{safe(block).replace(chr(10), '<br>')}</p>" for block in blocks)


# --- other notations --------------------------------------------------------------------------------------------------


def dot(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    r"""Write a graph in Graphviz's language, to be placed and painted by its tools; groups are clusters.

    Example:
        >>> dot({"name": "audit", "kind": "pipeline", "nodes": [], "edges": []})
        'digraph audit {\n\tgraph [rankdir=LR]\n\tnode [shape=box]\n}\n'
    """
    # Loaded by name: only those who ask for it pay for it, and it has no types to check.
    graphviz = import_module("graphviz")
    nest = nest_of(graph)
    attributes = {"rankdir": "LR", **({"compound": "true"} if nest.groups else {})}
    drawing = graphviz.Digraph(graphviz.escape(one_line(graph["name"])), graph_attr=attributes)
    drawing.node_attr["shape"] = "box"
    names, arrows = _named(nest)
    clusters = {None: drawing, **{group: graphviz.Digraph(f"cluster_{names[group]}") for group in nest.groups}}
    for id, node in nest.nodes.items():
        state = state_of(node, nodes)
        lines = [one_line(node["title"]), one_line(said(node, state))]
        label = graphviz.nohtml("\\n".join(graphviz.escape(line) for line in lines if line))
        clusters[nest.homes[id]].node(names[id], label, **(_DOT_STATUS[state["status"]] if state else {}))
    for arrow in arrows:
        for end in arrow.dots:
            clusters[arrow.way.within].node(end, "", shape="point")
    for group in reversed(nest.groups.values()):
        cluster = clusters[group["id"]]
        line = sentence(group, nodes.get(group["id"]) if nodes else None)
        cluster.attr(label=graphviz.nohtml(graphviz.escape(line)), labeljust="l", color="gray")
        clusters[nest.homes[group["id"]]].subgraph(cluster)
    for arrow in arrows:
        drawing.edge(*_dot_ends(arrow, nest, names), graphviz.escape(arrow.label), **_dot_edge(arrow, nest, nodes))
    return drawing.source


_DOT_STATUS: dict[Status, dict[str, str]] = {
    "pending": {"style": "dashed", "color": "#808080"},
    "running": {"color": "#1565b5", "penwidth": "1.5"},
    "waiting": {"color": "#9d4f00", "penwidth": "1.5", "style": "filled", "fillcolor": "#fef3e8"},
    "succeeded": {"color": "#808080"},
    "failed": {"color": "#ad2727", "penwidth": "1.5", "style": "filled", "fillcolor": "#fbeeee"},
    "skipped": {"color": "#e0e0e0", "fontcolor": "#616161", "style": "filled", "fillcolor": "#f5f5f5"},
    "cancelled": {"color": "#e0e0e0", "fontcolor": "#616161", "style": "filled", "fillcolor": "#f5f5f5"},
}
_DOT_FLOW = {"never": {"style": "dotted"}, "later": {"style": "dashed"}, "now": {"color": "#1565b5"}, "done": {}}


def _dot_ends(arrow: _Arrow, nest: Nest, names: Mapping[str, str]) -> tuple[str, str]:
    """Name the ends of an edge: Graphviz draws to a node in a group, and cuts the line at the group's border."""
    source, target = arrow.way.source, arrow.way.target
    if source in nest.groups:
        source = [node for node in nest.nodes if source in around(nest.homes, node)][-1]
    if target in nest.groups:
        target = next(node for node in nest.nodes if target in around(nest.homes, node))
    return names[source] if source else arrow.source, names[target] if target else arrow.target


def _dot_edge(arrow: _Arrow, nest: Nest, nodes: Mapping[str, NodeState] | None) -> dict[str, str]:
    borders = {"ltail": arrow.way.source, "lhead": arrow.way.target}
    ends = {"ltail": arrow.source, "lhead": arrow.target}
    cut = {side: f"cluster_{ends[side]}" for side, end in borders.items() if end in nest.groups}
    return {**cut, **_DOT_FLOW[passing(arrow.way, nodes)]}


def mermaid(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Write a graph in Mermaid's language, which GitHub and Markdown cells draw; groups are subgraphs.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "Plan"}
        >>> edge = {"source": "a", "target": None, "label": "Plan"}
        >>> print(mermaid({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": [edge]}))
        flowchart LR
            n0["plan<br/>step"]
            to0(( ))
            n0 -->|"Plan"| to0
    """
    nest = nest_of(graph)
    names, arrows = _named(nest)
    lines = ["flowchart LR", *_mermaid_parts(nest, nodes, names, arrows, None)]
    for arrow in arrows:
        line = "-.->" if passing(arrow.way, nodes) == "never" else "-->"
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {arrow.source} {line}{label} {arrow.target}")
    seen = {state["status"] for node in nest.nodes.values() if (state := state_of(node, nodes))}
    lines += [f"    classDef {status} {look}" for status, look in _MERMAID_STATUS.items() if status in seen]
    return "\n".join(lines)


_MERMAID_STATUS: dict[Status, str] = {
    "pending": "stroke:#808080,stroke-dasharray:4 3",
    "running": "stroke:#2b7fd4,stroke-width:2px",
    "waiting": "stroke:#b97400,stroke-width:3px",
    "succeeded": "stroke:#808080",
    "failed": "stroke:#d6453f,stroke-width:3px",
    "skipped": "stroke:#808080,stroke-dasharray:1 4",
    "cancelled": "stroke:#808080,stroke-dasharray:1 4",
}
"""Strokes alone: they can be seen on light and on dark, where a fill would hide the reader's own color of text."""


def _mermaid_parts(
    nest: Nest,
    nodes: Mapping[str, NodeState] | None,
    names: Mapping[str, str],
    arrows: Sequence[_Arrow],
    home: str | None,
) -> Iterator[str]:
    """Write what stands in a group, and what stands in the groups in it."""
    indent = "    " * (1 if home is None else len(around(nest.homes, home)) + 2)
    for id, node in nest.nodes.items():
        if nest.homes[id] == home:
            state = state_of(node, nodes)
            label = "<br/>".join(_mermaid_text(text) for text in (node["title"], said(node, state)) if text)
            status = f":::{state['status']}" if state else ""
            yield f'{indent}{names[id]}["{label}"]{status}'
    yield from (f"{indent}{end}(( ))" for arrow in arrows if arrow.way.within == home for end in arrow.dots)
    for id, group in nest.groups.items():
        if nest.homes[id] == home:
            line = sentence(group, nodes.get(id) if nodes else None)
            yield f'{indent}subgraph {names[id]}["{_mermaid_text(line)}"]'
            yield from _mermaid_parts(nest, nodes, names, arrows, id)
            yield f"{indent}end"


@dataclass(frozen=True, slots=True)
class _Arrow:
    """A way with names of our own for its ends: those of nodes may hold anything."""

    way: Way
    source: str
    target: str
    dots: list[str]
    """Those of its ends that are neither a node nor a group."""

    @property
    def label(self) -> str:
        return self.way.word or self.way.type


def _named(nest: Nest) -> tuple[dict[str, str], list[_Arrow]]:
    names = {id: f"n{at}" for at, id in enumerate(nest.nodes)} | {id: f"g{at}" for at, id in enumerate(nest.groups)}
    arrows: list[_Arrow] = []
    for at, way in enumerate(nest.ways):
        source = f"from{at}" if way.source is None else names[way.source]
        target = f"to{at}" if way.target is None else names[way.target]
        ends = ((way.source, source), (way.target, target))
        arrows.append(_Arrow(way, source, target, [name for end, name in ends if end is None]))
    return names, arrows


def _mermaid_text(text: str) -> str:
    """Write what would end a quoted text, or begin a code, as a code."""
    return re.sub(r'["#&<>`;\\]', lambda found: f"#{ord(found[0])};", one_line(text))


def ascii(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:  # noqa: A001 - the formats' own names
    """Write a graph as text, as `graph_text` does: lines of words read better than boxes of dashes.

    Example:
        >>> ascii({"name": "audit", "kind": "pipeline", "nodes": [], "edges": []})
        ''
    """
    return graph_text(graph, nodes)
