"""Graphs, runs and conversations as plain text: what `print` shows, and the words that every drawing shares."""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from quire.views import words
from quire.views.shapes import NodeState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from quire.views.shapes import CallPart, Graph, GraphNode, Head, Message, Part, RunError, Status, ThinkingPart

_CUT = 400
"""Characters of a message that plain text shows."""
_MOST = 200
"""Messages that a saved drawing keeps: a notebook is a document, the log is the archive."""


def graph_text(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Write a graph as text: a line for each node, in the order of the flow.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "Plan"}
        >>> print(graph_text({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": []}))
        plan: str -> Plan   step
    """
    ordered = _in_order(graph)
    typed = [f"{one_line(node['title'])}: {one_line(node['input'])} -> {one_line(node['output'])}" for node in ordered]
    widest = min(60, max(map(len, typed), default=0))
    told = [said(node, state_of(node, nodes)) for node in ordered]
    return "\n".join(f"{left:<{widest}}   {right}".rstrip() for left, right in zip(typed, told, strict=True))


def said(node: GraphNode, state: NodeState | None) -> str:
    """Say what a node is, or how it is."""
    if state is None:
        return ", ".join(filter(None, (one_line(node["kind"]), one_line(node["note"]))))
    return (" · " if state["reason"] else " ").join(filter(None, (state["status"], beside(state))))


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


def summary(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Sum a graph up in a line: what it is, how many nodes it has and how they are."""
    total = words.count(len(graph["nodes"]), "node")
    if nodes is None:
        return f"{graph['kind']} {graph['name']}: {total}"
    statuses = Counter(state["status"] for node in graph["nodes"] if (state := state_of(node, nodes)))
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
    parts = [headline(head)]
    if head["error"]:
        parts.append(_indented(_error_text(head["error"])))
    if graph["nodes"]:
        parts.append(_indented(graph_text(graph, nodes)))
    if messages:
        parts.append(_indented(conversation_text(messages, cut=_CUT)))
    return "\n\n".join(parts)


def headline(head: Head) -> str:
    """Sum a run up in a line."""
    return f"{one_line(head['name'])}: {', '.join(known(head))}"


def known(head: Head) -> list[str]:
    """List what is known of a run, the answer first."""
    used = [amount for amount in (head["input_tokens"], head["output_tokens"]) if amount is not None]
    facts = [
        " · ".join(filter(None, (head["status"], head["reason"] and one_line(head["reason"])))),
        "simulated" if head["simulated"] else None,
        "replayed" if head["replayed"] else None,
        spent(head["started_at"], head["ended_at"]),
        f"{words.tokens(sum(used))} tokens" if used and head["model_calls"] else None,
        words.money(head["cost_usd"], simulated=head["simulated"]) if head["model_calls"] else None,
    ]
    if head["unpriced_calls"] and head["cost_usd"] is not None and not head["simulated"]:
        facts.append(f"and {words.count(head['unpriced_calls'], 'unpriced call')}")
    return [fact for fact in facts if fact]


def _error_text(error: RunError) -> str:
    lines = [f"{error['type']} in {error['path']}: {error['message']}", error["traceback"], error["remedy"]]
    return "\n".join(clean(line).rstrip() for line in lines if line)


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
    earlier, kept = last(messages)
    blocks = [f"({earlier})"] if earlier else []
    return "\n".join([*blocks, *("\n".join(_message_text(message, cut)) for message in kept)])


def last(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """Keep the end of a long conversation, and say how much is not shown."""
    hidden = len(messages) - _MOST
    if hidden <= 0:
        return "", messages
    return f"{words.count(hidden, 'earlier message')} not shown, but in the log", messages[-_MOST:]


def _message_text(message: Message, cut: int | None) -> Iterator[str]:
    yield f"{one_line(message['sender'])} ({', '.join(about(message))})"
    for part in message["parts"]:
        yield _indented(_part_text(part, cut))
    if message["error"]:
        yield _indented(f"failed: {_shortened(message['error'], cut)}")


def about(message: Message) -> list[str]:
    """Say what stands beside a sender: the role comes first, and is never left out."""
    role, note = message["role"], one_line(message["note"])
    facts = [note if note.startswith(role) else ", ".join(filter(None, (role, note)))]
    if message["simulated"]:
        facts.append("simulated")
    if message["writing"]:
        facts.append("writing")
    return facts


def _part_text(part: Part, cut: int | None) -> str:
    if part["type"] == "call":
        outcome = part["error"] or part["result"]
        came = f"\n  {_shortened(outcome, cut)}" if outcome else ""
        return f"{_call(part, cut)} {call_state(part)}{came}"
    if part["type"] == "thinking":
        return f"[{thought(part)}] {_shortened(part['text'], cut)}".rstrip()
    return _shortened(part["text"], cut)


def _call(part: CallPart, cut: int | None) -> str:
    return f"{one_line(part['tool'])}({_shortened(one_line(part['arguments']), cut)})"


def call_state(part: CallPart) -> str:
    """Say how a call is and how long it took."""
    time = None if part["seconds"] is None else words.seconds(part["seconds"])
    return " ".join(filter(None, (part["status"], time)))


def thought(part: ThinkingPart) -> str:
    """Say for how long a model thought."""
    facts = (
        None if part["seconds"] is None else f"for {words.moment(part['seconds'])}",
        None if part["tokens"] is None else f"{words.tokens(part['tokens'])} tokens",
    )
    return f"Thought {', '.join(filter(None, facts))}".rstrip()


def _shortened(text: str, cut: int | None) -> str:
    text = clean(text)
    if cut is None or len(text) <= cut:
        return text
    return f"{text[:cut].rstrip()}… ({len(text) - cut:,} more characters)"


def state_of(node: GraphNode, states: Mapping[str, NodeState] | None) -> NodeState | None:
    """Find a node's state; in a run, a node that nothing is known of is pending."""
    if states is None:
        return None
    return states.get(node["id"]) or NodeState(
        id=node["id"], status="pending", reason=None, started_at=None, ended_at=None, attempt=1, calls=0, tokens=None,
        cost_usd=None, progress=None, simulated=False,
    )  # fmt: skip


def beside(state: NodeState, *, down: bool = False) -> str:
    """Say what is worth knowing beside a status; top down only the shortest of it."""
    time = spent(state["started_at"], state["ended_at"])
    reason = None if down or not state["reason"] else one_line(state["reason"])
    attempt = f"attempt {state['attempt']}" if state["attempt"] > 1 and not down else None
    items = "{} of {}".format(*state["progress"]) if state["progress"] else None
    by_status: dict[Status, list[str | None]] = {
        "pending": [reason],
        "skipped": [reason],
        "running": [items or time, attempt],
        "waiting": [reason, time],
        "cancelled": [reason, time],
    }
    return ", ".join(filter(None, by_status.get(state["status"], [reason, time, attempt])))


def spent(started: float | None, ended: float | None) -> str | None:
    """Write how long something took; a drawing has no clock, so what has not ended has no time."""
    return None if started is None or ended is None else words.seconds(max(0.0, ended - started))


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def safe(text: str) -> str:
    """Escape a text for XML and HTML, elements and attributes alike; what no document may hold becomes U+FFFD."""
    return escape(clean(text))


def clean(text: str) -> str:
    """Replace what no document may hold, such as the codes that steer a terminal."""
    return _NOT_XML.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Write a text on one line."""
    return " ".join(clean(text).split())
