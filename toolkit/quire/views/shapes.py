"""The shapes that travel from the folds to every reader: the live views, the saved drawings and the plain text.

Plain dictionaries, because they go over the wire as JSON as they are; numbers are raw and each reader writes
them in words (`quire.views.words` here, `words.ts` in the browser).
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

Status: TypeAlias = Literal["pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]
"""The one vocabulary for runs, nodes and calls."""

Role: TypeAlias = Literal["person", "agent", "tool", "system"]
"""Who speaks in a conversation."""


class Fields(TypedDict):
    """A type and its fields, as an inspector lists them."""

    type: str
    """The type as text, such as `Outline`."""
    fields: list[tuple[str, str]]
    """Pairs of a field's name and its type."""


# Written as a call because `in` cannot be an attribute's name.
Facts = TypedDict(
    "Facts",
    {
        "model": NotRequired[str],
        "instructions": NotRequired[str],
        "tools": NotRequired[list[str]],
        "limits": NotRequired[str],
        "in": NotRequired[list[Fields]],
        "out": NotRequired[Fields],
    },
)
"""What an inspector says about a node that has not run: every entry may be missing."""


class GraphNode(TypedDict):
    """One part of a flow."""

    id: str
    """Unique in its graph."""
    title: str
    """The name people gave it."""
    kind: str
    """step, agent, tool, pipeline, branch, each, human."""
    note: str
    """The second line before a run: a model's name, `python`, `8 at once`."""
    input: str
    """The type it takes, as text."""
    output: str
    """The type it gives, as text."""
    facts: NotRequired[Facts]
    """What the inspector shows before a run."""


class GraphEdge(TypedDict):
    """One way data takes."""

    source: str | None
    """The node it leaves; None when it enters the flow."""
    target: str | None
    """The node it reaches; None when it leaves the flow."""
    label: str
    """The type that travels, as text."""
    when: NotRequired[str]
    """The condition, or the route's word, that opens the way."""


class GraphGroup(TypedDict):
    """A part of a flow that has parts of its own, drawn as a box around them."""

    id: str
    """May stand at the end of an edge."""
    title: str
    kind: str
    note: str
    """What is special about it: `first success wins`."""
    nodes: list[str]
    """The ids of all nodes inside."""
    parent: str | None
    """The group it lies in."""


class Graph(TypedDict):
    """A flow as nodes and edges."""

    name: str
    kind: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    groups: NotRequired[list[GraphGroup]]


class PlacedArrow(TypedDict):
    """One line of a laid out graph, in pixels."""

    edge: int
    """What it stands for: its place among the graph's edges, the first if they are several."""
    label: str
    at: list[float]
    """The middle of the label, x and y; empty when there is none."""
    points: list[float]
    """x and y by turns: the start, then three points for each cubic stretch, two controls and an end."""
    dots: list[list[float]]
    """The middles of its open ends."""


class Places(TypedDict):
    """Where everything in a large graph is, as its saved picture has it: a page need not lay it out once more."""

    direction: Literal["LR", "TB"]
    width: float
    height: float
    boxes: dict[str, list[float]]
    """Of nodes and groups, by id: left, top, width and height."""
    arrows: list[PlacedArrow]


class NodeState(TypedDict):
    """A node of the graph at one moment of a run."""

    id: str
    """The id of the graph's node."""
    status: Status
    reason: str | None
    """Why it is so: `triage said refund`, `for you`."""
    started_at: float | None
    """Seconds since the epoch."""
    ended_at: float | None
    """Seconds since the epoch."""
    attempt: int
    """1 for the first."""
    calls: int
    """Model calls so far."""
    tokens: int | None
    cost_usd: float | None
    """None when nothing is known of the price."""
    progress: tuple[int, int] | list[int] | None
    """Items done and items in all, for a fan-out."""
    simulated: bool


class RunError(TypedDict):
    """A failure as a person reads it."""

    type: str
    """The class, such as `ValueError`."""
    path: str
    """Where, from the outside in, such as the step `parse` of `audit`."""
    message: str
    remedy: str | None
    """What to do about it, in one sentence."""
    traceback: str | None
    """The person's own frames."""


class Question(TypedDict):
    """Something a person was asked, and what was answered."""

    id: str
    node: str | None
    """The node of the graph that asks."""
    path: str
    """Who asks, from the outside in."""
    text: str
    tool: str | None
    """The tool that the question is about."""
    arguments: list[tuple[str, str]]
    """Pairs of an argument's name and its value as JSON."""
    why: str | None
    choices: list[str]
    field: str | None
    """The type of a free answer; None if there are only the choices."""
    asked_at: float
    """Seconds since the epoch."""
    until: float | None
    """When nobody needs to answer any more, in seconds since the epoch."""
    answer: str | None
    """The answer as text; None while there is none."""
    by: str | None
    """Who answered."""
    answered_at: float | None


class Head(TypedDict):
    """What is said of a whole run, above its views."""

    name: str
    kind: str
    run: str
    """The full id."""
    short: str
    """Its last four characters."""
    status: Status
    simulated: bool
    replayed: bool
    started_at: float | None
    """Seconds since the epoch."""
    ended_at: float | None
    """Seconds since the epoch."""
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    unpriced_calls: int
    model_calls: int
    done: int
    """Nodes that are finished."""
    total: int
    """Nodes in all."""
    error: RunError | None
    reason: str | None
    source: NotRequired[str]
    """The run that it was forked from."""
    questions: list[Question]
    """Those that are open and those that were answered, the oldest first."""


class FlowHead(TypedDict):
    """What is said of a flow that has not run."""

    name: str
    kind: str
    input: str
    output: str
    example: str
    """The line to type, such as `one_pager.start(Question(…))`."""
    checks: str
    """`5 steps, no cycle, every input has one producer`."""


class TextPart(TypedDict):
    """Words of a message."""

    type: Literal["text"]
    text: str


class DataPart(TypedDict):
    """A value, as pretty JSON, shown in the code font."""

    type: Literal["data"]
    text: str


class ThinkingPart(TypedDict):
    """What a model thought before it answered."""

    type: Literal["thinking"]
    text: str
    seconds: float | None
    tokens: int | None


class FilePart(TypedDict):
    """A file that was shown to a model, or given by a tool."""

    type: Literal["file"]
    name: str | None
    media_type: str
    size: int | None
    """Bytes; None if it is somewhere else."""
    url: str | None
    """Where it is; nobody loads it from there to show it."""
    picture: str | None
    """The picture itself as a data URI, if it is one and small."""


class CallPart(TypedDict):
    """A tool call and, once it is back, its result."""

    type: Literal["call"]
    id: str
    tool: str
    arguments: str
    """JSON text."""
    result: str | None
    error: str | None
    status: Status
    seconds: float | None
    files: NotRequired[list[FilePart]]
    """What it gave besides words."""


Part: TypeAlias = TextPart | DataPart | ThinkingPart | FilePart | CallPart


class Message(TypedDict):
    """One bubble of a conversation."""

    id: str
    sender: str
    role: Role
    note: str
    """What is said next to the sender: `agent, gpt-4o-mini`."""
    at: float | None
    """Seconds since the run started; None where that says nothing."""
    tokens: int | None
    writing: bool
    """Whether more of it is still arriving."""
    simulated: bool
    error: str | None
    parts: list[Part]
    edit: NotRequired[bool]
    """In a chat: whether the person can say it in other words."""
    marks: NotRequired[list[str]]
    """In a chat: the checkpoints right after it."""


class Append(TypedDict):
    """Text that arrived for a message already sent."""

    id: str
    append: tuple[int, str] | list[int | str]
    """The index of the part and the text to add to it."""


class Patch(TypedDict):
    """What changed in a view since the last one."""

    seq: int
    head: NotRequired[Head]
    nodes: NotRequired[list[NodeState]]
    messages: NotRequired[list[Message | Append]]


class RunSnapshot(TypedDict):
    """Everything a view of a run shows."""

    kind: Literal["run", "graph", "conversation"]
    head: Head
    graph: Graph
    nodes: dict[str, NodeState]
    messages: list[Message]
    places: NotRequired[Places]
    """Of a graph that is large."""


class FlowSnapshot(TypedDict):
    """Everything a view of a flow that has not run shows."""

    kind: Literal["flow"]
    head: FlowHead
    graph: Graph
    places: NotRequired[Places]
    """Of a graph that is large."""


class Payload(TypedDict):
    """A value that went in or came out."""

    type: str
    text: str


class PromptMessage(TypedDict):
    """One message of a prompt as it was sent."""

    role: str
    text: str


class ToolUse(TypedDict):
    """One tool call of a node."""

    tool: str
    arguments: str
    result: str | None
    error: str | None
    seconds: float | None


class Attempt(TypedDict):
    """One try of a node."""

    attempt: int
    status: Status
    seconds: float | None
    error: str | None


class Item(TypedDict):
    """One item of a fan-out."""

    item: int
    status: Status
    input: str
    output: str | None
    error: str | None
    seconds: float | None


class Details(TypedDict):
    """What the inspector shows of one node of a run."""

    node: str
    title: str
    kind: str
    status: Status
    before: int | None
    """The place in the log just before it began, where a fork lets it run anew; None if it has not begun."""
    path: str
    """Where it is, from the outside in."""
    reason: str | None
    input: Payload | None
    output: Payload | None
    prompt: list[PromptMessage]
    reply: str | None
    tools: list[ToolUse]
    attempts: list[Attempt]
    facts: list[tuple[str, str]]
    """Pairs of a label and a value."""
    error: RunError | None
    items: NotRequired[list[Item]]
    """Of a fan-out: the first of its items, and those that failed."""
    items_total: NotRequired[int]


class AgentHead(TypedDict):
    """What is said of an agent; the figures are None until it has run."""

    name: str
    model: str
    input: str
    output: str
    simulated: bool
    runs: int | None
    median_s: float | None
    cost_per_run: float | None
    failed: int | None


class AgentTool(TypedDict):
    """A tool as a row of an agent's card."""

    name: str
    takes: str
    """`order_id: int`."""
    gives: str
    approval: bool
    timeout_s: float | None


class NamedType(TypedDict):
    """A field of an output type."""

    name: str
    type: str


class AgentSnapshot(TypedDict):
    """Everything an agent's card shows."""

    kind: Literal["agent"]
    head: AgentHead
    instructions: str
    tools: list[AgentTool]
    output: list[NamedType]
    limits: list[tuple[str, str]]
    reach: list[tuple[str, str]]
