"""How a flow is drawn: a node is a box, or a group of boxes if it has parts; a source is the ways into it."""

from __future__ import annotations

from quire.core.schema import type_name
from quire.flow.plan import Node
from quire.flow.wiring import Entry, Field, FirstOf, Output, Source, Together
from quire.run.definitions import latest
from quire.views.shapes import Graph, GraphEdge, GraphGroup, GraphNode


def draw(graph: Graph, node: Node) -> None:
    """Add a node to a drawing: one box, or a group of boxes if it has parts."""
    runnable = latest(node.runnable)
    if not runnable.composite:
        graph["nodes"].append(runnable.as_node(node.name))
        return
    inner = runnable.graph()
    within = f"{node.name}/"
    graph["nodes"].extend(GraphNode({**part, "id": within + part["id"]}) for part in inner["nodes"])
    graph["edges"].extend(
        GraphEdge({**edge, "source": within + edge["source"], "target": within + edge["target"]})
        for edge in inner["edges"]
        if edge["source"] is not None and edge["target"] is not None
    )
    groups = graph.setdefault("groups", [])
    groups.append(
        GraphGroup(
            id=node.name,
            title=node.name,
            kind=runnable.kind,
            note=runnable.note,
            nodes=[within + part["id"] for part in inner["nodes"]],
            parent=None,
        )
    )
    groups.extend(_moved(group, node.name) for group in inner.get("groups", []))


def _moved(group: GraphGroup, into: str) -> GraphGroup:
    """Return a group as it is called inside another."""
    parent = into if group["parent"] is None else f"{into}/{group['parent']}"
    nodes = [f"{into}/{node}" for node in group["nodes"]]
    return GraphGroup({**group, "id": f"{into}/{group['id']}", "nodes": nodes, "parent": parent})


def ways_in(source: Source, node: Node) -> list[GraphEdge]:
    """Return the ways into a node: what it reads, and what its condition looks at."""
    edges = [GraphEdge(source=step, target=node.name, label=label) for step, label in _leaves(source)]
    if node.when is None:
        return edges
    for edge in edges:
        if edge["source"] in node.when.names:
            edge["when"] = node.route or node.when.text
    looked_at = node.when.names - {edge["source"] for edge in edges}
    word = node.route or node.when.text
    edges.extend(GraphEdge(source=step, target=node.name, label="", when=word) for step in sorted(looked_at))
    return edges


def ways_out(source: Source) -> list[GraphEdge]:
    """Return the ways from the nodes to the result."""
    return [GraphEdge(source=step, target=None, label=label) for step, label in _leaves(source) if step is not None]


def _leaves(source: Source) -> list[tuple[str | None, str]]:
    """Return where a source's data comes from, with the type or field that travels; each way once."""
    match source:
        case Entry():
            return [(None, type_name(source.type))]
        case Output():
            return [(source.step, type_name(source.type))]
        case Field():
            return [(step, f".{source.name}") for step, _ in _leaves(source.of)]
        case FirstOf() | Together():
            return list(dict.fromkeys(leaf for one in source.sources for leaf in _leaves(one)))
        case _:
            return []
