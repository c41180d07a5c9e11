"""Graphs, runs and conversations as plain text: what `print` shows, and the words that every drawing shares."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal, TypeAlias

from quire.views import strip, words
from quire.views.files import entitled
from quire.views.layout import around, parting
from quire.views.shapes import NodeState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from quire.views.layout import Name
    from quire.views.shapes import (
        CallPart,
        Graph,
        GraphEdge,
        GraphGroup,
        GraphNode,
        Head,
        Message,
        Part,
        Question,
        RunError,
        Status,
        ThinkingPart,
    )

Flow: TypeAlias = Literal["never", "later", "done", "now"]
"""What became of the data on an edge: it never comes, is still to come, has passed, passes now."""

_CUT = 400
"""Characters of a message that plain text shows."""
_MOST = 200
"""Messages that a saved drawing keeps: a notebook is a document, the log is the archive."""


# --- graphs -----------------------------------------------------------------------------------------------------------


def graph_text(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Write a graph as text: a line for each node, in the order of the flow, those of a group below its own line.

    Example:
        >>> node = {"id": "a", "title": "plan", "kind": "step", "note": "", "input": "str", "output": "Plan"}
        >>> print(graph_text({"name": "audit", "kind": "pipeline", "nodes": [node], "edges": []}))
        plan: str -> Plan   step
    """
    nest = nest_of(graph)
    told = list(_told(nest, nodes))
    widest = min(60, max((len(left) for left, right in told if right), default=0))
    return "\n".join(f"{left:<{widest}}   {right}".rstrip() for left, right in told)


def _told(nest: Nest, states: Mapping[str, NodeState] | None) -> Iterator[tuple[str, str]]:
    """Say of each node and each group what it is, and how it is."""
    conditions = _conditions(nest)
    for name in _in_order(nest):
        indent = "  " * len(around(nest.homes, name))
        group = nest.groups.get(name)
        when = "".join(f", {condition}" for condition in conditions.get(name, ()))
        if group:
            state = states.get(name) if states else None
            yield f"{indent}{_entitled(group, state)}{when}", _group_state(state)
        else:
            node = nest.nodes[name]
            typed = f"{one_line(node['title'])}: {one_line(node['input'])} -> {one_line(node['output'])}"
            yield f"{indent}{typed}{when}", said(node, state_of(node, states))


def _conditions(nest: Nest) -> dict[str, list[str]]:
    """Say when the nodes run: each condition once, however many steps it looks at."""
    found: dict[str, dict[str, None]] = {}
    for way in nest.ways:
        if way.target is not None and way.word and not way.loop:
            found.setdefault(way.target, {})[way.word] = None
    return {name: [word if word == "otherwise" else f"when {word}" for word in words] for name, words in found.items()}


def sentence(group: GraphGroup, state: NodeState | None) -> str:
    """Say what kind of group it is and how it goes about its work.

    Example:
        >>> sentence({"id": "g", "title": "draft", "kind": "race", "note": "first success wins", "nodes": [],
        ...     "parent": None}, None)
        'race: first success wins'
    """
    kind, note = one_line(group["kind"]), one_line(group["note"])
    if kind == "loop" and state and state["progress"] and state["progress"][0] > 0:
        round_, most = state["progress"][:2]
        note = f"iteration {round_:,} of {most:,}" if most else f"iteration {round_:,}"
    if kind in ("race", "loop"):
        return ": ".join(filter(None, (kind, note)))
    return ", ".join(filter(None, (f"{one_line(group['title'])} · {kind}", note)))


def _entitled(group: GraphGroup, state: NodeState | None) -> str:
    """Put a group's name before its sentence, where that does not begin with it."""
    name, line = one_line(group["title"]), sentence(group, state)
    return f"{name} · {line}" if name and group["kind"] in ("race", "loop") else line


def _group_state(state: NodeState | None) -> str:
    if state is None:
        return ""
    told = ", ".join(filter(None, (state["reason"] and one_line(state["reason"]), _time(state))))
    return (" · " if state["reason"] else " ").join(filter(None, (state["status"], told)))


def said(node: GraphNode, state: NodeState | None) -> str:
    """Say what a node is, or how it is."""
    if state is None:
        return ", ".join(filter(None, (one_line(node["kind"]), one_line(node["note"]))))
    return (" · " if state["reason"] else " ").join(filter(None, (state["status"], beside(state)[0])))


def _in_order(nest: Nest) -> list[str]:
    """Sort nodes and groups so that each comes after what it needs, and the parts of a group after it."""
    places: dict[str, int] = {}
    for at, node in enumerate(nest.nodes):
        for name in (*around(nest.homes, node), node):
            places.setdefault(name, at)
    inside: dict[str | None, list[str]] = {}
    for name in sorted(places, key=places.__getitem__):
        inside.setdefault(nest.homes[name], []).append(name)
    pairs: dict[str | None, list[tuple[Name, Name]]] = {}
    for way in nest.ways:
        if way.source is not None and way.target is not None and not way.loop:
            level, source, target = parting(nest.homes, way.source, way.target)
            pairs.setdefault(level, []).append((source, target))
    ordered: list[str] = []
    waiting = [iter(_sorted(inside.get(None, []), pairs.get(None, [])))]
    while waiting:
        for name in waiting[-1]:
            ordered.append(name)
            if name in nest.groups:
                waiting.append(iter(_sorted(inside[name], pairs.get(name, []))))
                break
        else:
            waiting.pop()
    return ordered


def _sorted(names: Sequence[str], pairs: Iterable[tuple[Name, Name]]) -> list[str]:
    """Sort names so that each comes after what it needs; those on a cycle follow in the order given."""
    needs: dict[Name, set[Name]] = {name: set() for name in names}
    gives: dict[Name, list[str]] = {name: [] for name in names}
    for source, target in pairs:
        if source not in needs[target]:
            needs[target].add(source)
            gives[source].append(str(target))
    ready = [name for name in names if not needs[name]]
    for name in ready:  # grows while it is read
        for target in gives[name]:
            needs[target].discard(name)
            if not needs[target]:
                ready.append(target)
    return list(dict.fromkeys([*ready, *names]))


@dataclass(frozen=True, slots=True)
class Way:
    """An edge whose ends are known."""

    edge: int
    """Its place among the graph's edges."""
    source: str | None
    """A node or a group; None for a dot of its own."""
    target: str | None
    type: str
    word: str
    """The condition, or the route's word, that opens the way."""
    loop: str | None
    """The loop that it leads back to the beginning of."""
    within: str | None
    """The group that its dot is in: it leads from the border to a part, or from a part to the border."""


@dataclass(frozen=True, slots=True)
class Nest:
    """A graph as a tree: what stands in what, and the ways between."""

    nodes: dict[str, GraphNode]
    groups: dict[str, GraphGroup]
    """Those with a node; an enclosing group comes before the groups inside it."""
    homes: dict[Name, str | None]
    """For each node and each group the innermost group around it."""
    ways: list[Way]


def nest_of(graph: Graph) -> Nest:
    """Read a graph as a tree, whatever is wrong with its groups: a log may have been written by anything."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    groups = {group["id"]: group for group in graph.get("groups", []) if group["id"] not in nodes}
    homes = _parents(groups)
    for group in sorted(groups.values(), key=lambda group: len(around(homes, group["id"]))):
        homes.update({node: group["id"] for node in group["nodes"] if node in nodes})
    for node in nodes:
        homes.setdefault(node, None)
    filled = {group: None for node in nodes for group in around(homes, node)}
    kept = {group: groups[group] for group in sorted(filled, key=lambda group: len(around(homes, group)))}
    for empty in groups.keys() - kept.keys():
        del homes[empty]
    ways = [way for at, edge in enumerate(graph["edges"]) if (way := _way(at, edge, homes, kept))]
    return Nest(nodes, kept, homes, ways)


def _parents(groups: Mapping[str, GraphGroup]) -> dict[Name, str | None]:
    """Find the group around each group; a parent that is unknown, or inside its own child, counts as none."""
    parents: dict[Name, str | None] = dict.fromkeys(groups)
    for name, group in groups.items():
        parent = group["parent"]
        if parent is not None and parent in groups and name != parent and name not in around(parents, parent):
            parents[name] = parent
    return parents


def _way(at: int, edge: GraphEdge, homes: Mapping[Name, str | None], groups: Mapping[str, GraphGroup]) -> Way | None:
    source, target, within = edge["source"], edge["target"], None
    known = [end for end in (source, target) if end is not None]
    if not known or not all(end in homes for end in known):
        return None
    if source is not None and target is not None and source != target:
        if source in around(homes, target):
            source, within = None, source
        elif target in around(homes, source):
            target, within = None, target
    word = one_line(edge.get("when") or "")
    loop = None
    if word == "again" and source is not None and target is not None:
        shared = set(around(homes, source)) & set(around(homes, target))
        loops = [group for group in around(homes, source) if group in shared and groups[group]["kind"] == "loop"]
        if loops:  # it leads back between whole parts, though the flow names their first and last nodes
            loop = loops[-1]
            source, target = map(str, parting(homes, source, target)[1:])
    return Way(at, source, target, one_line(edge["label"]), word, loop, within)


def passing(way: Way, states: Mapping[str, NodeState] | None) -> Flow:
    """Tell what became of the data on a way; before a run every way is open."""
    if states is None or way.within is not None:
        return "done"
    ending = states.get(way.loop) if way.loop else None
    if ending and ending["status"] not in _LIVE:
        # A loop that has come to its end went back only if it had a second iteration.
        return "done" if (ending["progress"] or [1])[0] > 1 else "never"
    from_, to = (_status(states, end) for end in (way.source, way.target))
    if from_ in ("failed", "skipped", "cancelled") or to in ("skipped", "cancelled"):
        return "never"
    if from_ != "succeeded" or to == "pending":
        return "later"
    return "now" if to == "running" and way.source is not None else "done"


_LIVE = ("pending", "running", "waiting")


def _status(states: Mapping[str, NodeState], end: str | None) -> Status:
    if end is None:
        return "succeeded"
    return states[end]["status"] if end in states else "pending"


def summary(graph: Graph, nodes: Mapping[str, NodeState] | None = None) -> str:
    """Sum a graph up in a line: what it is, how many nodes it has and how they are."""
    total = words.count(len(graph["nodes"]), "node")
    if nodes is None:
        return f"{graph['kind']} {graph['name']}: {total}"
    statuses = Counter(state["status"] for node in graph["nodes"] if (state := state_of(node, nodes)))
    counted = ", ".join(f"{amount} {status}" for status, amount in statuses.items())
    return f"{graph['kind']} {graph['name']}: {total}" + (f", {counted}" if counted else "")


def run_text(head: Head, graph: Graph, nodes: Mapping[str, NodeState], messages: Sequence[Message]) -> str:
    """Write a run as text: a line that sums it up, what people were asked, what went wrong, its nodes and its talk.

    Long messages are cut at about 400 characters, and of a long conversation only the end is kept.

    Example:
        >>> head = {"name": "audit", "kind": "pipeline", "run": "7f3a", "short": "7f3a", "status": "succeeded",
        ...     "simulated": True, "replayed": False, "started_at": 0.0, "ended_at": 1.2, "input_tokens": 50,
        ...     "output_tokens": 11, "cost_usd": 0.0, "unpriced_calls": 0, "model_calls": 1, "done": 0, "total": 0,
        ...     "error": None, "reason": None, "questions": []}
        >>> print(run_text(head, {"name": "audit", "kind": "pipeline", "nodes": [], "edges": []}, {}, []))
        audit: succeeded, simulated, 1.2 s, 61 tokens, $0 simulated
    """
    parts = [headline(head)]
    if head["questions"]:
        parts.append(_indented("\n".join(map(_question_text, head["questions"]))))
    if head["error"]:
        parts.append(_indented(_error_text(head["error"])))
    if graph["nodes"]:
        parts.append(_indented(graph_text(graph, nodes)))
    if messages:
        parts.append(_indented(conversation_text(messages, cut=_CUT)))
    return "\n\n".join(parts)


def _question_text(question: Question) -> str:
    given = strip.answered(question)
    if given is not None:
        return f"{strip.asker(question)} asked: {one_line(question['text'])} {one_line(given)}"
    lines = [f"{label}: {clean(text)}" for label, text in strip.told(question)]
    return "\n".join([f"{strip.asker(question)} asks: {clean(question['text'])}", *map(_indented, lines)])


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
        f"forked from {one_line(head['source'][-4:])}" if "source" in head else None,
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
    for name in message.get("marks", ()):
        yield f"checkpoint {one_line(name)}"


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
        files = "".join(f"\n  {_part_text(file, cut)}" for file in part.get("files", ()))
        return f"{_call(part, cut)} {call_state(part)}{came}{files}"
    if part["type"] == "file":
        return f"[{one_line(entitled(part))}]"
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


def beside(state: NodeState) -> list[str]:
    """Say what is worth knowing beside a status: in full, then in ever fewer words for where there is less room."""
    reason = one_line(state["reason"]) if state["reason"] else None
    far = measure(state)
    attempt = f"attempt {state['attempt']}" if state["attempt"] > 1 else None
    short = _SHORTER.get(reason or "", reason)
    ways = [(reason, far, attempt), (reason, far), (reason, attempt), (reason,), (short, far), (short,)]
    if reason is None:
        ways = [(far, attempt), (attempt or far,), (far,)]
    return list(dict.fromkeys(", ".join(filter(None, way)) for way in ways))


_SHORTER = {"kept from an earlier run": "reused"}
"""What is said in a sentence has a word for where there is no room for one."""


def measure(state: NodeState) -> str | None:
    """Say how far a node is, or how long it took: `17 of 24`, `2.6 s`."""
    status, progress = state["status"], state["progress"]
    if status in ("pending", "skipped"):
        return None
    if progress and status != "succeeded":
        done, total = progress[:2]
        return f"{done:,} of {total:,}" if total else f"{done:,} so far" if done else None
    # "retry 2 in 1.5 s" has its own time; another would only confuse.
    return None if status == "waiting" and (state["reason"] or "").startswith("retry") else _time(state)


def _time(state: NodeState) -> str | None:
    return spent(state["started_at"], state["ended_at"])


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
